//! Which key is the root of rights when, naively: all words are looked at for each time.

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::{Action, AgentId, ClusterId, RootWord};

use super::logs::Fact;

/// Who is the root when.
#[derive(Clone, Debug)]
pub struct Reigns {
    founding: AgentId,
    names: AgentId,
    words: Vec<RootWord>,
}

fn is_said(word: &RootWord, cluster: ClusterId, names: AgentId) -> bool {
    let proof = word.signed(cluster);
    let mut by = StrictVerifier;
    by.verify(&names.0, &proof, &word.signature) && by.verify(&word.root.0, &proof, &word.consent)
}

impl Reigns {
    /// By the words in some records, whether or not these count.
    pub fn of(
        facts: &[Fact],
        cluster: ClusterId,
        founding: AgentId,
        recovery: Option<AgentId>,
    ) -> Self {
        let names = recovery.unwrap_or(founding);
        let words = facts.iter().filter_map(|fact| match &fact.body.action {
            Action::Root(word) if is_said(word, cluster, names) => Some(**word),
            _ => None,
        });
        let words: Vec<RootWord> = words.collect();
        // Of several with one number, the highest key's; of these the one with the earliest time.
        let stands = |word: &&RootWord| {
            let mut same = words.iter().filter(|other| other.number == word.number);
            same.all(|other| {
                let higher = word.root > other.root;
                higher || (word.root == other.root && word.from_ms <= other.from_ms)
            })
        };
        let mut words: Vec<RootWord> = words.iter().filter(stands).copied().collect();
        words.sort_by_key(|word| word.number);
        words.dedup();
        Self {
            founding,
            names,
            words,
        }
    }

    /// The words that stand, the lowest number first.
    pub fn words(&self) -> &[RootWord] {
        &self.words
    }

    /// The root at a time (ms since the Unix epoch).
    pub fn at(&self, at_ms: u64) -> AgentId {
        let begun = self.words.iter().filter(|word| word.from_ms <= at_ms);
        let highest = begun.max_by_key(|word| word.number);
        highest.map_or(self.founding, |word| word.root)
    }

    /// Whether a word is one.
    pub(super) fn is_said(&self, word: &RootWord, cluster: ClusterId) -> bool {
        is_said(word, cluster, self.names)
    }

    /// Whether the root of its time has signed a record.
    pub(super) fn signs(&self, fact: &Fact) -> bool {
        self.at(fact.place.stamp.as_ms()) == fact.agent
    }

    /// Whether a key is a root at any time.
    pub(super) fn knows(&self, key: &AgentId) -> bool {
        self.founding == *key || self.words.iter().any(|word| word.root == *key)
    }

    /// Every key that is.
    pub(super) fn keys(&self) -> Vec<AgentId> {
        let named = self.words.iter().map(|word| word.root);
        std::iter::once(self.founding).chain(named).collect()
    }
}
