//! What becomes of a request that changes something.

use serde::{Deserialize, Serialize};
use unisono_core::node::Recorded as CoreRecorded;
use unisono_core::orchestra::view::SessionView;
use unisono_core::replication::Cursor;
use unisono_model::{
    AgentId, ChainHead, ChainId, ClusterId, Digest, IdempotencyKey, LogId, NodeId, OrchestraId,
    Place,
};
use utoipa::ToSchema;

use super::cluster::LogRef;
use super::cue::CueShown;
use super::moment::Moment;
use super::view::Claim;

/// A record was made, or had been made before under this key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recorded {
    /// The record's digest: its name.
    #[schema(value_type = String)]
    pub record: Digest,
    /// Where it stands in the order of everything.
    pub stamp: Moment,
    /// What the node had when it answered: hand it to the next node.
    pub cursor: String,
    /// The log that carries it.
    pub log: LogRef,
    /// Its number in its agent's chain.
    pub seq: u64,
    /// On how many nodes' disks it is known to be.
    pub durable_on: u16,
    /// On how many it was asked to be.
    pub durable_wanted: u16,
    /// For a claim or a renewal: what it came to.
    pub claim: Option<Claim>,
    /// For a cue: as it stands, with its target and whether the notice is long enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cue: Option<Box<CueShown>>,
    /// Whether an earlier record with the same key is the answer.
    pub repeated: bool,
    /// The request's key, inside the record.
    #[schema(value_type = Option<String>)]
    pub key: Option<IdempotencyKey>,
}

impl Recorded {
    /// The answer for one record.
    pub fn new(recorded: CoreRecorded, cursor: &Cursor) -> Self {
        Self {
            record: recorded.place.record,
            stamp: recorded.place.stamp.into(),
            cursor: cursor.to_text(),
            log: recorded.log.into(),
            seq: recorded.seq,
            durable_on: recorded.durable_on,
            durable_wanted: recorded.durable_wanted,
            claim: recorded.claim.map(Into::into),
            cue: recorded.cue.map(|cue| Box::new((*cue).into())),
            repeated: recorded.repeated,
            key: recorded.key,
        }
    }
}

/// It was done; there is no record of its own to name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// Always true.
    pub done: bool,
    /// The moment of the answer.
    pub stamp: Moment,
    /// What the node had when it answered: hand it to the next node.
    pub cursor: String,
}

/// The orchestra is there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Opened {
    /// Its name.
    pub name: String,
    /// Its id.
    #[schema(value_type = String)]
    pub orchestra: OrchestraId,
    /// What the node had when it answered.
    pub cursor: String,
}

/// Makes an orchestra, or finds that it is there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenBody {
    /// Its name.
    pub name: String,
}

/// A note's whole text.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteTextBody {
    /// The text; only what differs from the text that stands is changed.
    pub text: String,
}

/// A change of a stretch of a note.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteSpliceBody {
    /// From which character on.
    pub position: usize,
    /// How many characters go.
    #[serde(default)]
    pub delete: usize,
    /// What comes.
    #[serde(default)]
    pub insert: String,
}

/// A configuration value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigSetBody {
    /// The value.
    pub value: String,
}

/// A signed record, for clients that cannot send bytes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordBase64 {
    /// The canonical bytes in base64 (RFC 4648).
    pub record: String,
    /// The content that the record writes, in base64, where it writes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// A record's place in the order of everything.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeadBody {
    /// The record's digest.
    #[schema(value_type = String)]
    pub record: Digest,
    /// Its moment.
    pub stamp: Moment,
}

impl From<Place> for HeadBody {
    fn from(place: Place) -> Self {
        Self {
            record: place.record,
            stamp: place.stamp.into(),
        }
    }
}

