//! An agent that holds its own key: signs its records, keeps the bytes until they are answered, and
//! takes its chain to another node when one falls.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;
use unisono_model::{
    Action, AgentId, Code, Digest, Enrol, Held, IdempotencyKey, RECORD_VERSION, RecordBody,
    RecordPlace, SignedRecord, Stamp, wire,
};

use super::calls::drawn_key;
use super::filling::content_of;
use super::held::{HeldToken, wall_ms};
use super::key::AgentKey;
use super::reader::read_as;
use super::{Client, ClientError, Reply, WriteOptions};
use crate::dto::{
    ActionBody, AdvanceBody, ClaimBody, ClaimStatusWord, EnrolBody, MarkBody, PresenceBody,
    Recorded, ReleaseBody, RenewBody, RollbackBody, RollbackShown, Session, SignalBody, TaskBody,
};

/// An agent that signs for itself. Cheap to clone; its actions happen one after the other, because
/// they form a chain.
#[derive(Clone, Debug)]
pub struct SigningAgent {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) orchestra: String,
    pub(super) key: AgentKey,
    introduction: EnrolBody,
    /// The capability token under which it acts.
    pub(super) token: std::sync::Mutex<Option<HeldToken>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chain: Option<Chain>,
    /// The claims that this agent made, by topic.
    claims: BTreeMap<String, Digest>,
    /// Whether a node was sent the latest action and gave no answer: then it may have been done,
    /// whatever another node says of it.
    unanswered: bool,
}

/// The agent's chain on the node that it speaks to.
#[derive(Debug)]
pub(super) struct Chain {
    node: String,
    pub(super) session: Session,
}

/// What became of one attempt.
enum Outcome {
    Recorded(Box<Reply<Recorded>>),
    /// The chain has moved, or the node lives a new life: look again, sign again with the same key.
    Stale(ClientError),
    /// The node gives no answer: another one, with the same key.
    Lost(ClientError),
}

impl SigningAgent {
    /// An agent of an orchestra. Nothing is sent before its first action, which also enrols it
    /// where it is not enrolled.
    pub fn new(client: Client, orchestra: &str, key: AgentKey, introduction: EnrolBody) -> Self {
        let (orchestra, state) = (orchestra.to_owned(), Mutex::default());
        let client = client.reading_as(read_as(&key, None));
        Self {
            inner: Arc::new(Inner {
                client,
                orchestra,
                key,
                introduction,
                token: std::sync::Mutex::default(),
                state,
            }),
        }
    }

