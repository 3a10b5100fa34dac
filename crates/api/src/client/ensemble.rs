//! What goes wrong among those who play together, as it happens, over whichever node answers.

use super::calls::path_of;
use super::source::{Source, read};
use super::{Client, ClientError};
use crate::dto::FindingChange;

/// What begins to go wrong among those who play together, and what is over.
#[derive(Debug)]
pub struct Findings {
    source: Source,
}

impl Client {
    /// Follows what goes wrong among those who play together in an orchestra.
    pub fn findings(&self, orchestra: &str) -> Findings {
        Findings {
            source: Source::new(self, path_of(orchestra, "ensemble/stream")),
        }
    }
}

impl Findings {
    /// The next change; the first tells all that there is. Waits as long as it takes; goes to another node
    /// when one falls silent, and is told there again what there is.
    ///
    /// # Errors
    /// That the orchestra is unknown, or that no node answers.
    pub async fn next(&mut self) -> Result<FindingChange, ClientError> {
        loop {
            let event = self.source.next(|_| None).await?;
            if event.kind == "ensemble" {
                return read(&event.data);
            }
        }
    }
}
