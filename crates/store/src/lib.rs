//! The real disk under the journal, and copies of a whole data directory.
//!
//! **Invariant:** nothing here knows what a file means. Framing, recovery and checks are
//! `unisono_core::journal`, which the simulator drives over a worse disk than this one.

mod backup;
mod file_disk;

pub use backup::{BackupError, backup, restore};
pub use file_disk::{FileDisk, OpenDiskError};
