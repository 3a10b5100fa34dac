//! Every limit and every tuned figure of the timing machine, in one place.
//!
//! `docs/timing.md` says in which worlds they were found, and in which they were judged.

/// How far a machine's clock may run from true time, parts per billion: ten times what a bad crystal
/// does between two frequency corrections of its own. The hard interval widens at twice this rate.
pub const RATE_PPB_MAX: i64 = 100_000;
/// What is assumed of the frequency before anything is known, parts per billion (one sigma).
pub const RATE_PPB_PRIOR: f64 = 60_000.0;
/// How much a frequency that was known changes over a restart or a long silence at the most, parts
/// per billion (one sigma): temperature.
pub const RATE_PPB_RESTART: f64 = 500.0;

/// A round trip longer than this says nothing about a clock, ns.
pub const ROUND_TRIP_NS_MAX: i64 = 10_000_000_000;
/// A leader that thinks longer than this over a probe is not answering it, ns.
pub const HOLD_NS_MAX: i64 = 1_000_000_000;
/// Times beyond this (in the year 2262) overflow what is counted with, ns.
pub const TIME_NS_MAX: u64 = i64::MAX as u64 / 2;
/// What another node's stamp may lie ahead beyond what both clocks may be off, ns: a node stamps above
/// all that it has seen, and so ahead of its own time by as much as others were.
pub const STAMP_SLACK_NS: u64 = 2_000_000;
/// No more than this is granted for what another node says that it may be off, ns: it may lie.
pub const UNSURE_NS_MAX: u64 = 100_000_000;
/// Probes under way at once; the oldest is given up for the next.
pub const PROBES_PENDING_MAX: usize = 64;

/// Edges that are held and refined together, both directions. Beyond 128 the estimate gains a few
/// percent and the cost doubles.
pub const EDGES_MAX: usize = 160;
/// Rounds of refinement per probe while few have come, and afterwards.
pub const REFINEMENTS_EARLY: usize = 2;
/// While so many edges are held, refinement is early.
pub const EDGES_EARLY: usize = 64;
/// How much of a step a refinement takes: whole steps of expectation propagation can swing.
pub const REFINEMENT_SHARE: f64 = 0.7;
/// An edge is held while the wander since then is below this share of the deviation: a held edge is
/// refined as if the clock had run straight.
pub const EDGE_WANDER_SHARE: f64 = 0.5;

/// How much wider than measured the queueing is taken to be. The likelihood is tempered by it: real
/// queues are not exponential at their edge, and a belief that is too sure of itself is fragile.
pub const CAUTION: f64 = 1.5;
/// Queueing beyond so many times its mean is taken to fall off with this power.
pub const TAIL_EXPONENT: f64 = 3.0;
/// How soft an edge is, as a share of the mean queueing.
pub const EDGE_SOFTNESS: f64 = 0.002;
/// Mean queueing in each direction before anything is known, as a share of the first round trip.
pub const QUEUE_SHARE_PRIOR: f64 = 0.2;
/// How many probes the mean queueing looks back.
pub const QUEUE_PROBES: f64 = 200.0;
/// Mean queueing is never taken for less than this, ns: what a timestamp itself wavers.
pub const QUEUE_NS_MIN: f64 = 200.0;
/// Half the floor of the first round trip, as a share of that round trip: mean and one sigma.
pub const FLOOR_SHARE_PRIOR: (f64, f64) = (0.4, 0.1);
/// How much a path's floor wanders, as a share of the first round trip and root second.
pub const FLOOR_WANDER_SHARE: f64 = 1e-6;
/// An edge that is missed by this many sigma is a change of path or clock, and not chance.
pub const SURPRISE_SIGMAS: f64 = 6.0;
/// By how many of its sigmas a floor gives way when an edge contradicts and the floor may be right.
pub const FLOOR_GIVES_SIGMAS: f64 = 10.0;
/// Over how long a frequency is learnt, s, at least and at the most.
pub const LEARNING_S: (f64, f64) = (1.0, 200.0);
/// Both directions have been silent near their edge for so long that chance would do it once in
/// exp of this: the route has become longer.
pub const ROUTE_SILENCE_NATS: f64 = 25.0;
/// What nobody can see in the delays, ns: the wake-up of a process in user space.
pub const ASYMMETRY_NS_MIN: f64 = 150.0;

