//! What is played together, as it is shown: tempo, beats, barriers, punctuality.

use serde::{Deserialize, Serialize};
use unisono_core::ensemble::{Beat as CoreBeat, Gains, Health, Loop, Punctuality, Stress};
use unisono_core::orchestra::view::{
    BarrierView, ChangeStage, ChangeView, FollowerView, Follows, OpeningView, OveruseView,
    PerformerView, PlayerView, PlayersView, TempoView, UsageView,
};
use unisono_model::{AgentId, Digest};
use utoipa::ToSchema;

use super::ensemble::{Bpm, Digits, TempoBody};
use super::finding::Finding;
use super::moment::Moment;
use super::vary::VariationBody;
use super::words::{CorrectionWord, ResourceWord, VariationWord};

/// The tempo that stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TempoShown {
    /// The map.
    pub tempo: TempoBody,
    /// The record that set it; none: what is played where nobody has.
    #[schema(value_type = Option<String>)]
    pub record: Option<Digest>,
    /// When it was set.
    pub set: Option<Moment>,
    /// By whom.
    pub by: Option<String>,
    /// Its last change, until ten minutes after its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<ChangeShown>,
    /// How agents may vary on purpose; left out where they may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation: Option<VariationBody>,
}

/// A change of the tempo, and who follows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeShown {
    /// When it begins by the cluster's clock (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub from_ns: Digits,
    /// When the new rate is reached; for a step that is when it begins.
    #[schema(value_type = String)]
    pub until_ns: Digits,
    /// By when it has to show who follows.
    #[schema(value_type = String)]
    pub decided_ns: Digits,
    /// The rate before it, beats a minute.
    #[schema(value_type = f64)]
    pub from_bpm: Bpm,
    /// The rate after it.
    #[schema(value_type = f64)]
    pub to_bpm: Bpm,
    /// Where it stands.
    pub stage: ChangeStageWord,
    /// Who played the beat in the minute before it, or plays it since; nobody before its end.
    pub players: Vec<FollowerShown>,
}

/// Where a change of the tempo stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeStageWord {
    /// It has not begun.
    Announced,
    /// The rate changes.
    UnderWay,
    /// It is over, and somebody has not told of enough actions yet.
    Awaited,
    /// All players follow.
    Confirmed,
    /// Not all do.
    Unconfirmed,
    /// Nobody has told of the beat, neither in the minute before nor since.
    Unheard,
}

/// A player, and whether it follows a change of the tempo.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FollowerShown {
    /// Its key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Whether it does.
    pub follows: FollowsWord,
    /// By how much later it is than before the change, for `later` (ns); less than nothing: earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub later_ns: Option<i64>,
}

/// Whether a player follows a change of the tempo, by its first eight actions since.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FollowsWord {
    /// It plays the new beat, as punctually as the old one.
    Yes,
    /// It has told of fewer than two actions.
    Silent,
    /// More than one in four of its actions were meant for no beat of the new tempo.
    OffBeat,
    /// It plays the new beat, 30 ms or more later or earlier than the old one.
    Later,
}

/// A beat, told before it comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// Its number.
    pub beat: i64,
    /// When it comes by the cluster's clock (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub at_ns: Digits,
    /// What kind it is.
    pub stress: StressWord,
    /// The record of the tempo map by which it comes then; a later beat under another map takes
    /// its place.
    #[schema(value_type = Option<String>)]
    pub tempo: Option<Digest>,
    /// Whether agents may vary on purpose at it.
    #[serde(default)]
    pub may_vary: bool,
}

/// What kind of beat it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StressWord {
    /// An ordinary one.
    Beat,
    /// A coordination point.
    Point,
    /// A major synchronisation.
    Major,
}

/// Barriers at which somebody waits, or that opened in the last hour.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BarrierList {
    /// By name.
    pub barriers: Vec<BarrierShown>,
}

/// A barrier.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BarrierShown {
    /// Its name.
    pub barrier: String,
    /// How many it takes.
    pub of: u16,
    /// The names of who waits.
    pub waiting: Vec<String>,
    /// What it opened last.
    pub opened: Option<OpeningShown>,
}

