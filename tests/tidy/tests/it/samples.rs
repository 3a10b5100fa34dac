//! A small tree that keeps all rules, and for each rule one that breaks it and no other sample's
//! rule by accident.

use tidy::{RULES, Tree, functions, mask};

const FENCE: &str = "Instant::now SystemTime::now thread::spawn HashMap HashSet";

/// A house in order.
const ORDERLY: &[(&str, &str)] = &[
    (
        "crates/model/Cargo.toml",
        "[dependencies]\nserde.workspace = true\n",
    ),
    (
        "crates/model/src/lib.rs",
        "//! Words.\n#![no_std]\nextern crate alloc;\npub struct Stamp;\n",
    ),
    (
        "crates/core/Cargo.toml",
        "[dependencies]\nunisono-model.workspace = true\n",
    ),
    ("crates/core/clippy.toml", FENCE),
    (
        "crates/core/src/lib.rs",
        "//! Core.\n#![no_std]\nmod orchestra;\nmod timing;\nmod replication;\n",
    ),
    (
        "crates/core/src/orchestra/mod.rs",
        "//! Folds.\nmod view;\nuse crate::capability::allows;\nuse crate::replication::Cursor;\n",
    ),
    (
        "crates/core/src/orchestra/view.rs",
        "//! A view.\nuse super::super::replication::Cursor;\n",
    ),
    (
        "crates/core/src/replication.rs",
        "//! Logs.\npub enum Cursor { Short }\n",
    ),
    (
        "crates/core/src/timing.rs",
        "//! Time.\nuse crate::timing::x;\nfn x() {}\n",
    ),
    (
        "docs/a.md",
        "See `crates/core/src/{timing,replication}.rs`, `Cursor::Short`, `core::timing`.\n",
    ),
];

/// The orderly house with some files put in or replaced.
fn with(changes: &[(&str, &str)]) -> Tree {
    let mut files: Vec<(&str, &str)> = ORDERLY.to_vec();
    for (path, text) in changes {
        files.retain(|(old, _)| old != path);
        files.push((path, text));
    }
    Tree::of(&files)
}

/// What the rule of this name complains about.
fn complaints(name: &str, tree: &Tree) -> Vec<String> {
    let rule = RULES.iter().find(|(known, _)| *known == name);
    rule.unwrap_or_else(|| panic!("no rule is called {name:?}"))
        .1(tree)
}

#[test]
fn the_orderly_house_keeps_every_rule() {
    for (name, rule) in RULES {
        assert_eq!(rule(&with(&[])), Vec::<String>::new(), "{name}");
    }
}

/// Each breaks the rule that it is listed under.
const BREAKS: &[(&str, &str, &str)] = &[
    (
        "every crate has a floor",
        "crates/extra/Cargo.toml",
        "[package]\n",
    ),
    (
        "floors stand on floors below",
        "crates/model/Cargo.toml",
        "[dependencies]\nunisono-core = { path = \"../core\" }\n",
    ),
    (
        "floors stand on floors below",
        "crates/core/Cargo.toml",
        "[dependencies.unisono-store]\nworkspace = true\n",
    ),
    (
        "floors stand on floors below",
        "crates/core/Cargo.toml",
        "[dependencies]\ntokio = \"1\"\n",
    ),
    (
        "floors stand on floors below",
        "crates/api/Cargo.toml",
        "[dependencies]\nautomerge = \"1\"\n",
    ),
    (
        "machines do not know each other",
        "crates/core/src/timing.rs",
        "//! Time.\nfn f() { crate::orchestra::g() }\n",
    ),
    (
        "machines do not know each other",
        "crates/core/src/timing.rs",
        "//! Time.\nuse super::{replication::Digest, x};\n",
    ),
    (
        "machines do not know each other",
        "crates/core/src/orchestra/view.rs",
        "//! A view.\nuse crate::{replication::{Cursor, Digest}, x};\n",
    ),
    (
        "machines do not know each other",
        "crates/core/src/orchestra/view.rs",
        "//! A view.\nuse super::super::node::Output;\n",
    ),
    (
        "the core cannot reach the world",
        "crates/core/src/lib.rs",
        "//! Core, with // #![no_std]\n",
    ),
    (
        "the core cannot reach the world",
        "crates/model/src/lib.rs",
        "//! Words.\n#![no_std]\nextern  crate std;\n",
    ),
    (
        "fences stand",
        "crates/core/clippy.toml",
        "disallowed-methods = []\n",
    ),
    (
        "files say what they are for",
        "crates/core/src/timing.rs",
        "// Time.\n",
    ),
    (
        "names say something",
        "crates/core/src/timing.rs",
        "//! T.\npub struct ClockManager;\n",
    ),
    (
        "names say something",
        "crates/core/src/timing.rs",
        "//! T.\nfn read_helper() {}\n",
    ),
    (
        "names say something",
        "crates/core/src/utils.rs",
        "//! T.\n",
    ),
    (
        "nothing is left to do",
        "crates/core/src/timing.rs",
        "//! T.\nfn f() { todo!() }\n",
    ),
    (
        "nothing is left to do",
        "crates/core/src/timing.rs",
        "//! T.\nfn f() { unimplemented!() }\n",
    ),
    (
        "no file is dead",
        "crates/core/src/orchestra/lost.rs",
        "//! Lost.\n",
    ),
    (
        "no file is dead",
        "crates/core/src/lost/mod.rs",
        "//! Lost.\n",
    ),
    (
        "no place of work is named",
        "docs/a.md",
        concat!("cd /wo", "rk/tree\n"),
    ),
    (
        "no place of work is named",
        "deploy/a.sh",
        concat!("x=\"/ho", "me/ada\"\n"),
    ),
    (
        "no registry is named",
        "deploy/a",
        concat!("from ghcr", ".io/unisono\n"),
    ),
    (
        "no registry is named",
        "Cargo.lock",
        "source = \"registry+https://mirror.example/index\"\n",
    ),
    ("only sources are tracked", "docs/trace.gz", ""),
    ("only sources are tracked", "target-x/a", ""),
    (
        "only sources are tracked",
        "a",
        concat!("-----BEGIN ", "PRIVATE KEY-----\n"),
    ),
    (
        "the docs name what exists",
        "docs/a.md",
        "`crates/core/src/gone.rs`\n",
    ),
    ("the docs name what exists", "docs/a.md", "`gone.md`\n"),
    (
        "the docs name what exists",
        "docs/a.md",
        "`crates/core/src/{timing,gone}.rs`\n",
    ),
    ("the docs name what exists", "docs/a.md", "`Cursor::Long`\n"),
    ("the docs name what exists", "docs/a.md", "`core::gone`\n"),
    (
        "the docs name what exists",
        "README.md",
        "the `Verified` value\n",
    ),
    (
        "signatures are checked strictly",
        "crates/core/src/timing.rs",
        "//! Time.\nuse ed25519_dalek::{\n    Signature, Verifier as _,\n};\n",
    ),
    (
        "signatures are checked strictly",
        "crates/core/src/timing.rs",
        "//! Time.\nfn x() { ed25519_dalek::verify_batch(a, b, c); }\n",
    ),
    (
        "the threat model names tests",
        "docs/threat-model.md",
        "| never | `nobody_ever_wrote_this` |\n",
    ),
];

