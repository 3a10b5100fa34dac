//! The tempo: show it, and change it along a curve.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{
    ActionBody, Bpm, ChangeShown, ChangeStageWord, Clock, FollowsWord, OneTo, StressWord,
    TempoShown, VariationBody,
};
use unisono_core::ensemble::{Change, TempoError, TempoMap};
use unisono_model::limits::{
    VARY_BEATS_MAX, VARY_RATE_PPM_MAX, VARY_RESOURCES_PPM_MAX, VARY_TIMING_MS_MAX,
};

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
    /// Says by how much agents may vary on purpose, and when: what they do so is no trouble, and told to nobody as
    /// such. Takes the place of what was said before
    #[command(
        after_help = "Example:\n  unisono tempo vary --timing-ms 60 --at point --beats 2 --resources 20% --as ada"
    )]
    Vary(VaryArgs),
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

#[derive(Clone, Debug, Args)]
// The group that comes with the type has all of its options in it, those too that bound nothing.
#[group(skip)]
#[command(group = ArgGroup::new("bound").required(true).multiple(true).args(["timing_ms", "rate_percent", "resources", "none"]))]
struct VaryArgs {
    /// How far from its beat an action may be: 1 to 60000 ms
    #[arg(long, value_name = "MS", value_parser = whole::<VARY_TIMING_MS_MAX>)]
    timing_ms: Option<OneTo<VARY_TIMING_MS_MAX>>,
    /// By how much of the tempo's rate an agent may be faster or slower, over four actions: up to 50 %
    #[arg(long, value_name = "PERCENT", value_parser = percent::<VARY_RATE_PPM_MAX>)]
    rate_percent: Option<OneTo<VARY_RATE_PPM_MAX>>,
    /// By how much more than what is allotted to it an agent may use, whenever: up to 100 %
    #[arg(long, value_name = "PERCENT", value_parser = percent::<VARY_RESOURCES_PPM_MAX>)]
    resources: Option<OneTo<VARY_RESOURCES_PPM_MAX>>,
    /// From which beats on it is likely that actions are off: beat, point, or major
    #[arg(long, value_enum, default_value = "point", hide_possible_values = true)]
    at: AtWord,
    /// For how many beats from there on: 1 to 64
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole::<VARY_BEATS_MAX>)]
    beats: OneTo<VARY_BEATS_MAX>,
    /// Nothing may vary
    #[arg(long, conflicts_with_all = ["timing_ms", "rate_percent", "resources", "at", "beats"])]
    none: bool,
}

/// From which beats on variation is likely.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum AtWord {
    /// Any
    Beat,
    /// Coordination points
    Point,
    /// Major synchronisations
    Major,
}

fn whole<const MAX: u64>(text: &str) -> Result<OneTo<MAX>, String> {
    let number = text.parse().ok().and_then(OneTo::new);
    number.ok_or_else(|| format!("a whole number from 1 to {MAX}; nothing was set"))
}

/// A percentage as millionths.
fn percent<const MAX: u64>(text: &str) -> Result<OneTo<MAX>, String> {
    let digits = text.strip_suffix('%').unwrap_or(text).trim_end();
    let number: Option<f64> = digits.parse().ok();
    let ppm = number.map(|percent| (percent * 1e4).round());
    let ppm = ppm.filter(|ppm| (1.0..=MAX as f64).contains(ppm));
    ppm.and_then(|ppm| OneTo::new(ppm as u64)).ok_or_else(|| {
        format!(
            "a percentage above 0, at most {}; nothing was set",
            MAX / 10_000
        )
    })
}

/// Shows or changes the tempo.
pub(crate) async fn run(args: TempoArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        None | Some(TempoCommand::Show) => show(session).await,
        Some(TempoCommand::Set(args)) => set(args, session).await,
        Some(TempoCommand::Vary(args)) => vary(&args, session).await,
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
    // Who has set a change has not set what is played up to it.
    let (by, change_by) = match reply.body.change.as_ref().map(|change| change.stage) {
        Some(ChangeStageWord::Announced) => ("up to the change".to_owned(), format!(", {by}")),
        Some(ChangeStageWord::UnderWay) => ("in the change".to_owned(), format!(", {by}")),
        _ => (by, String::new()),
    };
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
        let words = change_words(change);
        output::raw(&format!("change    {words}{change_by}\n"))?;
    }
    if let Some(variation) = &reply.body.variation {
        output::raw(&format!("varies    {}\n", variation_words(variation)))?;
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

/// By how much agents may vary on purpose, and when.
fn variation_words(variation: &VariationBody) -> String {
    let percent = |ppm: u64| ppm as f64 / 1e4;
    let timing = variation.timing_ms.map(|most| format!("{} ms", most.get()));
    let rate = variation
        .rate_ppm
        .map(|most| format!("{} % of the rate", percent(most.get())));
    let bounds: Vec<String> = [timing, rate].into_iter().flatten().collect();
    let more = variation
        .resources_ppm
        .map(|most| format!("uses up to {} % more than is allotted", percent(most.get())));
    if bounds.is_empty() {
        return more.unwrap_or_default();
    }
    let from = match variation.at {
        StressWord::Beat => "any beat",
        StressWord::Point => "each point",
        StressWord::Major => "each major synchronisation",
    };
    let beats = match variation.beats.get() {
        1 => "one beat".to_owned(),
        beats => format!("{beats} beats"),
    };
    let more = more.map_or(String::new(), |more| format!("; {more}"));
    format!(
        "by up to {}, for {beats} from {from} on{more}",
        bounds.join(", ")
    )
}

async fn vary(args: &VaryArgs, session: &Session) -> Result<(), Failure> {
    let body = VariationBody {
        timing_ms: args.timing_ms,
        rate_ppm: args.rate_percent,
        resources_ppm: args.resources,
        at: match args.at {
            AtWord::Beat => StressWord::Beat,
            AtWord::Point => StressWord::Point,
            AtWord::Major => StressWord::Major,
        },
        beats: args.beats,
    };
    session.show_act(ActionBody::Vary(body)).await
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
