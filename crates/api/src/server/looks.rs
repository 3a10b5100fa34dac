//! What is looked at once for all who follow it: whenever something is new, at most so often, however
//! many follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use axum::response::sse::Event;
use tokio::sync::Mutex;
use tokio::time::Instant;
use unisono_core::node::Question;
use unisono_core::orchestra::view::View;
use unisono_model::{OrchestraId, Stamp};

use super::edge::{Edge, Told};
use super::following::{Following as _, Looking, Outgoing};
use super::refusal::Refusal;
use super::terms::{ReadTerms, Terms};
use crate::limits::WAIT_MS;

/// What many may follow of an orchestra.
pub(crate) trait Watched: Sized + Send + Sync + 'static {
    /// How often it is looked at, at most.
    const EVERY: Duration;
    /// What a node is asked for it.
    const QUESTION: Question;

    /// It, from the answer; `None` if that is another question's.
    fn of(view: View) -> Option<Self>;

    /// Where the latest looks at it are.
    fn looks(edge: &Edge) -> &Looks<Self>;

    /// What has changed since it was told last, if anything has. The first time, all that there is.
    fn change(&self, before: Option<&Self>, at: Stamp) -> Option<Event>;
}

/// The latest look at each orchestra that somebody follows.
#[derive(Debug)]
pub(crate) struct Looks<T>(Mutex<BTreeMap<OrchestraId, Look<T>>>);

#[derive(Debug)]
struct Look<T> {
    taken: Instant,
    told: Told,
    seen: Arc<T>,
}

impl<T> Clone for Look<T> {
    fn clone(&self) -> Self {
        Self {
            taken: self.taken,
            told: self.told.clone(),
            seen: Arc::clone(&self.seen),
        }
    }
}

impl<T> Default for Looks<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Watched> Looks<T> {
    /// The latest look, or a new one where that is too old. Whoever asks meanwhile waits for it.
    async fn at(&self, edge: &Edge, orchestra: OrchestraId) -> Result<Look<T>, Refusal> {
        let mut looks = self.0.lock().await;
        looks.retain(|_, look| look.taken.elapsed() < T::EVERY);
        if let Some(look) = looks.get(&orchestra) {
            edge.admits(orchestra).await?;
            return Ok(look.clone());
        }
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let (told, view) = edge.ask(orchestra, T::QUESTION, terms).await?;
        let look = Look {
            taken: Instant::now(),
            told,
            seen: Arc::new(T::of(view).ok_or_else(Refusal::mismatch)?),
        };
        looks.insert(orchestra, look.clone());
        Ok(look)
    }
}

/// Tells somebody of it as it changes.
pub(super) async fn follow<T: Watched>(
    edge: Edge,
    o: &str,
    terms: Terms,
) -> Result<Response, Refusal> {
    let orchestra = edge.orchestra(o)?;
    terms.end()?;
    let outgoing = Outgoing::new(&edge, orchestra)?;
    let first = T::looks(&edge).at(&edge, orchestra).await?;
    let told = first.told.clone();
    let mut follower = Follower::<T> {
        edge,
        orchestra,
        told: None,
        outgoing,
    };
    follower.take(first);
    Ok(follower.into_response(&told))
}

struct Follower<T> {
    edge: Edge,
    orchestra: OrchestraId,
    /// What was told last.
    told: Option<Arc<T>>,
    outgoing: Outgoing,
}

impl<T: Watched> Follower<T> {
    fn take(&mut self, look: Look<T>) {
        let before = self.told.replace(Arc::clone(&look.seen));
        let change = look.seen.change(before.as_deref(), look.told.as_of);
        self.outgoing.ready.extend(change);
    }
}

impl<T: Watched> Looking for Follower<T> {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// What comes meanwhile is told together.
    async fn wait(&mut self) {
        tokio::time::sleep(T::EVERY).await;
        self.outgoing.wakes.woken().await;
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        let look = T::looks(&self.edge).at(&self.edge, self.orchestra).await?;
        self.take(look);
        Ok(())
    }
}
