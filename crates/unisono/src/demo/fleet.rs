//! Twelve agents, four in each region: half sign for themselves, half have their key held by their
//! node. All of them write down what they were promised.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use unisono_api::client::{
    AgentKey, Client, ClientError, Config as ClientConfig, Reply, SigningAgent, WriteOptions,
};
use unisono_api::dto::{ActionBody, AgentKindWord, EnrolBody, Recorded, TaskBody};
use unisono_model::{Code, Digest};

use super::cluster::{Cluster, REGIONS};
use super::excerpt::{Event, Past, Step};
use crate::failure::{Exit, Failure};

/// The orchestra that they work in.
pub(super) const ORCHESTRA: &str = "fleet";
/// Their names, by region. The first two of each sign for themselves.
pub(super) const NAMES: [[&str; 4]; 3] = [
    ["ada", "blaise", "colette", "denis"],
    ["emmy", "franz", "grace", "hedy"],
    ["ichiro", "junko", "kenji", "lin"],
];
/// How many of a region's agents sign for themselves.
const SIGNING: usize = 2;
/// How long a request may take.
const REQUEST_WITHIN: Duration = Duration::from_secs(6);
/// How long a node may wait until it has what the agent has seen elsewhere (ms).
const WAIT_MS: u64 = 3_000;
/// Between two attempts at what nobody could do.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// An agent.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    /// Its name.
    pub(super) name: &'static str,
    /// Its region.
    pub(super) region: usize,
    /// How it speaks to the cluster.
    pub(super) client: Client,
    signing: Option<SigningAgent>,
    ledger: Arc<Ledger>,
}

/// What the agents were promised, and what they were refused.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    promised: Mutex<Vec<(usize, Digest)>>,
    refused: Mutex<BTreeMap<String, u64>>,
    /// Attempts that ended without anybody knowing how.
    pub(super) retried: AtomicU64,
    /// Set when everybody is to stop.
    pub(super) over: AtomicBool,
}

impl Ledger {
    /// Records that were acknowledged so far, each with the region of the agent.
    pub(super) fn promised(&self) -> Vec<(usize, Digest)> {
        self.promised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many were acknowledged in each region so far.
    pub(super) fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for (region, _) in &*self.promised.lock().unwrap_or_else(PoisonError::into_inner) {
            counts[*region] += 1;
        }
        counts
    }

    /// Refusals by rule.
    pub(super) fn refused(&self) -> BTreeMap<String, u64> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn promise(&self, region: usize, record: Digest) {
        self.promised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((region, record));
    }

    fn refuse(&self, error: &ClientError) {
        let code = error
            .problem()
            .map_or("none", |problem| problem.code.as_str())
            .to_owned();
        *self
            .refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(code)
            .or_default() += 1;
    }
}

/// A client of these nodes, first come first asked.
pub(super) fn client(nodes: &[&str]) -> Result<Client, Failure> {
    let mut config = ClientConfig::new(nodes.iter().copied());
    config.request_within = REQUEST_WITHIN;
    config.connect_within = Duration::from_secs(1);
    config.attempts_max = 3;
    Ok(Client::offline(config)?)
}

/// The key of an agent that signs for itself: it follows from the name, so that the demonstration
/// can let one agent appear at two nodes.
pub(super) fn key(name: &str) -> AgentKey {
    AgentKey::from_seed(Digest::of("unisono/demo-agent/v1", &[name.as_bytes()]).0)
}

/// How an agent introduces itself.
pub(super) fn introduction(name: &str) -> EnrolBody {
    EnrolBody {
        name: name.to_owned(),
        role: "worker".to_owned(),
        kind: AgentKindWord::Ai,
        tier: None,
    }
}

/// Enrols all twelve.
pub(super) async fn enrol(cluster: &Cluster, ledger: &Arc<Ledger>) -> Result<Vec<Agent>, Failure> {
    let mut agents = Vec::new();
    for (region, names) in NAMES.iter().enumerate() {
        let own = cluster.nodes[region].http.as_str();
        // Whoever signs for itself can go elsewhere when its node falls; not over the ocean that is
        // cut later, where it would wait for what it has seen.
        let second = cluster.nodes[usize::from(region == 0)].http.as_str();
        for (index, name) in names.iter().copied().enumerate() {
            let signs = index < SIGNING;
            let client = if signs && region != 2 {
                client(&[own, second])?
            } else {
                client(&[own])?
            };
            let mut signing = None;
            if signs {
                let agent =
                    SigningAgent::new(client.clone(), ORCHESTRA, key(name), introduction(name));
                agent.enrol().await?;
                signing = Some(agent);
            } else {
                let options = WriteOptions::default();
                let told = client
                    .enrol(ORCHESTRA, &introduction(name), &options)
                    .await?;
                ledger.promise(region, told.body.record);
            }
            let ledger = Arc::clone(ledger);
            agents.push(Agent {
                name,
                region,
                client,
                signing,
                ledger,
            });
        }
    }
    Ok(agents)
}

