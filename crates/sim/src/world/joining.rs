//! Machines join by invites, as the process does it (`crates/unisono/src/admission.rs`): an issuer asks
//! its node what an invite has come to, records its use and lets the newcomer in; and whoever is told
//! that its invite has let in another one leaves.

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use unisono_core::node::{InviteSaid, Node, Promise, Question, Work};
use unisono_core::orchestra::view::{InviteView, MemberView, View};
use unisono_model::{Action, AuthorityId, Digest, InviteKey, InviteUse, InviteWord, LogId, NodeId};

use super::{Event, MS, SECOND, World};
use crate::agents::{Letter, Request};
use crate::checks::Who;
use crate::clock::EPOCH_NS;
use crate::oracle::Fact;
use crate::plan::{Fault, Joining};

/// How long an invite lets somebody in (ms).
const INVITE_LIFE_MS: u64 = 3_600_000;
/// How many agents go to a newcomer once it is a member.
const AGENTS_AT_A_NEWCOMER: usize = 2;
/// How many others must know that a machine has left that lost power after its last word.
const HEIRS: usize = 2;
/// How long a machine that was switched on once more stays on (ns).
const BACK_NS: u64 = 30 * SECOND;
/// How long after a leave that came to nothing it is tried again, as the process waits (ns).
const LEAVE_AGAIN_NS: u64 = 10 * SECOND;
/// How often a node is told that it writes nothing yet, before nobody waits for its leave.
const REFUSED_MAX: u32 = 5;
/// Authorities that are drawn at the most, the founder's among them.
const AUTHORITIES_MAX: u8 = 128;

/// What has come of invites so far.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// Uses that issuers have signed.
    pub(super) uses: Vec<InviteUse>,
    /// Newcomers that wait for an issuer's answer, and those that have it: the issuer.
    asked: BTreeMap<usize, usize>,
    welcomed: BTreeMap<usize, usize>,
    /// Where whoever was let in knocks.
    doors: BTreeMap<usize, Vec<usize>>,
    /// Newcomers that no invite lets in any more.
    turned_away: BTreeSet<usize>,
    /// Newcomers to whom agents have gone.
    peopled: BTreeSet<usize>,
    /// Newcomers that were told to leave, in which life.
    seen_off: BTreeMap<usize, u32>,
    /// Newcomers that have left, and when each is switched on once more.
    back_at: BTreeMap<usize, Option<u64>>,
    /// When each is told to leave once more that could not.
    again_at: BTreeMap<usize, u64>,
    /// How often machines have said, since everything was mended, that they write nothing yet.
    pub(super) refused: BTreeMap<usize, u32>,
    /// Invites that the lying node has made up, and logs in which it has.
    pub(super) made_up: BTreeSet<InviteKey>,
    pub(super) false_logs: BTreeSet<LogId>,
}

impl Joins {
    /// Where a machine knocks that an invite has let in.
    pub(super) fn doors(&self, host: usize) -> Option<&Vec<usize>> {
        self.doors.get(&host)
    }

    /// An issuer is gone before it has answered, or answers.
    pub(super) fn is_answered(&mut self, newcomer: usize) -> Option<usize> {
        self.asked.remove(&newcomer)
    }
}

/// An invite of a seed.
pub(super) fn invite_key(seed: u64, invite: u8) -> InviteKey {
    let secret = Digest::of("unisono/sim-invite/v1", &[&seed.to_le_bytes(), &[invite]]);
    let key = SigningKey::from_bytes(&secret.0);
    InviteKey(key.verifying_key().to_bytes())
}

/// The key of an authority of a seed; the founder's is number 0.
pub(super) fn authority_key(seed: u64, number: u8) -> SigningKey {
    let parts: [&[u8]; 2] = [&seed.to_le_bytes(), &[number]];
    SigningKey::from_bytes(&Digest::of("unisono/sim-authority/v1", &parts).0)
}

/// Who that is.
pub(super) fn authority(seed: u64, number: u8) -> AuthorityId {
    AuthorityId(authority_key(seed, number).verifying_key().to_bytes())
}

