//! What each action needs, by the table in `docs/protocol.md` ("What an action needs"): written without
//! the product's own, so that a deed which stands in the wrong row there is seen.

use unisono_model::capability::Operations;
use unisono_model::{Action, Write};

/// What has to be allowed for an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Nothing: it proves itself.
    Nothing,
    /// A token that allows these.
    Operation(Operations),
    /// The root, or a right to what ends.
    Authority,
    /// That the root signs.
    Root,
    /// That the node signs whose log carries it.
    Node,
}

/// What an action needs.
pub(super) fn need(action: &Action) -> Need {
    match action {
        Action::Enrol(_) | Action::Present(_) | Action::Rotate(_) | Action::Root(_) => {
            Need::Nothing
        }
        Action::Presence(_) | Action::Seen(_) => Need::Operation(Operations::COORDINATE),
        Action::Signal(_) | Action::Across(_) => Need::Operation(Operations::COORDINATE),
        Action::Claim { .. } | Action::Renew { .. } | Action::Release { .. } => {
            Need::Operation(Operations::COORDINATE)
        }
        Action::Mark(_) | Action::Task(_) | Action::Resolve(_) | Action::Decide(_) => {
            Need::Operation(Operations::COORDINATE)
        }
        Action::Remedy(_) | Action::Outcome(_) | Action::Used(_) | Action::Performs(_) => {
            Need::Operation(Operations::COORDINATE)
        }
        Action::Arrive(_) | Action::Cue(_) | Action::Answer(_) | Action::Played(_) => {
            Need::Operation(Operations::COORDINATE)
        }
        Action::Settings(_)
        | Action::Advance { .. }
        | Action::Plan(_)
        | Action::Tempo(_)
        | Action::Rollback(_) => Need::Operation(Operations::WRITE_PLAN),
        Action::Write(write) => Need::Operation(writing(write)),
        Action::Approve(_) => Need::Operation(Operations::APPROVE),
        Action::Guard | Action::Remove(_) | Action::Succeed(_) => Need::Root,
        Action::Fence(_) => Need::Authority,
        Action::Open { .. } | Action::Admit(_) | Action::VoteView(_) => Need::Node,
        Action::Incident(_) | Action::Leave(_) | Action::Witness(_) => Need::Node,
        Action::Invite(_) | Action::InviteUsed(_) => Need::Node,
    }
}

/// Writing needs `write-code`, removing `delete`; both, where a file moves away, or is left blank where it
/// had another content.
fn writing(write: &Write) -> Operations {
    let moves = write.moved_from.is_some();
    match &write.content {
        None => Operations::DELETE,
        Some(content) if moves || (content.blank && write.base.is_some()) => {
            Operations::DELETE.and(Operations::WRITE_CODE)
        }
        Some(_) => Operations::WRITE_CODE,
    }
}
