//! Long answers: events followed over any node, and dumps line by line.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Response};
use unisono_core::replication::Cursor;
use unisono_model::{Digest, Stamp};

use super::calls::{path_of, with_query};
use super::http::{Failure, Got, Wanted};
use super::source::{Source, read};
use super::{Client, ClientError, problem, put};
use crate::dto::{Problem, RecordEvent};
use crate::limits::LINE_BYTES_MAX;

/// Records seen lately, to leave out what a resumption shows twice. More than a bundle holds.
const RECENT_MAX: usize = 256;

/// One record that was followed.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The record.
    pub record: RecordEvent,
    /// What has been seen with it: go on from here, on any node.
    pub cursor: Cursor,
}

/// An orchestra's records as they come, over whichever node answers.
#[derive(Debug)]
pub struct Events {
    source: Source,
    orchestra: String,
    after: Option<Cursor>,
    recent: VecDeque<Digest>,
}

/// Every record of an orchestra, line by line.
#[derive(Debug)]
pub struct Dump {
    lines: Lines,
}

impl Client {
    /// Follows an orchestra from a cursor on; from the beginning without one.
    pub fn follow(&self, orchestra: &str, after: Option<Cursor>) -> Events {
        self.events(orchestra, after, false)
    }

    /// Follows what is new from now on.
    pub fn follow_new(&self, orchestra: &str) -> Events {
        self.events(orchestra, None, true)
    }

    fn events(&self, orchestra: &str, after: Option<Cursor>, live: bool) -> Events {
        let now = live && after.is_none();
        let query: &[_] = if now { &[("after", "now")] } else { &[] };
        let path = with_query(&path_of(orchestra, "events"), query);
        Events {
            source: Source::new(self, path),
            orchestra: orchestra.to_owned(),
            after,
            recent: VecDeque::new(),
        }
    }

    /// Reads every record after a cursor from the nearest node.
    pub async fn dump(&self, orchestra: &str, after: Option<&Cursor>) -> Result<Dump, ClientError> {
        self.dump_as_of(orchestra, after, None).await
    }

    /// The same, of what stood at a moment, and of what was set aside by then.
    pub async fn dump_as_of(
        &self,
        orchestra: &str,
        after: Option<&Cursor>,
        at: Option<Stamp>,
    ) -> Result<Dump, ClientError> {
        let (after, at) = (after.map(Cursor::to_text), at.map(|at| at.to_string()));
        let after = after.as_deref().map(|after| ("after", after));
        let at = at.as_deref().map(|at| ("as_of", at));
        let query: Vec<_> = after.into_iter().chain(at).collect();
        let path = with_query(&path_of(orchestra, "dump"), &query);
        let body = self.stream(&self.nearest(), path, None).await?;
        Ok(Dump {
            lines: Lines::new(body, self.inner.config.request_within),
        })
    }

    /// Waits before a stream that broke is opened again, at another node if there is one.
    ///
    /// # Errors
    /// The refusal, if it would be the same again; or that too often in a row nobody answered.
    pub(super) async fn before_again(
        &self,
        node: &str,
        failures: &mut u32,
        error: ClientError,
    ) -> Result<(), ClientError> {
        *failures += 1;
        let is_final = error
            .problem()
            .is_some_and(|problem| !matches!(problem.status, 429 | 500 | 503 | 504));
        if is_final || *failures >= self.attempts_max() {
            return Err(error);
        }
        self.avoid(node);
        let wait_ms = error.problem().and_then(|problem| problem.retry_after_ms);
        let wait_ms = wait_ms.unwrap_or(100 << (*failures).min(6));
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        Ok(())
    }

