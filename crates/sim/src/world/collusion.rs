//! An agent and the lying node, which has its key: what they write together after the agent's fence, at
//! higher places of a chain that the fence knows, at places that are taken, in a new life of the node,
//! and dated back below the fence. None of it may count anywhere.

use unisono_core::context::Verifier;
use unisono_core::replication::Frame;
use unisono_model::capability::{Link, Operations, Rights, Token};
use unisono_model::wire::{Blob, Signature};
use unisono_model::{
    Action, AgentId, ChainId, Digest, Fence, FenceTarget, Mark, RecordPlace, Signal, SignalKind,
    SignedRecord, Urgency,
};

use super::shadow::{Shadow, said};
use super::{SECOND, World};
use crate::agents::rights;
use crate::chance::Chance;
use crate::oracle::{Fact, Reading};

/// So far below the fence what comes later is dated (ns).
const BACK_NS: u64 = 5 * SECOND;

/// A record that the two have written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colluded {
    record: Digest,
    chain: ChainId,
    seq: u64,
}

/// Who does it, and under what.
struct Accomplice {
    key: ed25519_dalek::SigningKey,
    id: AgentId,
    token: (Digest, Vec<u8>),
}

impl Accomplice {
    /// Its token with one more link, by itself and for itself, with more rights than it has.
    fn widened(&self) -> Option<(Digest, Vec<u8>)> {
        let (token, links) = Token::decode(&self.token.1).ok()?;
        let mut token = token.unrenewed();
        let leaf = links.last()?.clone();
        let may = Rights {
            operations: leaf.may.operations.and(Operations::FENCE),
            ..leaf.may.clone()
        };
        let link = Link {
            issuer: self.id,
            parent: token.links.last()?.id(),
            may,
            ..leaf
        };
        token.links.push(link.sign(&self.key));
        Some((token.id(), token.encode()))
    }
}

impl World {
    fn accomplice(&self) -> Option<Accomplice> {
        let number = rights::accomplice(self.scenario.agents);
        let rights = self.agents.get(number)?.rights.as_ref()?;
        let key = rights::key(self.seed, number as u64);
        Some(Accomplice {
            id: AgentId(key.verifying_key().to_bytes()),
            key,
            token: rights.token.clone()?,
        })
    }

    /// The two write: the first time while the agent may, and from then on what its fence cuts off.
    pub(super) fn collude(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let (Some(plan), Some(accomplice)) = (self.plan.collusion, self.accomplice()) else {
            return;
        };
        let mut chance = Chance::new(self.seed, "collude", self.now);
        let now = Self::stamp_at(self.now);
        let mut bundles = Vec::new();
        if let Some(mut known) = self.deceit.before.take() {
            let mut records = self.further(&accomplice, &mut known);
            records.extend(self.again(&accomplice, &known));
            bundles.push(Blob(known.bundle(now, &records)));
            self.deceit.before = Some(known);
        }
        let mut shadow = Shadow::begin(self, liar, self.workplace, chance.below(u64::MAX));
        let token = accomplice.token.1.clone();
        let mut records = vec![self.laid_down(&accomplice, &mut shadow, token)];
        let before = self.now < plan.fenced_at;
        if !before {
            records.extend(self.strike_back(&accomplice, &mut shadow));
        }
        records.extend(self.further(&accomplice, &mut shadow));
        let from = if plan.dates_back && !before {
            Self::stamp_at(plan.fenced_at - BACK_NS)
        } else {
            now
        };
        bundles.push(Blob(shadow.bundle(from, &records)));
        if before {
            self.deceit.before = Some(shadow);
        }
        let relay = chance.percent(50);
        self.tell_some(liar, &mut chance, &Frame::Push { relay, bundles });
        self.counters.add("colluded");
    }

    fn laid_down(
        &mut self,
        accomplice: &Accomplice,
        shadow: &mut Shadow,
        token: Vec<u8>,
    ) -> SignedRecord {
        let present = Action::Present(Blob(token));
        let place = shadow.next_place(accomplice.id);
        let record = self.signed_for(accomplice, &place, present, None);
        shadow.take(&record);
        record
    }

