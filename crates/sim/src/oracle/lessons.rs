//! Decisions and remedies, naively: everything from the beginning, every time.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, AgentId, Place};

use super::logs::Fact;

/// What was learned. Nothing here falls out of a window: no run learns so much.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lessons {
    /// Decisions and dead ends that bind.
    pub binding: BTreeSet<Place>,
    /// Those that do not, each with what took its place first.
    pub superseded: BTreeMap<Place, Place>,
    /// Remedies, each with how many say that it helped, and how many that it did not.
    pub remedies: BTreeMap<Place, (u32, u32)>,
}

/// What facts, in order, come to.
pub fn lessons(facts: &[&Fact]) -> Lessons {
    let mut told = Lessons::default();
    let mut said: BTreeMap<Place, BTreeMap<AgentId, bool>> = BTreeMap::new();
    let mut authors: BTreeMap<Place, AgentId> = BTreeMap::new();
    for fact in facts {
        match &fact.body.action {
            Action::Decide(decide) => {
                for former in &decide.supersedes {
                    let all = told.binding.iter();
                    let place = all.copied().find(|place| place.record == *former);
                    if let Some(place) = place {
                        told.binding.remove(&place);
                        told.superseded.insert(place, fact.place);
                    }
                }
                told.binding.insert(fact.place);
            }
            Action::Remedy(_) => {
                authors.insert(fact.place, fact.agent);
            }
            Action::Outcome(outcome) => {
                let known = authors.keys().find(|place| place.record == outcome.remedy);
                if let Some(place) = known {
                    let voices = said.entry(*place).or_default();
                    voices.insert(fact.agent, outcome.helped);
                }
            }
            _ => {}
        }
    }
    for (place, author) in authors {
        let voices = said.remove(&place).unwrap_or_default();
        let failed = voices.values().filter(|helped| !**helped).count();
        let others = voices.iter().filter(|(agent, _)| **agent != author);
        let helped = others.filter(|(_, helped)| **helped).count();
        told.remedies.insert(place, (helped as u32, failed as u32));
    }
    told
}
