//! What the core gives page by page: the signals that stand, and who holds what.

use axum::extract::State;
use axum::http::StatusCode;
use unisono_core::node::Question;
use unisono_core::orchestra::signals::Rank;
use unisono_core::orchestra::view::{ClaimsWanted, SenseAfter, SignalsWanted, View};
use unisono_model::{Code, Place, Rejection};

use super::edge::{Edge, checked_name};
use super::page::{Page, PageParams};
use super::reads::{Answered, asking, topic};
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, Terms};
use crate::dto::{self, SignalKindWord, UrgencyWord, parse_stamp};

/// The signals that stand, most urgent and newest first.
#[utoipa::path(get, path = "/v1/orchestras/{o}/signals", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("topic" = Option<String>, Query, description = "Only this topic"),
        ("from" = Option<String>, Query, description = "Only this agent's"),
        ("kind" = Option<SignalKindWord>, Query, description = "Only intents, needs, or offers"),
        ("as" = Option<String>, Query, description = "What concerns this agent comes first"),
        ("near" = Option<bool>, Query, description = "Only what concerns the agent of `as`"),
        PageParams, ReadParams),
    responses((status = 200, body = dto::Signals)))]
pub(crate) async fn signals(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let page = Page::of(&mut terms)?;
    let after = page.after.as_deref().map(read_after).transpose()?;
    let kind: Option<SignalKindWord> = terms.word("kind")?;
    let wanted = SignalsWanted {
        topic: topic(&mut terms)?,
        from: name(&mut terms, "from")?,
        kind: kind.map(Into::into),
        agent: asking(&mut terms)?,
        only_near: terms.flag("near")?,
        after,
        limit: Some(page.looked_for()),
    };
    if wanted.only_near && wanted.agent.is_none() {
        return Err(Refusal::malformed(
            "`near` needs `as`: whom it is to concern",
        ));
    }
    let question = Question::Sense(wanted);
    let asked = edge.ask(edge.orchestra(&o)?, question, terms.read()?);
    let (told, View::Signals(views)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    let (views, next_after) = page.first(views, |view| after_text(&view.page_end()));
    let signals = views.into_iter().map(Into::into).collect();
    let body = dto::Signals {
        signals,
        next_after,
    };
    Ok(told.json(StatusCode::OK, &body))
}

/// Who holds what, by topic.
#[utoipa::path(get, path = "/v1/orchestras/{o}/claims", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("topic" = Option<String>, Query, description = "Only this topic"),
        ("holder" = Option<String>, Query, description = "Only what this agent holds"),
        PageParams, ReadParams),
    responses((status = 200, body = dto::Claims)))]
pub(crate) async fn claims(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Answered {
    let page = Page::of(&mut terms)?;
    let question = Question::Claims(ClaimsWanted {
        topic: topic(&mut terms)?,
        holder: name(&mut terms, "holder")?,
        after: page.after.clone(),
        limit: Some(page.looked_for()),
    });
    let asked = edge.ask(edge.orchestra(&o)?, question, terms.read()?);
    let (told, View::Claims(views)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    let (views, next_after) = page.first(views, |view| view.topic.clone());
    let claims = views.into_iter().map(Into::into).collect();
    Ok(told.json(StatusCode::OK, &dto::Claims { claims, next_after }))
}

fn name(terms: &mut Terms, field: &str) -> Result<Option<String>, Refusal> {
    let name = terms.text(field)?;
    if let Some(name) = &name {
        checked_name("agent", name)?;
    }
    Ok(name)
}

/// Where a page of signals ends, as a word: a signal that has ended meanwhile loses nobody the place.
fn after_text(after: &SenseAfter) -> String {
    let part = if after.near { "near" } else { "rest" };
    let urgency = serde_json::to_value(UrgencyWord::from(after.rank.urgency)).unwrap_or_default();
    let urgency = urgency.as_str().unwrap_or_default();
    let Place { stamp, record } = after.rank.place;
    format!("{part}.{urgency}.{stamp}.{record}")
}

fn read_after(text: &str) -> Result<SenseAfter, Refusal> {
    let read = || {
        let mut parts = text.split('.');
        let near = match parts.next()? {
            "near" => true,
            "rest" => false,
            _ => return None,
        };
        let urgency: UrgencyWord = serde_json::from_value(parts.next()?.into()).ok()?;
        let place = Place {
            stamp: parse_stamp(parts.next()?).ok()?,
            record: parts.next()?.parse().ok()?,
        };
        let rank = Rank {
            urgency: urgency.into(),
            place,
        };
        parts.next().is_none().then_some(SenseAfter { near, rank })
    };
    read().ok_or_else(|| {
        let words = format!("`after`: {text:?} is not where a page of signals ended");
        Refusal::from(Rejection::new(Code::CursorInvalid, words)).hint(
            "give the `next_after` of the page before, and ask for all pages as of one moment",
        )
    })
}
