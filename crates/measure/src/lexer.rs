//! Just enough lexing to tell code from words: for the bounds that hold before a parser is let near
//! the file, for blank files, and for the bodies of C macros, which are no tree.

use crate::language::Language;

/// A piece of code. White space and comments are none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Token<'a> {
    /// A name, a keyword or a number.
    Word(&'a str),
    /// A string, a character or a template, whole.
    Quoted,
    /// One operator, or one bracket, or half of a longer operator.
    Sign(&'a str),
}

/// Operators of two characters that must not be read as one: comparisons and shifts are no brackets.
const PAIRS: &[&str] = &[
    "&&", "||", "??", "?.", "<<", "<=", ">=", "->", "=>", "<-", "::",
];

/// The tokens of a text, each with its offset.
pub(crate) struct Lexer<'a> {
    language: Language,
    text: &'a str,
    at: usize,
    /// Whether a `/` here would divide: after a value, in JavaScript.
    after_value: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(language: Language, text: &'a str) -> Self {
        Self {
            language,
            text,
            at: 0,
            after_value: false,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn is_script(&self) -> bool {
        matches!(self.language, Language::JavaScript | Language::TypeScript)
    }

    /// Skips white space and comments; false at the end.
    fn skip_to_code(&mut self) -> bool {
        loop {
            let rest = self.rest();
            let Some(c) = rest.chars().next() else {
                return false;
            };
            let skipped = if is_space(c) {
                c.len_utf8()
            } else {
                self.comment_length(rest)
            };
            if skipped == 0 {
                return true;
            }
            self.at += skipped;
        }
    }

    /// How long the comment is that begins here, 0 if none does.
    fn comment_length(&self, rest: &str) -> usize {
        if self.language == Language::Python {
            return if rest.starts_with('#') {
                line_length(rest)
            } else {
                0
            };
        }
        if rest.starts_with("//") || (self.at == 0 && self.is_script() && rest.starts_with("#!")) {
            return match self.language {
                Language::C | Language::Cpp => spliced_line_length(rest),
                _ => line_length(rest),
            };
        }
        if !rest.starts_with("/*") {
            return 0;
        }
        if self.language == Language::Rust {
            return nested_comment_length(rest);
        }
        rest[2..]
            .find("*/")
            .map_or(rest.len(), |length| 2 + length + 2)
    }

    /// How long the quoted thing is that begins here, 0 if none does.
    fn quoted_length(&self, rest: &str) -> usize {
        let Some(quote) = rest.chars().next() else {
            return 0;
        };
        match (self.language, quote) {
            (Language::Rust, '\'') => character_or_lifetime_length(rest),
            (Language::Rust, '"') => until(rest, "\"", 1, true),
            (Language::Python, '"' | '\'') | (Language::Java, '"') => {
                let mark = &rest[..1];
                if rest.starts_with(&mark.repeat(3)) {
                    until(rest, &mark.repeat(3), 3, true)
                } else {
                    until(rest, mark, 1, false)
                }
            }
            // Nothing protects anything in it.
            (Language::Go, '`') => rest[1..].find('`').map_or(rest.len(), |length| length + 2),
            (Language::JavaScript | Language::TypeScript, '`') => until(rest, "`", 1, true),
            (Language::JavaScript | Language::TypeScript, '/') if !self.after_value => {
                regex_length(rest)
            }
            (_, '"' | '\'') => until(rest, &rest[..1], 1, false),
            _ => 0,
        }
    }

    fn word(&mut self, rest: &'a str) -> Token<'a> {
        let mut length = 0;
        let number = rest.starts_with(|c: char| c.is_ascii_digit());
        let separates = number && matches!(self.language, Language::C | Language::Cpp);
        let mut characters = rest.chars().peekable();
        while let Some(c) = characters.next() {
            let next_is_word = characters.peek().copied().is_some_and(is_word);
            if !(is_word(c) || (separates && c == '\'' && next_is_word)) {
                break;
            }
            length += c.len_utf8();
        }
        let word = &rest[..length];
        let raw = raw_string_length(self.language, word, &rest[length..]);
        self.at += length + raw;
        self.after_value = !matches!(
            word,
            "return"
                | "typeof"
                | "case"
                | "in"
                | "of"
                | "delete"
                | "void"
                | "throw"
                | "new"
                | "do"
                | "else"
                | "yield"
                | "await"
        );
        if raw == 0 {
            Token::Word(word)
        } else {
            Token::Quoted
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = (usize, Token<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.skip_to_code() {
            return None;
        }
        let start = self.at;
        let rest = self.rest();
        let first = rest.chars().next()?;
        if is_word(first) {
            return Some((start, self.word(rest)));
        }
        let quoted = self.quoted_length(rest);
        if quoted > 0 {
            self.at += quoted;
            self.after_value = true;
            return Some((start, Token::Quoted));
        }
        let pair = PAIRS.iter().find(|pair| rest.starts_with(**pair));
        let length = pair.map_or(first.len_utf8(), |pair| pair.len());
        self.at += length;
        self.after_value = matches!(first, ')' | ']' | '}');
        Some((start, Token::Sign(&rest[..length])))
    }
}

/// White space, and what shows nothing.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\0' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{ad}'
        )
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn line_length(rest: &str) -> usize {
    rest.find('\n').unwrap_or(rest.len())
}

/// A backslash at the end of a line draws the next one into the comment.
fn spliced_line_length(rest: &str) -> usize {
    let mut length = 0;
    loop {
        let line = line_length(&rest[length..]);
        length += line;
        let spliced = rest[..length].trim_end_matches('\r').ends_with('\\');
        if !spliced || length == rest.len() {
            return length;
        }
        length += 1;
    }
}

fn nested_comment_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// How far it is behind the closing mark, past what a backslash protects. A quote that must close on
/// its line and does not is a sign like any other.
fn until(rest: &str, mark: &str, opening: usize, many_lines: bool) -> usize {
    let bytes = rest.as_bytes();
    let mut at = opening;
    while at < bytes.len() {
        if bytes[at..].starts_with(mark.as_bytes()) {
            return at + mark.len();
        }
        if bytes[at] == b'\n' && !many_lines {
            return 0;
        }
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    if many_lines { rest.len() } else { 0 }
}

/// `'a'` and `'\n'` are characters, `'a` is a lifetime.
fn character_or_lifetime_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => until(rest, "'", 1, false),
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// A regular expression on one line; a slash in brackets does not end it.
fn regex_length(rest: &str) -> usize {
    let mut in_class = false;
    let mut protected = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return 0,
            _ if protected => protected = false,
            '\\' => protected = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => return at + 1,
            _ => {}
        }
    }
    0
}

/// What follows a word that begins a raw string: `r#"…"#` in Rust, `R"x(…)x"` in C++.
fn raw_string_length(language: Language, word: &str, rest: &str) -> usize {
    match (language, word) {
        (Language::Rust, "r" | "br" | "cr") => {
            let hashes = rest.bytes().take_while(|byte| *byte == b'#').count();
            if rest.as_bytes().get(hashes) != Some(&b'"') {
                return 0;
            }
            let close = format!("\"{}", "#".repeat(hashes));
            let body = &rest[hashes + 1..];
            body.find(&close)
                .map_or(rest.len(), |length| hashes + 1 + length + close.len())
        }
        (Language::Cpp, "R" | "LR" | "uR" | "UR" | "u8R") => {
            let Some((delimiter, body)) = rest
                .strip_prefix('"')
                .and_then(|inside| inside.split_once('('))
            else {
                return 0;
            };
            if delimiter.len() > 16 || delimiter.contains([' ', ')', '\\', '\n']) {
                return 0;
            }
            let close = format!("){delimiter}\"");
            let before = rest.len() - body.len();
            body.find(&close)
                .map_or(rest.len(), |length| before + length + close.len())
        }
        _ => 0,
    }
}
