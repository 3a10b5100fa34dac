//! Worlds that nobody has seen before they are judged: each seed draws its own path, clock and probing,
//! from the ranges that stand here. Nothing is tuned on them.

use serde::Serialize;

use super::draw::Draw;
use super::worlds::{ClockLaw, Law, Sways, World};

/// How queueing is distributed on one way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[allow(
    missing_docs,
    reason = "the parameters of the laws, by their usual names"
)]
pub enum Shape {
    Exponential,
    LogNormal {
        sigma: f64,
    },
    /// From one on; the greater, the softer its edge.
    Gamma {
        shape: f64,
    },
    /// Pareto's second law (Lomax): a sharp edge and a heavy tail.
    Pareto {
        shape: f64,
    },
    Weibull {
        shape: f64,
    },
    /// Two exponentials: of so great a share of packets `times` as long as of the others.
    TwoQueues {
        share: f64,
        times: f64,
    },
}

impl Shape {
    /// A time under way beyond the floor, of this mean (ms).
    pub(super) fn ms(self, mean: f64, draw: &mut Draw) -> f64 {
        match self {
            Self::Exponential => mean * draw.exponential(),
            Self::LogNormal { sigma } => {
                libm::exp(libm::log(mean) - 0.5 * sigma * sigma + sigma * draw.normal())
            }
            Self::Gamma { shape } => mean / shape * gamma(shape, draw),
            Self::Pareto { shape } => {
                let scale = mean * (shape - 1.0);
                scale * (libm::pow(draw.uniform(), -1.0 / shape) - 1.0)
            }
            Self::Weibull { shape } => {
                let scale = mean / libm::tgamma(1.0 + 1.0 / shape);
                scale * libm::pow(draw.exponential(), 1.0 / shape)
            }
            Self::TwoQueues { share, times } => {
                let short = mean / (1.0 - share + share * times);
                let is_long = draw.uniform() < share;
                short * if is_long { times } else { 1.0 } * draw.exponential()
            }
        }
    }

    fn draw(draw: &mut Draw) -> Self {
        match (6.0 * draw.uniform()) as u32 {
            0 => Self::Exponential,
            1 => Self::LogNormal {
                sigma: between(draw, 0.5, 1.5),
            },
            2 => Self::Gamma {
                shape: between(draw, 1.0, 4.0),
            },
            3 => Self::Pareto {
                shape: between(draw, 2.2, 4.0),
            },
            4 => Self::Weibull {
                shape: between(draw, 0.6, 2.0),
            },
            _ => Self::TwoQueues {
                share: between(draw, 0.05, 0.4),
                times: between(draw, 3.0, 20.0),
            },
        }
    }
}

/// Of mean `shape` (Marsaglia and Tsang, 2000); it is at least one.
fn gamma(shape: f64, draw: &mut Draw) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / libm::sqrt(9.0 * d);
    loop {
        let x = draw.normal();
        let v = libm::pow(1.0 + c * x, 3.0);
        let accepted = v > 0.0 && -draw.exponential() < 0.5 * x * x + d - d * v + d * libm::log(v);
        if accepted {
            return d * v;
        }
    }
}

/// One way's queueing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Way {
    /// Its mean, ms.
    pub mean_ms: f64,
    /// Its law.
    pub shape: Shape,
}

impl Way {
    pub(super) fn ms(self, draw: &mut Draw) -> f64 {
        self.shape.ms(self.mean_ms, draw)
    }
}

/// A queue that stands on one way, goes and comes again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// How long it is as a rule, ms: each time from half of that to half as much again.
    pub ms: f64,
    /// How long it stands, s, on average.
    pub stands_s: f64,
    /// How long it is gone, s, on average.
    pub gone_s: f64,
    /// Whether it stands in the answers' way, and not in the questions'.
    pub on_answers: bool,
}

/// From which ranges a world is drawn. On one seed all but the near one have the same path, clock and
/// probing, but for what they are called by.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Family {
    /// A wide-area path that is as long there as back.
    Even,
    /// One that is longer one way, by up to an eighth of the round trip: what is feared of every way.
    Uneven,
    /// A queue stands on one way, from the first probe on, and goes and comes.
    Queued,
    /// A local path.
    Near,
}

/// How much longer one way may be than the other, of the round trip.
const UNEVEN_SHARE_MAX: f64 = 0.125;

