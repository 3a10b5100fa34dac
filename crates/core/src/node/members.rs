//! Coming, staying and going: admission, this node's own announcements, votes, and how it is.

use alloc::vec::Vec;

use unisono_model::{Action, Admit, LogId, NodeId, Stamp};

use super::batch::Subject;
use super::output::{Class, Output};
use super::space::as_agent;
use super::{Node, limits};
use crate::context::Context;
use crate::orchestra::members::Member;
use crate::orchestra::view::{MemberView, StatusView};
use crate::replication::Frame;

impl Node {
    /// What this node tells of itself.
    fn own_admit(&self) -> Admit {
        Admit {
            node: self.me.node,
            incarnation: self.me.incarnation,
            region: self.config.region.clone(),
            name: self.config.name.clone(),
            address: self.config.address.clone(),
        }
    }

    /// Whether this life is a member already.
    pub(super) fn is_member(&self) -> bool {
        self.spaces.get(&self.cluster).is_some_and(|cluster| {
            cluster
                .folds
                .members
                .is_member(&self.me.node, self.me.incarnation)
        })
    }

    /// Whether this node belongs to the cluster, in this life or an earlier one that nobody removed.
    pub(super) fn is_admitted(&self) -> bool {
        self.spaces.get(&self.cluster).is_some_and(|cluster| {
            let members = cluster.folds.members.all(Stamp::MAX);
            let mut own = members
                .iter()
                .filter(|member| member.admit.node == self.me.node);
            own.any(Member::stays)
        })
    }

    /// By how much this node's clock is behind its own admission (ms), if it is. Others take its word
    /// as given up to there, so that nothing may be stamped below (seed 1607: the clock of whoever
    /// admitted it was an hour ahead).
    pub(super) fn admitted_ahead_ms(&self, context: &Context<'_>) -> Option<u64> {
        let cluster = self.spaces.get(&self.cluster)?;
        let since = cluster.folds.members.belongs_since(&self.me.node)?;
        let now = self.now(context);
        (now <= since).then(|| since.as_ms().saturating_sub(now.as_ms()).max(1))
    }

    /// By how much this node has stamped ahead of its clock (ms), if that is too much: its clock was
    /// ahead for a while, and stamps never go back.
    pub(super) fn stamped_ahead_ms(&self, context: &Context<'_>) -> Option<u64> {
        let stamped_ms = self.now(context).as_ms();
        let ahead_ms = stamped_ms.saturating_sub(self.time_ns(context) / 1_000_000);
        (ahead_ms > limits::STAMPS_AHEAD_MS_MAX).then_some(ahead_ms)
    }

    /// The same where there are others. What it wrote now would be acknowledged, and shown nowhere
    /// else until the others' clocks have come so far (a step of an hour for ten seconds hid a
    /// node's writes for an hour); whoever is alone hides nothing from anybody.
    pub(super) fn stamps_ahead_ms(&self, context: &Context<'_>) -> Option<u64> {
        self.stamped_ahead_ms(context)
            .filter(|_| self.peers_matter())
    }

    /// Whether this node knocks nowhere any more: it has left, was removed, or had to leave and has, of
    /// which a member may not have heard that would let it in (seed 43).
    pub(super) fn stays_away(&self) -> bool {
        let cluster = self.spaces.get(&self.cluster);
        let shut_out =
            cluster.is_some_and(|cluster| cluster.folds.members.is_shut_out(&self.me.node));
        shut_out || self.has_left() || self.is_expelled(&self.me.node)
    }

    /// Sees to it that this life becomes a member: a founder, and a member that starts again, say
    /// so themselves; anybody else knocks, again and again, because a knock can be lost.
    pub(super) fn join(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        if self.stays_away() || self.is_member() || now_ms < self.next_join_ms {
            return;
        }
        let first = self.next_join_ms == 0;
        let jitter = u64::from(context.rng.next_u32()) % (limits::JOIN_RETRY_MS / 2);
        self.next_join_ms = now_ms + limits::JOIN_RETRY_MS + jitter;
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        let members = &cluster.folds.members;
        let founder = members.is_empty() && self.config.seeds.is_empty();
        if founder || self.is_admitted() {
            self.admit(context, self.own_admit());
            return;
        }
        if !first && self.config.sabotage.join_not_retried {
            return;
        }
        let admit = self.own_admit();
        let seeds: Vec<NodeId> = self.config.seeds.iter().map(|(node, _)| *node).collect();
        let known = self.current_members().into_iter().map(|(node, _)| node);
        let mut doors: Vec<NodeId> = seeds.into_iter().chain(known).collect();
        doors.sort_unstable();
        doors.dedup();
        for door in doors {
            self.send(door, Class::Membership, &Frame::Join(admit.clone()), out);
        }
    }

