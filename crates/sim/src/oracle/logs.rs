//! From bundles on disks to facts: which records are held, and which of them are valid.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::context::Verifier;
use unisono_core::journal::Entry;
use unisono_core::orchestra::claims::Claims;
use unisono_model::capability::Token;
use unisono_model::wire::{Signature, decode};
use unisono_model::{
    Action, AgentId, BundleBody, BundleHeader, Digest, FenceTarget, ForkProof, LogId, OrchestraId,
    Place, RecordBody, RootWord, SignedBundle, Stamp,
};

use super::rights::{self, Ground};
use super::roots::Reigns;

/// A valid record.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Where it stands.
    pub place: Place,
    /// Who signed it.
    pub agent: AgentId,
    /// The log that carries it.
    pub log: LogId,
    /// The bundle that carries it.
    pub bundle: u64,
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
    /// Logs of which two disks hold different bundles at one place.
    pub split: BTreeSet<LogId>,
    /// Topics that records beyond a fork spoke of, and the lowest stamp of those: a fork is a fence,
    /// and what it set aside may have been counted on.
    pub fenced: BTreeMap<String, Stamp>,
    /// The records beyond a fork or the end of a removed node's log, each with its log.
    pub beyond: BTreeMap<Place, LogId>,
    /// The lowest stamp of a vote or a farewell beyond a fork: views may have rested on
    /// them.
    pub unseated: Option<Stamp>,
    /// Records that wait for an enrolment or a token: also those that have counted until a fence took the
    /// enrolment, the rotation or the token away on which they rest.
    pub waiting: BTreeSet<Place>,
    /// Records that their tokens did not allow.
    pub void: BTreeSet<Place>,
    /// Records that count, and may not have for a while: a fence that is void in the end had set them
    /// aside.
    pub restored: BTreeSet<Place>,
    /// The words that name roots, whether or not the records count that carry them.
    pub roots: Vec<RootWord>,
    /// The last bundle of each log.
    pub ends: BTreeMap<LogId, u64>,
}

impl Reading {
    fn set_aside(&mut self, topic: String, stamp: Stamp) {
        let known = self.fenced.entry(topic).or_insert(stamp);
        *known = stamp.min(*known);
    }
}

/// Reads the union of what some disks hold.
pub fn read(
    disks: &[Vec<Entry>],
    proofs: &[Vec<u8>],
    ground: &Ground,
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
    let mut reading = Reading {
        forks: proven(ground.orchestra, proofs, verifier),
        ..Reading::default()
    };
    let mut found = Vec::new();
    for (log, places) in &bundles {
        if let Some(ends) = ground.expelled.get(&log.node) {
            // What is behind the end of a log counts no more than what is behind a fork.
            let end = ends.get(&(ground.orchestra, log.incarnation));
            let cut = end.copied().unwrap_or(0) + 1;
            let known = reading.forks.entry(*log).or_insert(cut);
            *known = cut.min(*known);
        }
        if places.values().any(|variants| variants.len() > 1) {
            reading.split.insert(*log);
        }
        read_log(*log, places, verifier, &mut reading, &mut found);
    }
    judge(found, ground, &mut reading);
    reading
}

/// Where logs of an orchestra end because two signed headers for one place of them are known. The proofs may
/// be of other orchestras, too: a life has a log in each, of one name.
pub fn proven(
    orchestra: OrchestraId,
    proofs: &[Vec<u8>],
    verifier: &mut dyn Verifier,
) -> BTreeMap<LogId, u64> {
    let mut cuts: BTreeMap<LogId, u64> = BTreeMap::new();
    for bytes in proofs {
        let Ok(proof) = decode::<ForkProof>(bytes, 64 << 10) else {
            continue;
        };
        let (one, other) = (&proof.one, &proof.other);
        let same = (one.0.orchestra, one.0.log, one.0.seq)
            == (other.0.orchestra, other.0.log, other.0.seq);
        let mut signed = |(header, signature): &(BundleHeader, Signature)| {
            verifier.verify(&header.log.node.0, &header.digest(), signature)
        };
        let here = one.0.orchestra == orchestra;
        if here && same && one.0.digest() != other.0.digest() && signed(one) && signed(other) {
            let cut = cuts.entry(one.0.log).or_insert(one.0.seq);
            *cut = (*cut).min(one.0.seq);
        }
    }
    cuts
}

