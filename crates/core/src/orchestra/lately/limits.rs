//! How much of what an agent touched is remembered; the logs have all of it.

/// Things that are remembered of each agent: those that it touched last. Of the fleet whose trace
/// `docs/orchestra.md` measures, an agent turns again to one of as many more often than not.
pub const TOUCHED_MAX: usize = 64;
/// Most characters of what is remembered to have been said: what it was about, no more.
pub const WORDS_CHARS_MAX: usize = 60;
