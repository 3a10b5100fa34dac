//! The client: finds the nearest node, fails over, remembers what it has seen, repeats safely.

mod actor;
mod agent;
mod alerts;
mod beats;
pub mod blocking;
mod calls;
pub mod chronicle;
pub mod compression;
mod cues;
mod drift;
mod ensemble;
mod error;
mod filling;
pub mod flow;
mod foretell;
mod guard;
mod held;
mod http;
mod kept;
mod key;
mod nodes;
pub mod perform;
mod prepare;
mod reader;
pub mod recovery;
pub mod review;
mod rotate;
pub mod rounds;
mod source;
mod streams;
pub mod timer;
mod way;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde::de::DeserializeOwned;
use unisono_core::replication::Cursor;
use unisono_model::Stamp;

pub use actor::Actor;
pub use agent::SigningAgent;
pub use alerts::{Alert, Alerts};
pub use beats::{Beats, CommonTime};
pub use cues::Cues;
pub use drift::Drifting;
pub use ensemble::Findings;
pub use error::{ClientError, exit_of};
pub use foretell::{Attending, Due, EventsOf, Foreteller, Settled};
pub use guard::{FencingGuard, FencingRefusal};
pub use http::post_json;
pub use kept::{ClusterClock, ClusterTime, Fired};
pub use key::AgentKey;
pub use prepare::Played;
pub use reader::{ReadAs, ReadKey};
pub use rotate::{NotRotated, Rotated};
pub use streams::{Dump, Events, Followed};
pub use way::{InTheWay, Way};

use http::{Failure, Got, Http, Wanted};
use nodes::Nodes;

use crate::dto::{Problem, parse_stamp};

/// Where the nodes are, and how patient to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The nodes' addresses: `host:port` or `http://host:port`.
    pub nodes: Vec<String>,
    /// The bearer token, where the nodes want one.
    pub token: Option<String>,
    /// How long one request may take.
    pub request_within: Duration,
    /// How long a connection may take to come about.
    pub connect_within: Duration,
    /// How often a request is sent at most, over all nodes.
    pub attempts_max: u32,
    /// How long being told to wait is waited for, altogether.
    pub wait_max: Duration,
}

impl Config {
    /// These nodes, with ordinary patience.
    pub fn new<A: Into<String>>(nodes: impl IntoIterator<Item = A>) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            token: None,
            request_within: Duration::from_secs(15),
            connect_within: Duration::from_secs(2),
            attempts_max: 6,
            wait_max: Duration::from_secs(30),
        }
    }
}

/// What must hold before a write is answered.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// On how many nodes' disks it must be; none: on one.
    pub durable_on: Option<u16>,
    /// Whether a claim must be confirmed.
    pub confirm: bool,
    /// How long the node waits for these (ms).
    pub wait_ms: Option<u64>,
    /// The words of the idempotency key; drawn at random if left out.
    pub key: Option<String>,
}

/// An answer, and what it says about itself.
#[derive(Clone, Debug)]
pub struct Reply<T> {
    /// The answer.
    pub body: T,
    /// The address of the node that answered.
    pub node: String,
    /// The moment of which the answer speaks.
    pub as_of: Option<Stamp>,
    /// Whether nothing at or below that moment can change any more.
    pub is_final: Option<bool>,
    /// What the node had when it answered.
    pub cursor: Option<Cursor>,
}

/// May the same request be sent again when nobody knows what became of it?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// Yes, to any node.
    Anywhere,
    /// Yes, to the same node: only there it counts once.
    Here,
    /// No.
    Never,
}

/// The one node that may be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin<'a> {
    pub(crate) node: &'a str,
    pub(crate) attempts_max: u32,
}

/// A client of a cluster. Cheap to clone; clones share connections and what they have seen.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
    /// Who reads, where an orchestra asks for it.
    reader: Option<Arc<ReadAs>>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    http: Http,
    nodes: Nodes,
    cursors: Mutex<BTreeMap<String, Cursor>>,
    /// Which node holds the key of which agent of which orchestra.
    homes: Mutex<BTreeMap<(String, String), String>>,
}

