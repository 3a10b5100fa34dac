//! Cues as people see them: who has answered, who is asked again, what becomes of it, whom the notice is
//! too short for, and who was punctual.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Cue, CueRule, CueWord, Digest, Place};

use super::read::Reading;
use super::together::{CueTimes, Given, Heard, Play, Responses};

/// Something that is to be done together.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CueView {
    /// Its record.
    pub place: Place,
    /// Who gave it.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What it says.
    pub cue: Cue,
    /// Everybody who is meant or has answered.
    pub parties: Vec<PartyView>,
    /// Where it stands.
    pub stage: CueStage,
    /// When what happens to it.
    pub times: CueTimes,
    /// Whether those who are meant have notice enough, until the target; nobody is meant, or it has come.
    pub notice: Option<CueNotice>,
}

/// Where a cue stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum CueStage {
    /// Those who are meant were asked, and there is time.
    Asked,
    /// Whoever is silent was asked again.
    AskedAgain,
    /// Nobody who is meant is waited for any more.
    Answered,
    /// Whoever gave it has to know who is not ready: soon it is too late, or one has declined without
    /// whom it is off.
    Escalated,
    /// It takes place, with those who are ready.
    On,
    /// It does not: somebody without whom it was not to be was not ready in time.
    Off,
}

/// One agent of a cue.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PartyView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// What it has answered, and where; nothing yet.
    pub answer: Option<(CueWord, Place, String)>,
    /// How late its action was, where it told (ns).
    pub late_ns: Option<i64>,
    /// How often it has been asked, where it is meant and silent: once, and again.
    pub asked: u8,
    /// Whether it is meant and was not ready, as of the time by which all have to have answered.
    pub lacking: bool,
    /// How it acted, once the window is over; nothing before, and where nothing was to be done.
    pub outcome: Option<CueOutcome>,
}

/// How somebody acted on a cue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum CueOutcome {
    /// Within the window.
    Punctual,
    /// Before the window: by so much before the target (ns).
    Early(u64),
    /// After the window: by so much after the target (ns).
    Late(u64),
    /// It has told nothing.
    Untold,
}

/// Whether a notice is long enough, by what is known of those who are meant.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct CueNotice {
    /// How long they have to be ready (ns): up to the time by which all have to have answered.
    pub given_ns: u64,
    /// How long they need (ns): the longest lead.
    pub needed_ns: u64,
    /// Whose lead that is: agent and name.
    pub by: (AgentId, String),
    /// Whether that lead is assumed, since too little is known.
    pub assumed: bool,
    /// Who needs longer and is not ready yet: agent, name, by how much it is too short (ns).
    pub short: Vec<(AgentId, String, u64)>,
}

/// What cues are read with.
struct Known<'a> {
    plays: BTreeMap<AgentId, Vec<Play>>,
    responses: &'a BTreeMap<AgentId, Responses>,
}

