//! The bench of the ensemble: fifty agents on five nodes who act on beats, in worlds with a known
//! truth, beside other ways to do it.
//!
//! The nodes' clocks are the product's own, driven by simulated probes (`crate::timing`); tempo maps,
//! profiles, leads, corrections, models and watches are the product's. An action's error is its true
//! time minus the true time at which the cluster's clock shows the target. `docs/ensemble.md` has the
//! results.
//!
//! **Invariant:** an agent knows what its node's clock tells it, how long it took itself, and how late it
//! was told it was; nothing else.

mod clocks;
mod heard;
mod judged;
mod loops;
mod moving;
mod recovering;
mod report;
mod stage;
mod using;
mod varying;
mod watched;

pub use clocks::Path;
pub use heard::{Heard, hear};
pub use judged::{Heeded, PLAYERS, Weather, heed};
pub use loops::{Counts, Hears, Judged, Met, Spread, coupled, fed_back, judge_correction, meeting};
pub use moving::{Followed, Moves, follow, judge_following};
pub use recovering::{Heeds, Recovered, recover};
pub use report::{Row, Table, bench};
pub use stage::{Music, Noise, Scheme, Setup, play};
pub use using::{Noticed, Uses, judge_usage, notice};
pub use varying::{Does, Plan, Told, judge_variation, vary};
pub use watched::{Provoked, Watched, watch};
