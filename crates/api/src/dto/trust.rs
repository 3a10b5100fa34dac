//! Rights as JSON: tokens laid down, fences, what was refused.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::{
    FenceView, IncidentView, RenewedView, RotationView, TokenView, TrustView, VoidedView,
};
use unisono_model::wire::{Blob, Signature};
use unisono_model::{
    AgentId, ChainCut, ChainId, Digest, Fence, FenceTarget, Incident, NodeId, Rotation, from_hex,
    limits,
};
use utoipa::ToSchema;

use super::root::RootShown;

use super::cluster::LogRef;
use super::moment::Moment;

/// What a token's text begins with: its kind and the version of its format.
const TOKEN_PREFIX: &str = "unicap1.";

/// A token as text: what people copy.
pub fn token_text(bytes: &[u8]) -> String {
    format!("{TOKEN_PREFIX}{}", BASE64URL_NOPAD.encode(bytes))
}

/// The bytes of a token's text.
///
/// # Errors
/// What is wrong with the text. Whether the bytes are a token is not looked at.
pub fn parse_token(text: &str) -> Result<Vec<u8>, &'static str> {
    let Some(encoded) = text.trim().strip_prefix(TOKEN_PREFIX) else {
        return Err("a token begins with `unicap1.`");
    };
    if encoded.len() > limits::TOKEN_BYTES_MAX * 4 / 3 + 4 {
        return Err("no token is so long");
    }
    let bytes = BASE64URL_NOPAD.decode(encoded.as_bytes());
    bytes.map_err(|_| "a token is base64url after `unicap1.`: a character is wrong or missing")
}

/// Lays a capability token before the orchestra.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresentBody {
    /// The token: `unicap1.…`.
    #[serde(with = "token_as_text")]
    #[schema(value_type = String)]
    pub token: Blob,
}

mod token_as_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use unisono_model::wire::Blob;

    pub(super) fn serialize<S: Serializer>(token: &Blob, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::token_text(&token.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Blob, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = super::parse_token(&text).map_err(serde::de::Error::custom)?;
        Ok(Blob(bytes))
    }
}

/// Asks for a token for longer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewalBody {
    /// The token that counts, renewed or not.
    #[schema(value_type = String)]
    #[serde(with = "token_as_text")]
    pub token: Blob,
}

/// A token that was renewed. It counts once its agent has laid it before the orchestra.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenRenewed {
    /// The renewed token.
    #[schema(value_type = String)]
    #[serde(with = "token_as_text")]
    pub token: Blob,
    /// Its name.
    #[schema(value_type = String)]
    pub id: Digest,
    /// Until when it counts (ms since the Unix epoch).
    pub expires_ms: u64,
    /// Until when it may be renewed (ms since the Unix epoch).
    pub renew_until_ms: u64,
}

/// From here on every action needs a token.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardBody {}

/// Ends what tokens or a key allowed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FenceBody {
    /// What ends: `{"link": "…"}`, `{"key": "…"}` or `{"epoch": 7}`.
    #[schema(value_type = Object)]
    pub target: TargetBody,
    /// Why, in a sentence.
    #[serde(default)]
    pub reason: String,
    /// How much of the chains under the target stays; a chain that is not named keeps nothing.
    #[serde(default)]
    pub keep: Vec<CutBody>,
}

/// The agent goes on with another key. Only a record that the key of until now signs does this.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateBody {
    /// The key that the agent signs with from now on.
    #[schema(value_type = String)]
    pub next: AgentId,
    /// The agent's name.
    pub name: String,
    /// The next key's signature over cluster, orchestra, both keys and the name: 128 hexadecimal
    /// characters.
    #[serde(with = "signature_as_text")]
    #[schema(value_type = String)]
    pub signature: Signature,
}

pub(super) mod signature_as_text {
    use data_encoding::HEXLOWER;
    use serde::{Deserialize, Deserializer, Serializer};
    use unisono_model::wire::Signature;

    pub(in crate::dto) fn serialize<S: Serializer>(
        signature: &Signature,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&signature.to_bytes()))
    }

    pub(in crate::dto) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Signature, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        super::from_hex(&text, &mut bytes)
            .ok_or_else(|| serde::de::Error::custom("a signature is 128 hexadecimal characters"))?;
        Ok(Signature::from_bytes(bytes))
    }
}

/// What a fence ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetBody {
    /// Every token that passes through this link.
    Link(Digest),
    /// Everything that this key signs.
    Key(AgentId),
    /// Every token of an epoch before this one.
    Epoch(u32),
}

