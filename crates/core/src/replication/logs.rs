//! All logs of one orchestra: the vector, its digest, and what is missing where.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Digest, ForkProof, Incarnation, LogEnd, LogId, NodeId, Stamp};

use super::cursor::{Cursor, LogTag};
use super::log::LogState;

/// The logs of an orchestra, as far as they are on disk and applied.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Logs {
    states: BTreeMap<LogId, LogState>,
    proofs: BTreeMap<LogId, ForkProof>,
    /// How much counts of the logs of nodes that were removed; nothing of one that is not named.
    ends: BTreeMap<NodeId, BTreeMap<Incarnation, u64>>,
}

/// Where a log stands, as peers tell each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LogHead {
    /// Which log.
    pub log: LogId,
    /// Its last bundle held without gaps.
    pub seq: u64,
    /// That bundle's digest.
    pub head: Digest,
}

impl Logs {
    /// The state of a log.
    pub fn get(&self, log: &LogId) -> Option<&LogState> {
        self.states.get(log)
    }

    /// The state of a log, to be advanced.
    pub fn entry(&mut self, log: LogId) -> &mut LogState {
        let (proofs, ends) = (&self.proofs, &self.ends);
        self.states.entry(log).or_insert_with(|| {
            let forked = proofs.get(&log).map(|proof| proof.one.0.seq);
            let ended = ends.get(&log.node).map(|ends| behind(ends, &log));
            let cut = forked.into_iter().chain(ended).min();
            LogState {
                cut,
                tag: LogTag::of(&log),
                ..LogState::default()
            }
        })
    }

    /// All logs.
    pub fn iter(&self) -> impl Iterator<Item = (&LogId, &LogState)> {
        self.states.iter()
    }

    /// Takes in the state of a log, advanced from a copy of the one that is here.
    pub fn replace(&mut self, log: LogId, mut state: LogState) {
        // The former one goes first: what the two share belongs to the new one then.
        self.states.remove(&log);
        state.chains.settle();
        state.changes.settle();
        self.states.insert(log, state);
    }

    /// The vector.
    pub fn heads(&self) -> Vec<LogHead> {
        let held = self.states.iter().filter(|(_, state)| state.seq > 0);
        held.map(|(log, state)| LogHead {
            log: *log,
            seq: state.seq,
            head: state.head,
        })
        .collect()
    }

