//! The disks of real nodes before the simulator's judges: they read the journals bundle by bundle,
//! fold everything again by the simulator's oracle, and hold it against what was promised.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use unisono_core::context::StrictVerifier;
use unisono_core::journal::Entry;
use unisono_model::{AgentId, Digest, Held, LogId, OrchestraId, SignedBundle, Stamp};
use unisono_sim::checks::{Claims, Durability, Excuses, Invention, Promised, Stamps};
use unisono_sim::oracle::{self, Ground, Reading};

use super::history::Histories;
use crate::failure::{Exit, Failure};
use crate::home::{Home, Membership};
use crate::offline;

/// Above every clock, and low enough to be added to (ns): how far a machine's clock ever went nobody
/// has written down, so that nothing is said about stamps above it.
const NO_CLOCK_NS: u64 = u64::MAX / 2;

/// One node's journal.
struct Disk {
    shown: String,
    entries: BTreeMap<OrchestraId, Vec<Entry>>,
    proofs: BTreeMap<OrchestraId, Vec<Vec<u8>>>,
    membership: Membership,
}

/// What the disks say.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Records on any disk, in logs that did not fork.
    pub(super) held: BTreeSet<Digest>,
    /// What they say otherwise than was promised, by the invariant that is broken.
    pub(super) violations: Vec<String>,
}

/// Holds the disks against what was promised. They are all the disks that there are: whatever is on
/// none of them is lost.
///
/// `asked` reads the histories again, after the disks.
pub(super) fn judge(
    directories: &[PathBuf],
    histories: &Histories,
    asked: impl FnOnce() -> Result<Histories, Failure>,
) -> Result<Found, Failure> {
    let disks = directories
        .iter()
        .map(|directory| Disk::read(directory))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(first) = disks.first() else {
        return Ok(Found::default());
    };
    if let Some(other) = disks
        .iter()
        .find(|disk| disk.membership.cluster != first.membership.cluster)
    {
        let words = format!("{} and {} are of two clusters", first.shown, other.shown);
        return Err(Failure::new(Exit::Usage, "cluster_other", words)
            .hint("judge the directories of one cluster at a time"));
    }
    let orchestras: BTreeSet<OrchestraId> = disks
        .iter()
        .flat_map(|disk| disk.entries.keys().copied())
        .collect();
    let readings: BTreeMap<OrchestraId, Reading> = orchestras
        .into_iter()
        .map(|orchestra| (orchestra, read(&disks, &first.membership, orchestra)))
        .collect();
    let held = readings.values().flat_map(|reading| &reading.held);
    let held: BTreeSet<Digest> = held.copied().collect();
    let verdicts = [
        nothing_is_lost(&held, histories),
        enough_disks_hold(&disks, histories),
        nothing_is_invented(&readings, &asked()?),
        stamps_rise(&disks),
        claims_hold(&readings, &first.membership, histories),
    ];
    let violations = verdicts.into_iter().filter_map(Result::err).collect();
    Ok(Found { held, violations })
}

impl Disk {
    fn read(directory: &Path) -> Result<Self, Failure> {
        let home = Home::new(directory);
        let membership = home.membership()?;
        let journal = offline::open(&home.journal(), membership.cluster)?;
        let mut disk = Self {
            shown: directory.display().to_string(),
            entries: BTreeMap::new(),
            proofs: BTreeMap::new(),
            membership,
        };
        for orchestra in journal.orchestras() {
            let entries = offline::entries(&journal, orchestra)?;
            disk.entries.insert(orchestra, entries);
            let proofs = journal.proofs(orchestra).map_err(|error| {
                Failure::new(Exit::Verification, "unreadable", error.to_string())
            })?;
            let proofs = proofs.into_iter().map(|proof| proof.bytes).collect();
            disk.proofs.insert(orchestra, proofs);
        }
        Ok(disk)
    }
}

impl Disk {
    /// The names of all records here, whatever they are worth.
    fn records(&self) -> BTreeSet<Digest> {
        let mut names = BTreeSet::new();
        for entry in self.entries.values().flatten() {
            let Ok((bundle, body)) = SignedBundle::decode(&entry.bytes) else {
                continue;
            };
            names.extend(body.records.iter().filter_map(|carried| {
                let agent = body.agents.get(carried.agent as usize)?;
                let place = carried.place(&bundle.header, *agent);
                Some(place.digest(&carried.body.0))
            }));
        }
        names
    }
}

