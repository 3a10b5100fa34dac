//! Many regions over a WAN whose ways may be uneven: how far each node is off, and what it sends.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use unisono_core::election::{Class, limits as election};
use unisono_core::timekeeper::{Config, Fault, Frame, Outgoing, Peer, Timekeeper, limits};
use unisono_model::NodeId;

use super::super::draw::Draw;
use super::clock::MachineClock;
use crate::chance::Chance;

const SECOND_NS: i64 = 1_000_000_000;
/// Errors and bytes count from here on.
const SETTLED_NS: i64 = 60 * SECOND_NS;
/// Between two looks.
const LOOK_NS: i64 = 100_000_000;
/// What a way between regions takes at least, ms: 80 there and back.
const FAR_MS: f64 = 40.0;
/// Which region lies, if one does.
const LIARS: usize = 2;
/// What a datagram costs around its bytes: IP, UDP, the packet of QUIC with its seal, the frame's head.
const AROUND_BYTES: u64 = 28 + 1 + 8 + 2 + 16 + 3;

/// What there is.
#[derive(Clone, Copy, Debug)]
pub struct Regions {
    /// How many regions.
    pub regions: usize,
    /// How many nodes in each.
    pub nodes: usize,
    /// By how much longer the way from the second region to the first takes than the way back, ms.
    pub bad_ms: f64,
    /// The same of every other pair of regions, one sigma, ms.
    pub uneven_ms: f64,
    /// Whether the nodes of these two regions were told.
    pub told: bool,
    /// By how much the third region's nodes lie to other regions about the time, ms.
    pub lie_ms: f64,
    /// The mean of what queues on each way, ms.
    pub jitter_ms: f64,
    /// How long it lasts, s.
    pub seconds: u64,
    /// A planted fault.
    pub fault: Option<Fault>,
}

