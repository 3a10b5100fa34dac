//! The docs name what exists: every path, every type and every `Type::name` in backticks.

use std::collections::{BTreeMap, BTreeSet};

use crate::code::{definitions, words};
use crate::tree::{File, Tree};

const GLOSSARY_WORDS_MAX: usize = 30;

/// Names in CamelCase that the docs may use and that are not ours.
const FOREIGN: &[&str] = &[
    "Automerge",
    "BTreeMap",
    "BTreeSet",
    "Dockerfile",
    "HashMap",
    "HashSet",
    "Instant",
    "Option",
    "Result",
    "String",
    "SystemTime",
    "Text",
    "Vec",
];

/// First parts of paths that lead out of this repository.
const FOREIGN_CRATES: &[&str] = &[
    "alloc",
    "automerge",
    "axum",
    "clap",
    "foca",
    "quinn",
    "rustls",
    "serde",
    "std",
    "tokio",
    "uhlc",
];

/// Endings by which a word without a slash is taken for a file of this repository.
const OUR_ENDINGS: &[&str] = &[".md", ".rs", ".sh"];

pub(crate) fn the_glossary_is_short(tree: &Tree) -> Vec<String> {
    let Some(file) = tree.get("docs/glossary.md") else {
        return Vec::new();
    };
    let rows = file
        .text()
        .lines()
        .filter(|line| line.starts_with("| **"))
        .count();
    if rows <= GLOSSARY_WORDS_MAX {
        return Vec::new();
    }
    vec![format!(
        "{}: {rows} words, at most {GLOSSARY_WORDS_MAX}; which of them would a reader guess?",
        file.path
    )]
}

pub(crate) fn the_docs_name_what_exists(tree: &Tree) -> Vec<String> {
    let names = Names::of(tree);
    let mut complaints = Vec::new();
    for file in tree.files.iter().filter(|file| file.has_extension("md")) {
        for (span, line) in code_spans(file.text()) {
            if let Some(why) = names.missing(tree, file, span) {
                complaints.push(format!(
                    "{}:{line}: `{span}`: {why}; mend the sentence",
                    file.path
                ));
            }
        }
    }
    complaints
}

/// The threat model names a test for each "never": each of them is there.
pub(crate) fn the_threat_model_names_tests(tree: &Tree) -> Vec<String> {
    let Some(file) = tree.get("docs/threat-model.md") else {
        return Vec::new();
    };
    let mut tests: BTreeSet<&str> = BTreeSet::new();
    for source in tree.rust() {
        // A macro may have made it: any word of the code is a name.
        tests.extend(words(source.code()).map(|(_, word)| word));
    }
    let rows = code_spans(file.text()).into_iter();
    let sentence = |span: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        span.matches('_').count() >= 2 && span.chars().all(plain)
    };
    rows.filter(|(span, _)| sentence(span) && !tests.contains(span))
        .map(|(span, line)| {
            format!(
                "{}:{line}: no test is called `{span}`; name the one that shows it",
                file.path
            )
        })
        .collect()
}

/// What stands between single backticks, outside fenced blocks, with its line.
fn code_spans(text: &str) -> Vec<(&str, usize)> {
    let mut spans = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced && !line.starts_with("    ") {
            spans.extend(
                line.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(|span| (span, index + 1)),
            );
        }
    }
    spans
}

/// Every name that the tree defines.
struct Names {
    /// Definitions and modules, with the files in which something is said about them.
    places: BTreeMap<String, BTreeSet<usize>>,
    /// Per file, the words of its code.
    words: Vec<BTreeSet<String>>,
}

