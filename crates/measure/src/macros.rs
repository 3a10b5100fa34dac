//! Code that has no tree: the tokens of a Rust macro, the text of a C one. Every word and sign that
//! would decide in code decides here, and where that is wrong it is wrong towards strictness.

use crate::language::Language;
use crate::lexer::{Lexer, Token};
use crate::limits::LINE_CHARACTERS_MAX;
use crate::rules::bare_token;
use crate::walk::Tally;

/// What a token adds, told with the token before it: `_ =>` is a default.
pub(crate) fn token_tally(language: Language, token: &str, before: &str) -> Tally {
    let (decides, begins_line) = bare_token(language, token);
    let default = token == "=>" && before == "_";
    Tally {
        decisions: u32::from(decides && !default),
        lines: u32::from(begins_line),
        characters: 0,
    }
}

/// The body of a `#define`.
pub(crate) fn text_tally(language: Language, text: &str) -> Tally {
    let mut tally = Tally::default();
    for (_, token) in Lexer::new(language, text) {
        let (text, length) = match token {
            Token::Word(text) | Token::Sign(text) => (text, text.len()),
            Token::Quoted => ("", 2),
        };
        tally = tally.plus(token_tally(language, text, ""));
        tally.characters += length.min(LINE_CHARACTERS_MAX) as u32;
    }
    tally
}

/// Follows the tokens of one tree to see where a function begins in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens<'t> {
    before: &'t str,
    promised: Promise<'t>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Promise<'t> {
    #[default]
    Nothing,
    /// `fn` stood here.
    Function,
    /// And then its name.
    Named(&'t str),
}

impl<'t> Tokens<'t> {
    /// Takes a token and says what it adds.
    pub(crate) fn take(&mut self, token: &'t str) -> Tally {
        self.promised = match (self.promised, token) {
            (_, "fn") => Promise::Function,
            (Promise::Function, name) => Promise::Named(name),
            (_, ";") => Promise::Nothing,
            (promised, _) => promised,
        };
        let tally = token_tally(Language::Rust, token, self.before);
        self.before = token;
        tally
    }

    /// Takes a group in brackets and says which function it is the body of.
    pub(crate) fn take_group(&mut self, group: &str) -> Option<&'t str> {
        self.before = "";
        let named = match self.promised {
            Promise::Named(name) => name,
            Promise::Nothing => return None,
            Promise::Function => {
                self.promised = Promise::Nothing;
                return None;
            }
        };
        if !group.starts_with('{') {
            return None;
        }
        self.promised = Promise::Nothing;
        Some(named)
    }
}
