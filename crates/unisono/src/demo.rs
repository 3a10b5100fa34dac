//! The demonstration that is also a check: three regions, a cut network, a killed node.

mod cluster;
mod contest;
mod evidence;
pub(crate) mod excerpt;
mod fleet;
mod run_023;
mod scenes;
mod screen;
mod verdict;
mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use unisono_api::client::{FencingGuard, WriteOptions};

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

use cluster::{Cluster, ONE_WAY_MS, REGIONS};
use fleet::{Ledger, ORCHESTRA};
use scenes::{Facts, Stage};
use screen::Screen;
use verdict::Verdict;
use watch::Seen;

/// How many events of the excerpt are worked through.
const EVENTS: usize = 900;
/// Between two events of one agent.
const PACE: Duration = Duration::from_millis(190);
/// How long the network stays cut: longer than a connection survives silence.
const CUT: Duration = Duration::from_millis(10_500);
/// How long it may all take.
const WITHIN: Duration = Duration::from_secs(150);

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Sabotage {
    /// Who holds a topic is decided by what a node hears first
    ClaimOrderByArrival,
    /// A node that missed something does not ask for it
    GapsNotRepaired,
    /// A repeated request counts twice
    KeyForgotten,
    /// A node answers without having what the agent has seen
    CursorIgnored,
    /// A lease never ends
    ExpiryIgnored,
}

/// What the command is told.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DemoArgs {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    /// Breaks a rule in the nodes: then the verdict has to find it, and the exit code is 1
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
    /// Leaves the cluster running and prints its addresses
    #[arg(long)]
    keep: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum DemoCommand {
    /// A day of three roles, step for step: what they sense, offer and decide, and who yields to whom
    #[command(name = "run-023", after_help = "Example:\n  unisono demo run-023")]
    Run023(run_023::RunArgs),
}

impl Sabotage {
    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// What every node is started with.
    fn at_the_start(self) -> Vec<String> {
        // A node that never repairs could not even join: it breaks this rule when it comes back.
        if self == Self::GapsNotRepaired {
            Vec::new()
        } else {
            vec![self.name()]
        }
    }
}

