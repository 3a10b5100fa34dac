//! One stream of events that is opened again, at another node, when it breaks or falls silent.

use super::streams::{Lines, SseEvent, sse_event};
use super::{Client, ClientError};
use crate::dto::Problem;
use crate::limits::HEARTBEAT_EVERY;

/// Events of a path, over whichever node answers.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) client: Client,
    /// Where it is, with its question.
    pub(super) path: String,
    lines: Option<Lines>,
    node: String,
    failures: u32,
}

impl Source {
    pub(super) fn new(client: &Client, path: String) -> Self {
        Self {
            client: client.clone(),
            path,
            lines: None,
            node: String::new(),
            failures: 0,
        }
    }

    /// The next event. Waits as long as it takes. `seen` is asked for anew with each connection: the
    /// header that says what a node must know, and what stands in it.
    ///
    /// # Errors
    /// The refusal, or that too often in a row nobody answered.
    pub(super) async fn next(
        &mut self,
        seen: impl Fn(&Client) -> Option<(&'static str, String)>,
    ) -> Result<SseEvent, ClientError> {
        loop {
            match self.step(&seen).await {
                Ok(Some(event)) => {
                    self.failures = 0;
                    return Ok(event);
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

    async fn step(
        &mut self,
        seen: &impl Fn(&Client) -> Option<(&'static str, String)>,
    ) -> Result<Option<SseEvent>, ClientError> {
        let Some(lines) = &mut self.lines else {
            self.node = self.client.nearest();
            let seen = seen(&self.client);
            let seen = seen.as_ref().map(|(header, seen)| (*header, seen.as_str()));
            let body = self
                .client
                .stream(&self.node, self.path.clone(), seen)
                .await?;
            // Three heartbeats missed: nobody is there any more.
            self.lines = Some(Lines::new(body, 3 * HEARTBEAT_EVERY));
            return Ok(None);
        };
        let Some(event) = sse_event(lines).await? else {
            let words = format!("{} ended the stream", self.node);
            return Err(ClientError::Unreachable(words));
        };
        if event.kind != "problem" {
            return Ok(Some(event));
        }
        let problem: Problem = read(&event.data)?;
        if self.client.goes_on(&self.path, &problem) {
            self.lines = None;
            return Ok(None);
        }
        Err(ClientError::Refused(Box::new(problem)))
    }
}

/// Reads what an event bears.
pub(super) fn read<T: serde::de::DeserializeOwned>(data: &str) -> Result<T, ClientError> {
    serde_json::from_str(data).map_err(|error| ClientError::Unreadable(error.to_string()))
}
