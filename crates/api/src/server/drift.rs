//! How an orchestra comes apart and together again, as server-sent events: looked at whenever something
//! is new and time makes a difference, at most once a second however many follow.

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
use crate::dto::{Coherence, CoherenceChange, Drift};
use crate::limits::{COHERENCE_LOOK_EVERY, WAIT_MS};

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
    let (follower, told) = Follower::start(edge, &o, terms).await?;
    let items = stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((event, follower))
    });
    Ok(as_events(&told, items))
}

/// The latest look at each orchestra that somebody follows.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<BTreeMap<OrchestraId, Look>>);

#[derive(Clone, Debug)]
struct Look {
    taken: Instant,
    told: Told,
    coherence: Arc<Coherence>,
}

impl Looks {
    /// The latest look, or a new one where that is too old. Whoever asks meanwhile waits for it.
    async fn at(&self, edge: &Edge, orchestra: OrchestraId) -> Result<Look, Refusal> {
        let mut looks = self.0.lock().await;
        looks.retain(|_, look| look.taken.elapsed() < COHERENCE_LOOK_EVERY);
        if let Some(look) = looks.get(&orchestra) {
            edge.admits(orchestra).await?;
            return Ok(look.clone());
        }
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let asked = edge.ask(orchestra, Question::Coherence, terms);
        let (told, View::Coherence(view)) = asked.await? else {
            return Err(Refusal::mismatch());
        };
        let look = Look {
            taken: Instant::now(),
            told,
            coherence: Arc::new(view.into()),
        };
        looks.insert(orchestra, look.clone());
        Ok(look)
    }
}

struct Follower {
    edge: Edge,
    orchestra: OrchestraId,
    /// What was told last.
    told: Option<Arc<Coherence>>,
    first: Option<Look>,
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
        let first = edge.looks().at(&edge, orchestra).await?;
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
            tokio::time::sleep(COHERENCE_LOOK_EVERY).await;
            self.wakes.woken().await;
            if self.wakes.stopping() {
                return None;
            }
            // Where the node cannot be asked just now, it is asked again.
            let Ok(look) = self.edge.looks().at(&self.edge, self.orchestra).await else {
                continue;
            };
            if let Some(event) = self.change(&look) {
                return Some(event);
            }
        }
    }

    /// What has changed since it was told last, if anything has.
    fn change(&mut self, look: &Look) -> Option<Event> {
        let now = Arc::clone(&look.coherence);
        let before = self.told.replace(Arc::clone(&now));
        if before.as_ref() == Some(&now) {
            return None;
        }
        let none: &[Drift] = &[];
        let former = before.as_ref().map_or(none, |before| &before.drift);
        let change = CoherenceChange {
            at: look.told.as_of.into(),
            coherence: now.coherence,
            score: now.score,
            agents: now.agents,
            gluing: now.gluing.clone(),
            begun: missing(&now.drift, former),
            ended: missing(former, &now.drift),
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
