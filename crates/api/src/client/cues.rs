//! Cues for programs: how much notice agents need, and what becomes of each cue as it goes on.

use super::calls::{path_of, with_query};
use super::streams::{Lines, sse_event};
use super::{Client, ClientError, Reply};
use crate::dto;
use crate::limits::HEARTBEAT_EVERY;

/// Cues of an orchestra: each as it stands, and again whenever that changes.
#[derive(Debug)]
pub struct Cues {
    client: Client,
    path: String,
    lines: Option<Lines>,
    node: String,
    failures: u32,
}

impl Client {
    /// How much notice agents need so that all of them are ready in a share of cues (above 0, below 1;
    /// 0.95 if left out): of these, by names or keys; of everybody, if none is named.
    ///
    /// # Errors
    /// What every read may fail with; an agent that nobody knows.
    pub async fn leads(
        &self,
        orchestra: &str,
        agents: &[&str],
        share: Option<f64>,
    ) -> Result<Reply<dto::LeadsShown>, ClientError> {
        let agents = agents.join(",");
        let share = share.map(|share| share.to_string());
        let mut query = Vec::new();
        if !agents.is_empty() {
            query.push(("agents", agents.as_str()));
        }
        if let Some(share) = &share {
            query.push(("share", share.as_str()));
        }
        self.read(orchestra, "leads", &query).await
    }

    /// Cues as they go on: those that an agent gave, is meant by or has answered; or all.
    pub fn cues(&self, orchestra: &str, agent: Option<&str>) -> Cues {
        let query: Vec<(&str, &str)> = agent.map(|agent| ("as", agent)).into_iter().collect();
        Cues {
            path: with_query(&path_of(orchestra, "cues/stream"), &query),
            client: self.clone(),
            lines: None,
            node: String::new(),
            failures: 0,
        }
    }
}

impl Cues {
    /// The next cue that is new or has changed. Waits as long as it takes; goes to another node when
    /// one falls silent, and is told there again how every cue stands.
    ///
    /// # Errors
    /// That no node answers, or that the orchestra is unknown.
    pub async fn next(&mut self) -> Result<dto::CueShown, ClientError> {
        loop {
            match self.step().await {
                Ok(Some(cue)) => {
                    self.failures = 0;
                    return Ok(cue);
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

    async fn step(&mut self) -> Result<Option<dto::CueShown>, ClientError> {
        let Some(lines) = &mut self.lines else {
            self.node = self.client.nearest();
            let stream = self.client.stream(&self.node, self.path.clone(), None);
            self.lines = Some(Lines::new(stream.await?, 3 * HEARTBEAT_EVERY));
            return Ok(None);
        };
        let Some(event) = sse_event(lines).await? else {
            let words = format!("{} ended the stream", self.node);
            return Err(ClientError::Unreachable(words));
        };
        if event.kind != "cue" {
            return Ok(None);
        }
        let cue = serde_json::from_str(&event.data);
        cue.map(Some)
            .map_err(|error| ClientError::Unreadable(error.to_string()))
    }
}
