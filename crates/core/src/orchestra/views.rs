//! Views of the cluster: who belongs to it, agreed on by those who do.
//!
//! A view is a list of members. It is installed when all whom it lists have cast the same vote and
//! more than half of the view that it follows are among them, at the highest stamp of those votes.
//! Votes only add up: a vote that comes late can install one more view, never undo one. That, and
//! the end of all leases one longest lease after each view that leaves somebody out, is what makes
//! confirmed claims final; `docs/protocol.md` has the argument. The shape is that of virtual
//! synchrony (Birman and Joseph, 1987): survivors agree on a set, not on one failure at a time.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Digest, NodeId, Place, Stamp, ViewVote};

use super::leaves::{Leaves, Since, Voted};

/// The fold over votes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Views {
    proposals: BTreeMap<Digest, Proposal>,
    /// Derived, in order of installation.
    #[serde(skip)]
    installed: Vec<Installed>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Proposal {
    vote: ViewVote,
    /// Each voter's first vote for it.
    cast: BTreeMap<NodeId, Place>,
}

/// A view that holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installed {
    /// Its name.
    pub id: Digest,
    /// From this stamp on, whoever it leaves out takes no topic.
    pub at: Stamp,
    /// What was voted.
    pub vote: ViewVote,
    /// When each member cast its vote: what a member says after that is said inside this view.
    pub cast: BTreeMap<NodeId, Place>,
}

impl Views {
    /// Takes in a vote.
    pub fn insert(&mut self, voter: NodeId, place: Place, vote: &ViewVote) {
        let proposal = self.proposals.entry(vote.id()).or_insert_with(|| Proposal {
            vote: vote.clone(),
            cast: BTreeMap::new(),
        });
        let first = proposal.cast.entry(voter).or_insert(place);
        *first = (*first).min(place);
    }

    /// Finds out which views hold, starting from the founder alone. Of each view those count who have
    /// not left since.
    pub fn derive(&mut self, founder: NodeId, leaves: &Leaves) {
        self.installed.clear();
        let mut lists: BTreeMap<Digest, Vec<(NodeId, Since)>> = BTreeMap::new();
        lists.insert(ViewVote::GENESIS, alloc::vec![(founder, Since::Ever)]);
        loop {
            let next = self.proposals.iter().find(|(id, proposal)| {
                let base = lists.get(&proposal.vote.base);
                !lists.contains_key(*id) && base.is_some_and(|base| proposal.holds(base, leaves))
            });
            let Some((id, proposal)) = next else { break };
            lists.insert(*id, listed(&proposal.vote, &proposal.cast).collect());
            self.installed.push(Installed {
                id: *id,
                at: proposal.at(),
                vote: proposal.vote.clone(),
                cast: proposal.cast.clone(),
            });
        }
        self.installed.sort_by_key(|view| (view.at, view.id));
    }

    /// All views that hold, in order of installation.
    pub fn installed(&self) -> &[Installed] {
        &self.installed
    }

    /// The view that the next one follows, with its members; none before the first.
    pub fn latest(&self) -> Option<&Installed> {
        self.installed.last()
    }

    /// Every proposal with who has voted for it and when.
    pub fn votes(&self) -> impl Iterator<Item = (&ViewVote, &BTreeMap<NodeId, Place>)> {
        let proposals = self.proposals.values();
        proposals.map(|proposal| (&proposal.vote, &proposal.cast))
    }
}

impl Installed {
    /// Whom it lists, each since its vote.
    pub fn listed(&self) -> impl Iterator<Item = (NodeId, Since)> {
        listed(&self.vote, &self.cast)
    }
}

fn listed<'a>(
    vote: &'a ViewVote,
    cast: &'a BTreeMap<NodeId, Place>,
) -> impl Iterator<Item = (NodeId, Since)> + 'a {
    let voters = vote.members.iter();
    voters.filter_map(|node| Some((*node, Since::Vote(*cast.get(node)?))))
}

impl Proposal {
    /// Whether all members have voted, and more than half of the view before are among them.
    fn holds(&self, base: &[(NodeId, Since)], leaves: &Leaves) -> bool {
        let voted = |node: &NodeId| match self.cast.get(node) {
            Some(place) if self.vote.members.contains(node) => Voted::At(*place),
            _ => Voted::Not,
        };
        let mut members = self.vote.members.iter();
        members.all(|node| self.cast.contains_key(node))
            && leaves.carried_by(base.iter().copied(), &voted)
    }

    /// The highest of the members' votes.
    fn at(&self) -> Stamp {
        let members = self.vote.members.iter();
        let places = members.filter_map(|node| self.cast.get(node));
        places.map(|place| place.stamp).max().unwrap_or(Stamp::MIN)
    }
}
