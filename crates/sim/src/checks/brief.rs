//! I1 for briefs: what a node says that an agent touched last is what the logs say.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::lately::limits::TOUCHED_MAX;
use unisono_core::orchestra::view::{AgentView, BriefPart, BriefView};
use unisono_model::Place;

use crate::oracle::Lately;

/// Whether what a brief says of the agents of its name is so.
pub(super) fn check(brief: &BriefView, agents: &[AgentView], truth: &Lately) -> Result<(), String> {
    let mut last: BTreeMap<&str, Place> = BTreeMap::new();
    let own = agents.iter().filter(|view| view.name == brief.agent);
    for (name, place) in own.flat_map(|view| truth.get(&view.agent).into_iter().flatten()) {
        let known = last.entry(name).or_insert(*place);
        *known = (*known).max(*place);
    }
    let lines = |part: BriefPart| brief.lines.iter().filter(move |line| line.part == part);
    let mut told = BTreeSet::new();
    for line in lines(BriefPart::Lately) {
        let name = before(&line.text, ": ")
            .split(" [")
            .next()
            .unwrap_or_default();
        let said = last.get(name).map(|place| place.record);
        if said.is_none() || said != line.record {
            return Err(format!(
                "{} did not touch {name} last in {:?}",
                brief.agent, line.record
            ));
        }
        told.insert(name);
    }
    // A task without a title ends with its colon.
    let tasks = lines(BriefPart::Task).map(|line| before(&line.text, ": ").trim_end_matches(':'));
    let held = lines(BriefPart::Held).map(|line| before(&line.text, " for "));
    told.extend(tasks.chain(held));
    let mut order: Vec<(Place, &str)> = last.into_iter().map(|(name, at)| (at, name)).collect();
    order.sort_unstable_by(|one, other| other.cmp(one));
    let mut wanted = order.into_iter().take(TOUCHED_MAX);
    match wanted.find(|(_, name)| !told.contains(name)) {
        Some((place, name)) => {
            let words = format!(
                "{} touched {name} in {place:?}, and is not told",
                brief.agent
            );
            Err(words)
        }
        None => Ok(()),
    }
}

fn before<'a>(text: &'a str, what: &str) -> &'a str {
    text.split(what).next().unwrap_or_default()
}
