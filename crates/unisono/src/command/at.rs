//! Runs a command at a time of the cluster: armed on the local node's clock, fired by a thread that
//! sleeps until an absolute time.

use std::num::NonZeroU64;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use clap::Args;
use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use serde_json::json;
use unisono_api::client::Reply;
use unisono_api::dto::{Clock, SyncWord};

use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};
use crate::timing::{boot, monotonic_ns};

/// The longest lead: a day, over which a clock that has lost its leader still knows the time to some
/// tens of milliseconds.
const LEAD_MS_MAX: f64 = 86_400_000.0;
/// So long before its time the thread sleeps no longer and looks at the clock again and again: what a
/// wake-up costs (`docs/timing.md`).
const SPIN_NS: u64 = 80_000;
/// So long before its time the node is asked once more what time it is, ns.
const ASK_AGAIN_NS: u64 = 250_000_000;
/// Beyond this the local node's steady clock and this program's are not one, whatever the machine is: a
/// container may count another way, ns.
const APART_NS_MAX: u64 = 5_000_000_000;

/// `at`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AtArgs {
    /// When, by the cluster's clock: ms since 1970, or +2s, +500ms, +1.5s from now
    #[arg(value_name = "TIME", allow_hyphen_values = true)]
    time: String,
    /// Fires although the clock is not synchronised
    #[arg(long)]
    unsure: bool,
    /// What is run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// When something is to happen.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Time {
    /// So many ms from now.
    After(f64),
    /// At so many ms since the Unix epoch.
    At(f64),
}

/// What came of it.
struct Fired {
    /// When it was fired, by this machine's steady clock, ns.
    at_ns: u64,
    /// How long after the target that was by the same clock, ns.
    late_ns: i64,
    /// By how much the cluster's time and this machine's may differ beside that, three sigma, ns.
    unsure_ns: f64,
    status: ExitStatus,
}

/// Waits, runs the command, and says how punctual that was.
pub(crate) async fn at(args: AtArgs, session: &Session) -> Result<(), Failure> {
    let time = read(&args.time)?;
    let clock = ask(session, args.unsure).await?;
    let now_ms = clock.estimate_ms.unwrap_or_default();
    let (target_ms, lead_ms) = match time {
        Time::After(ms) => (now_ms + ms, ms),
        Time::At(ms) => (ms, ms - now_ms),
    };
    if lead_ms < 0.0 {
        let words = format!("the time is {:.3} ms past; nothing was run", -lead_ms);
        return Err(Failure::new(Exit::Usage, "time_past", words));
    }
    if lead_ms > LEAD_MS_MAX {
        let words =
            format!("{lead_ms:.0} ms ahead; at most {LEAD_MS_MAX:.0} (a day); nothing was run");
        return Err(Failure::new(Exit::Usage, "lead_too_long", words));
    }
    // As an integer from here on: a float of ms knows a time of day to a quarter of a microsecond.
    let target_ns = (target_ms * 1e6).round() as u64;
    let mut clock = clock;
    let wait_ns = armed(&clock, target_ns)?.saturating_sub(monotonic_ns());
    if wait_ns > 2 * ASK_AGAIN_NS {
        tokio::time::sleep(Duration::from_nanos(wait_ns - ASK_AGAIN_NS)).await;
        clock = ask(session, args.unsure).await?;
    }
    let fires_ns = armed(&clock, target_ns)?;
    let fired = fire(
        args.command,
        fires_ns,
        clock.three_sigma_ns.unwrap_or(f64::NAN),
    )
    .await?;
    show(session, &clock, target_ns, &fired)
}

async fn ask(session: &Session, unsure: bool) -> Result<Clock, Failure> {
    let reply: Reply<Clock> = session.client.clock().await?;
    let clock = reply.body;
    let known = clock.estimate().is_some();
    let sure = matches!(clock.state, SyncWord::Synchronised | SyncWord::Holdover);
    if !known || !(sure || unsure) {
        let words = "the cluster's clock is not synchronised here; nothing was run";
        let failure = Failure::new(Exit::Unavailable, "clock_unsure", words);
        return Err(failure
            .hint("wait a second, or say --unsure")
            .next("unisono clock"));
    }
    Ok(clock)
}

/// When it is on this machine's steady clock (ns) that the cluster's shows the target (ns).
fn armed(clock: &Clock, target_ns: u64) -> Result<u64, Failure> {
    let estimate_ns = clock.estimate().unwrap_or_default();
    if is_elsewhere(clock, boot().as_deref(), monotonic_ns()) {
        let words = "the node that was asked runs on another machine, whose clock cannot be armed here; nothing was run";
        return Err(Failure::new(Exit::Usage, "clock_elsewhere", words)
            .hint("--node names a node of this machine"));
    }
    let ahead = i128::from(target_ns) - i128::from(estimate_ns);
    let ahead_ns = ahead as f64 / (1.0 + clock.rate_ppb / 1e9);
    Ok(clock
        .monotonic_ns
        .saturating_add_signed(ahead_ns.round() as i64))
}

