//! Plays along with the beat: a command gets a line for each beat, as much earlier as it is late as a rule.

use std::pin::pin;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use unisono_api::client::Actor;
use unisono_api::client::perform::{
    Action, Ended, Every, Happened, Missed, Partners, Performance, Summary, Why,
};
use unisono_api::dto::{AgentKindWord, StressWord, VariationBody};
use unisono_api::limits::PERFORM_MISSED_MAX;
use unisono_core::ensemble::{GainError, Gains, Loop, Rule};

use super::armed::startable;
use super::elsewhere::{enrolled, key_of};
use super::fire;
use super::instrument::{Given, Playing, cpu_ms};
use super::session::Session;
use super::tempo;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, in_a_line};

/// Whoever presses the keys that interrupt interrupts the command too: so long it is waited whether this is why
/// it has ended.
const INTERRUPT_WITHIN: Duration = Duration::from_millis(100);

/// So many of the others are named at most.
const NAMES_TOLD_MAX: usize = 8;

/// The most that is allotted to an action: what all processors of a large machine do between two slow beats.
const ALLOT_CPU_MS_MAX: u64 = 60_000;

/// `perform`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PerformArgs {
    /// Which beats: beat, point, major, or those whose number is a multiple of N
    #[arg(long, value_name = "beat|point|major|N", default_value = "beat", value_parser = every)]
    every: Every,
    /// How errors are corrected: kalman, best, seed, or none [default: kalman]
    #[arg(long, value_enum, hide_possible_values = true)]
    rule: Option<RuleWord>,
    /// How many players correct towards one another; 1: this one corrects towards the beat alone [default: those
    /// who perform and correct their errors, as they come and go]
    #[arg(long, value_name = "N")]
    players: Option<u32>,
    /// How many further beats are released before the command has to have answered one
    #[arg(long, value_name = "N", default_value_t = 0)]
    feedback_delay: u32,
    /// The gains stay as they are
    #[arg(long)]
    fixed_gains: bool,
    /// What counts as the action: line, the command's answer; release, the moment at which it gets its line,
    /// after which nothing is corrected
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    effect: EffectWord,
    /// Tells the orchestra of each K-th action; 0: of none [default: of those a fifth of a second apart]
    #[arg(long, value_name = "K")]
    tell_every: Option<u32>,
    /// Tells the orchestra once a second which time of processors the command and what it has run have used, of so
    /// much for each action (ms, up to a minute)
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..=ALLOT_CPU_MS_MAX))]
    allot_cpu_ms: Option<u64>,
    /// Ends after so many beats, played or missed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// What is run: for each beat it gets a line on its standard input, `beat NUMBER TARGET_NS`, and answers
    /// with a line on its standard output when it has acted, which may say when (ns since 1970, by the
    /// cluster's clock). Where actions may vary on purpose, its environment says so: at a beat whose number
    /// modulo UNISONO_VARY_EVERY is below UNISONO_VARY_BEATS, by UNISONO_VARY_TIMING_MS or UNISONO_VARY_RATE_PPM
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// By which rule errors are corrected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum RuleWord {
    /// What stays is told from chance
    Kalman,
    /// The gains that are best for the players and the feedback
    Best,
    /// A quarter and a tenth
    Seed,
    /// They are not
    None,
}

/// What counts as the action.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum EffectWord {
    /// The command's answer
    #[default]
    Line,
    /// The release
    Release,
}

fn every(text: &str) -> Result<Every, String> {
    match text {
        "beat" => Ok(Every::Beat),
        "point" => Ok(Every::Point),
        "major" => Ok(Every::Major),
        other => match other.parse() {
            Ok(beats @ 1..) => Ok(Every::Nth(beats)),
            _ => Err("beat, point, major, or a number from 1 to 65535".to_owned()),
        },
    }
}

impl PerformArgs {
    fn performance(&self) -> Result<Performance, Failure> {
        let by_release = self.effect == EffectWord::Release;
        if by_release && self.rule.is_some_and(|rule| rule != RuleWord::None) {
            let words = "with --effect release nothing comes after what counts, and no rule corrects it; nothing was run";
            return Err(Failure::usage(words).hint("leave out --rule, or --effect"));
        }
        let rule = match self.rule {
            None | Some(RuleWord::Kalman) => Some(Rule::Kalman),
            Some(RuleWord::Best) => Some(Rule::Best),
            Some(RuleWord::Seed) => Some(Rule::Seed),
            Some(RuleWord::None) => None,
        };
        Ok(Performance {
            every: self.every,
            rule,
            players: self.players,
            delay: self.feedback_delay,
            adaptive: !self.fixed_gains,
            by_release,
            tell_every: self.tell_every,
            count: self.count,
        })
    }
}

