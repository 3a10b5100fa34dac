//! Who belongs to the cluster: a fold over the cluster's own orchestra.
//!
//! Members are admitted one by one. They leave by a view that does not list them
//! ([`super::views`]): from the stamp of that view on their records are late, that is, they stand,
//! but take and keep no topic; one longest lease later they are waited for no longer, and every
//! lease from before has ended. Or they leave by their own word ([`super::leaves`]), and nothing of
//! theirs ends.
//!
//! Whose word counts is a fixpoint: the founder's does, and that of whoever was admitted by a word
//! that counts. A certificate alone makes nobody a member, nor does a node's own word.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    Action, Admit, Digest, Expulsion, Incarnation, LogId, NodeId, Place, Stamp, ViewVote,
};

use super::FoldRules;
use super::authorities::Authorities;
use super::claims::Standing;
use super::expulsions::Expelled;
use super::fact::Fact;
pub use super::footing::{Footing, Ground};
use super::invites::Invites;
use super::leaves::{LastWords, Leaves, Since, Voted};
use super::views::Views;

mod guests;

/// The fold over admissions and views.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Members {
    admissions: BTreeMap<NodeId, BTreeMap<Incarnation, BTreeMap<Place, Admission>>>,
    /// Admissions by nodes that nobody has admitted: they count once somebody has.
    groundless: BTreeMap<Place, Admission>,
    views: Views,
    leaves: Leaves,
    expelled: BTreeMap<NodeId, Expelled>,
    authorities: Authorities,
    invites: Invites,
    /// Whom the first view follows.
    #[serde(skip)]
    founder: Option<NodeId>,
    /// Derived: the lives that a view left out, and since when.
    #[serde(skip)]
    removals: BTreeMap<LogId, Removal>,
    /// Derived: stamps at which every lease from before ends, rising.
    #[serde(skip)]
    fences: Vec<Stamp>,
    /// Derived: when each view was installed, and from which life on each node stays under it.
    #[serde(skip)]
    staying: Vec<(Stamp, BTreeMap<NodeId, Incarnation>)>,
    /// Derived: what claims are folded under.
    #[serde(skip)]
    footing: Arc<Footing>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Admission {
    admit: Admit,
    /// Who wrote it.
    by: LogId,
}

/// The end of a life in the cluster.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// The view that left it out: from here on its records are late.
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
    /// Its removal, where a view has left it out.
    pub removal: Option<Removal>,
    /// Whether it has left of its own accord.
    pub left: bool,
    /// Whether a root has removed it, for good.
    pub expelled: bool,
    /// Whether the invite by which it came has let in another node, so that it has to leave.
    pub outdone: bool,
}

impl Member<'_> {
    /// Whether it takes part: no view left it out, and it has not left.
    pub fn stays(&self) -> bool {
        self.removal.is_none() && !self.left && !self.expelled
    }
}

/// A stretch of time in which a member's word is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Term {
    /// It cannot have stamped anything below this.
    pub since: Stamp,
    /// From here on it is not waited for.
    pub until: Option<Stamp>,
}

impl Members {
    /// Takes in a record. Only nodes may speak here, each in a log of its own.
    pub fn insert(&mut self, fact: &Fact, rules: &FoldRules) {
        if let Action::Remove(expulsion) = &fact.body.action {
            // Nobody but a root says so: see `capability::need`.
            if !rules.sabotage.removed_readmitted {
                self.expel(fact.place, expulsion);
            }
            return self.derive_views(rules);
        }
        if let Action::Succeed(succession) = &fact.body.action {
            // Nobody but a root says so, as above.
            self.authorities.insert(fact.place, succession, rules);
            return self.ask_of_invites(rules, Invites::derive);
        }
        if fact.agent.0 != fact.log.node.0 {
            return;
        }
        match &fact.body.action {
            Action::Admit(admit) => {
                let admission = Admission {
                    admit: admit.clone(),
                    by: fact.log,
                };
                self.groundless.insert(fact.place, admission);
                self.ground(rules);
            }
            Action::VoteView(vote) => self.views.insert(fact.log.node, fact.place, vote),
            Action::Leave(leave) => self.leaves.insert(fact.log, fact.place, leave),
            Action::Invite(word) => {
                return self.ask_of_invites(rules, |invites, around| {
                    invites.insert(fact.log.node, fact.place, word, around);
                });
            }
            Action::InviteUsed(word) => {
                return self.ask_of_invites(rules, |invites, around| {
                    invites.insert_use(fact.log.node, fact.place, word, around);
                });
            }
            _ => return,
        }
        self.derive_views(rules);
    }

