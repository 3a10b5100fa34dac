//! The timing plane of a node: asks, answers, announces, elects, and tells the time.
//!
//! ```text
//! datagrams, ticks ─► Timekeeper ─► datagrams
//!                       │ election: who leads
//!                       │ timing: probes -> filter -> told time
//!                       └─► now(): an interval
//! ```
//!
//! It stands beside the node, not inside it: it signs nothing, no fold asks it, and what it would
//! keep ([`Remembered`]) its driver keeps.
//! It introduces the machines `election` and `timing` to each other, as `node` does with the others.
//!
//! A region's leader follows the cluster's leader, and everybody else its region's, so the traffic of
//! a node grows with its region and not with the cluster.
//!
//! **Invariant:** time comes in with every call; the machine's clock is neither read nor touched.

mod agreement;
mod answers;
mod follow;
mod frame;
pub mod limits;
mod memory;
mod mesh;
mod source;
mod status;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::NodeId;

pub use frame::{Answer, Differences, Frame, Measured};
pub use memory::Remembered;
pub use status::{Counters, SourceStatus, Status};

use crate::election::{self, Announcement, Change, Class, Election, Epoch, Rank, Role, Told};
use crate::timing::{ClusterClock, Interval, Reading, Sync, Upstream, Witness};
use mesh::Mesh;
use source::Source;

/// What a timing plane is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Who it is.
    pub node: NodeId,
    /// As configured: the lesser leads.
    pub priority: u8,
    /// What the machine's clock is synchronised to.
    pub class: Class,
    /// Chance for the numbers of questions.
    pub seed: u64,
    /// A planted fault; none in a real node.
    pub fault: Option<Fault>,
}

/// Faults that can be planted, so that the judges can be shown to see them. None in a real node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// One of the election.
    Election(election::Fault),
    /// A new leader begins a time of its own instead of going on with the old one.
    TimelineRestarted,
    /// A leader is believed whatever the others say.
    LiarsBelieved,
    /// What leaders have measured of one another is not put together, and held against nothing.
    MeshIgnored,
    /// The node's own way is held against nobody else's.
    MajorityIgnored,
    /// Times are told corrected already, and their correction beside: whoever follows corrects twice.
    CorrectionTwice,
}

/// A member that can be reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer {
    /// Whether it stands in the same region.
    pub near: bool,
    /// Which region that is, as a number of the driver's choice: equal ones are one region.
    pub region: u64,
}

/// A datagram to be sent; it may be lost.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// To whom.
    pub to: NodeId,
    /// What.
    pub bytes: Vec<u8>,
}

/// Readings of the machine's clocks, made as close together as can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clocks {
    /// The steady clock, ns. All times that the timing plane is handed are of this clock.
    pub local_ns: u64,
    /// A second steady clock that counts sleep, ns: what the first is held against.
    pub second_ns: u64,
    /// The wall clock, ns since the Unix epoch: only a founder looks at it, once.
    pub wall_ns: u64,
}

/// What is known of a peer.
#[derive(Clone, Copy, Debug)]
struct Known {
    peer: Peer,
    announced: Option<(Announcement, u64)>,
    /// When it is told next.
    tells_at_ns: u64,
    /// It leads elsewhere and wants to know who leads here.
    owed: bool,
    /// The current second, and the questions answered in it.
    answered: (u64, u32),
    /// The same for the announcements heard.
    heard: (u64, u32),
}

