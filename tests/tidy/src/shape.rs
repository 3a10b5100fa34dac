//! What a file looks like: its head, its length, its names, and that somebody includes it.

use crate::code::{definitions, functions, line_of, words};
use crate::tree::Tree;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
/// A test may tell a longer story: a table of cases is read line by line.
const TEST_LINES_MAX: usize = 120;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Words that say nothing about what a thing does.
const EMPTY_WORDS: &[&str] = &["manager", "helper", "helpers", "util", "utils"];

pub(crate) fn files_say_what_they_are_for(tree: &Tree) -> Vec<String> {
    tree.rust()
        .filter(|file| !file.text().starts_with("//!"))
        .map(|file| {
            format!(
                "{}:1: say first what this file is for, in a line of //!",
                file.path
            )
        })
        .collect()
}

pub(crate) fn files_fit_the_eye(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let lines = file.text().lines().count();
        let excused = LONG_FILES.iter().any(|(path, _)| *path == file.path);
        if lines > FILE_LINES_MAX && !excused {
            complaints.push(format!(
                "{}: {lines} lines, at most {FILE_LINES_MAX}; find the second thing in it and move \
                 it out (or excuse it in LONG_FILES, with the reason)",
                file.path
            ));
        }
        if lines <= FILE_LINES_MAX && excused {
            complaints.push(format!(
                "{}: short enough now; strike it from LONG_FILES",
                file.path
            ));
        }
    }
    complaints
}

pub(crate) fn functions_fit_the_eye(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        for function in functions(file.code()) {
            let max = if file.path.contains("/tests/") {
                TEST_LINES_MAX
            } else {
                FUNCTION_LINES_MAX
            };
            if function.lines > max {
                complaints.push(format!(
                    "{}:{}: {} has {} lines, at most {max}; push the ifs up, the \
                     loops down, and name the parts",
                    file.path, function.line, function.name, function.lines
                ));
            }
        }
    }
    complaints
}

pub(crate) fn names_say_something(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let masked = file.code();
        for (keyword, name, line) in definitions(masked) {
            if let Some(word) = empty_word(name) {
                complaints.push(format!(
                    "{}:{line}: {keyword} {name}: a {word} of what? Name what it does",
                    file.path
                ));
            }
        }
        let mut parts = file.path.trim_end_matches(".rs").split('/');
        if let Some(word) = parts.find_map(empty_word) {
            complaints.push(format!(
                "{}: a {word} of what? Name what it holds",
                file.path
            ));
        }
    }
    complaints
}

/// The first empty word in a name, be it `CamelCase` or `snake_case`.
fn empty_word(name: &str) -> Option<&'static str> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() || c == '_' || c == '-' {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    let found = spaced
        .split(' ')
        .find_map(|word| EMPTY_WORDS.iter().find(|empty| **empty == word));
    found.copied()
}

pub(crate) fn nothing_is_left_to_do(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let masked = file.code();
        for (at, word) in words(masked) {
            let called = masked[at + word.len()..].starts_with('!');
            if called && matches!(word, "todo" | "unimplemented") {
                complaints.push(format!(
                    "{}:{}: {word}! is a panic in waiting; build it, or refuse with an error",
                    file.path,
                    line_of(masked, at)
                ));
            }
        }
    }
    complaints
}

pub(crate) fn no_file_is_dead(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree.rust() {
        let Some((folder, name)) = file.path.rsplit_once('/') else {
            continue;
        };
        let is_root = matches!(name, "lib.rs" | "main.rs" | "build.rs")
            || folder.ends_with("/tests")
            || folder.ends_with("/examples")
            || folder.ends_with("/benches")
            || folder.ends_with("/bin")
            || folder.ends_with("/targets");
        if is_root {
            continue;
        }
        // `a/b.rs` is declared by `a.rs`, `a/mod.rs` or a root in `a`; `a/mod.rs` one floor up.
        let (folder, module) = if name == "mod.rs" {
            folder.rsplit_once('/').unwrap_or((folder, ""))
        } else {
            (folder, name.trim_end_matches(".rs"))
        };
        let parents = ["/mod.rs", "/lib.rs", "/main.rs", ".rs"];
        let declared = parents.iter().any(|parent| {
            let parent = tree.get(&format!("{folder}{parent}"));
            parent.is_some_and(|parent| declares(parent.text(), module))
        });
        if !declared {
            complaints.push(format!(
                "{}: nothing includes it; write `mod {module};` in its parent, or remove it",
                file.path
            ));
        }
    }
    complaints
}

fn declares(text: &str, module: &str) -> bool {
    text.contains(&format!("mod {module};")) || text.contains(&format!("path = \"{module}.rs\""))
}
