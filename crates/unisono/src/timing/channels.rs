//! How the two channels are by which agents act at one time: looked at once a second.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use unisono_core::ensemble::{ChannelLook, ChannelReport, Channels, Compensation};
use unisono_core::timekeeper::Status;
use unisono_model::NodeId;
use unisono_quic::Transport;

/// For so long a node that is reached no more counts as one that notice has to reach: afterwards it is
/// one that is off.
const MISSED_FOR: Duration = Duration::from_secs(600);

/// What is looked at, and whom it has reached.
#[derive(Debug, Default)]
pub(super) struct Watched {
    channels: Channels,
    compensation: Compensation,
    reached: HashMap<NodeId, Instant>,
}

impl Watched {
    /// What was seen of the channels so far.
    pub(super) fn channels(&self) -> &Channels {
        &self.channels
    }

    /// What is done about them, by the latest look.
    pub(super) fn compensation(&self) -> Compensation {
        self.compensation
    }

    /// Looks at both.
    pub(super) fn look(&mut self, status: &Status, transport: &Transport, now: Instant) {
        let mut look = ChannelLook {
            sync: status.reading.as_ref().map(|reading| reading.sync),
            unsure_ns: status
                .reading
                .as_ref()
                .map(|reading| reading.reach_ns() as f64),
            leader_way_ns: leader_way_ns(status),
            asked: status.counters.asked,
            taken: status.counters.probes,
            ..ChannelLook::default()
        };
        let peers = transport.peers();
        for peer in &peers {
            let push = &peer.counters.push;
            look.sent += push.sent_frames;
            look.dropped += push.refused + push.dropped;
            if let Some(connection) = &peer.connection {
                self.reached.insert(peer.node, now);
                look.reached += 1;
                let way_ns = connection.rtt.as_nanos() as f64;
                look.way_ns = Some(look.way_ns.map_or(way_ns, |longest| way_ns.max(longest)));
            }
        }
        self.reached.retain(|node, last| {
            let known = peers.iter().any(|peer| peer.node == *node);
            known && now.duration_since(*last) < MISSED_FOR
        });
        look.known = u32::try_from(self.reached.len()).unwrap_or(u32::MAX);
        self.channels.look(look);
        let report = self.channels.report();
        self.compensation = report
            .as_ref()
            .map(ChannelReport::compensation)
            .unwrap_or_default();
    }
}

/// The shortest way to whoever leads the cluster's time and back (ns), where it was measured.
fn leader_way_ns(status: &Status) -> Option<f64> {
    let leader = status.cluster.as_ref()?.leader;
    let source = status.sources.iter().find(|one| one.node == leader)?;
    source
        .asymmetry_bound_ns
        .map(|half_ns| 2.0 * half_ns as f64)
}
