//! What must not stand in any file: a developer's machine, a registry, and what is no source.

use crate::tree::{File, Tree};

const FILE_BYTES_MAX: usize = 1 << 20;

/// Folders of somebody's machine. Put together here, so that this file does not break its own rule.
const PLACES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/ro", "ot/"),
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
];

/// Hosts of package registries, and the settings that point a tool to another one.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".org"),
    concat!("docker", ".io"),
    concat!("ghcr", ".io"),
    concat!("quay", ".io"),
    concat!("proxy.golang", ".org"),
    concat!("jfrog", ".io"),
    concat!("arti", "factory"),
    concat!("sparse", "+http"),
    concat!("replace", "-with"),
    concat!("index", "-url"),
];

/// The lock file names where its packages come from, and only from the public index.
const LOCK_SOURCE: &str = concat!(
    "source = \"registry+https://github.com/rust-lang/crates",
    ".io-index\""
);

/// Endings of what is built, packed, recorded or secret.
const NO_SOURCES: &[&str] = &[
    "a", "crt", "db", "der", "dll", "exe", "gz", "img", "key", "o", "p12", "pem", "pfx",
    "profdata", "profraw", "rlib", "rmeta", "so", "sqlite", "swp", "tar", "xz", "zip", "zst",
];

pub(crate) fn no_place_of_work_is_named(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let suspicious = |file: &&File| PLACES.iter().any(|place| file.text().contains(place));
    for file in tree.files.iter().filter(suspicious) {
        for (index, line) in file.text().lines().enumerate() {
            if let Some(place) = PLACES.iter().find(|place| begins_a_path(line, place)) {
                complaints.push(format!(
                    "{}:{}: {place}… is a folder of one machine; take it as an argument or begin at \
                     the repository's root",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    complaints
}

/// Whether `place` begins a path here, and is not the middle of a longer one.
fn begins_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*' | '/'))
    })
}

pub(crate) fn no_registry_is_named(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &tree.files {
        let is_lock = file.name() == "Cargo.lock";
        let text = file.text().to_lowercase();
        if !is_lock && !REGISTRIES.iter().any(|name| text.contains(name)) {
            continue;
        }
        for (index, line) in file.text().lines().enumerate() {
            if is_lock && (line == LOCK_SOURCE || !line.starts_with("source")) {
                continue;
            }
            let named = REGISTRIES
                .iter()
                .find(|name| line.to_lowercase().contains(**name));
            if is_lock || named.is_some() {
                complaints.push(format!(
                    "{}:{}: names where packages come from; leave that to the tool's own settings",
                    file.path,
                    index + 1
                ));
            }
        }
    }
    complaints
}

pub(crate) fn only_sources_are_tracked(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in &tree.files {
        if file.bytes.len() > FILE_BYTES_MAX {
            complaints.push(format!(
                "{}: {} bytes, at most {FILE_BYTES_MAX}; generate it, or keep an excerpt",
                file.path,
                file.bytes.len()
            ));
        }
        let built = file.path.starts_with("target") || file.path.contains("/target/");
        if built || NO_SOURCES.iter().any(|ending| file.has_extension(ending)) {
            complaints.push(format!(
                "{}: built, packed, recorded or secret; remove it and let .gitignore name it",
                file.path
            ));
        }
        if file.text().contains(concat!("-----BEGIN ", "PRIVATE KEY")) {
            complaints.push(format!(
                "{}: a private key; make one when it is needed",
                file.path
            ));
        }
    }
    complaints
}