/// Where an agent that signs itself continues.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The cluster that stands in every signature.
    #[schema(value_type = String)]
    pub cluster: ClusterId,
    /// The orchestra that stands in every signature.
    #[schema(value_type = String)]
    pub orchestra: OrchestraId,
    /// The agent's key.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The log for which to sign.
    pub log: LogRef,
    /// The number of the next record in the chain.
    pub next_seq: u64,
    /// The digest of the chain's last record, or zeros.
    #[schema(value_type = String)]
    pub prev: Digest,
    /// Whether the node holds a valid enrolment; else the next record must be one.
    pub enrolled: bool,
    /// The tier that the agent is enrolled for, if for one.
    #[serde(default)]
    pub tier: Option<String>,
    /// Keys that the agent had before this one, the latest first: what these were given is this one's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub succeeds: Vec<AgentId>,
    /// The key that has taken the place of this one: what this one signs is void.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub given_up_for: Option<AgentId>,
    /// Heads of the agent's other chains, to be named in this chain's first record.
    pub predecessors: Vec<SessionHead>,
    /// The current iteration.
    pub iteration: u32,
    /// The node's time (ms since the Unix epoch).
    pub now_ms: u64,
}

/// The last record of one of the agent's other chains.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionHead {
    /// The log that carries the chain.
    pub log: LogRef,
    /// The last record's number.
    pub seq: u64,
    /// The last record's digest.
    #[schema(value_type = String)]
    pub record: Digest,
}

impl From<SessionView> for Session {
    fn from(view: SessionView) -> Self {
        let head = |head: ChainHead| SessionHead {
            log: head.chain.log.into(),
            seq: head.seq,
            record: head.record,
        };
        Self {
            cluster: view.cluster,
            orchestra: view.orchestra,
            agent: view.chain.agent,
            log: view.chain.log.into(),
            next_seq: view.next_seq,
            prev: view.prev,
            enrolled: view.enrolled,
            tier: view.tier.map(|tier| tier.word().to_owned()),
            succeeds: view.succeeds,
            given_up_for: view.given_up_for,
            predecessors: view.predecessors.into_iter().map(head).collect(),
            iteration: view.iteration,
            now_ms: view.now_ms,
        }
    }
}

impl Session {
    /// Whether a key is this agent's, or was before.
    pub fn is_own(&self, key: AgentId) -> bool {
        key == self.agent || self.succeeds.contains(&key)
    }

    /// The chain to continue.
    pub fn chain(&self) -> ChainId {
        ChainId {
            agent: self.agent,
            log: LogId::from(self.log),
        }
    }

    /// The heads of the agent's other chains, in the order that a record names them.
    pub fn chain_heads(&self) -> Vec<ChainHead> {
        let head = |head: &SessionHead| ChainHead {
            chain: ChainId {
                agent: self.agent,
                log: LogId::from(head.log),
            },
            seq: head.seq,
            record: head.record,
        };
        self.predecessors.iter().map(head).collect()
    }
}

/// Has a node leave the cluster. Signed with the node's own key, so that no agent can send it away.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LeaveBody {
    /// When it was signed (ms since 1970).
    pub at_ms: u64,
    /// How many other members must hold all that the node wrote before it leaves; 0: two, or all where
    /// there are fewer.
    #[serde(default)]
    pub hand_to: u16,
    /// The node's Ed25519 signature of [`Self::digest`], in base64.
    pub signature: String,
}

impl LeaveBody {
    /// What is signed: BLAKE3 under `unisono/leave/v1` of the node, the time and the number, both in
    /// little-endian bytes.
    pub fn digest(&self, node: NodeId) -> Digest {
        let (at_ms, hand_to) = (self.at_ms.to_le_bytes(), self.hand_to.to_le_bytes());
        Digest::of("unisono/leave/v1", &[&node.0, &at_ms, &hand_to])
    }
}

/// A node has left the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Left {
    /// The members that hold all that it wrote.
    #[schema(value_type = Vec<String>)]
    pub held_by: Vec<NodeId>,
    /// How many should.
    pub wanted: usize,
    /// Whether its process ends now. If not, it must run on until so many hold everything, and ends
    /// by itself then.
    pub ends: bool,
}
