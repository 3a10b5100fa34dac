//! Cues: what is to be done together when, who was meant, and who has answered.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Cue, CueAnswer, CueWord, Digest, Place, Stamp};

use crate::orchestra::voices::Voices;

/// How long a cue is shown after its target (ms).
pub const CUE_SHOWN_MS: u64 = 3_600_000;
/// The furthest that a cue's target may lie after its stamp (ms); what lies further is shown until
/// then and no longer.
const CUE_AHEAD_MS_MAX: u64 = 25 * 3_600_000;

/// The fold over cues and their answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cues {
    given: BTreeMap<Place, Given>,
    answers: Voices<Told>,
}

/// A cue with its origin.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// Who gave it.
    pub agent: AgentId,
    /// What it says.
    pub cue: Cue,
}

/// An answer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What it says.
    pub word: CueWord,
    /// Why.
    pub text: alloc::string::String,
}

impl Given {
    fn shown_until(&self, place: &Place) -> Stamp {
        let target = Stamp::from_ns(self.cue.target_ns).plus_ms(CUE_SHOWN_MS);
        target.clamp(place.stamp, place.stamp.plus_ms(CUE_AHEAD_MS_MAX))
    }
}

impl Cues {
    /// Takes in a cue.
    pub fn insert(&mut self, place: Place, agent: AgentId, cue: &Cue) {
        let cue = cue.clone();
        self.given.insert(place, Given { agent, cue });
    }

    /// Takes in an answer, whether or not its cue is held yet.
    pub fn answer(&mut self, place: Place, agent: AgentId, answer: &CueAnswer) {
        let told = Told {
            word: answer.word,
            text: answer.text.clone(),
        };
        self.answers.insert(answer.cue, place, agent, told);
    }

    /// Takes a cue out again.
    pub fn retract(&mut self, place: Place) {
        self.given.remove(&place);
    }

    /// Takes an answer out again.
    pub fn retract_answer(&mut self, place: Place, answer: &CueAnswer) {
        self.answers.retract(&answer.cue, &place);
    }

    /// The cues that are shown at a stamp, by place, each with the latest answer of everybody.
    pub fn read(
        &self,
        at: Stamp,
    ) -> impl Iterator<Item = (Place, &Given, BTreeMap<AgentId, (Place, &Told)>)> {
        let given = self.given.range(..=Place::end_of(at));
        let shown = given.filter(move |(place, one)| one.shown_until(place) >= at);
        shown.map(move |(place, one)| (*place, one, self.answers.latest(place, at)))
    }

    /// Whether a cue of this name is held at a stamp.
    pub fn knows(&self, record: &Digest, at: Stamp) -> bool {
        self.given
            .range(..=Place::end_of(at))
            .any(|(place, _)| place.record == *record)
    }

    /// Drops cues that are not shown at the frontier any more, and answers to what is not held.
    pub fn prune(&mut self, frontier: Stamp) {
        self.given
            .retain(|place, one| one.shown_until(place) >= frontier);
        let held = self.given.keys();
        let held = held.map(|place| (place.record, *place)).collect();
        self.answers.prune(frontier, &held);
    }

    /// Cues and answers kept in memory.
    pub fn weight(&self) -> usize {
        self.given.len() + self.answers.weight()
    }
}
