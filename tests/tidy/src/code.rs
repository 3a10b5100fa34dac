//! Just enough reading of Rust for the rules: what is code and what is words, and where functions
//! begin and end.

/// The text with comments, strings and characters blanked out, so that what is left is code. Lines
/// and columns stay where they are.
pub fn mask(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes[at..].starts_with(b"//") => line_end(bytes, at),
            b'/' if bytes[at..].starts_with(b"/*") => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !follows_name(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], at: usize) -> usize {
    let mut depth = 0;
    let mut here = at;
    while here < bytes.len() {
        if bytes[here..].starts_with(b"/*") {
            depth += 1;
            here += 2;
        } else if bytes[here..].starts_with(b"*/") {
            depth -= 1;
            here += 2;
            if depth == 0 {
                return here;
            }
        } else {
            here += 1;
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut here = at + 1;
    while here < bytes.len() {
        match bytes[here] {
            b'\\' => here += 2,
            b'"' => return here + 1,
            _ => here += 1,
        }
    }
    bytes.len()
}

/// Whether the byte before belongs to a name, as in `for"`; `br"` is a raw string.
fn follows_name(bytes: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).map_or(b' ', |place| bytes[place]);
    let prefix = matches!(before(1), b'b' | b'c') && !is_name(before(2));
    is_name(before(1)) && !prefix
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn raw_string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let hashes = bytes[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let length = bytes[open + 1..]
        .windows(close.len())
        .position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// Where a character ends that begins here; `None` for a lifetime.
fn character_end(bytes: &[u8], at: usize) -> Option<usize> {
    if bytes.get(at + 1) == Some(&b'\\') {
        let length = bytes
            .get(at + 3..)?
            .iter()
            .position(|byte| *byte == b'\'')?;
        return Some(at + 3 + length + 1);
    }
    // One character of up to four bytes, then the quote.
    let rest = std::str::from_utf8(bytes.get(at + 1..(at + 5).min(bytes.len()))?);
    let valid = match rest {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[at + 1..=at + error.valid_up_to()]).ok()?,
    };
    let end = at + 1 + valid.chars().next()?.len_utf8();
    (bytes.get(end) == Some(&b'\'')).then_some(end + 1)
}

/// A function with a body.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// How many lines from there to its closing brace.
    pub lines: usize,
}

/// The functions in masked text, nested ones too.
pub fn functions(masked: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, word) in words(masked).filter(|(_, word)| *word == "fn") {
        let rest = &masked[at + word.len()..];
        let name: String = rest
            .trim_start()
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        let Some(length) = body_length(rest) else {
            continue;
        };
        if !name.is_empty() {
            let line = masked[..at].matches('\n').count() + 1;
            let lines = rest[..length].matches('\n').count() + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// How far it is to the end of the body; `None` where a semicolon comes first: there is none.
fn body_length(signature: &str) -> Option<usize> {
    let mut braces = 0_usize;
    let mut brackets = 0_usize;
    for (at, byte) in signature.bytes().enumerate() {
        match byte {
            b'[' | b'(' if braces == 0 => brackets += 1,
            b']' | b')' if braces == 0 => brackets = brackets.saturating_sub(1),
            b';' if braces == 0 && brackets == 0 => return None,
            b'{' => braces += 1,
            b'}' => {
                braces = braces.checked_sub(1)?;
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// Names and keywords in masked text, each with its offset.
pub(crate) fn words(masked: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let bytes = masked.as_bytes();
        while at < bytes.len() && !is_name(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_name(bytes[at]) {
            at += 1;
        }
        (start < at).then(|| (start, &masked[start..at]))
    })
}

/// What masked text defines: the keyword, the name, the line.
pub(crate) fn definitions(masked: &str) -> Vec<(&str, &str, usize)> {
    const KEYWORDS: &[&str] = &[
        "struct",
        "enum",
        "union",
        "trait",
        "type",
        "fn",
        "mod",
        "const",
        "static",
        "macro_rules",
    ];
    let mut found = Vec::new();
    let mut line = 1;
    let mut counted = 0;
    let mut before = None;
    for (at, word) in words(masked) {
        if let Some(keyword) = before.filter(|_| !KEYWORDS.contains(&word) && word != "unsafe") {
            line += masked[counted..at].matches('\n').count();
            counted = at;
            found.push((keyword, word, line));
        }
        before = KEYWORDS.contains(&word).then_some(word);
    }
    found
}

/// The line of an offset, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}
