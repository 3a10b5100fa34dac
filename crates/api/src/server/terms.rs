//! What stands beside a request's body: query, headers, path. Unknown names are refused.

use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use unisono_core::node::Promise;
use unisono_core::replication::Cursor;
use unisono_model::{Code, IdempotencyKey, Rejection, Stamp};
use utoipa::IntoParams;

use super::refusal::Refusal;
use crate::dto::parse_stamp;
use crate::limits::{DURABLE_ON_MAX, KEY_BYTES_MAX, PAGE, PAGE_MAX, WAIT_MS, WAIT_MS_MAX};

/// The terms of one request. Each name is taken once; what is left over at the end is unknown.
#[derive(Debug)]
pub(crate) struct Terms {
    query: Vec<(String, String)>,
    min_cursor: Option<String>,
    key: Option<String>,
    last_event: Option<String>,
}

/// Terms of every read.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the query to readers of the OpenAPI document"
)]
pub(crate) struct ReadParams {
    /// As of which moment: an RFC 3339 time or a stamp (16 hexadecimal characters).
    pub(crate) as_of: Option<String>,
    /// Answer only with at least this (also as header `Unisono-Min-Cursor`).
    pub(crate) min_cursor: Option<String>,
    /// How long to wait for that (ms).
    pub(crate) wait_ms: Option<u64>,
}

/// Terms of a read that speaks of now.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the query to readers of the OpenAPI document"
)]
pub(crate) struct NowParams {
    /// Answer only with at least this (also as header `Unisono-Min-Cursor`).
    pub(crate) min_cursor: Option<String>,
    /// How long to wait for that (ms).
    pub(crate) wait_ms: Option<u64>,
}

/// Terms of every write.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the query to readers of the OpenAPI document"
)]
pub(crate) struct WriteParams {
    /// On how many nodes' disks it must be before the answer; 1 is this node.
    pub(crate) durable_on: Option<u16>,
    /// Whether a claim must be confirmed before the answer.
    pub(crate) confirm: Option<bool>,
    /// How long to wait for these (ms); what is missing then is said, not failed.
    pub(crate) wait_ms: Option<u64>,
    /// Act only on at least this (also as header `Unisono-Min-Cursor`).
    pub(crate) min_cursor: Option<String>,
}

/// Terms of what makes no record of an agent's.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the query to readers of the OpenAPI document"
)]
pub(crate) struct WaitParams {
    /// How long to wait for it (ms).
    pub(crate) wait_ms: Option<u64>,
}

/// The header that makes a write safe to repeat.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(
    dead_code,
    reason = "describes the header to readers of the OpenAPI document"
)]
pub(crate) struct KeyParam {
    /// The client's own words for this request: the same words count once in the cluster.
    #[param(rename = "Idempotency-Key")]
    pub(crate) key: Option<String>,
}

/// What a read needs to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadTerms {
    pub(crate) as_of: Option<Stamp>,
    pub(crate) min_cursor: Option<Cursor>,
    pub(crate) deadline_ms: u64,
}

impl<S: Send + Sync> FromRequestParts<S> for Terms {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Refusal::malformed(format!("the query: {}", error.body_text())))?;
        let header = |name: &str| {
            let Some(value) = parts.headers.get(name) else {
                return Ok(None);
            };
            let text = value.to_str().map(|text| Some(text.to_owned()));
            text.map_err(|_| Refusal::malformed(format!("the header {name} is no plain text")))
        };
        Ok(Self {
            min_cursor: header("unisono-min-cursor")?,
            key: header("idempotency-key")?,
            last_event: header("last-event-id")?,
            query: query.0,
        })
    }
}

