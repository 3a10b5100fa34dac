//! Where something is recorded, and how long one tries: any node that has seen enough, another one
//! when it falls, and never the same thing twice.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard};
use unisono_api::dto::{Problem, Recorded};
use unisono_model::{Action, Digest};

use super::chain::{Actor, Attempt, Chain, Wish};
use super::http::Server;
use super::report::Tally;

/// How long a node that could not is asked last (ms).
const AVOIDED_MS: u64 = 2_000;
/// The pause after a node could not (ms).
const PAUSE: Duration = Duration::from_millis(100);

/// All nodes, and every actor's chain on each.
#[derive(Debug)]
pub(crate) struct Desk {
    /// The nodes.
    pub(crate) servers: Vec<Server>,
    /// `/v1/orchestras/NAME`.
    pub(crate) path: String,
    /// Who acts.
    pub(crate) actors: Vec<Actor>,
    /// On how many disks.
    pub(crate) durable_on: u16,
    /// How long one record may take at the most.
    pub(crate) patience: Duration,
    /// What is counted.
    pub(crate) tally: Tally,
    chains: Vec<Vec<Mutex<Chain>>>,
    avoided_until_ms: Vec<AtomicU64>,
    behind_until_ms: Vec<AtomicU64>,
    started: Instant,
}

/// What a task's next request must know of its previous one.
#[derive(Debug, Default)]
pub(crate) struct Thread {
    /// What the node had when it answered.
    pub(crate) cursor: Option<String>,
    /// Which node that was.
    pub(crate) node: Option<usize>,
    /// Which node the actor works through, as a number that any count of nodes divides.
    pub(crate) home: usize,
}

/// A record that was made.
#[derive(Debug)]
pub(crate) struct Done {
    /// The answer.
    pub(crate) recorded: Recorded,
    /// The names under which it may stand: more than one if an answer was lost on the way.
    pub(crate) names: Vec<Digest>,
}

impl Desk {
    /// Chains for each actor on each node.
    pub(crate) fn new(
        servers: Vec<Server>,
        path: String,
        actors: Vec<Actor>,
        (durable_on, patience): (u16, Duration),
    ) -> Self {
        let never = || servers.iter().map(|_| AtomicU64::new(0)).collect();
        let chains = || servers.iter().map(|_| Mutex::default()).collect();
        Self {
            chains: actors.iter().map(|_| chains()).collect(),
            avoided_until_ms: never(),
            behind_until_ms: never(),
            servers,
            path,
            actors,
            durable_on,
            patience,
            tally: Tally::default(),
            started: Instant::now(),
        }
    }

    /// Has something recorded. Waiting, falling nodes and lost answers end in another attempt with
    /// the same key; only a refusal, or the end of patience, is an error.
    pub(crate) async fn record(
        &self,
        actor: usize,
        thread: &mut Thread,
        action: &Action,
        words: &str,
    ) -> Result<Done, Box<Problem>> {
        let started = Instant::now();
        let key = unisono_api::idempotency_key(words);
        let mut names = Vec::new();
        let mut last = String::from("nothing was tried");
        let mut tries = 0;
        while started.elapsed() < self.patience {
            let wish = Wish {
                action,
                key,
                min_cursor: thread.cursor.as_deref(),
                durable_on: self.durable_on,
            };
            let (node, mut chain) = self.turn(actor, thread, tries).await;
            let server = &self.servers[node];
            let attempt = chain
                .attempt(server, &self.path, &self.actors[actor], &wish)
                .await;
            drop(chain);
            tries += 1;
            match attempt {
                Attempt::Recorded(recorded) => {
                    thread.cursor = Some(recorded.cursor.clone());
                    thread.node = Some(node);
                    self.tally.recorded(recorded.record, recorded.repeated);
                    names.push(recorded.record);
                    return Ok(Done {
                        recorded: *recorded,
                        names,
                    });
                }
                Attempt::Refused(problem) => return Err(problem),
                Attempt::Moved => self.tally.again("chain_moved"),
                Attempt::Wait(ms) => {
                    self.tally.again("told_to_wait");
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                }
                Attempt::Behind => {
                    self.tally.again("behind");
                    let until = self.now_ms() + AVOIDED_MS;
                    self.behind_until_ms[node].store(until, Relaxed);
                    tokio::time::sleep(PAUSE / 4).await;
                }
                Attempt::Unable(why) => {
                    self.tally.again("node_unable");
                    last = why;
                    self.avoid(node);
                    tokio::time::sleep(PAUSE).await;
                }
                Attempt::Unknown(name) => {
                    self.tally.again("answer_lost");
                    names.push(name);
                    self.avoid(node);
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        Err(Box::new(impatient(&last)))
    }

    /// The node to ask next, and the actor's chain there. First the one that the actor works on this
    /// task through; after that, or while that one is known to be behind, the one that saw the task
    /// last, since it has all that it needs; else one after the other.
    async fn turn(
        &self,
        actor: usize,
        thread: &Thread,
        tries: usize,
    ) -> (usize, MutexGuard<'_, Chain>) {
        let nodes = self.servers.len();
        let home = thread.home % nodes;
        let last = thread.node.filter(|last| self.is_well(*last));
        let stays = thread.node.is_none_or(|last| last == home) || !self.is_behind(home);
        let node = match last {
            _ if tries == 0 && self.is_well(home) && stays => home,
            Some(last) if tries < 2 => last,
            _ => {
                let mut round = (0..nodes).map(|n| (home + tries + n) % nodes);
                let well = round.find(|node| self.is_well(*node));
                well.unwrap_or((home + tries) % nodes)
            }
        };
        (node, self.chains[actor][node].lock().await)
    }

    fn is_behind(&self, node: usize) -> bool {
        self.behind_until_ms[node].load(Relaxed) > self.now_ms()
    }

    fn is_well(&self, node: usize) -> bool {
        self.avoided_until_ms[node].load(Relaxed) <= self.now_ms()
    }

    fn avoid(&self, node: usize) {
        self.avoided_until_ms[node].store(self.now_ms() + AVOIDED_MS, Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The refusal of whoever tried for too long.
fn impatient(last: &str) -> Problem {
    Problem {
        kind: "about:blank".to_owned(),
        title: "no node could".to_owned(),
        status: 504,
        code: "out_of_patience".to_owned(),
        detail: format!("no node took it in time; the last said: {last}"),
        hint: String::new(),
        next: Vec::new(),
        retry_after_ms: None,
        changed: None,
        held_by: None,
        incident: None,
    }
}
