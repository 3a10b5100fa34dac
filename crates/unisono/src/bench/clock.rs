//! The cluster's clock in worlds with a known truth, beside its rivals on the same probes
//! (`docs/timing.md`).

use std::ops::Range;

use unisono_core::timing::Fault;
use unisono_sim::timing::{
    Contestant, Regions, Row, Trouble, World, bench_clock, bench_world, judge_regions,
    judge_trouble, mesh_of_five, nearer,
};

use super::figures::Figures;

/// World, window, and what mean and 99th percentile of the error should be at the most (ms); of a
/// holdover, which has an aim for each minute, the mean alone.
const AIMS: [(&str, &str, f64, Option<f64>); 23] = [
    ("WAN", "sustained", 0.05, Some(0.25)),
    ("LAN", "sustained", 0.010, Some(0.050)),
    ("B", "sustained", 0.15, Some(1.0)),
    ("WAN", "2 s", 0.4, Some(1.5)),
    ("I", "2 s", 0.4, Some(1.5)),
    ("LAN", "2 s", 0.05, Some(0.2)),
    // Ten milliseconds of asymmetry: half of it binds everybody.
    ("G", "sustained", 5.3, Some(5.3)),
    ("WAN/", "hold +60 s", 0.05, None),
    ("WAN/", "hold +300 s", 0.25, None),
    ("WAN/", "hold +600 s", 0.5, None),
    ("WANhot/", "hold +60 s", 0.15, None),
    ("WANhot/", "hold +300 s", 0.75, None),
    ("WANhot/", "hold +600 s", 1.5, None),
    ("LAN/", "hold +60 s", 0.02, None),
    ("LAN/", "hold +300 s", 0.1, None),
    ("LAN/", "hold +600 s", 0.2, None),
    ("LANhot/", "hold +60 s", 0.1, None),
    ("LANhot/", "hold +300 s", 0.5, None),
    ("LANhot/", "hold +600 s", 1.0, None),
    ("WAN/", "heal +2 s", 0.5, Some(1.5)),
    ("WANhot/", "heal +2 s", 0.5, Some(1.5)),
    ("LAN/", "heal +2 s", 0.05, Some(0.05)),
    ("LANhot/", "heal +2 s", 0.05, Some(0.05)),
];

/// What share of the likely intervals should hold the truth, in every world.
const LIKELY_MIN: f64 = 0.997;
/// Where the two ways are unequal three sigma alone do not claim to reach the truth.
const UNEQUAL: [&str; 3] = ["G", "Q", "Xuneven"];
/// The worlds in which something is taken away: one that the clock was tuned on, and those drawn by seeds.
const CONTROLLED: [&str; 2] = ["A", "X"];
/// What is taken away, and how many times as far off the clock has to be without it.
const CONTROLS: [(Contestant, &str); 3] = [
    (Contestant::Faulty(Fault::SlopeIgnored), "slope"),
    (Contestant::Faulty(Fault::AnswersIgnored), "answers"),
    (Contestant::Shuffled, "order"),
];
const CONTROL_TIMES_MIN: f64 = 1.5;
/// A region's clock whose link is 20 ms off, where five leaders see it, ms.
const MESH_MS_MAX: f64 = 1.0;
/// A lost leader's successor, and the jump of phase, ms, over a WAN.
const FAILOVER_MS_MAX: f64 = 1_000.0;
const PHASE_MS_MAX: f64 = 0.3;
/// Clusters of nodes take longer than clocks: of so many seeds at the most.
const CLUSTERS_MAX: u64 = 20;

/// Every world on so many seeds from a first.
pub(crate) fn run(seeds: Range<u64>) -> Figures {
    let mut figures = Figures::default();
    let mut worlds = World::all();
    worlds.extend(World::held_out());
    let rows = bench_clock(seeds.clone(), &worlds).rows;
    // Before a clock has heard enough it tells no time: with few seeds a window may have no look.
    for row in rows.iter().filter(|row| row.looks > 0) {
        tell(row, &mut figures);
    }
    for world in World::held_out() {
        differ(world.name, &rows, &mut figures);
    }
    for world in CONTROLLED.into_iter().filter_map(World::named) {
        controls(seeds.clone(), &world, &rows, &mut figures);
    }
    meshes(seeds.clone(), &mut figures);
    leaders(seeds, &mut figures);
    figures
}

fn tell(row: &Row, figures: &mut Figures) {
    let words = [&row.world, &row.who, &row.window];
    // A world with a partition has a stroke behind its name.
    let plain = |word: &String| word.replace('/', "_cut").replace([' ', '+'], "_");
    let name = words.map(plain).join("_");
    let ours = row.who == "unisono";
    let aim = AIMS
        .iter()
        .find(|(world, window, ..)| ours && row.world == *world && row.window == *window);
    let (mean_ms, p99_ms) = (aim.map(|aim| aim.2), aim.and_then(|aim| aim.3));
    figures.within(format!("clock_{name}_mean_ms"), row.mean_ms, mean_ms);
    figures.within(format!("clock_{name}_p99_ms"), row.p99_ms, p99_ms);
    if let Some(hard) = row.hard {
        figures.at_least(format!("clock_{name}_hard_interval_share"), hard, 1.0);
    }
    if let Some(likely) = row.likely {
        let name = format!("clock_{name}_likely_interval_share");
        figures.at_least(name, likely, LIKELY_MIN);
    }
    let judged = row.window == "sustained" && !UNEQUAL.contains(&row.world.as_str());
    if let Some(share) = row.three_sigma.filter(|_| judged) {
        let name = format!("clock_{name}_three_sigma_share");
        figures.at_least(name, share, LIKELY_MIN);
    }
}

