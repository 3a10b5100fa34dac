//! The terms of coherence, explained one by one: what each is, what it counts, and who lowers it by
//! what.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Reading;
use super::coherence::{CoherenceView, DriftKind, Severity, TermKind};
use super::interference::view::InterferenceView;

/// Most reasons that are told of one agent and term: the worst of them.
pub const REASONS_TOLD_MAX: usize = 8;
/// Most open interferences that are named as reasons: those that began last.
pub const BLOCKS_TOLD_MAX: usize = 256;

/// Terms of the score with what stands behind them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ExplainedView {
    /// The score (‰).
    pub score: u64,
    /// How many agents take part.
    pub agents: u64,
    /// The terms: all, or the one that was asked for.
    pub terms: Vec<TermExplained>,
}

/// One term with what stands behind it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TermExplained {
    /// Its name.
    pub term: TermKind,
    /// What it is the share of.
    pub what: String,
    /// What counts as a fault.
    pub fault: String,
    /// How much it counts (‰ of the score).
    pub weight: u64,
    /// The share of agents without fault (‰).
    pub share: u64,
    /// How much it takes from the score (‰, rounded up).
    pub lost: u64,
    /// Who lowers it.
    pub lowered_by: Vec<LoweredBy>,
}

/// An agent that lowers a term.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct LoweredBy {
    /// Its name.
    pub name: String,
    /// By what, the worst first; empty where others are told first ([`BLOCKS_TOLD_MAX`]).
    pub why: Vec<String>,
    /// How many more reasons there are.
    pub more: u64,
}

impl Reading<'_> {
    /// The terms of coherence explained: all, or one.
    pub fn explained(&self, wanted: Option<TermKind>) -> ExplainedView {
        let view = self.coherence();
        let wanted = |term: TermKind| wanted.is_none_or(|one| one == term);
        let blocks = if wanted(TermKind::Unblocked) {
            self.blocks()
        } else {
            Vec::new()
        };
        let terms = view.terms.iter().filter(|one| wanted(one.term));
        ExplainedView {
            score: view.score,
            agents: view.agents,
            terms: terms
                .map(|one| {
                    let mut why = match one.term {
                        TermKind::Unblocked => blocking_reasons(&blocks),
                        term => drift_reasons(term, &view),
                    };
                    let (what, fault) = words(one.term);
                    TermExplained {
                        term: one.term,
                        what: what.to_string(),
                        fault: fault.to_string(),
                        weight: one.weight,
                        share: one.share,
                        lost: (one.weight * (1_000 - one.share)).div_ceil(1_000),
                        lowered_by: lowered_by(&one.breakers, &mut why),
                    }
                })
                .collect(),
        }
    }

    fn blocks(&self) -> Vec<InterferenceView> {
        let blocks =
            self.interferences_where(None, BLOCKS_TOLD_MAX, &mut |one, open| open && one.blocking);
        self.show(&blocks).interferences
    }
}

fn lowered_by(breakers: &[String], why: &mut BTreeMap<String, Vec<String>>) -> Vec<LoweredBy> {
    let each = breakers.iter().map(|name| {
        let mut reasons = why.remove(name).unwrap_or_default();
        let more = reasons.len().saturating_sub(REASONS_TOLD_MAX) as u64;
        reasons.truncate(REASONS_TOLD_MAX);
        LoweredBy {
            name: name.clone(),
            why: reasons,
            more,
        }
    });
    each.collect()
}

fn drift_reasons(term: TermKind, view: &CoherenceView) -> BTreeMap<String, Vec<String>> {
    let kind = match term {
        TermKind::Iteration => DriftKind::IterationMismatch,
        TermKind::Phase => DriftKind::PhaseMismatch,
        TermKind::Context => DriftKind::ContextDivergence,
        TermKind::Fresh => DriftKind::StaleAgent,
        TermKind::Intent => DriftKind::IntentCollision,
        TermKind::Unblocked => return BTreeMap::new(),
    };
    let mut why: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let drift = view.drift.iter();
    for one in drift.filter(|one| one.kind == kind && one.severity > Severity::Info) {
        for name in &one.names {
            let reason = format!("{}; ends with {}", one.evidence, one.remedy);
            why.entry(name.clone()).or_default().push(reason);
        }
    }
    why
}

fn blocking_reasons(blocks: &[InterferenceView]) -> BTreeMap<String, Vec<String>> {
    let mut why: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in blocks {
        let topics: Vec<&str> = one.sides.iter().map(|side| side.topic.as_str()).collect();
        let reason = format!(
            "must yield to {} on {}; ends with its resolution, or the end of a side",
            one.id,
            topics.join(" and ")
        );
        let sides = one.sides.iter();
        let yielding = sides.filter(|side| one.decided_for.as_ref() != Some(&side.name));
        for side in yielding {
            why.entry(side.name.clone())
                .or_default()
                .push(reason.clone());
        }
    }
    why
}

fn words(term: TermKind) -> (&'static str, &'static str) {
    match term {
        TermKind::Iteration => (
            "the share of agents whose last record bears the current iteration",
            "an agent has acted in an earlier iteration after it had ended, or in a later one",
        ),
        TermKind::Phase => (
            "the share of agents whose last record bears an iteration of the current phase",
            "the same as of the iteration, where the phase differs too",
        ),
        TermKind::Context => (
            "the share of agents that have seen each other's values, and what binds them",
            "an agent's value of a field stands beside one that it had not seen, or it acted for \
             long without having said that it has seen what binds it",
        ),
        TermKind::Fresh => (
            "the share of agents that were heard of",
            "nothing was heard of an agent for longer than the setting says, and it has not said \
             that it is blocked or holds a topic all the same",
        ),
        TermKind::Intent => (
            "the share of agents whose intentions collide with nobody's",
            "an INTENT of the agent is like another's, and nobody has resolved that",
        ),
        TermKind::Unblocked => (
            "the share of agents that need not yield",
            "an open interference that blocks names the agent, and is not decided for it",
        ),
    }
}
