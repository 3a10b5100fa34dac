//! Durable acknowledged actions a second over HTTP, what they cost, and how long each waits.

use std::path::Path;
use std::time::Duration;

use super::figures::{Figures, permille};
use super::processes::{self, Process};
use super::writers::{self, Load};
use crate::failure::Failure;

/// The orchestra that is written into.
const ORCHESTRA: &str = "bench";
/// Twice what a three-node etcd 3.4 acknowledged on such a machine with 1 and 16 writers, and as
/// much with 256.
const GOALS: [(usize, f64); 3] = [(1, 1_440.0), (16, 4_624.0), (256, 4_201.0)];

/// Measures one node, then three that must both write and hear of a second disk.
pub(crate) async fn run(
    scratch: &Path,
    writers: &[usize],
    time: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    for nodes in [1, 3] {
        let cluster = processes::cluster(&scratch.join(format!("http-{nodes}")), nodes).await?;
        cluster[0].open(ORCHESTRA).await?;
        for node in &cluster {
            wait_for(node).await?;
        }
        if nodes == 1 {
            let ms = cluster[0].started_in.as_secs_f64() * 1e3;
            figures.at_most("empty_start_to_first_answer_ms", ms, 300.0);
        }
        for &count in writers {
            measure(&cluster, count, time, figures).await?;
        }
    }
    Ok(())
}

/// Waits until a node knows the orchestra.
async fn wait_for(node: &Process) -> Result<(), Failure> {
    let path = format!("/v1/orchestras/{ORCHESTRA}/state");
    let mut last = node.get(&path).await;
    for _ in 0..200 {
        if last.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = node.get(&path).await;
    }
    last.map(drop)
}

/// What the nodes have used and counted.
struct Used {
    cpu_seconds: f64,
    records: f64,
    fsyncs: f64,
    batches: f64,
    bytes: f64,
}

async fn used(cluster: &[Process]) -> Result<Used, Failure> {
    let mut used = Used {
        cpu_seconds: 0.0,
        records: 0.0,
        fsyncs: 0.0,
        batches: 0.0,
        bytes: 0.0,
    };
    for node in cluster {
        used.cpu_seconds += node.cpu_seconds();
        used.records += node.status().await?.counters.records_made as f64;
        used.fsyncs += node.metric("unisono_fsyncs_total").await?;
        used.batches += node.metric("unisono_appends_total").await?;
        used.bytes += node.metric("unisono_append_bytes_total").await?;
    }
    Ok(used)
}

async fn measure(
    cluster: &[Process],
    writers: usize,
    time: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let nodes = cluster.len();
    let durable_on = if nodes > 1 { 2 } else { 1 };
    let load = |time| Load {
        orchestra: ORCHESTRA,
        writers,
        time,
        actions_max: u64::MAX,
        durable_on,
    };
    // The first second warms documents, caches and connections.
    writers::write(cluster, &load(Duration::from_secs(1))).await?;
    let before = used(cluster).await?;
    let (machine, own) = processes::machine_and_own_seconds();
    let mut written = writers::write(cluster, &load(time)).await?;
    let after = used(cluster).await?;
    let (machine_after, own_after) = processes::machine_and_own_seconds();
    let ours = own_after - own + after.cpu_seconds - before.cpu_seconds;
    let others = (machine_after - machine - ours).max(0.0) / written.took.as_secs_f64();
    let actions = written.latencies_us.len() as f64;
    let name = format!("http_{nodes}_nodes_{writers}_writers");
    let rate = actions / written.took.as_secs_f64();
    match GOALS.iter().find(|(count, _)| *count == writers) {
        Some((_, goal)) => figures.at_least(format!("{name}_actions_per_second"), rate, *goal),
        None => figures.tell(format!("{name}_actions_per_second"), rate),
    }
    figures.tell(format!("{name}_processors_busy_with_other_work"), others);
    let latencies = &mut written.latencies_us;
    figures.tell(format!("{name}_p50_ms"), permille(latencies, 500) / 1e3);
    figures.tell(format!("{name}_p99_ms"), permille(latencies, 990) / 1e3);
    figures.tell(format!("{name}_worst_ms"), permille(latencies, 1_000) / 1e3);
    let records = after.records - before.records;
    let per = |amount: f64| amount / records;
    let cpu = per(after.cpu_seconds - before.cpu_seconds) * 1e6;
    figures.tell(format!("{name}_cpu_us_per_action_all_nodes"), cpu);
    let fsyncs = per(after.fsyncs - before.fsyncs) / nodes as f64;
    let name_of = format!("{name}_fsyncs_per_action_and_node");
    if writers >= 64 && nodes == 1 {
        figures.at_most(name_of, fsyncs, 1.0 / 16.0);
    } else {
        figures.tell(name_of, fsyncs);
    }
    let batches = per(after.batches - before.batches) / nodes as f64;
    figures.tell(format!("{name}_batches_per_action_and_node"), batches);
    let bytes = per(after.bytes - before.bytes) / nodes as f64;
    figures.tell(format!("{name}_log_bytes_per_action_and_node"), bytes);
    if written.refused > 0 {
        figures.at_most(format!("{name}_refused"), written.refused as f64, 0.0);
    }
    Ok(())
}
