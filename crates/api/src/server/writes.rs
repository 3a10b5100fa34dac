//! Writing: one action, one record, one answer that says what it came to.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::Response;
use data_encoding::BASE64;
use unisono_core::node::{AnswerBody, LivingEdit, Promise, Question, Work};
use unisono_core::orchestra::view::{ClaimsWanted, View};
use unisono_model::{
    Action, AgentId, Code, OrchestraId, RecordBody, SignedRecord, Write, limits, wire,
};

use super::across;
use super::body::{By, Json, Raw, parse};
use super::edge::{Edge, Told, checked_name};
use super::files;
use super::rates::Caller;
use super::refusal::Refusal;
use super::terms::{KeyParam, Names, ReadTerms, Terms, WriteParams};
use crate::dto::{self, ActionBody};

type Answered = Result<Response, Refusal>;

/// Makes an orchestra, or finds that it is there.
#[utoipa::path(post, path = "/v1/orchestras", tag = "cluster", params(WriteParams),
    request_body = dto::OpenBody, responses((status = 200, body = dto::Opened)))]
pub(crate) async fn open(
    State(edge): State<Edge>,
    terms: Terms,
    Json(body): Json<dto::OpenBody>,
) -> Answered {
    let (promise, _) = terms.write()?;
    checked_name("orchestra", &body.name)?;
    let orchestra = OrchestraId::of(edge.handle().cluster, &body.name);
    let work = Work::Open {
        name: body.name.clone(),
    };
    let (told, _) = edge.work(orchestra, work, promise).await?;
    let cursor = told.cursor.to_text();
    Ok(told.json(
        StatusCode::OK,
        &dto::Opened {
            name: body.name,
            orchestra,
            cursor,
        },
    ))
}

/// Enrols an agent whose key this node holds, for agents that cannot sign. Their records say so.
#[utoipa::path(post, path = "/v1/orchestras/{o}/agents", tag = "writes",
    params(("o" = String, Path, description = "The orchestra's name"), WriteParams, KeyParam),
    request_body = dto::EnrolBody, responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn enrol(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    Json(body): Json<dto::EnrolBody>,
) -> Answered {
    let (promise, key) = terms.write()?;
    let agent = body.name.clone();
    record(
        &edge,
        &o,
        Work::Act {
            agent,
            action: Action::Enrol(body.into()),
            key,
        },
        promise,
    )
    .await
}

/// Any action; `do` says which.
#[utoipa::path(post, path = "/v1/orchestras/{o}/actions", tag = "writes",
    params(("o" = String, Path, description = "The orchestra's name"), WriteParams, KeyParam),
    request_body = dto::ActBody, responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn act(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    by: By<ActionBody>,
) -> Answered {
    perform(&edge, &o, terms, by.agent, by.body).await
}

// The friendly routes differ only in the shape of the body.
macro_rules! actions {
    ($($(#[doc = $doc:literal])* $name:ident $method:ident $path:tt $body:ident $action:ident;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path($method, path = $path, tag = "writes",
            params(("o" = String, Path, description = "The orchestra's name"),
                WriteParams, KeyParam),
            request_body(content = inline(Named<dto::$body>), content_type = "application/json"),
            responses(
                (status = 201, body = dto::Recorded),
                (status = "default", body = dto::Problem, content_type = "application/problem+json")
            ))]
        pub(crate) async fn $name(
            State(edge): State<Edge>, Names(o): Names<String>, terms: Terms,
            by: By<dto::$body>,
        ) -> Answered {
            perform(&edge, &o, terms, by.agent, ActionBody::$action(by.body)).await
        }
    )*};
}

/// A body that also names the agent (for the OpenAPI document; read by `By`).
#[derive(Debug, utoipa::ToSchema, serde::Serialize)]
#[allow(
    dead_code,
    reason = "describes the body to readers of the OpenAPI document"
)]
pub(crate) struct Named<T> {
    /// The agent's name.
    agent: String,
    #[serde(flatten)]
    body: T,
}

