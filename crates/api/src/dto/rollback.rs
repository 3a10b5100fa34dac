//! Going back to an earlier time: what is asked, what would be set aside, what was.

use serde::{Deserialize, Serialize};
use unisono_model::{Digest, LogEnd, Place, Rollback, Stamp};
use utoipa::ToSchema;

use super::cluster::Incarnated;
use super::moment::{Moment, read_stamp, write_stamp};
use super::record::RecordEvent;

/// Goes back to an earlier time: what can be set aside and was done since is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackBody {
    /// To when: an RFC 3339 time or a stamp (16 hexadecimal characters).
    #[serde(serialize_with = "write_stamp", deserialize_with = "read_stamp")]
    #[schema(value_type = String)]
    pub to: Stamp,
    /// How far each log was seen: what came meanwhile stands. All that the node holds if left out;
    /// whoever signs names it, as `GET` at the same address shows it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<SeenLog>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// How far a log was seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenLog {
    /// The life that wrote it.
    pub life: Incarnated,
    /// The last bundle that was seen.
    pub bundle: u64,
}

/// What going back would set aside.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RollbackShown {
    /// To when.
    pub to: Moment,
    /// How many records would be set aside.
    pub sets_aside: u64,
    /// These, oldest first, as far as the limit goes.
    pub records: Vec<RecordEvent>,
    /// How many records would count again that an earlier rollback has set aside.
    #[serde(default)]
    pub returns: u64,
    /// How many earlier rollbacks would stand no more.
    #[serde(default)]
    pub takes_back: u64,
    /// How many records were made since and stay: claims, marks, rights, presences and the like.
    pub stays: u64,
    /// Topics that were claimed since: whoever holds them goes on holding them.
    pub claimed: Vec<String>,
    /// Why it would be refused; empty: it would not.
    pub barred: Vec<String>,
    /// How far each log was seen: what a signed rollback names.
    pub seen: Vec<SeenLog>,
}

/// Which rollback has set a record aside: the first of those that stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SetAside {
    /// The rollback's record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When it was made: a reading of an earlier time knows nothing of it.
    pub stamp: Moment,
}

impl From<Place> for SetAside {
    fn from(place: Place) -> Self {
        Self {
            record: place.record,
            stamp: place.stamp.into(),
        }
    }
}

impl From<LogEnd> for SeenLog {
    fn from(end: LogEnd) -> Self {
        Self {
            life: end.incarnation.into(),
            bundle: end.seq,
        }
    }
}

impl From<RollbackBody> for Rollback {
    fn from(body: RollbackBody) -> Self {
        let seen = body.seen.into_iter().map(|log| LogEnd {
            incarnation: log.life.into(),
            seq: log.bundle,
        });
        let mut seen: Vec<LogEnd> = seen.collect();
        seen.sort_unstable();
        Self {
            to: body.to,
            seen,
            reason: body.reason,
        }
    }
}

impl From<Rollback> for RollbackBody {
    fn from(rollback: Rollback) -> Self {
        Self {
            to: rollback.to,
            seen: rollback.seen.into_iter().map(Into::into).collect(),
            reason: rollback.reason,
        }
    }
}
