//! One contest, told step by step: who leads, who is fenced, who waits.

use core::ops::Range;

use unisono_core::election::{
    Candidate, Change, Claim, Class, Contest, Epoch, Rank, Standing, Verdict, Word, limits,
};
use unisono_model::NodeId;

const MS: u64 = 1_000_000;

fn node(name: u8) -> NodeId {
    NodeId([name; 32])
}

fn rank(name: u8) -> Rank {
    Rank {
        unready: false,
        priority: limits::PRIORITY_DEFAULT,
        class: Class::Free,
        deviation_band: 10,
        unsteady_band: 10,
        hops: 1,
        node: node(name),
    }
}

fn candidate(name: u8) -> Candidate {
    Candidate {
        rank: rank(name),
        may_lead: true,
        followers: 0,
    }
}

fn claim(leader: u8, number: u64) -> Claim {
    Claim {
        leader: node(leader),
        epoch: Epoch {
            number,
            node: node(leader),
        },
        rank: rank(leader),
        backup: None,
        followers: 3,
        unseats: None,
        beat: 1,
        age_ms: 0,
    }
}

fn word(name: u8, claim: Option<Claim>) -> Word {
    Word {
        rank: Some(rank(name)),
        claim,
    }
}

/// A contest of node 5 that follows node 1 in epoch 4, at time 0.
fn following() -> Contest {
    let mut contest = Contest::new(node(5), 0, None);
    let said = word(1, Some(claim(1, 4)));
    let change = contest.hear(0, node(1), &said, Verdict::Agrees);
    assert!(matches!(change, Some(Change::Follows(leader, _)) if leader == node(1)));
    contest
}

fn tick(contest: &mut Contest, from_ms: u64, to_ms: u64) -> Vec<(u64, Change)> {
    let own = candidate(5);
    let steps = (from_ms..=to_ms).step_by(20);
    steps
        .filter_map(|ms| contest.tick(ms * MS, own).map(|change| (ms, change)))
        .collect()
}

fn tick_as(contest: &mut Contest, own: Candidate, span_ms: Range<u64>) {
    for ms in span_ms.step_by(20) {
        assert_eq!(contest.tick(ms * MS, own), None);
    }
}

#[test]
fn ranks_are_compared_field_by_field_as_in_ieee_1588() {
    let plain = rank(5);
    let better = [
        Rank {
            priority: 1,
            ..rank(9)
        },
        Rank {
            class: Class::Gps,
            ..rank(9)
        },
        Rank {
            class: Class::Ntp,
            ..rank(9)
        },
        Rank {
            deviation_band: 9,
            ..rank(9)
        },
        Rank {
            unsteady_band: 9,
            ..rank(9)
        },
        Rank { hops: 0, ..rank(9) },
        rank(4),
    ];
    assert!(better.iter().all(|one| *one < plain));
    let unready = Rank {
        unready: true,
        priority: 0,
        ..rank(1)
    };
    assert!(unready > plain, "whoever has no time leads last of all");
    let displaces: Vec<bool> = better.iter().map(|one| one.displaces(&plain)).collect();
    assert_eq!(displaces, [true, true, true, false, false, false, false]);
    assert!(
        Rank {
            deviation_band: 8,
            ..rank(9)
        }
        .displaces(&plain)
    );
}

#[test]
fn a_lost_leader_is_followed_by_its_backup_at_once_and_by_others_in_turn() {
    let mut contest = following();
    let backed = Claim {
        backup: Some(node(5)),
        beat: 2,
        ..claim(1, 4)
    };
    contest.hear(0, node(1), &word(1, Some(backed)), Verdict::Agrees);
    contest.hear(0, node(2), &word(2, Some(backed)), Verdict::Agrees);
    let changes = tick(&mut contest, 0, 1_000);
    let [(ms, Change::Leads(epoch))] = changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!((ms, epoch.number, epoch.node), (420, 5, node(5)));

    let mut contest = following();
    contest.hear(0, node(2), &word(2, Some(claim(1, 4))), Verdict::Agrees);
    let changes = tick(&mut contest, 0, 1_000);
    assert!(matches!(changes[0], (420, Change::Vacant)), "{changes:?}");
    // Node 2 is better; the lost leader is not waited for.
    assert!(
        matches!(changes[1], (570..=590, Change::Leads(_))),
        "{changes:?}"
    );
}

