//! What the lying node says of invites: it has not the authority's key.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, Signature};
use unisono_model::{
    Action, AgentId, AgentKind, AuthorityId, Enrol, Held, InviteKey, InviteUse, InviteWord,
    RecordBody, SignedRecord,
};

use super::World;
use super::joining::{authority, invite_key};
use super::shadow::{Shadow, said};
use crate::chance::Chance;
use crate::clock::EPOCH_NS;
use crate::host::secret;

/// How many signatures are tried until a use would count before those that an issuer has signed.
const TRIES: usize = 64;

impl World {
    /// In a new life of its own the liar says that invites have let it in, and that there are others:
    /// with signatures that are nobody's, with its own under the authority's name, and as an authority
    /// that nobody knows. What an issuer has signed it carries as well, which is true.
    pub(super) fn send_false_invites(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let mut chance = Chance::new(self.seed, "false invites", self.now);
        let mut shadow = Shadow::begin(self, liar, self.home, chance.below(u64::MAX));
        let key = SigningKey::from_bytes(&secret(self.seed, liar));
        let enrol = Enrol {
            name: format!("n{liar}"),
            role: "node".into(),
            kind: AgentKind::Node,
            tier: None,
        };
        let (uses, words) = (
            self.false_uses(&mut chance, &key),
            self.false_words(&mut chance, &key),
        );
        self.counters.add_many("false uses sent", uses.len() as u64);
        self.counters
            .add_many("false invites sent", words.len() as u64);
        let mut actions = vec![Action::Enrol(enrol)];
        actions.extend(
            uses.into_iter()
                .map(|word| Action::InviteUsed(Box::new(word))),
        );
        actions.extend(words.into_iter().map(|word| Action::Invite(Box::new(word))));
        let truth = self.joins.uses.last().copied();
        actions.extend(truth.map(|word| Action::InviteUsed(Box::new(word))));
        let agent = AgentId(key.verifying_key().to_bytes());
        let mut records = Vec::new();
        for action in actions {
            let body = RecordBody {
                held: Held::Node,
                ..said(self.now, action, None)
            };
            let record = SignedRecord::sign(&key, &shadow.next_place(agent), &body);
            shadow.take(&record);
            records.push(record);
        }
        self.joins.false_logs.insert(shadow.log());
        let at = Self::stamp_at(self.now);
        let frame = Frame::Push {
            relay: chance.percent(50),
            bundles: vec![Blob(shadow.bundle(at, &records))],
        };
        self.tell_some(liar, &mut chance, &frame);
    }

    fn false_uses(&self, chance: &mut Chance, key: &SigningKey) -> Vec<InviteUse> {
        let (cluster, node) = (
            self.common.cluster,
            AuthorityId(key.verifying_key().to_bytes()).0,
        );
        let node = unisono_model::NodeId(node);
        let invite = invite_key(self.seed, 0);
        let mut word = InviteUse::sign(key, cluster, invite, node, self.common.founder);
        let own = word;
        word.authority = authority(self.seed, 0);
        let by_own_key = InviteUse {
            signature: Signature::from_bytes(key.sign(&word.proof(cluster).0).to_bytes()),
            ..word
        };
        let lowest = self.joins.uses.iter().map(|used| used.rank(cluster)).min();
        let mut by_nobody = word;
        for _ in 0..TRIES {
            let mut bytes = [0; 64];
            bytes.copy_from_slice(&chance.bytes(64));
            by_nobody.signature = Signature::from_bytes(bytes);
            if lowest.is_none_or(|lowest| by_nobody.rank(cluster) < lowest) {
                break;
            }
        }
        vec![own, by_own_key, by_nobody]
    }

    fn false_words(&mut self, chance: &mut Chance, key: &SigningKey) -> Vec<InviteWord> {
        let expires_ms = (EPOCH_NS + self.now) / 1_000_000 + 3_600_000;
        let (cluster, maker) = (self.common.cluster, self.common.founder);
        let mut made_up = || {
            let mut invite = InviteKey([0; 32]);
            invite.0.copy_from_slice(&chance.bytes(32));
            InviteWord::sign(key, cluster, invite, expires_ms, maker)
        };
        let own = made_up();
        let mut lent = made_up();
        lent.authority = authority(self.seed, 0);
        let proof = lent.proof(cluster);
        lent.signature = Signature::from_bytes(key.sign(&proof.0).to_bytes());
        // An end that an issuer has not said.
        let mut shorter = lent;
        shorter.invite = invite_key(self.seed, 0);
        shorter.expires_ms = 1;
        self.joins.made_up.extend([own.invite, lent.invite]);
        vec![own, lent, shorter]
    }
}
