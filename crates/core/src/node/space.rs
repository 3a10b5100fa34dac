//! All that a node holds of one orchestra.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    Action, AgentId, ChainHead, Digest, LogEnd, LogId, NodeId, OrchestraId, Stamp, wire,
};

use super::documents::Documents;
use super::incoming::Incoming;
use super::limits;
use super::living::{Living, Saved};
use super::mend::Hole;
use super::unripe::Unripe;
use crate::carriage::Carried;
use crate::orchestra::expulsions::Ends;
use crate::orchestra::fact::Fact;
use crate::orchestra::leaves::LastWords;
use crate::orchestra::members::Members;
use crate::orchestra::{FoldRules, Folds};
use crate::replication::{Cursor, LogTag, Logs, Placed, SignedHeader};

/// One orchestra on one node.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) id: OrchestraId,
    pub(super) logs: Logs,
    pub(super) folds: Folds,
    pub(super) documents: Documents,
    pub(super) living: Living,
    /// Digests of records that never counted: their signature or chain was broken when they came.
    pub(super) inert: BTreeSet<Digest>,
    /// Bundles that wait for an earlier one or for the next batch.
    pub(super) incoming: Incoming,
    /// Since when a gap stands (ms), if one does.
    pub(super) gap_since_ms: Option<u64>,
    /// The highest stamp of a record of another node.
    pub(super) foreign: Stamp,
    /// A peer lacks bundles here: it cannot tell how far this life has come before it has a log.
    pub(super) word_wanted: bool,
    /// When this node must write a head (ms), if it must.
    pub(super) head_due_ms: Option<u64>,
    /// The stamp that it has to stand above, and how often it was put off since its time did not come.
    pub(super) head_put_off: (Stamp, u32),
    /// Views are being folded again: nothing enters and nothing is read meanwhile.
    pub(super) refolding: bool,
    /// Records since the last checkpoint.
    pub(super) unsaved: u64,
    /// Bundles that were once on disk and can no longer be read.
    pub(super) holes: BTreeMap<LogId, Hole>,
    /// Of these, those that have come back and wait for the next batch.
    pub(super) mended: Vec<Carried>,
    /// Where the disk holds more of a log behind a hole at its head: up to where the log was read at
    /// the start, and how far the disk goes.
    pub(super) unread: BTreeMap<LogId, (u64, u64)>,
    /// Recent headers by log, to find forks.
    pub(super) headers: BTreeMap<LogId, BTreeMap<u64, SignedHeader>>,
    /// Bundles whose time has not come.
    pub(super) unripe: Unripe,
    /// The digest of the vector, until it changes.
    vector: Option<Digest>,
    /// The last time that notes were built again in vain.
    rebuilt: Option<Rebuilt>,
}

/// When notes and configuration were built again because they lacked something, and lacked it still.
#[derive(Clone, Copy, Debug)]
struct Rebuilt {
    /// When (ms).
    at_ms: u64,
    /// How long after that the next time (ms).
    pause_ms: u64,
    /// What was held then: from the same logs comes the same.
    vector: Digest,
}

/// What is kept of a space across restarts, beside the journal.
#[derive(Serialize, Deserialize)]
pub(super) struct Checkpoint {
    version: u8,
    pub(super) logs: Logs,
    pub(super) folds: Folds,
    pub(super) inert: BTreeSet<Digest>,
    pub(super) foreign: Stamp,
    pub(super) documents: Vec<super::documents::Saved>,
    living: Saved,
}

const CHECKPOINT_VERSION: u8 = 24;

impl Space {
    /// Whether views and documents are what the logs say: nothing waits to be folded or built again.
    pub(super) fn is_settled(&self) -> bool {
        self.documents.settled() && !self.folds.in_doubt()
    }

    /// Whether the views are being folded again, or have to be. What they say meanwhile is not what
    /// the logs say, however far those have come, and nobody is answered from them. A walk may end in
    /// the need for another (seed 819: a task was unknown between the two to whoever had made it).
    pub(super) fn in_doubt(&self) -> bool {
        self.refolding || self.folds.in_doubt()
    }

    pub(super) fn new(id: OrchestraId) -> Self {
        Self {
            id,
            logs: Logs::default(),
            folds: Folds::new(id),
            documents: Documents::new(id),
            living: Living::new(id),
            inert: BTreeSet::new(),
            incoming: Incoming::default(),
            gap_since_ms: None,
            foreign: Stamp::MIN,
            word_wanted: false,
            head_due_ms: None,
            head_put_off: (Stamp::MIN, 0),
            refolding: false,
            unsaved: 0,
            holes: BTreeMap::new(),
            mended: Vec::new(),
            unread: BTreeMap::new(),
            headers: BTreeMap::new(),
            unripe: Unripe::default(),
            vector: None,
            rebuilt: None,
        }
    }

