//! An iteration given back without a node: from a file of `audit export`, which its node has closed
//! and signed, or from a data directory. All of it is verified before anything is told, and what
//! counts is what the judges read there, who share no fold with a node.

use std::collections::BTreeMap;
use std::path::Path;

use unisono_api::client::chronicle::Chronicle;
use unisono_core::context::StrictVerifier;
use unisono_core::orchestra::course::PhaseMap;
use unisono_core::orchestra::view::{RecordView, Verdict};
use unisono_model::{Action, AgentId, OrchestraId, Stamp};
use unisono_sim::oracle::{self, Fact, Ground, Reading};

use super::verify::{self, Kept};
use crate::failure::{Exit, Failure};

/// All that a file or a directory says of an orchestra up to a moment.
pub(super) struct Recovered {
    /// What its iterations are told from.
    pub(super) chronicle: Chronicle,
    /// How many records of each iteration count, each signed by its agent.
    pub(super) signed: BTreeMap<u32, usize>,
}

/// Reads it, and keeps all of one iteration. `root` issued first tokens at the founding, and `recovery` names
/// other roots, where a file does not say who that is.
pub(super) fn from(
    path: &Path,
    name: &str,
    (root, recovery): (Option<AgentId>, Option<AgentId>),
    (at, iteration): (Option<Stamp>, u32),
) -> Result<Recovered, Failure> {
    let kept = verify::whole(path)?;
    let orchestra = OrchestraId::of(kept.cluster, name);
    let root = root.or(kept.root);
    let recovery = recovery.or(kept.recovery);
    let home = read(
        &kept,
        OrchestraId::of(kept.cluster, "cluster"),
        (root, recovery),
        oracle::Expelled::new(),
    );
    let expelled = root.map(|_| oracle::expelled(&home.facts));
    let reading = read(
        &kept,
        orchestra,
        (root, recovery),
        expelled.unwrap_or_default(),
    );
    if reading.ends.is_empty() {
        let words = format!("{}: nothing is there of orchestra {name}", path.display());
        return Err(Failure::new(Exit::NotFound, "orchestra_unknown", words)
            .hint("--orchestra NAME, as it was called"));
    }
    let guarded = |fact: &Fact| fact.body.token.is_some();
    let awaits = !reading.waiting.is_empty() || reading.facts.iter().any(guarded);
    if root.is_none() && awaits {
        let words = format!(
            "{}: its rights rest on a root that it does not name",
            path.display()
        );
        return Err(
            Failure::new(Exit::Verification, "root_unknown", words).hint(
                "--root KEY, the cluster's root of rights; or a data directory, which knows it",
            ),
        );
    }
    Ok(told(&reading, at, iteration))
}

fn read(
    kept: &Kept,
    orchestra: OrchestraId,
    (root, recovery): (Option<AgentId>, Option<AgentId>),
    expelled: oracle::Expelled,
) -> Reading {
    let entries = kept.entries.get(&orchestra).cloned().unwrap_or_default();
    let ground = Ground {
        cluster: kept.cluster,
        orchestra,
        // A cluster without a root has no tokens: no key signs for this one.
        root: root.unwrap_or(AgentId([0; 32])),
        recovery,
        expelled,
    };
    oracle::read(&[entries], &kept.proofs, &ground, &mut StrictVerifier)
}

fn told(reading: &Reading, at: Option<Stamp>, iteration: u32) -> Recovered {
    let facts = oracle::counted(reading, at.unwrap_or(Stamp::MAX));
    let phases = PhaseMap::of(|wanted| {
        facts.iter().rev().find_map(|fact| match &fact.body.action {
            Action::Settings(changes) => {
                let said = changes.iter().find(|(setting, _)| *setting == wanted);
                said.map(|(_, value)| *value)
            }
            _ => None,
        })
    });
    let mut names: BTreeMap<AgentId, String> = BTreeMap::new();
    for fact in &facts {
        if let Action::Enrol(enrol) = &fact.body.action {
            names
                .entry(fact.agent)
                .or_insert_with(|| enrol.name.clone());
        }
    }
    let mut recovered = Recovered {
        chronicle: Chronicle::as_of(phases, at).keeping(iteration),
        signed: BTreeMap::new(),
    };
    for fact in facts {
        *recovered.signed.entry(fact.body.iteration).or_default() += 1;
        let name = names.get(&fact.agent).cloned().unwrap_or_default();
        let record = RecordView::of(as_folded(fact), name, Verdict::Valid);
        recovered.chronicle.insert(record.into());
    }
    recovered
}

fn as_folded(fact: &Fact) -> unisono_core::orchestra::fact::Fact {
    unisono_core::orchestra::fact::Fact {
        place: fact.place,
        agent: fact.agent,
        log: fact.log,
        bundle: fact.bundle,
        seq: fact.seq,
        body: fact.body.clone(),
    }
}
