//! The plan: set from a file, shown, and held against what lies in a workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use unisono_api::client::Reply;
use unisono_api::dto::{ActionBody, FileShown, Files, PlanBody, PlanShown};
use unisono_model::{Content, Digest, Plan, path};

use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};
use crate::small_file;
use crate::workspace::{self, Workspace};

/// Most files of a workspace that are looked at.
const FILES_MAX: usize = 100_000;
/// Files in one page.
const PAGE: &str = "1000";

/// `plan`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(subcommand)]
    command: PlanCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum PlanCommand {
    /// Sets the plan from a file, as a whole
    #[command(after_help = "Example:\n  unisono plan set plan.toml --as boss")]
    Set {
        /// The plan, in TOML
        file: PathBuf,
    },
    /// Shows the plan that stands
    #[command(after_help = "Example:\n  unisono plan show -o json")]
    Show,
    /// Names the files of a workspace that are not what the records say
    #[command(after_help = "Example:\n  unisono plan check .")]
    Check {
        /// The workspace
        workspace: PathBuf,
    },
}

/// A file that no record accounts for.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    path: String,
    state: &'static str,
    holds: Option<Digest>,
    found: Option<Digest>,
}

/// Sets, shows or checks.
pub(crate) async fn run(args: PlanArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        PlanCommand::Set { file } => set(&file, session).await,
        PlanCommand::Show => show(session).await,
        PlanCommand::Check { workspace } => check(&workspace, session).await,
    }
}

async fn set(file: &Path, session: &Session) -> Result<(), Failure> {
    let name = file.display().to_string();
    let text = small_file::text(file, small_file::BYTES_MAX)
        .map_err(|error| Failure::system(&name, &error))?;
    let invalid = |words: String| Failure::new(Exit::Usage, "plan_invalid", words);
    let body: PlanBody = toml::from_str(&text).map_err(|error| invalid(error.to_string()))?;
    // Said here, so that whoever wrote it reads which part is wrong.
    let checked = Plan::from(body.clone()).check();
    checked.map_err(|fault| invalid(format!("{name}: {fault}")))?;
    session.show_act(ActionBody::Plan(body)).await
}

async fn show(session: &Session) -> Result<(), Failure> {
    let reply: Reply<PlanShown> = session.read("plan", &[]).await?;
    if session.global.output != Format::Table {
        return session.show(&reply, None);
    }
    let text = toml::to_string_pretty(&reply.body.plan);
    let text =
        text.map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
    match (&reply.body.record, &reply.body.by) {
        (Some(record), Some(by)) => output::raw(&format!("# plan {record}, set by {by}\n{text}")),
        _ => output::raw("# nobody has set a plan\n"),
    }
}

async fn check(root: &Path, session: &Session) -> Result<(), Failure> {
    let plan: Reply<PlanShown> = session.read("plan", &[]).await?;
    let plan = Plan::from(plan.body.plan);
    let recorded = recorded(session).await?;
    let name = root.display().to_string();
    let workspace = Workspace::new(Some(root)).map_err(|error| Failure::system(&name, &error))?;
    let mut paths = Vec::new();
    walk(root, "", &mut paths).map_err(|error| Failure::system(&name, &error))?;
    let planned = |path: &str| {
        let mut phases = plan.projects.iter().flat_map(|project| &project.phases);
        phases.any(|phase| phase.covers(path))
    };
    let mut findings: Vec<Finding> = Vec::new();
    let mut checked = 0;
    for path in &paths {
        let record = recorded.get(path.as_str());
        if record.is_some() || planned(path) {
            checked += 1;
            findings.extend(finding(&workspace, path, record));
        }
    }
    let gone = recorded.iter().filter(|(path, _)| !paths.contains(path));
    findings.extend(gone.filter_map(|(path, file)| {
        let holds = file.holds.holds.as_ref().map(|content| content.content)?;
        Some(Finding {
            path: path.clone(),
            state: "missing",
            holds: Some(holds),
            found: None,
        })
    }));
    let columns = &[
        ("PATH", "path"),
        ("STATE", "state"),
        ("RECORDED", "holds"),
        ("FOUND", "found"),
    ];
    let list = "unsanctioned";
    let body = json!({ "checked": checked, "unsanctioned": findings });
    output::answer(session.global.output, &body, Some(Table { list, columns }))?;
    match findings.len() {
        0 => Ok(()),
        many => Err(Failure::new(
            Exit::Verification,
            "unsanctioned",
            format!("{many} files are not what the records say"),
        )),
    }
}

/// What is wrong with a file, if anything is.
fn finding(workspace: &Workspace, path: &str, record: Option<&FileShown>) -> Option<Finding> {
    let held = record.and_then(|file| file.holds.holds.clone());
    let holds = held.as_ref().map(|content| content.content);
    let told = |state, found| {
        Some(Finding {
            path: path.to_owned(),
            state,
            holds,
            found,
        })
    };
    let bytes = match workspace.content(path) {
        Ok(bytes) => bytes.unwrap_or_default(),
        Err(_) => return told("escapes", None),
    };
    let found = Some(Content::digest_of(&bytes));
    match held {
        None => told("unrecorded", found),
        Some(_) if found != holds => told("changed", found),
        // The node that recorded it has measured something else than is there.
        Some(held) if Content::from(held.clone()) != workspace::measured(path, &bytes) => {
            told("measured_otherwise", found)
        }
        Some(_) => None,
    }
}

async fn recorded(session: &Session) -> Result<BTreeMap<String, FileShown>, Failure> {
    let mut all = BTreeMap::new();
    let mut after = String::new();
    loop {
        let query = [("limit", PAGE), ("after", after.as_str())];
        let page: Reply<Files> = session.read("files", &query).await?;
        let Some(last) = page.body.files.last().map(|file| file.path.clone()) else {
            return Ok(all);
        };
        all.extend(
            page.body
                .files
                .into_iter()
                .map(|file| (file.path.clone(), file)),
        );
        after = last;
    }
}

/// The files below a folder whose paths a plan could name; what version control keeps is its own.
fn walk(root: &Path, below: &str, paths: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let inner = match below {
            "" => name.clone(),
            below => format!("{below}/{name}"),
        };
        if name == ".git" || path::check(&inner).is_err() {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &inner, paths)?;
        } else if paths.len() < FILES_MAX {
            paths.push(inner);
        } else {
            let words = format!("more than {FILES_MAX} files");
            return Err(std::io::Error::other(words));
        }
    }
    Ok(())
}
