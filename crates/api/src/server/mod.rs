//! The server: HTTP in, calls to the node, JSON out.

mod bind;
mod handle;

use std::io;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use bind::{BearerToken, BindError, TokenError, bind};
pub use handle::{Asked, Call, Check, NodeHandle, Readiness};

/// Every route of the edge, over one node. With a token, every request but the probes must bear it.
pub fn router(handle: NodeHandle, token: Option<BearerToken>) -> Router {
    let _ = (handle, token);
    Router::new()
}

/// Serves until `stop` turns true; then streams end, and open connections have a moment to finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let _ = (listener, router, stop);
    Ok(())
}

/// The OpenAPI description of every route, as it follows from the code.
pub fn openapi_json() -> String {
    String::new()
}
