//! What time it is in the cluster.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::edge::Edge;
use super::refusal::Refusal;
use super::terms::Terms;
use crate::dto;

/// The cluster's clock as this node tells it: an estimate that never falls, the interval that contains
/// the truth for certain, who leads, and whose clocks are measured. It asks the timing plane and not
/// the node, so a busy node tells the time all the same.
#[utoipa::path(get, path = "/v1/clock", tag = "reads",
    responses((status = 200, body = dto::Clock)))]
pub(crate) async fn clock(State(edge): State<Edge>, terms: Terms) -> Result<Response, Refusal> {
    terms.end()?;
    let shown = (edge.handle().clock)();
    let body = dto::Clock {
        channels: shown.channels.as_ref().map(Into::into),
        ..dto::Clock::of(
            &shown.status,
            shown.monotonic_ns,
            shown.boot.as_deref(),
            shown.rate_ppb,
        )
    };
    let bytes = serde_json::to_vec(&body).expect("its numbers are finite and its keys are words");
    let media_type = (header::CONTENT_TYPE, "application/json");
    Ok((StatusCode::OK, [media_type], bytes).into_response())
}
