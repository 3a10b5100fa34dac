//! What an agent says that it has seen.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::check::count;
use crate::{limits, wire::Malformed};

/// What an agent has seen of an orchestra: a cursor, as reads give it. It is testimony about the
/// agent itself; the latest by stamp stands.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Of each log, by its tag, the last bundle that was seen, in order of tags.
    pub logs: Vec<(u64, u64)>,
}

impl Seen {
    /// Whether a bundle of the log with a tag is among what was seen.
    pub fn covers(&self, tag: u64, bundle: u64) -> bool {
        let log = self.logs.binary_search_by_key(&tag, |(log, _)| *log);
        log.is_ok_and(|at| bundle <= self.logs[at].1)
    }

    /// Whether it is within its limits.
    ///
    /// # Errors
    /// More logs than a record may name, or not each once and in order.
    pub fn check(&self) -> Result<(), Malformed> {
        count("logs seen", self.logs.len(), limits::SEEN_LOGS_MAX)?;
        if self.logs.is_sorted_by(|(one, _), (next, _)| one < next) {
            Ok(())
        } else {
            Err(Malformed::NotCanonical)
        }
    }
}
