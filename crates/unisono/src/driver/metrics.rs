//! What the process counts beside the node and the edge, as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use unisono_core::node::Note;
use unisono_quic::{EndpointCounters, Transport};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Numbers that only grow.
        #[derive(Debug, Default)]
        pub(crate) struct Metrics { $($name: AtomicU64,)* append_us: AtomicU64 }

        impl Metrics {
            fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),*), self.$name.load(Relaxed)),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Batches written.
    appends,
    /// Bytes of bundles written.
    append_bytes,
    /// Times that a file was made durable.
    fsyncs,
    /// Times that the node was made anew in this process.
    restarts,
    /// Bundles of peers that did not enter.
    notes_bundle_refused,
    /// Frames of peers that could not be read.
    notes_frame_refused,
    /// Logs and chains found forked.
    notes_forked,
    /// Views folded again from the logs.
    notes_refold,
    /// Claims told contested to their losers.
    notes_contested,
    /// Members that went away or came back.
    notes_member,
    /// Times that this node's clock was found off.
    notes_clock_off,
    /// Times that the disk became full or had room again.
    notes_disk,
    /// Documents dropped, to be built again.
    notes_document_dropped,
    /// Frames that a peer's queue did not take.
    sends_refused,
    /// Frames for peers that have no address yet, or left.
    sends_dropped,
}

impl Metrics {
    /// A batch was written.
    pub(crate) fn appended(&self, bytes: usize, took: Duration) {
        self.appends.fetch_add(1, Relaxed);
        self.append_bytes.fetch_add(bytes as u64, Relaxed);
        self.append_us
            .fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// A file was made durable.
    pub(crate) fn synced(&self) {
        self.fsyncs.fetch_add(1, Relaxed);
    }

    /// The node was made anew.
    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Relaxed);
    }

    /// A frame was not taken.
    pub(crate) fn send_refused(&self) {
        self.sends_refused.fetch_add(1, Relaxed);
    }

    /// A frame had nowhere to go.
    pub(crate) fn send_dropped(&self) {
        self.sends_dropped.fetch_add(1, Relaxed);
    }

    /// Counts a note, and says it in the log.
    pub(crate) fn note(&self, note: &Note) {
        let counter = match note {
            Note::BundleRefused { .. } => &self.notes_bundle_refused,
            Note::FrameRefused { .. } => &self.notes_frame_refused,
            Note::LogForked { .. } | Note::ChainForked { .. } => &self.notes_forked,
            Note::Refold { .. } => &self.notes_refold,
            Note::Contested { .. } => &self.notes_contested,
            Note::Member { .. } => &self.notes_member,
            Note::ClockOff { .. } => &self.notes_clock_off,
            Note::Disk { .. } => &self.notes_disk,
            Note::DocumentDropped { .. } => &self.notes_document_dropped,
        };
        counter.fetch_add(1, Relaxed);
        match note {
            Note::Member { node, alive } => tracing::info!(%node, alive, "a member"),
            Note::Refold { orchestra, why } => tracing::info!(%orchestra, why, "folding again"),
            Note::Contested { .. } | Note::FrameRefused { .. } => tracing::debug!(?note),
            other => tracing::warn!(note = ?other),
        }
    }

    /// As Prometheus text.
    pub(crate) fn text(&self, transport: &Transport) -> String {
        let mut out = String::new();
        for (name, help, value) in self.each() {
            line(&mut out, name, help.trim(), value);
        }
        let seconds = self.append_us.load(Relaxed) as f64 / 1e6;
        let name = "unisono_append_seconds_total";
        let help = "Time spent writing batches and making them durable.";
        // A string takes everything.
        let _ = writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} counter\n{name} {seconds}"
        );
        let counted = transport.endpoint_counters();
        for (name, help, value) in network(counted).into_iter().chain(traffic(counted)) {
            line(&mut out, name, help, value);
        }
        let connected = transport
            .peers()
            .iter()
            .filter(|peer| peer.connection.is_some())
            .count();
        let ends_s = transport.certificate().until_ms / 1000;
        let help = "When this node's certificate ends, seconds since the Unix epoch.";
        gauge(&mut out, "certificate_ends_seconds", help, ends_s);
        let help = "Peers connected now.";
        gauge(&mut out, "peers_connected", help, connected as u64);
        out
    }
}

/// What is counted of all connections together.
fn network(network: EndpointCounters) -> [(&'static str, &'static str, u64); 10] {
    [
        (
            "quic_handshakes_failed",
            "Handshakes that failed.",
            network.handshakes_failed,
        ),
        (
            "quic_strangers_refused",
            "Strangers turned away.",
            network.strangers_refused,
        ),
        (
            "quic_excluded_refused",
            "Excluded nodes turned away.",
            network.excluded_refused,
        ),
        (
            "quic_overload_refused",
            "Connections refused for load.",
            network.overload_refused,
        ),
        (
            "quic_violations",
            "Peers that broke the protocol.",
            network.violations,
        ),
        (
            "quic_ended_refused",
            "Nodes turned away because their certificate has ended.",
            network.ended_refused,
        ),
        (
            "certificates_renewed",
            "Certificates signed for other nodes whose earlier one was running out.",
            network.renewals_signed,
        ),
        (
            "certificates_refused",
            "Renewals that were asked of this node and refused.",
            network.renewals_refused,
        ),
        ("joins_admitted", "Joiners let in.", network.joins_admitted),
        ("joins_refused", "Joiners refused.", network.joins_refused),
    ]
}

/// What goes to other nodes and comes from them.
fn traffic(network: EndpointCounters) -> [(&'static str, &'static str, u64); 6] {
    [
        (
            "quic_sent_packets",
            "Packets sent to other nodes.",
            network.sent_packets,
        ),
        (
            "quic_sent_bytes",
            "Their bytes, without the heads of UDP and IP.",
            network.sent_bytes,
        ),
        (
            "quic_received_packets",
            "Packets received from other nodes, or whoever sends any.",
            network.received_packets,
        ),
        (
            "quic_received_bytes",
            "Their bytes, without the heads of UDP and IP.",
            network.received_bytes,
        ),
        (
            "timing_sent_datagrams",
            "Datagrams of the timing plane sent.",
            network.timing_sent,
        ),
        (
            "timing_sent_bytes",
            "Their bytes, without what QUIC, UDP and IP put around them.",
            network.timing_sent_bytes,
        ),
    ]
}

fn gauge(out: &mut String, name: &str, help: &str, value: u64) {
    let name = format!("unisono_{name}");
    // A string takes everything.
    let _ = writeln!(
        out,
        "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
    );
}

fn line(out: &mut String, name: &str, help: &str, value: u64) {
    let name = format!("unisono_{name}_total");
    // A string takes everything.
    let _ = writeln!(
        out,
        "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"
    );
}
