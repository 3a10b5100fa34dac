//! Files: measured off the threads that serve, handed to the node with what was seen of them.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use unisono_core::node::{Question, Work};
use unisono_core::orchestra::view::View;
use unisono_model::{
    Action, Content, Digest, IdempotencyKey, Rejection, Reviewed, Write, limits, path,
};

use super::body::{Large, LargeBy};
use super::edge::{Edge, checked_name};
use super::refusal::Refusal;
use super::terms::{KeyParam, Names, ReadParams, Terms, WriteParams};
use super::writes::{self, Named};
use crate::dto::{self, ActionBody};
use crate::limits::{FILES_PAGE, FILES_PAGE_MAX};

type Answered = Result<Response, Refusal>;

/// Writes, moves or removes a file: the node measures the content, looks whether plan and token let
/// the agent, and records it.
#[utoipa::path(post, path = "/v1/orchestras/{o}/files", tag = "writes",
    params(("o" = String, Path, description = "The orchestra's name"), WriteParams, KeyParam),
    request_body(content = inline(Named<dto::WriteBody>), content_type = "application/json"),
    responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn write(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    by: LargeBy<dto::WriteBody>,
) -> Answered {
    writes::perform(&edge, &o, terms, by.agent, ActionBody::Write(by.body)).await
}

/// What this node measures of a content, for agents that sign: these figures stand in the record.
/// Nothing is written.
#[utoipa::path(post, path = "/v1/orchestras/{o}/measure", tag = "signing",
    params(("o" = String, Path, description = "The orchestra's name"), ReadParams),
    request_body = dto::MeasureBody, responses((status = 200, body = dto::MeasuredContent)))]
pub(crate) async fn measure(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
    Large(body): Large<dto::MeasureBody>,
) -> Answered {
    let orchestra = edge.orchestra(&o)?;
    let content = body.content().map_err(Refusal::malformed)?;
    let terms = terms.read()?;
    let plan = edge.ask(orchestra, Question::Plan, terms.clone()).await?;
    let (_, View::Plan(plan)) = plan else {
        return Err(Refusal::mismatch());
    };
    let question = Question::File(body.path.clone());
    let (told, View::File(file)) = edge.ask(orchestra, question, terms).await? else {
        return Err(Refusal::mismatch());
    };
    let content = measured(&edge, body.path, content).await?;
    let held = file.and_then(|file| file.holds.content);
    let body = dto::MeasuredContent {
        content: content.into(),
        plan: plan.map(|plan| plan.place.record),
        holds: held.map(|content| content.digest),
    };
    Ok(told.json(StatusCode::OK, &body))
}

/// The files that were ever written, by path.
#[utoipa::path(get, path = "/v1/orchestras/{o}/files", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("path" = Option<String>, Query, description = "Only this file"),
        ("after" = Option<String>, Query, description = "Start after this path"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::Files)))]
pub(crate) async fn files(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let (one, after) = (terms.text("path")?, terms.text("after")?);
    let limit = terms.number("limit", 1..=FILES_PAGE_MAX)?;
    let question = match one {
        Some(path) => Question::File(path),
        None => Question::Files {
            after,
            limit: limit.unwrap_or(FILES_PAGE),
        },
    };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let views = match view {
        View::Files(views) => views,
        View::File(view) => view.into_iter().collect(),
        _ => return Err(Refusal::mismatch()),
    };
    let files = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Files { files }))
}

/// What was said about a file or a task, the latest first.
#[utoipa::path(get, path = "/v1/orchestras/{o}/approvals", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("path" = Option<String>, Query, description = "About this file"),
        ("task" = Option<String>, Query, description = "About this task"), ReadParams),
    responses((status = 200, body = dto::Approvals)))]
pub(crate) async fn approvals(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let about = match (terms.text("path")?, terms.text("task")?) {
        (Some(path), None) => Reviewed::Path(path),
        (None, Some(task)) => {
            checked_name("task", &task)?;
            Reviewed::Task(task)
        }
        _ => return Err(Refusal::malformed("name one of `path` and `task`")),
    };
    let question = Question::Approvals(about);
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Approvals(views) = view else {
        return Err(Refusal::mismatch());
    };
    let approvals = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Approvals { approvals }))
}

/// The work of an agent whose key the node holds.
pub(super) async fn work(
    edge: &Edge,
    agent: String,
    body: dto::WriteBody,
    key: Option<IdempotencyKey>,
) -> Result<Work, Refusal> {
    let content = body.content().map_err(Refusal::malformed)?;
    let path = body.path.clone();
    let content = match content {
        Some(bytes) => Some(measured(edge, path, bytes).await?),
        None => None,
    };
    // Zeros: the node fills in the plan that stands.
    let write = body.into_write(content, Digest::default());
    let looked = looked(edge, &write).await?;
    let seen = looked.map(|()| write.content.clone());
    let action = Action::Write(Box::new(write));
    let work = Box::new(Work::Act { agent, action, key });
    Ok(Work::File { seen, work })
}

/// The work of an agent that signs, with the content that came beside the record.
pub(super) async fn seen(
    edge: &Edge,
    write: &Write,
    content: Option<Vec<u8>>,
    work: Work,
) -> Result<Work, Refusal> {
    let content = match content {
        Some(bytes) => Some(measured(edge, write.path.clone(), bytes).await?),
        None => None,
    };
    let seen = looked(edge, write).await?.map(|()| content);
    let work = Box::new(work);
    Ok(Work::File { seen, work })
}

async fn measured(edge: &Edge, path: String, content: Vec<u8>) -> Result<Content, Refusal> {
    if content.len() > limits::CONTENT_BYTES_MAX {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("a content is at most {} bytes", limits::CONTENT_BYTES_MAX),
        )
        .hint("divide the file"));
    }
    let inspector = Arc::clone(&edge.handle().inspector);
    edge.aside(move || inspector.measure(&path, &content)).await
}

/// Whether the files are what they seem to be. A path that is not plain is refused by the node.
async fn looked(edge: &Edge, write: &Write) -> Result<Result<(), Rejection>, Refusal> {
    if write.paths().any(|one| path::check(one).is_err()) {
        return Ok(Ok(()));
    }
    let inspector = Arc::clone(&edge.handle().inspector);
    let write = write.clone();
    edge.aside(move || {
        let holds = write.content.as_ref().map(|content| &content.digest);
        inspector.look(&write.path, holds)?;
        match &write.moved_from {
            Some(moved) => inspector.look(&moved.path, None),
            None => Ok(()),
        }
    })
    .await
}
