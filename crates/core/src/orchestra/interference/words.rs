//! How alike two intentions are: weighted Jaccard similarity over the words that tell something.
//!
//! The similarity of two weighted sets is the sum of the lesser weights over the sum of the greater
//! ones (Ioffe, "Improved consistent sampling, weighted minhash and L1 sketching", 2010, section 1).
//! A word weighs 1, a word of the topic 2, a file that is named 4, and the topic as a whole 4.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::limits::{KEYS_MAX, WORDS_MAX};

const WORD: u8 = 1;
const TOPIC_WORD: u8 = 2;
const NAMED: u8 = 4;

/// What an INTENT says, as far as it is compared.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Words {
    /// Each word's hash with its weight, in order of hashes.
    weights: Vec<(u64, u8)>,
    /// The hashes by which it is found again.
    keys: Vec<u64>,
}

/// Words that stand in every second sentence, in order.
const COMMON: [&str; 58] = [
    "a", "add", "after", "all", "an", "and", "any", "are", "as", "at", "be", "before", "but", "by",
    "can", "do", "does", "each", "fix", "for", "from", "has", "have", "if", "in", "into", "is",
    "it", "its", "make", "new", "no", "not", "now", "of", "on", "or", "our", "should", "so",
    "that", "the", "then", "there", "this", "to", "up", "use", "via", "was", "we", "when", "where",
    "which", "will", "with", "you", "your",
];

impl Words {
    /// The words of a topic and a text.
    pub fn of(topic: &str, text: &str) -> Self {
        let mut found: BTreeMap<u64, (u8, usize)> = BTreeMap::new();
        let mut add = |kind: u8, word: &str, weight: u8| {
            let hash = hash(kind, word);
            if found.len() < WORDS_MAX || found.contains_key(&hash) {
                let known = found.entry(hash).or_insert((0, word.len()));
                known.0 = known.0.max(weight);
            }
        };
        add(b't', &topic.to_lowercase(), NAMED);
        for part in parts(topic) {
            name_file(&part, &mut add);
            words(&part, |word| add(b'w', word, TOPIC_WORD));
        }
        for part in parts(text) {
            name_file(&part, &mut add);
            words(&part, |word| add(b'w', word, WORD));
        }
        let mut order: Vec<(u8, usize, u64)> = found
            .iter()
            .map(|(hash, (weight, length))| (*weight, *length, *hash))
            .collect();
        order.sort_unstable_by(|one, next| next.cmp(one));
        Self {
            weights: found
                .iter()
                .map(|(hash, (weight, _))| (*hash, *weight))
                .collect(),
            keys: order
                .iter()
                .take(KEYS_MAX)
                .map(|(_, _, hash)| *hash)
                .collect(),
        }
    }

    /// The hashes by which it is found again.
    pub fn keys(&self) -> &[u64] {
        &self.keys
    }

    /// How alike two are (‰).
    pub fn likeness(&self, other: &Self) -> u16 {
        let (mut lesser, mut greater) = (0_u32, 0_u32);
        let (mut left, mut right) = (self.weights.as_slice(), other.weights.as_slice());
        loop {
            match (left.first(), right.first()) {
                (Some((one, weight)), Some((two, other))) if one == two => {
                    lesser += u32::from(*weight.min(other));
                    greater += u32::from(*weight.max(other));
                    (left, right) = (&left[1..], &right[1..]);
                }
                (Some((one, weight)), two) if two.is_none_or(|(two, _)| one < two) => {
                    greater += u32::from(*weight);
                    left = &left[1..];
                }
                (_, Some((_, weight))) => {
                    greater += u32::from(*weight);
                    right = &right[1..];
                }
                (_, None) => break,
            }
        }
        (lesser * 1_000).checked_div(greater).unwrap_or(0) as u16
    }
}

/// What stands between spaces and the marks of sentences, in small letters.
fn parts(text: &str) -> impl Iterator<Item = String> + '_ {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '*');
    text.split(move |c: char| !inside(c))
        .map(|part| part.trim_matches(['.', '-', '/']).to_lowercase())
        .filter(|part| !part.is_empty())
}

/// Whether a part names a file: it has a slash or an extension.
pub fn names_file(part: &str) -> bool {
    let extension = part.rsplit_once('.').map(|(_, end)| end);
    let is_extension = |end: &str| {
        (1..=5).contains(&end.len())
            && end.bytes().all(|b| b.is_ascii_alphanumeric())
            && end.bytes().any(|b| b.is_ascii_alphabetic())
    };
    part.len() > 3 && (part.contains('/') || extension.is_some_and(is_extension))
}

/// The files that a text names, each once, in order.
pub fn files(text: &str) -> Vec<String> {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '/' | '-' | '*');
    let mut found: Vec<String> = Vec::new();
    for part in text.split(move |c: char| !inside(c)) {
        let part = part.trim_end_matches(['.', '-']);
        if names_file(part) && !found.iter().any(|known| known == part) {
            found.push(part.into());
        }
    }
    found
}

fn name_file(part: &str, add: &mut impl FnMut(u8, &str, u8)) {
    if names_file(part) {
        add(b'f', part, NAMED);
    }
}

fn words(part: &str, mut add: impl FnMut(&str)) {
    for word in part.split(|c: char| !c.is_alphanumeric()) {
        if word.len() > 1 && COMMON.binary_search(&word).is_err() {
            add(stem(word));
        }
    }
}

/// Without the commonest endings: enough to see that `indexing` and `indexed` are one thing.
fn stem(word: &str) -> &str {
    let endings = ["ing", "ed", "es", "s"].iter();
    endings
        .filter_map(|ending| word.strip_suffix(ending))
        .find(|stem| stem.len() >= 4)
        .unwrap_or(word)
}

/// FNV-1a (Fowler, Noll and Vo): not against enemies; two words with one hash make two intentions
/// look a little more alike than they are.
fn hash(kind: u8, word: &str) -> u64 {
    let bytes = core::iter::once(kind).chain(word.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_are_alike_and_others_are_not() {
        let one = Words::of("index", "rebuild the search index in src/index.rs");
        let same = Words::of("index", "Rebuilding of search indexes: src/index.rs");
        let other = Words::of("docs", "describe how tokens are minted");
        assert_eq!(one.likeness(&one), 1_000);
        assert!(one.likeness(&same) > 500, "{}", one.likeness(&same));
        assert_eq!(one.likeness(&other), 0);
        assert_eq!(one.likeness(&same), same.likeness(&one));
        assert_eq!(Words::default().likeness(&Words::default()), 0);
    }

    #[test]
    fn common_words_stand_in_order() {
        assert!(COMMON.is_sorted());
    }

    #[test]
    fn files_are_found_in_sentences() {
        assert_eq!(
            files("see src/auth/login.rs, and Cargo.toml."),
            ["src/auth/login.rs", "Cargo.toml"]
        );
        assert!(files("e.g. this and that").is_empty());
    }
}
