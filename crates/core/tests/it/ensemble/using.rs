//! What agents use of what is allotted to them: shown as it is told, and told of who stays beyond what it may.

use proptest::prelude::*;
use unisono_core::ensemble::{Cause, Recovery, usage};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{BriefPart, FailureKind, PlayersView};
use unisono_model::{Action, AgentId, Resource, Setting, Stamp, Used};

use super::judging::{beat_ms, played, reading};
use crate::folds::{claim_rules, fact, folded};

/// A word of an agent on what a beat used, of a hundred.
fn used(agent: u8, beat: u64, resource: Resource, used: u64) -> Fact {
    let number = 50_000 + beat * 100 + u64::from(agent) * 10 + resource as u64;
    let word = Used {
        resource,
        until_ns: beat_ms(beat) * 1_000_000,
        actions: 1,
        used,
        allotted: 100,
    };
    let told_ms = beat_ms(beat) + 50 + u64::from(agent);
    fact(number, agent, told_ms, Action::Used(word))
}

/// What agent 3 uses, beat after beat, and what is said after so many.
fn view(used_of: &[u64], more: &[Fact]) -> PlayersView {
    let each = (0_u64..).zip(used_of);
    let told: Vec<Fact> = each
        .map(|(beat, share)| used(3, beat, Resource::CpuMs, *share))
        .collect();
    let silent = played(0, |_, _| 0);
    let folds = folded(silent.iter().chain(&told).chain(more));
    reading(&folds, used_of.len() as u64, &Horizon::default()).ensemble()
}

fn may_use_more(ppm: u64) -> Fact {
    let set = vec![(Setting::VaryResourcesPpm, ppm)];
    fact(90, 1, 50_000, Action::Settings(set))
}

/// After how many words it is told first.
fn first(used_of: &[u64], more: &[Fact]) -> Option<usize> {
    let told = |words: &usize| !view(&used_of[..*words], more).findings.is_empty();
    (1..=used_of.len()).find(told)
}

#[test]
fn who_stays_beyond_what_it_may_use_is_told_and_who_may_or_did_so_once_is_not() {
    // A tenth more than is allotted: that is too much where nothing may vary.
    let tenth = [110; 40];
    let beyond = first(&tenth, &[]).expect("it is found");
    assert!((12..=14).contains(&beyond), "{beyond}");
    assert_eq!(first(&tenth, &[may_use_more(200_000)]), None);
    assert_eq!(first(&tenth, &[may_use_more(100_000)]), None, "that is it");
    assert!(first(&tenth, &[may_use_more(50_000)]).is_some());
    // Less harms nobody, and neither does one stretch that needs ten times as much, nor do four.
    assert_eq!(first(&[20; 60], &[]), None);
    let mut few = [90; 60];
    few[20..24].fill(1_000);
    assert_eq!(first(&few, &[]), None);
    few[24] = 1_000;
    assert_eq!(first(&few, &[]), Some(25));
}

#[test]
fn it_is_told_with_its_cause_and_its_cure_and_is_over_some_words_after_it_was() {
    let mut shares = vec![100_u64; 20];
    shares.extend([250; 20]);
    let told = view(&shares, &[may_use_more(200_000)]);
    let [found] = &told.findings[..] else {
        panic!("one thing: {:?}", told.findings)
    };
    assert_eq!(found.kind, FailureKind::Overuse);
    assert_eq!(found.agents, vec![(AgentId([3; 32]), "a3".into())]);
    assert_eq!(
        (found.cause, found.recovery),
        (Cause::Resources, Recovery::Relieve)
    );
    assert_eq!(found.since_ns, beat_ms(20) * 1_000_000);
    let over = found.overuse.expect("of what");
    assert_eq!((over.resource, over.share), (Resource::CpuMs, 2.5));
    assert!((over.most - 1.2).abs() < 1e-9);
    let [usage] = &told.usage[..] else {
        panic!("one resource: {:?}", told.usage)
    };
    let figures = (usage.usage.used, usage.usage.allotted, usage.usage.actions);
    assert_eq!(figures, (20 * 100 + 20 * 250, 4_000, 40));
    // Its brief says so, and nobody else's.
    let facts: Vec<Fact> = (0_u64..)
        .zip(&shares)
        .map(|(beat, share)| used(3, beat, Resource::CpuMs, *share))
        .collect();
    let silent = played(0, |_, _| 0);
    let folds = folded(silent.iter().chain(&facts));
    let horizon = Horizon::default();
    for (agent, told) in [("a3", true), ("a4", false)] {
        let brief = reading(&folds, 40, &horizon).gather(agent, None);
        let mut lines = brief.lines.iter();
        let said = lines.any(|line| {
            line.part == BriefPart::Together && line.text.contains("250 % of the cpu_ms")
        });
        assert_eq!(said, told, "{agent}");
    }
    // Two dozen words later it is over.
    shares.extend([100; 23]);
    let told = view(&shares, &[may_use_more(200_000)]).findings;
    assert_eq!(told[0].since_ns, beat_ms(20) * 1_000_000, "{told:?}");
    shares.push(100);
    assert_eq!(view(&shares, &[may_use_more(200_000)]).findings, []);
}