    pub(super) async fn stream(
        &self,
        node: &str,
        path: String,
        seen: Option<(&'static str, &str)>,
    ) -> Result<Incoming, ClientError> {
        let within = self.inner.config.request_within;
        let mut wanted = Wanted::new(Method::GET, path, None, within);
        if let Some((header, seen)) = seen {
            put(&mut wanted.headers, header, seen);
        }
        let mut introduced = false;
        loop {
            let (parts, body) = self.opened(node, &wanted).await?.into_parts();
            if parts.status.is_success() {
                return Ok(body);
            }
            let body = http_body_util::Limited::new(body, LINE_BYTES_MAX)
                .collect()
                .await;
            let body = body
                .map(http_body_util::Collected::to_bytes)
                .unwrap_or_default();
            let got = Got {
                status: parts.status,
                headers: parts.headers,
                body,
            };
            let problem = problem(&got);
            if introduced || !self.introduces(&wanted.path, &got.headers, &problem) {
                return Err(ClientError::Refused(Box::new(problem)));
            }
            introduced = true;
        }
    }

    async fn opened(&self, node: &str, wanted: &Wanted) -> Result<Response<Incoming>, ClientError> {
        let wanted = self.introduced(wanted)?;
        let opened = self.inner.http.open(node, &wanted);
        match tokio::time::timeout(wanted.within, opened).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(Failure::NotSent(words) | Failure::Unanswered(words))) => {
                Err(ClientError::Unreachable(words))
            }
            Err(_) => Err(ClientError::Unreachable(format!("{node} did not answer"))),
        }
    }
}

impl Events {
    /// The next record. Waits as long as it takes; goes to another node when one falls silent.
    pub async fn next(&mut self) -> Result<Followed, ClientError> {
        loop {
            let after = self.after.as_ref().map(Cursor::to_text);
            let seen = |_: &Client| after.clone().map(|after| ("last-event-id", after));
            let event = self.source.next(seen).await?;
            if event.kind != "record" {
                continue;
            }
            let record: RecordEvent = read(&event.data)?;
            let cursor = Cursor::from_text(&event.id)
                .ok_or_else(|| ClientError::Unreadable("an event without cursor".to_owned()))?;
            self.after = Some(cursor.clone());
            // From here on it says where it is by what it has seen.
            self.source.path = path_of(&self.orchestra, "events");
            self.source.client.seen(&self.orchestra, &cursor);
            if self.recent.contains(&record.record) {
                continue;
            }
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(record.record);
            return Ok(Followed { record, cursor });
        }
    }
}

impl Dump {
    /// The next record; none at the end. A dump that breaks off is an error, never an end.
    pub async fn next(&mut self) -> Result<Option<RecordEvent>, ClientError> {
        let Some(line) = self.lines.next().await? else {
            return Ok(None);
        };
        match serde_json::from_str(&line) {
            Ok(record) => Ok(Some(record)),
            Err(error) => Err(match serde_json::from_str(&line) {
                Ok(LastLine { problem }) => ClientError::Refused(Box::new(problem)),
                Err(_) => ClientError::Unreadable(error.to_string()),
            }),
        }
    }
}

/// Why a dump breaks off.
#[derive(serde::Deserialize)]
struct LastLine {
    problem: Problem,
}

#[derive(Debug, Default)]
pub(super) struct SseEvent {
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) data: String,
}

/// Reads lines up to the blank one that ends an event; heartbeats are comments and pass.
pub(super) async fn sse_event(lines: &mut Lines) -> Result<Option<SseEvent>, ClientError> {
    let mut event = SseEvent::default();
    loop {
        let Some(line) = lines.next().await? else {
            return Ok(None);
        };
        if line.is_empty() {
            if event.data.is_empty() {
                continue;
            }
            return Ok(Some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event.kind),
            "id" => value.clone_into(&mut event.id),
            "data" => event.data.push_str(value),
            _ => {}
        }
    }
}

/// A body's lines, bounded in length and in silence.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    buffer: BytesMut,
    silence_max: Duration,
}

impl Lines {
    pub(super) fn new(body: Incoming, silence_max: Duration) -> Self {
        Self {
            body,
            buffer: BytesMut::new(),
            silence_max,
        }
    }

    async fn next(&mut self) -> Result<Option<String>, ClientError> {
        let broken = |words: String| ClientError::Unreachable(format!("the stream broke: {words}"));
        let mut searched = 0;
        loop {
            let unsearched = &self.buffer[searched..];
            if let Some(end) = unsearched.iter().position(|&byte| byte == b'\n') {
                let line = self.buffer.split_to(searched + end + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
            searched = self.buffer.len();
            if searched > LINE_BYTES_MAX {
                return Err(ClientError::Unreadable("a line without end".to_owned()));
            }
            let frame = tokio::time::timeout(self.silence_max, self.body.frame()).await;
            match frame.map_err(|_| broken("silence".to_owned()))? {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(broken(error.to_string())),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(broken("in the middle of a line".to_owned())),
            }
        }
    }
}
