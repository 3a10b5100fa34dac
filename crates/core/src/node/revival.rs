//! How long a node that asks to be made anew waits before it is.

use super::limits::{REVIVAL_PAUSE_MS_MAX, REVIVAL_PAUSE_MS_MIN, REVIVED_FOR_GOOD_MS};

/// The pauses between lives that follow each other: a life that ends of itself soon after it began
/// will not go better at once, and a node that is only ever read anew takes all of a processor
/// (with `log-continued-after-crash` planted, a seed restarted a node ten times a second for as
/// long as it lasted).
#[derive(Clone, Copy, Debug, Default)]
pub struct Revival {
    last_pause_ms: u64,
}

impl Revival {
    /// How long to wait (ms) before the next life, after one that lasted so long (ms). Nothing
    /// after one that lasted; else it doubles with each that is short.
    pub fn pause_ms(&mut self, lived_ms: u64) -> u64 {
        let short = lived_ms < REVIVED_FOR_GOOD_MS;
        let next_ms = (self.last_pause_ms * 2).clamp(REVIVAL_PAUSE_MS_MIN, REVIVAL_PAUSE_MS_MAX);
        self.last_pause_ms = if short { next_ms } else { 0 };
        self.last_pause_ms
    }
}
