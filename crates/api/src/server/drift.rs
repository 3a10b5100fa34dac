//! How an orchestra comes apart and together again, as server-sent events: looked at whenever something
//! is new and time makes a difference, at most once a second however many follow.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use unisono_core::node::Question;
use unisono_core::orchestra::view::View;
use unisono_model::Stamp;

use super::edge::Edge;
use super::looks::{self, Looks, Watched};
use super::refusal::Refusal;
use super::terms::{Names, Terms};
use crate::dto::{Coherence, CoherenceChange, Drift};
use crate::limits::COHERENCE_LOOK_EVERY;

/// Tells how coherent the orchestra is, and again whenever a drift begins, gets better or worse or ends,
/// a condition breaks or holds, or the score changes. The first event tells all that there is.
#[utoipa::path(get, path = "/v1/orchestras/{o}/coherence/stream",
    operation_id = "follow_coherence", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name")),
    responses((status = 200, content_type = "text/event-stream", body = CoherenceChange)))]
pub(crate) async fn stream(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    looks::follow::<Coherence>(edge, &o, terms).await
}

impl Watched for Coherence {
    const EVERY: Duration = COHERENCE_LOOK_EVERY;
    const QUESTION: Question = Question::Coherence;

    fn of(view: View) -> Option<Self> {
        match view {
            View::Coherence(view) => Some(view.into()),
            _ => None,
        }
    }

    fn looks(edge: &Edge) -> &Looks<Self> {
        edge.coherence()
    }

    fn change(&self, before: Option<&Self>, at: Stamp) -> Option<Event> {
        if before == Some(self) {
            return None;
        }
        let none: &[Drift] = &[];
        let former = before.map_or(none, |before| &before.drift);
        let change = CoherenceChange {
            at: at.into(),
            coherence: self.coherence,
            score: self.score,
            agents: self.agents,
            gluing: self.gluing.clone(),
            begun: missing(&self.drift, former),
            ended: missing(former, &self.drift),
        };
        let data = serde_json::to_string(&change).expect("texts and numbers");
        Some(Event::default().event("coherence").data(data))
    }
}

/// What of some drifts is not among others. The words that show one may change while it lasts.
fn missing(some: &[Drift], others: &[Drift]) -> Vec<Drift> {
    let mut others: Vec<&Drift> = others.iter().collect();
    let same = |one: &Drift, other: &Drift| {
        (one.kind, one.severity) == (other.kind, other.severity) && one.agents == other.agents
    };
    let mut missing = Vec::new();
    for one in some {
        match others.iter().position(|other| same(one, other)) {
            Some(at) => drop(others.swap_remove(at)),
            None => missing.push(one.clone()),
        }
    }
    missing
}
