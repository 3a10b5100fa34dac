//! How an orchestra comes apart and together again, as it happens, over whichever node answers.

use super::calls::path_of;
use super::source::{Source, read};
use super::{Client, ClientError};
use crate::dto::CoherenceChange;

/// Changes of an orchestra's coherence.
#[derive(Debug)]
pub struct Drifting {
    source: Source,
}

impl Client {
    /// Follows how coherent an orchestra is.
    pub fn drifting(&self, orchestra: &str) -> Drifting {
        Drifting {
            source: Source::new(self, path_of(orchestra, "coherence/stream")),
        }
    }
}

impl Drifting {
    /// The next change; the first tells all drifts that there are. Waits as long as it takes; goes to
    /// another node when one falls silent, and is told there again what there is.
    ///
    /// # Errors
    /// That the orchestra is unknown, or that no node answers.
    pub async fn next(&mut self) -> Result<CoherenceChange, ClientError> {
        loop {
            let event = self.source.next(|_| None).await?;
            if event.kind == "coherence" {
                return read(&event.data);
            }
        }
    }
}