/// How much of a chain stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CutBody {
    /// Whose chain.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// On which log.
    pub log: LogRef,
    /// The number of the last record that stays.
    pub seq: u64,
}

/// The chains that a fence would concern.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chains {
    /// Each with the last record of it that counts.
    pub chains: Vec<CutBody>,
}

/// Something was refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentShown {
    /// Who asked.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Under which token.
    #[schema(value_type = Option<String>)]
    pub token: Option<Digest>,
    /// What was asked.
    pub deed: String,
    /// The rule that refused it.
    pub rule: String,
    /// What was asked, and what is allowed.
    pub detail: String,
    /// What proves it, where something does: the record that was refused, in hexadecimal, with its
    /// key's signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// How often, since the last record of the same.
    pub times: u32,
}

/// What rights stand, and what they have refused.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trust {
    /// Since when every action needs a token, if it does.
    pub guarded_since: Option<Moment>,
    /// Tokens that were laid before the orchestra.
    pub tokens: Vec<TokenShown>,
    /// What was fenced off, in order.
    pub fences: Vec<FenceShown>,
    /// Keys that agents have given up for others, in order.
    #[serde(default)]
    pub rotations: Vec<RotationShown>,
    /// Roots of rights that were named, the first one first; none while it is that of the founding.
    #[serde(default)]
    pub roots: Vec<RootShown>,
    /// The latest records that do not count, newest first.
    pub voided: Vec<VoidedShown>,
    /// The latest refusals, newest first.
    pub incidents: Vec<IncidentTold>,
}

/// A token that was laid before the orchestra.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TokenShown {
    /// Its last link.
    #[schema(value_type = String)]
    pub token: Digest,
    /// Whom it is for.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// The tier.
    pub tier: String,
    /// From when it counts (ms since the Unix epoch).
    pub not_before_ms: u64,
    /// Until when (ms since the Unix epoch).
    pub expires_ms: u64,
    /// Until when it may be renewed (ms since the Unix epoch); 0: not at all.
    #[serde(default)]
    pub renew_until_ms: u64,
    /// Who has renewed it, if anybody has.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub renewed_by: Option<AgentId>,
    /// Who issued each link, from the root on.
    #[schema(value_type = Vec<String>)]
    pub issuers: Vec<AgentId>,
    /// What it allows.
    pub operations: Vec<String>,
    /// Whether a fence ends it.
    pub fenced: bool,
}

/// A fence that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FenceShown {
    /// Its record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When.
    pub stamp: Moment,
    /// Who fenced.
    #[schema(value_type = String)]
    pub by: AgentId,
    /// Whether that is a root of the cluster.
    pub by_root: bool,
    /// What ends: `{"link": "…"}`, `{"key": "…"}` or `{"epoch": 7}`.
    #[schema(value_type = Object)]
    pub target: TargetBody,
    /// Why.
    pub reason: String,
    /// How much of each chain stays.
    pub keep: Vec<CutBody>,
}

/// A key that an agent has given up for another.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RotationShown {
    /// Its record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// What the former key signs above this is void.
    pub stamp: Moment,
    /// Whose key it is, by the first that it had.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// The key that was given up.
    #[schema(value_type = String)]
    pub former: AgentId,
    /// The key that took its place.
    #[schema(value_type = String)]
    pub next: AgentId,
}

/// A record that does not count.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VoidedShown {
    /// The record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// Its stamp.
    pub stamp: Moment,
    /// Who signed it.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What it would have done.
    pub deed: String,
    /// The rule.
    pub rule: String,
    /// Why.
    pub detail: String,
}

/// A refusal, as the orchestra was told of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentTold {
    /// The record that tells of it.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When it was told.
    pub stamp: Moment,
    /// The node that refused.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The agent's name.
    pub name: String,
    /// What was refused.
    #[serde(flatten)]
    pub incident: IncidentShown,
    /// Who has acknowledged it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub acknowledged_by: Vec<AgentId>,
}

/// There were more incidents than are kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Beyond {
    /// Those up to this moment stand in the log alone.
    pub beyond: Moment,
}

impl From<TargetBody> for FenceTarget {
    fn from(body: TargetBody) -> Self {
        match body {
            TargetBody::Link(link) => Self::Link(link),
            TargetBody::Key(key) => Self::Key(key),
            TargetBody::Epoch(epoch) => Self::Epoch(epoch),
        }
    }
}

impl From<FenceTarget> for TargetBody {
    fn from(target: FenceTarget) -> Self {
        match target {
            FenceTarget::Link(link) => Self::Link(link),
            FenceTarget::Key(key) => Self::Key(key),
            FenceTarget::Epoch(epoch) => Self::Epoch(epoch),
        }
    }
}

