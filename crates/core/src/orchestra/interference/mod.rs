//! Interference: where agents get in each other's way, found when a record is folded.
//!
//! ```text
//!   claim ──► topics that are held, globs by where they begin ──► contested, overlap
//!   NEED, OFFER ──► by topic and agent ─────────────────────────► unanswered
//!   INTENT ──► by word, eight neighbours on each ───────────────► collision
//!   resolution ──► by interference, the first stands ───────────► resolved
//! ```
//!
//! Every interference is a function of the records and the stamp: it has one name on every replica,
//! begins when its second side comes (or, for a NEED, when patience ends), and ends by itself when
//! a side expires, is given back, or the rule of claims has decided. Nothing here writes a record.
//!
//! **Cost.** A record touches at most `KEYS_MAX` words with `NEIGHBOURS_MAX` neighbours to each
//! side, or one topic; never more, however many signals stand.

pub mod intents;
pub mod limits;
pub mod needs;
pub mod pattern;
mod read;
pub mod resolutions;
pub mod topics;
pub mod view;
pub mod words;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Place, SignalKind, Stamp};

use super::course::Now;
use super::fact::Fact;
use crate::sabotage::Sabotage;
use intents::Intents;
use needs::Needs;
use resolutions::Resolutions;
use topics::Topics;

/// The fold that finds interferences.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Interference {
    intents: Intents,
    needs: Needs,
    topics: Topics,
    resolutions: Resolutions,
    /// Rules to break when it is read.
    #[serde(skip)]
    pub(super) sabotage: Sabotage,
}

impl Interference {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact, sabotage: Sabotage) {
        self.sabotage = sabotage;
        let (place, agent) = (fact.place, fact.agent);
        if let Some(signal) = fact.body.action.signal() {
            if signal.kind == SignalKind::Intent {
                let blind = sabotage.interference_by_arrival;
                self.intents.insert(place, agent, signal, blind);
            } else {
                self.needs.insert(place, agent, fact.body.iteration, signal);
            }
        }
        match &fact.body.action {
            Action::Claim { .. } | Action::Renew { .. } => self.topics.insert(fact),
            Action::Resolve(resolve) => {
                let carrier = fact.carrier();
                self.resolutions.insert(place, agent, resolve, carrier);
            }
            _ => {}
        }
    }

    /// Whether a record from below the pruned past cannot simply be added: how far two INTENTs are
    /// apart depends on those between them, which may be forgotten.
    pub fn is_upset_by(action: &Action) -> bool {
        let signal = action.signal();
        signal.is_some_and(|signal| signal.kind == SignalKind::Intent)
    }

    /// Takes a record out again. A claim stays among the topics that may be held.
    pub fn retract(&mut self, place: Place, action: &Action) {
        match action.signal() {
            Some(signal) if signal.kind == SignalKind::Intent => self.intents.retract(place),
            Some(signal) => self.needs.retract(place, &signal.topic),
            None => {}
        }
        if let Action::Resolve(resolve) = action {
            self.resolutions.retract(place, resolve.interference);
        }
    }

    /// Topics that anybody may hold at a stamp.
    pub fn live_topics(&self, at: Stamp) -> impl Iterator<Item = &str> {
        self.topics.live(at)
    }

    /// Topics that may be held beside a path, at most so many: those that begin like it.
    pub fn topics_beside(&self, path: &str, at: Stamp) -> Vec<&str> {
        self.topics.beside(path, at)
    }

    /// Who else needs a topic, whether or not anybody offers it, at most so many.
    pub fn asked(&self, topic: &str, moment: needs::Moment, most: usize) -> Vec<(AgentId, Place)> {
        self.needs.asked(topic, moment, most)
    }

    /// All pairs of INTENTs that stand and are at least so alike (‰).
    pub fn pairs(&self, at: Stamp, least: u16) -> impl Iterator<Item = intents::Collision> + '_ {
        self.intents.all(at, u64::from(least))
    }

    /// INTENTs of others that are anything like those of an agent, from its newest one on and at most
    /// [`limits::OWN_LOOKED_MAX`].
    pub fn alike(
        &self,
        agent: &AgentId,
        at: Stamp,
    ) -> impl Iterator<Item = intents::Collision> + '_ {
        let alike = self.intents.of(agent, at, 0);
        alike.take(limits::OWN_LOOKED_MAX)
    }

    /// Topics that an agent has claimed and may hold at a stamp, at most so many of those that
    /// `counts` is true of, by name.
    pub fn topics_of(
        &self,
        agent: &AgentId,
        at: Stamp,
        counts: &dyn Fn(&str) -> bool,
    ) -> Vec<&str> {
        self.topics.of(agent, at, counts)
    }

    /// Drops what can no longer be the answer to anything above the frontier.
    pub fn prune(&mut self, frontier: Stamp, now: Now) {
        self.intents.prune(frontier);
        self.needs.prune(frontier, now);
        self.topics.prune(frontier);
        self.resolutions.prune(frontier);
    }

    /// After loading from a checkpoint.
    pub fn restored(&mut self) {
        self.intents.restored();
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.intents.weight()
            + self.needs.weight()
            + self.topics.weight()
            + self.resolutions.weight()
    }
}
