//! Runs a command at a time of the cluster: armed on the local node's clock, fired by a thread that
//! sleeps until an absolute time.

use clap::Args;
use serde_json::json;
use unisono_api::dto::{ActionBody, Clock, Digits, PlayedBody};
use unisono_core::ensemble::Stress;
use unisono_model::Digest;

use super::armed::{Act, startable};
use super::elsewhere::{self, ElsewhereArgs};
use super::fire::{self, Fired, Target};
use super::session::Session;
use super::tempo;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

/// The longest lead: a day, over which a clock that has lost its leader still knows the time to some
/// tens of milliseconds.
const LEAD_MS_MAX: f64 = 86_400_000.0;
/// A beat that comes sooner cannot be armed any more, ns.
const ARM_NS: u64 = 20_000_000;

/// `at`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AtArgs {
    /// When, by the cluster's clock: ms since 1970; +2s, +500ms from now; next-beat, next-point,
    /// next-major, beat:N of the orchestra's tempo; with --on also soon: when all of them can be ready
    #[arg(value_name = "TIME", allow_hyphen_values = true)]
    time: String,
    /// Fires although the clock is not synchronised
    #[arg(long, conflicts_with = "on")]
    unsure: bool,
    /// Tells the orchestra how punctual it was (--as says who acts)
    #[arg(long, conflicts_with = "on")]
    tell: bool,
    /// Runs the command at once and gives it a line (the time, ns) on its standard input when the time
    /// has come: for programs that are ready by then and act on it
    #[arg(long, conflicts_with = "on")]
    ready: bool,
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
    /// What is run here; on other machines it is what each of them stands by with
    #[arg(
        last = true,
        required_unless_present = "on",
        value_name = "COMMAND",
        conflicts_with = "on"
    )]
    command: Vec<String>,
}

/// When something is to happen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Time {
    /// So many ms from now.
    After(f64),
    /// At so many ms since the Unix epoch.
    At(f64),
    /// When this beat comes.
    Beat(i64),
    /// When the next beat of this kind comes.
    Next(Stress),
}

/// Waits, runs the command, and says how punctual that was.
pub(crate) async fn at(args: AtArgs, session: &Session) -> Result<(), Failure> {
    if !args.elsewhere.is_empty() {
        return elsewhere::at(&args.time, args.elsewhere, session).await;
    }
    let time = read(&args.time)?;
    // Now, and not when its time has come: whoever gave the command is still there.
    if !args.command.is_empty() {
        startable(&args.command).map_err(|error| fire::not_run(&error))?;
    }
    let clock = fire::ask(session, args.unsure).await?;
    let target = target(session, &clock, time).await?;
    let act = if args.ready {
        Act::Release(args.command)
    } else {
        Act::run(args.command)
    };
    let fired = fire::at(session, clock, target, args.unsure, act).await?;
    if args.tell {
        tell(session, None, &fired).await?;
    }
    show(session, &fired)
}

/// When that is by the cluster's clock (ns since the Unix epoch).
pub(super) async fn target(
    session: &Session,
    clock: &Clock,
    time: Time,
) -> Result<Target, Failure> {
    let now_ns = clock.estimate().unwrap_or_default();
    let now_ms = clock.estimate_ms.unwrap_or_default();
    let mut number = None;
    let target_ns = match time {
        // As integers from here on: a float of ms knows a time of day to a quarter of a microsecond.
        Time::After(ms) if ms > LEAD_MS_MAX => return Err(too_long(ms)),
        Time::After(ms) => now_ns.saturating_add_signed((ms * 1e6).round() as i64),
        Time::At(ms) if ms - now_ms > LEAD_MS_MAX => return Err(too_long(ms - now_ms)),
        Time::At(ms) => (ms * 1e6).round() as u64,
        Time::Beat(_) | Time::Next(_) => {
            let map = tempo::map(session).await?.0;
            let armed_ns = now_ns.saturating_add(ARM_NS);
            number = match time {
                Time::Beat(number) => Some(number),
                Time::Next(stress) => {
                    let tempo = map.tempo();
                    let every = match stress {
                        Stress::Beat => 1,
                        Stress::Point => tempo.point_every,
                        Stress::Major => tempo.major_every,
                    };
                    map.next(armed_ns, every).map(|beat| beat.number)
                }
                Time::After(_) | Time::At(_) => None,
            };
            number.and_then(|number| map.time(number)).ok_or_else(|| {
                let words = "that beat is before 1970 or after 2106; nothing was run";
                Failure::new(Exit::Usage, "time_unreadable", words)
            })?
        }
    };
    if target_ns < now_ns {
        let past_ms = (now_ns - target_ns) as f64 / 1e6;
        let words = format!("the time is {past_ms:.3} ms past; nothing was run");
        return Err(Failure::new(Exit::Usage, "time_past", words));
    }
    let lead_ms = (target_ns - now_ns) as f64 / 1e6;
    if lead_ms > LEAD_MS_MAX {
        return Err(too_long(lead_ms));
    }
    Ok(Target {
        at_ns: target_ns,
        beat: number,
    })
}

