//! The node and its cluster, as they are shown.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::{Counters, DamageView, MemberView, OrchestraView, StatusView};
use unisono_model::{
    AuthorityId, ClusterId, Digest, Incarnation, InviteKey, InviteUse, InviteWord, LogId, NodeId,
    OrchestraId, Witness,
};
use utoipa::ToSchema;

use super::NodeCertificate;

/// One life of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incarnated {
    /// When it started, by its own clock (ms since the Unix epoch).
    pub started_ms: u64,
    /// Drawn at the start (16 hexadecimal characters: JSON numbers do not hold 64 bits everywhere).
    #[serde(serialize_with = "write_nonce", deserialize_with = "read_nonce")]
    #[schema(value_type = String)]
    pub nonce: u64,
}

/// The log that one life of a node writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogRef {
    /// Who writes it.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// In which life.
    pub incarnation: Incarnated,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn write_nonce<S: serde::Serializer>(nonce: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{nonce:016x}"))
}

fn read_nonce<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    u64::from_str_radix(&text, 16).map_err(serde::de::Error::custom)
}

impl From<Incarnation> for Incarnated {
    fn from(life: Incarnation) -> Self {
        Self {
            started_ms: life.started_ms,
            nonce: life.nonce,
        }
    }
}

impl From<Incarnated> for Incarnation {
    fn from(life: Incarnated) -> Self {
        Self {
            started_ms: life.started_ms,
            nonce: life.nonce,
        }
    }
}

impl From<LogId> for LogRef {
    fn from(log: LogId) -> Self {
        Self {
            node: log.node,
            incarnation: log.incarnation.into(),
        }
    }
}

impl From<LogRef> for LogId {
    fn from(log: LogRef) -> Self {
        let Incarnated { started_ms, nonce } = log.incarnation;
        Self {
            node: log.node,
            incarnation: Incarnation { started_ms, nonce },
        }
    }
}

/// How far logs of other nodes had come, by what those nodes signed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WitnessShown {
    /// Their heads.
    pub heads: Vec<HeadShown>,
}

/// The last bundle of a log that somebody else held.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeadShown {
    /// In which orchestra.
    #[schema(value_type = String)]
    pub orchestra: OrchestraId,
    /// Of which log.
    pub log: LogRef,
    /// Its number.
    pub bundle: u64,
    /// Its digest.
    #[schema(value_type = String)]
    pub digest: Digest,
}

impl From<Witness> for WitnessShown {
    fn from(witness: Witness) -> Self {
        let heads = witness.heads.iter().map(|(header, _)| HeadShown {
            orchestra: header.orchestra,
            log: header.log.into(),
            bundle: header.seq,
            digest: header.digest(),
        });
        Self {
            heads: heads.collect(),
        }
    }
}

/// An invite was made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InviteShown {
    /// The public half of its secret.
    #[schema(value_type = String)]
    pub invite: InviteKey,
    /// Until when it lets a node in (ms since the Unix epoch).
    pub expires_ms: u64,
    /// The node that made it.
    #[schema(value_type = String)]
    pub maker: NodeId,
    /// The authority that signs it.
    #[schema(value_type = String)]
    pub authority: AuthorityId,
}

impl From<InviteWord> for InviteShown {
    fn from(word: InviteWord) -> Self {
        Self {
            invite: word.invite,
            expires_ms: word.expires_ms,
            maker: word.maker,
            authority: word.authority,
        }
    }
}

/// An invite let a node in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InviteUseShown {
    /// Which invite.
    #[schema(value_type = String)]
    pub invite: InviteKey,
    /// Whom it let in.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The node that signed the certificate.
    #[schema(value_type = String)]
    pub issuer: NodeId,
    /// The authority that signs this.
    #[schema(value_type = String)]
    pub authority: AuthorityId,
}

impl From<InviteUse> for InviteUseShown {
    fn from(word: InviteUse) -> Self {
        Self {
            invite: word.invite,
            node: word.node,
            issuer: word.issuer,
            authority: word.authority,
        }
    }
}

/// How the node is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Who it is.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterId,
    /// This life.
    pub incarnation: Incarnated,
    /// The members.
    pub members: Vec<Member>,
    /// Whether writes are refused because the disk is full.
    pub disk_full: bool,
    /// This node's clock minus the other members' (median, ms), where two or more were heard.
    pub clock_offset_ms: Option<i64>,
    /// How far it has stamped ahead of its clock (ms), where that is too far: where others are
    /// members it takes no writes until its clock has come near, and it admits nobody.
    #[serde(default)]
    pub stamps_ahead_ms: Option<u64>,
    /// The certificate that it shows to other nodes.
    #[serde(default)]
    pub certificate: Option<NodeCertificate>,
    /// Requests that wait.
    pub waiting: u64,
    /// Stored bundles that this node can no longer read.
    #[serde(default)]
    pub damage: Vec<Damage>,
    /// What has happened since the start.
    pub counters: Counted,
}

