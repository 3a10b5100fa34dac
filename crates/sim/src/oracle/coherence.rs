//! How far agents have come apart, naively: each agent against everything, by `docs/orchestra.md`.
//! Of the node's code only the names of kinds and terms are used.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::coherence::{DriftKind, Severity, TermKind};
use unisono_core::orchestra::interference::view::InterferenceKind;
use unisono_model::{
    Action, AgentId, AgentKind, Importance, LogId, Place, Seen, Setting, SignalKind, Stamp, Status,
    Urgency,
};

use super::claims::Held;
use super::course::{began, iteration};
use super::interference::{Told, setting};
use super::lessons::Lessons;
use super::logs::Fact;
use super::tasks::Task;

/// What every replica must show of coherence.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Coherence {
    /// The score (‰).
    pub score: u64,
    /// How many agents take part.
    pub agents: u64,
    /// Each term with the share of agents without its fault (‰), and the names of the others.
    pub terms: BTreeMap<TermKind, (u64, Vec<String>)>,
    /// Drift that one agent has by itself: iteration, phase, silence.
    pub alone: BTreeSet<(DriftKind, Severity, AgentId)>,
    /// How many must yield to what is open and blocks, whether they take part or not.
    pub yielding: usize,
}

/// An agent that takes part.
struct Member {
    agent: AgentId,
    name: String,
    status: Status,
    iteration: u32,
    last: Place,
    holds: bool,
    /// Its latest record says what it says in another orchestra, too.
    visits: bool,
    /// What it said last that it has seen.
    seen: Option<Seen>,
}

/// Something that binds agents.
struct Binding {
    place: Place,
    log: LogId,
    bundle: u64,
    by: AgentId,
    critical: bool,
    /// Whom; nobody named: everybody.
    whom: Option<BTreeSet<AgentId>>,
}

/// How coherent an orchestra is at a stamp.
pub fn coherence(
    made: &[&Fact],
    facts: &[&Fact],
    held: &BTreeMap<String, Held>,
    tasks: &BTreeMap<String, Task>,
    lessons: &Lessons,
    told: &Told,
    at: Stamp,
) -> Coherence {
    let members = members(made, facts, held, at);
    let mut alone = BTreeSet::new();
    for member in &members {
        alone.extend(apart(facts, member, at));
    }
    let mut context = split(facts, tasks);
    context.extend(blind(facts, &members, lessons, told));
    let by = |kind: DriftKind| -> BTreeSet<AgentId> {
        let counted = alone
            .iter()
            .filter(|(known, severity, _)| *known == kind && *severity != Severity::Info);
        counted.map(|(.., agent)| *agent).collect()
    };
    let yielding = met(facts, told, true);
    let faults = [
        (TermKind::Iteration, 250, by(DriftKind::IterationMismatch)),
        (TermKind::Phase, 150, by(DriftKind::PhaseMismatch)),
        (TermKind::Context, 150, context),
        (TermKind::Fresh, 150, by(DriftKind::StaleAgent)),
        (TermKind::Intent, 100, met(facts, told, false)),
        (TermKind::Unblocked, 200, yielding.clone()),
    ];
    let (mut score, mut terms) = (0, BTreeMap::new());
    for (term, weight, faulty) in faults {
        let breakers = members.iter().filter(|one| faulty.contains(&one.agent));
        let mut names: Vec<String> = breakers.map(|one| one.name.clone()).collect();
        names.sort();
        let without = (members.len() - names.len()) * 1_000;
        let share = without.checked_div(members.len()).unwrap_or(1_000) as u64;
        score += weight * share;
        terms.insert(term, (share, names));
    }
    Coherence {
        score: score / 1_000,
        agents: members.len() as u64,
        terms,
        alone,
        yielding: yielding.len(),
    }
}

/// Whoever takes part. What a rollback has set aside is a sign of life all the same.
fn members(
    made: &[&Fact],
    facts: &[&Fact],
    held: &BTreeMap<String, Held>,
    at: Stamp,
) -> Vec<Member> {
    let stale_ms = setting(facts, Setting::PresenceStaleMs, 600_000);
    let mut members: BTreeMap<AgentId, Member> = BTreeMap::new();
    let mut nodes = BTreeSet::new();
    for fact in made {
        if let Action::Enrol(enrol) = &fact.body.action
            && !members.contains_key(&fact.agent)
        {
            if enrol.kind == AgentKind::Node {
                nodes.insert(fact.agent);
            }
            let member = Member {
                agent: fact.agent,
                name: enrol.name.clone(),
                status: Status::Idle,
                iteration: 0,
                last: fact.place,
                holds: held.values().any(|one| one.agent == fact.agent),
                visits: false,
                seen: None,
            };
            members.insert(fact.agent, member);
        }
    }
    for fact in made {
        if let Some(member) = members.get_mut(&fact.agent) {
            (member.last, member.iteration) = (fact.place, fact.body.iteration);
            member.visits = false;
            match &fact.body.action {
                Action::Presence(presence) => member.status = presence.status,
                Action::Across(across) => member.visits = across.incoming,
                Action::Seen(seen) => member.seen = Some(seen.clone()),
                _ => {}
            }
        }
    }
    let takes_part = |one: &Member| {
        let heard = one.last.stamp.plus_ms(6 * stale_ms) >= at;
        let here = one.holds || heard && !one.visits;
        !nodes.contains(&one.agent) && one.status != Status::Absent && here
    };
    members.into_values().filter(takes_part).collect()
}

