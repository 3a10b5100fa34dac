//! Whom the told time follows, and who is asked.

use alloc::vec::Vec;

use unisono_model::NodeId;

use super::source::Source;
use super::{Fault, Frame, Outgoing, Timekeeper, limits};
use crate::election::Role;
use crate::timing::{ClusterClock, Memory, Upstream};

impl Timekeeper {
    /// Lets the told time do what the election has decided.
    pub(super) fn adopt(&mut self, now_ns: u64, wall_ns: u64) {
        match self.election.role() {
            Role::ClusterLeader => self.lead(now_ns, wall_ns),
            Role::RegionLeader => self.follow(self.election.leader(), now_ns),
            Role::Member => self.follow(self.election.region_leader(), now_ns),
        }
        self.say_whose();
    }

    /// What is told bears the epoch on whose leader it stands already.
    pub(super) fn say_whose(&mut self) {
        if self.clock.is_leading() {
            self.told_epoch = Some(self.election.epoch());
        } else if self.clock.is_settled()
            && let Some(followed) = self.followed
            && let Some(source) = self.sources.get(&followed)
        {
            if self.clock.filter().heard_ns() > Some(self.steady_since_ns) {
                self.slept_ns = 0;
            }
            self.told_epoch = source.of.or(self.told_epoch);
            self.told_line = source.line.or(self.told_line);
        }
    }

    fn lead(&mut self, now_ns: u64, wall_ns: u64) {
        if self.clock.is_leading() {
            return;
        }
        let guess = self.clock.answer(now_ns).map(|known| known.estimate_ns);
        let known = guess.map(|_| self.told(now_ns));
        self.keep_measurement(now_ns);
        // What it would still have put right it now leaves as it is.
        let reading = self.clock.now(now_ns);
        let told_ns = reading.map_or(0, |reading| reading.estimate_ns);
        let left_ns = guess.map_or(0, |guess| guess.abs_diff(told_ns));
        let apart_ns = crate::timing::limits::DEVIATION_NS_MAX;
        self.turn += 1;
        self.followed = None;
        self.told_line = Some(self.election.epoch());
        let slept_ns = core::mem::take(&mut self.slept_ns);
        let goes_on = self.config.fault != Some(Fault::TimelineRestarted);
        if goes_on && self.clock.lead(self.turn, now_ns) {
            self.inherited = Upstream {
                hard_ns: known.map_or(apart_ns as u64, |told| told.hard_ns + left_ns),
                deviation_ns: known.map_or(apart_ns, |told| told.deviation_ns as f64),
            };
            // Nobody could tell what time it is since this machine slept: it passed all the same.
            self.clock.pass(slept_ns);
        } else {
            let remembered = self.remembered.as_ref();
            let begins_ns =
                remembered.map_or(wall_ns, |known| known.begins_ns(wall_ns, self.alone));
            self.clock = ClusterClock::founding(self.turn, now_ns, begins_ns);
            self.clock.set_wake_up_ns(limits::WAKE_UP_NS);
            self.inherited = Upstream::default();
        }
    }

    fn follow(&mut self, node: Option<NodeId>, now_ns: u64) {
        let Some(node) = node.filter(|node| *node != self.config.node) else {
            if self.clock.is_leading() {
                // It gave the lead back, and nobody has taken it yet.
                self.turn += 1;
                self.clock.follow(self.turn, Memory::default());
                self.followed = None;
            }
            return;
        };
        if self.followed == Some(node) && !self.clock.is_leading() {
            return;
        }
        self.keep_measurement(now_ns);
        let announced = self.peers.get(&node).and_then(|known| known.announced);
        self.turn += 1;
        let stands_on = self.told_line;
        let steady_since_ns = self.steady_since_ns;
        let source = self.source(node, now_ns, limits::BURST);
        source.burst = limits::BURST;
        source.asks_at_ns = now_ns;
        source.odd = 0;
        source.odd_since_ns = None;
        // What was measured on another timeline says nothing about this one.
        let same = source.line == stands_on;
        // Nor what was measured before this machine slept or its clock jumped.
        let since = source.heard_ns > Some(steady_since_ns);
        let known = source.sound(now_ns).filter(|_| same && since);
        let known = known.map(|_| source.filter.clone());
        let Some(filter) = known else {
            let fresh = source.filter.taken() == 0;
            let memory = fresh.then(|| source.filter.memory());
            self.mesh.forget();
            self.clock.follow(self.turn, memory.unwrap_or_default());
            self.followed = Some(node);
            return;
        };
        // Its time is the one before, as well as it knew that when it took over.
        let told = announced.map(|(announcement, _)| announcement.told);
        let knew = Upstream {
            hard_ns: told.map_or(0, |told| told.hard_ns),
            deviation_ns: told.map_or(0.0, |told| told.deviation_ns as f64),
        };
        // Its own measurements of others are put together anew for the new leader.
        self.mesh.forget();
        let shift = self.shift_to(node);
        self.clock.follow_known(self.turn, filter, shift, knew);
        self.followed = Some(node);
    }

