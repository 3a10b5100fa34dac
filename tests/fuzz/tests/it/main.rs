//! The corpora, replayed without a fuzzer: what was found once stays found, on any toolchain.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use unisono_fuzz::{TARGETS, Target};

fn corpus(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let files = fs::read_dir(&folder).into_iter().flatten().flatten();
    let read = |file: fs::DirEntry| {
        let name = file.file_name().to_string_lossy().into_owned();
        (
            name,
            fs::read(file.path()).expect("a file of the corpus can be read"),
        )
    };
    files.map(read).collect()
}

/// Seeds, and everything else that lies in a corpus: a file there once broke something.
#[test]
fn corpora_replay() {
    for target in TARGETS {
        let corpus = corpus(target);
        for (name, bytes) in &corpus {
            let accepted = (target.feed)(bytes);
            let is_seed = (target.seeds)().iter().any(|(seed, _)| seed == name);
            assert!(
                accepted || !is_seed,
                "{}/{name} is no longer accepted: cargo run -p unisono-fuzz --bin seeds",
                target.name
            );
        }
        for (name, _) in (target.seeds)() {
            assert!(
                corpus.contains_key(name),
                "{}/{name} is missing: cargo run -p unisono-fuzz --bin seeds",
                target.name
            );
        }
    }
}

#[test]
fn seeds_are_accepted() {
    for target in TARGETS {
        for (name, bytes) in (target.seeds)() {
            assert!((target.feed)(&bytes), "{}/{name}", target.name);
        }
    }
}

/// Texts without a checksum: a shorter one may be another good one.
const OPEN_ENDED: &[&str] = &[
    "identifier",
    "cursor",
    "measure",
    "gossip",
    "path",
    "key_file",
];

/// Cut at every length and changed at every place: nothing panics, and nothing that is cut counts.
#[test]
fn seeds_survive_harm() {
    for target in TARGETS {
        for (name, bytes) in (target.seeds)() {
            let step = bytes.len() / 200 + 1;
            for at in (0..bytes.len()).step_by(step) {
                let accepted = (target.feed)(&bytes[..at]);
                let may = OPEN_ENDED.contains(&target.name);
                assert!(!accepted || may, "{}/{name}: {at} bytes", target.name);
                for flip in [1, 0x80] {
                    let mut changed = bytes.clone();
                    changed[at] ^= flip;
                    (target.feed)(&changed);
                }
            }
        }
    }
}

/// Deeper than the seeds' neighbourhood, for the one target whose input is harm itself.
#[test]
fn journals_survive_harm() {
    let journal = TARGETS
        .iter()
        .find(|target| target.name == "journal")
        .expect("it is listed");
    let mut state = 1_u64;
    for _ in 0..300 {
        let harm: Vec<u8> = (0..16)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        (journal.feed)(&harm);
    }
}
