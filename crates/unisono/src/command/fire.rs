//! Waits until a time of the cluster, and does something then: armed on the local node's clock, on a
//! thread that sleeps until an absolute time.

use std::num::NonZeroU64;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use unisono_api::client::Reply;
use unisono_api::dto::{Clock, SyncWord};

use super::session::Session;
use super::tempo;
use crate::failure::{Exit, Failure};
use crate::timing::{boot, monotonic_ns};

/// So long before its time the thread sleeps no longer and looks at the clock again and again: what a
/// wake-up costs (`docs/timing.md`).
const SPIN_NS: u64 = 80_000;
/// So long before its time the node is asked once more what time it is, ns.
const ASK_AGAIN_NS: u64 = 250_000_000;
/// So often a beat is looked up again while it is waited for: somebody may change the tempo, ns.
const BEAT_AGAIN_NS: u64 = 2_000_000_000;
/// How much a reading of the clock is worth less for each second that it is old, three sigma: what
/// a bad oscillator is off, ns.
const HOLDOVER_NS_PER_S: f64 = 200_000.0;
/// Beyond this the local node's steady clock and this program's are not one, whatever the machine is: a
/// container may count another way, ns.
const APART_NS_MAX: u64 = 5_000_000_000;

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// When it is, by the cluster's clock (ns).
    pub(super) at_ns: u64,
    /// Which beat it is, if it is one: its time changes with the tempo.
    pub(super) beat: Option<i64>,
}

impl Target {
    /// A time that stays where it is.
    pub(super) fn fixed(at_ns: u64) -> Self {
        Self { at_ns, beat: None }
    }
}

/// What came of it.
pub(super) struct Fired {
    /// What time it was meant for in the end, by the cluster's clock, ns.
    pub(super) target_ns: u64,
    /// When it was fired, by this machine's steady clock, ns.
    pub(super) at_ns: u64,
    /// How long after the target that was by the same clock, ns.
    pub(super) late_ns: i64,
    /// By how much the cluster's time and this machine's may differ beside that, three sigma, ns.
    pub(super) unsure_ns: f64,
    /// The epoch of the leader on whose time that stands.
    pub(super) epoch: u64,
    /// How the command ended, if there was one.
    pub(super) status: Option<ExitStatus>,
}

/// Waits until the cluster's clock shows the target, and runs the command, if there is one.
///
/// What was armed stays armed: a node that does not answer any more, or is not sure any more, makes
/// the last reading worth less, and no more than that.
pub(super) async fn at(
    session: &Session,
    mut clock: Clock,
    mut target: Target,
    unsure: bool,
    words: Vec<String>,
) -> Result<Fired, Failure> {
    let mut asked_ns = monotonic_ns();
    if is_elsewhere(&clock, boot().as_deref(), asked_ns) {
        let words = "the node that was asked runs on another machine, whose clock cannot be armed here; nothing was run";
        return Err(Failure::new(Exit::Usage, "clock_elsewhere", words)
            .hint("--node names a node of this machine"));
    }
    loop {
        let wait_ns = armed(&clock, target.at_ns).saturating_sub(monotonic_ns());
        if wait_ns <= 2 * ASK_AGAIN_NS {
            break;
        }
        let longest_ns = target.beat.map_or(u64::MAX, |_| BEAT_AGAIN_NS);
        let sleeps_ns = (wait_ns - ASK_AGAIN_NS).min(longest_ns);
        tokio::time::sleep(Duration::from_nanos(sleeps_ns)).await;
        if let Some(now) = soon(ask(session, unsure)).await
            && !is_elsewhere(&now, boot().as_deref(), monotonic_ns())
        {
            (clock, asked_ns) = (now, monotonic_ns());
        }
        if let Some(beat) = target.beat
            && let Some((map, _)) = soon(tempo::map(session)).await
            && let Some(at_ns) = map.time(beat)
        {
            target.at_ns = at_ns;
        }
    }
    let fires_ns = armed(&clock, target.at_ns);
    let age_s = fires_ns.saturating_sub(asked_ns) as f64 / 1e9;
    let sigma_ns = clock.three_sigma_ns.unwrap_or(f64::NAN);
    let unsure_ns = if age_s > 1.0 {
        sigma_ns + age_s * HOLDOVER_NS_PER_S
    } else {
        sigma_ns
    };
    let mut fired = fire(words, fires_ns, unsure_ns, clock.epoch).await?;
    fired.target_ns = target.at_ns;
    Ok(fired)
}

/// What a node answers, if it does in good time: one that is gone is asked again and again otherwise,
/// until long after the target.
async fn soon<T>(asked: impl Future<Output = Result<T, Failure>>) -> Option<T> {
    let within = Duration::from_nanos(ASK_AGAIN_NS / 3);
    let answered = tokio::time::timeout(within, asked).await;
    answered.ok()?.ok()
}

/// The cluster's clock, if it can be relied on.
pub(super) async fn ask(session: &Session, unsure: bool) -> Result<Clock, Failure> {
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
fn armed(clock: &Clock, target_ns: u64) -> u64 {
    let estimate_ns = clock.estimate().unwrap_or_default();
    let ahead = i128::from(target_ns) - i128::from(estimate_ns);
    let ahead_ns = ahead as f64 / (1.0 + clock.rate_ppb / 1e9);
    clock
        .monotonic_ns
        .saturating_add_signed(ahead_ns.round() as i64)
}

/// Whether the node that was asked counts from another start of another machine than this program. Two
/// machines that were started within seconds of each other show nearly the same reading.
fn is_elsewhere(clock: &Clock, boot: Option<&str>, monotonic_ns: u64) -> bool {
    let other = boot.is_some_and(|own| clock.boot.as_deref().is_some_and(|boot| boot != own));
    other || clock.monotonic_ns.abs_diff(monotonic_ns) > APART_NS_MAX
}

/// Sleeps on a thread of its own until the steady clock shows the time (ns), and runs the command.
async fn fire(
    words: Vec<String>,
    fires_ns: u64,
    unsure_ns: f64,
    epoch: u64,
) -> Result<Fired, Failure> {
    let mut command = words.split_first().map(|(program, arguments)| {
        let mut command = Command::new(program);
        command.args(arguments);
        command
    });
    let thread = std::thread::Builder::new().name("fire".to_owned());
    let (done, finished) = tokio::sync::oneshot::channel();
    let spawned = thread.spawn(move || {
        sleep_until(fires_ns);
        let at_ns = monotonic_ns();
        let status = command.as_mut().map(Command::status).transpose();
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
        target_ns: 0,
        at_ns,
        late_ns: at_ns.cast_signed().wrapping_sub(fires_ns.cast_signed()),
        unsure_ns,
        epoch,
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
}
