//! What must be so before the orchestra is told what to play together: nothing in the past, nothing
//! sooner than everybody can know of it.

use alloc::format;

use unisono_model::{Action, AgentId, Arrival, Code, Cue, CueRule, OrchestraId, Rejection, Tempo};

use super::{Node, Question, limits};
use crate::context::Context;
use crate::ensemble::TempoMap;
use crate::ensemble::limits::TARGET_STEP_NS;
use crate::orchestra::Reading;
use crate::orchestra::horizon::Horizon;
use crate::orchestra::view::{LeadsOf, LeadsView, View};

impl Node {
    /// Preconditions of tempo, arrivals, cues and answers to them; fills in lead and patience.
    pub(super) fn precondition_together(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        action: Action,
    ) -> Result<Action, Rejection> {
        match action {
            Action::Tempo(tempo) => self.may_set(context, orchestra, tempo).map(Action::Tempo),
            Action::Arrive(arrival) => {
                self.has_room_at_barriers(context, orchestra, &agent, &arrival.barrier)?;
                self.may_arrive(context, orchestra, arrival)
                    .map(Action::Arrive)
            }
            Action::Cue(cue) => {
                self.has_room_for_a_cue(context, orchestra, &agent)?;
                self.may_cue(context, orchestra, cue).map(Action::Cue)
            }
            Action::Answer(answer) => {
                let at = self.now(context);
                let space = self.spaces.get(&orchestra);
                if space.is_none_or(|space| space.folds.together.cues.knows(&answer.cue, at)) {
                    return Ok(Action::Answer(answer));
                }
                let words = format!("no cue {} is held here; nothing changed", answer.cue);
                Err(Rejection::new(Code::CueUnknown, words)
                    .hint("look at `unisono schedule`; a cue ends an hour after its target"))
            }
            other => Ok(other),
        }
    }

    fn may_set(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        tempo: Tempo,
    ) -> Result<Tempo, Rejection> {
        let map = TempoMap::new(tempo)?;
        let at = self.now(context);
        let horizon = Horizon::default();
        let standing = self.reading(orchestra, at, &horizon);
        let standing = standing.and_then(|reading| TempoMap::new(reading.tempo().tempo).ok());
        let now_ns = context.wall_ns;
        let Some(from_ns) = standing.unwrap_or_default().parts_from(&map, now_ns) else {
            return Ok(map.tempo().clone());
        };
        if from_ns <= now_ns {
            let words = "the map plays the present otherwise than the one that stands: what has been played cannot be changed; nothing was set";
            return Err(Rejection::new(Code::TimePast, words)
                .hint("let the change begin later; `unisono tempo set` makes such a map"));
        }
        self.check_lead("the tempo changes", from_ns, context)?;
        Ok(map.tempo().clone())
    }

