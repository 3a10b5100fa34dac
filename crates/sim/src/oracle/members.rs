//! Which lives of nodes were voted out, and when, naively.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, Incarnation, LogId, NodeId, Stamp};

use super::logs::Fact;

/// When each removed life stopped counting: the vote that made a majority.
#[derive(Clone, Debug, Default)]
pub struct Removals(BTreeMap<(NodeId, Incarnation), Stamp>);

impl Removals {
    /// From which stamp on records of this log are late.
    pub fn cut(&self, log: &LogId) -> Option<Stamp> {
        let same = self
            .0
            .iter()
            .filter(|((node, life), _)| *node == log.node && *life >= log.incarnation);
        same.map(|(_, cut)| *cut).next()
    }

    /// How many lives were removed.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

/// The removals that the votes among these facts (of the cluster's own orchestra) amount to.
pub fn removals(facts: &[&Fact]) -> Removals {
    let mut removals = Removals::default();
    let mut admitted: Vec<(Stamp, NodeId, Incarnation)> = Vec::new();
    let mut tally: BTreeMap<(NodeId, Incarnation), BTreeSet<NodeId>> = BTreeMap::new();
    for fact in facts.iter().filter(|fact| fact.agent.0 == fact.log.node.0) {
        match &fact.body.action {
            Action::Admit(admit) => {
                admitted.push((fact.place.stamp, admit.node, admit.incarnation));
            }
            Action::VoteRemoval(vote) => {
                let electorate = electorate(&admitted, &removals, fact.place.stamp);
                let voter = fact.log.node;
                if !electorate.contains(&voter) || !electorate.contains(&vote.node) {
                    continue;
                }
                let life = (vote.node, vote.incarnation);
                let votes = tally.entry(life).or_default();
                votes.insert(voter);
                let log = LogId {
                    node: vote.node,
                    incarnation: vote.incarnation,
                };
                if votes.len() * 2 > electorate.len() && removals.cut(&log).is_none() {
                    removals.0.insert(life, fact.place.stamp);
                }
            }
            _ => {}
        }
    }
    removals
}

/// Everybody whose latest life so far is not removed.
fn electorate(
    admitted: &[(Stamp, NodeId, Incarnation)],
    removals: &Removals,
    at: Stamp,
) -> BTreeSet<NodeId> {
    let mut latest: BTreeMap<NodeId, Incarnation> = BTreeMap::new();
    for (_, node, life) in admitted.iter().filter(|(since, _, _)| *since <= at) {
        let known = latest.entry(*node).or_insert(*life);
        *known = (*known).max(*life);
    }
    let stays = |(node, incarnation): &(&NodeId, &Incarnation)| {
        let log = LogId {
            node: **node,
            incarnation: **incarnation,
        };
        removals.cut(&log).is_none_or(|cut| cut >= at)
    };
    latest.iter().filter(stays).map(|(node, _)| *node).collect()
}
