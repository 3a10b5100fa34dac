//! Signals that stand: until they expire, or until the iteration ends for NEED and OFFER.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::ops::Bound;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Place, Signal, SignalKind, Stamp, Urgency};

use super::course::Now;
use super::fact::Fact;

/// The fold over all signals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Signals {
    standing: BTreeMap<Place, Emitted>,
    /// The same by how pressing they are: follows from `standing`.
    #[serde(skip)]
    listed: Lists,
}

#[derive(Clone, Debug, Default)]
struct Lists {
    all: BTreeSet<Rank>,
    by_topic: BTreeMap<String, BTreeSet<Rank>>,
    by_agent: BTreeMap<AgentId, BTreeSet<Rank>>,
}

/// How pressing a signal is: the more urgent, and of equally urgent ones the newer, the greater.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank {
    /// How much it matters.
    pub urgency: Urgency,
    /// Its record.
    pub place: Place,
}

/// Which signals are walked over.
#[derive(Clone, Copy, Debug)]
pub enum Listed<'a> {
    /// All.
    All,
    /// Those of one topic.
    Topic(&'a str),
    /// Those of one agent.
    Agent(&'a AgentId),
}

/// A signal with its origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Emitted {
    /// From whom.
    pub agent: AgentId,
    /// In which iteration.
    pub iteration: u32,
    /// The signal.
    pub signal: Signal,
    /// In which other orchestra it is said too, and whether it comes from there.
    pub across: Option<(String, bool)>,
}

impl Emitted {
    /// When it ends by its own lifetime.
    pub fn expires(&self, place: &Place) -> Stamp {
        place.stamp.plus_ms(self.signal.lifetime_ms)
    }

    /// How pressing it is.
    pub fn rank(&self, place: &Place) -> Rank {
        Rank {
            urgency: self.signal.urgency,
            place: *place,
        }
    }

    fn stands(&self, place: &Place, at: Stamp, now: Now) -> bool {
        let ends_with_iteration = self.signal.kind != SignalKind::Intent;
        self.expires(place) >= at && (!ends_with_iteration || now.has(place, self.iteration))
    }
}

impl Signals {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact) {
        let Some(signal) = fact.body.action.signal() else {
            return;
        };
        let iteration = fact.body.iteration;
        let emitted = Emitted {
            agent: fact.agent,
            iteration,
            signal: signal.clone(),
            across: match &fact.body.action {
                Action::Across(across) => Some((across.orchestra.clone(), across.incoming)),
                _ => None,
            },
        };
        self.listed.add(fact.place, &emitted);
        self.standing.insert(fact.place, emitted);
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        if action.signal().is_some() {
            self.remove(&place);
        }
    }

    /// One that is still kept.
    pub fn get(&self, place: &Place) -> Option<&Emitted> {
        self.standing.get(place)
    }

    /// One that stands at a stamp in its iteration.
    pub fn standing(&self, place: &Place, at: Stamp, now: Now) -> Option<&Emitted> {
        let one = self.standing.get(place)?;
        (place.stamp <= at && one.stands(place, at, now)).then_some(one)
    }

    /// The signals that stand at a stamp in its iteration, the most pressing first, from below a rank
    /// on. Nothing is gathered: whoever takes ten looks at little more than ten.
    pub fn walk<'a>(
        &'a self,
        of: Listed<'_>,
        below: Option<Rank>,
        at: Stamp,
        now: Now,
    ) -> impl Iterator<Item = (Rank, &'a Emitted)> + use<'a> {
        let list = match of {
            Listed::All => Some(&self.listed.all),
            Listed::Topic(topic) => self.listed.by_topic.get(topic),
            Listed::Agent(agent) => self.listed.by_agent.get(agent),
        };
        let end = below.map_or(Bound::Unbounded, Bound::Excluded);
        let ranks = list.map(|list| list.range((Bound::Unbounded, end)).rev());
        let found = ranks.into_iter().flatten();
        let found = found.filter_map(|rank| Some((*rank, self.standing.get(&rank.place)?)));
        found.filter(move |(rank, one)| rank.place.stamp <= at && one.stands(&rank.place, at, now))
    }

    /// How many stand at a stamp in its iteration.
    pub fn count(&self, at: Stamp, now: Now) -> usize {
        let all = self.standing.range(..=Place::end_of(at));
        all.filter(|(place, one)| one.stands(place, at, now))
            .count()
    }

    /// Drops what had ended at the frontier.
    pub fn prune(&mut self, frontier: Stamp, now: Now) {
        let ended: Vec<Place> = self
            .standing
            .range(..=Place::end_of(frontier))
            .filter(|(place, one)| !one.stands(place, frontier, now))
            .map(|(place, _)| *place)
            .collect();
        for place in ended {
            self.remove(&place);
        }
    }

    fn remove(&mut self, place: &Place) {
        if let Some(emitted) = self.standing.remove(place) {
            self.listed.drop(*place, &emitted);
        }
    }

    /// After loading from a checkpoint.
    pub fn restored(&mut self) {
        self.listed = Lists::default();
        for (place, emitted) in &self.standing {
            self.listed.add(*place, emitted);
        }
    }

    /// Signals kept in memory.
    pub fn weight(&self) -> usize {
        self.standing.len()
    }
}

impl Lists {
    fn add(&mut self, place: Place, one: &Emitted) {
        let rank = one.rank(&place);
        self.all.insert(rank);
        let topic = self.by_topic.entry(one.signal.topic.clone()).or_default();
        topic.insert(rank);
        self.by_agent.entry(one.agent).or_default().insert(rank);
    }

    fn drop(&mut self, place: Place, one: &Emitted) {
        let rank = one.rank(&place);
        self.all.remove(&rank);
        unlist(&mut self.by_topic, &one.signal.topic, rank);
        unlist(&mut self.by_agent, &one.agent, rank);
    }
}

fn unlist<K: Ord + Borrow<Q>, Q: Ord + ?Sized>(
    lists: &mut BTreeMap<K, BTreeSet<Rank>>,
    of: &Q,
    rank: Rank,
) {
    if let Some(list) = lists.get_mut(of) {
        list.remove(&rank);
        if list.is_empty() {
            lists.remove(of);
        }
    }
}
