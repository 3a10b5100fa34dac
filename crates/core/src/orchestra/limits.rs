//! What the folds over an orchestra keep that bound no single part with a file of its own.

/// Words on authorities that are kept: those of the highest ranks. What is dropped is long over, and
/// nobody is told of it any more.
pub const AUTHORITIES_KEPT_MAX: usize = 64;

/// Words on invites that are kept of each node which carries them, the latest: an issuer has no more
/// of them open at a time (`INVITES_OPEN_MAX`), and one that lies pushes out its own alone.
pub const INVITES_KEPT_MAX: usize = 1_024;
/// Words on uses of invites that are kept of each node which carries them, the latest: one for each
/// node that it has let in. What is dropped tells of invites that have ended long ago.
pub const INVITE_USES_KEPT_MAX: usize = 4_096;
/// Most invites that are open at a time: above that a node makes none known.
pub const INVITES_OPEN_MAX: usize = 512;
/// How long an invite lets somebody in after it was made known, whatever it says (ms): four weeks.
pub const INVITE_LIFE_MS_MAX: u64 = 28 * 24 * 3_600_000;
/// So long after the end of its invite a use may be said at the latest (ms): an issuer looks at its clock
/// first, and records then.
pub const INVITE_LATE_MS_MAX: u64 = 60_000;