impl World {
    /// Who joins by an invite in this seed; nobody, in most.
    pub(super) fn joining(&self) -> Joining {
        self.plan.joining.clone().unwrap_or_default()
    }

    /// An issuer makes an invite, and says so until it is on its disk.
    pub(super) fn make_invite(&mut self, by: usize, invite: u8) {
        let key = invite_key(self.seed, invite);
        let shown = self.invite_at(by, key);
        if self.healed || shown.is_some_and(|shown| shown.expires_ms.is_some()) {
            return;
        }
        if shown.is_some() {
            let expires_ms = (EPOCH_NS + self.now) / MS + INVITE_LIFE_MS;
            let (cluster, maker) = (self.common.cluster, self.hosts[by].id);
            let word = InviteWord::sign(&self.signs_at(by), cluster, key, expires_ms, maker);
            self.says_of_invite(by, InviteSaid::Made(word), Who::Nobody);
        }
        let again = Event::Fault(Fault::Invite { by, invite });
        self.push(self.now + 2 * SECOND, again);
    }

    /// A newcomer asks to be let in, until it is or no invite lets it in any more.
    pub(super) fn join(&mut self, host: usize, at: usize, invite: u8) {
        let over = self.joins.doors.contains_key(&host) || self.joins.turned_away.contains(&host);
        if self.healed || over {
            return;
        }
        if let Some(issuer) = self.joins.welcomed.remove(&host) {
            return self.let_in(host, issuer);
        }
        if !self.joins.asked.contains_key(&host) {
            let issuers = self.joining().issuers.into_iter();
            let mut doors = [at].into_iter().chain(issuers);
            if let Some(issuer) = doors.find(|door| self.reaches(host, *door)) {
                self.decide(host, issuer, invite);
            }
        }
        let again = Event::Fault(Fault::Join { host, at, invite });
        self.push(self.now + SECOND, again);
    }

    fn reaches(&self, host: usize, issuer: usize) -> bool {
        let open = self.network.is_open(host, issuer) && self.network.is_open(issuer, host);
        open && self.hosts[issuer].is_awake() && !self.is_apart(issuer)
    }

    /// What an issuer makes of a newcomer, by what its node knows of the invite.
    fn decide(&mut self, host: usize, issuer: usize, invite: u8) {
        let (key, node) = (invite_key(self.seed, invite), self.hosts[host].id);
        let Some(shown) = self.invite_at(issuer, key) else {
            return;
        };
        let now_ms = (EPOCH_NS + self.now) / MS;
        match (shown.used_by, shown.expires_ms) {
            (Some(other), _) if other == node => {
                self.counters.add("joiners asked again");
                self.joins.welcomed.insert(host, issuer);
            }
            (Some(_), _) => {
                self.counters.add("joiners turned away");
                self.joins.turned_away.insert(host);
            }
            // The issuer may not have heard of it yet.
            (None, None) => {}
            (None, Some(expires_ms)) if now_ms >= expires_ms => {
                self.joins.turned_away.insert(host);
            }
            (None, Some(_)) => {
                let (cluster, own) = (self.common.cluster, self.hosts[issuer].id);
                let word = InviteUse::sign(&self.signs_at(issuer), cluster, key, node, own);
                self.joins.uses.push(word);
                self.joins.asked.insert(host, issuer);
                self.says_of_invite(issuer, InviteSaid::Used(word), Who::Joiner(host));
            }
        }
    }

    /// The use is on the issuer's disk, or it is not. The answer may be lost on its way.
    pub(super) fn joiner_answered(&mut self, newcomer: usize, recorded: bool) {
        let Some(issuer) = self.joins.is_answered(newcomer) else {
            return;
        };
        if !recorded {
            return;
        }
        if self.chance.percent(self.joining().lost_percent) {
            self.counters.add("answers to joiners lost");
        } else {
            self.joins.welcomed.insert(newcomer, issuer);
        }
    }