#[test]
fn an_heir_that_was_never_heard_has_its_turn() {
    let mut contest = following();
    let backed = Claim {
        backup: Some(node(3)),
        beat: 2,
        ..claim(1, 4)
    };
    contest.hear(0, node(1), &word(1, Some(backed)), Verdict::Agrees);
    let changes = tick(&mut contest, 0, 1_000);
    assert!(
        matches!(changes[1], (570..=590, Change::Leads(_))),
        "{changes:?}"
    );
}

/// One that still had half a second to go led the cluster, since it was the only candidate before the
/// lost leader's region had chosen another, and everybody's time went with it (leaders, seed 434, liar).
#[test]
fn whoever_is_not_ready_leaves_the_lead_to_an_heir_for_a_while() {
    let not_ready = Candidate {
        rank: Rank {
            unready: true,
            ..rank(5)
        },
        ..candidate(5)
    };
    for (backup, extra_ns) in [
        (None, 0),
        (Some(node(9)), limits::TURN_NS + limits::UNREADY_NS),
    ] {
        let mut contest = Contest::new(node(5), 0, None);
        let known = Claim {
            backup,
            ..claim(1, 4)
        };
        contest.hear(0, node(1), &word(1, Some(known)), Verdict::Agrees);
        let mut ticks = (0..3_000).step_by(20);
        let leads = |change| matches!(change, Some(Change::Leads(_)));
        let led = ticks.find(|ms| leads(contest.tick(ms * MS, not_ready)));
        let lost_ms = limits::LOST_AFTER_NS / MS + 20;
        let due_ms = lost_ms + extra_ns / MS;
        let led = led.expect("nobody else does");
        assert!((due_ms..due_ms + 20).contains(&led), "{led} of {due_ms}");
    }
}

#[test]
fn whoever_may_lead_from_now_on_is_patient_with_the_leader_from_now_on() {
    let mut contest = following();
    let hears = Candidate {
        may_lead: false,
        ..candidate(5)
    };
    for ms in (0..=1_000).step_by(20) {
        assert_eq!(contest.tick(ms * MS, hears), None);
    }
    assert_eq!(tick(&mut contest, 1_020, 1_180), []);
    assert!(!tick(&mut contest, 1_200, 1_600).is_empty());
}

#[test]
fn an_old_epoch_is_fenced_and_a_newer_one_followed() {
    let mut contest = following();
    let old = contest.hear(MS, node(2), &word(2, Some(claim(2, 3))), Verdict::Agrees);
    assert_eq!(old, None);
    assert_eq!(contest.standing(), Standing::Follows(node(1)));
    // The leader itself says that another leads now.
    let new = contest.hear(MS, node(1), &word(1, Some(claim(2, 5))), Verdict::Agrees);
    assert!(matches!(new, Some(Change::Follows(leader, _)) if leader == node(2)));
}

#[test]
fn a_follower_stays_with_a_leader_that_is_there_until_that_one_decides() {
    let mut contest = following();
    let other = word(2, Some(claim(2, 9)));
    assert_eq!(contest.hear(MS, node(2), &other, Verdict::Agrees), None);
    let unseats = Claim {
        rank: Rank {
            priority: 1,
            ..rank(2)
        },
        unseats: Some(claim(1, 4).epoch),
        ..claim(2, 9)
    };
    let change = contest.hear(2 * MS, node(2), &word(2, Some(unseats)), Verdict::Agrees);
    assert!(matches!(change, Some(Change::Follows(leader, _)) if leader == node(2)));
}

/// Three regions; the third took over in a moment of load, was cut off at once for five seconds, and led
/// the whole cluster after the heal: both others had counted the cut as time spent weighing it.
#[test]
fn whoever_was_cut_off_is_weighed_from_the_beginning() {
    let other = word(2, Some(claim(2, 9)));
    let mut follows = following();
    assert_eq!(follows.hear(MS, node(2), &other, Verdict::Unknown), None);
    for ms in (0..5_000).step_by(20) {
        let beats = Claim {
            beat: 2 + ms,
            ..claim(1, 4)
        };
        follows.hear(ms * MS, node(1), &word(1, Some(beats)), Verdict::Agrees);
        assert_eq!(follows.tick(ms * MS, candidate(5)), None);
    }
    let change = follows.hear(5_000 * MS, node(2), &other, Verdict::Unknown);
    assert_eq!(change, None, "its leader is there, and has not decided");

    let mut leads = Contest::new(node(5), 0, None);
    let own = Candidate {
        followers: 9,
        ..candidate(5)
    };
    leads.tick(0, own);
    assert_eq!(leads.hear(MS, node(2), &other, Verdict::Unknown), None);
    tick_as(&mut leads, own, 20..5_000);
    // Passed on by somebody: a leader that is known by hearsay cannot be weighed yet.
    let change = leads.hear(5_000 * MS, node(3), &other, Verdict::Unknown);
    assert_eq!(change, None);
    let change = leads.hear(5_100 * MS, node(2), &other, Verdict::Agrees);
    assert!(matches!(change, Some(Change::Leads(epoch)) if epoch.number == 10));
}

