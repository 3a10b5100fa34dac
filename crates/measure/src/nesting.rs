//! How deep brackets stand in one another, asked before a parser reads the file: what a parser keeps
//! for each unclosed bracket is a multiple of what the bracket weighs.

use crate::language::Language;
use crate::lexer::{Lexer, Token};
use crate::limits::NESTING_MAX;
use crate::report::Refusal;

/// Brackets that are open, as their closing halves. A closing one closes what stands open within it,
/// one that fits nothing is passed over: the parser will say what is wrong with it.
struct Open {
    expected: Vec<u8>,
}

/// Refuses what is nested too deep, read as code and read as bare signs: whatever may be hidden in a
/// comment or a string from one reading shows in the other.
pub(crate) fn check(language: Language, text: &str) -> Result<(), Refusal> {
    // Where they may hold types, and a statement ends with a sign that shows it.
    let angles = matches!(
        language,
        Language::Rust | Language::Cpp | Language::Java | Language::TypeScript
    );
    let mut code = Open::new();
    for (at, token) in Lexer::new(language, text) {
        if let Token::Sign(sign) = token
            && let [byte] = sign.as_bytes()
            && (angles || !matches!(byte, b'<' | b'>'))
            && code.passes(*byte)
        {
            return Err(too_deep(text, at));
        }
    }
    let mut signs = Open::new();
    for (at, byte) in text.bytes().enumerate() {
        // Angle brackets mean too many other things in words.
        if !matches!(byte, b'<' | b'>') && signs.passes(byte) {
            return Err(too_deep(text, at));
        }
    }
    Ok(())
}

fn too_deep(text: &str, at: usize) -> Refusal {
    Refusal::TooDeep {
        line: crate::line_at(text.as_bytes(), at),
    }
}

impl Open {
    fn new() -> Self {
        Self {
            expected: Vec::with_capacity(NESTING_MAX),
        }
    }

    /// Takes a sign; true if the bound is passed.
    fn passes(&mut self, sign: u8) -> bool {
        match sign {
            b'(' => self.expected.push(b')'),
            b'[' => self.expected.push(b']'),
            b'{' => self.expected.push(b'}'),
            b'<' => self.expected.push(b'>'),
            b')' | b']' | b'}' => {
                if let Some(at) = self.expected.iter().rposition(|open| *open == sign) {
                    self.expected.truncate(at);
                }
            }
            b'>' => _ = self.expected.pop_if(|open| *open == b'>'),
            // No type argument reaches beyond its statement.
            b';' => while self.expected.pop_if(|open| *open == b'>').is_some() {},
            _ => {}
        }
        self.expected.len() > NESTING_MAX
    }
}
