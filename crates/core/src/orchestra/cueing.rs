//! Cues as people see them: who has answered, who is asked again, what becomes of it, whom the notice is
//! too short for, and who was punctual.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::OnceCell;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Cue, CueRule, CueWord, Digest, Place};

use super::profiles::{Spare, UnreliableView, profile_of};
use super::read::Reading;
use super::together::{CueTimes, Given, Heard, Play, Responses};
use crate::ensemble::Profile;
use crate::ensemble::limits::{
    CONFIDENCE_MIN, JUDGE_TOGETHER_MIN, MEAN_MS, QUALITY_CUES_MAX, QUALITY_PRIOR,
    QUALITY_TOLD_WITHIN_NS,
};

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
    /// Whether those who are meant have notice enough, until the target; nobody is meant, it has come, or
    /// nobody is to prepare.
    pub notice: Option<CueNotice>,
    /// In which share of cues that whoever gave it had given before, and that were acted on, the action came
    /// within the window, millionths: what is known of how true its times are (TIME-8).
    pub quality_ppm: u32,
    /// How sure the time is by that: the confidence that the cue states, times the quality of its source.
    pub sure_ppm: u32,
    /// Whether it is worth preparing for.
    pub plan: CuePlan,
}

/// What a cue is to be taken for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum CuePlan {
    /// Its time is sure enough to prepare for it.
    Prepare,
    /// It is not: whoever is meant acts when it comes. Nobody is asked again, and nobody needs notice.
    React,
}

impl CuePlan {
    /// Of a time that is so sure (millionths).
    fn of(sure_ppm: u32) -> Self {
        if f64::from(sure_ppm) < CONFIDENCE_MIN * 1e6 {
            Self::React
        } else {
            Self::Prepare
        }
    }
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
    /// Who is not ready yet, with what it needs (ns).
    pub unready: Vec<(AgentId, String, u64)>,
    /// Who of them is known to miss cues, and who could stand in.
    pub unreliable: Vec<UnreliableView>,
}

impl CueNotice {
    /// Who needs longer and is not ready yet: agent, name, by how much it is too short (ns).
    pub fn short(&self) -> impl Iterator<Item = (AgentId, &str, u64)> {
        let short = self
            .unready
            .iter()
            .filter(|(.., lead_ns)| *lead_ns > self.given_ns);
        short.map(|(agent, name, lead_ns)| (*agent, name.as_str(), lead_ns - self.given_ns))
    }

    /// So many times as much notice is needed, since it comes late or not to all (TIME-7).
    pub fn lengthen(&mut self, factor: f64) {
        let longer = |ns: &mut u64| *ns = (*ns as f64 * factor) as u64;
        longer(&mut self.needed_ns);
        self.unready
            .iter_mut()
            .for_each(|(.., lead_ns)| longer(lead_ns));
    }
}

/// Who misses a time by less is no sign that the time was wrong, however narrow the window (ns): what is
/// critical of a mean asynchrony.
const OFF_NS: u64 = (MEAN_MS.1 * 1e6) as u64;

/// So many have to tell of a cue that is for nobody in particular before their word counts.
const VOICES_MIN: usize = JUDGE_TOGETHER_MIN;

/// A cue that is shown, and what was answered to it.
type Shown<'a> = (Place, &'a Given, BTreeMap<AgentId, Heard<'a>>);

/// What cues are read with.
struct Known<'a> {
    plays: BTreeMap<AgentId, Vec<Play>>,
    responses: &'a BTreeMap<AgentId, Responses>,
    /// Of whoever gave cues: from when on what was told of each counts that was acted on (ns), and whether
    /// that came within its window; in order.
    hits: BTreeMap<AgentId, Vec<(u64, bool)>>,
    /// Who could stand in for somebody, once it is asked.
    spare: OnceCell<Vec<Spare<'a>>>,
}

