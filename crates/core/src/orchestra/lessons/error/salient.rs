//! Which line of an error's text says what went wrong: the first one that names an error, with what
//! follows where the name alone says nothing. Everything else is where, or what came of it.

use alloc::string::String;
use alloc::vec::Vec;

/// Most lines that are looked at.
const LINES_MAX: usize = 20_000;

/// What a line is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Line {
    /// Says what went wrong.
    Names,
    /// May say so, if no other does.
    Hints,
    /// Says nothing about what went wrong.
    Noise,
}

/// What marks the line that says what went wrong, in small letters.
const NAMES: [&str; 34] = [
    "error:",
    "error[",
    "error ts",
    "fatal:",
    "panicked at",
    "panic:",
    "exception in thread",
    "conflict (",
    "undefined reference",
    "multiple definition",
    "undefined symbol",
    "command not found",
    ": not found",
    "no such file",
    "permission denied",
    "is a directory",
    "not a directory",
    "no rule to make target",
    "segmentation fault",
    "syntax error",
    "parse error",
    "[rejected]",
    "unbound variable",
    "bad substitution",
    "unexpected end of file",
    "unexpected eof",
    "cannot find",
    "can't locate",
    "can't open",
    "could not resolve",
    "connection refused",
    "missing separator",
    "out of memory",
    "assertion failed",
];

/// What marks lines that come of an error, or stand around it.
const NOISE: [&str; 30] = [
    "aborting due to",
    "could not compile",
    "for more information about",
    "ld returned",
    "compilation terminated",
    "during handling of the above",
    "the above exception was",
    "traceback (most recent call last)",
    "in function '",
    "in function `",
    "in file included from",
    "some errors have detailed",
    "build failed, waiting",
    "note: run with",
    "failed (failures=",
    "failed (errors=",
    "test result:",
    "exit status",
    "execution of",
    "had compilation errors",
    "begin failed--compilation aborted",
    "waiting for unfinished",
    "process didn't exit successfully",
    "recompile with -x",
    "note: some",
    "symbol not found in",
    "a complete log of this run",
    "leaving directory",
    "entering directory",
    "to see a full",
];

/// The lines that say what went wrong, without colours, in order; at least one where there is any
/// text.
pub(super) fn salient(text: &str) -> Vec<String> {
    let lines: Vec<String> = plain(text);
    let mut hint = None;
    for (index, line) in lines.iter().enumerate() {
        match kind(line, index, &lines) {
            Line::Names => return with_rest(&lines, index),
            Line::Hints if hint.is_none() => hint = Some(index),
            Line::Hints | Line::Noise => {}
        }
    }
    // Where only what comes of errors is told, its last line tells most.
    let last = lines.iter().rposition(|line| !line.trim().is_empty());
    match hint.or(last) {
        Some(index) => with_rest(&lines, index),
        None => Vec::new(),
    }
}

fn kind(line: &str, index: usize, lines: &[String]) -> Line {
    let small = line.trim().to_lowercase();
    if small.is_empty() || is_excerpt(&small) || NOISE.iter().any(|noise| small.contains(noise)) {
        return Line::Noise;
    }
    let follows = [
        "note:", "help:", "hint:", "warning:", "= note", "= help", "-->", "at ", "file \"",
    ];
    if follows.iter().any(|start| small.starts_with(start))
        || small.contains(": note:")
        || small.contains(": warning:")
    {
        return Line::Noise;
    }
    // `make: *** [all] Error 1` says that something failed above.
    if small.contains("*** [") {
        return Line::Noise;
    }
    // What stands under the heading of a failed test is its title: `ERROR: test_move (…)` names none.
    if small.starts_with("fail:") || small.starts_with("error: test_") {
        return Line::Noise;
    }
    if names_exception(line) || NAMES.iter().any(|name| small.contains(name)) {
        return Line::Names;
    }
    let indented = line.starts_with([' ', '\t']);
    let quoted = index > 0 && lines[index - 1].trim_start().starts_with("File \"");
    if indented || quoted {
        Line::Noise
    } else {
        Line::Hints
    }
}

/// `ValueError: …`, `java.lang.NullPointerException`, `Uncaught TypeError: …`: a word that ends so,
/// at the line's beginning.
fn names_exception(line: &str) -> bool {
    let line = line
        .trim_start_matches("E  ")
        .trim_start_matches("Uncaught ");
    let line = line.trim_start_matches("Caused by: ").trim();
    let Some(word) = line.split([':', ' ', '(']).next() else {
        return false;
    };
    let dotted = word
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$'));
    let last = word.rsplit('.').next().unwrap_or(word);
    let ends = [
        "Error",
        "Exception",
        "Interrupt",
        "Exit",
        "Iteration",
        "Warning",
        "Throwable",
    ];
    dotted
        && last.starts_with(|c: char| c.is_ascii_uppercase())
        && ends.iter().any(|end| last.ends_with(end))
        && last != "Error"
        || line.starts_with("Error: ")
}

/// A stretch of source with marks in its margin, or marks alone.
fn is_excerpt(line: &str) -> bool {
    let mut rest = line
        .trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start();
    if rest.len() < line.len() && rest.starts_with('|') || rest.starts_with('|') {
        return true;
    }
    rest = rest.trim_matches(|c: char| matches!(c, '^' | '~' | '-' | ' ' | '|' | '.' | '=' | '*'));
    rest.is_empty()
}

/// A line with the ones after it that finish its sentence.
fn with_rest(lines: &[String], index: usize) -> Vec<String> {
    let line = lines[index].trim();
    let mut found = alloc::vec![String::from(line)];
    let next = |found: &mut Vec<String>, at: usize| {
        if let Some(next) = lines
            .get(at)
            .map(|line| line.trim())
            .filter(|line| !line.is_empty())
        {
            found.push(String::from(next));
        }
    };
    let small = line.to_lowercase();
    // `thread 'main' panicked at src/main.rs:4:5:` says why in the next line.
    if small.contains("panicked at") && line.ends_with(':') {
        next(&mut found, index + 1);
    }
    // javac says in the lines below what it has not found.
    for line in lines.iter().skip(index + 1).take(5) {
        let below = line.trim_start();
        if below.starts_with("symbol:") {
            found.push(String::from(below.trim()));
        }
    }
    found
}

/// The lines of a text without escape sequences, control characters and what turns the direction of
/// writing.
fn plain(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            '\n' | '\r' => {
                if c == '\r' {
                    // Both together end one line.
                    chars.next_if_eq(&'\n');
                }
                lines.push(core::mem::take(&mut line));
                if lines.len() == LINES_MAX {
                    return lines;
                }
            }
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => {}
            c if c.is_control() => line.push(' '),
            c => line.push(c),
        }
    }
    lines.push(line);
    lines
}

/// ECMA-48: a control sequence ends with a byte from `@` to `~`; a command to the system with BEL or
/// a string terminator; anything else has one byte, behind any number from space to `/`.
fn skip_sequence(chars: &mut core::iter::Peekable<core::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            while let Some(c) = chars.peek() {
                let ends = matches!(c, '@'..='~');
                if *c == '\n' {
                    return;
                }
                chars.next();
                if ends {
                    return;
                }
            }
        }
        Some(']') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || c == '\u{1b}' {
                    if c == '\u{1b}' {
                        chars.next_if_eq(&'\\');
                    }
                    return;
                }
            }
        }
        // `ESC ( B` chooses a set of characters: what stands between says which kind.
        Some(_) => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| *c != '\n');
        }
        None => {}
    }
}
