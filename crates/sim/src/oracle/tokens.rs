//! Tokens that keep all rules which do not change with time, by `docs/protocol.md` ("Capability
//! tokens", "Renewals"): written without the product's own check. Only their form is left to the model.

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::capability::{Link, Renewal, SignedLink, Token};
use unisono_model::{AgentId, ClusterId, Digest};

use super::narrowing::{are_in_three_hands, is_below_ceiling, is_less, is_within};

/// The longest life of a link (ms): 400 days.
const LIFE_MS_MAX: u64 = 400 * 24 * 3_600_000;

/// A token that is one.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    /// The links with their names, from the root's on, as they count: by the renewal, where there is one.
    links: Vec<(Digest, Link)>,
    renewed: Option<Renewed>,
}

/// By what a token was renewed.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    /// The name of the renewal, and so of the token.
    id: Digest,
    /// Who has renewed it.
    pub(super) renewer: AgentId,
    /// The links that let it, with their issuers.
    pub(super) delegation: Vec<(Digest, AgentId)>,
}

impl Chain {
    /// Reads a token; nothing if it breaks a rule.
    pub(super) fn read(bytes: &[u8], cluster: ClusterId, roots: &[AgentId]) -> Option<Self> {
        let (token, links) = Token::decode(bytes).ok()?;
        let names = token.links.iter().map(SignedLink::id);
        let links: Vec<(Digest, Link)> = names.zip(links).collect();
        let (_, first) = links.first()?;
        let begins = roots.contains(&first.issuer) && first.parent == Digest::default();
        let alone = links.iter().all(|(_, link)| is_one(link, cluster));
        let mut pairs = links.windows(2);
        let narrows = pairs.all(|pair| pair[1].1.parent == pair[0].0 && follows(pair));
        let given_back = (0..links.len()).any(|last| gives_back(&links[..=last]));
        let mut signed = links.iter().zip(&token.links);
        let signed = signed.all(|((id, link), signed)| {
            StrictVerifier.verify(&link.issuer.0, id, &signed.signature)
        });
        let chain = Self {
            links,
            renewed: None,
        };
        if !(begins && alone && narrows && !given_back && signed) {
            return None;
        }
        let Some(renewal) = token.renewal().ok()? else {
            return Some(chain);
        };
        let last = token.links.last()?;
        let by_renewer = StrictVerifier.verify(&renewal.renewer.0, &last.id(), &last.signature);
        let delegation = Self::read(&renewal.delegation.0, cluster, roots)?;
        let counts = by_renewer
            && renewal.cluster == cluster
            && is_renewable(&renewal, &chain)
            && may_renew(&renewal, &chain, &delegation);
        counts.then(|| chain.renewed_by(renewal, last.id(), &delegation))
    }

    /// The links as they count by a renewal.
    fn renewed_by(mut self, renewal: Renewal, id: Digest, delegation: &Self) -> Self {
        let last = self.links.len() - 1;
        for (_, link) in &mut self.links[..last] {
            link.expires_ms = link.expires_ms.max(renewal.expires_ms);
        }
        let (_, leaf) = &mut self.links[last];
        leaf.not_before_ms = renewal.from_ms;
        leaf.expires_ms = renewal.expires_ms;
        leaf.grant = None;
        leaf.may = renewal.may.unwrap_or_else(|| leaf.may.clone());
        let delegation = delegation.links.iter();
        let delegation = delegation.map(|(id, link)| (*id, link.issuer));
        self.renewed = Some(Renewed {
            id,
            renewer: renewal.renewer,
            delegation: delegation.collect(),
        });
        self
    }

    /// The token's name.
    pub(super) fn id(&self) -> Digest {
        let renewed = self.renewed.as_ref().map(|renewed| renewed.id);
        renewed.unwrap_or(self.links[self.links.len() - 1].0)
    }

    /// What its audience may do.
    pub(super) fn leaf(&self) -> &Link {
        &self.links[self.links.len() - 1].1
    }

    /// All links with their names, from the root's on.
    pub(super) fn links(&self) -> &[(Digest, Link)] {
        &self.links
    }

    /// By what it was renewed, if it was.
    pub(super) fn renewed(&self) -> Option<&Renewed> {
        self.renewed.as_ref()
    }

    /// The tokens that it lays down: itself, and without a renewal what it begins with.
    pub(super) fn beginnings(&self) -> Vec<Self> {
        if self.renewed.is_some() {
            return vec![self.clone()];
        }
        let beginning = |end: usize| Self {
            links: self.links[..end].to_vec(),
            renewed: None,
        };
        (1..=self.links.len()).map(beginning).collect()
    }

    /// Whatever of it a fence of a link can name.
    pub(super) fn named(&self) -> impl Iterator<Item = Digest> {
        let links = self.links.iter().map(|(id, _)| *id);
        let renewal = self.renewed.iter().map(|renewed| renewed.id);
        links
            .chain(renewal)
            .chain(self.delegated().map(|(id, _)| id))
    }

    /// Who has issued a link of it, or of the delegation of its renewal.
    pub(super) fn issuers(&self) -> impl Iterator<Item = AgentId> {
        let links = self.links.iter().map(|(_, link)| link.issuer);
        links.chain(self.delegated().map(|(_, issuer)| issuer))
    }

