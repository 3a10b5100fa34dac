//! How much notice agents need, by how long they took to be ready so far (TIME-8, TIME-17).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, AgentKind};

use super::profiles::profile_of;
use super::read::Reading;
use super::together::Responses;
use crate::ensemble::limits::{LEAD_PROPOSED_NS_MAX, RESPONSES_FEW, SHARE_READY_PPM};
use crate::ensemble::{Lead, Profile, share_of_each};

/// Whose leads are asked for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum LeadsOf {
    /// Of everybody who is enrolled, but for the nodes themselves: these answer no cue.
    Everybody,
    /// Of everybody in this role.
    Role(String),
    /// Of these, by names or keys.
    Agents(Vec<String>),
}

/// How much notice a group needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LeadsView {
    /// In which share of cues all of them are to be ready in time, millionths.
    pub share_ppm: u32,
    /// In which share each has to be for that.
    pub share_each: f64,
    /// How many agents these are.
    pub total: u64,
    /// Of how many the lead is assumed, since too little is known.
    pub assumed: u64,
    /// What the group needs to act together (ns): what its slowest needs.
    pub together_ns: u64,
    /// How wide the window of a cue has to be to each side (ns) that they are to act within together, by how
    /// their actions spread and by how sure their clocks are.
    pub window_ns: u64,
    /// Whether that is no less than where nobody knows, since too few of somebody's actions are known.
    pub window_assumed: bool,
    /// Each with what it needs: the slowest first. As many as were asked for.
    pub agents: Vec<LeadView>,
}

/// How much notice an agent needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeadView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// How often it was ready, of its latest 64 cues.
    pub samples: u32,
    /// How often it was meant and not ready by the target, of the same.
    pub misses: u32,
    /// How long it took each time, by the cue (ns).
    pub took_ns: Vec<u64>,
    /// Within how long it is ready in half of all cases (ns); what is assumed without a sample.
    pub median_ns: u64,
    /// One standard deviation (ns).
    pub spread_ns: u64,
    /// Two to four times the median, the slower the more (ns).
    pub floor_ns: u64,
    /// Within how long it is ready in the share that is wanted of it (ns).
    pub quantile_ns: u64,
    /// How much more it needs (ns) where it has something to prepare, by how much longer it took then.
    pub preparation_ns: u64,
    /// Within how long it is back after it has missed a cue, in half of all cases (ns); not known before it
    /// has missed one and been ready for another.
    pub recovery_ns: Option<u64>,
    /// In which share of its latest cues it was ready in time; one in two where nothing is known.
    pub reliability: f64,
    /// Whether it is known to miss so many that it is asked more often, and whoever gives a cue is told who
    /// could stand in for it.
    pub unreliable: bool,
    /// What it needs (ns): the greater of floor and quantile, and what preparation needs; no less than what
    /// is left of its recovery, where it has just missed a cue. At most an hour.
    pub lead_ns: u64,
    /// Whether that is no less than what is assumed of whom nobody knows, since there are fewer than
    /// eight samples.
    pub assumed: bool,
}

impl LeadsView {
    /// So many times as much notice is needed, since it comes late or not to all (TIME-7).
    pub fn lengthen(&mut self, factor: f64) {
        let longer = |ns: &mut u64| *ns = (*ns as f64 * factor).min(LEAD_PROPOSED_NS_MAX) as u64;
        longer(&mut self.together_ns);
        for one in &mut self.agents {
            longer(&mut one.lead_ns);
        }
    }

    /// The window in whole milliseconds, rounded up.
    pub fn window_ms(&self) -> u32 {
        u32::try_from(self.window_ns.div_ceil(1_000_000)).unwrap_or(u32::MAX)
    }
}