impl Names {
    fn of(tree: &Tree) -> Self {
        let mut places: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        let mut all_words = Vec::new();
        for (index, file) in tree.rust().enumerate() {
            let masked = file.code();
            for (_, name, _) in definitions(masked) {
                places.entry(name.to_owned()).or_default().insert(index);
            }
            for implemented in implementations(masked) {
                places
                    .entry(implemented.to_owned())
                    .or_default()
                    .insert(index);
            }
            for part in file.path.trim_end_matches(".rs").split('/') {
                places
                    .entry(part.replace('-', "_"))
                    .or_default()
                    .insert(index);
                places
                    .entry(format!("unisono_{part}"))
                    .or_default()
                    .insert(index);
            }
            all_words.push(words(masked).map(|(_, word)| word.to_owned()).collect());
        }
        Self {
            places,
            words: all_words,
        }
    }

    /// Why a code span names something that is not there; `None` if it is there, or no name.
    fn missing(&self, tree: &Tree, doc: &File, span: &str) -> Option<&'static str> {
        if span.contains(char::is_whitespace) {
            return None;
        }
        if is_file(tree, span) {
            return (!exists(tree, doc, span)).then_some("no such file");
        }
        let name = span.trim_end_matches("()").trim_end_matches('!');
        let parts: Vec<&str> = name.split("::").collect();
        if !parts.iter().all(|part| is_identifier(part)) || FOREIGN.contains(&parts[0]) {
            return None;
        }
        if let [alone] = parts[..] {
            return (is_type(alone) && !self.places.contains_key(alone)).then_some("no such type");
        }
        if FOREIGN_CRATES.contains(&parts[0]) {
            return None;
        }
        let there = parts.windows(2).all(|pair| self.has(pair[0], pair[1]));
        (!there).then_some("no such name")
    }

    /// Whether `outer::inner` is plausible: a file that says something about `outer` has the word,
    /// or `outer` is a module in whose folder `inner` is defined.
    fn has(&self, outer: &str, inner: &str) -> bool {
        let Some(files) = self.places.get(outer) else {
            return false;
        };
        let said = files.iter().any(|index| self.words[*index].contains(inner));
        said || self
            .places
            .get(inner)
            .is_some_and(|inner| !inner.is_disjoint(files))
    }
}

/// The types for which masked text implements something.
fn implementations(masked: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in masked
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("impl"))
    {
        let target = line
            .rsplit_once(" for ")
            .map_or(&line[4..], |(_, target)| target);
        found.extend(words(target).map(|(_, word)| word));
    }
    found
}

fn is_identifier(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().any(|c| c.is_ascii_lowercase())
        && !name.contains('_')
}

/// Whether a word means a file or folder of this repository.
fn is_file(tree: &Tree, word: &str) -> bool {
    let plain = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-/{},*".contains(c));
    if !plain || word.starts_with('/') || word.starts_with("*.") || word.starts_with("..") {
        return false;
    }
    match word.trim_end_matches('/').split_once('/') {
        Some((top, _)) => tree.below(&format!("{top}/")).next().is_some(),
        None if word.ends_with('/') => true,
        None => OUR_ENDINGS
            .iter()
            .any(|ending| word.len() > ending.len() && word.ends_with(ending)),
    }
}

fn exists(tree: &Tree, doc: &File, word: &str) -> bool {
    let beside = doc.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    expanded(word).iter().all(|path| {
        let path = path.trim_end_matches('/');
        let (start, open) = path
            .split_once('*')
            .map_or((path, false), |(start, _)| (start, true));
        tree.files.iter().any(|file| {
            let near = file
                .path
                .strip_prefix(beside)
                .map(|rest| rest.trim_start_matches('/'));
            [Some(file.path.as_str()), near]
                .into_iter()
                .flatten()
                .any(|candidate| {
                    let rest = candidate.strip_prefix(start);
                    rest.is_some_and(|rest| open || rest.is_empty() || rest.starts_with('/'))
                })
                || (!path.contains('/') && file.name() == path)
        })
    })
}

/// `a/{b,c}` is `a/b` and `a/c`.
fn expanded(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else {
        return vec![word.to_owned()];
    };
    let Some((choices, after)) = rest.split_once('}') else {
        return vec![word.to_owned()];
    };
    choices
        .split(',')
        .map(|choice| format!("{before}{choice}{after}"))
        .collect()
}
