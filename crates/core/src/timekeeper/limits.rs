//! Every limit and every pace of the timing plane, in one place.

/// Between two ticks that a driver gives, ns: a tenth of the time in which a leader counts as lost.
pub const TICK_NS: u64 = 20_000_000;
/// Between two questions to whom is followed, and to whoever is followed next, ns.
pub const ASK_NS: u64 = 200_000_000;
/// Between two questions to the others, ns.
pub const ASK_OTHERS_NS: u64 = 1_000_000_000;
/// Between two questions of a burst, ns.
pub const ASK_BURST_NS: u64 = 50_000_000;
/// Questions of a burst to a node that is followed from now on: two seconds' worth at most
/// (`docs/timing.md`, joining).
pub const BURST: u32 = 32;
/// Questions of a burst to a node that is only compared with, or whose own leader has changed.
pub const BURST_OTHERS: u32 = 8;
/// How many others a leader measures beside whom it follows.
pub const OTHERS_MAX: usize = 8;
/// How many nodes are remembered with a filter of their own.
pub const SOURCES_MAX: usize = 32;
/// So many probes make a measurement that decides something.
pub const PROBES_SOUND: u64 = 4;
/// A measurement older than this decides nothing, ns.
pub const SOUND_FOR_NS: u64 = 5_000_000_000;
/// From so many probes on a clock is known well enough to find an answer odd.
pub const PROBES_KNOWN: u64 = 12;
/// By how many deviations an answer must be off to be odd, and always by this, ns: what a path may
/// change at once beside its length.
pub const ODD_SIGMAS: f64 = 6.0;
/// See above.
pub const ODD_NS_MIN: f64 = 2_000_000.0;
/// So many odd answers in a row are judged.
pub const ODD_MAX: u32 = 3;
/// So many are held back where nobody else is measured; then the leader is believed: of two clocks
/// alone nobody can tell which is wrong.
pub const ODD_ALONE_MAX: u32 = 10;
/// Questions of one peer that are answered in a second: twice what a burst asks.
pub const ANSWERS_PER_SECOND_MAX: u32 = 64;
/// Announcements of one peer that are heard in a second: three times what a leader says.
pub const ANNOUNCEMENTS_PER_SECOND_MAX: u32 = 32;
/// Peers that are known at once, those of the own region first.
pub const PEERS_MAX: usize = 4_096;
/// Largest message (bytes): it has to fit a datagram.
pub const MESSAGE_BYTES_MAX: usize = 1_100;
/// By how much questions and answers may wait unequally between the network and whoever reads the
/// clock, halved, ns: processes are woken late, and no delay shows it (`docs/timing.md`, processes).
pub const WAKE_UP_NS: u64 = 100_000;
/// Whose told time is further than this from its best guess is not ready to lead, ns: its followers
/// would have to go the rest of the way back.
pub const LEFT_NS_MAX: u64 = 1_000_000;
/// What a neighbour tells in an announcement is the same time if it differs by no more, ns: its way there
/// is in it. A quarter of the time in which a leader counts as lost.
pub const SAME_TIME_NS: u64 = 100_000_000;
/// Where the told time is further than this from the best guess, ns, nodes stamp by that.
pub const TOLD_FAR_NS: u64 = 500_000_000;
/// By so much the wall clock of a node that leads alone runs ahead at once where the machine was
/// stopped without any steady clock counting it, or its clock put right, ns.
pub const WALL_LEAP_NS: u64 = 2_000_000_000;
/// From so many leaders on their measurements of one another are put together: with fewer nobody can
/// tell which of two ways is uneven.
pub const MESH_LEADERS_MIN: usize = 5;
/// Between two times that a leader tells what it has measured of the others, ns.
pub const MESH_TELL_NS: u64 = 2_000_000_000;
/// Between two times that it puts all together, ns.
pub const MESH_SOLVE_NS: u64 = 1_000_000_000;
/// What was told longer ago counts no more, ns.
pub const MESH_FRESH_NS: u64 = 15_000_000_000;
/// What is feared of every way beside what its measurement says, one sigma, ns: a bad one with a small
/// deviation would outvote good ones.
pub const MESH_FEARED_NS: f64 = 700_000.0;
/// No way counts for less than with this deviation, ns. Stated ones are generous, more so where less is
/// asked: the other leaders' ways, ten times as wide, were outvoted by the one that was off.
pub const MESH_DEVIATION_NS_MAX: f64 = 700_000.0;
/// A way that seems to be off by less than the first is not corrected, and one that is corrected goes on
/// being so down to the second, ns: until then a clock's own way is asked five times as often as the
/// others', and knows better what they cannot tell from chance.
pub const MESH_OFF_NS: (u64, u64) = (3_000_000, 1_000_000);
/// By how much the correction changes at once, ns: less than [`LEFT_NS_MAX`], or whoever corrects its
/// time would not be ready to lead meanwhile and its region would look for another leader.
pub const MESH_STEP_NS: i64 = 800_000;
/// Nearer than this a correction goes to what is wanted by a share of what is left, ns.
pub const MESH_NEAR_NS: u64 = 3_000_000;
/// That share: one in so many, so that it is about the mean of twice as many measurements.
pub const MESH_SHARE: i64 = 16;
/// The largest correction, ns: beyond the longest way that a clock is measured over there is a liar.
pub const CORRECTION_NS_MAX: i64 = 500_000_000;
/// By how much the ways there and back may be said to differ, ns.
pub const ASYMMETRY_NS_MAX: i64 = 1_000_000_000;
/// So often what a node knows of the time is written down, ns: a founder whose wall clock was set back
/// begins so much above what was written.
pub const REMEMBER_NS: u64 = 60_000_000_000;