    /// The newcomer has what it needs: it is switched on, and knocks at whom the issuer has named.
    fn let_in(&mut self, host: usize, issuer: usize) {
        let status = self.status(issuer);
        let members = status.into_iter().flat_map(|status| status.members);
        let staying: Vec<NodeId> = members
            .filter(MemberView::stays)
            .map(|member| member.node)
            .collect();
        let named = |other: &usize| *other == issuer || staying.contains(&self.hosts[*other].id);
        let doors = (0..self.scenario.nodes).filter(|other| *other != host);
        let doors: Vec<usize> = doors.filter(named).collect();
        self.joins.doors.insert(host, doors);
        self.counters.add("joined by an invite");
        let machine = &mut self.hosts[host];
        machine.gone = false;
        machine.down_until = self.now;
        self.push(self.now, Event::Fault(Fault::Start { host }));
    }

    /// What a node knows of an invite, if it answers at once.
    pub(super) fn invite_at(&mut self, host: usize, invite: InviteKey) -> Option<InviteView> {
        match self.view(host, self.home, Question::Invite(invite), None)? {
            View::Invite(shown) => Some(shown),
            _ => None,
        }
    }

    /// The key of the authority that signs, as an issuer knows it.
    fn signs_at(&self, issuer: usize) -> SigningKey {
        let word = self.hosts[issuer].node.as_ref().and_then(Node::authority);
        let number = word.and_then(|word| {
            (1..AUTHORITIES_MAX).find(|number| authority(self.seed, *number) == word.authority)
        });
        authority_key(self.seed, number.unwrap_or_default())
    }

    fn says_of_invite(&mut self, host: usize, said: InviteSaid, who: Who) {
        let letter = Letter {
            host,
            orchestra: self.home,
            request: Request::Do(Work::OfInvite(said)),
            promise: Promise {
                deadline_ms: 3_000,
                ..Promise::default()
            },
            lie: false,
            forked: None,
            made_at: None,
        };
        self.hand_in(letter, who);
    }

    /// Looks each second after those that joined by an invite: agents go to whoever is a member, and
    /// whoever is told that it has to leave does.
    pub(super) fn care(&mut self) {
        for host in self.joining().newcomers {
            if self.hosts[host].gone {
                self.look_after_gone(host);
            } else if let Some(status) = self.status(host) {
                let id = self.hosts[host].id;
                let mut members = status.members.iter();
                let own = members.find(|member| member.node == id);
                match own {
                    Some(own) if own.outdone => self.see_off(host, own.left),
                    Some(own) if own.stays() && self.joins.peopled.insert(host) => {
                        self.send_agents_to(host);
                    }
                    _ => {}
                }
            }
        }
        self.push(self.now + SECOND, Event::Care);
    }

    /// Agents that can work there go to a newcomer.
    fn send_agents_to(&mut self, host: usize) {
        let network = &self.network;
        let near = |other: usize| network.is_open(host, other) && network.is_open(other, host);
        let agents = self.agents.iter_mut().take(self.scenario.agents);
        let near = agents.filter(|agent| agent.is_plain() && near(agent.home));
        near.filter_map(|agent| agent.go_to(host).then_some(()))
            .take(AGENTS_AT_A_NEWCOMER)
            .for_each(drop);
    }

