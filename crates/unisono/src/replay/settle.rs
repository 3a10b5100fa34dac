//! Whether all nodes come to show the same: the digest of all views, at one stamp.

use std::fmt::Write as _;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use unisono_api::dto::Hashes;
use unisono_core::replication::Cursor;

use super::ANSWERED_WITHIN;
use super::http::{Request, Server};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the nodes showed.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Whether it was the same.
    pub(crate) same: bool,
    /// As of which stamp.
    pub(crate) as_of: Option<String>,
    /// What each node showed, or why it did not.
    pub(crate) views: BTreeMap<String, String>,
}

/// Looks until all nodes hold everything below the cursor and show the same, or time is up.
pub(crate) async fn settle(
    servers: &[Server],
    path: &str,
    cursor: &Cursor,
    within: Duration,
) -> Settled {
    let started = Instant::now();
    let cursor = cursor.to_text();
    loop {
        let settled = look(servers, path, &cursor).await;
        if settled.same || started.elapsed() >= within {
            return settled;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(servers: &[Server], path: &str, cursor: &str) -> Settled {
    let mut settled = Settled::default();
    // The last stamp that any node speaks of now is one that all can speak of.
    for server in servers {
        if let Ok((_, as_of)) = views(server, path, cursor, None).await {
            settled.as_of = settled.as_of.max(Some(as_of));
        }
    }
    let Some(as_of) = settled.as_of.clone() else {
        return settled;
    };
    let mut digests = Vec::new();
    for server in servers {
        let shown = match views(server, path, cursor, Some(&as_of)).await {
            Ok((views, _)) => {
                digests.push(views.clone());
                views
            }
            Err(why) => why,
        };
        settled.views.insert(server.authority.clone(), shown);
    }
    digests.sort_unstable();
    let all = digests.len() == servers.len();
    digests.dedup();
    settled.same = all && digests.len() == 1;
    settled
}

/// The digest of all views, and the stamp that it speaks of.
async fn views(
    server: &Server,
    path: &str,
    cursor: &str,
    as_of: Option<&str>,
) -> Result<(String, String), String> {
    let mut path = format!("{path}/hash?wait_ms=1000");
    if let Some(as_of) = as_of {
        // A string takes everything.
        let _ = write!(path, "&as_of={as_of}");
    }
    let request = Request {
        method: "GET",
        path: &path,
        min_cursor: Some(cursor).filter(|cursor| !cursor.is_empty()),
        body: None,
    };
    let answer = match server.ask(&request, ANSWERED_WITHIN).await {
        Ok(answer) => answer,
        Err(broken) => return Err(format!("{broken:?}")),
    };
    if answer.status != 200 {
        return Err(String::from_utf8_lossy(&answer.body)
            .chars()
            .take(200)
            .collect());
    }
    let hashes: Hashes = serde_json::from_slice(&answer.body).map_err(|e| e.to_string())?;
    Ok((hashes.views.to_string(), answer.as_of.unwrap_or_default()))
}
