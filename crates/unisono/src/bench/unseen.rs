//! What it costs to look whether a fleet has seen what binds it, at the worst.

use std::time::Instant;

use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::lessons::limits::BINDING_TOLD_MAX;
use unisono_core::orchestra::{Folds, Reading};
use unisono_model::{Action, Decide, DecideKind, Importance, Mark, Presence, Seen, Stamp, Status};

use super::figures::Figures;
use super::resonance::{claim_rules, enrol_as, fact, fold_rules, percentiles};

/// Agents of the fleet.
const FLEET: u64 = 500;
/// Logs that each has said it has seen.
const LOGS: u64 = 64;
/// How often it is asked.
const ASKED: u64 = 200;

/// Coherence of a fleet with as much that binds it as is looked at, of which nobody has seen
/// anything, and of one that has never said what it has seen.
pub(super) fn fleets(figures: &mut Figures) {
    for (name, says) in [("silent", false), ("unseen", true)] {
        let (folds, at) = fleet(says);
        let horizon = Horizon::default();
        let reading = Reading {
            folds: &folds,
            at,
            horizon: &horizon,
            rules: claim_rules(),
        };
        let times = (0..ASKED).map(|_| {
            let begun = Instant::now();
            drop(reading.coherence());
            begun.elapsed().as_secs_f64() * 1e3
        });
        let (p50, p99) = percentiles(times.collect());
        figures.tell(format!("coherence_fleet_{name}_p50_ms"), p50);
        figures.tell(format!("coherence_fleet_{name}_p99_ms"), p99);
    }
}

fn fleet(says: bool) -> (Folds, Stamp) {
    let rules = fold_rules();
    let mut folds = Folds::default();
    let mut at_ms = 1_700_000_000_000;
    let mut made = 0;
    let mut add = |folds: &mut Folds, agent, action| {
        (made, at_ms) = (made + 1, at_ms + 1);
        folds.insert(fact(agent, made, at_ms, action), &rules);
    };
    for agent in 0..=FLEET {
        add(&mut folds, agent, enrol_as(&format!("agent-{agent}")));
        if says {
            let logs = (0..LOGS).map(|tag| (tag, 1)).collect();
            add(&mut folds, agent, Action::Seen(Seen { logs }));
        }
    }
    for number in 0..BINDING_TOLD_MAX {
        add(&mut folds, FLEET, decide(number));
        add(&mut folds, FLEET, pinned(number));
    }
    let later = at_ms + 3_000_000;
    for agent in 0..FLEET {
        let presence = Presence {
            status: Status::Active,
            intent: "on as before".to_owned(),
            focus: String::new(),
        };
        let action = Action::Presence(presence);
        folds.insert(
            fact(agent, 1_000_000 + agent, later + agent, action),
            &rules,
        );
    }
    (folds, Stamp::from_ms(later + FLEET))
}

fn decide(number: usize) -> Action {
    Action::Decide(Box::new(Decide {
        kind: DecideKind::Decision,
        topic: format!("part-{number}"),
        question: String::new(),
        text: "one file a segment".to_owned(),
        reason: String::new(),
        importance: Importance::High,
        confidence_permille: 1_000,
        rejected: Vec::new(),
        supersedes: Vec::new(),
    }))
}

fn pinned(number: usize) -> Action {
    Action::Mark(Mark {
        about: format!("part-{number}"),
        text: "it stays as it is".to_owned(),
        reasoning: String::new(),
        tags: vec!["pinned".to_owned()],
        evidence: Vec::new(),
    })
}