    /// Writes an admission, unless one is on its way.
    pub(super) fn admit(&mut self, context: &Context<'_>, admit: Admit) {
        let subject = Subject::Task(self.cluster, alloc::format!("admit {}", admit.node));
        if self.blocked.contains_key(&subject) {
            return;
        }
        self.enrol_self(context, self.cluster);
        let mut made = Self::own_record(context, self.cluster, Action::Admit(admit));
        made.subjects.push(subject);
        self.block(&made.subjects);
        self.queue.push_back(made);
    }

    /// A node knocks. Its certificate has been checked by the transport; a removed life stays out, and
    /// whoever's own clock is off leaves it to others: an admission bears a stamp, too.
    pub(super) fn asked_to_admit(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        admit: Admit,
        out: &mut Vec<Output>,
    ) {
        let good = unisono_model::check::action(&Action::Admit(admit.clone())).is_ok();
        let off = self.clock_off().is_some()
            || self.clock_unsure(context.now_ms())
            || Self::time_unknown_ms(context).is_some()
            || self.stamped_ahead_ms(context).is_some();
        if from != admit.node || !good || !self.is_member() || off {
            return;
        }
        out.push(Output::Address {
            node: from,
            address: admit.address.clone(),
        });
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        let members = &cluster.folds.members;
        let removed = members.removal_of(&from, admit.incarnation).is_some()
            || members.last_words(&from, admit.incarnation).is_some()
            || members.is_shut_out(&from);
        if !removed && !members.is_member(&from, admit.incarnation) {
            self.admit(context, admit);
            self.flush(context, out);
        }
        self.send_summary(context, from, out);
    }

    /// Tells the driver where the members are.
    pub(super) fn tell_addresses(&mut self, out: &mut Vec<Output>) {
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        for member in cluster.folds.members.all(Stamp::MAX) {
            let gone = member.left || member.expelled;
            let wanted = member.admit.node != self.me.node && !gone;
            if wanted && !member.admit.address.is_empty() {
                let (node, address) = (member.admit.node, member.admit.address.clone());
                out.push(Output::Address { node, address });
            }
        }
    }

    pub(super) fn status(&self, context: &Context<'_>) -> StatusView {
        let now_ms = context.now_ms();
        let mut members = Vec::new();
        if let Some(cluster) = self.spaces.get(&self.cluster) {
            for member in cluster.folds.members.all(Stamp::MAX) {
                let node = member.admit.node;
                let peer = self.peers.get(&node);
                let life = LogId {
                    node,
                    incarnation: member.admit.incarnation,
                };
                let votes = cluster.folds.members.voted_out_by(life);
                members.push(MemberView {
                    node,
                    name: member.admit.name.clone(),
                    region: member.admit.region.clone(),
                    address: member.admit.address.clone(),
                    incarnation: member.admit.incarnation,
                    alive: self.seems_alive(&node, now_ms),
                    heard_ms_ago: peer
                        .and_then(|peer| peer.heard_ms)
                        .map(|at| now_ms.saturating_sub(at)),
                    round_trip_us: peer.and_then(|peer| peer.round_trip_us),
                    behind: peer.map_or(0, |peer| peer.behind),
                    removal_votes: votes.len() as u16,
                    removed: member.removal.is_some(),
                    left: member.left,
                    expelled: member.expelled,
                    outdone: member.outdone,
                });
            }
        }
        StatusView {
            node: self.me.node,
            name: self.config.name.clone(),
            region: self.config.region.clone(),
            cluster: self.config.cluster,
            incarnation: self.me.incarnation,
            members,
            disk_full: self.disk_retry_ms.is_some(),
            clock_offset_ms: self.clock_offset_ms(),
            stamps_ahead_ms: self.stamped_ahead_ms(context),
            waiting: self.askers_waiting() as u64,
            damage: self.damage_view(),
            counters: self.counters,
        }
    }

    /// How many requests wait for the disk, for other nodes or for what they depend on. What this
    /// node does by itself waits as well, and for nobody (seed 794).
    fn askers_waiting(&self) -> usize {
        let asked = self.queue.iter().filter(|made| made.ticket.is_some());
        self.waiters.len() + self.deferred.len() + asked.count()
    }

    /// Values kept in memory, by kind: what "bounded" speaks of.
    pub fn weight(&self) -> Weight {
        let spaces = || self.spaces.values();
        Weight {
            folds: spaces().map(|space| space.folds.weight()).sum(),
            orchestras: self.spaces.len(),
            incoming: self.waiting_bundles().0,
            documents: spaces().map(|space| space.documents.loaded_count()).sum(),
            waiting: self.waiters.len() + self.deferred.len() + self.queue.len(),
            recent_bytes: self.recent.bytes(),
        }
    }

    /// The agent that this node is.
    pub fn agent(&self) -> unisono_model::AgentId {
        as_agent(self.me.node)
    }
}

/// What a node keeps in memory.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Weight {
    /// Values in the views of all orchestras.
    pub folds: usize,
    /// Orchestras that room is made for.
    pub orchestras: usize,
    /// Bundles that wait for earlier ones or for the disk.
    pub incoming: usize,
    /// Documents in memory.
    pub documents: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Bytes of recent bundles.
    pub recent_bytes: usize,
}
