//! Bearing witness: each minute a node says in the cluster's own orchestra how far the logs of some
//! others have come, so that nobody can leave out the end of one log unseen.
//!
//! What is said are the others' own signed headers. Two members do it for each log, and only where
//! something was said in it: heads, and these records themselves, call for none, so that a cluster in
//! which nothing happens stays quiet.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{Action, Digest, LogId, NodeId, OrchestraId, Witness, limits as model_limits};

use super::batch::{Staged, Subject};
use super::{Node, limits};
use crate::context::Context;
use crate::replication::SignedHeader;

/// What there is to be said.
#[derive(Debug, Default)]
pub(super) struct Witnessing {
    next_ms: u64,
    /// Logs of others that have moved since the last look.
    moved: BTreeSet<(OrchestraId, LogId)>,
    /// Where those stood at the last look that had moved then.
    held: BTreeMap<(OrchestraId, LogId), SignedHeader>,
}

impl Node {
    /// A bundle has been applied: where another node says something in it, its log has moved.
    pub(super) fn note_moved(&mut self, staged: &Staged) {
        let log = staged.carried.header().log;
        let says = |action: &Action| !matches!(action, Action::Witness(_));
        let mut bodies = staged.placed.iter().filter_map(|one| one.body.as_ref());
        let moved = &mut self.witnessing.moved;
        if log.node != self.me.node
            && moved.len() < limits::WITNESS_LOGS_MAX
            && bodies.any(|body| says(&body.action))
        {
            moved.insert((staged.orchestra, log));
        }
    }

    /// Says where logs stood a while ago, and looks where others stand now.
    pub(super) fn bear_witness(&mut self, context: &Context<'_>) {
        let now_ms = context.now_ms();
        if now_ms < self.witnessing.next_ms {
            return;
        }
        self.witnessing.next_ms = now_ms + limits::WITNESS_EVERY_MS;
        let subject = Subject::Task(self.cluster, String::from("witness"));
        if !self.is_member() || self.leaving.is_some() || self.blocked.contains_key(&subject) {
            return;
        }
        let mut held = core::mem::take(&mut self.witnessing.held);
        held.retain(|(orchestra, log), (header, _)| {
            let space = self.spaces.get(orchestra);
            let state = space.and_then(|space| space.logs.get(log));
            state.is_some_and(|state| state.cut.is_none_or(|cut| header.seq < cut))
        });
        let mut heads: Vec<SignedHeader> = Vec::new();
        while heads.len() < model_limits::WITNESSED_HEADS_MAX
            && let Some((_, head)) = held.pop_first()
        {
            heads.push(head);
        }
        if self.config.sabotage.heads_witnessed_unheld {
            for (header, _) in &mut heads {
                header.seq += 1;
            }
        }
        self.look_at_heads();
        // What finds no room is said with the next ones, unless it has moved on.
        for (log, head) in held {
            self.witnessing.held.entry(log).or_insert(head);
        }
        if !heads.is_empty() {
            self.enrol_self(context, self.cluster);
            let action = Action::Witness(Witness { heads });
            let mut made = Self::own_record(context, self.cluster, action);
            made.subjects.push(subject);
            self.block(&made.subjects);
            self.queue.push_back(made);
        }
    }

    fn look_at_heads(&mut self) {
        let nodes = self.current_members().into_iter().map(|(node, _)| node);
        let members: BTreeSet<NodeId> = nodes.collect();
        let mut mine: BTreeMap<NodeId, bool> = BTreeMap::new();
        for (orchestra, log) in core::mem::take(&mut self.witnessing.moved) {
            // What nobody has opened others need not hold; and who was removed ends elsewhere.
            let space = self.spaces.get(&orchestra);
            let opened = |name: &str| orchestra == self.cluster || !name.is_empty();
            let Some(space) = space.filter(|space| opened(&space.folds.name)) else {
                continue;
            };
            let me = self.me.node;
            let is_mine = mine
                .entry(log.node)
                .or_insert_with(|| members.contains(&log.node) && bears(&members, &log.node, &me));
            let head = space
                .headers
                .get(&log)
                .and_then(|known| known.last_key_value());
            if let Some((_, head)) = head.filter(|_| *is_mine) {
                self.witnessing.held.insert((orchestra, log), *head);
            }
        }
    }
}

/// Whether one of the members bears witness of another one's logs: of all others, those do whose names
/// fall lowest together with it.
fn bears(members: &BTreeSet<NodeId>, writer: &NodeId, one: &NodeId) -> bool {
    let rank = |node: &NodeId| Digest::of("unisono/witness/v1", &[&writer.0, &node.0]);
    let own = rank(one);
    let others = members.iter().filter(|node| *node != writer);
    others.filter(|node| rank(node) < own).count() < limits::WITNESSES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_bear_witness_of_each_as_there_should_be_and_nobody_of_itself() {
        for count in 1..=9_u8 {
            let members: BTreeSet<NodeId> = (1..=count).map(|id| NodeId([id; 32])).collect();
            for writer in &members {
                let others = members.iter().filter(|one| *one != writer);
                let bearing = others.filter(|one| bears(&members, writer, one)).count();
                assert_eq!(bearing, limits::WITNESSES.min(usize::from(count) - 1));
            }
        }
    }
}
