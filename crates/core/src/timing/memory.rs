//! What is worth keeping over a restart: how fast the clock runs, and how short a path can be.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::limits;

/// What a filter knows that outlives its process.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Memory {
    /// The clock, whichever the leader: cluster time has one rate.
    pub rate: Option<RateMemory>,
    /// The path to the leader that was followed.
    pub path: Option<PathMemory>,
}

/// How fast the cluster's time runs against this machine's clock.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct RateMemory {
    /// By how much cluster time runs faster, ppb.
    pub rate_ppb: f64,
    /// One sigma of that, ppb.
    pub deviation_ppb: f64,
}

/// What one path was like.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct PathMemory {
    /// Half the shortest way there and back, ns, and one sigma.
    pub floor_ns: f64,
    /// One sigma of that, ns.
    pub floor_deviation_ns: f64,
    /// Mean queueing of the questions, ns.
    pub question_ns: f64,
    /// Mean queueing of the answers, ns.
    pub answer_ns: f64,
}

/// Why a memory is not believed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MemoryError {
    /// A figure is not finite, negative where it cannot be, or beyond what a clock or path can do.
    #[error("{figure} is no figure that a clock or a path can have; start without it")]
    Impossible {
        /// Which one.
        figure: &'static str,
    },
}

impl Memory {
    /// Looks whether all figures are possible.
    ///
    /// # Errors
    /// [`MemoryError::Impossible`] names the first that is not.
    pub fn check(&self) -> Result<(), MemoryError> {
        let rate_max = limits::RATE_PPB_MAX as f64 * 2.0;
        let trip_max = limits::ROUND_TRIP_NS_MAX as f64;
        if let Some(rate) = &self.rate {
            within("rate_ppb", rate.rate_ppb, -rate_max, rate_max)?;
            within("deviation_ppb", rate.deviation_ppb, 0.0, rate_max)?;
        }
        if let Some(path) = &self.path {
            within("floor_ns", path.floor_ns, 0.0, trip_max)?;
            within("floor_deviation_ns", path.floor_deviation_ns, 0.0, trip_max)?;
            within("question_ns", path.question_ns, 0.0, trip_max)?;
            within("answer_ns", path.answer_ns, 0.0, trip_max)?;
        }
        Ok(())
    }
}

fn within(figure: &'static str, value: f64, low: f64, high: f64) -> Result<(), MemoryError> {
    // Written so that a NaN fails.
    if value >= low && value <= high {
        Ok(())
    } else {
        Err(MemoryError::Impossible { figure })
    }
}
