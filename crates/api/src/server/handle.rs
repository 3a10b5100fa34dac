//! The door between the edge and whoever drives the node: calls go in, answers come back.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use unisono_core::ensemble::ChannelReport;
use unisono_core::node::{Answer, Ask, Input, Promise, Question, Reader, Submit, Ticket, Work};
use unisono_core::replication::Cursor;
use unisono_core::timekeeper;
use unisono_model::{ClusterId, Content, Digest, NodeId, OrchestraId, Rejection, Stamp};

use crate::dto::NodeCertificate;

/// One request on its way to the node. Dropping it without an answer tells the agent that nobody
/// can tell what became of it.
#[derive(Debug)]
pub struct Call {
    /// Where. Questions about the node itself bear the orchestra of zeros.
    pub orchestra: OrchestraId,
    /// What.
    pub asked: Asked,
    /// Where the answer goes. Closed when the agent has gone away.
    pub answer: oneshot::Sender<Result<Answer, Rejection>>,
}

/// What a call wants.
#[derive(Clone, Debug)]
pub enum Asked {
    /// Something to be done.
    Work {
        /// What.
        work: Work,
        /// Under which promises.
        promise: Promise,
    },
    /// Something to be told.
    Question {
        /// What.
        question: Question,
        /// As of which stamp; none: now.
        as_of: Option<Stamp>,
        /// What the agent has already seen elsewhere.
        min_cursor: Option<Cursor>,
        /// How long to wait for that at most (ms).
        deadline_ms: u64,
        /// On whose behalf.
        reader: Reader,
    },
}

impl Call {
    /// The node's input under a ticket that the driver chose, and where its reply goes.
    pub fn into_input(self, ticket: Ticket) -> (Input, oneshot::Sender<Result<Answer, Rejection>>) {
        let orchestra = self.orchestra;
        let input = match self.asked {
            Asked::Work { work, promise } => Input::Submit(Submit {
                ticket,
                orchestra,
                work,
                promise,
            }),
            Asked::Question {
                question,
                as_of,
                min_cursor,
                deadline_ms,
                reader,
            } => Input::Ask(Ask {
                ticket,
                orchestra,
                question,
                as_of,
                min_cursor,
                deadline_ms,
                reader,
            }),
        };
        (input, self.answer)
    }
}

/// What the edge knows of its node. The driver holds the other ends.
#[derive(Clone)]
pub struct NodeHandle {
    /// The cluster: orchestra ids follow from it.
    pub cluster: ClusterId,
    /// The node, for the header `Unisono-Node`.
    pub node: NodeId,
    /// The node's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The inbox. A full one refuses the request with `busy`; it never blocks.
    pub calls: mpsc::Sender<Call>,
    /// Which orchestra has something new. Followers subscribe; one that lags looks once and is
    /// caught up.
    pub published: broadcast::Sender<OrchestraId>,
    /// Whether the node can serve.
    pub readiness: watch::Receiver<Readiness>,
    /// Flips to true when the process stops: streams end and connections finish.
    pub stop: watch::Receiver<bool>,
    /// Looks at files for the node, which itself never sees a content.
    pub inspector: Arc<dyn Inspector>,
    /// What the cluster's clock shows at the moment of the call.
    pub clock: Arc<dyn Fn() -> ClockShown + Send + Sync>,
    /// The certificate that this node shows to others, at the moment of the call.
    pub certificate: Arc<dyn Fn() -> Option<NodeCertificate> + Send + Sync>,
    /// How tokens are counted.
    pub tokens: Arc<dyn CountTokens>,
    /// More Prometheus text, from whoever else has something to count. Every line ends in `\n`.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for NodeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHandle")
            .field("node", &self.node)
            .finish_non_exhaustive()
    }
}

/// Counts tokens. May take its time; it is asked off the threads that serve.
pub trait CountTokens: Send + Sync {
    /// How many tokens a text has.
    fn count(&self, text: &str) -> u64;

    /// What it counts by.
    fn counted_with(&self) -> &'static str;
}

/// Counts one token for each three and a half bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountBytes;

impl CountTokens for CountBytes {
    fn count(&self, text: &str) -> u64 {
        unisono_core::orchestra::brief::tokens(text)
    }

    fn counted_with(&self) -> &'static str {
        "bytes/3.5"
    }
}

/// Looks at files: what a content measures, and whether a path is what it seems to be. May take its
/// time; it is asked off the threads that serve.
pub trait Inspector: Send + Sync {
    /// What a record says of this content.
    fn measure(&self, path: &str, content: &[u8]) -> Content;

    /// Whether a path lies in the workspace and holds this, where there is a workspace here.
    ///
    /// # Errors
    /// The rule by which the file is not taken.
    fn look(&self, path: &str, holds: Option<&Digest>) -> Result<(), Rejection>;
}

/// The cluster's clock at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockShown {
    /// `CLOCK_MONOTONIC` of this machine at that moment, ns.
    pub monotonic_ns: u64,
    /// Which machine, and since which of its starts, as far as it says so.
    pub boot: Option<String>,
    /// By how much the cluster's time runs faster than it, ppb.
    pub rate_ppb: f64,
    /// What the timing plane shows.
    pub status: timekeeper::Status,
    /// How the two channels are, once they were looked at.
    pub channels: Option<ChannelReport>,
}

/// Whether the node can serve, and what it looked at. A node that is cut off from others is still
/// ready: it says so in a check.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// Whether requests make sense now.
    pub ready: bool,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// One thing that readiness looks at.
#[derive(Clone, Debug)]
pub struct Check {
    /// Its name: `disk`, `journal`, `peers`, …
    pub name: &'static str,
    /// Whether it is well.
    pub well: bool,
    /// In words.
    pub detail: String,
}
