//! What goes wrong among those who play together, as server-sent events: looked at whenever something is
//! new, at most once a second however many follow.

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
use crate::dto::{Finding, FindingChange};
use crate::limits::FINDINGS_LOOK_EVERY;

/// Tells what goes wrong among those who play together, and again whenever something begins or is over. The
/// first event tells all that there is.
#[utoipa::path(get, path = "/v1/orchestras/{o}/ensemble/stream",
    operation_id = "follow_ensemble", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name")),
    responses((status = 200, content_type = "text/event-stream", body = FindingChange)))]
pub(crate) async fn stream(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    looks::follow::<Findings>(edge, &o, terms).await
}

/// What goes wrong at a time.
#[derive(Debug)]
pub(crate) struct Findings(Vec<Finding>);

impl Watched for Findings {
    const EVERY: Duration = FINDINGS_LOOK_EVERY;
    const QUESTION: Question = Question::Players;

    fn of(view: View) -> Option<Self> {
        let View::Players(view) = view else {
            return None;
        };
        Some(Self(view.findings.into_iter().map(Into::into).collect()))
    }

    fn looks(edge: &Edge) -> &Looks<Self> {
        edge.findings()
    }

    /// What has begun or is over since it was told last, if anything has.
    fn change(&self, before: Option<&Self>, at: Stamp) -> Option<Event> {
        let none: &[Finding] = &[];
        let former = before.map_or(none, |before| &before.0);
        let change = FindingChange {
            at: at.into(),
            begun: missing(&self.0, former),
            over: missing(former, &self.0),
        };
        if before.is_some() && change.begun.is_empty() && change.over.is_empty() {
            return None;
        }
        let data = serde_json::to_string(&change).expect("texts and numbers");
        Some(Event::default().event("ensemble").data(data))
    }
}

/// What of some findings is not among others. The figures of one change while it lasts.
fn missing(some: &[Finding], others: &[Finding]) -> Vec<Finding> {
    let same =
        |one: &Finding, other: &Finding| one.failure == other.failure && one.agents == other.agents;
    let missing = some
        .iter()
        .filter(|one| !others.iter().any(|other| same(one, other)));
    missing.cloned().collect()
}
