//! Signals that stand: until they expire, or until the iteration ends for NEED and OFFER.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Place, Signal, SignalKind, Stamp};

use super::course::Now;
use super::fact::Fact;

/// The fold over all signals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signals {
    standing: BTreeMap<Place, Emitted>,
    by_topic: BTreeMap<String, BTreeSet<Place>>,
}

/// A signal with its origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Emitted {
    /// From whom.
    pub agent: AgentId,
    /// In which iteration.
    pub iteration: u32,
    /// The signal.
    pub signal: Signal,
    /// In which other orchestra it is said too, and whether it comes from there.
    pub across: Option<(String, bool)>,
}

impl Emitted {
    /// When it ends by its own lifetime.
    pub fn expires(&self, place: &Place) -> Stamp {
        place.stamp.plus_ms(self.signal.lifetime_ms)
    }

    fn stands(&self, place: &Place, at: Stamp, now: Now) -> bool {
        let ends_with_iteration = self.signal.kind != SignalKind::Intent;
        self.expires(place) >= at && (!ends_with_iteration || now.has(place, self.iteration))
    }
}

impl Signals {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact) {
        let Some(signal) = fact.body.action.signal() else {
            return;
        };
        let topic = self.by_topic.entry(signal.topic.clone()).or_default();
        topic.insert(fact.place);
        let iteration = fact.body.iteration;
        let emitted = Emitted {
            agent: fact.agent,
            iteration,
            signal: signal.clone(),
            across: match &fact.body.action {
                Action::Across(across) => Some((across.orchestra.clone(), across.incoming)),
                _ => None,
            },
        };
        self.standing.insert(fact.place, emitted);
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        let Some(signal) = action.signal() else {
            return;
        };
        self.standing.remove(&place);
        self.unlist(&signal.topic, place);
    }

    /// One that is still kept.
    pub fn get(&self, place: &Place) -> Option<&Emitted> {
        self.standing.get(place)
    }

    /// The signals that stand at a stamp in its iteration, of one topic or all, by place.
    pub fn read<'a>(
        &'a self,
        topic: Option<&str>,
        at: Stamp,
        now: Now,
    ) -> Vec<(Place, &'a Emitted)> {
        let mut found: Vec<(Place, &Emitted)> = match topic {
            Some(topic) => {
                let places = self.by_topic.get(topic).into_iter().flatten();
                places
                    .filter_map(|p| Some((*p, self.standing.get(p)?)))
                    .collect()
            }
            None => self
                .standing
                .range(..=Place::end_of(at))
                .map(|(p, s)| (*p, s))
                .collect(),
        };
        found.retain(|(place, one)| place.stamp <= at && one.stands(place, at, now));
        found.sort_by_key(|(place, _)| *place);
        found
    }

    /// Drops what had ended at the frontier.
    pub fn prune(&mut self, frontier: Stamp, now: Now) {
        let ended: Vec<(Place, String)> = self
            .standing
            .range(..=Place::end_of(frontier))
            .filter(|(place, one)| !one.stands(place, frontier, now))
            .map(|(place, one)| (*place, one.signal.topic.clone()))
            .collect();
        for (place, topic) in ended {
            self.standing.remove(&place);
            self.unlist(&topic, place);
        }
    }

    fn unlist(&mut self, topic: &str, place: Place) {
        if let Some(list) = self.by_topic.get_mut(topic) {
            list.remove(&place);
            if list.is_empty() {
                self.by_topic.remove(topic);
            }
        }
    }

    /// Signals kept in memory.
    pub fn weight(&self) -> usize {
        self.standing.len()
    }
}
