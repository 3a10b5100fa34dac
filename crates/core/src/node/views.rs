//! Voting for the next view of the cluster, and living by the views that hold.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use unisono_model::{Action, LogId, NodeId, Setting, Stamp, ViewVote};

use super::batch::Subject;
use super::{Node, limits};
use crate::context::Context;
use crate::orchestra::horizon::Horizon;
use crate::orchestra::members::leaves_out;

/// The view that this node would vote for.
#[derive(Debug)]
pub(super) struct Wish {
    vote: ViewVote,
    since_ms: u64,
}

impl Node {
    /// Votes for the view that this node sees, where the settings let silent members be left out.
    /// A view that grows is voted for too: only whoever is in it counts when the next one shrinks.
    pub(super) fn vote(&mut self, context: &mut Context<'_>) {
        let now_ms = context.now_ms();
        if self.clock_unsure(now_ms) || self.is_frozen() || !self.has_read_expelled() {
            return;
        }
        self.note_silence(now_ms);
        let at = self.now(context);
        let horizon = Horizon::default();
        let silent_ms = match self.reading(self.cluster, at, &horizon) {
            Some(reading) => reading.setting(Setting::RemoveSilentAfterMs),
            None => 0,
        };
        let wish = if silent_ms == 0 || !self.is_member() {
            None
        } else {
            self.readmit(context, at, silent_ms);
            self.next_view(now_ms, at, silent_ms)
        };
        let Some(vote) = wish else {
            self.wish = None;
            return;
        };
        let known = self.wish.take().filter(|wish| wish.vote == vote);
        let wish = known.unwrap_or_else(|| Wish {
            vote: vote.clone(),
            since_ms: now_ms,
        });
        let ripe = now_ms.saturating_sub(wish.since_ms) >= limits::VIEW_DELAY_MS;
        self.wish = Some(wish);
        let subject = Subject::Task(self.cluster, "view".into());
        if !ripe || self.blocked.contains_key(&subject) {
            return;
        }
        self.enrol_self(context, self.cluster);
        let mut made = Self::own_record(context, self.cluster, Action::VoteView(vote));
        made.subjects.push(subject);
        self.block(&made.subjects);
        self.queue.push_back(made);
    }

    /// The view that this node would vote for, if it may and has not: all members but those that
    /// it or anybody it still counts on has voted out, and those that are silent.
    fn next_view(&self, now_ms: u64, at: Stamp, silent_ms: u64) -> Option<ViewVote> {
        let members = &self.spaces.get(&self.cluster)?.folds.members;
        let mut staying: Vec<LogId> = Vec::new();
        for member in members.all(Stamp::MAX) {
            if member.stays() {
                staying.push(LogId {
                    node: member.admit.node,
                    incarnation: member.admit.incarnation,
                });
            }
        }
        let everybody = staying.clone();
        staying.retain(|life| !self.is_silent(life, now_ms, at, silent_ms));
        let base = members.base();
        // Whoever has voted somebody out never votes it in again, unless it was admitted anew from
        // inside that view, and whoever counts on that voter goes with it: two views of one base
        // then share a voter whose votes only shrink.
        let counted: BTreeSet<NodeId> = staying.iter().map(|life| life.node).collect();
        for (vote, cast) in members.views().votes() {
            let by_counted = cast.keys().any(|voter| counted.contains(voter));
            let own = cast.contains_key(&self.me.node);
            if own || (vote.base == base && by_counted) {
                let would = members.staying(vote, cast);
                staying.retain(|life| !leaves_out(&would, life));
            }
        }
        let nodes: BTreeSet<NodeId> = staying.iter().map(|life| life.node).collect();
        let own = members.cast_by(&self.me.node);
        let mut former = own.iter();
        let may = nodes.contains(&self.me.node)
            && nodes.len() <= unisono_model::limits::MEMBERS_MAX
            && members.base_is_carried_by(&nodes)
            && former.all(|(place, vote)| members.vote_is_carried_by(vote, *place, &nodes));
        let nobody_goes = everybody.len() == staying.len();
        if !may || (nobody_goes && nodes == members.base_nodes()) {
            return None;
        }
        let vote = ViewVote {
            base,
            removed: everybody
                .into_iter()
                .filter(|life| !staying.contains(life))
                .collect(),
            members: nodes.into_iter().collect(),
        };
        let cast = own.iter().any(|(_, cast)| **cast == vote);
        (!cast).then_some(vote)
    }

