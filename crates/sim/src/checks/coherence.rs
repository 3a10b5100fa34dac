//! I1 for coherence: the score, each term with who lowers it, and each drift of one agent are what
//! the logs say.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::coherence::{CoherenceView, DriftKind};

use crate::oracle::Coherence;

/// Which of the conditions speaks of what blocks.
const BLOCKING: usize = 2;

/// Whether what a node shows is what the formula gives.
pub(super) fn check(shown: &CoherenceView, truth: &Coherence) -> Result<(), String> {
    let terms = shown.terms.iter().map(|term| {
        let mut breakers = term.breakers.clone();
        breakers.sort();
        (term.term, (term.share, breakers))
    });
    let own = [
        DriftKind::IterationMismatch,
        DriftKind::PhaseMismatch,
        DriftKind::StaleAgent,
    ];
    let alone = shown.drift.iter().filter(|one| own.contains(&one.kind));
    let alone: BTreeSet<_> = alone
        .flat_map(|one| {
            let agents = one.agents.iter();
            agents.map(|agent| (one.kind, one.severity, *agent))
        })
        .collect();
    let told = Coherence {
        score: shown.score,
        agents: shown.agents,
        terms: terms.collect::<BTreeMap<_, _>>(),
        alone,
        yielding: shown
            .gluing
            .get(BLOCKING)
            .map_or(0, |one| one.breakers.len()),
    };
    if told == *truth {
        Ok(())
    } else {
        Err(format!(
            "coherence is shown as {told:?}, by the logs {truth:?}"
        ))
    }
}
