//! Which views of the cluster hold, and whom they leave out, naively: every question is answered
//! from the list of records, again and again.

use std::collections::BTreeSet;

use unisono_model::{Action, Digest, LogId, NodeId, Place, Stamp, ViewVote};

use super::logs::Fact;

/// Who was left out of the cluster, and when.
#[derive(Clone, Debug, Default)]
pub struct Removals {
    /// Admissions: when, whom, by which life.
    admissions: Vec<(Place, LogId, LogId)>,
    views: Vec<View>,
}

#[derive(Clone, Debug)]
struct View {
    at: Stamp,
    vote: ViewVote,
    /// Who voted for it, and when first.
    cast: Vec<(NodeId, Place)>,
}

impl Removals {
    /// From which stamp on records of this log are late.
    pub fn cut(&self, log: &LogId) -> Option<Stamp> {
        let without = self.views.iter().filter(|view| !self.stays(log, view));
        without.map(|view| view.at).min()
    }

    /// The first end of all leases after a stamp.
    pub fn fence_after(&self, stamp: Stamp, lease_ms_max: u64) -> Option<Stamp> {
        let removing = self
            .views
            .iter()
            .filter(|view| !view.vote.removed.is_empty());
        let fences = removing.map(|view| view.at.plus_ms(lease_ms_max));
        fences.filter(|fence| *fence > stamp).min()
    }

    /// How many lives were removed.
    pub fn count(&self) -> usize {
        let lives: BTreeSet<LogId> = self.admissions.iter().map(|(_, life, _)| *life).collect();
        lives.iter().filter(|life| self.cut(life).is_some()).count()
    }

    /// How many views hold.
    pub fn views(&self) -> usize {
        self.views.len()
    }

    /// Whether a life belongs to a view: listed, or admitted from inside it, then or in an earlier
    /// life of its node. Goes from whoever was admitted to whoever admitted it, until somebody who
    /// is listed had voted by then.
    fn stays(&self, life: &LogId, view: &View) -> bool {
        let listed = |node: &NodeId| view.vote.members.contains(node);
        if listed(&life.node) {
            return true;
        }
        let (mut open, mut asked) = (vec![*life], BTreeSet::new());
        while let Some(life) = open.pop() {
            if !asked.insert(life) {
                continue;
            }
            let lives = self.admissions.iter().filter(|(_, whom, by)| {
                whom.node == life.node
                    && whom.incarnation <= life.incarnation
                    && by.node != life.node
            });
            for (place, _, by) in lives {
                if !listed(&by.node) {
                    open.push(*by);
                    continue;
                }
                let cast = view.cast.iter().find(|(voter, _)| *voter == by.node);
                if cast.is_some_and(|(_, cast)| place > cast) {
                    return true;
                }
            }
        }
        false
    }
}

/// What the admissions and votes among these facts (of the cluster's own orchestra) amount to.
pub fn removals(facts: &[&Fact], founder: NodeId) -> Removals {
    let mut removals = Removals::default();
    let mut votes: Vec<(ViewVote, Vec<(NodeId, Place)>)> = Vec::new();
    let mut farewells: Vec<Farewell> = Vec::new();
    for fact in facts.iter().filter(|fact| fact.agent.0 == fact.log.node.0) {
        match &fact.body.action {
            Action::Admit(admit) => {
                let life = LogId {
                    node: admit.node,
                    incarnation: admit.incarnation,
                };
                removals.admissions.push((fact.place, life, fact.log));
            }
            Action::VoteView(vote) => {
                let index = votes.iter().position(|(known, _)| known == vote);
                let index = index.unwrap_or_else(|| {
                    votes.push((vote.clone(), Vec::new()));
                    votes.len() - 1
                });
                let cast = &mut votes[index].1;
                if !cast.iter().any(|(voter, _)| *voter == fact.log.node) {
                    cast.push((fact.log.node, fact.place));
                }
            }
            Action::Leave(leave) if leave.last => {
                farewells.push((fact.place, fact.log.node, leave.staying.clone()));
            }
            _ => {}
        }
    }
    let first = (ViewVote::GENESIS, vec![(founder, None)]);
    let mut open: Vec<(Digest, Vec<(NodeId, Option<Place>)>)> = vec![first];
    while let Some((base, before)) = open.pop() {
        for (vote, cast) in votes.iter().filter(|(vote, _)| vote.base == base) {
            let nodes = &vote.members;
            let voted = |node: &NodeId| cast.iter().find(|(voter, _)| voter == node);
            let places: Option<Vec<Place>> = nodes
                .iter()
                .map(|node| voted(node).map(|(_, place)| *place))
                .collect();
            let Some(places) = places.filter(|_| is_most(nodes, before.clone(), &farewells)) else {
                continue;
            };
            let at = places.iter().map(|place| place.stamp).max();
            removals.views.push(View {
                at: at.unwrap_or(Stamp::MIN),
                vote: vote.clone(),
                cast: cast.clone(),
            });
            let cast = nodes
                .iter()
                .map(|node| voted(node).map(|(_, place)| *place));
            open.push((vote.id(), nodes.iter().copied().zip(cast).collect()));
        }
    }
    removals
}

/// When a node left of its own accord, and to whom it left the cluster.
type Farewell = (Place, NodeId, Vec<NodeId>);

/// Whether some nodes are more than half of a list, without those of it that left after their place
/// there and are not among them; of the heirs, where all of the list have left.
fn is_most(nodes: &[NodeId], of: Vec<(NodeId, Option<Place>)>, farewells: &[Farewell]) -> bool {
    let first = |node: &NodeId, since: &Option<Place>| {
        let own = farewells.iter().filter(|(_, who, _)| who == node);
        let later = own.filter(|(place, ..)| since.is_none_or(|since| *place > since));
        later.min_by_key(|(place, ..)| *place)
    };
    let yes = of.iter().filter(|(node, _)| nodes.contains(node)).count();
    let no = of
        .iter()
        .filter(|(node, since)| !nodes.contains(node) && first(node, since).is_none())
        .count();
    let gone: Vec<_> = of
        .iter()
        .filter_map(|(node, since)| first(node, since))
        .collect();
    match gone.iter().max_by_key(|(place, ..)| *place) {
        _ if yes > no => true,
        Some((place, _, heirs)) if gone.len() == of.len() => {
            let heirs = heirs.iter().map(|node| (*node, Some(*place)));
            is_most(nodes, heirs.collect(), farewells)
        }
        _ => false,
    }
}