/// Stored bundles of a log that the node can no longer read. Where another member has them, it is
/// asked; what agents see stays as it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Damage {
    /// Whose.
    #[schema(value_type = String)]
    pub orchestra: OrchestraId,
    /// Of which log.
    pub log: LogRef,
    /// Which bundles: first and last, both included.
    pub bundles: Vec<(u64, u64)>,
    /// In which segments of the node's journal they stood, where that is known.
    pub segments: Vec<u64>,
    /// Whether other members are asked for them.
    pub asked: bool,
}

/// A member of the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Who.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where it is reached.
    pub address: String,
    /// Its life.
    pub incarnation: Incarnated,
    /// Whether gossip holds it for alive.
    pub alive: bool,
    /// When it was last heard (ms ago), where it was.
    pub heard_ms_ago: Option<u64>,
    /// The round trip (µs), where measured.
    pub round_trip_us: Option<u64>,
    /// How many bundles it said it lacks, at its last digest.
    pub behind: u64,
    /// Votes for its removal.
    pub removal_votes: u16,
    /// Removed.
    pub removed: bool,
    /// It has left of its own accord.
    #[serde(default)]
    pub left: bool,
    /// A root has removed it, for good.
    #[serde(default)]
    pub expelled: bool,
    /// The invite by which it came has let in another node, which counts: it has to leave, or has.
    #[serde(default)]
    pub outdone: bool,
}

impl Member {
    /// Whether it takes part: no view left it out, it has not left, and no root has removed it.
    pub fn stays(&self) -> bool {
        !self.removed && !self.left && !self.expelled
    }
}

/// The members of the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// Each once.
    pub members: Vec<Member>,
}

/// An orchestra that the node holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OrchestraSummary {
    /// Its id.
    #[schema(value_type = String)]
    pub orchestra: OrchestraId,
    /// Its name, where known.
    pub name: String,
    /// Records held.
    pub records: u64,
}

/// The orchestras that the node holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Orchestras {
    /// Each once.
    pub orchestras: Vec<OrchestraSummary>,
}

/// Which program answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// The program's version.
    pub version: String,
    /// The version of this API.
    pub api: String,
    /// The version of the record format.
    pub record_format: u8,
    /// The version of the bundle format.
    pub bundle_format: u8,
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its cluster.
    #[schema(value_type = String)]
    pub cluster: ClusterId,
}

macro_rules! counted {
    ($($name:ident),* $(,)?) => {
        /// What has happened since the start.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
        #[allow(missing_docs, reason = "each name is its meaning")]
        pub struct Counted { $(pub $name: u64),* }

        impl From<Counters> for Counted {
            fn from(counters: Counters) -> Self {
                // Exhaustive, so that a new counter of the core cannot be forgotten here.
                let Counters { $($name),* } = counters;
                Self { $($name),* }
            }
        }

        impl Counted {
            /// Each counter with its name.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counted! {
    records_made, records_received, bundles_written, bundles_received, bundles_held_back, clocks_followed,
    bundles_duplicate,
    bundles_refused, batches, heads_written, bundles_sent_twice, frames_sent, frames_received, bytes_sent,
    bytes_received, repairs_asked, repairs_served, bundles_mended, refolds, forks, rejections,
}

impl From<StatusView> for Status {
    fn from(view: StatusView) -> Self {
        Self {
            node: view.node,
            name: view.name,
            region: view.region,
            cluster: view.cluster,
            incarnation: view.incarnation.into(),
            members: view.members.into_iter().map(Into::into).collect(),
            disk_full: view.disk_full,
            clock_offset_ms: view.clock_offset_ms,
            stamps_ahead_ms: view.stamps_ahead_ms,
            // The node itself knows nothing of it; the process does.
            certificate: None,
            waiting: view.waiting,
            damage: view.damage.into_iter().map(Into::into).collect(),
            counters: view.counters.into(),
        }
    }
}

impl From<DamageView> for Damage {
    fn from(view: DamageView) -> Self {
        Self {
            orchestra: view.orchestra,
            log: view.log.into(),
            bundles: view.bundles,
            segments: view.segments,
            asked: view.asked,
        }
    }
}

impl From<MemberView> for Member {
    fn from(view: MemberView) -> Self {
        Self {
            node: view.node,
            name: view.name,
            region: view.region,
            address: view.address,
            incarnation: view.incarnation.into(),
            alive: view.alive,
            heard_ms_ago: view.heard_ms_ago,
            round_trip_us: view.round_trip_us,
            behind: view.behind,
            removal_votes: view.removal_votes,
            removed: view.removed,
            left: view.left,
            expelled: view.expelled,
            outdone: view.outdone,
        }
    }
}

impl From<OrchestraView> for OrchestraSummary {
    fn from(view: OrchestraView) -> Self {
        Self {
            orchestra: view.orchestra,
            name: view.name,
            records: view.records,
        }
    }
}
