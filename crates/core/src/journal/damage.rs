//! What was found broken on the disk, said so that it can be repaired from a peer.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use unisono_model::{LogId, OrchestraId};

use super::frame::FrameKey;
use super::index::{LogKey, SegmentIndex};
use super::ranges::Ranges;
use super::scan::BadRegion;

/// Something that was once written and can no longer be read. What is lost can be fetched from a
/// peer and appended again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Damage {
    /// Whose entries they were, if that could be found out.
    pub orchestra: Option<OrchestraId>,
    /// Of which log, if that could be found out and they were bundles.
    pub log: Option<LogId>,
    /// Which entries of the log; empty if that could not be found out.
    pub seqs: Ranges,
    /// The number of the segment.
    pub segment: u64,
    /// Where in the segment file the damage begins, bytes.
    pub offset: u64,
    /// How many bytes are of no use; 0 if the whole segment file is missing.
    pub bytes: u64,
}

/// The end of the last segment as an interrupted write had left it. Nothing in it was ever
/// acknowledged, unless the disk has damaged the very last write after it was synced, which cannot
/// be told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TornTail {
    /// The number of the segment.
    pub segment: u64,
    /// Where the bad bytes began.
    pub offset: u64,
    /// How many bytes were bad.
    pub bytes: u64,
}

impl Damage {
    pub(super) fn of_bytes(segment: u64, offset: u64, bytes: u64) -> Self {
        Self {
            orchestra: None,
            log: None,
            seqs: Ranges::new(),
            segment,
            offset,
            bytes,
        }
    }

    pub(super) fn of_head(segment: u64, offset: u32) -> Self {
        Self::of_bytes(segment, u64::from(offset), 64)
    }

    pub(super) fn of_region(segment: u64, region: &BadRegion) -> Self {
        let (offset, bytes) = (
            u64::from(region.start),
            u64::from(region.end - region.start),
        );
        let mut damage = Self::of_bytes(segment, offset, bytes);
        match region.key {
            Some(FrameKey::Bundle(key)) => {
                damage.orchestra = Some(key.orchestra);
                damage.log = Some(key.log);
                damage.seqs.insert(key.seq);
            }
            Some(FrameKey::Proof { orchestra, .. }) => damage.orchestra = Some(orchestra),
            None => {}
        }
        damage
    }

    /// The log and the entries, if they are known.
    pub(super) fn entries(&self) -> Option<(LogKey, &Ranges)> {
        let key = (self.orchestra?, self.log?);
        (!self.seqs.is_empty()).then_some((key, &self.seqs))
    }
}

/// Names the entries behind damage that could not be read, by what an earlier index of the segment
/// knew and a new scan (`now`) no longer finds.
pub(super) fn attribute(before: &SegmentIndex, now: &mut SegmentIndex) {
    let mut lost: BTreeMap<LogKey, Ranges> = BTreeMap::new();
    for (key, runs) in &before.logs {
        let held: Ranges = now
            .logs
            .get(key)
            .into_iter()
            .flatten()
            .map(|r| (r.first, r.last))
            .collect();
        let known: Ranges = runs.iter().map(|run| (run.first, run.last)).collect();
        let rest = known.without(&held);
        if !rest.is_empty() {
            lost.insert(*key, rest);
        }
    }
    for damage in &now.damage {
        if let Some((key, seqs)) = damage.entries()
            && let Some(rest) = lost.get_mut(&key)
        {
            *rest = rest.without(seqs);
        }
    }
    let Some(nameless) = now
        .damage
        .iter()
        .position(|damage| damage.orchestra.is_none())
    else {
        return;
    };
    let named: Vec<Damage> = lost
        .into_iter()
        .filter(|(_, seqs)| !seqs.is_empty())
        .map(|((orchestra, log), seqs)| Damage {
            orchestra: Some(orchestra),
            log: Some(log),
            seqs,
            ..now.damage[nameless].clone()
        })
        .collect();
    if !named.is_empty() {
        // Several nameless regions cannot be told apart by the index; the first one speaks for all.
        now.damage.retain(|damage| damage.orchestra.is_some());
        now.damage.extend(named);
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bytes == 0 {
            write!(f, "segment {} is missing", self.segment)?;
        } else {
            let Self {
                segment,
                offset,
                bytes,
                ..
            } = self;
            write!(
                f,
                "segment {segment} is damaged at byte {offset} ({bytes} bytes)"
            )?;
        }
        if let Some(orchestra) = self.orchestra {
            write!(f, ", orchestra {orchestra}")?;
        }
        if let Some(log) = self.log {
            write!(
                f,
                ", log {} {}, entries {}",
                log.node, log.incarnation, self.seqs
            )?;
        }
        Ok(())
    }
}
