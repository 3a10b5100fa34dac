//! Which authority signs the certificates of nodes, by the words of roots.
//!
//! Of all that was said the word of the highest rank counts, so it does not matter in which order
//! words come. Below it, each authority ends at the earliest moment that a word above it names.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AuthorityId, Place, Succession, SuccessionWord};

use super::FoldRules;
use super::limits::AUTHORITIES_KEPT_MAX;

/// The fold over what roots said of authorities.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Authorities {
    said: BTreeMap<(u32, AuthorityId), (Place, Succession)>,
    /// The word that came last, for the planted fault that goes by it.
    #[serde(skip)]
    last: Option<(u32, AuthorityId)>,
}

impl Authorities {
    /// Takes in a word. Of several about one authority the earliest end stands, and of equal ones the
    /// lowest place.
    pub fn insert(&mut self, place: Place, succession: &Succession, rules: &FoldRules) {
        let word = &succession.word;
        let order = |place: Place, word: &SuccessionWord| (word.former_until_ms, place);
        let known = self.said.get(&word.rank());
        if known.is_none_or(|(at, known)| order(place, word) < order(*at, &known.word)) {
            self.said.insert(word.rank(), (place, succession.clone()));
        }
        if self.said.len() > AUTHORITIES_KEPT_MAX {
            self.said.pop_first();
        }
        if rules.sabotage.authority_by_arrival {
            self.last = Some(word.rank());
        }
    }

    /// The word that counts; none while the authority is the one that the founder made.
    pub fn current(&self) -> Option<&SuccessionWord> {
        let last = self.last.and_then(|rank| self.said.get(&rank));
        let highest = || self.said.last_key_value().map(|(_, said)| said);
        let (_, succession) = last.or_else(highest)?;
        Some(&succession.word)
    }

    /// All that is kept of what was said, the lowest rank first.
    pub fn all(&self) -> impl Iterator<Item = &Succession> {
        self.said.values().map(|(_, succession)| succession)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use unisono_model::wire::{Blob, Signature};
    use unisono_model::{ClusterId, Digest, NodeId, Stamp};

    use super::*;
    use crate::sabotage::Sabotage;

    fn said(number: u32, key: u8, until_ms: u64, at_ms: u64) -> (Place, Succession) {
        let word = SuccessionWord {
            number,
            authority: AuthorityId([key; 32]),
            former: AuthorityId([0; 32]),
            former_until_ms: until_ms,
            signature: Signature::from_bytes([0; 64]),
        };
        let place = Place {
            stamp: Stamp::from_ms(at_ms),
            record: Digest([key; 32]),
        };
        let certificate = Blob(alloc::vec![at_ms as u8]);
        (place, Succession { word, certificate })
    }

    const RULES: FoldRules = FoldRules {
        founder: NodeId([1; 32]),
        cluster: ClusterId([1; 16]),
        root: None,
        recovery: None,
        authority: None,
        lease_ms_max: 1,
        sabotage: Sabotage::NONE,
    };

    fn folded(words: &[(Place, Succession)]) -> Authorities {
        let mut authorities = Authorities::default();
        for (place, succession) in words {
            authorities.insert(*place, succession, &RULES);
        }
        authorities
    }

    fn seen(authorities: &Authorities) -> Vec<Succession> {
        authorities.all().cloned().collect()
    }

    #[test]
    fn the_highest_rank_counts_whatever_comes_first() {
        let words = [
            said(1, 9, 50, 4),
            said(2, 3, 70, 2),
            said(2, 5, 60, 3),
            said(2, 5, 40, 5),
            said(2, 5, 40, 1),
        ];
        let all = folded(&words);
        let mut turned = words.clone();
        for _ in 0..words.len() {
            turned.rotate_left(1);
            let mut back = turned.clone();
            back.reverse();
            for order in [&turned, &back] {
                assert_eq!(seen(&folded(order)), seen(&all));
            }
        }
        let current = all.current().expect("somebody said so");
        assert_eq!(current.rank(), (2, AuthorityId([5; 32])));
        assert_eq!(current.former_until_ms, 40, "the earliest end stands");
        let words: Vec<SuccessionWord> = all.all().map(|one| one.word).collect();
        let end = |rank| SuccessionWord::end_ms(&words, rank);
        assert_eq!(end((0, AuthorityId([1; 32]))), Some(40));
        assert_eq!(end((2, AuthorityId([3; 32]))), Some(40), "it has lost");
        assert_eq!(end(current.rank()), None);
    }

    #[test]
    fn the_lowest_ranks_are_forgotten_in_any_order() {
        let many = AUTHORITIES_KEPT_MAX as u32 + 8;
        let words: Vec<_> = (1..=many).map(|number| said(number, 1, 5, 1)).collect();
        let mut back = words.clone();
        back.reverse();
        assert_eq!(seen(&folded(&words)), seen(&folded(&back)));
        assert_eq!(folded(&words).all().count(), AUTHORITIES_KEPT_MAX);
    }
}
