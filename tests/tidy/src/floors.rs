//! Who may stand on whom: crates on crates, machines beside machines, the core apart from the world.

use crate::code::{line_of, words};
use crate::tree::{File, Tree};

/// Which crate may depend on which. Whatever is not here is forbidden.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("measure", &[]),
    ("document", &["model"]),
    ("core", &["document", "model"]),
    ("store", &["core", "model"]),
    ("quic", &["core", "model"]),
    ("api", &["core", "model"]),
    ("sim", &["core", "document", "model"]),
    (
        "unisono",
        &[
            "api", "core", "document", "measure", "model", "quic", "sim", "store",
        ],
    ),
];

/// The simulator may check itself against the real disk and the real edge; nobody ships its tests.
const MAY_TEST_WITH_ANYTHING: &[&str] = &["sim"];

/// What brings the world in by the back door. `crates/core` and `crates/model` are handed the time
/// and chance, and say nothing on their own.
const NEVER_IN_THE_CORE: &[&str] = &[
    "tokio",
    "tracing",
    "log",
    "serde_json",
    "quinn",
    "rustls",
    "getrandom",
    "rand",
    "async-trait",
];

/// Who may name Automerge: one crate, so that one gate is enough.
const MAY_NAME_AUTOMERGE: &[&str] = &["document"];

/// The machines of the core's first floor. They do not know each other; `node` introduces them.
const MACHINES: &[&str] = &[
    "capability",
    "election",
    "journal",
    "membership",
    "orchestra",
    "replication",
    "timing",
];

/// Who may name something of another machine after all, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "orchestra",
        "replication::Cursor",
        "a view says what it has seen, and a cursor is the word for it",
    ),
    (
        "orchestra",
        "capability",
        "which records count follows from what tokens allow: a predicate without a state of its own",
    ),
];

/// Crates in which clippy refuses clocks, threads and unordered maps.
const FENCED: &[&str] = &["core", "document", "measure", "sim"];

pub(crate) fn every_crate_has_a_floor(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for file in tree
        .below("crates/")
        .filter(|file| file.name() == "Cargo.toml")
    {
        let name = crate_of(&file.path);
        if !MAY_DEPEND_ON.iter().any(|(known, _)| *known == name) {
            complaints.push(format!(
                "{}: name the wall that crates/{name} builds, and give it a floor in MAY_DEPEND_ON",
                file.path
            ));
        }
    }
    complaints
}

pub(crate) fn floors_stand_on_floors_below(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, allowed) in MAY_DEPEND_ON {
        let Some(file) = tree.get(&format!("crates/{name}/Cargo.toml")) else {
            continue;
        };
        for (section, used, line) in dependencies(file.text()) {
            let dev = section.contains("dev-dependencies");
            let at = format!("{}:{line}", file.path);
            if let Some(ours) = used.strip_prefix("unisono-") {
                let free = dev && MAY_TEST_WITH_ANYTHING.contains(name);
                if !free && !allowed.contains(&ours) {
                    complaints.push(format!(
                        "{at}: crates/{name} must not stand on unisono-{ours}; pass a value up or \
                         down instead (the directions are MAY_DEPEND_ON in tests/tidy)"
                    ));
                }
            }
            if used == "automerge" && !MAY_NAME_AUTOMERGE.contains(name) {
                complaints.push(format!(
                    "{at}: only crates/document names Automerge; ask it"
                ));
            }
            let apart = matches!(*name, "core" | "model");
            if apart && !dev && NEVER_IN_THE_CORE.contains(&used) {
                complaints.push(format!(
                    "{at}: {used} reaches the world; take it as an argument, or do it in a driver"
                ));
            }
        }
    }
    complaints
}

/// What a manifest depends on: section, package, line.
fn dependencies(manifest: &str) -> Vec<(&str, &str, usize)> {
    let mut section = "";
    let mut found = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            // `[dependencies.name]` is a dependency too.
            if let Some((_, name)) = section.split_once("dependencies.") {
                found.push((section, name.trim_matches('"'), index + 1));
            }
        } else if section.ends_with("dependencies") && !line.is_empty() && !line.starts_with('#') {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            found.push((section, name.trim_matches('"'), index + 1));
        }
    }
    found
}

