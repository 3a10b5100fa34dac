//! Topics that are paths and globs: which of them can mean the same file.
//!
//! `*` stands for any letters between two slashes, `?` for one, `**` for any number of names, and a
//! slash at the end for everything below. Two patterns overlap if one path matches both.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// A topic as a path or a glob.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pattern<'a> {
    names: Vec<&'a str>,
}

impl<'a> Pattern<'a> {
    /// The pattern that a topic is.
    pub fn of(topic: &'a str) -> Self {
        let mut names: Vec<&str> = topic
            .split('/')
            .filter(|name| !name.is_empty() && *name != ".")
            .collect();
        if topic.ends_with('/') {
            names.push("**");
        }
        Self { names }
    }

    /// Whether it stands for more than one path.
    pub fn is_glob(&self) -> bool {
        self.names.iter().any(|name| is_wild(name))
    }

    /// The beginnings of all paths that it stands for, from the root to the longest.
    pub fn beginnings(&self) -> Vec<String> {
        let literal = self.names.iter().take_while(|name| !is_wild(name));
        let mut path = String::new();
        let mut found = vec![path.clone()];
        for name in literal {
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(name);
            found.push(path.clone());
        }
        found
    }

    /// The longest of them.
    pub fn beginning(&self) -> String {
        self.beginnings().pop().unwrap_or_default()
    }

    /// Whether one path matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (left, right) = (&self.names, &other.names);
        meet(left.len(), right.len(), |i, j, rest| {
            match (left.get(i), right.get(j)) {
                (Some(&"**"), _) => rest(1, 0) || (j < right.len() && rest(0, 1)),
                (_, Some(&"**")) => rest(0, 1) || (i < left.len() && rest(1, 0)),
                (Some(one), Some(two)) => rest(1, 1) && names_meet(one, two),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            }
        })
    }
}

fn is_wild(name: &str) -> bool {
    name.contains(['*', '?'])
}

fn names_meet(one: &str, two: &str) -> bool {
    if !is_wild(one) && !is_wild(two) {
        return one == two;
    }
    let (left, right): (Vec<char>, Vec<char>) = (one.chars().collect(), two.chars().collect());
    meet(left.len(), right.len(), |i, j, rest| {
        match (left.get(i), right.get(j)) {
            (Some('*'), _) => rest(1, 0) || (j < right.len() && rest(0, 1)),
            (_, Some('*')) => rest(0, 1) || (i < left.len() && rest(1, 0)),
            (Some(a), Some(b)) => (*a == '?' || *b == '?' || a == b) && rest(1, 1),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    })
}

/// Whether the ends from (0, 0) on meet, where each place follows from those after it: a table of
/// one cell for each pair of places, filled from the end, so that no pattern takes longer.
fn meet(
    left: usize,
    right: usize,
    at: impl Fn(usize, usize, &dyn Fn(usize, usize) -> bool) -> bool,
) -> bool {
    let width = right + 2;
    let mut table = vec![false; (left + 2) * width];
    for i in (0..=left).rev() {
        for j in (0..=right).rev() {
            let known = &table;
            let rest = |down: usize, along: usize| known[(i + down) * width + j + along];
            let value = at(i, j, &rest);
            table[i * width + j] = value;
        }
    }
    table[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meets(one: &str, two: &str) -> bool {
        let (one, two) = (Pattern::of(one), Pattern::of(two));
        assert_eq!(one.overlaps(&two), two.overlaps(&one), "both ways");
        one.overlaps(&two)
    }

    #[test]
    fn patterns_meet_where_one_path_matches_both() {
        for (one, two) in [
            ("src/auth/**", "src/auth/login.rs"),
            ("src/auth/**", "src/auth"),
            ("src/auth/", "src/auth/deep/login.rs"),
            ("src/*/login.rs", "src/auth/*"),
            ("**/login.rs", "src/auth/login.rs"),
            ("src/**/a.rs", "src/a.rs"),
            ("src/l?gin*.rs", "src/login_form.rs"),
            ("**", "anything"),
            ("a*c", "*b*"),
        ] {
            assert!(meets(one, two), "{one} {two}");
        }
    }

    #[test]
    fn patterns_that_only_begin_alike_do_not_meet() {
        for (one, two) in [
            ("src/auth/**", "src/authors.rs"),
            ("src/*.rs", "src/auth/login.rs"),
            ("src/*.rs", "src/lib.toml"),
            ("src/auth", "src/auth/login.rs"),
            ("a?", "abc"),
            ("src/*/a.rs", "src/*/b.rs"),
        ] {
            assert!(!meets(one, two), "{one} {two}");
        }
    }

    #[test]
    fn a_pattern_from_hell_is_answered_at_once() {
        let hell = "*a".repeat(127);
        assert!(meets(&hell, &"a".repeat(255)));
        assert!(!meets(&hell, &"b".repeat(255)));
        assert!(meets(&"**/".repeat(80), &"a/".repeat(120)));
    }
}