#[test]
fn who_is_late_and_uses_too_much_is_probably_late_for_that() {
    let late = |agent: u8, beat: u64| i64::from(agent == 3 && beat >= 60) * 20_000_000;
    let mut facts = played(80, late);
    let cause = |facts: &[Fact]| {
        let folds = folded(facts.iter());
        let told = reading(&folds, 80, &Horizon::default()).findings();
        let dragging = told.iter().find(|one| one.kind == FailureKind::Dragging);
        dragging.expect("it drags").cause
    };
    assert_eq!(cause(&facts), Cause::Player);
    facts.extend((60..80).map(|beat| used(4, beat, Resource::Tokens, 300)));
    assert_eq!(cause(&facts), Cause::Player, "that is somebody else's");
    facts.extend((60..80).map(|beat| used(3, beat, Resource::Tokens, 300)));
    assert_eq!(cause(&facts), Cause::Resources);
}

#[test]
fn of_each_resource_the_latest_words_are_kept_and_each_agent_is_told_of_once() {
    let each = |beat| {
        [
            used(3, beat, Resource::CpuMs, 200),
            used(3, beat, Resource::Calls, 300),
            used(4, beat, Resource::Calls, 50),
        ]
    };
    let facts: Vec<Fact> = (0..200).flat_map(each).collect();
    let silent = played(0, |_, _| 0);
    let mut folds = folded(silent.iter().chain(&facts));
    let horizon = Horizon::default();
    let whole = reading(&folds, 200, &horizon).ensemble();
    let told: Vec<_> = whole
        .usage
        .iter()
        .map(|one| (one.agent.0[0], one.resource, one.usage.stretches))
        .collect();
    assert_eq!(
        told,
        [
            (3, Resource::CpuMs, 64),
            (3, Resource::Calls, 64),
            (4, Resource::Calls, 64)
        ]
    );
    let found: Vec<_> = whole.findings.iter().map(|one| one.overuse).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].map(|one| one.resource), Some(Resource::Calls));
    folds.prune(Stamp::from_ms(beat_ms(200)), &claim_rules());
    assert_eq!(reading(&folds, 200, &horizon).ensemble(), whole);
    // What nobody has told for an hour is no news.
    let later = reading(&folds, 200 + 1_801, &horizon).ensemble();
    assert_eq!((later.usage, later.findings), (vec![], vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_is_told_it_is_judged_without_harm_and_within_the_bound_never_blamed(
        words in proptest::collection::vec((any::<u64>(), 0_u64..=1 << 50, 1_u64..=1 << 50), 0..64),
        shares in proptest::collection::vec(0_u64..=120, 0..64),
        more_ppm in 0_u32..=1_000_000,
    ) {
        let word = |until_ns, used, allotted| Used {
            resource: Resource::Tokens,
            until_ns,
            actions: 1,
            used,
            allotted,
        };
        let any: Vec<Used> = words.iter().map(|(at, used, of)| word(*at, *used, *of)).collect();
        let told = usage(&any, more_ppm);
        prop_assert!(told.share.is_finite() && told.stretches as usize == any.len());
        let within: Vec<Used> = (1..).zip(&shares).map(|(at, share)| word(at, *share, 100)).collect();
        prop_assert_eq!(usage(&within, 200_000).over, None);
    }
}
