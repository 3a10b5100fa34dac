//! Waits until a time of the cluster, and does something then: armed on the local node's clock, on a
//! thread that sleeps until an absolute time.

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use unisono_api::client::Reply;
use unisono_api::dto::{Clock, SyncWord};

use super::armed::{Act, Acted, Armed};
use super::session::Session;
use super::tempo;
use crate::failure::{Exit, Failure};
use crate::timing::{boot, monotonic_ns};

/// A command whose time comes sooner is started when it has come: to make it ready would take as long,
/// ns.
const SOON_NS: u64 = 150_000_000;
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
    /// How long after the target the system was asked to run the command, ns; nothing where it ran
    /// already.
    pub(super) runs_late_ns: Option<i64>,
    /// Whether the thread that fired had real-time priority.
    pub(super) real_time: bool,
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
    act: Act,
) -> Result<Fired, Failure> {
    let mut asked_ns = monotonic_ns();
    if is_elsewhere(&clock, boot().as_deref(), asked_ns) {
        let words = "the node that was asked runs on another machine, whose clock cannot be armed here; nothing was run";
        return Err(Failure::new(Exit::Usage, "clock_elsewhere", words)
            .hint("--node names a node of this machine"));
    }
    let wait_ns = armed(&clock, target.at_ns).saturating_sub(asked_ns);
    let left_ns = wait_ns.saturating_sub(SOON_NS);
    let waiting = Waiting::new(act, Duration::from_nanos(left_ns))?;
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
    let acted = waiting.fire(fires_ns, target.at_ns).await?;
    let late = |at_ns: u64| at_ns.cast_signed().wrapping_sub(fires_ns.cast_signed());
    Ok(Fired {
        target_ns: target.at_ns,
        at_ns: acted.at_ns,
        late_ns: late(acted.at_ns),
        runs_late_ns: acted.runs_ns.map(late),
        real_time: acted.real_time,
        unsure_ns,
        epoch: clock.epoch,
        status: acted.status.transpose().map_err(|error| not_run(&error))?,
    })
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

/// A thread on which something is made ready, waits for its time, and is done.
struct Waiting {
    /// Takes the time on the steady clock and the target (ns).
    times: mpsc::Sender<(u64, u64)>,
    done: oneshot::Receiver<io::Result<Acted>>,
}

impl Waiting {
    /// Begins to make it ready.
    fn new(act: Act, time_left: Duration) -> Result<Self, Failure> {
        let thread = std::thread::Builder::new().name("fire".to_owned());
        let (times, when) = mpsc::channel();
        let (tell, done) = oneshot::channel();
        // The thread that starts a process has to live as long as that waits: its end would be taken
        // for the end of this program.
        let spawned = thread.spawn(move || {
            let acted = Armed::new(act, time_left).and_then(|armed| {
                let (fires_ns, target_ns) = when.recv().map_err(io::Error::other)?;
                Ok(armed.fire(fires_ns, target_ns))
            });
            // Whoever waits for it is there until it comes.
            let _ = tell.send(acted);
        });
        spawned.map_err(|error| Failure::system("the firing thread", &error))?;
        Ok(Self { times, done })
    }

    /// Acts when the steady clock shows the time, and says how that went.
    async fn fire(self, fires_ns: u64, target_ns: u64) -> Result<Acted, Failure> {
        // A thread that has failed before says so below.
        let _ = self.times.send((fires_ns, target_ns));
        let ended = |_| {
            let words = "the firing thread ended by a fault of its own";
            Failure::new(Exit::Failed, "internal", words)
        };
        self.done
            .await
            .map_err(ended)?
            .map_err(|error| not_run(&error))
    }
}

fn not_run(error: &io::Error) -> Failure {
    let words = format!("the command could not be run: {error}");
    Failure::new(Exit::NotFound, "command_failed", words)
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
