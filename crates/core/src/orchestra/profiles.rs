//! What the records say of how agents act: their profiles (TIME-17), and by these who is given redundancy.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, AgentKind};

use super::read::Reading;
use super::together::Responses;
use crate::ensemble::limits::{
    JUDGE_SIGMA_NS_MIN, RESPONSES_FEW, SHARE_PUNCTUAL, STAND_INS_MAX, WINDOW_NS_ASSUMED,
    WINDOW_NS_MAX,
};
use crate::ensemble::{Profile, Punctuality, share_of_each, window_ns};

/// An agent that is meant by a cue, is not ready for it yet, and is known to miss cues.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct UnreliableView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// In which share of its latest cues it was ready in time, millionths.
    pub reliability_ppm: u32,
    /// Who could do it instead: enrolled in the same role, not meant, known not to miss cues; the most reliable
    /// first, two at the most.
    pub stand_ins: Vec<(AgentId, String)>,
}

/// What happened to an agent, by the time (ns).
enum Event {
    Ready {
        took_ns: u64,
        prepared: bool,
        late: bool,
    },
    Missed,
}

/// What is known of an agent by what it said to cues, of what had happened by a time (ns).
pub(super) fn profile_of(known: &Responses, by_ns: u64) -> Profile {
    let mut events: Vec<(u64, Event)> = Vec::new();
    for (cue, response) in known {
        if response.missed {
            events.push((response.target_ns, Event::Missed));
        }
        if let Some(took_ns) = response.took_ns {
            let at_ns = cue.stamp.as_ns().saturating_add(took_ns);
            let (prepared, late) = (response.prepares, response.missed);
            events.push((
                at_ns,
                Event::Ready {
                    took_ns,
                    prepared,
                    late,
                },
            ));
        }
    }
    events.retain(|(at_ns, _)| *at_ns <= by_ns);
    events.sort_by_key(|(at_ns, _)| *at_ns);
    let of_kind = |wanted: bool| {
        let ready = events.iter().filter(
            |(_, event)| matches!(event, Event::Ready { prepared, .. } if *prepared == wanted),
        );
        ready.count() >= RESPONSES_FEW
    };
    // As long as little is known of one of the two, all of it is one.
    let apart = of_kind(true) && of_kind(false);
    let mut profile = Profile::default();
    for (at_ns, event) in events {
        match event {
            Event::Missed => profile.failed(at_ns),
            Event::Ready {
                took_ns,
                prepared,
                late,
            } => {
                profile.took(at_ns, took_ns, apart && prepared);
                if late {
                    profile.back(at_ns);
                } else {
                    profile.acted(at_ns);
                }
            }
        }
    }
    profile
}

/// A share as millionths.
pub(super) fn ppm(share: f64) -> u32 {
    libm::round(share * 1e6) as u32
}

impl Reading<'_> {
    /// Within which window (ns) a group acts, all of it in 999 of 1000 cases; and whether that is no less than
    /// where nobody knows, since somebody has told of too few actions.
    pub(super) fn window_of(&self, group: &[AgentId]) -> (u64, bool) {
        let share = share_of_each(SHARE_PUNCTUAL, group.len());
        let plays = &self.folds.together.plays;
        let mut least_ns: f64 = 0.0;
        let mut assumed = group.is_empty();
        for agent in group {
            let latest = plays.of(agent, self.at);
            assumed |= latest.len() < RESPONSES_FEW;
            let Some(last) = latest.last() else { continue };
            let told = latest.iter();
            let told = told.map(|play| (play.played.target_ns, play.played.late_ns));
            let spread_ns = Punctuality::of(told).spread_ns.max(JUDGE_SIGMA_NS_MIN);
            // Three sigma are told.
            let clock_ns = last.played.unsure_ns as f64 / 3.0;
            least_ns = least_ns.max(window_ns(clock_ns, spread_ns, share));
        }
        if assumed {
            least_ns = least_ns.max(WINDOW_NS_ASSUMED);
        }
        (libm::ceil(least_ns.min(WINDOW_NS_MAX)) as u64, assumed)
    }
}

/// Somebody who is known not to miss cues: how reliable, who, in which role. The most reliable is the first.
pub(super) type Spare<'a> = (Reverse<u32>, AgentId, &'a str);

impl Reading<'_> {
    /// An agent that is known to miss cues, with who of those who do not could stand in for it.
    pub(super) fn unreliable(
        &self,
        agent: AgentId,
        profile: &Profile,
        meant: &[AgentId],
        spare: &[Spare<'_>],
    ) -> UnreliableView {
        let enrolled = self.folds.agents.read(&agent, self.at);
        let role = enrolled.map_or("", |state| state.enrol.role.as_str());
        let stand_ins = spare.iter().filter(|(_, spare, its)| {
            !role.is_empty() && *its == role && meant.binary_search(spare).is_err()
        });
        UnreliableView {
            agent,
            name: self.name_of(&agent),
            reliability_ppm: ppm(profile.reliability()),
            stand_ins: stand_ins
                .take(STAND_INS_MAX)
                .map(|(_, agent, _)| (*agent, self.name_of(agent)))
                .collect(),
        }
    }

    /// Everybody who is known not to miss cues.
    pub(super) fn spare(&self) -> Vec<Spare<'_>> {
        let responses = self.folds.together.cues.responses(self.at, None);
        let all = self.folds.agents.all(self.at);
        let all = all.filter(|(_, state)| state.enrol.kind != AgentKind::Node);
        let mut spare: Vec<Spare<'_>> = all
            .filter_map(|(agent, state)| {
                let profile = profile_of(responses.get(&agent)?, self.at.as_ns());
                let reliability = Reverse(ppm(profile.reliability()));
                let fit = profile.is_reliable();
                fit.then_some((reliability, agent, state.enrol.role.as_str()))
            })
            .collect();
        spare.sort_unstable();
        spare
    }
}
