//! Who performs, and by how much each corrects its errors: the latest word of each agent, for as long as it holds.

use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::together::Performers;
use unisono_core::orchestra::{Folds, Reading};
use unisono_model::{Action, CorrectionRule, Digest, Performs, Stamp};

use super::judging::played;
use crate::folds::{RULES, claim_rules, fact, folded};

fn says(number: u64, agent: u8, at_ms: u64, phase_ppm: u32, holds_ms: u32) -> Fact {
    let word = Performs {
        rule: CorrectionRule::Best,
        phase_ppm,
        period_ppm: 0,
        holds_ms,
    };
    fact(number, agent, at_ms, Action::Performs(word))
}

/// Who said so within the hour, with its gain, and whether it performs; and the digest of all that replicas compare.
fn shown(folds: &Folds, at_ms: u64) -> (Vec<(u8, u32, bool)>, Digest) {
    let horizon = Horizon::default();
    let reading = Reading {
        folds,
        at: Stamp::from_ms(at_ms),
        horizon: &horizon,
        rules: claim_rules(),
    };
    let told = reading.performers();
    let now: Vec<_> = told.iter().filter(|one| one.performs).cloned().collect();
    assert_eq!(reading.performing(), now, "of these those who do so now");
    assert_eq!(reading.ensemble().performers, told, "as people see it");
    let each = told.iter();
    let each = each.map(|one| (one.agent.0[0], one.said.phase_ppm, one.performs));
    (each.collect(), reading.digest())
}

#[test]
fn the_latest_word_of_each_counts_for_as_long_as_it_holds_and_is_shown_for_an_hour() {
    let mut facts = played(0, |_, _| 0);
    facts.extend([
        says(100, 3, 100_000, 500_000, 60_000),
        says(101, 4, 100_000, 1_000_000, 60_000),
        says(102, 3, 110_000, 250_000, 60_000),
        says(103, 5, 120_000, 30_000, 60_000),
        says(104, 5, 130_000, 30_000, 0),
    ]);
    let folds = folded(facts.iter());
    let at = |at_ms| shown(&folds, at_ms).0;
    assert_eq!(at(99_999), []);
    assert_eq!(at(105_000), [(3, 500_000, true), (4, 1_000_000, true)]);
    let all = [(3, 250_000, true), (4, 1_000_000, true), (5, 30_000, true)];
    assert_eq!(at(125_000), all);
    // Who says that it ended performs no more, whatever it said before.
    let ended = [(3, 250_000, true), (4, 1_000_000, true), (5, 30_000, false)];
    assert_eq!(at(131_000), ended);
    // Who says nothing any more does not either, once its word is over.
    assert!(at(160_000)[1].2);
    assert!(!at(160_001)[1].2);
    assert!(at(170_000)[0].2 && !at(170_001)[0].2);
    let hour_ms = 3_600_000;
    assert_eq!(at(100_000 + hour_ms).len(), 3);
    assert_eq!(at(100_001 + hour_ms).len(), 2);
    assert_eq!(at(130_001 + hour_ms), []);
}

#[test]
fn what_is_folded_away_and_what_comes_late_changes_nothing_that_is_read() {
    let mut facts = played(0, |_, _| 0);
    facts.extend(
        (0..50).map(|word| says(200 + word, 3, 100_000 + word * 1_000, word as u32, 60_000)),
    );
    facts.push(says(300, 4, 100_000, 7, 60_000));
    let whole = folded(facts.iter());
    let mut pruned = folded(facts.iter());
    let before = pruned.weight();
    pruned.prune(Stamp::from_ms(140_000), &claim_rules());
    assert!(
        pruned.weight() + 40 <= before,
        "{} of {before}",
        pruned.weight()
    );
    for at_ms in [140_000, 149_000, 200_000, 3_700_001, 3_749_001] {
        assert_eq!(shown(&pruned, at_ms), shown(&whole, at_ms), "{at_ms}");
    }
    // What arrives from behind the frontier is older than what is kept, or of somebody of whom nothing is.
    let late = [
        says(400, 3, 120_500, 999, 60_000),
        says(401, 5, 139_000, 5, 60_000),
    ];
    let mut told = whole;
    for fact in &late {
        pruned.insert(fact.clone(), &RULES);
        told.insert(fact.clone(), &RULES);
    }
    assert!(pruned.needs_refold().is_none(), "it fits");
    let now = [(3, 49, true), (4, 7, true), (5, 5, true)];
    assert_eq!(shown(&pruned, 150_000).0, now);
    assert_eq!(shown(&pruned, 150_000), shown(&told, 150_000));
}

#[test]
fn nobody_is_kept_of_whom_nothing_is_read_any_more() {
    let mut performers = Performers::default();
    for word in 0..10 {
        let one = says(word, 3 + word as u8 % 2, 100_000 + word * 1_000, 5, 60_000);
        let Action::Performs(said) = one.body.action else {
            unreachable!("it says how it performs")
        };
        performers.insert(one.place, one.agent, said);
    }
    let hour_ms = 3_600_000;
    for (frontier_ms, kept) in [
        (99_000, 10),
        (104_500, 7),
        (200_000, 2),
        (108_500 + hour_ms, 1),
        (110_000 + hour_ms, 0),
    ] {
        let frontier = Stamp::from_ms(frontier_ms);
        let shown = performers.read(frontier).len();
        performers.prune(frontier);
        assert_eq!(performers.weight(), kept, "{frontier_ms}");
        assert_eq!(performers.read(frontier).len(), shown, "{frontier_ms}");
    }
}
