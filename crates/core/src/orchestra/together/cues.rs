//! Cues: what is to be done together when, who was meant, who has answered, and how long agents took to
//! be ready.
//!
//! Everything is read from stamps, as of a stamp: whether somebody is asked again, whether a cue is on,
//! and what an agent's latest responses were. So replicas that hold the same say the same, and nobody
//! announces any of it (`docs/decisions/024-asking-again-is-read-not-written.md`).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Cue, CueAnswer, CueWord, Digest, Place, Stamp};

use crate::ensemble::limits::{ASKED_AGAIN_MAX, ASKED_AGAIN_UNRELIABLE, RESPONSES_KEPT_MAX};
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
    /// How agents responded to cues that are not held any more, by the cue.
    settled: BTreeMap<AgentId, Responses>,
}

/// How an agent responded to its latest cues, by the cue.
pub type Responses = BTreeMap<Place, Response>;

/// How an agent responded to a cue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// From the cue's stamp to its first word that it is ready (ns); it never said so.
    pub took_ns: Option<u64>,
    /// Whether it was meant and not ready by the target.
    pub missed: bool,
    /// When the target was (ns since the Unix epoch).
    pub target_ns: u64,
    /// Whether there was something to be prepared.
    pub prepares: bool,
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

/// What an agent has answered to a cue as of a stamp.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// Its latest word.
    pub latest: (Place, &'a Told),
    /// Its latest word by the time at which all have to have answered.
    pub in_time: Option<&'a Told>,
    /// Where it was ready first.
    pub ready: Option<Place>,
}

/// When what happens to a cue, by the cluster's clock (ns since the Unix epoch).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CueTimes {
    /// When whoever is silent is asked again: after half of the time to answer, and after half of what
    /// is left then.
    pub again_ns: [u64; ASKED_AGAIN_MAX],
    /// When whoever gave it is told who is silent: after half of what is left then.
    pub escalates_ns: u64,
    /// By when all have to have answered: what is said later does not change what becomes of it.
    pub answer_by_ns: u64,
}

impl CueTimes {
    /// When whoever is unreliable is asked again, where the cue was given at a time (ns): at those times, and
    /// half-way before each.
    pub fn again_unreliable_ns(&self, given_ns: u64) -> [u64; ASKED_AGAIN_UNRELIABLE] {
        core::array::from_fn(|index| {
            let at_ns = self.again_ns[index / 2];
            let before_ns = match index / 2 {
                0 => given_ns,
                earlier => self.again_ns[earlier - 1],
            };
            if index % 2 == 1 {
                at_ns
            } else {
                before_ns + at_ns.saturating_sub(before_ns) / 2
            }
        })
    }
}

impl Given {
    /// When what happens to it, where it stands at a place.
    pub fn times(&self, place: &Place) -> CueTimes {
        let given_ns = place.stamp.as_ns();
        let answer_ns = u64::from(self.cue.answer_ms) * 1_000_000;
        let answer_by_ns = self.cue.target_ns.saturating_sub(answer_ns).max(given_ns);
        let span_ns = answer_by_ns - given_ns;
        let mut left_ns = span_ns;
        let again_ns = core::array::from_fn(|_| {
            left_ns /= 2;
            answer_by_ns - left_ns
        });
        CueTimes {
            again_ns,
            escalates_ns: answer_by_ns - left_ns / 2,
            answer_by_ns,
        }
    }

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

    /// The cues that are shown at a stamp, by place, each with what everybody has answered.
    pub fn read(
        &self,
        at: Stamp,
    ) -> impl Iterator<Item = (Place, &Given, BTreeMap<AgentId, Heard<'_>>)> {
        let given = self.given.range(..=Place::end_of(at));
        let shown = given.filter(move |(place, one)| one.shown_until(place) >= at);
        shown.map(move |(place, one)| (*place, one, self.heard(place, one, at)))
    }

    /// Whether a cue of this name is held at a stamp.
    pub fn knows(&self, record: &Digest, at: Stamp) -> bool {
        self.given
            .range(..=Place::end_of(at))
            .any(|(place, _)| place.record == *record)
    }

    /// How many cues of an agent are held at a stamp whose targets are to come, and when the next of these
    /// is (ns since the Unix epoch).
    pub fn open_of(&self, agent: &AgentId, at: Stamp, now_ns: u64) -> (usize, u64) {
        let given = self.given.range(..=Place::end_of(at)).map(|(_, one)| one);
        let open = given.filter(|one| one.agent == *agent && one.cue.target_ns > now_ns);
        open.fold((0, u64::MAX), |(count, next_ns), one| {
            (count + 1, next_ns.min(one.cue.target_ns))
        })
    }

