//! Executives are told of incidents as they come: what somebody has not acknowledged, again with each
//! connection, until it is.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{AlertsView, View};
use unisono_model::{Digest, OrchestraId};

use super::edge::{Edge, Told};
use super::following::{Following as _, Looking, Outgoing};
use super::refusal::Refusal;
use super::terms::{Names, ReadTerms, Terms};
use crate::dto::{Beyond, IncidentTold};
use crate::limits::WAIT_MS;

/// Tells an executive of incidents that it has not acknowledged, the oldest first, and of new ones as
/// they come. What it does not acknowledge is told again when it connects again, at any node. It
/// acknowledges with a mark tagged `incident-acknowledged` that names them as evidence. The event
/// `beyond` says up to when there were more than are kept.
#[utoipa::path(get, path = "/v1/orchestras/{o}/incidents/stream", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("as" = String, Query, description = "The executive's name or key"),
        ("min_cursor" = Option<String>, Query,
            description = "What it has seen elsewhere: its acknowledgements among it")),
    responses((status = 200, content_type = "text/event-stream", body = IncidentTold)))]
pub(crate) async fn alerts(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    let (alerting, told) = Alerting::start(edge, &o, terms).await?;
    Ok(alerting.into_response(&told))
}

struct Alerting {
    edge: Edge,
    orchestra: OrchestraId,
    agent: String,
    /// What was told over this connection and is not acknowledged yet.
    told: BTreeSet<Digest>,
    outgoing: Outgoing,
}

impl Alerting {
    async fn start(edge: Edge, o: &str, mut terms: Terms) -> Result<(Self, Told), Refusal> {
        let orchestra = edge.orchestra(o)?;
        let Some(agent) = super::reads::asking(&mut terms)? else {
            return Err(Refusal::malformed("`as` says which executive is told"));
        };
        let terms = terms.read()?;
        if terms.as_of.is_some() {
            let words = "`as_of`: what is not acknowledged is told as it is now";
            return Err(Refusal::malformed(words));
        }
        let outgoing = Outgoing::new(&edge, orchestra)?;
        let mut alerting = Self {
            edge,
            orchestra,
            agent,
            told: BTreeSet::new(),
            outgoing,
        };
        let (told, view) = alerting.alerts(terms).await?;
        if let Some(beyond) = view.beyond {
            let data = serde_json::to_string(&Beyond {
                beyond: beyond.into(),
            });
            let data = data.expect("a moment is a number and a text");
            alerting
                .outgoing
                .ready
                .push_back(Event::default().event("beyond").data(data));
        }
        alerting.take(view);
        Ok((alerting, told))
    }

    async fn alerts(&self, terms: ReadTerms) -> Result<(Told, AlertsView), Refusal> {
        let question = Question::Alerts {
            agent: Some(self.agent.clone()),
        };
        match self.edge.ask(self.orchestra, question, terms).await? {
            (told, View::Alerts(view)) => Ok((told, view)),
            _ => Err(Refusal::mismatch()),
        }
    }

    fn take(&mut self, view: AlertsView) {
        let standing = view.incidents.iter().map(|one| one.place.record);
        let standing: BTreeSet<Digest> = standing.collect();
        self.told.retain(|record| standing.contains(record));
        for incident in view.incidents {
            let record = incident.place.record;
            if !self.told.insert(record) {
                continue;
            }
            let data = serde_json::to_string(&IncidentTold::from(incident))
                .expect("an incident holds texts and numbers");
            let event = Event::default().event("incident").id(record.to_string());
            self.outgoing.ready.push_back(event.data(data));
        }
    }
}

impl Looking for Alerting {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let (_, view) = self.alerts(terms).await?;
        self.take(view);
        Ok(())
    }
}
