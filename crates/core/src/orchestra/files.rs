//! Files: what each holds by the records that count, and what was written beside it.
//!
//! A write names the content that it replaces. What nothing replaced is a head; several heads are
//! files that were written at once, and the latest by stamp is what the file holds.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use core::ops::Bound;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Content, Digest, Place, Stamp, Write};

use super::fact::Fact;

/// The fold over all writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Files {
    trails: BTreeMap<String, BTreeMap<Place, Written>>,
}

/// One write of a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Who wrote.
    pub agent: AgentId,
    /// In which project of the plan.
    pub project: String,
    /// In which phase.
    pub phase: u32,
    /// Under which plan.
    pub plan: Digest,
    /// What it replaced.
    pub base: Option<Digest>,
    /// What it holds; none: it was removed, or moved away.
    pub content: Option<Content>,
}

impl Written {
    /// The name of what the file holds.
    pub fn digest(&self) -> Option<Digest> {
        self.content.as_ref().map(|content| content.digest)
    }
}

impl Files {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact) {
        let Action::Write(write) = &fact.body.action else {
            return;
        };
        let written = |base, content| Written {
            agent: fact.agent,
            project: write.project.clone(),
            phase: write.phase,
            plan: write.plan,
            base,
            content,
        };
        if let Some(moved) = &write.moved_from {
            let trail = self.trails.entry(moved.path.clone()).or_default();
            trail.insert(fact.place, written(Some(moved.base), None));
        }
        let trail = self.trails.entry(write.path.clone()).or_default();
        trail.insert(fact.place, written(write.base, write.content.clone()));
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        let Action::Write(write) = action else {
            return;
        };
        for path in write.paths() {
            if let Some(trail) = self.trails.get_mut(path) {
                trail.remove(&place);
                if trail.is_empty() {
                    self.trails.remove(path);
                }
            }
        }
    }

    /// What stands for a path as of a stamp, the latest first: what the file holds, and then what
    /// was written beside it.
    pub fn heads(&self, path: &str, at: Stamp) -> impl Iterator<Item = (Place, &Written)> {
        let trail = self.trails.get(path).into_iter();
        trail.flat_map(move |trail| heads(trail, at))
    }

    /// What a file holds, and since when; none where it was never written, or is gone.
    pub fn standing(&self, path: &str, at: Stamp) -> Option<(Place, Digest)> {
        let (place, written) = self.heads(path, at).next()?;
        Some((place, written.digest()?))
    }

    /// Paths that were ever written, after one.
    pub fn paths_after(&self, after: Option<&str>) -> impl Iterator<Item = &str> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let paths = self.trails.range::<str, _>((from, Bound::Unbounded));
        paths.map(|(path, _)| path.as_str())
    }

    /// A file that was written, moved or removed after a stamp, if there is one.
    pub fn written_after(&self, stamp: Stamp) -> Option<&str> {
        let mut trails = self.trails.iter();
        let later = |trail: &BTreeMap<Place, Written>| {
            trail
                .last_key_value()
                .is_some_and(|(place, _)| place.stamp > stamp)
        };
        let (path, _) = trails.find(|(_, trail)| later(trail))?;
        Some(path)
    }

    /// Whether a path is new, but for the case of its letters, as of a stamp: one file where disks fold
    /// case. What is gone is no twin, nor is what the same write moves away.
    pub fn has_twin(&self, path: &str, at: Stamp, moved: Option<&str>) -> bool {
        if self.trails.contains_key(path) {
            return false;
        }
        let folded = path.to_lowercase();
        self.trails.iter().any(|(known, trail)| {
            let alike = known.len() == path.len() || !known.is_ascii() || !path.is_ascii();
            let is_twin = alike && moved != Some(known.as_str()) && known.to_lowercase() == folded;
            is_twin && heads(trail, at).any(|(_, written)| written.digest().is_some())
        })
    }

    /// Drops what was replaced by the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        for trail in self.trails.values_mut() {
            let standing: BTreeSet<Place> =
                heads(trail, frontier).map(|(place, _)| place).collect();
            trail.retain(|place, _| place.stamp > frontier || standing.contains(place));
        }
    }

    /// Writes kept in memory.
    pub fn weight(&self) -> usize {
        self.trails.values().map(BTreeMap::len).sum()
    }
}

/// A write is replaced by any later one that names its content.
fn heads(trail: &BTreeMap<Place, Written>, at: Stamp) -> impl Iterator<Item = (Place, &Written)> {
    let mut replaced: BTreeSet<Option<Digest>> = BTreeSet::new();
    let upward = trail.range(..=Place::end_of(at)).rev();
    upward.filter_map(move |(place, written)| {
        let stands = !replaced.contains(&written.digest());
        replaced.insert(written.base);
        stands.then_some((*place, written))
    })
}

/// Files that a write is about, and what each held.
pub fn bases(write: &Write) -> impl Iterator<Item = (&str, Option<Digest>)> {
    let moved = write.moved_from.iter();
    let moved = moved.map(|moved| (moved.path.as_str(), Some(moved.base)));
    core::iter::once((write.path.as_str(), write.base)).chain(moved)
}
