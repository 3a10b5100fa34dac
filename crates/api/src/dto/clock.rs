//! The cluster's clock, as it is shown.

use serde::{Deserialize, Serialize};
use unisono_core::election::Role;
use unisono_core::ensemble::{ChannelHealth, ChannelMode, ChannelReport};
use unisono_core::timekeeper::{SourceStatus, Status};
use unisono_core::timing::Sync;
use unisono_model::NodeId;
use utoipa::ToSchema;

/// How far the told time can be trusted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SyncWord {
    /// No leader was heard yet: there is no time to tell.
    Unset,
    /// Answers arrive and the deviation is small, or this node leads.
    Synchronised,
    /// No answer for a while; the frequency that was learnt carries the time on.
    Holdover,
    /// The deviation is beyond what anybody should act on, or the told time is still far from the best
    /// guess.
    FreeRunning,
}

/// What a node is in the timing plane.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimingRole {
    /// It leads the cluster: what it tells is the cluster's time.
    ClusterLeader,
    /// It leads its region and follows the cluster's leader.
    RegionLeader,
    /// It follows its region's leader.
    Member,
}

/// A time, ns since the Unix epoch, as decimal digits: JSON numbers do not hold 64 bits everywhere.
pub type Nanoseconds = String;

/// What time it is in the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Clock {
    /// How far it can be trusted.
    pub state: SyncWord,
    /// What this node is.
    pub role: TimingRole,
    /// The best guess, ms since the Unix epoch, to a quarter of a microsecond. It never falls.
    pub estimate_ms: Option<f64>,
    /// The cluster's time is not before this, whatever the paths do (ns since the Unix epoch).
    pub earliest_ns: Option<Nanoseconds>,
    /// The best guess (ns since the Unix epoch).
    pub estimate_ns: Option<Nanoseconds>,
    /// The cluster's time is not after this (ns since the Unix epoch).
    pub latest_ns: Option<Nanoseconds>,
    /// Where the likely interval begins (ns since the Unix epoch).
    pub likely_earliest_ns: Option<Nanoseconds>,
    /// Where it ends (ns since the Unix epoch).
    pub likely_latest_ns: Option<Nanoseconds>,
    /// How far the likely interval reaches from the estimate, ns: three sigma, what unequal ways may hide,
    /// and what is still being put right.
    pub three_sigma_ns: Option<f64>,
    /// The number of the epoch on whose leader this stands. Two parts of a cut cluster may count the
    /// same number: an epoch is its number and its node.
    pub epoch: u64,
    /// Who leads in that epoch.
    #[schema(value_type = Option<String>)]
    pub epoch_node: Option<NodeId>,
    /// The number of the newest epoch that is known; at one process it never falls.
    pub epoch_known: u64,
    /// Who leads in the newest.
    #[schema(value_type = Option<String>)]
    pub epoch_known_node: Option<NodeId>,
    /// Who leads the cluster's time.
    #[schema(value_type = Option<String>)]
    pub leader: Option<NodeId>,
    /// Who leads this region's.
    #[schema(value_type = Option<String>)]
    pub region_leader: Option<NodeId>,
    /// Who leads the cluster's time if the leader is lost.
    #[schema(value_type = Option<String>)]
    pub backup: Option<NodeId>,
    /// `CLOCK_MONOTONIC` of the node's machine when this was read, ns: for programs on the same
    /// machine, which can count on from here.
    pub monotonic_ns: u64,
    /// Which start of which machine that clock counts from (the kernel's `boot_id`): readings of equal
    /// ones can be compared.
    pub boot: Option<String>,
    /// By how much the cluster's time runs faster than that clock, ppb.
    pub rate_ppb: f64,
    /// What the leaders' measurements of one another add to what the way to the cluster's leader shows,
    /// ns.
    pub correction_ns: i64,
    /// Whose clocks are measured.
    pub sources: Vec<ClockSource>,
    /// How the two channels are by which agents come to act at one time; nothing in the first second.
    #[serde(default)]
    pub channels: Option<ChannelsShown>,
}

/// How the two channels are, over the latest minute, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChannelsShown {
    /// Which can be relied on.
    pub mode: ChannelModeWord,
    /// Exact time.
    pub primary: ChannelShown,
    /// Advance notice of what is to be done.
    pub secondary: ChannelShown,
    /// By how much windows are to be wider to each side (ms): by what the time may be off, where that is
    /// more than 10 or the time is known badly.
    pub widen_ms: f64,
    /// How many times as much notice is to be given.
    pub notice_factor: f64,
}

/// Which channels can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelModeWord {
    /// Both.
    Whole,
    /// Time is known badly: what was announced still happens, less exactly.
    PrimaryDegraded,
    /// Notice comes late or not to all: there is less time to prepare.
    SecondaryDegraded,
    /// Both are weak: less should be done together, and said more often.
    BothDegraded,
}