impl Client {
    /// Measures the way to each node. Fails only where no node can be spoken to at all.
    pub async fn connect(config: Config) -> Result<Self, ClientError> {
        let client = Self::offline(config)?;
        let reached = client.measure().await;
        if reached == 0 {
            let nodes = client.inner.config.nodes.join(", ");
            return Err(ClientError::Unreachable(format!("tried {nodes}")));
        }
        Ok(client)
    }

    /// A client that has not looked for its nodes yet: they are tried in the order given.
    pub fn offline(config: Config) -> Result<Self, ClientError> {
        let http = Http::new(config.token.as_deref(), config.connect_within)?;
        let nodes = Nodes::new(&config.nodes)?;
        let cursors = Mutex::default();
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                http,
                nodes,
                cursors,
                homes: Mutex::default(),
            }),
            reader: None,
        })
    }

    /// Measures the way to each node anew, all at once; says how many answered.
    pub async fn measure(&self) -> usize {
        let mut probes = tokio::task::JoinSet::new();
        for (base, _) in self.inner.nodes.round_trips() {
            let client = self.clone();
            probes.spawn(async move {
                let round_trip = client.probe(&base).await;
                client.inner.nodes.measured(&base, round_trip);
                round_trip.is_some()
            });
        }
        probes
            .join_all()
            .await
            .into_iter()
            .filter(|&reached| reached)
            .count()
    }

    /// The node that is asked first.
    pub fn nearest(&self) -> String {
        self.inner.nodes.order().swap_remove(0)
    }

    /// Each node's address with its round trip, where it answered.
    pub fn round_trips(&self) -> Vec<(String, Option<Duration>)> {
        self.inner.nodes.round_trips()
    }

    /// What was seen of an orchestra so far, on whichever node.
    pub fn cursor(&self, orchestra: &str) -> Cursor {
        self.cursors().get(orchestra).cloned().unwrap_or_default()
    }

    /// Takes over what somebody else has seen: from here on nothing older is read.
    pub fn seen(&self, orchestra: &str, cursor: &Cursor) {
        self.cursors()
            .entry(orchestra.to_owned())
            .or_default()
            .merge(cursor);
    }

    pub(crate) fn attempts_max(&self) -> u32 {
        self.inner.config.attempts_max
    }

    /// Puts a node last for a while.
    pub(crate) fn avoid(&self, node: &str) {
        self.inner.nodes.failed(node);
    }

    async fn probe(&self, base: &str) -> Option<Duration> {
        let within = self.inner.config.connect_within;
        let wanted = Wanted::new(Method::GET, "/livez".to_owned(), None, within);
        // The second of two: the first also pays for the connection.
        self.inner.http.send(base, &wanted).await.ok()?;
        let started = Instant::now();
        let got = self.inner.http.send(base, &wanted).await.ok()?;
        (got.status == StatusCode::OK).then(|| started.elapsed())
    }

    /// The node that holds an agent's key, as far as this client has seen; else the nearest.
    pub(crate) fn home(&self, orchestra: &str, agent: &str) -> String {
        let homes = self
            .inner
            .homes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = homes
            .get(&(orchestra.to_owned(), agent.to_owned()))
            .cloned();
        known.unwrap_or_else(|| self.nearest())
    }

    pub(crate) fn at_home(&self, orchestra: &str, agent: &str, node: &str) {
        let mut homes = self
            .inner
            .homes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        homes.insert((orchestra.to_owned(), agent.to_owned()), node.to_owned());
    }

    fn cursors(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Cursor>> {
        self.inner
            .cursors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends until there is an answer that stands, or no hope of one.
    pub(crate) async fn answer(
        &self,
        wanted: &Wanted,
        repeat: Repeat,
        pin: Option<Pin<'_>>,
    ) -> Result<(String, Got), ClientError> {
        if wanted.path.len() > crate::limits::PATH_BYTES_MAX {
            return Err(ClientError::Usage(format!(
                "this would be asked in {} bytes; at most {} are, so give the words that matter",
                wanted.path.len(),
                crate::limits::PATH_BYTES_MAX
            )));
        }
        let config = &self.inner.config;
        let started = Instant::now();
        let mut base = pin.map_or_else(|| self.nearest(), |pin| pin.node.to_owned());
        let mut maybe_done = false;
        let mut last = ClientError::Unreachable("nothing was tried".to_owned());
        let mut attempt = 0;
        let mut introduced = false;
        while attempt < pin.map_or(config.attempts_max, |pin| pin.attempts_max) {
            let sent = self.introduced(wanted)?;
            match self.inner.http.send(&base, &sent).await {
                Ok(got) if got.status.is_success() => return Ok((base, got)),
                Ok(got) => {
                    let problem = problem(&got);
                    if !introduced && self.introduces(&wanted.path, &got.headers, &problem) {
                        introduced = true;
                        continue;
                    }
                    maybe_done |= problem.changed.is_none();
                    let wait = Duration::from_millis(problem.retry_after_ms.unwrap_or(1_000));
                    last = ClientError::Refused(Box::new(problem));
                    match got.status {
                        // Being told to wait is no refusal, and costs patience, not an attempt.
                        StatusCode::TOO_MANY_REQUESTS
                            if started.elapsed() + wait <= config.wait_max =>
                        {
                            tokio::time::sleep(wait).await;
                            continue;
                        }
                        StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {}
                        _ => return Err(last),
                    }
                }
                Err(Failure::NotSent(words)) if maybe_done => last = ClientError::Unknown(words),
                Err(Failure::NotSent(words)) => last = ClientError::Unreachable(words),
                Err(Failure::Unanswered(words)) => {
                    maybe_done = true;
                    last = ClientError::Unknown(words);
                }
            }
            if repeat == Repeat::Never && maybe_done {
                return Err(last);
            }
            self.inner.nodes.failed(&base);
            if pin.is_none() && (repeat == Repeat::Anywhere || !maybe_done) {
                base = self.nearest();
            }
            tokio::time::sleep(Duration::from_millis(50 << attempt.min(5))).await;
            attempt += 1;
        }
        Err(last)
    }

    /// Reads an answer as JSON, and remembers how far it had seen the orchestra.
    pub(crate) fn reply<T: DeserializeOwned>(
        &self,
        orchestra: Option<&str>,
        node: String,
        got: &Got,
    ) -> Result<Reply<T>, ClientError> {
        let text = |name: &str| got.headers.get(name).and_then(|value| value.to_str().ok());
        let cursor = text("unisono-cursor").and_then(Cursor::from_text);
        if let (Some(orchestra), Some(cursor)) = (orchestra, &cursor) {
            self.seen(orchestra, cursor);
        }
        let body = serde_json::from_slice(&got.body)
            .map_err(|error| ClientError::Unreadable(format!("{node}: {error}")))?;
        Ok(Reply {
            body,
            node,
            as_of: text("unisono-as-of").and_then(|stamp| parse_stamp(stamp).ok()),
            is_final: text("unisono-final").map(|word| word == "true"),
            cursor,
        })
    }

    pub(crate) fn with_cursor(&self, orchestra: &str, wanted: &mut Wanted) {
        let cursor = self.cursor(orchestra);
        if !cursor.0.is_empty() {
            put(&mut wanted.headers, "unisono-min-cursor", &cursor.to_text());
        }
    }
}

pub(crate) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The refusal of an answer; made up where whatever answered does not speak this language.
pub(crate) fn problem(got: &Got) -> Problem {
    serde_json::from_slice(&got.body).unwrap_or_else(|_| Problem {
        kind: "about:blank".to_owned(),
        title: got
            .status
            .canonical_reason()
            .unwrap_or("no reason")
            .to_owned(),
        status: got.status.as_u16(),
        code: "unreadable".to_owned(),
        detail: String::from_utf8_lossy(&got.body)
            .chars()
            .take(200)
            .collect(),
        hint: "is this the address of a node?".to_owned(),
        next: Vec::new(),
        retry_after_ms: None,
        changed: None,
        held_by: None,
        incident: None,
    })
}
