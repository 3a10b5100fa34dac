//! One Automerge document behind a narrow door.
//!
//! Facts travel as records, and the Automerge change that carries them is *rebuilt* on every
//! replica, not parsed: [`FactDocument`] makes the same bytes, hence the same hash, from the same
//! [`ChangePlan`]. Notes and configuration, which people and agents edit together, travel as raw
//! changes through a gate that re-encodes and checks each operation: [`LivingDocument`].
//!
//! **Invariant:** only this crate names Automerge. Nothing here knows a clock, chance, a thread, a
//! disk or the network; the actor under which a document is written is handed in.

mod door;
mod error;
mod fact;
mod genesis;
mod held;
mod history;
mod id;
mod key;
pub mod limits;
mod living;
mod plan;

pub use error::{LoadError, Poisoned, Refusal, WriteError};
pub use fact::{FactDocument, Figures};
pub use id::{Actor, DocumentId, Kind, actor_id};
pub use key::Key;
pub use living::{ConfigConflict, ConfigTree, ConfigValue, Edit, LivingDocument};
pub use plan::{Appended, Applied, ChangePlan, ChangeStamp};
