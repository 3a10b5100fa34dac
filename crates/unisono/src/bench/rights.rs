//! What rights cost where they are asked for: a request at the edge under a token that is known, the
//! handshake of two nodes, and how long it takes from a violation to an executive that follows.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;
use unisono_api::client::{Alert, Client, Config as ClientConfig};
use unisono_core::node::{Promise, Work};
use unisono_model::capability::Tier;
use unisono_model::wire::Blob;
use unisono_model::{Action, AgentKind, ClusterId, Enrol, Mark};
use unisono_quic::identity::{Credentials, NodeKey, Region};
use unisono_quic::{Class, Config, Endpoint, Event};

use super::figures::{Figures, permille};
use super::processes::{self, Process};
use super::ring::{Agent, ORCHESTRA, Ring, START_NS, Spent, cpu_ns};
use super::trust::{CROWD, fenced, key, name, numbered, token, token_for};
use crate::failure::{Exit, Failure};
use crate::replay::http::Request;

/// Requests of one agent.
const REQUESTS: u64 = 4_000;
/// So many of them before it is the turn of the other node.
const TURN: u64 = 200;
/// Time between two of a crowd (ms).
const PACE_MS: u64 = 10;
/// Pairs of nodes that meet.
const HANDSHAKES: u32 = 200;
/// How long two nodes that have met and left are given until nothing of them runs.
const SETTLED: Duration = Duration::from_millis(5);
/// Agents that are refused once each, for every follower.
const VIOLATIONS: usize = 40;
/// How long one step may take.
const WITHIN: Duration = Duration::from_secs(15);

/// What a self-signed request costs the node that takes it, once it knows the token: processor time
/// in this thread until it is in a batch. The same where the orchestra holds many agents with a token
/// each, and many fences: by turns, so that a busier minute falls on both.
pub(crate) fn requests(figures: &mut Figures) -> Result<(), Failure> {
    let mut alone = Edge::new()?;
    let mut among = Edge::new()?;
    among.crowd(CROWD)?;
    for _ in 0..REQUESTS / TURN {
        alone.ask(TURN)?;
        among.ask(TURN)?;
    }
    let (alone, among) = (&alone.ring.spent[0], &among.ring.spent[0]);
    let each_us = |ns: u64| ns as f64 / 1e3 / REQUESTS as f64;
    figures.at_most(
        "trust_request_with_known_token_us",
        each_us(alone.edge_ns),
        100.0,
    );
    figures.tell(
        "trust_request_of_that_signatures_us",
        each_us(alone.verify_ns),
    );
    figures.at_most(
        "trust_request_among_10000_agents_tokens_and_fences_ratio",
        among.edge_ns as f64 / alone.edge_ns as f64,
        1.1,
    );
    // Once it is on disk, views and checkpoints are made of more.
    let whole_ns = |spent: &Spent| spent.edge_ns + spent.persisted_ns + spent.other_ns;
    figures.tell("trust_request_to_the_end_us", each_us(whole_ns(alone)));
    figures.tell(
        "trust_request_to_the_end_among_10000_us",
        each_us(whole_ns(among)),
    );
    Ok(())
}

/// A node, and an agent that asks it under a token of three links.
struct Edge {
    ring: Ring,
    agent: Agent,
    asked: u64,
}

impl Edge {
    fn new() -> Result<Self, Failure> {
        let mut ring = Ring::rooted(1, Some(name(1)))?;
        let token = token(3, ORCHESTRA, START_NS / 1_000_000);
        let mut agent = Agent::with_key("ivy", key(4), ring.place(0));
        for action in [enrolled("ivy"), Action::Present(Blob(token.encode()))] {
            let record = agent.sign(&action);
            ring.submit(0, Work::Record(record), Promise::default());
        }
        ring.all_answered()?;
        agent.token = Some(token.id());
        ring.forget();
        Ok(Self {
            ring,
            agent,
            asked: 0,
        })
    }

