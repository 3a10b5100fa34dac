//! What gets in an agent's way, as it comes and as it ends, over whichever node answers.

use serde::Deserialize;
use unisono_model::Digest;

use super::calls::{path_of, with_query};
use super::source::{Source, read};
use super::{Client, ClientError};
use crate::dto::Interference;

/// What an agent is told of its way.
#[derive(Clone, Debug)]
pub enum InTheWay {
    /// An interference that names it has come, or was resolved. Of a page of them that stand each is
    /// told again with a new connection.
    Met(Box<Interference>),
    /// One that it was told of stands no longer.
    Over(Digest),
}

/// The interferences of an agent as they come.
#[derive(Debug)]
pub struct Way {
    source: Source,
}

/// Which one is over.
#[derive(Deserialize)]
struct Ended {
    id: Digest,
}

impl Client {
    /// Follows what gets in the way of an agent, by its name.
    pub fn way(&self, orchestra: &str, agent: &str) -> Way {
        let query = [("after", "now"), ("as", agent)];
        Way {
            source: Source::new(self, with_query(&path_of(orchestra, "events"), &query)),
        }
    }
}

impl Way {
    /// The next change. Waits as long as it takes; goes to another node when one falls silent, and
    /// is told there again what stands.
    ///
    /// # Errors
    /// That the orchestra is unknown, or that no node answers.
    pub async fn next(&mut self) -> Result<InTheWay, ClientError> {
        loop {
            let event = self.source.next(|_| None).await?;
            match event.kind.as_str() {
                "interference" => return Ok(InTheWay::Met(Box::new(read(&event.data)?))),
                "interference-ended" => {
                    let ended: Ended = read(&event.data)?;
                    return Ok(InTheWay::Over(ended.id));
                }
                _ => {}
            }
        }
    }
}
