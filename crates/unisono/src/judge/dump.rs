//! Dumps: every record of an orchestra as a node shows it, and what must hold of each dump alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use unisono_api::dto::RecordEvent;
use unisono_model::{AgentId, ChainId, Digest, IdempotencyKey, LogId, NodeId, Stamp};

use crate::failure::{Exit, Failure};

/// All records of an orchestra.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    /// As they came.
    pub(crate) records: Vec<RecordEvent>,
    /// Their names.
    pub(crate) names: BTreeSet<Digest>,
}

impl Dump {
    /// From records.
    pub(crate) fn of(records: Vec<RecordEvent>) -> Self {
        let names = records.iter().map(|record| record.record).collect();
        Self { records, names }
    }

    /// From a file, one record a line.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::system(&shown.to_string(), &error))?;
        let mut records = Vec::new();
        for (number, line) in text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            records.push(serde_json::from_str(line).map_err(|error| {
                let words = format!("{shown}:{}: {error}", number + 1);
                Failure::new(Exit::Verification, "bad_dump", words)
            })?);
        }
        Ok(Self::of(records))
    }

    /// Stamps rise strictly along each log, and from one life of a node to the next.
    pub(crate) fn stamps_rise(&self) -> Result<usize, String> {
        let mut logs: BTreeMap<LogId, Vec<(u64, Stamp, Digest)>> = BTreeMap::new();
        for record in &self.records {
            let place = (record.bundle, record.stamp.stamp, record.record);
            logs.entry(record.log.into()).or_default().push(place);
        }
        let mut lives: BTreeMap<NodeId, Vec<(u64, Stamp, Stamp)>> = BTreeMap::new();
        for (log, places) in &mut logs {
            places.sort_unstable();
            for pair in places.windows(2) {
                if pair[1].1 <= pair[0].1 {
                    return Err(format!(
                        "in {log:?} the stamp {} follows {}",
                        pair[1].1, pair[0].1
                    ));
                }
            }
            if let (Some(first), Some(last)) = (places.first(), places.last()) {
                let life = (log.incarnation.started_ms, first.1, last.1);
                lives.entry(log.node).or_default().push(life);
            }
        }
        for (node, lives) in &mut lives {
            lives.sort_unstable();
            if lives.windows(2).any(|pair| pair[1].1 <= pair[0].2) {
                return Err(format!(
                    "{node:?} stamped in a later life below an earlier one"
                ));
            }
        }
        Ok(logs.len())
    }

    /// Every chain begins at 1, has no hole, and no two records at one place.
    pub(crate) fn chains_are_whole(&self) -> Result<usize, String> {
        let mut chains: BTreeMap<ChainId, BTreeSet<u64>> = BTreeMap::new();
        for record in &self.records {
            let chain = ChainId {
                agent: record.agent,
                log: record.log.into(),
            };
            if !chains.entry(chain).or_default().insert(record.seq) {
                return Err(format!("{chain:?} has two records at place {}", record.seq));
            }
        }
        for (chain, places) in &chains {
            if places
                .last()
                .is_some_and(|last| *last != places.len() as u64)
            {
                return Err(format!("{chain:?} has a hole"));
            }
        }
        Ok(chains.len())
    }

    /// Of each keyed request the record with the lowest place, and how many were repetitions.
    pub(crate) fn counted(&self, at: Stamp) -> (Vec<&RecordEvent>, usize) {
        let enrolled: BTreeSet<AgentId> = self
            .records
            .iter()
            .filter(|record| matches!(record.action, unisono_api::dto::ActionShown::Enrol(_)))
            .map(|record| record.agent)
            .collect();
        let mut seen: BTreeSet<(AgentId, IdempotencyKey)> = BTreeSet::new();
        let mut records: Vec<&RecordEvent> = self
            .records
            .iter()
            .filter(|record| enrolled.contains(&record.agent) && record.stamp.stamp <= at)
            .collect();
        records.sort_by_key(|record| (record.stamp.stamp, record.record));
        let all = records.len();
        records.retain(|record| {
            record
                .key
                .is_none_or(|key| seen.insert((record.agent, key)))
        });
        let repeated = all - records.len();
        (records, repeated)
    }
}