/// Plays it, and judges.
pub(crate) async fn run(args: DemoArgs, _config: Config, global: Global) -> Result<(), Failure> {
    if let Some(DemoCommand::Run023(args)) = &args.command {
        return run_023::run(args, &global).await;
    }
    let refused = |error: std::io::Error| Failure::system("signals", &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let screen = Arc::new(Screen::new(global.output));
    // Whatever ends it, the stage is dropped here: children are killed and the directory goes.
    let ended = tokio::select! {
        ended = tokio::time::timeout(WITHIN, play(&args, &screen)) => ended,
        _ = interrupt.recv() => return Err(interrupted()),
        _ = terminate.recv() => return Err(interrupted()),
    };
    screen.still();
    let (verdicts, stage) = ended.map_err(|_| {
        let words = format!(
            "the demonstration did not end within {} s",
            WITHIN.as_secs()
        );
        Failure::new(Exit::Failed, "demo_late", words)
    })??;
    report(&args, &global, &screen, &verdicts, &stage)?;
    let broken: Vec<&str> = verdicts
        .iter()
        .filter(|verdict| !verdict.ok)
        .map(|verdict| verdict.property)
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    let words = format!("did not hold: {}", broken.join(", "));
    Err(Failure::new(Exit::Failed, "demo_failed", words))
}

fn interrupted() -> Failure {
    Failure::new(
        Exit::Failed,
        "interrupted",
        "interrupted; everything was cleaned up",
    )
}

async fn play(args: &DemoArgs, screen: &Arc<Screen>) -> Result<(Vec<Verdict>, Stage), Failure> {
    let mut stage = raise(args, screen).await?;
    let mut work = fleet::work(
        &stage.agents,
        excerpt::dealt(EVENTS, stage.agents.len()),
        PACE,
    );
    let watching = look_on(&stage)?;
    screen.say(&format!(
        "{} agents begin with {EVENTS} events of a real fleet's work",
        stage.agents.len()
    ));
    scenes(args, &mut stage).await?;
    let drained = tokio::time::timeout(Duration::from_secs(10), drain(&mut work)).await;
    stage.ledger.over.store(true, Ordering::Relaxed);
    let done = drained.unwrap_or_default() + drain(&mut work).await;
    watching.join_all().await;
    let promised = stage.ledger.promised().len();
    screen.say(&format!(
        "the work is done: {done} events and all scenes, {promised} records acknowledged"
    ));
    stage.facts.times.push(("events", json!(done)));
    let verdicts = verdict::judge(&mut stage).await?;
    stage
        .facts
        .times
        .push(("seconds", json!((screen.seconds() * 10.0).round() / 10.0)));
    Ok((verdicts, stage))
}

/// Three nodes, twelve agents, and the ways between them.
async fn raise(args: &DemoArgs, screen: &Arc<Screen>) -> Result<Stage, Failure> {
    let mut cluster = Cluster::new(args.keep)?;
    let sabotage = args
        .sabotage
        .map(Sabotage::at_the_start)
        .unwrap_or_default();
    if let Some(sabotage) = args.sabotage {
        screen.say(&format!("sabotage: {}", sabotage.name()));
    }
    cluster.found(&sabotage, REGIONS.len()).await?;
    let ledger = Arc::new(Ledger::default());
    let first = fleet::client(&[cluster.nodes[0].http.as_str()])?;
    first.open(ORCHESTRA).await?;
    for node in &cluster.nodes[1..] {
        let client = fleet::client(&[node.http.as_str()])?;
        client.open(ORCHESTRA).await?;
    }
    cluster.stretch(None).await?;
    let agents = fleet::enrol(&cluster, &ledger).await?;
    fleet::known_everywhere(&cluster, Duration::from_secs(15)).await?;
    screen.say(&format!(
        "3 nodes serve: {}; one way paris-oregon {} ms, oregon-tokyo {} ms, paris-tokyo {} ms",
        REGIONS.join(", "),
        ONE_WAY_MS[0][1],
        ONE_WAY_MS[1][2],
        ONE_WAY_MS[0][2],
    ));
    let signing = agents.iter().filter(|agent| agent.signs()).count();
    screen.say(&format!(
        "{} agents are enrolled: {signing} sign for themselves, {} by their node",
        agents.len(),
        agents.len() - signing
    ));
    Ok(Stage {
        cluster,
        agents,
        ledger,
        seen: Arc::new(Seen::default()),
        screen: Arc::clone(screen),
        guard: FencingGuard::new(),
        facts: Facts::default(),
    })
}

/// Whoever looks at the nodes all the time, and the line that shows how far everybody is.
fn look_on(stage: &Stage) -> Result<JoinSet<()>, Failure> {
    let mut looking = JoinSet::new();
    for (index, node) in stage.cluster.nodes.iter().enumerate() {
        let client = fleet::client(&[node.http.as_str()])?;
        let (seen, ledger) = (Arc::clone(&stage.seen), Arc::clone(&stage.ledger));
        looking.spawn(watch::watch(index, client, seen, ledger));
    }
    let (seen, ledger) = (Arc::clone(&stage.seen), Arc::clone(&stage.ledger));
    let screen = Arc::clone(&stage.screen);
    looking.spawn(async move {
        while !ledger.over.load(Ordering::Relaxed) {
            let (counts, provisional) = (ledger.counts(), seen.provisional());
            let shown: Vec<String> = REGIONS
                .iter()
                .zip(counts)
                .map(|(region, count)| format!("{region} {count}"))
                .collect();
            let [paris, oregon, tokyo] = provisional;
            // Short enough for a narrow terminal: a line that wraps cannot be drawn anew.
            screen.status(&format!(
                "{:5.1} s  {}; provisional {paris}, {oregon}, {tokyo}",
                screen.seconds(),
                shown.join(", "),
            ));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    Ok(looking)
}

async fn scenes(args: &DemoArgs, stage: &mut Stage) -> Result<(), Failure> {
    let once = "asked-once";
    let franz = stage.agent("franz");
    if let Err(error) = franz
        .act(scenes::create(once), &WriteOptions::default())
        .await
    {
        stage.fault(
            "counted once",
            format!("franz could not make a task: {error}"),
        );
    }
    stage.hand_over(1).await?;
    stage.screen.say(&format!(
        "{} writes were read back in other regions by their cursors",
        stage.facts.read_back
    ));
    stage.race("release-1.0").await;
    stage.let_lapse("night-watch").await;

    let before = stage.ledger.counts();
    let began = Instant::now();
    stage.cluster.cut(2, true).await?;
    stage.screen.say("tokyo is cut off; both sides go on");
    // What was under way arrives or is lost before anything is made of the cut.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = stage.claim_on_both_sides("deploy").await;
    stage.repeat_beyond_the_cut(once).await?;
    stage.ask_beyond_the_cut().await?;
    let coming_back = match args.sabotage {
        Some(Sabotage::GapsNotRepaired) => vec![Sabotage::GapsNotRepaired.name()],
        other => other.map(Sabotage::at_the_start).unwrap_or_default(),
    };
    stage.kill_and_start(1, &coming_back).await?;
    tokio::time::sleep(CUT.saturating_sub(began.elapsed())).await;
    let after = stage.ledger.counts();
    for region in 0..REGIONS.len() {
        stage.facts.in_the_cut[region] = after[region] - before[region];
    }
    let provisional = stage.seen.provisional();
    stage.screen.say(&format!(
        "after {:.1} s of the cut: acknowledged {} in paris, {} in oregon, {} in tokyo; provisional {} here, {} there",
        began.elapsed().as_secs_f64(),
        stage.facts.in_the_cut[0],
        stage.facts.in_the_cut[1],
        stage.facts.in_the_cut[2],
        provisional[0],
        provisional[2],
    ));
    stage.cluster.cut(2, false).await?;
    stage.agree("deploy", held).await?;
    stage.hand_over(2).await
}

async fn drain(work: &mut JoinSet<usize>) -> usize {
    let mut done = 0;
    while let Some(ended) = work.join_next().await {
        done += ended.unwrap_or_default();
    }
    done
}

fn report(
    args: &DemoArgs,
    global: &Global,
    screen: &Screen,
    verdicts: &[Verdict],
    stage: &Stage,
) -> Result<(), Failure> {
    let kept: Vec<Value> = stage
        .cluster
        .nodes
        .iter()
        .map(|node| json!({ "name": node.region, "http": node.http, "data": node.data }))
        .collect();
    let kept = if args.keep { kept } else { Vec::new() };
    if global.output != Format::Table {
        let times: serde_json::Map<String, Value> = stage
            .facts
            .times
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let ok = verdicts.iter().all(|verdict| verdict.ok);
        let sabotage = args.sabotage.map(Sabotage::name);
        let answer = json!({
            "ok": ok,
            "sabotage": sabotage,
            "verdicts": verdicts,
            "times": times,
            "nodes": kept,
        });
        return output::answer(global.output, &answer, None);
    }
    screen.line("");
    for verdict in verdicts {
        let word = if verdict.ok {
            screen.paint("32", "ok    ")
        } else {
            screen.paint("1;31", "FAILED")
        };
        screen.line(&format!(
            "{word}  {:<40}{}",
            verdict.property,
            figures(&verdict.figures)
        ));
        for violation in verdict.violations.iter().take(5) {
            screen.line(&format!("          {violation}"));
        }
    }
    for node in &kept {
        screen.line(&format!(
            "{} still serves at {}",
            text(&node["name"]),
            text(&node["http"])
        ));
    }
    if args.keep {
        screen.line(&format!(
            "all state is in {}",
            stage.cluster.directory.display()
        ));
    }
    Ok(())
}

fn figures(figures: &Value) -> String {
    let Some(fields) = figures.as_object() else {
        return String::new();
    };
    let shown = fields.iter().map(|(name, value)| match value {
        Value::Object(inner) => {
            let inner: Vec<String> = inner
                .iter()
                .map(|(name, value)| format!("{name} {}", text(value)))
                .collect();
            format!("{} ({})", name.replace('_', " "), inner.join(", "))
        }
        value => format!("{} {}", name.replace('_', " "), text(value)),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
