//! The root of the cluster removes a member, or changes the authority, at a node of its choice; and
//! another root is put in its place.

use ed25519_dalek::SigningKey;
use unisono_core::node::{Node, Promise, Work};
use unisono_model::wire::{Blob, encode};
use unisono_model::{
    Action, AgentId, AgentKind, AuthorityId, ChainId, Enrol, Expulsion, Held, OrchestraId,
    RECORD_VERSION, RecordBody, RecordPlace, RootWord, SignedRecord, Succession, SuccessionWord,
};

use super::joining::authority;
use super::{Event, SECOND, WORKPLACE, World};
use crate::agents::rights::{next_root_key, recovery_key, root_key};
use crate::agents::{Letter, Request};
use crate::checks::Who;
use crate::clock::EPOCH_NS;
use crate::plan::Fault;

/// Keys of roots that are drawn at the most.
const ROOTS_MAX: u64 = 4;

impl World {
    /// The root introduces itself where it has not, and a second later it says who goes. From then on
    /// nothing is expected of that machine, which knows nothing of it.
    pub(super) fn remove(&mut self, host: usize, by: usize) {
        if !self.hosts[by].is_awake() || self.lies(host) {
            return;
        }
        if !self.introduces_root(by) {
            let again = Event::Fault(Fault::Remove { host, by });
            return self.push(self.now + SECOND, again);
        }
        let node = self.hosts[host].id;
        let Some(asked) = self.hosts[by].node.as_ref() else {
            return;
        };
        let ends = asked.ends_of(&node);
        let expulsion = Expulsion {
            node,
            ends: ends.ends,
            staying: ends.staying,
            reason: "stolen".into(),
        };
        self.says_root(by, Action::Remove(expulsion));
        self.liars.push(host);
        self.hosts[host].removed = true;
        self.counters.add("removed by the root");
    }

    /// The root introduces itself at a member where it has not, and says nothing more for a second.
    /// True if it had.
    fn introduces_root(&mut self, by: usize) -> bool {
        let who = AgentId(self.root_of(by).verifying_key().to_bytes());
        if self.root_at.contains_key(&(who, self.hosts[by].log())) {
            return true;
        }
        let enrol = Action::Enrol(Enrol {
            name: format!("root at {by}"),
            role: "operator".into(),
            kind: AgentKind::Human,
            tier: None,
        });
        self.says_root(by, enrol);
        false
    }

    /// The root puts another authority in the place of the one that this member knows. What others have
    /// heard meanwhile may be another one, with the same number.
    pub(super) fn succeed(&mut self, by: usize, authority: u8) {
        if !self.hosts[by].is_awake() || self.lies(by) {
            return;
        }
        if !self.introduces_root(by) {
            let again = Event::Fault(Fault::Succeed { by, authority });
            return self.push(self.now + SECOND, again);
        }
        let Some(asked) = self.hosts[by].node.as_ref() else {
            return;
        };
        let current = asked.authority();
        let number = current.map_or(0, |word| word.number) + 1;
        let founding = self.common.authority.unwrap_or_default();
        let former = current.map_or(founding, |word| word.authority);
        // A number makes another key of it: nobody takes one twice.
        let (next, began_ns) = self.next_authority(authority + 16 * number as u8);
        let key = self.root_of(by);
        let until_ms = (began_ns + self.now) / 1_000_000 + 10_000;
        let word = SuccessionWord::sign(&key, self.common.cluster, number, next, former, until_ms);
        let certificate = Blob(vec![authority; 8]);
        let succession = Succession { word, certificate };
        self.says_root(by, Action::Succeed(Box::new(succession)));
        self.counters.add("authority changed by the root");
    }

    /// The authority of a number, and when time began for it (ns). Where nobody joins it signs nothing
    /// that counts, and need have no key.
    fn next_authority(&self, number: u8) -> (AuthorityId, u64) {
        match self.common.authority {
            Some(_) => (authority(self.seed, number), EPOCH_NS),
            None => (AuthorityId([number; 32]), 0),
        }
    }

