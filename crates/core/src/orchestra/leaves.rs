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
use unisono_model::{Incarnation, Leave, LogEnd, LogId, NodeId, OrchestraId, Place};

/// The fold over last words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Leaves {
    lives: BTreeMap<LogId, LastWords>,
    /// Nodes that a root has removed: for views as if they had left.
    expelled: BTreeMap<NodeId, LastWords>,
}

/// What a life that leaves has said, all parts together.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct LastWords {
    ends: BTreeMap<OrchestraId, Vec<LogEnd>>,
    staying: BTreeSet<LogId>,
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

    /// A root has removed a node. Of several times the first counts.
    pub fn expel(&mut self, node: NodeId, place: Place, staying: &[LogId]) {
        let known = self.expelled.get(&node).and_then(|words| words.said);
        if known.is_none_or(|said| place < said) {
            let words = LastWords {
                ends: BTreeMap::new(),
                staying: staying.iter().copied().collect(),
                said: Some(place),
            };
            self.expelled.insert(node, words);
        }
    }

    /// What a life said when it left, if it has.
    pub fn of(&self, life: &LogId) -> Option<&LastWords> {
        self.lives.get(life).filter(|words| words.said.is_some())
    }

    /// When somebody on a list left first, and what it said.
    fn gone(&self, node: &NodeId, since: &Since) -> Option<(Place, &LastWords)> {
        let lives = self.lives.iter().filter(|(life, _)| life.node == *node);
        let said = lives.filter_map(|(life, words)| Some((life, words.said?, words)));
        let meant = said.filter(|(life, said, _)| match since {
            Since::Ever => true,
            Since::Vote(place) => said > place,
            Since::Life(incarnation) => life.incarnation == *incarnation,
        });
        let expelled = self.expelled.get(node);
        let expelled = expelled.and_then(|words| Some((words.said?, words)));
        meant
            .map(|(_, said, words)| (said, words))
            .chain(expelled)
            .min_by_key(|(said, _)| *said)
    }

    /// Whether voters are more than half of a list: of those on it who have not left, and of those who
    /// voted before they did. Whoever left and came back is a newcomer. A vote that was enough stays
    /// enough, whoever leaves later. Where everybody has left, those count to whom the last of them
    /// left the cluster: or one whose founder has left could never agree on anything again.
    ///
    /// Two views with nobody in common are not both carried: whoever counts without somebody who left
    /// has read that one's log to its end, and would have found its vote for the other.
    pub fn carried_by(
        &self,
        list: impl IntoIterator<Item = (NodeId, Since)>,
        voted: &dyn Fn(&NodeId) -> Voted,
    ) -> bool {
        self.lists(list.into_iter().collect()).any(|list| {
            let (mut among, mut others) = (0, 0);
            for (node, since) in &list {
                let gone = self.gone(node, since).map(|(said, _)| said);
                match (voted(node), gone) {
                    (Voted::At(place), Some(said)) if place < said => among += 1,
                    (Voted::At(_) | Voted::Now, None) => among += 1,
                    (Voted::Not, None) => others += 1,
                    (Voted::At(_) | Voted::Now | Voted::Not, Some(_)) => {}
                }
            }
            among > others
        })
    }

    /// Those on a list who have not left since; their heirs, where all have.
    pub fn left_with(&self, list: impl IntoIterator<Item = (NodeId, Since)>) -> BTreeSet<NodeId> {
        let last = self.lists(list.into_iter().collect()).last();
        let list = last.unwrap_or_default();
        let here = list
            .iter()
            .filter(|(node, since)| self.gone(node, since).is_none());
        here.map(|(node, _)| *node).collect()
    }

    /// A list, then those to whom the last of it left the cluster if all of it have left, and so on.
    fn lists(&self, first: Vec<(NodeId, Since)>) -> impl Iterator<Item = Vec<(NodeId, Since)>> {
        // Two who left the cluster to each other would have it go round for ever.
        let most = self.lives.len() + self.expelled.len() + 1;
        core::iter::successors(Some(first), |list| self.heirs(list)).take(most)
    }

    fn heirs(&self, list: &[(NodeId, Since)]) -> Option<Vec<(NodeId, Since)>> {
        let gone = list.iter().map(|(node, since)| self.gone(node, since));
        let gone: Option<Vec<(Place, &LastWords)>> = gone.collect();
        let (_, words) = gone?.into_iter().max_by_key(|(said, _)| *said)?;
        let heirs = words.staying.iter();
        Some(
            heirs
                .map(|life| (life.node, Since::Life(life.incarnation)))
                .collect(),
        )
    }
}

/// From when on somebody on a list has to have stayed, to count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Since {
    /// From the beginning: the founder.
    Ever,
    /// From its vote on.
    Vote(Place),
    /// As long as this life.
    Life(Incarnation),
}

/// What somebody has to do with a vote.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Voted {
    /// It is not asked.
    Not,
    /// It has cast it.
    At(Place),
    /// It would cast it now.
    Now,
}