impl Terms {
    /// The value of one name of the query.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        let Some(index) = self.query.iter().position(|(known, _)| known == name) else {
            return Ok(None);
        };
        let (_, value) = self.query.swap_remove(index);
        if self.query.iter().any(|(known, _)| known == name) {
            return Err(Refusal::malformed(format!(
                "`{name}` stands twice in the query"
            )));
        }
        Ok(Some(value))
    }

    /// A number of the query, within a range.
    pub(crate) fn number<N>(
        &mut self,
        name: &str,
        range: RangeInclusive<N>,
    ) -> Result<Option<N>, Refusal>
    where
        N: FromStr + PartialOrd + std::fmt::Display,
    {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::malformed(format!(
                "`{name}` is a number from {} to {}",
                range.start(),
                range.end()
            ))),
        }
    }

    /// A word of a closed list.
    pub(crate) fn word<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Refusal> {
        let Some(word) = self.text(name)? else {
            return Ok(None);
        };
        // `unknown variant `x`, expected one of …`
        let read = serde_json::from_value(word.into());
        read.map(Some)
            .map_err(|error| Refusal::malformed(format!("`{name}`: {error}")))
    }

    /// Most items of an answer that is a list.
    pub(crate) fn limit(&mut self) -> Result<usize, Refusal> {
        Ok(self.number("limit", 1..=PAGE_MAX)?.unwrap_or(PAGE))
    }

    /// Whether one name of the query is said to be so.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Refusal> {
        match self.text(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => Err(Refusal::malformed(format!("`{name}` is true or false"))),
        }
    }

    /// A cursor of the query.
    pub(crate) fn cursor(&mut self, name: &str) -> Result<Option<Cursor>, Refusal> {
        self.text(name)?.map(|text| cursor(&text)).transpose()
    }

    /// The `Last-Event-ID` of a stream that goes on.
    pub(crate) fn last_event(&self) -> Result<Option<Cursor>, Refusal> {
        self.last_event.as_deref().map(cursor).transpose()
    }

    /// The moment that a read speaks of, if one is named.
    pub(crate) fn moment(&mut self) -> Result<Option<Stamp>, Refusal> {
        let Some(text) = self.text("as_of")? else {
            return Ok(None);
        };
        let wrong = |error| Rejection::new(Code::CursorInvalid, format!("`as_of`: {error}"));
        Ok(Some(parse_stamp(&text).map_err(wrong)?))
    }

    /// Ends the query of a read.
    pub(crate) fn read(mut self) -> Result<ReadTerms, Refusal> {
        let terms = ReadTerms {
            as_of: self.moment()?,
            min_cursor: self.min_cursor()?,
            deadline_ms: self.wait_ms()?,
        };
        self.end()?;
        Ok(terms)
    }

    /// Ends the query of a read that speaks of now.
    pub(crate) fn read_now(mut self) -> Result<ReadTerms, Refusal> {
        let terms = ReadTerms {
            as_of: None,
            min_cursor: self.min_cursor()?,
            deadline_ms: self.wait_ms()?,
        };
        self.end()?;
        Ok(terms)
    }

    /// Ends the query of what takes its time and nothing else.
    pub(crate) fn wait(mut self) -> Result<u64, Refusal> {
        let wait_ms = self.wait_ms()?;
        self.end()?;
        Ok(wait_ms)
    }

    /// Ends the query of a write.
    pub(crate) fn write(mut self) -> Result<(Promise, Option<IdempotencyKey>), Refusal> {
        let durable_on = self.number("durable_on", 1..=DURABLE_ON_MAX)?.unwrap_or(1);
        let confirm = self.flag("confirm")?;
        let deadline_ms = self.wait_ms()?;
        let promise = Promise {
            durable_on,
            confirm,
            deadline_ms,
            min_cursor: self.min_cursor()?,
        };
        let key = match self.key.take() {
            Some(words) if words.is_empty() || words.len() > KEY_BYTES_MAX => {
                return Err(Refusal::malformed(format!(
                    "Idempotency-Key has 1 to {KEY_BYTES_MAX} characters"
                )));
            }
            words => words.map(|words| crate::idempotency_key(&words)),
        };
        self.end()?;
        Ok((promise, key))
    }

    /// Refuses what nobody has taken.
    pub(crate) fn end(&self) -> Result<(), Refusal> {
        match self.query.first() {
            None => Ok(()),
            Some((name, _)) if name == "as_of" => {
                let words = "this speaks of now, not of an earlier time: what is done, what comes, \
                     the clock, and records as they were dumped; nothing changed";
                Err(Refusal::from(Rejection::new(Code::TooOld, words))
                    .hint("ask without `as_of`; views of an orchestra take it"))
            }
            Some((name, _)) => Err(Refusal::malformed(format!("unknown query field `{name}`"))),
        }
    }

    fn min_cursor(&mut self) -> Result<Option<Cursor>, Refusal> {
        let text = self.text("min_cursor")?.or_else(|| self.min_cursor.take());
        text.map(|text| cursor(&text)).transpose()
    }

    fn wait_ms(&mut self) -> Result<u64, Refusal> {
        Ok(self.number("wait_ms", 0..=WAIT_MS_MAX)?.unwrap_or(WAIT_MS))
    }
}

pub(crate) fn cursor(text: &str) -> Result<Cursor, Refusal> {
    Cursor::from_text(text).ok_or_else(|| {
        let detail = "the cursor is not one that a node gave out";
        Refusal::from(Rejection::new(Code::CursorInvalid, detail))
            .hint("use the text of a Unisono-Cursor header or an event's id unchanged")
    })
}

/// The names in the path.
#[derive(Debug)]
pub(crate) struct Names<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Names<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        path.map(|Path(names)| Self(names))
            .map_err(|error| Refusal::malformed(format!("the path: {}", error.body_text())))
    }
}