    fn may_arrive(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        mut arrival: Arrival,
    ) -> Result<Arrival, Rejection> {
        let slowest_ms = self.slowest_ms(context);
        if arrival.lead_ms == 0 {
            arrival.lead_ms = limits::BARRIER_LEAD_MS.saturating_add(3 * slowest_ms);
        }
        if arrival.patience_ms == 0 {
            arrival.patience_ms = limits::PATIENCE_MS;
        }
        arrival.check()?;
        if arrival.lead_ms < slowest_ms {
            return Err(lead_short(
                "the barrier opens",
                arrival.lead_ms.into(),
                slowest_ms,
            ));
        }
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(arrival);
        };
        let waiting = space.folds.together.barriers.read(self.now(context));
        let other = waiting.iter().find(|one| {
            one.name == arrival.barrier && one.of != arrival.of && !one.waiting.is_empty()
        });
        let Some(other) = other else {
            return Ok(arrival);
        };
        let words = format!(
            "at barrier {} agents wait for {} in all, not for {}; nothing changed",
            arrival.barrier, other.of, arrival.of
        );
        let hint = format!(
            "arrive for {} as well, or at a barrier of another name",
            other.of
        );
        Err(Rejection::new(Code::BarrierCount, words).hint(hint))
    }

    fn may_cue(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        mut cue: Cue,
    ) -> Result<Cue, Rejection> {
        let slowest_ms = self.slowest_ms(context);
        if cue.rule == CueRule::Wait {
            if cue.answer_ms == 0 {
                cue.answer_ms = limits::BARRIER_LEAD_MS.saturating_add(3 * slowest_ms);
            }
            if cue.answer_ms < slowest_ms {
                let what = "who is ready is known before the target";
                return Err(lead_short(what, cue.answer_ms.into(), slowest_ms));
            }
        }
        if cue.target_ns == 0 || cue.window_ms == 0 {
            let mut leads = self.leads_for_cue(context, orchestra, &cue);
            self.lengthen_leads(&mut leads);
            if cue.target_ns == 0 {
                cue.target_ns = self.proposed_ns(context, &cue, leads.together_ns, slowest_ms);
            }
            if cue.window_ms == 0 {
                cue.window_ms = leads.window_ms();
            }
        }
        cue.check()?;
        if cue.target_ns <= context.wall_ns {
            let past_ms = (context.wall_ns - cue.target_ns) / 1_000_000;
            let words = format!("the target is {past_ms} ms past; nothing changed");
            return Err(Rejection::new(Code::TimePast, words).hint("name a time to come"));
        }
        if cue.target_ns - context.wall_ns > limits::CUE_AHEAD_NS_MAX {
            let words = "the target is more than a day ahead; nothing changed";
            return Err(Rejection::new(Code::Malformed, words).hint("give the cue later"));
        }
        self.check_lead("the target comes", cue.target_ns, context)?;
        Ok(cue)
    }

    /// Whoever gives cues without end would fill what everybody holds and looks through.
    fn has_room_for_a_cue(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: &AgentId,
    ) -> Result<(), Rejection> {
        let at = self.now(context);
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(());
        };
        let cues = &space.folds.together.cues;
        let (open, next_ns) = cues.open_of(agent, at, context.wall_ns);
        if open < limits::CUES_OPEN_MAX {
            return Ok(());
        }
        let words = format!(
            "this agent has {open} cues open, and may have {}; nothing changed",
            limits::CUES_OPEN_MAX
        );
        let wait_ms = next_ns.saturating_sub(context.wall_ns).div_ceil(1_000_000);
        Err(Rejection::new(Code::RateLimited, words)
            .hint("wait until the target of one of them has come")
            .retry_after(wait_ms))
    }

    /// Whoever arrived everywhere would fill what everybody walks through.
    fn has_room_at_barriers(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: &AgentId,
        barrier: &str,
    ) -> Result<(), Rejection> {
        let at = self.now(context);
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(());
        };
        let barriers = &space.folds.together.barriers;
        let (waits, until) = barriers.waits_of(agent, barrier, at);
        if waits < limits::BARRIERS_WAITED_MAX {
            return Ok(());
        }
        let words = format!(
            "this agent waits at {waits} other barriers, and may wait at {}; nothing changed",
            limits::BARRIERS_WAITED_MAX
        );
        let wait_ms = until.map_or(0, |until| until.as_ms().saturating_sub(at.as_ms()));
        Err(Rejection::new(Code::RateLimited, words)
            .hint("wait until one of them has opened, or its patience has run out")
            .retry_after(wait_ms))
    }

    /// What those who are meant need: everybody, where nobody is.
    fn leads_for_cue(&self, context: &Context<'_>, orchestra: OrchestraId, cue: &Cue) -> LeadsView {
        let horizon = Horizon::default();
        let reading = self.reading(orchestra, self.now(context), &horizon);
        let Some(reading) = reading else {
            return LeadsView::default();
        };
        let prepares = !cue.preparation.is_empty();
        if !cue.parties.is_empty() {
            return reading.leads_for(&cue.parties, None, prepares);
        }
        let everybody = reading.group(&LeadsOf::Everybody).unwrap_or_default();
        reading.leads_for(&everybody, None, prepares)
    }

    /// When they can be ready who need so much notice (ns): by the cluster's clock (ns since the Unix epoch).
    fn proposed_ns(&self, context: &Context<'_>, cue: &Cue, lead_ns: u64, slowest_ms: u32) -> u64 {
        let at = self.now(context);
        // A response has the way in it; of whom nobody knows it has not.
        let lead_ns = lead_ns.saturating_add(u64::from(slowest_ms) * 1_000_000);
        let answer_ns = u64::from(cue.answer_ms) * 1_000_000;
        let now_ns = context.wall_ns.max(at.as_ns());
        let target_ns = now_ns.saturating_add(lead_ns).saturating_add(answer_ns);
        target_ns.saturating_add(1).next_multiple_of(TARGET_STEP_NS)
    }

    fn check_lead(&self, what: &str, at_ns: u64, context: &Context<'_>) -> Result<(), Rejection> {
        let lead_ms = at_ns.saturating_sub(context.wall_ns) / 1_000_000;
        let slowest_ms = self.slowest_ms(context);
        if lead_ms < u64::from(slowest_ms) {
            return Err(lead_short(what, lead_ms, slowest_ms));
        }
        Ok(())
    }

    /// The longest round trip to a member that is heard (ms, rounded up).
    fn slowest_ms(&self, context: &Context<'_>) -> u32 {
        let now_ms = context.now_ms();
        let heard = self
            .peers
            .iter()
            .filter(|(node, _)| self.seems_alive(node, now_ms));
        let slowest_us = heard.filter_map(|(_, peer)| peer.round_trip_us).max();
        let slowest_ms = slowest_us.unwrap_or_default().div_ceil(1_000);
        u32::try_from(slowest_ms)
            .unwrap_or(u32::MAX)
            .min(limits::SLOWEST_MS_MAX)
    }
}

