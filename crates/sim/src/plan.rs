//! Everything that will go wrong in a seed, drawn before the run begins: a list of timed faults
//! that can be read, kept and shortened.

use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::network::cuts::{self, Directions};
use crate::network::{Weather, matrix};
use crate::scenario::Scenario;

mod apart;
mod deceit;
mod joining;
mod trust;

pub use deceit::Collusion;
pub use joining::Joining;

use apart::drawn_apart;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const SIGNED_MS: i64 = 1_000_000;
/// Before this everything works, so that the cluster can form (ns).
const CALM_NS: u64 = 8 * SECOND;

/// Something that goes wrong, or right again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Fault {
    /// A machine loses power; at its next write, if it is to be at an inconvenient moment.
    Crash {
        /// Which.
        host: usize,
        /// For how long (ns).
        down_ns: u64,
        /// In the middle of a write.
        in_write: bool,
    },
    /// A machine has power again.
    Start {
        /// Which.
        host: usize,
    },
    /// A machine stands still.
    Pause {
        /// Which.
        host: usize,
    },
    /// It goes on.
    Resume {
        /// Which.
        host: usize,
    },
    /// Links are cut.
    Cut(Directions),
    /// The same links are mended.
    Mend(Directions),
    /// A wall clock is set.
    Step {
        /// Whose.
        host: usize,
        /// By how much (ns).
        by_ns: i64,
    },
    /// There is no more room on a disk than this beyond what is used.
    Fill {
        /// Whose.
        host: usize,
        /// How much is left (bytes).
        left: u64,
    },
    /// There is room again.
    Empty {
        /// Whose.
        host: usize,
    },
    /// One of the next syncs fails.
    FailSync {
        /// Whose.
        host: usize,
        /// How likely each is to fail (per million); 0 ends it.
        ppm: u32,
    },
    /// Syncs take so long.
    Slow {
        /// Whose.
        host: usize,
        /// At most so long (µs).
        sync_us: u64,
    },
    /// An image of a disk is put aside.
    Image {
        /// Whose.
        host: usize,
    },
    /// A machine stops and starts again from the image.
    Rollback {
        /// Which.
        host: usize,
        /// How long it is down (ns).
        down_ns: u64,
    },
    /// A machine loses power, and one bit of what its disk holds is another when it comes back.
    Flip {
        /// Which.
        host: usize,
        /// How long it is down (ns).
        down_ns: u64,
    },
    /// A member leaves of its own accord; as soon as it may be, its machine is switched off.
    Leave {
        /// Which.
        host: usize,
        /// For how long (ns); for good if this is not said.
        away_ns: Option<u64>,
    },
    /// The root removes a member by the word of another, which may hold less of its logs than others
    /// do. Its machine goes on.
    Remove {
        /// Who is removed.
        host: usize,
        /// Who carries the word.
        by: usize,
    },
    /// The root puts another authority in the place of the one that signs, by the word of a member,
    /// which may not have heard of an earlier change.
    Succeed {
        /// Who carries the word.
        by: usize,
        /// Which key is the authority's.
        authority: u8,
    },
    /// Another root is named, by the word of a member, which may not have heard of an earlier change.
    NameRoot {
        /// Who carries the word.
        by: usize,
        /// Which key is the next root's.
        root: u64,
        /// How much later than now it counts (ms); earlier, if this is below nothing.
        from_ms: i64,
    },
    /// A copy of the lying node begins to speak with half of its peers.
    Twin,
    /// The lying node sends garbage.
    Garbage,
    /// The lying node sends a bundle whose record is stamped below a head that it has shown.
    Backdate,
    /// The lying node makes up a node that admits itself and votes everybody else out.
    Ghost,
    /// The lying node writes in orchestras that nobody has opened, asks about others, and proves that
    /// logs of nodes have forked that it made up.
    Flood,
    /// The lying node writes in the name of agents that sign for themselves, and of another node.
    Forge,
    /// The lying node keeps back what one agent says from everybody, and what one node has written
    /// from half of its peers.
    Withhold {
        /// For how long (ns).
        for_ns: u64,
    },
    /// The lying node sends again what it sent before, to others, in an order of its own.
    Replay,
    /// The lying node and an agent whose key it has write together what that agent's fence cuts off.
    Collude,
    /// An issuer makes an invite, and makes it known.
    Invite {
        /// Who.
        by: usize,
        /// Which.
        invite: u8,
    },
    /// A machine that was never switched on asks to be let in by an invite.
    Join {
        /// Which.
        host: usize,
        /// The issuer that it asks first.
        at: usize,
        /// Its invite.
        invite: u8,
    },
    /// The lying node, which has not the authority's key, makes up invites, and says whom they have
    /// let in.
    FalseInvites,
}