impl From<CutBody> for ChainCut {
    fn from(body: CutBody) -> Self {
        Self {
            chain: ChainId {
                agent: body.agent,
                log: body.log.into(),
            },
            seq: body.seq,
        }
    }
}

impl From<ChainCut> for CutBody {
    fn from(cut: ChainCut) -> Self {
        Self {
            agent: cut.chain.agent,
            log: cut.chain.log.into(),
            seq: cut.seq,
        }
    }
}

impl From<FenceBody> for Fence {
    fn from(body: FenceBody) -> Self {
        let mut keep: Vec<ChainCut> = body.keep.into_iter().map(Into::into).collect();
        keep.sort_unstable();
        Self {
            target: body.target.into(),
            reason: body.reason,
            keep,
        }
    }
}

impl From<Fence> for FenceBody {
    fn from(fence: Fence) -> Self {
        Self {
            target: fence.target.into(),
            reason: fence.reason,
            keep: fence.keep.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<RotateBody> for Rotation {
    fn from(body: RotateBody) -> Self {
        Self {
            next: body.next,
            name: body.name,
            signature: body.signature,
        }
    }
}

impl From<Rotation> for RotateBody {
    fn from(rotation: Rotation) -> Self {
        Self {
            next: rotation.next,
            name: rotation.name,
            signature: rotation.signature,
        }
    }
}

impl From<RotationView> for RotationShown {
    fn from(view: RotationView) -> Self {
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            agent: view.agent,
            name: view.name,
            former: view.former,
            next: view.next,
        }
    }
}

impl From<Incident> for IncidentShown {
    fn from(incident: Incident) -> Self {
        let (detail, evidence) = incident.said();
        let (detail, evidence) = (detail.to_owned(), evidence.map(str::to_owned));
        Self {
            agent: incident.agent,
            token: incident.token,
            deed: incident.deed,
            rule: incident.rule,
            detail,
            evidence,
            times: incident.times,
        }
    }
}

impl From<TrustView> for Trust {
    fn from(view: TrustView) -> Self {
        Self {
            guarded_since: view.guarded_from.map(|place| place.stamp.into()),
            tokens: view.tokens.into_iter().map(Into::into).collect(),
            fences: view.fences.into_iter().map(Into::into).collect(),
            rotations: view.rotations.into_iter().map(Into::into).collect(),
            roots: view.roots.into_iter().map(Into::into).collect(),
            voided: view.voided.into_iter().map(Into::into).collect(),
            incidents: view.incidents.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TokenView> for TokenShown {
    fn from(view: TokenView) -> Self {
        Self {
            token: view.token,
            agent: view.agent,
            name: view.name,
            tier: view.tier,
            not_before_ms: view.not_before_ms,
            expires_ms: view.expires_ms,
            renew_until_ms: view.renew_until_ms,
            renewed_by: view.renewed_by,
            issuers: view.issuers,
            operations: view.operations.into_iter().map(Into::into).collect(),
            fenced: view.fenced,
        }
    }
}

impl From<RenewedView> for TokenRenewed {
    fn from(view: RenewedView) -> Self {
        Self {
            token: Blob(view.token),
            id: view.id,
            expires_ms: view.expires_ms,
            renew_until_ms: view.renew_until_ms,
        }
    }
}

impl From<FenceView> for FenceShown {
    fn from(view: FenceView) -> Self {
        let body = FenceBody::from(view.fence);
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            by: view.by,
            by_root: view.by_root,
            target: body.target,
            reason: body.reason,
            keep: body.keep,
        }
    }
}

impl From<VoidedView> for VoidedShown {
    fn from(view: VoidedView) -> Self {
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            agent: view.agent,
            name: view.name,
            deed: view.deed,
            rule: view.rule,
            detail: view.detail,
        }
    }
}

impl From<IncidentView> for IncidentTold {
    fn from(view: IncidentView) -> Self {
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            node: view.node,
            name: view.name,
            incident: view.incident.into(),
            acknowledged_by: view.acknowledged_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_being_text_and_a_typo_is_told() {
        let bytes = [0, 1, 254, 255];
        assert_eq!(parse_token(&token_text(&bytes)), Ok(bytes.to_vec()));
        assert!(parse_token("uni1-abc").is_err());
        assert!(parse_token("unicap1.a+b").is_err());
        let long = format!("unicap1.{}", "A".repeat(3 * limits::TOKEN_BYTES_MAX));
        assert_eq!(parse_token(&long), Err("no token is so long"));
    }
}