    /// How agents responded to their latest cues as of a stamp, at most 64 each: of all agents, or of
    /// these alone.
    pub fn responses(
        &self,
        at: Stamp,
        of: Option<&BTreeSet<AgentId>>,
    ) -> BTreeMap<AgentId, Responses> {
        let mut all: BTreeMap<AgentId, Responses> = match of {
            Some(agents) => agents
                .iter()
                .filter_map(|agent| Some((*agent, self.settled.get(agent)?.clone())))
                .collect(),
            None => self.settled.clone(),
        };
        for (place, given) in self.given.range(..=Place::end_of(at)) {
            for (agent, response) in self.outcomes(place, given, at) {
                if of.is_none_or(|agents| agents.contains(&agent)) {
                    all.entry(agent).or_default().insert(*place, response);
                }
            }
        }
        all.values_mut().for_each(keep_latest);
        all
    }

    /// Drops cues that are not shown at the frontier any more, and answers to what is not held. How
    /// agents responded to them is kept, of the latest.
    pub fn prune(&mut self, frontier: Stamp) {
        let over = self.given.iter();
        let over: Vec<Place> = over
            .filter(|(place, one)| one.shown_until(place) < frontier)
            .map(|(place, _)| *place)
            .collect();
        for place in over {
            let Some(given) = self.given.get(&place) else {
                continue;
            };
            let outcomes = self.outcomes(&place, given, frontier);
            for (agent, response) in outcomes {
                let settled = self.settled.entry(agent).or_default();
                settled.insert(place, response);
                keep_latest(settled);
            }
            self.given.remove(&place);
        }
        let held = self.given.keys();
        let held = held.map(|place| (place.record, *place)).collect();
        let given = &self.given;
        self.answers.prune_but(frontier, &held, |about, words| {
            let times = given.get(about).map(|one| one.times(about));
            let answer_by_ns = times.map_or(0, |times| times.answer_by_ns);
            let mut ready = BTreeMap::new();
            let mut in_time = BTreeMap::new();
            for (place, agent, told) in words {
                if told.word == CueWord::Ready {
                    ready.entry(*agent).or_insert(*place);
                }
                if place.stamp.as_ns() <= answer_by_ns {
                    in_time.insert(*agent, *place);
                }
            }
            ready.into_values().chain(in_time.into_values()).collect()
        });
    }

    /// Cues, answers and responses kept in memory.
    pub fn weight(&self) -> usize {
        let settled: usize = self.settled.values().map(BTreeMap::len).sum();
        self.given.len() + self.answers.weight() + settled
    }

    fn heard(&self, place: &Place, given: &Given, at: Stamp) -> BTreeMap<AgentId, Heard<'_>> {
        let answer_by_ns = given.times(place).answer_by_ns;
        let mut heard = BTreeMap::new();
        for (said, agent, told) in self.answers.words(place, at) {
            let one = heard.entry(agent).or_insert(Heard {
                latest: (said, told),
                in_time: None,
                ready: None,
            });
            one.latest = (said, told);
            if said.stamp.as_ns() <= answer_by_ns {
                one.in_time = Some(told);
            }
            if told.word == CueWord::Ready {
                one.ready = one.ready.or(Some(said));
            }
        }
        heard
    }

    /// What a cue says about how agents respond, as of a stamp. Once it is not shown any more nothing
    /// changes that: then it can be folded away.
    fn outcomes(&self, place: &Place, given: &Given, at: Stamp) -> Vec<(AgentId, Response)> {
        let until = given.shown_until(place);
        let (given_ns, target_ns) = (place.stamp.as_ns(), given.cue.target_ns);
        if target_ns <= given_ns {
            // Whoever gave it had another time: nobody could be ready.
            return Vec::new();
        }
        let came = target_ns < at.as_ns() && target_ns <= until.as_ns();
        let response = |took_ns, missed| Response {
            took_ns,
            missed,
            target_ns,
            prepares: !given.cue.preparation.is_empty(),
        };
        let heard = self.heard(place, given, at.min(until));
        let meant: BTreeSet<AgentId> = given.cue.parties.iter().copied().collect();
        let mut outcomes = Vec::new();
        for (agent, one) in &heard {
            let Some(ready) = one.ready else { continue };
            let ready_ns = ready.stamp.as_ns();
            let took_ns = ready_ns.saturating_sub(given_ns);
            let missed = meant.contains(agent) && ready_ns > target_ns;
            outcomes.push((*agent, response(Some(took_ns), missed)));
        }
        let declined =
            |one: &Heard<'_>| one.in_time.is_some_and(|one| one.word == CueWord::Declined);
        for agent in meant {
            let one = heard.get(&agent);
            let excused = one.is_some_and(|one| one.ready.is_some() || declined(one));
            if came && !excused {
                outcomes.push((agent, response(None, true)));
            }
        }
        outcomes
    }
}

fn keep_latest(responses: &mut Responses) {
    while responses.len() > RESPONSES_KEPT_MAX {
        responses.pop_first();
    }
}
