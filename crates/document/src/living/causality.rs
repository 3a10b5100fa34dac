//! What the author of a change could know: the causal past of its dependencies, and the characters
//! of all notes.
//!
//! A change is judged by its past alone, never by what else happens to be here, or replicas that
//! received things in another order would judge otherwise.

use std::collections::BTreeMap;

use unisono_model::Digest;

use crate::id::Actor;

/// The changes in the order in which they were applied, with what each builds on.
#[derive(Debug, Default)]
pub(crate) struct Causality {
    changes: Vec<Node>,
    index: BTreeMap<Digest, u32>,
}

#[derive(Debug)]
struct Node {
    parents: Box<[u32]>,
    actor: Actor,
    start_op: u64,
}

/// The part of the document that lies outside a causal past: for each actor, its first operation
/// there. An actor's changes form a line, so all later ones lie outside too.
#[derive(Debug, Default)]
pub(crate) struct Outside(BTreeMap<Actor, u64>);

impl Causality {
    /// Notes a change whose dependencies were noted before; `None` if one was not.
    pub(crate) fn note(
        &mut self,
        hash: Digest,
        actor: Actor,
        start_op: u64,
        dependencies: &[Digest],
    ) -> Option<()> {
        let parents: Option<Box<[u32]>> = dependencies
            .iter()
            .map(|dependency| self.index.get(dependency).copied())
            .collect();
        let at = u32::try_from(self.changes.len()).ok()?;
        self.changes.push(Node {
            parents: parents?,
            actor,
            start_op,
        });
        self.index.insert(hash, at);
        Some(())
    }

    /// What lies outside the past of `dependencies`, walking back from the heads until only that
    /// past is left. Costs as much as what lies outside is large.
    pub(crate) fn outside<'a>(
        &self,
        heads: impl Iterator<Item = &'a Digest>,
        dependencies: &[Digest],
    ) -> Outside {
        // Whether a change lies inside. Changes are visited from the latest on, so each is visited
        // after all that build on it, and by then it is known.
        let mut frontier: BTreeMap<u32, bool> = BTreeMap::new();
        let mut open = 0usize;
        for at in heads.filter_map(|head| self.index.get(head)) {
            frontier.insert(*at, false);
            open += 1;
        }
        for at in dependencies.iter().filter_map(|hash| self.index.get(hash)) {
            if frontier.insert(*at, true) == Some(false) {
                open -= 1;
            }
        }
        let mut outside = Outside::default();
        while open > 0 {
            let Some((at, inside)) = frontier.pop_last() else {
                break;
            };
            let node = &self.changes[at as usize];
            if !inside {
                open -= 1;
                outside.0.insert(node.actor, node.start_op);
            }
            for parent in &node.parents {
                match (frontier.get(parent).copied(), inside) {
                    (None, _) => {
                        frontier.insert(*parent, inside);
                        open += usize::from(!inside);
                    }
                    (Some(false), true) => {
                        frontier.insert(*parent, true);
                        open -= 1;
                    }
                    (Some(_), _) => {}
                }
            }
        }
        outside
    }
}

impl Outside {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, actor: &Actor, operation: u64) -> bool {
        self.0.get(actor).is_some_and(|first| operation >= *first)
    }
}

/// Which operations inserted a character, and into which note. Kept as runs, because text comes in
/// runs.
#[derive(Debug, Default)]
pub(crate) struct Characters {
    /// Author and first operation of a run; its length and its note.
    runs: BTreeMap<(Actor, u64), (u64, Actor)>,
}

impl Characters {
    pub(crate) fn insert(&mut self, actor: Actor, operation: u64, note: Actor) {
        let before = self
            .runs
            .range_mut((actor, 0)..(actor, operation))
            .next_back();
        if let Some(((_, first), (length, same))) = before
            && *same == note
            && *first + *length == operation
        {
            *length += 1;
        } else {
            self.runs.insert((actor, operation), (1, note));
        }
    }

    /// The note into which this operation inserted a character.
    pub(crate) fn note_of(&self, actor: &Actor, operation: u64) -> Option<Actor> {
        let (first, run) = self
            .runs
            .range((*actor, 0)..=(*actor, operation))
            .next_back()?;
        (operation < first.1 + run.0).then_some(run.1)
    }
}
