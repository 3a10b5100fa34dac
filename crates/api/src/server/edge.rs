//! The way of one request: into the node's inbox, and its answer back out with the headers that let
//! an agent read its own writes anywhere.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use unisono_core::node::{Answer, AnswerBody, Promise, Question, Work};
use unisono_core::orchestra::view::View;
use unisono_core::replication::Cursor;
use unisono_model::{Code, OrchestraId, Rejection, Stamp, check};

use super::bind::BearerToken;
use super::bodies::{Bodies, Share};
use super::ensemble::Findings;
use super::handle::{Asked, Call, NodeHandle};
use super::looks::Looks;
use super::metrics::HttpCounters;
use super::rates::{Limiter, Rates};
use super::readers::{self, Sessions};
use super::refusal::Refusal;
use super::terms::ReadTerms;
use crate::dto::Coherence;
use crate::limits::{
    MEASURE_WITHIN, MEASURES_MAX, REQUESTS_MAX, STREAMS_MAX, WAIT_MARGIN, WAIT_MS,
};

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Edge {
    inner: Arc<Inner>,
}

struct Inner {
    handle: NodeHandle,
    token: Option<BearerToken>,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    measures: Arc<Semaphore>,
    bodies: Bodies,
    counters: HttpCounters,
    coherence: Looks<Coherence>,
    findings: Looks<Findings>,
    limiter: Limiter,
    sessions: Sessions,
}

/// What an answer says about itself.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) as_of: Stamp,
    pub(crate) is_final: bool,
    pub(crate) cursor: Cursor,
}

impl Edge {
    pub(crate) fn new(handle: NodeHandle, token: Option<BearerToken>, rates: Rates) -> Self {
        Self {
            inner: Arc::new(Inner {
                handle,
                token,
                requests: Arc::new(Semaphore::new(REQUESTS_MAX)),
                streams: Arc::new(Semaphore::new(STREAMS_MAX)),
                measures: Arc::new(Semaphore::new(MEASURES_MAX)),
                bodies: Bodies::default(),
                counters: HttpCounters::default(),
                coherence: Looks::default(),
                findings: Looks::default(),
                limiter: Limiter::new(rates),
                sessions: Sessions::default(),
            }),
        }
    }

    pub(crate) fn handle(&self) -> &NodeHandle {
        &self.inner.handle
    }

    pub(crate) fn token(&self) -> Option<&BearerToken> {
        self.inner.token.as_ref()
    }

    pub(crate) fn counters(&self) -> &HttpCounters {
        &self.inner.counters
    }

    /// Who has asked how often.
    pub(crate) fn limiter(&self) -> &Limiter {
        &self.inner.limiter
    }

    /// Sessions that were found good.
    pub(crate) fn sessions(&self) -> &Sessions {
        &self.inner.sessions
    }

    /// Whether whoever this task asks for may read an orchestra: to be asked where they are shown what
    /// another one has asked for.
    pub(crate) async fn admits(&self, orchestra: OrchestraId) -> Result<(), Refusal> {
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        self.ask(orchestra, Question::Settings, terms)
            .await
            .map(drop)
    }

    /// Room for one more request, or none.
    pub(crate) fn room(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = |_| Refusal::busy(format!("{REQUESTS_MAX} requests are under way here"));
        self.inner
            .requests
            .clone()
            .try_acquire_owned()
            .map_err(full)
    }

    /// Room for the body of one more request, as it comes.
    pub(crate) fn body_room(&self) -> Share {
        self.inner.bodies.share()
    }

    /// Room for one more open stream, or none.
    pub(crate) fn stream_room(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let full = |_| Refusal::busy(format!("{STREAMS_MAX} streams are open here"));
        self.inner.streams.clone().try_acquire_owned().map_err(full)
    }

