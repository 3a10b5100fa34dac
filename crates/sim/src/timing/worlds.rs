//! The worlds in which clocks are judged: paths, clocks, probing, and when errors are looked at.

use std::borrow::Cow;

use serde::Serialize;

use super::drawn::{Family, Standing, Way};

/// What a machine's clock does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClockLaw {
    /// Offset at the start, either sign, ns.
    pub offset_ns: f64,
    /// What the crystal runs wrong for good, either sign, ppb.
    pub crystal_ppb: f64,
    /// Temperature: how far the frequency sways, ppb.
    pub sway_ppb: f64,
    /// How long one sway takes, s.
    pub sway_s: f64,
    /// Random walk of the frequency, ppb per root second.
    pub walk_ppb: f64,
    /// How it sways.
    pub sways: Sways,
}

/// How the frequency follows the temperature.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Sways {
    /// As a sine.
    Sine,
    /// Between its two ends: something is switched on and off again, twice in a sway on average, and the
    /// crystal follows within a twelfth of one.
    Switched,
}

/// Half a second and 50 ppm off, half a ppm of temperature in half an hour.
const CALM: ClockLaw = ClockLaw {
    offset_ns: 500e6,
    crystal_ppb: 50e3,
    sway_ppb: 500.0,
    sway_s: 1_800.0,
    walk_ppb: 1.0,
    sways: Sways::Sine,
};

/// Beside a fan: 2 ppm in ten minutes, ten times the walk.
const HOT: ClockLaw = ClockLaw {
    sway_ppb: 2_000.0,
    sway_s: 600.0,
    walk_ppb: 10.0,
    ..CALM
};

/// How queueing is distributed. Means in ms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(
    missing_docs,
    reason = "question and answer are means, in ms, each way"
)]
pub enum Law {
    Exponential {
        question: f64,
        answer: f64,
    },
    LogNormal {
        question: f64,
        answer: f64,
        sigma: f64,
    },
    Gamma2 {
        question: f64,
        answer: f64,
    },
    Pareto {
        question: f64,
        answer: f64,
        shape: f64,
    },
    /// A queue of about `standing` ms stands in the questions' way a third of the time.
    Congested {
        queue: f64,
        standing: f64,
    },
    /// A law for each way, and perhaps a queue that stands on one of them.
    Ways {
        question: Way,
        answer: Way,
        standing: Option<Standing>,
    },
}

/// A stretch of time in which errors are gathered, s after the world began.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Window {
    /// What it is called.
    pub name: &'static str,
    /// When it begins, s.
    pub from_s: f64,
    /// When it ends, s.
    pub to_s: f64,
}

/// No probes in between; a burst afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Silence {
    /// When it begins, s.
    pub from_s: f64,
    /// When it ends, s.
    pub to_s: f64,
}

/// One world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct World {
    /// Its letter.
    pub name: &'static str,
    /// What is special about it.
    pub about: &'static str,
    /// The shortest way there, ms.
    pub question_ms: f64,
    /// The shortest way back, ms.
    pub answer_ms: f64,
    /// Queueing.
    pub law: Law,
    /// The clock.
    pub clock: ClockLaw,
    /// Probes a second.
    pub probes_hz: f64,
    /// Which share of probes is lost, question or answer.
    pub lost: f64,
    /// Probes of a burst at 20 a second, at the start and after a silence; none where zero.
    pub burst: u32,
    /// How long it lasts, s.
    pub seconds: f64,
    /// A partition.
    pub silence: Option<Silence>,
    /// By how much the two ways are stated to differ at the most, ms; where nobody states it the product
    /// fears what it always does.
    pub bound_ms: Option<f64>,
    /// How long an earlier process of the node measured the same clock over the same path, s: what its
    /// filter remembered is all that the new one is handed.
    pub earlier_s: f64,
    /// Whether there and back changed places at the restart.
    pub turned: bool,
    /// When errors are looked at.
    pub windows: Vec<Window>,
    /// Whose parameters each seed draws; of all others they are the same on every seed.
    pub drawn: Option<Family>,
}

