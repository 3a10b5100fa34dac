//! How complex and how long the functions of a source file are, told from its bytes alone.
//!
//! An agent's own claim about its code counts for nothing, so whoever admits the code measures it:
//! [`measure`] for complexity and length, [`blank`] for the overwriting that is a deletion. The
//! rules, their sources and what they cannot see stand in `docs/measuring.md`.
//!
//! Without the feature `grammars`, every language is [`Refusal::UnknownLanguage`].
//!
//! **Invariant:** no clock, no disk, no chance, no other crate of ours; the same path and bytes give
//! the same answer. The parsers are C, and their work is bounded in steps before they begin to hurt.
#![forbid(unsafe_code)]

mod blank;
mod language;
mod lexer;
pub mod limits;
#[cfg(feature = "grammars")]
mod macros;
mod nesting;
#[cfg(feature = "grammars")]
mod parser;
mod report;
#[cfg(feature = "grammars")]
mod rules;
#[cfg(feature = "grammars")]
mod walk;

pub use blank::blank;
pub use language::{Language, language_of};
pub use report::{Function, Refusal, Report, TOP_LEVEL};

/// Measures every function of a file.
///
/// # Errors
/// The first reason why the file cannot be measured. A file that cannot be measured is not simple.
pub fn measure(path: &str, content: &[u8]) -> Result<Report, Refusal> {
    let dialects = language::dialects_of(path);
    if dialects.is_empty() {
        return Err(Refusal::UnknownLanguage);
    }
    if content.len() > limits::FILE_BYTES_MAX {
        return Err(Refusal::TooLarge(content.len()));
    }
    let text = core::str::from_utf8(content).map_err(|error| Refusal::NotUtf8 {
        line: line_at(content, error.valid_up_to()),
    })?;
    measured(dialects, text)
}

/// The dialects are tried in their order: a header may be C or C++, and is what it can be read as.
#[cfg(feature = "grammars")]
fn measured(dialects: &[language::Dialect], text: &str) -> Result<Report, Refusal> {
    let mut first = None;
    for dialect in dialects {
        nesting::check(dialect.language(), text)?;
        let attempt =
            parser::parse(*dialect, text).and_then(|tree| walk::walk(*dialect, text, &tree));
        match attempt {
            Err(refusal @ Refusal::Unparsable { .. }) => _ = first.get_or_insert(refusal),
            done => return done,
        }
    }
    Err(first.unwrap_or(Refusal::UnknownLanguage))
}

/// Nothing is known without grammars, but what would be refused with them still is.
#[cfg(not(feature = "grammars"))]
fn measured(dialects: &[language::Dialect], text: &str) -> Result<Report, Refusal> {
    for dialect in dialects {
        nesting::check(dialect.language(), text)?;
    }
    Err(Refusal::UnknownLanguage)
}

/// The line of an offset, from 1.
fn line_at(bytes: &[u8], offset: usize) -> u32 {
    let before = &bytes[..offset.min(bytes.len())];
    before.split(|byte| *byte == b'\n').count() as u32
}
