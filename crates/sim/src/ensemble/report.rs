//! What is counted over many seeds.

use std::ops::Range;

use serde::Serialize;
use unisono_core::ensemble::{Gains, Loop, Pattern, Rule};

use super::clocks::{Clocks, Path};
use super::heard::{Heard, hear};
use super::loops::{coupled, fed_back};
use super::moving::{Moves, follow};
use super::stage::{Music, Noise, Played, Scheme, Setup, play_by};
use super::watched::{Provoked, watch};

/// How far one way of playing was off in one world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which world.
    pub world: String,
    /// What, by whom.
    pub what: String,
    /// How many actions.
    pub actions: u64,
    /// Mean of the absolute error, ms.
    pub mean_ms: f64,
    /// One standard deviation of the error, ms.
    pub sd_ms: f64,
    /// 99th percentile of the absolute error, ms.
    pub p99_ms: f64,
    /// The worst, ms.
    pub worst_ms: f64,
}

/// All that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Table {
    /// Ways of playing.
    pub rows: Vec<Row>,
    /// Everything else: a name that ends with its unit, and the value.
    pub figures: Vec<(String, f64)>,
}

impl Row {
    fn of(world: &str, what: &str, mut errors_ns: Vec<f64>) -> Self {
        let count = errors_ns.len().max(1) as f64;
        let mean = errors_ns.iter().sum::<f64>() / count;
        let squares: f64 = errors_ns
            .iter()
            .map(|one| (one - mean) * (one - mean))
            .sum();
        for one in &mut errors_ns {
            *one = one.abs();
        }
        errors_ns.sort_by(f64::total_cmp);
        let at = |place: usize| errors_ns.get(place).copied().unwrap_or(f64::NAN) / 1e6;
        let last = errors_ns.len().saturating_sub(1);
        Self {
            world: world.into(),
            what: what.into(),
            actions: errors_ns.len() as u64,
            mean_ms: errors_ns.iter().sum::<f64>() / count / 1e6,
            sd_ms: libm::sqrt(squares / count) / 1e6,
            p99_ms: at(last.min(errors_ns.len() * 99 / 100)),
            worst_ms: at(last),
        }
    }
}

/// A way of playing, as the table calls it.
const WAYS: [(&str, Music, Noise, Scheme, Option<Rule>); 13] = [
    ("armed", Music::Steady, Noise::Before, Scheme::Armed, None),
    (
        "armed rubato",
        Music::Rubato,
        Noise::Before,
        Scheme::Armed,
        None,
    ),
    (
        "armed step",
        Music::Step,
        Noise::Before,
        Scheme::Armed,
        None,
    ),
    (
        "reactive",
        Music::Steady,
        Noise::Before,
        Scheme::Reactive,
        None,
    ),
    (
        "armed without lead",
        Music::Steady,
        Noise::Before,
        Scheme::ArmedLate,
        None,
    ),
    (
        "follower",
        Music::Steady,
        Noise::Before,
        Scheme::Follower,
        None,
    ),
    (
        "follower rubato",
        Music::Rubato,
        Noise::Before,
        Scheme::Follower,
        None,
    ),
    (
        "follower step",
        Music::Step,
        Noise::Before,
        Scheme::Follower,
        None,
    ),
    (
        "noise uncorrected",
        Music::Steady,
        Noise::After,
        Scheme::Armed,
        None,
    ),
    (
        "noise seed",
        Music::Steady,
        Noise::After,
        Scheme::Armed,
        Some(Rule::Seed),
    ),
    (
        "noise best",
        Music::Steady,
        Noise::After,
        Scheme::Armed,
        Some(Rule::Best),
    ),
    (
        "noise kalman",
        Music::Steady,
        Noise::After,
        Scheme::Armed,
        Some(Rule::Kalman),
    ),
    (
        "noise kalman rubato",
        Music::Rubato,
        Noise::After,
        Scheme::Armed,
        Some(Rule::Kalman),
    ),
];

/// Every way, on every seed and both paths, and all else.
pub fn bench(seeds: Range<u64>) -> Table {
    let mut table = Table::default();
    for path in Path::ALL {
        stages(&seeds, path, &mut table);
    }
    loops(&seeds, &mut table);
    moving(&seeds, &mut table);
    watches(&seeds, &mut table);
    sources(&seeds, &mut table);
    table
}

