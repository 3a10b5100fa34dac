//! Fifty agents act on beats: armed and fired by the product's map, leads and corrections, or
//! otherwise.

use unisono_core::ensemble::{Corrector, Lead, Loop, Profile, Rule, TempoMap, Together};
use unisono_model::{Curve, Tempo, TempoSegment};

use super::clocks::{Clocks, Path};
use crate::timing::draw::Draw;

/// How many play.
pub(super) const AGENTS: usize = 50;
/// Beats that are played.
const BEATS: i64 = 200;
/// Beats after which errors are taken for sustained.
const SETTLED: i64 = 60;
/// Leads are worked out anew after so many beats.
const LEAD_BEATS: i64 = 20;
/// When the music begins, ns since the Unix epoch.
const ORIGIN_NS: u64 = 1_800_000_000_000_000_000;
/// Responses: mean and spread over agents, spread over actions, ns.
const RESPONSE_NS: (f64, f64, f64) = (250e6, 80e6, 10e6);
/// What comes after the release where there is noise: mean and spread over agents, spread over
/// actions, ns.
const AFTER_NS: (f64, f64, f64) = (20e6, 10e6, 10e6);
/// How late a thread of fifty wakes up (log-normal: median, ns, and sigma): measured on two busy
/// processors with real-time priority (`docs/timing.md`).
const WAKE_UP: (f64, f64) = (127e3, 0.25);

/// What is played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Music {
    /// 120 beats a minute.
    Steady,
    /// Between 108 and 132, up and down, 4 s each way.
    Rubato,
    /// 120, from the middle on 96.
    Step,
}

/// Where an agent is unsteady.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Noise {
    /// In its work, which is done before the release.
    Before,
    /// After the release too: 20 ms that differ by 10 ms between agents, and 10 ms each time.
    After,
}

/// How it is done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scheme {
    /// The work begins a lead before the beat, is held, and released by the clock.
    Armed,
    /// The same without knowing the notice that each needs: one round trip.
    ArmedLate,
    /// On a message that says "now".
    Reactive,
    /// The tempo is not shared: each follows the beats that it has heard, with the seed's gains.
    Follower,
}

/// One run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setup {
    /// The path between nodes.
    pub path: Path,
    /// What is played.
    pub music: Music,
    /// Where agents are unsteady.
    pub noise: Noise,
    /// How it is done.
    pub scheme: Scheme,
    /// How errors after the release are corrected, if they are.
    pub rule: Option<Rule>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_field_names, reason = "a unit stands last in a name")]
pub struct Played {
    /// Errors of the first action, ns.
    pub first_ns: Vec<f64>,
    /// Errors from the sixtieth beat on, ns.
    pub settled_ns: Vec<f64>,
    /// What nobody could have known before, of the same actions: the floor, ns.
    pub chance_ns: Vec<f64>,
    /// How far the agents' nodes were off when they foretold the same beats, ns.
    pub foretold_ns: Vec<f64>,
}

/// One agent.
struct Agent {
    draw: Draw,
    response_ns: f64,
    after_ns: f64,
    profile: Profile,
    corrector: Option<Corrector>,
    follower: Follower,
}

/// Follows what it has heard: time of the next action and period, ns.
#[derive(Debug, Default)]
struct Follower {
    next_ns: f64,
    period_ns: f64,
    epoch: (u32, f64),
}

impl Music {
    fn map(self) -> TempoMap {
        let steady = |starts_ns: u64, lasts_ns: Option<u64>, bpm: u64| TempoSegment {
            starts_ns,
            lasts_ns,
            rate_ubpm: bpm * 1_000_000,
            curve: Curve::Steady,
        };
        let half_ns = 50_000_000_000;
        let segments = match self {
            Self::Steady => vec![steady(ORIGIN_NS, None, 120)],
            Self::Step => vec![
                steady(ORIGIN_NS, Some(half_ns), 120),
                steady(ORIGIN_NS + half_ns, None, 96),
            ],
            Self::Rubato => {
                let wave_ns = 4_000_000_000;
                let one = |index: u64| {
                    let (from, to) = if index.is_multiple_of(2) {
                        (108, 132)
                    } else {
                        (132, 108)
                    };
                    let to_ubpm = to * 1_000_000;
                    TempoSegment {
                        curve: Curve::Linear { to_ubpm },
                        ..steady(ORIGIN_NS + index * wave_ns, Some(wave_ns), from)
                    }
                };
                let mut all: Vec<TempoSegment> = (0..40).map(one).collect();
                all.push(steady(ORIGIN_NS + 40 * wave_ns, None, 108));
                all
            }
        };
        let tempo = Tempo {
            beat: 0,
            part: 0,
            segments,
            point_every: 4,
            major_every: 64,
        };
        TempoMap::new(tempo).unwrap_or_default()
    }
}

impl Agent {
    fn new(seed: u64, place: usize, setup: Setup) -> Self {
        let mut draw = Draw::new(seed, "ensemble agent", place as u64);
        let (mean, spread, _) = RESPONSE_NS;
        let response_ns = (mean + spread * draw.normal()).max(20e6);
        let after_ns = AFTER_NS.0 + AFTER_NS.1 * draw.normal();
        let alone = Loop {
            players: 1,
            delay: 0,
        };
        Self {
            draw,
            response_ns,
            after_ns,
            profile: Profile::default(),
            // As whoever performs corrects: with gains that adapt.
            corrector: setup
                .rule
                .and_then(|rule| Corrector::new(rule, alone).ok())
                .map(Corrector::adaptive),
            follower: Follower::default(),
        }
    }

