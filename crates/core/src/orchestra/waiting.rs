//! Records that refer to something which is not held yet: in memory as far as they fit and are new,
//! and of all others what they wait for, since the logs have them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{ChainId, Place, Stamp};

use super::PENDING_MAX;
use super::fact::Fact;
use super::trust::Awaited;

/// Most things that records wait for whom the logs alone have, and most chains of such records,
/// remembered one by one: a node that lies can make up more, and then whatever arrives folds the
/// orchestra again.
const SET_ASIDE_MAX: usize = 65_536;

/// What waits in one orchestra.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Waiting {
    #[serde(skip)]
    held: BTreeMap<Awaited, Vec<Fact>>,
    /// How many more there are, which the logs alone have.
    aside: BTreeMap<Awaited, u64>,
    /// And how many of which it is not known any more what they wait for.
    aside_more: u64,
    /// How far the chains reach of those that the logs alone have.
    chains: BTreeMap<ChainId, Reach>,
    /// There are more chains than are remembered.
    chains_more: bool,
}

/// The highest record of a chain that was left to the logs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Reach {
    /// Its number in the chain.
    pub(super) seq: u64,
    /// Where it stands.
    pub(super) place: Place,
}

impl Waiting {
    /// Keeps a record until what it waits for comes.
    pub(super) fn insert(&mut self, awaited: Awaited, fact: Fact) {
        let held: usize = self.held.values().map(Vec::len).sum();
        if held < PENDING_MAX {
            self.held.entry(awaited).or_default().push(fact);
        } else {
            self.leave_to_the_logs(awaited, &fact);
        }
    }

    /// Everything that records in memory wait for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = Awaited> {
        self.held.keys().copied()
    }

    /// The records in memory that wait for something; they do no more.
    pub(super) fn take(&mut self, awaited: &Awaited) -> Vec<Fact> {
        self.held.remove(awaited).unwrap_or_default()
    }

    /// Whether the logs may have records that wait for something.
    pub(super) fn is_aside(&self, awaited: &Awaited) -> bool {
        self.aside.contains_key(awaited) || self.aside_more > 0
    }

    /// Whether the logs may have a record that waits, in a chain that reaches as far as is asked for.
    pub(super) fn reaches(&self, is_meant: impl Fn(&ChainId, &Reach) -> bool) -> bool {
        let mut chains = self.chains.iter();
        self.chains_more || chains.any(|(chain, reach)| is_meant(chain, reach))
    }

    /// Of the records that wait up to a stamp, keeps only what they wait for and how far they reach.
    /// Else one record that waits for ever would keep the whole past in memory.
    pub(super) fn set_aside(&mut self, up_to: Stamp) {
        for (awaited, facts) in core::mem::take(&mut self.held) {
            let (gone, kept): (Vec<Fact>, Vec<Fact>) = facts
                .into_iter()
                .partition(|fact| fact.place.stamp <= up_to);
            for fact in &gone {
                self.leave_to_the_logs(awaited, fact);
            }
            if !kept.is_empty() {
                self.held.insert(awaited, kept);
            }
        }
    }

    fn leave_to_the_logs(&mut self, awaited: Awaited, fact: &Fact) {
        if self.aside.contains_key(&awaited) || self.aside.len() < SET_ASIDE_MAX {
            *self.aside.entry(awaited).or_default() += 1;
        } else {
            self.aside_more += 1;
        }
        let (agent, log) = (fact.agent, fact.log);
        let chain = ChainId { agent, log };
        if self.chains.contains_key(&chain) || self.chains.len() < SET_ASIDE_MAX {
            let reach = self.chains.entry(chain).or_default();
            reach.seq = reach.seq.max(fact.seq);
            reach.place = reach.place.max(fact.place);
        } else {
            self.chains_more = true;
        }
    }

    /// How many records wait, wherever they are.
    pub(super) fn count(&self) -> u64 {
        let held = self.held.values().map(|waiting| waiting.len() as u64);
        held.sum::<u64>() + self.aside.values().sum::<u64>() + self.aside_more
    }

    /// The same, of those up to a stamp.
    pub(super) fn count_at(&self, at: Stamp) -> u64 {
        let later = self.held.values().flatten();
        let later = later.filter(|fact| fact.place.stamp > at).count() as u64;
        self.count().saturating_sub(later)
    }

    /// Values kept in memory.
    pub(super) fn weight(&self) -> usize {
        let held = self.held.values().map(Vec::len).sum::<usize>();
        held + self.aside.len() + self.chains.len()
    }
}
