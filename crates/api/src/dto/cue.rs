//! Cues as they are shown, and how much notice agents need.

use std::fmt;

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::{
    CueNotice, CueOutcome, CuePlan, CueStage, CueView, LeadView, LeadsView, PartyView,
    UnreliableView,
};
use unisono_model::{AgentId, Digest};
use utoipa::ToSchema;

use super::ensemble::{CueAnswerWord, CueBody, CueRuleWord, Digits};
use super::foretold::PlanWord;
use super::moment::Moment;

/// What is to be done together.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CueList {
    /// The next first.
    pub cues: Vec<CueShown>,
}

/// A cue, with who has answered and what becomes of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CueShown {
    /// Its record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When it was given.
    pub given: Moment,
    /// By whom.
    pub by: String,
    /// That agent's first key: several may bear one name.
    #[serde(default)]
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// What it says.
    pub cue: CueBody,
    /// How long before its target it was given (ms).
    pub lead_ms: i64,
    /// Who is meant or has answered.
    pub parties: Vec<PartyShown>,
    /// How many of those who are meant have not answered.
    pub missing: u64,
    /// Where it stands.
    pub stage: CueStageWord,
    /// The names of those who are meant and not ready: as of now, and as of `answer_by_ns` once that is
    /// over.
    pub lacking: Vec<String>,
    /// When whoever is silent is asked again by the cluster's clock (ns since the Unix epoch).
    #[schema(value_type = Vec<String>)]
    pub again_ns: Vec<Digits>,
    /// When whoever gave it has to know who is silent.
    #[schema(value_type = String)]
    pub escalates_ns: Digits,
    /// By when all have to have answered: then it is decided whether it is on.
    #[schema(value_type = String)]
    pub answer_by_ns: Digits,
    /// Whether those who are meant have notice enough; none: nobody is meant, its time has come, or nobody is
    /// to prepare for it.
    pub notice: Option<CueNoticeShown>,
    /// How true the times were of the cues that whoever gave it had given before, in millionths: the share of
    /// those that were acted on at their time. Sure of whom nothing is known.
    #[serde(default = "sure_ppm")]
    pub quality_ppm: u32,
    /// How sure the target is by that, in millionths: the cue's confidence times this quality.
    #[serde(default = "sure_ppm")]
    pub sure_ppm: u32,
    /// `prepare`, or `react` where that is below 600000: whoever is meant acts when the time comes, nobody is
    /// asked again, and nobody needs notice.
    #[serde(default = "prepare")]
    pub plan: PlanWord,
}

fn sure_ppm() -> u32 {
    1_000_000
}

fn prepare() -> PlanWord {
    PlanWord::Prepare
}

/// What a cue is to an agent that wants to act on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CueTurn {
    /// It acts at the target.
    Acts,
    /// It is not decided yet, or the agent has still time to say that it is ready.
    Waits,
    /// The agent is meant, and was not ready in time.
    NotReady,
    /// The cue is off.
    Off,
}

impl CueShown {
    /// Whether this agent is meant.
    pub fn is_for(&self, agent: &AgentId) -> bool {
        self.cue.parties.contains(agent)
    }

    /// What it is to an agent of this name or first key. Who is meant acts if it is ready: under the rule
    /// `go` whoever is ready goes, and nobody else.
    pub fn turn_of(&self, agent: &str) -> CueTurn {
        let is = |one: &PartyShown| one.name == agent || one.agent.to_string() == agent;
        let lacking = self.parties.iter().any(|one| is(one) && one.lacking);
        match (self.stage, self.cue.rule) {
            (CueStageWord::Off, _) => CueTurn::Off,
            (CueStageWord::On, _) if lacking => CueTurn::NotReady,
            (CueStageWord::On, _) => CueTurn::Acts,
            (_, CueRuleWord::Go) if !lacking => CueTurn::Acts,
            _ => CueTurn::Waits,
        }
    }
}

/// Where a cue stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CueStageWord {
    /// Those who are meant were asked, and there is time.
    Asked,
    /// Whoever is silent was asked again.
    AskedAgain,
    /// Nobody who is meant is waited for any more.
    Answered,
    /// Whoever gave it has to look: soon it is too late, or it will be off.
    Escalated,
    /// It takes place, with those who are ready.
    On,
    /// It does not: somebody without whom it was not to be was not ready in time.
    Off,
}

/// One agent of a cue.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartyShown {
    /// Its key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// What it has answered.
    pub word: Option<CueAnswerWord>,
    /// Why.
    pub text: String,
    /// When it answered.
    pub answered: Option<Moment>,
    /// How often it has been asked, where it is meant and silent: once, and again.
    pub asked: u8,
    /// Whether it is meant and not ready.
    pub lacking: bool,
    /// How late its action was, where it told (ns).
    pub late_ns: Option<i64>,
    /// How it acted, once the window is over.
    pub outcome: Option<CueOutcomeWord>,
}

