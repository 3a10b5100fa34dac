//! The world's clockwork: who ticks, what arrives, who is cut off.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use unisono_core::election::{self, Class, Role};
use unisono_core::timekeeper::{Config, Fault, Outgoing, Peer, Timekeeper, limits};
use unisono_model::NodeId;

use super::super::draw::Draw;
use super::clock::MachineClock;
use super::judge::{Found, Judge, Shown};
use super::plan::{Plan, Trouble};
use crate::chance::Chance;

const SECOND_NS: i64 = 1_000_000_000;
/// When the trouble begins: every clock has found the first leader by then.
const TROUBLE_AT_NS: i64 = 25 * SECOND_NS;
/// How long a world lasts.
const END_NS: i64 = 80 * SECOND_NS;
/// How long a partition lasts.
const CUT_NS: i64 = 30 * SECOND_NS;
/// How long a node that flaps is cut off, and is back.
const FLAP_NS: i64 = 1_600_000_000;
/// Between two looks of the judges.
const LOOK_NS: i64 = 100_000_000;
/// By how much a liar lies.
const LIE_NS: i64 = 50_000_000;

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Tick(usize),
    Arrive {
        to: usize,
        from: usize,
        bytes: Vec<u8>,
    },
    Look,
    Trouble(u32),
}

pub(super) struct Member {
    pub(super) id: NodeId,
    pub(super) clock: MachineClock,
    pub(super) plane: Option<Timekeeper>,
    pub(super) asleep_until_ns: i64,
    /// On which side of a cut it stands.
    pub(super) side: u32,
}

pub(super) struct World {
    plan: Plan,
    fault: Option<Fault>,
    members: Vec<Member>,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    pushed: u64,
    paths: Draw,
    losses: Chance,
    judge: Judge,
    victim: usize,
}

impl World {
    pub(super) fn new(plan: Plan, fault: Option<Fault>) -> Self {
        let mut chance = Chance::new(plan.seed, "timing leaders ids", 0);
        let members = (0..plan.regions.len()).map(|place| {
            let mut id = [0; 32];
            id[..16].copy_from_slice(&chance.bytes16());
            Member {
                id: NodeId(id),
                clock: MachineClock::new(plan.seed, place as u64, END_NS as f64 / 1e9 + 10.0),
                plane: None,
                asleep_until_ns: 0,
                side: 0,
            }
        });
        let members: Vec<Member> = members.collect();
        let judge = Judge::new(&plan, members.len());
        let mut world = Self {
            fault,
            events: BinaryHeap::new(),
            pushed: 0,
            paths: Draw::new(plan.seed, "timing leaders paths", 0),
            losses: Chance::new(plan.seed, "timing leaders losses", 0),
            judge,
            victim: 0,
            members,
            plan,
        };
        let mut starts = Chance::new(world.plan.seed, "timing leaders starts", 0);
        for node in 0..world.members.len() {
            let at_ns = starts.below(2_000).cast_signed() * 1_000_000;
            world.push(at_ns, Event::Tick(node));
        }
        world.push(LOOK_NS, Event::Look);
        world.push(TROUBLE_AT_NS, Event::Trouble(0));
        world
    }

    pub(super) fn run(mut self) -> Found {
        while let Some(Reverse((now_ns, _, event))) = self.events.pop() {
            if now_ns > END_NS {
                break;
            }
            match event {
                Event::Tick(node) => self.tick(node, now_ns),
                Event::Arrive { to, from, bytes } => self.arrive(to, from, &bytes, now_ns),
                Event::Look => {
                    self.look(now_ns);
                    self.push(now_ns + LOOK_NS, Event::Look);
                }
                Event::Trouble(step) => self.trouble(step, now_ns),
            }
        }
        self.judge.found()
    }

