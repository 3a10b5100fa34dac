//! What stands in the way of an agent that follows the events: told when it begins, when it is
//! resolved, and when it has ended.

use std::collections::BTreeMap;

use axum::response::sse::Event;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{InterferenceView, View};
use unisono_model::{Digest, OrchestraId};

use super::edge::Edge;
use super::terms::ReadTerms;
use crate::dto::Interference;
use crate::limits::{PAGE, WAIT_MS};

/// What an agent was told.
pub(crate) struct Way {
    agent: String,
    /// Whether each was open when it was told last.
    told: BTreeMap<Digest, bool>,
}

impl Way {
    pub(crate) fn new(agent: String) -> Self {
        Self {
            agent,
            told: BTreeMap::new(),
        }
    }

    /// Looks at what names the agent; what is new about it becomes events. They bear no id: whoever
    /// comes back is told again what stands then. A node that does not answer is asked again with
    /// the next look.
    pub(crate) async fn look(&mut self, edge: &Edge, orchestra: OrchestraId) -> Vec<Event> {
        let question = Question::Interference {
            agent: Some(self.agent.clone()),
            limit: PAGE,
        };
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let Ok((_, View::Interference(view))) = edge.ask(orchestra, question, terms).await else {
            return Vec::new();
        };
        let now: BTreeMap<Digest, bool> = view
            .interferences
            .iter()
            .map(|one| (one.id, one.is_open()))
            .collect();
        let told = std::mem::replace(&mut self.told, now);
        // What is merely beyond the page has not ended.
        let whole = view.open + view.resolved <= view.interferences.len() as u64;
        if !whole {
            for (id, open) in &told {
                self.told.entry(*id).or_insert(*open);
            }
        }
        let ended = told.keys().filter(|id| !self.told.contains_key(*id));
        let ended = ended.map(|id| {
            let data = serde_json::json!({ "id": id.to_string() });
            Event::default()
                .event("interference-ended")
                .data(data.to_string())
        });
        let mut events: Vec<Event> = ended.collect();
        let new = |one: &InterferenceView| told.get(&one.id) != Some(&one.is_open());
        events.extend(view.interferences.into_iter().filter(new).map(|one| {
            let data = serde_json::to_string(&Interference::from(one))
                .expect("an interference holds texts and numbers");
            Event::default().event("interference").data(data)
        }));
        events
    }
}
