//! How an agent sees something through: session, signature, letter.

use unisono_core::node::{Promise, Question, Work};
use unisono_model::wire::encode;
use unisono_model::{
    Action, AgentKind, ChainId, Digest, Enrol, Held, IdempotencyKey, RECORD_VERSION, RecordBody,
    RecordPlace, SignedRecord,
};

use super::character::{Character, twist};
use super::{Agent, Chain, Deed, Errand, Letter, Request, Talk, Wish, files};
use crate::clock::EPOCH_NS;
use crate::history::{Operation, Outcome};

const MS: u64 = 1_000_000;

impl Agent {
    pub(super) fn begin(&mut self, now: u64, wish: Wish) {
        let promise = self.promise(&wish);
        self.next_operation += 1;
        let what = match &wish {
            Wish::Act(action) => action.name().to_owned(),
            Wish::Look(question, _) => format!("{question:?}").chars().take(24).collect(),
            Wish::Edit(_) => "edit".to_owned(),
        };
        let operation = Operation {
            id: self.number * 1_000_000 + self.next_operation,
            agent: self.name.clone(),
            node: self.home,
            what,
            invoked_ns: now,
            completed_ns: None,
            outcome: Outcome::Invoked,
            code: None,
            record: None,
            stamp: None,
            durable_on: None,
            tries: 0,
        };
        let lie = self.character == Character::Liar
            && matches!(wish, Wish::Act(_))
            && self.chance.percent(30);
        let key = IdempotencyKey(self.chance.bytes16());
        let first_host = self.home;
        self.errand = Some(Errand {
            wish,
            key,
            promise,
            bytes: None,
            first_host,
            operation,
            lie,
        });
    }

    /// Sends whatever is next on the way to the errand's end.
    pub(super) fn pursue(&mut self, now: u64) -> Vec<Deed> {
        let Some(mut errand) = self.errand.take() else {
            return Vec::new();
        };
        errand.operation.node = self.home;
        errand.promise.min_cursor = Some(self.cursor.clone()).filter(|cursor| !cursor.0.is_empty());
        let deeds = match errand.wish.clone() {
            Wish::Look(question, as_of) => {
                errand.operation.tries += 1;
                self.say(
                    Talk::Errand,
                    Request::Ask(question, as_of),
                    &errand,
                    Vec::new(),
                )
            }
            Wish::Edit(edit) => {
                errand.operation.tries += 1;
                let work = Work::Living {
                    agent: self.name.clone(),
                    edit,
                };
                self.say(Talk::Errand, Request::Do(work), &errand, Vec::new())
            }
            Wish::Act(action) if self.held == Held::Node => self.act(&mut errand, action),
            Wish::Act(action) => self.record(now, &mut errand, action),
        };
        self.errand = Some(errand);
        deeds
    }

    pub(super) fn say(
        &mut self,
        talk: Talk,
        request: Request,
        errand: &Errand,
        mut before: Vec<Deed>,
    ) -> Vec<Deed> {
        self.talk = talk;
        let errand_promise = errand.promise.clone();
        let promise = match talk {
            Talk::Errand => errand_promise,
            _ => Promise {
                min_cursor: errand_promise.min_cursor,
                ..Promise::default()
            },
        };
        let made_at = match (&request, &self.made_task) {
            (Request::Ask(Question::Task(asked), None), Some((name, at))) if asked == name => {
                Some(*at)
            }
            _ => None,
        };
        let orchestra = self.place.orchestra;
        let (host, lie) = (self.home, false);
        let letter = Letter {
            host,
            orchestra,
            request,
            promise,
            lie,
            forked: None,
            made_at,
        };
        before.push(Deed::Send(Box::new(letter)));
        before
    }

    /// An agent whose key the node holds.
    fn act(&mut self, errand: &mut Errand, action: Action) -> Vec<Deed> {
        let agent = self.name.clone();
        if !self.enrolled.contains(&self.home) && !matches!(action, Action::Enrol(_)) {
            let enrol = Action::Enrol(self.enrol());
            // A key of its own, the same for every try at this node.
            let digest = Digest::of(
                "unisono/sim-enrol-key/v1",
                &[agent.as_bytes(), &(self.home as u64).to_le_bytes()],
            );
            let mut key = IdempotencyKey::default();
            key.0.copy_from_slice(&digest.0[..16]);
            let work = Work::Act {
                agent,
                action: enrol,
                key: Some(key),
            };
            return self.say(
                Talk::Enrolment,
                Request::Do(work),
                errand,
                vec![Deed::Keyed(key)],
            );
        }
        errand.operation.tries += 1;
        let key = errand.key;
        let work = Work::Act {
            agent,
            action,
            key: Some(key),
        };
        self.say(
            Talk::Errand,
            Request::Do(work),
            errand,
            vec![Deed::Keyed(key)],
        )
    }

