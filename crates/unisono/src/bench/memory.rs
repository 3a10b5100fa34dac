//! What a node keeps in memory: many orchestras, few of them active, each through its iterations.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::figures::Figures;
use super::processes::{self, Process};
use super::writers::{self, Load};
use crate::failure::Failure;

/// Orchestras that are worked on at a time.
const ACTIVE: usize = 5;
/// Iterations of each.
const ITERATIONS: u32 = 10;
/// Writers of one orchestra.
const WRITERS: usize = 8;
/// Orchestras between two looks at the memory.
const LOOK_EVERY: usize = 20;

/// Works through so many orchestras, five at a time.
pub(crate) async fn run(
    scratch: &Path,
    orchestras: usize,
    records_per_iteration: u64,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let mut nodes = processes::cluster(&scratch.join("memory"), 1).await?;
    let Some(node) = nodes.pop() else {
        return Ok(());
    };
    let node = std::sync::Arc::new([node]);
    figures.tell("memory_at_start_mib", node[0].resident_mib());
    let mut done = 0;
    while done < orchestras {
        let mut active = tokio::task::JoinSet::new();
        for n in done..orchestras.min(done + ACTIVE) {
            let node = std::sync::Arc::clone(&node);
            active.spawn(async move { work(&node, n, records_per_iteration).await });
        }
        while let Some(ended) = active.join_next().await {
            let fault = |error: tokio::task::JoinError| {
                Failure::new(crate::failure::Exit::Failed, "internal", error.to_string())
            };
            ended.map_err(fault)??;
        }
        done = orchestras.min(done + ACTIVE);
        if done % LOOK_EVERY == 0 || done == orchestras {
            figures.tell(
                format!("memory_after_{done}_orchestras_mib"),
                node[0].resident_mib(),
            );
        }
    }
    // Documents that nobody touches are put away after a minute.
    tokio::time::sleep(Duration::from_secs(75)).await;
    figures.tell("memory_a_minute_later_mib", node[0].resident_mib());
    let made = node[0].status().await?.counters.records_made as f64;
    figures.tell("memory_records", made);
    figures.at_most("memory_resident_max_mib", node[0].resident_max_mib(), 200.0);
    Ok(())
}

/// One orchestra's life.
async fn work(node: &[Process; 1], n: usize, records: u64) -> Result<(), Failure> {
    let orchestra = format!("orchestra-{n}");
    node[0].open(&orchestra).await?;
    node[0].enrol(&orchestra, "lead").await?;
    for iteration in 1..=ITERATIONS {
        let load = Load {
            orchestra: &orchestra,
            writers: WRITERS,
            time: Duration::from_secs(60),
            actions_max: records,
            durable_on: 1,
        };
        writers::write(node, &load).await?;
        if iteration < ITERATIONS {
            let path = format!("/v1/orchestras/{orchestra}/iteration/advance");
            node[0]
                .post(&path, &json!({ "agent": "lead", "from": iteration }))
                .await?;
        }
    }
    Ok(())
}
