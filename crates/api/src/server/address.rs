//! The addresses of the draft's appendix A: each is one of the routes under another name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use unisono_core::node::Question;
use unisono_core::orchestra::course::PhaseMap;
use unisono_core::orchestra::view::View;
use unisono_model::{Code, Rejection, Stamp};

use super::body::By;
use super::edge::{Edge, Told};
use super::reads;
use super::refusal::Refusal;
use super::resonance;
use super::terms::{Names, ReadParams, Terms, WriteParams};
use super::writes;
use crate::client::chronicle::{Chapter, Chronicle};
use crate::client::compression;
use crate::dto::{self, ActionBody, RecordEvent};

/// All of them; names in braces stand for one of many.
pub const ADDRESSES: [&str; 10] = [
    "self.orchestra.state",
    "self.orchestra.coherence",
    "self.orchestra.drift",
    "self.orchestra.resonance.sense",
    "self.orchestra.resonance.emit",
    "self.orchestra.resonance.interference",
    "self.orchestra.presence.{agent}",
    "self.orchestra.presence.update",
    "time.orchestra.history.{iteration}",
    "time.orchestra.history.recover",
];

const PRESENCE: &str = "self.orchestra.presence.";
const HISTORY: &str = "time.orchestra.history.";

/// What an address shows. The query is that of the route which it stands for; `recover` takes
/// `iteration`.
#[utoipa::path(get, path = "/v1/orchestras/{o}/address/{path}", operation_id = "address",
    tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("path" = String, Path, description = "An address of the draft's appendix A"), ReadParams),
    responses((status = 200, body = serde_json::Value)))]
pub(crate) async fn read(
    State(edge): State<Edge>,
    Names((o, path)): Names<(String, String)>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let (edge, name) = (State(edge), Names(o));
    match path.as_str() {
        "self.orchestra.state" => reads::state(edge, name, terms).await,
        "self.orchestra.coherence" => reads::coherence(edge, name, terms).await,
        "self.orchestra.drift" => drift(&edge.0, &name.0, terms).await,
        "self.orchestra.resonance.sense" => resonance::signals(edge, name, terms).await,
        "self.orchestra.resonance.interference" => reads::interference(edge, name, terms).await,
        "self.orchestra.resonance.emit" | "self.orchestra.presence.update" => {
            Err(other_way(&path, "POST"))
        }
        "time.orchestra.history.recover" => {
            let iteration = terms.number("iteration", 1..=u64::from(u32::MAX))?;
            let Some(iteration) = iteration else {
                return Err(Refusal::malformed("`iteration` says which is given back"));
            };
            let (told, chapter) = chapter(&edge.0, &name.0, terms, iteration).await?;
            Ok(told.json(StatusCode::OK, &chapter))
        }
        other => {
            if let Some(agent) = other.strip_prefix(PRESENCE) {
                return presence(&edge.0, &name.0, terms, agent).await;
            }
            let number = other.strip_prefix(HISTORY).and_then(|n| n.parse().ok());
            let Some(number) = number else {
                return Err(unknown(other));
            };
            let (told, chapter) = chapter(&edge.0, &name.0, terms, number).await?;
            Ok(told.json(StatusCode::OK, &summary(&chapter)))
        }
    }
}

/// Does what an address does, with the body of the route that it stands for.
#[utoipa::path(post, path = "/v1/orchestras/{o}/address/{path}", operation_id = "do_at_address",
    tag = "writes",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("path" = String, Path, description = "An address of the draft's appendix A"),
        WriteParams),
    request_body = serde_json::Value, responses((status = 201, body = dto::Recorded)))]
pub(crate) async fn write(
    State(edge): State<Edge>,
    Names((o, path)): Names<(String, String)>,
    terms: Terms,
    by: By<Map<String, Value>>,
) -> Result<Response, Refusal> {
    let body = Value::Object(by.body);
    let action = match path.as_str() {
        "self.orchestra.resonance.emit" => ActionBody::Emit(read_as(body)?),
        "self.orchestra.presence.update" => ActionBody::Presence(read_as(body)?),
        known if is_known(known) => return Err(other_way(known, "GET")),
        other => return Err(unknown(other)),
    };
    writes::perform(&edge, &o, terms, by.agent, action).await
}

