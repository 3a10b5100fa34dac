//! Every limit and every pace of the election, in one place.

/// Between two announcements of a leader or a backup, ns.
pub const ANNOUNCE_NS: u64 = 100_000_000;
/// Between two announcements of everybody else, ns.
pub const ANNOUNCE_IDLE_NS: u64 = 500_000_000;
/// A leader that was not heard for so long is lost, ns: four announcements in a row have gone, which
/// at one lost in ten happens once in 10,000. The backup then leads at once.
pub const LOST_AFTER_NS: u64 = 400_000_000;
/// After a loss each further candidate waits so much longer than the one before, ns: longer than an
/// announcement takes over a path of 80 ms with 20 ms of jitter.
pub const TURN_NS: u64 = 150_000_000;
/// So much longer waits whoever is not ready to lead, ns: in it the lost leader's region has chosen
/// another one, who then stands for the cluster.
pub const UNREADY_NS: u64 = 1_000_000_000;
/// How long a node that knows of others listens before it leads a time of its own, ns, once it has
/// reached the first.
pub const LISTEN_NS: u64 = 3_000_000_000;
/// The same where it reaches nobody, ns: a member that was away has had time to come back.
pub const LISTEN_ALONE_NS: u64 = 30_000_000_000;
/// How long a node listens that slept, or whose leader was found to lie, ns.
pub const LISTEN_AGAIN_NS: u64 = 800_000_000;
/// A rival that was not heard for so long is not counted any more, ns.
pub const RIVAL_NS: u64 = 2_500_000_000;
/// A follower that was not heard for so long does not count when two leaders are weighed, ns: two of
/// its announcements. After the same silence another leader is weighed from the beginning.
pub const FOLLOWER_NS: u64 = 1_200_000_000;
/// How long a candidate must be better than the leader before it takes over, ns: a node that comes
/// and goes changes nothing.
pub const HOLD_NS: u64 = 5_000_000_000;
/// By how many bands (factors of two) the deviation must be better for that.
pub const DEVIATION_BANDS: u8 = 2;
/// How long a leader that was found to lie is not followed, ns.
pub const DISTRUST_NS: u64 = 60_000_000_000;
/// How long two leaders may measure each other before they decide without, ns.
pub const WEIGH_NS: u64 = 1_500_000_000;
/// So often in a row a leader answers another one's newer epoch with its own; then it yields: whoever
/// does not give way to the heavier part has found this one to lie, and will not follow it. Where each
/// has found the other to lie, those who are here decide after as many.
pub const INSISTS_MAX: u8 = 3;
/// What is further apart than this is not in a row, ns: longer than two leaders measure each other.
pub const INSISTS_NS: u64 = 2_000_000_000;
/// Rivals that one contest remembers; the longest unheard goes first.
pub const RIVALS_MAX: usize = 1_024;
/// Who is nobody's preference (IEEE 1588, 7.6.2.3): below is preferred, above avoided.
pub const PRIORITY_DEFAULT: u8 = 128;
/// Steadiness counts in doublings of this, s.
pub const STEADY_S: u64 = 8;
/// Beyond so many doublings (a little more than two hours) nobody is steadier than another.
pub const STEADY_BANDS_MAX: u8 = 10;
/// How far above the epoch that a node knows one may be that it takes: more than any cluster elects in
/// a lifetime, so that whoever lies cannot count to the end of the numbers.
pub const EPOCH_AHEAD_MAX: u64 = 1 << 32;
