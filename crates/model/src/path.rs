//! Paths of files in a workspace: one form only (normal form C of Unicode, UAX #15), so that two
//! spellings of one name can never be two files, nor one spelling lead out of the workspace.
//!
//! Open: `A` and `a` are two paths here, and one file where a file system folds case (APFS and NTFS
//! as they come); so are characters that only look alike, or that only compatibility makes equal
//! (`ﬁ`, `fi`). What a path leads to on a disk is answered where the file is opened.

use alloc::vec::Vec;
use core::fmt;

use unicode_normalization::is_nfc;

use crate::limits::{PATH_BYTES_MAX, PATH_NAME_BYTES_MAX};

/// Why a path is not plain. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotPlain {
    /// Nothing, or more than [`PATH_BYTES_MAX`] bytes, or a name beyond [`PATH_NAME_BYTES_MAX`].
    #[error("it is empty or too long")]
    Length,
    /// It begins at the root of a file system or a drive.
    #[error("it does not begin in the workspace")]
    Absolute,
    /// It has `.`, `..`, or nothing between two slashes or at the end.
    #[error("it has an empty name, `.` or `..`")]
    Dots,
    /// A character that file systems, terminals or people read in two ways.
    #[error("it has the character {0}")]
    Character(Shown),
    /// It has another spelling that means the same.
    #[error("it is not in Unicode's normal form C")]
    Spelling,
    /// A name that some file system takes for a device or drops the end of.
    #[error("it has a name that some file systems read otherwise")]
    Reserved,
}

/// A character as its code point, since it may not be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shown(pub char);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}

/// Whether a path is plain: relative, `/` between its names, no tricks.
///
/// # Errors
/// The first reason why it is not.
pub fn check(path: &str) -> Result<(), NotPlain> {
    if path.is_empty() || path.len() > PATH_BYTES_MAX {
        return Err(NotPlain::Length);
    }
    let drive = path.as_bytes().get(1) == Some(&b':');
    if path.starts_with('/') || path.starts_with('~') || drive {
        return Err(NotPlain::Absolute);
    }
    if let Some(bad) = path.chars().find(|c| is_ambiguous(*c)) {
        return Err(NotPlain::Character(Shown(bad)));
    }
    if !is_nfc(path) {
        return Err(NotPlain::Spelling);
    }
    path.split('/').try_for_each(segment)
}

/// Whether a pattern is plain: a path in which `*` may stand for characters of a name, and `**` for
/// names.
///
/// # Errors
/// The first reason why it is not.
pub fn check_pattern(pattern: &str) -> Result<(), NotPlain> {
    let odd = |name: &str| name.contains("**") && name != "**";
    if pattern.split('/').any(odd) {
        return Err(NotPlain::Character(Shown('*')));
    }
    // Any letter will do: it is one that nothing else forbids.
    check(&pattern.replace('*', "x"))
}

/// Whether a pattern covers a path. A path covers itself and nothing else.
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut patterns: Vec<&str> = pattern.split('/').collect();
    if patterns.last() == Some(&"**") {
        // What stands under a folder is not the folder.
        patterns.push("*");
    }
    let names: Vec<&str> = path.split('/').collect();
    wild(
        &patterns,
        &names,
        |one| *one == "**",
        |one, name| {
            let (one, name) = (one.as_bytes(), name.as_bytes());
            wild(one, name, |byte| *byte == b'*', |byte, other| byte == other)
        },
    )
}

