//! What a timing plane shows of itself.

use alloc::vec::Vec;

use unisono_model::NodeId;

use crate::election::{Claim, Epoch, Role};
use crate::timing::Reading;

/// A node whose clock is measured, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceStatus {
    /// Who.
    pub node: NodeId,
    /// Whether this node follows it.
    pub followed: bool,
    /// Its time minus what this node tells, ns, where measured.
    pub offset_ns: Option<i64>,
    /// One sigma of that, ns.
    pub deviation_ns: Option<f64>,
    /// The last round trip, ns.
    pub round_trip_ns: Option<u64>,
    /// By how much the offset may be wrong if the two ways are as unequal as they can be: half the
    /// shortest round trip, ns.
    pub asymmetry_bound_ns: Option<u64>,
    /// Answers taken.
    pub probes: u64,
    /// How long ago the last one was taken, ns.
    pub heard_ns_ago: Option<u64>,
}

/// How the timing plane stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// What time it is; nothing before a leader was heard.
    pub reading: Option<Reading>,
    /// By how much the told time runs faster than the local clock, ppb.
    pub rate_ppb: f64,
    /// What this node is.
    pub role: Role,
    /// The cluster's epoch.
    pub epoch: Epoch,
    /// The epoch on whose leader the told time stands.
    pub told_epoch: Option<Epoch>,
    /// What leaders' measurements of one another, or most of those measured, add to what this node's own
    /// way to the leader says, ns; its leader's as well, if it follows one in its region.
    pub correction_ns: i64,
    /// Who leads the cluster, and who would after it.
    pub cluster: Option<Claim>,
    /// The same of the region.
    pub region: Option<Claim>,
    /// Who is measured.
    pub sources: Vec<SourceStatus>,
    /// What was counted.
    pub counters: Counters,
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What a timing plane has counted since its start.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Counters { $($(#[doc = $doc])* pub $name: u64,)* }

        impl Counters {
            /// Each with its name and what it counts.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((stringify!($name), concat!($($doc),*), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    /// Questions asked.
    asked,
    /// Questions answered.
    answered,
    /// Questions not answered: no time to tell, or too many of one peer.
    unanswered,
    /// Probes taken.
    probes,
    /// Datagrams that could not be read, or came from no member.
    refused_unreadable,
    /// Answers to no question that is under way: forged, replayed or late.
    refused_not_asked,
    /// Answers with impossible readings: zero, the far future, backwards, too long.
    refused_impossible,
    /// Answers that came after a later one, or twice.
    refused_out_of_order,
    /// Answers from an epoch that is over.
    refused_fenced,
    /// Answers whose time comes from this node.
    refused_loop,
    /// Announcements of a peer beyond what is heard in a second.
    refused_too_many,
    /// Answers that contradict what is certain.
    contradictions,
    /// Nodes found to lie by a majority of those measured.
    liars,
    /// Looks, one a second, at which this node's own way did not agree with what others tell.
    disagreements,
    /// Times that the machine's own clock jumped or slept.
    jumps,
    /// Announcements heard.
    announcements,
    /// Changes of the cluster's leader.
    leader_changes,
    /// Measurements of other leaders that leaders told.
    differences,
}