/// A barrier that opened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpeningShown {
    /// The arrival that completed it.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When that arrived.
    pub completed: Moment,
    /// When it opens by the cluster's clock (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub opens_ns: Digits,
    /// The names of those for whom.
    pub agents: Vec<String>,
    /// The records of their arrivals, in the same order.
    #[schema(value_type = Vec<String>)]
    pub arrivals: Vec<Digest>,
    /// Whether nothing can come any more that would make it another time.
    pub confirmed: bool,
}

/// How punctual everybody is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ensemble {
    /// By key.
    pub players: Vec<Player>,
    /// What goes wrong among those who played within the last hour: groups first, then all, then single
    /// agents.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// How much of an error so many players may correct towards one another; nothing where nobody plays.
    #[serde(default)]
    pub gains: Option<GainsShown>,
    /// What those use who told of it within the last hour, by key.
    #[serde(default)]
    pub usage: Vec<UsageShown>,
    /// Those who said within the last hour how they perform, by key.
    #[serde(default)]
    pub performers: Vec<PerformerShown>,
}

/// Those who perform now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Performers {
    /// By key; of more than 1024 those who said so last.
    pub performers: Vec<PerformerShown>,
}

/// What an agent said of how it performs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PerformerShown {
    /// Its key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// By which rule it corrects its errors.
    pub rule: CorrectionWord,
    /// Its phase gain: the share of an error by which its next action is moved.
    pub phase: f64,
    /// Its period gain: the share of the mean error of ten actions by which its next ten are moved.
    pub period: f64,
    /// When it said so.
    pub told: Moment,
    /// For how long that holds (ms).
    pub holds_ms: u32,
    /// Whether it performs now: it has not said that it ended, and what it said still holds.
    pub performs: bool,
}

/// What an agent uses of what is allotted to it, by its latest words (at most 64).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageShown {
    /// Its key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Of what, with its unit.
    pub resource: ResourceWord,
    /// Which share it uses lately (percent of what is allotted): the middle of its latest eight words.
    pub used_percent: f64,
    /// How many words.
    pub stretches: u32,
    /// How many actions they were of.
    pub actions: u64,
    /// How much was used in them.
    pub used: u64,
    /// How much was allotted for them.
    pub allotted: u64,
    /// Whether it stays beyond what it may use.
    pub over: bool,
}

/// What somebody uses too much of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OveruseShown {
    /// Of what, with its unit.
    pub resource: ResourceWord,
    /// Which share it uses lately (percent of what is allotted).
    pub used_percent: f64,
    /// Which share it may use.
    pub most_percent: f64,
}

/// How much of an error each of so many players may correct, where all correct towards one another and hear of
/// each action before the next one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GainsShown {
    /// How many players: all that are shown.
    pub players: u32,
    /// The phase gain that brings an error down soonest: a share of it, at each action, towards each partner.
    pub phase_best: f64,
    /// The period gain that goes with it: a share of the mean error of ten actions.
    pub period_best: f64,
    /// Below this phase gain errors shrink; from it on they do not.
    pub phase_bound: f64,
    /// Whether errors shrink with a phase gain of 0.25 and a period gain of 0.1 (`--rule seed`).
    pub seed_is_stable: bool,
}

/// How punctual an agent's latest actions were (at most 64), by its own clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Player {
    /// Its key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// How many actions.
    pub actions: u32,
    /// Mean lateness (ms).
    pub mean_ms: f64,
    /// Mean of what they were off by, early or late (ms).
    pub off_ms: f64,
    /// One standard deviation (ms).
    pub spread_ms: f64,
    /// The most that one was off by (ms).
    pub worst_ms: f64,
    /// By how much later they become in a minute (ms).
    pub drift_ms_per_minute: f64,
    /// Three sigma of its clock at the last one (ms).
    pub unsure_ms: f64,
    /// By the thresholds of mean (30, 100 ms), spread (20, 50 ms) and drift (10, 30 ms a minute).
    pub health: HealthWord,
    /// The latest ten minutes in which it acted, the oldest first.
    #[serde(default)]
    pub minutes: Vec<Minute>,
    /// How it varies on purpose; left out where nothing may vary, and for whoever has not played for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variation: Option<VariationShown>,
}

