//! How punctual everybody is, and what goes wrong among those who play together.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{
    CauseWord, CorrectionWord, Ensemble, FailureWord, Finding, GainsShown, PerformerShown, Player,
    UsageShown, VariationShown, VariationWord,
};

use super::recover;
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, in_a_line};

/// `ensemble`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EnsembleArgs {
    /// Shows each of the latest ten minutes instead of the latest 64 actions together
    #[arg(long)]
    minutes: bool,
    /// Tells what goes wrong when it begins, and when it is over, until it is interrupted
    #[arg(short, long, conflicts_with = "minutes")]
    follow: bool,
    /// While following, gives the cues that recover, as this agent: at once when something goes wrong,
    /// and again, more explicitly, while it stands; after three somebody has to look
    #[arg(long, requires = "follow")]
    recover: bool,
    /// So long each cue has its time before the next one is given
    #[arg(long, value_name = "SECONDS", default_value_t = 30, requires = "recover",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    patience: u64,
}

/// Shows how punctual everybody is.
pub(crate) async fn ensemble(args: &EnsembleArgs, session: &Session) -> Result<(), Failure> {
    let list = "players";
    if args.recover {
        return recover::recover(session, Duration::from_secs(args.patience)).await;
    }
    if args.follow {
        return follow(session).await;
    }
    if args.minutes && session.global.output == Format::Table {
        let columns = &[
            ("PLAYER", "name"),
            ("FROM NS", "minute.from_ns"),
            ("ACTIONS", "minute.actions"),
            ("MEAN MS", "minute.mean_ms"),
            ("SPREAD MS", "minute.spread_ms"),
            ("WORST MS", "minute.worst_ms"),
            ("DRIFT MS/MIN", "minute.drift_ms_per_minute"),
            ("HEALTH", "minute.health"),
        ];
        let reply: Reply<Ensemble> = session.read("ensemble", &[]).await?;
        let lines: Vec<Value> = reply.body.players.iter().flat_map(minutes).collect();
        let table = Table { list, columns };
        return output::answer(Format::Table, &json!({ list: lines }), Some(table));
    }
    let columns = &[
        ("PLAYER", "name"),
        ("ACTIONS", "actions"),
        ("MEAN MS", "mean_ms"),
        ("OFF MS", "off_ms"),
        ("SPREAD MS", "spread_ms"),
        ("WORST MS", "worst_ms"),
        ("DRIFT MS/MIN", "drift_ms_per_minute"),
        ("CLOCK MS", "unsure_ms"),
        ("HEALTH", "health"),
    ];
    let reply: Reply<Ensemble> = session.read("ensemble", &[]).await?;
    session.show(&reply, Some(Table { list, columns }))?;
    if session.global.output == Format::Table {
        if let Some(gains) = &reply.body.gains {
            output::raw(&format!("\n{}\n", correcting(gains)))?;
        }
        for line in varying(&reply.body.players) {
            output::raw(&format!("\n{line}\n"))?;
        }
        for usage in &reply.body.usage {
            output::raw(&format!("\n{}\n", using(usage)))?;
        }
        for one in reply.body.performers.iter().filter(|one| one.performs) {
            output::raw(&format!("\n{}\n", performing(one)))?;
        }
        for finding in &reply.body.findings {
            output::raw(&format!("\n{}\n", words(finding)))?;
        }
    }
    Ok(())
}

/// How much of an error may be corrected, to people.
fn correcting(gains: &GainsShown) -> String {
    let GainsShown {
        players,
        phase_best,
        period_best,
        phase_bound,
        seed_is_stable,
    } = gains;
    let seed = if *seed_is_stable {
        "0.25 and 0.1 are stable"
    } else {
        "0.25 and 0.1 are not stable"
    };
    format!(
        "gains of {players} who correct towards one another: best {phase_best:.3} and {period_best:.3}, stable below {phase_bound:.3}; {seed}"
    )
}

/// Tells each change in lines.
async fn follow(session: &Session) -> Result<(), Failure> {
    session.is_now()?;
    let mut findings = session.client.findings(&session.orchestra);
    loop {
        let change = findings.next().await?;
        if session.global.output != Format::Table {
            let line = serde_json::to_string(&change)
                .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
            output::raw(&format!("{line}\n"))?;
            continue;
        }
        for finding in &change.begun {
            output::raw(&format!("{}\n", words(finding)))?;
        }
        for finding in &change.over {
            let (what, who) = named(finding);
            output::raw(&format!("over: {what} ({who})\n"))?;
        }
    }
}