    /// One hash of the vector and of the fork proofs: equal on nodes that hold the same.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.states.len() * 96);
        for state in self.states.values() {
            if state.seq > 0 {
                bytes.extend_from_slice(&state.tag.0.to_le_bytes());
                bytes.extend_from_slice(&state.seq.to_le_bytes());
                bytes.extend_from_slice(&state.head.0);
            }
        }
        for (log, proof) in &self.proofs {
            bytes.extend_from_slice(&unisono_model::wire::encode(log));
            bytes.extend_from_slice(&proof.one.0.seq.to_le_bytes());
        }
        Digest::of("unisono/vector/v1", &[&bytes])
    }

    /// The vector as agents carry it. A log that is known to have forked, and is held up to there,
    /// has been seen to its end: whoever saw more of it saw what does not count.
    pub fn cursor(&self) -> Cursor {
        let ended = |state: &LogState| state.cut.is_some_and(|cut| state.seq + 1 >= cut);
        let seen = self.states.values().filter_map(|state| {
            let seq = if ended(state) { Cursor::END } else { state.seq };
            (seq > 0).then_some((state.tag, seq))
        });
        Cursor(seen.collect())
    }

    /// The stamp up to which nothing of a node can come any more: the head of a life's log, or where
    /// less is held of what this log closes, the lowest stamp that is reached there.
    ///
    /// A life that has said nothing here yet speaks through the latest one before it that has: what
    /// was settled stays so while a member starts again. That holds because lives rise. Of one that
    /// was admitted below that head, as happens where a disk and a clock were set back together,
    /// nothing is known before it speaks itself.
    pub fn node_head(&self, life: &LogId, admitted: Stamp) -> Stamp {
        let held = |state: &&LogState| state.seq > 0;
        let here = self.states.get(life).filter(held);
        let before = || {
            let earlier = self.states.range(..*life).rev();
            let mut lives = earlier.take_while(|(log, _)| log.node == life.node);
            let state = lives.find_map(|(_, state)| Some(state).filter(held));
            state.filter(|state| state.stamp < admitted)
        };
        let Some(state) = here.or_else(before) else {
            return Stamp::MIN;
        };
        self.closed_up_to(&life.node, &state.closes)
            .min(state.stamp)
    }

    /// The stamp up to which nothing of a node can come any more that has said where its logs end:
    /// the highest there is, once they are held that far.
    pub fn closed_up_to(&self, node: &NodeId, ends: &[LogEnd]) -> Stamp {
        let mut reached = Stamp::MAX;
        let mut asked: BTreeSet<LogEnd> = BTreeSet::new();
        let mut open: Vec<&[LogEnd]> = alloc::vec![ends];
        while let Some(ends) = open.pop() {
            for end in ends {
                // A node that lies can have two lives close each other.
                if !asked.insert(*end) {
                    continue;
                }
                let log = LogId {
                    node: *node,
                    incarnation: end.incarnation,
                };
                // What a log closes stands in its first bundle: of an empty one nothing is known.
                let Some(earlier) = self.states.get(&log).filter(|earlier| earlier.seq > 0) else {
                    return Stamp::MIN;
                };
                if earlier.seq < end.seq && earlier.cut.is_none() {
                    reached = reached.min(earlier.stamp);
                }
                open.push(&earlier.closes);
            }
        }
        reached
    }

    /// Ends all logs of a node, those that are not named before their beginning. Gives back the logs
    /// that end earlier than known, each with the bundle from which on nothing counts.
    pub fn cut_off(
        &mut self,
        node: NodeId,
        mut ends: BTreeMap<Incarnation, u64>,
    ) -> Vec<(LogId, u64)> {
        if let Some(known) = self.ends.get(&node) {
            // What was cut once stays cut.
            ends.retain(|life, seq| {
                *seq = known.get(life).map_or(0, |end| (*end).min(*seq));
                *seq > 0
            });
        }
        let mut shorter = Vec::new();
        let own = self.states.iter_mut().filter(|(log, _)| log.node == node);
        for (log, state) in own {
            let cut = behind(&ends, log);
            if state.cut.is_none_or(|known| cut < known) {
                state.cut = Some(cut);
                shorter.push((*log, cut));
            }
        }
        self.ends.insert(node, ends);
        shorter
    }

    /// Ends logs as others of the same orchestra end. Says whether any became shorter than it is held.
    pub fn cut_off_as(&mut self, other: &Self) -> bool {
        let mut upset = false;
        for (node, ends) in &other.ends {
            let cut = self.cut_off(*node, ends.clone());
            let held = |(log, cut): &(LogId, u64)| {
                self.states.get(log).is_some_and(|state| state.seq >= *cut)
            };
            upset |= cut.iter().any(held);
        }
        upset
    }

    /// The stamp up to which nothing of a node can come any more whose logs were ended: the highest
    /// there is, once they are held up to there.
    pub fn cut_off_up_to(&self, node: &NodeId, ends: &BTreeMap<Incarnation, u64>) -> Stamp {
        let reached = ends.iter().map(|(life, end)| {
            let log = LogId {
                node: *node,
                incarnation: *life,
            };
            let Some(state) = self.states.get(&log) else {
                return Stamp::MIN;
            };
            let forked = self.proofs.get(&log);
            let forked = forked.is_some_and(|proof| state.seq + 1 >= proof.one.0.seq);
            if state.seq >= *end || forked {
                Stamp::MAX
            } else {
                state.stamp
            }
        });
        reached.min().unwrap_or(Stamp::MAX)
    }

    /// Adds a proof that a log forked. Says whether it cuts the log shorter than known.
    pub fn prove_fork(&mut self, proof: ForkProof) -> bool {
        let (log, seq) = (proof.one.0.log, proof.one.0.seq);
        if self
            .proofs
            .get(&log)
            .is_some_and(|known| known.one.0.seq <= seq)
        {
            return false;
        }
        self.proofs.insert(log, proof);
        let state = self.entry(log);
        state.cut = Some(state.cut.map_or(seq, |known| known.min(seq)));
        true
    }

    /// All proofs of forks.
    pub fn proofs(&self) -> impl Iterator<Item = &ForkProof> {
        self.proofs.values()
    }
}

