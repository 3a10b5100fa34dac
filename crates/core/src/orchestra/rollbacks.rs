//! What an orchestra has gone back behind: which records are set aside, and by which rollback.
//!
//! ```text
//!        to                 B                     B says: all above `to` that I have seen
//!   ──●──┼──●────●────●─────┼───●──►  log 1       ○ is set aside: above `to`, and seen
//!        │  ○    ○    ○     │                     ● from beyond a cut stands: B had not seen it
//!   ──●──┼──○─────●(late)───┼──────►  log 2
//! ```
//!
//! A rollback counts as of its own stamp: a reading of an earlier time knows nothing of it, and one
//! that is stamped in the future waits ([`Rollbacks::ripen`]). They are decided from the latest down:
//! one that stands sets aside the earlier ones in its range, so that a rollback of a rollback brings
//! back what that one had set aside. All of it follows from the set of rollbacks that count.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    Action, Incarnation, LogEnd, LogId, NodeId, Place, Rejection, Rollback, Stamp, limits,
};

use super::fact::Fact;
use crate::sabotage::Sabotage;

/// The fold over rollbacks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rollbacks {
    known: BTreeMap<Place, Known>,
    /// Those that set something aside now.
    standing: BTreeSet<Place>,
    /// Rollbacks above this stamp do not count yet.
    ripe: Stamp,
    /// Of each log the highest stamp of a record that stands and could be set aside.
    latest: BTreeMap<LogId, Stamp>,
    /// Rollbacks that a walk over the logs began with and has not met yet.
    #[serde(skip)]
    unmet: BTreeSet<Place>,
    /// Whether it has met one that it did not begin with.
    #[serde(skip)]
    learned: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    log: LogId,
    bundle: u64,
    rollback: Rollback,
    /// Planted fault: it stands whatever sets it aside.
    #[serde(skip)]
    stubborn: bool,
}

/// What would become of a record that stands after the time to which an orchestra goes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// It would be set aside.
    Goes,
    /// It was set aside, and would count again.
    Returns,
    /// It would go on as it is.
    Stays,
}

/// What going back to a time would do.
#[derive(Clone, Debug)]
pub struct GoingBack {
    /// Why it would be refused, if it would.
    pub refused: Option<Rejection>,
    /// How far each log was seen that says anything since then.
    pub seen: Vec<LogEnd>,
    /// What is set aside now.
    pub before: Rollbacks,
    /// What would be.
    pub after: Rollbacks,
}

impl GoingBack {
    /// What would become of a record that can be set aside, if it counts or was set aside.
    pub fn fate(&self, place: Place, log: &LogId, bundle: u64) -> Fate {
        let before = self.before.set_aside(place, log, bundle);
        let after = self.after.set_aside(place, log, bundle);
        match (before, after) {
            (None, Some(_)) => Fate::Goes,
            (Some(_), None) => Fate::Returns,
            _ => Fate::Stays,
        }
    }

    /// Whether a rollback stands now that would stand no more.
    pub fn takes_back(&self, rollback: &Place) -> bool {
        self.before.standing.contains(rollback) && !self.after.standing.contains(rollback)
    }
}

impl Rollbacks {
    /// An empty fold that already knows which rollbacks count up to a stamp: for folding logs again.
    pub fn after(former: &Self, at: Stamp) -> Self {
        let known = former.known.range(..=Place::end_of(at));
        let known: BTreeMap<Place, Known> = known.map(|(place, k)| (*place, k.clone())).collect();
        let mut again = Self {
            unmet: known.keys().copied().collect(),
            known,
            ripe: former.ripe.min(at),
            ..Self::default()
        };
        again.derive();
        again
    }

    /// Takes in a rollback. True if what is set aside is not the same any more.
    pub fn insert(&mut self, fact: &Fact, sabotage: Sabotage) -> bool {
        let Action::Rollback(rollback) = &fact.body.action else {
            return false;
        };
        self.unmet.remove(&fact.place);
        if self.known.contains_key(&fact.place) {
            return false;
        }
        let known = Known {
            log: fact.log,
            bundle: fact.bundle,
            rollback: Rollback::clone(rollback),
            stubborn: sabotage.rollback_of_rollback_ignored,
        };
        self.known.insert(fact.place, known);
        self.learned = true;
        fact.place.stamp <= self.ripe && self.derive()
    }

    /// Takes a rollback out again. True if what is set aside is not the same any more.
    pub fn retract(&mut self, place: Place) -> bool {
        self.known.remove(&place).is_some() && self.derive()
    }

