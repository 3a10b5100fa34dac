//! The terms of coherence, explained: they add up to the score, and name who lowers them by what.

use unisono_core::orchestra::view::TermKind;
use unisono_model::{Action, SignalKind};

use crate::interference::{LATER, claim, enrolments, fact, folded, read, signal};

const TERMS: [TermKind; 6] = [
    TermKind::Iteration,
    TermKind::Phase,
    TermKind::Context,
    TermKind::Fresh,
    TermKind::Intent,
    TermKind::Unblocked,
];

#[test]
fn each_term_names_who_lowers_it_and_by_what() {
    let mut facts = enrolments(4);
    facts.push(fact(10, 1, 2_000, claim("src/**")));
    facts.push(fact(11, 2, 2_100, claim("src/a.rs")));
    facts.push(fact(12, 3, 2_200, Action::Advance { from: 1 }));
    let intent = |n, agent, at| {
        let said = signal(SignalKind::Intent, "index", "write the index anew", LATER);
        fact(n, agent, at, said)
    };
    facts.push(intent(13, 3, 2_300));
    facts.push(intent(14, 4, 2_301));
    let folds = folded(&facts);
    let (view, all) = read(&folds, 3_000, |reading| {
        (reading.coherence(), reading.explained(None))
    });
    assert_eq!((all.score, all.agents), (view.score, 4));
    let kinds: Vec<TermKind> = all.terms.iter().map(|one| one.term).collect();
    let told: Vec<TermKind> = view.terms.iter().map(|one| one.term).collect();
    assert_eq!(kinds, told);
    let lost: u64 = all.terms.iter().map(|one| one.lost).sum();
    assert!((1_000 - all.score).abs_diff(lost) <= 6, "{lost}");
    for (one, term) in all.terms.iter().zip(&view.terms) {
        let names: Vec<&String> = one.lowered_by.iter().map(|by| &by.name).collect();
        assert_eq!(names, term.breakers.iter().collect::<Vec<_>>());
        assert!(!one.what.is_empty() && !one.fault.is_empty());
        for by in &one.lowered_by {
            assert!(!by.why.is_empty() && by.more == 0, "{:?} {by:?}", one.term);
        }
    }
    for term in TERMS {
        let one = read(&folds, 3_000, |reading| reading.explained(Some(term)));
        assert_eq!(one.score, all.score);
        let of_all = all.terms.iter().filter(|one| one.term == term);
        assert_eq!(one.terms, of_all.cloned().collect::<Vec<_>>());
    }
    let blocked = all.terms.last().expect("six terms");
    assert_eq!(blocked.term, TermKind::Unblocked);
    assert_eq!(blocked.lowered_by.len(), 1, "a1 came first and goes on");
    assert_eq!(blocked.lowered_by[0].name, "a2");
    let overlap = read(&folds, 3_000, |reading| {
        let found = reading.interferences(None, 10).interferences;
        found[0].id.to_string()
    });
    assert!(blocked.lowered_by[0].why[0].contains(&overlap));
}

/// Somebody in a hundred collisions is told of the worst, and how many more there are.
#[test]
fn of_many_reasons_a_few_are_told_and_the_others_counted() {
    let mut facts = enrolments(2);
    for n in 0..20 {
        let topic = format!("index {n}");
        let said = signal(SignalKind::Intent, &topic, "write it anew and again", LATER);
        facts.push(fact(100 + n, 1 + (n % 2) as u8, 2_000 + n, said));
    }
    let view = read(&folded(&facts), 3_000, |reading| {
        reading.explained(Some(TermKind::Intent))
    });
    for by in &view.terms[0].lowered_by {
        assert_eq!(by.why.len(), 8);
        assert!(by.more > 0, "{by:?}");
    }
    assert_eq!(view.terms[0].lowered_by.len(), 2);
}
