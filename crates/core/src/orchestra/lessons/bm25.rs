//! Which texts speak of what is asked for: BM25 in integers (Robertson and Zaragoza, "The Probabilistic
//! Relevance Framework: BM25 and Beyond", 2009, section 3.4, with k1 = 1.2 and b = 0.75).
//!
//! The words of all texts are kept in an index, which follows from the texts: it is built again after a
//! start, no node tells it to another, and what it answers is what looking through the texts would.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::Place;

/// Most words of a question that are looked for.
const WORDS_MAX: usize = 32;

/// Which word stands in which texts, and how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    texts: BTreeMap<Place, Text>,
    /// By word, in small letters: the numbers of its texts, rising, and how often it stands in each.
    postings: BTreeMap<String, Vec<(u32, u32)>>,
    /// The number of the next text.
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Text {
    number: u32,
    /// How many words it has.
    words: u32,
}

impl Index {
    /// Takes in a text, in several pieces.
    pub(super) fn add<'a>(&mut self, place: Place, pieces: impl Iterator<Item = &'a str>) {
        if self.texts.contains_key(&place) {
            return;
        }
        let number = self.next;
        self.next = self.next.saturating_add(1);
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        let mut total = 0;
        for word in pieces.flat_map(words) {
            total += 1;
            *counts.entry(small(word)).or_default() += 1;
        }
        for (word, count) in counts {
            self.postings.entry(word).or_default().push((number, count));
        }
        let words = total;
        self.texts.insert(place, Text { number, words });
    }

    /// Takes the same text out again.
    pub(super) fn remove<'a>(&mut self, place: &Place, pieces: impl Iterator<Item = &'a str>) {
        let Some(text) = self.texts.remove(place) else {
            return;
        };
        let words: BTreeSet<String> = pieces.flat_map(words).map(small).collect();
        for word in words {
            let Some(list) = self.postings.get_mut(&word) else {
                continue;
            };
            if let Ok(at) = list.binary_search_by_key(&text.number, |(number, _)| *number) {
                list.remove(at);
            }
            if list.is_empty() {
                self.postings.remove(&word);
            }
        }
    }

    /// Scores those of the texts that are named: each higher the more it speaks of the question, and
    /// none that does not. Rare is what is rare among these.
    pub(super) fn scores(
        &self,
        question: &str,
        among: impl Iterator<Item = Place>,
    ) -> BTreeMap<Place, u64> {
        let mut length = 0;
        let mut asked: BTreeMap<u32, (Place, u64)> = BTreeMap::new();
        for place in among {
            let Some(text) = self.texts.get(&place) else {
                continue;
            };
            length += u64::from(text.words);
            asked.insert(text.number, (place, u64::from(text.words)));
        }
        let documents = asked.len() as u64;
        let length = length.max(1);
        let mut scores = BTreeMap::new();
        for word in wanted(question) {
            let postings = self.postings.get(&word).into_iter().flatten();
            let found = postings.filter_map(|(number, count)| Some((asked.get(number)?, count)));
            let found: Vec<(&(Place, u64), &u32)> = found.collect();
            let rarity = rarity(documents, found.len() as u64);
            for ((place, words), count) in found {
                // tf (k1 + 1) / (tf + k1 (1 - b + b dl / avgdl)), in thousandths.
                let norm = 300 + 900 * words * documents / length;
                let count = u64::from(*count);
                let often = count * 2_200 * 1_000 / (count * 1_000 + norm);
                *scores.entry(*place).or_default() += often * rarity / 1_000;
            }
        }
        scores.retain(|_, score| *score > 0);
        scores
    }
}

/// log2(1 + (N - n + 0.5) / (n + 0.5)), in 1024ths.
fn rarity(documents: u64, holding: u64) -> u64 {
    log2_1024((2 * documents + 2) * 1_024 / (2 * holding + 1))
}

/// The binary logarithm of a number of 1024ths, in 1024ths, by squaring the mantissa ten times.
fn log2_1024(value: u64) -> u64 {
    let value = value.max(1_024);
    let whole = u64::from(value.ilog2()) - 10;
    let mut mantissa = (value << 20) >> (whole + 10);
    let mut bits = 0;
    for _ in 0..10 {
        mantissa = (mantissa * mantissa) >> 20;
        bits <<= 1;
        if mantissa >= 2 << 20 {
            mantissa >>= 1;
            bits |= 1;
        }
    }
    whole * 1_024 + bits
}

/// The words of a question, each once.
fn wanted(question: &str) -> BTreeSet<String> {
    words(question).map(small).take(WORDS_MAX).collect()
}

fn small(word: &str) -> String {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !part.is_empty() && part.len() <= 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unisono_model::{Digest, Stamp};

    fn place(number: usize) -> Place {
        Place {
            stamp: Stamp(number as u64),
            record: Digest::default(),
        }
    }

    fn index(texts: &[&str]) -> Index {
        let mut index = Index::default();
        for (number, text) in texts.iter().enumerate() {
            index.add(place(number), [*text].into_iter());
        }
        index
    }

    fn scores(question: &str, texts: &[&str]) -> Vec<u64> {
        let found = index(texts).scores(question, (0..texts.len()).map(place));
        let score = |number| found.get(&place(number)).copied().unwrap_or(0);
        (0..texts.len()).map(score).collect()
    }

    #[test]
    fn a_rare_word_weighs_more_than_a_common_one_and_a_short_text_more_than_a_long_one() {
        let texts = [
            "the log is one file",
            "the index is a file of many words that say little of it",
            "the mmap of the log tears",
            "nothing",
        ];
        let found = scores("MMAP log", &texts);
        assert!(found[2] > found[0] && found[0] > 0, "{found:?}");
        assert_eq!((found[1], found[3]), (0, 0));
        let found = scores("file", &texts);
        assert!(found[0] > found[1] && found[1] > 0, "{found:?}");
        assert_eq!(scores("!!!", &texts), [0; 4]);
        assert!(scores("x", &[]).is_empty());
        assert!(scores("ÉTAGE", &["l'étage"])[0] > 0);
        let mut whole = Index::default();
        whole.add(place(0), ["the log", "is one file"].into_iter());
        let whole = whole.scores("log", [place(0)].into_iter());
        assert_eq!(whole[&place(0)], scores("log", &["the log is one file"])[0]);
    }

    #[test]
    fn what_is_taken_out_leaves_nothing_and_what_is_not_asked_for_makes_nothing_rare() {
        let texts = ["the log is one file", "the log", "a log and a log", "file"];
        let mut index = index(&texts);
        let among = || [place(0), place(3)].into_iter();
        let asked = index.scores("log file", among());
        index.remove(&place(1), [texts[1]].into_iter());
        index.remove(&place(1), [texts[1]].into_iter());
        index.remove(&place(2), [texts[2]].into_iter());
        assert_eq!(index.scores("log file", among()), asked);
        assert_eq!(
            scores("log file", &[texts[0], texts[3]]),
            [asked[&place(0)], asked[&place(3)]]
        );
        index.remove(&place(0), [texts[0]].into_iter());
        index.remove(&place(3), [texts[3]].into_iter());
        assert!(index.postings.is_empty() && index.texts.is_empty());
    }

    #[test]
    fn the_logarithm_is_the_one_of_the_books() {
        for (value, told) in [
            (1_024, 0),
            (2_048, 1_024),
            (3_072, 1_623),
            (1 << 30, 20_480),
        ] {
            assert!(
                log2_1024(value).abs_diff(told) <= 1,
                "{value}: {}",
                log2_1024(value)
            );
        }
    }
}
