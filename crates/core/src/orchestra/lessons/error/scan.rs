//! A line of an error's text as words, which say what kind of error it is, and names, which say where
//! it happened this time. What changes from one time to the next is neither: numbers, hashes,
//! addresses, times, and places in files.

use alloc::string::String;
use alloc::vec::Vec;

use super::words::{
    COUNTED, GENERIC, KNOWN, STOP, TOOLS, is_exception, is_listed, is_word_of_a_language,
};

/// Most characters of a line that are looked at: a form is a line, and is read whole.
const CHARS_MAX: usize = unisono_model::limits::ERROR_FORM_BYTES_MAX;
/// Most characters between two quotes.
const QUOTED_MAX: usize = 240;
/// Most bytes of a name that are kept.
const NAME_BYTES_MAX: usize = 80;

/// A part of an error's text.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Token {
    /// Says what kind of error it is.
    Word(String),
    /// Says of what or of whom it speaks this time.
    Name(String),
}

/// What stands between two colons of a line.
#[derive(Default)]
struct Segment {
    tokens: Vec<Token>,
    /// Whether a place in a file or a number stood there.
    places: bool,
}

/// The words and names of a line.
pub(super) fn scan(line: &str) -> Vec<Token> {
    let chars: Vec<char> = line.chars().take(CHARS_MAX).collect();
    let mut scanner = Scanner {
        chars: &chars,
        at: 0,
        segments: alloc::vec![Segment::default()],
        fresh: true,
    };
    while scanner.at < chars.len() {
        scanner.step();
    }
    join(scanner.segments)
}

struct Scanner<'a> {
    chars: &'a [char],
    at: usize,
    segments: Vec<Segment>,
    /// Whether a sentence begins here, so that a capital says nothing.
    fresh: bool,
}

