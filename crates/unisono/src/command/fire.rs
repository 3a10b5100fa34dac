//! Waits until a time of the cluster, and does something then: armed on the local node's clock, on a
//! thread that sleeps until an absolute time.

use std::io;
use std::process::ExitStatus;
use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use unisono_api::client::Reply;
use unisono_api::dto::{Clock, SyncWord};

use super::armed::{Act, Armed};
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
#[derive(Debug)]
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
    clock: Clock,
    mut target: Target,
    unsure: bool,
    act: Act,
) -> Result<Fired, Failure> {
    let mut arming = Arming::new(clock, target.at_ns, act)?;
    loop {
        let wait_ns = arming.left_ns();
        if wait_ns <= 2 * ASK_AGAIN_NS {
            break;
        }
        let longest_ns = target.beat.map_or(u64::MAX, |_| BEAT_AGAIN_NS);
        let sleeps_ns = (wait_ns - ASK_AGAIN_NS).min(longest_ns);
        tokio::time::sleep(Duration::from_nanos(sleeps_ns)).await;
        arming.ask_again(session, unsure).await;
        if let Some(beat) = target.beat
            && let Some((map, _)) = soon(tempo::map(session)).await
            && let Some(at_ns) = map.time(beat)
        {
            target.at_ns = at_ns;
            arming.target_ns = at_ns;
        }
    }
    let mut firing = arming.fire();
    let mut fired = firing.fired().await?;
    fired.status = firing.ended().await?;
    Ok(fired)
}

/// Something that is made ready for a time of the cluster.
pub(super) struct Arming {
    clock: Clock,
    /// When the clock was asked, by this machine's steady clock, ns.
    asked_ns: u64,
    target_ns: u64,
    waiting: Waiting,
}

impl Arming {
    /// Begins to make it ready.
    ///
    /// # Errors
    /// A clock of another machine cannot be armed here.
    pub(super) fn new(clock: Clock, target_ns: u64, act: Act) -> Result<Self, Failure> {
        let asked_ns = monotonic_ns();
        is_here(&clock)?;
        let wait_ns = armed(&clock, target_ns).saturating_sub(asked_ns);
        let left_ns = wait_ns.saturating_sub(SOON_NS);
        let waiting = Waiting::new(act, Duration::from_nanos(left_ns))?;
        Ok(Self {
            clock,
            asked_ns,
            target_ns,
            waiting,
        })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// Why it cannot be made ready.
    pub(super) async fn ready(&mut self) -> Result<(), Failure> {
        let Some(ready) = self.waiting.ready.take() else {
            return Ok(());
        };
        let ready = ready.await.map_err(|_| own_fault())?;
        ready.map_err(|error| not_run(&error))
    }

    /// How long it is until the target (ns); nothing once it has come.
    pub(super) fn left_ns(&self) -> u64 {
        armed(&self.clock, self.target_ns).saturating_sub(monotonic_ns())
    }

    /// How long ago the target was (ns); nothing before.
    pub(super) fn past_ns(&self) -> u64 {
        monotonic_ns().saturating_sub(armed(&self.clock, self.target_ns))
    }

    /// Asks the node once more what time it is. One that does not answer, or is not sure any more, makes
    /// the last reading worth less.
    pub(super) async fn ask_again(&mut self, session: &Session, unsure: bool) {
        if let Some(now) = soon(ask(session, unsure)).await
            && is_here(&now).is_ok()
        {
            (self.clock, self.asked_ns) = (now, monotonic_ns());
        }
    }

    /// Hands it to the thread that sleeps until the target: from here on nothing holds it back.
    pub(super) fn fire(self) -> Firing {
        let fires_ns = armed(&self.clock, self.target_ns);
        let age_s = fires_ns.saturating_sub(self.asked_ns) as f64 / 1e9;
        let sigma_ns = self.clock.three_sigma_ns.unwrap_or(f64::NAN);
        let unsure_ns = if age_s > 1.0 {
            sigma_ns + age_s * HOLDOVER_NS_PER_S
        } else {
            sigma_ns
        };
        // A thread that has failed before says so when it is asked how it went.
        let _ = self.waiting.times.send((fires_ns, self.target_ns));
        Firing {
            target_ns: self.target_ns,
            fires_ns,
            unsure_ns,
            epoch: self.clock.epoch,
            acted: self.waiting.acted,
            ended: self.waiting.ended,
        }
    }
}

/// Something that is done at its time.
pub(super) struct Firing {
    target_ns: u64,
    fires_ns: u64,
    unsure_ns: f64,
    epoch: u64,
    acted: oneshot::Receiver<io::Result<Released>>,
    ended: oneshot::Receiver<io::Result<Option<ExitStatus>>>,
}

impl Firing {
    /// Waits until it was done, and says how punctual that was; a command may still be running then. Once.
    ///
    /// # Errors
    /// The command could not be run.
    pub(super) async fn fired(&mut self) -> Result<Fired, Failure> {
        let acted = (&mut self.acted).await.map_err(|_| own_fault())?;
        let acted = acted.map_err(|error| not_run(&error))?;
        let fires_ns = self.fires_ns.cast_signed();
        let late = |at_ns: u64| at_ns.cast_signed().wrapping_sub(fires_ns);
        Ok(Fired {
            target_ns: self.target_ns,
            at_ns: acted.at_ns,
            late_ns: late(acted.at_ns),
            runs_late_ns: acted.runs_ns.map(late),
            real_time: acted.real_time,
            unsure_ns: self.unsure_ns,
            epoch: self.epoch,
            status: None,
        })
    }

