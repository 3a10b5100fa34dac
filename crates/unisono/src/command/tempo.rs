//! The tempo: show it, and change it along a curve.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{
    ActionBody, Bpm, ChangeShown, ChangeStageWord, Clock, FollowsWord, TempoShown,
};
use unisono_core::ensemble::{Change, TempoError, TempoMap};

use super::session::Session;
use super::{at, fire};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, in_a_line};

/// A change begins at the first coordination point that is so far ahead, if nobody says when, ns: time
/// for every node to hear of it.
const AHEAD_NS: u64 = 1_000_000_000;
/// The longest curve, ms: a day.
const OVER_MS_MAX: f64 = 86_400_000.0;

/// `tempo`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TempoArgs {
    #[command(subcommand)]
    command: Option<TempoCommand>,
}

#[derive(Clone, Debug, Subcommand)]
enum TempoCommand {
    /// What is played, and the next beats (the same as no word)
    #[command(after_help = "Example:\n  unisono tempo show")]
    Show,
    /// Changes the tempo from a coordination point on
    #[command(after_help = "Example:\n  unisono tempo set 90 --over 10s --as ada")]
    Set(SetArgs),
}

#[derive(Clone, Debug, Args)]
struct SetArgs {
    /// Beats a minute, 0.1 to 6000
    #[arg(value_name = "BPM", allow_hyphen_values = true)]
    bpm: String,
    /// When the change begins: as for `unisono at` [default: a coordination point a second ahead]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// How long it takes: 10s, 500ms [default: a step]
    #[arg(long, value_name = "TIME")]
    over: Option<String>,
    /// By equal factors instead of equal amounts
    #[arg(long)]
    exponential: bool,
    /// Every so many beats is a coordination point
    #[arg(long, value_name = "N")]
    point_every: Option<u16>,
    /// Every so many beats is a major synchronisation
    #[arg(long, value_name = "N")]
    major_every: Option<u16>,
}

/// Shows or changes the tempo.
pub(crate) async fn run(args: TempoArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        None | Some(TempoCommand::Show) => show(session).await,
        Some(TempoCommand::Set(args)) => set(args, session).await,
    }
}

/// The tempo map that stands, and what was told of it.
pub(super) async fn map(session: &Session) -> Result<(TempoMap, Reply<TempoShown>), Failure> {
    let reply: Reply<TempoShown> = session.read("tempo", &[]).await?;
    let map = TempoMap::new(reply.body.tempo.clone().into()).map_err(|error| {
        Failure::new(
            Exit::Failed,
            "internal",
            format!("the node told no tempo: {error}"),
        )
    })?;
    Ok((map, reply))
}

async fn show(session: &Session) -> Result<(), Failure> {
    let (map, reply) = map(session).await?;
    if session.global.output != Format::Table {
        return session.show(&reply, None);
    }
    let by = match (&reply.body.by, &reply.body.set) {
        (Some(by), Some(set)) => format!("set by {by} at {:.3}", set.time),
        _ => "as it is where nobody has set it".to_owned(),
    };
    let clock: Reply<Clock> = session.client.clock().await?;
    let tempo = map.tempo();
    let (point, major) = (tempo.point_every, tempo.major_every);
    let Some(now_ns) = clock.body.estimate() else {
        return output::raw(&format!(
            "tempo     {by}\npoints    every {point}, major every {major}\nnow       the time is not known here yet\n"
        ));
    };
    let bpm = map.rate_ubpm(now_ns) as f64 / 1e6;
    let beat = map.position(now_ns).beat;
    output::raw(&format!(
        "tempo     {bpm} beats a minute, {by}\npoints    every {point}, major every {major}\nnow       beat {beat}\n"
    ))?;
    if let Some(change) = &reply.body.change {
        output::raw(&format!("change    {}\n", change_words(change)))?;
    }
    let next = [("beat", 1), ("point", point), ("major", major)];
    let rows = next.into_iter().filter_map(|(kind, every)| {
        let beat = map.next(now_ns, every)?;
        let in_ms = (beat.at_ns - now_ns) as f64 / 1e6;
        Some(json!({ "next": kind, "beat": beat.number, "in_ms": format!("{in_ms:.1}"), "at_ns": beat.at_ns.to_string() }))
    });
    let table = Table {
        list: "next",
        columns: &[
            ("NEXT", "next"),
            ("BEAT", "beat"),
            ("IN MS", "in_ms"),
            ("AT NS", "at_ns"),
        ],
    };
    let rows: Vec<Value> = rows.collect();
    output::answer(Format::Table, &json!({ "next": rows }), Some(table))
}

