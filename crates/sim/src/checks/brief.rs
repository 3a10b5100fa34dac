//! I1 for briefs: what an agent is told is what the logs say, nothing that it holds, has to do or is
//! bound by is missing, and no budget is passed.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::brief::{TOKENS_MIN, tokens};
use unisono_core::orchestra::lately::limits::TOUCHED_MAX;
use unisono_core::orchestra::view::{AgentView, BriefPart, BriefView};
use unisono_model::{AgentId, Digest, Field, FieldValue, Place, TaskStatus};

use crate::oracle::{Lately, Task, Truth};

/// So many lines of a part are told whatever else there is: below the limits of all parts.
const ALWAYS_TOLD: usize = 16;
/// Budgets that are tried (tokens).
const BUDGETS: [u64; 3] = [TOKENS_MIN, 150, 600];

/// Whether what a brief says of the agents of its name is so.
pub(super) fn check(brief: &BriefView, agents: &[AgentView], truth: &Truth) -> Result<(), String> {
    let named = agents.iter().filter(|view| view.name == brief.agent);
    let own: BTreeSet<AgentId> = named.map(|view| view.agent).collect();
    touched(brief, agents, &truth.lately)?;
    let held = truth.claims.iter();
    let held = held.filter(|(_, held)| own.contains(&held.agent));
    let held = held.map(|(topic, _)| topic.as_str()).collect();
    told(
        brief,
        "held",
        &names(brief, BriefPart::Held, " for "),
        &held,
    )?;
    let tasks = truth.tasks.iter();
    let tasks = tasks.filter(|(_, task)| is_for(task, &brief.agent));
    let tasks = tasks.map(|(name, _)| name.as_str()).collect();
    told(brief, "to do", &names(brief, BriefPart::Task, ": "), &tasks)?;
    binding(brief, truth)?;
    in_the_way(brief, &own, truth)?;
    offered(brief, truth)?;
    BUDGETS.iter().try_for_each(|budget| fits(brief, *budget))
}

/// The names with which the lines of a part begin.
fn names<'a>(brief: &'a BriefView, part: BriefPart, end: &str) -> BTreeSet<&'a str> {
    let lines = brief.lines.iter().filter(|line| line.part == part);
    // A task without a title ends with its colon.
    lines
        .map(|line| before(&line.text, end).trim_end_matches(':'))
        .collect()
}

/// Nothing is told that is not so, and all that is so where it is not too much.
fn told(
    brief: &BriefView,
    what: &str,
    shown: &BTreeSet<&str>,
    so: &BTreeSet<&str>,
) -> Result<(), String> {
    if shown.is_subset(so) && (so.len() > ALWAYS_TOLD || shown == so) {
        return Ok(());
    }
    let who = &brief.agent;
    Err(format!(
        "{who} is told {shown:?} as {what}, by the logs {so:?}"
    ))
}

fn shows(task: &Task, field: &Field, wanted: &FieldValue) -> bool {
    let shown = task.shown.get(field);
    shown.is_some_and(|shown| shown.value == *wanted)
}

fn is_for(task: &Task, name: &str) -> bool {
    let over = [TaskStatus::Closed, TaskStatus::Deleted];
    let mut over = over.into_iter().map(FieldValue::Status);
    shows(
        task,
        &Field::Assignee,
        &FieldValue::Assignee(name.to_owned()),
    ) && !over.any(|status| shows(task, &Field::Status, &status))
}

/// What binds everybody is told to everybody, and what was superseded to nobody.
fn binding(brief: &BriefView, truth: &Truth) -> Result<(), String> {
    let lines = brief.lines.iter();
    let parts = [BriefPart::Decisions, BriefPart::DeadEnds];
    let lines = lines.filter(|line| parts.contains(&line.part));
    let shown: BTreeSet<Digest> = lines.filter_map(|line| line.record).collect();
    let so = truth.lessons.binding.iter().map(|place| place.record);
    let so: BTreeSet<Digest> = so.collect();
    let over = truth.lessons.superseded.keys().map(|place| place.record);
    let stale = over.filter(|record| shown.contains(record)).count();
    let missing = so.difference(&shown).count();
    if stale > 0 || (so.len() <= ALWAYS_TOLD && missing > 0) {
        let who = &brief.agent;
        return Err(format!(
            "{who} is told {stale} decisions that were superseded and not {missing} of {} that bind",
            so.len()
        ));
    }
    Ok(())
}

/// Each interference that names it is told once, by the later of its records.
fn in_the_way(brief: &BriefView, own: &BTreeSet<AgentId>, truth: &Truth) -> Result<(), String> {
    let named = truth.interferences.values().filter(|one| {
        let mut sides = one.sides.iter();
        sides.any(|(_, agent)| own.contains(agent))
    });
    let mut so: Vec<Digest> = named
        .filter_map(|one| Some(one.sides.last()?.0.record))
        .collect();
    so.sort_unstable();
    let parts = [BriefPart::Interferences, BriefPart::Blockers];
    let lines = brief.lines.iter().filter(|line| parts.contains(&line.part));
    // What a task waits for stands among the blockers, by the task's record.
    let changes: BTreeSet<Digest> = truth.tasks.values().map(|one| one.changed.record).collect();
    let shown = lines.filter_map(|line| line.record);
    let mut shown: Vec<Digest> = shown.filter(|record| !changes.contains(record)).collect();
    shown.sort_unstable();
    // What others need of it takes some of the places.
    if so.len() >= ALWAYS_TOLD / 2 || shown == so {
        return Ok(());
    }
    let who = &brief.agent;
    Err(format!(
        "{who} is told {shown:?} as in the way, by the logs {so:?}"
    ))
}

/// What is asked of it stands, and what could be next is free.
fn offered(brief: &BriefView, truth: &Truth) -> Result<(), String> {
    let standing: BTreeSet<Digest> = truth.signals.iter().map(|place| place.record).collect();
    for line in brief
        .lines
        .iter()
        .filter(|line| line.part == BriefPart::Asked)
    {
        if line.record.is_none_or(|record| !standing.contains(&record)) {
            return Err(format!(
                "{} is asked what nobody asks: {}",
                brief.agent, line.text
            ));
        }
    }
    for name in names(brief, BriefPart::Next, ": ") {
        let open = FieldValue::Status(TaskStatus::Open);
        let task = truth.tasks.get(name);
        let free = |task: &Task| {
            let assignee = task.shown.get(&Field::Assignee);
            let nobody = FieldValue::Assignee(String::new());
            shows(task, &Field::Status, &open) && assignee.is_none_or(|one| one.value == nobody)
        };
        if !task.is_some_and(free) {
            return Err(format!(
                "{name} is offered to {}, and is not free",
                brief.agent
            ));
        }
    }
    Ok(())
}

/// A packed brief keeps its budget, its order, and count of what it leaves out.
fn fits(brief: &BriefView, budget: u64) -> Result<(), String> {
    let packed = brief.clone().packed(budget, &tokens);
    let left_out: u64 = packed.left_out.values().sum();
    let all = brief.lines.len() as u64 == packed.lines.len() as u64 + left_out;
    let places: Vec<(BriefPart, u32)> = packed
        .lines
        .iter()
        .map(|line| (line.part, line.order))
        .collect();
    let counted = tokens(&packed.markdown());
    if all && places.is_sorted() && counted == packed.tokens && counted <= budget {
        return Ok(());
    }
    Err(format!(
        "{} in {budget} tokens has {counted}: {packed:?}",
        brief.agent
    ))
}

fn touched(brief: &BriefView, agents: &[AgentView], truth: &Lately) -> Result<(), String> {
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