impl Reading<'_> {
    /// What is to be done together, the next first.
    pub fn cues(&self) -> Vec<CueView> {
        self.cues_where(|_| true)
    }

    fn cues_where(&self, is_wanted: impl Fn(&Place) -> bool) -> Vec<CueView> {
        let cues = &self.folds.together.cues;
        let now_ns = self.at.as_ns();
        let shown: Vec<Shown<'_>> = cues.read(self.at).collect();
        let mut of_interest: BTreeSet<AgentId> = BTreeSet::new();
        let wanted = || shown.iter().filter(|(place, ..)| is_wanted(place));
        for (_, given, heard) in wanted() {
            let open = now_ns < given.cue.target_ns;
            let parties = given.cue.parties.iter();
            of_interest.extend(parties.filter(|agent| open || !heard.contains_key(*agent)));
        }
        let plays = self.folds.together.plays.read(self.at);
        let known = Known {
            hits: hits(&shown, &plays, now_ns),
            plays,
            responses: &cues.responses(self.at, Some(&of_interest)),
            spare: OnceCell::new(),
        };
        let mut views: Vec<CueView> = wanted()
            .map(|(place, given, heard)| self.cue(*place, given, heard, &known))
            .collect();
        views.sort_by_key(|view| (view.cue.target_ns, view.place));
        views
    }

    /// For a cue: as it stands.
    pub fn cue_of(&self, action: &Action, place: Place) -> Option<Box<CueView>> {
        let Action::Cue(_) = action else { return None };
        self.cues_where(|one| *one == place).pop().map(Box::new)
    }

    fn cue<'a>(
        &'a self,
        place: Place,
        given: &Given,
        heard: &BTreeMap<AgentId, Heard<'_>>,
        known: &Known<'a>,
    ) -> CueView {
        let now_ns = self.at.as_ns();
        let times = given.times(&place);
        let given_ns = place.stamp.as_ns();
        let decided = now_ns >= times.answer_by_ns;
        let quality_ppm = known.quality_ppm(&given.agent, given_ns);
        let sure = u64::from(given.cue.confidence_ppm) * u64::from(quality_ppm);
        let sure_ppm = (sure / 1_000_000) as u32;
        let plan = CuePlan::of(sure_ppm);
        let asking = Asking {
            times: &times,
            given_ns,
            now_ns,
            plan,
            profiles: known.profiles(given, heard, &place, now_ns),
        };
        let stage = stage(given, heard, &asking);
        let mut agents: BTreeSet<AgentId> = given.cue.parties.iter().copied().collect();
        agents.extend(heard.keys());
        let party = |agent: AgentId| {
            let meant = given.cue.parties.binary_search(&agent).is_ok();
            let said = heard.get(&agent);
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
                    asking.asked(&agent)
                } else {
                    0
                },
                lacking,
                outcome: outcome(&given.cue, late_ns, now_ns).filter(|_| expected),
            }
        };
        let parties = agents.into_iter().map(party).collect();
        let open = now_ns < given.cue.target_ns && !given.cue.parties.is_empty();
        let prepares = open && plan == CuePlan::Prepare;
        CueView {
            place,
            agent: given.agent,
            name: self.name_of(&given.agent),
            cue: given.cue.clone(),
            parties,
            stage,
            times,
            notice: prepares
                .then(|| self.notice(given, &asking, heard, known))
                .flatten(),
            quality_ppm,
            sure_ppm,
            plan,
        }
    }

    fn notice<'a>(
        &'a self,
        given: &Given,
        asking: &Asking<'_>,
        heard: &BTreeMap<AgentId, Heard<'_>>,
        known: &Known<'a>,
    ) -> Option<CueNotice> {
        let meant = &given.cue.parties;
        let prepares = !given.cue.preparation.is_empty();
        let leads = self.leads_of(meant, known.responses, None, prepares);
        let longest = leads.agents.first()?;
        let unready = leads.agents.iter();
        let unready = unready.filter(|one| !is_ready(heard.get(&one.agent), false));
        let unready: Vec<_> = unready
            .map(|one| (one.agent, one.name.clone(), one.lead_ns))
            .collect();
        let unreliable = unready.iter().filter_map(|(agent, ..)| {
            let profile = asking.profiles.get(agent)?;
            let spare = || known.spare.get_or_init(|| self.spare());
            let is = profile.is_unreliable();
            is.then(|| self.unreliable(*agent, profile, meant, spare()))
        });
        Some(CueNotice {
            given_ns: asking.times.answer_by_ns - asking.given_ns,
            needed_ns: longest.lead_ns,
            by: (longest.agent, longest.name.clone()),
            assumed: longest.assumed,
            unreliable: unreliable.collect(),
            unready,
        })
    }
}

