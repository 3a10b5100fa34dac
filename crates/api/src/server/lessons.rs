//! Reading what an orchestra has learned.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{DecisionsWanted, View};

use super::edge::Edge;
use super::reads::topic;
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, Terms};
use crate::dto::{self, DecideWord};

type Answered = Result<Response, Refusal>;

/// Decisions and dead ends that bind: what matters most first, newest first among these. What the
/// first 1000 leave out is found by topic, by kind or by words.
#[utoipa::path(get, path = "/v1/orchestras/{o}/decisions", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("topic" = Option<String>, Query, description = "Only about this topic"),
        ("kind" = Option<String>, Query, description = "Only `decision`, or only `dead_end`"),
        ("search" = Option<String>, Query, description = "Those first that speak of these words"),
        ("all" = Option<bool>, Query, description = "Also those whose place others have taken"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::Decisions)))]
pub(crate) async fn decisions(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let topic = topic(&mut terms)?;
    let kind = terms.word::<DecideWord>("kind")?;
    let search = terms.text("search")?;
    let all = terms.flag("all")?;
    let limit = terms.limit()?;
    let question = Question::Decisions(DecisionsWanted {
        topic,
        kind: kind.map(Into::into),
        search,
        all,
        limit,
    });
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Decisions(views) = view else {
        return Err(Refusal::mismatch());
    };
    let decisions = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Decisions { decisions }))
}

/// What may help against an error, the most promising first.
#[utoipa::path(get, path = "/v1/orchestras/{o}/fixes", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("error" = String, Query, description = "What the tool said, or its form: an address has room for some 60 KiB"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::Fixes)))]
pub(crate) async fn fixes(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let Some(error) = terms.text("error")? else {
        return Err(Refusal::malformed("`error` is what the tool said"));
    };
    let limit = terms.limit()?;
    let question = Question::Fixes { error, limit };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Fixes(view) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::Fixes>(StatusCode::OK, &view.into()))
}
