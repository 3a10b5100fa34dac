//! A journal whose files were changed behind its back.
//!
//! The checks of a frame are keyed hashes, which no fuzzer guesses; so the input is not a file but
//! the harm done to a good one: edits of single bytes, then a cut.

use unisono_core::journal::{Entry, EntryKey, Journal, Options};
use unisono_model::{ClusterId, Incarnation, LogId, NodeId, OrchestraId};

use crate::Seed;
use crate::disk::MemoryDisk;

const ENTRIES: u64 = 12;

fn options() -> Options {
    Options {
        segment_bytes: 4096,
        verify_bytes: u64::MAX,
        ..Options::new(ClusterId([1; 16]), [7; 16])
    }
}

fn entry(seq: u64) -> Entry {
    let incarnation = Incarnation {
        started_ms: 1,
        nonce: 2,
    };
    let log = LogId {
        node: NodeId([3; 32]),
        incarnation,
    };
    let key = EntryKey {
        orchestra: OrchestraId([2; 16]),
        log,
        seq,
    };
    Entry {
        key,
        bytes: vec![seq as u8; 700],
    }
}

/// A journal of some segments, as files.
fn sound() -> MemoryDisk {
    let mut journal = Journal::open(MemoryDisk::default(), options()).expect("an empty disk opens");
    for first in (1..=ENTRIES).step_by(2) {
        journal
            .append(&[entry(first), entry(first + 1)])
            .expect("there is room");
    }
    journal.into_disk()
}

/// Triples of file, place in it (in 256ths) and what is done there.
fn harm(disk: &mut MemoryDisk, bytes: &[u8]) {
    for edit in bytes.chunks_exact(4) {
        let count = disk.0.len();
        let Some(file) = disk.0.values_mut().nth(usize::from(edit[0]) % count) else {
            continue;
        };
        let at = file.len() * usize::from(edit[1]) / 256 + usize::from(edit[2]);
        match edit[3] {
            0 => file.truncate(at),
            1 => file.extend_from_slice(&bytes[..bytes.len().min(200)]),
            flip => {
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= flip;
                }
            }
        }
    }
}

/// Whatever was done to it: it opens or says why not, gives back nothing that was not written, and
/// takes new entries. True if nothing was lost.
pub(crate) fn feed(bytes: &[u8]) -> bool {
    let mut disk = sound();
    harm(&mut disk, &bytes[..bytes.len().min(64)]);
    let Ok(mut journal) = Journal::open(disk, options()) else {
        return false;
    };
    let wanted = entry(1).key;
    let mut whole = true;
    for seq in 1..=ENTRIES {
        match journal.read_one(EntryKey { seq, ..wanted }) {
            Ok(Some(found)) => assert_eq!(found, entry(seq), "only what was written comes back"),
            Ok(None) | Err(_) => whole = false,
        }
    }
    let next = entry(ENTRIES + 1);
    if journal.append(std::slice::from_ref(&next)).is_ok() {
        assert_eq!(
            journal.read_one(next.key),
            Ok(Some(next)),
            "what was acknowledged is there"
        );
    }
    whole
}

pub(crate) fn seeds() -> Vec<Seed> {
    vec![("untouched", vec![])]
}
