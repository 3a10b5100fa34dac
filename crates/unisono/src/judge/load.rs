//! Load for whoever breaks things: writers that go on whatever happens, and write down what they
//! were told, in the words of a serving node's history.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use unisono_api::client::{Client, ClientError, Config as ClientConfig, WriteOptions};
use unisono_api::dto::{ActionBody, AgentKindWord, ClaimBody, EnrolBody, MarkBody, Recorded};

use crate::cli::Global;
use crate::config::Config;
use crate::failure::Failure;

/// Every so many actions of a writer is a claim.
const CLAIM_EVERY: u64 = 8;
/// Topics that all writers want.
const TOPICS: u64 = 7;
/// For how long (ms): short, so that topics change hands.
const LEASE_MS: u64 = 1_500;
/// How long a claim waits to be confirmed (ms).
const CONFIRM_MS: u64 = 400;
/// How long a request may take: short, so that a cut is felt.
const REQUEST_WITHIN: Duration = Duration::from_secs(4);
/// After a refusal or silence.
const PAUSE: Duration = Duration::from_millis(20);

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct LoadArgs {
    /// How many write at a time
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// For how long (s)
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Where it is written down what was asked and told
    #[arg(long, value_name = "FILE")]
    history: PathBuf,
}

/// The open file, and the requests' numbers.
struct Told {
    file: Mutex<File>,
    node: String,
    orchestra: String,
    last: AtomicU64,
}

/// Writes until the time is over or a signal comes.
pub(crate) async fn run(args: LoadArgs, config: Config, global: Global) -> Result<(), Failure> {
    let shown = args.history.display().to_string();
    let refused = |error: std::io::Error| Failure::system(&shown, &error);
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&args.history)
        .map_err(refused)?;
    let nodes = config.list("node");
    let orchestra = global
        .orchestra
        .unwrap_or_else(|| crate::config::ORCHESTRA.to_owned());
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let told = Arc::new(Told {
        file: Mutex::new(file),
        node: format!("client-{}", std::process::id()),
        orchestra,
        last: AtomicU64::new(0),
    });
    let mut config = ClientConfig::new(nodes);
    (config.request_within, config.attempts_max) = (REQUEST_WITHIN, 1);
    let client = Client::offline(config)?;
    let mut writers = JoinSet::new();
    for writer in 0..args.writers {
        let name = format!("load-{}-{writer}", std::process::id());
        writers.spawn(write(client.clone(), Arc::clone(&told), name));
    }
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(args.seconds)) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    writers.shutdown().await;
    Ok(())
}

async fn write(client: Client, told: Arc<Told>, name: String) {
    let body = EnrolBody {
        name: name.clone(),
        role: "load".to_owned(),
        kind: AgentKindWord::Ai,
        tier: None,
    };
    let options = WriteOptions::default();
    loop {
        // The node may just be down, or the orchestra not made.
        let made = client.open(&told.orchestra).await.is_ok();
        if made && client.enrol(&told.orchestra, &body, &options).await.is_ok() {
            break;
        }
        tokio::time::sleep(PAUSE * 5).await;
    }
    for number in 1_u64.. {
        let claims = number % CLAIM_EVERY == 0;
        let id = told.last.fetch_add(1, Ordering::Relaxed);
        let action = if claims {
            let topic = format!("topic-{}", id % TOPICS);
            ActionBody::Claim(ClaimBody {
                topic,
                lease_ms: Some(LEASE_MS),
            })
        } else {
            ActionBody::Mark(MarkBody {
                about: name.clone(),
                text: format!("mark {number}"),
                reasoning: String::new(),
                tags: Vec::new(),
                evidence: Vec::new(),
            })
        };
        let options = WriteOptions {
            confirm: claims,
            wait_ms: claims.then_some(CONFIRM_MS),
            ..WriteOptions::default()
        };
        told.invoked(id);
        let done = client.act(&told.orchestra, &name, &action, &options).await;
        let failed = done.is_err();
        told.completed(id, done.map(|reply| reply.body));
        if failed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Told {
    fn invoked(&self, id: u64) {
        let line = json!({ "event": "invoked", "orchestra": self.orchestra });
        self.write(id, line);
    }

    fn completed(&self, id: u64, done: Result<Recorded, ClientError>) {
        let line = match done {
            Ok(recorded) => {
                let claim = recorded.claim.map(|claim| {
                    json!({ "claim": claim.claim, "topic": claim.topic, "status": claim.status, "token": claim.token.stamp.to_string() })
                });
                json!({
                    "event": "ok",
                    "record": recorded.record,
                    "stamp": recorded.stamp.stamp.to_string(),
                    "repeated": recorded.repeated,
                    "durable_on": recorded.durable_on,
                    "claim": claim,
                })
            }
            Err(error) => {
                let unknown =
                    matches!(&error, ClientError::Unknown(_) | ClientError::Unreadable(_))
                        || error
                            .problem()
                            .is_some_and(|problem| problem.changed.is_none());
                let event = if unknown { "unknown" } else { "failed" };
                json!({ "event": event, "why": error.to_string() })
            }
        };
        self.write(id, line);
    }

    fn write(&self, id: u64, mut line: Value) {
        line["id"] = id.into();
        line["node"] = self.node.as_str().into();
        let line = format!("{line}\n");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one write, so that a stopped process leaves whole lines.
        if let Err(error) = file.write_all(line.as_bytes()) {
            crate::output::say(&format!("the history could not be written: {error}"));
        }
    }
}
