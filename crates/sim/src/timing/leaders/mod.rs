//! A world of timing planes: nodes in regions, each with a clock of its own, paths that delay and
//! lose, and things that go wrong. Judges look at it ten times a second from outside.
//!
//! **Invariant:** the planes under test are the product's (`Timekeeper`), and see nothing but their
//! own clocks and the datagrams that reach them.

mod clock;
mod judge;
mod plan;
mod regions;
mod world;

pub use judge::{Failover, Found};
pub use plan::Trouble;
pub use regions::{Regions, RegionsFound, judge_regions};

use unisono_core::timekeeper::Fault;

/// Runs one seed: which trouble, in which cluster, follows from it.
pub fn judge_leaders(seed: u64, fault: Option<Fault>) -> Found {
    world::World::new(plan::Plan::of(seed), fault).run()
}

/// The same with a trouble of choice.
pub fn judge_trouble(seed: u64, trouble: Trouble, fault: Option<Fault>) -> Found {
    let mut plan = plan::Plan::of(seed);
    plan.trouble = trouble;
    world::World::new(plan, fault).run()
}
