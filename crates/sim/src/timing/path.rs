//! How long probes are under way.

use super::draw::Draw;
use super::drawn::{Shape, Standing};
use super::worlds::{Law, World};

/// A path in both directions.
#[derive(Clone, Debug)]
pub(super) struct DelayPath {
    draw: Draw,
    law: Law,
    floors_ms: (f64, f64),
    lost: f64,
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
            lost: world.lost,
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

    /// Whether the probe that was asked about last is lost on its way.
    pub(super) fn loses(&mut self) -> bool {
        // Where nothing is lost nothing is drawn: what others draw stays what it was.
        self.lost > 0.0 && self.draw.uniform() < self.lost
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
            Law::Ways {
                question,
                answer,
                standing,
            } => {
                let (there, back) = (question.ms(&mut self.draw), answer.ms(&mut self.draw));
                let (more_there, more_back) = self.stands(at_s, standing);
                (there + more_there, back + more_back)
            }
            Law::Congested { queue, standing } => {
                self.turn(at_s, (30.0, 60.0), standing);
                let level = if self.congested { self.level_ms } else { 0.0 };
                (
                    level + queue * self.draw.exponential(),
                    queue * self.draw.exponential(),
                )
            }
        }
    }

    fn log_normal(&mut self, mean: f64, sigma: f64) -> f64 {
        Shape::LogNormal { sigma }.ms(mean, &mut self.draw)
    }

    fn pareto(&mut self, mean: f64, shape: f64) -> f64 {
        Shape::Pareto { shape }.ms(mean, &mut self.draw)
    }

    /// What stands in either way.
    fn stands(&mut self, at_s: f64, standing: Option<Standing>) -> (f64, f64) {
        let Some(standing) = standing else {
            return (0.0, 0.0);
        };
        self.turn(at_s, (standing.stands_s, standing.gone_s), standing.ms);
        match (self.congested, standing.on_answers) {
            (false, _) => (0.0, 0.0),
            (true, false) => (self.level_ms, 0.0),
            (true, true) => (0.0, self.level_ms),
        }
    }

    /// Congestion comes and goes, each for so long (s) on average; in the beginning it is there.
    fn turn(&mut self, at_s: f64, (comes_s, goes_s): (f64, f64), standing: f64) {
        while at_s >= self.turns_at_s {
            self.congested = !self.congested;
            let mean_s = if self.congested { comes_s } else { goes_s };
            self.turns_at_s += mean_s * self.draw.exponential();
            self.level_ms = standing * (0.5 + self.draw.uniform());
        }
    }
}

fn ns(ms: f64) -> i64 {
    libm::round(ms * 1e6) as i64
}
