//! Cues as they go on, as server-sent events, and how much notice agents need.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Event;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{CueStage, CueView, LeadsOf, PartyView, View};
use unisono_model::limits::CUE_PARTIES_MAX;
use unisono_model::{Digest, OrchestraId};

use super::edge::{Edge, Told, checked_name};
use super::following::{Following as _, Looking, Outgoing};
use super::reads::asking;
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, ReadTerms, Terms};
use crate::dto;
use crate::limits::{CUES_LOOK_EVERY, WAIT_MS};

/// How much notice agents need, by how long they took to be ready for their latest cues: the slowest
/// first. Of `agents`, of everybody in a role, or of everybody.
#[utoipa::path(get, path = "/v1/orchestras/{o}/leads", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("agents" = Option<String>, Query,
            description = "Only of these: names or keys, commas between them, at most 256"),
        ("role" = Option<String>, Query, description = "Only of everybody in this role"),
        ("share" = Option<f64>, Query, description = "In which share of cues all of them are to be \
            ready in time: above 0, below 1; 0.95 if left out"),
        ("limit" = Option<usize>, Query, description = "Tell at most so many, 1 to 1000"), ReadParams),
    responses((status = 200, body = dto::LeadsShown)))]
pub(crate) async fn leads(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let question = Question::Leads {
        of: whose(&mut terms)?,
        share_ppm: share_ppm(&mut terms)?,
        limit: terms.limit()?,
    };
    let (told, view) = edge
        .ask(edge.orchestra(&o)?, question, terms.read()?)
        .await?;
    let View::Leads(view) = view else {
        return Err(Refusal::mismatch());
    };
    Ok(told.json::<dto::LeadsShown>(StatusCode::OK, &view.into()))
}

fn whose(terms: &mut Terms) -> Result<LeadsOf, Refusal> {
    match (terms.text("agents")?, terms.text("role")?) {
        (None, None) => Ok(LeadsOf::Everybody),
        (None, Some(role)) => {
            checked_name("role", &role)?;
            Ok(LeadsOf::Role(role))
        }
        (Some(agents), None) => {
            let agents: Vec<String> = agents.split(',').map(str::to_owned).collect();
            if agents.len() > CUE_PARTIES_MAX {
                let words = format!("`agents` names more than {CUE_PARTIES_MAX}; name a role");
                return Err(Refusal::malformed(words));
            }
            for agent in &agents {
                checked_name("agent", agent)?;
            }
            Ok(LeadsOf::Agents(agents))
        }
        (Some(_), Some(_)) => Err(Refusal::malformed("name `agents` or a `role`, not both")),
    }
}

/// A share as millionths.
fn share_ppm(terms: &mut Terms) -> Result<Option<u32>, Refusal> {
    let Some(text) = terms.text("share")? else {
        return Ok(None);
    };
    let ppm = text.parse().map(|share: f64| (share * 1e6).round());
    match ppm {
        // What is no number lies in no range.
        Ok(ppm) if (1.0..1e6).contains(&ppm) => Ok(Some(ppm as u32)),
        _ => Err(Refusal::malformed(
            "`share` is a number above 0 and below 1, by a millionth at least; 0.95 is one in twenty too late",
        )),
    }
}

/// Tells cues as they stand, and each again whenever that changes: it is answered, somebody is asked
/// again, it is escalated, on or off, played. Whoever reads too slowly misses what came between.
#[utoipa::path(get, path = "/v1/orchestras/{o}/cues/stream", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("as" = Option<String>, Query,
            description = "Only what this agent gave, is meant by or has answered, by its name or key")),
    responses((status = 200, content_type = "text/event-stream", body = dto::CueShown)))]
pub(crate) async fn stream(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    let (cueing, told) = Cueing::start(edge, &o, terms).await?;
    Ok(cueing.into_response(&told))
}

struct Cueing {
    edge: Edge,
    orchestra: OrchestraId,
    agent: Option<String>,
    /// How each cue was told last.
    told: BTreeMap<Digest, (CueStage, Vec<PartyView>)>,
    outgoing: Outgoing,
}

impl Cueing {
    async fn start(edge: Edge, o: &str, mut terms: Terms) -> Result<(Self, Told), Refusal> {
        let orchestra = edge.orchestra(o)?;
        let agent = asking(&mut terms)?;
        terms.end()?;
        let outgoing = Outgoing::new(&edge, orchestra)?;
        let mut cueing = Self {
            edge,
            orchestra,
            agent,
            told: BTreeMap::new(),
            outgoing,
        };
        let told = cueing.cues().await?;
        Ok((cueing, told))
    }

    async fn cues(&mut self) -> Result<Told, Refusal> {
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let (told, view) = self.edge.ask(self.orchestra, Question::Cues, terms).await?;
        let View::Cues(views) = view else {
            return Err(Refusal::mismatch());
        };
        let mut standing = BTreeMap::new();
        for view in views {
            if self
                .agent
                .as_ref()
                .is_some_and(|name| !concerns(&view, name))
            {
                continue;
            }
            let now = (view.stage, view.parties.clone());
            let record = view.place.record;
            if self.told.get(&record) != Some(&now) {
                self.outgoing.ready.push_back(shown(view));
            }
            standing.insert(record, now);
        }
        self.told = standing;
        Ok(told)
    }
}

impl Looking for Cueing {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.outgoing.wakes.woken() => {}
            () = tokio::time::sleep(CUES_LOOK_EVERY) => {}
        }
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        self.cues().await.map(drop)
    }
}

fn concerns(view: &CueView, name: &str) -> bool {
    let is = |known: &str, key: &unisono_model::AgentId| known == name || key.to_string() == name;
    is(&view.name, &view.agent) || view.parties.iter().any(|one| is(&one.name, &one.agent))
}

fn shown(view: CueView) -> Event {
    let data = serde_json::to_string(&dto::CueShown::from(view));
    let data = data.expect("a cue holds texts and numbers");
    Event::default().event("cue").data(data)
}
