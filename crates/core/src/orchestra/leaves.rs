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

    /// When a node left last, after a place of its own log, and what it said.
    fn after(&self, node: &NodeId, place: Option<Place>) -> Option<(Place, &LastWords)> {
        let lives = self.lives.iter().filter(|(life, _)| life.node == *node);
        let said = lives.filter_map(|(_, words)| Some((words.said?, words)));
        said.filter(|(said, _)| place.is_none_or(|place| *said > place))
            .max_by_key(|(said, _)| *said)
    }

    /// Of the nodes of a view, each with the place of its vote, those that have not left since. Where
    /// all have, those to whom the last of them left the cluster, and so on: or a cluster whose
    /// founder has left could never agree on anything again.
    pub fn left_with(
        &self,
        listed: impl IntoIterator<Item = (NodeId, Option<Place>)>,
    ) -> BTreeSet<NodeId> {
        let mut listed: BTreeMap<NodeId, Option<Place>> = listed.into_iter().collect();
        loop {
            let gone = listed
                .iter()
                .filter_map(|(node, place)| self.after(node, *place));
            let last = gone.max_by_key(|(said, _)| *said);
            let staying: BTreeSet<NodeId> = listed
                .iter()
                .filter(|(node, place)| self.after(node, **place).is_none())
                .map(|(node, _)| *node)
                .collect();
            let Some((said, words)) = last.filter(|_| staying.is_empty()) else {
                return staying;
            };
            // Each turn looks at what was said later than in the turn before: there is an end.
            listed = words
                .staying
                .iter()
                .map(|node| (*node, Some(said)))
                .collect();
        }
    }
}
