//! What a renewal may say: the same or less, for no longer at a time than before, and never beyond
//! what the issuers of the links have let it be renewed until.

use unisono_model::capability::{Link, Renewal};
use unisono_model::{ClusterId, Digest};

use super::{Invalid, Renewed, Strictness, Verified};
use crate::capability::lattice::exceeds;

/// Whether a renewal renews these links, by a delegation that lets it.
pub(super) fn check(
    renewal: &Renewal,
    links: &Verified,
    delegation: &Verified,
    cluster: ClusterId,
    strictness: Strictness,
) -> Result<(), Invalid> {
    let number = links.links().len() + 1;
    let refused = |what| Err(Invalid::Renewal { what });
    if renewal.cluster != cluster {
        return Err(Invalid::Cluster { link: number });
    }
    if renewal.renews != links.id() {
        return refused("it renews another token");
    }
    let leaf = links.leaf();
    if renewal.from_ms < leaf.not_before_ms || renewal.expires_ms <= renewal.from_ms {
        return refused("it begins before the link that it renews, or ends before it begins");
    }
    if renewal.expires_ms - renewal.from_ms > leaf.expires_ms - leaf.not_before_ms {
        return refused("it lives longer than the link that it renews did at first");
    }
    // No link lets a later one be renewed for longer than itself.
    if renewal.expires_ms > leaf.renew_until_ms && strictness.renewal_ends {
        return refused("it ends after the time until which the token may be renewed");
    }
    if let Some(may) = &renewal.may
        && let Some(field) = exceeds(may, &leaf.may)
    {
        return Err(Invalid::Widens {
            link: number,
            field,
        });
    }
    delegated(renewal, links, delegation)
}

/// Whether the delegation lets the renewer renew this token: by a root, every one; by anybody else,
/// those that pass through the same links as it does itself.
fn delegated(renewal: &Renewal, links: &Verified, delegation: &Verified) -> Result<(), Invalid> {
    let refused = |what| Err(Invalid::Renewal { what });
    let last = delegation.leaf();
    if last.audience != renewal.renewer {
        return refused("its delegation is for another key than the one that signs it");
    }
    if !last.tier.is_renewer() {
        return refused("its delegation is a token of another tier than the renewer's");
    }
    if last.epoch != links.leaf().epoch {
        return refused("its delegation is of another epoch");
    }
    let (_, above) = delegation
        .links()
        .split_last()
        .unwrap_or((&delegation.links()[0], &[]));
    let below = links.links().len() > above.len();
    if !below
        || !above
            .iter()
            .zip(links.links())
            .all(|(one, other)| one.0 == other.0)
    {
        return refused("whoever has delegated it has issued no link of this token");
    }
    let in_time = |link: &Link| (link.not_before_ms..link.expires_ms).contains(&renewal.from_ms);
    if !delegation.links().iter().all(|(_, link)| in_time(link)) {
        return refused("its delegation did not count when it was made");
    }
    let hand = |link: &Link| link.audience == renewal.renewer || link.issuer == renewal.renewer;
    if links.links().iter().any(|(_, link)| hand(link)) {
        return refused("nobody renews what they issued or hold");
    }
    Ok(())
}

/// The links as they count by the renewal.
pub(super) fn apply(renewal: Renewal, links: &mut Verified, id: Digest, delegation: &Verified) {
    for (_, link) in &mut links.links {
        link.expires_ms = link.expires_ms.max(renewal.expires_ms);
    }
    if let Some((_, leaf)) = links.links.last_mut() {
        leaf.not_before_ms = renewal.from_ms;
        leaf.expires_ms = renewal.expires_ms;
        // It is renewed from its links, and hands nothing on: for that its links are good.
        leaf.grant = None;
        if let Some(may) = renewal.may {
            leaf.may = may;
        }
    }
    let delegation = delegation.links().iter();
    links.renewed = Some(Renewed {
        id,
        renewer: renewal.renewer,
        delegation: delegation.map(|(id, link)| (*id, link.issuer)).collect(),
    });
}