actions! {
    /// How the agent is.
    be_present post "/v1/orchestras/{o}/presence" PresenceBody Presence;
    /// A resonance signal.
    emit post "/v1/orchestras/{o}/signals" SignalBody Emit;
    /// Claims a topic for a time.
    claim post "/v1/orchestras/{o}/claims" ClaimBody Claim;
    /// Prolongs a lease from now on.
    renew post "/v1/orchestras/{o}/claims/renew" RenewBody Renew;
    /// Gives a topic back, or gives up a claim that lost.
    release post "/v1/orchestras/{o}/claims/release" ReleaseBody Release;
    /// A witness mark.
    mark post "/v1/orchestras/{o}/marks" MarkBody Mark;
    /// Ends an iteration.
    advance post "/v1/orchestras/{o}/iteration/advance" AdvanceBody Advance;
    /// Sets settings.
    set_settings put "/v1/orchestras/{o}/settings" SettingsBody Settings;
    /// Lays a capability token before the orchestra.
    present post "/v1/orchestras/{o}/tokens" PresentBody Present;
    /// Ends what tokens or a key allowed.
    fence post "/v1/orchestras/{o}/fences" FenceBody Fence;
    /// Removes a node from the cluster, for good (roots only; the orchestra is `cluster`).
    remove post "/v1/orchestras/{o}/removals" RemoveBody Remove;
    /// Sets the plan, as a whole.
    set_plan put "/v1/orchestras/{o}/plan" PlanBody Plan;
    /// Approves or rejects what a file holds, or how a task stands.
    approve post "/v1/orchestras/{o}/approvals" ApproveBody Approve;
    /// Says how an interference was resolved; the first by stamp stands.
    resolve post "/v1/orchestras/{o}/interference" ResolveBody Resolve;
    /// Sets the tempo map.
    set_tempo put "/v1/orchestras/{o}/tempo" TempoBody Tempo;
    /// Says how agents may vary on purpose, as a whole; what is left out may not vary. It is told with the tempo.
    set_variation put "/v1/orchestras/{o}/tempo/variation" VariationBody Vary;
    /// Waits at a barrier until so many wait there; when it opens is read at the same address.
    arrive post "/v1/orchestras/{o}/barriers" ArriveBody Arrive;
    /// Something is to be done together at a time.
    cue post "/v1/orchestras/{o}/cues" CueBody Cue;
    /// An answer to a cue.
    answer post "/v1/orchestras/{o}/cues/answer" AnswerBody Answer;
    /// How punctual an action was.
    played post "/v1/orchestras/{o}/ensemble" PlayedBody Played;
    /// What an agent has used, over a stretch of its actions, of what was allotted to it for these.
    used post "/v1/orchestras/{o}/ensemble/usage" UsedBody Used;
    /// An agent performs, or does so no more, and by how much it corrects its errors.
    performs post "/v1/orchestras/{o}/ensemble/performers" PerformsBody Performs;
    /// Something was decided, or was found to lead nowhere.
    decide post "/v1/orchestras/{o}/decisions" DecideBody Decide;
    /// What helps against an error.
    remedy post "/v1/orchestras/{o}/fixes" RemedyBody Remedy;
    /// Whether a remedy helped.
    outcome post "/v1/orchestras/{o}/fixes/outcome" OutcomeBody Outcome;
    /// Goes back to an earlier time: what can be set aside and was done since is. Nothing is erased.
    roll_back post "/v1/orchestras/{o}/rollback" RollbackBody Rollback;
    /// The agent says what it has seen, by a cursor: what binds it and is not in it counts against it
    /// when it acts later.
    seen post "/v1/orchestras/{o}/seen" SeenBody Seen;
}

/// Makes a task.
#[utoipa::path(post, path = "/v1/orchestras/{o}/tasks", tag = "writes",
    params(("o" = String, Path, description = "The orchestra's name"), WriteParams, KeyParam),
    request_body(content = inline(Named<dto::TaskNewBody>), content_type = "application/json"),
    responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn new_task(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    by: By<dto::TaskNewBody>,
) -> Answered {
    perform(
        &edge,
        &o,
        terms,
        by.agent,
        ActionBody::Task(by.body.into_body()),
    )
    .await
}

/// Changes a task; what is left out stays.
#[utoipa::path(patch, path = "/v1/orchestras/{o}/tasks/{name}", tag = "writes",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("name" = String, Path, description = "The task's name"), WriteParams, KeyParam),
    request_body(content = inline(Named<dto::TaskPatchBody>), content_type = "application/json"),
    responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn patch_task(
    State(edge): State<Edge>,
    Names((o, name)): Names<(String, String)>,
    terms: Terms,
    by: By<dto::TaskPatchBody>,
) -> Answered {
    perform(
        &edge,
        &o,
        terms,
        by.agent,
        ActionBody::Task(by.body.into_body(name)),
    )
    .await
}

