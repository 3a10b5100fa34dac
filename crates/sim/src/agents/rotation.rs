//! Agents that go on with another key, and whoever else has the one of before.

use ed25519_dalek::SigningKey;
use unisono_model::{Action, AgentId, Held, Rotation};

use super::{Agent, Place, Wish, rights};
use crate::chance::Chance;

const SECOND: u64 = 1_000_000_000;
/// Keys that one agent may have after each other.
const KEYS_MAX: u64 = 16;
/// The number of the first key that is no agent's from the beginning.
const FIRST_KEY: u64 = 1_000;

/// What an agent means to do with its key.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    /// When it gives its key up (virtual ns), the next time first.
    at: Vec<u64>,
    /// The key that it goes on with, while it does not know whether it has come to that.
    next: Option<SigningKey>,
    /// How many keys it has given up.
    given_up: u64,
}

/// When something can happen (virtual ns).
#[derive(Clone, Debug)]
pub struct Times {
    /// When links are cut.
    pub cuts: Vec<u64>,
    /// When the longest of these cuts begins.
    pub longest: Option<u64>,
    /// When agents begin nothing more.
    pub end: u64,
}

/// Some agents change their keys, and sometimes somebody else has the one of before, goes on with it
/// at another node, and now and then changes it, too: mostly where that side has not heard of it.
pub fn draw(seed: u64, agents: &mut Vec<Agent>, count: usize, place: &Place, times: &Times) {
    let mut chance = Chance::new(seed, "rotation", 0);
    if chance.percent(50) {
        return;
    }
    let able = |agent: &&Agent| agent.held == Held::Agent && agent.is_plain();
    let able: Vec<usize> = (0..count)
        .filter(|index| agents.get(*index).as_ref().is_some_and(able))
        .collect();
    let Some(first) = chance.pick(&able).copied() else {
        return;
    };
    let cut = chance.pick(&times.cuts).copied();
    let cut = cut.filter(|_| chance.percent(80));
    let mut moment = || match cut {
        Some(cut) => cut + chance.between(SECOND, 10 * SECOND),
        None => chance.between(30 * SECOND, times.end.max(31 * SECOND)),
    };
    let others_at = moment();
    let mut at = vec![moment()];
    at.push(chance.between(30 * SECOND, times.end.max(31 * SECOND)));
    at.sort_unstable();
    if chance.percent(50) {
        at.truncate(1);
    }
    agents[first].turns.at = at;
    if chance.percent(40) {
        return;
    }
    let honest = &agents[first];
    let home = (honest.home + 1) % place.hosts;
    let number = count as u64 + 2;
    let mut other = Agent::new(
        seed,
        number,
        Held::Agent,
        honest.character,
        home,
        place.clone(),
    );
    other.name.clone_from(&honest.name);
    other.take_key(honest.key.clone());
    other.rights = honest.rights.as_ref().map(rights::Rights::of_another);
    if chance.percent(50) {
        other.turns.at = vec![others_at];
    }
    agents.push(other);
}

impl Agent {
    /// Gives its key up, when the time has come.
    pub(super) fn change_key(&mut self, seed: u64, now: u64) -> Option<Wish> {
        let due = self.turns.at.first().is_some_and(|at| *at <= now);
        if !due || self.turns.given_up >= KEYS_MAX {
            return None;
        }
        self.turns.at.remove(0);
        let number = FIRST_KEY + self.number * KEYS_MAX + self.turns.given_up;
        let next = rights::key(seed, number);
        let Place {
            cluster, orchestra, ..
        } = self.place;
        let rotation = Rotation::sign(&next, cluster, orchestra, self.id, &self.name);
        self.turns.next = Some(next);
        Some(Wish::Act(Action::Rotate(Box::new(rotation))))
    }

    /// It signs with its next key from now on, if it has asked for one.
    pub(super) fn go_on_with_next_key(&mut self) -> bool {
        let Some(next) = self.turns.next.take() else {
            return false;
        };
        self.turns.given_up += 1;
        self.take_key(next);
        true
    }

    fn take_key(&mut self, key: SigningKey) {
        self.id = AgentId(key.verifying_key().to_bytes());
        self.key = key;
        self.chain = None;
    }

    /// Whether it goes on with a key that a node does not know for its agent's: it waits until the
    /// rotation is heard of, and never enrols it.
    pub(super) fn is_stranger_with(&self, enrolled: bool) -> bool {
        self.turns.given_up > 0 && !enrolled
    }
}
