//! One world, one seed: everybody sees the same probes and is asked ten times a second.

use unisono_core::timing::{ClusterClock, Fault, Memory, OffsetFilter, Probe, Shift};

use super::draw::Draw;
use super::local::{LocalClock, cluster_ns};
use super::path::DelayPath;
use super::rivals::{self, Rival};
use super::worlds::World;

/// Between two looks at the clocks, ns.
const GRID_NS: i64 = 100_000_000;

/// One probe: four readings, and the two that a rival wants as floats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The probe as the product sees it.
    pub probe: Probe,
    /// Offset (ns, relative to what it is at the beginning) at the most, at least.
    pub most_ns: f64,
    /// See above.
    pub least_ns: f64,
    /// When it left, local seconds since the beginning.
    pub sent_s: f64,
    /// When it came back, local seconds since the beginning.
    pub received_s: f64,
}

impl Sample {
    pub(super) fn offset_ns(&self) -> f64 {
        0.5 * (self.most_ns + self.least_ns)
    }

    pub(super) fn trip_ns(&self) -> f64 {
        self.most_ns - self.least_ns
    }

    pub(super) fn middle_s(&self) -> f64 {
        0.5 * (self.sent_s + self.received_s)
    }
}

/// Who is judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contestant {
    /// The product: `ClusterClock` as a node reads it.
    Unisono,
    /// The product with a fault planted: a negative control.
    Faulty(Fault),
    /// The product, with probes handed over in any order, eight at a time: a negative control.
    Shuffled,
    /// All rivals.
    Rivals,
}

/// What somebody told at one look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Which of those judged.
    pub(crate) who: usize,
    /// When, s.
    pub(crate) at_s: f64,
    /// Told minus true, ns.
    pub(crate) error_ns: f64,
    /// One sigma, ns; NaN for a rival.
    pub(crate) deviation_ns: f64,
    /// Whether the truth lay inside: the hard interval, the likely one, three sigma alone.
    pub(crate) inside: [bool; 3],
}

/// The probes of a world, in the order of their arrival, with the true time of it (ns).
pub(super) fn probes(
    world: &World,
    seed: u64,
    owner: u64,
    clock: &LocalClock,
) -> Vec<(i64, Sample)> {
    probes_from(world, seed, owner, clock, 0)
}

/// The same of a world that begins at a true time (ns).
fn probes_from(
    world: &World,
    seed: u64,
    owner: u64,
    clock: &LocalClock,
    begins_ns: i64,
) -> Vec<(i64, Sample)> {
    let mut path = DelayPath::new(seed, owner, world);
    let start = clock.local_ns(begins_ns);
    let anchor = cluster_ns(begins_ns).cast_signed() - start.cast_signed();
    let mut arrived: Vec<(i64, Sample)> = world
        .schedule()
        .into_iter()
        .filter_map(|sent_s| {
            let sent = begins_ns + (sent_s * 1e9) as i64;
            let (question_ns, answer_ns) = path.delays_ns(sent_s);
            if path.loses() {
                return None;
            }
            let (question_ns, answer_ns) = if world.turned {
                (answer_ns, question_ns)
            } else {
                (question_ns, answer_ns)
            };
            let reached = sent + question_ns;
            let back = reached + answer_ns;
            let (sent_local, back_local) = (clock.local_ns(sent), clock.local_ns(back));
            let remote = cluster_ns(reached);
            let probe = Probe::new(sent_local, remote, remote, back_local).ok()?;
            let bound = |local: u64| (remote.cast_signed() - local.cast_signed() - anchor) as f64;
            let since = |local: u64| (local - start) as f64 / 1e9;
            Some((
                back,
                Sample {
                    probe,
                    most_ns: bound(sent_local),
                    least_ns: bound(back_local),
                    sent_s: since(sent_local),
                    received_s: since(back_local),
                },
            ))
        })
        .collect();
    arrived.sort_by_key(|(at_ns, _)| *at_ns);
    arrived
}