/// What goes wrong, and with whom, in words.
pub(super) fn named(finding: &Finding) -> (&'static str, String) {
    let what = match finding.failure {
        FailureWord::Rushing => "rushing",
        FailureWord::Dragging => "dragging",
        FailureWord::Drift => "drift",
        FailureWord::Split => "split",
        FailureWord::MeanCritical => "critical mean",
        FailureWord::SpreadCritical => "critical spread",
        FailureWord::DriftCritical => "critical drift",
        FailureWord::Overuse => "overuse",
    };
    (what, in_a_line(&finding.agents.join(", ")))
}

/// A finding to people: what, since when, why, and what to do.
pub(super) fn words(finding: &Finding) -> String {
    let (what, who) = named(finding);
    let off_ms = finding.off_ms;
    let figures = match finding.failure {
        FailureWord::Split => format!("{off_ms:.1} ms from the others of {}", finding.players),
        FailureWord::SpreadCritical => format!("one sigma of {off_ms:.1} ms"),
        FailureWord::DriftCritical if off_ms < 0.0 => {
            format!("{:.1} ms earlier with every minute", -off_ms)
        }
        FailureWord::DriftCritical => format!("{off_ms:.1} ms later with every minute"),
        FailureWord::Overuse => finding.too_much(),
        _ if off_ms < 0.0 => format!("{:.1} ms early", -off_ms),
        _ => format!("{off_ms:.1} ms late"),
    };
    let cause = match finding.cause {
        CauseWord::Player => "its own clock, its load or what corrects it",
        CauseWord::Beat => "the beat or its period, alike for all",
        CauseWord::TwoReferences => "two sources of time, or a cut between the groups",
        CauseWord::Resources => "a limit of resources: more is used than is allotted",
    };
    let since_ns = finding.since_ns.0;
    let mut text = format!("{what}: {who}, {figures}, since {since_ns}; likely: {cause}");
    if let Some(reason) = finding.reason {
        text.push_str("; no variation that is meant: ");
        text.push_str(variation(reason));
    }
    for command in &finding.next {
        text.push_str("\n  next: ");
        text.push_str(command);
    }
    text
}

/// Whether what somebody is off by is meant.
fn variation(word: VariationWord) -> &'static str {
    match word {
        VariationWord::Steady => "steady",
        VariationWord::Varying => "varies as it may",
        VariationWord::OutOfBounds => "further than it may vary",
        VariationWord::NotReturning => "it has not come back",
        VariationWord::NoPattern => "not where variation is likely",
    }
}

/// Who varies as it may, in a line each.
fn varying(players: &[Player]) -> Vec<String> {
    let varies = players.iter().filter_map(|player| {
        let told = player.variation.as_ref()?;
        let is = told.variation == VariationWord::Varying;
        is.then(|| {
            let name = in_a_line(&player.name);
            let VariationShown {
                actions, most_ms, ..
            } = told;
            format!(
                "{name} varies as it may: {actions} of its latest actions, by up to {most_ms:.1} ms"
            )
        })
    });
    varies.collect()
}

/// What somebody uses, in a line.
fn using(usage: &UsageShown) -> String {
    let UsageShown {
        resource,
        used_percent,
        used,
        allotted,
        actions,
        ..
    } = usage;
    let (name, resource) = (in_a_line(&usage.name), resource.name());
    format!(
        "{name} uses {used_percent:.0} % of its {resource} lately: {used} of {allotted} in {actions} actions"
    )
}

/// By how much somebody corrects who performs, in a line.
fn performing(one: &PerformerShown) -> String {
    let name = in_a_line(&one.name);
    let rule = match one.rule {
        CorrectionWord::None => return format!("{name} performs, and corrects nothing"),
        CorrectionWord::Seed => "seed",
        CorrectionWord::Best => "best",
        CorrectionWord::Kalman => "kalman",
    };
    let (phase, period) = (one.phase, one.period);
    let told = one.told.time;
    format!("{name} performs: {rule}, gains {phase:.3} and {period:.3}, told at {told:.0}")
}

/// One line for each minute of a player.
fn minutes(player: &Player) -> Vec<Value> {
    let each = player.minutes.iter();
    each.map(|minute| json!({ "name": player.name, "minute": minute }))
        .collect()
}