/// A record that the agent signed itself: its canonical bytes, or these in base64 in JSON.
#[utoipa::path(post, path = "/v1/orchestras/{o}/records", tag = "signing",
    params(("o" = String, Path, description = "The orchestra's name"), WriteParams),
    request_body(content((Vec<u8> = "application/octet-stream"),
        (dto::RecordBase64 = "application/json"))),
    responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn signed(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    caller: Option<Extension<Caller>>,
    body: Raw,
) -> Answered {
    let (promise, _) = terms.write()?;
    let (bytes, content) = match body {
        Raw::Bytes(bytes) => (bytes.to_vec(), None),
        Raw::Json(bytes) => {
            let body: dto::RecordBase64 = parse(&bytes)?;
            let content = body.content.as_deref();
            let content = content.map(|text| decoded("content", text)).transpose()?;
            (decoded("record", &body.record)?, content)
        }
    };
    let orchestra = edge.orchestra(&o)?;
    let key = signer(&bytes);
    if let Some(wait) = key.and_then(|key| edge.limiter().key_waits(&key)) {
        return Err(Refusal::too_often("this key signs too many records", wait));
    }
    let work = Work::Record(bytes.clone());
    let work = match written(&bytes) {
        Some(write) => files::seen(&edge, &write, content, work).await?,
        None => work,
    };
    let done = edge.work(orchestra, work, promise).await;
    if let Some(key) = key.filter(|_| is_of_the_key(&done)) {
        let from = caller.map(|Extension(Caller(from))| from);
        edge.limiter().signed(key, from);
    }
    match done {
        Ok(answer) => recorded(answer),
        Err(refusal) => {
            Err(with_holder(&edge, orchestra, refusal, claimed(&bytes).as_deref()).await)
        }
    }
}

/// Makes a note's text this; only what differs is changed.
#[utoipa::path(put, path = "/v1/orchestras/{o}/notes/{name}", tag = "living",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("name" = String, Path, description = "The note's name"), WriteParams),
    request_body(content = inline(Named<dto::NoteTextBody>), content_type = "application/json"),
    responses((status = 200, body = dto::Done)))]
pub(crate) async fn put_note(
    State(edge): State<Edge>,
    Names((o, name)): Names<(String, String)>,
    terms: Terms,
    by: By<dto::NoteTextBody>,
) -> Answered {
    checked_name("note", &name)?;
    edit(
        &edge,
        &o,
        terms,
        by.agent,
        LivingEdit::NoteText {
            name,
            text: by.body.text,
        },
    )
    .await
}

/// Replaces a stretch of a note.
#[utoipa::path(patch, path = "/v1/orchestras/{o}/notes/{name}", tag = "living",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("name" = String, Path, description = "The note's name"), WriteParams),
    request_body(content = inline(Named<dto::NoteSpliceBody>), content_type = "application/json"),
    responses((status = 200, body = dto::Done)))]
pub(crate) async fn splice_note(
    State(edge): State<Edge>,
    Names((o, name)): Names<(String, String)>,
    terms: Terms,
    by: By<dto::NoteSpliceBody>,
) -> Answered {
    checked_name("note", &name)?;
    let dto::NoteSpliceBody {
        position,
        delete,
        insert,
    } = by.body;
    edit(
        &edge,
        &o,
        terms,
        by.agent,
        LivingEdit::NoteSplice {
            name,
            position,
            delete,
            insert,
        },
    )
    .await
}

/// Sets a configuration value.
#[utoipa::path(put, path = "/v1/orchestras/{o}/config/{key}", tag = "living",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("key" = String, Path, description = "The key, with dots"), WriteParams),
    request_body(content = inline(Named<dto::ConfigSetBody>), content_type = "application/json"),
    responses((status = 200, body = dto::Done)))]
pub(crate) async fn set_config(
    State(edge): State<Edge>,
    Names((o, key)): Names<(String, String)>,
    terms: Terms,
    by: By<dto::ConfigSetBody>,
) -> Answered {
    checked_name("key", &key)?;
    let value = Some(by.body.value);
    edit(
        &edge,
        &o,
        terms,
        by.agent,
        LivingEdit::Config { key, value },
    )
    .await
}

/// Takes a configuration value away. The agent stands in the query: not every client sends a body
/// with DELETE.
#[utoipa::path(delete, path = "/v1/orchestras/{o}/config/{key}", tag = "living",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("key" = String, Path, description = "The key, with dots"),
        ("agent" = String, Query, description = "The agent's name"), WriteParams),
    responses((status = 200, body = dto::Done)))]
pub(crate) async fn remove_config(
    State(edge): State<Edge>,
    Names((o, key)): Names<(String, String)>,
    mut terms: Terms,
) -> Answered {
    checked_name("key", &key)?;
    let agent = terms.text("agent")?;
    let agent = agent.ok_or_else(|| Refusal::malformed("missing query field `agent`"))?;
    edit(
        &edge,
        &o,
        terms,
        agent,
        LivingEdit::Config { key, value: None },
    )
    .await
}

async fn edit(edge: &Edge, o: &str, terms: Terms, agent: String, edit: LivingEdit) -> Answered {
    let (promise, _) = terms.write()?;
    checked_name("agent", &agent)?;
    let work = Work::Living { agent, edit };
    let (told, _) = edge.work(edge.orchestra(o)?, work, promise).await?;
    let cursor = told.cursor.to_text();
    Ok(told.json(
        StatusCode::OK,
        &dto::Done {
            done: true,
            stamp: told.as_of.into(),
            cursor,
        },
    ))
}

