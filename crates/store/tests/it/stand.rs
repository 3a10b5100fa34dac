//! What the tests share: a journal in a temporary directory, and entries for it.

use std::path::Path;

use unisono_core::journal::{Entry, EntryKey, Journal, Options};
use unisono_model::{ClusterId, Incarnation, LogId, NodeId, OrchestraId};
use unisono_store::FileDisk;

pub(crate) const ORCHESTRA: OrchestraId = OrchestraId([1; 16]);
pub(crate) const LOG: LogId = LogId {
    node: NodeId([2; 32]),
    incarnation: Incarnation {
        started_ms: 3,
        nonce: 4,
    },
};

pub(crate) fn options() -> Options {
    Options::new(ClusterId([7; 16]), [9; 16])
}

pub(crate) fn journal(directory: &Path, segment_bytes: u32) -> Journal<FileDisk> {
    let disk = FileDisk::open(directory).unwrap();
    Journal::open(
        disk,
        Options {
            segment_bytes,
            ..options()
        },
    )
    .unwrap()
}

pub(crate) fn entry(seq: u64, length: usize) -> Entry {
    let key = EntryKey {
        orchestra: ORCHESTRA,
        log: LOG,
        seq,
    };
    Entry {
        key,
        bytes: vec![seq as u8; length],
    }
}

/// Everything that is held of the one log.
pub(crate) fn content(journal: &Journal<FileDisk>) -> Vec<Entry> {
    journal.read(ORCHESTRA, LOG, 0, usize::MAX).unwrap()
}