    /// How long the work takes this time, ns.
    fn works_ns(&mut self) -> f64 {
        (self.response_ns + RESPONSE_NS.2 * self.draw.normal()).max(1e6)
    }

    fn wakes_ns(&mut self) -> f64 {
        WAKE_UP.0 * libm::exp(WAKE_UP.1 * self.draw.normal())
    }
}

impl Follower {
    /// When it acts, relative to the beat that it should meet (ns), and what it makes of that.
    fn acts(&mut self, beat_ns: f64, chance_ns: f64, period_ns: f64) -> f64 {
        if self.period_ns == 0.0 {
            (self.next_ns, self.period_ns) = (beat_ns, period_ns);
        }
        let late_ns = self.next_ns + chance_ns - beat_ns;
        self.epoch = (self.epoch.0 + 1, self.epoch.1 + late_ns);
        if self.epoch.0 == 10 {
            self.period_ns -= 0.1 * self.epoch.1 / 10.0;
            self.epoch = (0, 0.0);
        }
        self.next_ns += self.period_ns - 0.25 * late_ns;
        late_ns
    }
}

/// Plays one seed.
pub fn play(seed: u64, setup: &Setup) -> Played {
    let clocks = Clocks::new(seed, setup.path);
    play_by(seed, *setup, &clocks)
}

pub(super) fn play_by(seed: u64, setup: Setup, clocks: &Clocks) -> Played {
    let map = setup.music.map();
    let mut agents: Vec<Agent> = (0..AGENTS)
        .map(|place| Agent::new(seed, place, setup))
        .collect();
    let mut played = Played::default();
    let mut leads = vec![0.0; AGENTS];
    for beat in 0..BEATS {
        let (Some(at_ns), Some(next_ns)) = (map.time(beat), map.time(beat + 1)) else {
            break;
        };
        let at_s = (at_ns - ORIGIN_NS) as f64 / 1e9;
        if beat % LEAD_BEATS == 0 {
            let profiles = agents.iter().map(|agent| &agent.profile);
            let way_ns = setup.path.way_ns();
            leads = match setup.scheme {
                Scheme::ArmedLate => vec![2.0 * way_ns; AGENTS],
                _ => Lead::of_group(profiles, Together::Slowest, way_ns, at_ns),
            };
        }
        for (place, agent) in agents.iter_mut().enumerate() {
            let clock_ns = clocks.error_ns(place, at_s);
            let period_ns = (next_ns - at_ns) as f64;
            let beat = Cued {
                beat,
                at_ns,
                at_s,
                period_ns,
                clock_ns,
                lead_ns: leads[place],
            };
            let (error_ns, chance_ns) = act(agent, setup, &beat);
            if beat.beat == 0 {
                played.first_ns.push(error_ns);
            }
            if beat.beat >= SETTLED {
                played.settled_ns.push(error_ns);
                played.chance_ns.push(chance_ns);
                played.foretold_ns.push(clock_ns);
            }
        }
    }
    played
}

/// One beat, for one agent.
struct Cued {
    beat: i64,
    at_ns: u64,
    at_s: f64,
    period_ns: f64,
    clock_ns: f64,
    lead_ns: f64,
}

/// The action's error, and the part of it that nobody could have known (ns).
fn act(agent: &mut Agent, setup: Setup, cued: &Cued) -> (f64, f64) {
    let works_ns = agent.works_ns();
    agent.profile.responded(cued.at_ns, works_ns as u64);
    let (own_ns, chance_ns) = match setup.noise {
        Noise::Before => (0.0, 0.0),
        Noise::After => (agent.after_ns, AFTER_NS.2 * agent.draw.normal()),
    };
    let wakes_ns = agent.wakes_ns();
    if setup.scheme == Scheme::Reactive {
        let way_ns = setup.path.way_ns() * agent.draw.exponential();
        return (way_ns + works_ns + own_ns + chance_ns, chance_ns);
    }
    if setup.scheme == Scheme::Follower {
        // What stays of the response is known from before; what changes is not.
        let off_ns = works_ns - agent.response_ns + chance_ns;
        let beat_ns = cued.at_s * 1e9;
        return (
            agent.follower.acts(beat_ns, off_ns, cued.period_ns),
            chance_ns,
        );
    }
    let action = cued.beat as u64;
    let moved_ns = match &mut agent.corrector {
        Some(corrector) => corrector.correction_ns(action),
        None => 0.0,
    };
    // Armed at the target by a clock that is off, and released by a thread that wakes up late; or as
    // soon as the work is done, where that was begun too late.
    let fires_ns = moved_ns - cued.clock_ns + wakes_ns;
    let ready_ns = works_ns - cued.lead_ns;
    let error_ns = fires_ns.max(ready_ns) + own_ns + chance_ns;
    if let Some(corrector) = &mut agent.corrector {
        // What it is told of its error is measured by the same clock.
        corrector.was_late(action, error_ns + cued.clock_ns);
    }
    (error_ns, chance_ns)
}