/// What an agent has of its own.
fn apart(facts: &[&Fact], one: &Member, at: Stamp) -> Vec<(DriftKind, Severity, AgentId)> {
    let mut found = Vec::new();
    let (now, since) = (iteration(facts), began(facts));
    let design_ends = setting(facts, Setting::DesignEnds, 1);
    let execution_ends = setting(facts, Setting::ExecutionEnds, 8);
    let phase = |iteration: u32| match u64::from(iteration) {
        early if early <= design_ends => 0,
        later if later <= execution_ends => 1,
        _ => 2,
    };
    if one.iteration != now {
        let severity = if one.iteration > now {
            Severity::Error
        } else if one.last.stamp <= since {
            Severity::Info
        } else {
            Severity::Warning
        };
        found.push((DriftKind::IterationMismatch, severity, one.agent));
        if phase(one.iteration) != phase(now) {
            found.push((DriftKind::PhaseMismatch, severity, one.agent));
        }
    }
    let stale_ms = setting(facts, Setting::PresenceStaleMs, 600_000);
    if one.last.stamp.plus_ms(stale_ms) < at {
        let severity = match (one.holds, one.status) {
            (true, _) => Severity::Error,
            (false, Status::Blocked) => Severity::Info,
            (false, _) => Severity::Warning,
        };
        found.push((DriftKind::StaleAgent, severity, one.agent));
    }
    found
}

/// Who wrote a field without having seen another's value, where nothing has decided.
fn split(facts: &[&Fact], tasks: &BTreeMap<String, Task>) -> BTreeSet<AgentId> {
    let mut apart = BTreeSet::new();
    for task in tasks.values() {
        for (field, values) in &task.heads {
            let decided = task.shown.get(field).is_none_or(|shown| shown.decided);
            let author = |place: &Place| facts.iter().find(|fact| fact.place == *place);
            let authors = values.iter().filter_map(|(place, _)| author(place));
            let authors: BTreeSet<AgentId> = authors.map(|fact| fact.agent).collect();
            if !decided && authors.len() > 1 {
                apart.extend(authors);
            }
        }
    }
    apart
}

/// What binds anybody: important decisions, marks that pin, and resolutions of what has not ended.
fn bindings(facts: &[&Fact], lessons: &Lessons, told: &Told) -> Vec<Binding> {
    let mut all = Vec::new();
    for fact in facts {
        let record = fact.place.record;
        let resolved = told.values().find(|one| one.resolution == Some(record));
        let (critical, whom) = match &fact.body.action {
            Action::Decide(decide)
                if decide.importance >= Importance::High
                    && lessons.binding.contains(&fact.place) =>
            {
                (decide.importance == Importance::Critical, None)
            }
            Action::Mark(mark)
                if mark
                    .tags
                    .iter()
                    .any(|tag| ["decision", "pinned", "dead-end"].contains(&tag.as_str())) =>
            {
                (false, None)
            }
            Action::Resolve(_) => match resolved {
                Some(one) => {
                    let agents = one.sides.iter().map(|(_, agent)| *agent);
                    (false, Some(agents.collect()))
                }
                None => continue,
            },
            _ => continue,
        };
        all.push(Binding {
            place: fact.place,
            log: fact.log,
            bundle: fact.bundle,
            by: fact.agent,
            critical,
            whom,
        });
    }
    all
}

/// Who acted without having said that it has seen what binds it, where that is more than to be known.
fn blind(facts: &[&Fact], members: &[Member], lessons: &Lessons, told: &Told) -> BTreeSet<AgentId> {
    let patience_ms = setting(facts, Setting::ContextStaleMs, 600_000);
    let bindings = bindings(facts, lessons, told);
    let is_blind = |member: &&Member| {
        let Some(seen) = &member.seen else {
            return false;
        };
        let acted = member.last.stamp;
        let named = |one: &Binding| {
            let whom = one.whom.as_ref();
            whom.is_none_or(|whom| whom.contains(&member.agent))
        };
        let unseen: Vec<&Binding> = bindings
            .iter()
            .filter(|one| one.by != member.agent && named(one))
            .filter(|one| one.place.stamp.plus_ms(patience_ms) < acted)
            .filter(|one| !seen.covers(one.log.tag(), one.bundle))
            .collect();
        unseen.iter().any(|one| {
            one.critical || one.place.stamp.plus_ms(patience_ms.saturating_mul(6)) < acted
        })
    };
    let blind = members.iter().filter(is_blind);
    blind.map(|member| member.agent).collect()
}

/// Who is named by an open collision; or who must yield to an open interference that blocks.
fn met(facts: &[&Fact], told: &Told, blocking: bool) -> BTreeSet<AgentId> {
    let urgent = |(place, _): &(Place, AgentId)| {
        let mut facts = facts.iter();
        let fact = facts.find(|fact| fact.place == *place);
        let signal = fact.and_then(|fact| fact.body.action.signal());
        signal.is_some_and(|one| one.kind == SignalKind::Need && one.urgency == Urgency::Blocking)
    };
    let mut named = BTreeSet::new();
    for one in told.values().filter(|one| one.resolution.is_none()) {
        let counts = match one.kind {
            InterferenceKind::Contested | InterferenceKind::Overlap => blocking,
            InterferenceKind::Unanswered => blocking && one.sides.iter().any(urgent),
            InterferenceKind::Collision => !blocking && one.wins.is_none(),
        };
        if !counts {
            continue;
        }
        let won = one
            .sides
            .iter()
            .find(|(place, _)| blocking && Some(place.record) == one.wins);
        let won = won.map(|(_, agent)| *agent);
        let agents = one.sides.iter().map(|(_, agent)| *agent);
        named.extend(agents.filter(|agent| Some(*agent) != won));
    }
    named
}