fn too_long(lead_ms: f64) -> Failure {
    let words = format!("{lead_ms:.0} ms ahead; at most {LEAD_MS_MAX:.0} (a day); nothing was run");
    Failure::new(Exit::Usage, "lead_too_long", words)
}

/// Tells the orchestra how punctual it was.
pub(super) async fn tell(
    session: &Session,
    cue: Option<Digest>,
    fired: &Fired,
) -> Result<(), Failure> {
    let body = ActionBody::Played(PlayedBody {
        cue,
        target_ns: Digits(fired.target_ns),
        late_ns: fired.late_ns,
        // A clock that cannot say how sure it is, is not.
        unsure_ns: if fired.unsure_ns.is_finite() {
            fired.unsure_ns.round() as u64
        } else {
            u64::MAX
        },
    });
    session.act(body, session.options()).await.map(|_| ())
}

fn show(session: &Session, fired: &Fired) -> Result<(), Failure> {
    let code = fired.status.and_then(|status| status.code());
    if session.global.output == Format::Table {
        let late_us = fired.late_ns as f64 / 1e3;
        let unsure_us = fired.unsure_ns / 1e3;
        output::say(&format!(
            "fired {late_us:.1} us after its time by this machine's clock, which knows the cluster's to {unsure_us:.1} us (3 sigma), in epoch {}, {}",
            fired.epoch,
            priority(fired),
        ));
    } else {
        let told = json!({
            "target_ns": fired.target_ns.to_string(),
            "late_ns": fired.late_ns,
            "runs_late_ns": fired.runs_late_ns,
            "real_time": fired.real_time,
            "fired_monotonic_ns": fired.at_ns,
            "three_sigma_ns": fired.unsure_ns,
            "epoch": fired.epoch,
            "exit": code,
        });
        output::say(&told.to_string());
    }
    ended(fired)
}

/// With which priority it waited, and what gives it more.
pub(super) fn priority(fired: &Fired) -> &'static str {
    if fired.real_time {
        "with real-time priority"
    } else {
        "without real-time priority, for which the lead was too short or which this system does not allow (`setcap cap_sys_nice+ep`, or a limit `rtprio` of 1, does): a busy machine makes it late"
    }
}

/// Whether the command, if there was one, ended well.
pub(super) fn ended(fired: &Fired) -> Result<(), Failure> {
    let Some(status) = fired.status.filter(|status| !status.success()) else {
        return Ok(());
    };
    let code = status.code();
    let words = code.map_or("the command was ended by a signal".to_owned(), |code| {
        format!("the command ended with {code}")
    });
    Err(Failure::new(Exit::Failed, "command_ended_badly", words))
}

/// Reads a time.
pub(super) fn read(text: &str) -> Result<Time, Failure> {
    let wrong = || {
        let words = format!("{text:?} is no time; nothing was run");
        Failure::new(Exit::Usage, "time_unreadable", words)
            .hint("ms since 1970, +2s, +500ms, next-beat, next-point, next-major, beat:N")
    };
    let number = |text: &str| {
        let number: f64 = text.parse().map_err(|_| wrong())?;
        // What is not finite is no time, however it is spelt.
        if number.is_finite() {
            Ok(number)
        } else {
            Err(wrong())
        }
    };
    match text {
        "next-beat" => return Ok(Time::Next(Stress::Beat)),
        "next-point" => return Ok(Time::Next(Stress::Point)),
        "next-major" => return Ok(Time::Next(Stress::Major)),
        _ => {}
    }
    if let Some(beat) = text.strip_prefix("beat:") {
        return beat.parse().map(Time::Beat).map_err(|_| wrong());
    }
    let Some(lead) = text.strip_prefix('+') else {
        return Ok(Time::At(number(text)?));
    };
    if let Some(ms) = lead.strip_suffix("ms") {
        return Ok(Time::After(number(ms)?));
    }
    match lead.strip_suffix('s') {
        Some(seconds) => Ok(Time::After(number(seconds)? * 1e3)),
        None => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nonsense_is_refused() {
        assert_eq!(read("+2s").ok(), Some(Time::After(2_000.0)));
        assert_eq!(read("+500ms").ok(), Some(Time::After(500.0)));
        assert_eq!(
            read("1763723400000").ok(),
            Some(Time::At(1_763_723_400_000.0))
        );
        assert_eq!(read("next-point").ok(), Some(Time::Next(Stress::Point)));
        assert_eq!(read("beat:-4").ok(), Some(Time::Beat(-4)));
        for bad in [
            "",
            "+",
            "NaN",
            "+NaNs",
            "inf",
            "+infs",
            "-inf",
            "+2",
            "2s",
            "+s",
            "tomorrow",
            "+1e999s",
            "next",
            "beat:",
            "beat:1.5",
            "beat:99999999999999999999",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