impl Regions {
    /// Five regions, one link of the cluster's leader 20 ms off: forty between its two ways.
    pub const FIVE: Self = Self {
        regions: 5,
        nodes: 2,
        bad_ms: 40.0,
        uneven_ms: 0.0,
        told: false,
        lie_ms: 0.0,
        jitter_ms: 20.0,
        seconds: 120,
        fault: None,
    };
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct RegionsFound {
    /// Absolute errors of the nodes behind the bad way, ms, ten times a second.
    pub behind_ms: Vec<f64>,
    /// Of all other followers.
    pub others_ms: Vec<f64>,
    /// How many looks of either found the truth in three sigma, and in the hard interval.
    pub likely: usize,
    /// See above.
    pub hard: usize,
    /// Bytes a second of each node, headers of all layers included: the cluster's leader, the other
    /// regions' leaders, everybody else.
    pub sent: [Vec<f64>; 3],
    /// Datagrams a second, in the same order.
    pub datagrams: [Vec<f64>; 3],
}

/// At what share of looks the likely interval has to hold the truth: less than is aimed at, since a few
/// seeds are few.
const LIKELY_PERMILLE_MIN: usize = 990;

impl RegionsFound {
    /// What breaks I6 here, in words: an interval that does not hold the truth.
    pub fn violation(&self) -> Option<String> {
        let looks = self.behind_ms.len() + self.others_ms.len();
        let (kind, held) = if self.hard < looks {
            ("hard", self.hard)
        } else if self.likely * 1_000 < looks * LIKELY_PERMILLE_MIN {
            ("likely", self.likely)
        } else {
            return None;
        };
        Some(format!(
            "I6: the {kind} interval held the truth at {held} of {looks} looks"
        ))
    }
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Event {
    Tick(usize),
    Arrive {
        to: usize,
        from: usize,
        bytes: Vec<u8>,
    },
    Look,
}

struct Member {
    id: NodeId,
    region: usize,
    clock: MachineClock,
    plane: Timekeeper,
    sent_bytes: u64,
    sent: u64,
}

struct World {
    regions: Regions,
    members: Vec<Member>,
    places: BTreeMap<NodeId, usize>,
    uneven_ms: Vec<Vec<f64>>,
    events: BinaryHeap<Reverse<(i64, u64, Event)>>,
    pushed: u64,
    paths: Draw,
    found: RegionsFound,
}

/// Runs one seed.
pub fn judge_regions(seed: u64, regions: Regions) -> RegionsFound {
    let mut world = World::new(seed, regions);
    let end_ns = regions.seconds.cast_signed() * SECOND_NS;
    while let Some(Reverse((now_ns, _, event))) = world.events.pop() {
        if now_ns > end_ns {
            break;
        }
        match event {
            Event::Tick(node) => world.tick(node, now_ns),
            Event::Arrive { to, from, bytes } => world.arrive(to, from, &bytes, now_ns),
            Event::Look => world.look(now_ns),
        }
    }
    world.counted((end_ns - SETTLED_NS) as f64 / 1e9)
}

impl World {
    fn new(seed: u64, regions: Regions) -> Self {
        let mut chance = Chance::new(seed, "timing regions ids", 0);
        let mut draw = Draw::new(seed, "timing regions ways", 0);
        let count = regions.regions;
        let mut uneven_ms = vec![vec![0.0; count]; count];
        let pairs = (0..count).flat_map(|from| (from + 1..count).map(move |to| (from, to)));
        for (from, to) in pairs {
            let by_ms = if (from, to) == (0, 1) {
                -regions.bad_ms
            } else {
                regions.uneven_ms * draw.normal()
            };
            let by_ms = by_ms.clamp(-1.9 * FAR_MS, 1.9 * FAR_MS);
            uneven_ms[from][to] = by_ms;
            uneven_ms[to][from] = -by_ms;
        }
        let seconds = regions.seconds as f64 + 10.0;
        let members: Vec<Member> = (0..count * regions.nodes)
            .map(|place| {
                let mut id = [0; 32];
                id[..16].copy_from_slice(&chance.bytes16());
                let clock = MachineClock::new(seed, place as u64, seconds);
                let region = place % count;
                let plane = plane(seed, place, NodeId(id), &clock, regions.fault);
                let (sent, sent_bytes) = (0, 0);
                Member {
                    id: NodeId(id),
                    region,
                    clock,
                    plane,
                    sent_bytes,
                    sent,
                }
            })
            .collect();
        let places = members.iter().enumerate().map(|(at, one)| (one.id, at));
        let mut world = Self {
            places: places.collect(),
            uneven_ms,
            events: BinaryHeap::new(),
            pushed: 0,
            paths: Draw::new(seed, "timing regions queues", 0),
            found: RegionsFound::default(),
            members,
            regions,
        };
        world.introduce();
        for node in 0..world.members.len() {
            world.push(
                chance.below(1_000).cast_signed() * 1_000_000,
                Event::Tick(node),
            );
        }
        world.push(LOOK_NS, Event::Look);
        world
    }

    /// Everybody can reach everybody, and knows what it was told of ways.
    fn introduce(&mut self) {
        let all: Vec<(NodeId, usize)> = self
            .members
            .iter()
            .map(|member| (member.id, member.region))
            .collect();
        let bad_ns = (self.regions.bad_ms * 1e6) as i64;
        let told = self.regions.told;
        for member in &mut self.members {
            let own = member.region;
            let others = all.iter().filter(|(id, _)| *id != member.id);
            let peers = others.map(|(id, region)| {
                let near = *region == own;
                let region = *region as u64;
                (*id, Peer { near, region })
            });
            member.plane.set_peers(peers);
            let known = match own {
                0 => vec![(1, -bad_ns)],
                1 => vec![(0, bad_ns)],
                _ => Vec::new(),
            };
            let known = if told { known } else { Vec::new() };
            member.plane.set_asymmetries(known);
        }
    }

    fn push(&mut self, at_ns: i64, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse((at_ns, self.pushed, event)));
    }

    fn tick(&mut self, node: usize, now_ns: i64) {
        let member = &mut self.members[node];
        let clocks = member.clock.read(now_ns);
        let mut out = Vec::new();
        member.plane.tick(clocks, &mut out);
        member.plane.ask(clocks.local_ns, &mut out);
        self.send(node, out, now_ns);
        self.push(now_ns + limits::TICK_NS.cast_signed(), Event::Tick(node));
    }

