//! Before every handler: who speaks, is there room. After it: who answered, and the count.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::edge::Edge;
use super::rates::Caller;
use super::readers::Reading;
use super::refusal::Refusal;

/// The one layer around all routes.
pub(crate) async fn gate(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let mut response = match admit(&edge, &request) {
        Ok((room, reading)) => {
            let body_room = edge.body_room();
            request.extensions_mut().insert(body_room.clone());
            let response = Arc::clone(&reading).during(next.run(request)).await;
            drop((room, body_room));
            reading.watch(&edge, response)
        }
        Err(refusal) => refusal.into_response(),
    };
    edge.counters().count(response.status(), started.elapsed());
    let node = HeaderValue::from_str(&edge.handle().node.to_string()).expect("hexadecimal");
    response
        .headers_mut()
        .insert(HeaderName::from_static("unisono-node"), node);
    response
}

/// No such route.
pub(crate) async fn no_route(uri: Uri) -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "route_unknown",
        format!("nothing is at {}", uri.path()),
    )
    .hint("GET /openapi.json lists what there is")
}

/// The route is there, for another method.
pub(crate) async fn no_method(request: Request) -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!(
            "{} does not take {}",
            request.uri().path(),
            request.method()
        ),
    )
    .hint("the header Allow names what it takes")
}

type Admitted<R> = (Option<R>, Arc<Reading>);

fn admit(edge: &Edge, request: &Request) -> Result<Admitted<impl Sized + use<>>, Refusal> {
    // Probes answer even when there is no room, or they would tell the wrong thing.
    let path = request.uri().path();
    if matches!(path, "/livez" | "/readyz" | "/version") {
        return Ok((None, Arc::default()));
    }
    match edge.token() {
        Some(token) if !token.admits(offered(request)) => {
            return Err(Refusal::new(
                StatusCode::UNAUTHORIZED,
                "token_needed",
                "this node takes requests only with its bearer token",
            )
            .hint("send the header Authorization: Bearer <token>"));
        }
        Some(_) => {}
        // Without a token only this machine can connect; a web page that points its own name at
        // this machine must not be able to speak through the browser.
        None => local_host(request)?,
    }
    if *edge.handle().stop.borrow() {
        return Err(Refusal::stopping());
    }
    if let Some(Caller(from)) = request.extensions().get::<Caller>() {
        edge.limiter().asked(*from).map_err(|wait| {
            Refusal::too_often(format!("too many requests come from {from}"), wait)
        })?;
    }
    let reading = Reading::of(edge, request.headers())?;
    Ok((Some(edge.room()?), reading))
}

fn offered(request: &Request) -> &[u8] {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)
        .map(HeaderValue::as_bytes);
    match value.and_then(|value| value.split_at_checked(7)) {
        Some((scheme, word)) if scheme.eq_ignore_ascii_case(b"bearer ") => word.trim_ascii(),
        _ => b"",
    }
}

fn local_host(request: &Request) -> Result<(), Refusal> {
    let Some(host) = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
    else {
        return Ok(());
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if bare == "localhost" || bare.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::MISDIRECTED_REQUEST,
        "host_unknown",
        format!("without a token this node answers to an address or localhost, not to {host:?}"),
    ))
}