/// All disks together, as the oracle reads them.
fn read(disks: &[Disk], membership: &Membership, orchestra: OrchestraId) -> Reading {
    let of_all = disks.iter().filter_map(|disk| disk.entries.get(&orchestra));
    let entries: Vec<Vec<Entry>> = of_all.cloned().collect();
    let proofs = disks.iter().filter_map(|disk| disk.proofs.get(&orchestra));
    let proofs: Vec<Vec<u8>> = proofs.flatten().cloned().collect();
    let ground = Ground {
        // A node that was removed is not judged by its disk.
        expelled: oracle::Expelled::new(),
        cluster: membership.cluster,
        orchestra,
        // A cluster without a root has no tokens: no key signs for this one.
        root: membership.root.unwrap_or(AgentId([0; 32])),
        recovery: membership.recovery,
    };
    oracle::read(&entries, &proofs, &ground, &mut StrictVerifier)
}

/// I5: in each log, and from one life of a node to the next.
fn stamps_rise(disks: &[Disk]) -> Result<(), String> {
    let mut stamps = Stamps::default();
    let mut logs: BTreeMap<(OrchestraId, LogId), &[Entry]> = BTreeMap::new();
    for disk in disks {
        for (orchestra, entries) in &disk.entries {
            for of_log in entries.chunk_by(|one, next| one.key.log == next.key.log) {
                let known = logs.entry((*orchestra, of_log[0].key.log)).or_default();
                if of_log.len() > known.len() {
                    *known = of_log;
                }
            }
        }
    }
    for ((_, log), entries) in logs {
        stamps
            .written(log, entries, NO_CLOCK_NS, false, NO_CLOCK_NS)
            .map_err(|why| format!("I5: {why}"))?;
    }
    Ok(())
}

/// I2: what was acknowledged is on a disk.
fn nothing_is_lost(held: &BTreeSet<Digest>, histories: &Histories) -> Result<(), String> {
    let mut durability = Durability::default();
    for (host, told) in histories.acknowledged.iter().enumerate() {
        durability.promise(Promised {
            record: told.record,
            host,
            level: 1,
            at: told.stamp.as_ns(),
            is_line: false,
        });
    }
    durability
        .check(held, &[])
        .map_err(|why| format!("I2: {why}"))
}

/// I2: it is on as many disks as was said, of those that there are.
fn enough_disks_hold(disks: &[Disk], histories: &Histories) -> Result<(), String> {
    let held: Vec<BTreeSet<Digest>> = disks.iter().map(Disk::records).collect();
    for told in &histories.acknowledged {
        let count = held.iter().filter(|on| on.contains(&told.record)).count();
        let wanted = usize::from(told.durable_on).min(disks.len());
        if count < wanted {
            let (record, said) = (told.record, told.durable_on);
            return Err(format!(
                "I2: record {record} was acknowledged on {said} disks and is on {count}"
            ));
        }
    }
    Ok(())
}

/// I3: no honest log forked, and of nodes whose history is there every record was asked for. What
/// was asked for without a key, and was never answered, nobody can tell.
fn nothing_is_invented(
    readings: &BTreeMap<OrchestraId, Reading>,
    histories: &Histories,
) -> Result<(), String> {
    let mut invention = Invention::default();
    histories
        .signed
        .iter()
        .for_each(|record| invention.signed(*record));
    histories.keys.iter().for_each(|key| invention.asked(*key));
    for reading in readings.values() {
        let mut told = reading.clone();
        told.facts.retain(|fact| {
            let named = fact.body.key.is_some() || fact.body.held == Held::Agent;
            named && histories.nodes.contains(&fact.log.node)
        });
        invention
            .check(&told, &BTreeSet::new())
            .map_err(|why| format!("I3: {why}"))?;
    }
    Ok(())
}

/// I8: what was once called confirmed has not lost, and no two of one topic held at one time.
fn claims_hold(
    readings: &BTreeMap<OrchestraId, Reading>,
    membership: &Membership,
    histories: &Histories,
) -> Result<(), String> {
    let mut claims = Claims::default();
    for told in &histories.acknowledged {
        if let Some(claim) = told.confirmed() {
            claims.confirmed(claim.claim, claim.topic.clone());
        }
    }
    let home = OrchestraId::of(membership.cluster, "cluster");
    let nothing = Reading::default();
    let cluster = oracle::counted(readings.get(&home).unwrap_or(&nothing), Stamp::MAX);
    let removals = oracle::removals(&cluster, membership.founder);
    for reading in readings.values() {
        let facts = oracle::counted(reading, Stamp::MAX);
        let story = oracle::story(&facts, &removals, membership.lease_ms_max);
        let excuses = Excuses {
            liars: Vec::new(),
            topics: reading.fenced.clone(),
            everything: readings.get(&home).and_then(|home| home.unseated),
        };
        claims
            .check(&story, &excuses)
            .map_err(|why| format!("I8: {why}"))?;
    }
    Ok(())
}