fn stages(seeds: &Range<u64>, path: Path, table: &mut Table) {
    let mut all: Vec<Played> = vec![Played::default(); WAYS.len()];
    for seed in seeds.clone() {
        let clocks = Clocks::new(seed, path);
        for ((_, music, noise, scheme, rule), sum) in WAYS.iter().zip(&mut all) {
            let setup = Setup {
                path,
                music: *music,
                noise: *noise,
                scheme: *scheme,
                rule: *rule,
            };
            let played = play_by(seed, setup, &clocks);
            sum.first_ns.extend(played.first_ns);
            sum.settled_ns.extend(played.settled_ns);
            sum.chance_ns.extend(played.chance_ns);
            sum.foretold_ns.extend(played.foretold_ns);
        }
    }
    for ((what, _, noise, ..), played) in WAYS.iter().zip(all) {
        let name = path.name();
        if *what == "armed" {
            table
                .rows
                .push(Row::of(name, "armed first", played.first_ns));
            let window_ns = if path == Path::Lan { 1e6 } else { 5e6 };
            let inside = played
                .foretold_ns
                .iter()
                .filter(|one| one.abs() <= window_ns);
            let share = inside.count() as f64 / played.foretold_ns.len().max(1) as f64;
            table
                .figures
                .push((format!("{name} foretold inside the window share"), share));
        }
        if *noise == Noise::After {
            let chance = mean_abs(&played.chance_ns);
            let over = mean_abs(&played.settled_ns) / chance;
            table
                .figures
                .push((format!("{name} {what} over the floor ratio"), over));
        }
        table.rows.push(Row::of(name, what, played.settled_ns));
    }
    let mean = |what: &str| {
        let row = table
            .rows
            .iter()
            .find(|row| row.world == path.name() && row.what == what);
        row.map_or(f64::NAN, |row| row.mean_ms)
    };
    let ratios = ["rubato", "step"].map(|music| {
        let over = mean(&format!("armed {music}")) / mean("armed");
        (
            format!("{} armed {music} over steady ratio", path.name()),
            over,
        )
    });
    table.figures.extend(ratios);
}

fn mean_abs(values: &[f64]) -> f64 {
    values.iter().map(|one| one.abs()).sum::<f64>() / values.len().max(1) as f64
}

fn loops(seeds: &Range<u64>, table: &mut Table) {
    let mut tell = |name: String, each: &dyn Fn(u64) -> f64| {
        let values: Vec<f64> = seeds.clone().map(each).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        // What diverges has no mean; a figure has to be a number.
        table.figures.push((name, mean.min(1e9)));
    };
    for delay in [0, 1, 2, 3, 5, 6, 8] {
        let around = Loop { players: 1, delay };
        tell(format!("feedback {delay} late bound of the gain"), &|_| {
            around.phase_bound()
        });
        tell(format!("feedback {delay} late best gain"), &|_| {
            around.phase_best()
        });
        let seed_gains = |seed| fed_back(seed, delay, Err(Gains::SEED), None).above_chance;
        tell(
            format!("feedback {delay} late seed over chance ratio"),
            &seed_gains,
        );
        let best = |seed| fed_back(seed, delay, Ok(Rule::Best), None).above_chance;
        tell(
            format!("feedback {delay} late best over chance ratio"),
            &best,
        );
        let kalman = |seed| fed_back(seed, delay, Ok(Rule::Kalman), None).above_chance;
        tell(
            format!("feedback {delay} late kalman over chance ratio"),
            &kalman,
        );
    }
    for players in [2, 4, 7, 8, 16, 50] {
        let quarter = |seed| coupled(seed, players, Some(0.25), None).above_chance;
        tell(
            format!("{players} players seed over chance ratio"),
            &quarter,
        );
        let ours = |seed| coupled(seed, players, None, None).above_chance;
        tell(format!("{players} players best over chance ratio"), &ours);
    }
}

