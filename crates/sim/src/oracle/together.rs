//! Barriers, cues, tempo and punctuality, naively: everything from the beginning, every time.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, AgentId, Place, Stamp};

use super::logs::Fact;

/// An hour, for which what is over is shown.
const SHOWN_MS: u64 = 3_600_000;

/// What one barrier shows: who waits, and what it opened last (last arrival, time, how many).
pub type Gate = (BTreeSet<AgentId>, Option<(Place, u64, usize)>);

/// What is played together.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Together {
    /// Where the tempo was set last.
    pub tempo: Option<Place>,
    /// Barriers by name and number.
    pub barriers: BTreeMap<(String, u16), Gate>,
    /// Cues that are shown, each with who has answered.
    pub cues: BTreeMap<Place, BTreeSet<AgentId>>,
    /// How many actions each agent told of, at most 64, and the sum of how late they were (ns).
    pub plays: BTreeMap<AgentId, (usize, i64)>,
}

/// What facts, in order, come to at a stamp.
pub fn together(facts: &[&Fact], at: Stamp) -> Together {
    let mut told = Together::default();
    let mut plays: BTreeMap<AgentId, Vec<i64>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for fact in facts {
        match &fact.body.action {
            Action::Tempo(_) => told.tempo = Some(fact.place),
            Action::Arrive(arrival) => {
                names.insert((arrival.barrier.clone(), arrival.of));
            }
            Action::Cue(cue) => {
                let over = Stamp::from_ns(cue.target_ns).plus_ms(SHOWN_MS);
                if over >= at {
                    told.cues.insert(fact.place, BTreeSet::new());
                }
            }
            Action::Answer(answer) => {
                let asked = told
                    .cues
                    .iter_mut()
                    .find(|(place, _)| place.record == answer.cue);
                if let Some((_, answered)) = asked {
                    answered.insert(fact.agent);
                }
            }
            Action::Played(played) => plays.entry(fact.agent).or_default().push(played.late_ns),
            _ => {}
        }
    }
    for (agent, late_ns) in plays {
        let latest = &late_ns[late_ns.len().saturating_sub(64)..];
        told.plays
            .insert(agent, (latest.len(), latest.iter().sum()));
    }
    for name in names {
        let gate = gate(facts, &name, at);
        if !gate.0.is_empty() || gate.1.is_some() {
            told.barriers.insert(name, gate);
        }
    }
    told
}

fn gate(facts: &[&Fact], name: &(String, u16), at: Stamp) -> Gate {
    // Who waits: until when, and with which lead.
    let mut waiting: BTreeMap<AgentId, (Stamp, u32)> = BTreeMap::new();
    let mut opened = None;
    for fact in facts {
        let Action::Arrive(arrival) = &fact.body.action else {
            continue;
        };
        if (&arrival.barrier, arrival.of) != (&name.0, name.1) {
            continue;
        }
        let now = fact.place.stamp;
        waiting.retain(|_, (until, _)| *until >= now);
        let until = now.plus_ms(arrival.patience_ms);
        let one = waiting
            .entry(fact.agent)
            .or_insert((until, arrival.lead_ms));
        *one = (one.0.max(until), one.1.max(arrival.lead_ms));
        if waiting.len() == usize::from(arrival.of) {
            let lead_ms = waiting
                .values()
                .map(|(_, lead_ms)| *lead_ms)
                .max()
                .unwrap_or(0);
            let opens_ns = now.as_ns() + u64::from(lead_ms) * 1_000_000;
            opened = Some((fact.place, opens_ns, waiting.len()));
            waiting.clear();
        }
    }
    waiting.retain(|_, (until, _)| *until >= at);
    let opened = opened.filter(|(place, ..)| place.stamp.plus_ms(SHOWN_MS) >= at);
    (waiting.into_keys().collect(), opened)
}
