//! How good a clock is: the data sets that IEEE 1588 compares.

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

use super::limits;

/// What a node's clock is synchronised to beside the cluster (the clock class of IEEE 1588, 7.6.2.5).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub enum Class {
    /// A receiver of satellites, or another primary reference.
    Gps,
    /// A server on the network.
    Ntp,
    /// Nothing.
    #[default]
    Free,
}

/// The rank of a candidate; the lesser is the better, compared field by field (the data set comparison
/// of IEEE 1588, 9.3.4).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Rank {
    /// It has no time to tell yet: last of all.
    pub unready: bool,
    /// As configured.
    pub priority: u8,
    /// What its clock is synchronised to.
    pub class: Class,
    /// Its certified deviation from the cluster's time: the doublings of one ns.
    pub deviation_band: u8,
    /// For how long its clock has been steady, counted down: the lesser is the steadier.
    pub unsteady_band: u8,
    /// Over how many others it has its time.
    pub hops: u8,
    /// Its id, so that no two are equal.
    pub node: NodeId,
}

impl Rank {
    /// The band of a deviation (ns).
    pub fn deviation_band(deviation_ns: u64) -> u8 {
        (u64::BITS - deviation_ns.leading_zeros()) as u8
    }

    /// The band of a clock that has been steady for so long (s).
    pub fn unsteady_band(steady_s: u64) -> u8 {
        let doublings = (steady_s / limits::STEADY_S + 1).ilog2() as u8;
        limits::STEADY_BANDS_MAX.saturating_sub(doublings)
    }

    /// Whether it is so much better than a leader that the leader should go: by its reference, or
    /// clearly by its deviation. Steadiness, hops and ids decide between equals and unseat nobody.
    pub fn displaces(&self, leader: &Self) -> bool {
        let reference = |rank: &Self| (rank.unready, rank.priority, rank.class);
        if reference(self) != reference(leader) {
            return reference(self) < reference(leader);
        }
        self.deviation_band.saturating_add(limits::DEVIATION_BANDS) <= leader.deviation_band
    }
}
