//! Own work becomes a signed bundle.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use ed25519_dalek::Signer;
use unisono_model::wire::Signature;
use unisono_model::{
    AgentId, BUNDLE_VERSION, BundleBody, BundleHeader, ChainId, Digest, DocumentKind, OrchestraId,
    RecordPlace, SignedBundle, SignedRecord,
};

use super::Node;
use super::batch::{Batch, Made, Placement, Source, Staged, kind_of};
use super::space::Space;
use crate::carriage::Carried;
use crate::context::{Context, Verifier};
use crate::replication::{ChainTip, LogState};

/// Signatures that this node has just made or checked.
pub(super) struct Trusted;

impl Verifier for Trusted {
    fn verify(&mut self, _: &[u8; 32], _: &Digest, _: &Signature) -> bool {
        true
    }
}

/// Bytes of living changes in one bundle at the most; the rest waits for the next.
const LIVING_BYTES_MAX: usize = unisono_model::limits::BUNDLE_BYTES_MAX / 4;

impl Node {
    /// Stamps, signs and stages what this node writes into one of its logs.
    pub(super) fn bundle(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut Batch,
        orchestra: OrchestraId,
        work: Vec<Made>,
    ) {
        let me = self.me;
        if !self.spaces.contains_key(&orchestra) {
            return;
        }
        let mut body = self.carry(context, orchestra, &work);
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        space.head_due_ms = None;
        let mut state = space.logs.entry(me).clone();
        if state.seq == 0 {
            body.closes = space.open_ends(&me);
        }
        let kinds: BTreeSet<DocumentKind> = work.iter().map(|made| kind_of(&made.body)).collect();
        for kind in kinds {
            let name = space.documents.current(kind);
            body.appends.extend(space.documents.append(name, &me));
        }
        take_living(space, &mut body);
        let carried = self.sign_bundle(context, orchestra, &state, body);
        let (header, digest) = (*carried.header(), carried.digest());
        let placed = state.advance(&header, digest, carried.body(), &mut Trusted);
        self.counters.bundles_written += 1;
        if work.is_empty() {
            self.counters.heads_written += 1;
        }
        for (made, placed) in work.into_iter().zip(&placed) {
            let placed = placed.clone();
            batch.made.push(Placement {
                made,
                placed,
                bundle: header.seq,
            });
        }
        let changes = state.changes_of(carried.body());
        batch.states.insert((orchestra, me), state);
        batch.bundles.push(Staged {
            orchestra,
            carried,
            placed,
            own: true,
            changes,
        });
    }

    /// Gives each piece of work its stamp, its place in its chain, and where the agent has not
    /// signed itself, the signature of the key that this node holds.
    fn carry(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        work: &[Made],
    ) -> BundleBody {
        let mut body = BundleBody::default();
        let mut tips: BTreeMap<AgentId, ChainTip> = BTreeMap::new();
        for made in work {
            let stamp = self.clock.stamp(self.time_ns(context));
            let record = self.signed_record(orchestra, made, &tips);
            let place = record.place(self.config.cluster, orchestra);
            let digest = place.digest(&record.body.0);
            if !matches!(made.source, Source::Signed(_)) {
                let verifier = &mut *context.verifier;
                verifier.signed(&record.agent.0, &digest, &record.signature);
            }
            let tip = ChainTip {
                seq: record.seq,
                record: digest,
                broken: false,
            };
            tips.insert(record.agent, tip);
            let known = body.agents.iter().position(|agent| *agent == record.agent);
            let agent = known.unwrap_or_else(|| {
                body.agents.push(record.agent);
                body.agents.len() - 1
            });
            body.records.push(unisono_model::Carried {
                agent: agent as u32,
                seq: record.seq,
                prev: record.prev,
                stamp,
                body: record.body,
                signature: record.signature,
            });
        }
        body
    }

    fn signed_record(
        &self,
        orchestra: OrchestraId,
        made: &Made,
        tips: &BTreeMap<AgentId, ChainTip>,
    ) -> SignedRecord {
        let key = match &made.source {
            Source::Signed(record) => return record.clone(),
            Source::Held(key) => key,
            Source::Own => &self.key,
        };
        let agent = AgentId(key.verifying_key().to_bytes());
        let tip = tips.get(&agent).copied();
        let tip = tip.unwrap_or_else(|| self.chain_tip(orchestra, agent));
        let place = RecordPlace {
            cluster: self.config.cluster,
            orchestra,
            chain: ChainId {
                agent,
                log: self.me,
            },
            seq: tip.seq + 1,
            prev: tip.record,
        };
        let mut body = made.body.clone();
        if tip.seq == 0 {
            let space = self.spaces.get(&orchestra);
            body.predecessors = space.map_or_else(Vec::new, |s| s.chain_heads(agent, &self.me));
        }
        SignedRecord::sign(key, &place, &body)
    }

    fn sign_bundle(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        state: &LogState,
        body: BundleBody,
    ) -> Carried {
        let stamp = match body.records.last() {
            Some(record) => record.stamp,
            None => self.clock.stamp(self.time_ns(context)),
        };
        let (sealed, digest) = body.seal();
        let header = BundleHeader {
            version: BUNDLE_VERSION,
            cluster: self.config.cluster,
            orchestra,
            log: self.me,
            seq: state.seq + 1,
            prev: state.head,
            stamp,
            body: digest,
        };
        let named = header.digest();
        let signature = Signature::from_bytes(self.key.sign(&named.0).to_bytes());
        let verifier = &mut *context.verifier;
        verifier.signed(&self.me.node.0, &named, &signature);
        Carried::own(
            SignedBundle {
                header,
                signature,
                body: sealed,
            },
            body,
        )
    }
}

/// Moves as many changes of notes and configuration into the bundle as fit.
fn take_living(space: &mut Space, body: &mut BundleBody) {
    let mut bytes = 0;
    let fit = space
        .living
        .queue
        .iter()
        .take(unisono_model::limits::BUNDLE_RECORDS_MAX);
    let count = fit
        .take_while(|(_, change)| {
            bytes += change.0.len();
            bytes <= LIVING_BYTES_MAX || bytes == change.0.len()
        })
        .count();
    for (asker, change) in space.living.queue.drain(..count) {
        space.living.in_flight.push(asker);
        // Who found there already what the change before it makes.
        if !change.0.is_empty() {
            body.living.push(change);
        }
    }
}
