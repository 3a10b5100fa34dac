//! How many tokens a text has: by a real tokenizer, or, where that cannot be had, by its bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tiktoken_rs::CoreBPE;

/// What is counted by.
const TOKENIZER: &str = "cl100k_base";
/// What is counted by otherwise.
const BYTES: &str = "bytes/3.5";
/// Longest piece that the tokenizer gets (bytes): its pattern looks ahead over white space, and gives
/// up on too much of it.
const PIECE_BYTES_MAX: usize = 4_096;

/// Counts tokens.
pub(crate) struct Counter {
    tokenizer: Option<CoreBPE>,
}

impl Counter {
    /// Loads the tokenizer: a tenth of a second and its tables in memory, so only whoever counts
    /// does it.
    pub(crate) fn load() -> Self {
        let loaded = catch_unwind(tiktoken_rs::cl100k_base);
        Self {
            tokenizer: loaded.ok().and_then(Result::ok),
        }
    }

    /// Counts bytes and says so.
    pub(crate) fn by_bytes() -> Self {
        Self { tokenizer: None }
    }

    /// What it counts by.
    pub(crate) fn counted_with(&self) -> &'static str {
        match self.tokenizer {
            Some(_) => TOKENIZER,
            None => BYTES,
        }
    }

    /// How many tokens a text has.
    pub(crate) fn count(&self, text: &str) -> u64 {
        let Some(tokenizer) = &self.tokenizer else {
            return unisono_core::orchestra::brief::tokens(text);
        };
        pieces(text)
            .map(|piece| {
                // On a text that its pattern cannot take it panics; that text is counted by bytes.
                let counted = catch_unwind(AssertUnwindSafe(|| tokenizer.count_ordinary(piece)));
                counted.map_or_else(
                    |_| unisono_core::orchestra::brief::tokens(piece),
                    |tokens| tokens as u64,
                )
            })
            .sum()
    }
}

/// The text in pieces that are short enough.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(PIECE_BYTES_MAX);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        rest = after;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tokenizer_counts_tokens_and_bytes_stand_in_for_it() {
        let (real, bytes) = (Counter::load(), Counter::by_bytes());
        assert_eq!(
            (real.counted_with(), bytes.counted_with()),
            ("cl100k_base", "bytes/3.5")
        );
        let text = "tiktoken is great!";
        assert_eq!(real.count(text), 6);
        assert_eq!(bytes.count(text), 6, "18 bytes ÷ 3.5, rounded up");
        assert_eq!((real.count(""), bytes.count("")), (0, 0));
    }

    #[test]
    fn texts_from_hell_are_counted_too() {
        let counter = Counter::load();
        let long = " ".repeat(100_000);
        let odd = "\u{202e}\0\u{1f980}".repeat(3_000);
        for text in [long.as_str(), odd.as_str(), "<|endoftext|>"] {
            assert!(counter.count(text) > 0);
        }
    }
}