impl Agent {
    /// Whether it signs for itself.
    pub(super) fn signs(&self) -> bool {
        self.signing.is_some()
    }

    /// Does something once; what it is promised is written down.
    pub(super) async fn act(
        &self,
        body: ActionBody,
        options: &WriteOptions,
    ) -> Result<Reply<Recorded>, ClientError> {
        let told = match &self.signing {
            Some(agent) => agent.act(body, options).await,
            None => self.client.act(ORCHESTRA, self.name, &body, options).await,
        };
        match &told {
            Ok(reply) => self.ledger.promise(self.region, reply.body.record),
            Err(error) => self.ledger.refuse(error),
        }
        told
    }

    /// Does something, again and again under the same key until there is an answer that stands.
    async fn insist(&self, body: ActionBody) -> Option<Recorded> {
        let Ok(random) = crate::home::drawn::<12>() else {
            return None;
        };
        let key = data_encoding::HEXLOWER.encode(&random);
        let options = WriteOptions {
            key: Some(key),
            wait_ms: Some(WAIT_MS),
            ..WriteOptions::default()
        };
        while !self.ledger.over.load(Ordering::Relaxed) {
            let told = match &self.signing {
                Some(agent) => agent.act(body.clone(), &options).await,
                None => self.client.act(ORCHESTRA, self.name, &body, &options).await,
            };
            match told {
                Ok(reply) => {
                    self.ledger.promise(self.region, reply.body.record);
                    return Some(reply.body);
                }
                Err(error) if passes(&error) => {
                    self.ledger.retried.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Err(error) => {
                    self.ledger.refuse(&error);
                    return None;
                }
            }
        }
        None
    }

    /// Works through its part of the excerpt, one event after the other, not faster than `pace`.
    async fn work(self, events: Vec<Event>, pace: Duration) -> usize {
        let mut past = Past::default();
        let mut done = 0;
        let mut ticks = tokio::time::interval(pace);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for event in events {
            ticks.tick().await;
            if self.ledger.over.load(Ordering::Relaxed) {
                break;
            }
            self.take_steps(event.steps(&mut past)).await;
            done += 1;
        }
        done
    }

    async fn take_steps(&self, steps: Vec<Step>) {
        let mut evidence = None;
        for step in steps {
            match step {
                Step::Act(body) => {
                    self.insist(body).await;
                }
                Step::Mark(body) => {
                    let mark = self.insist(ActionBody::Mark(body)).await;
                    evidence = mark.map(|mark| mark.record);
                }
                Step::Proven(body) => {
                    self.insist(ActionBody::Task(TaskBody { evidence, ..body }))
                        .await;
                }
            }
        }
    }
}

/// Lets everybody work; each task of the set ends with the number of events that were done.
pub(super) fn work(agents: &[Agent], parts: Vec<Vec<Event>>, pace: Duration) -> JoinSet<usize> {
    let mut working = JoinSet::new();
    for (agent, events) in agents.iter().cloned().zip(parts) {
        working.spawn(agent.work(events, pace));
    }
    working
}

/// Waits until every node holds the orchestra and everybody who is in it.
pub(super) async fn known_everywhere(cluster: &Cluster, within: Duration) -> Result<(), Failure> {
    let end = tokio::time::Instant::now() + within;
    for (index, node) in cluster.nodes.iter().enumerate() {
        let client = client(&[node.http.as_str()])?;
        loop {
            let enrolled = client.agents(ORCHESTRA).await.map_or(0, |told| {
                let names: Vec<&str> = NAMES.iter().flatten().copied().collect();
                told.body
                    .agents
                    .iter()
                    .filter(|agent| names.contains(&agent.name.as_str()))
                    .count()
            });
            if enrolled == NAMES.len() * NAMES[0].len() {
                break;
            }
            if tokio::time::Instant::now() >= end {
                let words = format!("{} knows {enrolled} of the agents", REGIONS[index]);
                return Err(Failure::new(Exit::TimedOut, "demo_setup", words));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Whether asking again may help.
fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::Unknown(_) => true,
        // A chain that moved on while nobody answered is looked up anew.
        ClientError::Refused(problem) => {
            matches!(problem.status, 429 | 503 | 504)
                || error.is_code(Code::ChainOrder)
                || error.is_code(Code::WrongLog)
        }
        ClientError::Unreadable(_) | ClientError::Usage(_) => false,
    }
}
