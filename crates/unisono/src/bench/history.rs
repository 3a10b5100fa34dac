//! A long history: what filling costs, how a node starts with it, and how another one joins late.

use std::path::Path;
use std::time::{Duration, Instant};

use unisono_api::dto::State;

use super::figures::Figures;
use super::processes::{self, Process};
use super::writers::{self, Load};
use crate::failure::{Exit, Failure};
use crate::replay::http::Request;

/// The orchestra that is filled.
const ORCHESTRA: &str = "bench";
/// Writers that fill it.
const WRITERS: usize = 256;
/// How long filling and joining may take at the most.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Between two looks at the joiner.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Fills one node with records, starts it again, and lets another one join.
pub(crate) async fn run(
    scratch: &Path,
    records: u64,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let directory = scratch.join("history");
    let mut nodes = processes::cluster(&directory, 1).await?;
    let Some(node) = nodes.pop() else {
        return Ok(());
    };
    let node = fill(node, records, figures).await?;
    let node = start_again(node, figures).await?;
    join(&directory, &node, figures).await
}

async fn fill(node: Process, records: u64, figures: &mut Figures) -> Result<Process, Failure> {
    node.open(ORCHESTRA).await?;
    let load = Load {
        orchestra: ORCHESTRA,
        writers: WRITERS,
        time: PATIENCE,
        actions_max: records,
        durable_on: 1,
    };
    let nodes = [node];
    let written = writers::write(&nodes, &load).await?;
    let [node] = nodes;
    let made = state(&node, None).await?.0.records as f64;
    figures.tell("history_records", made);
    figures.tell("history_filled_in_s", written.took.as_secs_f64());
    figures.tell(
        "history_fill_cpu_us_per_record",
        node.cpu_seconds() * 1e6 / made,
    );
    figures.tell("history_fill_resident_max_mib", node.resident_max_mib());
    let bytes = processes::bytes_below(node.data()) as f64;
    figures.tell("history_disk_bytes_per_record", bytes / made);
    Ok(node)
}

async fn start_again(node: Process, figures: &mut Figures) -> Result<Process, Failure> {
    let begun = Instant::now();
    let data = node.stop().await?;
    figures.tell("history_orderly_end_s", begun.elapsed().as_secs_f64());
    let node = Process::start(&data).await?;
    let begun = Instant::now();
    state(&node, None).await?;
    let took = node.started_in + begun.elapsed();
    figures.at_most("history_start_to_first_view_s", took.as_secs_f64(), 2.0);
    figures.tell("history_start_resident_max_mib", node.resident_max_mib());
    Ok(node)
}

async fn join(directory: &Path, founder: &Process, figures: &mut Figures) -> Result<(), Failure> {
    let (there, cursor) = state(founder, None).await?;
    let data = directory.join("n1");
    let founder_cpu = founder.cpu_seconds();
    let begun = Instant::now();
    processes::join(founder.data(), &data, 1)?;
    let joiner = Process::start(&data).await?;
    loop {
        // Nothing is there at first; then it is behind for a while.
        if let Ok((here, _)) = state(&joiner, Some(&cursor)).await
            && here.records >= there.records
        {
            break;
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(
                Exit::TimedOut,
                "not_joined",
                "the joiner stayed behind",
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let took = begun.elapsed().as_secs_f64();
    let records = there.records as f64;
    figures.tell("join_caught_up_in_s", took);
    figures.tell("join_records_per_second", records / took);
    figures.at_most(
        "join_cpu_us_per_record_at_joiner",
        joiner.cpu_seconds() * 1e6 / records,
        100.0,
    );
    let cpu = (founder.cpu_seconds() - founder_cpu) * 1e6 / records;
    figures.tell("join_cpu_us_per_record_at_founder", cpu);
    let counters = joiner.status().await?.counters;
    figures.tell(
        "join_bytes_received_per_record",
        counters.bytes_received as f64 / records,
    );
    figures.tell(
        "join_received_mib",
        counters.bytes_received as f64 / 1_048_576.0,
    );
    figures.tell("join_resident_max_mib", joiner.resident_max_mib());
    figures.tell("join_founder_resident_max_mib", founder.resident_max_mib());
    same(founder, &joiner, &cursor, figures).await
}

/// Whether both show the same.
async fn same(
    founder: &Process,
    joiner: &Process,
    cursor: &str,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let path = format!("/v1/orchestras/{ORCHESTRA}/hash");
    let (_, as_of) = hash(founder, &path, cursor).await?;
    let path = format!("{path}?as_of={as_of}&wait_ms=60000");
    let one = hash(founder, &path, cursor).await?.0;
    let other = hash(joiner, &path, cursor).await?.0;
    figures.at_least("join_views_equal", f64::from(u8::from(one == other)), 1.0);
    Ok(())
}

async fn hash(node: &Process, path: &str, cursor: &str) -> Result<(String, String), Failure> {
    let request = Request {
        method: "GET",
        path,
        min_cursor: Some(cursor),
        body: None,
    };
    let answer = node.server.ask(&request, Duration::from_secs(70)).await;
    let unusable = |words: String| Failure::new(Exit::Failed, "node_answer", words);
    let answer = answer.map_err(|broken| unusable(format!("{broken:?}")))?;
    let hashes: unisono_api::dto::Hashes = serde_json::from_slice(&answer.body)
        .map_err(|_| unusable(String::from_utf8_lossy(&answer.body).into_owned()))?;
    Ok((hashes.views.to_string(), answer.as_of.unwrap_or_default()))
}

/// The orchestra in numbers, and what the node had seen.
async fn state(node: &Process, min_cursor: Option<&str>) -> Result<(State, String), Failure> {
    let path = format!("/v1/orchestras/{ORCHESTRA}/state?wait_ms=60000");
    let request = Request {
        method: "GET",
        path: &path,
        min_cursor,
        body: None,
    };
    let answer = node.server.ask(&request, Duration::from_secs(70)).await;
    let unusable = |words: String| Failure::new(Exit::Failed, "node_answer", words);
    let answer = answer.map_err(|broken| unusable(format!("{broken:?}")))?;
    let state = serde_json::from_slice(&answer.body)
        .map_err(|_| unusable(String::from_utf8_lossy(&answer.body).into_owned()))?;
    Ok((state, answer.cursor.unwrap_or_default()))
}
