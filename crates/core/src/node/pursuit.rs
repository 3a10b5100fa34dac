//! A long stretch of logs from one peer: each part is asked for as soon as the one before has come,
//! without comparing vectors in between.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::wire::Blob;
use unisono_model::{LogId, NodeId, OrchestraId, SignedBundle};

use super::output::{Class, Output};
use super::{Node, limits};
use crate::context::Context;
use crate::replication::Frame;

/// What a peer said that it holds, and how much of that has come.
#[derive(Clone, Debug)]
pub(super) struct Pursuit {
    orchestra: OrchestraId,
    /// For each log, the next bundle and the last.
    logs: BTreeMap<LogId, (u64, u64)>,
    /// Something came since it was asked for last.
    moved: bool,
    /// Asked for as soon as what has come is on disk.
    paused: bool,
}

impl Pursuit {
    pub(super) fn new(orchestra: OrchestraId, logs: &[(LogId, u64, u64)]) -> Self {
        let logs = logs.iter();
        Self {
            orchestra,
            logs: logs
                .map(|(log, from, last)| (*log, (*from, *last)))
                .collect(),
            moved: false,
            paused: false,
        }
    }

    fn wanted(&self) -> Vec<(LogId, u64)> {
        let open = self.logs.iter().filter(|(_, (next, last))| next <= last);
        open.map(|(log, (next, _))| (*log, *next)).collect()
    }
}

impl Node {
    /// Bundles of a peer have come and been looked at: notes how far they go. Says whether they may
    /// be what was asked for.
    pub(super) fn note_stretch(&mut self, from: NodeId, bundles: &[Blob]) -> bool {
        let peer = self.peers.get_mut(&from);
        let Some(pursuit) = peer.and_then(|peer| peer.pursuit.as_mut()) else {
            return false;
        };
        let Some(space) = self.spaces.get(&pursuit.orchestra) else {
            return false;
        };
        let mut asked_for = bundles.is_empty();
        for header in bundles.iter().filter_map(|b| SignedBundle::peek(&b.0)) {
            if header.orchestra != pursuit.orchestra {
                continue;
            }
            asked_for = true;
            let Some((next, _)) = pursuit.logs.get_mut(&header.log) else {
                continue;
            };
            let known = space
                .logs
                .get(&header.log)
                .is_some_and(|s| s.seq >= header.seq)
                || space.incoming.get(&header.log, header.seq).is_some();
            if header.seq == *next && known {
                *next += 1;
                pursuit.moved = true;
            }
        }
        asked_for
    }

    /// Asks a peer for the next stretch, if it has one. False where there is nothing more to ask
    /// for, or where asking on brings nothing: then vectors are compared again.
    pub(super) fn pursue(
        &mut self,
        context: &Context<'_>,
        from: NodeId,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&from) else {
            return false;
        };
        let Some(mut pursuit) = peer.pursuit.take() else {
            return false;
        };
        let logs = pursuit.wanted();
        if logs.is_empty() || !pursuit.moved {
            return false;
        }
        let orchestra = pursuit.orchestra;
        // Only what continues a log leaves memory with the next batch: waiting for what stands
        // behind the very gap that is pursued would be waiting for ever.
        pursuit.paused = self.spaces.get(&orchestra).is_some_and(|space| {
            space.incoming.bytes() >= limits::PURSUIT_BYTES_MAX && Self::has_next(space)
        });
        pursuit.moved = pursuit.paused;
        let paused = pursuit.paused;
        peer.pursuit = Some(pursuit);
        if !paused {
            peer.wanted_until_ms = context.now_ms() + limits::WANT_TIMEOUT_MS;
            self.counters.repairs_asked += 1;
            self.send(from, Class::Repair, &Frame::Want { orchestra, logs }, out);
        }
        true
    }

    /// A batch is on disk: whoever was not asked because too much waited is asked now.
    pub(super) fn resume_pursuits(&mut self, context: &Context<'_>, out: &mut Vec<Output>) {
        let paused = self.peers.iter().filter(|(_, peer)| {
            let pursuit = peer.pursuit.as_ref();
            pursuit.is_some_and(|pursuit| pursuit.paused)
        });
        let paused: Vec<NodeId> = paused.map(|(node, _)| *node).collect();
        for node in paused {
            self.pursue(context, node, out);
        }
    }
}
