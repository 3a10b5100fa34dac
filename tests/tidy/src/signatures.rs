//! Signatures are checked by `verify_strict` and by nothing else: what `verify` takes depends on the
//! key, and in a batch on its neighbours, so that replicas would come apart.

use crate::code::{line_of, mask, words};
use crate::tree::Tree;

/// The planted fault that does what is forbidden.
const EXEMPT: &[&str] = &["crates/sim/src/memo.rs"];

/// Checks that are not strict, by names that nothing else has.
const LOOSE: &[&str] = &[
    "raw_verify",
    "raw_verify_prehashed",
    "verify_batch",
    "verify_prehashed",
];

/// The library whose trait gives keys their plain `verify`.
const LIBRARY: &str = "ed25519_dalek";

pub(crate) fn signatures_are_checked_strictly(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    let sources = tree.files.iter().filter(|file| file.has_extension("rs"));
    for file in sources.filter(|file| !EXEMPT.contains(&file.path.as_str())) {
        if !file.text().contains(LIBRARY) {
            continue;
        }
        let masked = mask(file.text());
        for (at, word) in words(&masked) {
            let brings_plain = word == LIBRARY && names_the_trait(&masked[at..]);
            if brings_plain || LOOSE.contains(&word) {
                let line = line_of(&masked, at);
                complaints.push(format!(
                    "{}:{line}: leads to a check that is not strict; use `verify_strict`",
                    file.path
                ));
            }
        }
    }
    complaints
}

/// Whether a path or a list of imports has the trait in it.
fn names_the_trait(from: &str) -> bool {
    let end = from.find([';', '(', ')']).unwrap_or(from.len());
    words(&from[..end]).any(|(_, word)| word == "Verifier")
}
