//! `sense`: the signals that stand, page by page (ORCHESTRA-3).

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{AgentId, Place, SignalKind};

use super::Reading;
use crate::orchestra::interference::limits::OWN_LOOKED_MAX;
use crate::orchestra::signals::{Emitted, Listed, Rank};
use crate::orchestra::view::SignalView;

/// Which signals are wanted. By default all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SignalsWanted {
    /// Only of this topic.
    pub topic: Option<String>,
    /// Only from the agents of this name.
    pub from: Option<String>,
    /// Only of this kind.
    pub kind: Option<SignalKind>,
    /// What concerns the agents of this name comes first.
    pub agent: Option<String>,
    /// Nothing but what concerns them.
    pub only_near: bool,
    /// Go on below this.
    pub after: Option<SenseAfter>,
    /// At most so many; all if left out.
    pub limit: Option<usize>,
}

/// Where a page of signals ends. What it names need not stand any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SenseAfter {
    /// Whether it is among what concerns the agent.
    pub near: bool,
    /// How pressing the last one was.
    pub rank: Rank,
}

/// What concerns somebody: what it means to do and others do too, what is needed of what it holds,
/// what is said of what it has said something of.
struct Concerns {
    agents: BTreeSet<AgentId>,
    alike: BTreeSet<Place>,
    topics: BTreeSet<String>,
}

impl Concerns {
    fn has(&self, rank: &Rank, one: &Emitted) -> bool {
        !self.agents.contains(&one.agent)
            && (self.alike.contains(&rank.place) || self.topics.contains(&one.signal.topic))
    }
}

impl Reading<'_> {
    /// The signals that stand: those that concern the agent first, each part with the most urgent
    /// first, and of equally urgent ones the newest.
    pub fn sense(&self, wanted: &SignalsWanted) -> Vec<SignalView> {
        let most = wanted.limit.unwrap_or(usize::MAX);
        let concerns = wanted.agent.as_deref().map(|name| self.concerns_of(name));
        let from = wanted.from.as_deref().map(|name| self.named(name));
        let fits = |one: &Emitted| {
            wanted.kind.is_none_or(|kind| one.signal.kind == kind)
                && wanted
                    .topic
                    .as_ref()
                    .is_none_or(|topic| one.signal.topic == *topic)
                && from
                    .as_ref()
                    .is_none_or(|agents| agents.contains(&one.agent))
        };
        let mut found: Vec<SignalView> = Vec::new();
        let after = wanted.after;
        if let Some(concerns) = &concerns
            && after.is_none_or(|after| after.near)
        {
            let below = after.map(|after| after.rank);
            let near = self.near(concerns, below, most, &fits);
            found.extend(near.iter().map(|(rank, one)| self.signal(rank, one, true)));
        }
        if found.len() < most && !wanted.only_near {
            let below = after.filter(|after| !after.near).map(|after| after.rank);
            let lists = match (&wanted.topic, &from) {
                (_, Some(agents)) => agents.iter().map(Listed::Agent).collect(),
                (Some(topic), None) => Vec::from([Listed::Topic(topic)]),
                (None, None) => Vec::from([Listed::All]),
            };
            let is_near = |rank: &Rank, one: &Emitted| {
                concerns
                    .as_ref()
                    .is_some_and(|concerns| concerns.has(rank, one))
            };
            let counts = |rank: &Rank, one: &Emitted| fits(one) && !is_near(rank, one);
            let rest = self.merged(&lists, below, most - found.len(), &counts);
            found.extend(rest.iter().map(|(rank, one)| self.signal(rank, one, false)));
        }
        found
    }

    /// How many signals stand.
    pub(super) fn signals_count(&self) -> u64 {
        self.folds.signals.count(self.at, self.now()) as u64
    }

    fn concerns_of(&self, name: &str) -> Concerns {
        let agents = self.named(name);
        let mut alike = BTreeSet::new();
        let mut topics: BTreeSet<String> = BTreeSet::new();
        for one in &agents {
            for pair in self.folds.interference.alike(one, self.at) {
                alike.extend([pair.first, pair.second]);
            }
            topics.extend(self.held_by(one).into_iter().map(String::from));
            let own = self.walk(Listed::Agent(one), None).take(OWN_LOOKED_MAX);
            topics.extend(own.map(|(_, said)| said.signal.topic.clone()));
        }
        topics.extend(self.asked_of(&agents).into_iter().map(String::from));
        Concerns {
            agents,
            alike,
            topics,
        }
    }

    /// What concerns somebody: no other signal is looked at.
    fn near(
        &self,
        concerns: &Concerns,
        below: Option<Rank>,
        most: usize,
        fits: &dyn Fn(&Emitted) -> bool,
    ) -> Vec<(Rank, &Emitted)> {
        let topics = concerns.topics.iter();
        let lists: Vec<Listed<'_>> = topics.map(|topic| Listed::Topic(topic)).collect();
        let counts = |rank: &Rank, one: &Emitted| fits(one) && concerns.has(rank, one);
        let mut found = self.merged(&lists, below, most, &counts);
        for place in &concerns.alike {
            let Some(one) = self.folds.signals.standing(place, self.at, self.now()) else {
                continue;
            };
            let rank = one.rank(place);
            if below.is_none_or(|below| rank < below) && counts(&rank, one) {
                found.push((rank, one));
            }
        }
        ordered(found, most)
    }

    /// The most pressing of several lists.
    fn merged(
        &self,
        lists: &[Listed<'_>],
        below: Option<Rank>,
        most: usize,
        counts: &dyn Fn(&Rank, &Emitted) -> bool,
    ) -> Vec<(Rank, &Emitted)> {
        let mut found = Vec::new();
        for list in lists {
            let fitting = self
                .walk(*list, below)
                .filter(|(rank, one)| counts(rank, one));
            found.extend(fitting.take(most));
        }
        ordered(found, most)
    }

    fn walk(
        &self,
        list: Listed<'_>,
        below: Option<Rank>,
    ) -> impl Iterator<Item = (Rank, &Emitted)> {
        self.folds.signals.walk(list, below, self.at, self.now())
    }

    fn signal(&self, rank: &Rank, emitted: &Emitted, near: bool) -> SignalView {
        SignalView {
            place: rank.place,
            agent: emitted.agent,
            name: self.folds.agents.name(&emitted.agent),
            kind: emitted.signal.kind,
            topic: emitted.signal.topic.clone(),
            urgency: emitted.signal.urgency,
            text: emitted.signal.text.clone(),
            expires: emitted.expires(&rank.place),
            iteration: emitted.iteration,
            evidence: emitted.signal.evidence,
            across: emitted.across.clone(),
            near,
        }
    }
}

/// The most pressing first, each once, at most so many.
fn ordered(mut found: Vec<(Rank, &Emitted)>, most: usize) -> Vec<(Rank, &Emitted)> {
    found.sort_by_key(|(rank, _)| core::cmp::Reverse(*rank));
    found.dedup_by_key(|(rank, _)| *rank);
    found.truncate(most);
    found
}