/// How a channel is, over the latest minute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChannelShown {
    /// Which share arrives: of answers to questions about the time; of notices and those they are for.
    pub delivery: f64,
    /// How exact it is (ms): by how much the time may be off; the longest way of a notice there and back.
    /// Nothing where it is not known.
    pub precision_ms: Option<f64>,
    /// In which share of looks, one a second, it served.
    pub availability: f64,
    /// Whether it is to be relied on less.
    pub degraded: bool,
}

/// A node whose clock is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClockSource {
    /// Who.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Whether this node follows it.
    pub followed: bool,
    /// Its time minus what this node tells, ns.
    pub offset_ns: Option<i64>,
    /// One sigma of that, ns.
    pub deviation_ns: Option<f64>,
    /// The last round trip, ns.
    pub round_trip_ns: Option<u64>,
    /// By how much the offset can be wrong without being seen, should the two ways be as unequal as
    /// they can be, ns.
    pub asymmetry_bound_ns: Option<u64>,
    /// Answers taken.
    pub probes: u64,
    /// How long ago the last one came, ms.
    pub heard_ms_ago: Option<u64>,
}

impl Clock {
    /// What a plane shows, with the machine's clock at that moment (ns), which start of which machine
    /// that counts from, and the rate against it (ppb).
    pub fn of(status: &Status, monotonic_ns: u64, boot: Option<&str>, rate_ppb: f64) -> Self {
        let reading = status.reading.as_ref();
        let text = |time_ns: u64| time_ns.to_string();
        Self {
            state: reading.map_or(SyncWord::Unset, |reading| match reading.sync {
                Sync::Synchronised => SyncWord::Synchronised,
                Sync::Holdover => SyncWord::Holdover,
                Sync::FreeRunning => SyncWord::FreeRunning,
            }),
            role: match status.role {
                Role::ClusterLeader => TimingRole::ClusterLeader,
                Role::RegionLeader => TimingRole::RegionLeader,
                Role::Member => TimingRole::Member,
            },
            estimate_ms: reading.map(|one| one.estimate_ns as f64 / 1e6),
            earliest_ns: reading.map(|one| text(one.hard.earliest_ns)),
            estimate_ns: reading.map(|one| text(one.estimate_ns)),
            latest_ns: reading.map(|one| text(one.hard.latest_ns)),
            likely_earliest_ns: reading.map(|one| text(one.likely.earliest_ns)),
            likely_latest_ns: reading.map(|one| text(one.likely.latest_ns)),
            three_sigma_ns: reading.map(|one| one.reach_ns() as f64),
            epoch: reading.map_or(0, |one| one.epoch),
            epoch_node: status.told_epoch.map(|epoch| epoch.node),
            epoch_known: status.epoch.number,
            epoch_known_node: (status.epoch.number > 0).then_some(status.epoch.node),
            leader: status.cluster.map(|claim| claim.leader),
            region_leader: status.region.map(|claim| claim.leader),
            backup: status.cluster.and_then(|claim| claim.backup),
            monotonic_ns,
            boot: boot.map(str::to_owned),
            rate_ppb,
            correction_ns: status.correction_ns,
            sources: status.sources.iter().map(Into::into).collect(),
            channels: None,
        }
    }

    /// The estimate, ns since the Unix epoch.
    pub fn estimate(&self) -> Option<u64> {
        self.estimate_ns.as_ref()?.parse().ok()
    }
}

impl From<&ChannelReport> for ChannelsShown {
    fn from(report: &ChannelReport) -> Self {
        Self {
            mode: match report.mode {
                ChannelMode::Whole => ChannelModeWord::Whole,
                ChannelMode::PrimaryDegraded => ChannelModeWord::PrimaryDegraded,
                ChannelMode::SecondaryDegraded => ChannelModeWord::SecondaryDegraded,
                ChannelMode::BothDegraded => ChannelModeWord::BothDegraded,
            },
            primary: (&report.primary).into(),
            secondary: (&report.secondary).into(),
            widen_ms: report.widen_ns / 1e6,
            notice_factor: report.notice_factor,
        }
    }
}

impl From<&ChannelHealth> for ChannelShown {
    fn from(health: &ChannelHealth) -> Self {
        Self {
            delivery: health.delivery,
            precision_ms: health.precision_ns.map(|ns| ns / 1e6),
            availability: health.availability,
            degraded: health.degraded,
        }
    }
}

impl From<&SourceStatus> for ClockSource {
    fn from(source: &SourceStatus) -> Self {
        Self {
            node: source.node,
            followed: source.followed,
            offset_ns: source.offset_ns,
            deviation_ns: source.deviation_ns,
            round_trip_ns: source.round_trip_ns,
            asymmetry_bound_ns: source.asymmetry_bound_ns,
            probes: source.probes,
            heard_ms_ago: source.heard_ns_ago.map(|ago| ago / 1_000_000),
        }
    }
}