/// What became of a change, and by whom not.
fn change_words(change: &ChangeShown) -> String {
    let (from, to) = (
        change.from_bpm.ubpm as f64 / 1e6,
        change.to_bpm.ubpm as f64 / 1e6,
    );
    let names = |wanted: &dyn Fn(FollowsWord) -> bool| {
        let players = change.players.iter().filter(|one| wanted(one.follows));
        let named = players.map(|one| {
            let name = in_a_line(&one.name);
            match one.follows {
                FollowsWord::Yes => name,
                FollowsWord::Silent => format!("{name} (silent)"),
                FollowsWord::OffBeat => format!("{name} (not on the new beat)"),
                FollowsWord::Later => {
                    let later_ms = one.later_ns.unwrap_or_default() as f64 / 1e6;
                    format!("{name} ({later_ms:+.1} ms)")
                }
            }
        });
        named.collect::<Vec<_>>().join(", ")
    };
    let not = || names(&|follows| follows != FollowsWord::Yes);
    let stage = match change.stage {
        ChangeStageWord::Announced => "announced".to_owned(),
        ChangeStageWord::UnderWay => "under way".to_owned(),
        ChangeStageWord::Awaited => format!("over, not confirmed yet by: {}", not()),
        ChangeStageWord::Confirmed => {
            format!("confirmed by all: {}", names(&|_| true))
        }
        ChangeStageWord::Unconfirmed => format!("not confirmed by: {}", not()),
        ChangeStageWord::Unheard => "over; nobody tells of the beat".to_owned(),
    };
    format!("from {from} to {to} beats a minute, {stage}")
}

async fn set(args: SetArgs, session: &Session) -> Result<(), Failure> {
    let wrong =
        |words: String| Failure::new(Exit::Usage, "tempo_unreadable", words + "; nothing was set");
    let bpm = args.bpm.parse::<f64>().ok().and_then(Bpm::of);
    let bpm = bpm.ok_or_else(|| {
        wrong(format!(
            "{:?} is no tempo: beats a minute, a number above 0",
            args.bpm
        ))
    })?;
    let over_ns = args.over.as_deref().map_or(Ok(0), |text| {
        let lead = at::read(&format!("+{text}"));
        match lead {
            Ok(at::Time::After(ms)) if (0.0..=OVER_MS_MAX).contains(&ms) => {
                Ok((ms * 1e6).round() as u64)
            }
            _ => Err(wrong(format!(
                "{text:?} is no length of a curve: 10s, 500ms, at most a day"
            ))),
        }
    })?;
    let clock = fire::ask(session, false).await?;
    let (map, _) = map(session).await?;
    let now_ns = clock.estimate().unwrap_or_default();
    let at_ns = if let Some(text) = &args.at {
        at::target(session, &clock, at::read(text)?).await?.at_ns
    } else {
        let point = map.next(now_ns + AHEAD_NS, map.tempo().point_every);
        let point = point.ok_or_else(|| wrong("no beat comes any more".to_owned()))?;
        point.at_ns
    };
    let change = Change {
        at_ns,
        to_ubpm: bpm.ubpm,
        over_ns,
        exponential: args.exponential,
    };
    let mut tempo = map.changed(now_ns, change).map_err(|error| match error {
        TempoError::Malformed(_) => wrong(error.to_string()),
        TempoError::CurveUnderWay { .. } | TempoError::Past { .. } => Failure::new(
            Exit::Conflict,
            "tempo_changing",
            format!("{error}; nothing was set"),
        ),
    })?;
    tempo.point_every = args.point_every.unwrap_or(tempo.point_every);
    tempo.major_every = args.major_every.unwrap_or(tempo.major_every);
    session.show_act(ActionBody::Tempo(tempo.into())).await
}
