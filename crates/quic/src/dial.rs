//! Calling a peer, and hearing that it accepts.

use std::net::SocketAddr;

use quinn::ConnectionError;
use tokio::time::timeout;
use unisono_model::NodeId;

use crate::{
    Loss,
    connection::code,
    endpoint::{ENDED_WORDS, Shared},
    frame::WELCOME_TAG,
    identity::{Region, server_name, unix_now_ms},
    limits,
};

/// Why no address led to a connection.
#[derive(Debug)]
pub(crate) enum DialFailure {
    /// The peer keeps another connection of this pair.
    Duplicate,
    /// The peer turns us away.
    Excluded,
    /// Nobody answered, or not the wanted node; the last thing that went wrong.
    Unreachable(String),
}

impl From<DialFailure> for Loss {
    fn from(failure: DialFailure) -> Self {
        match failure {
            DialFailure::Duplicate => Self::Unreachable("it keeps another connection".to_owned()),
            DialFailure::Excluded => Self::Excluded,
            DialFailure::Unreachable(why) => Self::Unreachable(why),
        }
    }
}

/// Tries the addresses in turn.
pub(crate) async fn dial(
    shared: &Shared,
    node: NodeId,
    addresses: &[SocketAddr],
) -> Result<(quinn::Connection, Region), DialFailure> {
    let mut last = DialFailure::Unreachable("no address is known".to_owned());
    for addr in addresses {
        shared.learn(node, *addr);
        match timeout(limits::HANDSHAKE_TIMEOUT, call(shared, node, *addr)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(failure @ (DialFailure::Duplicate | DialFailure::Excluded))) => {
                return Err(failure);
            }
            Ok(Err(failure)) => last = failure,
            Err(_) => last = DialFailure::Unreachable(format!("{addr} did not answer in time")),
        }
    }
    Err(last)
}

async fn call(
    shared: &Shared,
    node: NodeId,
    addr: SocketAddr,
) -> Result<(quinn::Connection, Region), DialFailure> {
    let failed = |why: &dyn std::fmt::Display| DialFailure::Unreachable(format!("{addr}: {why}"));
    let connection = shared
        .endpoint
        .connect_with(shared.calling(addr), addr, &server_name(node))
        .map_err(|error| failed(&error))?
        .await
        .map_err(|error| turned_away(&error).unwrap_or_else(|| failed(&error)))?;
    let called = shared
        .standing(&connection)
        .filter(|called| called.identity.node == node)
        .ok_or_else(|| failed(&"its certificate names another node"))?;
    if !shared.shown.takes(&called, unix_now_ms()) {
        // Only now: it has learned who calls and from where, and can ask there for the next one.
        connection.close(code::ENDED, ENDED_WORDS);
        return Err(failed(&"its certificate has ended, and it has to renew it"));
    }
    welcomed(&connection)
        .await
        .map_err(|error| turned_away(&error).unwrap_or_else(|| failed(&error)))?;
    Ok((connection, called.identity.region))
}

/// In TLS 1.3 the dialling side is done before the other has judged its certificate, let alone chosen
/// between two connections. So the answering side says a word when it has accepted.
async fn welcomed(connection: &quinn::Connection) -> Result<(), ConnectionError> {
    let mut stream = connection.accept_uni().await?;
    let mut tag = [0xff];
    let read = stream.read_exact(&mut tag).await;
    if read.is_ok() && tag == [WELCOME_TAG] {
        return Ok(());
    }
    let closed = connection.close_reason();
    connection.close(code::VIOLATION, b"no welcome");
    Err(closed.unwrap_or(ConnectionError::LocallyClosed))
}

fn turned_away(error: &ConnectionError) -> Option<DialFailure> {
    match error {
        ConnectionError::ApplicationClosed(close) if close.error_code == code::DUPLICATE => {
            Some(DialFailure::Duplicate)
        }
        ConnectionError::ApplicationClosed(close) if close.error_code == code::EXCLUDED => {
            Some(DialFailure::Excluded)
        }
        _ => None,
    }
}