pub(crate) async fn perform(
    edge: &Edge,
    o: &str,
    terms: Terms,
    agent: String,
    body: ActionBody,
) -> Answered {
    let (promise, key) = terms.write()?;
    checked_name("agent", &agent)?;
    let orchestra = edge.orchestra(o)?;
    if let ActionBody::Write(write) = body {
        let work = files::work(edge, agent, write, key).await?;
        return recorded(edge.work(orchestra, work, promise).await?);
    }
    let there = match &body {
        ActionBody::Emit(signal) => {
            across::say_there(edge, o, (&promise, key), &agent, signal).await?;
            signal.to_orchestra.clone()
        }
        _ => None,
    };
    let topic = body.claimed_topic().map(str::to_owned);
    // What was left out is zero: the node fills in what stands.
    let work = Work::Act {
        agent,
        action: body.into_action(0),
        key,
    };
    match edge.work(orchestra, work, promise).await {
        Ok(answer) => recorded(answer),
        Err(refusal) => {
            let refusal = with_holder(edge, orchestra, refusal, topic.as_deref()).await;
            Err(across::after_it_was_said(there.as_deref(), refusal))
        }
    }
}

async fn record(edge: &Edge, o: &str, work: Work, promise: Promise) -> Answered {
    recorded(edge.work(edge.orchestra(o)?, work, promise).await?)
}

fn recorded((told, body): (Told, AnswerBody)) -> Answered {
    let AnswerBody::Recorded(given) = body else {
        return Err(Refusal::mismatch());
    };
    let status = if given.repeated {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let body = dto::Recorded::new(given, &told.cursor);
    Ok(told.json(status, &body))
}

/// Says who holds the topic and until when, as values and not only in words.
async fn with_holder(
    edge: &Edge,
    orchestra: OrchestraId,
    mut refusal: Refusal,
    topic: Option<&str>,
) -> Refusal {
    let Some(topic) = topic.filter(|_| refusal.problem().code == Code::ClaimHeld.as_str()) else {
        return refusal;
    };
    let question = Question::Claims(ClaimsWanted::on(topic));
    if let Ok((_, View::Claims(claims))) = edge.ask(orchestra, question, short()).await {
        // The standing claim comes first; lost ones name their winner.
        let holder = claims
            .into_iter()
            .find(|claim| claim.topic == topic)
            .map(|claim| {
                let (holder, until) = claim.held_by.unwrap_or((claim.name, claim.until));
                dto::HeldBy {
                    holder,
                    until: until.into(),
                }
            });
        refusal.problem_mut().held_by = holder;
    }
    refusal
}

fn short() -> ReadTerms {
    ReadTerms {
        deadline_ms: 1_000,
        ..ReadTerms::default()
    }
}

/// The topic of a signed claim. Says nothing about its validity, which is the node's to judge.
fn claimed(bytes: &[u8]) -> Option<String> {
    match action(bytes)? {
        Action::Claim { topic, .. } => Some(topic),
        _ => None,
    }
}

/// What a signed record writes. Says nothing about its validity either.
fn written(bytes: &[u8]) -> Option<Write> {
    match action(bytes)? {
        Action::Write(write) => Some(*write),
        _ => None,
    }
}

/// Whether it was the key's holder who asked: the signature was good, and a copy of an earlier request
/// would not have come so far. Anything else is on the account of who sent it.
fn is_of_the_key(done: &Result<(Told, AnswerBody), Refusal>) -> bool {
    match done {
        Ok((_, AnswerBody::Recorded(recorded))) => !recorded.repeated,
        Ok(_) => false,
        Err(refusal) => refusal.problem().status == StatusCode::FORBIDDEN,
    }
}

/// In whose name a record is signed. Says nothing about the signature.
fn signer(bytes: &[u8]) -> Option<AgentId> {
    let record: SignedRecord = wire::decode(bytes, 2 * limits::RECORD_BYTES_MAX).ok()?;
    Some(record.agent)
}

fn action(bytes: &[u8]) -> Option<Action> {
    let record: SignedRecord = wire::decode(bytes, 2 * limits::RECORD_BYTES_MAX).ok()?;
    let body: RecordBody = wire::decode(&record.body.0, limits::RECORD_BYTES_MAX).ok()?;
    Some(body.action)
}

fn decoded(field: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = BASE64.decode(text.as_bytes());
    bytes
        .map_err(|error| Refusal::malformed(format!("`{field}` is not base64 (RFC 4648): {error}")))
}