impl Scanner<'_> {
    fn step(&mut self) {
        let c = self.chars[self.at];
        let after_letter = self.at > 0 && self.chars[self.at - 1].is_alphanumeric();
        if let Some(closes) = closing(c)
            && !(c == '\'' && after_letter)
            && let Some(end) = self.find(closes)
        {
            let content: String = self.chars[self.at + 1..end].iter().collect();
            self.at = end + 1;
            self.take(quoted(&content));
        } else if is_separator(c) || closing(c).is_some() {
            self.at += 1;
            self.fresh |= matches!(c, '(' | ')' | '[' | ']' | '.');
        } else {
            self.chunk();
        }
    }

    /// Where a quotation ends.
    fn find(&self, closes: &[char]) -> Option<usize> {
        let rest = self.chars[self.at + 1..]
            .iter()
            .take(QUOTED_MAX)
            .enumerate();
        let ends = |index: usize, c: &char| {
            let next = self.chars.get(self.at + 2 + index);
            closes.contains(c) && (*c != '\'' || next.is_none_or(|next| !next.is_alphanumeric()))
        };
        rest.filter(|(index, c)| ends(*index, c))
            .map(|(index, _)| self.at + 1 + index)
            .next()
    }

    fn chunk(&mut self) {
        let from = self.at;
        while self.at < self.chars.len() {
            let c = self.chars[self.at];
            let apostrophe =
                c == '\'' && self.at > from && self.chars[self.at - 1].is_alphanumeric();
            if is_separator(c) || (closing(c).is_some() && !apostrophe) {
                break;
            }
            self.at += 1;
        }
        let chunk: String = self.chars[from..self.at].iter().collect();
        let bare = chunk.trim_end_matches(['.', ':', '!', '?']);
        let ends_segment = chunk.ends_with(':');
        let ends_sentence = chunk.ends_with(['.', '!', '?']);
        self.word(bare, ends_segment);
        if ends_segment {
            self.segments.push(Segment::default());
            self.fresh = true;
        }
        self.fresh |= ends_sentence;
    }

    fn word(&mut self, chunk: &str, ends_segment: bool) {
        if chunk.is_empty() || !chunk.chars().any(char::is_alphanumeric) {
            if chunk == "->" {
                self.arrow();
            }
            return;
        }
        let first = self.segments.len() == 1;
        if let Some(path) = as_path(chunk) {
            // In front of a message stands where it comes from.
            let place = path.located || (first && ends_segment);
            match path.words {
                Some(words) => words.split('/').for_each(|word| self.plain(word)),
                None if place => self.place(),
                None => self.take(name(path.base)),
            }
        } else if let Some(counted) = as_number(chunk) {
            let before = self.segment().tokens.last();
            let kept = before.is_some_and(
                |token| matches!(token, Token::Word(word) if is_listed(&COUNTED, word)),
            );
            if kept && counted && chunk.len() <= 5 {
                self.push(Token::Word(chunk.into()));
            } else {
                self.place();
            }
        } else if is_code(chunk) {
            self.push(Token::Word(chunk.into()));
        } else if is_word_of_a_language(chunk) {
            self.push(Token::Word(chunk.to_lowercase()));
        } else if chunk.contains("::")
            || chunk.contains(['.', '_', '$', '@', '=', '<', '>', '&', '*'])
        {
            self.compound(chunk);
        } else {
            for part in chunk.split(['-', ':', '/', '+', '|', '~', '#', '%', '\\']) {
                self.part(part);
            }
        }
    }

    fn part(&mut self, part: &str) {
        if part.is_empty() {
            return;
        }
        if is_word_of_a_language(part) || is_exception(part) {
            self.push(Token::Word(part.to_lowercase()));
        } else if is_hash(part) || as_number(part).is_some() {
            self.place();
        } else if part.bytes().any(|b| b.is_ascii_digit())
            || is_camel(part)
            || (!self.fresh && starts_large(part))
        {
            self.take(name(part));
        } else {
            self.plain(part);
        }
    }

    fn compound(&mut self, chunk: &str) {
        let last = chunk.rsplit(['.', ':']).next().unwrap_or(chunk);
        if is_exception(last) {
            self.push(Token::Word(last.to_lowercase()));
        } else if let Some((counted, _)) = chunk.split_once('=')
            && !counted.is_empty()
            && counted.chars().all(char::is_alphabetic)
        {
            // `failures=2`: how many does not matter.
            self.plain(counted);
        } else {
            self.take(name(chunk));
        }
    }

    fn plain(&mut self, word: &str) {
        // A small letter may be two characters, of which one is a mark.
        let word = word.to_lowercase();
        let word: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
        if word.is_empty() {
            return;
        }
        if is_listed(&STOP, &word) {
            self.fresh = false;
            // `undefined is not a function`: what stands before is a name.
            return;
        }
        self.push(Token::Word(word));
    }

    /// `main -> main`: both sides are names.
    fn arrow(&mut self) {
        if let Some(Token::Word(word)) = self.segment().tokens.last().cloned() {
            self.segment().tokens.pop();
            self.take(name(&word));
        }
        while self.at < self.chars.len() && self.chars[self.at] == ' ' {
            self.at += 1;
        }
        let from = self.at;
        while self.at < self.chars.len() && !is_separator(self.chars[self.at]) {
            self.at += 1;
        }
        let right: String = self.chars[from..self.at].iter().collect();
        self.take(name(&right));
    }

    fn take(&mut self, token: Option<Token>) {
        match token {
            Some(token) => self.push(token),
            None => self.place(),
        }
    }

    fn push(&mut self, token: Token) {
        self.segment().tokens.push(token);
        self.fresh = false;
    }

    fn place(&mut self) {
        self.segment().places = true;
    }

    fn segment(&mut self) -> &mut Segment {
        self.segments.last_mut().expect("there is always one")
    }
}

/// Puts segments together. One that is a single word, behind something that says what kind of thing
/// comes, is a name: `no such table: users`, `line 3: frobnicate: command not found`.
fn join(segments: Vec<Segment>) -> Vec<Token> {
    let spoken: Vec<Segment> = segments
        .into_iter()
        .filter(|one| !one.tokens.is_empty())
        .collect();
    let count = spoken.len();
    let mut tokens = Vec::new();
    let mut said = false;
    for (index, mut segment) in spoken.into_iter().enumerate() {
        if let [Token::Word(word)] = segment.tokens.as_slice()
            && !is_generic(word)
            && count > 1
        {
            let last = index + 1 == count;
            if (!last && !is_listed(&KNOWN, word)) || (last && said) {
                let word = word.clone();
                segment.tokens = name(&word).into_iter().collect();
            }
        }
        said |= segment
            .tokens
            .iter()
            .any(|token| matches!(token, Token::Word(word) if !is_generic(word)));
        tokens.append(&mut segment.tokens);
    }
    tokens
}

fn is_generic(word: &str) -> bool {
    is_listed(&GENERIC, word)
        || is_listed(&TOOLS, word)
        || word.ends_with("error")
        || word.ends_with("exception")
}

/// What stands between quotes: a sign or a word of a language says what kind of error it is;
/// everything else is a name.
fn quoted(content: &str) -> Option<Token> {
    let content = content.trim();
    if !content.is_empty() && !content.chars().any(char::is_alphanumeric) {
        let signs: String = content
            .chars()
            .filter(|c| !c.is_whitespace() && closing(*c).is_none())
            .collect();
        let short = !signs.is_empty() && signs.chars().count() <= 4;
        return short.then_some(Token::Word(signs));
    }
    name(content)
}

