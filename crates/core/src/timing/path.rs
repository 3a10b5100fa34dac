//! What is known of one path: its queueing in each direction, how soft its edge is, whether its
//! route has changed.

use alloc::vec::Vec;

use super::envelope::Queues;
use super::limits;

/// One direction.
#[derive(Clone, Debug)]
struct Direction {
    /// Mean queueing, ns.
    queue_ns: f64,
    /// The latest excesses, a ring.
    recent_ns: Vec<f64>,
    next: usize,
    soft_ns: f64,
}

impl Direction {
    fn new(queue_ns: f64) -> Self {
        Self {
            queue_ns,
            recent_ns: Vec::new(),
            next: 0,
            soft_ns: 0.0,
        }
    }

    fn saw(&mut self, excess_ns: f64, share: f64) {
        let excess_ns = excess_ns.max(0.0);
        self.queue_ns += (excess_ns - self.queue_ns) * share;
        self.queue_ns = self.queue_ns.max(limits::QUEUE_NS_MIN);
        if self.recent_ns.len() < limits::SOFT_EDGE_PROBES {
            self.recent_ns.push(excess_ns);
        } else {
            self.recent_ns[self.next] = excess_ns;
            self.next = (self.next + 1) % limits::SOFT_EDGE_PROBES;
        }
    }

    /// The least of the last excesses (ns), and how unlikely it is that chance kept all of them from
    /// the edge for so long (nats).
    fn silence(&self) -> (f64, f64) {
        let count = self.recent_ns.len();
        if count < SHAPE_PROBES {
            return (0.0, 0.0);
        }
        // The ring's latest entry stands before `next`.
        let latest = (0..SHAPE_PROBES).map(|back| (self.next + count - 1 - back) % count);
        let least_ns = latest
            .map(|place| self.recent_ns[place])
            .fold(f64::INFINITY, f64::min);
        (least_ns, SHAPE_PROBES as f64 * least_ns / self.queue_ns)
    }

    /// How far the floor may lie before the apparent edge. At a sharp edge (exponential queueing) the
    /// lowest quarter of the excesses reaches nine times as far as the lowest thirty-second; where it
    /// does not, they thin out towards the edge, and the true floor lies beyond what was ever seen, by
    /// about the spread of the lowest.
    fn judge_softness(&mut self) {
        let count = self.recent_ns.len();
        if count < SHAPE_PROBES {
            return;
        }
        let mut sorted = self.recent_ns.clone();
        sorted.sort_by(f64::total_cmp);
        let low = sorted[count / 32];
        let high = sorted[count / 4];
        // A shelf has its lowest quarter at nine times its lowest thirty-second.
        let exponent = if low > 0.0 && high > low {
            libm::log(9.06) / libm::log(high / low)
        } else {
            1.0
        };
        self.soft_ns = limits::SOFT_EDGE_GAIN * (exponent - 1.0).clamp(0.0, 3.0) * low;
    }

    /// What softness is to be feared: what was judged, and until the shape is known well, that queueing
    /// has no edge at all but thins out evenly (its minimum then falls with the root of the count).
    fn softness_ns(&self) -> f64 {
        let count = self.recent_ns.len().max(1) as f64;
        if count >= limits::SOFT_EDGE_PROBES as f64 {
            return self.soft_ns;
        }
        let feared = limits::SOFT_EDGE_PRIOR * self.queue_ns / libm::sqrt(count);
        self.soft_ns.max(feared)
    }
}

/// A path to one leader.
#[derive(Clone, Debug)]
pub(super) struct Path {
    question: Direction,
    answer: Direction,
    probes: f64,
    until_judged: u32,
}

/// So many excesses show the shape of an edge.
const SHAPE_PROBES: usize = 64;
/// After how many probes the softness is judged again.
const JUDGED_EVERY: u32 = 16;

impl Path {
    pub(super) fn new(question_ns: f64, answer_ns: f64, probes: f64) -> Self {
        Self {
            question: Direction::new(question_ns),
            answer: Direction::new(answer_ns),
            probes,
            until_judged: JUDGED_EVERY,
        }
    }

    /// Queueing as the likelihood takes it: with caution.
    pub(super) fn queues(&self) -> Queues {
        Queues {
            question_ns: limits::CAUTION * self.question.queue_ns,
            answer_ns: limits::CAUTION * self.answer.queue_ns,
        }
    }

    /// Mean queueing as measured, ns: question, answer.
    pub(super) fn measured_ns(&self) -> (f64, f64) {
        (self.question.queue_ns, self.answer.queue_ns)
    }

    /// Takes note of the queueing that a probe saw.
    pub(super) fn saw(&mut self, question_ns: f64, answer_ns: f64) {
        self.probes = (self.probes + 1.0).min(limits::QUEUE_PROBES);
        let share = 1.0 / (self.probes + 2.0).min(limits::QUEUE_PROBES);
        self.question.saw(question_ns, share);
        self.answer.saw(answer_ns, share);
        self.until_judged -= 1;
        if self.until_judged == 0 {
            self.until_judged = JUDGED_EVERY;
            self.question.judge_softness();
            self.answer.judge_softness();
        }
    }

    /// By how much half the floor has grown, if nobody came near the edge in either direction for
    /// longer than chance explains (ns). A single silent direction is a standing queue, or a route
    /// that changed one way only: the floor that is remembered is then the better guess.
    pub(super) fn longer_by_ns(&mut self) -> Option<f64> {
        if self.until_judged != JUDGED_EVERY {
            return None;
        }
        let (question, answer) = (self.question.silence(), self.answer.silence());
        if question.1.min(answer.1) < limits::ROUTE_SILENCE_NATS {
            return None;
        }
        for direction in [&mut self.question, &mut self.answer] {
            direction.recent_ns.clear();
            direction.next = 0;
        }
        Some(question.0.max(answer.0))
    }

    /// One sigma of what the softness of the edges does to their middle, ns.
    pub(super) fn soft_ns(&self) -> f64 {
        0.5 * libm::hypot(self.question.softness_ns(), self.answer.softness_ns())
    }
}
