//! Files as JSON: written, measured, approved.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use unisono_core::orchestra::approvals::Worth;
use unisono_core::orchestra::view::{ApprovalView, FileView, WriteView};
use unisono_model::{
    AgentId, Approve, Content, Digest, Judgement, Measure, Measured, Moved, Reviewed, Write,
};
use utoipa::ToSchema;

use super::moment::Moment;

/// A file is written, moved or removed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteBody {
    /// The project of the plan.
    pub project: String,
    /// The phase of the project.
    pub phase: u32,
    /// The file's path in the workspace.
    pub path: String,
    /// The content that it replaces; left out where there was no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub base: Option<Digest>,
    /// What it holds now, where that is text. Without `text` and `base64` it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it holds now, in base64 (RFC 4648).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Where it stood before, if it is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<MovedBody>,
}

/// From where a file was moved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MovedBody {
    /// The former path.
    pub path: String,
    /// What it held there.
    #[schema(value_type = String)]
    pub base: Digest,
}

/// A content that is to be measured.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureBody {
    /// The file's path: its ending says the language.
    pub path: String,
    /// The content, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in base64 (RFC 4648).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

/// What a node has measured of a content, and on top of what it would be written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeasuredContent {
    /// The content.
    #[serde(flatten)]
    pub content: ContentShown,
    /// The plan that stands: a signed write names it.
    #[schema(value_type = Option<String>)]
    pub plan: Option<Digest>,
    /// What the file holds by the records that count.
    #[schema(value_type = Option<String>)]
    pub holds: Option<Digest>,
}

/// What is known of a content.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ContentShown {
    /// Its digest.
    #[schema(value_type = String)]
    pub content: Digest,
    /// How long it is.
    pub bytes: u32,
    /// Whether nothing in it does anything.
    pub blank: bool,
    /// What its functions measure.
    pub measure: MeasureShown,
}

/// What came of measuring.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasureShown {
    /// These figures.
    Known(MeasuredShown),
    /// No grammar belongs to the path's ending.
    UnknownLanguage,
    /// It cannot be measured, for this reason.
    Unmeasurable(String),
}

/// What the functions of a file measure.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeasuredShown {
    /// The language that it was read as.
    pub language: String,
    /// How many functions there are.
    pub functions: u32,
    /// The greatest cyclomatic complexity of one.
    pub complexity_max: u32,
    /// Whose that is.
    pub most_complex: String,
    /// The most lines of one.
    pub lines_max: u32,
    /// Whose they are.
    pub longest: String,
}

/// A write, as it stands in its record.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WriteShown {
    /// The project.
    pub project: String,
    /// The phase.
    pub phase: u32,
    /// The path.
    pub path: String,
    /// What it replaced.
    #[schema(value_type = Option<String>)]
    pub base: Option<Digest>,
    /// What it holds; none: it was removed.
    pub content: Option<ContentShown>,
    /// Where it stood before.
    pub moved_from: Option<MovedBody>,
    /// Under which plan.
    #[schema(value_type = String)]
    pub plan: Digest,
}

/// Approves or rejects what others have made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveBody {
    /// About what: `{"path": "src/a.rs"}` or `{"task": "index"}`.
    #[schema(value_type = Object)]
    pub about: AboutBody,
    /// What the file holds, or the last change of the task.
    #[schema(value_type = String)]
    pub content: Digest,
    /// What they think.
    pub verdict: JudgementWord,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// What can be approved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AboutBody {
    /// A file.
    Path(String),
    /// A task.
    Task(String),
}

/// What somebody thinks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of Judgement")]
pub enum JudgementWord {
    Approved,
    Rejected,
}

/// What an approval is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorthWord {
    /// It is about what is there.
    Stands,
    /// What it was about has changed since.
    Stale,
    /// Who says it, or who let them, had a hand in what it is about.
    DutiesTogether,
}

/// Files.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Files {
    /// By path.
    pub files: Vec<FileShown>,
}

/// A file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FileShown {
    /// Its path.
    pub path: String,
    /// What it holds, and who wrote it.
    #[serde(flatten)]
    pub holds: HeldShown,
    /// What was written at the same time and is not in it.
    pub beside: Vec<HeldShown>,
    /// What was said about it, the latest first.
    pub approvals: Vec<ApprovalShown>,
}

/// What a file holds by one write.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeldShown {
    /// The record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When it was written.
    pub stamp: Moment,
    /// Who wrote.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// The project.
    pub project: String,
    /// The phase.
    pub phase: u32,
    /// Another plan stood when it was written: to be looked at again.
    pub late: bool,
    /// What it holds; none: it was removed.
    pub holds: Option<ContentShown>,
}

/// What was said about a file or a task.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Approvals {
    /// The latest first.
    pub approvals: Vec<ApprovalShown>,
}

/// What somebody thinks of something.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApprovalShown {
    /// The record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When it was said.
    pub stamp: Moment,
    /// Who.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// About which content.
    #[schema(value_type = String)]
    pub content: Digest,
    /// What they think.
    pub verdict: JudgementWord,
    /// Why.
    pub reason: String,
    /// What that is worth.
    pub worth: WorthWord,
}

/// A content as `text`, where it is that, or else as `base64`.
pub fn content_fields(bytes: &[u8]) -> (Option<String>, Option<String>) {
    match core::str::from_utf8(bytes) {
        Ok(text) => (Some(text.to_owned()), None),
        Err(_) => (None, Some(BASE64.encode(bytes))),
    }
}

