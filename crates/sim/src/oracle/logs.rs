//! From bundles on disks to facts: which records are held, and which of them are valid.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::context::Verifier;
use unisono_core::journal::Entry;
use unisono_model::{
    Action, AgentId, BundleBody, ChainId, ClusterId, Digest, LogId, OrchestraId, Place, RecordBody,
    RecordPlace, SignedBundle,
};

/// A valid record.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Where it stands.
    pub place: Place,
    /// Who signed it.
    pub agent: AgentId,
    /// The log that carries it.
    pub log: LogId,
    /// Its number in its chain.
    pub seq: u64,
    /// What it says.
    pub body: RecordBody,
}

/// What the disks hold of an orchestra.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Valid records.
    pub facts: Vec<Fact>,
    /// Names of all records in unforked stretches of logs, valid or not.
    pub held: BTreeSet<Digest>,
    /// Logs that forked, and at which bundle.
    pub forks: BTreeMap<LogId, u64>,
    /// Bundles that are held beyond a gap or do not continue their log.
    pub loose: Vec<(LogId, u64)>,
    /// Records that wait for an enrolment or an earlier chain.
    pub pending: usize,
    /// The last bundle of each log.
    pub ends: BTreeMap<LogId, u64>,
}

/// Reads the union of what some disks hold.
pub fn read(
    cluster: ClusterId,
    orchestra: OrchestraId,
    disks: &[Vec<Entry>],
    verifier: &mut dyn Verifier,
) -> Reading {
    let mut bundles: BTreeMap<LogId, BTreeMap<u64, BTreeMap<Digest, &Entry>>> = BTreeMap::new();
    for entry in disks.iter().flatten() {
        let places = bundles
            .entry(entry.key.log)
            .or_default()
            .entry(entry.key.seq)
            .or_default();
        places.insert(Digest(*blake3::hash(&entry.bytes).as_bytes()), entry);
    }
    let mut reading = Reading::default();
    let mut chains = Vec::new();
    for (log, places) in &bundles {
        read_log(
            cluster,
            orchestra,
            *log,
            places,
            verifier,
            &mut reading,
            &mut chains,
        );
    }
    judge(chains, &mut reading);
    reading
}

/// One chain: who its first record names, and its records.
type Chain = (Vec<Digest>, Vec<Fact>);

fn read_log(
    cluster: ClusterId,
    orchestra: OrchestraId,
    log: LogId,
    places: &BTreeMap<u64, BTreeMap<Digest, &Entry>>,
    verifier: &mut dyn Verifier,
    reading: &mut Reading,
    chains: &mut Vec<Chain>,
) {
    let mut last = (0, Digest::default());
    let mut found: BTreeMap<AgentId, Vec<Fact>> = BTreeMap::new();
    for (seq, variants) in places {
        if variants.len() > 1 {
            reading.forks.insert(log, *seq);
            break;
        }
        let opened = variants
            .values()
            .next()
            .map(|entry| SignedBundle::decode(&entry.bytes));
        let continues = |bundle: &SignedBundle| {
            bundle.header.seq == *seq && *seq == last.0 + 1 && bundle.header.prev == last.1
        };
        match opened {
            Some(Ok((bundle, body))) if continues(&bundle) => {
                take(cluster, orchestra, log, &body, verifier, &mut found);
                last = (*seq, bundle.header.digest());
            }
            _ => reading.loose.push((log, *seq)),
        }
    }
    reading.ends.insert(log, last.0);
    for facts in found.into_values() {
        reading
            .held
            .extend(facts.iter().map(|fact| fact.place.record));
        let earlier = facts
            .first()
            .map(|fact| fact.body.predecessors.clone())
            .unwrap_or_default();
        chains.push((earlier.iter().map(|head| head.record).collect(), facts));
    }
}

fn take(
    cluster: ClusterId,
    orchestra: OrchestraId,
    log: LogId,
    body: &BundleBody,
    verifier: &mut dyn Verifier,
    found: &mut BTreeMap<AgentId, Vec<Fact>>,
) {
    for carried in &body.records {
        let Some(agent) = body.agents.get(carried.agent as usize).copied() else {
            continue;
        };
        let chain = found.entry(agent).or_default();
        let prev = chain
            .last()
            .map(|fact| fact.place.record)
            .unwrap_or_default();
        let chain_id = ChainId { agent, log };
        let seq = carried.seq;
        let place = RecordPlace {
            cluster,
            orchestra,
            chain: chain_id,
            seq,
            prev,
        };
        let record = place.digest(&carried.body.0);
        let next = seq == chain.len() as u64 + 1;
        let Ok(body) = RecordBody::decode(&carried.body.0) else {
            continue;
        };
        if next && verifier.verify(&agent.0, &record, &carried.signature) {
            let place = Place {
                stamp: carried.stamp,
                record,
            };
            chain.push(Fact {
                place,
                agent,
                log,
                seq,
                body,
            });
        }
    }
}

/// A chain counts once everything that it refers to is held and its agent is enrolled.
fn judge(chains: Vec<Chain>, reading: &mut Reading) {
    let (ready, waiting): (Vec<Chain>, Vec<Chain>) = chains
        .into_iter()
        .partition(|(earlier, _)| earlier.iter().all(|d| reading.held.contains(d)));
    reading.pending += waiting.iter().map(|(_, facts)| facts.len()).sum::<usize>();
    let is_enrol = |fact: &Fact| matches!(fact.body.action, Action::Enrol(_));
    let enrolled: BTreeSet<AgentId> = ready
        .iter()
        .flat_map(|(_, facts)| facts)
        .filter(|fact| is_enrol(fact))
        .map(|fact| fact.agent)
        .collect();
    for fact in ready.into_iter().flat_map(|(_, facts)| facts) {
        // Nodes speak for themselves, in the cluster's own orchestra.
        let node = fact.agent.0 == fact.log.node.0;
        if node || enrolled.contains(&fact.agent) {
            reading.facts.push(fact);
        } else {
            reading.pending += 1;
        }
    }
    reading.facts.sort_by_key(|fact| fact.place);
}
