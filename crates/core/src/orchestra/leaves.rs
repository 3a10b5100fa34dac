//! Who has left the cluster of its own accord, and what it left behind.
//!
//! Whoever leaves says in its last records where all of its logs end. Its own log is in order, so
//! whoever holds these records and the logs up to those ends holds everything that this life has
//! ever said: nobody waits for it any longer, and nothing that it wrote becomes late or ends. That is
//! how leaving differs from being left out by a view ([`super::views`]), where nobody can know what
//! the silent one still has.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Leave, LogEnd, LogId, NodeId, OrchestraId, Place};

/// The fold over last words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Leaves {
    lives: BTreeMap<LogId, LastWords>,
}

/// What a life that leaves has said, all parts together.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct LastWords {
    ends: BTreeMap<OrchestraId, Vec<LogEnd>>,
    staying: BTreeSet<NodeId>,
    /// Where the last part stands, once it is held.
    said: Option<Place>,
}

impl LastWords {
    /// Where its node's logs end in an orchestra: nowhere, where it never wrote.
    pub fn ends(&self, orchestra: &OrchestraId) -> &[LogEnd] {
        self.ends.get(orchestra).map_or(&[], Vec::as_slice)
    }
}

impl Leaves {
    /// Takes in a part.
    pub fn insert(&mut self, life: LogId, place: Place, leave: &Leave) {
        let words = self.lives.entry(life).or_default();
        for one in &leave.ends {
            let ends = words.ends.entry(one.orchestra).or_default();
            if let Err(at) = ends.binary_search(&one.end) {
                ends.insert(at, one.end);
            }
        }
        words.staying.extend(&leave.staying);
        if leave.last {
            words.said = Some(words.said.map_or(place, |said| said.min(place)));
        }
    }

    /// What a life said when it left, if it has.
    pub fn of(&self, life: &LogId) -> Option<&LastWords> {
        self.lives.get(life).filter(|words| words.said.is_some())
    }

    /// When a node left first after a place of its own log, and what it said.
    fn after(&self, node: &NodeId, place: Option<Place>) -> Option<(Place, &LastWords)> {
        let lives = self.lives.iter().filter(|(life, _)| life.node == *node);
        let said = lives.filter_map(|(_, words)| Some((words.said?, words)));
        said.filter(|(said, _)| place.is_none_or(|place| *said > place))
            .min_by_key(|(said, _)| *said)
    }

    /// Whether some nodes are more than half of a view, given as its nodes with the places of their
    /// votes: those aside who have left since and are not among them. A vote that was enough stays
    /// enough, whoever leaves later. Where everybody has left, those count to whom the last of them
    /// left the cluster: or one whose founder has left could never agree on anything again.
    ///
    /// Two views with nobody in common are not both carried: whoever counts without somebody who left
    /// has read that one's log to its end, and would have found its vote for the other.
    pub fn carried_by(
        &self,
        listed: impl IntoIterator<Item = (NodeId, Option<Place>)>,
        nodes: &BTreeSet<NodeId>,
    ) -> bool {
        let mut listed: BTreeMap<NodeId, Option<Place>> = listed.into_iter().collect();
        loop {
            let others = listed.iter().filter(|(node, _)| !nodes.contains(node));
            let here = others.filter(|(node, place)| self.after(node, **place).is_none());
            let (here, among) = (
                here.count(),
                listed.keys().filter(|node| nodes.contains(node)).count(),
            );
            if among > here {
                return true;
            }
            match self.heirs(&listed) {
                Some(heirs) => listed = heirs,
                None => return false,
            }
        }
    }

    /// The nodes of a view that have not left since; their heirs, where all have.
    pub fn left_with(
        &self,
        listed: impl IntoIterator<Item = (NodeId, Option<Place>)>,
    ) -> BTreeSet<NodeId> {
        let mut listed: BTreeMap<NodeId, Option<Place>> = listed.into_iter().collect();
        while let Some(heirs) = self.heirs(&listed) {
            listed = heirs;
        }
        let here = listed
            .iter()
            .filter(|(node, place)| self.after(node, **place).is_none());
        here.map(|(node, _)| *node).collect()
    }

    /// To whom the last of some nodes left the cluster, if all of them have left. Who is said to stay
    /// is so from there on: each turn looks at what was said later than in the turn before.
    fn heirs(
        &self,
        listed: &BTreeMap<NodeId, Option<Place>>,
    ) -> Option<BTreeMap<NodeId, Option<Place>>> {
        let gone = listed.iter().map(|(node, place)| self.after(node, *place));
        let gone: Option<Vec<(Place, &LastWords)>> = gone.collect();
        let (said, words) = gone?.into_iter().max_by_key(|(said, _)| *said)?;
        let heirs = words.staying.iter().map(|node| (*node, Some(said)));
        Some(heirs.collect())
    }
}