    /// Waits until the command has ended, and says how, if there was one.
    ///
    /// # Errors
    /// The system does not say how.
    pub(super) async fn ended(self) -> Result<Option<ExitStatus>, Failure> {
        let ended = self.ended.await.map_err(|_| own_fault())?;
        ended.map_err(|error| not_run(&error))
    }
}

/// Refuses a clock that is not of this machine.
///
/// # Errors
/// A clock of another machine cannot be armed here.
pub(super) fn is_here(clock: &Clock) -> Result<(), Failure> {
    if !is_elsewhere(clock, boot().as_deref(), monotonic_ns()) {
        return Ok(());
    }
    let words = "the node that was asked runs on another machine, whose clock cannot be armed here; nothing was run";
    Err(Failure::new(Exit::Usage, "clock_elsewhere", words)
        .hint("--node names a node of this machine"))
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

/// When something was done.
struct Released {
    at_ns: u64,
    runs_ns: Option<u64>,
    real_time: bool,
}

/// A thread on which something is made ready, waits for its time, and is done. Dropped before it was told
/// a time, it gives up what is ready.
struct Waiting {
    /// Takes the time on the steady clock and the target (ns).
    times: mpsc::Sender<(u64, u64)>,
    ready: Option<oneshot::Receiver<io::Result<()>>>,
    acted: oneshot::Receiver<io::Result<Released>>,
    ended: oneshot::Receiver<io::Result<Option<ExitStatus>>>,
}

/// The other ends.
struct Tells {
    ready: oneshot::Sender<io::Result<()>>,
    acted: oneshot::Sender<io::Result<Released>>,
    ended: oneshot::Sender<io::Result<Option<ExitStatus>>>,
}

impl Waiting {
    /// Begins to make it ready.
    fn new(act: Act, time_left: Duration) -> Result<Self, Failure> {
        let thread = std::thread::Builder::new().name("fire".to_owned());
        let (times, when) = mpsc::channel();
        let (tell_ready, ready) = oneshot::channel();
        let (tell_acted, acted) = oneshot::channel();
        let (tell_ended, ended) = oneshot::channel();
        let tells = Tells {
            ready: tell_ready,
            acted: tell_acted,
            ended: tell_ended,
        };
        // The thread that starts a process has to live as long as that waits: its end would be taken
        // for the end of this program.
        let spawned = thread.spawn(move || wait(act, time_left, &when, tells));
        spawned.map_err(|error| Failure::system("the firing thread", &error))?;
        Ok(Self {
            times,
            ready: Some(ready),
            acted,
            ended,
        })
    }
}

/// Makes something ready, waits to be told its time, does it, and waits for its end. Whoever does not want
/// to hear of one of these is not there any more.
fn wait(act: Act, time_left: Duration, when: &mpsc::Receiver<(u64, u64)>, tells: Tells) {
    let armed = match Armed::new(act, time_left) {
        Ok(armed) => armed,
        Err(error) => {
            let again = io::Error::new(error.kind(), error.to_string());
            let _ = tells.ready.send(Err(error));
            let _ = tells.acted.send(Err(again));
            return;
        }
    };
    let _ = tells.ready.send(Ok(()));
    let Ok((fires_ns, target_ns)) = when.recv() else {
        armed.disarm();
        return;
    };
    let acted = match armed.fire(fires_ns, target_ns) {
        Ok(acted) => acted,
        Err(error) => {
            let _ = tells.acted.send(Err(error));
            return;
        }
    };
    let _ = tells.acted.send(Ok(Released {
        at_ns: acted.at_ns,
        runs_ns: acted.runs_ns,
        real_time: acted.real_time,
    }));
    let _ = tells.ended.send(acted.running.end());
}

fn own_fault() -> Failure {
    let words = "the firing thread ended by a fault of its own";
    Failure::new(Exit::Failed, "internal", words)
}

/// A command that could not be run, and why.
pub(super) fn not_run(error: &io::Error) -> Failure {
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
