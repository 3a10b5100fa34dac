//! Files: have one recorded, list them, approve what they hold.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use unisono_api::client::Reply;
use unisono_api::dto::{
    AboutBody, ActionBody, ApproveBody, JudgementWord, MovedBody, WriteBody, content_fields,
};
use unisono_model::{Digest, Rejection, path, wire::Malformed};

use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{Format, Table};
use crate::workspace::Workspace;

/// `write`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WriteArgs {
    /// The file, from the workspace on
    path: String,
    /// The project of the plan
    #[arg(long, value_name = "NAME")]
    project: String,
    /// The phase of the project
    #[arg(long, value_name = "N")]
    phase: u32,
    /// The content that it replaces; left out for a new file
    #[arg(long, value_name = "CONTENT")]
    base: Option<Digest>,
    /// The folder in which the path begins
    #[arg(long, value_name = "DIR", default_value = ".")]
    workspace: PathBuf,
    /// The file is gone, and --base is what it held
    #[arg(long, requires = "base", conflicts_with = "moved_from")]
    remove: bool,
    /// Where it stood before
    #[arg(long, value_name = "PATH", requires = "moved_base")]
    moved_from: Option<String>,
    /// What it held there
    #[arg(long, value_name = "CONTENT", requires = "moved_from")]
    moved_base: Option<Digest>,
}

/// `files`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FilesArgs {
    /// Only this file
    path: Option<String>,
}

/// `approve`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The file
    #[arg(required_unless_present = "task", conflicts_with = "task")]
    path: Option<String>,
    /// The task, instead of a file
    #[arg(long, value_name = "NAME")]
    task: Option<String>,
    /// What the file holds, or the record of the task's last change
    #[arg(long, value_name = "CONTENT")]
    content: Digest,
    /// Rejects it
    #[arg(long)]
    reject: bool,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
}

/// Has a file of the workspace measured and recorded.
pub(crate) async fn write(args: WriteArgs, session: &Session) -> Result<(), Failure> {
    path::check(&args.path).map_err(|fault| {
        let rejection = Rejection::from(Malformed::from(fault));
        Failure::new(Exit::Usage, rejection.code.as_str(), rejection.detail)
    })?;
    let (text, base64) = if args.remove {
        (None, None)
    } else {
        content_fields(&content(&args)?)
    };
    let moved_from = args.moved_from.zip(args.moved_base);
    let body = WriteBody {
        project: args.project,
        phase: args.phase,
        path: args.path,
        base: args.base,
        text,
        base64,
        moved_from: moved_from.map(|(path, base)| MovedBody { path, base }),
    };
    session.show_act(ActionBody::Write(body)).await
}

fn content(args: &WriteArgs) -> Result<Vec<u8>, Failure> {
    let name = args.workspace.display().to_string();
    let workspace =
        Workspace::new(Some(&args.workspace)).map_err(|error| Failure::system(&name, &error))?;
    let content = workspace.content(&args.path).map_err(|rejection| {
        Failure::new(Exit::Denied, rejection.code.as_str(), rejection.detail)
    })?;
    content.ok_or_else(|| {
        let words = format!("there is no {} in {name}", args.path);
        Failure::new(Exit::NotFound, "file_unknown", words).hint("--remove records that it is gone")
    })
}

/// Lists the files that were ever written.
pub(crate) async fn files(args: FilesArgs, session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("PATH", "path"),
        ("AGENT", "name"),
        ("WHEN", "stamp.time"),
        ("PHASE", "phase"),
        ("HOLDS", "holds.content"),
        ("JUDGED", "judged"),
    ];
    let list = "files";
    let query: Vec<(&str, &str)> = args
        .path
        .iter()
        .map(|path| ("path", path.as_str()))
        .collect();
    let mut reply: Reply<Value> = session.read("files", &query).await?;
    if session.global.output == Format::Table {
        let files = reply.body["files"].as_array_mut();
        for file in files.into_iter().flatten() {
            file["judged"] = judged(&file["approvals"]);
        }
    }
    session.show(&reply, Some(Table { list, columns }))
}

/// Each approval in three words.
fn judged(approvals: &Value) -> Value {
    let word = |one: &Value, field: &str| one[field].as_str().unwrap_or_default().to_owned();
    let all = approvals.as_array().into_iter().flatten();
    let words = all.map(|one| {
        let (verdict, name, worth) = (word(one, "verdict"), word(one, "name"), word(one, "worth"));
        Value::from(format!("{verdict} by {name}: {worth}"))
    });
    words.collect::<Vec<_>>().into()
}

/// Approves or rejects.
pub(crate) async fn approve(args: ApproveArgs, session: &Session) -> Result<(), Failure> {
    let about = match (args.path, args.task) {
        (Some(path), _) => AboutBody::Path(path),
        (None, Some(task)) => AboutBody::Task(task),
        (None, None) => return Err(Failure::usage("name a file or a task")),
    };
    let body = ApproveBody {
        about,
        content: args.content,
        verdict: if args.reject {
            JudgementWord::Rejected
        } else {
            JudgementWord::Approved
        },
        reason: args.reason,
    };
    session.show_act(ActionBody::Approve(body)).await
}