/// The timing plane of one node.
#[derive(Clone, Debug)]
pub struct Timekeeper {
    config: Config,
    clock: ClusterClock,
    election: Election,
    witness: Witness,
    peers: BTreeMap<NodeId, Known>,
    /// It has reached nobody yet, and listens from when it does.
    listens: bool,
    sources: BTreeMap<NodeId, Source>,
    followed: Option<NodeId>,
    /// Counts whom the clock followed.
    turn: u64,
    /// How well the node knew the time when it took the lead.
    inherited: Upstream,
    /// The epoch on whose leader the told time stands.
    told_epoch: Option<Epoch>,
    /// The line on which it lies: the epoch in which that leader last took over.
    told_line: Option<Epoch>,
    steady_since_ns: u64,
    /// How much time the steady clock has not counted since anybody else could tell (ns).
    slept_ns: u64,
    /// Nobody else was ever there.
    alone: bool,
    wall_ns: u64,
    /// Local time and wall clock at the last look.
    looked: Option<(u64, u64)>,
    chance: u64,
    counters: Counters,
    /// What an earlier process knew.
    remembered: Option<Remembered>,
    mesh: Mesh,
    /// By how much the way to a region takes longer than the way back, ns, where that is known.
    asymmetries: BTreeMap<u64, i64>,
    /// By how much the two ways differ beyond that at the most, ns, where that is known.
    bounds: BTreeMap<u64, u64>,
}

impl Timekeeper {
    /// A timing plane that begins now (local ns). A node that knows of no others leads at once; others
    /// listen first, from when they reach somebody.
    pub fn new(config: Config, local_ns: u64, alone: bool) -> Self {
        let listens_ns = if alone {
            0
        } else {
            election::limits::LISTEN_ALONE_NS
        };
        let listens_until_ns = local_ns.saturating_add(listens_ns);
        let fault = match config.fault {
            Some(Fault::Election(fault)) => Some(fault),
            _ => None,
        };
        let mut clock = ClusterClock::default();
        clock.set_wake_up_ns(limits::WAKE_UP_NS);
        Self {
            config,
            clock,
            election: Election::new(config.node, listens_until_ns, fault),
            witness: Witness::default(),
            peers: BTreeMap::new(),
            listens: !alone,
            sources: BTreeMap::new(),
            followed: None,
            turn: 0,
            inherited: Upstream::default(),
            told_epoch: None,
            told_line: None,
            steady_since_ns: local_ns,
            slept_ns: 0,
            alone,
            wall_ns: 0,
            looked: None,
            chance: config.seed,
            counters: Counters::default(),
            remembered: None,
            mesh: Mesh::default(),
            asymmetries: BTreeMap::new(),
            bounds: BTreeMap::new(),
        }
    }

    /// Who can be reached now. Whoever is not in it any more is neither asked nor told; what was
    /// measured of it is kept.
    pub fn set_peers(&mut self, peers: impl IntoIterator<Item = (NodeId, Peer)>) {
        let mut before = core::mem::take(&mut self.peers);
        let mut peers: Vec<(NodeId, Peer)> = peers.into_iter().collect();
        // A region's leader is followed in the region, so those stay where not all can.
        peers.sort_by_key(|(_, peer)| !peer.near);
        self.alone &= peers.is_empty();
        for (node, peer) in peers.into_iter().take(limits::PEERS_MAX) {
            let fresh = Known {
                peer,
                announced: None,
                tells_at_ns: 0,
                owed: false,
                answered: (0, 0),
                heard: (0, 0),
            };
            let known = before.remove(&node).unwrap_or(fresh);
            self.peers.insert(node, Known { peer, ..known });
        }
    }

    /// States by how much the way to a region takes longer than the way back, ns; beyond
    /// [`limits::ASYMMETRY_NS_MAX`] nothing is believed. A way within the region counts as well.
    pub fn set_asymmetries(&mut self, asymmetries: impl IntoIterator<Item = (u64, i64)>) {
        let most_ns = limits::ASYMMETRY_NS_MAX.unsigned_abs();
        let stated = asymmetries.into_iter();
        self.asymmetries = stated
            .filter(|(_, by_ns)| by_ns.unsigned_abs() <= most_ns)
            .collect();
    }

