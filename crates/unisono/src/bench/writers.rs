//! Writers over HTTP: each an agent with a connection of its own, one action after the other.

use std::time::{Duration, Instant};

use serde_json::json;

use super::processes::Process;
use crate::failure::{Exit, Failure};
use crate::replay::http::Request;

/// What the writers did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// How long each acknowledged action took (µs).
    pub(crate) latencies_us: Vec<u64>,
    /// Answers that were no success.
    pub(crate) refused: u64,
    /// How long they wrote.
    pub(crate) took: Duration,
}

/// How to write.
#[derive(Clone, Debug)]
pub(crate) struct Load<'a> {
    /// Into which orchestra.
    pub(crate) orchestra: &'a str,
    /// How many writers.
    pub(crate) writers: usize,
    /// For how long.
    pub(crate) time: Duration,
    /// At most so many actions altogether.
    pub(crate) actions_max: u64,
    /// On how many disks.
    pub(crate) durable_on: u16,
}

/// Enrols the writers, then has them write marks: small facts that nobody else waits for.
pub(crate) async fn write(nodes: &[Process], load: &Load<'_>) -> Result<Written, Failure> {
    let mut jobs = Vec::new();
    for n in 0..load.writers {
        let node = &nodes[n % nodes.len()];
        let agent = format!("writer-{n}");
        node.enrol(load.orchestra, &agent).await?;
        let path = format!(
            "/v1/orchestras/{}/marks?durable_on={}",
            load.orchestra, load.durable_on
        );
        let body = json!({ "agent": agent, "about": "bench", "text": "one more" }).to_string();
        let request = Request {
            method: "POST",
            path: &path,
            min_cursor: None,
            body: Some(("application/json", body.as_bytes())),
        };
        let connection = node.server.connect().await;
        let connection = connection.map_err(|error| Failure::system("a connection", &error))?;
        jobs.push((
            connection
                .into_std()
                .map_err(|e| Failure::system("a connection", &e))?,
            node.server.encode(&request),
        ));
    }
    let share = load.actions_max / load.writers.max(1) as u64;
    let time = load.time;
    // One thread for all writers: handing work between threads would cost more than the work.
    let written = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(write_all(jobs, time, share))
    });
    let written = written.await;
    let written = written.map_err(|e| Failure::new(Exit::Failed, "writers", e.to_string()))?;
    written.map_err(|error| Failure::system("the writers", &error))
}

async fn write_all(
    jobs: Vec<(std::net::TcpStream, Vec<u8>)>,
    time: Duration,
    share: u64,
) -> std::io::Result<Written> {
    let begun = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for (stream, request) in jobs {
        writers.spawn(async move {
            let mut connection = crate::replay::http::Connection::from_std(stream)?;
            let mut written = Written::default();
            while begun.elapsed() < time && (written.latencies_us.len() as u64) < share {
                let asked = Instant::now();
                let answer = connection.exchange(&request).await?;
                let took = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
                match answer.status {
                    200 | 201 => written.latencies_us.push(took),
                    _ => written.refused += 1,
                }
            }
            Ok::<Written, std::io::Error>(written)
        });
    }
    let mut all = Written::default();
    while let Some(ended) = writers.join_next().await {
        let written = ended.map_err(std::io::Error::other)??;
        all.latencies_us.extend(written.latencies_us);
        all.refused += written.refused;
    }
    all.took = begun.elapsed();
    Ok(all)
}