/// What became of the command that an agent stood by with for a cue. The agent says it in the `text` of an
/// answer behind the target: `ended 3`, `ended by signal 9`, `not run: why`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It ended with this exit code.
    Code(i32),
    /// A signal of this number ended it.
    Signal(i32),
    /// It was not run, and why.
    NotRun(String),
}

impl Ended {
    /// Reads what an answer says; none where it says something else.
    pub fn read(text: &str) -> Option<Self> {
        if let Some(why) = text.strip_prefix("not run: ") {
            return Some(Self::NotRun(why.to_owned()));
        }
        let how = text.strip_prefix("ended ")?;
        match how.strip_prefix("by signal ") {
            Some(signal) => signal.parse().ok().map(Self::Signal),
            None => how.parse().ok().map(Self::Code),
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "ended {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::NotRun(why) => write!(f, "not run: {why}"),
        }
    }
}

/// How somebody acted on a cue; `late_ns` says by how much.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CueOutcomeWord {
    /// Within the window.
    Punctual,
    /// Before the window.
    Early,
    /// After the window.
    Late,
    /// It has told nothing.
    Untold,
}

/// Whether a notice is long enough, by how long those who are meant took so far.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CueNoticeShown {
    /// How long they have to be ready (ms): up to `answer_by_ns`.
    pub given_ms: u64,
    /// How long they need (ms): the longest lead.
    pub needed_ms: u64,
    /// Whose lead that is.
    pub by: String,
    /// Whether that lead is assumed, since too little is known.
    pub assumed: bool,
    /// Who needs longer, and is not ready yet.
    pub short: Vec<ShortNotice>,
    /// Who is not ready yet and known to miss cues.
    #[serde(default)]
    pub unreliable: Vec<UnreliableShown>,
}

/// Somebody who is known to miss cues: asked twice as often, and told of as soon as it is asked again for the
/// second time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnreliableShown {
    /// Its name.
    pub name: String,
    /// In which share of its latest cues it was ready in time, millionths.
    pub reliability_ppm: u32,
    /// The names of those in the same role who could do it instead; the most reliable first, two at the most.
    pub stand_ins: Vec<String>,
}

/// For whom a notice is too short.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShortNotice {
    /// Its name.
    pub name: String,
    /// By how much (ms).
    pub short_ms: u64,
}

/// How much notice a group needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeadsShown {
    /// In which share of cues all of them are to be ready in time.
    pub share: f64,
    /// In which share each of them has to be for that.
    pub share_each: f64,
    /// How many agents these are.
    pub total: u64,
    /// Of how many the lead is assumed, since too little is known.
    pub assumed: u64,
    /// What the group needs to act together (ms): what its slowest needs.
    pub together_ms: u64,
    /// By how much an action of theirs may miss a time and still be in time (ms), where nobody says: what
    /// holds all of them in 999 of 1000 cases by how their actions spread and how sure their clocks are, and
    /// by how much the node knows the time badly.
    #[serde(default)]
    pub window_ms: u64,
    /// Whether that is at least 50 ms, since fewer than eight actions of somebody are known.
    #[serde(default)]
    pub window_assumed: bool,
    /// Each with what it needs: the slowest first. In a cascade each acts after its own lead.
    pub agents: Vec<LeadShown>,
}

/// How much notice an agent needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeadShown {
    /// Its key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// How often it was ready, of its latest 64 cues.
    pub samples: u32,
    /// How often it was meant and not ready by the target, of the same.
    pub misses: u32,
    /// Within how long it is ready in half of all cases (ms); 500 are assumed without a sample.
    pub median_ms: u64,
    /// One standard deviation (ms).
    pub spread_ms: u64,
    /// Two to four times the median, the slower the more (ms).
    pub floor_ms: u64,
    /// Within how long it is ready in `share_each` of all cases (ms).
    pub quantile_ms: u64,
    /// How much more it needs where it has something to prepare (ms): nothing as long as fewer than eight
    /// cues with, or without, are known.
    #[serde(default)]
    pub preparation_ms: u64,
    /// Within how long it is back after it has missed a cue, in half of all cases (ms).
    #[serde(default)]
    pub recovery_ms: Option<u64>,
    /// In which share of its latest cues it was ready in time, the older weighing less; 0.5 where nothing is
    /// known.
    #[serde(default)]
    pub reliability: f64,
    /// Whether that is below 0.75 over four cues or more: it is asked twice as often then.
    #[serde(default)]
    pub unreliable: bool,
    /// What it needs (ms), with something to prepare: the greater of floor and quantile, and what preparing
    /// needs; longer where it has just missed a cue, and where notice comes late or not to all. At most an
    /// hour.
    pub lead_ms: u64,
    /// Whether there are fewer than eight samples: then that is at least what is assumed of whom nobody
    /// knows, two seconds.
    pub assumed: bool,
}

