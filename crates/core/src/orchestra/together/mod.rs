//! Playing together: the tempo, barriers, cues, how punctual everybody was, what everybody used, and who performs.

mod barriers;
mod cues;
mod lately;
mod performers;
mod plays;
mod tempi;
mod uses;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, Place, Stamp};

use super::fact::Fact;
use crate::sabotage::Sabotage;
pub use barriers::{BARRIER_SHOWN_MS, Barrier, Barriers, Opening};
pub use cues::{CUE_SHOWN_MS, CueTimes, Cues, Given, Heard, Response, Responses, Told};
pub use performers::Performers;
pub use plays::{PLAYED_KEPT_MAX, PLAYED_SHOWN_MAX, Play, Plays};
pub use tempi::Tempi;
pub use uses::{USED_KEPT_MAX, Uses};

/// The folds over what is played together.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Together {
    /// The tempo maps that were set.
    pub tempi: Tempi,
    /// Who waits where, and what has opened.
    pub barriers: Barriers,
    /// What is to be done when, and who has answered.
    pub cues: Cues,
    /// How punctual actions were.
    pub plays: Plays,
    /// What actions used.
    pub uses: Uses,
    /// Who performs, and by how much it corrects its errors.
    pub performers: Performers,
}

impl Together {
    /// Takes in a record. Returns whether it may be missing from what was pruned away up to a stamp.
    pub fn insert(&mut self, fact: &Fact, pruned: Stamp, sabotage: Sabotage) -> bool {
        let late = fact.place.stamp <= pruned;
        match &fact.body.action {
            Action::Tempo(tempo) => self.tempi.insert(fact.place, fact.agent, tempo),
            Action::Arrive(arrival) => {
                let mut arrival = arrival.clone();
                let mut agent = fact.agent;
                if sabotage.patience_ignored {
                    arrival.patience_ms = unisono_model::limits::PATIENCE_MS_MAX;
                }
                if sabotage.arrivals_doubled {
                    // Every arrival counts as somebody else's.
                    agent = unisono_model::AgentId(fact.place.record.0);
                }
                self.barriers.insert(fact.place, agent, &arrival);
                return late;
            }
            Action::Cue(cue) => {
                self.cues.insert(fact.place, fact.agent, cue);
                return late;
            }
            Action::Answer(answer) => {
                let held = || self.cues.knows(&answer.cue, Stamp::MAX);
                // Its cue may be folded into what is known of the agent.
                let upset = late && !held();
                // Planted: what comes before its cue is no answer.
                if !sabotage.response_by_arrival || held() {
                    self.cues.answer(fact.place, fact.agent, answer);
                }
                return upset;
            }
            Action::Played(played) => self.plays.insert(fact.place, fact.agent, *played),
            Action::Used(used) => self.uses.insert(fact.place, fact.agent, *used),
            Action::Performs(performs) => {
                self.performers.insert(fact.place, fact.agent, *performs);
            }
            _ => {}
        }
        false
    }

    /// Takes a record out again.
    pub fn retract(&mut self, agent: unisono_model::AgentId, place: Place, action: &Action) {
        match action {
            Action::Tempo(_) => self.tempi.retract(place),
            Action::Arrive(arrival) => self.barriers.retract(place, arrival),
            Action::Cue(_) => self.cues.retract(place),
            Action::Answer(answer) => self.cues.retract_answer(place, answer),
            Action::Played(_) => self.plays.retract(place, agent),
            Action::Used(used) => self.uses.retract(place, agent, used.resource),
            Action::Performs(_) => self.performers.retract(place, agent),
            _ => {}
        }
    }

    /// Drops what can no longer be the answer to anything above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        self.tempi.prune(frontier);
        self.barriers.prune(frontier);
        self.cues.prune(frontier);
        self.plays.prune(frontier);
        self.uses.prune(frontier);
        self.performers.prune(frontier);
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.tempi.weight()
            + self.barriers.weight()
            + self.cues.weight()
            + self.plays.weight()
            + self.uses.weight()
            + self.performers.weight()
    }
}