/// Why a rule does not hold, and which does.
fn unstable(performance: &Performance, error: &GainError) -> Failure {
    let words = format!("{error}; nothing was run");
    if matches!(error, GainError::Loop { .. }) {
        return Failure::new(Exit::Usage, "malformed", words)
            .hint("--players from 1 to 4096, --feedback-delay up to 64");
    }
    let around = performance.around();
    let (best, players) = (around.best().phase, around.players);
    Failure::new(Exit::Usage, "gains_unstable", words).hint(format!(
        "--rule kalman holds, and --rule best with a phase gain of {best:.4}, for {players} who correct towards one another; with --players 1 it takes itself for alone"
    ))
}

/// Plays until it is interrupted, the command ends, or as many beats have come as were asked for.
pub(crate) async fn perform(args: PerformArgs, session: &Session) -> Result<(), Failure> {
    let performance = args.performance()?;
    performance
        .check()
        .map_err(|error| unstable(&performance, &error))?;
    let actor = actor(session).await?;
    fire::ask(session, false).await?;
    // Whoever does not hear of the others begins alone.
    let others = actor.partners().await.unwrap_or_default();
    let begins = performance.among(&others);
    let gains = begins.check().map_err(|error| unstable(&begins, &error))?;
    startable(&args.command).map_err(|error| fire::not_run(&error))?;
    let refused = |error: std::io::Error| Failure::system("signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut stop = pin!(async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    });
    let given = given(&args, session).await?;
    let (playing, instrument) =
        Playing::start(&args.command, given).map_err(|error| fire::not_run(&error))?;
    let mut told = Teller::new(session.global.output);
    told.begins(begins.around(), gains);
    let played = actor
        .perform_on(&performance, instrument, stop.as_mut(), |one| {
            told.tell(one);
        })
        .await;
    let mut summary = played?;
    if summary.ended == Ended::Gone {
        let interrupted = tokio::time::timeout(INTERRUPT_WITHIN, stop).await;
        if interrupted.is_ok() {
            summary.ended = Ended::Stopped;
        }
    }
    let ended = playing.end().await;
    let (status, by_itself) = ended.map_err(|error| Failure::system("the command", &error))?;
    told.sums_up(&summary, status.code(), by_itself);
    if summary.ended == Ended::Gone && !status.success() {
        let how = status
            .code()
            .map_or("was ended by a signal".to_owned(), |code| {
                format!("ended with {code}")
            });
        let words = format!("the command {how} while it was to play");
        return Err(Failure::new(Exit::Failed, "command_ended_badly", words).changed());
    }
    has_played(&summary)
}

/// Whoever waited for it is told where nothing was played; who has interrupted it knows.
fn has_played(summary: &Summary) -> Result<(), Failure> {
    if summary.actions > 0 || summary.ended == Ended::Stopped {
        return Ok(());
    }
    let words = format!(
        "the command has not answered a single beat; {} were missed",
        summary.missed
    );
    Err(Failure::new(Exit::Failed, "nothing_played", words).hint(
        "it is to say one line for each line that it gets, and to write it out at once (flush)",
    ))
}

/// What the command is told as it begins.
async fn given(args: &PerformArgs, session: &Session) -> Result<Given, Failure> {
    if args.allot_cpu_ms.is_some() && cpu_ms(std::process::id()).is_none() {
        let words = "this system does not say which time of processors a command uses (/proc); nothing was run";
        return Err(Failure::usage(words).hint("leave out --allot-cpu-ms"));
    }
    let (map, reply) = tempo::map(session).await?;
    let varies = reply.body.variation.filter(VariationBody::moves);
    let every = |variation: &VariationBody| match variation.at {
        StressWord::Beat => 1,
        StressWord::Point => map.tempo().point_every,
        StressWord::Major => map.tempo().major_every,
    };
    Ok(Given {
        varies: varies.map(|variation| (variation, every(&variation))),
        cpu_ms: args.allot_cpu_ms,
    })
}

/// Who acts: an agent that signs for itself, or one whose key a node holds.
async fn actor(session: &Session) -> Result<Actor, Failure> {
    let name = session.agent()?;
    if let Some(agent) = session.signing_as(name, "", AgentKindWord::Ai, None)? {
        return Ok(Actor::Signing(agent));
    }
    key_of(name, &enrolled(session).await?)?;
    Ok(Actor::Held {
        client: session.client.clone(),
        orchestra: session.orchestra.clone(),
        name: name.to_owned(),
    })
}

/// Tells people or programs how it goes.
struct Teller {
    format: Format,
    is_bounded: bool,
    is_behind: bool,
    /// How many players it told of last.
    players: u32,
}

impl Teller {
    fn new(format: Format) -> Self {
        Self {
            format,
            is_bounded: false,
            is_behind: false,
            players: 1,
        }
    }

    fn say(&self, told: &Value, words: &str) {
        let line = if self.format == Format::Table {
            words.to_owned()
        } else {
            told.to_string()
        };
        // Where nobody reads any more, it goes on playing.
        let _ = output::raw(&format!("{line}\n"));
    }

    fn begins(&mut self, around: Loop, gains: Option<Gains>) {
        let bound = around.phase_bound();
        self.players = around.players;
        let told = json!({
            "event": "performing",
            "gains": shown(gains),
            "phase_bound": bound,
            "players": around.players,
        });
        let words = gains.map_or("nothing is corrected".to_owned(), |gains| {
            let players = match around.players {
                1 => String::new(),
                players => format!(" for {players} players"),
            };
            format!("gains {}, stable below {bound:.3}{players}", figures(gains))
        });
        self.say(&told, &format!("plays: {words}"));
    }

    fn tell(&mut self, happened: &Happened<'_>) {
        match happened {
            Happened::Acted(action) => self.acted(action),
            Happened::Missed(missed) => self.missed(missed),
            Happened::Heard(partners) => self.heard(partners),
            Happened::Untold(error) => {
                let why = in_a_line(&error.to_string());
                output::say(&format!(
                    "the orchestra is not told how punctual it is: {why}"
                ));
            }
        }
    }

    fn acted(&mut self, action: &Action) {
        let told = json!({
            "event": "played",
            "beat": action.beat,
            "target_ns": action.target_ns.to_string(),
            "moved_ns": action.moved_ns,
            "bounded": action.bounded,
            "late_ns": action.late_ns,
            "released_late_ns": action.released_late_ns,
            "answered_late_ns": action.answered_late_ns,
            "three_sigma_ns": action.unsure_ns,
            "real_time": action.real_time,
            "gains": shown(action.gains),
        });
        let gains = action
            .gains
            .map_or(String::new(), |gains| format!(", gains {}", figures(gains)));
        let moved_ms = action.moved_ns as f64 / 1e6;
        let late_ms = action.late_ns as f64 / 1e6;
        let words = format!(
            "beat {}: released {moved_ms:+.3} ms from it, late by {late_ms:.3} ms{gains}",
            action.beat
        );
        self.say(&told, &words);
        if action.bounded && !self.is_bounded {
            output::say(&format!(
                "the bound is met: beat {} needs more than half of the way to the beat before; it is released {moved_ms:+.1} ms from it, and no further. Play fewer beats (--every), or slower ones",
                action.beat
            ));
        }
        self.is_bounded = action.bounded;
    }

    /// Programs are told all of it, people who comes and who goes.
    fn heard(&mut self, partners: &Partners) {
        let each = partners.others.iter();
        let told = json!({
            "event": "partners",
            "players": partners.players,
            "partners": each.map(|one| json!({
                "agent": one.agent,
                "name": one.name,
                "rule": one.rule,
                "gains": shown(Some(one.gains)),
            })).collect::<Vec<_>>(),
        });
        let before = std::mem::replace(&mut self.players, partners.players);
        if self.format == Format::Table && before == partners.players {
            return;
        }
        let names = partners.others.iter().take(NAMES_TOLD_MAX);
        let names: Vec<String> = names.map(|one| in_a_line(&one.name)).collect();
        let words = match partners.players {
            1 => "nobody else corrects towards the others".to_owned(),
            players => format!("{players} players correct towards one another"),
        };
        let with = if names.is_empty() {
            String::new()
        } else {
            format!("; with {}", names.join(", "))
        };
        self.say(&told, &format!("{words}{with}"));
    }

    fn missed(&mut self, missed: &Missed) {
        let Missed {
            beat,
            beats,
            in_a_row,
            too_many,
            why,
        } = *missed;
        let (word, why) = match why {
            Why::Busy => ("busy", "the command has not answered the one before"),
            Why::Passed => ("passed", "it was past when it could have been released"),
            Why::NotTaken => ("not_taken", "the command does not take its line"),
        };
        let told = json!({
            "event": "missed",
            "beat": beat,
            "beats": beats,
            "in_a_row": in_a_row,
            "why": word,
        });
        let more = if beats > 1 {
            format!(" and {} after it", beats - 1)
        } else {
            String::new()
        };
        self.say(&told, &format!("beat {beat}{more}: missed, {why}"));
        let max = u64::from(PERFORM_MISSED_MAX);
        if in_a_row >= max && in_a_row - beats < max {
            output::say(&format!(
                "warning: {in_a_row} beats in a row were missed: {why}"
            ));
        } else if too_many && !self.is_behind {
            output::say(&format!(
                "it cannot keep up: {max} of the latest 16 beats were missed. Play fewer (--every), or have the tempo changed"
            ));
        }
        self.is_behind = too_many;
    }

    fn sums_up(&self, summary: &Summary, code: Option<i32>, by_itself: bool) {
        let ended = match summary.ended {
            Ended::Stopped => "stopped",
            Ended::Counted => "counted",
            Ended::Gone => "command_ended",
        };
        let ms = |ns: f64| (ns / 1e3).round() / 1e3;
        let (mean_ms, spread_ms) = (ms(summary.mean_ns), ms(summary.spread_ns));
        let (median_ms, p99_ms) = (ms(summary.median_ns as f64), ms(summary.p99_ns as f64));
        let findings = findings(summary, by_itself);
        let told = json!({
            "event": "summary",
            "ended": ended,
            "exit": code,
            "actions": summary.actions,
            "missed": summary.missed,
            "missed_in_a_row_max": summary.missed_in_a_row_max,
            "unanswered": summary.unanswered,
            "mean_ms": mean_ms,
            "spread_ms": spread_ms,
            "median_ms": median_ms,
            "p99_ms": p99_ms,
            "bounded": summary.bounded,
            "surplus": summary.surplus,
            "not_believed": summary.not_believed,
            "told": summary.told,
            "untold": summary.untold,
            "gains": shown(summary.gains),
            "findings": findings.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
        });
        let gains = summary.gains.map_or(String::new(), |gains| {
            format!(", gains {} in the end", figures(gains))
        });
        let mut words = format!(
            "{} actions, {} missed; late by {mean_ms:.3} ms in the mean, spread {spread_ms:.3} ms, 99 of 100 off by at most {p99_ms:.3} ms{gains}; told of {}",
            summary.actions, summary.missed, summary.told
        );
        for (_, finding) in findings {
            words.push_str("\n  finding: ");
            words.push_str(&finding);
        }
        self.say(&told, &words);
    }
}

/// What is wrong with how it went: a word, and a sentence.
fn findings(summary: &Summary, by_itself: bool) -> Vec<(&'static str, String)> {
    let all = [
        (
            summary.too_many_missed,
            "cannot_keep_up",
            format!(
                "it cannot keep up: {} beats were missed, {} of them in a row",
                summary.missed, summary.missed_in_a_row_max
            ),
        ),
        (
            summary.bounded > 0,
            "bound_met",
            format!(
                "{} times it was later than half of the way between two beats makes up for",
                summary.bounded
            ),
        ),
        (
            summary.surplus > 0,
            "surplus_answers",
            format!(
                "{} answers of the command were to nothing: it is to say one line for each beat",
                summary.surplus
            ),
        ),
        (
            summary.not_believed > 0,
            "impossible_times",
            format!(
                "{} answers named a time before the release or to come; the time counted at which they were read",
                summary.not_believed
            ),
        ),
        (
            summary.untold > 0,
            "untold",
            format!("the orchestra was not told of {} actions", summary.untold),
        ),
        (
            !by_itself,
            "command_stayed",
            "the command did not end when it got no lines any more, and was ended".to_owned(),
        ),
    ];
    let found = all.into_iter().filter(|(so, ..)| *so);
    found.map(|(_, word, words)| (word, words)).collect()
}

fn shown(gains: Option<Gains>) -> Value {
    gains.map_or(
        Value::Null,
        |gains| json!({ "phase": gains.phase, "period": gains.period }),
    )
}

fn figures(gains: Gains) -> String {
    format!("{:.3} and {:.3}", gains.phase, gains.period)
}
