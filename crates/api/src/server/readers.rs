//! Who reads, from the request to the last byte of its answer.
//!
//! The gate finds out once who asks. Whatever the handler and the stream behind it ask of the node is
//! asked on their behalf, because it happens in the same task: no handler names them, so none can
//! forget to. What is asked outside of a request, or in a task that a handler has started, is asked by
//! a stranger, who is shown the least.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Frame;
use unisono_core::context::StrictVerifier;
use unisono_core::node::Reader;
use unisono_core::session::{Examined, examine};
use unisono_model::{ClusterId, Code, Digest, Rejection, check};

use super::edge::Edge;
use super::refusal::Refusal;
use crate::dto::{Problem, parse_session};
use crate::limits::SESSIONS_REMEMBERED_MAX;

/// The session of who reads: `unises1.…`.
const SESSION: &str = "unisono-session";
/// The name of an agent whose key the node holds, who reads.
const HELD: &str = "unisono-as";

tokio::task_local! {
    static READING: Arc<Reading>;
}

/// Who has sent a request, and whether it was refused them.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    reader: Reader,
    refused: OnceLock<Box<Problem>>,
}

/// On whose behalf this task asks.
pub(crate) fn reader() -> Reader {
    let of_task = READING.try_with(|reading| reading.reader.clone());
    of_task.unwrap_or_default()
}

/// The node has refused something that this task has asked.
pub(crate) fn refused(refusal: &Refusal) {
    let problem = refusal.problem();
    let unknown = problem.code == Code::AgentUnknown.as_str();
    if problem.status == StatusCode::FORBIDDEN.as_u16() || unknown {
        // The first one stands.
        let _ = READING.try_with(|reading| reading.refused.set(Box::new(problem.clone())));
    }
}

/// Sessions that were found good, so that their next requests cost no signature.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<HashMap<Digest, Examined>>);

impl Sessions {
    fn examined(&self, text: &str, cluster: ClusterId) -> Result<Examined, Rejection> {
        let name = Digest::of("unisono/session-text/v1", &[text.as_bytes()]);
        let known = self.lock().get(&name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let invalid = |words: String| {
            Rejection::new(Code::SessionInvalid, words).hint(
                "`unisono session open --as NAME --key-file FILE` prints one that counts here",
            )
        };
        let bytes = parse_session(text).map_err(|words| invalid(words.to_owned()))?;
        let examined = examine(&bytes, cluster, &mut StrictVerifier)
            .map_err(|why| invalid(why.to_string()))?;
        let mut sessions = self.lock();
        if sessions.len() >= SESSIONS_REMEMBERED_MAX {
            let now_ms = wall_ms();
            sessions.retain(|_, one| one.session().ends_ms > now_ms);
            if sessions.len() >= SESSIONS_REMEMBERED_MAX {
                // Whoever is at work comes back with the next request.
                sessions.clear();
            }
        }
        sessions.insert(name, examined.clone());
        Ok(examined)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Examined>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    /// Who sends a request with these headers. Whether they may read is the node's to say, where
    /// it matters.
    ///
    /// # Errors
    /// The key has asked too often.
    pub(crate) fn of(edge: &Edge, headers: &HeaderMap) -> Result<Arc<Self>, Refusal> {
        let reader = match (headers.get(SESSION), headers.get(HELD)) {
            (None, None) => Reader::Stranger,
            (Some(session), None) => {
                let text = session.to_str().unwrap_or_default();
                match edge.sessions().examined(text, edge.handle().cluster) {
                    Ok(examined) => {
                        let key = examined.session().agent;
                        edge.limiter()
                            .read_by(key)
                            .map_err(|wait| Refusal::too_often("this key reads too often", wait))?;
                        Reader::Session(Box::new(examined))
                    }
                    Err(rejection) => Reader::Refused(rejection),
                }
            }
            (None, Some(name)) => match named(name) {
                Ok(name) => Reader::Held(name),
                Err(rejection) => Reader::Refused(rejection),
            },
            (Some(_), Some(_)) => Reader::Refused(
                Rejection::new(
                    Code::SessionInvalid,
                    "a request bears Unisono-Session or Unisono-As, not both",
                )
                .hint("leave one of the two headers out"),
            ),
        };
        Ok(Arc::new(Self {
            reader,
            refused: OnceLock::new(),
        }))
    }

    /// Does something on their behalf.
    pub(crate) async fn during<T>(self: Arc<Self>, work: impl Future<Output = T>) -> T {
        READING.scope(self, work).await
    }

    /// Says on the answer who has read, and what one has to know who was refused; a stream goes on being
    /// asked for on their behalf, and ends when they may not read any more.
    pub(crate) fn watch(self: Arc<Self>, edge: &Edge, mut response: Response) -> Response {
        let held = match &self.reader {
            Reader::Session(_) => Some("agent"),
            Reader::Held(_) => Some("node"),
            Reader::Own | Reader::Stranger | Reader::Refused(_) => None,
        };
        let headers = response.headers_mut();
        if let Some(held) = held {
            let name = HeaderName::from_static("unisono-held");
            headers.insert(name, HeaderValue::from_static(held));
        }
        let code = headers.get("unisono-code");
        if code.is_some_and(|code| code.as_bytes().starts_with(b"session_")) {
            let cluster = edge.handle().cluster.to_string();
            let cluster = HeaderValue::from_str(&cluster).expect("hexadecimal");
            headers.insert(HeaderName::from_static("unisono-cluster"), cluster);
            let now = HeaderValue::from(clock_ms(edge));
            headers.insert(HeaderName::from_static("unisono-now-ms"), now);
        }
        if response.body().size_hint().exact().is_some() {
            return response;
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        let tells = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        response.map(|body| {
            Body::new(Watched {
                body,
                reading: self,
                tells,
                over: false,
            })
        })
    }
}

fn named(name: &HeaderValue) -> Result<String, Rejection> {
    let name = name.to_str().unwrap_or_default();
    check::name("agent", name).map_err(Rejection::from)?;
    Ok(name.to_owned())
}

/// A body that is made while it is sent.
struct Watched {
    body: Body,
    reading: Arc<Reading>,
    /// Whether a refusal can be told in it as an event.
    tells: bool,
    over: bool,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let reading = Arc::clone(&self.reading);
        let polled = READING.sync_scope(Arc::clone(&reading), || {
            Pin::new(&mut self.body).poll_frame(context)
        });
        match reading.refused.get() {
            Some(problem) if self.tells => {
                self.over = true;
                let data = serde_json::to_string(problem).expect("texts and numbers");
                let words = format!("event: problem\ndata: {data}\n\n");
                Poll::Ready(Some(Ok(Frame::data(words.into()))))
            }
            _ => polled,
        }
    }
}

/// What the node judges sessions by (ms since the Unix epoch).
fn clock_ms(edge: &Edge) -> u64 {
    let shown = (edge.handle().clock)().status.reading;
    shown.map_or_else(wall_ms, |reading| reading.estimate_ns / 1_000_000)
}

fn wall_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX)
}
