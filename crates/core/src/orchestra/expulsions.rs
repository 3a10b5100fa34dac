//! Whom a root has removed from the cluster, and how much of their logs counts.
//!
//! Unlike a view ([`super::views`]) this needs no agreement, and unlike a last word
//! ([`super::leaves`]) it is not the node's own: so it says for each log where it ends, and what is
//! behind that is inert, as behind a fork. It is for good, for every life of the node. Several of one
//! node leave of each log what all of them leave.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{Expulsion, Incarnation, OrchestraId, Place};

/// How much of a node's logs counts in an orchestra; nothing of one that is not named.
pub type Ends = BTreeMap<Incarnation, u64>;

/// All that was said about the end of one node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Expelled {
    /// When it was said first.
    pub place: Place,
    /// Why, by whoever said it first.
    pub reason: alloc::string::String,
    ends: BTreeMap<OrchestraId, Ends>,
}

impl Expelled {
    /// What one expulsion says.
    pub fn new(place: Place, expulsion: &Expulsion) -> Self {
        let mut ends: BTreeMap<OrchestraId, Ends> = BTreeMap::new();
        for one in &expulsion.ends {
            let logs = ends.entry(one.orchestra).or_default();
            logs.insert(one.end.incarnation, one.end.seq);
        }
        let reason = expulsion.reason.clone();
        Self {
            place,
            reason,
            ends,
        }
    }

    /// What it and another leave.
    pub fn and(&mut self, other: Self) {
        if other.place < self.place {
            (self.place, self.reason) = (other.place, other.reason);
        }
        for (orchestra, ends) in &mut self.ends {
            let theirs = other.ends.get(orchestra);
            ends.retain(|life, seq| {
                let end = theirs.and_then(|ends| ends.get(life));
                *seq = end.map_or(0, |end| (*end).min(*seq));
                *seq > 0
            });
        }
        self.ends.retain(|_, ends| !ends.is_empty());
    }

    /// How much of its logs counts in an orchestra.
    pub fn ends(&self, orchestra: &OrchestraId) -> Ends {
        self.ends.get(orchestra).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use unisono_model::{Digest, LogEnd, NodeId, OrchestraEnd, Stamp};

    use super::*;

    fn expelled(at_ms: u64, ends: &[(u8, u64, u64)]) -> Expelled {
        let ends = ends
            .iter()
            .map(|(orchestra, started_ms, seq)| OrchestraEnd {
                orchestra: OrchestraId([*orchestra; 16]),
                end: LogEnd {
                    incarnation: Incarnation {
                        started_ms: *started_ms,
                        nonce: 0,
                    },
                    seq: *seq,
                },
            });
        let expulsion = Expulsion {
            node: NodeId([1; 32]),
            ends: ends.collect(),
            staying: Vec::new(),
            reason: alloc::format!("at {at_ms}"),
        };
        let place = Place {
            stamp: Stamp::from_ms(at_ms),
            record: Digest::default(),
        };
        Expelled::new(place, &expulsion)
    }

    #[test]
    fn several_leave_what_all_of_them_leave_in_any_order() {
        let parts = [
            expelled(3, &[(1, 10, 5), (1, 20, 7), (2, 10, 9)]),
            expelled(1, &[(1, 10, 6), (1, 20, 2), (3, 10, 1)]),
            expelled(2, &[(1, 10, 8), (1, 20, 3), (2, 10, 1)]),
        ];
        let wanted = expelled(1, &[(1, 10, 5), (1, 20, 2)]);
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
            let mut all = parts[order[0]].clone();
            all.and(parts[order[1]].clone());
            all.and(parts[order[2]].clone());
            assert_eq!(all, wanted);
            all.and(parts[order[0]].clone());
            assert_eq!(all, wanted, "twice is once");
        }
    }
}