    /// An agent that signs itself.
    fn record(&mut self, now: u64, errand: &mut Errand, action: Action) -> Vec<Deed> {
        if let Some((host, bytes, _)) = errand.bytes.clone() {
            if host == self.home {
                errand.operation.tries += 1;
                return self.say(
                    Talk::Errand,
                    Request::Do(files::work(bytes, &action)),
                    errand,
                    Vec::new(),
                );
            }
            errand.bytes = None;
        }
        let Some(chain) = self.chain.clone().filter(|chain| chain.host == self.home) else {
            let question = Question::Session(self.id);
            return self.say(
                Talk::Session,
                Request::Ask(question, None),
                errand,
                Vec::new(),
            );
        };
        if !chain.enrolled && !matches!(action, Action::Enrol(_)) {
            let (signed, digest) = self.sign(now, &chain, Action::Enrol(self.enrol()), None);
            let work = Work::Record(encode(&signed));
            let before = vec![deed(&signed, digest)];
            return self.say(Talk::Enrolment, Request::Do(work), errand, before);
        }
        if let Some(present) = self.to_present(&action) {
            let (signed, digest) = self.sign(now, &chain, present, None);
            let work = Work::Record(encode(&signed));
            let before = vec![deed(&signed, digest)];
            return self.say(Talk::Presenting, Request::Do(work), errand, before);
        }
        let (signed, digest) = self.sign(now, &chain, action.clone(), Some(errand.key));
        errand.operation.tries += 1;
        if errand.lie {
            return self.lie(errand, signed, digest);
        }
        let bytes = encode(&signed);
        errand.bytes = Some((self.home, bytes.clone(), digest));
        let mut before = vec![deed(&signed, digest)];
        let mut forked = None;
        if self.character == Character::Forker {
            let mark = Action::Release {
                topic: "forked".into(),
                claim: digest,
            };
            let (other, name) = self.sign(now, &chain, mark, None);
            before.push(deed(&other, name));
            forked = Some(encode(&other));
        }
        let mut deeds = self.say(
            Talk::Errand,
            Request::Do(files::work(bytes, &action)),
            errand,
            before,
        );
        if let Some(Deed::Send(letter)) = deeds.last_mut() {
            letter.forked = forked;
        }
        deeds
    }

    fn lie(&mut self, errand: &Errand, signed: SignedRecord, digest: Digest) -> Vec<Deed> {
        let other = unisono_model::AgentId(self.chain_owner());
        let before = vec![deed(&signed, digest)];
        let (bytes, refused) = twist(&mut self.chance, signed, &self.old_letters, other);
        let mut deeds = self.say(
            Talk::Errand,
            Request::Do(Work::Record(bytes)),
            errand,
            before,
        );
        if let Some(Deed::Send(letter)) = deeds.last_mut() {
            letter.lie = refused;
        }
        deeds
    }

    /// Some other key.
    fn chain_owner(&self) -> [u8; 32] {
        Digest::of("unisono/sim-somebody/v1", &[&self.id.0]).0
    }

    fn enrol(&self) -> Enrol {
        Enrol {
            name: self.name.clone(),
            role: "worker".into(),
            kind: AgentKind::Ai,
            tier: self.rights.as_ref().and_then(|rights| rights.tier.clone()),
        }
    }

    fn sign(
        &self,
        now: u64,
        chain: &Chain,
        action: Action,
        key: Option<IdempotencyKey>,
    ) -> (SignedRecord, Digest) {
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: (EPOCH_NS + now) / MS,
            iteration: self.iteration,
            key,
            predecessors: if chain.next_seq == 1 {
                chain.predecessors.clone()
            } else {
                Vec::new()
            },
            token: self.names_token(&action),
            action,
        };
        let place = RecordPlace {
            cluster: self.place.cluster,
            orchestra: self.place.orchestra,
            chain: ChainId {
                agent: self.id,
                log: chain.log,
            },
            seq: chain.next_seq,
            prev: chain.prev,
        };
        let signed = SignedRecord::sign(&self.key, &place, &body);
        let digest = place.digest(&signed.body.0);
        (signed, digest)
    }
}

fn deed(signed: &SignedRecord, record: Digest) -> Deed {
    Deed::Signed {
        record,
        by: signed.agent,
        signature: signed.signature,
    }
}
