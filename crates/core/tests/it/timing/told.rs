//! The time that is told: it never falls, and it is put right by two in a hundred.

use proptest::prelude::*;
use unisono_core::timing::{ClusterClock, Jump, Memory, Shift, Sync, Upstream, Witness};

use super::{MS, Machine, SECOND, cluster_ns, rates, regular, synced, trips};

proptest! {
    #[test]
    fn it_never_falls_and_slews_within_two_percent(
        rate_ppb in rates(),
        trips in trips(),
        reads in prop::collection::vec(0_u64..2_000 * MS, 1..8),
    ) {
        let machine = Machine::new(rate_ppb);
        let mut clock = ClusterClock::default();
        let mut at_ns = 0;
        let mut last: Option<(u64, u64)> = None;
        for (gap_ns, question_ns, answer_ns) in trips {
            at_ns += gap_ns + question_ns + answer_ns;
            let sent_ns = at_ns - question_ns - answer_ns;
            // Nothing here jumps, so nothing is refused and nothing leaps.
            prop_assert!(clock.push(&machine.probe(sent_ns, question_ns, answer_ns)).is_ok());
            let mut read_ns: Vec<u64> = reads.iter().map(|ns| at_ns + ns % gap_ns).collect();
            read_ns.sort_unstable();
            at_ns = read_ns.last().copied().unwrap_or(at_ns);
            for read_ns in read_ns {
                let local_ns = machine.local_ns(read_ns);
                let Some(reading) = clock.now(local_ns) else { continue };
                if let Some((local_before, before)) = last {
                    let elapsed = i128::from(local_ns - local_before);
                    let told = i128::from(reading.estimate_ns) - i128::from(before);
                    prop_assert!(told >= 0, "fell by {told}");
                    let away = (told - elapsed).abs();
                    prop_assert!(away <= elapsed / 50 + 4, "{away} of {elapsed}");
                }
                last = Some((local_ns, reading.estimate_ns));
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_at_will_does_not_make_it_fall(
        jumps in prop::collection::vec(-20_000_000_000_i64..20_000_000_000, 1..12),
        noticed in any::<bool>(),
    ) {
        let mut machine = Machine::new(10_000);
        let mut clock = ClusterClock::default();
        let mut witness = Witness::default();
        let mut before = 0;
        let mut number = 0;
        for jumped_ns in jumps {
            machine.jumped_ns += jumped_ns.max(-5_000 * SECOND.cast_signed() - machine.jumped_ns);
            for _ in 0..10 {
                let at_ns = number * 200 * MS + 100 * MS;
                let local_ns = machine.local_ns(at_ns);
                if let Some(jump) = witness.read(local_ns, at_ns).filter(|_| noticed) {
                    clock.noticed(jump);
                }
                // Refused or taken: what is told may not fall.
                let _ = clock.push(&regular(&machine, number));
                if let Some(reading) = clock.now(local_ns) {
                    prop_assert!(reading.estimate_ns >= before);
                    prop_assert!(reading.likely.contains(reading.estimate_ns));
                    prop_assert!(reading.hard.contains(reading.estimate_ns));
                    before = reading.estimate_ns;
                }
                number += 1;
            }
        }
    }
}

#[test]
fn a_jump_that_is_noticed_is_not_told() {
    let mut machine = Machine::new(0);
    let mut witness = Witness::default();
    let filter = synced(&machine, 600);
    let mut clock = ClusterClock::default().with_filter(filter);
    clock.push(&regular(&machine, 600)).expect("taken");
    let at_ns = 121 * SECOND;
    assert_eq!(witness.read(machine.local_ns(at_ns), at_ns), None);
    machine.jumped_ns = 10 * SECOND.cast_signed();
    let later_ns = at_ns + SECOND;
    let local_ns = machine.local_ns(later_ns);
    let jump = witness
        .read(local_ns, later_ns)
        .expect("ten seconds in one");
    assert_eq!(
        jump,
        Jump {
            ahead_ns: 10 * SECOND.cast_signed()
        }
    );
    clock.noticed(jump);
    let reading = clock.now(local_ns).expect("synced");
    let error_ns = reading.estimate_ns.abs_diff(cluster_ns(later_ns));
    assert!(error_ns < MS, "{error_ns} ns off");
    assert!(reading.hard.contains(cluster_ns(later_ns)), "{reading:?}");
    for number in 611..640 {
        clock
            .push(&regular(&machine, number))
            .expect("what is doubted contradicts nothing");
    }
    let local_ns = machine.local_ns(129 * SECOND);
    let reading = clock.now(local_ns).expect("synced");
    let error_ns = reading.estimate_ns.abs_diff(cluster_ns(129 * SECOND));
    assert!(error_ns < 2 * MS, "{error_ns} ns off");
    assert_eq!(reading.sync, Sync::Synchronised);
}

#[test]
fn a_new_leader_continues_the_time_that_it_told() {
    let machine = Machine::new(40_000);
    let mut clock = ClusterClock::following(1, Memory::default()).expect("nothing to remember");
    assert_eq!(clock.now(machine.local_ns(0)), None);
    assert!(
        !clock.lead(2, machine.local_ns(0)),
        "nobody leads with a time that was never heard"
    );
    for number in 0..600 {
        clock.push(&regular(&machine, number)).expect("taken");
    }
    let local_ns = machine.local_ns(121 * SECOND);
    let before = clock.now(local_ns).expect("synced");
    assert!(!clock.lead(1, local_ns), "an epoch leads once");
    assert!(clock.lead(2, local_ns));
    let after = clock.now(local_ns).expect("leading");
    assert_eq!((before.estimate_ns, after.epoch), (after.estimate_ns, 2));
    let later = clock.now(machine.local_ns(181 * SECOND)).expect("leading");
    let error_ns = later.estimate_ns.abs_diff(cluster_ns(181 * SECOND));
    assert!(error_ns < MS / 2, "{error_ns} ns off a minute later");
    assert!(clock.follow(3, Memory::default()) && !clock.follow(3, Memory::default()));
    let resigned = clock.now(machine.local_ns(182 * SECOND)).expect("it led");
    assert_eq!(resigned.sync, Sync::FreeRunning);
    assert!(resigned.hard.contains(cluster_ns(182 * SECOND)));
}

#[test]
fn a_change_of_leader_is_no_gap_and_no_step() {
    let machine = Machine::new(40_000);
    let mut clock = ClusterClock::default().with_filter(synced(&machine, 600));
    clock.push(&regular(&machine, 600)).expect("taken");
    assert!(clock.follow(1, Memory::default()));
    let mut before = 0;
    for number in 620..700 {
        let at_ns = number * 200 * MS + 150 * MS;
        let reading = clock
            .now(machine.local_ns(at_ns))
            .expect("nobody forgets the time");
        let error_ns = reading.estimate_ns.abs_diff(cluster_ns(at_ns));
        assert!(error_ns < 10 * MS, "{error_ns} ns off at {number}");
        assert!(reading.estimate_ns >= before && reading.hard.contains(cluster_ns(at_ns)));
        before = reading.estimate_ns;
        // The new leader's path is twice as long.
        let (question, answer) = (80 + number * 7 % 20, 80 + number * 13 % 20);
        let probe = machine.probe(number * 200 * MS, question * MS, answer * MS);
        clock.push(&probe).expect("taken");
    }
}

#[test]
fn what_the_leader_does_not_know_its_followers_do_not() {
    let machine = Machine::new(0);
    let mut clock = ClusterClock::default().with_filter(synced(&machine, 600));
    clock.push(&regular(&machine, 600)).expect("taken");
    let local_ns = machine.local_ns(121 * SECOND);
    let before = clock.now(local_ns).expect("synced");
    clock.set_upstream(9e6);
    clock.set_upstream(f64::NAN);
    let after = clock.now(local_ns).expect("synced");
    assert!(after.deviation_ns >= 9e6);
    assert!(after.likely.earliest_ns < before.likely.earliest_ns);
    let knew = Upstream {
        hard_ns: 50 * MS,
        deviation_ns: 0.0,
    };
    let filter = synced(&machine, 600);
    assert!(clock.follow_known(1, filter, Shift::default(), knew));
    let over = clock.now(local_ns).expect("synced");
    assert!(over.hard.latest_ns >= before.hard.latest_ns + 50 * MS);
}

/// Its upstream's guess wanders, and becomes surer: an answer of then proves no more than it did then.
#[test]
fn what_a_guessing_leader_becomes_sure_of_makes_its_earlier_answers_no_surer() {
    let mut machine = Machine::new(0);
    let mut clock = ClusterClock::default();
    for number in 0..40 {
        // By the follower's clock: the leader's guess is 3 ms behind first, and right in the end.
        machine.jumped_ns = if number < 20 { 3 * MS.cast_signed() } else { 0 };
        let sure_ns = if number < 20 { 4 * MS } else { MS / 10 };
        let probe = machine.probe(number * 200 * MS, MS / 5, MS / 5);
        clock.push(&probe.unsure_by(sure_ns)).expect("taken");
        machine.jumped_ns = 0;
        let at_ns = number * 200 * MS + MS;
        if let Some(reading) = clock.now(machine.local_ns(at_ns)) {
            assert!(reading.hard.contains(cluster_ns(at_ns)), "{reading:?}");
        }
    }
}

#[test]
fn a_probe_that_is_handed_over_late_moves_nothing_ahead() {
    let machine = Machine::new(0);
    let mut clock = ClusterClock::default();
    for number in 0..600 {
        let at_ns = number * 200 * MS + 500 * MS;
        let reading = clock.now(machine.local_ns(at_ns));
        if let Some(reading) = reading.filter(|_| number > 300) {
            let error_ns = reading.estimate_ns.abs_diff(cluster_ns(at_ns));
            assert!(error_ns < MS, "{error_ns} ns off at {number}");
        }
        // It arrived 400 ms before the reading above.
        clock.push(&regular(&machine, number)).expect("taken");
    }
}

/// A founder that starts again with a wall clock of its own, and finds the others.
#[test]
fn a_time_that_is_far_from_the_best_guess_is_not_called_synchronised() {
    let machine = Machine::new(0);
    let ahead_ns = cluster_ns(SECOND);
    let mut clock = ClusterClock::founding(1, machine.local_ns(0), ahead_ns);
    assert!(clock.follow(2, Memory::default()));
    for number in 0..40 {
        clock.push(&regular(&machine, number)).expect("taken");
    }
    let reading = clock.now(machine.local_ns(8 * SECOND)).expect("it led");
    let off_ns = reading.estimate_ns - cluster_ns(8 * SECOND);
    assert!(off_ns > SECOND / 2, "nothing leaps back: {off_ns}");
    assert_eq!(reading.sync, Sync::FreeRunning);
    assert!(reading.reach_ns() >= off_ns, "{reading:?}");
}

/// The ways there and back differ by ten of eighty ms: no delay shows it, three sigma miss the truth, and
/// what is feared of every way holds it. Whoever states that they are equal takes that away, and whoever
/// states more gets more.
#[test]
fn what_unequal_ways_may_hide_is_in_the_likely_interval() {
    let machine = Machine::new(20_000);
    let mut clock = ClusterClock::default();
    for number in 0..1_000 {
        let (question, answer) = (number * 7 % 20, number * 13 % 20);
        let at_ns = number * 200 * MS;
        let probe = machine.probe(at_ns, (45 + question) * MS, (35 + answer) * MS);
        clock.push(&probe).expect("a probe like any other");
    }
    let at_ns = 200 * SECOND;
    let mut reading = |bound_ns| {
        clock.set_shift(Shift {
            bound_ns,
            ..Shift::default()
        });
        clock.now(machine.local_ns(at_ns)).expect("synced")
    };
    let truth = cluster_ns(at_ns);
    let (feared, equal, stated) = (reading(None), reading(Some(0)), reading(Some(40 * MS)));
    let error_ns = feared.estimate_ns.abs_diff(truth) as f64;
    assert!(error_ns > 3.0 * feared.deviation_ns, "{feared:?}");
    assert!(feared.likely.contains(truth), "{feared:?}");
    assert!(!equal.likely.contains(truth), "{equal:?}");
    assert!(stated.reach_ns() > feared.reach_ns() + 10 * MS);
    assert!(stated.likely.contains(truth));
}
