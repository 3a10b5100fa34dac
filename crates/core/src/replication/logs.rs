//! All logs of one orchestra: the vector, its digest, and what is missing where.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Digest, ForkProof, Incarnation, LogId, NodeId, Stamp};

use super::cursor::{Cursor, LogTag};
use super::log::LogState;

/// The logs of an orchestra, as far as they are on disk and applied.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Logs {
    logs: BTreeMap<LogId, LogState>,
    proofs: BTreeMap<LogId, ForkProof>,
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
        self.logs.get(log)
    }

    /// The state of a log, to be advanced.
    pub fn entry(&mut self, log: LogId) -> &mut LogState {
        let proofs = &self.proofs;
        self.logs.entry(log).or_insert_with(|| {
            let cut = proofs.get(&log).map(|proof| proof.one.0.seq);
            LogState {
                cut,
                tag: LogTag::of(&log),
                ..LogState::default()
            }
        })
    }

    /// All logs.
    pub fn iter(&self) -> impl Iterator<Item = (&LogId, &LogState)> {
        self.logs.iter()
    }

    /// Puts back the state of a log, after a write that failed.
    pub fn restore(&mut self, log: LogId, state: Option<LogState>) {
        match state {
            Some(state) => drop(self.logs.insert(log, state)),
            None => drop(self.logs.remove(&log)),
        }
    }

    /// The vector.
    pub fn heads(&self) -> Vec<LogHead> {
        let held = self.logs.iter().filter(|(_, state)| state.seq > 0);
        held.map(|(log, state)| LogHead {
            log: *log,
            seq: state.seq,
            head: state.head,
        })
        .collect()
    }

    /// One hash of the vector and of the fork proofs: equal on nodes that hold the same.
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.logs.len() * 96);
        for state in self.logs.values() {
            if state.seq > 0 {
                bytes.extend_from_slice(&state.tag.0.to_le_bytes());
                bytes.extend_from_slice(&state.seq.to_le_bytes());
                bytes.extend_from_slice(&state.head.0);
            }
        }
        for (log, proof) in &self.proofs {
            bytes.extend_from_slice(&log.node.0);
            bytes.extend_from_slice(&proof.one.0.seq.to_le_bytes());
        }
        Digest::of("unisono/vector/v1", &[&bytes])
    }

    /// The vector as agents carry it. A log that is known to have forked, and is held up to there,
    /// has been seen to its end: whoever saw more of it saw what does not count.
    pub fn cursor(&self) -> Cursor {
        let ended = |state: &LogState| state.cut.is_some_and(|cut| state.seq + 1 >= cut);
        let seen = self.logs.values().filter_map(|state| {
            let seq = if ended(state) { Cursor::END } else { state.seq };
            (seq > 0).then_some((state.tag, seq))
        });
        Cursor(seen.collect())
    }

    /// The stamp up to which nothing of a node can come any more: the head of its latest life's
    /// log, if all that this log closes is held too.
    pub fn node_head(&self, node: &NodeId, life: Incarnation) -> Stamp {
        let from = LogId {
            node: *node,
            incarnation: life,
        };
        let Some(state) = self.logs.get(&from) else {
            return Stamp::MIN;
        };
        let mut open: Vec<&LogState> = alloc::vec![state];
        while let Some(state) = open.pop() {
            for end in &state.closes {
                let log = LogId {
                    node: *node,
                    incarnation: end.incarnation,
                };
                match self.logs.get(&log) {
                    Some(earlier) if earlier.seq >= end.seq || earlier.cut.is_some() => {
                        open.push(earlier);
                    }
                    _ => return Stamp::MIN,
                }
            }
        }
        state.stamp
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
        state.cut = Some(seq);
        true
    }

    /// All proofs of forks.
    pub fn proofs(&self) -> impl Iterator<Item = &ForkProof> {
        self.proofs.values()
    }
}
