//! What a measurement says, and why there may be none.

use crate::language::Language;
use crate::limits::{FILE_BYTES_MAX, NESTING_MAX};

/// The name under which code outside of any function is measured.
pub const TOP_LEVEL: &str = "(top level)";

/// What is in a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Report {
    /// The language that it was read as.
    pub language: Language,
    /// Every function, closure and macro with a body, in the order in which they begin, then the
    /// code outside of them, if there is any.
    pub functions: Vec<Function>,
    /// The greatest complexity of all, 1 if there are none.
    pub complexity_max: u32,
    /// The greatest length of all, 0 if there are none.
    pub length_max: u32,
    /// All lines of the file, blank ones too.
    pub lines: u32,
}

/// One function and all that stands in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// Its name, `(closure)` where it has none, `name!` for a macro, [`TOP_LEVEL`] for the rest.
    pub name: String,
    /// Its first line, from 1.
    pub first_line: u32,
    /// Its last line.
    pub last_line: u32,
    /// One more than its decisions, those of functions in it included.
    pub complexity: u32,
    /// Its lines of code, or what a formatter would make of it if that is more.
    pub length: u32,
}

/// Why a file cannot be measured. Nothing is wrong with the measure: mend the file, or let the plan
/// allow it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No grammar belongs to the ending of the path.
    #[error("no language is known for this path")]
    UnknownLanguage,
    /// More bytes than [`FILE_BYTES_MAX`].
    #[error("{0} bytes are more than the {FILE_BYTES_MAX} that are measured; split the file")]
    TooLarge(usize),
    /// Not text in UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The first line that is not.
        line: u32,
    },
    /// Brackets within brackets beyond [`NESTING_MAX`], or a tree as deep as that would be.
    #[error("line {line} is nested deeper than {NESTING_MAX}; name the parts")]
    TooDeep {
        /// Where the bound is passed.
        line: u32,
    },
    /// The parser or the walk over its tree passed a bound on their steps.
    #[error("the file takes too many steps to read, at about line {line}; split the file")]
    TooMuchWork {
        /// How far the reading came.
        line: u32,
    },
    /// It does not follow the language's grammar, as far as the grammar here knows it.
    #[error("line {line} cannot be parsed")]
    Unparsable {
        /// The line of the first error; in a long file, the line at which nothing could be read on.
        line: u32,
    },
}

impl Refusal {
    /// The stable name of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownLanguage => "unknown_language",
            Self::TooLarge(_) => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::TooDeep { .. } => "too_deep",
            Self::TooMuchWork { .. } => "too_much_work",
            Self::Unparsable { .. } => "unparsable",
        }
    }
}
