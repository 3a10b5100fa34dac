//! Which key is the root of rights at which time, by the words that name roots.
//!
//! ```text
//!   the founding's root      word 1: B from t₁       word 2: C from t₂
//!   ────────────────────────┼───────────────────────┼──────────────────► stamps
//!            A              t₁          B           t₂          C
//! ```
//!
//! A word proves itself and counts from the time that it names, so neither the order in which words
//! come nor the place of the records that carry them means anything: equal sets give equal roots.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, RootWord};

use crate::context::{StrictVerifier, Verifier};
use crate::orchestra::FoldRules;

/// All words that name roots, as far as they count: one of each number.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Roots {
    named: BTreeMap<u32, RootWord>,
}

impl Roots {
    /// Takes in a word. True if the root is another one now than it was thought to be, at any time.
    pub(super) fn hear(&mut self, word: &RootWord, rules: &FoldRules) -> bool {
        if !is_said(word, rules) {
            return false;
        }
        let known = self.named.get(&word.number);
        if known.is_some_and(|known| !word.outranks(known)) {
            return false;
        }
        self.named.insert(word.number, *word) != Some(*word)
    }

    /// The root at a time (ms since the Unix epoch): of the words whose time has come the highest
    /// names it, and before all of them it is the one of the founding.
    pub fn at(&self, founding: Option<AgentId>, at_ms: u64) -> Option<AgentId> {
        let mut words = self.named.values().rev();
        let word = words.find(|word| word.from_ms <= at_ms);
        word.map(|word| word.root).or(founding)
    }

    /// Whether a key is or was a root, or is named as one.
    pub fn knows(&self, founding: Option<AgentId>, key: AgentId) -> bool {
        founding == Some(key) || self.named.values().any(|word| word.root == key)
    }

    /// The words, the lowest number first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &RootWord> {
        self.named.values()
    }

    /// The one of the highest number: the root that stands when its time has come.
    pub fn last(&self) -> Option<&RootWord> {
        self.named.values().next_back()
    }

    /// Whether a word would say anything that is not known.
    pub fn is_news(&self, word: &RootWord) -> bool {
        let known = self.named.get(&word.number);
        known.is_none_or(|known| word.outranks(known))
    }

    /// Until when the word of a number names the root: the earliest time of any above it (ms since the
    /// Unix epoch). Number 0 is the founding.
    pub fn end_ms(&self, number: u32) -> Option<u64> {
        let above = self.named.range(number.saturating_add(1)..);
        above.map(|(_, word)| word.from_ms).min()
    }
}

/// Whether the key that names roots has said it, and the next one consents.
pub(crate) fn is_said(word: &RootWord, rules: &FoldRules) -> bool {
    let proof = word.signed(rules.cluster);
    let mut by = StrictVerifier;
    rules.names_roots().is_some_and(|key| {
        by.verify(&key.0, &proof, &word.signature) && by.verify(&word.root.0, &proof, &word.consent)
    })
}