/// Whether a sequence fits another in which some parts stand for any number of parts. The last of
/// these takes as little as it can, and more when what follows does not fit: no choice before it has
/// to be undone, so the work is bounded by the product of the lengths.
fn wild<P, T>(
    pattern: &[P],
    text: &[T],
    is_any: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut last: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(part) if is_any(part) => {
                last = Some((at, from));
                at += 1;
            }
            Some(part) if fits(part, &text[from]) => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((any, taken)) = last else {
                    return false;
                };
                last = Some((any, taken + 1));
                (at, from) = (any + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(is_any)
}

fn segment(name: &str) -> Result<(), NotPlain> {
    if name.is_empty() || name == "." || name == ".." {
        return Err(NotPlain::Dots);
    }
    if name.len() > PATH_NAME_BYTES_MAX {
        return Err(NotPlain::Length);
    }
    // Windows drops dots and spaces at the end, and takes these names for devices with any suffix.
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let numbered = |prefix: &str| {
        let rest = stem.get(..3).zip(stem.get(3..));
        rest.is_some_and(|(head, tail)| {
            head.eq_ignore_ascii_case(prefix)
                && tail.len() == 1
                && tail.as_bytes()[0].is_ascii_digit()
        })
    };
    let device = ["con", "prn", "aux", "nul"]
        .iter()
        .any(|device| stem.eq_ignore_ascii_case(device));
    if name.ends_with(['.', ' '])
        || name.starts_with(' ')
        || device
        || numbered("com")
        || numbered("lpt")
    {
        return Err(NotPlain::Reserved);
    }
    Ok(())
}

/// Control, formatting and bidirectional characters, other slashes, characters that are forbidden
/// on common file systems, and the marks of Latin, Greek and Cyrillic: most of them are half of a
/// decomposed letter, and what is left has no form that people would type.
fn is_ambiguous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{feff}' | '\u{fffd}'
        )
        || matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}')
        || matches!(c, '\u{180b}'..='\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2044}' | '\u{2060}'..='\u{206f}' | '\u{20d0}'..='\u{20ff}' | '\u{2215}')
        || matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{ff0e}' | '\u{ff0f}')
        || matches!(c, '\u{ff3c}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
        || (c.is_whitespace() && c != ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_pass() {
        for path in [
            "src/lib.rs",
            "a",
            ".github/workflows/ci.yml",
            "docs/a name with spaces.md",
            "src/größe.rs",
            "src/日本.rs",
            "src/\u{304c}.rs",
            "src/\u{ac01}.rs",
            "src/\u{915}\u{93f}.rs",
            "console.rs",
            "a/computer/lpt.txt",
        ] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn a_pattern_covers_what_it_says_and_no_more() {
        for (pattern, path, covers) in [
            ("src/a.rs", "src/a.rs", true),
            ("src/a.rs", "src/a.rs.bak", false),
            ("src/a.rs", "src/a", false),
            ("src", "src/a.rs", false),
            ("src/*", "src/a.rs", true),
            ("src/*", "src/b/a.rs", false),
            ("src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/a.rs.md", false),
            ("src/a*b*c", "src/aXbYbZc", true),
            ("src/a*b*c", "src/aXbYbZ", false),
            ("src/**", "src/a/b/c.rs", true),
            ("src/**", "src", false),
            ("src/**", "srcs/a", false),
            ("**/a.rs", "a.rs", true),
            ("**/a.rs", "x/y/a.rs", true),
            ("**/a.rs", "x/y/ba.rs", false),
            ("src/**/t/**/a.rs", "src/t/x/t/y/a.rs", true),
            ("src/**/t/**/a.rs", "src/x/y/a.rs", false),
            ("SRC/a.rs", "src/a.rs", false),
        ] {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
            assert_eq!(matches(pattern, path), covers, "{pattern} {path}");
        }
        for pattern in [
            "", "/src", "src/../x", "src/**x", "a/***", "src//*", "*/", ".",
        ] {
            assert!(check_pattern(pattern).is_err(), "{pattern:?}");
        }
    }

    #[test]
    fn tricks_do_not() {
        let long = alloc::format!("a/{}", "b".repeat(4096));
        let wide = "c".repeat(256);
        for path in [
            "",
            "/etc/passwd",
            "~/x",
            "C:\\x",
            "c:/x",
            "src\\a.rs",
            "./src/a.rs",
            "src/../secret",
            "..",
            ".",
            "src//a.rs",
            "src/",
            "src/.",
            "src/a.",
            "src/a ",
            " src",
            "src/a\0",
            "src/\n",
            "src/a\u{301}.rs",
            "src/\u{304b}\u{3099}.rs",
            "src/\u{1100}\u{1161}.rs",
            "src/\u{ac00}\u{11a8}.rs",
            "src/\u{212b}.rs",
            "src/\u{212a}.rs",
            "src/\u{958}.rs",
            "src/\u{202e}sr.a",
            "src/\u{200b}a",
            "CON",
            "src/nul.txt",
            "aux/x",
            "com1",
            "LPT9.log",
            "a\u{ff0f}b",
            "a:b",
            "a|b",
            "a\u{feff}",
            &long,
            &wide,
        ] {
            assert!(check(path).is_err(), "{path:?}");
        }
    }
}