impl From<CueView> for CueShown {
    fn from(view: CueView) -> Self {
        let given_ns = i128::from(view.place.stamp.as_ns());
        let lead_ms = (i128::from(view.cue.target_ns) - given_ns) / 1_000_000;
        let meant = |party: &&PartyView| view.cue.parties.contains(&party.agent);
        let missing = view.parties.iter().filter(meant);
        let missing = missing.filter(|party| party.answer.is_none()).count() as u64;
        let lacking = view.parties.iter().filter(|party| party.lacking);
        Self {
            record: view.place.record,
            given: view.place.stamp.into(),
            by: view.name,
            agent: view.agent,
            lead_ms: i64::try_from(lead_ms).unwrap_or(i64::MAX),
            missing,
            stage: view.stage.into(),
            lacking: lacking.map(|party| party.name.clone()).collect(),
            again_ns: view.times.again_ns.map(Digits).into(),
            escalates_ns: Digits(view.times.escalates_ns),
            answer_by_ns: Digits(view.times.answer_by_ns),
            notice: view.notice.map(Into::into),
            quality_ppm: view.quality_ppm,
            sure_ppm: view.sure_ppm,
            plan: match view.plan {
                CuePlan::Prepare => PlanWord::Prepare,
                CuePlan::React => PlanWord::React,
            },
            cue: view.cue.into(),
            parties: view.parties.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<CueStage> for CueStageWord {
    fn from(stage: CueStage) -> Self {
        match stage {
            CueStage::Asked => Self::Asked,
            CueStage::AskedAgain => Self::AskedAgain,
            CueStage::Answered => Self::Answered,
            CueStage::Escalated => Self::Escalated,
            CueStage::On => Self::On,
            CueStage::Off => Self::Off,
        }
    }
}

impl From<PartyView> for PartyShown {
    fn from(view: PartyView) -> Self {
        let answered = view.answer.as_ref().map(|(_, place, _)| place.stamp.into());
        let word = view.answer.as_ref().map(|(word, ..)| (*word).into());
        Self {
            agent: view.agent,
            name: view.name,
            word,
            answered,
            text: view.answer.map(|(.., text)| text).unwrap_or_default(),
            asked: view.asked,
            lacking: view.lacking,
            late_ns: view.late_ns,
            outcome: view.outcome.map(|outcome| match outcome {
                CueOutcome::Punctual => CueOutcomeWord::Punctual,
                CueOutcome::Early(_) => CueOutcomeWord::Early,
                CueOutcome::Late(_) => CueOutcomeWord::Late,
                CueOutcome::Untold => CueOutcomeWord::Untold,
            }),
        }
    }
}

impl From<CueNotice> for CueNoticeShown {
    fn from(notice: CueNotice) -> Self {
        let short = notice.short().map(|(_, name, short_ns)| ShortNotice {
            name: name.to_owned(),
            short_ms: to_ms(short_ns),
        });
        Self {
            short: short.collect(),
            unreliable: notice.unreliable.into_iter().map(Into::into).collect(),
            given_ms: notice.given_ns / 1_000_000,
            needed_ms: to_ms(notice.needed_ns),
            by: notice.by.1,
            assumed: notice.assumed,
        }
    }
}

impl From<UnreliableView> for UnreliableShown {
    fn from(view: UnreliableView) -> Self {
        let stand_ins = view.stand_ins.into_iter();
        Self {
            name: view.name,
            reliability_ppm: view.reliability_ppm,
            stand_ins: stand_ins.map(|(_, name)| name).collect(),
        }
    }
}

impl From<LeadsView> for LeadsShown {
    fn from(view: LeadsView) -> Self {
        Self {
            share: f64::from(view.share_ppm) / 1e6,
            share_each: view.share_each,
            total: view.total,
            assumed: view.assumed,
            together_ms: to_ms(view.together_ns),
            window_ms: to_ms(view.window_ns),
            window_assumed: view.window_assumed,
            agents: view.agents.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<LeadView> for LeadShown {
    fn from(view: LeadView) -> Self {
        Self {
            agent: view.agent,
            name: view.name,
            samples: view.samples,
            misses: view.misses,
            median_ms: to_ms(view.median_ns),
            spread_ms: to_ms(view.spread_ns),
            floor_ms: to_ms(view.floor_ns),
            quantile_ms: to_ms(view.quantile_ns),
            preparation_ms: to_ms(view.preparation_ns),
            recovery_ms: view.recovery_ns.map(to_ms),
            reliability: (view.reliability * 1e4).round() / 1e4,
            unreliable: view.unreliable,
            lead_ms: to_ms(view.lead_ns),
            assumed: view.assumed,
        }
    }
}

/// Rounded up: whoever waits so long has waited long enough.
fn to_ms(ns: u64) -> u64 {
    ns.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_became_of_a_command_is_read_as_it_is_written_and_other_words_are_not() {
        for ended in [
            Ended::Code(0),
            Ended::Code(-1),
            Ended::Signal(9),
            Ended::NotRun("it is gone".to_owned()),
        ] {
            assert_eq!(Ended::read(&ended.to_string()), Some(ended));
        }
        for other in [
            "",
            "ended",
            "ended ",
            "ended well",
            "ended by signal x",
            "3",
            "not run",
        ] {
            assert_eq!(Ended::read(other), None, "{other}");
        }
    }
}