impl Reading<'_> {
    /// What is to be done together, the next first.
    pub fn cues(&self) -> Vec<CueView> {
        let cues = &self.folds.together.cues;
        let meant: BTreeSet<AgentId> = cues
            .read(self.at)
            .filter(|(_, given, _)| self.at.as_ns() < given.cue.target_ns)
            .flat_map(|(_, given, _)| given.cue.parties.iter().copied())
            .collect();
        let known = Known {
            plays: self.folds.together.plays.read(self.at),
            responses: &cues.responses(self.at, Some(&meant)),
        };
        let shown = cues.read(self.at);
        let mut views: Vec<CueView> = shown
            .map(|(place, given, heard)| self.cue(place, given, &heard, &known))
            .collect();
        views.sort_by_key(|view| (view.cue.target_ns, view.place));
        views
    }

    /// For a cue: as it stands.
    pub fn cue_of(&self, action: &Action, place: Place) -> Option<Box<CueView>> {
        let Action::Cue(_) = action else { return None };
        let found = self.cues().into_iter().find(|view| view.place == place);
        found.map(Box::new)
    }

    fn cue(
        &self,
        place: Place,
        given: &Given,
        heard: &BTreeMap<AgentId, Heard<'_>>,
        known: &Known<'_>,
    ) -> CueView {
        let now_ns = self.at.as_ns();
        let times = given.times(&place);
        let decided = now_ns >= times.answer_by_ns;
        let stage = stage(given, heard, &times, now_ns);
        let mut agents: BTreeSet<AgentId> = given.cue.parties.iter().copied().collect();
        agents.extend(heard.keys());
        let party = |agent: AgentId| {
            let meant = given.cue.parties.binary_search(&agent).is_ok();
            let said = heard.get(&agent);
            let again = times.again_ns.iter();
            let again = again.filter(|again_ns| now_ns >= **again_ns).count() as u8;
            let late_ns = known.late_ns(&agent, &place.record);
            let lacking = meant && !is_ready(said, decided);
            let expected = stage != CueStage::Off && (late_ns.is_some() || (meant && !lacking));
            PartyView {
                agent,
                name: self.name_of(&agent),
                answer: said.map(|one| {
                    let (at, told) = one.latest;
                    (told.word, at, told.text.clone())
                }),
                late_ns,
                asked: if meant && said.is_none() {
                    1 + again
                } else {
                    0
                },
                lacking,
                outcome: outcome(&given.cue, late_ns, now_ns).filter(|_| expected),
            }
        };
        let parties = agents.into_iter().map(party).collect();
        let open = now_ns < given.cue.target_ns && !given.cue.parties.is_empty();
        let given_ns = times.answer_by_ns - place.stamp.as_ns();
        CueView {
            place,
            agent: given.agent,
            name: self.name_of(&given.agent),
            cue: given.cue.clone(),
            parties,
            stage,
            times,
            notice: open
                .then(|| self.notice(given, given_ns, heard, known.responses))
                .flatten(),
        }
    }

    fn notice(
        &self,
        given: &Given,
        given_ns: u64,
        heard: &BTreeMap<AgentId, Heard<'_>>,
        responses: &BTreeMap<AgentId, Responses>,
    ) -> Option<CueNotice> {
        let leads = self.leads_of(&given.cue.parties, responses, None);
        let longest = leads.agents.first()?;
        let short = leads.agents.iter().filter(|one| {
            let ready = is_ready(heard.get(&one.agent), false);
            one.lead_ns > given_ns && !ready
        });
        Some(CueNotice {
            given_ns,
            needed_ns: longest.lead_ns,
            by: (longest.agent, longest.name.clone()),
            assumed: longest.assumed,
            short: short
                .map(|one| (one.agent, one.name.clone(), one.lead_ns - given_ns))
                .collect(),
        })
    }
}

impl Known<'_> {
    fn late_ns(&self, agent: &AgentId, cue: &Digest) -> Option<i64> {
        let told = self.plays.get(agent)?.iter().rev();
        let mut of_cue = told.filter(|play| play.played.cue == Some(*cue));
        of_cue.next().map(|play| play.played.late_ns)
    }
}

/// Whether somebody is ready: as it says now, or as it said in time.
fn is_ready(said: Option<&Heard<'_>>, decided: bool) -> bool {
    said_last(said, decided) == Some(CueWord::Ready)
}

fn said_last(said: Option<&Heard<'_>>, decided: bool) -> Option<CueWord> {
    let said = said?;
    if decided {
        said.in_time.map(|told| told.word)
    } else {
        Some(said.latest.1.word)
    }
}

fn stage(
    given: &Given,
    heard: &BTreeMap<AgentId, Heard<'_>>,
    times: &CueTimes,
    now_ns: u64,
) -> CueStage {
    let decided = now_ns >= times.answer_by_ns;
    let words = given.cue.parties.iter();
    let words = words.map(|agent| said_last(heard.get(agent), decided));
    let waits = given.cue.rule == CueRule::Wait;
    // Who waits for all needs each of them ready; who does not needs to know of each.
    let open: Vec<Option<CueWord>> = words
        .filter(|word| match word {
            None => true,
            Some(word) => waits && *word != CueWord::Ready,
        })
        .collect();
    if decided {
        return if waits && !open.is_empty() {
            CueStage::Off
        } else {
            CueStage::On
        };
    }
    if given.cue.parties.is_empty() {
        return CueStage::Asked;
    }
    if open.is_empty() {
        return CueStage::Answered;
    }
    if now_ns >= times.escalates_ns || open.contains(&Some(CueWord::Declined)) {
        return CueStage::Escalated;
    }
    if times.again_ns.iter().any(|again_ns| now_ns >= *again_ns) {
        return CueStage::AskedAgain;
    }
    CueStage::Asked
}

/// How an action lies in the window around the target, once that is over.
fn outcome(cue: &Cue, late_ns: Option<i64>, now_ns: u64) -> Option<CueOutcome> {
    let window_ns = u64::from(cue.window_ms) * 1_000_000;
    match late_ns {
        Some(late_ns) if late_ns.unsigned_abs() <= window_ns => Some(CueOutcome::Punctual),
        Some(late_ns) if late_ns < 0 => Some(CueOutcome::Early(late_ns.unsigned_abs())),
        Some(late_ns) => Some(CueOutcome::Late(late_ns.unsigned_abs())),
        None if now_ns > cue.target_ns.saturating_add(window_ns) => Some(CueOutcome::Untold),
        None => None,
    }
}
