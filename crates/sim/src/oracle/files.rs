//! Files, plans and approvals by the logs: every write against every other, without a fold.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::capability::{Link, Token};
use unisono_model::{Action, AgentId, Approve, Digest, PhaseState, Place, Plan, Reviewed, Write};

use super::logs::Fact;

/// What stands of a file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct File {
    /// The write that it holds.
    pub holds: Option<Place>,
    /// What was written beside it.
    pub beside: BTreeSet<Place>,
    /// The approvals that stand.
    pub approved: BTreeSet<Place>,
}

/// All files that were ever written, by facts in order.
pub fn files(facts: &[&Fact]) -> BTreeMap<String, File> {
    let writes: Vec<(&Fact, &Write)> = facts
        .iter()
        .filter_map(|fact| match &fact.body.action {
            Action::Write(write) => Some((*fact, write.as_ref())),
            _ => None,
        })
        .collect();
    let chains = chains(facts);
    let paths: BTreeSet<&String> = writes.iter().map(|(_, write)| &write.path).collect();
    let mut files = BTreeMap::new();
    for path in paths {
        let own = || writes.iter().filter(|(_, write)| write.path == *path);
        let digest = |write: &Write| write.content.as_ref().map(|content| content.digest);
        let replaced = |fact: &Fact, write: &Write| {
            own().any(|(later, next)| later.place > fact.place && next.base == digest(write))
        };
        let mut heads: Vec<(&Fact, &Write)> = own()
            .copied()
            .filter(|(fact, write)| !replaced(fact, write))
            .collect();
        heads.sort_by_key(|(fact, _)| fact.place);
        let latest = heads.pop();
        let hands = hands_in(path, &writes, &chains);
        let stands = |fact: &Fact, approve: &Approve| {
            approve.about == Reviewed::Path(path.clone())
                && latest.is_some_and(|(written, write)| {
                    digest(write) == Some(approve.content) && written.place < fact.place
                })
                && !self::hands(fact, &chains)
                    .iter()
                    .any(|hand| hands.contains(hand))
        };
        let approved = facts.iter().filter(|fact| match &fact.body.action {
            Action::Approve(approve) => stands(fact, approve),
            _ => false,
        });
        files.insert(
            path.clone(),
            File {
                holds: latest.map(|(fact, _)| fact.place),
                beside: heads.iter().map(|(fact, _)| fact.place).collect(),
                approved: approved.map(|fact| fact.place).collect(),
            },
        );
    }
    files
}

/// Whoever had a hand in a file, or in one that it was ever moved from.
fn hands_in(
    path: &str,
    writes: &[(&Fact, &Write)],
    chains: &BTreeMap<Digest, Vec<AgentId>>,
) -> BTreeSet<AgentId> {
    let mut paths = BTreeSet::from([path.to_owned()]);
    loop {
        let into = writes
            .iter()
            .filter(|(_, write)| paths.contains(&write.path));
        let sources = into.filter_map(|(_, write)| write.moved_from.as_ref());
        let sources: Vec<String> = sources.map(|moved| moved.path.clone()).collect();
        let known = paths.len();
        paths.extend(sources);
        if paths.len() == known {
            break;
        }
    }
    let touched = |write: &Write| write.paths().any(|one| paths.contains(one));
    let by = writes.iter().filter(|(_, write)| touched(write));
    by.flat_map(|(fact, _)| hands(fact, chains)).collect()
}

/// A write that the plan which it names did not allow, if there is one. A plan that does not count
/// any more is not asked.
pub fn beyond_the_plan(facts: &[&Fact]) -> Option<String> {
    let plans: BTreeMap<Digest, &Plan> = facts
        .iter()
        .filter_map(|fact| match &fact.body.action {
            Action::Plan(plan) => Some((fact.place.record, plan)),
            _ => None,
        })
        .collect();
    let allowed = |write: &Write| {
        plans.get(&write.plan).is_none_or(|plan| {
            let projects = plan.projects.iter().filter(|one| one.name == write.project);
            let mut phases = projects.flat_map(|project| &project.phases);
            phases.any(|phase| {
                let mut paths = phase.scopes.iter().flat_map(|scope| &scope.paths);
                phase.number == write.phase
                    && phase.state == PhaseState::Active
                    && paths.any(|path| *path == write.path)
            })
        })
    };
    facts.iter().find_map(|fact| match &fact.body.action {
        Action::Write(write) if !allowed(write) => Some(format!(
            "{:?} wrote {} in phase {}, which its plan does not allow",
            fact.place, write.path, write.phase
        )),
        _ => None,
    })
}

/// The agents of each chain of grants that was laid down, by its last link.
fn chains(facts: &[&Fact]) -> BTreeMap<Digest, Vec<AgentId>> {
    let mut chains = BTreeMap::new();
    for fact in facts {
        let Action::Present(bytes) = &fact.body.action else {
            continue;
        };
        let Ok((token, links)) = Token::decode(&bytes.0) else {
            continue;
        };
        let mut audiences: Vec<AgentId> = Vec::new();
        for (signed, link) in token.links.iter().zip(&links) {
            let Link { audience, .. } = link;
            audiences.push(*audience);
            chains.insert(signed.id(), audiences.clone());
        }
        // Whoever has renewed it has no hand in what is done under it.
        chains.insert(token.id(), audiences);
    }
    chains
}

fn hands(fact: &Fact, chains: &BTreeMap<Digest, Vec<AgentId>>) -> Vec<AgentId> {
    let chain = fact.body.token.and_then(|token| chains.get(&token));
    let mut hands = chain.cloned().unwrap_or_default();
    hands.push(fact.agent);
    hands
}
