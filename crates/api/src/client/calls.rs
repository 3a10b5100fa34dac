//! What can be asked of a node, one method each.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use unisono_core::orchestra::lessons::error::ErrorForm;
use unisono_model::AgentId;
use unisono_model::wire::Blob;

use super::http::{Wanted, encoded};
use super::key::random;
use super::{Client, ClientError, Pin, Repeat, Reply, WriteOptions, put};
use crate::dto::{self, ActBody, ActionBody, EnrolBody};

const JSON: &str = "application/json";
/// How often the same signed bytes go to one node before another is tried.
const SAME_BYTES_MAX: u32 = 3;

macro_rules! reads {
    ($($(#[doc = $doc:literal])* $name:ident $what:literal -> $body:ident;)*) => {$(
        $(#[doc = $doc])*
        pub async fn $name(&self, orchestra: &str) -> Result<Reply<dto::$body>, ClientError> {
            self.read(orchestra, $what, &[]).await
        }
    )*};
}

macro_rules! whole {
    ($($(#[doc = $doc:literal])* $name:ident $what:literal -> $body:ident;)*) => {$(
        $(#[doc = $doc])*
        pub async fn $name(&self, orchestra: &str) -> Result<Reply<dto::$body>, ClientError> {
            self.read_whole(orchestra, $what, &[]).await
        }
    )*};
}

impl Client {
    whole! {
        /// Who is enrolled.
        agents "agents" -> Agents;
        /// How the agents are.
        presence "presence" -> Presences;
        /// The signals that stand.
        signals "signals" -> Signals;
        /// Who holds what.
        claims "claims" -> Claims;
    }

    reads! {
        /// An orchestra in numbers.
        state "state" -> State;
        /// Where agents get in each other's way.
        interference "interference" -> Interferences;
        /// How far agents have come apart.
        coherence "coherence" -> Coherence;
        /// What stands behind each of its terms.
        coherence_explained "coherence/explained" -> CoherenceExplained;
        /// What was decided, and what leads nowhere.
        decisions "decisions" -> Decisions;
        /// The latest marks.
        marks "marks" -> MarkList;
        /// The settings that count.
        settings "settings" -> Settings;
        /// The notes' names.
        notes "notes" -> Notes;
        /// The configuration.
        config "config" -> ConfigValues;
        /// Digests that agree where replicas do.
        hash "hash" -> Hashes;
        /// What rights stand, and what they have refused.
        trust "trust" -> Trust;
        /// The current iteration.
        iteration "iteration" -> Iteration;
        /// The plan that stands.
        plan "plan" -> PlanShown;
    }

    /// How the node is.
    pub async fn status(&self) -> Result<Reply<dto::Status>, ClientError> {
        self.get("/v1/status", &[]).await
    }

    /// Which program answers.
    pub async fn version(&self) -> Result<dto::Version, ClientError> {
        let reply: Reply<dto::Version> = self.get("/version", &[]).await?;
        Ok(reply.body)
    }

    /// What time it is in the cluster, as the node tells it.
    pub async fn clock(&self) -> Result<Reply<dto::Clock>, ClientError> {
        self.get("/v1/clock", &[]).await
    }

    /// The members of the cluster.
    pub async fn members(&self) -> Result<Reply<dto::Members>, ClientError> {
        self.get("/v1/members", &[]).await
    }

    /// The orchestras that the node holds.
    pub async fn orchestras(&self) -> Result<Reply<dto::Orchestras>, ClientError> {
        self.get("/v1/orchestras", &[]).await
    }

    /// One task.
    pub async fn task(&self, orchestra: &str, task: &str) -> Result<Reply<dto::Task>, ClientError> {
        self.read(orchestra, &format!("tasks/{}", encoded(task)), &[])
            .await
    }

    /// A page of tasks, by name after `after`.
    pub async fn tasks(
        &self,
        orchestra: &str,
        after: Option<&str>,
    ) -> Result<Reply<dto::Tasks>, ClientError> {
        let query: Vec<_> = after.map(|after| ("after", after)).into_iter().collect();
        self.read(orchestra, "tasks", &query).await
    }

    /// What became of a task.
    pub async fn history(
        &self,
        orchestra: &str,
        task: &str,
    ) -> Result<Reply<dto::Records>, ClientError> {
        self.read(orchestra, &format!("tasks/{}/history", encoded(task)), &[])
            .await
    }

    /// What may help against an error. Its form alone is sent: all that is looked at, and short.
    pub async fn fixes(
        &self,
        orchestra: &str,
        error: &str,
    ) -> Result<Reply<dto::Fixes>, ClientError> {
        let form = ErrorForm::of(error).text();
        self.read(orchestra, "fixes", &[("error", &form)]).await
    }

    /// One note.
    pub async fn note(&self, orchestra: &str, name: &str) -> Result<Reply<dto::Note>, ClientError> {
        self.read(orchestra, &format!("notes/{}", encoded(name)), &[])
            .await
    }

    /// What an agent needs to know to go on, in at most about so many tokens.
    pub async fn go_on(
        &self,
        orchestra: &str,
        agent: &str,
        max_tokens: u64,
    ) -> Result<Reply<dto::Brief>, ClientError> {
        let tokens = max_tokens.to_string();
        let query = [("as", agent), ("max_tokens", tokens.as_str())];
        self.read(orchestra, "continue", &query).await
    }

    /// Where an agent stands in the flow, and what it yields to.
    pub async fn flow(
        &self,
        orchestra: &str,
        agent: &str,
    ) -> Result<Reply<dto::FlowShown>, ClientError> {
        self.read(orchestra, "flow", &[("as", agent)]).await
    }

    /// Anything under `/v1/orchestras/{orchestra}/`, with any query: `as_of`, `topic`, `limit`, ….
    /// `what` is a path of encoded segments.
    pub async fn read<T: DeserializeOwned>(
        &self,
        orchestra: &str,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, ClientError> {
        let path = with_query(&path_of(orchestra, what), query);
        let mut wanted = Wanted::new(Method::GET, path, None, self.inner.config.request_within);
        self.with_cursor(orchestra, &mut wanted);
        let (node, got) = self.answer(&wanted, Repeat::Anywhere, None).await?;
        self.reply(Some(orchestra), node, &got)
    }

    /// All of a list that comes page by page, as of the moment of the first page.
    ///
    /// # Errors
    /// What the node refused, or that none answered.
    pub async fn read_whole<T: DeserializeOwned + dto::Paged>(
        &self,
        orchestra: &str,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, ClientError> {
        let mut whole: Reply<T> = self.read(orchestra, what, query).await?;
        let moment = whole.as_of.map(|at| at.to_string());
        while let Some(after) = whole.body.next_after().map(str::to_owned) {
            let mut query: Vec<(&str, &str)> = query.to_vec();
            query.retain(|(name, _)| *name != "as_of");
            query.extend(moment.as_deref().map(|at| ("as_of", at)));
            query.push(("after", &after));
            let page: Reply<T> = self.read(orchestra, what, &query).await?;
            whole.body.append(page.body);
        }
        Ok(whole)
    }

    /// Anything that is read and belongs to no orchestra.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, ClientError> {
        let path = with_query(path, query);
        let wanted = Wanted::new(Method::GET, path, None, self.inner.config.request_within);
        let (node, got) = self.answer(&wanted, Repeat::Anywhere, None).await?;
        self.reply(None, node, &got)
    }

    /// Makes an orchestra, or finds that it is there.
    pub async fn open(&self, name: &str) -> Result<Reply<dto::Opened>, ClientError> {
        let body = dto::OpenBody {
            name: name.to_owned(),
        };
        let options = WriteOptions::default();
        let mut wanted = self.write(Method::POST, "/v1/orchestras".to_owned(), &options)?;
        wanted.body = Some((JSON, json(&body)?));
        // Whoever makes the orchestra of one name makes the same one.
        let (node, got) = self.answer(&wanted, Repeat::Anywhere, None).await?;
        self.reply(Some(name), node, &got)
    }

    /// Has the node at an address leave the cluster.
    pub async fn leave(
        &self,
        node: &str,
        body: &dto::LeaveBody,
        wait_ms: u64,
    ) -> Result<Reply<dto::Left>, ClientError> {
        let options = WriteOptions {
            wait_ms: Some(wait_ms),
            ..WriteOptions::default()
        };
        let mut wanted = self.write(Method::POST, "/v1/leave".to_owned(), &options)?;
        wanted.body = Some((JSON, json(body)?));
        let attempts_max = 1;
        let pin = Pin { node, attempts_max };
        let (node, got) = self.answer(&wanted, Repeat::Never, Some(pin)).await?;
        self.reply(None, node, &got)
    }

    /// Enrols an agent whose key the node holds. It can act on that node only.
    pub async fn enrol(
        &self,
        orchestra: &str,
        agent: &EnrolBody,
        options: &WriteOptions,
    ) -> Result<Reply<dto::Recorded>, ClientError> {
        self.post(orchestra, "agents", &agent.name, agent, options)
            .await
    }

    /// Has a node-held agent do something. Sent again it counts once, on the node that holds the
    /// key; another node would act in another agent's name, so it is never asked.
    pub async fn act(
        &self,
        orchestra: &str,
        agent: &str,
        action: &ActionBody,
        options: &WriteOptions,
    ) -> Result<Reply<dto::Recorded>, ClientError> {
        let body = ActBody {
            agent: agent.to_owned(),
            action: action.clone(),
        };
        if let ActionBody::Write(write) = action {
            // Its own route takes larger bodies.
            let mut fields = serde_json::to_value(write)
                .map_err(|error| ClientError::Usage(error.to_string()))?;
            fields["agent"] = agent.into();
            return self.post(orchestra, "files", agent, &fields, options).await;
        }
        self.post(orchestra, "actions", agent, &body, options).await
    }

    /// What a node measures of a content; nothing is written.
    pub async fn measure_content(
        &self,
        orchestra: &str,
        body: &dto::MeasureBody,
    ) -> Result<Reply<dto::MeasuredContent>, ClientError> {
        self.edit(Method::POST, orchestra, "measure", body, Repeat::Anywhere)
            .await
    }

    /// A token for longer, signed by the node that is asked, if it may renew. It counts once its agent
    /// has laid it before the orchestra.
    ///
    /// # Errors
    /// The node may not renew it, or nobody may any more.
    pub async fn renew_token(
        &self,
        orchestra: &str,
        token: &Blob,
    ) -> Result<Reply<dto::TokenRenewed>, ClientError> {
        let body = dto::RenewalBody {
            token: token.clone(),
        };
        self.edit(Method::POST, orchestra, "renewals", &body, Repeat::Anywhere)
            .await
    }

    /// Makes a note's text this.
    pub async fn put_note(
        &self,
        orchestra: &str,
        agent: &str,
        name: &str,
        text: &str,
    ) -> Result<Reply<dto::Done>, ClientError> {
        let body = serde_json::json!({ "agent": agent, "text": text });
        let what = format!("notes/{}", encoded(name));
        self.edit(Method::PUT, orchestra, &what, &body, Repeat::Anywhere)
            .await
    }

    /// Replaces a stretch of a note. Never sent twice: twice would insert twice.
    pub async fn splice_note(
        &self,
        orchestra: &str,
        agent: &str,
        name: &str,
        splice: &dto::NoteSpliceBody,
    ) -> Result<Reply<dto::Done>, ClientError> {
        let body = serde_json::json!({
            "agent": agent,
            "position": splice.position,
            "delete": splice.delete,
            "insert": splice.insert,
        });
        let what = format!("notes/{}", encoded(name));
        self.edit(Method::PATCH, orchestra, &what, &body, Repeat::Never)
            .await
    }

    /// Sets a configuration value.
    pub async fn set_config(
        &self,
        orchestra: &str,
        agent: &str,
        key: &str,
        value: &str,
    ) -> Result<Reply<dto::Done>, ClientError> {
        let body = serde_json::json!({ "agent": agent, "value": value });
        let what = format!("config/{}", encoded(key));
        self.edit(Method::PUT, orchestra, &what, &body, Repeat::Anywhere)
            .await
    }

    /// Takes a configuration value away.
    pub async fn remove_config(
        &self,
        orchestra: &str,
        agent: &str,
        key: &str,
    ) -> Result<Reply<dto::Done>, ClientError> {
        let path = path_of(orchestra, &format!("config/{}", encoded(key)));
        let path = with_query(&path, &[("agent", agent)]);
        let mut wanted = Wanted::new(Method::DELETE, path, None, self.inner.config.request_within);
        self.with_cursor(orchestra, &mut wanted);
        let (node, got) = self.answer(&wanted, Repeat::Anywhere, None).await?;
        self.reply(Some(orchestra), node, &got)
    }

    /// Where an agent that signs itself continues its chain, on one node.
    pub async fn session(
        &self,
        node: &str,
        orchestra: &str,
        agent: AgentId,
    ) -> Result<Reply<dto::Session>, ClientError> {
        let path = path_of(orchestra, &format!("session/{agent}"));
        let wanted = Wanted::new(Method::GET, path, None, self.inner.config.request_within);
        let (node, got) = self
            .answer(
                &wanted,
                Repeat::Anywhere,
                Some(Pin {
                    node,
                    attempts_max: 1,
                }),
            )
            .await?;
        self.reply(Some(orchestra), node, &got)
    }

    /// Sends a signed record's canonical bytes, and the content that it writes, if it does, to the node that it was signed for; the same bytes
    /// again until they are answered.
    pub async fn record(
        &self,
        node: &str,
        orchestra: &str,
        bytes: Vec<u8>,
        content: Option<&[u8]>,
        options: &WriteOptions,
    ) -> Result<Reply<dto::Recorded>, ClientError> {
        let mut wanted = self.write(Method::POST, path_of(orchestra, "records"), options)?;
        wanted.body = Some(match content {
            None => ("application/octet-stream", bytes.into()),
            Some(content) => {
                let body = dto::RecordBase64 {
                    record: BASE64.encode(&bytes),
                    content: Some(BASE64.encode(content)),
                };
                (JSON, json(&body)?)
            }
        });
        self.with_cursor(orchestra, &mut wanted);
        let pin = Pin {
            node,
            attempts_max: SAME_BYTES_MAX,
        };
        let (node, got) = self.answer(&wanted, Repeat::Here, Some(pin)).await?;
        self.reply(Some(orchestra), node, &got)
    }

    /// Asks the node that holds the agent's key, and no other.
    async fn post(
        &self,
        orchestra: &str,
        what: &str,
        agent: &str,
        body: &impl Serialize,
        options: &WriteOptions,
    ) -> Result<Reply<dto::Recorded>, ClientError> {
        let mut wanted = self.write(Method::POST, path_of(orchestra, what), options)?;
        wanted.body = Some((JSON, json(body)?));
        self.with_cursor(orchestra, &mut wanted);
        let node = self.home(orchestra, agent);
        let pin = Pin {
            node: &node,
            attempts_max: self.inner.config.attempts_max,
        };
        let (node, got) = self.answer(&wanted, Repeat::Here, Some(pin)).await?;
        self.at_home(orchestra, agent, &node);
        self.reply(Some(orchestra), node, &got)
    }

    async fn edit<T: DeserializeOwned>(
        &self,
        method: Method,
        orchestra: &str,
        what: &str,
        body: &impl Serialize,
        repeat: Repeat,
    ) -> Result<Reply<T>, ClientError> {
        let within = self.inner.config.request_within;
        let mut wanted = Wanted::new(method, path_of(orchestra, what), None, within);
        wanted.body = Some((JSON, json(body)?));
        self.with_cursor(orchestra, &mut wanted);
        let (node, got) = self.answer(&wanted, repeat, None).await?;
        self.reply(Some(orchestra), node, &got)
    }

    fn write(
        &self,
        method: Method,
        path: String,
        options: &WriteOptions,
    ) -> Result<Wanted, ClientError> {
        let durable_on = options.durable_on.map(|nodes| nodes.to_string());
        let wait_ms = options.wait_ms.map(|ms| ms.to_string());
        let mut query = Vec::new();
        query.extend(durable_on.as_deref().map(|nodes| ("durable_on", nodes)));
        query.extend(options.confirm.then_some(("confirm", "true")));
        query.extend(wait_ms.as_deref().map(|ms| ("wait_ms", ms)));
        let within = self.inner.config.request_within
            + Duration::from_millis(options.wait_ms.unwrap_or_default());
        let mut wanted = Wanted::new(method, with_query(&path, &query), None, within);
        let key = match &options.key {
            Some(key) => key.clone(),
            None => drawn_key()?,
        };
        put(&mut wanted.headers, "idempotency-key", &key);
        Ok(wanted)
    }
}

/// Words that nobody else uses.
pub(crate) fn drawn_key() -> Result<String, ClientError> {
    let bytes: [u8; 16] = random().map_err(|error| ClientError::Usage(error.to_string()))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

pub(crate) fn path_of(orchestra: &str, what: &str) -> String {
    format!("/v1/orchestras/{}/{what}", encoded(orchestra))
}

pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut path = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        path.push(if index == 0 { '?' } else { '&' });
        path.push_str(&encoded(name));
        path.push('=');
        path.push_str(&encoded(value));
    }
    path
}

fn json(body: &impl Serialize) -> Result<Bytes, ClientError> {
    let bytes = serde_json::to_vec(body).map_err(|error| ClientError::Usage(error.to_string()))?;
    Ok(bytes.into())
}
