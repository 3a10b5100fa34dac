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

/// Sleeps until the steady clock shows so much (ns): never less, and as little more as the system allows.
///
/// An absolute sleep does not add up what each wake-up costs; the last stretch is watched, since a wake-up
/// comes late and never early.
#[cfg(target_os = "linux")]
pub fn sleep_until(at_ns: u64) {
    use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};

    let wakes_ns = at_ns.saturating_sub(SPIN_NS);
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
    while monotonic_ns() < at_ns {
        std::hint::spin_loop();
    }
}

/// Sleeps until the steady clock shows so much (ns): never less.
#[cfg(not(target_os = "linux"))]
pub fn sleep_until(at_ns: u64) {
    while let Some(left_ns) = at_ns.checked_sub(monotonic_ns()).filter(|left| *left > 0) {
        std::thread::sleep(std::time::Duration::from_nanos(left_ns));
    }
}
