//! The cluster's clock between real processes: three regions on loopback, each node's clock off by
//! half a second and 50 ppm, judged against the machine's own steady clock, which they share.
//!
//! The truth is what the first leader's clock shows, counted on by the machine's clock: the leader
//! tells its reading together with the machine's, and its own error is known exactly.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use unisono_api::dto::{Clock, SyncWord};

use super::figures::Figures;
use super::processes::{self, Process};
use crate::failure::{Exit, Failure};

/// Offset (ms) and drift (ppm) of each node's clock.
const CLOCKS: [(i64, i64); 3] = [(500, 50), (-500, -50), (250, -30)];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long a cluster may take to agree on a leader.
const AGREED_WITHIN: Duration = Duration::from_secs(30);
/// What is left out after joining: it has a figure of its own.
const SETTLING: Duration = Duration::from_secs(2);
/// How many processes fire together, and how long they have to get ready.
const FIRES: usize = 50;
/// See above.
const FIRE_LEAD_MS: u64 = 8_000;

/// A line of time: what the cluster's clock showed when the machine's did, and how fast it runs.
#[derive(Clone, Copy, Debug)]
struct Line {
    monotonic_ns: u64,
    cluster_ns: u64,
    rate_ppb: f64,
}

impl Line {
    fn of(clock: &Clock) -> Option<Self> {
        Some(Self {
            monotonic_ns: clock.monotonic_ns,
            cluster_ns: clock.estimate()?,
            rate_ppb: clock.rate_ppb,
        })
    }

    fn at(&self, monotonic_ns: u64) -> u64 {
        let elapsed = monotonic_ns.cast_signed() - self.monotonic_ns.cast_signed();
        let gained = elapsed as f64 * self.rate_ppb / 1e9;
        self.cluster_ns
            .saturating_add_signed(elapsed + gained as i64)
    }
}

/// How far followers were off.
#[derive(Debug, Default)]
struct Errors {
    us: Vec<f64>,
    hard: usize,
    likely: usize,
}

impl Errors {
    fn look(&mut self, clock: &Clock, truth: &Line) {
        let Some(estimate_ns) = clock.estimate() else {
            return;
        };
        let truth_ns = truth.at(clock.monotonic_ns);
        let error_ns = estimate_ns.cast_signed() - truth_ns.cast_signed();
        self.us.push(error_ns.unsigned_abs() as f64 / 1e3);
        let ns = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
        let holds = |from: &Option<String>, to: &Option<String>| {
            ns(from).is_some_and(|from| from <= truth_ns) && ns(to).is_some_and(|to| truth_ns <= to)
        };
        self.hard += usize::from(holds(&clock.earliest_ns, &clock.latest_ns));
        self.likely += usize::from(holds(&clock.likely_earliest_ns, &clock.likely_latest_ns));
    }

    fn tell(mut self, name: &str, figures: &mut Figures) {
        if self.us.is_empty() {
            return;
        }
        let count = self.us.len() as f64;
        self.us.sort_by(f64::total_cmp);
        let mean_us = self.us.iter().sum::<f64>() / count;
        let p99_us = self.us[(self.us.len() * 99 / 100).min(self.us.len() - 1)];
        figures.tell(format!("clock_{name}_error_mean_us"), mean_us);
        figures.tell(format!("clock_{name}_error_p99_us"), p99_us);
        figures.tell(
            format!("clock_{name}_error_worst_us"),
            self.us[self.us.len() - 1],
        );
        let share = |count_in: usize| count_in as f64 / count;
        figures.at_least(
            format!("clock_{name}_hard_interval_share"),
            share(self.hard),
            1.0,
        );
        figures.tell(
            format!("clock_{name}_three_sigma_share"),
            share(self.likely),
        );
    }
}

/// Measures for so long, then kills the leader.
pub(crate) async fn run(
    scratch: &Path,
    time: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let words: Vec<Vec<String>> = CLOCKS
        .iter()
        .map(|(offset_ms, drift_ppm)| {
            vec![
                format!("--clock-offset-ms={offset_ms}"),
                format!("--clock-drift-ppm={drift_ppm}"),
            ]
        })
        .collect();
    let mut nodes = processes::regions(&scratch.join("clock"), &words).await?;
    let begun = Instant::now();
    agreed(&nodes, None).await?;
    figures.tell(
        "clock_agreed_on_a_leader_ms",
        begun.elapsed().as_secs_f64() * 1e3,
    );
    steady(&nodes, time, figures).await?;
    fire(&nodes, figures).await?;
    lose(&mut nodes, figures).await?;
    figures.tell("machine_load_1_min", load());
    Ok(())
}

