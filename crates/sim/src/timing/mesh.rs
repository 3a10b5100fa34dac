//! Five leaders that measure one another, one link of them 20 ms longer one way.

use unisono_core::timing::{Difference, OffsetFilter, reconcile};

use super::draw::Draw;
use super::drive::probes;
use super::local::{LocalClock, cluster_ns};
use super::report::Row;
use super::worlds::World;

/// How far the two ways of an ordinary link differ, one sigma, ms.
const UNEVEN_MS: f64 = 5.0;
/// What a node fears of an even link all the same, ms: a link must not be believed more than it
/// deserves, or a bad one with a small deviation outvotes good ones.
const FEARED_MS: f64 = 1.0;
/// How far the two ways of the bad link differ, ms: its difference is off by half of that.
const BAD_MS: f64 = 40.0;
const LEADERS: usize = 5;

/// The error of each of the four leaders against the first, by the mesh and by the links to the first
/// leader alone. The links are real filters over `world` for a minute; ordinary paths are even, or,
/// where `uneven`, differ by 5 ms (one sigma), which puts 2.5 ms into each difference.
pub fn mesh_of_five(seeds: std::ops::Range<u64>, uneven: bool) -> Vec<Row> {
    let name = if uneven { "mesh, uneven paths" } else { "mesh" };
    let mut mesh_errors = Vec::new();
    let mut star_errors = Vec::new();
    for seed in seeds {
        let differences = links(seed, uneven);
        if let Ok(offsets) = reconcile(LEADERS, &differences) {
            mesh_errors.extend(offsets[1..].iter().map(|one| one.abs() as f64));
        }
        let direct = differences.iter().filter(|one| one.from == 0);
        star_errors.extend(direct.map(|one| one.by_ns.abs() as f64));
    }
    vec![
        Row::of(name, "unisono mesh", "60 s", mesh_errors),
        Row::of(name, "links to the first", "60 s", star_errors),
    ]
}

/// Every leader shows the true time, so that every difference should be nothing.
fn links(seed: u64, uneven: bool) -> Vec<Difference> {
    let mut draw = Draw::new(seed, "timing mesh", 0);
    let bad = (draw.uniform() * (LEADERS - 1) as f64) as usize + 1;
    let mut found = Vec::new();
    for from in 0..LEADERS {
        for to in from + 1..LEADERS {
            // The bad link is one of the first leader's, where it does most harm.
            let is_bad = from == 0 && to == bad;
            let uneven_ms = if uneven {
                UNEVEN_MS * draw.normal()
            } else {
                0.0
            };
            let apart_ms = if is_bad { BAD_MS } else { uneven_ms };
            let owner = (from * LEADERS + to) as u64;
            if let Some((by_ns, deviation_ns)) = measured(seed, owner, apart_ms) {
                let expected = 0.5e6 * if uneven { UNEVEN_MS } else { FEARED_MS };
                found.push(Difference {
                    from,
                    to,
                    by_ns,
                    deviation_ns: deviation_ns.hypot(expected),
                });
            }
        }
    }
    found
}

/// What a filter believes after a minute, minus the truth (ns), and its deviation.
fn measured(seed: u64, owner: u64, apart_ms: f64) -> Option<(i64, f64)> {
    let mut world = World::named("WAN")?;
    world.seconds = 62.0;
    world.question_ms += (0.5 * apart_ms).max(-35.0);
    world.answer_ms -= (0.5 * apart_ms).min(35.0);
    let clock = LocalClock::new(seed, owner, &world.clock, world.seconds);
    let mut filter = OffsetFilter::new();
    for (_, sample) in probes(&world, seed, owner, &clock) {
        let _ = filter.push(&sample.probe);
    }
    let now = 60_000_000_000;
    let local = clock.local_ns(now);
    let estimate = filter.estimate(local)?;
    let truth = cluster_ns(now).cast_signed() - local.cast_signed();
    Some((estimate.offset_ns - truth, estimate.deviation_ns))
}
