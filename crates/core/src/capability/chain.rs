//! Checking a chain, link by link.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::capability::{Grant, Link, SignedLink, Tier, Token};
use unisono_model::{AgentId, ClusterId, Digest, limits};

use super::Invalid;
use super::lattice::{Field, exceeds, grant_exceeds};
use super::tiers::{ceiling, offends};
use crate::context::Verifier;

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
    links: Vec<(Digest, Link)>,
}

impl Verified {
    /// The last link: what its audience may do.
    pub fn leaf(&self) -> &Link {
        // `verify` makes none without a link.
        &self.links[self.links.len() - 1].1
    }

    /// The token's name.
    pub fn id(&self) -> Digest {
        self.links[self.links.len() - 1].0
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
        let ends = 1..=self.links.len();
        ends.map(|end| Self {
            links: self.links[..end].to_vec(),
        })
        .collect()
    }

    /// Whether a revocation of this link ends the token.
    pub fn passes_through(&self, link: &Digest) -> bool {
        self.links.iter().any(|(id, _)| id == link)
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
    let (token, links) = chained(bytes, anchor.cluster, anchor.roots, usize::MAX)?;
    let verified = Verified {
        links: token.links.iter().map(SignedLink::id).zip(links).collect(),
    };
    verified.stands(anchor)?;
    signed(&token, &verified, verifier)?;
    Ok(verified)
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
    examine_to(bytes, cluster, roots, verifier, usize::MAX)
}

/// A planted fault: what the third link widens goes unnoticed.
pub(crate) fn examine_loosely(
    bytes: &[u8],
    cluster: ClusterId,
    roots: &[AgentId],
    verifier: &mut dyn Verifier,
) -> Result<Verified, Invalid> {
    examine_to(bytes, cluster, roots, verifier, 2)
}

fn examine_to(
    bytes: &[u8],
    cluster: ClusterId,
    roots: &[AgentId],
    verifier: &mut dyn Verifier,
    narrowed: usize,
) -> Result<Verified, Invalid> {
    let (token, links) = chained(bytes, cluster, roots, narrowed)?;
    let verified = Verified {
        links: token.links.iter().map(SignedLink::id).zip(links).collect(),
    };
    signed(&token, &verified, verifier)?;
    Ok(verified)
}

/// The links of a token that continue one another and widen nowhere, as far as that is looked at:
/// all of them, but for a planted fault.
fn chained(
    bytes: &[u8],
    cluster: ClusterId,
    roots: &[AgentId],
    narrowed: usize,
) -> Result<(Token, Vec<Link>), Invalid> {
    let (token, links) = Token::decode(bytes).map_err(Invalid::Malformed)?;
    for (index, link) in links.iter().enumerate() {
        let number = index + 1;
        itself(number, link, cluster)?;
        match index.checked_sub(1) {
            None => first(link, roots)?,
            Some(before) => {
                let id = token.links[before].id();
                match continues(number, link, &links[before], &id) {
                    Err(Invalid::Widens { .. }) if number > narrowed => {}
                    continued => continued?,
                }
            }
        }
        binding(number, link, &links[..=index])?;
    }
    Ok((token, links))
}

fn signed(token: &Token, verified: &Verified, verifier: &mut dyn Verifier) -> Result<(), Invalid> {
    for (index, (signed, (id, link))) in token.links.iter().zip(&verified.links).enumerate() {
        if !verifier.verify(&link.issuer.0, id, &signed.signature) {
            return Err(Invalid::Signature { link: index + 1 });
        }
    }
    Ok(())
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
