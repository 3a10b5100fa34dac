//! Run 023: a maker, a critic and a player go through seven iterations, step for step, and every
//! step is held against what the nodes' views say.

mod acts;
mod seventh;
mod story;

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use unisono_api::client::{Actor, AgentKey, Client, Config as ClientConfig, SigningAgent};
use unisono_api::dto::{AgentKindWord, EnrolBody};

use super::cluster::{Cluster, REGIONS};
use super::screen::Screen;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};
use story::Story;

/// The orchestra that they play in.
const ORCHESTRA: &str = "run-023";
/// How long it may all take.
const WITHIN: Duration = Duration::from_secs(150);
/// How long one request may take: longer than a node waits for what was seen elsewhere.
const REQUEST_WITHIN: Duration = Duration::from_secs(15);
/// How long a need waits for an offer until it is an interference (ms): in the trace it is felt at
/// once.
const PATIENCE_MS: u64 = 1_000;
/// Who plays, by region: the player is the one who is cut off.
const CAST: [(&str, &str); 3] = [
    ("creative", "maker"),
    ("adversarial", "critic"),
    ("player", "player"),
];

/// On how many nodes it is played.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Nodes {
    /// One node for all
    #[value(name = "1")]
    One,
    /// One in each of three regions; the player's is cut off in the middle of iteration 7
    #[value(name = "3")]
    Three,
}

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// On how many nodes
    #[arg(long, value_enum, default_value = "3")]
    nodes: Nodes,
    /// Breaks a rule in the nodes: then a check has to find it, and the exit code is 1
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
}

/// The nodes, who plays on them, and what is told of it.
struct Stage {
    cluster: Cluster,
    /// Somebody who looks at each node, and has seen nothing else.
    eyes: Vec<Client>,
    creative: Actor,
    adversarial: Actor,
    player: Actor,
    story: Story,
}

/// Plays it, and says whether every step was as it should be.
pub(super) async fn run(args: &RunArgs, global: &Global) -> Result<(), Failure> {
    let refused = |error: std::io::Error| Failure::system("signals", &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let screen = Arc::new(Screen::new(global.output));
    // Whatever ends it, the stage is dropped here: children are killed and the directory goes.
    let ended = tokio::select! {
        ended = tokio::time::timeout(WITHIN, play(args, &screen)) => ended,
        _ = interrupt.recv() => return Err(super::interrupted()),
        _ = terminate.recv() => return Err(super::interrupted()),
    };
    let stage = ended.map_err(|_| {
        let words = format!("run 023 did not end within {} s", WITHIN.as_secs());
        Failure::new(Exit::Failed, "demo_late", words)
    })??;
    let failed = stage.story.failed();
    let checks = stage.story.checks();
    if global.output == Format::Table {
        screen.line(&format!(
            "\n{} of {checks} checks hold on {} node{}",
            checks - failed.len(),
            stage.eyes.len(),
            if stage.eyes.len() == 1 { "" } else { "s" }
        ));
    } else {
        let answer = json!({
            "ok": failed.is_empty(),
            "nodes": stage.eyes.len(),
            "checks": checks,
            "failed": failed,
            "seconds": (screen.seconds() * 10.0).round() / 10.0,
            "steps": stage.story.steps(),
        });
        output::answer(global.output, &answer, None)?;
    }
    if failed.is_empty() {
        return Ok(());
    }
    let words = format!("did not hold: {}", failed.join("; "));
    Err(Failure::new(Exit::Failed, "demo_failed", words))
}

async fn play(args: &RunArgs, screen: &Arc<Screen>) -> Result<Stage, Failure> {
    let mut stage = raise(args, screen).await?;
    // Where it cannot go on, that is one more thing that did not hold; what was seen is still told.
    if let Err(failure) = acts(&mut stage).await {
        let words = failure.report().error.clone();
        stage.story.check("the run can go on", false, words);
    }
    Ok(stage)
}

async fn acts(stage: &mut Stage) -> Result<(), Failure> {
    acts::first(stage).await?;
    acts::second(stage).await?;
    acts::until_the_seventh(stage).await?;
    seventh::seventh(stage).await
}

async fn raise(args: &RunArgs, screen: &Arc<Screen>) -> Result<Stage, Failure> {
    let nodes = match args.nodes {
        Nodes::One => 1,
        Nodes::Three => REGIONS.len(),
    };
    let mut cluster = Cluster::new(false)?;
    let sabotage: Vec<String> = args.sabotage.iter().cloned().collect();
    cluster.found(&sabotage, nodes).await?;
    let mut eyes = Vec::new();
    for node in &cluster.nodes {
        let client = client(&node.http)?;
        client.open(ORCHESTRA).await?;
        eyes.push(client);
    }
    if nodes == REGIONS.len() {
        cluster.stretch(None).await?;
    }
    let mut cast = Vec::new();
    for (index, (name, role)) in CAST.into_iter().enumerate() {
        let node = &cluster.nodes[index.min(nodes - 1)];
        let agent = SigningAgent::new(
            client(&node.http)?,
            ORCHESTRA,
            AgentKey::generate().map_err(|error| Failure::system("chance", &error))?,
            EnrolBody {
                name: name.to_owned(),
                role: role.to_owned(),
                kind: AgentKindWord::Ai,
                tier: None,
            },
        );
        agent.enrol().await?;
        cast.push(Actor::from(agent));
    }
    let shown: Vec<&str> = cluster.nodes.iter().map(|node| node.region).collect();
    screen.say(&format!("nodes serve in {}", shown.join(", ")));
    let [creative, adversarial, player] = <[Actor; 3]>::try_from(cast)
        .map_err(|_| Failure::new(Exit::Failed, "demo_setup", "three of them play"))?;
    Ok(Stage {
        cluster,
        eyes,
        creative,
        adversarial,
        player,
        story: Story::new(Arc::clone(screen)),
    })
}

fn client(node: &str) -> Result<Client, Failure> {
    let mut config = ClientConfig::new([node]);
    config.request_within = REQUEST_WITHIN;
    config.attempts_max = 3;
    Ok(Client::offline(config)?)
}

impl Stage {
    /// Everybody has seen what everybody has: from here on nobody reads anything older.
    fn share(&self) {
        let all = self.clients();
        for one in &all {
            let cursor = one.cursor(ORCHESTRA);
            for other in &all {
                other.seen(ORCHESTRA, &cursor);
            }
        }
    }

    fn clients(&self) -> Vec<&Client> {
        let cast = [&self.creative, &self.adversarial, &self.player];
        let mut all: Vec<&Client> = cast.into_iter().map(Actor::client).collect();
        all.extend(&self.eyes);
        all
    }

    /// Whether the player is on a node of its own, which can be cut off.
    fn has_regions(&self) -> bool {
        self.eyes.len() > 1
    }
}
