//! The guard in front of whatever a claim protects: it accepts only tokens that grow.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use unisono_model::Stamp;

use crate::dto::Claim;

/// Keeps, per topic, the highest fencing token that it has accepted. A holder that was paused, cut
/// off or beaten comes back with a lower one and is refused, whatever it believes.
#[derive(Clone, Debug)]
pub struct FencingGuard {
    highest: BTreeMap<String, Stamp>,
    topics_max: usize,
}

/// Why a token is not accepted. The guard has not changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FencingRefusal {
    /// A losing claim bears a higher token: the holder must renew first.
    #[error("the token is not valid: its holder must renew the claim first")]
    Invalid,
    /// Somebody with a higher token was here.
    #[error("the token {offered} is lower than {highest}, which was accepted before")]
    Overtaken {
        /// What was offered.
        offered: Stamp,
        /// What was accepted before.
        highest: Stamp,
    },
    /// The guard's memory is full; forgetting a topic would let its old holders in again.
    #[error("the guard remembers {0} topics and can take no more")]
    Full(usize),
}

impl FencingGuard {
    /// Most topics unless said otherwise.
    pub const TOPICS_MAX: usize = 100_000;

    /// A guard that has accepted nothing yet.
    pub fn new() -> Self {
        Self::with_topics_max(Self::TOPICS_MAX)
    }

    /// The same, for so many topics.
    pub fn with_topics_max(topics_max: usize) -> Self {
        Self {
            highest: BTreeMap::new(),
            topics_max,
        }
    }

    /// Accepts a claim as a node showed it, or says why not.
    pub fn admit_claim(&mut self, claim: &Claim) -> Result<(), FencingRefusal> {
        self.admit(&claim.topic, claim.token.stamp, claim.token_valid)
    }

    /// Accepts a token that is valid and not lower than the last one, or says why not.
    pub fn admit(
        &mut self,
        topic: &str,
        token: Stamp,
        token_valid: bool,
    ) -> Result<(), FencingRefusal> {
        if !token_valid {
            return Err(FencingRefusal::Invalid);
        }
        let full = self.highest.len() >= self.topics_max;
        match self.highest.entry(topic.to_owned()) {
            Entry::Vacant(_) if full => Err(FencingRefusal::Full(self.topics_max)),
            Entry::Vacant(place) => {
                place.insert(token);
                Ok(())
            }
            Entry::Occupied(place) if *place.get() > token => Err(FencingRefusal::Overtaken {
                offered: token,
                highest: *place.get(),
            }),
            Entry::Occupied(mut place) => {
                place.insert(token);
                Ok(())
            }
        }
    }

    /// The highest token accepted for a topic.
    pub fn highest(&self, topic: &str) -> Option<Stamp> {
        self.highest.get(topic).copied()
    }

    /// What must be kept beside the protected thing, so that the guard outlives its process.
    pub fn accepted(&self) -> impl Iterator<Item = (&str, Stamp)> {
        self.highest
            .iter()
            .map(|(topic, token)| (topic.as_str(), *token))
    }
}

impl Default for FencingGuard {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growing_tokens_pass() {
        let mut guard = FencingGuard::new();
        assert_eq!(guard.admit("a", Stamp(41), true), Ok(()));
        assert_eq!(
            guard.admit("a", Stamp(41), true),
            Ok(()),
            "one holder acts many times"
        );
        assert_eq!(guard.admit("a", Stamp(43), true), Ok(()));
        let refused = FencingRefusal::Overtaken {
            offered: Stamp(41),
            highest: Stamp(43),
        };
        assert_eq!(
            guard.admit("a", Stamp(41), true),
            Err(refused),
            "the paused holder wakes"
        );
        assert_eq!(guard.admit("b", Stamp(1), true), Ok(()), "topics are apart");
        assert_eq!(guard.highest("a"), Some(Stamp(43)));
    }

    #[test]
    fn an_invalid_token_leaves_no_trace() {
        let mut guard = FencingGuard::new();
        assert_eq!(
            guard.admit("a", Stamp(50), false),
            Err(FencingRefusal::Invalid)
        );
        assert_eq!(guard.highest("a"), None);
        assert_eq!(guard.admit("a", Stamp(7), true), Ok(()));
    }

    #[test]
    fn a_full_guard_refuses_new_topics_and_keeps_the_old() {
        let mut guard = FencingGuard::with_topics_max(1);
        assert_eq!(guard.admit("a", Stamp(2), true), Ok(()));
        assert_eq!(
            guard.admit("b", Stamp(2), true),
            Err(FencingRefusal::Full(1))
        );
        assert_eq!(guard.admit("a", Stamp(3), true), Ok(()));
    }
}
