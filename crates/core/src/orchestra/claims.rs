//! Who holds which topic. Per topic, claims, renewals and releases in order of (stamp, digest): a
//! claim is granted if no lease lives at its stamp; a renewal counts if its stamp is not after the
//! lease's end. Everything else follows.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Digest, LogId, NodeId, Place, Stamp};

use super::fact::Fact;

/// The fold over all topics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Claims {
    topics: BTreeMap<String, Topic>,
    /// Topics that a record below their pruned past has reached: they must be folded again.
    dirty: BTreeSet<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Topic {
    /// What everything up to `pruned` came to.
    base: TopicState,
    pruned: Option<Place>,
    events: BTreeMap<Place, Event>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Event {
    agent: AgentId,
    log: LogId,
    kind: EventKind,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum EventKind {
    Claim { lease_ms: u64 },
    Renew { claim: Digest, lease_ms: u64 },
    Release { claim: Digest },
}

/// A topic at some stamp.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TopicState {
    /// Who holds it.
    pub holding: Option<Holding>,
    /// Claims that lost and were neither given up nor have run out by their own lease.
    pub losers: Vec<Loser>,
    /// No token at or below this may be trusted: a claim that lost had it.
    pub contested_above: Stamp,
}

/// A granted lease.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Holding {
    /// The claim.
    pub claim: Place,
    /// Whose.
    pub agent: AgentId,
    /// The latest claim or renewal: its stamp is the fencing token.
    pub token: Place,
    /// When the lease ends.
    pub until: Stamp,
}

/// A claim that lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Loser {
    /// The claim.
    pub claim: Place,
    /// Whose.
    pub agent: AgentId,
    /// When its lease would have ended.
    pub until: Stamp,
}

/// What the fold must be told from outside: who was left out of the cluster, and when.
pub trait Standing {
    /// Whether a record of this log at this stamp came after its writer was left out, so that it
    /// can neither take nor keep a topic.
    fn is_late(&self, log: &LogId, stamp: Stamp) -> bool;

    /// The first stamp after this one at which every lease from before it ends: nothing that a
    /// member who was left out still brings from the past can reach beyond it.
    fn fence_after(&self, stamp: Stamp) -> Option<Stamp>;
}

/// How the fold is read.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    /// Who was left out.
    pub standing: &'a dyn Standing,
    /// The longest lease in this cluster (ms).
    pub lease_ms_max: u64,
    /// Planted fault: leases never end.
    pub expiry_ignored: bool,
}

impl core::fmt::Debug for Rules<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Rules({} ms)", self.lease_ms_max)
    }
}

