//! Checking a chain, link by link.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::capability::{Grant, Link, SignedLink, Tier, Token};
use unisono_model::wire::Blob;
use unisono_model::{AgentId, ClusterId, Digest, limits};

use super::Invalid;
use super::lattice::{Field, exceeds, grant_exceeds};
use super::tiers::{ceiling, offends};
use crate::context::Verifier;
use crate::sabotage::Sabotage;

mod renewal;

/// What a replica knows of its cluster, as of the record that is judged. Equal anchors give equal
/// verdicts.
#[derive(Clone, Copy, Debug)]
pub struct Anchor<'a> {
    /// The cluster.
    pub cluster: ClusterId,
    /// The keys that may issue first links.
    pub roots: &'a [AgentId],
    /// The cluster's epoch.
    pub epoch: u32,
    /// The record's stamp (ms since the Unix epoch).
    pub at_ms: u64,
    /// The tier that the last audience enrolled itself for, if it is known to have.
    pub enrolled: Option<&'a Tier>,
}

/// A token that counts: its chain is whole, signed, in time, and widens nowhere.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// As they count: where the token was renewed, with the time and the rights that it has by that.
    links: Vec<(Digest, Link)>,
    renewed: Option<Renewed>,
    /// The bytes of one that can be renewed and was not: what every renewal of it begins with.
    source: Option<Blob>,
}

/// By what a token was renewed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Renewed {
    /// The renewal: the name of the renewed token.
    pub id: Digest,
    /// Who has renewed it.
    pub renewer: AgentId,
    /// The links that let it, with their issuers.
    pub delegation: Vec<(Digest, AgentId)>,
}

impl Verified {
    /// The last link: what its audience may do.
    pub fn leaf(&self) -> &Link {
        // `verify` makes none without a link.
        &self.links[self.links.len() - 1].1
    }

    /// The token's name.
    pub fn id(&self) -> Digest {
        let renewed = self.renewed.as_ref().map(|renewed| renewed.id);
        renewed.unwrap_or(self.links[self.links.len() - 1].0)
    }

    /// The name of its last link: the same however often it is renewed.
    pub fn link(&self) -> Digest {
        self.links[self.links.len() - 1].0
    }

    /// By what it was renewed, if it was.
    pub fn renewed(&self) -> Option<&Renewed> {
        self.renewed.as_ref()
    }

    /// Its bytes, where it can be renewed and was not.
    pub fn source(&self) -> Option<&Blob> {
        self.source.as_ref()
    }

    /// The same token, held with its bytes if either has them.
    pub(crate) fn join(&mut self, other: Self) {
        // Signatures of one link may differ: the lower bytes, whichever came first.
        self.source = match (self.source.take(), other.source) {
            (Some(one), Some(other)) => Some(if one.0 <= other.0 { one } else { other }),
            (one, other) => one.or(other),
        };
    }

    /// Whatever a fence can name to end it.
    pub fn named(&self) -> impl Iterator<Item = Digest> {
        let links = self.links.iter().map(|(id, _)| *id);
        let renewed = self.renewed.iter();
        let more = renewed.flat_map(|one| {
            let delegation = one.delegation.iter().map(|(id, _)| *id);
            core::iter::once(one.id).chain(delegation)
        });
        links.chain(more)
    }

    /// Who has signed a part of it.
    pub fn issuers(&self) -> impl Iterator<Item = AgentId> {
        let links = self.links.iter().map(|(_, link)| link.issuer);
        let renewed = self.renewed.iter();
        let delegation = renewed.flat_map(|one| one.delegation.iter().map(|(_, issuer)| *issuer));
        links.chain(delegation)
    }

    /// All links with their names, from the root on.
    pub fn links(&self) -> &[(Digest, Link)] {
        &self.links
    }

    /// What the holder may let others do, as long as links may follow its own.
    pub fn grant(&self) -> Option<&Grant> {
        let leaf = self.leaf();
        leaf.grant.as_ref().filter(|_| leaf.depth_left > 0)
    }

    /// Every token that this one begins with, itself included: what is good up to a link is good
    /// for the agent of that link.
    pub fn beginnings(&self) -> Vec<Self> {
        if self.renewed.is_some() {
            // Its links count for longer in it alone, and lay before the orchestra before.
            return Vec::from([self.clone()]);
        }
        let ends = 1..=self.links.len();
        ends.map(|end| Self {
            links: self.links[..end].to_vec(),
            renewed: None,
            source: self.source.clone().filter(|_| end == self.links.len()),
        })
        .collect()
    }

    /// Whether a revocation of this link ends the token.
    pub fn passes_through(&self, link: &Digest) -> bool {
        self.named().any(|id| id == *link)
    }
}

