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
    /// Lives that left of their own accord.
    left: BTreeSet<LogId>,
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
        let named = |view: &&View| !self.left.contains(log) || view.vote.removed.contains(log);
        let without = self.views.iter().filter(named);
        let without = without.filter(|view| !self.stays(log, view));
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
                farewells.push((fact.place, fact.log, leave.staying.clone()));
                removals.left.insert(fact.log);
            }
            _ => {}
        }
    }
    removals.admissions = grounded(&removals.admissions, founder);
    let first = (ViewVote::GENESIS, vec![(founder, Since::Ever)]);
    let mut open: Vec<(Digest, Vec<(NodeId, Since)>)> = vec![first];
    while let Some((base, before)) = open.pop() {
        for (vote, cast) in votes.iter().filter(|(vote, _)| vote.base == base) {
            let listed = |voter: &&(NodeId, Place)| vote.members.contains(&voter.0);
            let voters: Vec<(NodeId, Place)> = cast.iter().filter(listed).copied().collect();
            let all = voters.len() == vote.members.len();
            if !all || !is_most(&voters, before.clone(), &farewells, farewells.len()) {
                continue;
            }
            let at = voters.iter().map(|(_, place)| place.stamp).max();
            removals.views.push(View {
                at: at.unwrap_or(Stamp::MIN),
                vote: vote.clone(),
                cast: cast.clone(),
            });
            let since = voters
                .iter()
                .map(|(node, place)| (*node, Since::Vote(*place)));
            open.push((vote.id(), since.collect()));
        }
    }
    removals
}

/// The admissions that count: by the founder, or by somebody whom one of these admits.
fn grounded(all: &[(Place, LogId, LogId)], founder: NodeId) -> Vec<(Place, LogId, LogId)> {
    let mut known = BTreeSet::from([founder]);
    loop {
        let counts = all.iter().filter(|(.., by)| known.contains(&by.node));
        let counts: Vec<_> = counts.copied().collect();
        let before = known.len();
        known.extend(counts.iter().map(|(_, whom, _)| whom.node));
        if known.len() == before {
            return counts;
        }
    }
}

/// When a life left of its own accord, and to whom it left the cluster.
type Farewell = (Place, LogId, Vec<LogId>);

/// From when on a node on a list must have stayed.
#[derive(Clone, Copy)]
enum Since {
    Ever,
    Vote(Place),
    Life(LogId),
}

/// Whether voters are more than half of a list. Who left counts where it had voted before, and is
/// missed nowhere; where all have left, their heirs count.
fn is_most(
    votes: &[(NodeId, Place)],
    list: Vec<(NodeId, Since)>,
    farewells: &[Farewell],
    turns: usize,
) -> bool {
    let gone = |node: &NodeId, since: &Since| {
        let own = farewells.iter().filter(|(_, life, _)| life.node == *node);
        let meant = own.filter(|(place, life, _)| match since {
            Since::Ever => true,
            Since::Vote(vote) => place > vote,
            Since::Life(meant) => life == meant,
        });
        meant.min_by_key(|(place, ..)| *place)
    };
    let (mut yes, mut no, mut left) = (0, 0, Vec::new());
    for (node, since) in &list {
        let vote = votes.iter().find(|(voter, _)| voter == node);
        let farewell = gone(node, since);
        left.extend(farewell);
        match (vote, farewell) {
            (Some(_), None) => yes += 1,
            (Some((_, vote)), Some((place, ..))) if vote < place => yes += 1,
            (None, None) => no += 1,
            _ => {}
        }
    }
    if yes > no || turns == 0 || left.len() < list.len() {
        return yes > no;
    }
    let last = left.iter().max_by_key(|(place, ..)| *place);
    last.is_some_and(|(_, _, heirs)| {
        let heirs = heirs.iter().map(|life| (life.node, Since::Life(*life)));
        is_most(votes, heirs.collect(), farewells, turns - 1)
    })
}
