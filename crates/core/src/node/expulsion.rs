//! Members that a root has removed: their logs end, nobody hears them, and the driver is told to turn
//! them away. For whoever is removed itself, nothing is left to do.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use unisono_model::{
    AgentId, Code, Expulsion, LogEnd, LogId, NodeId, OrchestraEnd, OrchestraId, Rejection, Stamp,
    limits as model_limits,
};

use super::Node;
use super::output::Output;
use crate::orchestra::expulsions::Expelled;
use crate::orchestra::members::Members;
use crate::orchestra::view::EndsView;
use crate::replication::LogTag;

/// What this node does about members that were removed.
#[derive(Debug, Default)]
pub(super) struct Expulsions {
    /// By these the logs were cut.
    applied: BTreeMap<NodeId, Expelled>,
    /// Whom the driver turns away.
    told: Vec<NodeId>,
}

impl Node {
    fn members(&self) -> Option<&Members> {
        Some(&self.spaces.get(&self.cluster)?.folds.members)
    }

    /// Whether a root has removed a node.
    pub(super) fn is_expelled(&self, node: &NodeId) -> bool {
        let members = self.members();
        members.is_some_and(|members| members.expelled().contains_key(node))
    }

    /// Cuts the logs of nodes that were removed, in all orchestras: to be called whenever the
    /// cluster's own says something else. What was folded from behind a cut is folded again without.
    pub(super) fn cut_expelled(&mut self) {
        let Some(members) = self.members() else {
            return;
        };
        if *members.expelled() == self.expulsions.applied {
            return;
        }
        self.expulsions.applied = members.expelled().clone();
        let ids: Vec<OrchestraId> = self.spaces.keys().copied().collect();
        for id in ids {
            self.cut_expelled_in(id);
        }
    }

    /// Whether a cursor names a log of a removed node of which nothing counts in an orchestra. Whoever
    /// heard of it before, or still asks that node, names it, and nobody else will ever hold more of
    /// it; also where only the log itself tells of that life (seed 1919: all were refused everywhere,
    /// since they had asked a removed node, which had started again).
    pub(super) fn is_over(&self, orchestra: &OrchestraId, tag: LogTag) -> bool {
        let Some(members) = self.members() else {
            return false;
        };
        let mut removed = members.expelled().iter();
        let counts = |(node, expelled): (&NodeId, &Expelled)| {
            let ends = expelled.ends(orchestra).into_iter();
            let mut counted = ends.filter(|(_, end)| *end > 0).map(|(life, _)| LogId {
                node: *node,
                incarnation: life,
            });
            counted.any(|log| LogTag::of(&log) == tag)
        };
        let of_removed = removed.find(|(node, _)| tag.is_of(node));
        // A member that shares the node's tag by chance loses nothing.
        let of_member = |node: &NodeId| tag.is_of(node) && !members.expelled().contains_key(node);
        of_removed.is_some_and(|found| !counts(found)) && !members.nodes().any(of_member)
    }

    /// The same in one orchestra, of which nothing was known before.
    pub(super) fn cut_expelled_in(&mut self, orchestra: OrchestraId) {
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        for (node, expelled) in &self.expulsions.applied {
            for log in space.cut_off(*node, expelled.ends(&orchestra)) {
                self.recent.forget(orchestra, log);
            }
        }
    }

    /// Tells the driver whom to turn away: once in each process.
    pub(super) fn tell_expelled(&mut self, out: &mut Vec<Output>) {
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        for node in cluster.folds.members.expelled().keys() {
            if *node != self.me.node && !self.expulsions.told.contains(node) {
                self.expulsions.told.push(*node);
                out.push(Output::Exclude { node: *node });
            }
        }
    }

    /// Why nothing is taken here any more, if a root has removed this node.
    pub(super) fn refusal_of_expelled(&self) -> Option<Rejection> {
        if !self.is_expelled(&self.me.node) {
            return None;
        }
        let why = "this node was removed from the cluster by its root; nothing changed";
        let hint = "ask another node; to bring this machine back, let it join anew, as a new node \
            with a directory of its own";
        Some(Rejection::new(Code::NotMember, why).hint(hint))
    }

