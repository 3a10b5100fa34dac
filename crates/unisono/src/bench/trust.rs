//! What rights cost, each part alone: processor time in this thread, against the budgets.

use ed25519_dalek::{Signer, SigningKey};
use unisono_core::capability::{allows, allows_write, examine};
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::{FoldRules, Folds};
use unisono_core::sabotage::Sabotage;
use unisono_model::capability::{
    Grant, LINK_VERSION, Link, Operations, Rights, Scope, SignedLink, Tier, Token,
};
use unisono_model::wire::{Blob, Signature};
use unisono_model::{
    Action, AgentId, AgentKind, ClusterId, Digest, Enrol, Fence, FenceTarget, Held, Incarnation,
    LogId, Mark, Measure, NodeId, OrchestraId, Place, RECORD_VERSION, RecordBody, Stamp, Write,
    path,
};

use super::figures::Figures;
use super::parts::each;
use super::rights;
use crate::failure::{Exit, Failure};
use crate::workspace::measured;

const CLUSTER: ClusterId = ClusterId([7; 16]);
const NOW_MS: u64 = 1_800_000_000_000;
/// How often something is repeated.
const REPEATED: u64 = 2_000;
/// How often each malformed token is.
const MALFORMED_REPEATED: u64 = 50;
/// Fences, and others with a token each, that should change nothing about what one of them costs.
pub(super) const CROWD: u64 = 10_000;
/// How often it is the turn of each replica.
const TURNS: u64 = 5;
/// Records that somebody has missed.
const MISSED: u64 = 100_000;

/// Measures in this thread.
pub(crate) fn run() -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let token = token(3, "alpha", NOW_MS);
    let bytes = token.encode();
    let roots = [name(1)];
    let cold = || examine(&bytes, CLUSTER, &roots, &mut StrictVerifier);
    let verified = cold().map_err(|why| wrong(&why.to_string()))?;
    let cold_us = each(REPEATED, |_| drop(cold()));
    let (bad_us, bad_worst_us) = malformed(&bytes);
    let orchestra = OrchestraId::of(CLUSTER, "alpha");
    let may = &verified.leaf().may;
    let decision_us = each(50 * REPEATED, |_| {
        drop(allows(may, Operations::COORDINATE, CLUSTER, orchestra));
    });
    figures.tell("trust_token_bytes_three_links", bytes.len() as f64);
    figures.at_most("trust_cold_token_of_three_links_us", cold_us, 250.0);
    figures.at_most("trust_malformed_us", bad_us, 2.0);
    figures.tell("trust_malformed_worst_us", bad_worst_us);
    figures.at_most("trust_decision_us", decision_us, 1.0);
    records(&token, &mut figures)?;
    writes(&mut figures)?;
    rights::requests(&mut figures)?;
    Ok(figures)
}

/// What bytes cost that are no token: one of three links that ends too early, at each length, and with
/// another byte at each place where that makes it none. Of all of them in the middle, and of the one
/// that costs most (µs).
fn malformed(bytes: &[u8]) -> (f64, f64) {
    let cut = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    let other = (0..bytes.len()).map(|at| {
        let mut bad = bytes.to_vec();
        bad[at] ^= 0xa5;
        bad
    });
    let bad = cut.chain(other).filter(|bad| Token::decode(bad).is_err());
    let roots = [name(1)];
    let cost = |bad: Vec<u8>| {
        let costs = (0..3).map(|_| {
            each(MALFORMED_REPEATED, |_| {
                drop(examine(&bad, CLUSTER, &roots, &mut StrictVerifier));
            })
        });
        // The least of three: an interrupt is none of its cost.
        costs.fold(f64::INFINITY, f64::min)
    };
    let costs: Vec<f64> = bad.map(cost).collect();
    let mean = costs.iter().sum::<f64>() / costs.len() as f64;
    (mean, costs.into_iter().fold(0.0, f64::max))
}

