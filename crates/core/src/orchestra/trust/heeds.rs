//! Which incidents were acknowledged, and by whom: what is acknowledged is told to that agent no more.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Digest, INCIDENT_ACKNOWLEDGED, Place, Stamp};

use crate::orchestra::fact::Fact;

/// Acknowledging marks that are kept: as many as acknowledge all incidents that are kept four times
/// over. What an older one acknowledged is told again.
pub const HEEDS_KEPT_MAX: usize = 1_024;

/// The fold over acknowledgements: a function of the latest marks that acknowledge.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Heeds {
    marks: BTreeMap<Place, (AgentId, Vec<Digest>)>,
    /// By how many of these marks each agent has acknowledged each incident.
    told: BTreeMap<(Digest, AgentId), u32>,
}

impl Heeds {
    /// Takes in a record of an agent, if it acknowledges anything.
    pub(super) fn insert(&mut self, fact: &Fact, agent: AgentId) {
        let Action::Mark(mark) = &fact.body.action else {
            return;
        };
        if !mark.tags.iter().any(|tag| tag == INCIDENT_ACKNOWLEDGED) {
            return;
        }
        let evidence = mark.evidence.clone();
        for incident in &evidence {
            *self.told.entry((*incident, agent)).or_default() += 1;
        }
        let before = self.marks.insert(fact.place, (agent, evidence));
        self.forget(before);
        while self.marks.len() > HEEDS_KEPT_MAX {
            let oldest = self.marks.pop_first().map(|(_, mark)| mark);
            self.forget(oldest);
        }
    }

    fn forget(&mut self, mark: Option<(AgentId, Vec<Digest>)>) {
        let (agent, evidence) = mark.unwrap_or_default();
        for incident in evidence {
            if let Some(times) = self.told.get_mut(&(incident, agent)) {
                *times -= 1;
                if *times == 0 {
                    self.told.remove(&(incident, agent));
                }
            }
        }
    }

    /// Whether an agent has acknowledged an incident.
    pub fn has(&self, incident: Digest, agent: AgentId) -> bool {
        self.told.contains_key(&(incident, agent))
    }

    /// Who has acknowledged an incident.
    pub fn of(&self, incident: Digest) -> impl Iterator<Item = AgentId> {
        let all = (incident, AgentId([0; 32]))..=(incident, AgentId([u8::MAX; 32]));
        self.told.range(all).map(|((_, agent), _)| *agent)
    }

    /// Who had acknowledged what by a stamp.
    pub fn by(&self, at: Stamp) -> BTreeMap<Digest, BTreeSet<AgentId>> {
        let mut by: BTreeMap<Digest, BTreeSet<AgentId>> = BTreeMap::new();
        for (_, (agent, evidence)) in self.marks.range(..=Place::end_of(at)) {
            for incident in evidence {
                by.entry(*incident).or_default().insert(*agent);
            }
        }
        by
    }

    /// Values kept in memory.
    pub(super) fn weight(&self) -> usize {
        self.marks.len() + self.told.len()
    }
}