/// The bundle from which on nothing counts of a log of a node that was removed.
fn behind(ends: &BTreeMap<Incarnation, u64>, log: &LogId) -> u64 {
    ends.get(&log.incarnation).copied().unwrap_or(0) + 1
}

#[cfg(test)]
mod tests {
    use unisono_model::{Incarnation, LogEnd};

    use super::*;

    fn life(started_ms: u64) -> Incarnation {
        Incarnation {
            started_ms,
            nonce: 0,
        }
    }

    fn held(logs: &mut Logs, started_ms: u64, seq: u64, stamp: u64, closes: &[(u64, u64)]) {
        let log = LogId {
            node: NodeId([1; 32]),
            incarnation: life(started_ms),
        };
        let state = logs.entry(log);
        (state.seq, state.stamp) = (seq, Stamp(stamp));
        let closes = closes.iter().map(|&(started_ms, seq)| LogEnd {
            incarnation: life(started_ms),
            seq,
        });
        state.closes = closes.collect();
    }

    /// A member whose key a liar had could begin two lives that close each other, or one that closes
    /// itself: whoever held them asked for its head for ever.
    #[test]
    fn lives_that_close_each_other_come_to_an_end() {
        let mut logs = Logs::default();
        held(&mut logs, 10, 3, 90, &[(20, 3)]);
        held(&mut logs, 20, 3, 99, &[(10, 4), (20, 3)]);
        let life = LogId {
            node: NodeId([1; 32]),
            incarnation: life(20),
        };
        assert_eq!(logs.node_head(&life, Stamp(91)), Stamp(90));
    }

    /// A node that joined late counted nothing of a founder that had been restarted before it held
    /// all of the earlier life's log: its views could not be pruned for so long.
    #[test]
    fn a_word_goes_as_far_as_all_that_it_closes_is_held() {
        let mut logs = Logs::default();
        let log = |started_ms| LogId {
            node: NodeId([1; 32]),
            incarnation: life(started_ms),
        };
        let head = |logs: &Logs| logs.node_head(&log(30), Stamp(201));
        held(&mut logs, 30, 2, 300, &[(20, 9)]);
        assert_eq!(head(&logs), Stamp::MIN, "nothing is held of the log before");
        held(&mut logs, 20, 5, 150, &[(10, 4)]);
        assert_eq!(head(&logs), Stamp::MIN, "nor of the one before that");
        held(&mut logs, 10, 3, 90, &[]);
        assert_eq!(head(&logs), Stamp(90));
        held(&mut logs, 10, 4, 99, &[]);
        assert_eq!(head(&logs), Stamp(150));
        let next = logs.node_head(&log(40), Stamp(301));
        assert_eq!(
            next,
            Stamp(150),
            "a life without a word comes above all that"
        );
        held(&mut logs, 20, 9, 199, &[(10, 4)]);
        assert_eq!(head(&logs), Stamp(300));
        // Its disk and its clock were set back: what it says next may be below what it said.
        let back = logs.node_head(&log(40), Stamp(250));
        assert_eq!(back, Stamp::MIN);
    }
}