/// By how much the ways there and back are feared to differ where nobody has stated it, as a share of
/// the shortest round trip: half of that is what a clock may be off unseen. An eighth is 45 ms there and
/// 35 back. No share is right everywhere, since no delay shows it; whoever knows better states it.
pub const ASYMMETRY_SHARE: f64 = 0.125;

/// A floor is remembered for so long, ns: what stands longer is no queue but another path.
pub const FLOOR_REMEMBERED_NS: i64 = 600_000_000_000;

/// How long evidence about the wander counts, s: longer than a turn of the temperature, at whose
/// turning points every clock seems calm.
pub const EVIDENCE_MEMORY_S: f64 = 1_000.0;
/// Hypotheses that are so many nats behind the best are not refined.
pub const EVIDENCE_REFINED: f64 = 15.0;
/// The deviation looks at hypotheses with this power of their weight: one that is merely less
/// likely still counts.
pub const DEVIATION_TEMPER: f64 = 0.15;
/// What is put onto the deviation for the tails, which are heavier than a normal belief's.
pub const DEVIATION_MARGIN: f64 = 1.3;
/// Weight of the belief that the deviation is right, in expected misses.
pub const CALIBRATION_PRIOR: f64 = 1.0;
/// Forgetting of the misses, per probe.
pub const CALIBRATION_MEMORY: f64 = 0.999;
/// The deviation is never widened by more than this.
pub const CALIBRATION_MAX: f64 = 8.0;
/// How much softer than a shelf an edge must be before the deviation speaks of it, and what one
/// unit of it adds (share of the spread of the lowest tenth).
pub const SOFT_EDGE_GAIN: f64 = 1.5;
/// What is feared before the shape of an edge is known, as a share of mean queueing over the root of
/// the count.
pub const SOFT_EDGE_PRIOR: f64 = 0.5;
/// How many excesses per direction the softness is judged by.
pub const SOFT_EDGE_PROBES: usize = 256;

/// So many probes must agree on a jump before it is believed.
pub const JUMP_PROBES: u32 = 3;
/// Notes of the frequency, two a minute.
pub const RATE_NOTES_MAX: usize = 60;
/// How far a clock strays, as a share of how long it is alone times how much its frequency changes in
/// that time: one over root three for a random walk of the frequency.
pub const STRAY_SHARE: f64 = 0.58;
/// Without a probe for so long, a clock is in holdover, ns.
pub const HOLDOVER_AFTER_NS: i64 = 5_000_000_000;
/// Whose told time is further than this from its best guess is not synchronised, whatever the guess is
/// worth, ns: half a second of putting it right.
pub const TOLD_APART_NS_MAX: u64 = 10_000_000;
/// With a deviation beyond this nobody is synchronised, ns.
pub const DEVIATION_NS_MAX: f64 = 50_000_000.0;
/// How much faster or slower than true the cluster's time runs while it is put right, parts per
/// billion: two in a hundred.
pub const SLEW_PPB_MAX: i64 = 20_000_000;
/// In what time an error is put right, ns, where the cap allows.
pub const SLEW_WITHIN_NS: i64 = 100_000_000;
/// By how much two clocks of one machine may part per second before one of them has jumped, and
/// always, ns.
pub const JUMP_PPB: i64 = 1_000_000;
/// The same, at once, ns.
pub const JUMP_NS: i64 = 500_000;

/// Leaders that are weighed against one another at once.
pub const MESH_LEADERS_MAX: usize = 64;
/// Rounds of reweighting; the residuals settle in ten or twenty of each kind.
pub const MESH_ROUNDS: usize = 60;
/// Beyond so many deviations a link is bad, and is taken out rather than bounded, in the last rounds.
pub const MESH_RESIDUAL_BAD: f64 = 4.0;
/// Below so many deviations of residual a link is weighed as in least squares.
pub const MESH_RESIDUAL_MIN: f64 = 1.0;