/// What is played together, as it is shown.
pub(super) fn played(question: &Question, reading: &Reading<'_>) -> Result<View, Rejection> {
    Ok(match question {
        Question::Barriers => View::Barriers(reading.barriers()),
        Question::Cues => View::Cues(reading.cues()),
        Question::Leads {
            of,
            share_ppm,
            limit,
        } => {
            let most = (*limit).clamp(1, limits::PAGE_RECORDS_MAX);
            View::Leads(leads(reading, of, *share_ppm, most)?)
        }
        Question::Players => View::Players(reading.ensemble()),
        Question::Performing => View::Performing(reading.performing()),
        Question::Tempo => View::Tempo(reading.tempo_told()),
        Question::Beat => View::Tempo(reading.beat()),
        _ => {
            return Err(Rejection::new(
                Code::Malformed,
                "not about what is played together",
            ));
        }
    })
}

/// How much notice a group needs.
fn leads(
    reading: &Reading<'_>,
    of: &LeadsOf,
    share_ppm: Option<u32>,
    limit: usize,
) -> Result<LeadsView, Rejection> {
    if share_ppm.is_some_and(|share_ppm| !(1..1_000_000).contains(&share_ppm)) {
        let words = "a share of cues lies between 0 and 1; nothing changed";
        return Err(Rejection::new(Code::Malformed, words).hint("0.95 is one in twenty too late"));
    }
    let unknown = |name| {
        let words = format!("no agent {name} is enrolled here; nothing changed");
        Rejection::new(Code::AgentUnknown, words).hint("`unisono agent list` tells who is")
    };
    let group = reading.group(of).map_err(unknown)?;
    if group.is_empty() && *of != LeadsOf::Everybody {
        let words = "nobody is in this group: there is no lead; nothing changed";
        return Err(
            Rejection::new(Code::AgentUnknown, words).hint("`unisono agent list` tells who is")
        );
    }
    let mut leads = reading.leads(&group, share_ppm);
    leads.agents.truncate(limit);
    Ok(leads)
}

fn lead_short(what: &str, lead_ms: u64, slowest_ms: u32) -> Rejection {
    let words = format!(
        "{what} in {lead_ms} ms, and the round trip to the slowest member takes {slowest_ms} ms: not everybody would know in time; nothing changed"
    );
    let hint = format!("a lead of {} ms and more is enough", 3 * slowest_ms);
    Rejection::new(Code::LeadShort, words).hint(hint)
}
