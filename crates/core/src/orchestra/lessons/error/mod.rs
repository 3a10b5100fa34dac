//! Errors in a form that stays the same from one time to the next.

mod salient;
mod scan;
mod words;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use scan::{Token, scan};
use unisono_model::{Digest, limits};

/// The version of the form.
pub const FORM_VERSION: u8 = 1;

/// How often a form is read again until it is its own form: two passes do in all but odd texts.
const PASSES_MAX: usize = 8;

/// An error in its normal form.
#[derive(Clone, Debug, Default)]
pub struct ErrorForm {
    tokens: Vec<Token>,
    /// Which tokens there are, each once and in order, with what each weighs.
    weights: Vec<(u16, u8)>,
    /// What all of them weigh together.
    weight: u32,
}

impl PartialEq for ErrorForm {
    fn eq(&self, other: &Self) -> bool {
        self.tokens == other.tokens
    }
}

impl Eq for ErrorForm {}

impl ErrorForm {
    /// The form of an error's text. The form of a form is that form.
    pub fn of(text: &str) -> Self {
        let mut tokens = read(text);
        for _ in 0..PASSES_MAX {
            // A word in front of a colon is something else without it.
            let again = read(&text_of(&tokens));
            if again == tokens {
                return Self::weighed(tokens);
            }
            tokens = again;
        }
        // What never comes to rest is told by nothing but what does alone.
        tokens.retain(|token| read(&shown(token)) == core::slice::from_ref(token));
        while !tokens.is_empty() && read(&text_of(&tokens)) != tokens {
            tokens.pop();
        }
        Self::weighed(tokens)
    }

    fn weighed(tokens: Vec<Token>) -> Self {
        let mut places: Vec<u16> = (0..tokens.len() as u16).collect();
        places.sort_by_key(|place| &tokens[usize::from(*place)]);
        places.dedup_by_key(|place| &tokens[usize::from(*place)]);
        let weights = places.into_iter();
        let weights: Vec<(u16, u8)> = weights
            .map(|place| (place, weight(&tokens[usize::from(place)])))
            .collect();
        let weight = weights.iter().map(|(_, weight)| u32::from(*weight)).sum();
        Self {
            tokens,
            weights,
            weight,
        }
    }

    /// Whether nothing in the text says anything.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// As it is kept and read: its own form again.
    pub fn text(&self) -> String {
        text_of(&self.tokens)
    }

    /// What kind of error it is, without names.
    pub fn kind(&self) -> String {
        self.words().collect::<Vec<_>>().join(" ")
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().filter_map(|token| match token {
            Token::Word(word) => Some(word.as_str()),
            Token::Name(_) => None,
        })
    }

    /// Whether both are of one kind, and that says more than that something went wrong.
    pub fn is_kind_of(&self, other: &Self) -> bool {
        let says = |(place, weight): &(u16, u8)| {
            *weight > 1 && matches!(self.tokens[usize::from(*place)], Token::Word(_))
        };
        self.words().eq(other.words()) && self.weights.iter().any(says)
    }

    /// The name of its kind: the same wherever and of whatever it is told.
    pub fn fingerprint(&self) -> Digest {
        Digest::of("unisono/error", &[&[FORM_VERSION], self.kind().as_bytes()])
    }

    /// How alike two are (‰): the weights of what both have over those of what either has.
    pub fn likeness(&self, other: &Self) -> u16 {
        let (mut one, mut two) = (self.weights.iter(), other.weights.iter());
        let (mut left, mut right) = (one.next(), two.next());
        let mut both = 0;
        while let (Some((mine, weight)), Some((theirs, _))) = (left, right) {
            let theirs = &other.tokens[usize::from(*theirs)];
            match self.tokens[usize::from(*mine)].cmp(theirs) {
                Ordering::Less => left = one.next(),
                Ordering::Greater => right = two.next(),
                Ordering::Equal => {
                    both += u32::from(*weight);
                    (left, right) = (one.next(), two.next());
                }
            }
        }
        let either = self.weight + other.weight - both;
        (both * 1_000).checked_div(either).unwrap_or(0) as u16
    }
}

/// The words and names of a text.
fn read(text: &str) -> Vec<Token> {
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
    if !tokens.iter().any(|token| matches!(token, Token::Word(_))) {
        // Where nothing but names is told, they say what kind of error it is.
        for token in &mut tokens {
            if let Token::Name(name) = token {
                let words = name.replace(' ', "-");
                *token = Token::Word(words.to_lowercase());
            }
        }
    }
    tokens
}

fn text_of(tokens: &[Token]) -> String {
    let shown: Vec<String> = tokens.iter().map(shown).collect();
    shown.join(" ")
}

fn weight(token: &Token) -> u8 {
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