    fn arrive(&mut self, to: usize, from: usize, bytes: &[u8], now_ns: i64) {
        let sender = self.members[from].id;
        let member = &mut self.members[to];
        let local_ns = member.clock.local_ns(now_ns);
        let mut out = Vec::new();
        member
            .plane
            .receive(sender, bytes, local_ns, local_ns, &mut out);
        self.send(to, out, now_ns);
    }

    fn send(&mut self, from: usize, out: Vec<Outgoing>, now_ns: i64) {
        for outgoing in out {
            let Some(to) = self.places.get(&outgoing.to).copied() else {
                continue;
            };
            let sender = &mut self.members[from];
            if now_ns >= SETTLED_NS {
                sender.sent += 1;
                sender.sent_bytes += outgoing.bytes.len() as u64 + AROUND_BYTES;
            }
            let (here, there) = (sender.region, self.members[to].region);
            let (base_ms, queue_ms) = if here == there {
                (0.15, 0.05)
            } else {
                let uneven_ms = self.uneven_ms[here][there];
                (FAR_MS + uneven_ms / 2.0, self.regions.jitter_ms)
            };
            let delay_ms = base_ms + queue_ms * self.paths.exponential();
            let lies = here == LIARS && there != LIARS;
            let bytes = if lies {
                self.twisted(outgoing.bytes)
            } else {
                outgoing.bytes
            };
            let event = Event::Arrive { to, from, bytes };
            self.push(now_ns + (delay_ms * 1e6) as i64, event);
        }
    }

    /// An answer as a liar gives it.
    fn twisted(&self, bytes: Vec<u8>) -> Vec<u8> {
        let lie_ns = (self.regions.lie_ms * 1e6) as i64;
        match Frame::decode(&bytes) {
            Ok(Frame::Answer(mut answer)) if lie_ns != 0 => {
                answer.received_ns = answer.received_ns.saturating_add_signed(lie_ns);
                answer.sent_ns = answer.sent_ns.saturating_add_signed(lie_ns);
                Frame::Answer(answer).encode()
            }
            _ => bytes,
        }
    }

    fn look(&mut self, now_ns: i64) {
        self.push(now_ns + LOOK_NS, Event::Look);
        if now_ns < SETTLED_NS {
            return;
        }
        // The first node leads: it is preferred.
        let mut truth_ns = 0;
        for (place, member) in self.members.iter_mut().enumerate() {
            let local_ns = member.clock.local_ns(now_ns);
            let Some(reading) = member.plane.now(local_ns) else {
                continue;
            };
            if place == 0 {
                truth_ns = reading.estimate_ns;
                continue;
            }
            let error_ms = reading.estimate_ns.abs_diff(truth_ns) as f64 / 1e6;
            let errors = if member.region == 1 {
                &mut self.found.behind_ms
            } else {
                &mut self.found.others_ms
            };
            errors.push(error_ms);
            self.found.likely += usize::from(reading.likely.contains(truth_ns));
            self.found.hard += usize::from(reading.hard.contains(truth_ns));
        }
    }

    fn counted(mut self, seconds: f64) -> RegionsFound {
        for member in &self.members {
            let kind = match member.plane.role() {
                unisono_core::election::Role::ClusterLeader => 0,
                unisono_core::election::Role::RegionLeader => 1,
                unisono_core::election::Role::Member => 2,
            };
            self.found.sent[kind].push(member.sent_bytes as f64 / seconds);
            self.found.datagrams[kind].push(member.sent as f64 / seconds);
        }
        self.found
    }
}

fn plane(
    seed: u64,
    place: usize,
    node: NodeId,
    clock: &MachineClock,
    fault: Option<Fault>,
) -> Timekeeper {
    let config = Config {
        node,
        priority: election::PRIORITY_DEFAULT - u8::from(place == 0),
        class: Class::Free,
        seed: seed ^ (place as u64) << 32,
        fault,
    };
    Timekeeper::new(config, clock.local_ns(0), place == 0)
}
