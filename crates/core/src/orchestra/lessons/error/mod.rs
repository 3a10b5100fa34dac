//! Errors in a form that stays the same from one time to the next.

mod salient;
mod scan;
mod words;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use scan::{Token, scan};
use unisono_model::{Digest, limits};

/// The version of the form.
pub const FORM_VERSION: u8 = 1;

/// An error in its normal form.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ErrorForm {
    tokens: Vec<Token>,
}

impl ErrorForm {
    /// The form of an error's text.
    pub fn of(text: &str) -> Self {
        let mut tokens: Vec<Token> = Vec::new();
        let mut bytes = 0;
        for token in salient::salient(text).iter().flat_map(|line| scan(line)) {
            bytes += shown(&token).len() + 1;
            if bytes > limits::ERROR_FORM_BYTES_MAX {
                break;
            }
            if tokens.last() != Some(&token) {
                tokens.push(token);
            }
        }
        Self { tokens }
    }

    /// Whether nothing in the text says anything.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// As it is kept and read: its own form again.
    pub fn text(&self) -> String {
        let shown: Vec<String> = self.tokens.iter().map(shown).collect();
        shown.join(" ")
    }

    /// What kind of error it is, without names.
    pub fn kind(&self) -> String {
        let words = self.tokens.iter().filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            Token::Name(_) => None,
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// The name of its kind: the same wherever and of whatever it is told.
    pub fn fingerprint(&self) -> Digest {
        Digest::of("unisono/error", &[&[FORM_VERSION], self.kind().as_bytes()])
    }

    /// How alike two are (‰): the weights of what both have over those of what either has.
    pub fn likeness(&self, other: &Self) -> u16 {
        let (one, two) = (self.weights(), other.weights());
        let (mut both, mut either) = (0_u32, 0_u32);
        for (token, weight) in &one {
            either += weight;
            if two.contains_key(token) {
                both += weight;
            }
        }
        for (token, weight) in &two {
            if !one.contains_key(token) {
                either += weight;
            }
        }
        (both * 1_000).checked_div(either).unwrap_or(0) as u16
    }

    fn weights(&self) -> BTreeMap<&Token, u32> {
        self.tokens
            .iter()
            .map(|token| (token, weight(token)))
            .collect()
    }
}

fn weight(token: &Token) -> u32 {
    match token {
        Token::Name(_) => 1,
        Token::Word(word) if word.bytes().any(|b| b.is_ascii_digit()) => 6,
        Token::Word(word)
            if word.len() > 5 && (word.ends_with("error") || word.ends_with("exception")) =>
        {
            4
        }
        Token::Word(word) if words::is_listed(&words::GENERIC, word) => 1,
        Token::Word(_) => 2,
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("'{name}'"),
        Token::Word(word) if word.chars().any(char::is_alphanumeric) => word.clone(),
        Token::Word(signs) => format!("'{signs}'"),
    }
}
