//! Two clocks of one machine, of which one must have jumped when they part.

use super::limits;

/// Compares the steady clock with a second one (the wall clock, or one that counts sleep) at each
/// reading, so that a jump is noticed before a time is told, and not when the next probe arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Witness {
    last: Option<(u64, u64)>,
}

/// The clocks have parted: one of them jumped, or the machine slept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Jump {
    /// By how much the steady clock ran ahead of the other since the last reading, ns; negative where
    /// it fell behind.
    pub ahead_ns: i64,
}

impl Witness {
    /// Takes a reading of both clocks (ns), made as close together as can be.
    pub fn read(&mut self, steady_ns: u64, second_ns: u64) -> Option<Jump> {
        let (steady_before, second_before) = self.last.replace((steady_ns, second_ns))?;
        let steady = difference(steady_ns, steady_before);
        let second = difference(second_ns, second_before);
        let ahead_ns = steady.saturating_sub(second);
        let elapsed = i128::from(steady.saturating_abs().min(second.saturating_abs()));
        let apart = elapsed * i128::from(limits::JUMP_PPB) / 1_000_000_000;
        let allowed = apart + i128::from(limits::JUMP_NS);
        (i128::from(ahead_ns).abs() > allowed).then_some(Jump { ahead_ns })
    }
}

fn difference(later: u64, earlier: u64) -> i64 {
    let difference = i128::from(later) - i128::from(earlier);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
