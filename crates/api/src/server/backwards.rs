//! The latest records that a node holds, of all its logs together, read from the end: pages go forwards
//! only, so that each log is read stretch by stretch, and always the one next that reaches back least.

use std::collections::BTreeMap;
use std::ops::Range;

use unisono_core::orchestra::view::RecordView;
use unisono_core::replication::{Cursor, LogTag};
use unisono_model::{OrchestraId, Stamp};

use super::edge::Edge;
use super::refusal::Refusal;
use super::streams::Pages;
use crate::limits::{FORETOLD_STRETCH, FORETOLD_STRETCHES_MAX};

/// How far each log has been read, and what was kept.
pub(super) struct Backwards<T> {
    edge: Edge,
    orchestra: OrchestraId,
    /// Where reading began: the last bundle of each log.
    end: Cursor,
    reached: BTreeMap<LogTag, Reached>,
    looked_at: usize,
    kept: Vec<(Stamp, T)>,
}

/// How far back a log has been read.
#[derive(Clone, Copy, Debug)]
struct Reached {
    /// The first bundle that was read.
    bundle: u64,
    /// The lowest stamp from there on.
    stamp: Stamp,
}

/// What was found.
pub(super) struct Found<T> {
    /// In the order of stamps.
    pub(super) kept: Vec<(Stamp, T)>,
    /// From which stamp on every record was looked at; none: all that are held were.
    pub(super) since: Option<Stamp>,
    /// How many were looked at.
    pub(super) looked_at: usize,
}

impl<T> Backwards<T> {
    /// Begins at a cursor.
    pub(super) fn new(edge: &Edge, orchestra: OrchestraId, end: &Cursor) -> Self {
        let unread = |(log, seq): (&LogTag, &u64)| {
            let (bundle, stamp) = (seq + 1, Stamp::MAX);
            (*log, Reached { bundle, stamp })
        };
        // A log that has forked has no end that counts.
        let ends = end.0.iter().filter(|(_, seq)| **seq < Cursor::END);
        Self {
            edge: edge.clone(),
            orchestra,
            end: end.clone(),
            reached: ends.map(unread).collect(),
            looked_at: 0,
            kept: Vec::new(),
        }
    }

    /// Looks at the latest records, about as many as are said, and keeps what `keep` makes of them; enough is
    /// kept with `kept_max`.
    ///
    /// # Errors
    /// What the node refuses.
    pub(super) async fn read(
        mut self,
        from: usize,
        kept_max: usize,
        keep: impl Fn(RecordView) -> Option<T>,
    ) -> Result<Found<T>, Refusal> {
        let logs: Vec<LogTag> = self.reached.keys().copied().collect();
        // The last bundle of each first, which says how late each log has anything.
        self.read_stretch(&logs, 1, &keep).await?;
        for _ in 0..FORETOLD_STRETCHES_MAX {
            if self.looked_at >= from || self.kept.len() >= kept_max {
                break;
            }
            let unread = self.reached.iter().filter(|(_, one)| one.bundle > 1);
            let Some((log, _)) = unread.max_by_key(|(_, one)| one.stamp) else {
                break;
            };
            self.read_stretch(&[*log], FORETOLD_STRETCH, &keep).await?;
        }
        let unread = self.reached.values().filter(|one| one.bundle > 1);
        let since = unread.map(|one| one.stamp).max();
        self.kept
            .retain(|(stamp, _)| since.is_none_or(|since| *stamp >= since));
        self.kept.sort_by_key(|(stamp, _)| *stamp);
        Ok(Found {
            kept: self.kept,
            since,
            looked_at: self.looked_at,
        })
    }

    /// So many bundles of some logs, before what was read of them.
    async fn read_stretch(
        &mut self,
        logs: &[LogTag],
        bundles: u64,
        keep: &impl Fn(RecordView) -> Option<T>,
    ) -> Result<(), Refusal> {
        let (mut after, mut until) = (self.end.clone(), Cursor::default());
        let mut stretches: BTreeMap<LogTag, Range<u64>> = BTreeMap::new();
        for log in logs {
            let Some(reached) = self.reached.get_mut(log).filter(|one| one.bundle > 1) else {
                continue;
            };
            let stretch = reached.bundle.saturating_sub(bundles).max(1)..reached.bundle;
            reached.bundle = stretch.start;
            after.0.insert(*log, stretch.start - 1);
            until.0.insert(*log, stretch.end - 1);
            stretches.insert(*log, stretch);
        }
        let mut pages = Pages {
            edge: self.edge.clone(),
            orchestra: self.orchestra,
            after: Some(after),
            as_of: None,
        };
        loop {
            let (_, page) = pages.next().await?;
            for record in page.records {
                let log = LogTag::of(&record.log);
                let stretch = stretches.get(&log);
                // Behind it lies only what was read before, or has come since.
                if !stretch.is_some_and(|stretch| stretch.contains(&record.bundle)) {
                    continue;
                }
                self.looked_at += 1;
                let stamp = record.place.stamp;
                if let Some(reached) = self.reached.get_mut(&log) {
                    reached.stamp = reached.stamp.min(stamp);
                }
                self.kept.extend(keep(record).map(|kept| (stamp, kept)));
            }
            // What a disk has lost is not there to be read.
            if !page.more || page.next.covers(&until) {
                return Ok(());
            }
        }
    }
}
