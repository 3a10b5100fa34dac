//! Which texts speak of what is asked for: BM25 in integers (Robertson and Zaragoza, "The Probabilistic
//! Relevance Framework: BM25 and Beyond", 2009, section 3.4, with k1 = 1.2 and b = 0.75).
//!
//! Nothing is kept between questions: what can be told is bounded, and is looked through.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// Most words of a question that are looked for.
const WORDS_MAX: usize = 32;

/// Scores texts, each in several pieces: each higher the more it speaks of the question, zero where
/// it does not.
pub(super) fn scores<'a, P>(question: &str, texts: impl Iterator<Item = P>) -> Vec<u64>
where
    P: IntoIterator<Item = &'a str>,
{
    let wanted = Wanted::of(question);
    let mut counts: Vec<(u64, BTreeMap<usize, u64>)> = Vec::new();
    let mut holding: BTreeMap<usize, u64> = BTreeMap::new();
    let mut length = 0;
    let mut small = String::new();
    for text in texts {
        let (mut total, mut found) = (0, BTreeMap::new());
        for word in text.into_iter().flat_map(words) {
            total += 1;
            if let Some(word) = wanted.find(word, &mut small) {
                *found.entry(word).or_default() += 1;
            }
        }
        for word in found.keys() {
            *holding.entry(*word).or_default() += 1;
        }
        length += total;
        counts.push((total, found));
    }
    let documents = counts.len() as u64;
    let average = length.checked_div(documents).unwrap_or(0).max(1);
    let score = |(total, found): &(u64, BTreeMap<usize, u64>)| {
        let each = found.iter().map(|(word, count)| {
            // tf (k1 + 1) / (tf + k1 (1 - b + b dl / avgdl)), in thousandths.
            let norm = 300 + 900 * total / average;
            let often = count * 2_200 * 1_000 / (count * 1_000 + norm);
            often * rarity(documents, holding[word]) / 1_000
        });
        each.sum()
    };
    counts.iter().map(score).collect()
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

/// The words of a question.
struct Wanted {
    /// In small letters, in order.
    words: Vec<String>,
    /// Which bytes they begin with: most words of a text begin otherwise.
    begins: [bool; 256],
}

impl Wanted {
    fn of(question: &str) -> Self {
        let small = words(question).map(|word| word.chars().flat_map(char::to_lowercase).collect());
        let words: BTreeSet<String> = small.take(WORDS_MAX).collect();
        let mut begins = [false; 256];
        // A letter that is no ASCII may become one that is: the Kelvin sign is a k.
        begins[0x80..].fill(true);
        for word in &words {
            let first = word.as_bytes()[0];
            begins[usize::from(first)] = true;
            begins[usize::from(first.to_ascii_uppercase())] = true;
        }
        Self {
            words: words.into_iter().collect(),
            begins,
        }
    }

    /// Which of them a word is; the room is lent, so that nothing is allocated for each.
    fn find(&self, word: &str, small: &mut String) -> Option<usize> {
        if !self.begins[usize::from(word.as_bytes()[0])] {
            return None;
        }
        small.clear();
        small.extend(word.chars().flat_map(char::to_lowercase));
        self.words.binary_search(small).ok()
    }
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !part.is_empty() && part.len() <= 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(question: &str, texts: &[&str]) -> Vec<u64> {
        super::scores(question, texts.iter().map(|text| [*text]))
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
        let whole = super::scores("log", [["the log", "is one file"]].into_iter());
        assert_eq!(whole, scores("log", &["the log is one file"]));
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
