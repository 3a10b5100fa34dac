//! The root of the cluster removes a member, or changes the authority, at a node of its choice.

use unisono_core::node::{Promise, Work};
use unisono_model::wire::{Blob, encode};
use unisono_model::{
    Action, AgentId, AgentKind, AuthorityId, ChainId, Enrol, Expulsion, Held, RECORD_VERSION,
    RecordBody, RecordPlace, SignedRecord, Succession, SuccessionWord,
};

use super::{Event, SECOND, World};
use crate::agents::rights::root_key;
use crate::agents::{Letter, Request};
use crate::checks::Who;
use crate::plan::Fault;

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
        if self.root_at.contains_key(&self.hosts[by].log()) {
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
        let former = current.map_or_else(AuthorityId::default, |word| word.authority);
        // A number makes another key of it: nobody takes one twice.
        let next = AuthorityId([authority + 16 * number as u8; 32]);
        let key = root_key(self.seed, self.scenario.agents);
        let until_ms = self.now / 1_000_000 + 10_000;
        let word = SuccessionWord::sign(&key, self.common.cluster, number, next, former, until_ms);
        let certificate = Blob(vec![authority; 8]);
        let succession = Succession { word, certificate };
        self.says_root(by, Action::Succeed(Box::new(succession)));
        self.counters.add("authority changed by the root");
    }

    /// Hands in the next record of the root's at a member.
    fn says_root(&mut self, by: usize, action: Action) {
        let log = self.hosts[by].log();
        let (before, prev) = self.root_at.get(&log).copied().unwrap_or_default();
        let seq = before + 1;
        let key = root_key(self.seed, self.scenario.agents);
        let agent = AgentId(key.verifying_key().to_bytes());
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
        self.checks.invention.signed(name);
        self.root_at.insert(log, (seq, name));
    }
}
