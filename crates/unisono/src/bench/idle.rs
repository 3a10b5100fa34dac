//! What nodes use and send while nobody asks them anything.

use std::time::{Duration, Instant};

use unisono_api::dto::TimingRole;

use super::clock_processes::read;
use super::figures::Figures;
use super::processes::Process;
use crate::failure::Failure;

/// What UDP and IP put around each packet.
const PACKET_HEADS_BYTES: f64 = 28.0;
/// What stands around each datagram of the timing plane, heads of UDP and IP included, if it has a packet of
/// its own: as the simulator counts it (`crates/sim/src/timing/leaders/regions.rs`).
const DATAGRAM_AROUND_BYTES: f64 = 58.0;

/// What a node has used and sent so far.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    packets: f64,
    bytes: f64,
    datagrams: f64,
    datagram_bytes: f64,
}

impl Spent {
    async fn by(node: &Process) -> Result<Self, Failure> {
        let metric = async |name: &str| node.metric(&format!("unisono_{name}_total")).await;
        Ok(Self {
            packets: metric("quic_sent_packets").await?,
            bytes: metric("quic_sent_bytes").await?,
            datagrams: metric("timing_sent_datagrams").await?,
            datagram_bytes: metric("timing_sent_bytes").await?,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets - before.packets,
            bytes: self.bytes - before.bytes,
            datagrams: self.datagrams - before.datagrams,
            datagram_bytes: self.datagram_bytes - before.datagram_bytes,
        }
    }

    /// Bytes with the heads of all layers.
    fn bytes_whole(&self) -> f64 {
        self.bytes + PACKET_HEADS_BYTES * self.packets
    }

    /// The same of the timing plane.
    fn timing_bytes_whole(&self) -> f64 {
        self.datagram_bytes + DATAGRAM_AROUND_BYTES * self.datagrams
    }
}

/// Waits for so long, and tells of the leader and of all others what they used and sent a second.
pub(super) async fn measure(
    nodes: &[Process],
    time: Duration,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let mut leads = Vec::new();
    let mut before = Vec::new();
    for node in nodes {
        leads.push(read(node).await?.role == TimingRole::ClusterLeader);
        before.push(Spent::by(node).await?);
    }
    let cpu_before_s: Vec<f64> = nodes.iter().map(Process::cpu_seconds).collect();
    let begun = Instant::now();
    tokio::time::sleep(time).await;
    let seconds = begun.elapsed().as_secs_f64();
    // Before anybody is asked: an answer costs as much as a tenth of a second of all planes.
    let cpu_s: Vec<f64> = nodes
        .iter()
        .zip(cpu_before_s)
        .map(|(node, before_s)| node.cpu_seconds() - before_s)
        .collect();
    let mut spent = Vec::new();
    for (node, before) in nodes.iter().zip(before) {
        spent.push(Spent::by(node).await?.since(before));
    }
    figures.tell("clock_idle_s", seconds);
    let share = cpu_s.iter().sum::<f64>() / nodes.len() as f64 / seconds;
    figures.tell("clock_idle_node_processor_share", share);
    for (name, leader) in [("leader", true), ("follower", false)] {
        let of = spent.iter().zip(&leads);
        let of = of.filter(|(_, leads)| **leads == leader);
        let of: Vec<Spent> = of.map(|(spent, _)| *spent).collect();
        if of.is_empty() {
            continue;
        }
        let mut tell = |what: &str, count: fn(&Spent) -> f64| {
            let each = of.iter().map(count).sum::<f64>() / of.len() as f64;
            figures.tell(format!("clock_idle_{name}_{what}"), each / seconds);
        };
        tell("sent_bytes_per_s", Spent::bytes_whole);
        tell("sent_packets_per_s", |spent| spent.packets);
        tell("sent_timing_bytes_per_s", Spent::timing_bytes_whole);
        tell("sent_timing_datagrams_per_s", |spent| spent.datagrams);
    }
    Ok(())
}
