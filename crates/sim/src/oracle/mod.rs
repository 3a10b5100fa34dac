//! The oracle: folds everything again from the logs as they stand on the disks, naively and in one
//! go, sharing no fold with the node. What it says is what every replica must show.

mod claims;
mod coherence;
mod conflict;
mod course;
mod deeds;
mod files;
mod interference;
mod invites;
mod lately;
mod lessons;
mod logs;
mod members;
mod narrowing;
mod rights;
mod rollbacks;
mod roots;
mod tasks;
mod together;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, AgentId, IdempotencyKey, SignalKind, Stamp};

pub use claims::{Held, Loss, Story, claims, story};
pub use coherence::{Coherence, coherence};
pub use conflict::Shown;
pub use course::{began, iteration};
pub use files::{File, beyond_the_plan, files};
pub use interference::{Meeting, Told, interferences, meet};
pub use invites::{Invited, invited};
pub use lately::{Lately, lately};
pub use lessons::{Lessons, lessons};
pub use logs::{Fact, Reading, proven, read};
pub use members::{Removals, removals};
pub use rights::{Expelled, Ground, authority, expelled};
pub use rollbacks::{ever_set_aside, set_aside};
pub use roots::Reigns;
pub use tasks::{Task, tasks};
pub use together::{Gate, Together, together};

/// Facts that count, as of a stamp: valid ones, of each keyed request the lowest, up to the stamp,
/// but for those that a rollback up to the stamp sets aside.
pub fn counted(reading: &Reading, at: Stamp) -> Vec<&Fact> {
    let mut facts = made(reading, at);
    let gone = set_aside(&facts);
    facts.retain(|fact| !gone.contains(&fact.place));
    facts
}

/// Facts that were made up to a stamp, of each keyed request the lowest, whether or not they were
/// set aside.
pub fn made<'a>(reading: &'a Reading, at: Stamp) -> Vec<&'a Fact> {
    let mut lowest: BTreeMap<(AgentId, IdempotencyKey), &Fact> = BTreeMap::new();
    for fact in &reading.facts {
        if let Some(key) = fact.body.key {
            let kept = lowest.entry((fact.agent, key)).or_insert(fact);
            if fact.place < kept.place {
                *kept = fact;
            }
        }
    }
    let counts = |fact: &&Fact| {
        let first = fact.body.key.and_then(|key| lowest.get(&(fact.agent, key)));
        fact.place.stamp <= at && first.is_none_or(|first| first.place == fact.place)
    };
    let mut facts: Vec<&'a Fact> = reading.facts.iter().filter(counts).collect();
    facts.sort_by_key(|fact| fact.place);
    facts
}

/// Places of the signals that stand at a stamp.
pub fn signals(facts: &[&Fact], at: Stamp) -> BTreeSet<unisono_model::Place> {
    let (now, began) = (iteration(facts), began(facts));
    facts
        .iter()
        .filter(|fact| {
            let Some(signal) = fact.body.action.signal() else {
                return false;
            };
            let lives = fact.place.stamp.plus_ms(signal.lifetime_ms) >= at;
            let current = fact.body.iteration >= now && fact.place.stamp >= began;
            lives && (signal.kind == SignalKind::Intent || current)
        })
        .map(|fact| fact.place)
        .collect()
}

/// How many marks were made.
pub fn marks(facts: &[&Fact]) -> u64 {
    facts
        .iter()
        .filter(|fact| matches!(fact.body.action, Action::Mark(_)))
        .count() as u64
}

/// Everything that the oracle says of an orchestra at a stamp.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The stamp.
    pub at: Stamp,
    /// The iteration.
    pub iteration: u32,
    /// Who holds what.
    pub claims: BTreeMap<String, Held>,
    /// The tasks.
    pub tasks: BTreeMap<String, Task>,
    /// The signals that stand.
    pub signals: BTreeSet<unisono_model::Place>,
    /// The files.
    pub files: BTreeMap<String, File>,
    /// How many marks were made.
    pub marks: u64,
    /// Who is enrolled.
    pub agents: BTreeSet<AgentId>,
    /// Who gets in whose way.
    pub interferences: Told,
    /// How far agents have come apart.
    pub coherence: Coherence,
    /// What is played together.
    pub together: Together,
    /// What was learned.
    pub lessons: Lessons,
    /// What each agent touched last.
    pub lately: Lately,
}

/// What every replica must show at a stamp.
pub fn truth(reading: &Reading, removals: &Removals, lease_ms_max: u64, at: Stamp) -> Truth {
    let facts = counted(reading, at);
    let enrols = facts
        .iter()
        .filter(|fact| matches!(fact.body.action, Action::Enrol(_)));
    let claims = claims(&facts, removals, lease_ms_max, at);
    let tasks = tasks(&facts);
    let interferences = interferences(&facts, &claims, at);
    let lessons = lessons(&facts);
    Truth {
        at,
        iteration: iteration(&facts),
        coherence: coherence(
            &made(reading, at),
            &facts,
            &claims,
            &tasks,
            &lessons,
            &interferences,
            at,
        ),
        interferences,
        claims,
        tasks,
        signals: signals(&facts, at),
        files: files(&facts),
        marks: marks(&facts),
        agents: enrols.map(|fact| fact.agent).collect(),
        together: together(&facts, at),
        lessons,
        lately: lately(&facts),
    }
}