/// Of a world that seeds draw: how they differ, which is the worst, and on which share of them each rival is
/// further off.
fn differ(world: &str, rows: &[Row], figures: &mut Figures) {
    let ours = rows
        .iter()
        .find(|row| row.world == world && row.window == "sustained" && row.who == "unisono");
    let Some(seeds) = ours.and_then(|row| row.seeds.as_ref()) else {
        return;
    };
    let name = format!("clock_{world}_unisono_sustained");
    figures.tell(format!("{name}_median_seed_ms"), seeds.median_ms);
    figures.tell(format!("{name}_worst_seed_ms"), seeds.worst_ms);
    figures.tell(format!("{name}_worst_seed"), seeds.worst as f64);
    if let Some((seed, share)) = seeds.least_likely {
        figures.tell(format!("{name}_least_likely_seed_share"), share);
        figures.tell(format!("{name}_least_likely_seed"), seed as f64);
    }
    for (who, share) in nearer(rows, world, "sustained") {
        let who = who.replace(' ', "_");
        figures.tell(format!("clock_{world}_nearer_than_{who}_share"), share);
    }
}

/// What is worse without slope, without one direction, without order.
fn controls(seeds: Range<u64>, world: &World, rows: &[Row], figures: &mut Figures) {
    let sustained = |row: &&Row| row.window == "sustained" && row.world == world.name;
    let ours = rows
        .iter()
        .find(|row| sustained(row) && row.who == "unisono");
    let Some(ours) = ours else {
        return;
    };
    for (who, without) in CONTROLS {
        let found = bench_world(seeds.clone(), world, who);
        for row in found.iter().filter(sustained) {
            let name = format!("clock_{}_without_{without}", world.name);
            let times = row.mean_ms / ours.mean_ms;
            let medians = row.seeds.as_ref().zip(ours.seeds.as_ref());
            match medians.filter(|_| world.drawn.is_some()) {
                // Where each seed draws another world the mean is that of the worst.
                Some((found, ours)) => {
                    figures.tell(format!("{name}_times"), times);
                    let times = found.median_ms / ours.median_ms;
                    figures.at_least(format!("{name}_median_times"), times, CONTROL_TIMES_MIN);
                }
                None => figures.at_least(format!("{name}_times"), times, CONTROL_TIMES_MIN),
            }
        }
    }
}

/// One bad link: in the fit alone, and in nodes that use it.
fn meshes(seeds: Range<u64>, figures: &mut Figures) {
    for (uneven, name) in [(false, "mesh"), (true, "mesh_uneven")] {
        for row in mesh_of_five(seeds.clone(), uneven) {
            let aim = Some(MESH_MS_MAX).filter(|_| !uneven && row.who == "unisono mesh");
            let name = format!("clock_{name}_{}", row.who.replace(' ', "_"));
            figures.tell(format!("{name}_mean_ms"), row.mean_ms);
            figures.within(format!("{name}_max_ms"), row.max_ms, aim);
        }
    }
    let mut behind_ms = Vec::new();
    let (mut looks, mut likely) = (0, 0);
    for seed in few(&seeds) {
        let found = judge_regions(seed, Regions::FIVE);
        looks += found.behind_ms.len() + found.others_ms.len();
        likely += found.likely;
        behind_ms.extend(found.behind_ms);
    }
    let (mean_ms, p99_ms) = (mean(&behind_ms), percentile(&mut behind_ms, 99));
    figures.at_most("clock_mesh_nodes_mean_ms", mean_ms, MESH_MS_MAX);
    figures.at_most("clock_mesh_nodes_p99_ms", p99_ms, MESH_MS_MAX);
    let share = likely as f64 / looks.max(1) as f64;
    figures.at_least("clock_mesh_nodes_likely_interval_share", share, LIKELY_MIN);
}

/// A leader is lost: how long until another leads, and how far from the old time.
fn leaders(seeds: Range<u64>, figures: &mut Figures) {
    let (mut after_ms, mut phase_ms) = (Vec::new(), Vec::new());
    let mut broken = 0;
    for seed in few(&seeds) {
        let found = judge_trouble(seed, Trouble::Crash, None);
        broken += found.violations.len();
        for failover in found.failovers {
            after_ms.push(failover.after_ms);
            phase_ms.push(failover.phase_ns.unsigned_abs() as f64 / 1e6);
        }
    }
    figures.at_most("clock_leader_lost_violations", broken as f64, 0.0);
    if after_ms.is_empty() {
        return;
    }
    let (after, phase) = (
        percentile(&mut after_ms, 100),
        percentile(&mut phase_ms, 100),
    );
    figures.at_most(
        "clock_leader_lost_new_one_after_max_ms",
        after,
        FAILOVER_MS_MAX,
    );
    figures.at_most("clock_leader_lost_phase_max_ms", phase, PHASE_MS_MAX);
}

fn few(seeds: &Range<u64>) -> Range<u64> {
    seeds.start..seeds.end.min(seeds.start.saturating_add(CLUSTERS_MAX))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Sorts; nothing for nothing.
fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or_default()
}
