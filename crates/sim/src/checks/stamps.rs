//! I5: a node's stamps rise strictly, over its lives too, and nobody else drags its clock.

use std::collections::BTreeMap;

use unisono_core::journal::Entry;
use unisono_model::{LogId, NodeId, OrchestraId, SignedBundle, Stamp, limits};

/// How far a clock may stand above what its machine ever showed: what a peer may move it, and one.
const SLACK_NS: u64 = (limits::STAMP_AHEAD_MS_MAX + 2) * 1_000_000;

/// So far ahead no clock that is right within 200 ms takes a stamp over.
const AHEAD_NS: u64 = (limits::STAMP_AHEAD_MS_MAX + 250) * 1_000_000;

/// Remembers the latest stamp of each log and node.
#[derive(Clone, Debug, Default)]
pub struct Stamps {
    last: BTreeMap<(OrchestraId, LogId), (u64, Stamp)>,
    lives: BTreeMap<(OrchestraId, NodeId), (LogId, Stamp)>,
    /// What each machine has taken in of other nodes' logs.
    taken: BTreeMap<(usize, OrchestraId, LogId), (u64, Stamp)>,
    /// Bundles with records that were stamped so far ahead of the true time that every other clock
    /// had to hold them back.
    pub ahead: u64,
}

impl Stamps {
    /// A node has written a batch to its disk, in the life of the log `present`. `highest_wall_ns` is
    /// the highest reading that its clock ever showed; `forgetful` says that its disk has once gone
    /// back in time or lost something, so that it cannot know all that its former lives wrote.
    pub fn written(
        &mut self,
        present: LogId,
        entries: &[Entry],
        highest_wall_ns: u64,
        forgetful: bool,
        true_ns: u64,
    ) -> Result<(), String> {
        let node = present.node;
        for entry in entries.iter().filter(|entry| entry.key.log.node == node) {
            let Ok((bundle, body)) = SignedBundle::decode(&entry.bytes) else {
                return Err(format!(
                    "{:?} has written a bundle that nobody can read",
                    entry.key
                ));
            };
            let header = bundle.header;
            let far = header.stamp.as_ns() > true_ns + AHEAD_NS;
            self.ahead += u64::from(far && !body.records.is_empty());
            let first = body
                .records
                .first()
                .map_or(header.stamp, |record| record.stamp);
            let key = (header.orchestra, header.log);
            // Bundles of former logs that were lost come back from others.
            let returned = forgetful && header.log != present;
            if let Some((seq, stamp)) = self.last.get(&key).filter(|_| !returned) {
                if header.seq <= *seq {
                    return Err(format!(
                        "bundle {} of {:?} came twice",
                        header.seq, header.log
                    ));
                }
                if first <= *stamp {
                    return Err(format!(
                        "in {:?} the stamp {first} follows {stamp}",
                        header.log
                    ));
                }
            }
            self.last.insert(key, (header.seq, header.stamp));
            self.over_lives(node, &header, first, forgetful)?;
            if header.stamp.as_ns() > highest_wall_ns + SLACK_NS {
                let ahead = (header.stamp.as_ns() - highest_wall_ns) / 1_000_000;
                return Err(format!("{node:?} stamped {ahead} ms above its own clock"));
            }
        }
        Ok(())
    }

    /// A machine has written bundles of a lying node to its disk: they may lie about everything but
    /// the rise of their stamps.
    pub fn taken(&mut self, host: usize, liar: NodeId, entries: &[Entry]) -> Result<(), String> {
        for entry in entries.iter().filter(|entry| entry.key.log.node == liar) {
            let Ok((bundle, body)) = SignedBundle::decode(&entry.bytes) else {
                continue;
            };
            let header = bundle.header;
            let first = body.records.first().map_or(header.stamp, |one| one.stamp);
            let key = (host, header.orchestra, header.log);
            let before = self.taken.insert(key, (header.seq, header.stamp));
            if let Some((seq, stamp)) = before
                && seq + 1 == header.seq
                && first <= stamp
            {
                return Err(format!(
                    "machine {host} took {first} in {:?}, which had shown {stamp}",
                    header.log
                ));
            }
        }
        Ok(())
    }

    fn over_lives(
        &mut self,
        node: NodeId,
        header: &unisono_model::BundleHeader,
        first: Stamp,
        forgetful: bool,
    ) -> Result<(), String> {
        let known = self
            .lives
            .entry((header.orchestra, node))
            .or_insert((header.log, Stamp::MIN));
        let earlier = *known;
        *known = (header.log, header.stamp.max(earlier.1));
        if earlier.0 != header.log && first <= earlier.1 && !forgetful {
            let (before, stamp) = earlier;
            return Err(format!(
                "{:?} begins at {first}, {before:?} ended at {stamp}",
                header.log
            ));
        }
        Ok(())
    }
}