    fn expel(&mut self, place: Place, expulsion: &Expulsion) {
        let one = Expelled::new(place, expulsion);
        self.leaves.expel(expulsion.node, place, &expulsion.staying);
        match self.expelled.get_mut(&expulsion.node) {
            Some(known) => known.and(one),
            None => drop(self.expelled.insert(expulsion.node, one)),
        }
    }

    /// The nodes that a root has removed.
    pub fn expelled(&self) -> &BTreeMap<NodeId, Expelled> {
        &self.expelled
    }

    /// The authorities that a root has put in the place of others.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// The invites, and whom they have let in.
    pub fn invites(&self) -> &Invites {
        &self.invites
    }

    /// Takes in the admissions whose authors were admitted, until there are none.
    fn ground(&mut self, rules: &FoldRules) {
        loop {
            let admitted = &self.admissions;
            let counts = |by: &NodeId| {
                rules.sabotage.ghosts_admitted || *by == rules.founder || admitted.contains_key(by)
            };
            let mut groundless = self.groundless.iter();
            let next = groundless.find(|(_, one)| counts(&one.by.node));
            let Some(place) = next.map(|(place, _)| *place) else {
                return;
            };
            if let Some(admission) = self.groundless.remove(&place) {
                let node = admission.admit.node;
                let lives = self.admissions.entry(node).or_default();
                let is_new = lives.is_empty();
                let places = lives.entry(admission.admit.incarnation).or_default();
                places.insert(place, admission);
                if is_new {
                    self.ask_of_invites(rules, |invites, around| invites.admitted(&node, around));
                }
            }
        }
    }

    /// Derives again what is not kept, after loading.
    pub fn derive(&mut self, rules: &FoldRules) {
        self.derive_views(rules);
        self.ask_of_invites(rules, Invites::derive);
    }

    /// Derives views and removals again, after a new record.
    fn derive_views(&mut self, rules: &FoldRules) {
        self.founder = Some(rules.founder);
        self.views.derive(rules.founder, &self.leaves);
        self.removals.clear();
        self.fences.clear();
        self.derive_removals(rules.lease_ms_max);
        self.footing = Arc::new(self.read_footing());
    }

    fn derive_removals(&mut self, lease_ms_max: u64) {
        let views = self.views.installed().iter();
        let views = views.map(|view| (view.at, self.staying(&view.vote, &view.cast)));
        self.staying = views.collect();
        for (node, lives) in &self.admissions {
            for incarnation in lives.keys() {
                let life = LogId {
                    node: *node,
                    incarnation: *incarnation,
                };
                // A life that has left is not waited for as it is: a view that merely does not list
                // it any more, and ends no lease, must not make it one of which some is unknown.
                let gone = self.expelled.contains_key(node);
                let left = gone || self.leaves.of(&life).is_some();
                let views = self.views.installed().iter();
                let left_out = self.staying.iter().zip(views);
                let left_out = left_out.filter(|((_, staying), view)| {
                    leaves_out(staying, &life) && (!left || view.vote.removed.contains(&life))
                });
                if let Some(cut) = left_out.map(|((at, _), _)| *at).min() {
                    let effective = cut.plus_ms(lease_ms_max);
                    self.removals.insert(life, Removal { cut, effective });
                }
            }
        }
        let removing = self.views.installed().iter();
        let removing = removing.filter(|view| !view.vote.removed.is_empty());
        self.fences = removing.map(|view| view.at.plus_ms(lease_ms_max)).collect();
        self.fences.sort_unstable();
    }

