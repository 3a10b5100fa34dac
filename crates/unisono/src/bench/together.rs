//! Fifty processes that act together, each on the clock of one of the nodes: how far apart their true
//! times are.

use std::process::{Child, Output, Stdio};

use serde_json::Value;

use super::clock_processes::{read, unreadable, unset};
use super::clock_truth::{Line, Look, raw_of, raw_of_wall};
use super::figures::Figures;
use super::processes::{self, Process};
use crate::command::armed;
use crate::failure::Failure;

/// How many act together, and how long they have to get ready.
const ACTORS: usize = 50;
/// See above.
const LEAD_MS: u64 = 8_000;

/// Fifty `unisono at`: programs that are run at the time, then programs that wait for it.
pub(super) async fn fire(nodes: &[Process], figures: &mut Figures) -> Result<(), Failure> {
    round(nodes, false, figures).await?;
    round(nodes, true, figures).await
}

async fn round(nodes: &[Process], ready: bool, figures: &mut Figures) -> Result<(), Failure> {
    let clock = read(&nodes[0]).await?;
    let from = Look::of(&clock).ok_or_else(unset)?;
    let target_ns = from.cluster_ns / 1_000_000 * 1_000_000 + LEAD_MS * 1_000_000;
    let children = start(nodes, target_ns, ready)?;
    let ended = tokio::task::spawn_blocking(move || {
        let outputs = children.into_iter().map(Child::wait_with_output);
        outputs.filter_map(Result::ok).collect::<Vec<_>>()
    });
    let ended = ended
        .await
        .map_err(|error| unreadable(&error.to_string()))?;
    let to = Look::of(&read(&nodes[0]).await?).ok_or_else(unset)?;
    // Between two looks, so that nothing of the clocks' course is guessed.
    let truth_ns = Line::new(from, to).raw_at(target_ns);
    let late_us = |raw_ns: u64| (raw_ns as f64 - truth_ns as f64) / 1e3;
    let told: Vec<Value> = ended.iter().filter_map(told).collect();
    let fired = told
        .iter()
        .filter_map(|told| told["fired_monotonic_ns"].as_u64());
    let name = if ready { "at_ready" } else { "at" };
    figures.at_least(format!("{name}_fired"), told.len() as f64, ACTORS as f64);
    let real_time = told.iter().filter(|told| told["real_time"] == true).count();
    figures.tell(format!("{name}_with_real_time_priority"), real_time as f64);
    tell(
        &format!("{name}_released"),
        fired.map(|ns| late_us(raw_of(ns))).collect(),
        figures,
    );
    let runs = told.iter().filter_map(|told| {
        let fired_ns = raw_of(told["fired_monotonic_ns"].as_u64()?);
        let after_ns = told["runs_late_ns"].as_i64()? - told["late_ns"].as_i64()?;
        Some(late_us(fired_ns.saturating_add_signed(after_ns)))
    });
    tell(&format!("{name}_before_exec"), runs.collect(), figures);
    let began = ended.iter().filter_map(|output| {
        let text = String::from_utf8_lossy(&output.stdout);
        let shown_ns: u64 = text.trim().parse().ok()?;
        let raw_ns = if ready {
            shown_ns
        } else {
            raw_of_wall(shown_ns)
        };
        Some(late_us(raw_ns))
    });
    tell(&format!("{name}_program"), began.collect(), figures);
    Ok(())
}

fn start(nodes: &[Process], target_ns: u64, ready: bool) -> Result<Vec<Child>, Failure> {
    let target = format!("{}", target_ns / 1_000_000);
    let mut children = Vec::new();
    for n in 0..ACTORS {
        let mut command = nodes[n % nodes.len()].agent();
        command.args(["at", &target]);
        if ready {
            command.arg("--ready");
        }
        command.arg("--");
        if ready {
            command.arg(processes::own()).arg(armed::WITNESS);
        } else {
            // Small, and says by the wall clock when it began.
            command.args(["date", "+%s%N"]);
        }
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        children.push(child.map_err(|error| Failure::system("a process that fires", &error))?);
    }
    Ok(children)
}

fn told(output: &Output) -> Option<Value> {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_str(text.lines().last()?).ok()
}

/// How late they were against the true time, and how far apart.
fn tell(name: &str, mut late_us: Vec<f64>, figures: &mut Figures) {
    late_us.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (late_us.first(), late_us.last()) else {
        return;
    };
    let count = late_us.len();
    figures.tell(format!("{name}_first_to_last_us"), last - first);
    let mean_us = late_us.iter().sum::<f64>() / count as f64;
    let square = |late: &f64| (late - mean_us) * (late - mean_us);
    let spread_us = (late_us.iter().map(square).sum::<f64>() / count as f64).sqrt();
    let mut off_us: Vec<f64> = late_us.iter().map(|late| late.abs()).collect();
    off_us.sort_by(f64::total_cmp);
    let mean_us = off_us.iter().sum::<f64>() / count as f64;
    figures.tell(format!("{name}_error_mean_us"), mean_us);
    let p99_us = off_us[(count * 99 / 100).min(count - 1)];
    figures.tell(format!("{name}_error_p99_us"), p99_us);
    figures.tell(format!("{name}_error_median_us"), off_us[count / 2]);
    figures.tell(format!("{name}_error_sd_us"), spread_us);
}
