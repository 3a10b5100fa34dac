//! Sleeping until an absolute time of the machine's steady clock, on the thread that calls: runtimes'
//! timers are late by a millisecond or two.

/// So long before its time a thread sleeps no longer and looks at the clock again and again: what a
/// wake-up costs (`docs/timing.md`), ns.
#[cfg(target_os = "linux")]
const SPIN_NS: u64 = 80_000;

/// `CLOCK_MONOTONIC`, ns since the machine started: the clock that [`sleep_until`] sleeps by.
#[cfg(target_os = "linux")]
pub fn monotonic_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let ns = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(ns).unwrap_or(0)
}

/// A steady clock, ns: the clock that [`sleep_until`] sleeps by.
#[cfg(not(target_os = "linux"))]
pub fn monotonic_ns() -> u64 {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let elapsed = FIRST.get_or_init(std::time::Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// Which start of which machine that clock counts from; nothing where the system does not say.
pub fn boot() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned()).filter(|boot| !boot.is_empty())
}

/// Gives this thread real-time priority, the least there is; says whether that is allowed. Whoever has it
/// keeps a processor from others: it is for a thread that sleeps, and does little when it is woken.
pub fn hurry() -> bool {
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
            set_thread_priority_and_policy, thread_native_id,
        };
        let fifo = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, fifo).is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// What a thread that acts once at a time has of priority, and gives back right after.
#[derive(Debug)]
pub struct Rank {
    real_time: bool,
    /// Whether it was taken here, and is to be given back.
    taken: bool,
}

impl Rank {
    /// Real-time priority for this thread, where that is allowed. Whoever was given another class than the usual
    /// one by somebody else stays in that.
    ///
    /// It is given back once and taken again, so that whatever this needs is at hand when others wait for their
    /// turn, and not looked for then.
    pub fn take() -> Self {
        let mut taken = class::is_usual() && hurry();
        // What could not be given back is still taken, and whoever asks hears so.
        if taken && class::rest() {
            taken = hurry();
        }
        let real_time = taken || class::is_real_time();
        Self { real_time, taken }
    }

    /// Whether this thread has real-time priority.
    pub fn is_real_time(&self) -> bool {
        self.real_time
    }

    /// Sleeps until the steady clock shows so much (ns): never less. Those who have taken their priority wake up
    /// a millisecond before it and take turns: each has run shortly before then, so that the next one gets its
    /// turn within microseconds. That costs a millisecond of a processor. Others must not give way: whoever has
    /// the processor then knows nothing of the time.
    pub fn sleep_until(&self, at_ns: u64) {
        if self.taken {
            class::take_turns_until(at_ns);
        } else {
            sleep_until(at_ns);
        }
    }

    /// Gives back what was taken: the thread is one as any other again, with the niceness and the slack of its
    /// timers that it had. Says whether it is.
    pub fn give_back(self) -> bool {
        let given = !self.taken || class::rest();
        class::usual_slack();
        given
    }
}

/// The scheduler's class of this thread.
#[cfg(target_os = "linux")]
mod class {
    use rustix::process::getpriority_process;
    use rustix::thread::set_current_timer_slack;
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
        set_thread_priority_and_policy, thread_native_id, thread_schedule_policy,
    };

    /// So long before its time threads that take turns wake up: fifty on two processors have all run by then,
    /// and a few times more (`docs/timing.md`), ns.
    const TURNS_NS: u64 = 1_000_000;
    const USUAL: ThreadSchedulePolicy =
        ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);

    pub(super) fn is_usual() -> bool {
        thread_schedule_policy() == Ok(USUAL)
    }

    pub(super) fn is_real_time() -> bool {
        matches!(
            thread_schedule_policy(),
            Ok(ThreadSchedulePolicy::Realtime(_))
        )
    }

    /// Back to the usual class; says whether this thread is in it.
    pub(super) fn rest() -> bool {
        let nice = getpriority_process(None).unwrap_or_default();
        // The crate counts from 0 (niceness 19) to 99 (-20), rounds down, and sets the niceness besides.
        let share = 1.0 - (f64::from(nice) + 20.5) / 39.0;
        let as_any = ThreadPriorityValue::try_from((share * 99.0).round().clamp(0.0, 99.0) as u8);
        if let Ok(as_any) = as_any {
            let as_any = ThreadPriority::Crossplatform(as_any);
            // Whether it helped is asked below.
            let _ = set_thread_priority_and_policy(thread_native_id(), as_any, USUAL);
        }
        is_usual()
    }

    /// What a program that this thread becomes would inherit.
    pub(super) fn usual_slack() {
        let _ = set_current_timer_slack(None);
    }

    pub(super) fn take_turns_until(at_ns: u64) {
        super::sleep(at_ns.saturating_sub(TURNS_NS));
        while super::monotonic_ns() < at_ns {
            std::thread::yield_now();
        }
    }
}

