//! Limits of the process and its commands. Some that bound a single part stand in that part.

use std::time::Duration;

/// What a node wants to have free on its disk when it is made or starts (bytes): its keys, its
/// certificate and the first segment come to some ten KiB.
pub(crate) const START_BYTES: u64 = 1 << 20;
/// How often a node whose disk was full at its start tries to say where it listens.
pub(crate) const SAY_AGAIN_EVERY: Duration = Duration::from_secs(2);
/// So far a machine's clock may be from the cluster's before `doctor` names it (ms): ten times what a
/// clock is off that NTP keeps over a bad link, and twice what other nodes take of a stamp that lies ahead.
pub(crate) const WALL_CLOCK_APART_MS_MAX: u64 = 1_000;
/// Largest file that says what has become of this node's membership (bytes).
pub(crate) const STANDING_BYTES_MAX: u64 = 16 << 10;