impl Claims {
    /// The topic that an action is about, if it is one of these.
    pub fn topic_of(action: &Action) -> Option<&str> {
        match action {
            Action::Claim { topic, .. }
            | Action::Renew { topic, .. }
            | Action::Release { topic, .. } => Some(topic),
            _ => None,
        }
    }

    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact) {
        let (topic, kind) = match &fact.body.action {
            Action::Claim { topic, lease_ms } => (
                topic,
                EventKind::Claim {
                    lease_ms: *lease_ms,
                },
            ),
            Action::Renew {
                topic,
                claim,
                lease_ms,
            } => (
                topic,
                EventKind::Renew {
                    claim: *claim,
                    lease_ms: *lease_ms,
                },
            ),
            Action::Release { topic, claim } => (topic, EventKind::Release { claim: *claim }),
            _ => return,
        };
        let state = self.topics.entry(topic.clone()).or_default();
        if state.pruned.is_some_and(|pruned| fact.place <= pruned) {
            self.dirty.insert(topic.clone());
            return;
        }
        let event = Event {
            agent: fact.agent,
            log: fact.log,
            kind,
        };
        state.events.insert(fact.place, event);
    }

    /// Planted fault: the order in which records happen to arrive decides.
    pub fn insert_by_arrival(&mut self, fact: &Fact) {
        let topic = Self::topic_of(&fact.body.action).and_then(|topic| self.topics.get(topic));
        let last = topic.and_then(|topic| topic.events.keys().next_back());
        let mut fact = fact.clone();
        if let Some(last) = last {
            fact.place.stamp = fact.place.stamp.max(last.stamp.next());
        }
        self.insert(&fact);
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        let Some(topic) = Self::topic_of(action) else {
            return;
        };
        if let Some(state) = self.topics.get_mut(topic)
            && state.events.remove(&place).is_none()
        {
            self.dirty.insert(topic.into());
        }
    }

    /// Claims that a node's logs carry, as far as they are not pruned.
    pub fn made_by<'a>(
        &'a self,
        node: &'a NodeId,
    ) -> impl Iterator<Item = (Place, AgentId, Action)> + 'a {
        self.topics.iter().flat_map(move |(topic, state)| {
            let events = state
                .events
                .iter()
                .filter(move |(_, event)| event.log.node == *node);
            events.filter_map(move |(place, event)| match event.kind {
                EventKind::Claim { lease_ms } => {
                    let action = Action::Claim {
                        topic: topic.clone(),
                        lease_ms,
                    };
                    Some((*place, event.agent, action))
                }
                EventKind::Renew { .. } | EventKind::Release { .. } => None,
            })
        })
    }

    /// Topics that must be folded again from the logs.
    pub fn dirty(&self) -> &BTreeSet<String> {
        &self.dirty
    }

    /// Forgets the dirty topics' past, so that they can be folded again.
    pub fn reset_dirty(&mut self) -> BTreeSet<String> {
        for topic in &self.dirty {
            self.topics.remove(topic);
        }
        core::mem::take(&mut self.dirty)
    }

    /// Takes over topics that were folded apart.
    pub fn adopt(&mut self, other: Self) {
        self.topics.extend(other.topics);
    }

    /// Says that topics whose past is folded up to a stamp or beyond must be folded again: who takes
    /// part has changed from there on.
    pub fn distrust(&mut self, from: Stamp) {
        let reaching = self
            .topics
            .iter()
            .filter(|(_, topic)| topic.pruned.is_some_and(|pruned| pruned.stamp >= from));
        self.dirty.extend(reaching.map(|(name, _)| name.clone()));
    }

    /// The topics' names.
    pub fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics_after(None)
    }

    /// Topics that were ever claimed, by name, after a name.
    pub fn topics_after(&self, after: Option<&str>) -> impl Iterator<Item = &str> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let topics = self.topics.range::<str, _>((from, Bound::Unbounded));
        topics.map(|(name, _)| name.as_str())
    }

    /// Whether anybody ever claimed a topic.
    pub fn knows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether a topic can still be read as of a place: its past is not folded up beyond that.
    pub fn reaches(&self, topic: &str, place: Place) -> bool {
        self.topics
            .get(topic)
            .is_some_and(|topic| topic.pruned.is_none_or(|pruned| pruned < place))
    }

    /// A topic as of a stamp.
    pub fn read(&self, topic: &str, at: Stamp, rules: &Rules<'_>) -> TopicState {
        let Some(topic) = self.topics.get(topic) else {
            return TopicState::default();
        };
        let mut state = topic.base.clone();
        for (place, event) in topic.events.range(..=Place::end_of(at)) {
            state.step(*place, event, rules);
        }
        state.expire(at, rules);
        state
    }

    /// Folds everything up to the frontier into the base, and drops topics that came to nothing.
    pub fn prune(&mut self, frontier: Stamp, rules: &Rules<'_>) {
        let edge = Place::end_of(frontier);
        for (name, topic) in &mut self.topics {
            if self.dirty.contains(name) {
                continue;
            }
            let later = topic.events.split_off(&edge);
            let settled = core::mem::replace(&mut topic.events, later);
            for (place, event) in &settled {
                topic.base.step(*place, event, rules);
                topic.pruned = Some(*place);
            }
        }
        let dirty = &self.dirty;
        self.topics.retain(|name, topic| {
            dirty.contains(name) || topic.pruned.is_some() || !topic.events.is_empty()
        });
    }

    /// Events kept in memory.
    pub fn weight(&self) -> usize {
        self.topics
            .values()
            .map(|topic| 1 + topic.events.len())
            .sum()
    }
}

impl TopicState {
    fn expire(&mut self, at: Stamp, rules: &Rules<'_>) {
        if rules.expiry_ignored {
            return;
        }
        if self.holding.is_some_and(|holding| holding.until < at) {
            self.holding = None;
        }
        self.losers.retain(|loser| loser.until >= at);
    }

    fn step(&mut self, place: Place, event: &Event, rules: &Rules<'_>) {
        self.expire(place.stamp, rules);
        let late = rules.standing.is_late(&event.log, place.stamp);
        let until = |claim: Stamp, lease_ms: u64| {
            let end = place.stamp.plus_ms(lease_ms.min(rules.lease_ms_max));
            let fence = rules.standing.fence_after(claim);
            fence.map_or(end, |fence| end.min(fence.before()))
        };
        match event.kind {
            EventKind::Claim { lease_ms } if late || self.holding.is_some() => {
                let until = until(place.stamp, lease_ms);
                self.losers.push(Loser {
                    claim: place,
                    agent: event.agent,
                    until,
                });
                self.contested_above = self.contested_above.max(place.stamp);
            }
            EventKind::Claim { lease_ms } => {
                let (agent, until) = (event.agent, until(place.stamp, lease_ms));
                self.holding = Some(Holding {
                    claim: place,
                    agent,
                    token: place,
                    until,
                });
            }
            EventKind::Renew { claim, lease_ms } => {
                match &mut self.holding {
                    Some(holding)
                        if !late
                            && holding.claim.record == claim
                            && holding.agent == event.agent =>
                    {
                        holding.token = place;
                        holding.until = until(holding.claim.stamp, lease_ms);
                    }
                    // Whoever renews a lease that it lost has shown a guard this stamp.
                    _ => self.contested_above = self.contested_above.max(place.stamp),
                }
            }
            EventKind::Release { claim } => {
                let theirs = |id: Digest, agent: AgentId| id == claim && agent == event.agent;
                if self
                    .holding
                    .is_some_and(|held| !late && theirs(held.claim.record, held.agent))
                {
                    self.holding = None;
                }
                self.losers
                    .retain(|loser| !theirs(loser.claim.record, loser.agent));
            }
        }
    }

    /// Whether guards may accept the holder's token.
    pub fn token_valid(&self) -> bool {
        self.holding
            .is_some_and(|holding| holding.token.stamp > self.contested_above)
    }
}
