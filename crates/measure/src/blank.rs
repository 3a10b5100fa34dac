//! Overwriting with nothing is deleting.

use crate::language::language_of;
use crate::lexer::{Lexer, Token, is_space};

/// Whether nothing is left that does anything: white space, characters that show nothing, and, where
/// the language is known, comments, lone semicolons and in Python lone strings and `pass`.
///
/// A file may be born blank; what overwrites something that was not blank is a deletion.
pub fn blank(path: &str, content: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(content) else {
        return false;
    };
    let Some(language) = language_of(path) else {
        return text.chars().all(is_space);
    };
    let python = language == crate::Language::Python;
    Lexer::new(language, text).all(|(_, token)| match token {
        Token::Sign(sign) => sign == ";",
        Token::Quoted => python,
        Token::Word(word) => python && word == "pass",
    })
}
