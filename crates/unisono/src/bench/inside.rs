//! What an action costs inside the core, by part: nodes in one process, without network or disk.

use unisono_core::context::Verifier;
use unisono_core::node::{Input, Promise, Work};
use unisono_model::{Action, AgentKind, Digest, Enrol, Mark, wire::Signature};

use super::figures::Figures;
use super::parts;
use super::ring::{Agent, Ring, Spent, cpu_ns};
use crate::failure::Failure;

/// Batches that are measured; each holds as many records as a batch can.
const BATCHES: usize = 100;
/// Records of one batch.
const BATCH: usize = 64;
/// Changes whose messages are counted, one at a time.
const CHANGES: u64 = 100;

/// A verifier that keeps its own time.
#[derive(Debug, Default)]
pub(crate) struct Timed {
    /// How long it took (ns).
    pub(crate) ns: u64,
    /// How many signatures it checked.
    pub(crate) checked: u64,
}

impl Verifier for Timed {
    fn verify(&mut self, key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        let begun = cpu_ns();
        let verdict = unisono_core::context::StrictVerifier.verify(key, message, signature);
        self.ns += cpu_ns() - begun;
        self.checked += 1;
        verdict
    }
}

/// Measures in this thread.
pub(crate) fn run() -> Result<Figures, Failure> {
    let mut figures = Figures::default();
    let parts = parts::measure(&mut figures)?;
    for signed in [false, true] {
        batches(signed, &parts, &mut figures)?;
    }
    for nodes in [3, 5, 9] {
        messages(nodes, &mut figures)?;
    }
    Ok(figures)
}

fn enrolment(name: &str) -> Action {
    Action::Enrol(Enrol {
        name: name.to_owned(),
        role: "writer".to_owned(),
        kind: AgentKind::Ai,
        tier: None,
    })
}

fn mark(n: usize) -> Action {
    Action::Mark(Mark {
        about: "bench".to_owned(),
        text: format!("one more: {n}"),
        reasoning: "to see what it costs".to_owned(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

/// Batches of 64 actions of as many agents on one node, and what follows from them on another.
fn batches(signed: bool, parts: &parts::Parts, figures: &mut Figures) -> Result<(), Failure> {
    let mut ring = Ring::new(2)?;
    let mut agents = Vec::new();
    for n in 0..BATCH {
        let name = format!("writer-{n}");
        let mut agent = Agent::new(&name, ring.place(0));
        let work = if signed {
            Work::Record(agent.sign(&enrolment(&name)))
        } else {
            Work::Act {
                agent: name,
                action: enrolment(&agent.name),
                key: None,
            }
        };
        ring.submit(0, work, Promise::default());
        agents.push(agent);
    }
    ring.run_ms(2_000);
    // The first batches warm the document.
    for warm in [true, false] {
        let count = if warm { 10 } else { BATCHES };
        ring.forget();
        for batch in 0..count {
            for (n, agent) in agents.iter_mut().enumerate() {
                let action = mark(batch * BATCH + n);
                let work = if signed {
                    Work::Record(agent.sign(&action))
                } else {
                    Work::Act {
                        agent: agent.name.clone(),
                        action,
                        key: None,
                    }
                };
                ring.queue(0, work);
            }
            ring.feed(0, Input::Tick);
            ring.run_ms(20);
        }
        // Documents gather their changes for a second at the most.
        ring.run_ms(3_000);
    }
    tell(signed, parts, &ring, figures);
    ring.all_answered()
}

fn tell(signed: bool, parts: &parts::Parts, ring: &Ring, figures: &mut Figures) {
    let actions = (BATCHES * BATCH) as f64;
    let us = |ns: u64| ns as f64 / 1e3 / actions;
    let name = if signed { "signed" } else { "held" };
    let [origin, replica] = [&ring.spent[0], &ring.spent[1]];
    let all = |spent: &Spent| us(spent.edge_ns + spent.persisted_ns + spent.other_ns);
    figures.at_most(
        format!("core_{name}_origin_cpu_us_per_action"),
        all(origin),
        150.0,
    );
    figures.tell(
        format!("core_{name}_origin_edge_and_bundle_us"),
        us(origin.edge_ns),
    );
    figures.tell(
        format!("core_{name}_origin_fold_and_publish_us"),
        us(origin.persisted_ns),
    );
    figures.tell(
        format!("core_{name}_origin_documents_and_rest_us"),
        us(origin.other_ns),
    );
    let crypto = us(origin.verify_ns) + if signed { 0.0 } else { parts.sign_us };
    figures.tell(format!("core_{name}_origin_of_it_signatures_us"), crypto);
    figures.tell(
        format!("core_{name}_origin_of_it_automerge_us"),
        parts.append_us,
    );
    figures.at_most(
        format!("core_{name}_replica_cpu_us_per_record"),
        all(replica),
        100.0,
    );
    figures.tell(
        format!("core_{name}_replica_carriage_us"),
        us(replica.edge_ns),
    );
    figures.tell(
        format!("core_{name}_replica_fold_and_publish_us"),
        us(replica.persisted_ns),
    );
    figures.tell(
        format!("core_{name}_replica_documents_and_rest_us"),
        us(replica.other_ns),
    );
    figures.tell(
        format!("core_{name}_replica_of_it_signatures_us"),
        us(replica.verify_ns),
    );
    figures.tell(
        format!("core_{name}_replica_of_it_automerge_us"),
        parts.apply_us,
    );
    let bytes = ring.traffic.persisted_bytes[0] as f64 / actions;
    figures.tell(format!("core_{name}_log_bytes_per_record"), bytes);
}

/// What one change of one node sends through a region of so many.
fn messages(nodes: usize, figures: &mut Figures) -> Result<(), Failure> {
    let mut ring = Ring::new(nodes)?;
    let agent = "writer";
    let act = |action| Work::Act {
        agent: agent.to_owned(),
        action,
        key: None,
    };
    ring.submit(0, act(enrolment(agent)), Promise::default());
    ring.run_ms(15_000);
    // What a quiet cluster says anyway is not the change's.
    ring.forget();
    ring.run_ms(CHANGES * 100);
    let idle = ring.traffic.clone();
    ring.forget();
    for n in 0..CHANGES {
        ring.submit(0, act(mark(n as usize)), Promise::default());
        ring.run_ms(100);
    }
    let name = format!("core_{nodes}_nodes");
    let per = |amount: u64| amount as f64 / CHANGES as f64;
    let budget = 2.0 * (nodes as f64 - 1.0);
    figures.at_most(
        format!("{name}_messages_per_change"),
        per(ring.traffic.pushes),
        budget,
    );
    figures.tell(
        format!("{name}_bytes_per_change"),
        per(ring.traffic.push_bytes),
    );
    let seconds = CHANGES as f64 / 10.0;
    figures.tell(
        format!("{name}_idle_messages_per_second_and_node"),
        idle.others as f64 / seconds / nodes as f64,
    );
    figures.tell(
        format!("{name}_idle_bytes_per_second_and_node"),
        idle.other_bytes as f64 / seconds / nodes as f64,
    );
    ring.all_answered()
}
