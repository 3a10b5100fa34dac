//! Drift and coherence: how far agents have come apart, as a number whose terms can be looked at.
//!
//! The score is the sum over six terms of weight × share, in thousandths: the share of the agents
//! that take part and have no fault of the term's kind. An agent takes part if it is no node, has
//! not said that it is absent, is not merely visiting (its latest record comes from another
//! orchestra), and has acted within [`PATIENCE`] times the time after which a
//! presence is stale, or holds a topic. `docs/orchestra.md` has the formula and a picture.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, AgentKind, Digest, Seen, Setting, Stamp, Status};

use super::Reading;
use super::interference::view::{InterferenceKind, InterferencesView};

/// How many times the stale time an agent may be silent before it no longer takes part.
pub const PATIENCE: u64 = 6;
/// The score above which an orchestra is coherent (‰).
pub const COHERENT: u64 = 700;

/// Most collisions that are told one by one: whoever wants to see more asks for interferences.
pub const COLLISIONS_TOLD_MAX: usize = 100;

/// The kinds of drift.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum DriftKind {
    /// An agent acts in another phase than the orchestra.
    PhaseMismatch,
    /// An agent's last record bears another iteration.
    IterationMismatch,
    /// Agents wrote one field without having seen each other's value, or one acted without having
    /// said that it has seen what binds it.
    ContextDivergence,
    /// Two INTENTs collide.
    IntentCollision,
    /// Nothing was heard of an agent for too long.
    StaleAgent,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Severity {
    /// To be known; the score does not count it.
    Info,
    /// It will lead to trouble.
    Warning,
    /// It is trouble.
    Error,
}

/// Agents that have come apart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DriftView {
    /// How.
    pub kind: DriftKind,
    /// How bad it is.
    pub severity: Severity,
    /// Whose.
    pub agents: Vec<AgentId>,
    /// Their names.
    pub names: Vec<String>,
    /// What shows it.
    pub evidence: String,
    /// How it ends.
    pub remedy: String,
    /// Whether it ends by itself, without anybody's decision.
    pub resolves_itself: bool,
}

/// One term of the score.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TermView {
    /// Its name.
    pub term: TermKind,
    /// How much it counts (‰ of the score).
    pub weight: u64,
    /// The share of agents without fault (‰).
    pub share: u64,
    /// The agents with one.
    pub breakers: Vec<String>,
}

/// The terms of the score.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum TermKind {
    /// They act in one iteration.
    Iteration,
    /// They act in one phase.
    Phase,
    /// They have seen each other's values, and what binds them.
    Context,
    /// They were heard of.
    Fresh,
    /// Their intentions differ.
    Intent,
    /// Nothing blocks them.
    Unblocked,
}

/// A condition under which the agents' views make one whole.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct GluingView {
    /// What must be so.
    pub condition: String,
    /// Whether it is.
    pub holds: bool,
    /// Who breaks it.
    pub breakers: Vec<String>,
}

/// How coherent an orchestra is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CoherenceView {
    /// The score (‰).
    pub score: u64,
    /// What it is made of.
    pub terms: Vec<TermView>,
    /// How many agents take part.
    pub agents: u64,
    /// Where they have come apart, worst first.
    pub drift: Vec<DriftView>,
    /// What would make one whole of them.
    pub gluing: Vec<GluingView>,
}

/// An agent that takes part.
pub(super) struct Member<'a> {
    pub(super) agent: AgentId,
    pub(super) name: String,
    status: Status,
    iteration: u32,
    pub(super) last_action: Stamp,
    /// What it said last that it has seen.
    pub(super) seen: Option<&'a Seen>,
    stale: bool,
    holds: bool,
}

