//! Telling losers: a claim that this node granted, and that a lower one from elsewhere has beaten.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{Action, AgentId, OrchestraId, Place};

use super::output::{Note, Output};
use super::{Node, limits};
use crate::orchestra::horizon::Horizon;

/// Claims that this node has granted and that are not settled yet.
#[derive(Debug, Default)]
pub(super) struct Granted {
    claims: BTreeMap<(OrchestraId, Place), (String, AgentId)>,
    /// Losses that were told in this life, so that folding again does not tell them again; the
    /// latest of them, at most [`limits::LOSSES_TOLD_MAX`].
    told: BTreeSet<(Place, OrchestraId)>,
}

impl Granted {
    /// Takes note of a claim that this node carries.
    pub(super) fn add(
        &mut self,
        orchestra: OrchestraId,
        place: Place,
        agent: AgentId,
        action: &Action,
    ) {
        if let Action::Claim { topic, .. } = action {
            self.claims
                .insert((orchestra, place), (topic.clone(), agent));
        }
    }
}

impl Node {
    /// The claims of an orchestra that this node granted, in earlier lives too, and that may turn
    /// out lost.
    pub(super) fn remember_grants(&mut self, orchestra: OrchestraId) {
        let Some(space) = self.spaces.get(&orchestra) else {
            return;
        };
        for (place, agent, action) in space.folds.claims.made_by(&self.me.node) {
            self.granted.add(orchestra, place, agent, &action);
        }
    }

    /// Looks at every grant that is not settled: one that has turned out lost is told, once, and
    /// one that is settled is let go. Whoever starts again looks at them all again.
    pub(super) fn tell_losers(&mut self, out: &mut Vec<Output>) {
        let mut done: Vec<(OrchestraId, Place)> = Vec::new();
        let mut told: Vec<(Place, OrchestraId)> = Vec::new();
        let mut horizons: BTreeMap<OrchestraId, Horizon> = BTreeMap::new();
        for ((orchestra, place), (topic, agent)) in &self.granted.claims {
            if self
                .spaces
                .get(orchestra)
                .is_none_or(|space| space.refolding)
            {
                continue;
            }
            let horizon = horizons
                .entry(*orchestra)
                .or_insert_with(|| self.horizon(*orchestra));
            let Some(reading) = self.reading(*orchestra, place.stamp, horizon) else {
                continue;
            };
            if !reading.folds.claims.reaches(topic, *place) {
                done.push((*orchestra, *place));
                continue;
            }
            let stands = reading
                .topic(topic)
                .holding
                .is_some_and(|held| held.claim == *place);
            if !stands && !self.granted.told.contains(&(*place, *orchestra)) {
                told.push((*place, *orchestra));
                out.push(Output::Note(Note::Contested {
                    orchestra: *orchestra,
                    topic: topic.clone(),
                    agent: *agent,
                    claim: place.record,
                }));
            }
            if !stands || horizon.settled(place.stamp) {
                done.push((*orchestra, *place));
            }
        }
        for (orchestra, place) in done {
            self.granted.claims.remove(&(orchestra, place));
        }
        self.granted.told.extend(told);
        while self.granted.told.len() > limits::LOSSES_TOLD_MAX {
            self.granted.told.pop_first();
        }
    }
}