/// Elsewhere nobody has real-time priority.
#[cfg(not(target_os = "linux"))]
mod class {
    pub(super) fn is_usual() -> bool {
        false
    }

    pub(super) fn is_real_time() -> bool {
        false
    }

    pub(super) fn rest() -> bool {
        true
    }

    pub(super) fn usual_slack() {}

    pub(super) fn take_turns_until(at_ns: u64) {
        super::sleep_until(at_ns);
    }
}

/// Sleeps until the steady clock shows so much (ns): never less, and as little more as the system allows.
///
/// An absolute sleep does not add up what each wake-up costs; the last stretch is watched, since a wake-up
/// comes late and never early.
#[cfg(target_os = "linux")]
pub fn sleep_until(at_ns: u64) {
    sleep(at_ns.saturating_sub(SPIN_NS));
    while monotonic_ns() < at_ns {
        std::hint::spin_loop();
    }
}

/// Sleeps until the steady clock shows so much (ns), and what a wake-up costs longer.
#[cfg(target_os = "linux")]
fn sleep(wakes_ns: u64) {
    use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};

    let wakes = rustix::time::Timespec {
        tv_sec: (wakes_ns / 1_000_000_000).cast_signed(),
        tv_nsec: (wakes_ns % 1_000_000_000).cast_signed(),
    };
    // By default the kernel may be 50 us late to save wake-ups; where it refuses, it is.
    let _ = set_current_timer_slack(std::num::NonZeroU64::new(1));
    // A signal may wake it early; then it sleeps again.
    while monotonic_ns() < wakes_ns {
        if clock_nanosleep_absolute(ClockId::Monotonic, &wakes).is_ok() {
            break;
        }
    }
}

/// Sleeps until the steady clock shows so much (ns): never less.
#[cfg(not(target_os = "linux"))]
pub fn sleep_until(at_ns: u64) {
    while let Some(left_ns) = at_ns.checked_sub(monotonic_ns()).filter(|left| *left > 0) {
        std::thread::sleep(std::time::Duration::from_nanos(left_ns));
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{getpriority_process, setpriority_process};
    use rustix::thread::current_timer_slack;

    use super::*;

    #[test]
    fn a_rank_is_given_back_with_the_niceness_and_the_slack_that_were_there() {
        for nice in [0, 1, 7, 18, 19] {
            // A thread of its own: each has its niceness.
            let thread = std::thread::spawn(move || {
                setpriority_process(None, nice).expect("to be nicer is allowed");
                let slack_ns = current_timer_slack().expect("Linux tells");
                let rank = Rank::take();
                let at_ns = monotonic_ns() + 3_000_000;
                rank.sleep_until(at_ns);
                assert!(monotonic_ns() >= at_ns, "never early");
                // Where it is not allowed there is nothing to give back.
                assert!(!rank.is_real_time() || class::is_real_time());
                assert!(rank.give_back());
                assert!(class::is_usual());
                assert_eq!(getpriority_process(None), Ok(nice));
                assert_eq!(current_timer_slack(), Ok(slack_ns));
            });
            thread.join().expect("nothing failed there");
        }
    }

    #[test]
    fn who_had_real_time_priority_before_keeps_it() {
        let thread = std::thread::spawn(|| {
            let had = hurry();
            let rank = Rank::take();
            assert_eq!(rank.is_real_time(), had);
            rank.sleep_until(monotonic_ns() + 1_000_000);
            assert!(rank.give_back());
            assert_eq!(class::is_real_time(), had);
        });
        thread.join().expect("nothing failed there");
    }
}