    /// From which life on each node stays a member under a view: any life of one that it lists, else
    /// the first that was admitted from inside it. Grown until nothing is added, so that nobody
    /// stays on the word of somebody who stays on its own.
    pub fn staying(
        &self,
        vote: &ViewVote,
        cast: &BTreeMap<NodeId, Place>,
    ) -> BTreeMap<NodeId, Incarnation> {
        let mut staying: BTreeMap<NodeId, Incarnation> = BTreeMap::new();
        let listed = |node: &NodeId| vote.members.binary_search(node).is_ok();
        let inside = |staying: &BTreeMap<NodeId, Incarnation>, place: &Place, by: &LogId| {
            if listed(&by.node) {
                // Who has not voted yet, as far as is known, has said nothing from inside.
                cast.get(&by.node).is_some_and(|cast| place > cast)
            } else {
                let from = staying.get(&by.node);
                from.is_some_and(|from| by.incarnation >= *from)
            }
        };
        loop {
            let mut grown = false;
            for (node, lives) in self.admissions.iter().filter(|(node, _)| !listed(node)) {
                let known = staying.get(node).copied();
                let earlier = |life: &Incarnation| known.is_none_or(|known| *life < known);
                let first = lives.iter().find(|(life, places)| {
                    earlier(life)
                        && places.iter().any(|(place, admission)| {
                            admission.by.node != *node && inside(&staying, place, &admission.by)
                        })
                });
                if let Some((life, _)) = first {
                    staying.insert(*node, *life);
                    grown = true;
                }
            }
            if !grown {
                break;
            }
        }
        let listed = vote.members.iter();
        staying.extend(listed.map(|node| (*node, Incarnation::default())));
        staying
    }

