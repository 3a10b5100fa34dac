//! What an action needs, and whether a token has it.

use alloc::format;
use alloc::string::String;

use unisono_model::capability::{Operations, Rights, Scope};
use unisono_model::{Action, ClusterId, OrchestraId};

/// What has to be allowed for an action.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// Nothing: it proves itself, or says nothing about anybody else.
    Nothing,
    /// A token with this kind of deed.
    Operation(Operations),
    /// That it ends what the signer may end: see [`crate::orchestra::trust`].
    Authority,
    /// That a root of the cluster signs.
    Root,
    /// That the node which carries it signs, for itself.
    Node,
}

/// What an action needs. Closed: a new action does not compile until it stands here.
pub fn need(action: &Action) -> Need {
    match action {
        Action::Enrol(_) | Action::Present(_) => Need::Nothing,
        Action::Presence(_)
        | Action::Signal(_)
        | Action::Claim { .. }
        | Action::Renew { .. }
        | Action::Release { .. }
        | Action::Mark(_)
        | Action::Task(_)
        | Action::Arrive(_)
        | Action::Cue(_)
        | Action::Answer(_)
        | Action::Played(_) => Need::Operation(Operations::COORDINATE),
        Action::Settings(_) | Action::Advance { .. } | Action::Tempo(_) => {
            Need::Operation(Operations::WRITE_PLAN)
        }
        Action::Fence(_) => Need::Authority,
        Action::Guard => Need::Root,
        Action::Open { .. } | Action::Admit(_) | Action::VoteView(_) | Action::Incident(_) => {
            Need::Node
        }
    }
}

/// Why rights do not allow something.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Denied {
    /// What was asked.
    pub asked: String,
    /// What the rights allow instead.
    pub allowed: String,
}

/// Whether rights allow a kind of deed in an orchestra. A project is the orchestra of its name.
///
/// # Errors
/// What was asked, and what is allowed.
pub fn allows(
    rights: &Rights,
    operation: Operations,
    cluster: ClusterId,
    orchestra: OrchestraId,
) -> Result<(), Denied> {
    if !rights.operations.contains(operation) {
        return Err(Denied {
            asked: words(operation),
            allowed: words(rights.operations),
        });
    }
    match &rights.write {
        Scope::Global => Ok(()),
        Scope::Project(name) if OrchestraId::of(cluster, name) == orchestra => Ok(()),
        Scope::Project(name) => Err(Denied {
            asked: String::from("to write in this orchestra"),
            allowed: format!("to write in {name}"),
        }),
        Scope::Nowhere => Err(Denied {
            asked: String::from("to write"),
            allowed: String::from("to write nowhere"),
        }),
    }
}

fn words(operations: Operations) -> String {
    let mut text = String::new();
    for word in operations.words() {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(word);
    }
    if text.is_empty() {
        text.push_str("nothing");
    }
    text
}
