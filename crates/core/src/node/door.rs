//! Who is heard: a certificate lets a node speak, and membership decides about what.
//!
//! Whoever is no member here can come, and nothing else: it may knock, and it may exchange with this
//! node what the cluster's own orchestra says, because that is how it finds out that it was left
//! out, and how this node finds out that somebody else has admitted it. Nothing of the work is told
//! to it or taken from it. A node that is no member itself has nobody to ask who is, and hears
//! everybody.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::wire::Blob;
use unisono_model::{Digest, NodeId, OrchestraId, SignedBundle, Stamp};

use super::{Node, limits};
use crate::carriage::Carried;
use crate::replication::Frame;

impl Node {
    /// Whether a log of a node may enter: somebody has admitted the node, in whatever life, and may
    /// have removed it since. What comes before that is known comes again by repair.
    pub(super) fn knows(&self, node: &NodeId) -> bool {
        let founder = self.config.founder.unwrap_or(self.me.node);
        let cluster = self.spaces.get(&self.cluster);
        *node == self.me.node
            || *node == founder
            || self.config.sabotage.ghosts_admitted
            || cluster.is_some_and(|cluster| cluster.folds.members.was_admitted(node))
    }

    /// Whether a node is none of the members, as far as this member knows.
    pub(super) fn is_outsider(&self, node: &NodeId) -> bool {
        let cluster = self.spaces.get(&self.cluster);
        let stays = cluster.is_some_and(|cluster| cluster.folds.members.stays(node));
        !stays && self.is_member() && !self.config.sabotage.ghosts_admitted
    }

    /// What is left of an outsider's frame: what is about joining.
    pub(super) fn about_joining(&self, mut frame: Frame) -> Option<Frame> {
        let of_cluster = |orchestra: &OrchestraId| *orchestra == self.cluster;
        let ours = |bundle: &Blob| {
            let header = SignedBundle::peek(&bundle.0);
            header.is_some_and(|header| of_cluster(&header.orchestra))
        };
        let keep = match &mut frame {
            Frame::Join(_) => true,
            Frame::Summary { orchestras, .. } => {
                orchestras.retain(|(id, _)| of_cluster(id));
                true
            }
            Frame::Vector { orchestra, .. }
            | Frame::Want { orchestra, .. }
            | Frame::Keep { orchestra, .. } => of_cluster(orchestra),
            Frame::Header(theirs) => of_cluster(&theirs.0.orchestra),
            Frame::Push { relay, bundles } => {
                *relay = false;
                bundles.retain(ours);
                !bundles.is_empty()
            }
            Frame::Range { bundles, .. } => {
                bundles.retain(ours);
                !bundles.is_empty()
            }
            Frame::Have { .. } | Frame::Kept { .. } | Frame::Swim(_) | Frame::Relay { .. } => false,
        };
        keep.then_some(frame)
    }

    /// Whether a bundle may make room for its orchestra: it begins a log, so that it goes to disk
    /// with the next batch; and it opens the orchestra, or few wait for whoever does.
    pub(super) fn may_begin(&self, carried: &Carried) -> bool {
        let header = carried.header();
        if self.spaces.contains_key(&header.orchestra) {
            return true;
        }
        let nameless = self
            .spaces
            .values()
            .filter(|space| space.id != self.cluster && space.folds.name.is_empty());
        header.seq == 1
            && header.prev == Digest::default()
            && carried.lowest() > Stamp::MIN
            && (carried.opens_its_orchestra() || nameless.count() < limits::NAMELESS_ORCHESTRAS_MAX)
    }

    /// How many bundles wait, in all orchestras together, and what they weigh.
    pub(super) fn waiting_bundles(&self) -> (usize, usize) {
        let waiting = self.spaces.values().map(|space| &space.incoming);
        waiting.fold((0, 0), |(count, bytes), incoming| {
            (count + incoming.len(), bytes + incoming.bytes())
        })
    }
}

/// Where lists that are longer than a frame go on.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// The first orchestra of the next summary.
    pub(super) orchestras: usize,
    /// The first log, and the first proof, of the next vector of an orchestra.
    pub(super) vectors: BTreeMap<OrchestraId, (usize, usize)>,
}

/// `most` of a list from `next` on, or its end where that is shorter; and where the next goes on.
/// One that is full is known to whoever gets it for a part: what it says nothing of lies before its
/// first or behind its last.
pub(super) fn window<T>(mut list: Vec<T>, next: usize, most: usize) -> (Vec<T>, usize) {
    if list.len() <= most {
        return (list, 0);
    }
    let next = if next >= list.len() { 0 } else { next };
    let first = next.min(list.len() - most);
    let end = first + most;
    let whole = list.len();
    list.truncate(end);
    (list.split_off(first), end % whole)
}