impl World {
    /// All worlds, in the order of the report.
    pub fn all() -> Vec<Self> {
        let mut worlds = Self::steady();
        worlds.extend(Self::stricter());
        worlds.extend(Self::with_silence());
        worlds
    }

    /// The worlds whose parameters each seed draws, in the order of the report: nothing is tuned on them.
    pub fn held_out() -> Vec<Self> {
        let of = |family: Family| {
            Self::a().but(family.name(), family.about(), |w| w.drawn = Some(family))
        };
        Family::ALL.into_iter().map(of).collect()
    }

    /// The world of that name.
    pub fn named(name: &str) -> Option<Self> {
        let mut worlds = Self::all().into_iter().chain(Self::held_out());
        worlds.find(|world| world.name == name)
    }

    /// The world as it is on a seed.
    pub fn on(&self, seed: u64) -> Cow<'_, Self> {
        match self.drawn {
            Some(family) => Cow::Owned(family.draw(seed, self)),
            None => Cow::Borrowed(self),
        }
    }

    /// The worlds of the design, A to I and L.
    fn steady() -> Vec<Self> {
        let a = Self::a();
        let b_law = exponential(20.0, 20.0);
        let hot = ClockLaw { ..HOT };
        vec![
            a.clone(),
            a.but("B", "20 ms each way", |w| w.law = b_law),
            a.but("C", "20 ms there, 5 ms back", |w| {
                w.law = exponential(20.0, 5.0);
            }),
            a.but("D", "log-normal, 20 ms there, 10 ms back", |w| {
                w.law = Law::LogNormal {
                    question: 20.0,
                    answer: 10.0,
                    sigma: 1.0,
                };
            }),
            a.but("E", "hot clock: 2 ppm in 600 s", |w| w.clock = hot),
            a.but(
                "F",
                "30 ms standing in the questions' way a third of the time",
                |w| {
                    w.law = Law::Congested {
                        queue: 10.0,
                        standing: 30.0,
                    };
                },
            ),
            a.but("G", "45 ms there, 35 ms back", |w| {
                (w.question_ms, w.answer_ms) = (45.0, 35.0);
            }),
            a.but("H", "5 probes a second", |w| w.probes_hz = 5.0),
            a.but("I", "20 ms each way, 32 probes at 20 a second first", |w| {
                w.law = b_law;
                w.burst = 32;
            }),
            a.but("L", "LAN: 0.1 ms, 20 µs each way", |w| {
                (w.question_ms, w.answer_ms) = (0.1, 0.1);
                w.law = exponential(0.02, 0.02);
            }),
        ]
    }

    /// Worlds that stand beside the design's: the aim's own, other laws, memory.
    fn stricter() -> Vec<Self> {
        let a = Self::a();
        let wan = Self::wan();
        vec![
            wan.clone(),
            wan.but("WANhot", "WAN with a hot clock", |w| w.clock = HOT),
            a.but("LAN", "LAN at 5 a second after a burst", |w| {
                (w.question_ms, w.answer_ms) = (0.1, 0.1);
                w.law = exponential(0.02, 0.02);
                (w.probes_hz, w.burst) = (5.0, 32);
            }),
            a.but(
                "M",
                "gamma of two, 20 ms there, 10 ms back: a soft edge",
                |w| {
                    w.law = Law::Gamma2 {
                        question: 20.0,
                        answer: 10.0,
                    };
                },
            ),
            a.but("N", "Pareto 2.5, 10 ms: a heavy tail", |w| {
                w.law = Law::Pareto {
                    question: 10.0,
                    answer: 10.0,
                    shape: 2.5,
                };
            }),
            a.but("P", "F after ten minutes of F and a restart", |w| {
                w.law = Law::Congested {
                    queue: 10.0,
                    standing: 30.0,
                };
                w.earlier_s = 600.0;
            }),
            a.but("Pback", "P, but the queue stands the other way now", |w| {
                w.law = Law::Congested {
                    queue: 10.0,
                    standing: 30.0,
                };
                (w.earlier_s, w.turned) = (600.0, true);
            }),
            a.but(
                "Q",
                "60 ms there, 20 ms back, a bound of 40 ms stated",
                |w| {
                    (w.question_ms, w.answer_ms) = (60.0, 20.0);
                    w.bound_ms = Some(40.0);
                },
            ),
        ]
    }

    /// Ten minutes of synchrony, ten of partition, a burst at the heal.
    fn with_silence() -> Vec<Self> {
        let parted = |world: &mut Self| {
            world.seconds = 1_230.0;
            world.silence = Some(Silence {
                from_s: 600.0,
                to_s: 1_200.0,
            });
            world.windows = vec![
                window("hold +60 s", 659.5, 660.5),
                window("hold +300 s", 899.5, 900.5),
                window("hold +600 s", 1_199.0, 1_200.0),
                window("heal +2 s", 1_202.0, 1_202.2),
                window("heal 2 to 30 s", 1_202.0, 1_229.0),
            ];
        };
        let wan = Self::wan();
        let lan = Self::named_steady("L").but("", "", |w| (w.probes_hz, w.burst) = (5.0, 32));
        let worlds = [
            (&wan, "WAN/", "WAN, calm clock, 10 min partition", CALM),
            (&wan, "WANhot/", "WAN, hot clock, 10 min partition", HOT),
            (&lan, "LAN/", "LAN, calm clock, 10 min partition", CALM),
            (&lan, "LANhot/", "LAN, hot clock, 10 min partition", HOT),
        ];
        worlds
            .into_iter()
            .map(|(world, name, about, clock)| {
                world.but(name, about, |w| {
                    parted(w);
                    w.clock = clock;
                })
            })
            .collect()
    }

    fn named_steady(name: &str) -> Self {
        let found = Self::steady().into_iter().find(|world| world.name == name);
        found.unwrap_or_else(Self::a)
    }

    /// The aim's own path: 80 ms round trip, 20 ms jitter each way, 50 ppm, 5 probes a second.
    fn wan() -> Self {
        Self::a().but(
            "WAN",
            "the aim's path: 20 ms each way, burst, 5 a second",
            |w| {
                w.law = exponential(20.0, 20.0);
                (w.probes_hz, w.burst) = (5.0, 32);
            },
        )
    }

    fn a() -> Self {
        Self {
            name: "A",
            about: "80 ms round trip, 10 ms each way, 1 probe a second",
            question_ms: 40.0,
            answer_ms: 40.0,
            law: exponential(10.0, 10.0),
            clock: CALM,
            probes_hz: 1.0,
            lost: 0.0,
            burst: 0,
            seconds: 600.0,
            silence: None,
            bound_ms: None,
            earlier_s: 0.0,
            turned: false,
            windows: vec![
                window("2 s", 2.0, 2.2),
                window("10 s", 9.8, 10.2),
                window("60 s", 59.5, 60.5),
                window("sustained", 60.0, 599.0),
                window("last 10 s", 589.0, 599.0),
            ],
            drawn: None,
        }
    }

    fn but(&self, name: &'static str, about: &'static str, change: impl FnOnce(&mut Self)) -> Self {
        let mut world = Self {
            name,
            about,
            ..self.clone()
        };
        change(&mut world);
        world
    }

    /// When probes are sent, s.
    pub fn schedule(&self) -> Vec<f64> {
        let mut sent = Vec::new();
        let mut at_s = 0.0;
        let mut left_of_burst = self.burst;
        while at_s < self.seconds - 1.0 {
            if let Some(silence) = self.silence
                && at_s >= silence.from_s
                && at_s < silence.to_s
            {
                at_s = silence.to_s;
                left_of_burst = self.burst;
            }
            sent.push(at_s);
            left_of_burst = left_of_burst.saturating_sub(1);
            at_s += if left_of_burst > 0 {
                0.05
            } else {
                1.0 / self.probes_hz
            };
        }
        sent
    }
}

fn exponential(question: f64, answer: f64) -> Law {
    Law::Exponential { question, answer }
}

fn window(name: &'static str, from_s: f64, to_s: f64) -> Window {
    Window { name, from_s, to_s }
}