/// What a file costs that is written: measuring it, which is done off the threads that serve, and
/// what token and plan say about it.
fn writes(figures: &mut Figures) -> Result<(), Failure> {
    const SOURCE: &[u8] = include_bytes!("../../../core/src/node/submit.rs");
    const PATH: &str = "crates/core/src/node/submit.rs";
    let content = measured(PATH, SOURCE);
    let Measure::Known(_) = &content.measure else {
        return Err(wrong("the file could not be measured"));
    };
    let lines = SOURCE.split(|byte| *byte == b'\n').count() - 1;
    let measured_us = each(REPEATED / 20, |_| drop(measured(PATH, SOURCE)));
    let write = Write {
        project: "engine".into(),
        phase: 1,
        path: PATH.into(),
        base: None,
        content: Some(content),
        moved_from: None,
        plan: Digest::default(),
    };
    let rights = Rights {
        files: Some((0..32).map(|n| format!("src/{n:02}.rs")).collect()),
        ..Rights::all()
    };
    let refused = allows_write(&rights, &write).is_err();
    let decision_us = each(50 * REPEATED, |_| drop(allows_write(&rights, &write)));
    let covers = "crates/**/node/*.rs";
    let planned_us = each(50 * REPEATED, |_| {
        std::hint::black_box(path::matches(covers, PATH));
    });
    if !refused || !path::matches(covers, PATH) {
        return Err(wrong("token or plan said otherwise"));
    }
    figures.tell("trust_measured_file_lines", lines as f64);
    figures.tell("trust_measured_write_us", measured_us);
    figures.at_most("trust_write_refused_by_token_us", decision_us, 5.0);
    figures.at_most("trust_write_in_plan_us", planned_us, 1.0);
    Ok(())
}

/// What a record costs at a replica: its signature, its verdict and its fold; the same among many
/// fences, and among many agents with a token each.
fn records(token: &Token, figures: &mut Figures) -> Result<(), Failure> {
    let mut replicas = [
        Replica::new(token, ground(token)),
        Replica::new(token, ground(token).chain((0..CROWD).map(fence))),
        Replica::new(token, ground(token).chain((0..CROWD).flat_map(other))),
    ];
    let mut spent_us = [0.0; 3];
    // By turns, so that a busier minute falls on all of them.
    for _ in 0..TURNS {
        for (replica, spent_us) in replicas.iter_mut().zip(&mut spent_us) {
            *spent_us += replica.takes(REPEATED)? / TURNS as f64;
        }
    }
    let [bare_us, fenced_us, crowded_us] = spent_us;
    figures.at_most("trust_record_at_a_replica_us", bare_us, 60.0);
    figures.at_most(
        "trust_record_with_10000_fences_ratio",
        fenced_us / bare_us,
        1.05,
    );
    figures.at_most(
        "trust_record_with_10000_agents_and_tokens_ratio",
        crowded_us / bare_us,
        1.05,
    );
    let [replica, ..] = &mut replicas;
    let missed_us = replica.takes(MISSED)?;
    figures.at_most(
        "trust_100000_records_s",
        missed_us * MISSED as f64 / 1e6,
        8.0,
    );
    Ok(())
}

/// What a replica holds of an orchestra.
struct Replica {
    folds: Folds,
    rules: FoldRules,
    token: Digest,
    taken: u64,
}

impl Replica {
    fn new(token: &Token, ground: impl Iterator<Item = (AgentId, Action)>) -> Self {
        let (mut folds, rules) = (Folds::new(OrchestraId::of(CLUSTER, "alpha")), rules());
        for (number, (agent, action)) in (0..).zip(ground) {
            folds.insert(fact(agent, None, number, action), &rules);
        }
        let token = token.id();
        Self {
            folds,
            rules,
            token,
            taken: 0,
        }
    }

    /// Takes in so many records that an agent has signed; processor time of each (µs). They are made
    /// before the time is taken, a stretch at a time.
    fn takes(&mut self, count: u64) -> Result<f64, Failure> {
        let key = key(4);
        let agent = AgentId(key.verifying_key().to_bytes());
        let (mut spent_us, mut good) = (0.0, 0);
        let before = self.folds.weight();
        for _ in (0..count).step_by(REPEATED as usize) {
            let from = self.taken;
            self.taken += REPEATED;
            let signed = (from..self.taken).map(|n| {
                let fact = mark(agent, self.token, n);
                let signature = key.sign(&fact.place.record.0);
                (fact, Signature::from_bytes(signature.to_bytes()))
            });
            let mut signed = signed.collect::<Vec<_>>().into_iter();
            spent_us += REPEATED as f64
                * each(REPEATED, |_| {
                    let Some((fact, signature)) = signed.next() else {
                        return;
                    };
                    let record = fact.place.record;
                    good += u64::from(StrictVerifier.verify(&agent.0, &record, &signature));
                    self.folds.insert(fact, &self.rules);
                });
        }
        if good != count || self.folds.pending() > 0 || self.folds.weight() == before {
            return Err(wrong("the records did not count"));
        }
        Ok(spent_us / count as f64)
    }
}

fn wrong(why: &str) -> Failure {
    Failure::new(Exit::Failed, "trust", why)
}

