//! Incidents as they come, for executives: each until it is acknowledged, over whichever node answers.

use hyper::body::Incoming;

use super::calls::{path_of, with_query};
use super::streams::{Lines, sse_event};
use super::{Client, ClientError};
use crate::dto::{Beyond, IncidentTold, Moment, Problem};
use crate::limits::HEARTBEAT_EVERY;

/// What an executive is told.
#[derive(Clone, Debug)]
pub enum Alert {
    /// Something was refused. It is told again with the next connection, at any node, until a mark
    /// of [`crate::dto::MarkBody::acknowledging`] names it.
    Incident(Box<IncidentTold>),
    /// There were more than are kept: those up to this moment stand in the log alone.
    Beyond(Moment),
}

/// Incidents that an executive has not acknowledged, and new ones as they come.
#[derive(Debug)]
pub struct Alerts {
    client: Client,
    orchestra: String,
    agent: String,
    lines: Option<Lines>,
    node: String,
    failures: u32,
}

impl Client {
    /// Follows the incidents of an orchestra as an executive, by its name or its key.
    pub fn alerts(&self, orchestra: &str, agent: &str) -> Alerts {
        Alerts {
            client: self.clone(),
            orchestra: orchestra.to_owned(),
            agent: agent.to_owned(),
            lines: None,
            node: String::new(),
            failures: 0,
        }
    }
}

impl Alerts {
    /// The next alert. Waits as long as it takes; goes to another node when one falls silent, and is
    /// told there again what is not acknowledged.
    ///
    /// # Errors
    /// That the agent is no executive, or that no node answers.
    pub async fn next(&mut self) -> Result<Alert, ClientError> {
        loop {
            match self.step().await {
                Ok(Some(alert)) => {
                    self.failures = 0;
                    return Ok(alert);
                }
                Ok(None) => {}
                Err(error) => {
                    self.lines = None;
                    let client = &self.client;
                    client
                        .before_again(&self.node, &mut self.failures, error)
                        .await?;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Alert>, ClientError> {
        let Some(lines) = &mut self.lines else {
            let body = self.connect().await?;
            self.lines = Some(Lines::new(body, 3 * HEARTBEAT_EVERY));
            return Ok(None);
        };
        let Some(event) = sse_event(lines).await? else {
            let words = format!("{} ended the stream", self.node);
            return Err(ClientError::Unreachable(words));
        };
        let unreadable = |error: serde_json::Error| ClientError::Unreadable(error.to_string());
        match event.kind.as_str() {
            "incident" => {
                let told: IncidentTold = serde_json::from_str(&event.data).map_err(unreadable)?;
                Ok(Some(Alert::Incident(Box::new(told))))
            }
            "beyond" => {
                let beyond: Beyond = serde_json::from_str(&event.data).map_err(unreadable)?;
                Ok(Some(Alert::Beyond(beyond.beyond)))
            }
            "problem" => {
                let problem: Problem = serde_json::from_str(&event.data).map_err(unreadable)?;
                Err(ClientError::Refused(Box::new(problem)))
            }
            _ => Ok(None),
        }
    }

    async fn connect(&mut self) -> Result<Incoming, ClientError> {
        self.node = self.client.nearest();
        let query = [("as", self.agent.as_str())];
        let path = with_query(&path_of(&self.orchestra, "incidents/stream"), &query);
        // What it has acknowledged elsewhere is not told again once the node knows of it.
        let cursor = self.client.cursor(&self.orchestra);
        let seen = (!cursor.0.is_empty()).then(|| cursor.to_text());
        let seen = seen.as_deref().map(|seen| ("unisono-min-cursor", seen));
        self.client.stream(&self.node, path, seen).await
    }
}