    /// Does something that may take long off the threads that serve, a few at a time.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let room = self.inner.measures.clone().acquire_owned();
        let Ok(Ok(room)) = tokio::time::timeout(MEASURE_WITHIN, room).await else {
            return Err(Refusal::busy("too many files wait to be measured here"));
        };
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(room);
            done
        });
        done.await.map_err(|_| Refusal::stopping())
    }

    /// What went wrong lately in orchestras whose playing together somebody follows.
    pub(crate) fn findings(&self) -> &Looks<Findings> {
        &self.inner.findings
    }

    /// The latest looks at the coherence of orchestras that somebody follows.
    pub(crate) fn coherence(&self) -> &Looks<Coherence> {
        &self.inner.coherence
    }

    /// The orchestra of a name, or of `id:` and its id.
    pub(crate) fn orchestra(&self, name: &str) -> Result<OrchestraId, Refusal> {
        if let Some(id) = name.strip_prefix("id:") {
            return id
                .parse()
                .map_err(|error| Refusal::malformed(format!("{error}")));
        }
        checked_name("orchestra", name)?;
        Ok(OrchestraId::of(self.inner.handle.cluster, name))
    }

    /// Has something done.
    pub(crate) async fn work(
        &self,
        orchestra: OrchestraId,
        work: Work,
        promise: Promise,
    ) -> Result<(Told, AnswerBody), Refusal> {
        let wait = Duration::from_millis(promise.deadline_ms) + WAIT_MARGIN;
        let answer = self.call(orchestra, Asked::Work { work, promise });
        match tokio::time::timeout(wait, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(nobody_can_tell("the node did not answer in time")),
        }
    }

    /// Has something told.
    pub(crate) async fn ask(
        &self,
        orchestra: OrchestraId,
        question: Question,
        terms: ReadTerms,
    ) -> Result<(Told, View), Refusal> {
        let ReadTerms {
            as_of,
            min_cursor,
            deadline_ms,
        } = terms;
        let wait = Duration::from_millis(deadline_ms) + WAIT_MARGIN;
        let asked = Asked::Question {
            question,
            as_of,
            min_cursor,
            deadline_ms,
            reader: readers::reader(),
        };
        match tokio::time::timeout(wait, self.call(orchestra, asked)).await {
            Ok(Ok((told, AnswerBody::View(view)))) => Ok((told, view)),
            Ok(Ok(_)) => Err(Refusal::mismatch()),
            Ok(Err(mut refusal)) => {
                // A question changes nothing, whether or not it was answered.
                refusal.problem_mut().changed = Some(false);
                readers::refused(&refusal);
                Err(refusal)
            }
            Err(_) => Err(Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                "timeout",
                "the node did not answer in time",
            )
            .hint("ask again, or ask another node")),
        }
    }

    async fn call(
        &self,
        orchestra: OrchestraId,
        asked: Asked,
    ) -> Result<(Told, AnswerBody), Refusal> {
        let (answer, answered) = oneshot::channel();
        let call = Call {
            orchestra,
            asked,
            answer,
        };
        self.inner
            .handle
            .calls
            .try_send(call)
            .map_err(|error| match error {
                TrySendError::Full(_) => Refusal::busy("the node's inbox is full"),
                TrySendError::Closed(_) => Refusal::stopping(),
            })?;
        let answer = answered
            .await
            .map_err(|_| nobody_can_tell("the node went away before it answered"))??;
        let Answer {
            as_of,
            is_final,
            cursor,
            body,
        } = answer;
        Ok((
            Told {
                as_of,
                is_final,
                cursor,
            },
            body,
        ))
    }
}

fn nobody_can_tell(detail: &str) -> Refusal {
    let unknown = Rejection::new(Code::Unknown, detail);
    Refusal::from(unknown.hint("send the same again with the same Idempotency-Key"))
}

/// A name that can be shown on one line.
pub(crate) fn checked_name(what: &'static str, name: &str) -> Result<(), Refusal> {
    check::name(what, name).map_err(|error| Refusal::from(Rejection::from(error)))
}

impl Told {
    /// A JSON answer with the headers that say what it speaks of.
    pub(crate) fn json<T: Serialize>(&self, status: StatusCode, body: &T) -> Response {
        let bytes = serde_json::to_vec(body).expect("the answers' maps have words as keys");
        let media_type = (axum::http::header::CONTENT_TYPE, "application/json");
        let mut response = (status, [media_type], bytes).into_response();
        self.mark(&mut response);
        response
    }

    /// Puts the headers on.
    pub(crate) fn mark(&self, response: &mut Response) {
        let headers = response.headers_mut();
        let mut put = |name, text: &str| {
            let value = HeaderValue::from_str(text).expect("hexadecimal, base64 or a word");
            headers.insert(HeaderName::from_static(name), value);
        };
        put("unisono-as-of", &self.as_of.to_string());
        put("unisono-cursor", &self.cursor.to_text());
        put(
            "unisono-final",
            if self.is_final { "true" } else { "false" },
        );
    }
}