    fn delegated(&self) -> impl Iterator<Item = (Digest, AgentId)> {
        let renewed = self.renewed.iter();
        renewed.flat_map(|renewed| renewed.delegation.iter().copied())
    }
}

/// What a link says of itself.
fn is_one(link: &Link, cluster: ClusterId) -> bool {
    let lives = link.not_before_ms < link.expires_ms
        && link.expires_ms - link.not_before_ms <= LIFE_MS_MAX
        && (link.renew_until_ms == 0 || link.renew_until_ms >= link.expires_ms);
    link.cluster == cluster
        && lives
        && are_in_three_hands(&link.may)
        && is_below_ceiling(&link.tier, &link.may)
}

/// Whether a link takes no more from the one before it than that one grants.
fn follows(pair: &[(Digest, Link)]) -> bool {
    let (before, next) = (&pair[0].1, &pair[1].1);
    let Some(grant) = &before.grant else {
        return false;
    };
    let lives = before.not_before_ms <= next.not_before_ms
        && next.expires_ms <= before.expires_ms
        && next.renew_until_ms <= before.renew_until_ms;
    let handed_on = next.grant.as_ref();
    next.issuer == before.audience
        && next.epoch == before.epoch
        && lives
        && next.depth_left < before.depth_left
        && grant.tiers.contains(&next.tier)
        && is_within(&next.may, &grant.rights)
        && handed_on.is_none_or(|handed_on| is_less(handed_on, grant))
}

/// Whether the last of some links is for somebody who has issued one of them.
fn gives_back(links: &[(Digest, Link)]) -> bool {
    let audience = links.last().map(|(_, link)| link.audience);
    links.iter().any(|(_, link)| Some(link.issuer) == audience)
}

/// Whether a renewal says of the token's last link no more than that one lets it.
fn is_renewable(renewal: &Renewal, chain: &Chain) -> bool {
    let leaf = chain.leaf();
    let life_ms = leaf.expires_ms - leaf.not_before_ms;
    let may = renewal.may.as_ref();
    renewal.renews == chain.id()
        && renewal.from_ms >= leaf.not_before_ms
        && renewal.expires_ms > renewal.from_ms
        && renewal.expires_ms - renewal.from_ms <= life_ms
        && renewal.expires_ms <= leaf.renew_until_ms
        && may.is_none_or(|may| is_within(may, &leaf.may))
}

/// Whether the delegation lets the renewer renew this token.
fn may_renew(renewal: &Renewal, chain: &Chain, delegation: &Chain) -> bool {
    let last = delegation.leaf();
    let of_renewer = last.audience == renewal.renewer && last.tier.word() == "renewer";
    let above = &delegation.links[..delegation.links.len() - 1];
    let shared = above.iter().zip(&chain.links);
    let passes = above.len() < chain.links.len() && shared.into_iter().all(|(a, b)| a.0 == b.0);
    let mut links = delegation.links.iter();
    let counts = links.all(|(_, link)| {
        link.not_before_ms <= renewal.from_ms && renewal.from_ms < link.expires_ms
    });
    let mut own = chain.links.iter();
    let has_hand = own.any(|(_, link)| [link.issuer, link.audience].contains(&renewal.renewer));
    of_renewer && last.epoch == chain.leaf().epoch && passes && counts && !has_hand
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: [&str; 3] = [
        include_str!("../../../core/tests/vectors/tokens-good.json"),
        include_str!("../../../core/tests/vectors/tokens-bad.json"),
        include_str!("../../../core/tests/vectors/tokens-renewed.json"),
    ];

    #[derive(serde::Deserialize)]
    struct Vector {
        name: String,
        token: String,
        enrolled: Option<String>,
        verdict: String,
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |place: usize| u8::from_str_radix(&hex[place..place + 2], 16);
        let bytes = (0..hex.len()).step_by(2).map(digit);
        let bytes: Result<Vec<u8>, _> = bytes.collect();
        bytes.expect("vectors are hexadecimal")
    }

    #[test]
    fn the_vectors_are_judged_alike_by_a_reading_of_the_documents() {
        let all = VECTORS.iter().map(|text| serde_json::from_str(text));
        let all: Result<Vec<Vec<Vector>>, _> = all.collect();
        let all = all.expect("vectors are lists");
        // The first one is good: its root is the cluster's.
        let (_, links) = Token::decode(&bytes(&all[0][0].token)).expect("a good token");
        let (cluster, root) = (links[0].cluster, links[0].issuer);
        let (mut good, mut bad) = (0, 0);
        for one in all.iter().flatten() {
            let is_token = Chain::read(&bytes(&one.token), cluster, &[root]).is_some();
            // What it breaks by the record's stamp, or its agent's enrolment, it is a token for.
            let by_record = one.verdict == "token_time" || one.enrolled.is_some();
            let wanted = one.verdict == "ok" || by_record;
            assert_eq!(is_token, wanted, "{}: {}", one.name, one.verdict);
            *(if wanted { &mut good } else { &mut bad }) += 1;
        }
        assert!(good >= 50 && bad >= 220, "{good} good, {bad} bad");
    }
}
