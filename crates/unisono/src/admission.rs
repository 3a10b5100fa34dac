//! Who may join: invites made on this node, kept as files beside its keys, so that `invite` works
//! whether or not the node runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, oneshot};
use unisono_api::server::{Asked, Call};
use unisono_core::node::{AnswerBody, Question, Reader};
use unisono_core::orchestra::view::{MemberView, StatusView, View};
use unisono_model::{NodeId, OrchestraId};
use unisono_quic::identity::Credentials;
use unisono_quic::join::{Admission, Answer, Invite, InviteId, JoinRequest, MayRenew, Refusal};
use unisono_quic::renew::RenewalRefusal;

use crate::failure::{Exit, Failure};
use crate::home::{Home, Membership, Seed, Welcome, now_ms, replace};

/// How long the node may take to say who its members are.
const MEMBERS_WITHIN: Duration = Duration::from_secs(3);

/// An invite as its maker remembers it: never the secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    expires_ms: u64,
    used_by: Option<NodeId>,
}

/// Whether anybody has joined with an invite of this node. What cannot be read is taken for used.
pub(crate) fn has_admitted(home: &Home) -> bool {
    let Ok(entries) = fs::read_dir(home.invites()) else {
        return false;
    };
    let used = |entry: io::Result<fs::DirEntry>| {
        let text = entry.and_then(|entry| fs::read_to_string(entry.path()));
        let kept = text.map(|text| serde_json::from_str::<Kept>(&text));
        !matches!(kept, Ok(Ok(Kept { used_by: None, .. })))
    };
    entries.into_iter().any(used)
}

/// Makes an invite, and remembers its public half.
pub(crate) fn invite(
    home: &Home,
    credentials: &Credentials,
    addresses: Vec<String>,
    valid_ms: u64,
) -> Result<Invite, Failure> {
    let Some(authority) = credentials.authority() else {
        let (words, hint) = if credentials.held().is_some() {
            let words = "another authority has taken the place of the one whose key this node holds: \
                it cannot invite";
            (
                words,
                "make the invite on the node that signs: `unisono ca show`",
            )
        } else {
            let words = "this node does not hold the cluster's authority and cannot invite";
            (
                words,
                "make the invite on the node that founded the cluster",
            )
        };
        return Err(Failure::new(Exit::Denied, "not_an_issuer", words).hint(hint));
    };
    let fingerprint = authority.certificate().fingerprint();
    let expires_ms = now_ms().saturating_add(valid_ms);
    let invite = Invite::new(credentials.cluster(), fingerprint, addresses, expires_ms)
        .map_err(unisono_quic::join::JoinError::from)?;
    let directory = home.invites();
    let unwritable = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    fs::create_dir_all(&directory).map_err(unwritable)?;
    let kept = Kept {
        expires_ms,
        used_by: None,
    };
    keep(&file_of(&directory, invite.id()), &kept).map_err(unwritable)?;
    Ok(invite)
}

/// The rule by which joiners are let in.
#[derive(Debug)]
pub(crate) struct Invited {
    home: Home,
    directory: PathBuf,
    membership: Membership,
    /// This node, which the joiner knocks at first.
    own: Seed,
    calls: mpsc::Sender<Call>,
    /// One joiner after the other, so that two cannot use one invite.
    turn: Mutex<()>,
}

impl Invited {
    /// Lets in whoever holds an invite of `home`.
    pub(crate) fn new(
        home: &Home,
        membership: Membership,
        own: Seed,
        calls: mpsc::Sender<Call>,
    ) -> Self {
        Self {
            home: home.clone(),
            directory: home.invites(),
            membership,
            own,
            calls,
            turn: Mutex::default(),
        }
    }

    async fn decide(&self, request: JoinRequest) -> Result<Vec<u8>, Refusal> {
        let _turn = self.turn.lock().await;
        let path = file_of(&self.directory, request.invite);
        let text = fs::read_to_string(&path).map_err(|_| Refusal::InviteUnknown)?;
        let kept: Kept = serde_json::from_str(&text).map_err(|_| Refusal::InviteUnknown)?;
        match kept.used_by {
            // The answer to its first try may have been lost.
            Some(node) if node == request.node => {}
            Some(_) => return Err(Refusal::InviteUsed),
            None if now_ms() >= kept.expires_ms => return Err(Refusal::InviteExpired),
            None => {}
        }
        let welcome = self.welcome(request.node).await?;
        let used = Kept {
            used_by: Some(request.node),
            ..kept
        };
        // Used before it is answered: a crash in between costs an invite, never lets two in.
        keep(&path, &used).map_err(|error| {
            tracing::error!(%error, path = %path.display(), "the invite could not be marked as used");
            Refusal::NotReady
        })?;
        tracing::info!(node = %request.node, from = %request.from, "a node was let in");
        Ok(welcome)
    }

