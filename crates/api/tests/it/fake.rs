//! A node that is none: keeps records in a list that several fakes may share, and can be told to
//! lose answers, to refuse, or to be slow.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, watch};
use unisono_api::server::{
    Asked, BearerToken, Call, Check, Inspector, NodeHandle, Rates, Readiness, router_at, serve,
};
use unisono_core::node::{Answer, AnswerBody, Promise, Question, Reader, Recorded, Work};
use unisono_core::orchestra::view::{
    ClaimStatus, ClaimView, ClaimsWanted, Counters, DamageView, Phase, RecordView, RecordsView,
    SessionView, StateView, StatusView, TaskView, TempoView, Verdict, View,
};
use unisono_core::replication::{Cursor, LogTag};
use unisono_model::{
    Action, AgentId, ChainHead, ChainId, ClusterId, Code, Content, Digest, Held, Incarnation,
    LogId, Measure, NodeId, OrchestraId, Place, RecordBody, Rejection, SignedRecord, Stamp,
    TaskStatus, wire,
};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);

/// What several nodes hold together.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) records: Vec<RecordView>,
    /// Every signed record that arrived anywhere, byte for byte, in order of arrival.
    pub(crate) arrived: Vec<Vec<u8>>,
    /// What their disks have lost.
    pub(crate) damage: Vec<DamageView>,
    /// What is missing behind the last record, as a refusal.
    pub(crate) lost: Option<Rejection>,
}

/// What to do with the next call, instead of the ordinary.
#[derive(Clone)]
pub(crate) enum Deed {
    /// Do it, and lose the answer.
    LoseAnswer,
    /// Refuse.
    Refuse(Rejection),
    /// Do it as always.
    Obey,
}

/// A question, as of when, and what had been seen.
pub(crate) type Asking = (Question, Option<Stamp>, Option<Cursor>);

pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    pub(crate) log: LogId,
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) script: Arc<Mutex<VecDeque<Deed>>>,
    /// Every promise of every write that arrived.
    pub(crate) promises: Arc<Mutex<Vec<Promise>>>,
    pub(crate) questions: Arc<Mutex<Vec<Asking>>>,
    /// On whose behalf each was asked.
    pub(crate) readers: Arc<Mutex<Vec<Reader>>>,
    /// Whether who reads has to say who they are.
    pub(crate) closed: Arc<AtomicBool>,
    pub(crate) published: broadcast::Sender<OrchestraId>,
    pub(crate) readiness: watch::Sender<Readiness>,
    pub(crate) stop: watch::Sender<bool>,
    /// Whoever holds this keeps the node from working.
    pub(crate) stuck: Arc<tokio::sync::Mutex<()>>,
    served: tokio::task::JoinHandle<()>,
}

/// Measures nothing, and looks nowhere.
struct Blind;

impl Inspector for Blind {
    fn measure(&self, _: &str, content: &[u8]) -> Content {
        Content {
            digest: Content::digest_of(content),
            bytes: content.len() as u32,
            blank: content.is_empty(),
            measure: Measure::UnknownLanguage,
        }
    }

    fn look(&self, _: &str, _: Option<&Digest>) -> Result<(), Rejection> {
        Ok(())
    }
}

impl Fake {
    pub(crate) async fn start(name: u8, world: &Arc<Mutex<World>>) -> Self {
        Self::start_with(name, world, None, 64).await
    }

    pub(crate) async fn start_with(
        name: u8,
        world: &Arc<Mutex<World>>,
        token: Option<BearerToken>,
        inbox: usize,
    ) -> Self {
        Self::start_at(name, world, token, inbox, Rates::default()).await
    }