    /// The same agent, acting under a capability token: its records name it, it is laid before the
    /// orchestra where that has not been done, and the agent enrols for its tier.
    ///
    /// # Errors
    /// Bytes that are no token. Whose it is shows with the first action: it may be for a key that this
    /// agent had before.
    pub fn under(self, bytes: Vec<u8>) -> Result<Self, ClientError> {
        let token = HeldToken::read(bytes)?;
        let inner = &*self.inner;
        let client = inner.client.reading_as(read_as(&inner.key, Some(&token)));
        let introduction = EnrolBody {
            tier: Some(token.tier.clone()),
            ..inner.introduction.clone()
        };
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                orchestra: inner.orchestra.clone(),
                key: inner.key.clone(),
                introduction,
                token: std::sync::Mutex::new(Some(token)),
                state: Mutex::default(),
            }),
        })
    }

    /// Who it is.
    pub fn agent(&self) -> AgentId {
        self.inner.key.agent()
    }

    /// Its name, as it introduces itself.
    pub fn name(&self) -> &str {
        &self.inner.introduction.name
    }

    /// The orchestra in which it acts.
    pub fn orchestra(&self) -> &str {
        &self.inner.orchestra
    }

    /// The client that it speaks through.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// It has seen that the orchestra is in this iteration: from here on its records bear it. A
    /// record bears what its agent knew, so whoever is never told acts in the iteration in which its
    /// chain began, and what it offers and needs does not stand any more.
    pub async fn seen_iteration(&self, iteration: u32) {
        if let Some(chain) = &mut self.inner.state.lock().await.chain {
            chain.session.iteration = chain.session.iteration.max(iteration);
        }
    }

    /// Enrols now, instead of with the first action.
    pub async fn enrol(&self) -> Result<(), ClientError> {
        let mut state = self.inner.state.lock().await;
        if state.chain.is_none() {
            state.chain = Some(self.begin().await?);
        }
        Ok(())
    }

    /// Lays its token before the orchestra, if it has one, instead of with its first action.
    ///
    /// # Errors
    /// What a node refused, or that none answered.
    pub async fn lay_down(&self) -> Result<bool, ClientError> {
        let mut state = self.inner.state.lock().await;
        let mut chain = match state.chain.take() {
            Some(chain) => chain,
            None => self.begin().await?,
        };
        let missed = self.present(&mut chain).await?;
        state.chain = missed.is_none().then_some(chain);
        Ok(missed.is_none())
    }

    /// Says how it is.
    pub async fn presence(&self, body: PresenceBody) -> Result<Reply<Recorded>, ClientError> {
        self.act(ActionBody::Presence(body), &WriteOptions::default())
            .await
    }

    /// Emits a resonance signal.
    pub async fn emit(&self, body: SignalBody) -> Result<Reply<Recorded>, ClientError> {
        self.act(ActionBody::Emit(body), &WriteOptions::default())
            .await
    }

    /// Claims a topic. `confirm` in the options waits until no lower claim can come.
    pub async fn claim(
        &self,
        topic: &str,
        lease_ms: Option<u64>,
        options: &WriteOptions,
    ) -> Result<Reply<Recorded>, ClientError> {
        let body = ClaimBody {
            topic: topic.to_owned(),
            lease_ms,
        };
        self.act(ActionBody::Claim(body), options).await
    }

    /// Prolongs its lease on a topic; the answer bears a higher token.
    pub async fn renew(
        &self,
        topic: &str,
        lease_ms: Option<u64>,
        options: &WriteOptions,
    ) -> Result<Reply<Recorded>, ClientError> {
        let body = RenewBody {
            topic: topic.to_owned(),
            claim: None,
            lease_ms,
        };
        self.act(ActionBody::Renew(body), options).await
    }

    /// Gives a topic back, or gives up a claim that lost.
    pub async fn release(&self, topic: &str) -> Result<Reply<Recorded>, ClientError> {
        let body = ReleaseBody {
            topic: topic.to_owned(),
            claim: None,
        };
        self.act(ActionBody::Release(body), &WriteOptions::default())
            .await
    }

    /// Leaves a witness mark.
    pub async fn mark(&self, body: MarkBody) -> Result<Reply<Recorded>, ClientError> {
        self.act(ActionBody::Mark(body), &WriteOptions::default())
            .await
    }

    /// Makes or changes a task, replacing what the agent has seen of it.
    pub async fn task(&self, body: TaskBody) -> Result<Reply<Recorded>, ClientError> {
        self.act(ActionBody::Task(body), &WriteOptions::default())
            .await
    }

    /// Ends an iteration.
    pub async fn advance(&self, from: u32) -> Result<Reply<Recorded>, ClientError> {
        self.act(
            ActionBody::Advance(AdvanceBody { from }),
            &WriteOptions::default(),
        )
        .await
    }

    /// Goes back to an earlier time: what can be set aside and was done since is, as far as the node
    /// shows it now.
    ///
    /// # Errors
    /// What the node refused, and by which rule.
    pub async fn roll_back(&self, to: Stamp, reason: &str) -> Result<Reply<Recorded>, ClientError> {
        let moment = to.to_string();
        let query = [("to", moment.as_str()), ("limit", "1")];
        let client = self.client();
        let would: Reply<RollbackShown> = client.read(self.orchestra(), "rollback", &query).await?;
        let body = RollbackBody {
            to,
            seen: would.body.seen,
            reason: reason.to_owned(),
        };
        self.act(ActionBody::Rollback(body), &WriteOptions::default())
            .await
    }

    /// Whether a node was sent the latest action and gave no answer.
    pub(super) async fn was_unanswered(&self) -> bool {
        self.inner.state.lock().await.unanswered
    }

    /// Any action. Its key is drawn once and stays the same over every repetition and every node,
    /// so that it counts once.
    pub async fn act(
        &self,
        body: ActionBody,
        options: &WriteOptions,
    ) -> Result<Reply<Recorded>, ClientError> {
        let words = options.key.clone().map_or_else(drawn_key, Ok)?;
        let key = crate::idempotency_key(&words);
        let options = WriteOptions {
            key: Some(words),
            ..options.clone()
        };
        let content = content_of(&body)?;
        let mut state = self.inner.state.lock().await;
        state.unanswered = false;
        self.renew_token().await;
        let mut filled = None;
        let mut looked_twice = false;
        let mut presented = false;
        let mut last = ClientError::Unreachable("nothing was tried".to_owned());
        for _ in 0..self.inner.client.attempts_max() {
            // Out of the state while it is used: whoever drops this future half-way leaves no chain
            // behind whose next place may be taken.
            let mut chain = match state.chain.take() {
                Some(chain) => chain,
                None => self.begin().await?,
            };
            // Filled in once: the same key must bear the same action wherever it is repeated.
            let action = match filled.take() {
                Some(action) => action,
                None => {
                    self.filled(&body, &state.claims, &mut chain, &mut presented)
                        .await?
                }
            };
            let named = (Some(key), content.as_deref());
            match self.submit(&mut chain, &action, named, &options).await {
                Ok(Outcome::Recorded(reply)) => {
                    state.chain = Some(chain);
                    remember(&mut state.claims, &body, &reply.body);
                    return Ok(*reply);
                }
                Ok(Outcome::Stale(error)) => last = error,
                Ok(Outcome::Lost(error)) => {
                    state.unanswered |= !matches!(error, ClientError::Unreachable(_));
                    self.inner.client.avoid(&chain.node);
                    last = error;
                }
                Err(refused) if refused.is_code(Code::TokenUnknown) && !presented => {
                    presented = self.present(&mut chain).await?.is_none();
                    last = refused;
                    state.chain = presented.then_some(chain);
                }
                Err(refused) => {
                    state.chain = Some(chain);
                    // A field without heads has got one since it was looked at: look again.
                    let overtaken = refused.is_code(Code::Malformed)
                        && matches!(action, Action::Task(_))
                        && !looked_twice;
                    if !overtaken {
                        return Err(refused);
                    }
                    looked_twice = true;
                    last = refused;
                    continue;
                }
            }
            filled = Some(action);
        }
        Err(last)
    }

    /// Finds a node that answers, asks where the chain goes on there, and enrols if need be.
    async fn begin(&self) -> Result<Chain, ClientError> {
        let Inner {
            client,
            orchestra,
            introduction,
            ..
        } = &*self.inner;
        let mut last = ClientError::Unreachable("no node is known".to_owned());
        for _ in 0..client.attempts_max() {
            let node = client.nearest();
            let session = match client.session(&node, orchestra, self.agent()).await {
                Ok(session) => session.body,
                Err(error) if elsewhere(&error) => {
                    client.avoid(&node);
                    last = error;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let audience = self.token().as_ref().map(|token| token.audience);
            if audience.is_some_and(|audience| !session.is_own(audience)) {
                return Err(ClientError::Usage(
                    "this token is for another agent: its key has to sign".to_owned(),
                ));
            }
            let mut chain = Chain { node, session };
            // One that is enrolled for no tier yet enrols once more, for its own; for a second one the
            // node refuses it.
            let bound = introduction.tier.is_none() || chain.session.tier == introduction.tier;
            if chain.session.enrolled && bound {
                return Ok(chain);
            }
            let enrol = Action::Enrol(Enrol::from(introduction.clone()));
            let options = WriteOptions::default();
            match self
                .submit(&mut chain, &enrol, (None, None), &options)
                .await?
            {
                Outcome::Recorded(_) => return Ok(chain),
                Outcome::Stale(error) => last = error,
                Outcome::Lost(error) => {
                    client.avoid(&chain.node);
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Lays its token before the orchestra.
    pub(super) async fn present(
        &self,
        chain: &mut Chain,
    ) -> Result<Option<ClientError>, ClientError> {
        let token = self.token().as_ref().map(|token| token.bytes.clone());
        let Some(token) = token else {
            return Ok(None);
        };
        let present = Action::Present(token);
        let options = WriteOptions::default();
        match self.submit(chain, &present, (None, None), &options).await? {
            Outcome::Recorded(_) => Ok(None),
            Outcome::Stale(error) | Outcome::Lost(error) => Ok(Some(error)),
        }
    }

    /// Signs one action for the chain's next place, and sends these bytes until they are answered.
    async fn submit(
        &self,
        chain: &mut Chain,
        action: &Action,
        (key, content): (Option<IdempotencyKey>, Option<&[u8]>),
        options: &WriteOptions,
    ) -> Result<Outcome, ClientError> {
        let Inner {
            client, orchestra, ..
        } = &*self.inner;
        let (bytes, digest) = self.sign(&chain.session, action, key)?;
        let sent = client.record(&chain.node, orchestra, bytes, content, options);
        match sent.await {
            Ok(reply) => {
                // A repetition was answered with an older record; this place stayed free.
                if reply.body.record == digest {
                    chain.session.next_seq += 1;
                    chain.session.prev = digest;
                }
                if let Action::Advance { from } = action {
                    let next = from.saturating_add(1);
                    chain.session.iteration = chain.session.iteration.max(next);
                }
                Ok(Outcome::Recorded(Box::new(reply)))
            }
            Err(error) if elsewhere(&error) => Ok(Outcome::Lost(error)),
            Err(error) if stale(&error, action, chain.session.iteration) => {
                Ok(Outcome::Stale(error))
            }
            Err(error) => Err(error),
        }
    }

    fn sign(
        &self,
        session: &Session,
        action: &Action,
        key: Option<IdempotencyKey>,
    ) -> Result<(Vec<u8>, Digest), ClientError> {
        let first = session.next_seq == 1;
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: wall_ms(),
            iteration: session.iteration,
            key,
            predecessors: if first {
                session.chain_heads()
            } else {
                Vec::new()
            },
            token: self.names_token(action),
            action: action.clone(),
        };
        body.check()
            .map_err(|malformed| ClientError::Usage(malformed.to_string()))?;
        let place = RecordPlace {
            cluster: session.cluster,
            orchestra: session.orchestra,
            chain: session.chain(),
            seq: session.next_seq,
            prev: session.prev,
        };
        let record = SignedRecord::sign(self.inner.key.signing(), &place, &body);
        let digest = place.digest(&record.body.0);
        Ok((wire::encode(&record), digest))
    }
}

fn remember(claims: &mut BTreeMap<String, Digest>, body: &ActionBody, recorded: &Recorded) {
    let Some(topic) = body.claimed_topic() else {
        return;
    };
    match (body, &recorded.claim) {
        (ActionBody::Release(_), _) => {
            claims.remove(topic);
        }
        (_, Some(claim)) if claim.status != ClaimStatusWord::Ended => {
            claims.insert(topic.to_owned(), claim.claim);
        }
        _ => {}
    }
}

/// Whether another node may do what this one could not.
fn elsewhere(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable(_) | ClientError::Unknown(_) => true,
        ClientError::Refused(problem) => matches!(problem.status, 503 | 504),
        ClientError::Unreadable(_) | ClientError::Usage(_) => false,
    }
}

/// Whether the record would be right if it were signed for another place.
fn stale(error: &ClientError, action: &Action, signed: u32) -> bool {
    let moved = error.is_code(Code::ChainOrder) || error.is_code(Code::WrongLog);
    // Whoever signs for a later iteration than it ends has not heard that the orchestra went back.
    let ahead = match action {
        Action::Advance { from } => signed > *from,
        _ => true,
    };
    moved || (error.is_code(Code::IterationWrong) && ahead)
}