    /// What the told clock's filter knows of whom it followed stays known.
    fn keep_measurement(&mut self, now_ns: u64) {
        let Some(before) = self.followed.filter(|_| !self.clock.is_leading()) else {
            return;
        };
        let settled = self.clock.is_settled();
        if let Some(source) = self.sources.get_mut(&before) {
            source.filter = self.clock.filter().clone();
            if settled && source.odd == 0 {
                source.agreed_ns = Some(now_ns);
            }
        }
    }

    /// What is known of a node's clock; from now on, if it was not measured before.
    pub(super) fn source(&mut self, node: NodeId, now_ns: u64, burst: u32) -> &mut Source {
        if self.sources.len() >= limits::SOURCES_MAX && !self.sources.contains_key(&node) {
            let spare = self
                .sources
                .iter()
                .filter(|(one, _)| self.followed != Some(**one));
            let oldest = spare.min_by_key(|(_, source)| source.heard_ns);
            if let Some(oldest) = oldest.map(|(one, _)| *one) {
                self.sources.remove(&oldest);
            }
        }
        let memory = self.memory_of(&node);
        self.sources
            .entry(node)
            .or_insert_with(|| Source::new(now_ns, burst, memory))
    }

    /// Asks whoever is due: whom the node follows, and those with whom it is compared. To be called
    /// after each tick with a fresh reading (local ns), right before the questions are sent: what lies
    /// between the reading and the network is in one way only, and no delay shows it.
    pub fn ask(&mut self, now_ns: u64, out: &mut Vec<Outgoing>) {
        let leading = self.clock.is_leading();
        let followed = self.followed.filter(|_| !leading);
        let next = self.followed_next(now_ns);
        // Where this node's way is off it goes by what it knows of the others.
        let follows = self.role() == Role::RegionLeader && !leading;
        let off = follows && self.mesh.correction_ns != 0;
        let others = self.others(now_ns).into_iter().map(|node| {
            // Asked less often than the leader it would be followed by what it was a second ago.
            let every_ns = if off || next == Some(node) {
                limits::ASK_NS
            } else {
                limits::ASK_OTHERS_NS
            };
            (node, every_ns, limits::BURST_OTHERS)
        });
        let wanted = followed
            .map(|node| (node, limits::ASK_NS, limits::BURST))
            .into_iter()
            .chain(others);
        for (node, every_ns, burst) in wanted {
            if !self.peers.contains_key(&node) {
                continue;
            }
            if !self.source(node, now_ns, burst).asks(now_ns, every_ns) {
                continue;
            }
            let nonce = self.nonce();
            self.source(node, now_ns, burst).ledger.asked(nonce, now_ns);
            self.counters.asked += 1;
            out.push(Outgoing {
                to: node,
                bytes: Frame::Question { nonce }.encode(),
            });
        }
    }

    /// Whom this node will follow if it loses whom it follows.
    fn followed_next(&self, now_ns: u64) -> Option<NodeId> {
        let claim = match self.election.role() {
            Role::ClusterLeader => return None,
            Role::RegionLeader => self.election.cluster_claim(now_ns),
            Role::Member => self.election.region_claim(now_ns),
        };
        claim.and_then(|claim| claim.backup)
    }

    /// Who is measured beside whom the node follows, so that a leader that lies is seen and a successor
    /// is known before it leads: both backups, and then of those who stand for the cluster one another,
    /// of the rest the cluster's leader. In two regions only one other stands for the cluster, and it
    /// may be the liar: without a backup nobody could tell which clock of two has jumped.
    fn others(&self, now_ns: u64) -> Vec<NodeId> {
        let claims = [
            self.election.region_claim(now_ns),
            self.election.cluster_claim(now_ns),
        ];
        let backups = claims.iter().flatten().filter_map(|claim| claim.backup);
        let standing = if self.election.stands() {
            self.election.standing_for_the_cluster(now_ns)
        } else {
            self.election.leader().into_iter().collect()
        };
        // While the leader is in doubt everybody is a witness who was ever known well enough: those
        // above may have changed a moment ago.
        let followed = self.followed.and_then(|node| self.sources.get(&node));
        let doubted = followed.is_some_and(|source| source.odd > 0);
        let known = self
            .sources
            .iter()
            .filter(|(_, source)| doubted && source.filter.taken() >= limits::PROBES_KNOWN);
        let known = known.map(|(node, _)| *node);
        let mut others = Vec::new();
        for node in backups.chain(standing).chain(known) {
            let own = node == self.config.node || self.followed == Some(node);
            if !own && !others.contains(&node) {
                others.push(node);
            }
        }
        others.truncate(limits::OTHERS_MAX);
        others
    }
}