    /// The same, where one may ask only so often.
    pub(crate) async fn start_at(
        name: u8,
        world: &Arc<Mutex<World>>,
        token: Option<BearerToken>,
        inbox: usize,
        rates: Rates,
    ) -> Self {
        let log = LogId {
            node: NodeId([name; 32]),
            incarnation: Incarnation {
                started_ms: u64::from(name),
                nonce: u64::MAX,
            },
        };
        let (calls, inbox) = mpsc::channel(inbox);
        let (published, _) = broadcast::channel(16);
        let check = Check {
            name: "disk",
            well: true,
            detail: "writes".to_owned(),
        };
        let (readiness, ready) = watch::channel(Readiness {
            ready: true,
            checks: vec![check],
        });
        let (stop, stopping) = watch::channel(false);
        let handle = NodeHandle {
            cluster: CLUSTER,
            node: log.node,
            name: format!("fake-{name}"),
            region: "here".to_owned(),
            calls,
            published: published.clone(),
            readiness: ready,
            stop: stopping.clone(),
            inspector: Arc::new(Blind),
            clock: Arc::new(unset),
            certificate: Arc::new(|| None),
            tokens: Arc::new(unisono_api::server::CountBytes),
            metrics: Arc::new(|| "unisono_fake 1\n".to_owned()),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(async move {
            serve(listener, router_at(handle, token, rates), stopping)
                .await
                .unwrap();
        });
        let fake = Self {
            address,
            log,
            world: world.clone(),
            script: Arc::default(),
            promises: Arc::default(),
            questions: Arc::default(),
            readers: Arc::default(),
            closed: Arc::default(),
            published,
            readiness,
            stop,
            stuck: Arc::default(),
            served,
        };
        fake.turn(inbox);
        fake
    }

    /// Gone, as after `kill -9`: connections refused.
    pub(crate) async fn die(self) -> SocketAddr {
        self.stop.send_replace(true);
        let _ = self.served.await;
        self.address
    }

    pub(crate) fn plan(&self, deeds: impl IntoIterator<Item = Deed>) {
        self.script.lock().unwrap().extend(deeds);
    }

    fn turn(&self, mut inbox: mpsc::Receiver<Call>) {
        let (world, script, log) = (self.world.clone(), self.script.clone(), self.log);
        let (promises, questions) = (self.promises.clone(), self.questions.clone());
        let (published, stuck) = (self.published.clone(), self.stuck.clone());
        let (readers, closed) = (self.readers.clone(), self.closed.clone());
        tokio::spawn(async move {
            while let Some(Call {
                orchestra,
                asked,
                answer,
            }) = inbox.recv().await
            {
                drop(stuck.lock().await);
                match asked {
                    Asked::Work { work, promise } => {
                        promises.lock().unwrap().push(promise.clone());
                        let deed = script.lock().unwrap().pop_front().unwrap_or(Deed::Obey);
                        if let Deed::Refuse(rejection) = deed {
                            let _ = answer.send(Err(rejection));
                            continue;
                        }
                        let result = world.lock().unwrap().work(log, work, &promise);
                        let _ = published.send(orchestra);
                        if !matches!(deed, Deed::LoseAnswer) {
                            let _ = answer.send(result);
                        }
                    }
                    Asked::Question {
                        question,
                        as_of,
                        min_cursor,
                        reader,
                        ..
                    } => {
                        readers.lock().unwrap().push(reader.clone());
                        if closed.load(Relaxed)
                            && let Err(rejection) = crate::sessions::admitted(&reader, orchestra)
                        {
                            let _ = answer.send(Err(rejection));
                            continue;
                        }
                        questions
                            .lock()
                            .unwrap()
                            .push((question.clone(), as_of, min_cursor));
                        let result = world.lock().unwrap().question(log, orchestra, question);
                        let _ = answer.send(result);
                    }
                }
            }
        });
    }
}

impl World {
    pub(crate) fn shared() -> Arc<Mutex<Self>> {
        Arc::default()
    }

    pub(crate) fn cursor(&self) -> Cursor {
        let mut cursor = Cursor::default();
        for record in &self.records {
            let one = Cursor(BTreeMap::from([(LogTag::of(&record.log), record.bundle)]));
            cursor.merge(&one);
        }
        cursor
    }

    /// Adds a record with a bundle number of the caller's choice.
    pub(crate) fn add(
        &mut self,
        log: LogId,
        agent: AgentId,
        bundle: u64,
        body: &RecordBody,
    ) -> Place {
        let stamp = Stamp::from_ms(1_800_000_000_000 + self.records.len() as u64);
        let digest = Digest::of("test", &[&wire::encode(body), &stamp.0.to_le_bytes()]);
        self.keep(
            log,
            agent,
            bundle,
            body,
            Place {
                stamp,
                record: digest,
            },
        )
    }

    fn keep(
        &mut self,
        log: LogId,
        agent: AgentId,
        bundle: u64,
        body: &RecordBody,
        place: Place,
    ) -> Place {
        let seq = self.chain(log, agent).count() as u64 + 1;
        self.records.push(RecordView {
            place,
            agent,
            name: "ada".to_owned(),
            seq,
            log,
            bundle,
            held: body.held,
            agent_ms: body.agent_ms,
            iteration: body.iteration,
            token: None,
            key: body.key,
            action: body.action.clone(),
            verdict: Verdict::Valid,
            set_aside_by: None,
        });
        place
    }

    fn chain(&self, log: LogId, agent: AgentId) -> impl Iterator<Item = &RecordView> {
        self.records
            .iter()
            .filter(move |record| record.log == log && record.agent == agent)
    }

