//! NEEDs that nobody answers: by topic, and within it by agent, so that an agent that says the same
//! a hundred thousand times is one agent that needs something.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::limits::UNDER_GLOB_MAX;
use super::pattern::Pattern;
use crate::orchestra::course::Now;
use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Place, Signal, SignalKind, Stamp, Urgency};

/// The fold over NEEDs and OFFERs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Needs {
    topics: BTreeMap<String, Topic>,
    by_agent: BTreeMap<AgentId, BTreeSet<String>>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Topic {
    needs: BTreeMap<AgentId, BTreeMap<Place, Wanted>>,
    offers: BTreeMap<AgentId, BTreeMap<Place, Wanted>>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Wanted {
    until: Stamp,
    iteration: u32,
    urgency: Urgency,
}

/// When and under what rules NEEDs are read.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// As of when.
    pub at: Stamp,
    /// The iteration then: NEEDs and OFFERs of earlier ones have ended.
    pub now: Now,
    /// How long a NEED may go unanswered (ms).
    pub patience_ms: u64,
    /// Planted fault: whoever needs something is content with its own OFFER.
    pub own_offers_count: bool,
}

/// A NEED that nobody has answered.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered<'a> {
    /// The first of its agent on the topic that stands.
    pub need: Place,
    /// Whose.
    pub agent: AgentId,
    /// About what.
    pub topic: &'a str,
    /// When it ends.
    pub until: Stamp,
    /// Whether its agent says that it can do nothing else.
    pub blocking: bool,
}

impl Wanted {
    fn stands(&self, place: &Place, moment: &Moment) -> bool {
        place.stamp <= moment.at && self.until >= moment.at && moment.now.has(place, self.iteration)
    }
}

impl Needs {
    /// Takes in a NEED or an OFFER.
    pub fn insert(&mut self, place: Place, agent: AgentId, iteration: u32, signal: &Signal) {
        let wanted = Wanted {
            until: place.stamp.plus_ms(signal.lifetime_ms),
            iteration,
            urgency: signal.urgency,
        };
        let topic = self.topics.entry(signal.topic.clone()).or_default();
        let side = match signal.kind {
            SignalKind::Need => &mut topic.needs,
            SignalKind::Offer => &mut topic.offers,
            SignalKind::Intent => return,
        };
        side.entry(agent).or_default().insert(place, wanted);
        if signal.kind == SignalKind::Need {
            let own = self.by_agent.entry(agent).or_default();
            own.insert(signal.topic.clone());
        }
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place, topic: &str) {
        if let Some(topic) = self.topics.get_mut(topic) {
            for said in topic.needs.values_mut().chain(topic.offers.values_mut()) {
                said.remove(&place);
            }
        }
    }