    /// So many others come with a token each, and so many links are fenced that nobody uses.
    fn crowd(&mut self, count: u64) -> Result<(), Failure> {
        let place = self.ring.place(0);
        let mut root = Agent::with_key("root", key(1), place);
        let enrol = root.sign(&enrolled("root"));
        self.ring.submit(0, Work::Record(enrol), Promise::default());
        for n in 0..count {
            let own = numbered(n);
            let token = token_for(&own, ORCHESTRA, START_NS / 1_000_000);
            let name = format!("a{n}");
            let mut other = Agent::with_key(&name, own, place);
            let said = [
                other.sign(&enrolled(&name)),
                other.sign(&Action::Present(Blob(token.encode()))),
                root.sign(&fenced(n)),
            ];
            for record in said {
                self.ring
                    .submit(0, Work::Record(record), Promise::default());
            }
            // Time passes, as each key may say so much a minute alone.
            self.ring.run_ms(PACE_MS);
        }
        self.ring.all_answered()?;
        self.ring.forget();
        Ok(())
    }

    fn ask(&mut self, count: u64) -> Result<(), Failure> {
        for _ in 0..count {
            self.asked += 1;
            let mark = Action::Mark(Mark {
                about: "index".to_owned(),
                text: format!("step {}", self.asked),
                reasoning: String::new(),
                tags: Vec::new(),
                evidence: Vec::new(),
            });
            let record = self.agent.sign(&mark);
            self.ring
                .submit(0, Work::Record(record), Promise::default());
        }
        self.ring.all_answered()
    }
}

fn enrolled(name: &str) -> Action {
    Action::Enrol(Enrol {
        name: name.into(),
        role: String::new(),
        kind: AgentKind::Ai,
        tier: Some(Tier::Named("bench".into())),
    })
}

/// What it costs two nodes to meet: processor time of both ends, from a frame for somebody who is not
/// connected until both know that they are. Both stand in one thread, since the kernel counts the time
/// of another one that is running late.
pub(crate) fn handshakes(figures: &mut Figures) -> Result<(), Failure> {
    let met = std::thread::spawn(meet_in_one_thread).join();
    let mut spent_ms = met.map_err(|_| wrong("nodes could not meet"))??;
    spent_ms.sort_by(f64::total_cmp);
    figures.at_most(
        "trust_handshake_both_ends_ms",
        spent_ms[spent_ms.len() / 2],
        1.0,
    );
    figures.tell(
        "trust_handshake_both_ends_worst_ms",
        spent_ms[spent_ms.len() - 1],
    );
    Ok(())
}

fn meet_in_one_thread() -> Result<Vec<f64>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| wrong(&error.to_string()))?;
    runtime.block_on(async {
        let founder = found()?;
        let mut spent_ms = Vec::new();
        for _ in 0..HANDSHAKES {
            spent_ms.push(handshake(&founder).await?);
        }
        Ok(spent_ms)
    })
}

/// Processor time of one of them, of two nodes that nobody has seen before (ms).
async fn handshake(founder: &Credentials) -> Result<f64, Failure> {
    let (one, other) = (bound(member(founder)?)?, bound(member(founder)?)?);
    let begun_ns = cpu_ns();
    let (there, addr) = (other.transport.node(), other.transport.local_addr());
    let sent = one
        .transport
        .send(there, Some(addr), Class::Push, b"met".to_vec());
    sent.map_err(|error| wrong(&error.to_string()))?;
    let (mut first, mut second) = (one.events, other.events);
    let met = async { tokio::join!(first.recv(), second.recv()) };
    let met = tokio::time::timeout(WITHIN, met).await;
    if !matches!(
        met,
        Ok((Some(Event::Connected { .. }), Some(Event::Connected { .. })))
    ) {
        return Err(wrong("two nodes did not meet"));
    }
    let spent_ms = (cpu_ns() - begun_ns) as f64 / 1e6;
    one.transport.close().await;
    other.transport.close().await;
    drop((one.transport, other.transport));
    // Tasks and sockets of these two end here: what is left of them would count for the next two.
    tokio::time::sleep(SETTLED).await;
    Ok(spent_ms)
}

fn found() -> Result<Credentials, Failure> {
    let key = NodeKey::generate();
    Credentials::found(ClusterId([7; 16]), key, &region()?, now_ms())
        .map_err(|error| wrong(&error.to_string()))
}

