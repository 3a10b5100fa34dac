//! What the node is asked about invites, and what it is to record of them.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use unisono_api::server::{Asked, Call};
use unisono_core::node::{Answer, AnswerBody, InviteSaid, Promise, Question, Reader, Work};
use unisono_core::orchestra::view::{InviteView, StatusView, View};
use unisono_model::{ClusterId, Code, OrchestraId, Rejection};
use unisono_quic::join::InviteId;

/// How long the node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long a leave may take until it is tried again.
const LEAVE_WITHIN: Duration = Duration::from_secs(60);

/// The way to the records of the cluster.
#[derive(Debug)]
pub(super) struct Records {
    orchestra: OrchestraId,
    calls: mpsc::Sender<Call>,
}

impl Records {
    pub(super) fn new(cluster: ClusterId, calls: mpsc::Sender<Call>) -> Self {
        Self {
            orchestra: OrchestraId::of(cluster, "cluster"),
            calls,
        }
    }

    /// How the node is, and who its members are.
    pub(super) async fn status(&self) -> Option<StatusView> {
        match self.view(Question::Status).await? {
            View::Status(status) => Some(status),
            _ => None,
        }
    }

    /// What an invite has come to.
    pub(super) async fn invite(&self, invite: InviteId) -> Option<InviteView> {
        match self.view(Question::Invite(invite.key())).await? {
            View::Invite(invite) => Some(invite),
            _ => None,
        }
    }

    /// Records what is said of an invite: on this node's disk, when it returns.
    pub(super) async fn say(&self, said: InviteSaid) -> Result<(), Rejection> {
        self.work(Work::OfInvite(said), ANSWER_WITHIN).await
    }

    /// Has the node leave the cluster.
    pub(super) async fn leave(&self) -> Result<(), Rejection> {
        self.work(Work::Leave { hand_to: 0 }, LEAVE_WITHIN).await
    }

    async fn work(&self, work: Work, within: Duration) -> Result<(), Rejection> {
        let promise = Promise {
            deadline_ms: ms(within),
            ..Promise::default()
        };
        let asked = Asked::Work { work, promise };
        self.ask(asked, within + ANSWER_WITHIN).await.map(drop)
    }

    async fn view(&self, question: Question) -> Option<View> {
        let asked = Asked::Question {
            question,
            as_of: None,
            min_cursor: None,
            deadline_ms: ms(ANSWER_WITHIN),
            reader: Reader::Own,
        };
        match self.ask(asked, ANSWER_WITHIN).await.ok()?.body {
            AnswerBody::View(view) => Some(view),
            _ => None,
        }
    }

    async fn ask(&self, asked: Asked, within: Duration) -> Result<Answer, Rejection> {
        let silent = || Rejection::new(Code::Unknown, "the node did not answer in time");
        let busy = || Rejection::new(Code::Busy, "too much waits for the node; nothing changed");
        let (answer, answered) = oneshot::channel();
        let call = Call {
            orchestra: self.orchestra,
            asked,
            answer,
        };
        self.calls.try_send(call).map_err(|_| busy())?;
        let answered = tokio::time::timeout(within, answered).await;
        answered.map_err(|_| silent())?.map_err(|_| silent())?
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
