//! Tasks, as they are asked for and shown.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::TaskView;
use unisono_model::{Digest, Field, FieldChange, FieldValue, Relation, TaskChange};
use utoipa::ToSchema;

use super::answer::HeadBody;
use super::view::Conflict;
use super::words::{RelationWord, TaskStatusWord};

/// Makes or changes a task: a task with a `kind` is new.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskBody {
    /// Its name.
    pub task: String,
    /// Of what type it is (feature, bug, …): makes the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// One line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Many lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatusWord>,
    /// 0 is most urgent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Who has it; empty: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Words on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Relations that are set or lifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkChange>,
    /// One more remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// The record of the mark that proves the change; needed to close a task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
}

/// A new task.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskNewBody {
    /// Its name.
    pub task: String,
    /// Of what type it is; `task` if left out.
    #[serde(default = "plain_task")]
    pub kind: String,
    /// One line.
    #[serde(default)]
    pub title: String,
    /// Many lines.
    #[serde(default)]
    pub description: Option<String>,
    /// Where it stands; `open` if left out.
    #[serde(default)]
    pub status: Option<TaskStatusWord>,
    /// 0 is most urgent.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Who has it.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Words on it.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Its relations.
    #[serde(default)]
    pub links: Vec<LinkChange>,
    /// The record of a mark that proves it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
}

/// A change of a task; what is left out stays.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskPatchBody {
    /// One line.
    #[serde(default)]
    pub title: Option<String>,
    /// Many lines.
    #[serde(default)]
    pub description: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub status: Option<TaskStatusWord>,
    /// 0 is most urgent.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Who has it; empty: nobody.
    #[serde(default)]
    pub assignee: Option<String>,
    /// Words on it.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// Relations that are set or lifted.
    #[serde(default)]
    pub links: Vec<LinkChange>,
    /// One more remark.
    #[serde(default)]
    pub remark: Option<String>,
    /// The record of the mark that proves the change; needed to close a task.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
}

/// A relation that is set or lifted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkChange {
    /// The other task.
    pub on: String,
    /// Which relation; `blocks`: this one waits for the other.
    pub relation: RelationWord,
    /// Set (if left out) or lifted.
    #[serde(default = "yes")]
    pub stands: bool,
}

fn yes() -> bool {
    true
}

fn plain_task() -> String {
    "task".to_owned()
}

impl TaskNewBody {
    /// The same as a change that makes the task.
    pub fn into_body(self) -> TaskBody {
        TaskBody {
            task: self.task,
            kind: Some(self.kind),
            title: Some(self.title),
            description: self.description,
            status: Some(self.status.unwrap_or(TaskStatusWord::Open)),
            priority: self.priority,
            assignee: self.assignee,
            labels: self.labels,
            links: self.links,
            remark: None,
            evidence: self.evidence,
        }
    }
}

impl TaskPatchBody {
    /// The same as a change of the named task.
    pub fn into_body(self, task: String) -> TaskBody {
        TaskBody {
            task,
            kind: None,
            title: self.title,
            description: self.description,
            status: self.status,
            priority: self.priority,
            assignee: self.assignee,
            labels: self.labels,
            links: self.links,
            remark: self.remark,
            evidence: self.evidence,
        }
    }
}

impl TaskBody {
    /// The change of the vocabulary; it names no heads yet.
    pub fn into_change(self) -> TaskChange {
        let mut values = Vec::new();
        values.extend(self.kind.map(FieldValue::Created));
        values.extend(self.title.map(FieldValue::Title));
        values.extend(self.description.map(FieldValue::Description));
        values.extend(self.status.map(|status| FieldValue::Status(status.into())));
        values.extend(self.priority.map(FieldValue::Priority));
        values.extend(self.assignee.map(FieldValue::Assignee));
        values.extend(self.labels.map(FieldValue::Labels));
        values.extend(self.links.into_iter().map(|link| FieldValue::Link {
            on: link.on,
            relation: link.relation.into(),
            stands: link.stands,
        }));
        values.extend(self.remark.map(FieldValue::Remark));
        let replaces = Vec::new;
        let fields = values.into_iter().map(|value| FieldChange {
            value,
            replaces: replaces(),
        });
        TaskChange {
            task: self.task,
            fields: fields.collect(),
            evidence: self.evidence,
        }
    }
}

