//! What goes wrong among those who play together, as it is shown, with the command that recovers.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::FindingView;
use unisono_model::AgentId;
use utoipa::ToSchema;

use super::ensemble::Digits;
use super::moment::Moment;
use super::score::OveruseShown;
use super::words::{CauseWord, FailureWord, RecoveryWord, VariationWord};

/// Something that goes wrong among those who play together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What.
    pub failure: FailureWord,
    /// The names of those whom it concerns: who rushes, drags or is astray; of a drift everybody.
    pub agents: Vec<String>,
    /// Their keys, in the same order.
    #[schema(value_type = Vec<String>)]
    pub keys: Vec<AgentId>,
    /// How many agents played together.
    pub players: u32,
    /// By how much lately (ms): how late somebody is beyond its own rule and what all have in common, how late
    /// all are, how far two groups are apart; of what is critical the figure that is so: the mean, the spread, or
    /// the drift in a minute. Less than nothing: early. Of who uses too much: nothing.
    pub off_ms: f64,
    /// Since when, by the time that an action was meant for (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub since_ns: Digits,
    /// When it was told last, by the same.
    #[schema(value_type = String)]
    pub told_ns: Digits,
    /// How many actions it took from the one to the other; of what is critical, how many it is the figure of; of who
    /// uses too much, how many stretches of actions.
    pub actions: u32,
    /// What probably lies behind it.
    pub cause: CauseWord,
    /// What helps.
    pub recovery: RecoveryWord,
    /// How much notice those concerned should have (ms): twice what the slowest of them needs.
    pub lead_ms: u64,
    /// Within which window they are in time as they are (ms).
    pub window_ms: u64,
    /// Why it is no variation that is meant: beyond the bounds, no return from it, or where none is likely. Left out
    /// where nothing may vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<VariationWord>,
    /// What is used too much of, if that is it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overuse: Option<OveruseShown>,
    /// Commands that recover, in order. `NAME` stands for whoever gives them, or for each that is meant.
    pub next: Vec<String>,
}

/// What begins to go wrong, and what is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FindingChange {
    /// As of when.
    pub at: Moment,
    /// What has begun.
    pub begun: Vec<Finding>,
    /// What is over.
    pub over: Vec<Finding>,
}

impl From<FindingView> for Finding {
    fn from(view: FindingView) -> Self {
        let (keys, agents): (Vec<AgentId>, Vec<String>) = view.agents.iter().cloned().unzip();
        let ms = |ns: f64| (ns / 1e3).round() / 1e3;
        let mut finding = Self {
            failure: view.kind.into(),
            agents,
            keys,
            players: view.players,
            off_ms: ms(view.off_ns as f64),
            since_ns: Digits(view.since_ns),
            told_ns: Digits(view.told_ns),
            actions: view.actions,
            cause: view.cause.into(),
            recovery: view.recovery.into(),
            lead_ms: view.lead_ns.div_ceil(1_000_000),
            window_ms: view.window_ns.div_ceil(1_000_000),
            reason: view.reason.map(Into::into),
            overuse: view.overuse.map(Into::into),
            next: Vec::new(),
        };
        finding.next = finding.recovers();
        finding
    }
}

impl Finding {
    /// Whether it is a threshold that was crossed: what lies behind that, nobody can tell from it.
    pub fn is_critical(&self) -> bool {
        match self.failure {
            FailureWord::MeanCritical
            | FailureWord::SpreadCritical
            | FailureWord::DriftCritical => true,
            FailureWord::Rushing
            | FailureWord::Dragging
            | FailureWord::Drift
            | FailureWord::Split
            | FailureWord::Overuse => false,
        }
    }

    /// What is used too much of, to whoever does.
    pub fn too_much(&self) -> String {
        self.overuse.as_ref().map_or_else(
            || "use less than you do".to_owned(),
            |one| {
                format!(
                    "use less: {:.0} % of the {} that is allotted, and {:.0} % may be",
                    one.used_percent,
                    one.resource.name(),
                    one.most_percent
                )
            },
        )
    }

    /// The commands that part VII of the seed asks for: a signal that steadies, more notice, an explicit point
    /// of synchronisation, a barrier. By keys: several agents may bear one name.
    fn recovers(&self) -> Vec<String> {
        let parties: Vec<String> = self
            .keys
            .iter()
            .map(|key| format!(" --for {key}"))
            .collect();
        let parties = parties.concat();
        let Self {
            lead_ms, window_ms, ..
        } = self;
        let cue = |what: &str, rest: &str| {
            format!("unisono schedule cue {what}{parties}{rest} --as NAME")
        };
        match self.recovery {
            RecoveryWord::HoldRate => {
                let early_ms = -self.off_ms;
                let side = match self.failure {
                    FailureWord::DriftCritical => "earlier with every minute",
                    _ => "early",
                };
                vec![cue(
                    "hold",
                    &format!(" --prepare \"hold the rate: {early_ms:.0} ms {side}\""),
                )]
            }
            RecoveryWord::MoreNotice => vec![cue(
                "resync",
                &format!(" --at +{lead_ms}ms --window-ms {window_ms}"),
            )],
            RecoveryWord::CorrectPeriod => vec![
                cue(
                    "resync",
                    " --at next-major --prepare \"correct the period\"",
                ),
                "unisono tempo".to_owned(),
            ],
            RecoveryWord::Relieve => vec![cue(
                "relieve",
                &format!(" --prepare \"{}\"", self.too_much()),
            )],
            RecoveryWord::Barrier => vec![
                format!("unisono barrier resync --of {} --as NAME", self.players),
                cue("resync", &format!(" --at +{lead_ms}ms")),
            ],
        }
    }
}
