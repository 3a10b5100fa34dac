//! The removal of a node as JSON.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::EndsView;
use unisono_model::{Expulsion, LogEnd, NodeId, OrchestraEnd, OrchestraId};
use utoipa::ToSchema;

use super::cluster::{Incarnated, LogRef};

/// Removes a node from the cluster, for good (roots only).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveBody {
    /// Who is removed.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Up to where its logs count; nothing of a log that is not named.
    #[serde(default)]
    pub ends: Vec<EndBody>,
    /// The lives of the members that stay.
    #[serde(default)]
    pub staying: Vec<LogRef>,
    /// Why, in a sentence.
    #[serde(default)]
    pub reason: String,
}

/// Up to where a log counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EndBody {
    /// In which orchestra.
    #[schema(value_type = String)]
    pub orchestra: OrchestraId,
    /// Of which life.
    pub incarnation: Incarnated,
    /// The number of the last bundle that counts.
    pub bundle: u64,
}

/// What the removal of a node would keep.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ends {
    /// Up to where each of its logs is held by the node that was asked.
    pub ends: Vec<EndBody>,
    /// The lives of the members that would stay.
    pub staying: Vec<LogRef>,
    /// Logs that a removal has no room to name: nothing of them would count.
    pub left_out: usize,
}

impl From<OrchestraEnd> for EndBody {
    fn from(one: OrchestraEnd) -> Self {
        Self {
            orchestra: one.orchestra,
            incarnation: one.end.incarnation.into(),
            bundle: one.end.seq,
        }
    }
}

impl From<EndBody> for OrchestraEnd {
    fn from(body: EndBody) -> Self {
        Self {
            orchestra: body.orchestra,
            end: LogEnd {
                incarnation: body.incarnation.into(),
                seq: body.bundle,
            },
        }
    }
}

impl From<EndsView> for Ends {
    fn from(view: EndsView) -> Self {
        Self {
            ends: view.ends.into_iter().map(Into::into).collect(),
            staying: view.staying.into_iter().map(Into::into).collect(),
            left_out: view.left_out,
        }
    }
}

impl From<RemoveBody> for Expulsion {
    fn from(body: RemoveBody) -> Self {
        let mut ends: Vec<OrchestraEnd> = body.ends.into_iter().map(Into::into).collect();
        ends.sort_unstable();
        let mut staying: Vec<_> = body.staying.into_iter().map(Into::into).collect();
        staying.sort_unstable();
        Self {
            node: body.node,
            ends,
            staying,
            reason: body.reason,
        }
    }
}

impl From<Expulsion> for RemoveBody {
    fn from(expulsion: Expulsion) -> Self {
        Self {
            node: expulsion.node,
            ends: expulsion.ends.into_iter().map(Into::into).collect(),
            staying: expulsion.staying.into_iter().map(Into::into).collect(),
            reason: expulsion.reason,
        }
    }
}
