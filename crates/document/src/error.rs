//! Why a change was not taken, and what is left to do when a document broke.

use unisono_model::Digest;

/// A panic or an inconsistency inside Automerge: the copy in memory is gone.
///
/// Nothing of it can be read or saved any more. Drop it and build a new one, from the last saved
/// bytes and the plans after them, or from all plans.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the document broke and must be rebuilt from the log")]
pub struct Poisoned;

/// Why a change was refused. The document is as if the change had never come.
///
/// All but [`Refusal::BufferFull`] depend on nothing but the change, the log that it continues and
/// its causal past, so every replica refuses the same changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// A key is empty, too long, or not printable ASCII.
    #[error("a key must be 1 to 128 bytes of printable ASCII")]
    Key,
    /// The change does nothing.
    #[error("the change is empty")]
    Empty,
    /// The change holds more entries, operations, dependencies, actors or bytes than the limits
    /// allow.
    #[error("the change exceeds a limit: {0}")]
    TooLarge(&'static str),
    /// The change appends a key that its own actor appended before.
    #[error("the actor appended this key before")]
    KeyTwice,
    /// The sequence number does not continue the actor's.
    #[error("sequence {found} where {expected} was due")]
    Sequence {
        /// What would have continued the actor's changes.
        expected: u64,
        /// What the change says.
        found: u64,
    },
    /// The dependencies do not name the actor's own previous change, are empty, or repeat one.
    #[error("the dependencies are not a proper set that contains the actor's previous change")]
    Dependencies,
    /// The actor wrote another change under this sequence number. The sign of a forked log.
    #[error("the actor wrote a different change under this sequence number")]
    Forked,
    /// The dependencies are not here, and there is no room to wait for them. The only refusal that
    /// is a matter of this replica: offer the change again once its past has come.
    #[error("no room to wait for the dependency {0}")]
    BufferFull(Digest),
    /// The bytes are not an uncompressed change in the one encoding that we write.
    #[error("not a canonical change: {0}")]
    Encoding(&'static str),
    /// The change is by another actor than the node that carries it.
    #[error("the change is by another actor than its carrier")]
    Actor,
    /// The first operation's number is not one above the highest of the dependencies.
    #[error("the first operation should have the number {expected}")]
    StartOp {
        /// One above the highest operation of the dependencies.
        expected: u64,
    },
    /// An operation is none of those that a living document allows.
    #[error("an operation that does not belong here: {0}")]
    Shape(&'static str),
    /// An operation replaces or deletes something else than what its author could see.
    #[error("the predecessors are not what the author could see")]
    Predecessors,
    /// An operation refers to a note or a character that is not in the change's causal past.
    #[error("an operation refers to what its author could not know")]
    Unknown,
}

/// Why a local edit or append did not happen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// The document is as before; the edit must change.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The document is gone.
    #[error(transparent)]
    Poisoned(#[from] Poisoned),
}

/// Why saved bytes were not taken. In every case: rebuild from the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are not what `save` wrote for this document.
    #[error("the saved bytes are damaged or belong to another document")]
    Damaged,
    /// The document is sound but does not stand where it was said to.
    #[error("the saved document has other heads than expected")]
    OtherHeads,
    /// The document does not have the shape that this crate gives it.
    #[error("the saved document has an unknown shape")]
    Shape,
}
