//! What reading costs over HTTP, of a node that holds more and more: what an agent asks when it wakes
//! up, and what it senses.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::figures::{Figures, permille};
use super::processes::{self, Process, machine_and_own_seconds};
use super::writers::{self, Load};
use crate::failure::Failure;

const ORCHESTRA: &str = "bench";
/// Writers that fill it.
const WRITERS: usize = 256;
/// Agents that work in it: each has tasks, holds a topic, needs and intends something.
const AGENTS: u64 = 64;
/// Tasks of each, and as many that nobody has.
const TASKS: u64 = 10;
/// Decisions that bind everybody.
const DECISIONS: u64 = 40;
/// How often each question is asked.
const ASKED: u64 = 300;
/// The slowest brief that is good enough (ms).
const BRIEF_MS: f64 = 100.0;
/// How long filling may take at the most.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Fills one node, and asks it behind ten thousand records, ten times as many, and a hundred times.
pub(crate) async fn run(scratch: &Path, most: u64, figures: &mut Figures) -> Result<(), Failure> {
    let mut nodes = processes::cluster(&scratch.join("asking"), 1).await?;
    let Some(node) = nodes.pop() else {
        return Ok(());
    };
    node.open(ORCHESTRA).await?;
    let nodes = [node];
    let mut made = 0;
    for records in [10_000, 100_000, 1_000_000] {
        if records > most {
            break;
        }
        let load = Load {
            orchestra: ORCHESTRA,
            writers: WRITERS,
            time: PATIENCE,
            actions_max: records - made,
            durable_on: 1,
        };
        writers::write(&nodes, &load).await?;
        made = records;
        // What stands must not have ended while the node was filled.
        work(&nodes[0], records).await?;
        let brief = |agent: u64| format!("continue?as=agent-{agent}&max_tokens=1500");
        ask(
            &nodes[0],
            records,
            "continue",
            &brief,
            Some(BRIEF_MS),
            figures,
        )
        .await?;
        let sense = |agent: u64| format!("signals?as=agent-{agent}");
        ask(&nodes[0], records, "sense", &sense, None, figures).await?;
        let page = |agent: u64| format!("signals?as=agent-{agent}&limit=20");
        ask(&nodes[0], records, "sense_page", &page, None, figures).await?;
    }
    Ok(())
}

/// What agents do who are in the midst of something.
async fn work(node: &Process, round: u64) -> Result<(), Failure> {
    let path = |what: &str| format!("/v1/orchestras/{ORCHESTRA}/{what}");
    let post = async |what: &str, body: serde_json::Value| node.post(&path(what), &body).await;
    for n in 0..AGENTS {
        let name = format!("agent-{n}");
        node.enrol(ORCHESTRA, &name).await?;
        for task in 0..2 * TASKS {
            let assignee = if task < TASKS { name.as_str() } else { "" };
            let body = json!({
                "agent": name, "task": format!("task-{round}-{n}-{task}"), "kind": "feature",
                "title": format!("change part {task} for case {n}"), "status": "open",
                "priority": task % 5, "assignee": assignee,
            });
            post("tasks", body).await?;
        }
        let topic = format!("src/part{round}/file{n}.rs");
        post(
            "claims",
            json!({ "agent": name, "topic": topic, "lease_ms": 1_800_000 }),
        )
        .await?;
        let words = format!("change part {} for case {}", n % 7, n % 11);
        for (kind, topic) in [("intent", topic.as_str()), ("need", "corpus")] {
            let body = json!({ "agent": name, "kind": kind, "topic": topic, "text": words });
            post("signals", body).await?;
        }
    }
    for n in 0..DECISIONS {
        let body = json!({
            "agent": "agent-0", "topic": format!("question {n}"), "text": format!("yes to {n}"),
            "importance": if n % 10 == 0 { "high" } else { "normal" },
        });
        post("decisions", body).await?;
    }
    Ok(())
}

async fn ask(
    node: &Process,
    records: u64,
    what: &str,
    query: &dyn Fn(u64) -> String,
    budget_ms: Option<f64>,
    figures: &mut Figures,
) -> Result<(), Failure> {
    // The first answer loads a tokenizer.
    let path = |n: u64| format!("/v1/orchestras/{ORCHESTRA}/{}", query(n * 7 % AGENTS));
    node.get(&path(0)).await?;
    let (cpu, machine, begun) = (
        node.cpu_seconds(),
        machine_and_own_seconds(),
        Instant::now(),
    );
    let mut times_us: Vec<u64> = Vec::new();
    let mut bytes = 0;
    for n in 0..ASKED {
        let asked = Instant::now();
        let answer = node.get(&path(n)).await?;
        times_us.push(asked.elapsed().as_micros() as u64);
        bytes += answer.body.len();
    }
    let (cpu, took) = (node.cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    let now = machine_and_own_seconds();
    let name = |unit: &str| format!("asking_{records}_{what}_{unit}");
    let p99_ms = permille(&mut times_us, 990) / 1e3;
    figures.tell(name("p50_ms"), permille(&mut times_us, 500) / 1e3);
    match budget_ms {
        Some(budget) => figures.at_most(name("p99_ms"), p99_ms, budget),
        None => figures.tell(name("p99_ms"), p99_ms),
    }
    figures.tell(name("cpu_ms_per_answer"), cpu * 1e3 / ASKED as f64);
    figures.tell(name("bytes_per_answer"), bytes as f64 / ASKED as f64);
    let others = (now.0 - machine.0 - (now.1 - machine.1) - cpu) / took;
    figures.tell(name("processors_busy_with_other_work"), others.max(0.0));
    Ok(())
}