    async fn status(&self) -> Option<StatusView> {
        let (answer, answered) = oneshot::channel();
        let deadline_ms = u64::try_from(MEMBERS_WITHIN.as_millis()).unwrap_or(u64::MAX);
        let asked = Asked::Question {
            question: Question::Status,
            as_of: None,
            min_cursor: None,
            deadline_ms,
            reader: Reader::Own,
        };
        let call = Call {
            orchestra: OrchestraId::default(),
            asked,
            answer,
        };
        self.calls.try_send(call).ok()?;
        let answered = tokio::time::timeout(MEMBERS_WITHIN, answered).await;
        let answer = answered.ok()?.ok()?.ok()?;
        let AnswerBody::View(View::Status(status)) = answer.body else {
            return None;
        };
        Some(status)
    }

    /// Whether the cluster still lets a node in. A vote ends a life and not the node, which is meant to
    /// come back with the next one; whom a root has removed, or who has left, is not.
    async fn still_let_in(&self, node: NodeId) -> Result<(), RenewalRefusal> {
        let status = self.status().await.ok_or(RenewalRefusal::NotReady)?;
        let lives = status.members.iter().filter(|member| member.node == node);
        let lives: Vec<&MemberView> = lives.collect();
        let why = if lives.is_empty() {
            "nobody has admitted it, as far as this node knows"
        } else if lives.iter().any(|life| life.expelled) {
            "a root has removed it, for good"
        } else if lives.iter().all(|life| life.left) {
            "it has left the cluster: a new invite lets it in again"
        } else {
            return Ok(());
        };
        let why = why.to_owned();
        Err(RenewalRefusal::NotAMember { why })
    }

    async fn welcome(&self, joiner: NodeId) -> Result<Vec<u8>, Refusal> {
        let status = self.status().await.ok_or(Refusal::NotReady)?;
        let mut members = status.members.iter();
        if members.any(|member| member.node == joiner && member.expelled) {
            return Err(Refusal::Denied {
                why: "a root has removed this node, for good: join with a new directory".to_owned(),
            });
        }
        let others = status.members.into_iter().filter(MemberView::stays);
        let mut members = vec![self.own.clone()];
        for member in others {
            if members.iter().all(|known| known.node != member.node) {
                members.push(Seed {
                    node: member.node,
                    address: member.address,
                });
            }
        }
        let welcome = Welcome {
            founder: self.membership.founder,
            root: self.membership.root,
            recovery: self.membership.recovery,
            roots: self
                .home
                .root_words(&self.membership)
                .into_iter()
                .map(Into::into)
                .collect(),
            lease_ms_max: self.membership.lease_ms_max,
            members,
        };
        serde_json::to_vec(&welcome).map_err(|_| Refusal::NotReady)
    }
}

impl Admission for Invited {
    fn admit(&self, request: JoinRequest) -> Answer<'_> {
        Box::pin(self.decide(request))
    }

    fn renews(&self, node: NodeId) -> MayRenew<'_> {
        Box::pin(self.still_let_in(node))
    }

    fn signers(&self) -> Vec<NodeId> {
        vec![self.membership.founder]
    }

    fn issuers(&self) -> Vec<String> {
        // Without the authority here, its founder is the one to ask.
        let founder = self.membership.founder;
        let seeds = self.membership.seeds.iter();
        seeds
            .filter(|seed| seed.node == founder)
            .map(|seed| seed.address.clone())
            .collect()
    }
}

fn keep(path: &Path, kept: &Kept) -> io::Result<()> {
    replace(
        path,
        &serde_json::to_string(kept).map_err(io::Error::other)?,
    )
}

fn file_of(directory: &Path, invite: InviteId) -> PathBuf {
    directory.join(format!("{invite}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_founder_has_admitted_somebody_from_the_first_used_invite_on() {
        let directory = tempfile::tempdir().expect("a place to write");
        let home = Home::new(directory.path());
        assert!(!has_admitted(&home));
        fs::create_dir_all(home.invites()).expect("a directory of one's own");
        let path = home.invites().join("one.json");
        let mut kept = Kept {
            expires_ms: 1,
            used_by: None,
        };
        keep(&path, &kept).expect("written");
        assert!(!has_admitted(&home));
        kept.used_by = Some(NodeId::default());
        keep(&path, &kept).expect("written");
        assert!(has_admitted(&home));
        fs::write(&path, "{").expect("written");
        assert!(has_admitted(&home), "what cannot be read is taken for used");
    }
}