    /// Lets those count whose time has come. True if what is set aside is not the same any more.
    pub fn ripen(&mut self, now: Stamp) -> bool {
        let waits = self.known.last_key_value();
        let waits = waits.is_some_and(|(place, _)| place.stamp > self.ripe);
        self.ripe = self.ripe.max(now);
        waits && self.derive()
    }

    /// Decides from the latest down which of the first so many stand. True if it is others than
    /// before.
    fn derive(&mut self) -> bool {
        let ripe = self.known.range(..=Place::end_of(self.ripe));
        let ripe: Vec<(&Place, &Known)> = ripe.take(limits::ROLLBACKS_MAX).collect();
        let mut standing: BTreeSet<Place> = BTreeSet::new();
        for (place, one) in ripe.into_iter().rev() {
            let by = self.by(&standing, *place, &one.log, one.bundle);
            if by.is_none() || one.stubborn {
                standing.insert(*place);
            }
        }
        let others = standing != self.standing;
        self.standing = standing;
        others
    }

    fn by(
        &self,
        standing: &BTreeSet<Place>,
        place: Place,
        log: &LogId,
        bundle: u64,
    ) -> Option<Place> {
        let mut first = standing.iter();
        let covers = |own: &&Place| {
            let known = self.known.get(own);
            known.is_some_and(|one| one.rollback.covers(**own, place, log, bundle))
        };
        first.find(covers).copied()
    }

    /// Which rollback sets aside what stands at a place: of several the first.
    pub fn set_aside(&self, place: Place, log: &LogId, bundle: u64) -> Option<Place> {
        self.by(&self.standing, place, log, bundle)
    }

    /// Remembers that something stands that could be set aside.
    pub fn note(&mut self, log: LogId, stamp: Stamp) {
        let latest = self.latest.entry(log).or_default();
        *latest = (*latest).max(stamp);
    }

    /// Whether a rollback that is stamped now would change nothing: the logs that it names say nothing
    /// since then that stands and could be set aside, and it takes no rollback back that went further,
    /// so that what that one set aside up to then would return.
    pub fn is_empty(&self, rollback: &Rollback) -> bool {
        let named = |log: &LogId| {
            let mut seen = rollback.seen.iter();
            seen.any(|end| end.incarnation == log.incarnation)
        };
        let mut latest = self.latest.iter();
        let sets_aside = latest.any(|(log, stamp)| *stamp > rollback.to && named(log));
        let own = Place::end_of(Stamp::MAX);
        let mut standing = self.standing.iter();
        let takes_back = standing.any(|place| {
            self.known.get(place).is_some_and(|one| {
                one.rollback.to < rollback.to && rollback.covers(own, *place, &one.log, one.bundle)
            })
        });
        !sets_aside && !takes_back
    }

    /// The same with a rollback that is stamped now.
    #[must_use]
    pub fn with(&self, rollback: Rollback, now: Stamp) -> Self {
        let mut with = self.clone();
        let known = Known {
            // Nothing later looks where it stands.
            log: LogId {
                node: NodeId([0; 32]),
                incarnation: Incarnation::default(),
            },
            bundle: 0,
            rollback,
            stubborn: false,
        };
        with.known.insert(Place::end_of(now), known);
        with.ripe = with.ripe.max(now);
        with.derive();
        with
    }

    /// Rollbacks as of a stamp, and whether each stands.
    pub fn told(&self, at: Stamp) -> impl Iterator<Item = (Place, bool)> {
        let known = self.known.range(..=Place::end_of(at));
        known.map(|(place, _)| (*place, self.standing.contains(place)))
    }

    /// How many are known.
    pub fn count(&self) -> usize {
        self.known.len()
    }

    /// Below this stamp nothing can be read that was folded: the last one that counts was not there.
    pub fn readable_from(&self) -> Stamp {
        let ripe = self.known.range(..=Place::end_of(self.ripe));
        ripe.take(limits::ROLLBACKS_MAX)
            .last()
            .map_or(Stamp::MIN, |(place, _)| place.stamp)
    }

    /// Whether a walk has met a rollback that it did not begin with: what that one sets aside may
    /// have been folded before.
    pub fn has_learned(&self) -> bool {
        self.learned
    }

    /// After a walk over whole logs: true if a rollback was not met that it began with, so that
    /// something was set aside in vain.
    pub fn settle(&mut self) -> bool {
        self.learned = false;
        let gone = core::mem::take(&mut self.unmet);
        self.known.retain(|place, _| !gone.contains(place));
        !gone.is_empty() && self.derive()
    }
}