/// Drives one seed; `look` is told what everybody says on the grid. Names come back in their order.
pub(crate) fn drive(
    world: &World,
    seed: u64,
    contestant: Contestant,
    mut look: impl FnMut(Look),
) -> Vec<&'static str> {
    let world = &*world.on(seed);
    let clock = LocalClock::new(seed, 0, &world.clock, world.earlier_s + world.seconds);
    let begins_ns = (world.earlier_s * 1e9) as i64;
    let mut samples = probes_from(world, seed, 0, &clock, begins_ns);
    if contestant == Contestant::Shuffled {
        shuffle(&mut samples, seed);
    }
    let memory = remembered(world, seed, &clock);
    let mut judged: Vec<Judged> = judged(world, contestant, memory);
    let start = clock.local_ns(begins_ns);
    let anchor = cluster_ns(begins_ns).cast_signed() - start.cast_signed();
    let mut arriving = samples.iter().peekable();
    let mut heard = false;
    let mut now = begins_ns;
    while ((now - begins_ns) as f64) < (world.seconds - 1.0) * 1e9 {
        while let Some((_, sample)) = arriving.next_if(|(at_ns, _)| *at_ns <= now) {
            for one in &mut judged {
                one.push(sample);
            }
            heard = true;
        }
        let local = clock.local_ns(now);
        let truth = cluster_ns(now);
        for (who, one) in judged.iter_mut().enumerate().filter(|_| heard) {
            if let Some((error_ns, deviation_ns, inside)) = one.judge(local, truth, start, anchor) {
                look(Look {
                    who,
                    at_s: (now - begins_ns) as f64 / 1e9,
                    error_ns,
                    deviation_ns,
                    inside,
                });
            }
        }
        now += GRID_NS;
    }
    judged.iter().map(Judged::name).collect()
}

/// Hands probes over late and in any order, eight at a time.
fn shuffle(samples: &mut [(i64, Sample)], seed: u64) {
    let mut draw = Draw::new(seed, "timing shuffle", 0);
    for group in samples.chunks_mut(8) {
        let last_ns = group.last().map_or(0, |(at_ns, _)| *at_ns);
        for place in (1..group.len()).rev() {
            let other = (draw.uniform() * (place + 1) as f64) as usize;
            group.swap(place, other);
        }
        for (at_ns, _) in group {
            *at_ns = last_ns;
        }
    }
}

enum Judged {
    Ours(Box<ClusterClock>, &'static str),
    Rival(Box<dyn Rival>),
}

fn judged(world: &World, contestant: Contestant, memory: Memory) -> Vec<Judged> {
    let ours = |fault: Option<Fault>, name: &'static str| {
        // What a filter hands out it takes; one that knows nothing is the worst case.
        let filter = OffsetFilter::remembering(memory).unwrap_or_default();
        let mut clock = ClusterClock::default().with_filter(filter.with_fault(fault));
        clock.set_shift(Shift {
            bound_ns: world.bound_ms.map(|ms| (ms * 1e6) as u64),
            ..Shift::default()
        });
        vec![Judged::Ours(Box::new(clock), name)]
    };
    match contestant {
        Contestant::Unisono => ours(None, "unisono"),
        Contestant::Shuffled => ours(None, "unisono, probes shuffled"),
        Contestant::Faulty(fault) => {
            let name = match fault {
                Fault::SlopeIgnored => "unisono without slope",
                Fault::AnswersIgnored => "unisono without answers",
                Fault::HoldoverFrozen => "unisono, frozen deviation",
                Fault::CertaintyKept => "unisono, kept certainty",
            };
            ours(Some(fault), name)
        }
        Contestant::Rivals => rivals::all().into_iter().map(Judged::Rival).collect(),
    }
}

/// What an earlier process's own filter remembers, where there was one: of the same clock, and of
/// other probes over the same path.
fn remembered(world: &World, seed: u64, clock: &LocalClock) -> Memory {
    let earlier = World {
        seconds: world.earlier_s,
        turned: false,
        ..world.clone()
    };
    let mut filter = OffsetFilter::new();
    for (_, sample) in probes_from(&earlier, seed, 1, clock, 0) {
        let _ = filter.push(&sample.probe);
    }
    filter.memory()
}

impl Judged {
    fn name(&self) -> &'static str {
        match self {
            Self::Ours(_, name) => name,
            Self::Rival(rival) => rival.name(),
        }
    }

    fn push(&mut self, sample: &Sample) {
        match self {
            // A refused probe is a probe less; shuffled ones are meant to be refused.
            Self::Ours(clock, _) => {
                let _ = clock.push(&sample.probe);
            }
            Self::Rival(rival) => rival.push(sample),
        }
    }

    fn judge(
        &mut self,
        local: u64,
        truth: u64,
        start: u64,
        anchor: i64,
    ) -> Option<(f64, f64, [bool; 3])> {
        match self {
            Self::Ours(clock, _) => {
                let reading = clock.now(local)?;
                let error = (reading.estimate_ns.cast_signed() - truth.cast_signed()) as f64;
                let inside = [
                    reading.hard.contains(truth),
                    reading.likely.contains(truth),
                    error.abs() <= 3.0 * reading.deviation_ns,
                ];
                Some((error, reading.deviation_ns, inside))
            }
            Self::Rival(rival) => {
                let since_s = (local - start) as f64 / 1e9;
                let truth = truth.cast_signed() - local.cast_signed() - anchor;
                let error = rival.offset_ns(since_s) - truth as f64;
                Some((error, f64::NAN, [false; 3]))
            }
        }
    }
}
