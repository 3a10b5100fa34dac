//! What a seed makes: a cluster, its paths, and what goes wrong in it.

use crate::chance::Chance;

/// What goes wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The cluster's leader is gone for good.
    Crash,
    /// It stands still for some seconds, and goes on as if nothing had been.
    Pause,
    /// A preferred node is cut off and comes back, again and again.
    Flapping,
    /// The cluster is in two parts for half a minute.
    Partition,
    /// The leader's clock jumps by 50 ms and it does not notice: it lies.
    Liar,
    /// The leader's clock jumps by ten seconds, and it notices.
    Jump,
    /// A follower's clock does.
    FollowerJump,
    /// Nodes end and begin again, the leader among them.
    Restarts,
    /// From the first probe on a queue stands on the ways from one region to those before it, and goes
    /// after a while: the floor is learnt in congestion.
    Congestion,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Crash,
        Self::Pause,
        Self::Flapping,
        Self::Partition,
        Self::Liar,
        Self::Jump,
        Self::FollowerJump,
        Self::Restarts,
        Self::Congestion,
    ];
}

/// A cluster and its trouble.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    /// The region of each node.
    pub(super) regions: Vec<u64>,
    /// Base delay between two regions, one way, ms.
    pub(super) far_ms: f64,
    /// Mean queueing, each way, ms.
    pub(super) jitter_ms: f64,
    /// Datagrams lost in a million.
    pub(super) lost_ppm: u64,
    pub(super) trouble: Trouble,
    /// How long the trouble lasts where it does, ns.
    pub(super) lasts_ns: i64,
    /// What stands in a queue where there is congestion, ms.
    pub(super) standing_ms: f64,
}

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "timing leaders plan", 0);
        let regions = chance.between(2, 3);
        // At least four nodes: of two or three clocks nobody can tell which one lies.
        let nodes = chance.between(regions.max(4), 7);
        // Drawn beside the others, so that the seeds of those are what they were.
        let mut queue = Chance::new(seed, "timing leaders congestion", 0);
        let others = Trouble::ALL.len() as u64 - 1;
        let drawn = Trouble::ALL[chance.below(others) as usize];
        let congested = queue.below(others + 1) == 0;
        let trouble = if congested {
            Trouble::Congestion
        } else {
            drawn
        };
        Self {
            seed,
            regions: (0..nodes).map(|node| node % regions).collect(),
            far_ms: chance.between(1, 40) as f64,
            jitter_ms: chance.between(1, 10) as f64 / 2.0,
            lost_ppm: chance.below(20_000),
            trouble,
            lasts_ns: chance.between(2_000, 6_000).cast_signed() * 1_000_000,
            standing_ms: queue.between(15, 45) as f64,
        }
    }
}
