//! Where an agent stands in the flow: derived at the edge from views of one and the same moment.
//!
//! An interference names whoever made one of its sides. A need has one side, its own agent's; it
//! also names whoever is asked: who holds the topic, or a glob over it, or has the task of that name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use unisono_core::node::Question;
use unisono_core::orchestra::interference::pattern::Pattern;
use unisono_core::orchestra::view::{
    ClaimsWanted, InterferenceKind, InterferenceView, SignalsWanted, View,
};
use unisono_model::{AgentId, OrchestraId, Setting, SignalKind};

use super::edge::Edge;
use super::reads::asking;
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, ReadTerms, Terms};
use crate::dto::{self, FlowWord, NamedByWord};
use crate::limits::YIELDED_LOOKED_MAX;

/// What is known of whoever asks.
struct Own {
    name: String,
    agents: Vec<AgentId>,
    holds: Vec<String>,
}

/// Where an agent stands in the flow, and what it yields to: open interferences that block and name
/// it, as one of their sides, or as holder or assignee of what is needed.
#[utoipa::path(get, path = "/v1/orchestras/{o}/flow", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("as" = String, Query, description = "The agent's name"), ReadParams),
    responses((status = 200, body = dto::FlowShown)))]
pub(crate) async fn flow(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let Some(name) = asking(&mut terms)? else {
        return Err(Refusal::malformed("`as` names the agent whose flow it is"));
    };
    let orchestra = edge.orchestra(&o)?;
    let mut read = terms.read()?;
    let (told, view) = edge.ask(orchestra, Question::State, read.clone()).await?;
    let View::State(state) = view else {
        return Err(Refusal::mismatch());
    };
    // All that follows speaks of the moment of the first answer.
    read.as_of = Some(told.as_of);
    let iteration_last = last_iteration(&edge, orchestra, &read).await?;
    let own = own(&edge, orchestra, &read, name).await?;
    let yields_to = yielded(&edge, orchestra, &read, &own).await?;
    let place = if u64::from(state.iteration) > iteration_last {
        FlowWord::Complete
    } else if !yields_to.is_empty() {
        FlowWord::Yielding
    } else if !own.holds.is_empty() || intends(&edge, orchestra, &read, &own).await? {
        FlowWord::Working
    } else {
        FlowWord::Sensing
    };
    let body = dto::FlowShown {
        known: !own.agents.is_empty(),
        agent: own.name,
        iteration: state.iteration,
        phase: state.phase.into(),
        iteration_last,
        place,
        yields_to,
        holds: own.holds,
    };
    Ok(told.json(StatusCode::OK, &body))
}

async fn last_iteration(
    edge: &Edge,
    orchestra: OrchestraId,
    read: &ReadTerms,
) -> Result<u64, Refusal> {
    let asked = edge.ask(orchestra, Question::Settings, read.clone());
    let (_, View::Settings(settings)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    let last = settings.get(&Setting::IterationLast).copied();
    Ok(last.unwrap_or(u64::MAX))
}

async fn own(
    edge: &Edge,
    orchestra: OrchestraId,
    read: &ReadTerms,
    name: String,
) -> Result<Own, Refusal> {
    let asked = edge.ask(orchestra, Question::Agents, read.clone());
    let (_, View::Agents(all)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    let agents: Vec<AgentId> = all
        .iter()
        .filter(|agent| agent.name == name)
        .map(|agent| agent.agent)
        .collect();
    let question = Question::Claims(ClaimsWanted {
        holder: Some(name.clone()),
        ..ClaimsWanted::default()
    });
    let (_, View::Claims(claims)) = edge.ask(orchestra, question, read.clone()).await? else {
        return Err(Refusal::mismatch());
    };
    let mut holds: Vec<String> = claims.into_iter().map(|claim| claim.topic).collect();
    holds.sort_unstable();
    Ok(Own {
        name,
        agents,
        holds,
    })
}

async fn yielded(
    edge: &Edge,
    orchestra: OrchestraId,
    read: &ReadTerms,
    own: &Own,
) -> Result<Vec<dto::Yielded>, Refusal> {
    // Asked for by its name: however many others get in each other's way, its own are not lost among
    // them. The core knows whose topics and tasks are needed.
    let question = Question::Interference {
        agent: Some(own.name.clone()),
        limit: YIELDED_LOOKED_MAX,
    };
    let asked = edge.ask(orchestra, question, read.clone());
    let (_, View::Interference(found)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    let open = found.interferences.into_iter();
    let blocking = open.filter(|one| one.is_open() && one.blocking);
    let mut yielded: Vec<dto::Yielded> = blocking
        .filter_map(|one| {
            let (named_by, own_topic) = own.names(&one)?;
            Some(dto::Yielded {
                interference: one.into(),
                named_by,
                own_topic,
            })
        })
        .collect();
    yielded.sort_by_key(|one| (one.interference.since.stamp, one.interference.id));
    Ok(yielded)
}

/// Whether an INTENT of its own stands.
async fn intends(
    edge: &Edge,
    orchestra: OrchestraId,
    read: &ReadTerms,
    own: &Own,
) -> Result<bool, Refusal> {
    let question = Question::Sense(SignalsWanted {
        from: Some(own.name.clone()),
        kind: Some(SignalKind::Intent),
        limit: Some(1),
        ..SignalsWanted::default()
    });
    let asked = edge.ask(orchestra, question, read.clone());
    let (_, View::Signals(intents)) = asked.await? else {
        return Err(Refusal::mismatch());
    };
    Ok(!intents.is_empty())
}

impl Own {
    fn names(&self, one: &InterferenceView) -> Option<(NamedByWord, String)> {
        let mut sides = one.sides.iter();
        if let Some(side) = sides.find(|side| self.agents.contains(&side.agent)) {
            // The other one yields: of two that both did, neither would go on before a lease ended.
            let wins = one.decided_for.as_ref() == Some(&side.name);
            return (!wins).then(|| (NamedByWord::Side, side.topic.clone()));
        }
        if one.kind != InterferenceKind::Unanswered {
            return None;
        }
        let needed = &one.sides.first()?.topic;
        let holds = self.holds.iter().find(|held| covers(held, needed));
        Some(match holds {
            Some(held) => (NamedByWord::Holds, held.clone()),
            // It holds neither the topic nor a glob over it: it has the task of that name.
            None => (NamedByWord::Task, needed.clone()),
        })
    }
}

/// Whether what is held is what is needed, or a glob over it.
fn covers(held: &str, needed: &str) -> bool {
    let glob = Pattern::of(held);
    held == needed || (glob.is_glob() && glob.overlaps(&Pattern::of(needed)))
}
