//! I1 for what is played together: what a node shows is what the logs say.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::view::{
    BarrierView, CueStage, CueView, LeadsView, PlayersView, TempoView,
};
use unisono_model::AgentId;

use crate::oracle::Together;

/// What one node shows of it.
#[derive(Clone, Debug)]
pub struct Score {
    /// The tempo.
    pub tempo: TempoView,
    /// Barriers.
    pub barriers: Vec<BarrierView>,
    /// Cues.
    pub cues: Vec<CueView>,
    /// How long everybody takes to be ready.
    pub leads: LeadsView,
    /// How punctual everybody is, what everybody used, and who performs.
    pub players: PlayersView,
}

impl Score {
    /// As the oracle says it.
    pub(super) fn told(&self) -> Together {
        let answered = |view: &CueView| -> BTreeSet<AgentId> {
            let parties = view.parties.iter().filter(|party| party.answer.is_some());
            parties.map(|party| party.agent).collect()
        };
        let on = |view: &CueView| match view.stage {
            CueStage::On => Some(true),
            CueStage::Off => Some(false),
            CueStage::Asked | CueStage::AskedAgain | CueStage::Answered | CueStage::Escalated => {
                None
            }
        };
        let known = self.leads.agents.iter();
        let known = known.filter(|one| one.samples + one.misses > 0);
        let barriers = self.barriers.iter().map(|view| {
            let waiting = view.waiting.iter().map(|(agent, ..)| *agent).collect();
            let opened = view.opened.as_ref();
            let opened = opened.map(|one| (one.last, one.opens_ns, one.agents.len()));
            ((view.barrier.clone(), view.of), (waiting, opened))
        });
        let plays = self.players.players.iter().map(|view| {
            let punctuality = &view.punctuality;
            let sum = punctuality.mean_ns * f64::from(punctuality.actions);
            (
                view.agent,
                (punctuality.actions as usize, libm::round(sum) as i64),
            )
        });
        let uses = self.players.usage.iter().map(|view| {
            let usage = view.usage;
            let told = (usage.stretches as usize, usage.used);
            ((view.agent, view.resource), told)
        });
        let performers = self.players.performers.iter();
        let performers = performers.map(|view| (view.agent, (view.said.phase_ppm, view.performs)));
        Together {
            tempo: self.tempo.set.as_ref().map(|(place, ..)| *place),
            barriers: barriers.collect(),
            cues: self
                .cues
                .iter()
                .map(|view| (view.place, (answered(view), on(view))))
                .collect(),
            responses: known
                .map(|one| (one.agent, (one.took_ns.clone(), one.misses)))
                .collect(),
            plays: plays.collect::<BTreeMap<_, _>>(),
            uses: uses.collect(),
            performers: performers.collect(),
        }
    }
}