    /// The NEEDs that stand and that nobody else's OFFER meets, for longer than it may take; by topic,
    /// at most so many.
    pub fn all(&self, moment: Moment, most: usize) -> Vec<Unanswered<'_>> {
        let topics = self.topics.iter();
        topics
            .flat_map(|(name, topic)| {
                // Once for all who need it: they may be as many as those who offered it.
                let offered = topic.offered(&moment);
                let agents = topic.needs.keys();
                agents.filter_map(move |agent| topic.unanswered(name, agent, offered, &moment))
            })
            .take(most)
            .collect()
    }

    /// The same, of one agent.
    pub fn of(&self, agent: &AgentId, moment: Moment) -> Vec<Unanswered<'_>> {
        let own = self.by_agent.get(agent).into_iter().flatten();
        own.filter_map(|name| {
            let topic = self.topics.get(name)?;
            topic.unanswered(name, agent, topic.offered(&moment), &moment)
        })
        .collect()
    }

    /// The topics that anybody needs and that are what is held, or that it is a glob over, by name,
    /// at most [`UNDER_GLOB_MAX`]. A NEED that has ended counts for nothing: it may be forgotten.
    pub fn needed_under(&self, held: &str, moment: Moment) -> Vec<&str> {
        let pattern = Pattern::of(held);
        if !pattern.is_glob() {
            let exact = self.topics.get_key_value(held).into_iter();
            let needed = exact.filter(|(_, topic)| topic.is_needed(&moment));
            return needed.map(|(name, _)| name.as_str()).collect();
        }
        let beginning = pattern.beginning();
        let below = self.topics.range(beginning.clone()..);
        let below = below.take_while(|(name, _)| name.starts_with(&beginning));
        let needed = below.filter(|(name, topic)| {
            topic.is_needed(&moment) && (*name == held || Pattern::of(name).overlaps(&pattern))
        });
        needed
            .map(|(name, _)| name.as_str())
            .take(UNDER_GLOB_MAX)
            .collect()
    }

    /// The NEEDs on a topic that stand and that nobody else's OFFER meets.
    pub fn on(&self, topic: &str, moment: Moment) -> Vec<Unanswered<'_>> {
        let Some((name, topic)) = self.topics.get_key_value(topic) else {
            return Vec::new();
        };
        let offered = topic.offered(&moment);
        let agents = topic.needs.keys();
        agents
            .filter_map(|agent| topic.unanswered(name, agent, offered, &moment))
            .collect()
    }

    /// Who needs a topic, by agent, with the first NEED of each that stands.
    pub fn asked(&self, topic: &str, moment: Moment, most: usize) -> Vec<(AgentId, Place)> {
        let needs = self.topics.get(topic).map(|topic| &topic.needs);
        let agents = needs.into_iter().flatten();
        agents
            .filter_map(|(agent, said)| {
                let first = said
                    .iter()
                    .find(|(place, one)| one.stands(place, &moment))?;
                Some((*agent, *first.0))
            })
            .take(most)
            .collect()
    }

    /// Drops what had ended at the frontier.
    pub fn prune(&mut self, frontier: Stamp, now: Now) {
        let edge = Moment {
            at: frontier,
            now,
            patience_ms: 0,
            own_offers_count: false,
        };
        let stays =
            |place: &Place, one: &mut Wanted| place.stamp > frontier || one.stands(place, &edge);
        self.topics.retain(|_, topic| {
            for side in [&mut topic.needs, &mut topic.offers] {
                side.retain(|_, said| {
                    said.retain(stays);
                    !said.is_empty()
                });
            }
            !topic.needs.is_empty() || !topic.offers.is_empty()
        });
        let topics = &self.topics;
        self.by_agent.retain(|agent, own| {
            own.retain(|name| {
                let topic = topics.get(name);
                topic.is_some_and(|topic| topic.needs.contains_key(agent))
            });
            !own.is_empty()
        });
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        let sides = self.topics.values().flat_map(|t| [&t.needs, &t.offers]);
        sides.flat_map(BTreeMap::values).map(BTreeMap::len).sum()
    }
}

impl Topic {
    /// Whether a NEED on it stands, whatever is offered.
    fn is_needed(&self, moment: &Moment) -> bool {
        let mut said = self.needs.values().flatten();
        said.any(|(place, one)| one.stands(place, moment))
    }

    /// The first two that offer it: of two, one is somebody else than whoever needs it.
    fn offered(&self, moment: &Moment) -> [Option<AgentId>; 2] {
        let offers = self.offers.iter().filter(|(_, said)| {
            let mut said = said.iter();
            said.any(|(place, offer)| offer.stands(place, moment))
        });
        let mut agents = offers.map(|(agent, _)| *agent);
        [agents.next(), agents.next()]
    }

    fn unanswered<'a>(
        &self,
        name: &'a str,
        agent: &AgentId,
        offered: [Option<AgentId>; 2],
        moment: &Moment,
    ) -> Option<Unanswered<'a>> {
        let own = self.needs.get(agent)?.iter();
        let mut standing = own.filter(|(place, one)| one.stands(place, moment));
        let (place, first) = standing.next()?;
        if place.stamp.plus_ms(moment.patience_ms) > moment.at {
            return None;
        }
        if offered
            .iter()
            .flatten()
            .any(|other| other != agent || moment.own_offers_count)
        {
            return None;
        }
        Some(Unanswered {
            need: *place,
            agent: *agent,
            topic: name,
            until: first.until,
            blocking: first.urgency == Urgency::Blocking,
        })
    }
}
