//! What goes wrong among those who play together, as server-sent events: looked at whenever something is
//! new, at most once a second however many follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit};
use tokio::time::Instant;
use unisono_core::node::Question;
use unisono_core::orchestra::view::View;
use unisono_model::OrchestraId;

use super::edge::{Edge, Told};
use super::refusal::Refusal;
use super::streams::{Wakes, as_events};
use super::terms::{Names, ReadTerms, Terms};
use crate::dto::{Finding, FindingChange};
use crate::limits::{FINDINGS_LOOK_EVERY, WAIT_MS};

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
    let (follower, told) = Follower::start(edge, &o, terms).await?;
    let items = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((event, follower))
    });
    Ok(as_events(&told, items))
}

/// The latest judgement of each orchestra that somebody follows.
#[derive(Debug, Default)]
pub(crate) struct Judgements(Mutex<BTreeMap<OrchestraId, Judgement>>);

#[derive(Clone, Debug)]
struct Judgement {
    taken: Instant,
    told: Told,
    findings: Arc<Vec<Finding>>,
}

impl Judgements {
    /// The latest one, or a new one where that is too old. Whoever asks meanwhile waits for it.
    async fn at(&self, edge: &Edge, orchestra: OrchestraId) -> Result<Judgement, Refusal> {
        let mut latest = self.0.lock().await;
        latest.retain(|_, one| one.taken.elapsed() < FINDINGS_LOOK_EVERY);
        if let Some(one) = latest.get(&orchestra) {
            edge.admits(orchestra).await?;
            return Ok(one.clone());
        }
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let asked = edge.ask(orchestra, Question::Players, terms);
        let (told, View::Players(view)) = asked.await? else {
            return Err(Refusal::mismatch());
        };
        let findings = view.findings.into_iter().map(Into::into).collect();
        let judgement = Judgement {
            taken: Instant::now(),
            told,
            findings: Arc::new(findings),
        };
        latest.insert(orchestra, judgement.clone());
        Ok(judgement)
    }
}

struct Follower {
    edge: Edge,
    orchestra: OrchestraId,
    /// What was told last.
    told: Option<Arc<Vec<Finding>>>,
    first: Option<Judgement>,
    wakes: Wakes,
    _room: OwnedSemaphorePermit,
}

impl Follower {
    async fn start(edge: Edge, o: &str, terms: Terms) -> Result<(Self, Told), Refusal> {
        let room = edge.stream_room()?;
        let orchestra = edge.orchestra(o)?;
        terms.end()?;
        // Subscribed before the first look, so that nothing falls between.
        let wakes = Wakes::new(&edge, orchestra);
        let first = edge.judgements().at(&edge, orchestra).await?;
        let told = first.told.clone();
        let follower = Self {
            edge,
            orchestra,
            told: None,
            first: Some(first),
            wakes,
            _room: room,
        };
        Ok((follower, told))
    }

    async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return self.change(&first);
        }
        loop {
            // What comes meanwhile is told together.
            tokio::time::sleep(FINDINGS_LOOK_EVERY).await;
            self.wakes.woken().await;
            if self.wakes.stopping() {
                return None;
            }
            // Where the node cannot be asked just now, it is asked again.
            let latest = self.edge.judgements().at(&self.edge, self.orchestra);
            let Ok(latest) = latest.await else {
                continue;
            };
            if let Some(event) = self.change(&latest) {
                return Some(event);
            }
        }
    }

    /// What has begun or is over since it was told last, if anything has.
    fn change(&mut self, latest: &Judgement) -> Option<Event> {
        let now = Arc::clone(&latest.findings);
        let before = self.told.replace(Arc::clone(&now));
        let none: &[Finding] = &[];
        let former = before.as_ref().map_or(none, |before| before);
        let change = FindingChange {
            at: latest.told.as_of.into(),
            begun: missing(&now, former),
            over: missing(former, &now),
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
