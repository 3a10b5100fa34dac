//! An agent that goes on with another key: both keys sign, and the next one is on disk before.

use unisono_model::{Code, Rotation};

use super::reader::read_as;
use super::{AgentKey, ClientError, Reply, SigningAgent, WriteOptions};
use crate::dto::{ActionBody, Recorded, Session};

/// What came of a rotation.
#[derive(Clone, Debug)]
pub enum Rotated {
    /// The agent signs with the next key from this record on.
    Now(Box<Reply<Recorded>>),
    /// It did already: an earlier try was recorded, whose answer was lost.
    Before,
}

/// Why an agent has no other key.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotRotated {
    /// Why.
    pub error: ClientError,
    /// Whether a node refused it, and none was sent it that gave no answer: then the next key is
    /// nobody's, and need not be kept.
    pub is_definite: bool,
}

impl SigningAgent {
    /// Gives this agent's key up for another one, which is nobody's yet. What this one signs
    /// afterwards is void; everything that the agent is, holds and was given is the next key's. To be
    /// asked again with the same keys after whatever went wrong: it is done once.
    ///
    /// The next key has to be kept in a file before this is called, as [`AgentKey::load_or_create`]
    /// does: an agent whose next key is lost is lost.
    ///
    /// # Errors
    /// Nobody enrolled this agent's key, the next key is somebody's, or this one was given up for
    /// another. Nothing was changed then.
    pub async fn rotate(
        &self,
        next: &AgentKey,
        options: &WriteOptions,
    ) -> Result<Rotated, NotRotated> {
        let error = match self.rotate_once(next, options).await {
            Ok(rotated) => return Ok(rotated),
            Err(error) => error,
        };
        // What says when to come back is no word about the key.
        let refused = error.problem().is_some_and(|problem| {
            (400..500).contains(&problem.status)
                && problem.changed == Some(false)
                && problem.retry_after_ms.is_none()
        });
        let is_definite = refused && !self.was_unanswered().await;
        Err(NotRotated { error, is_definite })
    }

    async fn rotate_once(
        &self,
        next: &AgentKey,
        options: &WriteOptions,
    ) -> Result<Rotated, ClientError> {
        let session = self.look(next).await?;
        if session.succeeds.first() == Some(&self.agent()) {
            return Ok(Rotated::Before);
        }
        let session = self.look(&self.inner.key).await?;
        if !session.enrolled {
            // Its first action would enrol it, and a slip of the file's name make a new agent.
            return Err(ClientError::Usage(format!(
                "the key {} is enrolled nowhere in {}, so there is no agent that could give it up",
                self.agent(),
                self.orchestra()
            )));
        }
        let rotation = Rotation::sign(
            next.signing(),
            session.cluster,
            session.orchestra,
            self.agent(),
            self.name(),
        );
        let body = ActionBody::Rotate(rotation.into());
        match self.act(body, options).await {
            Ok(reply) => Ok(Rotated::Now(Box::new(reply))),
            // Of a try whose answer was lost the record may have come before this one.
            Err(error) if error.is_code(Code::KeyRotated) || error.is_code(Code::KeyTaken) => {
                let session = self.look(next).await?;
                let done = session.succeeds.first() == Some(&self.agent());
                if done {
                    Ok(Rotated::Before)
                } else {
                    Err(error)
                }
            }
            Err(error) => Err(error),
        }
    }

    /// What a node knows of a key; where it asks who reads, to that key: each sees its own place, also one
    /// that was given up by now.
    async fn look(&self, key: &AgentKey) -> Result<Session, ClientError> {
        let what = format!("session/{}", key.agent());
        let client = self.client().reading_as(read_as(key, None));
        let session: Reply<Session> = client.read(self.orchestra(), &what, &[]).await?;
        Ok(session.body)
    }
}
