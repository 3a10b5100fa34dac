//! From an action to its being visible on the last replica, and from a claim to its confirmation.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::figures::{Figures, permille};
use super::processes::{self, Process};
use crate::failure::{Exit, Failure};
use crate::replay::http::Request;

/// The orchestra that is written into.
const ORCHESTRA: &str = "bench";
/// Between two actions: slow enough that none waits for another.
const PAUSE: Duration = Duration::from_millis(10);
/// How long one request may take.
const WITHIN: Duration = Duration::from_secs(15);

/// Measures on an idle cluster of three nodes in one region.
pub(crate) async fn run(
    scratch: &Path,
    actions: usize,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let cluster = processes::cluster(&scratch.join("visible"), 3).await?;
    cluster[0].open(ORCHESTRA).await?;
    cluster[0].enrol(ORCHESTRA, "ada").await?;
    // The first requests pay for connections.
    visible(&cluster, 20).await?;
    let (mut acknowledged, mut everywhere) = visible(&cluster, actions).await?;
    figures.tell(
        "acknowledged_p50_ms",
        permille(&mut acknowledged, 500) / 1e3,
    );
    figures.tell(
        "acknowledged_p99_ms",
        permille(&mut acknowledged, 990) / 1e3,
    );
    figures.tell(
        "visible_on_last_of_3_p50_ms",
        permille(&mut everywhere, 500) / 1e3,
    );
    figures.at_most(
        "visible_on_last_of_3_p99_ms",
        permille(&mut everywhere, 990) / 1e3,
        50.0,
    );
    figures.tell(
        "visible_on_last_of_3_worst_ms",
        permille(&mut everywhere, 1_000) / 1e3,
    );
    let mut confirmed = confirmed(&cluster[0], actions).await?;
    figures.tell(
        "claim_confirmed_by_3_p50_ms",
        permille(&mut confirmed, 500) / 1e3,
    );
    figures.tell(
        "claim_confirmed_by_3_p99_ms",
        permille(&mut confirmed, 990) / 1e3,
    );
    figures.tell(
        "claim_confirmed_by_3_worst_ms",
        permille(&mut confirmed, 1_000) / 1e3,
    );
    Ok(())
}

/// Per action, the time to its acknowledgement and to the last replica's showing it (µs). A replica
/// is asked for a view that has seen the action, and answers as soon as it has.
async fn visible(cluster: &[Process], actions: usize) -> Result<(Vec<u64>, Vec<u64>), Failure> {
    let mut acknowledged = Vec::new();
    let mut everywhere = Vec::new();
    let act = format!("/v1/orchestras/{ORCHESTRA}/presence");
    let body = json!({ "agent": "ada", "status": "active" }).to_string();
    let read = format!("/v1/orchestras/{ORCHESTRA}/iteration");
    for _ in 0..actions {
        tokio::time::sleep(PAUSE).await;
        let begun = Instant::now();
        let request = Request {
            method: "POST",
            path: &act,
            min_cursor: None,
            body: Some(("application/json", body.as_bytes())),
        };
        let answer = asked(&cluster[0], &request).await?;
        acknowledged.push(micros(begun));
        let read = Request {
            method: "GET",
            path: &read,
            min_cursor: answer.cursor.as_deref(),
            body: None,
        };
        let others = [&cluster[1], &cluster[2]];
        everywhere.push(last_of(others, &read, begun).await?);
    }
    Ok((acknowledged, everywhere))
}

/// When both nodes had answered (µs after `begun`), asked at once.
async fn last_of(
    [one, two]: [&Process; 2],
    request: &Request<'_>,
    begun: Instant,
) -> Result<u64, Failure> {
    let ask = |node| async move { asked(node, request).await.map(|_| micros(begun)) };
    let (one, two) = tokio::join!(ask(one), ask(two));
    Ok(one?.max(two?))
}

/// Per claim, the time to an answer that says it is confirmed (µs).
async fn confirmed(node: &Process, claims: usize) -> Result<Vec<u64>, Failure> {
    let mut took = Vec::new();
    let path = format!("/v1/orchestras/{ORCHESTRA}/claims?confirm=true&wait_ms=10000");
    for n in 0..claims {
        tokio::time::sleep(PAUSE).await;
        let body = json!({ "agent": "ada", "topic": format!("door-{n}") }).to_string();
        let request = Request {
            method: "POST",
            path: &path,
            min_cursor: None,
            body: Some(("application/json", body.as_bytes())),
        };
        let begun = Instant::now();
        let answer = asked(node, &request).await?;
        let micros = micros(begun);
        let recorded: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if recorded["claim"]["status"] != "confirmed" {
            let words = format!("a claim was not confirmed in time: {recorded}");
            return Err(Failure::new(Exit::TimedOut, "not_confirmed", words));
        }
        took.push(micros);
    }
    Ok(took)
}

async fn asked(
    node: &Process,
    request: &Request<'_>,
) -> Result<crate::replay::http::Answer, Failure> {
    let answer = node.server.ask(request, WITHIN).await;
    let unusable = |words: String| Failure::new(Exit::Failed, "node_answer", words);
    let answer = answer.map_err(|broken| unusable(format!("{broken:?}")))?;
    if answer.status >= 300 {
        return Err(unusable(String::from_utf8_lossy(&answer.body).into_owned()));
    }
    Ok(answer)
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
