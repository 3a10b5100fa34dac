//! Every bound of this crate in one place: what one change may hold, what may wait, how much is
//! applied at once.

/// The longest key of an entry, in bytes.
pub const KEY_BYTES_MAX: usize = 128;

/// The largest value of one entry, in bytes.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;

/// How many entries one change of a fact document may append.
pub const ENTRIES_PER_CHANGE_MAX: usize = 1024;

/// How many bytes all values of one change of a fact document may have together.
pub const CHANGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many dependencies one change may name. There is at most one head per writing actor, and a
/// local writer that sees more heads names only some of them.
pub const DEPENDENCIES_MAX: usize = 512;

/// The highest sequence number and operation counter. Automerge keeps both in 32 bits and panics at
/// their end, so nothing comes near it.
pub const COUNTER_MAX: u64 = 1 << 31;

/// How many changes go into one call of a warm document.
pub const CHUNK_WARM: usize = 100;

/// How many changes go into one call of a freshly loaded document: larger batches take gigabytes.
pub const CHUNK_COLD: usize = 20;

/// How many bytes of values may be on the way to Automerge in one document: as much as a few of the
/// largest entries, so that many open documents cost little.
pub const COMPANY_BYTES_MAX: usize = 256 * 1024;

/// From how many entries on a loaded document is prepared for being written: below, the preparation
/// costs more than it spares.
pub const WARM_ENTRIES_MIN: usize = 512;

/// How many changes a loaded document takes before it counts as warm.
pub const COLD_CHANGES: usize = 3000;

/// How many changes wait in one document for dependencies that have not come.
pub const HELD_MAX: usize = 1024;

/// How many of them one actor may occupy, so that nobody fills the buffer alone.
pub const HELD_PER_ACTOR_MAX: usize = 256;

/// How many bytes all waiting changes of one document may weigh.
pub const HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

pub use unisono_model::limits::LIVING_CHANGE_BYTES_MAX;

/// How many operations a change of a living document may hold (one per character inserted or
/// deleted, one per configuration key).
pub const LIVING_OPERATIONS_MAX: u64 = 16 * 1024;

/// How many other actors a change of a living document may refer to.
pub const LIVING_ACTORS_MAX: u64 = 4096;

/// How many predecessors all operations of one change may name together.
pub const LIVING_PREDECESSORS_MAX: u64 = 4 * LIVING_OPERATIONS_MAX;

/// The longest name of a note, in bytes.
pub const NOTE_NAME_BYTES_MAX: usize = 128;

/// How many characters a note may hold when it is edited here. Concurrent edits may exceed it
/// together; what has merged is never refused.
pub const NOTE_CHARACTERS_MAX: usize = 64 * 1024;

/// The longest configuration path, in bytes, separators included.
pub const CONFIG_PATH_BYTES_MAX: usize = 256;

/// How many segments a configuration path may have.
pub const CONFIG_DEPTH_MAX: usize = 16;

/// The largest text or byte string in the configuration, in bytes.
pub const CONFIG_VALUE_BYTES_MAX: usize = 16 * 1024;
