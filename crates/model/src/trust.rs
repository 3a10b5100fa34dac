//! What is said about trust itself: that a right has ended, and that something was refused.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Signature};
use crate::{
    AgentId, ChainId, ClusterId, Code, Digest, OrchestraId, SignedRecord, from_hex, limits,
};

/// Ends what some tokens or a key allowed. It bears no date: of each chain it names how much stays,
/// so that nothing can be dated back under it, and whatever it does not name is gone. Fences only
/// gather; where two concern one chain, the shorter prefix stays.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Fence {
    /// What ends.
    pub target: FenceTarget,
    /// Why, in a sentence.
    pub reason: String,
    /// Up to where chains under the target stay valid, in order of chains. A chain that is not
    /// named keeps nothing.
    pub keep: Vec<ChainCut>,
}

/// How much of a chain stays.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ChainCut {
    /// Which chain. What it holds below the cut is one thing: two records at one place are a fork,
    /// which voids both.
    pub chain: ChainId,
    /// The number of the last record that stays.
    pub seq: u64,
}

/// What a fence ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum FenceTarget {
    /// Every token whose chain passes through the link of this name.
    Link(Digest),
    /// Everything that this key signs.
    Key(AgentId),
    /// Every token with a link of an epoch before this one.
    Epoch(u32),
}

/// An agent's next key. The record that bears it is signed by the key of until now, and the next one
/// signs here that it takes its place: so both are in one hand, or in two that agree.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rotation {
    /// The key that the agent signs with from now on.
    pub next: AgentId,
    /// The name of the agent, as the holder of the next key knows it. Names carry no authority: it
    /// stands here so that nobody takes the place of one agent and means another.
    pub name: String,
    /// The next key's, over [`Rotation::proof`].
    pub signature: Signature,
}

impl Rotation {
    /// What the next key signs: that it takes the place of this one, here and nowhere else.
    pub fn proof(
        cluster: ClusterId,
        orchestra: OrchestraId,
        former: AgentId,
        next: AgentId,
        name: &str,
    ) -> Digest {
        Digest::of(
            "unisono/rotation/v1",
            &[
                &cluster.0,
                &orchestra.0,
                &former.0,
                &next.0,
                name.as_bytes(),
            ],
        )
    }

    /// The rotation of an agent's key to the one that signs here.
    pub fn sign(
        key: &SigningKey,
        cluster: ClusterId,
        orchestra: OrchestraId,
        former: AgentId,
        name: &str,
    ) -> Self {
        let next = AgentId(key.verifying_key().to_bytes());
        let proof = Self::proof(cluster, orchestra, former, next, name);
        Self {
            next,
            name: name.into(),
            signature: Signature::from_bytes(key.sign(&proof.0).to_bytes()),
        }
    }
}

/// The tag of a mark that acknowledges the incidents which it names as evidence: whoever made it is
/// told of them no more.
pub const INCIDENT_ACKNOWLEDGED: &str = "incident-acknowledged";

/// Something was refused for want of a right (CAPABILITY-4). Written by the node that refused, and
/// once for many: a flood of the same is a count.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Who asked.
    pub agent: AgentId,
    /// Under which token, if under any.
    pub token: Option<Digest>,
    /// What was asked: the action's name.
    pub deed: String,
    /// The rule that refused it.
    pub rule: String,
    /// What was asked and what the token allows, in a sentence.
    pub detail: String,
    /// How often, since the last record of the same.
    pub times: u32,
}

/// What stands before the evidence in the sentence of an incident.
const EVIDENCE: &str = "; evidence: ";

impl Incident {
    /// The sentence about a record for a place of its chain at which another one stands: both have
    /// their key's signature. The refused one stands in it, in hexadecimal, where it finds room.
    pub fn signed_twice(standing: &Digest, refused: &Digest, record: &SignedRecord) -> String {
        let seq = record.seq;
        let words = format!(
            "signed a second record for place {seq} of its chain: {standing} stands, {refused} was refused"
        );
        let bytes = wire::encode(record);
        if words.len() + EVIDENCE.len() + 2 * bytes.len() > limits::REASON_BYTES_MAX {
            return words;
        }
        let hex = |text: String, byte: &u8| text + &format!("{byte:02x}");
        bytes.iter().fold(words + EVIDENCE, hex)
    }

    /// The sentence without its evidence, and the evidence in hexadecimal. Only the rule that is about
    /// places of chains has any: what others say may bear anybody's words.
    pub fn said(&self) -> (&str, Option<&str>) {
        if self.rule != Code::ChainOrder.as_str() {
            return (&self.detail, None);
        }
        match self.detail.split_once(EVIDENCE) {
            Some((words, evidence)) => (words, Some(evidence)),
            None => (&self.detail, None),
        }
    }
}

/// The record that stands as evidence in an incident. Whether it is signed is for the reader to see.
pub fn record_of_evidence(hexadecimal: &str) -> Option<SignedRecord> {
    let mut bytes = alloc::vec![0; hexadecimal.len().min(limits::REASON_BYTES_MAX) / 2];
    from_hex(hexadecimal, &mut bytes)?;
    wire::decode(&bytes, limits::REASON_BYTES_MAX).ok()
}