#[test]
fn a_leader_that_slept_leads_no_more() {
    let mut contest = Contest::new(node(5), 0, None);
    let changes = tick(&mut contest, 0, 100);
    assert!(
        matches!(changes[..], [(0, Change::Leads(_))]),
        "{changes:?}"
    );
    assert_eq!(contest.tick(3_000 * MS, candidate(5)), Some(Change::Vacant));
    assert_eq!(contest.claim(3_000 * MS), None);
    let said = word(2, Some(claim(2, 2)));
    let change = contest.hear(3_050 * MS, node(2), &said, Verdict::Agrees);
    assert!(matches!(change, Some(Change::Follows(leader, _)) if leader == node(2)));
}

#[test]
fn of_two_leaders_the_one_with_more_followers_goes_on_under_a_newer_epoch() {
    for (own, wins) in [(9, true), (1, false)] {
        let mut contest = Contest::new(node(5), 0, None);
        let candidate = Candidate {
            followers: own,
            ..candidate(5)
        };
        contest.tick(0, candidate);
        contest.tick(20 * MS, candidate);
        let said = word(2, Some(claim(2, 7)));
        let change = contest.hear(30 * MS, node(2), &said, Verdict::Agrees);
        match change {
            Some(Change::Leads(epoch)) => assert!(wins && epoch.number == 8),
            Some(Change::Follows(leader, _)) => assert!(!wins && leader == node(2)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_leader_that_another_one_never_gives_way_to_yields_in_the_end() {
    let mut contest = Contest::new(node(5), 0, None);
    let own = Candidate {
        followers: 9,
        ..candidate(5)
    };
    contest.tick(0, own);
    contest.tick(20 * MS, own);
    let mut number = 7;
    for ms in (100..1_000).step_by(100) {
        contest.tick(ms * MS, own);
        // Node 2 has found this one to lie, and answers each of its epochs with a newer one.
        let said = word(2, Some(claim(2, number)));
        contest.hear(ms * MS, node(2), &said, Verdict::Agrees);
        number += 2;
    }
    assert_eq!(contest.standing(), Standing::Follows(node(2)));
}

#[test]
fn whoever_unseated_somebody_elsewhere_does_not_beat_the_heavier_part() {
    let mut contest = Contest::new(node(5), 0, None);
    let own = Candidate {
        followers: 9,
        ..candidate(5)
    };
    contest.tick(0, own);
    contest.tick(20 * MS, own);
    // Preferred, and it has unseated the leader of its part of the cluster.
    let said = Claim {
        rank: Rank {
            priority: 1,
            ..rank(2)
        },
        followers: 1,
        unseats: Some(claim(1, 4).epoch),
        ..claim(2, 7)
    };
    let change = contest.hear(30 * MS, node(2), &word(2, Some(said)), Verdict::Agrees);
    assert!(matches!(change, Some(Change::Leads(epoch)) if epoch.number == 8));
}

#[test]
fn a_better_candidate_takes_over_only_after_it_has_been_better_for_a_while() {
    let mut contest = following();
    let own = Candidate {
        rank: Rank {
            class: Class::Gps,
            ..rank(5)
        },
        ..candidate(5)
    };
    let mut led = None;
    for ms in (0..7_000).step_by(20) {
        if ms % 100 == 0 {
            let beats = Claim {
                beat: 2 + ms,
                ..claim(1, 4)
            };
            contest.hear(ms * MS, node(1), &word(1, Some(beats)), Verdict::Agrees);
        }
        if let Some(Change::Leads(_)) = contest.tick(ms * MS, own) {
            led = Some(ms);
        }
    }
    assert_eq!(led, Some(limits::HOLD_NS / MS));
}

#[test]
fn a_liar_is_not_followed_and_its_epochs_fence_nobody() {
    let mut contest = following();
    contest.distrust(node(1), 0);
    assert_eq!(contest.standing(), Standing::Vacant);
    let again = word(1, Some(claim(1, 6)));
    assert_eq!(contest.hear(MS, node(1), &again, Verdict::Agrees), None);
    contest.tick(20 * MS, candidate(5));
    assert_eq!(contest.standing(), Standing::Leads);
    let change = contest.hear(30 * MS, node(1), &again, Verdict::Contradicts);
    assert!(matches!(change, Some(Change::Leads(epoch)) if epoch.number == 7));
}

/// Two that have found each other to lie answered each other's epochs as fast as the network carried
/// them, hundreds a second for a minute (leaders, seed 169, liar).
#[test]
fn two_that_take_each_other_for_a_liar_are_chosen_from_by_those_who_are_here() {
    for (follows, goes_on) in [(None, 5), (Some(5), 5), (Some(6), 6)] {
        let names = [5, 6];
        let mut contests = names.map(|name| Contest::new(node(name), 0, None));
        for (contest, other) in contests.iter_mut().zip([6, 5]) {
            contest.distrust(node(other), 0);
        }
        for ms in 1..10_000 {
            let now_ns = ms * MS;
            for at in [0, 1] {
                contests[at].tick(now_ns, candidate(names[at]));
                let follower = word(7, follows.map(|leader| claim(leader, 0)));
                contests[at].hear(now_ns, node(7), &follower, Verdict::Agrees);
                let said = word(names[at], contests[at].claim(now_ns));
                let (from, verdict) = (node(names[at]), Verdict::Contradicts);
                contests[1 - at].hear(now_ns, from, &said, verdict);
            }
        }
        let standing = contests.each_ref().map(Contest::standing);
        let leads = names.map(|name| name == goes_on);
        assert_eq!(standing.map(|one| one == Standing::Leads), leads);
        let epochs = contests[0].epoch().number;
        assert!(epochs <= 10, "{epochs} epochs in ten seconds");
    }
}

#[test]
fn a_claim_that_is_passed_on_for_ever_keeps_nobody_alive() {
    let mut contest = following();
    for ms in (20..2_000).step_by(20) {
        let age_ms = u32::try_from(ms).expect("two seconds are few ms");
        let passed_on = Claim {
            age_ms,
            ..claim(1, 4)
        };
        contest.hear(ms * MS, node(2), &word(2, Some(passed_on)), Verdict::Agrees);
        contest.tick(ms * MS, candidate(5));
    }
    assert_ne!(contest.standing(), Standing::Follows(node(1)));
}

/// Three that have their news from one another, over ways of which no age tells.
#[test]
fn hearsay_of_a_dead_leader_does_not_go_round() {
    let mut contest = following();
    let mut lost_ms = None;
    for ms in (20..3_000).step_by(20) {
        // As old as the one who says it believes, which is younger than it is.
        let age_ms = u32::try_from(ms.min(300)).expect("few ms");
        let passed_on = Claim {
            age_ms,
            ..claim(1, 4)
        };
        contest.hear(ms * MS, node(2), &word(2, Some(passed_on)), Verdict::Agrees);
        contest.tick(ms * MS, candidate(5));
        if contest.standing() != Standing::Follows(node(1)) {
            lost_ms.get_or_insert(ms);
        }
    }
    // A tick after, or two.
    let after_ms = limits::LOST_AFTER_NS / MS;
    assert!(lost_ms.is_some_and(|ms| ms <= after_ms + 40), "{lost_ms:?}");
    assert_ne!(contest.standing(), Standing::Follows(node(1)));
}

/// A member that claimed the last of all numbers fenced everybody for good, and numbers ceased to
/// rise: the next leader had none above it.
#[test]
fn nobody_counts_to_the_end_of_the_epochs() {
    let mut contest = following();
    for number in [u64::MAX, 5 + limits::EPOCH_AHEAD_MAX] {
        let said = word(1, Some(claim(1, number)));
        let change = contest.hear(MS, node(1), &said, Verdict::Agrees);
        assert!(change.is_none(), "{change:?}");
        assert_eq!(contest.standing(), Standing::Follows(node(1)));
    }
    let said = word(1, Some(claim(1, 5)));
    let change = contest.hear(2 * MS, node(1), &said, Verdict::Agrees);
    assert!(change.is_some(), "the next one is heard");
}
