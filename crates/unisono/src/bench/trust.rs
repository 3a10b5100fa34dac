//! What rights cost, each part alone: processor time in this thread, against the budgets.

use ed25519_dalek::SigningKey;
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
/// Fences that should change nothing about the cost of a record.
const FENCES: u64 = 10_000;

/// Measures in this thread.
pub(crate) fn run() -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let token = token(3, "alpha", NOW_MS);
    let bytes = token.encode();
    let roots = [name(1)];
    let cold = || examine(&bytes, CLUSTER, &roots, &mut StrictVerifier);
    let verified = cold().map_err(|why| wrong(&why.to_string()))?;
    let cold_us = each(REPEATED, |_| drop(cold()));
    let mut bad = bytes.clone();
    bad[0] = 200;
    let bad_us = each(REPEATED, |_| {
        drop(examine(&bad, CLUSTER, &roots, &mut StrictVerifier));
    });
    let orchestra = OrchestraId::of(CLUSTER, "alpha");
    let may = &verified.leaf().may;
    let decision_us = each(50 * REPEATED, |_| {
        drop(allows(may, Operations::COORDINATE, CLUSTER, orchestra));
    });
    figures.tell("trust_token_bytes_three_links", bytes.len() as f64);
    figures.at_most("trust_cold_token_of_three_links_us", cold_us, 250.0);
    figures.at_most("trust_malformed_us", bad_us, 2.0);
    figures.at_most("trust_decision_us", decision_us, 1.0);
    records(&token, &mut figures)?;
    writes(&mut figures)?;
    rights::requests(&mut figures)?;
    Ok(figures)
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

/// What a record costs at a replica: its signature, its verdict and its fold, without fences and
/// with many.
fn records(token: &Token, figures: &mut Figures) -> Result<(), Failure> {
    let key = SigningKey::from_bytes(&[4; 32]);
    let agent = AgentId(key.verifying_key().to_bytes());
    let signature = {
        use ed25519_dalek::Signer;
        Signature::from_bytes(key.sign(&Digest::default().0).to_bytes())
    };
    let sign_us = each(REPEATED, |_| {
        StrictVerifier.verify(&agent.0, &Digest::default(), &signature);
    });
    let mut with = [0.0; 2];
    for (index, fences) in [0, FENCES].into_iter().enumerate() {
        let mut folds = Folds::new(OrchestraId::of(CLUSTER, "alpha"));
        let rules = rules();
        for fact in ground(token, fences) {
            folds.insert(fact, &rules);
        }
        let facts: Vec<Fact> = (0..REPEATED).map(|n| mark(agent, token.id(), n)).collect();
        let before = folds.weight();
        let mut facts = facts.into_iter();
        with[index] = each(REPEATED, |_| {
            if let Some(fact) = facts.next() {
                folds.insert(fact, &rules);
            }
        });
        if folds.pending() > 0 || folds.weight() == before {
            return Err(wrong("the records did not count"));
        }
    }
    let [bare_us, fenced_us] = with;
    figures.tell("trust_verdict_and_fold_us", bare_us);
    figures.tell("trust_verdict_and_fold_with_10000_fences_us", fenced_us);
    figures.at_most("trust_record_at_a_replica_us", sign_us + bare_us, 60.0);
    let caught_up_s = (sign_us + bare_us) * 100_000.0 / 1e6;
    figures.at_most("trust_100000_records_s", caught_up_s, 8.0);
    let ratio = (sign_us + fenced_us) / (sign_us + bare_us);
    figures.at_most("trust_record_with_10000_fences_ratio", ratio, 1.05);
    Ok(())
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
        lease_ms_max: 60_000,
        sabotage: Sabotage::default(),
    }
}

pub(super) fn name(number: u8) -> AgentId {
    let key = SigningKey::from_bytes(&[number; 32]);
    AgentId(key.verifying_key().to_bytes())
}

/// A root (1), two that hand on (2, 3), and whoever acts (4), in one orchestra for an hour.
pub(super) fn token(links: u8, orchestra: &str, now_ms: u64) -> Token {
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
            audience: name(number + 1),
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
        signed.push(link.sign(&SigningKey::from_bytes(&[number; 32])));
    }
    Token { links: signed }
}

/// What verdicts rest on: enrolments, the token, fences of links that nobody uses.
fn ground(token: &Token, fences: u64) -> Vec<Fact> {
    let tier = Some(Tier::Named("bench".into()));
    let enrol = |number: u8, tier: Option<Tier>| {
        let enrol = Enrol {
            name: format!("a{number}"),
            role: String::new(),
            kind: AgentKind::Ai,
            tier,
        };
        (name(number), Action::Enrol(enrol))
    };
    let mut said = vec![
        enrol(1, None),
        enrol(4, tier),
        (name(4), Action::Present(Blob(token.encode()))),
    ];
    said.extend((0..fences).map(|n| {
        let fence = Fence {
            target: FenceTarget::Link(Digest::of("unisono/bench/v1", &[&n.to_le_bytes()])),
            reason: String::new(),
            keep: Vec::new(),
        };
        (name(1), Action::Fence(fence))
    }));
    let said = said.into_iter().enumerate();
    said.map(|(n, (agent, action))| fact(agent, None, n as u64, action))
        .collect()
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