    /// The key of the root that stands, as a member knows it.
    fn root_of(&self, by: usize) -> SigningKey {
        let words = self.hosts[by].node.as_ref().map(Node::root_words);
        let now_ms = (EPOCH_NS + self.now) / 1_000_000;
        let mut words = words.into_iter().flatten().rev();
        let named = words.find(|word| word.from_ms <= now_ms);
        let mut keys = (0..=ROOTS_MAX).map(|number| next_root_key(self.seed, number));
        let of = |key: &SigningKey| AgentId(key.verifying_key().to_bytes());
        let key = named.and_then(|word| keys.find(|key| of(key) == word.root));
        key.unwrap_or_else(|| root_key(self.seed, self.scenario.agents))
    }

    /// Another root is put in the place of the one that this member knows. What others have heard
    /// meanwhile may be another one, with the same number.
    pub(super) fn name_root(&mut self, by: usize, root: u64, from_ms: i64) {
        if !self.hosts[by].is_awake() || self.lies(by) {
            return;
        }
        if !self.introduces_root(by) {
            let again = Event::Fault(Fault::NameRoot { by, root, from_ms });
            return self.push(self.now + SECOND, again);
        }
        let Some(asked) = self.hosts[by].node.as_ref() else {
            return;
        };
        let last = asked.root_words().pop();
        let number = last.map_or(0, |word| word.number) + 1;
        let former = last.map_or(self.common.root, |word| word.root);
        let next = next_root_key(self.seed, root);
        if former.0 == next.verifying_key().to_bytes() {
            return;
        }
        let now_ms = (EPOCH_NS + self.now) / 1_000_000;
        let from_ms = now_ms.saturating_add_signed(from_ms);
        let names = recovery_key(self.seed);
        let cluster = self.common.cluster;
        let word = RootWord::sign((&names, &next), cluster, number, former, from_ms);
        self.says_root(by, Action::Root(Box::new(word)));
        self.counters.add("roots named");
    }

    /// Every member knows the same roots, and the word lies before the orchestra that is worked in, too.
    pub(super) fn judge_roots(&mut self) {
        let wanted = self.reading(self.home).roots.clone();
        if wanted.is_empty() {
            return;
        }
        let worked_in = self.reading(OrchestraId::of(self.common.cluster, WORKPLACE));
        if !worked_in.ends.is_empty() && worked_in.roots != wanted {
            let why = format!(
                "{} words that name roots lie before the orchestra, and there are {}",
                worked_in.roots.len(),
                wanted.len()
            );
            self.checks.violated(self.now, "I7", why);
        }
        for host in 0..self.scenario.nodes {
            if self.is_apart(host) || self.lies(host) {
                continue;
            }
            let Some(node) = &self.hosts[host].node else {
                continue;
            };
            let shown = node.root_words();
            if shown != wanted {
                let why = format!(
                    "machine {host} knows {} words that name roots, and there are {}",
                    shown.len(),
                    wanted.len()
                );
                self.checks.violated(self.now, "I7", why);
            }
        }
        self.counters.add("roots judged");
    }

    /// Hands in the next record of the root's at a member.
    fn says_root(&mut self, by: usize, action: Action) {
        let log = self.hosts[by].log();
        let key = self.root_of(by);
        let agent = AgentId(key.verifying_key().to_bytes());
        let known = self.root_at.get(&(agent, log));
        let (before, prev) = known.copied().unwrap_or_default();
        let seq = before + 1;
        let place = RecordPlace {
            cluster: self.common.cluster,
            orchestra: self.home,
            chain: ChainId { agent, log },
            seq,
            prev,
        };
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: 0,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action,
        };
        let record = SignedRecord::sign(&key, &place, &body);
        let letter = Letter {
            host: by,
            orchestra: self.home,
            request: Request::Do(Work::Record(encode(&record))),
            promise: Promise::default(),
            lie: false,
            forked: None,
            made_at: None,
        };
        self.hand_in(letter, Who::Nobody);
        let name = place.digest(&record.body.0);
        self.checks.invention.signs_itself(agent);
        self.checks.invention.signed(name);
        self.root_at.insert((agent, log), (seq, name));
    }
}
