//! Whoever is told of something as it happens, over one connection.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, broadcast, watch};
use unisono_model::OrchestraId;

use super::edge::{Edge, Told};
use super::refusal::Refusal;
use crate::limits::{HEARTBEAT_EVERY, LOOK_EVERY};

/// Whoever is told of something as it happens.
pub(super) trait Following: Sized + Send + 'static {
    /// The next event, once there is one; none: the connection ends.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;

    /// The events as they come, with a sign of life between them.
    fn into_response(self, told: &Told) -> Response {
        let events = stream::unfold(self, |mut following| async {
            let event = following.next().await?;
            Some((Ok::<_, Infallible>(event), following))
        });
        let keep_alive = KeepAlive::new().interval(HEARTBEAT_EVERY).text("alive");
        let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
        told.mark(&mut response);
        response
    }
}

/// Whoever looks again and again, and tells what it finds.
pub(super) trait Looking: Sized + Send + 'static {
    /// What it tells.
    fn outgoing(&mut self) -> &mut Outgoing;

    /// Waits until it is time to look again.
    fn wait(&mut self) -> impl Future<Output = ()> + Send {
        async { self.outgoing().wakes.woken().await }
    }

    /// Looks, and puts what it finds with what goes out. Where a refusal says when to come back, it looks again;
    /// any other refusal is the last event.
    fn look(&mut self) -> impl Future<Output = Result<(), Refusal>> + Send;
}

impl<L: Looking> Following for L {
    /// What was found goes out before anything else is looked for.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let outgoing = self.outgoing();
            if let Some(event) = outgoing.ready.pop_front() {
                return Some(event);
            }
            if outgoing.ended || outgoing.wakes.stopping() {
                return None;
            }
            if !outgoing.more {
                self.wait().await;
                if self.outgoing().wakes.stopping() {
                    return None;
                }
            }
            match self.look().await {
                Ok(()) => {}
                Err(refusal) if refusal.problem().retry_after_ms.is_some() => {
                    tokio::time::sleep(LOOK_EVERY / 5).await;
                }
                Err(refusal) => {
                    let outgoing = self.outgoing();
                    outgoing.ended = true;
                    outgoing.ready.push_back(last_words(&refusal));
                }
            }
        }
    }
}

/// What goes out over one connection, and what wakes it up.
pub(super) struct Outgoing {
    /// What was found and is not told yet.
    pub(super) ready: VecDeque<Event>,
    /// Whether there is more to look at already.
    pub(super) more: bool,
    pub(super) wakes: Wakes,
    ended: bool,
    _room: OwnedSemaphorePermit,
}

impl Outgoing {
    /// Nothing yet. What is new from here on wakes, so it is made before the first look: then nothing
    /// falls between.
    pub(super) fn new(edge: &Edge, orchestra: OrchestraId) -> Result<Self, Refusal> {
        Ok(Self {
            ready: VecDeque::new(),
            more: false,
            wakes: Wakes::new(edge, orchestra),
            ended: false,
            _room: edge.stream_room()?,
        })
    }
}

/// When a stream looks again.
pub(super) struct Wakes {
    orchestra: OrchestraId,
    published: broadcast::Receiver<OrchestraId>,
    stop: watch::Receiver<bool>,
}

impl Wakes {
    fn new(edge: &Edge, orchestra: OrchestraId) -> Self {
        Self {
            orchestra,
            published: edge.handle().published.subscribe(),
            stop: edge.handle().stop.clone(),
        }
    }

    /// Whether the process stops.
    fn stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Waits until something is new, the process stops, or it is time to look all the same.
    pub(super) async fn woken(&mut self) {
        let ours = self.orchestra;
        let published = async {
            loop {
                match self.published.recv().await {
                    Ok(orchestra) if orchestra != ours => {}
                    // Lagging means that something was published: look.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                    Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = published => {}
            _ = self.stop.wait_for(|&stopping| stopping) => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn last_words(refusal: &Refusal) -> Event {
    let data = serde_json::to_string(refusal.problem()).expect("a problem holds texts and numbers");
    Event::default().event("problem").data(data)
}