/// Checks a token against what is known of the cluster. Cheap refusals come first: signatures are
/// checked when everything else is good.
///
/// # Errors
/// The first rule that it breaks, with the link. The same bytes and the same anchor give the same
/// verdict everywhere.
pub fn verify(
    bytes: &[u8],
    anchor: &Anchor<'_>,
    verifier: &mut dyn Verifier,
) -> Result<Verified, Invalid> {
    let token = Chained::read(bytes, anchor.cluster, anchor.roots, Strictness::ALL)?;
    token.verified.stands(anchor)?;
    token.signed(verifier)?;
    Ok(token.verified)
}

/// Checks all of a token that does not change with time: [`Verified::stands`] says the rest, for
/// each record anew.
///
/// # Errors
/// As [`verify`].
pub fn examine(
    bytes: &[u8],
    cluster: ClusterId,
    roots: &[AgentId],
    verifier: &mut dyn Verifier,
) -> Result<Verified, Invalid> {
    let token = Chained::read(bytes, cluster, roots, Strictness::ALL)?;
    token.signed(verifier)?;
    Ok(token.verified)
}

/// Planted faults: what is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strictness {
    /// Links after this one may widen.
    pub(crate) narrowed: usize,
    /// Whether a renewal ends where it may.
    pub(crate) renewal_ends: bool,
}

impl Strictness {
    const ALL: Self = Self {
        narrowed: usize::MAX,
        renewal_ends: true,
    };

    /// What the planted faults of a node leave.
    pub(crate) fn under(sabotage: Sabotage) -> Self {
        Self {
            narrowed: if sabotage.narrowing_skipped {
                2
            } else {
                usize::MAX
            },
            renewal_ends: !sabotage.renewal_beyond_its_end,
        }
    }
}

/// The same, but for a planted fault.
pub(crate) fn examine_loosely(
    bytes: &[u8],
    cluster: ClusterId,
    roots: &[AgentId],
    verifier: &mut dyn Verifier,
    strictness: Strictness,
) -> Result<Verified, Invalid> {
    let token = Chained::read(bytes, cluster, roots, strictness)?;
    token.signed(verifier)?;
    Ok(token.verified)
}

/// A token whose links continue one another and widen nowhere, as far as that is looked at: all of
/// them, but for a planted fault. No signature is checked yet.
struct Chained {
    token: Token,
    verified: Verified,
    delegation: Option<Box<Chained>>,
}

impl Chained {
    fn read(
        bytes: &[u8],
        cluster: ClusterId,
        roots: &[AgentId],
        strictness: Strictness,
    ) -> Result<Self, Invalid> {
        let (token, links) = Token::decode(bytes).map_err(Invalid::Malformed)?;
        for (index, link) in links.iter().enumerate() {
            let number = index + 1;
            itself(number, link, cluster)?;
            match index.checked_sub(1) {
                None => first(link, roots)?,
                Some(before) => {
                    let id = token.links[before].id();
                    match continues(number, link, &links[before], &id) {
                        Err(Invalid::Widens { .. }) if number > strictness.narrowed => {}
                        continued => continued?,
                    }
                }
            }
            binding(number, link, &links[..=index])?;
        }
        let names = token.links.iter().map(SignedLink::id);
        let mut verified = Verified {
            links: names.zip(links).collect(),
            renewed: None,
            source: None,
        };
        let Some(renewal) = token.renewal().map_err(Invalid::Malformed)? else {
            let leaf = verified.leaf();
            let renewable = leaf.renew_until_ms > leaf.expires_ms;
            verified.source = renewable.then(|| Blob(bytes.to_vec()));
            return Ok(Self {
                token,
                verified,
                delegation: None,
            });
        };
        let delegation = Self::read(&renewal.delegation.0, cluster, roots, strictness)?;
        renewal::check(
            &renewal,
            &verified,
            &delegation.verified,
            cluster,
            strictness,
        )?;
        renewal::apply(renewal, &mut verified, token.id(), &delegation.verified);
        Ok(Self {
            token,
            verified,
            delegation: Some(Box::new(delegation)),
        })
    }

    fn signed(&self, verifier: &mut dyn Verifier) -> Result<(), Invalid> {
        let renewed = self.verified.renewed.as_ref();
        let renewer = renewed.map(|renewed| (renewed.id, renewed.renewer));
        let links = self.verified.links.iter();
        let signers = links.map(|(id, link)| (*id, link.issuer)).chain(renewer);
        for (index, (signed, (id, signer))) in self.token.links.iter().zip(signers).enumerate() {
            if !verifier.verify(&signer.0, &id, &signed.signature) {
                return Err(Invalid::Signature { link: index + 1 });
            }
        }
        let delegation = self.delegation.as_ref();
        delegation.map_or(Ok(()), |delegation| {
            let signed = delegation.signed(verifier);
            signed.map_err(|invalid| Invalid::Renewal {
                what: match invalid {
                    Invalid::Signature { .. } => "a link of its delegation is not its issuer's",
                    _ => "its delegation does not count",
                },
            })
        })
    }
}