fn rules() -> FoldRules {
    FoldRules {
        founder: NodeId([1; 32]),
        cluster: CLUSTER,
        root: Some(name(1)),
        recovery: None,
        authority: None,
        lease_ms_max: 60_000,
        sabotage: Sabotage::default(),
    }
}

pub(super) fn name(number: u8) -> AgentId {
    AgentId(key(number).verifying_key().to_bytes())
}

/// The key of one of those in a chain; nodes have others.
pub(super) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[0xb0 | number; 32])
}

/// A root (1), two that hand on (2, 3), and whoever acts (4), in one orchestra for an hour.
pub(super) fn token(links: u8, orchestra: &str, now_ms: u64) -> Token {
    chain(links, &name(links + 1), orchestra, now_ms)
}

/// The same of three links, for a key of somebody's own.
pub(super) fn token_for(key: &SigningKey, orchestra: &str, now_ms: u64) -> Token {
    let agent = AgentId(key.verifying_key().to_bytes());
    chain(3, &agent, orchestra, now_ms)
}

fn chain(links: u8, last: &AgentId, orchestra: &str, now_ms: u64) -> Token {
    let rights = Rights {
        operations: Operations::READ.and(Operations::COORDINATE),
        read: Scope::Project(orchestra.into()),
        write: Scope::Project(orchestra.into()),
        actions_per_minute_max: u16::MAX,
        ..Rights::none()
    };
    let tier = || Tier::Named("bench".into());
    let mut signed: Vec<SignedLink> = Vec::new();
    for number in 1..=links {
        let link = Link {
            version: LINK_VERSION,
            cluster: CLUSTER,
            issuer: name(number),
            audience: if number < links {
                name(number + 1)
            } else {
                *last
            },
            parent: signed.last().map_or_else(Digest::default, SignedLink::id),
            nonce: [number; 16],
            epoch: 0,
            not_before_ms: now_ms - 1_000,
            expires_ms: now_ms + 3_600_000,
            renew_until_ms: 0,
            tier: tier(),
            may: rights.clone(),
            grant: (number < links).then(|| Grant {
                tiers: vec![tier()],
                rights: rights.clone(),
            }),
            depth_left: links - number,
        };
        signed.push(link.sign(&key(number)));
    }
    Token { links: signed }
}

/// One key of many.
pub(super) fn numbered(n: u64) -> SigningKey {
    SigningKey::from_bytes(&Digest::of("unisono/bench-agent/v1", &[&n.to_le_bytes()]).0)
}

/// What verdicts rest on: enrolments, and the token.
fn ground(token: &Token) -> impl Iterator<Item = (AgentId, Action)> {
    let token = Action::Present(Blob(token.encode()));
    let said = [
        (name(1), enrolled(None)),
        (name(4), enrolled(Some(Tier::Named("bench".into())))),
        (name(4), token),
    ];
    said.into_iter()
}

/// Somebody else, with a token of its own.
fn other(n: u64) -> [(AgentId, Action); 2] {
    let key = numbered(n);
    let agent = AgentId(key.verifying_key().to_bytes());
    let token = token_for(&key, "alpha", NOW_MS);
    [
        (agent, enrolled(Some(Tier::Named("bench".into())))),
        (agent, Action::Present(Blob(token.encode()))),
    ]
}

fn enrolled(tier: Option<Tier>) -> Action {
    Action::Enrol(Enrol {
        name: "somebody".into(),
        role: String::new(),
        kind: AgentKind::Ai,
        tier,
    })
}

fn fence(n: u64) -> (AgentId, Action) {
    (name(1), fenced(n))
}

/// An end of a link that nobody uses.
pub(super) fn fenced(n: u64) -> Action {
    Action::Fence(Fence {
        target: FenceTarget::Link(Digest::of("unisono/bench/v1", &[&n.to_le_bytes()])),
        reason: String::new(),
        keep: Vec::new(),
    })
}

fn mark(agent: AgentId, token: Digest, n: u64) -> Fact {
    let mark = Mark {
        about: "index".to_owned(),
        text: "done".to_owned(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    };
    fact(agent, Some(token), 1_000_000 + n, Action::Mark(mark))
}

fn fact(agent: AgentId, token: Option<Digest>, number: u64, action: Action) -> Fact {
    Fact {
        place: Place {
            stamp: Stamp::from_ms(NOW_MS + number / 1_000),
            record: Digest::of("unisono/bench/v1", &[&agent.0, &number.to_le_bytes()]),
        },
        agent,
        log: LogId {
            node: NodeId([9; 32]),
            incarnation: Incarnation {
                started_ms: 1,
                nonce: 1,
            },
        },
        bundle: number,
        seq: number,
        body: RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: NOW_MS,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token,
            action,
        },
    }
}