    /// What was to be written when the news came is refused.
    pub(super) fn drop_queue_of_expelled(&mut self, out: &mut Vec<Output>) {
        let Some(rejection) = self.refusal_of_expelled() else {
            return;
        };
        let queued: Vec<_> = self.queue.drain(..).collect();
        for made in queued {
            self.unblock(&made.subjects);
            Self::reject(made.ticket, rejection.clone(), out);
        }
        self.held_back = 0;
    }

    /// Whether all that counts of removed members' logs in the cluster's orchestra is held: until
    /// then a vote of theirs may be missing.
    pub(super) fn has_read_expelled(&self) -> bool {
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return false;
        };
        let mut expelled = cluster.folds.members.expelled().iter();
        expelled.all(|(node, one)| {
            let ends = one.ends(&self.cluster);
            cluster.logs.cut_off_up_to(node, &ends) == Stamp::MAX
        })
    }

    /// Up to which stamp nothing of a removed node can come any more in an orchestra.
    pub(super) fn expelled_head(&self, orchestra: &OrchestraId, node: &NodeId) -> Option<Stamp> {
        let expelled = self.members()?.expelled().get(node)?;
        let head = |id: &OrchestraId| {
            let space = self.spaces.get(id);
            space.map_or(Stamp::MAX, |space| {
                space.logs.cut_off_up_to(node, &expelled.ends(id))
            })
        };
        Some(head(orchestra).min(head(&self.cluster)))
    }

    /// What is held here of a node's logs, and who would stay without it: what its removal says. Of
    /// too many logs those with the most records are named; nothing would count of the others.
    pub fn ends_of(&self, node: &NodeId) -> EndsView {
        let mut ends = Vec::new();
        for (id, space) in &self.spaces {
            for (log, state) in space.logs.iter().filter(|(log, _)| log.node == *node) {
                let seq = state.cut.map_or(state.seq, |cut| state.seq.min(cut - 1));
                let end = OrchestraEnd {
                    orchestra: *id,
                    end: LogEnd {
                        incarnation: log.incarnation,
                        seq,
                    },
                };
                if seq > 0 {
                    ends.push((state.records, end));
                }
            }
        }
        ends.sort_by_key(|(records, end)| (core::cmp::Reverse(*records), *end));
        let left_out = ends.split_off(ends.len().min(model_limits::EXPULSION_ENDS_MAX));
        let mut ends: Vec<OrchestraEnd> = ends.into_iter().map(|(_, end)| end).collect();
        ends.sort_unstable();
        let members = self.members().map(|members| members.all(Stamp::MAX));
        let members = members.into_iter().flatten();
        let others = members.filter(|one| one.stays() && one.admit.node != *node);
        let mut staying: Vec<LogId> = others
            .map(|one| LogId {
                node: one.admit.node,
                incarnation: one.admit.incarnation,
            })
            .collect();
        staying.sort_unstable();
        staying.truncate(model_limits::MEMBERS_MAX);
        EndsView {
            ends,
            staying,
            left_out: left_out.len(),
        }
    }

    /// What must be so before a root's word that a node is removed becomes a record.
    pub(super) fn may_expel(
        &self,
        orchestra: OrchestraId,
        agent: AgentId,
        expulsion: &Expulsion,
    ) -> Result<(), Rejection> {
        let refused = |code, why: &str, hint: &str| {
            Err(Rejection::new(code, format!("{why}; nothing changed")).hint(hint))
        };
        if !self.is_root(agent) {
            let why = "only a root of the cluster removes a node";
            let hint = "sign with the key of the root that stands: `unisono root show` says which";
            return refused(Code::NotAllowed, why, hint);
        }
        if orchestra != self.cluster {
            let why = "nodes are removed in the cluster's own orchestra";
            return refused(Code::Malformed, why, "send it to the orchestra `cluster`");
        }
        if expulsion.node == self.me.node {
            let why = "a node does not carry its own removal";
            let hint = "ask another node, or let this one leave: `unisono leave`";
            return refused(Code::Malformed, why, hint);
        }
        let known = self.knows(&expulsion.node);
        if !known {
            let why = "no node of this name was ever a member";
            return refused(Code::NotMember, why, "`unisono members` lists them");
        }
        Ok(())
    }
}