    /// States by how much the ways to a region and back differ at the most beyond what was stated of
    /// them, ns: in the place of [`crate::timing::limits::ASYMMETRY_SHARE`] of the round trip. What is beyond
    /// [`limits::ASYMMETRY_NS_MAX`] is not believed.
    pub fn set_asymmetry_bounds(&mut self, bounds: impl IntoIterator<Item = (u64, u64)>) {
        let most_ns = limits::ASYMMETRY_NS_MAX.unsigned_abs();
        let stated = bounds.into_iter();
        self.bounds = stated.filter(|(_, by_ns)| *by_ns <= most_ns).collect();
    }

    /// Lets time pass. To be called every [`limits::TICK_NS`], and [`Self::ask`] after it.
    pub fn tick(&mut self, clocks: Clocks, out: &mut Vec<Outgoing>) {
        let now_ns = clocks.local_ns;
        self.wall_ns = clocks.wall_ns;
        self.look(clocks);
        if self.listens && !self.peers.is_empty() {
            self.listens = false;
            let until_ns = now_ns.saturating_add(election::limits::LISTEN_NS);
            self.election.listen_until(until_ns);
        }
        let rank = self.rank(now_ns);
        let [cluster, region] = self.election.tick(now_ns, rank);
        self.counters.leader_changes += u64::from(cluster.is_some());
        self.tell_soon(&[cluster, region]);
        self.adopt(now_ns, clocks.wall_ns);
        self.put_together(now_ns);
        self.announce(now_ns, out);
        self.tell_differences(now_ns, out);
    }

    /// Looks whether the machine's clock has jumped, or the machine slept: to be asked before a time is
    /// told or a datagram is taken, since until the next tick a jumped clock would say that it is sure.
    pub fn look(&mut self, clocks: Clocks) {
        let looked = self.looked.replace((clocks.local_ns, clocks.wall_ns));
        if let Some(jump) = self.witness.read(clocks.local_ns, clocks.second_ns) {
            self.counters.jumps += 1;
            self.steady_since_ns = clocks.local_ns;
            let slept_ns = jump.ahead_ns.min(0).unsigned_abs();
            self.slept_ns = self.slept_ns.saturating_add(slept_ns);
            self.clock.noticed(jump);
            self.election.resign(clocks.local_ns);
        } else if let Some((local_ns, wall_ns)) = looked.filter(|_| self.alone) {
            // A virtual machine that was stopped: no steady clock counted that, and the host has put
            // the wall clock right.
            let passed_ns = clocks.local_ns.saturating_sub(local_ns);
            let ahead_ns = clocks
                .wall_ns
                .saturating_sub(wall_ns)
                .saturating_sub(passed_ns);
            if ahead_ns > limits::WALL_LEAP_NS {
                self.clock.pass(ahead_ns);
            }
        }
    }

    /// Takes a datagram. `received_ns` is when it was read from the network, `now_ns` is now, both by
    /// the local clock.
    pub fn receive(
        &mut self,
        from: NodeId,
        bytes: &[u8],
        received_ns: u64,
        now_ns: u64,
        out: &mut Vec<Outgoing>,
    ) {
        let known = self.peers.contains_key(&from);
        match Frame::decode(bytes) {
            Ok(Frame::Question { nonce }) if known => {
                self.answer(from, nonce, received_ns, now_ns, out);
            }
            Ok(Frame::Answer(answer)) if known => self.answered(from, &answer, received_ns, now_ns),
            Ok(Frame::Announcement(announcement)) if known => {
                self.heard(from, &announcement, now_ns);
            }
            Ok(Frame::Differences(told)) if known && told.measured.len() <= limits::OTHERS_MAX => {
                self.counters.differences += 1;
                self.mesh.hear(from, told, now_ns);
            }
            Ok(_) | Err(_) => self.counters.refused_unreadable += 1,
        }
    }

    /// What time it is at a local time (ns). Nothing before a leader was heard.
    pub fn now(&mut self, local_ns: u64) -> Option<Reading> {
        let mut reading = self.clock.now(local_ns)?;
        reading.epoch = self.told_epoch.map_or(0, |epoch| epoch.number);
        Some(reading)
    }

    /// What this node is.
    pub fn role(&self) -> Role {
        self.election.role()
    }