/// Tasks, by name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tasks {
    /// The page.
    pub tasks: Vec<Task>,
    /// Ask for what comes `after` this, where there may be more.
    pub next_after: Option<String>,
}

/// A task.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Task {
    /// Its name.
    pub task: String,
    /// Of what type.
    pub kind: String,
    /// One line.
    pub title: String,
    /// Many lines.
    pub description: String,
    /// Where it stands.
    pub status: Option<TaskStatusWord>,
    /// 0 is most urgent.
    pub priority: Option<u8>,
    /// Who has it.
    pub assignee: String,
    /// Words on it.
    pub labels: Vec<String>,
    /// Its relations.
    pub links: Vec<LinkBody>,
    /// Relations left out because they would close a circle.
    pub circular: Vec<LinkBody>,
    /// Tasks not closed yet that it waits for.
    pub blocked_by: Vec<String>,
    /// How many remarks were made.
    pub remarks: u64,
    /// The record of the mark that proves its end.
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
    /// Fields that were written by several at once.
    pub conflicts: Vec<Conflict>,
    /// Per field, the records whose values stand: what the next change replaces.
    pub heads: Vec<FieldHeads>,
    /// The latest change.
    pub changed: Option<HeadBody>,
}

/// A relation to another task.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkBody {
    /// The other task.
    pub on: String,
    /// Which relation.
    pub relation: RelationWord,
}

/// The records whose values of one field stand.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldHeads {
    /// Which field: `title`, `status`, …, `link`.
    pub field: String,
    /// For `link`: which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkBody>,
    /// The records.
    #[schema(value_type = Vec<String>)]
    pub records: Vec<Digest>,
}

impl FieldHeads {
    /// The field of the vocabulary, where this client knows it.
    pub fn field(&self) -> Option<Field> {
        Some(match self.field.as_str() {
            "created" => Field::Created,
            "title" => Field::Title,
            "description" => Field::Description,
            "status" => Field::Status,
            "priority" => Field::Priority,
            "assignee" => Field::Assignee,
            "labels" => Field::Labels,
            "remark" => Field::Remark,
            "link" => {
                let link = self.link.as_ref()?;
                Field::Link(link.on.clone(), link.relation.into())
            }
            _ => return None,
        })
    }

    fn new(field: Field, records: Vec<Digest>) -> Self {
        let mut link = None;
        let name = match field {
            Field::Created => "created",
            Field::Title => "title",
            Field::Description => "description",
            Field::Status => "status",
            Field::Priority => "priority",
            Field::Assignee => "assignee",
            Field::Labels => "labels",
            Field::Remark => "remark",
            Field::Link(on, relation) => {
                link = Some(LinkBody {
                    on,
                    relation: relation.into(),
                });
                "link"
            }
        };
        Self {
            field: name.to_owned(),
            link,
            records,
        }
    }
}

impl From<TaskView> for Task {
    fn from(view: TaskView) -> Self {
        Self {
            task: view.task,
            kind: view.kind,
            title: view.title,
            description: view.description,
            status: view.status.map(Into::into),
            priority: view.priority,
            assignee: view.assignee,
            labels: view.labels,
            links: links(view.links),
            circular: links(view.circular),
            blocked_by: view.blocked_by,
            remarks: view.remarks,
            evidence: view.evidence,
            conflicts: view.conflicts.into_iter().map(Into::into).collect(),
            heads: view
                .heads
                .into_iter()
                .map(|(field, of)| FieldHeads::new(field, of))
                .collect(),
            changed: view.changed.map(Into::into),
        }
    }
}

fn links(links: Vec<(String, Relation)>) -> Vec<LinkBody> {
    links
        .into_iter()
        .map(|(on, relation)| LinkBody {
            on,
            relation: relation.into(),
        })
        .collect()
}
