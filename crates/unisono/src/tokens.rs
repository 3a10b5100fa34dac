//! How many tokens a text has: by a real tokenizer, or, where that cannot be had, by its bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

use tiktoken_rs::CoreBPE;
use unisono_api::server::CountTokens;

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

    /// What a loader has brought, or bytes where it could not.
    fn of(loaded: Option<CoreBPE>) -> Self {
        Self { tokenizer: loaded }
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

/// A counter that is loaded when something is counted first: most nodes are never asked to.
pub(crate) struct Lazily {
    load: fn() -> Option<CoreBPE>,
    loaded: OnceLock<Counter>,
}

impl Default for Lazily {
    fn default() -> Self {
        Self::by(|| Counter::load().tokenizer)
    }
}

impl Lazily {
    /// One that is loaded so.
    fn by(load: fn() -> Option<CoreBPE>) -> Self {
        Self {
            load,
            loaded: OnceLock::new(),
        }
    }

    fn counter(&self) -> &Counter {
        self.loaded.get_or_init(|| {
            // A loader that panics is one that cannot load.
            let loaded = catch_unwind(self.load).ok().flatten();
            Counter::of(loaded)
        })
    }
}

impl CountTokens for Lazily {
    fn count(&self, text: &str) -> u64 {
        self.counter().count(text)
    }

    fn counted_with(&self) -> &'static str {
        self.counter().counted_with()
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
    fn a_tokenizer_that_cannot_be_loaded_leaves_bytes_and_says_so() {
        for load in [(|| None) as fn() -> Option<CoreBPE>, || panic!("no table")] {
            let counter = Lazily::by(load);
            assert_eq!(counter.count("tiktoken is great!"), 6);
            assert_eq!(counter.counted_with(), "bytes/3.5");
        }
        assert_eq!(Lazily::default().counted_with(), "cl100k_base");
    }

    /// A brief was packed by its bytes: of a text in another script it had twice the tokens that it
    /// was allowed.
    #[test]
    fn a_brief_keeps_its_budget_of_real_tokens() {
        use unisono_core::orchestra::brief::{BriefLine, BriefPart, BriefView, TOKENS_MAX};
        use unisono_model::Stamp;
        let counter = Counter::load();
        let scripts = [
            "what to do next",
            "что делать дальше",
            "次に何をするか",
            "🦀🦀 ∑∂",
            "a_b/c::d<e>",
        ];
        let parts = [
            BriefPart::You,
            BriefPart::Decisions,
            BriefPart::Task,
            BriefPart::Asked,
            BriefPart::Done,
        ];
        for seed in 0..60_usize {
            let lines = (0..40_usize).map(|order| {
                let script = scripts[(seed * 7 + order * 3) % scripts.len()];
                BriefLine {
                    part: if order == 0 {
                        BriefPart::You
                    } else {
                        parts[1 + (seed + order) % 4]
                    },
                    text: script.repeat(1 + (seed * 13 + order * 5) % 30),
                    pinned: order % 5 == 1,
                    record: None,
                    since: Stamp::MIN,
                    order: order as u32,
                }
            });
            let view = BriefView {
                agent: "ada".to_owned(),
                known: true,
                lines: lines.collect(),
                left_out: std::collections::BTreeMap::new(),
                tokens: 0,
                tokens_max: TOKENS_MAX,
                since: None,
            };
            for most in [40, 100, 300, 1_500] {
                let packed = view.clone().packed(most, &|text| counter.count(text));
                let real = counter.count(&packed.markdown());
                assert!(real <= most, "{real} of {most}");
                assert_eq!(packed.tokens, real);
                let told: u64 = packed.left_out.values().sum();
                assert_eq!(told + packed.lines.len() as u64, 40);
            }
        }
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