/// Who is asked how often for a cue.
struct Asking<'a> {
    times: &'a CueTimes,
    given_ns: u64,
    now_ns: u64,
    plan: CuePlan,
    /// What was known of whoever is meant when the cue was given.
    profiles: BTreeMap<AgentId, Profile>,
}

impl Asking<'_> {
    /// How often somebody who is silent has been asked: once, and again. Whoever is known to miss cues twice
    /// as often; nobody again for what nobody is to prepare for.
    fn asked(&self, agent: &AgentId) -> u8 {
        let come = |times: &[u64]| times.iter().filter(|at_ns| self.now_ns >= **at_ns).count();
        let again = match self.plan {
            CuePlan::React => 0,
            CuePlan::Prepare if self.is_unreliable(agent) => {
                come(&self.times.again_unreliable_ns(self.given_ns))
            }
            CuePlan::Prepare => come(&self.times.again_ns),
        };
        1 + again as u8
    }

    fn is_unreliable(&self, agent: &AgentId) -> bool {
        self.profiles.get(agent).is_some_and(Profile::is_unreliable)
    }
}

impl Known<'_> {
    fn late_ns(&self, agent: &AgentId, cue: &Digest) -> Option<i64> {
        let told = self.plays.get(agent)?.iter().rev();
        let mut of_cue = told.filter(|play| play.played.cue == Some(*cue));
        of_cue.next().map(|play| play.played.late_ns)
    }

    /// How true the times of an agent's cues were, as was known at a time (ns): sure of whom nothing is known.
    fn quality_ppm(&self, agent: &AgentId, by_ns: u64) -> u32 {
        let counted = self.hits.get(agent).map_or(&[][..], Vec::as_slice);
        let before = counted
            .iter()
            .rev()
            .filter(|(counted_ns, _)| *counted_ns <= by_ns);
        let (mut hit, mut all) = (QUALITY_PRIOR, QUALITY_PRIOR);
        for (_, within) in before.take(QUALITY_CUES_MAX) {
            all += 1;
            hit += u32::from(*within);
        }
        (u64::from(hit) * 1_000_000 / u64::from(all)) as u32
    }

    /// What was known when a cue was given of whoever is meant by it and matters still: all while it is
    /// open, and then those who were silent.
    fn profiles(
        &self,
        given: &Given,
        heard: &BTreeMap<AgentId, Heard<'_>>,
        place: &Place,
        now_ns: u64,
    ) -> BTreeMap<AgentId, Profile> {
        let is_open = now_ns < given.cue.target_ns;
        let meant = given.cue.parties.iter();
        let meant = meant.filter(|agent| is_open || !heard.contains_key(*agent));
        let known = meant.filter_map(|agent| Some((agent, self.responses.get(agent)?)));
        let given_ns = place.stamp.as_ns();
        known
            .map(|(agent, responses)| (*agent, profile_of(responses, given_ns)))
            .collect()
    }
}

