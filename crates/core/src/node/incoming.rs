//! Peers' bundles that wait for an earlier one, or for the next batch.

use alloc::collections::BTreeMap;

use unisono_model::LogId;

use crate::carriage::Carried;

/// Bundles by log and number, counted as they come and go: they are asked about for each bundle
/// that arrives.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    logs: BTreeMap<LogId, BTreeMap<u64, Carried>>,
    count: usize,
    bytes: usize,
}

impl Incoming {
    /// Puts a bundle in its place.
    pub(super) fn insert(&mut self, carried: Carried) {
        let header = *carried.header();
        self.count += 1;
        self.bytes += carried.bytes().len();
        let log = self.logs.entry(header.log).or_default();
        if let Some(former) = log.insert(header.seq, carried) {
            self.count -= 1;
            self.bytes -= former.bytes().len();
        }
    }

    /// The bundle at a place.
    pub(super) fn get(&self, log: &LogId, seq: u64) -> Option<&Carried> {
        self.logs.get(log)?.get(&seq)
    }

    /// The lowest bundle of a log.
    pub(super) fn first(&self, log: &LogId) -> Option<(u64, &Carried)> {
        let (seq, carried) = self.logs.get(log)?.first_key_value()?;
        Some((*seq, carried))
    }

    /// Takes a bundle out.
    pub(super) fn remove(&mut self, log: &LogId, seq: u64) -> Option<Carried> {
        let bundles = self.logs.get_mut(log)?;
        let carried = bundles.remove(&seq)?;
        if bundles.is_empty() {
            self.logs.remove(log);
        }
        self.count -= 1;
        self.bytes -= carried.bytes().len();
        Some(carried)
    }

    /// Drops what stands from a number on: the log forked there.
    pub(super) fn cut(&mut self, log: &LogId, seq: u64) {
        while let Some(last) = self
            .logs
            .get(log)
            .and_then(|bundles| bundles.last_key_value())
            .map(|(last, _)| *last)
            .filter(|last| *last >= seq)
        {
            self.remove(log, last);
        }
    }

    /// For each log of which anything waits, its lowest number.
    pub(super) fn firsts(&self) -> impl Iterator<Item = (LogId, u64)> {
        let logs = self.logs.iter();
        logs.filter_map(|(log, bundles)| Some((*log, *bundles.first_key_value()?.0)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// What they weigh.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
