//! What it costs to find a decision by words, among as many as are kept.

use std::time::Instant;

use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::lessons::limits::DECISIONS_KEPT_MAX;
use unisono_core::orchestra::view::DecisionsWanted;
use unisono_core::orchestra::{Folds, Reading};
use unisono_model::{Action, Decide, DecideKind, Importance, Stamp};

use super::figures::Figures;
use super::resonance::{claim_rules, fact, fold_rules, percentiles};

/// How often something is looked for.
const ASKED: u64 = 200;
/// Words of each decision.
const WORDS: u64 = 60;
/// Words that decisions are made of: a few of them stand in most.
const VOCABULARY: u64 = 5_000;

/// Three words, looked for among as many decisions as a node keeps.
pub(super) fn decisions(figures: &mut Figures) {
    let (rules, mut folds) = (fold_rules(), Folds::default());
    let levels = [
        Importance::Low,
        Importance::Normal,
        Importance::High,
        Importance::Critical,
    ];
    let each = DECISIONS_KEPT_MAX as u64;
    let kept = each * 2 * levels.len() as u64;
    let begin_ms = 1_700_000_000_000;
    for number in 0..kept {
        let importance = levels[(number / each) as usize % levels.len()];
        let dead_end = number / each >= levels.len() as u64;
        let action = decided(number, importance, dead_end);
        folds.insert(fact(1, number, begin_ms + number, action), &rules);
    }
    let horizon = Horizon::default();
    let reading = Reading {
        folds: &folds,
        at: Stamp::from_ms(begin_ms + kept),
        horizon: &horizon,
        rules: claim_rules(),
    };
    let times = (0..ASKED).map(|n| {
        let words = (0..3)
            .map(|at| word(n * 3 + at))
            .collect::<Vec<_>>()
            .join(" ");
        let wanted = DecisionsWanted {
            search: Some(words),
            limit: 20,
            ..DecisionsWanted::default()
        };
        let begun = Instant::now();
        drop(reading.decisions(&wanted));
        begun.elapsed().as_secs_f64() * 1e3
    });
    let (p50, p99) = percentiles(times.collect());
    figures.tell(format!("decisions_search_{kept}_p50_ms"), p50);
    figures.tell(format!("decisions_search_{kept}_p99_ms"), p99);
}

/// A word: the same in every run, the lower ones more often than the others.
fn word(at: u64) -> String {
    let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
    let (one, other) = (mixed % VOCABULARY, (mixed >> 20) % VOCABULARY);
    format!("word{}", one * other / VOCABULARY)
}

fn decided(number: u64, importance: Importance, dead_end: bool) -> Action {
    let words = (0..WORDS).map(|at| word(number * WORDS + at));
    Action::Decide(Box::new(Decide {
        kind: if dead_end {
            DecideKind::DeadEnd
        } else {
            DecideKind::Decision
        },
        topic: format!("part-{}", number % 97),
        question: String::new(),
        text: words.collect::<Vec<_>>().join(" "),
        reason: String::new(),
        importance,
        confidence_permille: 900,
        rejected: Vec::new(),
        supersedes: Vec::new(),
    }))
}