/// Which cues were acted on within their windows: by more than half of those who told in time, of those who
/// were meant, with one vote each. Nobody else's word counts, nor a word that comes late: it would be a way
/// to have somebody's cues not believed, and what was believed would change afterwards. Where nobody is
/// meant anybody may tell, so that several have to.
fn hits(
    shown: &[Shown<'_>],
    plays: &BTreeMap<AgentId, Vec<Play>>,
    now_ns: u64,
) -> BTreeMap<AgentId, Vec<(u64, bool)>> {
    let told = told(plays);
    let mut hits: BTreeMap<AgentId, Vec<(u64, bool)>> = BTreeMap::new();
    for (place, given, _) in shown {
        let window_ns = window_ns(&given.cue);
        let over_ns = given.cue.target_ns.saturating_add(window_ns);
        let counted_ns = over_ns.saturating_add(QUALITY_TOLD_WITHIN_NS);
        let Some(told) = told.get(&place.record).filter(|_| counted_ns < now_ns) else {
            continue;
        };
        let parties = &given.cue.parties;
        let is_meant = |agent: &AgentId| parties.is_empty() || parties.binary_search(agent).is_ok();
        // The last word of each that came in time.
        let votes: BTreeMap<AgentId, u64> = told
            .iter()
            .filter(|(agent, play)| is_meant(agent) && play.place.stamp.as_ns() <= counted_ns)
            .map(|(agent, play)| (*agent, play.played.late_ns.unsigned_abs()))
            .collect();
        let near = |off_ns: &&u64| **off_ns <= window_ns.max(OFF_NS);
        let within = votes.values().filter(near).count();
        let least = if parties.is_empty() { VOICES_MIN } else { 1 };
        if votes.len() >= least {
            let of_giver = hits.entry(given.agent).or_default();
            of_giver.push((counted_ns, 2 * within > votes.len()));
        }
    }
    for of_giver in hits.values_mut() {
        of_giver.sort_unstable();
    }
    hits
}

/// What was told of each cue, each agent's words in their order.
fn told(plays: &BTreeMap<AgentId, Vec<Play>>) -> BTreeMap<Digest, Vec<(AgentId, &Play)>> {
    let mut told: BTreeMap<Digest, Vec<(AgentId, &Play)>> = BTreeMap::new();
    for (agent, plays) in plays {
        for play in plays {
            if let Some(cue) = play.played.cue {
                told.entry(cue).or_default().push((*agent, play));
            }
        }
    }
    told
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

fn stage(given: &Given, heard: &BTreeMap<AgentId, Heard<'_>>, asking: &Asking<'_>) -> CueStage {
    let (times, now_ns) = (asking.times, asking.now_ns);
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
    if open.contains(&Some(CueWord::Declined)) {
        return CueStage::Escalated;
    }
    if asking.plan == CuePlan::React {
        return CueStage::Asked;
    }
    // Of whoever is known to miss cues it is told as soon as it is asked again: there is time then to ask
    // somebody else.
    let unreliable = given.cue.parties.iter();
    let mut unreliable = unreliable.filter(|agent| asking.is_unreliable(agent));
    let doubtful = unreliable.any(|agent| !heard.contains_key(agent));
    if now_ns >= times.escalates_ns || (doubtful && now_ns >= times.again_ns[0]) {
        return CueStage::Escalated;
    }
    if times.again_ns.iter().any(|again_ns| now_ns >= *again_ns) {
        return CueStage::AskedAgain;
    }
    CueStage::Asked
}

/// How an action lies in the window around the target, once that is over.
fn outcome(cue: &Cue, late_ns: Option<i64>, now_ns: u64) -> Option<CueOutcome> {
    let window_ns = window_ns(cue);
    match late_ns {
        Some(late_ns) if late_ns.unsigned_abs() <= window_ns => Some(CueOutcome::Punctual),
        Some(late_ns) if late_ns < 0 => Some(CueOutcome::Early(late_ns.unsigned_abs())),
        Some(late_ns) => Some(CueOutcome::Late(late_ns.unsigned_abs())),
        None if now_ns > cue.target_ns.saturating_add(window_ns) => Some(CueOutcome::Untold),
        None => None,
    }
}

fn window_ns(cue: &Cue) -> u64 {
    u64::from(cue.window_ms) * 1_000_000
}
