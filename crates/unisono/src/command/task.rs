//! Tasks: make, show, list, change, close, link, and what became of one.

use clap::{Args, Subcommand};
use unisono_api::dto::{ActionBody, LinkChange, MarkBody, RelationWord, TaskBody, TaskStatusWord};
use unisono_model::Digest;

use super::session::{Session, encoded};
use super::word::word;
use crate::failure::Failure;
use crate::output::Table;

/// `task`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    command: TaskCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum TaskCommand {
    /// Makes a task
    #[command(
        after_help = "Example:\n  unisono task create build-index --as ada --title \"Index the corpus\""
    )]
    Create {
        /// Its name
        task: String,
        /// Of what type it is
        #[arg(long, default_value = "task")]
        kind: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// One task
    #[command(after_help = "Example:\n  unisono task show build-index")]
    Show {
        /// Its name
        task: String,
    },
    /// The tasks, by name
    #[command(after_help = "Example:\n  unisono task list --status open")]
    List {
        /// Only in this state: open, in_progress, blocked, deferred, closed, deleted
        #[arg(long, value_parser = word::<TaskStatusWord>)]
        status: Option<TaskStatusWord>,
        /// Start after this name
        #[arg(long)]
        after: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Changes a task; what is left out stays
    #[command(
        after_help = "Example:\n  unisono task set build-index --as ada --status in_progress"
    )]
    Set {
        /// Its name
        task: String,
        /// One more remark
        #[arg(long)]
        remark: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// Closes a task, with the mark that proves it
    #[command(
        after_help = "Example:\n  unisono task close build-index --as ada --mark \"indexed 10,000 pages\""
    )]
    Close {
        /// Its name
        task: String,
        /// The record of a mark that proves it
        #[arg(long, value_name = "RECORD", conflicts_with = "mark")]
        evidence: Option<Digest>,
        /// Makes the mark first, with this text
        #[arg(long, value_name = "TEXT")]
        mark: Option<String>,
    },
    /// Says how two tasks hang together
    #[command(
        after_help = "Example:\n  unisono task link deploy build-index --relation blocks --as ada"
    )]
    Link {
        /// The task
        task: String,
        /// The other one
        on: String,
        /// How: blocks (this one waits for the other), parent, related, discovered_from
        #[arg(long, default_value = "blocks", value_parser = word::<RelationWord>)]
        relation: RelationWord,
        /// Lifts the relation
        #[arg(long)]
        lift: bool,
    },
    /// What became of a task, record by record
    #[command(after_help = "Example:\n  unisono task history build-index")]
    History {
        /// Its name
        task: String,
    },
}

#[derive(Clone, Debug, Default, Args)]
struct Fields {
    /// One line
    #[arg(long)]
    title: Option<String>,
    /// Many lines
    #[arg(long)]
    description: Option<String>,
    /// Where it stands: open, in_progress, blocked, deferred, deleted
    #[arg(long, value_parser = word::<TaskStatusWord>)]
    status: Option<TaskStatusWord>,
    /// 0 is most urgent
    #[arg(long)]
    priority: Option<u8>,
    /// Who has it; empty: nobody
    #[arg(long)]
    assignee: Option<String>,
    /// A word on it; may stand several times
    #[arg(long = "label", value_name = "WORD")]
    labels: Vec<String>,
}

impl Fields {
    fn into_body(self, task: String) -> TaskBody {
        TaskBody {
            task,
            title: self.title,
            description: self.description,
            status: self.status,
            priority: self.priority,
            assignee: self.assignee,
            labels: (!self.labels.is_empty()).then_some(self.labels),
            ..TaskBody::default()
        }
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("TASK", "task"),
    ("STATUS", "status"),
    ("PRIORITY", "priority"),
    ("ASSIGNEE", "assignee"),
    ("BLOCKED BY", "blocked_by"),
    ("TITLE", "title"),
];

/// Does what is to be done about a task.
pub(crate) async fn run(args: TaskArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        TaskCommand::Create { task, kind, fields } => {
            let mut body = fields.into_body(task);
            body.kind = Some(kind);
            body.title = body.title.or_else(|| Some(String::new()));
            body.status = body.status.or(Some(TaskStatusWord::Open));
            session.show_act(ActionBody::Task(body)).await
        }
        TaskCommand::Show { task } => {
            session
                .show_read(&format!("tasks/{}", encoded(&task)), &[], None)
                .await
        }
        TaskCommand::List {
            status,
            after,
            limit,
        } => list(session, status, after, limit).await,
        TaskCommand::Set {
            task,
            remark,
            fields,
        } => {
            let body = TaskBody {
                remark,
                ..fields.into_body(task)
            };
            session.show_act(ActionBody::Task(body)).await
        }
        TaskCommand::Close {
            task,
            evidence,
            mark,
        } => close(session, task, evidence, mark).await,
        TaskCommand::Link {
            task,
            on,
            relation,
            lift,
        } => {
            let links = vec![LinkChange {
                on,
                relation,
                stands: !lift,
            }];
            session
                .show_act(ActionBody::Task(TaskBody {
                    task,
                    links,
                    ..TaskBody::default()
                }))
                .await
        }
        TaskCommand::History { task } => {
            let table = Table {
                list: "records",
                columns: super::record::COLUMNS,
            };
            let what = format!("tasks/{}/history", encoded(&task));
            session.show_read(&what, &[], Some(table)).await
        }
    }
}

async fn list(
    session: &Session,
    status: Option<TaskStatusWord>,
    after: Option<String>,
    limit: usize,
) -> Result<(), Failure> {
    let status = status.map(|status| serde_json::to_value(status).unwrap_or_default());
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(
        status
            .as_ref()
            .and_then(|word| word.as_str())
            .map(|word| ("status", word)),
    );
    query.extend(after.as_deref().map(|after| ("after", after)));
    let table = Table {
        list: "tasks",
        columns: COLUMNS,
    };
    session.show_read("tasks", &query, Some(table)).await
}

async fn close(
    session: &Session,
    task: String,
    evidence: Option<Digest>,
    mark: Option<String>,
) -> Result<(), Failure> {
    let mut evidence = evidence;
    if let Some(text) = mark {
        let about = task.clone();
        let body = MarkBody {
            about,
            text,
            reasoning: String::new(),
            tags: vec![],
            evidence: vec![],
        };
        let mut options = session.options();
        // Two records, two keys: the words that were given name the closing.
        options.key = options.key.map(|words| format!("{words} (mark)"));
        evidence = Some(
            session
                .act(ActionBody::Mark(body), options)
                .await?
                .body
                .record,
        );
    }
    let status = Some(TaskStatusWord::Closed);
    session
        .show_act(ActionBody::Task(TaskBody {
            task,
            status,
            evidence,
            ..TaskBody::default()
        }))
        .await
}
