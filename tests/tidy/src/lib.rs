//! The rules of the house, as functions from the tree to complaints. `cargo test -p tidy` runs them
//! on this repository in less than a second; no dependency, so that they run before all else.
//!
//! A complaint names the place and says what to do. Each rule has a sample that breaks it
//! (`tests/it/samples.rs`), because a rule that cannot fail is a wish.

mod code;
mod docs;
mod floors;
mod shape;
mod signatures;
mod tree;
mod words;

pub use code::{Function, functions, mask};
pub use tree::{File, Tree};

/// One rule: its name and what it has to complain about in a tree.
pub type Rule = (&'static str, fn(&Tree) -> Vec<String>);

/// Every rule, in the order of reading.
pub const RULES: &[Rule] = &[
    ("every crate has a floor", floors::every_crate_has_a_floor),
    (
        "floors stand on floors below",
        floors::floors_stand_on_floors_below,
    ),
    (
        "machines do not know each other",
        floors::machines_do_not_know_each_other,
    ),
    (
        "the core cannot reach the world",
        floors::the_core_cannot_reach_the_world,
    ),
    ("fences stand", floors::fences_stand),
    (
        "files say what they are for",
        shape::files_say_what_they_are_for,
    ),
    ("files fit the eye", shape::files_fit_the_eye),
    ("functions fit the eye", shape::functions_fit_the_eye),
    ("names say something", shape::names_say_something),
    ("nothing is left to do", shape::nothing_is_left_to_do),
    ("no file is dead", shape::no_file_is_dead),
    (
        "signatures are checked strictly",
        signatures::signatures_are_checked_strictly,
    ),
    (
        "no place of work is named",
        words::no_place_of_work_is_named,
    ),
    ("no registry is named", words::no_registry_is_named),
    ("only sources are tracked", words::only_sources_are_tracked),
    ("the glossary is short", docs::the_glossary_is_short),
    ("the docs name what exists", docs::the_docs_name_what_exists),
    (
        "the threat model names tests",
        docs::the_threat_model_names_tests,
    ),
];