    /// The members admitted up to a stamp, the removed ones among them.
    pub fn all(&self, at: Stamp) -> Vec<Member<'_>> {
        let mut members = Vec::new();
        for (node, lives) in &self.admissions {
            let seen = |places: &BTreeMap<Place, Admission>| {
                places
                    .first_key_value()
                    .is_some_and(|(place, _)| place.stamp <= at)
            };
            let Some((life, places)) = lives.iter().rev().find(|(_, places)| seen(places)) else {
                continue;
            };
            let Some((_, last)) = places.range(..=Place::end_of(at)).next_back() else {
                continue;
            };
            let since = lives.values().filter_map(|p| p.first_key_value());
            members.push(Member {
                admit: &last.admit,
                since: since.map(|(p, _)| p.stamp).min().unwrap_or(Stamp::MIN),
                removal: self.removal_of(node, *life),
                left: self.last_words(node, *life).is_some() || self.is_shut_out(node),
                expelled: self.expelled.contains_key(node),
                outdone: self.outdone(node).is_some(),
            });
        }
        members
    }

    /// How many nodes were ever admitted, the removed ones among them.
    pub fn count(&self) -> usize {
        self.admissions.len()
    }

    /// When a node's word is waited for: from its first admission on, but for the time between the
    /// removal of one life and the admission of the next that counts.
    pub fn terms(&self, node: &NodeId) -> Vec<Term> {
        let mut terms: Vec<Term> = Vec::new();
        for (incarnation, places) in self.admissions.get(node).into_iter().flatten() {
            let Some((first, _)) = places.first_key_value() else {
                continue;
            };
            let until = self.removal_of(node, *incarnation).map(|end| end.effective);
            match terms.last_mut() {
                Some(term) if term.until.is_none_or(|until| until >= first.stamp) => {
                    term.since = term.since.min(first.stamp);
                    // Without an end beats every end: this life counts still.
                    term.until = term.until.zip(until).map(|(one, other)| one.max(other));
                }
                _ => terms.push(Term {
                    since: first.stamp,
                    until,
                }),
            }
        }
        terms
    }

    /// When a life was admitted first: it stamps nothing below. The end of time, if it never was.
    pub fn admitted(&self, life: &LogId) -> Stamp {
        let lives = self.admissions.get(&life.node);
        let places = lives.and_then(|lives| lives.get(&life.incarnation));
        let first = places.and_then(BTreeMap::first_key_value);
        first.map_or(Stamp::MAX, |(place, _)| place.stamp)
    }

    /// What the latest life before this one said that left of its own accord, if no other came
    /// between.
    pub fn left_before(&self, life: &LogId) -> Option<&LastWords> {
        let lives = self.admissions.get(&life.node)?;
        let (before, _) = lives.range(..life.incarnation).next_back()?;
        self.last_words(&life.node, *before)
    }

    /// The removal that ended a life, if any.
    pub fn removal_of(&self, node: &NodeId, incarnation: Incarnation) -> Option<Removal> {
        let life = LogId {
            node: *node,
            incarnation,
        };
        self.removals.get(&life).copied()
    }

    /// What a life said when it left of its own accord, if it has.
    pub fn last_words(&self, node: &NodeId, incarnation: Incarnation) -> Option<&LastWords> {
        self.leaves.of(&LogId {
            node: *node,
            incarnation,
        })
    }

    /// All nodes that were ever admitted.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeId> {
        self.admissions.keys()
    }

    /// Whether a node was ever admitted, in any life.
    pub fn was_admitted(&self, node: &NodeId) -> bool {
        self.admissions.contains_key(node)
    }

    /// Whether a node takes part, in its latest life.
    pub fn stays(&self, node: &NodeId) -> bool {
        let lives = self.admissions.get(node);
        let latest = lives.and_then(|lives| lives.keys().next_back());
        latest.is_some_and(|life| self.is_member(node, *life))
    }

    /// Whether a life may count as a member's: admitted, left out by no view, and not gone.
    pub fn is_member(&self, node: &NodeId, incarnation: Incarnation) -> bool {
        let admitted = self
            .admissions
            .get(node)
            .is_some_and(|lives| lives.contains_key(&incarnation));
        admitted
            && !self.expelled.contains_key(node)
            && !self.is_shut_out(node)
            && self.removal_of(node, incarnation).is_none()
            && self.last_words(node, incarnation).is_none()
    }

    /// The views and the votes for them.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The members that have voted for a view without this life.
    ///
    /// One of them is enough to end it: whoever has voted a life out can never vote it in again, so
    /// that it would be in nobody's way for ever. But the vote must be one that could ever help to
    /// install a view: by a member, on the list of a view that holds or on the first one's own, and
    /// about a life that was admitted. What an outsider says of a member is noise, also in a life
    /// that was voted out itself.
    pub fn voted_out_by(&self, life: LogId) -> BTreeSet<NodeId> {
        let against = self.views.votes().filter(|(vote, _)| {
            let left_out = |gone: &LogId| {
                gone.node == life.node
                    && gone.incarnation >= life.incarnation
                    && self.was_life_admitted(gone)
            };
            vote.removed.iter().any(left_out)
        });
        against
            .flat_map(|(vote, cast)| cast.keys().map(move |voter| (vote, voter)))
            .filter(|(vote, voter)| self.may_vote(vote, voter))
            .map(|(_, voter)| *voter)
            .collect()
    }

    fn was_life_admitted(&self, life: &LogId) -> bool {
        let lives = self.admissions.get(&life.node);
        lives.is_some_and(|lives| lives.contains_key(&life.incarnation))
    }

    /// Whether a vote is one of a member that is asked for it.
    fn may_vote(&self, vote: &ViewVote, voter: &NodeId) -> bool {
        let listed = |vote: &ViewVote| vote.members.binary_search(voter).is_ok();
        let asked = if vote.base == ViewVote::GENESIS {
            // The first view is one of the founder and of all that it has admitted by then.
            true
        } else {
            let mut installed = self.views.installed().iter();
            installed.any(|view| view.id == vote.base && listed(&view.vote))
        };
        asked && listed(vote) && self.stays(voter)
    }

    /// The votes that a node has cast on the view that follows the latest one.
    pub fn cast_by(&self, node: &NodeId) -> Vec<(Place, &ViewVote)> {
        let base = self.base();
        let own = self.views.votes().filter_map(|(vote, cast)| {
            let place = cast.get(node)?;
            (vote.base == base).then_some((*place, vote))
        });
        let mut own: Vec<_> = own.collect();
        own.sort_by_key(|(place, _)| *place);
        own
    }

    /// What the next view follows.
    pub fn base(&self) -> Digest {
        let latest = self.views.latest();
        latest.map_or(ViewVote::GENESIS, |view| view.id)
    }

    /// Whom the next view follows, each since when.
    fn base_list(&self) -> Vec<(NodeId, Since)> {
        match self.views.latest() {
            Some(view) => view.listed().collect(),
            None => self
                .founder
                .map(|founder| (founder, Since::Ever))
                .into_iter()
                .collect(),
        }
    }

    /// The nodes of the view that the next one follows, without those that have left since.
    pub fn base_nodes(&self) -> BTreeSet<NodeId> {
        self.leaves.left_with(self.base_list())
    }

    /// Whether some nodes that vote now are more than half of the view that the next one follows.
    pub fn base_is_carried_by(&self, nodes: &BTreeSet<NodeId>) -> bool {
        self.leaves.carried_by(self.base_list(), &now(nodes))
    }

    /// The same of the list of a vote that was cast at a place.
    pub fn vote_is_carried_by(
        &self,
        vote: &ViewVote,
        place: Place,
        nodes: &BTreeSet<NodeId>,
    ) -> bool {
        let members = vote.members.iter();
        let list = members.map(|node| (*node, Since::Vote(place)));
        self.leaves.carried_by(list, &now(nodes))
    }

    /// Since when a node belongs to the cluster without having left: nothing of it is below.
    pub fn belongs_since(&self, node: &NodeId) -> Option<Stamp> {
        let mut since = None;
        for (incarnation, places) in self.admissions.get(node).into_iter().flatten() {
            let over = self.expelled.contains_key(node)
                || self.removal_of(node, *incarnation).is_some()
                || self.last_words(node, *incarnation).is_some();
            let first = places.keys().next().map(|place| place.stamp);
            since = if over { None } else { since.or(first) };
        }
        since
    }

    /// What claims are folded under now; the same allocation as long as it is the same.
    pub fn footing(&self) -> &Arc<Footing> {
        &self.footing
    }

    fn read_footing(&self) -> Footing {
        let mut footing = BTreeMap::new();
        let Some(first) = self.views.installed().first().map(|view| view.at) else {
            return Footing::default();
        };
        for view in self.views.installed() {
            footing.insert(Ground::View(view.id), (view.at, None));
        }
        for (node, lives) in &self.admissions {
            for (incarnation, places) in lives {
                let life = LogId {
                    node: *node,
                    incarnation: *incarnation,
                };
                let cut = self.removals.get(&life).map(|removal| removal.cut);
                let since = places.keys().next().map_or(Stamp::MIN, |place| place.stamp);
                if cut.is_some() || since >= first {
                    footing.insert(Ground::Life(life), (since, cut));
                }
            }
        }
        Footing(footing)
    }

    /// Whether anybody was ever admitted.
    pub fn is_empty(&self) -> bool {
        self.admissions.is_empty()
    }
}

