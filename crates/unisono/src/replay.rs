//! Plays a recorded fleet's work into a cluster, through all its nodes at once.
//!
//! Each actor of the trace is an agent with its own key and a chain on each node. The events of one
//! task go in their order, each with the cursor of the one before; different tasks go side by side.
//! What each event becomes stands in `docs/replay.md`.

mod chain;
mod check;
mod desk;
pub(crate) mod http;
pub(crate) mod mapping;
mod play;
mod progress;
mod report;
mod settle;
pub(crate) mod trace;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use unisono_api::dto::Tasks;
use unisono_core::replication::Cursor;
use unisono_model::{Action, Setting};

use crate::cli::Global;
use crate::command::session::encoded;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};
use chain::Actor;
use desk::{Desk, Thread};
use http::{Request, Server};
use play::Player;
use report::Report;
use trace::{Event, Trace};

/// How long one request may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
/// How long a node may wait for what it has not seen before another one is asked (ms).
const BEHIND_MS: u64 = 1_000;
/// How long all nodes may take to come to show the same.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// Signals that an agent may emit in a minute while a trace is played faster than it happened.
const EMIT_PER_MINUTE: u64 = 1_000_000;
/// The agent that opens the orchestra.
const OPENER: &str = "replay";

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    /// The trace: one event a line as JSON, plain or compressed with gzip
    file: PathBuf,
    /// So many times as fast as it happened [default: as fast as possible]
    #[arg(long, value_name = "X")]
    speed: Option<f64>,
    /// Writes the report to this file too, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Holds every node's tables against a naive refold of its dump at the end, and every
    /// acknowledged record against the dumps
    #[arg(long)]
    check: bool,
    /// How many tasks are played side by side
    #[arg(long, value_name = "N", default_value_t = 64)]
    workers: usize,
    /// Lease of the claims (ms)
    #[arg(long, value_name = "MS", default_value_t = 1_800_000)]
    lease_ms: u64,
    /// How long one record is tried for at the most (s)
    #[arg(long, value_name = "S", default_value_t = 300)]
    patience_s: u64,
}

/// Does it.
pub(crate) async fn run(args: ReplayArgs, config: Config, global: Global) -> Result<(), Failure> {
    let format = global.output;
    let orchestra = config
        .text("orchestra")
        .unwrap_or(crate::config::ORCHESTRA)
        .to_owned();
    let report = play(&args, &config, &global, &orchestra).await?;
    let json = serde_json::to_string_pretty(&report)
        .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
    if let Some(path) = &args.report {
        std::fs::write(path, format!("{json}\n"))
            .map_err(|error| Failure::system(&path.display().to_string(), &error))?;
    }
    match format {
        Format::Table => output::raw(&report.table())?,
        Format::Json | Format::Ndjson => output::answer(format, &report, None)?,
    }
    verdict(&report)
}

fn verdict(report: &Report) -> Result<(), Failure> {
    if report.unexplained > 0 {
        let words = format!("{} refusals that nothing explains", report.unexplained);
        return Err(Failure::new(Exit::Failed, "unexplained", words)
            .hint("the report shows the first of them; play into an orchestra that is new"));
    }
    if !report.converged {
        let words = "the nodes did not come to show the same in time";
        return Err(Failure::new(Exit::TimedOut, "not_converged", words).next("unisono members"));
    }
    if let Some(violation) = report.check.as_ref().and_then(|c| c.violations.first()) {
        let words = format!("the nodes do not show what their records come to: {violation}");
        return Err(Failure::new(Exit::Verification, "violated", words));
    }
    Ok(())
}

async fn play(
    args: &ReplayArgs,
    config: &Config,
    global: &Global,
    orchestra: &str,
) -> Result<Report, Failure> {
    let file = args.file.clone();
    let read = tokio::task::spawn_blocking(move || Trace::read(&file)).await;
    let trace = read.map_err(|error| Failure::new(Exit::Failed, "trace", error.to_string()))??;
    let servers = servers(config)?;
    let path = format!("/v1/orchestras/{}", encoded(orchestra));
    let mut actors: Vec<Actor> = trace
        .actors
        .iter()
        .map(|name| Actor::new(orchestra, name))
        .collect();
    actors.push(Actor::new(orchestra, OPENER));
    let opener = actors.len() - 1;
    let terms = (
        global.durable_on.unwrap_or(1),
        Duration::from_secs(args.patience_s),
    );
    let desk = Arc::new(Desk::new(servers, path, actors, terms));
    open(&desk, orchestra).await?;
    warn_of_others(&desk, orchestra).await;
    if args.speed.is_none() {
        allow_haste(&desk, opener).await?;
    }
    let trace = Arc::new(trace);
    let started = Instant::now();
    let cursor = play_all(args, &trace, &desk).await?;
    let mut report = desk.tally.report(started.elapsed());
    let ended = Instant::now();
    let settled = settle::settle(&desk.servers, &desk.path, &cursor, SETTLED_WITHIN).await;
    args.file
        .display()
        .to_string()
        .clone_into(&mut report.trace);
    orchestra.clone_into(&mut report.orchestra);
    report.nodes = desk
        .servers
        .iter()
        .map(|server| server.authority.clone())
        .collect();
    report.actors = trace.actors.len();
    report.tasks = trace.tasks.len();
    report.converged = settled.same;
    report.as_of = settled.as_of;
    report.views = settled.views;
    report.converged_after_ms = u64::try_from(ended.elapsed().as_millis()).unwrap_or(u64::MAX);
    let at = report
        .as_of
        .as_deref()
        .and_then(|text| unisono_api::dto::parse_stamp(text).ok());
    if let Some(at) = at.filter(|_| args.check) {
        let token = token(config)?;
        let nodes = config.list("node");
        let acknowledged = desk.tally.acknowledged();
        let checked = check::check(&nodes, token.as_deref(), orchestra, at, &acknowledged).await?;
        report.check = Some(checked);
    }
    Ok(report)
}

