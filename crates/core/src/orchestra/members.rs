//! Who belongs to the cluster: a fold over the cluster's own orchestra.
//!
//! A removal needs the votes of a majority of the members, and takes effect one longest lease after
//! the vote that made it one. Records of the removed log that are stamped from that vote on are
//! late: they stand, but take and keep no topic. `docs/protocol.md` has the argument why no two
//! sides can confirm one topic.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, Admit, Incarnation, LogId, NodeId, Place, Stamp};

use super::claims::Lateness;
use super::fact::Fact;

/// The fold over admissions and votes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Members {
    admissions: BTreeMap<NodeId, BTreeMap<Incarnation, BTreeMap<Place, Admit>>>,
    votes: BTreeMap<(NodeId, Incarnation), BTreeMap<NodeId, Place>>,
    /// Derived: when each voted-out life stopped counting.
    #[serde(skip)]
    removals: BTreeMap<(NodeId, Incarnation), Removal>,
}

/// The end of a member's life in the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// Lives up to this one are removed.
    pub up_to: Incarnation,
    /// The vote that made it a majority: from here on its records are late.
    pub cut: Stamp,
    /// From here on it is not waited for.
    pub effective: Stamp,
}

/// A member.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Who, where, in which life.
    pub admit: &'a Admit,
    /// When it was admitted first.
    pub since: Stamp,
    /// When this life was admitted.
    pub life_since: Stamp,
    /// Its removal, where a majority has voted it.
    pub removal: Option<Removal>,
}

impl Members {
    /// Takes in a record. Only nodes may speak here, each in a log of its own.
    pub fn insert(&mut self, fact: &Fact, lease_ms_max: u64) {
        if fact.agent.0 != fact.log.node.0 {
            return;
        }
        match &fact.body.action {
            Action::Admit(admit) => {
                let lives = self.admissions.entry(admit.node).or_default();
                lives
                    .entry(admit.incarnation)
                    .or_default()
                    .insert(fact.place, admit.clone());
            }
            Action::VoteRemoval(vote) => {
                let votes = self.votes.entry((vote.node, vote.incarnation)).or_default();
                let first = votes.entry(fact.log.node).or_insert(fact.place);
                *first = (*first).min(fact.place);
            }
            _ => return,
        }
        self.derive(lease_ms_max);
    }

    /// Derives the removals again, after loading or after a new record.
    pub fn derive(&mut self, lease_ms_max: u64) {
        self.removals.clear();
        // Votes count one after the other in the order of everything, each against the members of
        // its time, so that every replica with the same votes has the same removals.
        let mut cast: Vec<(Place, NodeId, NodeId, Incarnation)> = Vec::new();
        for ((node, incarnation), votes) in &self.votes {
            for (voter, place) in votes {
                cast.push((*place, *voter, *node, *incarnation));
            }
        }
        cast.sort_unstable();
        // A voter is engaged to its first undecided vote: a majority for one removal and one for
        // another share a voter, so no replica can see the second without the first, and nothing
        // that comes late can undo a removal.
        let mut engaged: BTreeMap<NodeId, (NodeId, Incarnation)> = BTreeMap::new();
        let mut tally: BTreeMap<(NodeId, Incarnation), BTreeSet<NodeId>> = BTreeMap::new();
        for (place, voter, node, incarnation) in cast {
            let electorate: BTreeSet<NodeId> = self.electorate(place.stamp);
            if !electorate.contains(&voter) || !electorate.contains(&node) {
                continue;
            }
            let target = (node, incarnation);
            if *engaged.entry(voter).or_insert(target) != target {
                continue;
            }
            let votes = tally.entry(target).or_default();
            votes.insert(voter);
            let removed = self.removal_of(&node, incarnation).is_some();
            if votes.len() * 2 > electorate.len() && !removed {
                let effective = place.stamp.plus_ms(lease_ms_max);
                let removal = Removal {
                    up_to: incarnation,
                    cut: place.stamp,
                    effective,
                };
                self.removals.insert(target, removal);
                engaged.retain(|_, to| *to != target);
            }
        }
    }

    fn electorate(&self, at: Stamp) -> BTreeSet<NodeId> {
        let admitted = self.admissions.iter().filter(|(node, lives)| {
            let since = lives
                .values()
                .flat_map(|places| places.keys())
                .map(|p| p.stamp)
                .min();
            let life = lives
                .iter()
                .rev()
                .find(|(_, places)| places.keys().any(|p| p.stamp <= at));
            let gone = life.is_some_and(|(life, _)| {
                self.removal_of(node, *life)
                    .is_some_and(|removal| removal.cut < at)
            });
            since.is_some_and(|since| since <= at) && !gone
        });
        admitted.map(|(node, _)| *node).collect()
    }

    /// The members admitted up to a stamp, the removed ones among them.
    pub fn all(&self, at: Stamp) -> Vec<Member<'_>> {
        let mut members = Vec::new();
        for (node, lives) in &self.admissions {
            let seen = |places: &BTreeMap<Place, Admit>| {
                places
                    .first_key_value()
                    .is_some_and(|(place, _)| place.stamp <= at)
            };
            let Some((life, places)) = lives.iter().rev().find(|(_, places)| seen(places)) else {
                continue;
            };
            let Some((first, _)) = places.first_key_value() else {
                continue;
            };
            let Some((_, admit)) = places.range(..=Place::end_of(at)).next_back() else {
                continue;
            };
            let since = lives
                .values()
                .filter_map(|p| p.first_key_value())
                .map(|(p, _)| p.stamp);
            members.push(Member {
                admit,
                since: since.min().unwrap_or(first.stamp),
                life_since: first.stamp,
                removal: self.removal_of(node, *life),
            });
        }
        members
    }

    /// The removal that ended a life, if any.
    pub fn removal_of(&self, node: &NodeId, life: Incarnation) -> Option<Removal> {
        let ((removed, _), removal) = self.removals.range((*node, life)..).next()?;
        (removed == node).then_some(*removal)
    }

    /// Whether a life may count as a member's: admitted, and not at or below a removed one.
    pub fn is_member(&self, node: &NodeId, incarnation: Incarnation) -> bool {
        let admitted = self
            .admissions
            .get(node)
            .is_some_and(|lives| lives.contains_key(&incarnation));
        admitted && self.removal_of(node, incarnation).is_none()
    }

    /// Who has voted for the removal of this life.
    pub fn votes(&self, node: NodeId, incarnation: Incarnation) -> BTreeSet<NodeId> {
        let votes = self.votes.get(&(node, incarnation));
        votes
            .into_iter()
            .flat_map(|votes| votes.keys().copied())
            .collect()
    }

    /// Whether anybody was ever admitted.
    pub fn is_empty(&self) -> bool {
        self.admissions.is_empty()
    }
}

impl Lateness for Members {
    fn is_late(&self, log: &LogId, stamp: Stamp) -> bool {
        self.removal_of(&log.node, log.incarnation)
            .is_some_and(|removal| stamp >= removal.cut)
    }
}
