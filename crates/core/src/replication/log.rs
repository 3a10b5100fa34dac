//! One log as a replica follows it: where it stands, and what its records' chains come to.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    AgentId, BundleBody, BundleHeader, ChainHead, ChainId, Digest, DocumentName, LogEnd, LogId,
    Place, RecordBody, Stamp, wire::Signature,
};

use super::cursor::LogTag;
use super::layered::Layered;
use crate::context::Verifier;

/// How far a log is held, without gaps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogState {
    /// The last bundle; 0 is none.
    pub seq: u64,
    /// Its digest.
    pub head: Digest,
    /// Its stamp: nothing of this log can come at or below it any more.
    pub stamp: Stamp,
    /// The lowest stamp in its first bundle, and so in all of it.
    pub first: Stamp,
    /// Where the agents' chains on this log stand.
    pub chains: Layered<AgentId, ChainTip>,
    /// How many changes the log has made to each document.
    pub changes: Layered<DocumentName, u64>,
    /// Earlier logs of the same node, to be held before this one's head counts.
    pub closes: Vec<LogEnd>,
    /// From this bundle on nothing counts: the log forked.
    pub cut: Option<u64>,
    /// Records in its bundles.
    pub records: u64,
    /// How cursors name it.
    pub tag: LogTag,
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainTip {
    /// The last record's number.
    pub seq: u64,
    /// Its digest.
    pub record: Digest,
    /// A record of it did not verify or was missing: nothing after it counts.
    pub broken: bool,
}

/// Why a bundle does not continue its log. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotNext {
    /// It is held already.
    Held,
    /// Something before it is missing.
    Gap,
    /// Another bundle stands at its place, or before it: the log forked.
    Fork,
    /// It breaks the rise of stamps, so it carries nothing.
    Stamps,
    /// The log ended before it.
    Ended,
}

/// A record as its log places it.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its place in the order of everything.
    pub place: Place,
    /// Its agent.
    pub agent: AgentId,
    /// Its number in its chain.
    pub seq: u64,
    /// What it says; none where the bytes are no record.
    pub body: Option<RecordBody>,
    /// Whether signature and chain are good.
    pub good: bool,
}

impl LogState {
    /// Whether a bundle is the next. `lowest` is the lowest stamp in it: the log's head so far was
    /// the promise that nothing would come at or below it, records no more than heads.
    pub fn is_next(
        &self,
        header: &BundleHeader,
        digest: &Digest,
        lowest: Stamp,
    ) -> Result<(), NotNext> {
        if self.cut.is_some_and(|cut| header.seq >= cut) {
            return Err(NotNext::Ended);
        }
        if header.seq == self.seq && *digest != self.head {
            return Err(NotNext::Fork);
        }
        if header.seq <= self.seq {
            return Err(NotNext::Held);
        }
        if header.seq > self.seq + 1 {
            return Err(NotNext::Gap);
        }
        if header.prev != self.head {
            return Err(NotNext::Fork);
        }
        if lowest <= self.stamp || header.stamp <= self.stamp {
            return Err(NotNext::Stamps);
        }
        Ok(())
    }

    /// Takes the next bundle's header, and gives its records their places.
    pub fn advance(
        &mut self,
        header: &BundleHeader,
        digest: Digest,
        body: &BundleBody,
        verifier: &mut dyn Verifier,
    ) -> Vec<Placed> {
        let mut placed = Vec::with_capacity(body.records.len());
        for record in &body.records {
            let agent = body.agents[record.agent as usize];
            let chain = ChainId {
                agent,
                log: header.log,
            };
            placed.push(self.chain(header, chain, record, verifier));
        }
        if header.seq == 1 {
            self.closes.clone_from(&body.closes);
            let lowest = body.records.first().map(|record| record.stamp);
            self.first = lowest.unwrap_or(header.stamp);
        }
        for append in &body.appends {
            *self.changes.entry(append.document) += 1;
        }
        self.seq = header.seq;
        self.head = digest;
        self.stamp = header.stamp;
        self.records += body.records.len() as u64;
        placed
    }

    fn chain(
        &mut self,
        header: &BundleHeader,
        chain: ChainId,
        record: &unisono_model::Carried,
        verifier: &mut dyn Verifier,
    ) -> Placed {
        let tip = self.chains.entry(chain.agent);
        let digest = record.place(header, chain.agent).digest(&record.body.0);
        let body = RecordBody::decode(&record.body.0).ok();
        // What does not continue its chain is inert, whoever signed it: the first record at a place
        // of a chain stands, since all replicas have the log in one order.
        let next = record.seq == tip.seq + 1 && record.prev == tip.record;
        let signed = next
            && body.is_some()
            && !tip.broken
            && verifier.verify(&chain.agent.0, &digest, &record.signature);
        if next {
            *tip = ChainTip {
                seq: record.seq,
                record: digest,
                broken: tip.broken || !signed,
            };
        } else if record.seq > tip.seq {
            tip.broken = true;
        }
        Placed {
            place: Place {
                stamp: record.stamp,
                record: digest,
            },
            agent: chain.agent,
            seq: record.seq,
            body,
            good: signed,
        }
    }

    /// The numbers of a bundle's changes to its documents, right after [`LogState::advance`].
    pub fn changes_of(&self, body: &BundleBody) -> BTreeMap<DocumentName, u64> {
        let names = body.appends.iter().map(|append| append.document);
        names
            .filter_map(|name| Some((name, *self.changes.get(&name)?)))
            .collect()
    }

    /// The head of an agent's chain on this log.
    pub fn chain_head(&self, log: LogId, agent: AgentId) -> Option<ChainHead> {
        let tip = self.chains.get(&agent)?;
        Some(ChainHead {
            chain: ChainId { agent, log },
            seq: tip.seq,
            record: tip.record,
        })
    }
}

/// A signed header, as fork proofs use it.
pub type SignedHeader = (BundleHeader, Signature);