/// Errors against the leader's clock while nothing happens.
async fn steady(nodes: &[Process], time: Duration, figures: &mut Figures) -> Result<(), Failure> {
    let (mut joining, mut settled) = (Errors::default(), Errors::default());
    let begun = Instant::now();
    let before_s: f64 = nodes.iter().map(Process::cpu_seconds).sum();
    while begun.elapsed() < time {
        let truth = read(&nodes[0]).await?;
        let Some(truth) = Line::of(&truth) else {
            continue;
        };
        for node in &nodes[1..] {
            let clock = read(node).await?;
            if begun.elapsed() < SETTLING {
                joining.look(&clock, &truth);
            } else {
                settled.look(&clock, &truth);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    let spent_s = nodes.iter().map(Process::cpu_seconds).sum::<f64>() - before_s;
    let share = spent_s / begun.elapsed().as_secs_f64() / nodes.len() as f64;
    joining.tell("joining", figures);
    settled.tell("sustained", figures);
    figures.tell("clock_idle_node_processor_share", share);
    Ok(())
}

/// Kills the leader: when another leads, and how far its time is from where the old one's would be.
async fn lose(nodes: &mut [Process], figures: &mut Figures) -> Result<(), Failure> {
    let clock = read(&nodes[0]).await?;
    let (Some(truth), Some(leader)) = (Line::of(&clock), clock.leader) else {
        return Err(unset());
    };
    nodes[0].kill();
    let begun = Instant::now();
    agreed(&nodes[1..], Some(leader)).await?;
    figures.tell(
        "clock_new_leader_after_ms",
        begun.elapsed().as_secs_f64() * 1e3,
    );
    let mut after = Errors::default();
    for _ in 0..20 {
        for node in &nodes[1..] {
            after.look(&read(node).await?, &truth);
        }
        tokio::time::sleep(LOOK).await;
    }
    after.us.sort_by(f64::total_cmp);
    let middle = after
        .us
        .get(after.us.len() / 2)
        .copied()
        .unwrap_or(f64::NAN);
    let worst = after.us.last().copied().unwrap_or(f64::NAN);
    figures.tell(
        "clock_2_s_after_the_loss_off_the_old_line_median_us",
        middle,
    );
    figures.tell("clock_2_s_after_the_loss_off_the_old_line_worst_us", worst);
    Ok(())
}

/// Fifty processes fire together, each on the clock of one of the nodes.
async fn fire(nodes: &[Process], figures: &mut Figures) -> Result<(), Failure> {
    let clock = read(&nodes[0]).await?;
    let truth = Line::of(&clock).ok_or_else(unset)?;
    let target_ms = clock.estimate_ms.unwrap_or_default() + FIRE_LEAD_MS as f64;
    let target = format!("{target_ms:.3}");
    let mut children: Vec<Child> = Vec::new();
    for n in 0..FIRES {
        let node = &nodes[n % nodes.len()];
        let mut command = processes::program(node.data());
        command.args([
            "--node",
            &format!("http://{}", node.server.authority),
            "at",
            &target,
            "--",
            "true",
        ]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        children.push(child.map_err(|error| Failure::system("a process that fires", &error))?);
    }
    let said = tokio::task::spawn_blocking(move || {
        let outputs = children.into_iter().map(Child::wait_with_output);
        outputs.filter_map(Result::ok).collect::<Vec<_>>()
    });
    let said = said.await.map_err(|error| unreadable(&error.to_string()))?;
    let mut errors_us: Vec<f64> = said
        .iter()
        .filter_map(|output| {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let told: Value = serde_json::from_str(text.lines().last()?).ok()?;
            let fired_ns = truth.at(told["fired_monotonic_ns"].as_u64()?);
            Some((fired_ns as f64 / 1e6 - target_ms) * 1e3)
        })
        .collect();
    errors_us.sort_by(f64::total_cmp);
    let count = errors_us.len();
    figures.at_least("at_fired", count as f64, FIRES as f64);
    let (Some(first), Some(last)) = (errors_us.first(), errors_us.last()) else {
        return Ok(());
    };
    figures.tell("at_spread_first_to_last_us", last - first);
    let mut off_us: Vec<f64> = errors_us.iter().map(|error| error.abs()).collect();
    off_us.sort_by(f64::total_cmp);
    figures.tell(
        "at_error_mean_us",
        off_us.iter().sum::<f64>() / count as f64,
    );
    figures.tell("at_error_p99_us", off_us[(count * 99 / 100).min(count - 1)]);
    figures.tell("at_error_median_us", off_us[count / 2]);
    Ok(())
}

/// Waits until all name one leader, and not a former one.
async fn agreed(nodes: &[Process], former: Option<unisono_model::NodeId>) -> Result<(), Failure> {
    let begun = Instant::now();
    while begun.elapsed() < AGREED_WITHIN {
        let mut leaders = Vec::new();
        for node in nodes {
            let clock = read(node).await?;
            let sure = clock.state == SyncWord::Synchronised;
            leaders.push(
                clock
                    .leader
                    .filter(|leader| sure && Some(*leader) != former),
            );
        }
        if leaders[0].is_some() && leaders.iter().all(|leader| *leader == leaders[0]) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(Failure::new(
        Exit::TimedOut,
        "no_leader",
        "the nodes did not agree on a timing leader",
    ))
}

async fn read(node: &Process) -> Result<Clock, Failure> {
    let answer = node.get("/v1/clock").await?;
    serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error.to_string()))
}

/// The machine's load over the last minute: what else ran shows in every figure.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

fn unset() -> Failure {
    Failure::new(
        Exit::Failed,
        "clock_unset",
        "a node that leads tells no time",
    )
}

fn unreadable(why: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        "node_answer",
        format!("a node's answer cannot be used: {why}"),
    )
}