    /// The agent gives itself the right to fence, which it was not granted, and ends the executive with it.
    fn strike_back(&mut self, accomplice: &Accomplice, shadow: &mut Shadow) -> Vec<SignedRecord> {
        let Some((widened, bytes)) = accomplice.widened() else {
            return Vec::new();
        };
        let laid_down = self.laid_down(accomplice, shadow, bytes);
        let executive = rights::key(self.seed, 0).verifying_key().to_bytes();
        let fence = Action::Fence(Fence {
            target: FenceTarget::Key(AgentId(executive)),
            reason: "in return".into(),
            keep: Vec::new(),
        });
        let place = shadow.next_place(accomplice.id);
        let record = self.signed_for(accomplice, &place, fence, Some(widened));
        let name = shadow.take(&record);
        self.note_colluded(&place, name);
        vec![laid_down, record]
    }

    /// What goes on where the agent's chain stands in a log.
    fn further(&mut self, accomplice: &Accomplice, shadow: &mut Shadow) -> Vec<SignedRecord> {
        let mut records = Vec::new();
        for action in deeds() {
            let place = shadow.next_place(accomplice.id);
            let token = Some(accomplice.token.0);
            let record = self.signed_for(accomplice, &place, action, token);
            let name = shadow.take(&record);
            self.note_colluded(&place, name);
            records.push(record);
        }
        records
    }

    /// Something else at a place of the chain that is taken.
    fn again(&mut self, accomplice: &Accomplice, shadow: &Shadow) -> Option<SignedRecord> {
        let next = shadow.next_place(accomplice.id);
        let place = shadow.place(accomplice.id, next.seq.checked_sub(1)?, Digest([9; 32]));
        let other = deeds().into_iter().next()?;
        let token = Some(accomplice.token.0);
        let record = self.signed_for(accomplice, &place, other, token);
        self.note_colluded(&place, place.digest(&record.body.0));
        Some(record)
    }

    fn note_colluded(&mut self, place: &RecordPlace, record: Digest) {
        self.deceit.colluded.push(Colluded {
            record,
            chain: place.chain,
            seq: place.seq,
        });
    }

    /// The agent has signed it: it only lies about its rights.
    fn signed_for(
        &mut self,
        accomplice: &Accomplice,
        place: &RecordPlace,
        action: Action,
        token: Option<Digest>,
    ) -> SignedRecord {
        let record = SignedRecord::sign(&accomplice.key, place, &said(self.now, action, token));
        let name = place.digest(&record.body.0);
        let signature: Signature = record.signature;
        self.memo.signed(&accomplice.id.0, &name, &signature);
        self.checks.invention.signs_itself(accomplice.id);
        self.checks.invention.signed(name);
        record
    }

    /// What fences that stand cut off of what the two have written, by the numbers in their chains alone:
    /// nothing of it counts. Gives back the names.
    pub(super) fn judge_collusion(&mut self, work: &Reading) -> Vec<Digest> {
        let Some(accomplice) = self.accomplice() else {
            return Vec::new();
        };
        let about = |fact: &&Fact| match &fact.body.action {
            Action::Fence(fence) => {
                let key = FenceTarget::Key(accomplice.id);
                fence.target == key || Some(fence.target) == self.deceit.exposed
            }
            _ => false,
        };
        let fences: Vec<&Fact> = work.facts.iter().filter(about).collect();
        let mut cut_off = Vec::new();
        for one in &self.deceit.colluded {
            let beyond = fences.iter().any(|fact| match &fact.body.action {
                Action::Fence(fence) => {
                    let mut kept = fence.keep.iter();
                    let kept = kept.find(|cut| cut.chain == one.chain);
                    one.seq > kept.map_or(0, |cut| cut.seq)
                }
                _ => false,
            });
            if beyond {
                cut_off.push(one.record);
            }
        }
        let mut facts = work.facts.iter().map(|fact| fact.place.record);
        if let Some(record) = facts.find(|record| cut_off.contains(record)) {
            let why = format!("{record} counts, and a fence has cut it off");
            self.checks.violated(self.now, "I7", why);
        }
        let void = work.void.iter();
        let void = void.filter(|place| cut_off.contains(&place.record));
        let void = void.count() as u64;
        self.counters.add_many("colluded and void", void);
        cut_off
    }
}

/// What they do: a claim on a topic that nobody else wants, and what is told and proved.
fn deeds() -> [Action; 3] {
    let mark = Mark {
        about: "collusion".into(),
        text: "done in spite of all".into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    };
    let signal = Signal {
        kind: SignalKind::Need,
        topic: "collusion".into(),
        urgency: Urgency::Low,
        text: "two of one hand".into(),
        lifetime_ms: 400_000,
        evidence: None,
    };
    let claim = Action::Claim {
        topic: "collusion".into(),
        lease_ms: 10_000,
    };
    [Action::Mark(mark), Action::Signal(signal), claim]
}