impl Verified {
    /// Whether it counts for a record of its time, in its epoch, by an agent of its tier.
    ///
    /// # Errors
    /// The first link that does not.
    pub fn stands(&self, anchor: &Anchor<'_>) -> Result<(), Invalid> {
        for (index, (_, link)) in self.links.iter().enumerate() {
            in_time(index + 1, link, anchor)?;
        }
        if let Some(enrolled) = anchor.enrolled
            && *enrolled != self.leaf().tier
        {
            return Err(Invalid::Binding {
                link: self.links.len(),
                what: "is enrolled for another tier",
            });
        }
        Ok(())
    }
}

fn in_time(number: usize, link: &Link, anchor: &Anchor<'_>) -> Result<(), Invalid> {
    if link.epoch < anchor.epoch {
        return Err(Invalid::Epoch {
            link: number,
            epoch: link.epoch,
            now: anchor.epoch,
        });
    }
    if anchor.at_ms < link.not_before_ms || anchor.at_ms >= link.expires_ms {
        return Err(Invalid::Time {
            link: number,
            at_ms: anchor.at_ms,
            from_ms: link.not_before_ms,
            until_ms: link.expires_ms,
        });
    }
    Ok(())
}

/// What a link says of itself.
fn itself(number: usize, link: &Link, cluster: ClusterId) -> Result<(), Invalid> {
    if link.cluster != cluster {
        return Err(Invalid::Cluster { link: number });
    }
    let life = |what| Err(Invalid::Life { link: number, what });
    if link.expires_ms <= link.not_before_ms {
        return life("it ends before it begins");
    }
    if link.expires_ms - link.not_before_ms > limits::TOKEN_LIFE_MS_MAX {
        return life("it lives longer than any token may");
    }
    if link.renew_until_ms != 0 && link.renew_until_ms < link.expires_ms {
        return life("it can be renewed until before its end");
    }
    if let Some(what) = offends(&link.may) {
        return Err(Invalid::Duties { link: number, what });
    }
    if let Some(ceiling) = ceiling(&link.tier)
        && let Some(field) = ceiling.exceeded_by(&link.may)
    {
        return Err(Invalid::Ceiling {
            link: number,
            tier: ceiling.tier,
            field,
        });
    }
    Ok(())
}

fn first(link: &Link, roots: &[AgentId]) -> Result<(), Invalid> {
    if !roots.contains(&link.issuer) {
        return Err(Invalid::Root);
    }
    if link.parent != Digest::default() {
        return Err(Invalid::Parent {
            link: 1,
            what: "the first link has no parent",
        });
    }
    Ok(())
}

/// What a link takes from the one before it: never more than that one grants.
fn continues(number: usize, link: &Link, before: &Link, id: &Digest) -> Result<(), Invalid> {
    let parent = |what| Err(Invalid::Parent { link: number, what });
    if link.issuer != before.audience {
        return parent("its issuer is not the audience of that link");
    }
    if link.parent != *id {
        return parent("it names another link");
    }
    let life = |what| Err(Invalid::Life { link: number, what });
    if link.not_before_ms < before.not_before_ms || link.expires_ms > before.expires_ms {
        return life("it begins before or ends after the link before it");
    }
    if link.renew_until_ms > before.renew_until_ms {
        return life("it can be renewed for longer than the link before it");
    }
    if link.epoch != before.epoch {
        return Err(Invalid::Epoch {
            link: number,
            epoch: link.epoch,
            now: before.epoch,
        });
    }
    let widens = |field| {
        Err(Invalid::Widens {
            link: number,
            field,
        })
    };
    let Some(grant) = &before.grant else {
        return widens(Field::Grant);
    };
    if link.depth_left >= before.depth_left {
        return widens(Field::Depth);
    }
    if !grant.tiers.contains(&link.tier) {
        return widens(Field::Tier);
    }
    if let Some(field) = exceeds(&link.may, &grant.rights) {
        return widens(field);
    }
    match &link.grant {
        Some(next) => match grant_exceeds(next, grant) {
            Some(Field::GrantTiers) => widens(Field::GrantTiers),
            Some(_) => widens(Field::Grant),
            None => Ok(()),
        },
        None => Ok(()),
    }
}

/// Nobody is given something by a chain that it has given something in.
fn binding(number: usize, link: &Link, up_to: &[Link]) -> Result<(), Invalid> {
    if up_to.iter().any(|one| one.issuer == link.audience) {
        return Err(Invalid::Binding {
            link: number,
            what: "has issued a link of this chain itself",
        });
    }
    Ok(())
}
