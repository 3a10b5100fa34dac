//! Request bodies: bounded in size and time, JSON only where JSON is asked for.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::limits::{BODY_BYTES_MAX, BODY_WITHIN};

/// A JSON body. Requires the media type, so that no web page can make a browser send one unasked.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

/// A JSON body that also names the agent: `{"agent": "ada", …}`.
#[derive(Debug)]
pub(crate) struct By<T> {
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
        require_json(request.headers())?;
        let bytes = read(request.into_body()).await?;
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for By<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let Json(mut fields) = Json::<Map<String, Value>>::from_request(request, state).await?;
        // Taken out by hand, because serde cannot both flatten and refuse unknown fields.
        let agent = match fields.remove("agent") {
            Some(Value::String(agent)) => agent,
            Some(_) => return Err(Refusal::malformed("`agent` is a text")),
            None => return Err(Refusal::malformed("missing field `agent`")),
        };
        let body = serde_json::from_value(Value::Object(fields))
            .map_err(|error| Refusal::malformed(error.to_string()))?;
        Ok(Self { agent, body })
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        match media_type(request.headers()) {
            "application/octet-stream" => read(request.into_body()).await.map(Self::Bytes),
            "application/json" => read(request.into_body()).await.map(Self::Json),
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

async fn read(body: Body) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(unreadable(&error)),
        Err(_) => Err(Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_slow",
            format!("the body did not arrive within {} s", BODY_WITHIN.as_secs()),
        )),
    }
}

fn unreadable(error: &axum::Error) -> Refusal {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if inner.is::<LengthLimitError>() {
            return Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                format!("the body is larger than {BODY_BYTES_MAX} bytes"),
            );
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