    /// Whether notes lack what had no room to wait, and building them again may bring it in: something
    /// has come since the last try, and nothing is missing any more that it could have waited for.
    /// Whatever else it waits for may never come, or not be meant to: then each try is later.
    pub(super) fn wants_rebuilding(&mut self, now_ms: u64) -> bool {
        if !self.living.lacks() {
            return false;
        }
        let Some(last) = self.rebuilt else {
            return self.incoming.is_empty();
        };
        let since_ms = now_ms.saturating_sub(last.at_ms);
        let hopeful = self.living.released() && since_ms >= limits::REBUILD_PAUSE_MS;
        let patient = self.incoming.is_empty() || since_ms >= 2 * last.pause_ms;
        (hopeful || since_ms >= last.pause_ms) && patient && self.vector_digest() != last.vector
    }

    /// Notes were built again, and still lack something or do not.
    pub(super) fn note_rebuilt(&mut self, lacks: bool, now_ms: u64) {
        let next_ms = self.rebuilt.map_or(limits::REBUILD_PAUSE_MS, |last| {
            let twice_ms = last.pause_ms.saturating_mul(2);
            twice_ms.min(limits::REBUILD_PAUSE_MS_MAX)
        });
        self.rebuilt = lacks.then(|| Rebuilt {
            at_ms: now_ms,
            pause_ms: next_ms,
            vector: self.vector_digest(),
        });
    }

    /// The digest of the vector.
    pub(super) fn vector_digest(&mut self) -> Digest {
        *self.vector.get_or_insert_with(|| self.logs.digest())
    }

    /// To be said whenever the logs have changed.
    pub(super) fn vector_changed(&mut self) {
        self.vector = None;
    }

    /// The checkpoint's bytes.
    pub(super) fn checkpoint(&mut self) -> Vec<u8> {
        self.unsaved = 0;
        wire::encode(&Checkpoint {
            version: CHECKPOINT_VERSION,
            logs: self.logs.clone(),
            folds: self.folds.to_save(),
            inert: self.inert.clone(),
            foreign: self.foreign,
            documents: self.documents.saved(),
            living: self.living.saved(),
        })
    }

    /// Takes a checkpoint back, if it is one.
    pub(super) fn restore(
        &mut self,
        bytes: &[u8],
        living: Option<Vec<u8>>,
        rules: &FoldRules,
    ) -> bool {
        let Ok(checkpoint) = wire::decode::<Checkpoint>(bytes, usize::MAX) else {
            return false;
        };
        if checkpoint.version != CHECKPOINT_VERSION {
            return false;
        }
        self.logs = checkpoint.logs;
        self.folds = checkpoint.folds;
        let stamps = self.logs.iter().map(|(_, state)| state.stamp);
        let highest = stamps.max().unwrap_or(Stamp::MIN);
        self.folds.restored(rules, highest);
        self.inert = checkpoint.inert;
        self.foreign = checkpoint.foreign;
        self.documents.restore(checkpoint.documents);
        self.vector = None;
        let said = &checkpoint.living;
        let fresh = self.living.stands_at(said);
        if fresh {
            self.living.await_again(said);
        }
        let saved = !fresh && living.is_some_and(|bytes| self.living.restore(&bytes, said));
        if !fresh && !saved {
            self.folds.upset();
        }
        true
    }

    /// The blob that holds the checkpoint.
    pub(super) fn checkpoint_name(id: OrchestraId) -> String {
        alloc::format!("checkpoint-{id}")
    }

    /// The stamp up to which nothing of a member can come here any more.
    pub(super) fn heard_of(&self, life: &LogId, members: &Members) -> Stamp {
        let ended = |words: &LastWords| self.logs.closed_up_to(&life.node, words.ends(&self.id));
        if let Some(words) = members.last_words(&life.node, life.incarnation) {
            return ended(words);
        }
        let admitted = members.admitted(life);
        let head = self.logs.node_head(life, admitted);
        match members.left_before(life) {
            // It has come back, and writes nothing below its admission: what was settled without it
            // stays so.
            Some(words) if ended(words) == Stamp::MAX => head.max(admitted.before()),
            _ => head,
        }
    }

