//! Cues for programs: how much notice agents need, and what becomes of each cue as it goes on.

use super::calls::{path_of, with_query};
use super::source::{Source, read};
use super::{Client, ClientError, Reply};
use crate::dto;

/// Cues of an orchestra: each as it stands, and again whenever that changes.
#[derive(Debug)]
pub struct Cues {
    source: Source,
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
        let path = with_query(&path_of(orchestra, "cues/stream"), &query);
        Cues {
            source: Source::new(self, path),
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
            let event = self.source.next(|_| None).await?;
            if event.kind == "cue" {
                return read(&event.data);
            }
        }
    }
}
