//! The clock in worlds with a known truth: bounds with a margin over what was measured, and the
//! planted faults that they find.

use unisono_core::timing::Fault;
use unisono_sim::timing::{Contestant, Row, World, bench_world, mesh_of_five};

const SEEDS: std::ops::Range<u64> = 500..510;

fn rows(world: &str, who: Contestant) -> Vec<Row> {
    bench_world(SEEDS, &World::named(world).unwrap(), who)
}

fn row(rows: &[Row], window: &str) -> Row {
    rows.iter()
        .find(|row| row.window == window)
        .unwrap()
        .clone()
}

/// What is asked of ten seeds of a world: mean and 99th percentile of the error (ms).
fn holds(row: &Row, mean_ms: f64, p99_ms: f64) -> bool {
    row.mean_ms < mean_ms && row.p99_ms < p99_ms
}

fn covers(row: &Row) -> bool {
    row.hard == Some(1.0) && row.likely.is_some_and(|share| share >= 0.99)
}

#[test]
fn world_a_is_told_to_a_tenth_of_a_millisecond() {
    let ours = row(&rows("A", Contestant::Unisono), "sustained");
    assert!(holds(&ours, 0.12, 0.7) && covers(&ours), "{ours:?}");
    let rivals = rows("A", Contestant::Rivals);
    for rival in rivals.iter().filter(|row| row.window == "sustained") {
        assert!(rival.mean_ms > 2.0 * ours.mean_ms, "{rival:?}");
    }
}

/// The daemons that are compared with do work: they find the time and keep it.
#[cfg(feature = "rivals")]
#[test]
fn ntpd_rs_and_statime_find_the_time() {
    let rivals = rows("A", Contestant::Rivals);
    for name in ["ntpd-rs", "statime"] {
        let own = rivals.iter().filter(|row| row.who == name).cloned();
        let own: Vec<Row> = own.collect();
        assert!(row(&own, "sustained").mean_ms < 2.0, "{own:?}");
        assert!(row(&own, "last 10 s").p99_ms < 5.0, "{own:?}");
    }
}

#[test]
fn a_lan_is_told_to_a_microsecond() {
    let rows = rows("LAN", Contestant::Unisono);
    assert!(holds(&row(&rows, "2 s"), 0.01, 0.03), "{rows:?}");
    assert!(holds(&row(&rows, "sustained"), 0.001, 0.004), "{rows:?}");
}

#[test]
fn controls_without_slope_answers_or_order_are_found_by_the_same_bounds() {
    for who in [
        Contestant::Faulty(Fault::SlopeIgnored),
        Contestant::Faulty(Fault::AnswersIgnored),
        Contestant::Shuffled,
    ] {
        let found = row(&rows("A", who), "sustained");
        assert!(!holds(&found, 0.12, 0.7), "{found:?}");
    }
}

#[test]
fn a_partition_of_ten_minutes_is_bridged_honestly() {
    let ours = rows("LAN/", Contestant::Unisono);
    let after = row(&ours, "hold +600 s");
    assert!(holds(&after, 0.4, 0.6) && covers(&after), "{after:?}");
    assert!(holds(&row(&ours, "heal +2 s"), 0.05, 0.05), "{ours:?}");
    let frozen = rows("LAN/", Contestant::Faulty(Fault::HoldoverFrozen));
    let found = row(&frozen, "hold +600 s");
    assert!(!covers(&found), "{found:?}");
}

#[test]
fn asymmetry_that_is_told_is_inside_the_interval() {
    let found = row(&rows("G", Contestant::Unisono), "sustained");
    assert!(covers(&found) && holds(&found, 5.3, 6.0), "{found:?}");
}

#[test]
fn five_leaders_see_through_a_link_that_is_twenty_ms_off() {
    let rows = mesh_of_five(500..504, false);
    assert!(holds(&rows[0], 0.5, 1.0), "{rows:?}");
    assert!(rows[1].max_ms > 19.0, "{rows:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let world = World::named("L").unwrap();
    let run = || bench_world(3..4, &world, Contestant::Unisono);
    assert_eq!(run(), run());
}
