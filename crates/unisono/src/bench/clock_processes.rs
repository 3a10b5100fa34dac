//! The cluster's clock between real processes, in three regions on loopback or behind the emulated
//! network of `chaos/wan.sh`: each node's clock is off by up to half a second and 50 ppm and sways, and
//! is judged against the machine's raw clock, which they share.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use unisono_api::dto::{Clock, SyncWord, TimingRole};

use super::clock_truth::{Errors, Line, Look};
use super::figures::Figures;
use super::idle;
use super::processes::{self, Process};
use super::together;
use super::wan::Wan;
use crate::failure::{Exit, Failure};

/// Offset (ms), drift (ppm) and sway (ppb) of each node's clock.
const CLOCKS: [(i64, i64, i64); 3] = [(500, 50, 500), (-500, -50, 500), (250, -30, -500)];
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How long a cluster may take to agree on a leader.
const AGREED_WITHIN: Duration = Duration::from_secs(60);
/// What is left out after joining: it has a figure of its own.
const SETTLING: Duration = Duration::from_secs(2);
/// What counts as sustained, if it is measured for longer than twice this.
const SUSTAINED: Duration = Duration::from_secs(60);
/// Looks over so long say how fast a clock runs that is gone.
const RATE_OVER: Duration = Duration::from_secs(1);
/// So long after a heal errors are told as those of the heal.
const HEALED: Duration = Duration::from_secs(8);

/// Where it is measured, and for how long.
#[derive(Debug)]
pub(super) struct Measured {
    /// While nothing happens.
    pub(super) time: Duration,
    /// What `chaos/wan.sh` has built; loopback if left out.
    pub(super) wan: Option<PathBuf>,
    /// How long one region is cut off.
    pub(super) cut: Duration,
}

/// Measures: calm, as long without anybody who asks, fifty that fire together, a cut with its heal (behind a router), a leader's loss.
pub(super) async fn run(
    scratch: &Path,
    measured: &Measured,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let words: Vec<Vec<String>> = CLOCKS
        .iter()
        .map(|(offset_ms, drift_ppm, wander_ppb)| {
            vec![
                format!("--clock-offset-ms={offset_ms}"),
                format!("--clock-drift-ppm={drift_ppm}"),
                format!("--clock-wander-ppb={wander_ppb}"),
            ]
        })
        .collect();
    let wan = measured.wan.as_deref();
    let wan = wan
        .map(|folder| Wan::open(folder, CLOCKS.len()))
        .transpose()?;
    let hosts = wan.as_ref().map(Wan::hosts).unwrap_or_default();
    let mut nodes = processes::regions(&scratch.join("clock"), &words, hosts).await?;
    let begun = Instant::now();
    agreed(&nodes, None).await?;
    let agreed_ms = begun.elapsed().as_secs_f64() * 1e3;
    figures.tell("clock_agreed_on_a_leader_ms", agreed_ms);
    steady(&nodes, measured.time, figures).await?;
    idle::measure(&nodes, measured.time, figures).await?;
    together::fire(&nodes, figures).await?;
    if let Some(wan) = &wan {
        partition(&nodes, wan, measured.cut, figures).await?;
    }
    lose(&mut nodes, figures).await?;
    figures.tell("machine_load_1_min", load());
    Ok(())
}

/// What all nodes show, between two looks at the leader.
async fn looks(nodes: &[Process]) -> Result<Option<(Line, Vec<Clock>)>, Failure> {
    let before = Look::of(&read(&nodes[0]).await?);
    let mut clocks = Vec::new();
    for node in &nodes[1..] {
        clocks.push(read(node).await?);
    }
    let after = Look::of(&read(&nodes[0]).await?);
    Ok(before
        .zip(after)
        .map(|(from, to)| (Line::new(from, to), clocks)))
}

/// Sleeps until the next point of the grid on which clocks are looked at.
async fn next(begun: Instant) {
    let behind = begun.elapsed().as_nanos() % LOOK.as_nanos();
    let left_ns = u64::try_from(LOOK.as_nanos() - behind).unwrap_or_default();
    tokio::time::sleep(Duration::from_nanos(left_ns)).await;
}

/// Errors against the leader's clock while nothing happens.
async fn steady(nodes: &[Process], time: Duration, figures: &mut Figures) -> Result<(), Failure> {
    let (mut joining, mut settled, mut late) =
        (Errors::default(), Errors::default(), Errors::default());
    let begun = Instant::now();
    let before_s: f64 = nodes.iter().map(Process::cpu_seconds).sum();
    while begun.elapsed() < time {
        if let Some((truth, clocks)) = looks(nodes).await? {
            for clock in &clocks {
                let errors = if begun.elapsed() < SETTLING {
                    &mut joining
                } else if begun.elapsed() >= SUSTAINED && time > SUSTAINED * 2 {
                    &mut late
                } else {
                    &mut settled
                };
                errors.look(clock, &truth);
            }
        }
        next(begun).await;
    }
    let spent_s = nodes.iter().map(Process::cpu_seconds).sum::<f64>() - before_s;
    let share = spent_s / begun.elapsed().as_secs_f64() / nodes.len() as f64;
    joining.tell("joining", true, figures);
    settled.tell("settled", true, figures);
    late.tell("sustained", true, figures);
    figures.tell("clock_looked_at_node_processor_share", share);
    Ok(())
}

