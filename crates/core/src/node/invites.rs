//! What holders of the authority's key say of invites: laid down by this node, read by it, and what
//! follows for a node whose invite has let in another one.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use unisono_model::{
    Action, AuthorityId, Code, Digest, InviteKey, InviteUse, InviteWord, Rejection, wire::Signature,
};

use super::batch::{Made, Subject};
use super::input::Submit;
use super::output::Output;
use super::{Node, limits};
use crate::context::Context;
use crate::orchestra::invites::speaks;
use crate::orchestra::limits::{INVITE_LATE_MS_MAX, INVITES_OPEN_MAX};
use crate::orchestra::view::InviteView;

/// Something that a holder of the authority's key says of an invite. It proves itself.
#[derive(Clone, Copy, Debug)]
pub enum InviteSaid {
    /// It was made.
    Made(InviteWord),
    /// It let a node in.
    Used(InviteUse),
}

impl InviteSaid {
    fn invite(&self) -> InviteKey {
        match self {
            Self::Made(word) => word.invite,
            Self::Used(word) => word.invite,
        }
    }

    fn signed(&self, cluster: unisono_model::ClusterId) -> (AuthorityId, Digest, Signature) {
        match self {
            Self::Made(word) => (word.authority, word.proof(cluster), word.signature),
            Self::Used(word) => (word.authority, word.proof(cluster), word.signature),
        }
    }
}

impl Node {
    /// What an invite has come to, as far as this node knows.
    pub(super) fn invite(&self, invite: &InviteKey) -> InviteView {
        let cluster = self.spaces.get(&self.cluster);
        let known = cluster.and_then(|cluster| cluster.folds.members.invites().of(invite));
        known.copied().unwrap_or_default()
    }

    /// Makes the record of what is said, if it would count; none while something else that is said of
    /// the invite is on its way to the disk.
    pub(super) fn lay_down(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        said: &InviteSaid,
        deadline_ms: u64,
    ) -> Result<Option<Made>, Rejection> {
        let subject = Subject::Task(self.cluster, format!("invite {}", said.invite()));
        if self.blocked.contains_key(&subject) {
            return Ok(None);
        }
        self.may_lay_down(context, submit, said)?;
        self.enrol_self(context, self.cluster);
        let action = match *said {
            InviteSaid::Made(word) => Action::Invite(alloc::boxed::Box::new(word)),
            InviteSaid::Used(word) => Action::InviteUsed(alloc::boxed::Box::new(word)),
        };
        unisono_model::check::action(&action)?;
        Ok(Some(Made {
            ticket: Some(submit.ticket),
            promise: submit.promise.clone(),
            deadline_ms,
            subjects: vec![subject],
            ..Self::own_record(context, self.cluster, action)
        }))
    }

    fn may_lay_down(
        &self,
        context: &mut Context<'_>,
        submit: &Submit,
        said: &InviteSaid,
    ) -> Result<(), Rejection> {
        let refused = |code, why: &str, hint: &str| {
            Err(Rejection::new(code, format!("{why}; nothing changed")).hint(hint))
        };
        let (authority, proof, signature) = said.signed(self.config.cluster);
        let at = self.now(context);
        let Some(cluster) = self
            .spaces
            .get(&submit.orchestra)
            .filter(|space| space.id == self.cluster)
        else {
            let why = "what is said of invites stands in the cluster's own orchestra";
            return refused(Code::Malformed, why, "send it to the orchestra `cluster`");
        };
        let members = &cluster.folds.members;
        if !speaks(members.authorities(), &self.fold_rules(), &authority, at) {
            let why = "the authority that signs this is none of this cluster, or its time is over";
            let hint = "`unisono ca show` says which one signs";
            return refused(Code::NotAllowed, why, hint);
        }
        if !context.verifier.verify(&authority.0, &proof, &signature) {
            let why = "the authority has not signed this for this cluster";
            return refused(
                Code::BadSignature,
                why,
                "sign with the key of the authority",
            );
        }
        match said {
            InviteSaid::Made(_) if members.invites().open(at.as_ms()) >= INVITES_OPEN_MAX => {
                let why =
                    format!("{INVITES_OPEN_MAX} invites are open, and no more are made known");
                let hint = "use them, or wait until some have ended";
                refused(Code::RateLimited, &why, hint)
            }
            InviteSaid::Used(word) => match self.invite(&said.invite()) {
                one if one.used_by.is_some_and(|other| other != word.node) => {
                    let why = "the invite has let in another node";
                    refused(Code::NotAllowed, why, "make another invite")
                }
                one if one.expires_ms.is_some_and(|end_ms| {
                    at.as_ms() > end_ms.saturating_add(INVITE_LATE_MS_MAX)
                }) =>
                {
                    let why = "the invite has ended";
                    refused(Code::NotAllowed, why, "make another invite")
                }
                _ => Ok(()),
            },
            InviteSaid::Made(_) => Ok(()),
        }
    }

    /// Whether the invite by which this node came has let in another one, as far as it knows.
    pub(super) fn is_outdone(&self) -> bool {
        let cluster = self.spaces.get(&self.cluster);
        cluster.is_some_and(|cluster| cluster.folds.members.outdone(&self.me.node).is_some())
    }

    /// Why nothing more is taken here, if the invite by which this node came has let in another one.
    pub(super) fn refusal_of_outdone(&self) -> Option<Rejection> {
        let cluster = self.spaces.get(&self.cluster)?;
        let outdone = cluster.folds.members.outdone(&self.me.node)?;
        let by = outdone.by;
        let why = format!(
            "this node came by an invite that has let in another node as well, on the other side of a \
             cut; that one counts ({by}), and this one hands over what it holds and leaves; nothing changed"
        );
        let hint = "ask another node; to bring this machine back, let it join anew with another invite \
            and a directory of its own";
        Some(Rejection::new(Code::NotMember, why).hint(hint))
    }

    /// Tells the driver to turn away who was outdone and has left: a while after that was heard, since
    /// until others have its last word it asks for that to be kept.
    pub(super) fn tell_shut_out(&mut self, context: &Context<'_>, out: &mut Vec<Output>) {
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        let members = &cluster.folds.members;
        let outdone = members.invites().all_outdone();
        let now_ms = context.now_ms();
        // Whoever came back since leaves once more, and is heard until others have that word, too.
        let heard_ms = &mut self.shut_out.heard_ms;
        heard_ms.retain(|node, _| members.is_shut_out(node));
        for node in outdone.filter(|node| **node != self.me.node && members.is_shut_out(node)) {
            let heard_ms = *self.shut_out.heard_ms.entry(*node).or_insert(now_ms);
            let due = now_ms >= heard_ms + limits::FAREWELL_MS;
            if due && self.shut_out.told.insert(*node) {
                out.push(Output::Exclude { node: *node });
            }
        }
    }
}

/// Who was outdone and has left.
#[derive(Debug, Default)]
pub(super) struct ShutOut {
    /// When this process heard of it (ms).
    heard_ms: alloc::collections::BTreeMap<unisono_model::NodeId, u64>,
    /// Whom the driver turns away.
    told: alloc::collections::BTreeSet<unisono_model::NodeId>,
}