    /// The epoch on whose leader the told time stands. Behind [`Election::epoch`] while a new leader is
    /// being measured.
    pub fn told_epoch(&self) -> Option<Epoch> {
        self.told_epoch
    }

    /// The election as this node sees it.
    pub fn election(&self) -> &Election {
        &self.election
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// All that can be shown, at a local time (ns).
    pub fn status(&mut self, local_ns: u64) -> Status {
        let reading = self.now(local_ns);
        let told_ns = reading.map(|reading| reading.estimate_ns);
        let sources = self.sources.iter().map(|(node, source)| {
            let followed = self.followed == Some(*node) && !self.clock.is_leading();
            let filter = if followed {
                self.clock.filter()
            } else {
                &source.filter
            };
            let estimate = filter.estimate(local_ns);
            let shift = if followed {
                let shift = self.clock.shift();
                shift.path_ns.saturating_add(shift.correction_ns)
            } else {
                self.path_to(node).saturating_add(source.correction_ns)
            };
            let offset = |offset_ns: i64| {
                let theirs = local_ns.saturating_add_signed(offset_ns.saturating_add(shift));
                told_ns.map(|told| theirs.cast_signed().wrapping_sub(told.cast_signed()))
            };
            SourceStatus {
                node: *node,
                followed,
                offset_ns: estimate.and_then(|estimate| offset(estimate.offset_ns)),
                deviation_ns: estimate.map(|estimate| estimate.deviation_ns),
                round_trip_ns: source.round_trip_ns,
                asymmetry_bound_ns: estimate.map(|one| (one.floor_ns.max(0.0) / 2.0) as u64),
                probes: source.probes,
                heard_ns_ago: source.heard_ns.map(|heard| local_ns.saturating_sub(heard)),
            }
        });
        Status {
            sources: sources.collect(),
            reading,
            rate_ppb: self.clock.rate_ppb(),
            role: self.role(),
            epoch: self.election.epoch(),
            told_epoch: self.told_epoch,
            correction_ns: self.clock.shift().correction_ns,
            cluster: self.election.cluster_claim(local_ns),
            region: self.election.region_claim(local_ns),
            counters: self.counters,
        }
    }

    /// How well this node knows the time now, as others are told.
    fn told(&self, now_ns: u64) -> Told {
        let Some(known) = self.clock.answer(now_ns) else {
            return Told::default();
        };
        let (estimate_ns, upstream) = (known.estimate_ns, known.upstream);
        if self.clock.is_leading() {
            return Told {
                estimate_ns,
                hard_ns: self.inherited.hard_ns,
                deviation_ns: whole(self.inherited.deviation_ns),
            };
        }
        // A deviation adds up from leader to leader, or followers would seem better than leaders.
        let followed = self.followed.and_then(|node| self.peers.get(&node));
        let above = followed.and_then(|known| known.announced);
        let above_ns = above.map_or(0.0, |(one, _)| one.told.deviation_ns as f64);
        Told {
            estimate_ns,
            hard_ns: upstream.hard_ns,
            deviation_ns: whole(libm::hypot(upstream.deviation_ns, above_ns)),
        }
    }

    fn rank(&mut self, now_ns: u64) -> Rank {
        let told = self.told(now_ns);
        let reading = self.clock.now(now_ns);
        // Whoever leads leaves its told time as it is: one that is still being put right would take
        // everybody with it.
        let right = reading.is_some_and(|reading| {
            let left_ns = reading.estimate_ns.abs_diff(told.estimate_ns);
            left_ns <= limits::LEFT_NS_MAX
        });
        let knows = right && reading.is_some_and(|reading| reading.sync != Sync::FreeRunning);
        let steady_s = now_ns.saturating_sub(self.steady_since_ns) / 1_000_000_000;
        let hops = match self.role() {
            Role::ClusterLeader => 0,
            Role::RegionLeader => 1,
            Role::Member => 2,
        };
        Rank {
            unready: !knows || !self.clock.is_settled(),
            priority: self.config.priority,
            class: self.config.class,
            deviation_band: Rank::deviation_band(told.deviation_ns),
            unsteady_band: Rank::unsteady_band(steady_s),
            hops,
            node: self.config.node,
        }
    }

    /// Where the cluster's time is for certain, as this node knows it.
    fn own_interval(&self, now_ns: u64) -> Option<Interval> {
        let told = self.told(now_ns);
        (told.estimate_ns > 0).then(|| Interval {
            earliest_ns: told.estimate_ns.saturating_sub(told.hard_ns),
            latest_ns: told.estimate_ns.saturating_add(told.hard_ns),
        })
    }

    fn announce(&mut self, now_ns: u64, out: &mut Vec<Outgoing>) {
        let rank = self.rank(now_ns);
        let told = self.told(now_ns);
        let announcement = self.election.announcement(now_ns, rank, told);
        let pace_ns = self.election.pace_ns(now_ns);
        let stands = self.election.stands();
        let led = self.region_leaders(now_ns);
        let bytes = Frame::Announcement(announcement).encode();
        for (node, known) in &mut self.peers {
            let far_leader = led.get(&known.peer.region);
            let every_ns = match far_leader {
                _ if known.peer.near => pace_ns,
                _ if known.owed => election::limits::ANNOUNCE_NS,
                _ if !stands => continue,
                Some(leader) if leader == node => pace_ns,
                Some(_) => continue,
                // Nobody is known there: whoever is asked says who leads.
                None => election::limits::ANNOUNCE_IDLE_NS,
            };
            if now_ns >= known.tells_at_ns || known.tells_at_ns > now_ns.saturating_add(every_ns) {
                known.tells_at_ns = now_ns.saturating_add(every_ns);
                known.owed = false;
                out.push(Outgoing {
                    to: *node,
                    bytes: bytes.clone(),
                });
            }
        }
    }

    /// Whoever takes the lead, or stands for others and learns of a new leader, says so at its next
    /// tick and not in its turn.
    fn tell_soon(&mut self, changes: &[Option<Change>; 2]) {
        let leads = |change: &Change| matches!(change, Change::Leads(_));
        let stands = self.election.stands();
        if changes.iter().flatten().any(|one| stands || leads(one)) {
            for known in self.peers.values_mut() {
                known.tells_at_ns = 0;
            }
        }
    }

    /// Who leads the other regions, by what was heard from there lately.
    fn region_leaders(&self, now_ns: u64) -> BTreeMap<u64, NodeId> {
        let mut led = BTreeMap::new();
        for known in self.peers.values().filter(|known| !known.peer.near) {
            let Some((announcement, heard_ns)) = &known.announced else {
                continue;
            };
            let fresh_ns = election::limits::RIVAL_NS;
            let Some(claim) = &announcement.region else {
                continue;
            };
            let aged_ns = now_ns.saturating_sub(*heard_ns);
            if aged_ns <= fresh_ns && self.peers.contains_key(&claim.leader) {
                let best = led
                    .entry(known.peer.region)
                    .or_insert((claim.epoch, claim.leader));
                *best = (*best).max((claim.epoch, claim.leader));
            }
        }
        led.into_iter()
            .map(|(region, (_, leader))| (region, leader))
            .collect()
    }

    /// A number that nobody who does not see the question can guess, as long as the seed is secret
    /// (SplitMix64; Steele, Lea and Flood, 2014). Whoever is asked is known by the transport anyway.
    fn nonce(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.chance;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ (word >> 31)
    }
}

/// Counts something in its second; says whether it is one too many.
fn too_many(count: &mut (u64, u32), now_ns: u64, most: u32) -> bool {
    let second = now_ns / 1_000_000_000;
    if count.0 != second {
        *count = (second, 0);
    }
    count.1 = count.1.saturating_add(1);
    count.1 > most
}

fn whole(deviation_ns: f64) -> u64 {
    // Saturates; what is no number is nothing.
    deviation_ns as u64
}
