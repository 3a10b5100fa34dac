//! The timing plane in figures.

use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

use unisono_core::election::Role;
use unisono_core::ensemble::ChannelReport;
use unisono_core::timekeeper::Status;
use unisono_core::timing::Sync;
use unisono_quic::identity::Region;

/// Equal regions have equal numbers, in one process.
pub(super) fn region_number(region: &Region) -> u64 {
    let mut hasher = DefaultHasher::new();
    region.as_str().hash(&mut hasher);
    hasher.finish()
}

/// As Prometheus text.
pub(super) fn metrics(status: &Status) -> String {
    let mut out = String::new();
    for (name, help, value) in status.counters.each() {
        let name = format!("timing_{name}_total");
        line(&mut out, &name, "counter", help.trim(), value as f64);
    }
    let leads = |leads: bool| if leads { 1.0 } else { 0.0 };
    let cluster = status.role == Role::ClusterLeader;
    let help = "Whether this node leads the cluster's time.";
    line(
        &mut out,
        "timing_leads_cluster",
        "gauge",
        help,
        leads(cluster),
    );
    let help = "Whether this node leads its region's time, or the cluster's.";
    let region = status.role != Role::Member;
    line(
        &mut out,
        "timing_leads_region",
        "gauge",
        help,
        leads(region),
    );
    let help = "The epoch of the timing leader that is known.";
    let epoch = status.epoch.number as f64;
    line(&mut out, "timing_epoch", "gauge", help, epoch);
    if let Some(reading) = &status.reading {
        let help = "One sigma of the cluster's time as it is told.";
        let deviation_s = reading.deviation_ns / 1e9;
        line(
            &mut out,
            "timing_deviation_seconds",
            "gauge",
            help,
            deviation_s,
        );
        let help = "Half the interval that contains the cluster's time for certain.";
        let width_ns = reading
            .hard
            .latest_ns
            .saturating_sub(reading.hard.earliest_ns);
        let half_s = width_ns as f64 / 2e9;
        line(&mut out, "timing_hard_seconds", "gauge", help, half_s);
        let help = "0 synchronised, 1 holdover, 2 free-running.";
        let sync = match reading.sync {
            Sync::Synchronised => 0.0,
            Sync::Holdover => 1.0,
            Sync::FreeRunning => 2.0,
        };
        line(&mut out, "timing_sync", "gauge", help, sync);
    }
    out
}

/// How the two channels are, as Prometheus text.
pub(super) fn channels(report: Option<&ChannelReport>) -> String {
    let mut out = String::new();
    let Some(report) = report else {
        return out;
    };
    for (name, health) in [
        ("primary", &report.primary),
        ("secondary", &report.secondary),
    ] {
        let figures = [
            (
                "delivery_ratio",
                "Which share arrives",
                Some(health.delivery),
            ),
            (
                "availability_ratio",
                "In which share of looks it served",
                Some(health.availability),
            ),
            (
                "precision_seconds",
                "How exact it is",
                health.precision_ns.map(|ns| ns / 1e9),
            ),
            (
                "degraded",
                "Whether it is to be relied on less",
                Some(f64::from(u8::from(health.degraded))),
            ),
        ];
        let what = if name == "primary" {
            "exact time"
        } else {
            "advance notice"
        };
        for (figure, help, value) in figures {
            if let Some(value) = value {
                let name = format!("timing_{name}_{figure}");
                line(
                    &mut out,
                    &name,
                    "gauge",
                    &format!("{help}: {what}, over a minute."),
                    value,
                );
            }
        }
    }
    out
}

fn line(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    // A string takes everything.
    let _ = writeln!(
        out,
        "# HELP unisono_{name} {help}\n# TYPE unisono_{name} {kind}\nunisono_{name} {value}"
    );
}