fn read_as<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_json::from_value(body).map_err(|error| Refusal::malformed(format!("the body: {error}")))
}

fn is_known(path: &str) -> bool {
    let named = |beginning: &str| path.len() > beginning.len() && path.starts_with(beginning);
    ADDRESSES.contains(&path) || named(PRESENCE) || named(HISTORY)
}

fn unknown(path: &str) -> Refusal {
    let shown: String = path.chars().take(120).collect();
    let words = format!("{shown:?} is none of the addresses; nothing changed");
    let hint = format!("there are {}", ADDRESSES.join(", "));
    Refusal::new(StatusCode::NOT_FOUND, "address_unknown", words).hint(hint)
}

fn other_way(path: &str, method: &str) -> Refusal {
    let words = format!("{path} is asked for with {method}; nothing changed");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", words)
        .hint("reading is GET, doing is POST")
}

async fn drift(edge: &Edge, o: &str, terms: Terms) -> Result<Response, Refusal> {
    let asked = edge.ask(edge.orchestra(o)?, Question::Coherence, terms.read()?);
    let (told, View::Coherence(view)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    let drift = dto::Coherence::from(view).drift;
    Ok(told.json(StatusCode::OK, &json!({ "drift": drift })))
}

async fn presence(edge: &Edge, o: &str, terms: Terms, agent: &str) -> Result<Response, Refusal> {
    let asked = edge.ask(edge.orchestra(o)?, Question::Presences, terms.read()?);
    let (told, View::Presences(views)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    match views.into_iter().find(|view| view.name == agent) {
        Some(view) => Ok(told.json(StatusCode::OK, &dto::Presence::from(view))),
        None => Err(Refusal::from(
            Rejection::new(Code::AgentUnknown, "no agent of this name is enrolled")
                .hint("`unisono agent list` names them"),
        )),
    }
}

/// What became of an iteration, from every record that the node holds.
async fn chapter(
    edge: &Edge,
    o: &str,
    terms: Terms,
    iteration: u64,
) -> Result<(Told, Chapter), Refusal> {
    let orchestra = edge.orchestra(o)?;
    let read = terms.read()?;
    let at: Option<Stamp> = read.as_of;
    let (told, view) = edge
        .ask(orchestra, Question::Settings, read.clone())
        .await?;
    let View::Settings(settings) = view else {
        return Err(Refusal::mismatch());
    };
    let phases = PhaseMap::of(|setting| settings.get(&setting).copied());
    let wanted = u32::try_from(iteration).unwrap_or_default();
    let mut chronicle = Chronicle::as_of(phases, at).keeping(wanted);
    let take = |record| chronicle.insert(RecordEvent::from(record));
    edge.each_record(orchestra, &read, take).await?;
    let current = chronicle.iteration();
    let known = u32::try_from(iteration).ok();
    let known = known.filter(|number| (1..=current).contains(number));
    let Some(iteration) = known else {
        let words = format!("there was no iteration {iteration}: the current one is {current}");
        return Err(
            Refusal::new(StatusCode::NOT_FOUND, "iteration_unknown", words).hint("the first is 1"),
        );
    };
    Ok((told, chronicle.chapter(iteration)))
}

/// An iteration as the draft's `IterationSummary`.
fn summary(chapter: &Chapter) -> Value {
    let decisions: Vec<&str> = chapter.decisions.iter().map(|d| d.topic.as_str()).collect();
    let artifacts: Vec<&str> = chapter.artifacts.iter().map(|a| a.name.as_str()).collect();
    let resolved: Vec<&str> = chapter
        .resolutions
        .iter()
        .map(|one| one.outcome.as_str())
        .collect();
    let marks: Vec<String> = chapter.marks.iter().map(|m| m.record.to_string()).collect();
    json!({
        "iteration": chapter.iteration,
        "phase": chapter.phase,
        "began": chapter.began,
        "ended": chapter.ended,
        "one_sentence_summary": compression::sentence(chapter),
        "key_decisions": decisions,
        "artifacts_produced": artifacts,
        "blockers_resolved": resolved,
        "witness_mark_ids": marks,
    })
}
