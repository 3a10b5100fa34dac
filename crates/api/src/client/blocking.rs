//! The same client for programs without an async runtime.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::{AgentKey, ClientError, Config, Reply, WriteOptions};
use crate::dto::{
    self, ActionBody, EnrolBody, MarkBody, PresenceBody, Recorded, SignalBody, TaskBody,
};

/// A client whose calls return when they are done. Not for use inside an async runtime.
#[derive(Clone, Debug)]
pub struct Client {
    // One thread turns in the background, so that idle connections notice when they are closed.
    runtime: Arc<Runtime>,
    inner: super::Client,
}

/// An agent that signs for itself, whose calls return when they are done.
#[derive(Clone, Debug)]
pub struct SigningAgent {
    runtime: Arc<Runtime>,
    inner: super::SigningAgent,
}

macro_rules! mirrored {
    ($($(#[doc = $doc:literal])* $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $(#[doc = $doc])*
        pub fn $name(&self, $($arg: $type),*) -> Result<$answer, ClientError> {
            self.runtime.block_on(self.inner.$name($($arg),*))
        }
    )*};
}

impl Client {
    /// Measures the way to each node. Fails only where no node can be spoken to at all.
    pub fn connect(config: Config) -> Result<Self, ClientError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| ClientError::Usage(error.to_string()))?;
        let inner = runtime.block_on(super::Client::connect(config))?;
        Ok(Self {
            runtime: Arc::new(runtime),
            inner,
        })
    }

    /// The async client, for what has no method here: `client.wait(client.inner().dump(…))`.
    pub fn inner(&self) -> &super::Client {
        &self.inner
    }

    /// Waits for anything that the async client does.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// An agent that signs for itself.
    pub fn agent(&self, orchestra: &str, key: AgentKey, introduction: EnrolBody) -> SigningAgent {
        let inner = super::SigningAgent::new(self.inner.clone(), orchestra, key, introduction);
        SigningAgent {
            runtime: self.runtime.clone(),
            inner,
        }
    }

    mirrored! {
        /// How the node is.
        status() -> Reply<dto::Status>;
        /// The members of the cluster.
        members() -> Reply<dto::Members>;
        /// The orchestras that the node holds.
        orchestras() -> Reply<dto::Orchestras>;
        /// Makes an orchestra, or finds that it is there.
        open(name: &str) -> Reply<dto::Opened>;
        /// An orchestra in numbers.
        state(orchestra: &str) -> Reply<dto::State>;
        /// The signals that stand.
        signals(orchestra: &str) -> Reply<dto::Signals>;
        /// Who holds what.
        claims(orchestra: &str) -> Reply<dto::Claims>;
        /// One task.
        task(orchestra: &str, task: &str) -> Reply<dto::Task>;
        /// A page of tasks, by name after `after`.
        tasks(orchestra: &str, after: Option<&str>) -> Reply<dto::Tasks>;
        /// Enrols an agent whose key the node holds.
        enrol(orchestra: &str, agent: &EnrolBody, options: &WriteOptions) -> Reply<Recorded>;
        /// Has a node-held agent do something.
        act(orchestra: &str, agent: &str, action: &ActionBody, options: &WriteOptions)
            -> Reply<Recorded>;
    }
}

impl SigningAgent {
    /// Who it is.
    pub fn agent(&self) -> unisono_model::AgentId {
        self.inner.agent()
    }

    mirrored! {
        /// Enrols now, instead of with the first action.
        enrol() -> ();
        /// Any action.
        act(body: ActionBody, options: &WriteOptions) -> Reply<Recorded>;
        /// Says how it is.
        presence(body: PresenceBody) -> Reply<Recorded>;
        /// Emits a resonance signal.
        emit(body: SignalBody) -> Reply<Recorded>;
        /// Claims a topic.
        claim(topic: &str, lease_ms: Option<u64>, options: &WriteOptions) -> Reply<Recorded>;
        /// Prolongs its lease on a topic.
        renew(topic: &str, lease_ms: Option<u64>, options: &WriteOptions) -> Reply<Recorded>;
        /// Gives a topic back, or gives up a claim that lost.
        release(topic: &str) -> Reply<Recorded>;
        /// Leaves a witness mark.
        mark(body: MarkBody) -> Reply<Recorded>;
        /// Makes or changes a task.
        task(body: TaskBody) -> Reply<Recorded>;
        /// Ends an iteration.
        advance(from: u32) -> Reply<Recorded>;
        /// Goes back to an earlier time.
        roll_back(to: unisono_model::Stamp, reason: &str) -> Reply<Recorded>;
    }
}
