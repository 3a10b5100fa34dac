//! An orchestra as a directory of files: `.orchestra.json`, `.resonance.json`, `.history/`, `.audit/`.
//! Written by hand or by `layout export`, it is read whole before anything is done with it.

pub(crate) mod plan;
pub(crate) mod read;
pub(crate) mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use unisono_api::dto::{
    DecideWord, ImportanceWord, PhaseWord, SignalKindWord, StatusWord, TaskStatusWord, UrgencyWord,
};
use unisono_core::orchestra::course::PhaseMap;

/// The file of the state.
pub(crate) const ORCHESTRA: &str = ".orchestra.json";
/// The file of the signals.
pub(crate) const RESONANCE: &str = ".resonance.json";
/// The folder of iterations that are over.
pub(crate) const HISTORY: &str = ".history";
/// The folder of what each agent did, for people to read.
pub(crate) const AUDIT: &str = ".audit";

/// The tag of a mark that is the mission of its iteration.
pub(crate) const MISSION: &str = "mission";
/// The tag of a mark that is the summary of its iteration.
pub(crate) const SUMMARY: &str = "summary";
/// The tag of a mark that says what was resolved.
pub(crate) const RESOLVED: &str = "resolved";

/// The state.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrchestraFile {
    /// The number of the run.
    #[serde(default)]
    pub(crate) run_number: u64,
    pub(crate) iteration: u32,
    pub(crate) phase: UpperPhase,
    /// Who takes part, by name.
    pub(crate) agents: BTreeMap<String, PresenceFile>,
    #[serde(default)]
    pub(crate) context: ContextFile,
    /// The iterations that are over, where they stand here and not in files of their own, as in the
    /// draft's state; the files are what is written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<SummaryFile>,
    /// The signals, where they stand here and not in a file of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resonance: Option<ResonanceFile>,
}

/// A phase in capitals.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum UpperPhase {
    Design,
    Execution,
    Reflection,
}

impl From<PhaseWord> for UpperPhase {
    fn from(phase: PhaseWord) -> Self {
        match phase {
            PhaseWord::Design => Self::Design,
            PhaseWord::Execution => Self::Execution,
            PhaseWord::Reflection => Self::Reflection,
        }
    }
}

/// How an agent is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PresenceFile {
    #[serde(default)]
    pub(crate) role: String,
    pub(crate) status: StatusWord,
    #[serde(default)]
    pub(crate) intent: String,
    #[serde(default)]
    pub(crate) focus: String,
    /// Not kept: what is imported is done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_action: Option<String>,
    /// Not kept: it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contribution_count: Option<u64>,
}

/// The current iteration.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ContextFile {
    pub(crate) iteration: u32,
    pub(crate) mission: String,
    pub(crate) deliverables: Vec<DeliverableFile>,
    pub(crate) decisions: Vec<DecisionFile>,
    pub(crate) blockers: Vec<BlockerFile>,
    pub(crate) artifacts: Vec<ArtifactFile>,
}

/// Something that is to be made: a task.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliverableFile {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default = "open")]
    pub(crate) status: TaskStatusWord,
}

/// Something that was decided; the name alone will do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionFile {
    pub(crate) id: String,
    /// `dead_end` where it says what leads nowhere; the seed's layout knows decisions only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<DecideWord>,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(default = "normal")]
    pub(crate) importance: ImportanceWord,
}

/// Something that keeps somebody from going on.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockerFile {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    #[serde(default)]
    pub(crate) resolved: bool,
}

/// Something that was made; the path alone will do.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtifactFile {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
    /// Not kept: whoever imports leaves a mark of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) witness_mark_id: Option<String>,
}

/// An iteration that is over.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SummaryFile {
    pub(crate) iteration: u32,
    pub(crate) phase: UpperPhase,
    pub(crate) one_sentence_summary: String,
    #[serde(default)]
    pub(crate) key_decisions: Vec<Short<DecisionFile>>,
    #[serde(default)]
    pub(crate) artifacts_produced: Vec<Short<ArtifactFile>>,
    #[serde(default)]
    pub(crate) blockers_resolved: Vec<String>,
    /// Not kept.
    #[serde(default)]
    pub(crate) witness_mark_ids: Vec<String>,
}

/// A name, or all that is known of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(crate) enum Short<T> {
    Name(String),
    Whole(T),
}

impl Short<DecisionFile> {
    pub(crate) fn whole(self) -> DecisionFile {
        match self {
            Self::Whole(whole) => whole,
            Self::Name(id) => DecisionFile {
                text: id.clone(),
                id,
                kind: None,
                by: None,
                importance: normal(),
            },
        }
    }
}

impl Short<ArtifactFile> {
    pub(crate) fn whole(self) -> ArtifactFile {
        match self {
            Self::Whole(whole) => whole,
            Self::Name(path) => ArtifactFile {
                path,
                text: String::new(),
                by: None,
                witness_mark_id: None,
            },
        }
    }
}

/// The signals.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ResonanceFile {
    pub(crate) active_signals: Vec<SignalFile>,
    /// Not kept: it is found.
    pub(crate) interference: Vec<Value>,
    /// Not kept: they speak of interferences that had other names.
    pub(crate) resolutions: Vec<Value>,
}

/// A signal.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalFile {
    pub(crate) source: String,
    #[serde(rename = "type")]
    pub(crate) kind: SignalType,
    pub(crate) topic: String,
    #[serde(default = "normally")]
    pub(crate) urgency: UrgencyWord,
    #[serde(default)]
    pub(crate) text: String,
    /// Not kept: what is imported is said now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timestamp: Option<String>,
    /// What has expired is not taken; the rest stands as long as the settings say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
    /// Not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) evidence: Option<String>,
}

/// Kinds of signals, with the claims that are records of their own here.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum SignalType {
    Intent,
    Need,
    Offer,
    Claim,
    /// Its source holds the topic no longer: an earlier claim of it is not made.
    Release,
}

impl From<SignalKindWord> for SignalType {
    fn from(kind: SignalKindWord) -> Self {
        match kind {
            SignalKindWord::Intent => Self::Intent,
            SignalKindWord::Need => Self::Need,
            SignalKindWord::Offer => Self::Offer,
        }
    }
}

/// All files of a directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) orchestra: OrchestraFile,
    pub(crate) resonance: ResonanceFile,
    /// By iteration, from 1 on, without a gap.
    pub(crate) history: Vec<SummaryFile>,
    /// Which iterations are of which phase.
    pub(crate) phases: PhaseMap,
}

fn open() -> TaskStatusWord {
    TaskStatusWord::Open
}

fn normal() -> ImportanceWord {
    ImportanceWord::Normal
}

fn normally() -> UrgencyWord {
    UrgencyWord::Normal
}
