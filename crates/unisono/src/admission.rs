//! Who may join: invites made on this node, kept as files beside its keys, so that `invite` works
//! whether or not the node runs; and what the cluster's records say of others' invites.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc, watch};
use unisono_api::server::Call;
use unisono_core::node::InviteSaid;
use unisono_core::orchestra::limits::INVITE_LIFE_MS_MAX;
use unisono_core::orchestra::view::MemberView;
use unisono_model::{Code, InviteKey, NodeId};
use unisono_quic::Transport;
use unisono_quic::identity::Credentials;
use unisono_quic::join::{Admission, Answer, Invite, InviteId, JoinRequest, MayRenew, Refusal};
use unisono_quic::renew::RenewalRefusal;

use crate::failure::{Exit, Failure};
use crate::home::{Home, Membership, Seed, Welcome, now_ms, replace};
use crate::standing::{self, Word};
use records::Records;

mod records;

/// How often the directory is looked through for invites that are to be made known.
const CARE_EVERY: Duration = Duration::from_secs(1);
/// So many looks at others, one each second, an outdone node stays that has left in an earlier life.
const HEARD_AFTER_LOOKS: u32 = 30;
/// How long after a leave that came to nothing it is tried again.
const LEAVE_AGAIN: Duration = Duration::from_secs(10);
/// What is told of a node whose invite has let in another one.
const OUTDONE: &str = "the invite by which this node came has let in another one as well, on the other \
    side of a cut, and that one counts";