    fn answer(&self, body: AnswerBody) -> Answer {
        let as_of = self
            .records
            .last()
            .map_or(Stamp::MIN, |record| record.place.stamp);
        Answer {
            as_of,
            is_final: false,
            cursor: self.cursor(),
            body,
        }
    }

    fn work(&mut self, log: LogId, work: Work, promise: &Promise) -> Result<Answer, Rejection> {
        let (agent, body, place) = match work {
            Work::File { work, .. } => return self.work(log, *work, promise),
            Work::Open { .. } => return Ok(self.answer(AnswerBody::Opened)),
            Work::Living { .. } => return Ok(self.answer(AnswerBody::Edited)),
            Work::OfInvite(_) => return Err(Rejection::new(Code::Malformed, "it makes none")),
            Work::Leave { .. } => return Err(Rejection::new(Code::Malformed, "it stays")),
            Work::Act { agent, action, key } => {
                let body = body_of(action, key);
                let mut id = [0; 32];
                id[..agent.len().min(32)].copy_from_slice(&agent.as_bytes()[..agent.len().min(32)]);
                (AgentId(id), body, None)
            }
            Work::Record(bytes) => {
                let signed: SignedRecord = wire::decode(&bytes, 100_000)?;
                self.arrived.push(bytes);
                let digest = signed.place(CLUSTER, orchestra()).digest(&signed.body.0);
                let known = self
                    .records
                    .iter()
                    .position(|record| record.place.record == digest);
                if let Some(index) = known {
                    return Ok(self.recorded(index, true, promise));
                }
                if signed.log != log {
                    return Err(Rejection::new(Code::WrongLog, "another life"));
                }
                let next = self.chain(log, signed.agent).count() as u64 + 1;
                if signed.seq != next {
                    let words = format!("expected {next}, got {}", signed.seq);
                    return Err(Rejection::new(Code::ChainOrder, words));
                }
                let body = RecordBody::decode(&signed.body.0)?;
                (signed.agent, body, Some(digest))
            }
        };
        let again = self.records.iter().position(|record| {
            record.agent == agent && body.key.is_some() && record.key == body.key
        });
        if let Some(index) = again {
            return Ok(self.recorded(index, true, promise));
        }
        let bundle = self
            .records
            .iter()
            .filter(|record| record.log == log)
            .count() as u64
            + 1;
        match place {
            Some(record) => {
                let stamp = Stamp::from_ms(1_800_000_000_000 + self.records.len() as u64);
                self.keep(log, agent, bundle, &body, Place { stamp, record });
            }
            None => {
                self.add(log, agent, bundle, &body);
            }
        }
        Ok(self.recorded(self.records.len() - 1, false, promise))
    }

    fn recorded(&self, index: usize, repeated: bool, promise: &Promise) -> Answer {
        let record = &self.records[index];
        let claim = match &record.action {
            Action::Claim { topic, .. } => Some(claim_view(record, topic)),
            _ => None,
        };
        self.answer(AnswerBody::Recorded(Recorded {
            place: record.place,
            log: record.log,
            seq: record.seq,
            durable_on: 1,
            durable_wanted: promise.durable_on,
            claim,
            cue: None,
            repeated,
            key: record.key,
        }))
    }

    fn question(
        &self,
        log: LogId,
        orchestra: OrchestraId,
        question: Question,
    ) -> Result<Answer, Rejection> {
        let view = match question {
            Question::Session(agent) => View::Session(self.session(log, orchestra, agent)),
            Question::State => View::State(state_view(self.records.len() as u64)),
            Question::Settings => View::Settings(BTreeMap::new()),
            Question::Claims(ClaimsWanted { topic, .. }) => View::Claims(
                self.records
                    .iter()
                    .filter_map(|record| match &record.action {
                        Action::Claim { topic: of, .. } if Some(of) == topic.as_ref() => {
                            Some(claim_view(record, of))
                        }
                        _ => None,
                    })
                    .take(1)
                    .collect(),
            ),
            Question::Tasks { limit, .. } => View::Tasks(
                (0..limit.min(3))
                    .map(|n| task_view(&format!("task-{n}")))
                    .collect(),
            ),
            Question::Task(name) if name == "none" => {
                return Err(Rejection::new(Code::TaskUnknown, "no such task"));
            }
            Question::Task(name) => View::Task(task_view(&name)),
            Question::Records { after, limit, .. } => View::Records(self.page(after, limit)),
            Question::Status => View::Status(StatusView {
                node: log.node,
                name: "fake".to_owned(),
                region: "here".to_owned(),
                cluster: CLUSTER,
                incarnation: log.incarnation,
                members: Vec::new(),
                disk_full: false,
                clock_offset_ms: Some(-3),
                stamps_ahead_ms: None,
                waiting: 0,
                damage: self.damage.clone(),
                counters: Counters::default(),
            }),
            Question::Orchestras => View::Orchestras(Vec::new()),
            Question::Tempo | Question::Beat => View::Tempo(TempoView::default()),
            _ => View::Notes(Vec::new()),
        };
        Ok(self.answer(AnswerBody::View(view)))
    }