impl Fault {
    /// Whether it ends another.
    fn mends(&self) -> bool {
        matches!(
            self,
            Self::Start { .. }
                | Self::Resume { .. }
                | Self::Mend(_)
                | Self::Empty { .. }
                | Self::FailSync { ppm: 0, .. }
        )
    }
}

/// All faults of a seed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In order of time.
    pub faults: Vec<(u64, Fault)>,
    /// How bad the links are.
    pub weather: Weather,
    /// Each machine's region.
    pub regions: Vec<usize>,
    /// Each region's place in the matrix.
    pub sites: Vec<usize>,
    /// Each machine's clock: offset (ns) and drift (ppm).
    pub clocks: Vec<(i64, i64)>,
    /// The node that lies, if there is one.
    pub liar: Option<usize>,
    /// How it works together with an agent, if it does.
    pub collusion: Option<Collusion>,
    /// Who joins by an invite, if anybody does.
    pub joining: Option<Joining>,
    /// Whether some agents lie.
    pub dishonest: bool,
    /// Whether agents act under tokens, and the orchestra is guarded.
    pub rights: bool,
    /// After how long silent members are voted out (ms); 0 never.
    pub remove_after_ms: u64,
    /// How far back views can be read at once (ms).
    pub readable_ms: u64,
    /// After how many records views are checkpointed.
    pub checkpoint_records: u64,
}

struct Draw<'a> {
    scenario: &'a Scenario,
    chance: Chance,
    regions: Vec<usize>,
    end: u64,
    faults: Vec<(u64, Fault)>,
}

impl Plan {
    /// Whether the authority changes, so that what one has signed may count for a while only.
    pub fn succeeds(&self) -> bool {
        let mut faults = self.faults.iter();
        faults.any(|(_, fault)| matches!(fault, Fault::Succeed { .. }))
    }

    /// What goes wrong in this seed.
    pub fn draw(scenario: &Scenario, seed: u64) -> Self {
        let mut chance = Chance::new(seed, "plan", 0);
        let nodes = scenario.nodes.max(1);
        let count = 1 + chance.below(scenario.regions.max(1) as u64) as usize;
        let sites = (0..count)
            .map(|_| chance.below(matrix::SITES as u64) as usize)
            .collect();
        let regions: Vec<usize> = (0..nodes).map(|node| node % count).collect();
        let mix = &scenario.faults;
        let weather = weather(scenario, &mut chance);
        let clocks = clocks(scenario, &mut chance, nodes);
        let liar = (nodes >= 4 && chance.percent(mix.byzantine))
            .then(|| chance.between(1, nodes as u64 - 1) as usize);
        let rights = Chance::new(seed, "guarded", 0).percent(mix.rights);
        let liar = liar.or_else(|| deceit::liar_under_rights(scenario, seed, rights));
        let dishonest = chance.percent(mix.dishonest);
        let removal = chance.percent(mix.removal);
        let remove_after_ms = if removal {
            chance.between(20_000, 60_000)
        } else {
            0
        };
        let end = scenario.safety_s * SECOND;
        let mut folding = Chance::new(seed, "folding", 0);
        let mut draw = Draw {
            scenario,
            chance,
            regions: regions.clone(),
            end,
            faults: Vec::new(),
        };
        draw.everything(liar, remove_after_ms);
        let mut faults = draw.faults;
        faults.extend(drawn_apart(scenario, seed, liar));
        let deceives = liar.is_some() && Chance::new(seed, "deceives", 0).percent(mix.deceits);
        let colludes = deceives && rights;
        let collusion = colludes
            .then(|| deceit::collude(scenario, seed, &faults))
            .flatten();
        if deceives {
            faults.extend(deceit::deceive(scenario, seed, collusion.as_ref()));
        }
        let joining = joining::join(scenario, seed, liar, &mut faults);
        // A run may have to go on for longer: what is broken by then is mended as planned.
        faults.retain(|(at, fault)| *at < end || fault.mends());
        // The order of equal times must not depend on the sorting algorithm: it is stable.
        faults.sort_by_key(|(at, _)| *at);
        if let Some(only) = &scenario.only {
            faults.clone_from(only);
        }
        Self {
            faults,
            weather,
            regions,
            sites,
            clocks,
            liar,
            collusion,
            joining,
            dishonest,
            rights,
            remove_after_ms,
            // The judges look a few seconds back, and want an answer at once.
            readable_ms: folding.log_between(5_000, 32_000),
            checkpoint_records: folding.log_between(8, 128),
        }
    }
}