/// Cuts off the last region, which goes on by what it knows, and heals.
async fn partition(
    nodes: &[Process],
    wan: &Wan,
    cut: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let last = nodes.len() - 1;
    let leader = read(&nodes[0]).await?.leader;
    wan.cut_off(last)?;
    let begun = Instant::now();
    let (mut near, mut first, mut end) = (Errors::default(), Errors::default(), Errors::default());
    while begun.elapsed() < cut {
        if let Some((truth, clocks)) = looks(nodes).await? {
            let (apart, others) = clocks.split_last().ok_or_else(unset)?;
            for clock in others {
                near.look(clock, &truth);
            }
            if begun.elapsed() <= SUSTAINED {
                first.look(apart, &truth);
            }
            if begun.elapsed() + Duration::from_secs(2) >= cut {
                end.look(apart, &truth);
            }
        }
        next(begun).await;
    }
    figures.tell("clock_cut_s", cut.as_secs_f64());
    near.tell("cut_the_others", true, figures);
    first.tell("cut_first_minute", false, figures);
    end.tell("cut_at_its_end", false, figures);
    wan.heal()?;
    heal(nodes, leader, figures).await
}

/// How long it takes until the region that was cut off follows again, and how far it is off then.
async fn heal(
    nodes: &[Process],
    leader: Option<unisono_model::NodeId>,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut follows: Option<Instant> = None;
    let (mut at_two, mut after) = (Errors::default(), Errors::default());
    while follows.is_none_or(|since| since.elapsed() < HEALED) {
        if begun.elapsed() > AGREED_WITHIN {
            return Err(no_leader(nodes).await);
        }
        if let Some((truth, clocks)) = looks(nodes).await? {
            let apart = clocks.last().ok_or_else(unset)?;
            let sure = apart.state == SyncWord::Synchronised;
            if follows.is_none() && sure && apart.leader == leader && apart.epoch_node == leader {
                follows = Some(Instant::now());
            }
            let since = follows.map(|since| since.elapsed());
            if since.is_some_and(|since| (2.0..2.5).contains(&since.as_secs_f64())) {
                at_two.look(apart, &truth);
            }
            if since.is_some_and(|since| since >= SETTLING) {
                after.look(apart, &truth);
            }
        }
        next(begun).await;
    }
    let waited = follows.map_or(f64::NAN, |since| (since - begun).as_secs_f64() * 1e3);
    figures.tell("clock_heal_follows_again_after_ms", waited);
    at_two.tell("heal_2_s_after", false, figures);
    after.tell("heal_2_to_8_s_after", true, figures);
    Ok(())
}

/// Puts the leader first. It is mostly the one that was started first; where another has taken its place
/// since, nobody else would do so when the first one is killed. Says whether another has.
async fn leader_first(nodes: &mut [Process]) -> Result<bool, Failure> {
    for index in 0..nodes.len() {
        if read(&nodes[index]).await?.role == TimingRole::ClusterLeader {
            nodes.swap(0, index);
            return Ok(index > 0);
        }
    }
    Err(no_leader(nodes).await)
}

/// Kills the leader: when another leads, and how far its time is from where the old one's would be.
async fn lose(nodes: &mut [Process], figures: &mut Figures) -> Result<(), Failure> {
    let moved = leader_first(nodes).await?;
    figures.tell("clock_leaders_changed_before_the_loss", f64::from(moved));
    let leader = read(&nodes[0]).await?.leader;
    let from = Look::of(&read(&nodes[0]).await?).ok_or_else(unset)?;
    let mut before = Errors::default();
    let begun = Instant::now();
    while begun.elapsed() < RATE_OVER {
        if let Some((truth, clocks)) = looks(nodes).await? {
            for clock in &clocks {
                before.look(clock, &truth);
            }
        }
        next(begun).await;
    }
    let to = Look::of(&read(&nodes[0]).await?).ok_or_else(unset)?;
    let truth = Line::new(from, to);
    nodes[0].kill();
    let begun = Instant::now();
    agreed(&nodes[1..], leader).await?;
    let after_ms = begun.elapsed().as_secs_f64() * 1e3;
    figures.tell("clock_new_leader_after_ms", after_ms);
    let (mut leads, mut follow) = (Errors::default(), Errors::default());
    let begun = Instant::now();
    while begun.elapsed() < SETTLING {
        for node in &nodes[1..] {
            let clock = read(node).await?;
            let errors = if clock.role == TimingRole::ClusterLeader {
                &mut leads
            } else {
                &mut follow
            };
            errors.look(&clock, &truth);
        }
        next(begun).await;
    }
    before.tell("1_s_before_the_loss", false, figures);
    leads.tell("2_s_after_the_loss_the_new_leader", false, figures);
    follow.tell("2_s_after_the_loss_the_others", false, figures);
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
    Err(no_leader(nodes).await)
}

pub(super) async fn read(node: &Process) -> Result<Clock, Failure> {
    let answer = node.get("/v1/clock").await?;
    serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error.to_string()))
}

/// The machine's load over the last minute: what else ran shows in every figure.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(f64::NAN)
}

/// Says what each node says, in place of what they should have said.
async fn no_leader(nodes: &[Process]) -> Failure {
    let mut said = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        said.push(match read(node).await {
            Ok(clock) => format!(
                "node {place} is {:?}, {:?}, epoch {} of {:?} (known {} of {:?}), names {:?}, in its region {:?}",
                clock.role,
                clock.state,
                clock.epoch,
                clock.epoch_node,
                clock.epoch_known,
                clock.epoch_known_node,
                clock.leader,
                clock.region_leader,
            ),
            Err(failure) => format!("node {place}: {failure:?}"),
        });
    }
    let text = format!(
        "the nodes did not agree on a timing leader: {}",
        said.join("; ")
    );
    Failure::new(Exit::TimedOut, "no_leader", text)
}

pub(super) fn unset() -> Failure {
    Failure::new(
        Exit::Failed,
        "clock_unset",
        "a node that leads tells no time",
    )
}

pub(super) fn unreadable(why: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        "node_answer",
        format!("a node's answer cannot be used: {why}"),
    )
}