    /// This node's earlier logs that its new log must close.
    pub(super) fn open_ends(&self, log: &LogId) -> Vec<LogEnd> {
        let own = || {
            self.logs
                .iter()
                .filter(|(id, state)| id.node == log.node && state.seq > 0)
        };
        let closed: BTreeSet<LogEnd> = own()
            .flat_map(|(_, state)| state.closes.iter().copied())
            .collect();
        let ends = own()
            .filter(|(id, _)| id.incarnation != log.incarnation)
            .map(|(id, state)| LogEnd {
                incarnation: id.incarnation,
                seq: state.seq,
            });
        let mut ends: Vec<LogEnd> = ends
            .filter(|end| {
                // A life that could not read all of it closed less.
                let covers =
                    |one: &LogEnd| one.incarnation == end.incarnation && one.seq >= end.seq;
                !closed.iter().any(covers)
            })
            .collect();
        ends.sort_unstable();
        // The newest matter most: what is beyond the limit is closed by one of these.
        let surplus = ends
            .len()
            .saturating_sub(unisono_model::limits::BUNDLE_CLOSES_MAX);
        ends.split_off(surplus)
    }

    /// The heads of an agent's chains on other logs.
    pub(super) fn chain_heads(&self, agent: AgentId, except: &LogId) -> Vec<ChainHead> {
        let others = self.logs.iter().filter(|(log, _)| *log != except);
        let mut heads: Vec<ChainHead> = others
            .filter_map(|(log, state)| state.chain_head(*log, agent))
            .collect();
        heads.sort_unstable();
        heads.truncate(unisono_model::limits::PREDECESSORS_MAX);
        heads
    }

    /// Ends the logs of a node that was removed. Gives back those that end earlier than known.
    pub(super) fn cut_off(&mut self, node: NodeId, ends: Ends) -> Vec<LogId> {
        let shorter = self.logs.cut_off(node, ends);
        for (log, cut) in &shorter {
            self.incoming.cut(log, *cut);
            if let Some(headers) = self.headers.get_mut(log) {
                headers.retain(|seq, _| seq < cut);
            }
            if self.logs.get(log).is_some_and(|state| state.seq >= *cut) {
                self.folds.upset();
            }
            self.vector_changed();
        }
        shorter.into_iter().map(|(log, _)| log).collect()
    }

    /// Remembers a header for the search for forks.
    pub(super) fn note_header(&mut self, carried: &Carried) {
        let header = *carried.header();
        let known = self.headers.entry(header.log).or_default();
        known.insert(header.seq, (header, carried.bundle().signature));
        while known.len() > limits::HEADERS_KEPT_MAX {
            known.pop_first();
        }
    }

    /// From which stamp on there is what a cursor has not seen, where the recent headers tell: what
    /// is below it was seen. The end of time where everything was.
    pub(super) fn unseen_from(&self, cursor: &Cursor) -> Option<Stamp> {
        let mut from = Stamp::MAX;
        for (log, state) in self.logs.iter() {
            let seen = cursor.0.get(&LogTag::of(log)).copied().unwrap_or(0);
            if state.seq <= seen {
                continue;
            }
            if seen == 0 {
                // Not when its life began: the clock may have gone back since.
                from = from.min(state.first);
                continue;
            }
            // What follows a bundle that was seen is stamped above it.
            let (header, _) = self.headers.get(log)?.get(&seen)?;
            from = from.min(header.stamp.next());
        }
        Some(from)
    }

    /// Whether this node, or anybody, still waits for heads above what was written here.
    pub(super) fn needs_head(&self, own: &LogId) -> bool {
        let written = self.logs.get(own).map_or(Stamp::MIN, |state| state.stamp);
        self.foreign > written || (self.word_wanted && written == Stamp::MIN)
    }
}

/// A record as the folds take it, if it counts.
pub(super) fn fact(log: LogId, bundle: u64, placed: &Placed) -> Option<Fact> {
    let body = placed.body.clone().filter(|_| placed.good)?;
    let (place, agent, seq) = (placed.place, placed.agent, placed.seq);
    Some(Fact {
        place,
        agent,
        log,
        bundle,
        seq,
        body,
    })
}

/// Whether an action makes the other members write a head at once.
pub(super) fn urgent(action: &Action) -> bool {
    matches!(
        action,
        Action::Claim { .. } | Action::Renew { .. } | Action::Arrive(_)
    )
}

/// The agent that a node is when it acts for itself.
pub(super) fn as_agent(node: NodeId) -> AgentId {
    AgentId(node.0)
}
