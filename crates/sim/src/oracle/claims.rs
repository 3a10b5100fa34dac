//! Who holds what, naively: one walk over each topic's records in their order.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, AgentId, Digest, LogId, Place, Stamp};

use super::logs::Fact;
use super::members::Removals;

/// A topic that is held.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Held {
    /// The claim.
    pub claim: Place,
    /// Whose.
    pub agent: AgentId,
    /// The log that carries it.
    pub log: LogId,
    /// The fencing token.
    pub token: Stamp,
    /// Whether guards may accept it.
    pub token_valid: bool,
    /// When the lease ends.
    pub until: Stamp,
    /// Claims that lost and still stand in the way.
    pub losers: BTreeSet<(Place, AgentId)>,
}

/// Everything about claims that a walk shows.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Each granted claim with the time that it was held: from its claim to its end.
    pub granted: Vec<(String, Place, AgentId, Stamp, Stamp)>,
    /// Claims that lost.
    pub lost: BTreeMap<Digest, Loss>,
}

/// How a claim was lost.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Its stamp.
    pub at: Stamp,
    /// The log of the claim that held the topic, and that claim's stamp; none if the loser was late.
    pub to: Option<(LogId, Stamp)>,
    /// The same in words.
    pub why: String,
}

struct Walk {
    holder: Option<Held>,
    losers: Vec<(Place, AgentId, Stamp)>,
    highest_loser: Stamp,
    story: Story,
}

/// Who holds what at a stamp.
pub fn claims(
    facts: &[&Fact],
    removals: &Removals,
    lease_ms_max: u64,
    at: Stamp,
) -> BTreeMap<String, Held> {
    let mut held = BTreeMap::new();
    for (topic, facts) in by_topic(facts) {
        let mut walk = walk(&topic, &facts, removals, lease_ms_max);
        walk.time_passes(&topic, at);
        if let Some(mut holder) = walk.holder {
            holder.token_valid = holder.token > walk.highest_loser;
            holder.losers = walk
                .losers
                .iter()
                .map(|(place, agent, _)| (*place, *agent))
                .collect();
            held.insert(topic, holder);
        }
    }
    held
}

/// What became of every claim.
pub fn story(facts: &[&Fact], removals: &Removals, lease_ms_max: u64) -> Story {
    let mut story = Story::default();
    for (topic, facts) in by_topic(facts) {
        let mut walk = walk(&topic, &facts, removals, lease_ms_max);
        walk.time_passes(&topic, Stamp::MAX);
        story.granted.extend(walk.story.granted);
        story.lost.extend(walk.story.lost);
    }
    story
}

fn by_topic<'a>(facts: &[&'a Fact]) -> BTreeMap<String, Vec<&'a Fact>> {
    let mut topics: BTreeMap<String, Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        match &fact.body.action {
            Action::Claim { topic, .. }
            | Action::Renew { topic, .. }
            | Action::Release { topic, .. } => {
                topics.entry(topic.clone()).or_default().push(fact);
            }
            _ => {}
        }
    }
    topics
}

fn walk(topic: &str, facts: &[&Fact], removals: &Removals, lease_ms_max: u64) -> Walk {
    let mut walk = Walk {
        holder: None,
        losers: Vec::new(),
        highest_loser: Stamp::MIN,
        story: Story::default(),
    };
    for fact in facts {
        let now = fact.place.stamp;
        walk.time_passes(topic, now);
        let late = removals.cut(&fact.log).is_some_and(|cut| now >= cut);
        let end = |claim: Stamp, lease_ms: u64| {
            let end = now.plus_ms(lease_ms.min(lease_ms_max));
            let fence = removals.fence_after(claim, lease_ms_max);
            fence.map_or(end, |fence| end.min(fence.before()))
        };
        match &fact.body.action {
            Action::Claim { lease_ms, .. } => walk.claim(fact, late, end(now, *lease_ms)),
            Action::Renew {
                claim, lease_ms, ..
            } => match walk.holder.as_mut() {
                Some(held) if !late && held.claim.record == *claim && held.agent == fact.agent => {
                    held.token = now;
                    held.until = end(held.claim.stamp, *lease_ms);
                }
                _ => walk.highest_loser = walk.highest_loser.max(now),
            },
            Action::Release { claim, .. } => walk.release(topic, fact, late, *claim),
            _ => {}
        }
    }
    walk
}

impl Walk {
    fn time_passes(&mut self, topic: &str, now: Stamp) {
        if let Some(held) = self.holder.take_if(|held| held.until < now) {
            let end = held.until;
            self.story
                .granted
                .push((topic.into(), held.claim, held.agent, held.claim.stamp, end));
        }
        self.losers.retain(|(_, _, until)| *until >= now);
    }

    fn claim(&mut self, fact: &Fact, late: bool, until: Stamp) {
        if late || self.holder.is_some() {
            self.losers.push((fact.place, fact.agent, until));
            self.highest_loser = self.highest_loser.max(fact.place.stamp);
            let why = match &self.holder {
                Some(held) => format!("{} held it since {}", held.agent, held.claim.stamp),
                None => format!("{:?} was cut off before {}", fact.log, fact.place.stamp),
            };
            let to = self
                .holder
                .as_ref()
                .map(|held| (held.log, held.claim.stamp));
            let at = fact.place.stamp;
            self.story
                .lost
                .insert(fact.place.record, Loss { at, to, why });
            return;
        }
        self.holder = Some(Held {
            claim: fact.place,
            agent: fact.agent,
            log: fact.log,
            token: fact.place.stamp,
            token_valid: true,
            until,
            losers: BTreeSet::new(),
        });
    }

    fn release(&mut self, topic: &str, fact: &Fact, late: bool, claim: Digest) {
        let theirs = |held: &mut Held| held.claim.record == claim && held.agent == fact.agent;
        if !late && let Some(held) = self.holder.take_if(theirs) {
            let end = fact.place.stamp;
            self.story
                .granted
                .push((topic.into(), held.claim, held.agent, held.claim.stamp, end));
        }
        self.losers
            .retain(|(place, agent, _)| !(place.record == claim && *agent == fact.agent));
    }
}