    fn push(&mut self, at_ns: i64, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse((at_ns, self.pushed, event)));
    }

    fn tick(&mut self, node: usize, now_ns: i64) {
        let asleep = self.members[node].asleep_until_ns;
        if asleep > now_ns {
            self.push(asleep, Event::Tick(node));
            return;
        }
        let peers = self.peers_of(node);
        let priority = self.priority(node);
        let (fault, seed) = (self.fault, self.plan.seed ^ (node as u64) << 32);
        let member = &mut self.members[node];
        let clocks = member.clock.read(now_ns);
        let id = member.id;
        let plane = member.plane.get_or_insert_with(|| {
            let config = Config {
                node: id,
                priority,
                class: Class::Free,
                seed,
                fault,
            };
            Timekeeper::new(config, clocks.local_ns, false)
        });
        plane.set_peers(peers);
        let mut out = Vec::new();
        plane.tick(clocks, &mut out);
        plane.ask(clocks.local_ns, &mut out);
        self.send(node, out, now_ns);
        self.push(now_ns + limits::TICK_NS.cast_signed(), Event::Tick(node));
    }

    /// Whoever flaps is preferred, or nothing would tempt anybody.
    fn priority(&self, node: usize) -> u8 {
        let preferred = self.plan.trouble == Trouble::Flapping && node == 1;
        election::limits::PRIORITY_DEFAULT - u8::from(preferred)
    }

    fn peers_of(&self, node: usize) -> Vec<(NodeId, Peer)> {
        // Connections outlive a cut for seconds, so whoever is cut off is still a peer.
        let others = (0..self.members.len()).filter(|other| *other != node);
        let near = |other: usize| self.plan.regions[other] == self.plan.regions[node];
        others
            .map(|other| {
                let peer = Peer {
                    near: near(other),
                    region: self.plan.regions[other],
                };
                (self.members[other].id, peer)
            })
            .collect()
    }

    fn arrive(&mut self, to: usize, from: usize, bytes: &[u8], now_ns: i64) {
        let asleep = self.members[to].asleep_until_ns;
        if asleep > now_ns {
            let bytes = bytes.to_vec();
            self.push(asleep, Event::Arrive { to, from, bytes });
            return;
        }
        let sender = self.members[from].id;
        let member = &mut self.members[to];
        let local_ns = member.clock.local_ns(now_ns);
        let mut out = Vec::new();
        if let Some(plane) = &mut member.plane {
            plane.look(member.clock.read(now_ns));
            plane.receive(sender, bytes, local_ns, local_ns, &mut out);
        }
        self.send(to, out, now_ns);
    }

    fn send(&mut self, from: usize, out: Vec<Outgoing>, now_ns: i64) {
        for outgoing in out {
            let to = self.members.iter().position(|one| one.id == outgoing.to);
            let Some(to) = to else { continue };
            let cut = self.members[to].side != self.members[from].side;
            if cut || self.losses.per_million(self.plan.lost_ppm) {
                continue;
            }
            let near = self.plan.regions[to] == self.plan.regions[from];
            let base_ms = if near { 0.15 } else { self.plan.far_ms };
            let queue_ms = if near { 0.05 } else { self.plan.jitter_ms };
            let stands = self.plan.trouble == Trouble::Congestion
                && now_ns < TROUBLE_AT_NS
                && self.plan.regions[to] < self.plan.regions[from];
            let standing_ms = if stands { self.plan.standing_ms } else { 0.0 };
            let delay_ms = base_ms + standing_ms + queue_ms * self.paths.exponential();
            let event = Event::Arrive {
                to,
                from,
                bytes: outgoing.bytes,
            };
            self.push(now_ns + (delay_ms * 1e6) as i64, event);
        }
    }

    fn look(&mut self, now_ns: i64) {
        let mut shown = Vec::new();
        for member in &mut self.members {
            let local_ns = member.clock.local_ns(now_ns);
            let awake = member.asleep_until_ns <= now_ns;
            let clocks = member.clock.read(now_ns);
            if let Some(plane) = member.plane.as_mut().filter(|_| awake) {
                plane.look(clocks);
            }
            shown.push(member.plane.as_mut().filter(|_| awake).map(|plane| Shown {
                id: member.id,
                side: member.side,
                reading: plane.now(local_ns),
                role: plane.role(),
                leader: plane.election().leader(),
                region_leader: plane.election().region_leader(),
                epoch: plane.election().epoch(),
                told_epoch: plane.told_epoch(),
                region_epoch: plane.election().region_claim(local_ns).map(|one| one.epoch),
            }));
        }
        self.judge.look(now_ns, &shown);
    }

    /// The cluster's leader, or the first node where there is none.
    fn leader(&self) -> usize {
        let leads = |member: &Member| {
            let role = member.plane.as_ref().map(Timekeeper::role);
            role == Some(Role::ClusterLeader)
        };
        self.members.iter().position(leads).unwrap_or(0)
    }

    fn trouble(&mut self, step: u32, now_ns: i64) {
        let leader = self.leader();
        if step == 0 {
            self.victim = leader;
        }
        // The last step of a row does nothing.
        let rest = [(Trouble::Flapping, 12), (Trouble::Restarts, 3)];
        if rest.contains(&(self.plan.trouble, step)) {
            return;
        }
        self.judge.disturbed(now_ns);
        let lasts_ns = self.plan.lasts_ns;
        match (self.plan.trouble, step) {
            (Trouble::Crash, 0) => self.crash(leader, now_ns, END_NS),
            (Trouble::Pause, 0) => {
                self.members[leader].asleep_until_ns = now_ns + lasts_ns;
                self.judge.lost(leader);
                self.push(now_ns + lasts_ns, Event::Trouble(1));
            }
            (Trouble::Restarts, 0..=2) => {
                self.crash(leader, now_ns, now_ns + lasts_ns);
                self.push(now_ns + 2 * lasts_ns, Event::Trouble(step + 1));
            }
            (Trouble::Flapping, 0..=11) => {
                self.members[1].side = 1 - step % 2;
                self.judge.flapping(self.members[1].id, step < 11);
                self.push(now_ns + FLAP_NS, Event::Trouble(step + 1));
            }
            (Trouble::Partition, 0 | 1) => {
                for (place, member) in self.members.iter_mut().enumerate() {
                    let far = self.plan.regions[place] == 0;
                    member.side = if step == 0 { u32::from(far) } else { 0 };
                }
                if step == 0 {
                    self.push(now_ns + CUT_NS, Event::Trouble(1));
                }
            }
            (Trouble::Liar, 0) => {
                let by_ns = if self.plan.seed.is_multiple_of(2) {
                    LIE_NS
                } else {
                    -LIE_NS
                };
                self.members[leader].clock.jump(now_ns, by_ns, false);
                self.judge.lied(leader, now_ns);
            }
            (Trouble::Jump | Trouble::FollowerJump, 0) => {
                let all = self.members.len();
                let follower = self.plan.trouble == Trouble::FollowerJump;
                let node = if follower { (leader + 1) % all } else { leader };
                let clock = &mut self.members[node].clock;
                clock.jump(now_ns, 10 * SECOND_NS, true);
                self.judge.jumped(node, now_ns);
            }
            _ => {}
        }
    }

    /// Ends a node's process; it begins again at a time, knowing nothing.
    fn crash(&mut self, node: usize, now_ns: i64, again_ns: i64) {
        self.members[node].plane = None;
        self.members[node].asleep_until_ns = again_ns + 1;
        self.judge.crashed(node, now_ns);
    }
}

/// Which nodes are there, by place.
pub(super) fn by_side(shown: &[Option<Shown>]) -> BTreeMap<u32, Vec<usize>> {
    let mut sides: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (place, one) in shown.iter().enumerate() {
        if let Some(one) = one {
            sides.entry(one.side).or_default().push(place);
        }
    }
    sides
}