fn weather(scenario: &Scenario, chance: &mut Chance) -> Weather {
    let mix = &scenario.faults;
    let mut weather = Weather {
        jitter_percent: 10,
        ..Weather::default()
    };
    if chance.percent(mix.loss) {
        weather.loss = chance.log_between(500, 200_000);
        weather.duplicate = chance.log_between(500, 200_000);
        weather.jitter_percent = chance.log_between(10, 200);
    }
    if chance.percent(mix.long_delays) {
        weather.long = chance.log_between(20, 500);
    }
    weather
}

fn clocks(scenario: &Scenario, chance: &mut Chance, nodes: usize) -> Vec<(i64, i64)> {
    let mix = &scenario.faults;
    let drifts = chance.percent(mix.drift);
    // A drift of 500 ppm adds 300 ms in ten minutes: within what the offsets allow for.
    let mut clocks: Vec<(i64, i64)> = (0..nodes)
        .map(|_| {
            let offset = chance.signed(200) * SIGNED_MS;
            let drift = if drifts { chance.signed(500) } else { 0 };
            (offset, drift)
        })
        .collect();
    if chance.percent(mix.hour_off) && nodes > 2 {
        let off = chance.between(1, nodes as u64 - 1) as usize;
        let hour = 3_600_000 * SIGNED_MS;
        clocks[off].0 += if chance.percent(50) { hour } else { -hour };
    }
    clocks
}