fn content_of(
    text: Option<&String>,
    base64: Option<&String>,
) -> Result<Option<Vec<u8>>, &'static str> {
    match (text, base64) {
        (None, None) => Ok(None),
        (Some(text), None) => Ok(Some(text.clone().into_bytes())),
        (None, Some(base64)) => {
            let bytes = BASE64.decode(base64.as_bytes());
            let bytes = bytes.map_err(|_| "`base64` is not base64 (RFC 4648)")?;
            Ok(Some(bytes))
        }
        (Some(_), Some(_)) => Err("a content is either `text` or `base64`"),
    }
}

impl MeasureBody {
    /// A content that is to be measured.
    pub fn new(path: &str, bytes: &[u8]) -> Self {
        let (text, base64) = content_fields(bytes);
        Self {
            path: path.to_owned(),
            text,
            base64,
        }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn content(&self) -> Result<Vec<u8>, &'static str> {
        let content = content_of(self.text.as_ref(), self.base64.as_ref())?;
        content.ok_or("missing field `text` or `base64`")
    }
}

impl WriteBody {
    /// What the file is to hold; none: it is removed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn content(&self) -> Result<Option<Vec<u8>>, &'static str> {
        content_of(self.text.as_ref(), self.base64.as_ref())
    }

    /// The write of the vocabulary, with what was measured of its content and the plan that stands.
    pub fn into_write(self, content: Option<Content>, plan: Digest) -> Write {
        Write {
            project: self.project,
            phase: self.phase,
            path: self.path,
            base: self.base,
            content,
            moved_from: self.moved_from.map(Into::into),
            plan,
        }
    }
}

impl From<MovedBody> for Moved {
    fn from(body: MovedBody) -> Self {
        let MovedBody { path, base } = body;
        Self { path, base }
    }
}

impl From<Moved> for MovedBody {
    fn from(moved: Moved) -> Self {
        let Moved { path, base } = moved;
        Self { path, base }
    }
}

impl From<Content> for ContentShown {
    fn from(content: Content) -> Self {
        Self {
            content: content.digest,
            bytes: content.bytes,
            blank: content.blank,
            measure: match content.measure {
                Measure::Known(measured) => MeasureShown::Known(measured.into()),
                Measure::UnknownLanguage => MeasureShown::UnknownLanguage,
                Measure::Unmeasurable(reason) => MeasureShown::Unmeasurable(reason),
            },
        }
    }
}

impl From<ContentShown> for Content {
    fn from(shown: ContentShown) -> Self {
        Self {
            digest: shown.content,
            bytes: shown.bytes,
            blank: shown.blank,
            measure: match shown.measure {
                MeasureShown::Known(measured) => Measure::Known(measured.into()),
                MeasureShown::UnknownLanguage => Measure::UnknownLanguage,
                MeasureShown::Unmeasurable(reason) => Measure::Unmeasurable(reason),
            },
        }
    }
}

impl From<Measured> for MeasuredShown {
    fn from(measured: Measured) -> Self {
        Self {
            language: measured.language,
            functions: measured.functions,
            complexity_max: measured.complexity_max,
            most_complex: measured.most_complex,
            lines_max: measured.lines_max,
            longest: measured.longest,
        }
    }
}

impl From<MeasuredShown> for Measured {
    fn from(shown: MeasuredShown) -> Self {
        Self {
            language: shown.language,
            functions: shown.functions,
            complexity_max: shown.complexity_max,
            most_complex: shown.most_complex,
            lines_max: shown.lines_max,
            longest: shown.longest,
        }
    }
}

impl From<Write> for WriteShown {
    fn from(write: Write) -> Self {
        Self {
            project: write.project,
            phase: write.phase,
            path: write.path,
            base: write.base,
            content: write.content.map(Into::into),
            moved_from: write.moved_from.map(Into::into),
            plan: write.plan,
        }
    }
}

impl From<ApproveBody> for Approve {
    fn from(body: ApproveBody) -> Self {
        Self {
            about: match body.about {
                AboutBody::Path(path) => Reviewed::Path(path),
                AboutBody::Task(task) => Reviewed::Task(task),
            },
            content: body.content,
            judgement: match body.verdict {
                JudgementWord::Approved => Judgement::Approved,
                JudgementWord::Rejected => Judgement::Rejected,
            },
            reason: body.reason,
        }
    }
}

impl From<Approve> for ApproveBody {
    fn from(approve: Approve) -> Self {
        Self {
            about: match approve.about {
                Reviewed::Path(path) => AboutBody::Path(path),
                Reviewed::Task(task) => AboutBody::Task(task),
            },
            content: approve.content,
            verdict: approve.judgement.into(),
            reason: approve.reason,
        }
    }
}

impl From<Judgement> for JudgementWord {
    fn from(judgement: Judgement) -> Self {
        match judgement {
            Judgement::Approved => Self::Approved,
            Judgement::Rejected => Self::Rejected,
        }
    }
}

impl From<FileView> for FileShown {
    fn from(view: FileView) -> Self {
        Self {
            path: view.path,
            holds: view.holds.into(),
            beside: view.beside.into_iter().map(Into::into).collect(),
            approvals: view.approvals.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<WriteView> for HeldShown {
    fn from(view: WriteView) -> Self {
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            agent: view.agent,
            name: view.name,
            project: view.project,
            phase: view.phase,
            late: view.late,
            holds: view.content.map(Into::into),
        }
    }
}

impl From<ApprovalView> for ApprovalShown {
    fn from(view: ApprovalView) -> Self {
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            agent: view.agent,
            name: view.name,
            content: view.content,
            verdict: view.judgement.into(),
            reason: view.reason,
            worth: match view.worth {
                Worth::Stands => WorthWord::Stands,
                Worth::Stale => WorthWord::Stale,
                Worth::DutiesTogether => WorthWord::DutiesTogether,
            },
        }
    }
}
