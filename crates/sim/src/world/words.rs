//! Whose words a node shows: nobody's that were not theirs, and none that a fence has cut off.

use unisono_core::node::Question;
use unisono_core::orchestra::view::{ClaimsWanted, SignalsWanted, View};
use unisono_model::{AgentId, Digest, OrchestraId, Stamp};

use super::World;

/// Marks that are looked at.
const MARKS: usize = 256;

impl World {
    /// I3 and I7 of what a node shows under agents' names, whatever the logs say.
    pub(super) fn judge_words(&mut self, host: usize, at: Stamp, cut_off: &[Digest]) {
        for place in [self.workplace, self.home] {
            let shown = self.words_of(host, place, at);
            self.counters.add_many("words judged", shown.len() as u64);
            let verdict = self.checks.invention.shown(&shown);
            let verdict = verdict.map_err(|why| format!("machine {host}: {why}"));
            self.checks.say(self.now, "I3", verdict);
            let mut shown = shown.iter();
            if let Some((agent, record)) = shown.find(|(_, record)| cut_off.contains(record)) {
                let why =
                    format!("machine {host} shows {record} of {agent}, which a fence cut off");
                self.checks.violated(self.now, "I7", why);
            }
        }
    }

    /// The names of the records that a node shows as claims, signals and marks, and whose they are.
    fn words_of(&mut self, host: usize, place: OrchestraId, at: Stamp) -> Vec<(AgentId, Digest)> {
        let mut words = Vec::new();
        let claims = Question::Claims(ClaimsWanted::default());
        if let Some(View::Claims(claims)) = self.view(host, place, claims, Some(at)) {
            for claim in claims {
                words.push((claim.agent, claim.claim.record));
                let losers = claim.losers.iter();
                words.extend(losers.map(|(place, agent)| (*agent, place.record)));
            }
        }
        let signals = Question::Sense(SignalsWanted::default());
        if let Some(View::Signals(signals)) = self.view(host, place, signals, Some(at)) {
            words.extend(signals.iter().map(|one| (one.agent, one.place.record)));
        }
        let marks = Question::Marks { limit: MARKS };
        if let Some(View::Marks(marks)) = self.view(host, place, marks, Some(at)) {
            words.extend(marks.iter().map(|one| (one.agent, one.place.record)));
        }
        words
    }
}
