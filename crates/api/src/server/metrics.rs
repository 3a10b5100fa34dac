//! What the edge counts, and the Prometheus text of everything.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::StatusCode;

use crate::dto::Status;

const BUCKETS_US: [u64; 10] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000,
];

/// Requests by class of status, and how long they took.
#[derive(Debug, Default)]
pub(crate) struct HttpCounters {
    classes: [AtomicU64; 5],
    buckets: [AtomicU64; BUCKETS_US.len()],
    total_us: AtomicU64,
    total: AtomicU64,
}

impl HttpCounters {
    pub(crate) fn count(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        self.classes[class].fetch_add(1, Relaxed);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        for (bucket, limit) in self.buckets.iter().zip(BUCKETS_US) {
            if us <= limit {
                bucket.fetch_add(1, Relaxed);
            }
        }
        self.total_us.fetch_add(us, Relaxed);
        self.total.fetch_add(1, Relaxed);
    }

    /// As Prometheus text.
    pub(crate) fn write(&self, out: &mut String) {
        head(
            out,
            "http_requests_total",
            "counter",
            "Requests answered, by class of status.",
        );
        for (class, count) in self.classes.iter().enumerate() {
            let class = class + 1;
            let count = count.load(Relaxed);
            line(
                out,
                format_args!("http_requests_total{{status=\"{class}xx\"}} {count}"),
            );
        }
        let help = "Time from a request's head to its answer's head.";
        head(out, "http_request_seconds", "histogram", help);
        for (bucket, limit) in self.buckets.iter().zip(BUCKETS_US) {
            let (limit, count) = (limit as f64 / 1e6, bucket.load(Relaxed));
            line(
                out,
                format_args!("http_request_seconds_bucket{{le=\"{limit}\"}} {count}"),
            );
        }
        let total = self.total.load(Relaxed);
        line(
            out,
            format_args!("http_request_seconds_bucket{{le=\"+Inf\"}} {total}"),
        );
        let seconds = self.total_us.load(Relaxed) as f64 / 1e6;
        line(out, format_args!("http_request_seconds_sum {seconds}"));
        line(out, format_args!("http_request_seconds_count {total}"));
    }
}

/// What the node says about itself, as Prometheus text.
pub(crate) fn write_status(status: &Status, out: &mut String) {
    for (name, value) in status.counters.each() {
        let name = format!("{name}_total");
        head(
            out,
            &name,
            "counter",
            &format!("Since the start: {}.", name.replace('_', " ")),
        );
        line(out, format_args!("{name} {value}"));
    }
    let others = || status.members.iter().filter(|member| !member.removed);
    let alive = others().filter(|member| member.alive).count() as u64;
    let gauges: [(&str, &str, f64); 5] = [
        (
            "waiting_requests",
            "Requests that wait in the node.",
            status.waiting as f64,
        ),
        (
            "disk_full",
            "Whether writes are refused for lack of room.",
            flag(status.disk_full),
        ),
        (
            "members",
            "Members not removed, this node included.",
            others().count() as f64,
        ),
        (
            "members_alive",
            "Members that gossip holds for alive.",
            alive as f64,
        ),
        (
            "members_behind_bundles",
            "Bundles that members said they lack, together.",
            others().map(|member| member.behind).sum::<u64>() as f64,
        ),
    ];
    for (name, help, value) in gauges {
        head(out, name, "gauge", help);
        line(out, format_args!("{name} {value}"));
    }
    if let Some(offset_ms) = status.clock_offset_ms {
        let name = "clock_offset_seconds";
        head(
            out,
            name,
            "gauge",
            "This node's clock minus the other members' median.",
        );
        line(out, format_args!("{name} {}", offset_ms as f64 / 1e3));
    }
}

fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

pub(super) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    line(
        out,
        format_args!("# HELP unisono_{name} {help}\n# TYPE unisono_{name} {kind}"),
    );
}

pub(super) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let text = text.to_string();
    let prefix = if text.starts_with('#') {
        ""
    } else {
        "unisono_"
    };
    writeln!(out, "{prefix}{text}").expect("a string takes everything");
}
