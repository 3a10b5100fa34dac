//! What agents touched last, naively: the latest record of each that names a thing.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, AgentId, FieldValue, Place, Reviewed};

use super::logs::Fact;

/// Of each agent each thing with the latest record that names it.
pub type Lately = BTreeMap<AgentId, BTreeMap<String, Place>>;

/// What facts, in order, come to.
pub fn lately(facts: &[&Fact]) -> Lately {
    let mut told = Lately::new();
    for fact in facts {
        let own = told.entry(fact.agent).or_default();
        for name in named(&fact.body.action) {
            own.insert(name, fact.place);
        }
    }
    told
}

fn named(action: &Action) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    match action {
        Action::Claim { topic, .. }
        | Action::Renew { topic, .. }
        | Action::Release { topic, .. } => {
            names.insert(topic.clone());
        }
        Action::Signal(signal) => {
            names.insert(signal.topic.clone());
        }
        Action::Across(across) => {
            names.insert(across.signal.topic.clone());
        }
        Action::Mark(mark) => {
            names.insert(mark.about.clone());
        }
        Action::Decide(decide) => {
            names.insert(decide.topic.clone());
        }
        Action::Write(write) => {
            names.insert(write.path.clone());
        }
        Action::Approve(approve) => {
            let (Reviewed::Path(name) | Reviewed::Task(name)) = &approve.about;
            names.insert(name.clone());
        }
        Action::Task(change) => {
            names.insert(change.task.clone());
            for field in &change.fields {
                if let FieldValue::Link { on, .. } = &field.value {
                    names.insert(on.clone());
                }
            }
        }
        _ => {}
    }
    names.remove("");
    names
}
