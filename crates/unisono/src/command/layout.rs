//! An orchestra to and from a directory of files.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_api::client::{ClientError, Reply, WriteOptions};
use unisono_api::dto::{AgentKindWord, Agents, EnrolBody, State, Tasks};

use super::history::chronicle;
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::layout::plan::{Plan, plan, proving};
use crate::layout::read::{Texts, read};
use crate::layout::write::{Known, write};
use crate::layout::{Layout, ORCHESTRA};
use crate::output;

/// `layout`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LayoutArgs {
    #[command(subcommand)]
    command: LayoutCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum LayoutCommand {
    /// Writes the orchestra as files into a directory that is empty or not there. The layout has no
    /// place for notes, links and priorities of tasks, tokens, and marks by themselves
    #[command(after_help = "Example:\n  unisono layout export ./run-023")]
    Export {
        /// The directory
        directory: PathBuf,
    },
    /// Makes a new orchestra of a directory; what is wrong in it is told before anything is done
    #[command(after_help = "Example:\n  unisono layout import ./run-023 --orchestra run-023")]
    Import {
        /// The directory
        directory: PathBuf,
        /// Goes on with an import that broke off: what was done counts once
        #[arg(long)]
        again: bool,
    },
}

/// Exports or imports.
pub(crate) async fn run(args: LayoutArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        LayoutCommand::Export { directory } => {
            let known = known(session).await?;
            let files = write(&directory, &known)?;
            let answer = json!({ "directory": directory, "files": files });
            output::answer(session.global.output, &answer, None)
        }
        LayoutCommand::Import { directory, again } => {
            if session.as_of().is_some() {
                return Err(Failure::usage("what is imported is done now: no --as-of"));
            }
            let (layout, texts) = read(&directory)?;
            let plan = plan(&layout, &texts)?;
            let done = import(session, &layout, &texts, &plan, again).await?;
            let answer = json!({
                "orchestra": session.orchestra,
                "iteration": layout.orchestra.iteration,
                "agents": layout.orchestra.agents.len(),
                "records": done,
                "marks_not_taken": plan.marks_not_taken,
                "signals_expired": plan.expired,
            });
            output::answer(session.global.output, &answer, None)
        }
    }
}

async fn known(session: &Session) -> Result<Known, Failure> {
    let tasks: Reply<Tasks> = session.read_whole("tasks", &[]).await?;
    let most = [("limit", "1000")];
    let state: Reply<State> = session.read("state", &[]).await?;
    Ok(Known {
        run: state.body.run,
        chronicle: chronicle(session).await?,
        agents: session.read_whole("agents", &[]).await?.body,
        presences: session.read_whole("presence", &[]).await?.body,
        signals: session.read_whole("signals", &[]).await?.body,
        claims: session.read_whole("claims", &[]).await?.body,
        interferences: session.read("interference", &most).await?.body,
        tasks: tasks.body.tasks,
    })
}

/// Does what was planned; gives how many records that made.
async fn import(
    session: &Session,
    layout: &Layout,
    texts: &Texts,
    plan: &Plan<'_>,
    again: bool,
) -> Result<usize, Failure> {
    session.is_now()?;
    session.client.open(&session.orchestra).await?;
    let state: Reply<State> = session.read("state", &[]).await?;
    let state = state.body;
    let used = state.iteration > 1 || state.marks > 0 || state.signals > 0 || state.claims > 0;
    if used && !again {
        let words = format!("the orchestra {} is in use", session.orchestra);
        return Err(Failure::new(Exit::Conflict, "not_empty", words)
            .hint("name another with --orchestra; --again goes on with an import that broke off"));
    }
    let agents: Reply<Agents> = session.read_whole("agents", &[]).await?;
    let name = texts.digest();
    for (agent, presence) in &layout.orchestra.agents {
        if again && agents.body.agents.iter().any(|one| one.name == *agent) {
            continue;
        }
        let body = EnrolBody {
            name: agent.clone(),
            role: presence.role.clone(),
            kind: AgentKindWord::Ai,
            tier: None,
        };
        let options = WriteOptions {
            key: Some(format!("layout {name} {agent}")),
            ..WriteOptions::default()
        };
        let enrolled = session
            .client
            .enrol(&session.orchestra, &body, &options)
            .await;
        enrolled.map_err(|error| at(texts, agent, error))?;
    }
    let mut mark = None;
    let mut records = 0;
    for (index, step) in plan.steps.iter().enumerate() {
        if step.expired {
            continue;
        }
        let action = proving(step.action.clone(), mark.filter(|_| step.proven));
        let options = WriteOptions {
            key: Some(format!("layout {name} {index}")),
            ..WriteOptions::default()
        };
        let done = session
            .client
            .act(&session.orchestra, &step.by, &action, &options)
            .await;
        let done = done.map_err(|error| broke_off(error, index, plan.steps.len()))?;
        mark = Some(done.body.record);
        records += 1;
    }
    Ok(records)
}

fn at(texts: &Texts, agent: &str, error: ClientError) -> Failure {
    match error {
        ClientError::Refused(problem) => texts.wrong(ORCHESTRA, agent, problem.detail),
        other => other.into(),
    }
}

/// The node refused what the rules allow, or went away.
fn broke_off(error: ClientError, done: usize, all: usize) -> Failure {
    Failure::from(error)
        .hint(format!(
            "{done} of {all} records are made; --again goes on from there"
        ))
        .changed()
}