impl<'a> Reading<'a> {
    /// How coherent the orchestra is.
    pub fn coherence(&self) -> CoherenceView {
        let members = self.taking_part();
        let (mut blocked, mut colliding) = (BTreeSet::new(), BTreeSet::new());
        let winner_yields = self.folds.interference.sabotage.winner_yields;
        let mut resolved: Vec<(Digest, BTreeSet<AgentId>)> = Vec::new();
        let collisions = self.interferences_where(None, COLLISIONS_TOLD_MAX, &mut |one, open| {
            // What a claim has decided has resolved itself; it stays listed among interferences.
            let collides = open && one.kind == InterferenceKind::Collision && !one.is_decided();
            if !open {
                resolved.push((one.id(), one.agents().collect()));
            }
            if open && one.blocking {
                blocked.extend(one.yielding());
                blocked.extend(one.agents().filter(|_| winner_yields));
            }
            if collides {
                colliding.extend(one.agents());
            }
            collides
        });
        let mut drift: Vec<DriftView> = Vec::new();
        for member in &members {
            self.course_drift(member, &mut drift);
            stale_drift(member, &mut drift);
        }
        self.context_drift(&members, &mut drift);
        self.unseen_drift(&members, resolved, &mut drift);
        self.intent_drift(&self.show(&collisions), &colliding, &mut drift);
        let order = |one: &DriftView| {
            (
                core::cmp::Reverse(one.severity),
                one.kind,
                one.names.clone(),
            )
        };
        drift.sort_by_key(order);
        let terms = terms(&members, &drift, &blocked);
        let name = |agent: &AgentId| self.folds.agents.name(agent);
        let yielding: Vec<String> = blocked.iter().map(name).collect();
        let score = terms
            .iter()
            .map(|term| term.weight * term.share)
            .sum::<u64>()
            / 1_000;
        CoherenceView {
            score,
            gluing: gluing(&terms, score, yielding),
            terms,
            agents: members.len() as u64,
            drift,
        }
    }

    fn taking_part(&self) -> Vec<Member<'a>> {
        let stale_ms = self.setting(Setting::PresenceStaleMs);
        let live = self.folds.interference.live_topics(self.at);
        let holders: BTreeSet<AgentId> = live
            .filter_map(|topic| Some(self.topic(topic).holding?.agent))
            .collect();
        let agents = self.folds.agents.all(self.at);
        agents
            .filter_map(|(agent, state)| {
                let status = state.presence.map_or(Status::Idle, |one| one.status);
                let holds = holders.contains(&agent);
                let silent_ms = stale_ms.saturating_mul(PATIENCE);
                let heard = state.last_action.plus_ms(silent_ms) >= self.at;
                let part = state.enrol.kind != AgentKind::Node && (holds || heard && !state.visits);
                (part && status != Status::Absent).then(|| Member {
                    agent,
                    name: state.enrol.name.clone(),
                    status,
                    iteration: state.iteration,
                    last_action: state.last_action,
                    seen: state.seen.map(|(_, seen)| seen),
                    stale: state.last_action.plus_ms(stale_ms) < self.at,
                    holds,
                })
            })
            .collect()
    }

    fn course_drift(&self, member: &Member<'_>, drift: &mut Vec<DriftView>) {
        let now = self.iteration();
        if member.iteration == now {
            return;
        }
        let began = self.folds.course.began(now);
        let unaware = member.iteration < now && began.is_some_and(|at| member.last_action <= at);
        let severity = match (unaware, member.iteration < now) {
            (true, _) => Severity::Info,
            (false, true) => Severity::Warning,
            (false, false) => Severity::Error,
        };
        let evidence = format!(
            "its last record bears iteration {}, the orchestra is in {now}{}",
            member.iteration,
            if unaware {
                "; it has not acted since that began"
            } else {
                ""
            }
        );
        let mut add = |kind, severity| {
            drift.push(DriftView {
                kind,
                severity,
                agents: Vec::from([member.agent]),
                names: Vec::from([member.name.clone()]),
                evidence: evidence.clone(),
                remedy: format!("its next record in iteration {now}"),
                resolves_itself: true,
            });
        };
        add(DriftKind::IterationMismatch, severity);
        let phase = |iteration| self.folds.course.phase(iteration, self.at);
        if phase(member.iteration) != phase(now) {
            add(DriftKind::PhaseMismatch, severity);
        }
    }

    fn context_drift(&self, members: &[Member<'_>], drift: &mut Vec<DriftView>) {
        let splits = self.folds.tasks.splits(self.when());
        // What a strategy has decided has resolved itself; it stays listed at its task.
        for split in splits.into_iter().filter(|split| !split.decided) {
            let authors: BTreeSet<AgentId> = split.heads.iter().map(|(_, agent)| *agent).collect();
            let part = members.iter().filter(|one| authors.contains(&one.agent));
            let (agents, names): (Vec<AgentId>, Vec<String>) =
                part.map(|one| (one.agent, one.name.clone())).unzip();
            if authors.len() < 2 || agents.is_empty() {
                continue;
            }
            drift.push(DriftView {
                kind: DriftKind::ContextDivergence,
                severity: Severity::Warning,
                agents,
                names,
                evidence: format!(
                    "{} values of {:?} of task {} stand, each written without the other",
                    split.heads.len(),
                    split.field,
                    split.task
                ),
                remedy: "a change that replaces them all".to_string(),
                resolves_itself: false,
            });
        }
    }

    /// The newest collisions, and one more for all the others: the agents of all are in it.
    fn intent_drift(
        &self,
        found: &InterferencesView,
        colliding: &BTreeSet<AgentId>,
        drift: &mut Vec<DriftView>,
    ) {
        for one in &found.interferences {
            let topics: Vec<&str> = one.sides.iter().map(|side| side.topic.as_str()).collect();
            drift.push(DriftView {
                kind: DriftKind::IntentCollision,
                severity: Severity::Warning,
                agents: one.sides.iter().map(|side| side.agent).collect(),
                names: one.sides.iter().map(|side| side.name.clone()).collect(),
                evidence: format!("{} are alike by {} ‰", topics.join(" and "), one.likeness),
                remedy: format!(
                    "a claim of its topic by one of them, a resolution of {}, or the end of an INTENT",
                    one.id
                ),
                resolves_itself: true,
            });
        }
        let more = found.open - found.interferences.len() as u64;
        if more > 0 {
            let name = |agent: &AgentId| self.folds.agents.name(agent);
            drift.push(DriftView {
                kind: DriftKind::IntentCollision,
                severity: Severity::Warning,
                agents: colliding.iter().copied().collect(),
                names: colliding.iter().map(name).collect(),
                evidence: format!("{more} older pairs of INTENTs are alike too"),
                remedy: "claims, resolutions, or their ends".to_string(),
                resolves_itself: true,
            });
        }
    }
}