fn member(founder: &Credentials) -> Result<Credentials, Failure> {
    let authority = founder.authority().ok_or_else(|| wrong("no authority"))?;
    let key = NodeKey::generate();
    let issued = authority.issue(key.id(), &region()?, now_ms());
    let certificate = issued.map_err(|error| wrong(&error.to_string()))?;
    let of = authority.certificate().clone();
    let member = Credentials::new(key, certificate, of, None, now_ms());
    member.map_err(|error| wrong(&error.to_string()))
}

fn bound(credentials: Credentials) -> Result<Endpoint, Failure> {
    let loopback = (std::net::Ipv4Addr::LOCALHOST, 0).into();
    let bound = Endpoint::bind(credentials, loopback, Config::default());
    bound.map_err(|error| wrong(&error.to_string()))
}

fn region() -> Result<Region, Failure> {
    "bench".parse().map_err(|_| wrong("no region"))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// From a request that is refused until an executive that follows has been told, at the same node
/// and at another one; on one machine, so that a round trip is next to nothing.
pub(crate) async fn violations(scratch: &Path, figures: &mut Figures) -> Result<(), Failure> {
    let nodes = processes::cluster(&scratch.join("violations"), 2).await?;
    nodes[0].open(ORCHESTRA).await?;
    let agents = format!("/v1/orchestras/{ORCHESTRA}/agents");
    let boss = json!({ "name": "boss", "tier": "executive" });
    nodes[0].post(&agents, &boss).await?;
    for n in 0..2 * VIOLATIONS {
        nodes[0].enrol(ORCHESTRA, &format!("a{n}")).await?;
    }
    let followed = [(&nodes[0], "local", 10.0), (&nodes[1], "remote", 50.0)];
    for (index, (node, what, budget_ms)) in followed.into_iter().enumerate() {
        let from = index * VIOLATIONS;
        let mut took_us = told_after(&nodes[0], node, from..from + VIOLATIONS).await?;
        let name = format!("trust_violation_to_{what}_executive");
        figures.tell(format!("{name}_p50_ms"), permille(&mut took_us, 500) / 1e3);
        let worst_ms = permille(&mut took_us, 1_000) / 1e3;
        figures.at_most(format!("{name}_worst_ms"), worst_ms, budget_ms);
    }
    Ok(())
}

/// Per agent, the time until whoever follows at a node is told of its refusal (µs).
async fn told_after(
    edge: &Process,
    followed: &Process,
    agents: std::ops::Range<usize>,
) -> Result<Vec<u64>, Failure> {
    let config = ClientConfig::new([format!("http://{}", followed.server.authority)]);
    let client = Client::connect(config).await?;
    let mut alerts = client.alerts(ORCHESTRA, "boss");
    let path = format!("/v1/orchestras/{ORCHESTRA}/actions");
    let mut took_us = Vec::new();
    for (index, number) in agents.enumerate() {
        let agent = format!("a{number}");
        let body = json!({ "agent": agent, "do": "guard" }).to_string();
        let request = Request {
            method: "POST",
            path: &path,
            min_cursor: None,
            body: Some(("application/json", body.as_bytes())),
        };
        let begun = Instant::now();
        let refused = edge.server.ask(&request, WITHIN);
        let told = async {
            loop {
                match alerts.next().await {
                    Ok(Alert::Incident(told)) if told.name == agent => return Ok(begun.elapsed()),
                    Ok(_) => {}
                    Err(error) => return Err(wrong(&error.to_string())),
                }
            }
        };
        let both = async { tokio::join!(refused, told) };
        let both = tokio::time::timeout(WITHIN, both).await;
        let (refused, told) = both.map_err(|_| wrong("nobody was told of a violation"))?;
        let status = refused
            .map_err(|error| wrong(&format!("{error:?}")))?
            .status;
        if status != 403 {
            return Err(wrong(&format!("a violation was answered with {status}")));
        }
        // The first one pays for the connection of whoever follows.
        if index > 0 {
            took_us.push(u64::try_from(told?.as_micros()).unwrap_or(u64::MAX));
        }
    }
    Ok(took_us)
}

fn wrong(why: &str) -> Failure {
    Failure::new(Exit::Failed, "trust", why)
}