fn now(nodes: &BTreeSet<NodeId>) -> impl Fn(&NodeId) -> Voted {
    |node| {
        if nodes.contains(node) {
            Voted::Now
        } else {
            Voted::Not
        }
    }
}

/// Whether a view under which each of these nodes stays from one life on leaves a life out.
pub fn leaves_out(staying: &BTreeMap<NodeId, Incarnation>, life: &LogId) -> bool {
    let from = staying.get(&life.node);
    from.is_none_or(|from| life.incarnation < *from)
}

impl Standing for Members {
    fn is_late(&self, log: &LogId, stamp: Stamp) -> bool {
        if self.views.installed().is_empty() {
            return false;
        }
        if let Some(removal) = self.removals.get(log) {
            return stamp >= removal.cut;
        }
        let known = self.admissions.get(&log.node);
        if known.is_some_and(|lives| lives.contains_key(&log.incarnation)) {
            return false;
        }
        // A life whose admission is not held yet is judged by the admissions that are.
        let mut earlier = self.staying.iter().take_while(|(at, _)| *at <= stamp);
        earlier.any(|(_, staying)| leaves_out(staying, log))
    }

    fn fence_after(&self, stamp: Stamp) -> Option<Stamp> {
        let after = self.fences.partition_point(|fence| *fence <= stamp);
        self.fences.get(after).copied()
    }
}