/// Whether the node that was asked counts from another start of another machine than this program. Two
/// machines that were started within seconds of each other show nearly the same reading.
fn is_elsewhere(clock: &Clock, boot: Option<&str>, monotonic_ns: u64) -> bool {
    let other = boot.is_some_and(|own| clock.boot.as_deref().is_some_and(|boot| boot != own));
    other || clock.monotonic_ns.abs_diff(monotonic_ns) > APART_NS_MAX
}

/// Sleeps on a thread of its own until the steady clock shows the time (ns), and runs the command.
async fn fire(words: Vec<String>, fires_ns: u64, unsure_ns: f64) -> Result<Fired, Failure> {
    let mut command = match words.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
        None => return Err(Failure::usage("no command was given")),
    };
    let thread = std::thread::Builder::new().name("fire".to_owned());
    let (done, finished) = tokio::sync::oneshot::channel();
    let spawned = thread.spawn(move || {
        sleep_until(fires_ns);
        let at_ns = monotonic_ns();
        let status = command.status();
        // Whoever waits for it is there until it comes.
        let _ = done.send((at_ns, status));
    });
    spawned.map_err(|error| Failure::system("the firing thread", &error))?;
    let ended = |_| {
        Failure::new(
            Exit::Failed,
            "internal",
            "the firing thread ended by a fault of its own",
        )
    };
    let (at_ns, status) = finished.await.map_err(ended)?;
    let status = status.map_err(|error| {
        Failure::new(
            Exit::NotFound,
            "command_failed",
            format!("the command could not be run: {error}"),
        )
    })?;
    Ok(Fired {
        at_ns,
        late_ns: at_ns.cast_signed().wrapping_sub(fires_ns.cast_signed()),
        unsure_ns,
        status,
    })
}

/// An absolute sleep does not add up what each wake-up costs; the last stretch is watched, since a
/// wake-up comes late and never early.
fn sleep_until(fires_ns: u64) {
    let wakes_ns = fires_ns.saturating_sub(SPIN_NS);
    let wakes = rustix::time::Timespec {
        tv_sec: (wakes_ns / 1_000_000_000).cast_signed(),
        tv_nsec: (wakes_ns % 1_000_000_000).cast_signed(),
    };
    // By default the kernel may be 50 us late to save wake-ups; where it refuses, it is.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    // A signal may wake it early; then it sleeps again.
    while monotonic_ns() < wakes_ns {
        if clock_nanosleep_absolute(ClockId::Monotonic, &wakes).is_ok() {
            break;
        }
    }
    while monotonic_ns() < fires_ns {
        std::hint::spin_loop();
    }
}

fn show(session: &Session, clock: &Clock, target_ns: u64, fired: &Fired) -> Result<(), Failure> {
    let code = fired.status.code();
    if session.global.output == Format::Table {
        let late_us = fired.late_ns as f64 / 1e3;
        let unsure_us = fired.unsure_ns / 1e3;
        output::say(&format!(
            "fired {late_us:.1} us after its time by this machine's clock, which knows the cluster's to {unsure_us:.1} us (3 sigma), in epoch {}",
            clock.epoch,
        ));
    } else {
        let told = json!({
            "target_ns": target_ns.to_string(),
            "late_ns": fired.late_ns,
            "fired_monotonic_ns": fired.at_ns,
            "three_sigma_ns": fired.unsure_ns,
            "epoch": clock.epoch,
            "exit": code,
        });
        output::say(&told.to_string());
    }
    if fired.status.success() {
        return Ok(());
    }
    let words = code.map_or("the command was ended by a signal".to_owned(), |code| {
        format!("the command ended with {code}")
    });
    Err(Failure::new(Exit::Failed, "command_ended_badly", words))
}

fn read(text: &str) -> Result<Time, Failure> {
    let wrong = || {
        let words = format!("{text:?} is no time; nothing was run");
        Failure::new(Exit::Usage, "time_unreadable", words).hint("ms since 1970, or +2s, +500ms")
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
    fn a_clock_of_another_machine_is_told_by_its_boot_and_not_by_its_reading() {
        let status = unisono_core::timekeeper::Timekeeper::new(
            unisono_core::timekeeper::Config {
                node: unisono_model::NodeId::default(),
                priority: 128,
                class: unisono_core::election::Class::Free,
                seed: 1,
                fault: None,
            },
            1,
            true,
        )
        .status(1);
        let shown = |boot| Clock::of(&status, 1_000, boot, 0.0);
        assert!(!is_elsewhere(&shown(Some("one")), Some("one"), 2_000));
        assert!(is_elsewhere(&shown(Some("other")), Some("one"), 2_000));
        // Where either does not say, the reading is all there is.
        assert!(!is_elsewhere(&shown(None), Some("one"), 2_000));
        assert!(is_elsewhere(&shown(None), None, 2_000 + APART_NS_MAX));
    }

    #[test]
    fn times_are_read_and_nonsense_is_refused() {
        assert_eq!(read("+2s").ok(), Some(Time::After(2_000.0)));
        assert_eq!(read("+500ms").ok(), Some(Time::After(500.0)));
        assert_eq!(
            read("1763723400000").ok(),
            Some(Time::At(1_763_723_400_000.0))
        );
        for bad in [
            "", "+", "NaN", "+NaNs", "inf", "+infs", "-inf", "+2", "2s", "+s", "tomorrow",
            "+1e999s",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