    /// Admits those who came back by their own word, or by that of somebody whom this node has voted
    /// out: should that view hold after all, they would be late under it (seed 664).
    fn readmit(&mut self, context: &Context<'_>, at: Stamp, silent_ms: u64) {
        let now_ms = context.now_ms();
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        let members = &cluster.folds.members;
        let own = members
            .views()
            .votes()
            .filter(|(_, cast)| cast.contains_key(&self.me.node));
        let own: Vec<_> = own
            .map(|(vote, cast)| (vote, members.staying(vote, cast)))
            .collect();
        let returned = members.all(Stamp::MAX).into_iter().find(|member| {
            let life = LogId {
                node: member.admit.node,
                incarnation: member.admit.incarnation,
            };
            let named = |vote: &ViewVote| vote.removed.contains(&life);
            member.stays()
                && !self.is_silent(&life, now_ms, at, silent_ms)
                && own
                    .iter()
                    .any(|(vote, would)| !named(vote) && leaves_out(would, &life))
                && !own.iter().any(|(vote, _)| named(vote))
        });
        if let Some(admit) = returned.map(|member| member.admit.clone()) {
            self.admit(context, admit);
        }
    }

    /// Whether nothing was heard of a member for so long, neither by this node nor by anybody that
    /// it hears.
    fn is_silent(&self, life: &LogId, now_ms: u64, at: Stamp, silent_ms: u64) -> bool {
        if life.node == self.me.node || self.gossip.is_here(&life.node) {
            return false;
        }
        let peer = self.peers.get(&life.node);
        let heard_ms = peer.and_then(|peer| peer.heard_ms.or(peer.silent_since_ms));
        let cluster = self.spaces.get(&self.cluster);
        let head = cluster.map_or(Stamp::MIN, |cluster| {
            let admitted = cluster.folds.members.admitted(life);
            cluster.logs.node_head(life, admitted)
        });
        heard_ms.is_some_and(|heard| now_ms.saturating_sub(heard) >= silent_ms)
            && head.plus_ms(silent_ms) <= at
    }

    /// A member that was never heard is silent from the moment that this is noticed.
    fn note_silence(&mut self, now_ms: u64) {
        for (node, _) in self.current_members() {
            let peer = self.peers.entry(node).or_default();
            if peer.heard_ms.is_none() && peer.silent_since_ms.is_none() {
                peer.silent_since_ms = Some(now_ms);
            }
        }
    }

    /// Claims are folded under the views that hold; where these have changed, what was folded under
    /// others is marked to be folded again.
    pub(super) fn stand_on_members(&mut self) {
        self.cut_expelled();
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        let footing = cluster.folds.members.footing().clone();
        let rules = self.fold_rules();
        for space in self.spaces.values_mut().filter(|space| !space.refolding) {
            space.folds.stand_on(&footing, &rules);
        }
    }

    /// Why this life must end and another begin, if it must.
    pub(super) fn life_is_over(&self) -> Option<&'static str> {
        let members = &self.spaces.get(&self.cluster)?.folds.members;
        if self.has_left() || self.is_expelled(&self.me.node) {
            // It stays as it is until its machine is switched off; another life would come back.
            return None;
        }
        if members
            .removal_of(&self.me.node, self.me.incarnation)
            .is_some()
        {
            return Some("this life was left out of a view of the cluster");
        }
        let against = members.voted_out_by(self.me);
        if against.iter().any(|voter| *voter != self.me.node) {
            return Some(
                "a member has voted for a view without this life, and cannot take it back",
            );
        }
        let forked = |space: &super::Space| {
            space
                .logs
                .get(&self.me)
                .is_some_and(|state| state.cut.is_some())
        };
        self.spaces
            .values()
            .any(forked)
            .then_some("a log of this life has forked: it is closed")
    }
}