/// Plays everything; says what was seen at last.
async fn play_all(
    args: &ReplayArgs,
    trace: &Arc<Trace>,
    desk: &Arc<Desk>,
) -> Result<Cursor, Failure> {
    let lease = Duration::from_millis(args.lease_ms);
    let pace = args.speed.filter(|speed| *speed > 0.0);
    let first_ms = trace.events.first().map_or(0, |event| event.at_ms);
    let started = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for share in shares(trace, args.workers.max(1)) {
        let (trace, desk) = (Arc::clone(trace), Arc::clone(desk));
        workers.spawn(async move {
            let mut player = Player::new(&trace, &desk, lease);
            for index in share {
                let event: &Event = &trace.events[index];
                if let Some(speed) = pace {
                    let after_ms = event.at_ms.saturating_sub(first_ms) as f64 / speed;
                    let due = started + Duration::from_millis(after_ms as u64);
                    tokio::time::sleep_until(due.into()).await;
                }
                player.play(event).await;
            }
            let mut seen = Cursor::default();
            for cursor in player.cursors().filter_map(Cursor::from_text) {
                seen.merge(&cursor);
            }
            seen
        });
    }
    let mut seen = Cursor::default();
    tokio::select! {
        () = progress::tell(&desk.tally, trace.events.len()) => {}
        ended = async {
            while let Some(ended) = workers.join_next().await {
                seen.merge(&ended?);
            }
            Ok::<(), tokio::task::JoinError>(())
        } => {
            let fault = |error: tokio::task::JoinError| {
                Failure::new(Exit::Failed, "internal", error.to_string())
            };
            ended.map_err(fault)?;
        }
    }
    progress::end();
    Ok(seen)
}

/// The events of each worker: all events of one task go to one.
fn shares(trace: &Trace, workers: usize) -> Vec<Vec<usize>> {
    let mut shares = vec![Vec::new(); workers];
    for (index, event) in trace.events.iter().enumerate() {
        let mut hasher = DefaultHasher::new();
        trace.tasks[event.task].hash(&mut hasher);
        let worker = hasher.finish() % workers as u64;
        shares[worker as usize].push(index);
    }
    shares
}

fn servers(config: &Config) -> Result<Vec<Server>, Failure> {
    let token = token(config)?;
    config
        .list("node")
        .iter()
        .map(|url| Server::new(url, token.as_deref()))
        .collect()
}

fn token(config: &Config) -> Result<Option<String>, Failure> {
    let Some(path) = config.text("http_token_file") else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path).map_err(|error| Failure::system(path, &error))?;
    Ok(Some(text.trim().to_owned()))
}

/// Makes the orchestra, on whichever node answers.
async fn open(desk: &Desk, orchestra: &str) -> Result<(), Failure> {
    let body = serde_json::json!({ "name": orchestra }).to_string();
    let request = Request {
        method: "POST",
        path: "/v1/orchestras",
        min_cursor: None,
        body: Some(("application/json", body.as_bytes())),
    };
    let mut last = String::from("no node is named");
    for server in &desk.servers {
        match server.ask(&request, ANSWERED_WITHIN).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => last = String::from_utf8_lossy(&answer.body).into_owned(),
            Err(broken) => last = format!("{}: {broken:?}", server.authority),
        }
    }
    Err(Failure::new(
        Exit::Unavailable,
        "unreachable",
        format!("no node made the orchestra: {last}"),
    )
    .hint("is a node running there? --node names another")
    .next("unisono up"))
}

/// What others have made there would be refused without an explanation.
async fn warn_of_others(desk: &Desk, orchestra: &str) {
    let path = format!("{}/tasks?limit=1", desk.path);
    let request = Request {
        method: "GET",
        path: &path,
        min_cursor: None,
        body: None,
    };
    for server in &desk.servers {
        let Ok(answer) = server.ask(&request, ANSWERED_WITHIN).await else {
            continue;
        };
        let tasks: Option<Tasks> = serde_json::from_slice(&answer.body).ok();
        if tasks.is_some_and(|page| !page.tasks.is_empty()) {
            output::say(&format!(
                "note: there are tasks in {orchestra} already; --orchestra names a new one"
            ));
        }
        return;
    }
}

/// Sixteen weeks in a minute would break the rule about signals a minute.
async fn allow_haste(desk: &Desk, opener: usize) -> Result<(), Failure> {
    let action = Action::Settings(vec![(Setting::EmitPerMinuteMax, EMIT_PER_MINUTE)]);
    let mut thread = Thread::default();
    let done = desk
        .record(opener, &mut thread, &action, "replay/settings")
        .await;
    done.map_err(|problem| Failure::new(Exit::Failed, &problem.code, problem.detail))?;
    Ok(())
}