fn stale_drift(member: &Member<'_>, drift: &mut Vec<DriftView>) {
    if !member.stale {
        return;
    }
    let severity = match (member.holds, member.status) {
        (true, _) => Severity::Error,
        (false, Status::Blocked) => Severity::Info,
        (false, _) => Severity::Warning,
    };
    let holds = if member.holds {
        ", and it holds a topic"
    } else {
        ""
    };
    drift.push(DriftView {
        kind: DriftKind::StaleAgent,
        severity,
        agents: Vec::from([member.agent]),
        names: Vec::from([member.name.clone()]),
        evidence: format!("nothing was heard of it for too long{holds}"),
        remedy: "its next record, or the end of its lease".to_string(),
        resolves_itself: true,
    });
}

fn terms(
    members: &[Member<'_>],
    drift: &[DriftView],
    blocked: &BTreeSet<AgentId>,
) -> Vec<TermView> {
    let faulty = |kind: DriftKind| -> BTreeSet<AgentId> {
        let counted = drift
            .iter()
            .filter(|one| one.kind == kind && one.severity > Severity::Info);
        counted.flat_map(|one| one.agents.iter().copied()).collect()
    };
    let term = |term: TermKind, weight: u64, faulty: &BTreeSet<AgentId>| {
        let breakers = members.iter().filter(|one| faulty.contains(&one.agent));
        let breakers: Vec<String> = breakers.map(|one| one.name.clone()).collect();
        let (all, bad) = (members.len() as u64, breakers.len() as u64);
        TermView {
            term,
            weight,
            share: ((all - bad) * 1_000).checked_div(all).unwrap_or(1_000),
            breakers,
        }
    };
    Vec::from([
        term(
            TermKind::Iteration,
            250,
            &faulty(DriftKind::IterationMismatch),
        ),
        term(TermKind::Phase, 150, &faulty(DriftKind::PhaseMismatch)),
        term(
            TermKind::Context,
            150,
            &faulty(DriftKind::ContextDivergence),
        ),
        term(TermKind::Fresh, 150, &faulty(DriftKind::StaleAgent)),
        term(TermKind::Intent, 100, &faulty(DriftKind::IntentCollision)),
        term(TermKind::Unblocked, 200, blocked),
    ])
}

/// The conditions. Whoever yields breaks one also where it does not take part: what it is in the way
/// of is open all the same.
fn gluing(terms: &[TermView], score: u64, mut yielding: Vec<String>) -> Vec<GluingView> {
    let of = |kind: TermKind| {
        let term = terms.iter().find(|term| term.term == kind);
        term.map_or_else(Vec::new, |term| term.breakers.clone())
    };
    let condition = |words: &str, breakers: Vec<String>| GluingView {
        condition: words.to_string(),
        holds: breakers.is_empty(),
        breakers,
    };
    yielding.sort();
    let mut all: Vec<String> = terms
        .iter()
        .flat_map(|term| term.breakers.clone())
        .collect();
    all.sort();
    all.dedup();
    Vec::from([
        condition("all agents act in one iteration", of(TermKind::Iteration)),
        condition("all agents act in one phase", of(TermKind::Phase)),
        condition("no interference that blocks is open", yielding),
        GluingView {
            condition: format!("the score is above {COHERENT} ‰"),
            holds: score > COHERENT,
            breakers: if score > COHERENT { Vec::new() } else { all },
        },
    ])
}