impl Draw<'_> {
    fn everything(&mut self, liar: Option<usize>, remove_after_ms: u64) {
        let mix = self.scenario.faults.clone();
        self.partitions(mix.partitions, mix.flapping);
        self.crashes(mix.crashes, remove_after_ms);
        if self.chance.percent(mix.pauses) {
            self.pauses();
        }
        self.disks();
        if self.chance.percent(mix.steps) {
            self.steps();
        }
        if liar.is_some() {
            let twin = self.moment().min(self.end / 2);
            self.faults.push((twin, Fault::Twin));
            // From its fork on nothing of its log is looked at any more.
            self.faults.push((twin / 2, Fault::Backdate));
            self.faults.push((twin - twin / 4, Fault::Backdate));
            for at in self.moments(20 * SECOND) {
                self.faults.push((at, Fault::Garbage));
            }
        }
    }

    fn host(&mut self) -> usize {
        self.chance.below(self.scenario.nodes as u64) as usize
    }

    /// Some time within the run.
    fn moment(&mut self) -> u64 {
        self.chance
            .between(CALM_NS, self.end.saturating_sub(20 * SECOND).max(CALM_NS))
    }

    /// Times with this mean distance.
    fn moments(&mut self, mean: u64) -> Vec<u64> {
        let mut times = Vec::new();
        let mut at = CALM_NS + self.chance.around(mean);
        while at < self.end {
            times.push(at);
            at += self.chance.around(mean) + MS;
        }
        times
    }

    fn partitions(&mut self, more: u64, flapping: u64) {
        let first = self.moment();
        let length = self.chance.log_between(5_000, 80_000) * MS;
        self.partition(first, length);
        if self.chance.percent(more) {
            let mean = self.chance.log_between(30, 240) * SECOND;
            for at in self.moments(mean) {
                let length = self.chance.log_between(500, 60_000) * MS;
                self.partition(at, length);
                // A partition that moves: another shape takes over where this one ends.
                if self.chance.percent(30) {
                    self.partition(at + length, length / 2 + MS);
                }
            }
        }
        if self.chance.percent(flapping) {
            let (mut at, period) = (self.moment(), self.chance.log_between(200, 3_000) * MS);
            let cut = cuts::draw(&mut self.chance, self.scenario.nodes, &self.regions.clone());
            for _ in 0..self.chance.between(3, 12) {
                self.faults.push((at, Fault::Cut(cut.clone())));
                self.faults
                    .push((at + period / 2, Fault::Mend(cut.clone())));
                at += period;
            }
        }
    }

    fn partition(&mut self, at: u64, length: u64) {
        if self.scenario.nodes < 2 {
            return;
        }
        let cut = cuts::draw(&mut self.chance, self.scenario.nodes, &self.regions.clone());
        self.faults.push((at, Fault::Cut(cut.clone())));
        self.faults.push((at + length, Fault::Mend(cut)));
    }

    fn crashes(&mut self, more: u64, remove_after_ms: u64) {
        let at = self.moment();
        self.crash(at);
        if self.chance.percent(more) {
            let mean = self.chance.log_between(20, 240) * SECOND;
            for at in self.moments(mean) {
                self.crash(at);
            }
        }
        if remove_after_ms > 0 {
            // Somebody is away for longer than the others are patient: switched off, or cut off
            // with agents who go on, so that it brings late what was settled without it.
            let host = self.host();
            let away = (remove_after_ms + self.scenario.lease_ms_max) * MS + 40 * SECOND;
            let at = self.chance.between(CALM_NS, self.end / 2);
            if self.chance.percent(30) {
                let in_write = false;
                let down_ns = away;
                let crash = Fault::Crash {
                    host,
                    down_ns,
                    in_write,
                };
                self.faults.push((at, crash));
            } else {
                let alone = cuts::alone(host, self.scenario.nodes);
                self.faults.push((at, Fault::Cut(alone.clone())));
                self.faults.push((at + away, Fault::Mend(alone)));
            }
        }
    }

    fn crash(&mut self, at: u64) {
        let host = self.host();
        let down_ns = self.chance.log_between(20, 120_000) * MS;
        let in_write = self.chance.percent(70);
        self.faults.push((
            at,
            Fault::Crash {
                host,
                down_ns,
                in_write,
            },
        ));
    }

    fn pauses(&mut self) {
        let mean = self.chance.log_between(20, 240) * SECOND;
        for at in self.moments(mean) {
            let host = self.host();
            let length = self.chance.log_between(50, 40_000) * MS;
            self.faults.push((at, Fault::Pause { host }));
            self.faults.push((at + length, Fault::Resume { host }));
        }
    }

    fn disks(&mut self) {
        let mix = self.scenario.faults.clone();
        if self.chance.percent(mix.sync_failures) {
            let (at, host) = (self.moment(), self.host());
            let ppm = self.chance.log_between(1_000, 200_000) as u32;
            self.faults.push((at, Fault::FailSync { host, ppm }));
            self.faults
                .push((at + 30 * SECOND, Fault::FailSync { host, ppm: 0 }));
        }
        if self.chance.percent(mix.full_disks) {
            let (at, host) = (self.moment(), self.host());
            let left = self.chance.below(8 << 10);
            let length = self.chance.log_between(2_000, 60_000) * MS;
            self.faults.push((at, Fault::Fill { host, left }));
            self.faults.push((at + length, Fault::Empty { host }));
        }
        if self.chance.percent(mix.slow_disks) {
            let (at, host) = (self.moment(), self.host());
            let sync_us = self.chance.log_between(5_000, 800_000);
            self.faults.push((at, Fault::Slow { host, sync_us }));
            self.faults.push((
                at + 60 * SECOND,
                Fault::Slow {
                    host,
                    sync_us: 1_000,
                },
            ));
        }
        if self.chance.percent(mix.rollbacks) {
            let (at, host) = (self.moment(), self.host());
            let age = self.chance.log_between(1_000, 120_000) * MS;
            let down_ns = self.chance.log_between(20, 20_000) * MS;
            self.faults.push((at, Fault::Image { host }));
            self.faults
                .push((at + age, Fault::Rollback { host, down_ns }));
        }
        if self.chance.percent(mix.bit_flips) {
            let (at, host) = (self.moment(), self.host());
            let down_ns = self.chance.log_between(20, 20_000) * MS;
            self.faults.push((at, Fault::Flip { host, down_ns }));
        }
    }

    fn steps(&mut self) {
        let mean = self.chance.log_between(60, 300) * SECOND;
        for at in self.moments(mean) {
            let host = self.host();
            let size = self.chance.log_between(1, 20_000).cast_signed() * SIGNED_MS;
            let by_ns = if self.chance.percent(50) { size } else { -size };
            self.faults.push((at, Fault::Step { host, by_ns }));
            self.faults.push((
                at + 20 * SECOND,
                Fault::Step {
                    host,
                    by_ns: -by_ns,
                },
            ));
        }
    }
}
