//! The bench of the cluster's clock: worlds with a known truth, the product's clock and its rivals
//! on the same probes, and how far each was off.
//!
//! Errors are taken ten times a second against event time, not when a sample arrives: that would
//! flatter. `docs/timing.md` has the results.
//!
//! **Invariant:** an estimator sees four readings of two clocks per probe and nothing else.

#[cfg(feature = "rivals")]
mod daemons;
pub(crate) mod draw;
mod drawn;
pub(crate) mod drive;
mod leaders;
mod local;
mod mesh;
mod path;
mod report;
mod rivals;
#[cfg(feature = "rivals")]
mod steered;
mod worlds;

pub use drawn::{Family, Shape, Standing, Way};
pub use drive::{Contestant, Sample};
pub use leaders::{
    Failover, Found, Regions, RegionsFound, Trouble, judge_leaders, judge_regions, judge_trouble,
};
pub use mesh::mesh_of_five;
pub use report::{Report, Row, Seeds, bench_clock, bench_world, nearer, text, text_of_seeds};
pub use worlds::{ClockLaw, Law, Silence, Sways, Window, World};
