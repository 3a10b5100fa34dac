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

/// How the two channels are, as Prometheus text; what is not known yet has a name and no figure.
pub(super) fn channels(report: Option<&ChannelReport>) -> String {
    let mut out = String::new();
    for (name, what, health) in [
        ("primary", "exact time", report.map(|one| &one.primary)),
        (
            "secondary",
            "advance notice",
            report.map(|one| &one.secondary),
        ),
    ] {
        let precision_ns = health.and_then(|one| one.precision_ns);
        let figures = [
            (
                "delivery_ratio",
                "Which share arrives",
                health.map(|one| one.delivery),
            ),
            (
                "availability_ratio",
                "In which share of looks it served",
                health.map(|one| one.availability),
            ),
            (
                "precision_seconds",
                "How exact it is",
                precision_ns.map(|ns| ns / 1e9),
            ),
            (
                "degraded",
                "Whether it is to be relied on less",
                health.map(|one| f64::from(u8::from(one.degraded))),
            ),
        ];
        for (figure, help, value) in figures {
            let name = format!("timing_{name}_{figure}");
            let help = format!("{help}: {what}, over a minute.");
            head(&mut out, &name, "gauge", &help);
            if let Some(value) = value {
                // A string takes everything.
                let _ = writeln!(out, "unisono_{name} {value}");
            }
        }
    }
    out
}

fn line(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    head(out, name, kind, help);
    // A string takes everything.
    let _ = writeln!(out, "unisono_{name} {value}");
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(
        out,
        "# HELP unisono_{name} {help}\n# TYPE unisono_{name} {kind}"
    );
}