/// How an agent varies on purpose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VariationShown {
    /// Whether it does; and if it is off otherwise, why that is no variation that is meant.
    pub variation: VariationWord,
    /// How many of its latest 64 actions were off as is expected: nothing is told of them, and they do not count
    /// for its health.
    pub actions: u32,
    /// The furthest that one of these was from its target (ms); early where less than nothing.
    pub most_ms: f64,
}

/// How punctual an agent was in one minute, of its latest actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Minute {
    /// When it began, by the cluster's clock (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub from_ns: Digits,
    /// How many actions were meant for it.
    pub actions: u32,
    /// Mean lateness (ms).
    pub mean_ms: f64,
    /// One standard deviation (ms).
    pub spread_ms: f64,
    /// The most that one was off by (ms).
    pub worst_ms: f64,
    /// By how much later they became in a minute (ms).
    pub drift_ms_per_minute: f64,
    /// By the same thresholds.
    pub health: HealthWord,
}

/// How somebody is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthWord {
    /// As it should be.
    Healthy,
    /// To be watched.
    Warning,
    /// Somebody has to look.
    Critical,
}

impl From<TempoView> for TempoShown {
    fn from(view: TempoView) -> Self {
        let place = view.set.as_ref().map(|(place, ..)| *place);
        Self {
            tempo: view.tempo.into(),
            record: place.map(|place| place.record),
            set: place.map(|place| place.stamp.into()),
            by: view.set.map(|(_, _, name)| name),
            change: view.change.map(Into::into),
            variation: view.bounds.map(Into::into),
        }
    }
}