pub(crate) fn machines_do_not_know_each_other(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = vec![false; EXCEPTIONS.len()];
    for machine in MACHINES {
        let folder = format!("crates/core/src/{machine}/");
        let alone = format!("crates/core/src/{machine}.rs");
        for file in tree
            .rust()
            .filter(|file| file.path.starts_with(&folder) || file.path == alone)
        {
            let depth = file.path[..].matches('/').count() - 3;
            let nested = usize::from(file.name() != "mod.rs" && file.path != alone);
            for (path, line) in paths_from_the_root(file.code(), depth.saturating_sub(1) + nested) {
                let other = path.split("::").next().unwrap_or_default();
                if other == *machine || !(MACHINES.contains(&other) || other == "node") {
                    continue;
                }
                let excepted = EXCEPTIONS.iter().position(|(who, what, _)| {
                    who == machine && (path == *what || path.starts_with(&format!("{what}::")))
                });
                match excepted {
                    Some(index) => used[index] = true,
                    None => complaints.push(format!(
                        "{}:{line}: {machine} names {path}; return the news and let node pass it on",
                        file.path
                    )),
                }
            }
        }
    }
    let core_is_here = tree.get("crates/core/src/lib.rs").is_some();
    for ((who, what, _), used) in EXCEPTIONS.iter().zip(used) {
        if core_is_here && !used {
            complaints.push(format!(
                "tests/tidy/src/floors.rs: {who} does not name {what} any more; strike the exception"
            ));
        }
    }
    complaints
}

/// Paths that begin at the crate's root, with their lines, groups taken apart one level deep.
/// `supers` is how many `super` lead from the file to the root.
fn paths_from_the_root(masked: &str, supers: usize) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let roots = words(masked).filter_map(|(at, word)| match word {
        "crate" => Some((at, at + word.len())),
        "super" if !masked[..at].ends_with("super::") => {
            let chain = masked[at..]
                .split("::")
                .take_while(|part| *part == "super")
                .count();
            (chain >= supers && chain > 0).then(|| (at, at + chain * "super::".len() - 2))
        }
        _ => None,
    });
    for (at, end) in roots {
        let Some(rest) = masked[end..].trim_start().strip_prefix("::") else {
            continue;
        };
        let line = line_of(masked, at);
        found.extend(
            taken_apart(rest.trim_start())
                .into_iter()
                .map(|path| (path, line)),
        );
    }
    found
}

/// `a::b` as it is; `{a::b, c::{d, e}}` as `a::b`, `c::d`, `c::e`.
fn taken_apart(path: &str) -> Vec<String> {
    let plain: String = path
        .chars()
        .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
        .collect();
    let rest = &path[plain.len()..];
    let Some(group) = rest
        .strip_prefix('{')
        .filter(|_| plain.is_empty() || plain.ends_with("::"))
    else {
        return vec![plain.trim_end_matches(':').to_owned()];
    };
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (at, c) in group.char_indices() {
        let ends = c == '}' && depth == 0;
        if ends || (c == ',' && depth == 0) {
            let parts = taken_apart(group[start..at].trim());
            found.extend(parts.into_iter().filter(|part| !part.is_empty()));
            start = at + 1;
        }
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' => break,
            _ => {}
        }
    }
    found.iter().map(|part| format!("{plain}{part}")).collect()
}

pub(crate) fn the_core_cannot_reach_the_world(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in ["model", "core"] {
        let root = format!("crates/{name}/src/lib.rs");
        if let Some(file) = tree.get(&root)
            && !file.code().contains("#![no_std]")
        {
            complaints.push(format!(
                "{root}: write #![no_std]; the compiler then holds the wall"
            ));
        }
        let folder = format!("crates/{name}/src/");
        for file in tree.rust().filter(|file| file.path.starts_with(&folder)) {
            complaints.extend(world_in(file));
        }
    }
    complaints
}

fn world_in(file: &File) -> Vec<String> {
    let masked = file.code();
    let lines = masked.lines().enumerate();
    lines
        .filter(|(_, line)| {
            line.split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .contains("extern crate std")
        })
        .map(|(index, _)| {
            format!(
                "{}:{}: no std here, in tests neither; move the test to the crate's tests/ folder",
                file.path,
                index + 1
            )
        })
        .collect()
}

pub(crate) fn fences_stand(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for name in FENCED {
        if tree.get(&format!("crates/{name}/Cargo.toml")).is_none() {
            continue;
        }
        let path = format!("crates/{name}/clippy.toml");
        let text = tree.get(&path).map(File::text).unwrap_or_default();
        for fenced in [
            "Instant::now",
            "SystemTime::now",
            "thread::spawn",
            "HashMap",
            "HashSet",
        ] {
            if !text.contains(fenced) {
                complaints.push(format!(
                    "{path}: refuse {fenced} here, as the other fences do"
                ));
            }
        }
    }
    complaints
}

/// `crates/core/src/lib.rs` lies in `core`.
fn crate_of(path: &str) -> &str {
    path.split('/').nth(1).unwrap_or_default()
}
