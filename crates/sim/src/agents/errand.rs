//! How an agent sees something through: session, signature, answer, and again if none comes.

use unisono_core::node::{Answer, AnswerBody, Promise, Question, Recorded, Work};
use unisono_core::orchestra::view::{ClaimStatus, SessionView, View};
use unisono_model::wire::encode;
use unisono_model::{
    Action, AgentKind, Category, ChainId, Code, Digest, Enrol, Held, IdempotencyKey,
    RECORD_VERSION, RecordBody, RecordPlace, Rejection, SignedRecord,
};

use super::character::{Character, twist};
use super::{Agent, Chain, Deed, Errand, Heard, Holding, Letter, Request, Talk, Wish};
use crate::clock::EPOCH_NS;
use crate::history::{Operation, Outcome};

const MS: u64 = 1_000_000;
/// After so many tries an agent says that it does not know.
const TRIES_MAX: u32 = 8;

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

    fn say(
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
                    Request::Do(Work::Record(bytes)),
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
            let before = vec![Deed::Signed(digest)];
            return self.say(Talk::Enrolment, Request::Do(work), errand, before);
        }
        let (signed, digest) = self.sign(now, &chain, action, Some(errand.key));
        errand.operation.tries += 1;
        if errand.lie {
            return self.lie(errand, signed, digest);
        }
        let bytes = encode(&signed);
        errand.bytes = Some((self.home, bytes.clone(), digest));
        let mut before = vec![Deed::Signed(digest)];
        let mut forked = None;
        if self.character == Character::Forker {
            let mark = Action::Release {
                topic: "forked".into(),
                claim: digest,
            };
            let (other, name) = self.sign(now, &chain, mark, None);
            before.push(Deed::Signed(name));
            forked = Some(encode(&other));
        }
        let mut deeds = self.say(
            Talk::Errand,
            Request::Do(Work::Record(bytes)),
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
        let (bytes, refused) = twist(&mut self.chance, signed, &self.old_letters, other);
        let before = vec![Deed::Signed(digest)];
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
            token: None,
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

    /// Something came back, or nothing.
    pub fn hear(&mut self, now: u64, heard: Heard) -> Vec<Deed> {
        let talk = std::mem::replace(&mut self.talk, Talk::Nothing);
        match heard {
            Heard::Answer(answer) => self.answered(now, talk, *answer),
            Heard::Refusal(rejection) => self.refused(now, talk, &rejection),
            Heard::Silence | Heard::Unreachable => self.unheard(now),
        }
    }

    fn answered(&mut self, now: u64, talk: Talk, answer: Answer) -> Vec<Deed> {
        self.cursor.merge(&answer.cursor);
        self.last_as_of = Some(answer.as_of);
        match (talk, answer.body) {
            (Talk::Session, AnswerBody::View(View::Session(session))) => {
                self.continue_at(&session);
                self.pursue(now)
            }
            (Talk::Enrolment, AnswerBody::Recorded(recorded)) => {
                self.enrolled.insert(self.home);
                let home = self.home;
                if let Some(chain) = self.chain.as_mut().filter(|chain| chain.host == home) {
                    chain.enrolled = true;
                    chain.next_seq = recorded.seq + 1;
                    chain.prev = recorded.place.record;
                }
                self.pursue(now)
            }
            (Talk::Opening, _) => self.pursue(now),
            (Talk::Errand, AnswerBody::Recorded(recorded)) => self.recorded(now, &recorded),
            (Talk::Errand, AnswerBody::View(view)) => {
                self.learn(view);
                self.finish(now, Outcome::Ok, None)
            }
            (_, _) => self.finish(now, Outcome::Ok, None),
        }
    }

    fn continue_at(&mut self, session: &SessionView) {
        self.iteration = session.iteration.max(1);
        self.chain = Some(Chain {
            host: self.home,
            log: session.chain.log,
            next_seq: session.next_seq,
            prev: session.prev,
            predecessors: session.predecessors.clone(),
            enrolled: session.enrolled,
        });
    }

    fn recorded(&mut self, now: u64, recorded: &Recorded) -> Vec<Deed> {
        let Some(errand) = self.errand.as_mut() else {
            return Vec::new();
        };
        errand.operation.record = Some(recorded.place.record.to_string());
        errand.operation.stamp = Some(recorded.place.stamp.0);
        errand.operation.durable_on = Some(recorded.durable_on);
        let wish = errand.wish.clone();
        if let Some((host, bytes, digest)) = errand.bytes.take() {
            match self.chain.as_mut() {
                Some(chain) if digest == recorded.place.record && chain.host == host => {
                    chain.next_seq = recorded.seq + 1;
                    chain.prev = digest;
                }
                _ => {}
            }
            self.old_letters.push(bytes);
            if self.old_letters.len() > 4 {
                self.old_letters.remove(0);
            }
        }
        if errand.lie {
            // A replay is answered with what was done the first time.
            return self.finish(now, Outcome::Ok, None);
        }
        match wish {
            Wish::Act(Action::Mark(_)) => self.marks.push(recorded.place.record),
            Wish::Act(Action::Task(change)) if change.fields.len() == 2 => {
                self.made_task = Some((change.task, recorded.place.stamp));
            }
            Wish::Act(Action::Advance { from }) => self.iteration = self.iteration.max(from + 1),
            _ => {}
        }
        if let Some(view) = &recorded.claim {
            let mine = view.claim.record;
            let lost = view.status == ClaimStatus::Lost;
            if view.status == ClaimStatus::Ended {
                self.holdings.remove(&view.topic);
            } else {
                let (until, token_valid) = (view.until, view.token_valid);
                let holding = Holding {
                    claim: mine,
                    until,
                    lost,
                    token_valid,
                };
                self.holdings.insert(view.topic.clone(), holding);
            }
        }
        self.finish(now, Outcome::Ok, None)
    }

    fn learn(&mut self, view: View) {
        match view {
            View::State(state) => self.iteration = state.iteration.max(1),
            View::Task(task) => {
                if self
                    .made_task
                    .as_ref()
                    .is_some_and(|(name, _)| *name == task.task)
                {
                    self.made_task = None;
                }
                self.heads = Some(task);
            }
            View::Claims(claims) => {
                for claim in claims {
                    let Some(held) = self.holdings.get_mut(&claim.topic) else {
                        continue;
                    };
                    let lost = claim
                        .losers
                        .iter()
                        .any(|(place, _)| place.record == held.claim);
                    if claim.claim.record == held.claim {
                        held.until = claim.until;
                        held.token_valid = claim.token_valid;
                    } else {
                        held.lost |= lost;
                    }
                }
            }
            _ => {}
        }
    }

    fn refused(&mut self, now: u64, talk: Talk, rejection: &Rejection) -> Vec<Deed> {
        if self.errand.as_ref().is_some_and(|errand| errand.lie) && talk == Talk::Errand {
            self.chain = None;
            return self.finish(now, Outcome::Failed, Some(rejection));
        }
        let opens = self.place.opens.clone();
        match (rejection.code, opens) {
            (Code::OrchestraUnknown, Some(name)) if talk != Talk::Opening => {
                let Some(errand) = self.errand.clone() else {
                    return Vec::new();
                };
                let work = Work::Open { name };
                return self.say(Talk::Opening, Request::Do(work), &errand, Vec::new());
            }
            (Code::ChainOrder | Code::WrongLog | Code::AgentUnknown, _) => {
                return self.begin_again(now, rejection);
            }
            (Code::IterationWrong, _) => self.chain = None,
            (Code::TaskUnknown, _) => self.made_task = None,
            (Code::OrchestraUnknown, None) | (Code::NotMember, _) => {
                return self.retry(now, rejection);
            }
            (Code::ClaimExpired | Code::ClaimUnknown | Code::NotHolder, _) => self.forget_claim(),
            _ => {}
        }
        match rejection.code.category() {
            Category::TooMany | Category::Unavailable | Category::Timeout => {
                self.retry(now, rejection)
            }
            Category::Usage
            | Category::NotFound
            | Category::Denied
            | Category::Conflict
            | Category::Verification => self.finish(now, Outcome::Failed, Some(rejection)),
        }
    }

    fn begin_again(&mut self, now: u64, rejection: &Rejection) -> Vec<Deed> {
        self.chain = None;
        self.enrolled.remove(&self.home);
        if let Some(errand) = self.errand.as_mut() {
            errand.bytes = None;
        }
        self.retry(now, rejection)
    }

    fn forget_claim(&mut self) {
        let Some(errand) = &self.errand else { return };
        if let Wish::Act(Action::Renew { topic, .. } | Action::Release { topic, .. }) = &errand.wish
        {
            self.holdings.remove(topic);
        }
    }

    fn retry(&mut self, now: u64, rejection: &Rejection) -> Vec<Deed> {
        let Some(errand) = self.errand.as_mut() else {
            return Vec::new();
        };
        errand.operation.tries += 1;
        if errand.operation.tries > TRIES_MAX {
            let timeout = rejection.code.category() == Category::Timeout;
            let outcome = if timeout {
                Outcome::Unknown
            } else {
                Outcome::Failed
            };
            return self.give_up(now, outcome, Some(rejection));
        }
        if errand.operation.tries > 3 && !self.retired {
            self.move_on();
        }
        let wait = rejection.retry_after_ms.unwrap_or(200).min(5_000) * MS;
        vec![Deed::Sleep(wait + self.chance.around(300 * MS))]
    }

    fn unheard(&mut self, now: u64) -> Vec<Deed> {
        let Some(errand) = self.errand.as_mut() else {
            return Vec::new();
        };
        errand.operation.tries += 1;
        if errand.operation.tries > TRIES_MAX {
            return self.give_up(now, Outcome::Unknown, None);
        }
        if self.chance.percent(60) {
            self.move_on();
        }
        vec![Deed::Sleep(self.chance.around(1_000 * MS))]
    }

    fn give_up(&mut self, now: u64, outcome: Outcome, rejection: Option<&Rejection>) -> Vec<Deed> {
        self.chain = None;
        self.made_task = None;
        self.finish(now, outcome, rejection)
    }

    fn finish(&mut self, now: u64, outcome: Outcome, rejection: Option<&Rejection>) -> Vec<Deed> {
        let Some(errand) = self.errand.take() else {
            return Vec::new();
        };
        let mut operation = errand.operation;
        operation.outcome = outcome;
        operation.completed_ns = Some(now);
        operation.code = rejection.map(|rejection| rejection.code.as_str().to_owned());
        if errand.lie {
            self.chain = None;
        }
        let think = self.chance.around(self.place.think_ns);
        vec![Deed::Finished(Box::new(operation)), Deed::Sleep(think)]
    }

    /// The node at which the present errand was first tried.
    pub fn first_host(&self) -> Option<usize> {
        self.errand.as_ref().map(|errand| errand.first_host)
    }
}
