//! The root of the cluster removes a member, at a node of its choice.

use unisono_core::node::{Promise, Work};
use unisono_model::wire::encode;
use unisono_model::{
    Action, AgentId, AgentKind, ChainId, Digest, Enrol, Expulsion, Held, LogId, RECORD_VERSION,
    RecordBody, RecordPlace, SignedRecord,
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
        let log = self.hosts[by].log();
        let known = self.root_at.filter(|(at, _)| *at == log);
        let Some((_, prev)) = known else {
            let enrol = Action::Enrol(Enrol {
                name: format!("root at {by}"),
                role: "operator".into(),
                kind: AgentKind::Human,
                tier: None,
            });
            let record = self.says_root(by, log, (1, Digest::default()), enrol);
            self.root_at = Some((log, record));
            let again = Event::Fault(Fault::Remove { host, by });
            return self.push(self.now + SECOND, again);
        };
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
        self.says_root(by, log, (2, prev), Action::Remove(expulsion));
        self.root_at = None;
        self.liars.push(host);
        self.hosts[host].removed = true;
        self.counters.add("removed by the root");
    }

    /// Hands in a record of the root's. Gives back its name.
    fn says_root(
        &mut self,
        by: usize,
        log: LogId,
        (seq, prev): (u64, Digest),
        action: Action,
    ) -> Digest {
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
        name
    }
}
