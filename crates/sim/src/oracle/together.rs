//! Barriers, cues, tempo, punctuality, use and who performs, naively: everything from the beginning, every time.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, AgentId, Cue, CueRule, CueWord, Place, Resource, Stamp};

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
    /// Cues that are shown, each with who has answered, and whether it is on, once that is decided.
    pub cues: BTreeMap<Place, (BTreeSet<AgentId>, Option<bool>)>,
    /// How each agent responded to its latest 64 cues: how long each took (ns), and how many it missed.
    pub responses: BTreeMap<AgentId, (Vec<u64>, u32)>,
    /// How many actions each agent told of, at most 64, and the sum of how late they were (ns).
    pub plays: BTreeMap<AgentId, (usize, i64)>,
    /// How many words on a resource each agent told, of the latest 64 those of the last hour, and the sum of what it used.
    pub uses: BTreeMap<(AgentId, Resource), (usize, u64)>,
    /// What each agent said last of how it performs, if that was within the last hour: its phase gain (millionths), and
    /// whether it performs now.
    pub performers: BTreeMap<AgentId, (u32, bool)>,
}

/// What facts, in order, come to at a stamp.
pub fn together(facts: &[&Fact], at: Stamp) -> Together {
    let mut told = Together::default();
    let mut plays: BTreeMap<AgentId, Vec<i64>> = BTreeMap::new();
    let from_ns = at.as_ns().saturating_sub(SHOWN_MS * 1_000_000);
    let mut uses: BTreeMap<(AgentId, Resource), Vec<(u64, u64)>> = BTreeMap::new();
    let mut performers = BTreeMap::new();
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
                    told.cues
                        .insert(fact.place, (BTreeSet::new(), is_on(facts, fact, cue, at)));
                }
            }
            Action::Answer(answer) => {
                let asked = told
                    .cues
                    .iter_mut()
                    .find(|(place, _)| place.record == answer.cue);
                if let Some((_, (answered, _))) = asked {
                    answered.insert(fact.agent);
                }
            }
            Action::Played(played) => plays.entry(fact.agent).or_default().push(played.late_ns),
            Action::Used(used) => {
                let told = uses.entry((fact.agent, used.resource)).or_default();
                told.push((used.until_ns, used.used));
            }
            Action::Performs(word) => {
                performers.insert(fact.agent, (fact.place.stamp.as_ns(), word));
            }
            _ => {}
        }
    }
    for (agent, (said_ns, word)) in performers {
        let until_ns = said_ns + u64::from(word.holds_ms) * 1_000_000;
        let performs = word.holds_ms > 0 && until_ns >= at.as_ns();
        if said_ns >= from_ns {
            told.performers.insert(agent, (word.phase_ppm, performs));
        }
    }
    for (key, used) in uses {
        let latest = used[used.len().saturating_sub(64)..].iter();
        let lately = latest.filter(|(until_ns, _)| *until_ns >= from_ns);
        let lately: Vec<u64> = lately.map(|(_, used)| *used).collect();
        if !lately.is_empty() {
            told.uses.insert(key, (lately.len(), lately.iter().sum()));
        }
    }
    for (agent, late_ns) in plays {
        let latest = &late_ns[late_ns.len().saturating_sub(64)..];
        told.plays
            .insert(agent, (latest.len(), latest.iter().sum()));
    }
    told.responses = responses(facts, at);
    for name in names {
        let gate = gate(facts, &name, at);
        if !gate.0.is_empty() || gate.1.is_some() {
            told.barriers.insert(name, gate);
        }
    }
    told
}

/// What an agent said to a cue, with the time (ns), in order; nobody answers before it was asked.
fn said(facts: &[&Fact], agent: AgentId, asked: &Fact) -> Vec<(u64, CueWord)> {
    let mut said = Vec::new();
    for fact in facts {
        if let Action::Answer(answer) = &fact.body.action
            && answer.cue == asked.place.record
            && fact.agent == agent
            && fact.place > asked.place
        {
            said.push((fact.place.stamp.as_ns(), answer.word));
        }
    }
    said
}

fn answer_by_ns(asked: &Fact, cue: &Cue) -> u64 {
    let answer_ns = u64::from(cue.answer_ms) * 1_000_000;
    let due_ns = cue.target_ns.saturating_sub(answer_ns);
    due_ns.max(asked.place.stamp.as_ns())
}

fn last_by(said: &[(u64, CueWord)], by_ns: u64) -> Option<CueWord> {
    let in_time = said.iter().rev().find(|(at_ns, _)| *at_ns <= by_ns);
    in_time.map(|(_, word)| *word)
}

fn is_on(facts: &[&Fact], asked: &Fact, cue: &Cue, at: Stamp) -> Option<bool> {
    let by_ns = answer_by_ns(asked, cue);
    if at.as_ns() < by_ns {
        return None;
    }
    let ready =
        |agent: &AgentId| last_by(&said(facts, *agent, asked), by_ns) == Some(CueWord::Ready);
    Some(cue.rule == CueRule::Go || cue.parties.iter().all(ready))
}

fn responses(facts: &[&Fact], at: Stamp) -> BTreeMap<AgentId, (Vec<u64>, u32)> {
    let agents: BTreeSet<AgentId> = facts.iter().map(|fact| fact.agent).collect();
    let mut all = BTreeMap::new();
    for agent in agents {
        let mut outcomes = Vec::new();
        for asked in facts {
            if let Action::Cue(cue) = &asked.body.action {
                outcomes.extend(response(facts, agent, asked, cue, at));
            }
        }
        let latest = &outcomes[outcomes.len().saturating_sub(64)..];
        let took = latest.iter().filter_map(|(took_ns, _)| *took_ns).collect();
        let missed = latest.iter().filter(|(_, missed)| *missed).count() as u32;
        if !latest.is_empty() {
            all.insert(agent, (took, missed));
        }
    }
    all
}

/// How long an agent took to be ready for a cue, and whether it was meant and too late.
fn response(
    facts: &[&Fact],
    agent: AgentId,
    asked: &Fact,
    cue: &Cue,
    at: Stamp,
) -> Option<(Option<u64>, bool)> {
    let asked_ns = asked.place.stamp.as_ns();
    let over_ns = Stamp::from_ns(cue.target_ns).plus_ms(SHOWN_MS).as_ns();
    if cue.target_ns <= asked_ns {
        return None;
    }
    let mut said = said(facts, agent, asked);
    said.retain(|(at_ns, _)| *at_ns <= over_ns);
    let ready = said.iter().find(|(_, word)| *word == CueWord::Ready);
    let meant = cue.parties.contains(&agent);
    if let Some((ready_ns, _)) = ready {
        let late = meant && *ready_ns > cue.target_ns;
        return Some((Some(ready_ns - asked_ns), late));
    }
    let declined = last_by(&said, answer_by_ns(asked, cue)) == Some(CueWord::Declined);
    let missed = meant && !declined && cue.target_ns < at.as_ns();
    missed.then_some((None, true))
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