/// An agent's chain on one log, as far as it has been read.
#[derive(Default)]
struct Chain {
    seq: u64,
    last: Digest,
    broken: bool,
}

fn read_log(
    log: LogId,
    places: &BTreeMap<u64, BTreeMap<Digest, &Entry>>,
    verifier: &mut dyn Verifier,
    reading: &mut Reading,
    found: &mut Vec<Fact>,
) {
    let mut last = (0, Digest::default());
    let mut chains: BTreeMap<AgentId, Chain> = BTreeMap::new();
    for (seq, variants) in places {
        if variants.len() > 1 {
            let cut = reading.forks.entry(log).or_insert(*seq);
            *cut = (*cut).min(*seq);
        }
        if reading.forks.get(&log).is_some_and(|cut| seq >= cut) {
            let set_aside = places
                .range(seq..)
                .flat_map(|(_, variants)| variants.values());
            for (action, place) in set_aside.flat_map(|entry| actions(entry)) {
                let stamp = place.stamp;
                reading.beyond.insert(place, log);
                if let Some(topic) = Claims::topic_of(&action) {
                    reading.set_aside(topic.to_owned(), stamp);
                } else if matches!(action, Action::VoteView(_) | Action::Leave(_)) {
                    let lowest = reading.unseated.get_or_insert(stamp);
                    *lowest = stamp.min(*lowest);
                }
            }
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
                take(&bundle.header, &body, verifier, &mut chains, found);
                last = (*seq, bundle.header.digest());
            }
            _ => {}
        }
    }
    reading.ends.insert(log, last.0);
}

/// What a bundle's records do, and where they stand.
fn actions(entry: &Entry) -> Vec<(Action, Place)> {
    let Ok((bundle, body)) = SignedBundle::decode(&entry.bytes) else {
        return Vec::new();
    };
    let actions = body.records.iter().filter_map(|carried| {
        let agent = *body.agents.get(carried.agent as usize)?;
        let place = Place {
            stamp: carried.stamp,
            record: carried.place(&bundle.header, agent).digest(&carried.body.0),
        };
        let body = RecordBody::decode(&carried.body.0).ok()?;
        Some((body.action, place))
    });
    actions.collect()
}

/// The records of a bundle that continue their chains with a good signature.
fn take(
    header: &BundleHeader,
    body: &BundleBody,
    verifier: &mut dyn Verifier,
    chains: &mut BTreeMap<AgentId, Chain>,
    found: &mut Vec<Fact>,
) {
    for carried in &body.records {
        let Some(agent) = body.agents.get(carried.agent as usize).copied() else {
            continue;
        };
        let record = carried.place(header, agent).digest(&carried.body.0);
        let chain = chains.entry(agent).or_default();
        if carried.seq != chain.seq + 1 || carried.prev != chain.last {
            // Whatever leaves a hole behind it ends its chain; what comes again is nothing.
            chain.broken |= carried.seq > chain.seq;
            continue;
        }
        chain.seq = carried.seq;
        chain.last = record;
        let decoded = RecordBody::decode(&carried.body.0);
        match decoded {
            Ok(body) if !chain.broken && verifier.verify(&agent.0, &record, &carried.signature) => {
                let place = Place {
                    stamp: carried.stamp,
                    record,
                };
                found.push(Fact {
                    place,
                    agent,
                    log: header.log,
                    bundle: header.seq,
                    seq: carried.seq,
                    body,
                });
            }
            _ => chain.broken = true,
        }
    }
}