fn moving(seeds: &Range<u64>, table: &mut Table) {
    let rules = [
        ("kalman", Rule::Kalman, true),
        ("kalman fixed", Rule::Kalman, false),
        ("best", Rule::Best, true),
        ("best fixed", Rule::Best, false),
        ("seed", Rule::Seed, true),
        ("seed fixed", Rule::Seed, false),
    ];
    for (moves_name, moves) in Moves::ALL {
        for (rule_name, rule, adaptive) in rules {
            let followed = seeds.clone();
            let followed = followed.map(|seed| follow(seed, moves, 0, (rule, adaptive), None));
            let (mut first, mut after, mut count) = (0.0, 0.0, 0.0);
            for one in followed {
                (first, after, count) = (first + one.first, after + one.after, count + 1.0);
            }
            for (span, sum) in [("first twenty", first), ("settled", after)] {
                let name = format!("{moves_name} {rule_name} {span} over chance ratio");
                table.figures.push((name, sum / f64::max(count, 1.0)));
            }
        }
    }
}

fn watches(seeds: &Range<u64>, table: &mut Table) {
    let provoked = [
        ("rushing 1 sigma", Provoked::Rushing(1.0)),
        ("dragging 1 sigma", Provoked::Dragging(1.0)),
        ("dragging 2 sigma", Provoked::Dragging(2.0)),
        ("drift 0.1 sigma a beat", Provoked::Drift(0.1)),
        ("split 2 sigma", Provoked::Split(2.0)),
        ("split 3 sigma", Provoked::Split(3.0)),
    ];
    for (name, provoked) in provoked {
        let watched: Vec<_> = seeds.clone().map(|seed| watch(seed, provoked)).collect();
        let found = watched.iter().filter_map(|one| one.found_after);
        let mut after: Vec<f64> = found.map(|beats| beats as f64).collect();
        let blamed: usize = watched.iter().map(|one| one.blamed).sum();
        table.figures.push((
            format!("{name} others blamed a seed"),
            blamed as f64 / watched.len().max(1) as f64,
        ));
        after.sort_by(f64::total_cmp);
        let share = after.len() as f64 / (seeds.end - seeds.start).max(1) as f64;
        table.figures.push((format!("{name} found share"), share));
        let at = |share: usize| {
            after
                .get(after.len().saturating_sub(1) * share / 100)
                .copied()
        };
        for (word, share) in [("median", 50), ("worst", 100)] {
            table.figures.push((
                format!("{name} found after {word} beats"),
                at(share).unwrap_or(1e9),
            ));
        }
    }
    let mut looks = [0, 0, 0];
    let mut alarms = [0, 0, 0];
    for seed in seeds.clone() {
        let calm = watch(seed, Provoked::Nothing);
        for kind in 0..3 {
            looks[kind] += calm.looks[kind];
            alarms[kind] += calm.false_alarms[kind];
        }
    }
    for (kind, name) in ["players", "drift", "split"].into_iter().enumerate() {
        let rate = alarms[kind] as f64 / looks[kind].max(1) as f64;
        table.figures.push((
            format!("false alarms of {name} a million looks"),
            rate * 1e6,
        ));
    }
}

fn sources(seeds: &Range<u64>, table: &mut Table) {
    let mut all = Heard::default();
    for (name, pattern) in [
        ("periodic", Pattern::Periodic),
        ("alternating", Pattern::Alternating),
        ("bursty", Pattern::Bursty),
    ] {
        let mut heard = Heard::default();
        for seed in seeds.clone() {
            heard.add(&hear(seed, pattern));
        }
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let mut tell = |what: &str, value: f64| {
            table.figures.push((format!("{name} {what} share"), value));
        };
        tell("sure", share(heard.sure, heard.all));
        tell("sure and right", share(heard.sure_right, heard.sure));
        tell("recognised", share(heard.recognised, heard.all));
        all.add(&heard);
    }
    let calibrated = Heard::miscalibration(&all.bins);
    let raw = Heard::miscalibration(&all.raw);
    table
        .figures
        .push(("confidence off from truth share".into(), calibrated));
    table.figures.push((
        "confidence off from truth before calibration share".into(),
        raw,
    ));
    for (index, (count, right, said)) in all.bins.iter().enumerate().filter(|(_, bin)| bin.0 > 200)
    {
        let off = (*right as f64 - said) / *count as f64;
        table.figures.push((
            format!("confidence {}0 to {}0 percent off share", index, index + 1),
            off,
        ));
    }
}
