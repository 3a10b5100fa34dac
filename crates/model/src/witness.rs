//! Where logs of other nodes stood, in the words of those who write them.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::wire::{Malformed, Signature};
use crate::{BUNDLE_VERSION, BundleHeader, LogId, OrchestraId, limits};

/// A node bears witness of how far logs of others have come, by the last headers that it held of them:
/// each is signed by the node that wrote it, so nobody can be made to have said more than they did.
/// Whoever leaves out the end of a log has to leave these records out as well, and with them whatever
/// else their authors said since (cluster orchestra only).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// The headers with the signatures of the nodes that wrote them, in order of orchestra and log, one
    /// for each log.
    pub heads: Vec<(BundleHeader, Signature)>,
}

impl Witness {
    /// Whether it is within its limits. Whether the signatures are good is for the reader to say: one
    /// that is not proves nothing.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        if self.heads.is_empty() || self.heads.len() > limits::WITNESSED_HEADS_MAX {
            return Err(Malformed::Limit("witnessed heads"));
        }
        let wrong = |header: &BundleHeader| header.version != BUNDLE_VERSION || header.seq == 0;
        if self.heads.iter().any(|(header, _)| wrong(header)) {
            return Err(Malformed::Contradiction("a head of no log"));
        }
        if self
            .heads
            .is_sorted_by(|(one, _), (next, _)| log_of(one) < log_of(next))
        {
            Ok(())
        } else {
            Err(Malformed::NotCanonical)
        }
    }
}

fn log_of(header: &BundleHeader) -> (OrchestraId, LogId) {
    (header.orchestra, header.log)
}