    fn session(&self, log: LogId, orchestra: OrchestraId, agent: AgentId) -> SessionView {
        let last = self.chain(log, agent).last();
        let mut heads = BTreeMap::new();
        for record in self.records.iter().filter(|record| record.agent == agent) {
            if record.log != log {
                let chain = ChainId {
                    agent,
                    log: record.log,
                };
                let head = ChainHead {
                    chain,
                    seq: record.seq,
                    record: record.place.record,
                };
                heads.insert(record.log.node, head);
            }
        }
        let mine = |record: &&RecordView| record.agent == agent;
        SessionView {
            cluster: CLUSTER,
            orchestra,
            chain: ChainId { agent, log },
            next_seq: self.chain(log, agent).count() as u64 + 1,
            prev: last.map(|record| record.place.record).unwrap_or_default(),
            tier: None,
            succeeds: Vec::new(),
            given_up_for: None,
            enrolled: self
                .records
                .iter()
                .filter(mine)
                .any(|record| matches!(record.action, Action::Enrol(_))),
            predecessors: heads.into_values().collect(),
            iteration: 1,
            now_ms: 1_800_000_000_000,
        }
    }

    fn page(&self, after: Option<Cursor>, limit: usize) -> RecordsView {
        let mut next = after.unwrap_or_default();
        let seen = next.clone();
        let new = |record: &&RecordView| {
            seen.0
                .get(&LogTag::of(&record.log))
                .is_none_or(|&seq| seq < record.bundle)
        };
        let mut records: Vec<_> = self.records.iter().filter(new).cloned().collect();
        let more = records.len() > limit;
        records.truncate(limit);
        for record in &records {
            let one = Cursor(BTreeMap::from([(LogTag::of(&record.log), record.bundle)]));
            next.merge(&one);
        }
        RecordsView {
            records,
            next,
            more,
            lost: self.lost.clone().filter(|_| !more),
        }
    }
}

pub(crate) fn orchestra() -> OrchestraId {
    OrchestraId::of(CLUSTER, "opus")
}

pub(crate) fn body_of(action: Action, key: Option<unisono_model::IdempotencyKey>) -> RecordBody {
    RecordBody {
        version: unisono_model::RECORD_VERSION,
        held: Held::Node,
        agent_ms: 1_800_000_000_000,
        iteration: 1,
        key,
        predecessors: Vec::new(),
        token: None,
        action,
    }
}

fn claim_view(record: &RecordView, topic: &str) -> ClaimView {
    ClaimView {
        topic: topic.to_owned(),
        claim: record.place,
        agent: record.agent,
        name: record.name.clone(),
        status: ClaimStatus::Provisional,
        token: record.place.stamp,
        token_valid: true,
        until: record.place.stamp.plus_ms(60_000),
        losers: Vec::new(),
        held_by: None,
    }
}

fn task_view(name: &str) -> TaskView {
    TaskView {
        task: name.to_owned(),
        status: Some(TaskStatus::InProgress),
        heads: vec![(unisono_model::Field::Status, vec![Digest([9; 32])])],
        ..TaskView::default()
    }
}

fn state_view(records: u64) -> StateView {
    StateView {
        run: 0,
        name: "opus".to_owned(),
        iteration: 1,
        phase: Phase::Design,
        agents: 0,
        signals: 0,
        claims: 0,
        contested: 0,
        tasks: BTreeMap::from([(TaskStatus::InProgress, 2)]),
        task_conflicts: 0,
        marks: 0,
        records,
        pending: 0,
        void: 0,
        set_aside: 0,
        key_conflicts: 0,
    }
}

/// A clock that nobody has set.
fn unset() -> unisono_api::server::ClockShown {
    use unisono_core::election::{Class, limits};
    use unisono_core::timekeeper::{Config, Timekeeper};
    let config = Config {
        node: NodeId::default(),
        priority: limits::PRIORITY_DEFAULT,
        class: Class::Free,
        seed: 1,
        fault: None,
    };
    unisono_api::server::ClockShown {
        monotonic_ns: 1,
        boot: None,
        rate_ppb: 0.0,
        status: Timekeeper::new(config, 1, false).status(1),
        channels: None,
    }
}
