//! How the journal says no, and whether anything changed.

use unisono_model::{ClusterId, OrchestraId};

use super::disk::DiskError;
use super::frame::EntryKey;

/// An append failed. Nothing of the batch is held, except after [`AppendError::SyncFailed`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// There is no room. Nothing of the batch was kept; the same append works once there is room.
    #[error("nothing was written: {0}")]
    Full(DiskError),
    /// The disk failed. Nothing of the batch is held, and the next append cleans up first. (If it
    /// cannot, a restart may find entries of the batch, whole ones only.)
    #[error("nothing was written: {0}")]
    Io(DiskError),
    /// A payload or the whole batch is larger than the limits allow. Nothing was tried.
    #[error("nothing was written: {bytes} bytes are more than the limit of {limit}")]
    TooLarge {
        /// How large it is, bytes.
        bytes: usize,
        /// How large it may be, bytes.
        limit: usize,
    },
    /// What was written could not be made durable. The batch may or may not be there after a
    /// restart, and the journal is poisoned.
    #[error("it is unknown what was written, the journal has to be opened anew: {0}")]
    SyncFailed(DiskError),
    /// An earlier sync failed. Nothing was tried; open the journal anew, in a new incarnation.
    #[error("nothing was written: an earlier sync failed, the journal has to be opened anew")]
    Poisoned,
}

/// A journal could not be opened. Files of another cluster or version are left as they are.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OpenError {
    /// The directory belongs to another cluster.
    #[error("the directory belongs to cluster {found}, not to {expected}; nothing was changed")]
    OtherCluster {
        /// Whose it is.
        found: ClusterId,
        /// Who asked.
        expected: ClusterId,
    },
    /// The directory was written by a newer version.
    #[error(
        "{file} has format version {found}, this program knows up to {known}; nothing was changed"
    )]
    NewerVersion {
        /// Which file says so.
        file: alloc::string::String,
        /// Its version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The options are outside their limits.
    #[error("a segment may have {least} to {most} bytes; nothing was changed")]
    SegmentBytes {
        /// The smallest size.
        least: u32,
        /// The largest size.
        most: u32,
    },
    /// The disk failed. Opening may be tried again.
    #[error("the journal cannot be opened: {0}")]
    Disk(DiskError),
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Reading entries failed. Reading changes nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ReadError {
    /// No good copy of the entry is left. `Journal::verify` finds out how much is gone.
    #[error("entry {} of log {:?} is damaged in segment {segment}", key.seq, key.log)]
    Damaged {
        /// Which entry.
        key: EntryKey,
        /// Where its newest copy stood.
        segment: u64,
    },
    /// A proof is damaged.
    #[error("a proof of orchestra {orchestra} is damaged in segment {segment}")]
    DamagedProof {
        /// Whose proof.
        orchestra: OrchestraId,
        /// Where its newest copy stood.
        segment: u64,
    },
    /// A sync failed earlier: what can be read may not be on the disk. Open the journal anew.
    #[error("an earlier sync failed, the journal has to be opened anew")]
    Poisoned,
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A named blob could not be put or removed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BlobError {
    /// The name is empty, too long, or has characters other than `a-z 0-9 - _ .`.
    #[error("nothing was changed: a blob cannot be called {0:?}")]
    Name(alloc::string::String),
    /// The blob is larger than the limit.
    #[error("nothing was changed: a blob of {bytes} bytes is more than the limit of {limit}")]
    TooLarge {
        /// How large it is, bytes.
        bytes: usize,
        /// How large it may be, bytes.
        limit: usize,
    },
    /// It was written, and what was read back is not the same. The version before stands.
    #[error("the version before stands: blob {0:?} did not read back as it was written")]
    ReadBack(alloc::string::String),
    /// The disk failed. The version before stands; if a sync of the directory failed, the new one
    /// may be found after a restart.
    #[error("the version before stands: {0}")]
    Disk(#[from] DiskError),
}
