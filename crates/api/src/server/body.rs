//! Request bodies: bounded in size and time, JSON only where JSON is asked for.

use std::error::Error;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::BytesMut;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::bodies::Share;
use super::refusal::Refusal;
use crate::limits::{BODIES_BYTES_MAX, BODY_BYTES_MAX, BODY_WITHIN, FILE_BODY_BYTES_MAX};

/// A JSON body. Requires the media type, so that no web page can make a browser send one unasked.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that also names the agent: `{"agent": "ada", …}`.
#[derive(Debug)]
pub(crate) struct By<T> {
    pub(crate) agent: String,
    pub(crate) body: T,
}

/// A JSON body that may bear a file.
#[derive(Debug)]
pub(crate) struct Large<T>(pub(crate) T);

/// A JSON body that may bear a file, and also names the agent.
#[derive(Debug)]
pub(crate) struct LargeBy<T> {
    pub(crate) agent: String,
    pub(crate) body: T,
}

/// A body of either bytes or JSON.
#[derive(Debug)]
pub(crate) enum Raw {
    Bytes(Bytes),
    Json(Bytes),
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        json(request, BODY_BYTES_MAX).await.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Large<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        json(request, FILE_BODY_BYTES_MAX).await.map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for LargeBy<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (agent, body) = by(json(request, FILE_BODY_BYTES_MAX).await?)?;
        Ok(Self { agent, body })
    }
}

async fn json<T: DeserializeOwned>(request: Request, bytes_max: usize) -> Result<T, Refusal> {
    require_json(request.headers())?;
    let bytes = read(request, bytes_max).await?;
    parse(&bytes)
}

/// Takes the agent out by hand, because serde cannot both flatten and refuse unknown fields.
fn by<T: DeserializeOwned>(mut fields: Map<String, Value>) -> Result<(String, T), Refusal> {
    let agent = match fields.remove("agent") {
        Some(Value::String(agent)) => agent,
        Some(_) => return Err(Refusal::malformed("`agent` is a text")),
        None => return Err(Refusal::malformed("missing field `agent`")),
    };
    let body = serde_json::from_value(Value::Object(fields))
        .map_err(|error| Refusal::malformed(error.to_string()))?;
    Ok((agent, body))
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for By<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let (agent, body) = by(json(request, BODY_BYTES_MAX).await?)?;
        Ok(Self { agent, body })
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        match media_type(request.headers()) {
            "application/octet-stream" => {
                let bytes = read(request, BODY_BYTES_MAX).await?;
                Ok(Self::Bytes(bytes))
            }
            // It may bear a file beside the record.
            "application/json" => {
                let bytes = read(request, FILE_BODY_BYTES_MAX).await?;
                Ok(Self::Json(bytes))
            }
            other => Err(unsupported(
                other,
                "application/octet-stream or application/json",
            )),
        }
    }
}

/// Reads JSON of one shape.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| Refusal::malformed(format!("the body: {error}")))
}

async fn read(request: Request, bytes_max: usize) -> Result<Bytes, Refusal> {
    let gathered = tokio::time::timeout(BODY_WITHIN, gathered(request, bytes_max)).await;
    gathered.unwrap_or_else(|_| {
        Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_slow",
            format!("the body did not arrive within {} s", BODY_WITHIN.as_secs()),
        )
        .hint("send the same again, over a better way or in smaller parts"))
    })
}

/// All of a body, as far as there is room for it.
async fn gathered(request: Request, bytes_max: usize) -> Result<Bytes, Refusal> {
    let share = request.extensions().get::<Share>().cloned();
    let mut body = Limited::new(request.into_body(), bytes_max);
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| unreadable(error.as_ref(), bytes_max))?;
        // Trailers are nobody's here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = |share: &Share| share.holds(bytes.len() + data.len());
        if !share.as_ref().is_none_or(room) {
            let words = format!("the bodies of requests hold {BODIES_BYTES_MAX} bytes here");
            return Err(Refusal::busy(words));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

fn unreadable(error: &(dyn Error + 'static), bytes_max: usize) -> Refusal {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if inner.is::<LengthLimitError>() {
            return Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("the body is larger than {bytes_max} bytes"),
            )
            .hint("send less at once; what is large lies better in a file that a record names");
        }
        cause = inner.source();
    }
    Refusal::malformed("the body broke off")
}

fn require_json(headers: &HeaderMap) -> Result<(), Refusal> {
    match media_type(headers) {
        "application/json" => Ok(()),
        other => Err(unsupported(other, "application/json")),
    }
}

fn unsupported(given: &str, wanted: &str) -> Refusal {
    let given = if given.is_empty() { "none" } else { given };
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media_type",
        format!("the content type is {given}; {wanted} is read here"),
    )
    .hint("set the header Content-Type")
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
}
