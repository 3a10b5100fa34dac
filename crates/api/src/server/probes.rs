//! For whoever keeps the process alive and watches it: probes, metrics, version, description.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use unisono_core::node::Question;
use unisono_core::orchestra::view::View;
use unisono_model::{BUNDLE_VERSION, OrchestraId, RECORD_VERSION};

use super::edge::Edge;
use super::metrics::write_status;
use super::refusal::Refusal;
use super::terms::{ReadTerms, Terms};
use crate::dto;

const TEXT: (header::HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");

/// The process runs.
#[utoipa::path(get, path = "/livez", tag = "probes", responses((status = 200, body = String)))]
pub(crate) async fn livez() -> Response {
    ([TEXT], "ok\n").into_response()
}

/// The node can serve. A node that is cut off from others is still ready, and says so.
#[utoipa::path(get, path = "/readyz", tag = "probes",
    params(("verbose" = Option<String>, Query, description = "Lists what was looked at")),
    responses((status = 200, body = String), (status = 503, body = String)))]
pub(crate) async fn readyz(
    State(edge): State<Edge>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let verbose = terms.text("verbose")?.is_some();
    terms.end()?;
    let readiness = edge.handle().readiness.borrow().clone();
    let ready = readiness.ready && !*edge.handle().stop.borrow();
    let mut text = String::new();
    for check in readiness
        .checks
        .iter()
        .filter(|check| verbose || !check.well)
    {
        let mark = if check.well { '+' } else { '-' };
        writeln!(text, "[{mark}] {}: {}", check.name, check.detail)
            .expect("a string takes everything");
    }
    text.push_str(if ready { "ready\n" } else { "not ready\n" });
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((status, [TEXT], text).into_response())
}

/// Figures for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "probes", responses((status = 200, body = String)))]
pub(crate) async fn metrics(State(edge): State<Edge>) -> Response {
    let mut text = String::new();
    let terms = ReadTerms {
        deadline_ms: 1_000,
        ..ReadTerms::default()
    };
    // A node too busy to answer still has the edge's own figures, which say that it is busy.
    let status = edge
        .ask(OrchestraId::default(), Question::Status, terms)
        .await;
    if let Ok((_, View::Status(view))) = status {
        write_status(&view.into(), &mut text);
    }
    super::coherence::write_gauges(&edge, &mut text).await;
    edge.counters().write(&mut text);
    text.push_str(&(edge.handle().metrics)());
    let media_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

/// Which program answers, and for which node.
#[utoipa::path(get, path = "/version", tag = "probes",
    responses((status = 200, body = dto::Version)))]
pub(crate) async fn version(State(edge): State<Edge>) -> axum::Json<dto::Version> {
    let handle = edge.handle();
    axum::Json(dto::Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        api: "v1".to_owned(),
        record_format: RECORD_VERSION,
        bundle_format: BUNDLE_VERSION,
        node: handle.node,
        name: handle.name.clone(),
        region: handle.region.clone(),
        cluster: handle.cluster,
    })
}