impl From<ChangeView> for ChangeShown {
    fn from(view: ChangeView) -> Self {
        Self {
            from_ns: Digits(view.from_ns),
            until_ns: Digits(view.until_ns),
            decided_ns: Digits(view.decided_ns),
            from_bpm: Bpm {
                ubpm: view.from_ubpm,
            },
            to_bpm: Bpm { ubpm: view.to_ubpm },
            stage: match view.stage {
                ChangeStage::Announced => ChangeStageWord::Announced,
                ChangeStage::UnderWay => ChangeStageWord::UnderWay,
                ChangeStage::Awaited => ChangeStageWord::Awaited,
                ChangeStage::Confirmed => ChangeStageWord::Confirmed,
                ChangeStage::Unconfirmed => ChangeStageWord::Unconfirmed,
                ChangeStage::Unheard => ChangeStageWord::Unheard,
            },
            players: view.players.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<FollowerView> for FollowerShown {
    fn from(view: FollowerView) -> Self {
        let (follows, later_ns) = match view.follows {
            Follows::Yes => (FollowsWord::Yes, None),
            Follows::Silent => (FollowsWord::Silent, None),
            Follows::OffBeat => (FollowsWord::OffBeat, None),
            Follows::Later(ns) => (FollowsWord::Later, Some(ns)),
        };
        Self {
            agent: view.agent,
            name: view.name,
            follows,
            later_ns,
        }
    }
}

impl Beat {
    /// A beat of a map that a record has set.
    pub fn of(beat: &CoreBeat, tempo: Option<Digest>, may_vary: bool) -> Self {
        Self {
            beat: beat.number,
            at_ns: Digits(beat.at_ns),
            stress: match beat.stress {
                Stress::Beat => StressWord::Beat,
                Stress::Point => StressWord::Point,
                Stress::Major => StressWord::Major,
            },
            tempo,
            may_vary,
        }
    }
}

impl From<BarrierView> for BarrierShown {
    fn from(view: BarrierView) -> Self {
        Self {
            barrier: view.barrier,
            of: view.of,
            waiting: view.waiting.into_iter().map(|(_, name, _)| name).collect(),
            opened: view.opened.map(Into::into),
        }
    }
}

impl From<OpeningView> for OpeningShown {
    fn from(view: OpeningView) -> Self {
        let each = view.agents.into_iter();
        let (agents, arrivals) = each.map(|(_, name, place)| (name, place.record)).unzip();
        Self {
            record: view.last.record,
            completed: view.last.stamp.into(),
            opens_ns: Digits(view.opens_ns),
            agents,
            arrivals,
            confirmed: view.settled,
        }
    }
}

impl From<PlayersView> for Ensemble {
    fn from(view: PlayersView) -> Self {
        let players = u32::try_from(view.players.len()).unwrap_or(u32::MAX);
        Self {
            players: view.players.into_iter().map(Into::into).collect(),
            findings: view.findings.into_iter().map(Into::into).collect(),
            gains: (players > 0).then(|| GainsShown::of(players)),
            usage: view.usage.into_iter().map(Into::into).collect(),
            performers: view.performers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<PerformerView> for PerformerShown {
    fn from(view: PerformerView) -> Self {
        let said = view.said;
        let share = |ppm: u32| f64::from(ppm) / 1e6;
        Self {
            agent: view.agent,
            name: view.name,
            rule: said.rule.into(),
            phase: share(said.phase_ppm),
            period: share(said.period_ppm),
            told: view.told.into(),
            holds_ms: said.holds_ms,
            performs: view.performs,
        }
    }
}

/// A share in percent, to a tenth.
fn percent(share: f64) -> f64 {
    (share * 1e3).round() / 10.0
}

impl From<UsageView> for UsageShown {
    fn from(view: UsageView) -> Self {
        let usage = view.usage;
        Self {
            agent: view.agent,
            name: view.name,
            resource: view.resource.into(),
            used_percent: percent(usage.share),
            stretches: usage.stretches,
            actions: usage.actions,
            used: usage.used,
            allotted: usage.allotted,
            over: usage.over.is_some(),
        }
    }
}

impl From<OveruseView> for OveruseShown {
    fn from(view: OveruseView) -> Self {
        Self {
            resource: view.resource.into(),
            used_percent: percent(view.share),
            most_percent: percent(view.most),
        }
    }
}

impl GainsShown {
    /// Those that hold for so many players.
    fn of(players: u32) -> Self {
        let around = Loop { players, delay: 0 };
        let best = around.best();
        let short = |gain: f64| (gain * 1e6).round() / 1e6;
        Self {
            players,
            phase_best: short(best.phase),
            period_best: short(best.period),
            phase_bound: short(around.phase_bound()),
            seed_is_stable: around.check(Gains::SEED).is_ok(),
        }
    }
}

impl From<PlayerView> for Player {
    fn from(view: PlayerView) -> Self {
        let punctuality = view.punctuality;
        let ms = |ns: f64| (ns / 1e3).round() / 1e3;
        Self {
            agent: view.agent,
            name: view.name,
            actions: punctuality.actions,
            mean_ms: ms(punctuality.mean_ns),
            off_ms: ms(punctuality.off_ns),
            spread_ms: ms(punctuality.spread_ns),
            worst_ms: ms(punctuality.worst_ns),
            drift_ms_per_minute: ms(punctuality.drift_ns_per_minute),
            unsure_ms: ms(view.unsure_ns as f64),
            health: punctuality.health.into(),
            minutes: view.minutes.into_iter().map(Into::into).collect(),
            variation: view.variation.map(|one| VariationShown {
                variation: one.variation.into(),
                actions: one.actions,
                most_ms: ms(one.most_ns as f64),
            }),
        }
    }
}

impl From<(u64, Punctuality)> for Minute {
    fn from((from_ns, punctuality): (u64, Punctuality)) -> Self {
        let ms = |ns: f64| (ns / 1e3).round() / 1e3;
        Self {
            from_ns: Digits(from_ns),
            actions: punctuality.actions,
            mean_ms: ms(punctuality.mean_ns),
            spread_ms: ms(punctuality.spread_ns),
            worst_ms: ms(punctuality.worst_ns),
            drift_ms_per_minute: ms(punctuality.drift_ns_per_minute),
            health: punctuality.health.into(),
        }
    }
}

impl From<Health> for HealthWord {
    fn from(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Healthy,
            Health::Warning => Self::Warning,
            Health::Critical => Self::Critical,
        }
    }
}
