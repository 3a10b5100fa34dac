//! One agent's chain on one node: signs the next record, and knows where the chain stands after each
//! answer.

use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::SigningKey;
use unisono_api::dto::{Problem, Recorded, Session};
use unisono_model::{
    Action, AgentId, AgentKind, Digest, Enrol, Held, IdempotencyKey, RECORD_VERSION, RecordBody,
    RecordPlace, SignedRecord, wire,
};

use super::http::{Answer, Broken, Request, Server};
use super::{ANSWERED_WITHIN, BEHIND_MS};

/// An agent: its name, its role, its key.
#[derive(Debug)]
pub(crate) struct Actor {
    /// The name.
    pub(crate) name: String,
    key: SigningKey,
    id: AgentId,
}

/// Where an actor's chain on a node stands; none: the node must be asked.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    session: Option<Session>,
}

/// What is to be recorded.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// What.
    pub(crate) action: &'a Action,
    /// The same over every repetition.
    pub(crate) key: IdempotencyKey,
    /// What the node must have seen.
    pub(crate) min_cursor: Option<&'a str>,
    /// On how many disks.
    pub(crate) durable_on: u16,
}

/// What became of one attempt.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// It is recorded.
    Recorded(Box<Recorded>),
    /// The chain has moved, or the node lives a new life: try again at once.
    Moved,
    /// The node asks for patience (ms).
    Wait(u64),
    /// The node has not seen the cursor.
    Behind,
    /// The node cannot, for now; nothing changed.
    Unable(String),
    /// Nobody knows; if it did happen, the record bears this name.
    Unknown(Digest),
    /// It is refused.
    Refused(Box<Problem>),
}

impl Actor {
    /// The agent of this name in an orchestra: the same on every node and in every run.
    pub(crate) fn new(orchestra: &str, name: &str) -> Self {
        let parts = [orchestra.as_bytes(), name.as_bytes()];
        let key = SigningKey::from_bytes(&Digest::of("unisono/replay-agent/v1", &parts).0);
        let id = AgentId(key.verifying_key().to_bytes());
        Self {
            name: name.to_owned(),
            key,
            id,
        }
    }

    fn enrolment(&self) -> Action {
        // `worker-ff21` is a worker.
        let role = self.name.rsplit_once('-').map_or("agent", |(role, _)| role);
        Action::Enrol(Enrol {
            name: self.name.clone(),
            role: role.to_owned(),
            kind: AgentKind::Ai,
            tier: None,
        })
    }
}

impl Chain {
    /// Tries once to have something recorded, as the next record of this chain; enrols the actor
    /// first where it is unknown.
    pub(crate) async fn attempt(
        &mut self,
        server: &Server,
        path: &str,
        actor: &Actor,
        wish: &Wish<'_>,
    ) -> Attempt {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => match open(server, path, actor).await {
                Ok(session) => session,
                Err(attempt) => return attempt,
            },
        };
        if !session.enrolled {
            let action = actor.enrolment();
            let words = format!("replay/enrol/{}", actor.name);
            let enrol = Wish {
                action: &action,
                key: unisono_api::idempotency_key(&words),
                min_cursor: None,
                durable_on: 1,
            };
            match send(server, path, actor, &mut session, &enrol).await {
                Attempt::Recorded(_) => session.enrolled = true,
                // An enrolment that may have happened is found by the next session.
                Attempt::Unknown(_) => return Attempt::Moved,
                other => return other,
            }
        }
        let attempt = send(server, path, actor, &mut session, wish).await;
        let known = !matches!(attempt, Attempt::Moved | Attempt::Unknown(_));
        self.session = known.then_some(session);
        attempt
    }
}

async fn open(server: &Server, path: &str, actor: &Actor) -> Result<Session, Attempt> {
    let path = format!("{path}/session/{}", actor.id);
    let request = Request {
        method: "GET",
        path: &path,
        min_cursor: None,
        body: None,
    };
    match server.ask(&request, ANSWERED_WITHIN).await {
        Ok(answer) if answer.status == 200 => serde_json::from_slice(&answer.body)
            .map_err(|error| Attempt::Unable(format!("session: {error}"))),
        // The node may not hold the orchestra yet.
        Ok(answer) if answer.status == 404 => Err(Attempt::Behind),
        Ok(answer) => Err(judged(&answer, Digest::default())),
        Err(Broken::NotSent(error) | Broken::Unanswered(error)) => {
            Err(Attempt::Unable(error.to_string()))
        }
    }
}

async fn send(
    server: &Server,
    path: &str,
    actor: &Actor,
    session: &mut Session,
    wish: &Wish<'_>,
) -> Attempt {
    let (bytes, digest) = sign(actor, session, wish);
    let path = format!(
        "{path}/records?durable_on={}&wait_ms={BEHIND_MS}",
        wish.durable_on
    );
    let request = Request {
        method: "POST",
        path: &path,
        min_cursor: wish.min_cursor,
        body: Some(("application/octet-stream", &bytes)),
    };
    let answer = match server.ask(&request, ANSWERED_WITHIN).await {
        Ok(answer) => answer,
        Err(Broken::NotSent(error)) => return Attempt::Unable(error.to_string()),
        Err(Broken::Unanswered(_)) => return Attempt::Unknown(digest),
    };
    if !matches!(answer.status, 200 | 201) {
        return judged(&answer, digest);
    }
    match serde_json::from_slice::<Recorded>(&answer.body) {
        Ok(recorded) => {
            // A repetition was answered with an older record; this place stayed free.
            if recorded.record == digest {
                session.next_seq += 1;
                session.prev = digest;
            }
            Attempt::Recorded(Box::new(recorded))
        }
        Err(_) => Attempt::Unknown(digest),
    }
}

/// What an answer that is no success means.
fn judged(answer: &Answer, digest: Digest) -> Attempt {
    let Ok(problem) = serde_json::from_slice::<Problem>(&answer.body) else {
        return Attempt::Unable(format!("status {}", answer.status));
    };
    match (answer.status, problem.code.as_str()) {
        (429, _) => Attempt::Wait(problem.retry_after_ms.unwrap_or(1_000)),
        (_, "chain_order" | "wrong_log" | "iteration_wrong" | "agent_unknown") => Attempt::Moved,
        (_, "behind" | "orchestra_unknown") => Attempt::Behind,
        (503 | 504, _) if problem.changed == Some(false) => Attempt::Unable(problem.code),
        (503 | 504, _) => Attempt::Unknown(digest),
        _ => Attempt::Refused(Box::new(problem)),
    }
}

fn sign(actor: &Actor, session: &Session, wish: &Wish<'_>) -> (Vec<u8>, Digest) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let first = session.next_seq == 1;
    let body = RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
        iteration: session.iteration,
        key: Some(wish.key),
        predecessors: if first {
            session.chain_heads()
        } else {
            Vec::new()
        },
        token: None,
        action: wish.action.clone(),
    };
    let place = RecordPlace {
        cluster: session.cluster,
        orchestra: session.orchestra,
        chain: session.chain(),
        seq: session.next_seq,
        prev: session.prev,
    };
    let record = SignedRecord::sign(&actor.key, &place, &body);
    let digest = place.digest(&record.body.0);
    (wire::encode(&record), digest)
}