#[test]
fn each_sample_breaks_its_rule() {
    for (rule, path, text) in BREAKS {
        assert!(
            !complaints(rule, &with(&[(path, text)])).is_empty(),
            "{rule}: {path}: {text}"
        );
    }
}

#[test]
fn what_is_too_long_is_told() {
    let function = format!("//! T.\nfn f() {{\n{}}}\n", "    g();\n".repeat(69));
    let tree = with(&[("crates/core/src/timing.rs", &function)]);
    assert_eq!(complaints("functions fit the eye", &tree).len(), 1);
    let shorter = function.replacen("    g();\n", "", 1);
    let tree = with(&[("crates/core/src/timing.rs", &shorter)]);
    assert!(complaints("functions fit the eye", &tree).is_empty());

    let file = "//! T.\n".repeat(601);
    let tree = with(&[("crates/core/src/timing.rs", &file)]);
    assert_eq!(complaints("files fit the eye", &tree).len(), 1);

    let words = "| **a** | b |\n".repeat(31);
    assert_eq!(
        complaints(
            "the glossary is short",
            &with(&[("docs/glossary.md", &words)])
        )
        .len(),
        1
    );

    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(
        complaints("only sources are tracked", &with(&[("a", &large)])).len(),
        1
    );
}

#[test]
fn every_rule_has_a_sample() {
    let long = [
        "functions fit the eye",
        "files fit the eye",
        "the glossary is short",
    ];
    for (name, _) in RULES {
        let broken = BREAKS.iter().any(|(rule, _, _)| rule == name) || long.contains(name);
        assert!(broken, "{name}: add a sample that breaks it");
    }
}

#[test]
fn an_exception_that_nobody_needs_is_told() {
    let tree = with(&[
        (
            "crates/core/src/orchestra/mod.rs",
            "//! Folds.\nmod view;\n",
        ),
        ("crates/core/src/orchestra/view.rs", "//! A view.\n"),
    ]);
    assert_eq!(
        complaints("machines do not know each other", &tree).len(),
        2
    );
}

#[test]
fn words_are_no_code() {
    let text = r##"let a = "fn x() {"; // fn y() {
let b = 'x'; let c = '"'; let d: &'static str = r#"todo!() " "#; /* a /* b */ fn */ let e = '\''; let f = b'\\';"##;
    let masked = mask(text);
    assert!(
        !masked.contains("fn") && !masked.contains("todo"),
        "{masked}"
    );
    assert!(
        masked.contains("let c =") && masked.contains("&'static str"),
        "{masked}"
    );
    assert!(
        masked.contains("let e =") && masked.contains("let f ="),
        "{masked}"
    );
    assert_eq!(masked.lines().count(), 2);
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let text =
        "trait T { fn none(&self) -> [u8; 4]; }\nfn one() {\n    if x { y() }\n}\nfn two() {}\n";
    let found: Vec<_> = functions(text)
        .into_iter()
        .map(|f| (f.name, f.line, f.lines))
        .collect();
    assert_eq!(found, [("one".to_owned(), 2, 3), ("two".to_owned(), 5, 1)]);
}