/// What a node remembers that hears of its own removal.
const REMOVED: &str = "a root has removed this node from the cluster, for good";

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
    if valid_ms > INVITE_LIFE_MS_MAX {
        let days = INVITE_LIFE_MS_MAX / 86_400_000;
        let words = format!("an invite lasts {days} days at the most; none was made");
        return Err(Failure::usage(words));
    }
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
    records: Records,
    transport: Transport,
    /// Whether this node's own invite has let in another one.
    outdone: AtomicBool,
    /// Whether this process leaves for that, and how often it has seen others since an earlier one had.
    leaves_now: AtomicBool,
    looks_since: AtomicU32,
    /// Nothing is left to do for a node that has.
    gone: watch::Sender<bool>,
    /// Whether it was told that more invites are open than are made known.
    is_full: AtomicBool,
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
        transport: Transport,
    ) -> Self {
        Self {
            home: home.clone(),
            directory: home.invites(),
            records: Records::new(membership.cluster, calls),
            membership,
            own,
            transport,
            outdone: AtomicBool::new(false),
            leaves_now: AtomicBool::new(false),
            looks_since: AtomicU32::new(0),
            gone: watch::Sender::new(false),
            is_full: AtomicBool::new(false),
            turn: Mutex::default(),
        }
    }

    /// Lets joiners in, and takes care of invites, until the process ends.
    pub(crate) fn serve(self, finish: watch::Receiver<bool>) -> Arc<Self> {
        let invited = Arc::new(self);
        let admission = Arc::clone(&invited) as Arc<dyn Admission>;
        invited.transport.serve_joins(admission);
        tokio::spawn(Arc::clone(&invited).care(finish));
        invited
    }

    async fn decide(&self, request: JoinRequest) -> Result<Vec<u8>, Refusal> {
        let _turn = self.turn.lock().await;
        let (invite, node) = (request.invite, request.node);
        let path = file_of(&self.directory, invite);
        let kept = read(&path);
        let told = self.records.invite(invite).await.ok_or(Refusal::NotReady)?;
        let mut used_by = kept.iter().filter_map(|kept| kept.used_by);
        let used_by = told.used_by.or_else(|| used_by.next());
        // Others go by the record, which ends after four weeks at the latest.
        let ends_ms = kept.iter().map(|kept| kept.expires_ms);
        let expires_ms = ends_ms.chain(told.expires_ms).min();
        match (used_by, expires_ms) {
            // The answer to its first try may have been lost.
            (Some(other), _) if other == node => {}
            (Some(_), _) => return Err(Refusal::InviteUsed),
            (None, None) => return Err(Refusal::InviteUnknown),
            (None, Some(expires_ms)) if now_ms() >= expires_ms => {
                return Err(Refusal::InviteExpired);
            }
            (None, Some(_)) => {}
        }
        let welcome = self.welcome(node).await?;
        // Used before it is answered, in a record and where its maker keeps it: a crash in between
        // costs an invite, never lets two in.
        if told.used_by != Some(node) {
            self.record_use(invite, node).await?;
            // What came from elsewhere meanwhile: a use that is recorded, and whose node never comes, sends
            // nobody away.
            let told = self.records.invite(invite).await.ok_or(Refusal::NotReady)?;
            if told.used_by != Some(node) {
                return Err(Refusal::InviteUsed);
            }
        }
        if let Some(kept) = kept {
            let used = Kept {
                used_by: Some(node),
                ..kept
            };
            keep(&path, &used).map_err(|error| {
                tracing::error!(%error, path = %path.display(), "the invite could not be marked as used");
                Refusal::NotReady
            })?;
        }
        tracing::info!(%node, from = %request.from, "a node was let in");
        Ok(welcome)
    }

    /// Says in the cluster's records whom the invite lets in.
    async fn record_use(&self, invite: InviteId, node: NodeId) -> Result<(), Refusal> {
        let credentials = self.transport.credentials();
        let authority = credentials.authority().ok_or(Refusal::NotReady)?;
        let word = authority.lets_in(invite.key(), node, self.own.node);
        let Err(rejection) = self.records.say(InviteSaid::Used(word)).await else {
            return Ok(());
        };
        tracing::warn!(why = %rejection, "the use of an invite could not be recorded");
        let told = self.records.invite(invite).await;
        let other = told.and_then(|told| told.used_by).filter(|by| *by != node);
        Err(other.map_or(Refusal::NotReady, |_| Refusal::InviteUsed))
    }

    /// Makes known what lies in the directory, and sees to it that this node leaves if its own invite
    /// has let in another one; until the process ends.
    async fn care(self: Arc<Self>, mut finish: watch::Receiver<bool>) {
        let mut done = BTreeSet::new();
        loop {
            tokio::select! {
                _ = finish.wait_for(|finish| *finish) => return,
                () = tokio::time::sleep(CARE_EVERY) => {}
            }
            self.make_known(&mut done).await;
            self.leave_if_outdone().await;
        }
    }

    /// Lays down each invite of this directory that no record tells of. `done` are those that need no
    /// further look.
    async fn make_known(&self, done: &mut BTreeSet<InviteId>) {
        let Ok(entries) = fs::read_dir(&self.directory) else {
            return;
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let invites =
            names.filter_map(|name| name.strip_suffix(".json")?.parse::<InviteKey>().ok());
        let new = invites
            .map(|key| InviteId(key.0))
            .filter(|invite| !done.contains(invite));
        for invite in new.collect::<Vec<_>>() {
            let _turn = self.turn.lock().await;
            let kept = read(&file_of(&self.directory, invite));
            let open = kept.filter(|kept| kept.used_by.is_none() && kept.expires_ms > now_ms());
            let Some(kept) = open else {
                done.insert(invite);
                continue;
            };
            let credentials = self.transport.credentials();
            let Some(authority) = credentials.authority() else {
                return;
            };
            match self.records.invite(invite).await {
                Some(told) if told.expires_ms.is_some() => {
                    done.insert(invite);
                    continue;
                }
                Some(_) => {}
                None => return,
            }
            let word = authority.invites(invite.key(), kept.expires_ms, self.own.node);
            if let Err(rejection) = self.records.say(InviteSaid::Made(word)).await {
                if rejection.code == Code::RateLimited
                    && !self.is_full.swap(true, Ordering::Relaxed)
                {
                    tracing::warn!(why = %rejection, "invites are known here alone");
                } else {
                    tracing::debug!(why = %rejection, "an invite is not made known yet");
                }
                return;
            }
        }
    }

    /// Two issuers that did not reach each other may let two nodes in with one invite. The one that
    /// does not count hands over what it has and leaves, so that nothing acknowledged is lost. Whom the
    /// root has removed has nothing to do but to remember it.
    async fn leave_if_outdone(&self) {
        let Some(status) = self.records.status().await else {
            return;
        };
        let (own, others): (Vec<&MemberView>, Vec<&MemberView>) = status
            .members
            .iter()
            .partition(|one| one.node == self.own.node);
        let Some(own) = own.into_iter().find(|one| one.outdone || one.expelled) else {
            return;
        };
        if own.expelled {
            return standing::remember(&self.home, Word::Removed, None, REMOVED);
        }
        if !self.outdone.swap(true, Ordering::Relaxed) {
            tracing::error!("{OUTDONE}: it hands over what it holds, and leaves");
        }
        if !own.stays() {
            return self.end_if_heard(others.iter().any(|one| one.alive));
        }
        self.leaves_now.store(true, Ordering::Relaxed);
        if let Err(rejection) = self.records.leave().await {
            tracing::warn!(why = %rejection, "this node has to leave, and could not yet");
            // While it leaves it takes nothing in: meanwhile it hears what has become of it (seed 819).
            tokio::time::sleep(LEAVE_AGAIN).await;
        }
    }

    /// An earlier life had to leave and has: this process ends as well, when others had the time to hear
    /// its last word, if that was not said to the end. One that leaves itself ends by that.
    fn end_if_heard(&self, others_are_there: bool) {
        if self.leaves_now.load(Ordering::Relaxed) || !others_are_there {
            return;
        }
        if self.looks_since.fetch_add(1, Ordering::Relaxed) >= HEARD_AFTER_LOOKS {
            self.gone.send_replace(true);
        }
    }

    /// Waits until nothing is left to do for a node that had to leave, and has in an earlier life.
    pub(crate) async fn until_gone(&self) {
        // The sender lives as long as this does.
        _ = self.gone.subscribe().wait_for(|gone| *gone).await;
    }

    /// What is told at the end of a node whose own invite has let in another one.
    pub(crate) fn end_of_outdone(&self, has_left: bool) -> Result<(), Failure> {
        if !self.outdone.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !has_left && !*self.gone.borrow() {
            // Nobody may take its directory away: perhaps it holds what no other node has.
            tracing::warn!("{OUTDONE}: it has not left yet, and does when it is served again");
            return Ok(());
        }
        standing::remember(&self.home, Word::InviteOutdone, None, OUTDONE);
        let hint = Word::InviteOutdone.hint();
        Err(Failure::new(Exit::Denied, "invite_outdone", OUTDONE).hint(hint))
    }

    /// Whether the cluster still lets a node in. A vote ends a life and not the node, which is meant to
    /// come back with the next one; whom a root has removed, or who has left, is not.
    async fn still_let_in(&self, node: NodeId) -> Result<(), RenewalRefusal> {
        let status = self
            .records
            .status()
            .await
            .ok_or(RenewalRefusal::NotReady)?;
        let lives = status.members.iter().filter(|member| member.node == node);
        let lives: Vec<&MemberView> = lives.collect();
        let why = if lives.is_empty() {
            "nobody has admitted it, as far as this node knows"
        } else if lives.iter().any(|life| life.expelled) {
            "a root has removed it, for good"
        } else if lives.iter().any(|life| life.outdone) {
            "the invite by which it came has let in another node, which counts"
        } else if lives.iter().all(|life| life.left) {
            "it has left the cluster: a new invite lets it in again"
        } else {
            return Ok(());
        };
        let why = why.to_owned();
        Err(RenewalRefusal::NotAMember { why })
    }

    async fn welcome(&self, joiner: NodeId) -> Result<Vec<u8>, Refusal> {
        let status = self.records.status().await.ok_or(Refusal::NotReady)?;
        let mut lives = status.members.iter().filter(|member| member.node == joiner);
        if let Some(life) = lives.find(|life| life.expelled || life.outdone) {
            let why = if life.expelled {
                "a root has removed this node, for good"
            } else {
                "this node came by an invite that has let in another one"
            };
            let why = format!("{why}: join with a new directory");
            return Err(Refusal::Denied { why });
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

fn read(path: &Path) -> Option<Kept> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
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