/// A name without what changes each time; none where nothing is left.
fn name(content: &str) -> Option<Token> {
    let mut kept = String::new();
    for part in content.split_whitespace() {
        let part: String = part
            .chars()
            .filter(|c| closing(*c).is_none() && !is_closing(*c))
            .collect();
        let part = match as_path(&part) {
            Some(path) if path.words.is_none() => String::from(path.base),
            _ => part,
        };
        if part.is_empty() || is_hash(&part) || as_number(&part).is_some() {
            continue;
        }
        if kept.len() + part.len() > NAME_BYTES_MAX {
            break;
        }
        if !kept.is_empty() {
            kept.push(' ');
        }
        kept.push_str(&part);
    }
    if !kept.chars().any(char::is_alphanumeric) {
        return None;
    }
    if is_word_of_a_language(&kept) {
        return Some(Token::Word(kept.to_lowercase()));
    }
    Some(Token::Name(kept))
}

struct Path<'a> {
    /// The last name of it.
    base: &'a str,
    /// Whether a line and perhaps a column follow.
    located: bool,
    /// It is no path at all, but words with a slash between them.
    words: Option<&'a str>,
}

/// A path, or the name of a file, with or without a place in it.
fn as_path(chunk: &str) -> Option<Path<'_>> {
    let plain = chunk.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | '-'));
    let located = plain.len() < chunk.len() && chunk[plain.len()..].starts_with(':');
    let path = if located { plain } else { chunk };
    let path = path.trim_end_matches('/');
    let base = path.rsplit(['/', '\\']).next().unwrap_or(path);
    if chunk.contains('/') {
        let is_words =
            |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
        let words = !located && chunk.split('/').all(is_words) && chunk.split('/').count() == 2;
        let some = base.chars().any(char::is_alphanumeric);
        return some.then_some(Path {
            base,
            located,
            words: words.then_some(chunk),
        });
    }
    let drive = chunk.get(1..).is_some_and(|rest| rest.starts_with(":\\"));
    let (stem, extension) = base.rsplit_once('.')?;
    let named = is_listed(&super::words::EXTENSIONS, extension) && !stem.is_empty();
    (drive || named).then_some(Path {
        base,
        located,
        words: None,
    })
}

/// A number, a time, a size, an address; whether it is digits alone.
fn as_number(chunk: &str) -> Option<bool> {
    let chunk = chunk
        .trim_matches(|c| matches!(c, '+' | '-' | '#' | '~' | '%' | '*' | '=' | '<' | '>' | '@'));
    let digits = chunk.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    if digits == chunk.len() {
        return Some(true);
    }
    let lower = chunk.to_ascii_lowercase();
    if lower
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_'))
    {
        return Some(false);
    }
    if !lower.starts_with(|c: char| c.is_ascii_digit()) && !lower.starts_with('.') {
        return None;
    }
    let rest = lower.trim_start_matches(|c: char| {
        c.is_ascii_digit() || matches!(c, '.' | ',' | ':' | '_' | '-' | '/' | '+' | 't' | 'z' | 'x')
    });
    const UNITS: [&str; 24] = [
        "", "b", "d", "f", "g", "gb", "gib", "h", "k", "kb", "kib", "m", "mb", "mib", "min", "ms",
        "n", "ns", "s", "th", "u", "us", "w", "µs",
    ];
    UNITS.contains(&rest).then_some(false)
}

/// A digest, a UUID, an address without its prefix.
fn is_hash(part: &str) -> bool {
    let hex = part.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    hex && part.len() >= 7 && part.bytes().any(|b| b.is_ascii_digit())
}

/// `E0382`, `TS2345`, `ORA-00942`.
fn is_code(chunk: &str) -> bool {
    let letters = chunk.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = chunk[letters..]
        .strip_prefix('-')
        .unwrap_or(&chunk[letters..]);
    (1..=6).contains(&letters)
        && (2..=6).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `queueSize`, `HashMap`: a capital after a small letter.
fn is_camel(part: &str) -> bool {
    let mut small = false;
    for c in part.chars() {
        if c.is_uppercase() && small {
            return true;
        }
        small = c.is_lowercase();
    }
    false
}

fn starts_large(part: &str) -> bool {
    let mut chars = part.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.next().is_some_and(char::is_lowercase)
}

fn closing(c: char) -> Option<&'static [char]> {
    match c {
        '\'' => Some(&['\'']),
        '"' => Some(&['"']),
        '`' => Some(&['`', '\'']),
        '‘' => Some(&['’']),
        '“' => Some(&['”']),
        _ => None,
    }
}

fn is_closing(c: char) -> bool {
    matches!(c, '’' | '”')
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' | '’' | '”')
}
