//! What invites have come to, naively: from the list of records, with what is signed and compared laid
//! out anew from `docs/protocol.md`.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::{
    Action, AuthorityId, ClusterId, Digest, InviteKey, InviteUse, InviteWord, NodeId, Place,
    SuccessionWord,
};

use super::logs::Fact;

/// How long an invite lets somebody in after it was made known (ms): four weeks.
const LIFE_MS: u64 = 28 * 24 * 3_600 * 1_000;
/// So long after its end a use may be said (ms).
const LATE_MS: u64 = 60_000;

/// What invites have come to.
#[derive(Clone, Debug, Default)]
pub struct Invited {
    /// Until when each lets somebody in (ms), and whom it has let in.
    pub standing: BTreeMap<InviteKey, (Option<u64>, Option<NodeId>)>,
    /// Who came by a use that does not count.
    pub outdone: BTreeSet<NodeId>,
    /// Nodes of which some life has said its last word.
    pub left: BTreeSet<NodeId>,
    /// How many invites were made known.
    pub made: u64,
    /// How many uses count or would, but for others.
    pub uses: u64,
    /// How many invites have let in two.
    pub twice: u64,
}

/// What the records of the cluster's own orchestra say of invites.
pub fn invited(
    facts: &[&Fact],
    cluster: ClusterId,
    founder: NodeId,
    founding: AuthorityId,
) -> Invited {
    let words: Vec<SuccessionWord> = facts
        .iter()
        .filter_map(|fact| match &fact.body.action {
            Action::Succeed(succession) => Some(succession.word),
            _ => None,
        })
        .collect();
    let speaks =
        |authority: &AuthorityId, place: &Place| speaks(&words, founding, authority, place);
    let mut all = Invited::default();
    let came = admitted(facts, founder);
    let mut uses: BTreeMap<InviteKey, Vec<Use>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.agent.0 == fact.log.node.0) {
        match &fact.body.action {
            Action::Invite(word) if speaks(&word.authority, &fact.place) => {
                let ends_ms = word.expires_ms.min(fact.place.stamp.as_ms() + LIFE_MS);
                let (known_ms, _) = all.standing.entry(word.invite).or_default();
                *known_ms = Some(known_ms.unwrap_or(ends_ms).min(ends_ms));
                all.made += 1;
            }
            // The founder came by none.
            Action::InviteUsed(word) if word.node == founder => {}
            Action::InviteUsed(word) if speaks(&word.authority, &fact.place) => {
                uses.entry(word.invite).or_default().push(Use {
                    rank: rank(word, cluster),
                    node: word.node,
                    at_ms: fact.place.stamp.as_ms(),
                });
                all.uses += 1;
            }
            Action::Leave(leave) if leave.last => drop(all.left.insert(fact.log.node)),
            _ => {}
        }
    }
    for (invite, mut uses) in uses {
        let (expires_ms, used_by) = all.standing.entry(invite).or_default();
        let first_ms = uses.iter().map(|one| one.at_ms).min().unwrap_or(0);
        let ends_ms = expires_ms.unwrap_or(first_ms + LIFE_MS);
        uses.retain(|one| one.at_ms <= ends_ms + LATE_MS);
        uses.sort_by_key(|one| one.rank);
        let first = uses.first().map(|one| one.node);
        let winner = uses.iter().find(|one| came.contains(&one.node));
        let winner = winner.map(|one| one.node);
        *used_by = winner.or(first);
        let others = uses.iter().map(|one| one.node);
        let others = others.filter(|node| winner.is_some_and(|winner| winner != *node));
        let others: BTreeSet<NodeId> = others.collect();
        all.twice += u64::from(!others.is_disjoint(&came));
        all.outdone.extend(others);
    }
    all
}

/// A use whose word counts.
#[derive(Clone, Copy, Debug)]
struct Use {
    rank: Digest,
    node: NodeId,
    at_ms: u64,
}

/// The nodes that were ever admitted by somebody who was.
fn admitted(facts: &[&Fact], founder: NodeId) -> BTreeSet<NodeId> {
    let mut all = BTreeSet::from([founder]);
    loop {
        let known = all.len();
        for fact in facts.iter().filter(|fact| fact.agent.0 == fact.log.node.0) {
            if let Action::Admit(admit) = &fact.body.action
                && all.contains(&fact.log.node)
            {
                all.insert(admit.node);
            }
        }
        if all.len() == known {
            return all;
        }
    }
}

/// Whether an authority was one of the cluster's at a stamp. It ends when the first word about one above
/// it says so.
fn speaks(
    words: &[SuccessionWord],
    founding: AuthorityId,
    authority: &AuthorityId,
    place: &Place,
) -> bool {
    let named = words.iter().map(|word| (word.number, word.authority));
    let mut ranks = named.chain([(0, founding)]);
    ranks.any(|(number, key)| {
        let above = |word: &&SuccessionWord| (word.number, word.authority) > (number, key);
        let ended = |word: &SuccessionWord| place.stamp.as_ms() >= word.former_until_ms;
        key == *authority && !words.iter().filter(above).any(ended)
    })
}

/// Whether the authority that it names has signed what a record says of an invite; yes, where it says
/// nothing of one.
pub(super) fn is_signed(action: &Action, cluster: ClusterId) -> bool {
    let (authority, proof, signature) = match action {
        Action::Invite(word) => (word.authority, made_proof(word, cluster), word.signature),
        Action::InviteUsed(word) => (word.authority, use_proof(word, cluster), word.signature),
        _ => return true,
    };
    StrictVerifier.verify(&authority.0, &proof, &signature)
}

fn made_proof(word: &InviteWord, cluster: ClusterId) -> Digest {
    let until = word.expires_ms.to_le_bytes();
    let parts: [&[u8]; 5] = [
        &cluster.0,
        &word.invite.0,
        &until,
        &word.maker.0,
        &word.authority.0,
    ];
    Digest::of("unisono/invite/v1", &parts)
}

fn use_proof(word: &InviteUse, cluster: ClusterId) -> Digest {
    let parts: [&[u8]; 5] = [
        &cluster.0,
        &word.invite.0,
        &word.node.0,
        &word.issuer.0,
        &word.authority.0,
    ];
    Digest::of("unisono/invite-use/v1", &parts)
}

fn rank(word: &InviteUse, cluster: ClusterId) -> Digest {
    let (proof, signature) = (use_proof(word, cluster), word.signature.to_bytes());
    Digest::of("unisono/invite-use-rank/v1", &[&proof.0, &signature])
}