impl Family {
    pub(super) const ALL: [Self; 4] = [Self::Even, Self::Uneven, Self::Queued, Self::Near];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Even => "X",
            Self::Uneven => "Xuneven",
            Self::Queued => "Xqueue",
            Self::Near => "Xnear",
        }
    }

    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Even => "drawn by the seed: 8 to 300 ms, ways alike",
            Self::Uneven => "X with ways that differ by up to an eighth of the round trip",
            Self::Queued => "X with a queue that stands on one way at first, goes and comes",
            Self::Near => "drawn by the seed: 0.05 to 2 ms, ways alike",
        }
    }

    /// The world of a seed, upon what does not differ: for how long, and when it is looked at.
    pub(super) fn draw(self, seed: u64, upon: &World) -> World {
        let draw = &mut Draw::new(seed, "timing world", u64::from(self == Self::Near));
        let (shortest_ms, longest_ms) = match self {
            Self::Near => (0.05, 2.0),
            _ => (8.0, 300.0),
        };
        let trip_ms = log_between(draw, shortest_ms, longest_ms);
        let mut way = || Way {
            mean_ms: trip_ms * log_between(draw, 0.02, 0.5),
            shape: Shape::draw(draw),
        };
        let (question, answer) = (way(), way());
        let lost = between(draw, 0.0, 0.1);
        let clock = clock(draw);
        let probes_hz = log_between(draw, 0.5, 10.0);
        let burst = if draw.uniform() < 0.5 { 32 } else { 0 };
        // What not every family has is drawn last, so that the rest is the same.
        let apart_ms = trip_ms * between(draw, -UNEVEN_SHARE_MAX, UNEVEN_SHARE_MAX);
        let apart_ms = if self == Self::Uneven { apart_ms } else { 0.0 };
        let standing = Standing {
            ms: trip_ms * log_between(draw, 0.1, 1.0),
            stands_s: log_between(draw, 5.0, 60.0),
            gone_s: log_between(draw, 20.0, 120.0),
            on_answers: draw.uniform() < 0.5,
        };
        World {
            question_ms: 0.5 * (trip_ms + apart_ms),
            answer_ms: 0.5 * (trip_ms - apart_ms),
            law: Law::Ways {
                question,
                answer,
                standing: Some(standing).filter(|_| self == Self::Queued),
            },
            clock,
            probes_hz,
            lost,
            burst,
            ..upon.clone()
        }
    }
}

fn clock(draw: &mut Draw) -> ClockLaw {
    ClockLaw {
        offset_ns: log_between(draw, 1e6, 1e9),
        crystal_ppb: between(draw, 0.0, 80e3),
        sway_ppb: log_between(draw, 50.0, 3_000.0),
        sway_s: log_between(draw, 200.0, 3_600.0),
        walk_ppb: log_between(draw, 0.1, 15.0),
        sways: if draw.uniform() < 0.5 {
            Sways::Sine
        } else {
            Sways::Switched
        },
    }
}

fn between(draw: &mut Draw, low: f64, high: f64) -> f64 {
    low + (high - low) * draw.uniform()
}

/// Every order of magnitude as likely as the next.
fn log_between(draw: &mut Draw, low: f64, high: f64) -> f64 {
    low * libm::exp(libm::log(high / low) * draw.uniform())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_law_has_the_mean_that_it_states() {
        let shapes = [
            Shape::Exponential,
            Shape::LogNormal { sigma: 1.0 },
            Shape::Gamma { shape: 3.5 },
            Shape::Gamma { shape: 1.0 },
            Shape::Pareto { shape: 4.0 },
            Shape::Weibull { shape: 0.7 },
            Shape::Weibull { shape: 2.0 },
            Shape::TwoQueues {
                share: 0.2,
                times: 10.0,
            },
        ];
        for shape in shapes {
            let mut draw = Draw::new(1, "means", 0);
            let count = 200_000;
            let sum: f64 = (0..count).map(|_| shape.ms(7.0, &mut draw)).sum();
            let mean = sum / f64::from(count);
            assert!((mean - 7.0).abs() < 0.15, "{shape:?}: {mean}");
        }
    }

    #[test]
    fn a_seed_draws_one_world_and_the_next_another_and_families_differ_by_what_they_are() {
        let of = |name: &str, seed| World::named(name).map(|world| world.on(seed).into_owned());
        assert_eq!(of("X", 7), of("X", 7));
        let (even, other) = (of("X", 7), of("X", 8));
        let (even, other) = (even.expect("a name"), other.expect("a name"));
        assert!((even.question_ms - other.question_ms).abs() > 0.0);
        assert!((even.question_ms - even.answer_ms).abs() < 1e-9);
        let uneven = of("Xuneven", 7).expect("a name");
        assert!((uneven.question_ms - uneven.answer_ms).abs() > 0.0);
        assert_eq!((uneven.clock, uneven.law), (even.clock, even.law));
        let queued = of("Xqueue", 7).expect("a name");
        assert_eq!(queued.clock, even.clock);
        assert_ne!(queued.law, even.law);
        for seed in 0..200 {
            let near = of("Xnear", seed).expect("a name");
            let trip_ms = near.question_ms + near.answer_ms;
            assert!((0.05..=2.0).contains(&trip_ms), "{near:?}");
            let far = of("Xuneven", seed).expect("a name");
            let trip_ms = far.question_ms + far.answer_ms;
            assert!((8.0..=300.0).contains(&trip_ms), "{far:?}");
            let apart = (far.question_ms - far.answer_ms).abs() / trip_ms;
            assert!(apart <= UNEVEN_SHARE_MAX, "{far:?}");
        }
    }
}
