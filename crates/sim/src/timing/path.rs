//! How long probes are under way.

use super::draw::Draw;
use super::worlds::{Law, World};

/// A path in both directions.
#[derive(Clone, Debug)]
pub(super) struct DelayPath {
    draw: Draw,
    law: Law,
    floors_ms: (f64, f64),
    congested: bool,
    turns_at_s: f64,
    level_ms: f64,
}

impl DelayPath {
    pub(super) fn new(seed: u64, owner: u64, world: &World) -> Self {
        Self {
            draw: Draw::new(seed, "timing path", owner),
            law: world.law,
            floors_ms: (world.question_ms, world.answer_ms),
            congested: false,
            turns_at_s: 0.0,
            level_ms: 0.0,
        }
    }

    /// How long a question and its answer take that are asked at `at_s` (ns each).
    pub(super) fn delays_ns(&mut self, at_s: f64) -> (i64, i64) {
        let (question, answer) = self.queues_ms(at_s);
        let (question_floor, answer_floor) = self.floors_ms;
        (ns(question_floor + question), ns(answer_floor + answer))
    }

    fn queues_ms(&mut self, at_s: f64) -> (f64, f64) {
        match self.law {
            Law::Exponential { question, answer } => (
                question * self.draw.exponential(),
                answer * self.draw.exponential(),
            ),
            Law::LogNormal {
                question,
                answer,
                sigma,
            } => (
                self.log_normal(question, sigma),
                self.log_normal(answer, sigma),
            ),
            Law::Gamma2 { question, answer } => (
                0.5 * question * (self.draw.exponential() + self.draw.exponential()),
                0.5 * answer * (self.draw.exponential() + self.draw.exponential()),
            ),
            Law::Pareto {
                question,
                answer,
                shape,
            } => (self.pareto(question, shape), self.pareto(answer, shape)),
            Law::Congested { queue, standing } => {
                self.turn(at_s, standing);
                let level = if self.congested { self.level_ms } else { 0.0 };
                (
                    level + queue * self.draw.exponential(),
                    queue * self.draw.exponential(),
                )
            }
        }
    }

    fn log_normal(&mut self, mean: f64, sigma: f64) -> f64 {
        libm::exp(libm::log(mean) - 0.5 * sigma * sigma + sigma * self.draw.normal())
    }

    /// Pareto's second law (Lomax): a sharp edge and a heavy tail.
    fn pareto(&mut self, mean: f64, shape: f64) -> f64 {
        let scale = mean * (shape - 1.0);
        scale * (libm::pow(self.draw.uniform(), -1.0 / shape) - 1.0)
    }

    /// Congestion comes for 30 s and goes for 60 s, on average.
    fn turn(&mut self, at_s: f64, standing: f64) {
        while at_s >= self.turns_at_s {
            self.congested = !self.congested;
            let mean_s = if self.congested { 30.0 } else { 60.0 };
            self.turns_at_s += mean_s * self.draw.exponential();
            self.level_ms = standing * (0.5 + self.draw.uniform());
        }
    }
}

fn ns(ms: f64) -> i64 {
    libm::round(ms * 1e6) as i64
}
