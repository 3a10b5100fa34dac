//! An agent that acts, whoever holds its key.

use super::{Client, ClientError, Reply, SigningAgent, WriteOptions};
use crate::dto::{ActionBody, Recorded};

/// An agent of one orchestra. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Actor {
    /// It signs by itself.
    Signing(SigningAgent),
    /// Its key is held by the node that it enrolled on.
    Held {
        /// Through which it speaks.
        client: Client,
        /// The orchestra's name.
        orchestra: String,
        /// The agent's name.
        name: String,
    },
}

impl Actor {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::Signing(agent) => agent.name(),
            Self::Held { name, .. } => name,
        }
    }

    /// The orchestra's name.
    pub fn orchestra(&self) -> &str {
        match self {
            Self::Signing(agent) => agent.orchestra(),
            Self::Held { orchestra, .. } => orchestra,
        }
    }

    /// The client through which it speaks.
    pub fn client(&self) -> &Client {
        match self {
            Self::Signing(agent) => agent.client(),
            Self::Held { client, .. } => client,
        }
    }

    /// It has seen that the orchestra is in this iteration. Whose key a node holds acts in the
    /// iteration that the node knows.
    pub async fn seen_iteration(&self, iteration: u32) {
        if let Self::Signing(agent) = self {
            agent.seen_iteration(iteration).await;
        }
    }

    /// Does something once.
    pub async fn act(&self, body: ActionBody) -> Result<Reply<Recorded>, ClientError> {
        let options = WriteOptions::default();
        match self {
            Self::Signing(agent) => agent.act(body, &options).await,
            Self::Held {
                client,
                orchestra,
                name,
            } => client.act(orchestra, name, &body, &options).await,
        }
    }
}

impl From<SigningAgent> for Actor {
    fn from(agent: SigningAgent) -> Self {
        Self::Signing(agent)
    }
}
