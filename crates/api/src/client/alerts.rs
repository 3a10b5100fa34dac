//! Incidents as they come, for executives: each until it is acknowledged, over whichever node answers.

use super::calls::{path_of, with_query};
use super::source::{Source, read};
use super::{Client, ClientError};
use crate::dto::{Beyond, IncidentTold, Moment};

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
    source: Source,
    orchestra: String,
}

impl Client {
    /// Follows the incidents of an orchestra as an executive, by its name or its key.
    pub fn alerts(&self, orchestra: &str, agent: &str) -> Alerts {
        let path = with_query(&path_of(orchestra, "incidents/stream"), &[("as", agent)]);
        Alerts {
            source: Source::new(self, path),
            orchestra: orchestra.to_owned(),
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
        let orchestra = self.orchestra.as_str();
        // What it has acknowledged elsewhere is not told again once the node knows of it.
        let seen = |client: &Client| {
            let cursor = client.cursor(orchestra);
            (!cursor.0.is_empty()).then(|| ("unisono-min-cursor", cursor.to_text()))
        };
        loop {
            let event = self.source.next(seen).await?;
            match event.kind.as_str() {
                "incident" => return Ok(Alert::Incident(Box::new(read(&event.data)?))),
                "beyond" => {
                    let beyond: Beyond = read(&event.data)?;
                    return Ok(Alert::Beyond(beyond.beyond));
                }
                _ => {}
            }
        }
    }
}