impl Reading<'_> {
    /// Who is meant.
    ///
    /// # Errors
    /// The name or key that nobody who is enrolled has.
    pub fn group(&self, of: &LeadsOf) -> Result<Vec<AgentId>, String> {
        let agents = &self.folds.agents;
        let all = agents.all(self.at);
        let all = all.filter(|(_, state)| state.enrol.kind != AgentKind::Node);
        match of {
            LeadsOf::Everybody => Ok(all.map(|(agent, _)| agent).collect()),
            LeadsOf::Role(role) => {
                let of_role = all.filter(|(_, state)| state.enrol.role == *role);
                Ok(of_role.map(|(agent, _)| agent).collect())
            }
            LeadsOf::Agents(names) => {
                let mut group = BTreeSet::new();
                for name in names {
                    let found = match name.parse::<AgentId>() {
                        Ok(key) if agents.read(&key, self.at).is_some() => BTreeSet::from([key]),
                        _ => self.named(name),
                    };
                    if found.is_empty() {
                        return Err(name.clone());
                    }
                    group.extend(found);
                }
                Ok(group.into_iter().collect())
            }
        }
    }

    /// What a group needs so that all of it is ready in a share of cues (millionths), with something to
    /// prepare.
    pub fn leads(&self, group: &[AgentId], share_ppm: Option<u32>) -> LeadsView {
        self.leads_for(group, share_ppm, true)
    }

    /// The same for a cue for which there is something to prepare, or nothing.
    pub fn leads_for(
        &self,
        group: &[AgentId],
        share_ppm: Option<u32>,
        prepares: bool,
    ) -> LeadsView {
        let of = group.iter().copied().collect();
        let responses = self.folds.together.cues.responses(self.at, Some(&of));
        let (window_ns, window_assumed) = self.window_of(group);
        LeadsView {
            window_ns,
            window_assumed,
            ..self.leads_of(group, &responses, share_ppm, prepares)
        }
    }

    /// Without the window, which nobody needs who looks at a cue.
    pub(super) fn leads_of(
        &self,
        group: &[AgentId],
        responses: &BTreeMap<AgentId, Responses>,
        share_ppm: Option<u32>,
        prepares: bool,
    ) -> LeadsView {
        let share_ppm = share_ppm.unwrap_or(SHARE_READY_PPM);
        let share_each = share_of_each(f64::from(share_ppm) / 1e6, group.len());
        let none = Responses::new();
        let each = group.iter().map(|agent| {
            let known = responses.get(agent).unwrap_or(&none);
            self.lead(*agent, known, share_each, prepares)
        });
        let mut agents: Vec<LeadView> = each.collect();
        agents.sort_by(|one, next| {
            let slower = next.lead_ns.cmp(&one.lead_ns);
            slower.then_with(|| one.agent.cmp(&next.agent))
        });
        LeadsView {
            share_ppm,
            share_each,
            total: agents.len() as u64,
            assumed: agents.iter().filter(|one| one.assumed).count() as u64,
            together_ns: agents.first().map_or(0, |slowest| slowest.lead_ns),
            window_ns: 0,
            window_assumed: false,
            agents,
        }
    }

    fn lead(&self, agent: AgentId, known: &Responses, share: f64, prepares: bool) -> LeadView {
        let now_ns = self.at.as_ns();
        let profile = profile_of(known, now_ns);
        let took: Vec<u64> = known.values().filter_map(|one| one.took_ns).collect();
        let samples = took.len();
        let told = Lead::of(&profile, share, 0.0, now_ns);
        let assumed = samples < RESPONSES_FEW;
        let least_ns = if assumed {
            Lead::of(&Profile::default(), share, 0.0, now_ns).needed_ns
        } else {
            0.0
        };
        let spared_ns = if prepares { 0.0 } else { told.preparation_ns };
        let needed_ns = (told.needed_ns - spared_ns)
            .max(least_ns)
            .max(profile.back_in_ns(now_ns))
            .min(LEAD_PROPOSED_NS_MAX);
        LeadView {
            agent,
            name: self.name_of(&agent),
            samples: samples as u32,
            misses: known.values().filter(|one| one.missed).count() as u32,
            took_ns: took,
            median_ns: profile.median_ns(now_ns) as u64,
            spread_ns: if samples == 0 {
                0
            } else {
                profile.response_ns(now_ns).1 as u64
            },
            floor_ns: told.floor_ns as u64,
            quantile_ns: told.quantile_ns as u64,
            preparation_ns: told.preparation_ns as u64,
            recovery_ns: profile.recovery_ns(now_ns).map(|ns| ns as u64),
            reliability: profile.reliability(),
            unreliable: profile.is_unreliable(),
            lead_ns: libm::ceil(needed_ns) as u64,
            assumed,
        }
    }
}