/// A record counts once its agent is enrolled, and if its token allows it.
fn judge(found: Vec<Fact>, ground: &Ground, reading: &mut Reading) {
    reading.held = found.iter().map(|fact| fact.place.record).collect();
    let Ground {
        cluster,
        root,
        recovery,
        ..
    } = ground;
    let reigns = Reigns::of(&found, *cluster, *root, *recovery);
    reading.roots = reigns.words().to_vec();
    let (not, first) = rights::verdicts(&found, ground);
    let (mut valid, others): (Vec<Fact>, Vec<Fact>) = found
        .into_iter()
        .partition(|fact| !not.contains_key(&fact.place));
    for fact in &others {
        if not.get(&fact.place) == Some(&true) {
            reading.waiting.insert(fact.place);
        } else {
            reading.void.insert(fact.place);
        }
        // It may have counted until a fork or a fence set aside what it rests on.
        if let Some(topic) = Claims::topic_of(&fact.body.action) {
            reading.set_aside(topic.to_owned(), fact.place.stamp);
        }
    }
    for fact in restored(&valid, &others) {
        reading.restored.insert(fact.place);
        if let Some(topic) = Claims::topic_of(&fact.body.action) {
            reading.set_aside(topic.to_owned(), fact.place.stamp);
        }
    }
    // One agent, whichever of its keys has signed.
    for fact in &mut valid {
        fact.agent = first.get(&fact.agent).copied().unwrap_or(fact.agent);
    }
    reading.facts = valid;
    reading.facts.sort_by_key(|fact| fact.place);
}

/// Records that count, and may not have for a while: a fence that is void in the end had set them aside,
/// until whoever gave it was fenced below it. Others may have been told meanwhile that a topic is theirs
/// (seed 1776), or that nothing of that name is there (seed 726).
fn restored<'a>(valid: &'a [Fact], others: &[Fact]) -> Vec<&'a Fact> {
    let fences = others.iter().filter_map(|fact| match &fact.body.action {
        Action::Fence(fence) => Some(&fence.target),
        _ => None,
    });
    let presented = || {
        valid.iter().filter_map(|fact| match &fact.body.action {
            Action::Present(bytes) => Some(Token::decode(&bytes.0).ok()?.0),
            _ => None,
        })
    };
    let mut all = Vec::new();
    for target in fences {
        let through: BTreeSet<Digest> = presented()
            .filter(|token| match target {
                FenceTarget::Link(link) => token.links.iter().any(|signed| signed.id() == *link),
                FenceTarget::Epoch(_) => true,
                FenceTarget::Key(_) => false,
            })
            .map(|token| token.id())
            .collect();
        let concerned = valid.iter().filter(|fact| match target {
            FenceTarget::Key(key) => fact.agent == *key,
            FenceTarget::Link(_) | FenceTarget::Epoch(_) => fact
                .body
                .token
                .is_some_and(|token| through.contains(&token)),
        });
        all.extend(concerned);
    }
    all
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use unisono_core::context::StrictVerifier;
    use unisono_model::wire::encode;
    use unisono_model::{BUNDLE_VERSION, ClusterId, Incarnation, NodeId};

    use super::*;

    /// The proofs of a directory are those of all its orchestras: a fork in one of them cut that life's
    /// logs in all, and `recover` gave back less than there is.
    #[test]
    fn a_fork_in_one_orchestra_cuts_no_log_in_another() {
        let key = SigningKey::from_bytes(&[8; 32]);
        let log = LogId {
            node: NodeId(key.verifying_key().to_bytes()),
            incarnation: Incarnation::default(),
        };
        let (there, here) = (OrchestraId([1; 16]), OrchestraId([2; 16]));
        let side = |stamp: u64| {
            let header = BundleHeader {
                version: BUNDLE_VERSION,
                cluster: ClusterId::default(),
                orchestra: there,
                log,
                seq: 3,
                prev: Digest::default(),
                stamp: Stamp(stamp),
                body: Digest::default(),
            };
            let signature = key.sign(&header.digest().0).to_bytes();
            (header, Signature::from_bytes(signature))
        };
        let (one, other) = (side(10), side(11));
        let proofs = [encode(&ForkProof { one, other })];
        let cuts = |orchestra| proven(orchestra, &proofs, &mut StrictVerifier);
        assert_eq!(cuts(there), BTreeMap::from([(log, 3)]));
        assert_eq!(cuts(here), BTreeMap::new());
    }
}
