//! How well orchestras play together, as Prometheus text.

use unisono_core::ensemble::Health;
use unisono_core::orchestra::view::{FailureKind, PlayersView};

use super::metrics::{head, line};

/// The health that is counted, beside the healthy.
const UNWELL: [(&str, Health); 2] = [("warning", Health::Warning), ("critical", Health::Critical)];
/// What may go wrong, by the words of `GET …/ensemble`.
fn word(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Rushing => "rushing",
        FailureKind::Dragging => "dragging",
        FailureKind::Drift => "drift",
        FailureKind::Split => "split",
        FailureKind::MeanCritical => "mean_critical",
        FailureKind::SpreadCritical => "spread_critical",
        FailureKind::DriftCritical => "drift_critical",
        FailureKind::Overuse => "overuse",
    }
}

/// Gauges of orchestras, by names that are fit for a label.
pub(super) fn write_gauges(measured: &[(&str, &PlayersView)], out: &mut String) {
    let mut gauge = |name: &str, help: &str, each: &dyn Fn(&PlayersView) -> Vec<(String, f64)>| {
        head(out, name, "gauge", help);
        for (orchestra, view) in measured {
            for (labels, value) in each(view) {
                let labels = format!("orchestra=\"{orchestra}\"{labels}");
                line(out, format_args!("{name}{{{labels}}} {value}"));
            }
        }
    };
    let whole = |value: f64| vec![(String::new(), value)];
    gauge(
        "ensemble_players",
        "Agents that have told of actions at a time, their latest 64 each.",
        &|view| whole(view.players.len() as f64),
    );
    gauge(
        "ensemble_actions",
        "Actions that the figures of an ensemble are of.",
        &|view| {
            let actions = view.players.iter().map(|one| one.punctuality.actions);
            whole(f64::from(actions.sum::<u32>()))
        },
    );
    gauge(
        "ensemble_asynchrony_seconds",
        "What the actions of an ensemble were off by, early or late: the mean of all.",
        &|view| asynchrony_s(view).map_or(Vec::new(), whole),
    );
    gauge(
        "ensemble_spread_seconds",
        "One standard deviation of the actions of the player that spreads most.",
        &|view| {
            let spreads = view.players.iter().map(|one| one.punctuality.spread_ns);
            let widest = spreads.reduce(f64::max);
            widest.map_or(Vec::new(), |ns| whole(ns / 1e9))
        },
    );
    gauge(
        "ensemble_unwell_players",
        "Players that are to be watched (warning) or looked after (critical).",
        &|view| {
            let of = |health: Health| {
                let all = view.players.iter();
                all.filter(|one| one.punctuality.health == health).count() as f64
            };
            let each = UNWELL.iter();
            each.map(|(word, health)| (format!(",health=\"{word}\""), of(*health)))
                .collect()
        },
    );
    gauge(
        "ensemble_findings",
        "What goes wrong in an ensemble, by kind.",
        &|view| {
            let of = |kind: FailureKind| {
                view.findings.iter().filter(|one| one.kind == kind).count() as f64
            };
            let each = FailureKind::EACH.into_iter();
            each.map(|kind| (format!(",failure=\"{}\"", word(kind)), of(kind)))
                .collect()
        },
    );
}

/// What all actions were off by in the mean (s); nothing of none.
fn asynchrony_s(view: &PlayersView) -> Option<f64> {
    let each = view.players.iter().map(|one| &one.punctuality);
    let (sum_ns, actions) = each.fold((0.0, 0.0), |(sum_ns, actions), one| {
        let own = f64::from(one.actions);
        (sum_ns + own * one.off_ns, actions + own)
    });
    (actions > 0.0).then(|| sum_ns / actions / 1e9)
}