    /// A node has to leave. Where it has lost power after its last word, its machine may be switched
    /// off once others have that word.
    fn see_off(&mut self, host: usize, left: bool) {
        let machine = &mut self.hosts[host];
        let life = machine.life;
        let Some(node) = machine.node.as_ref() else {
            return;
        };
        let (under_way, spoken) = (node.is_leaving() || node.is_dispensable(), node.has_left());
        let before = self.joins.seen_off.insert(host, life);
        if before.is_some_and(|before| before != life) {
            self.counters.add("outdone lost power while it left");
        }
        if left && !under_way && !spoken {
            if self.heirs_of(host) >= HEIRS {
                self.stop(host);
                self.hosts[host].gone = true;
                self.counters.add("left for good");
            }
            return;
        }
        if self.hosts[host].leaving == Some(life) {
            if under_way {
                return;
            }
            self.hosts[host].leaving = None;
            self.joins.again_at.insert(host, self.now + LEAVE_AGAIN_NS);
        }
        if self
            .joins
            .again_at
            .get(&host)
            .is_some_and(|at| self.now < *at)
        {
            return;
        }
        if before.is_none()
            && let Some(after_ns) = self.joining().crash_after_ns
        {
            let down_ns = self.chance.log_between(200, 20_000) * MS;
            let in_write = self.chance.percent(50);
            let crash = Fault::Crash {
                host,
                down_ns,
                in_write,
            };
            self.push(self.now + after_ns, Event::Fault(crash));
        }
        self.leave(host, None);
    }

    /// How many honest machines that stay show a node as one that has left.
    fn heirs_of(&mut self, host: usize) -> usize {
        let id = self.hosts[host].id;
        let others = (0..self.scenario.nodes).filter(|other| *other != host);
        let others: Vec<usize> = others
            .filter(|other| !self.is_apart(*other) && !self.lies(*other))
            .collect();
        let knows = |world: &mut Self, other: usize| {
            let status = world.status(other);
            let mut members = status.into_iter().flat_map(|status| status.members);
            members.any(|member| member.node == id && member.left)
        };
        others
            .into_iter()
            .filter(|other| knows(self, *other))
            .count()
    }

    /// A machine that was outdone and has left is switched on once more for a while: nobody may let
    /// it in.
    fn look_after_gone(&mut self, host: usize) {
        if !self.joins.doors.contains_key(&host) {
            return;
        }
        let after_ns = self.joining().back_after_ns;
        let now = self.now;
        let planned = self.joins.back_at.entry(host);
        let at = planned.or_insert_with(|| after_ns.map(|after_ns| now + after_ns));
        let Some(at) = *at else { return };
        let on = !self.healed && (at..at + BACK_NS).contains(&now);
        let machine = &mut self.hosts[host];
        match (on, machine.returns) {
            (true, false) => {
                machine.returns = true;
                machine.down_until = now;
                self.counters.add("outdone came back");
                self.start(host);
            }
            (false, true) => {
                machine.returns = false;
                self.stop(host);
            }
            _ => {}
        }
    }

    /// Whether nobody is still to leave by what its own node knows, but for those that have been told for
    /// a minute after everything was mended that they write nothing yet.
    pub(super) fn all_are_seen_off(&mut self) -> bool {
        let newcomers = self.joining().newcomers;
        newcomers.into_iter().all(|host| {
            let id = self.hosts[host].id;
            let refused = self.joins.refused.get(&host);
            self.is_apart(host)
                || refused.is_some_and(|times| *times > REFUSED_MAX)
                || self.status(host).is_some_and(|status| {
                    let mut members = status.members.iter();
                    !members.any(|member| member.node == id && member.outdone)
                })
        })
    }

    /// Newcomers that are still here and can say no last word: their stamps or their admission were
    /// given by a clock that was an hour ahead, and until that has passed they write nothing (seeds 94,
    /// 108 and 211).
    pub(super) fn cannot_leave(&mut self, home: &[&Fact]) -> Vec<usize> {
        let now = Self::stamp_at(self.now);
        let newcomers = self.joining().newcomers.into_iter();
        let here: Vec<usize> = newcomers.filter(|host| !self.is_apart(*host)).collect();
        let ahead = |world: &mut Self, host: usize| {
            let node = world.hosts[host].id;
            let mut later = home.iter().filter(|fact| fact.place.stamp > now);
            let admitted = later.any(|fact| match &fact.body.action {
                Action::Admit(admit) => admit.node == node,
                _ => false,
            });
            let status = world.status(host);
            admitted || status.is_some_and(|status| status.stamps_ahead_ms.is_some())
        };
        here.into_iter().filter(|host| ahead(self, *host)).collect()
    }
}
