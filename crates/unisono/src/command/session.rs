//! One conversation with the cluster: the client, the orchestra, who acts, and how answers are shown.

use std::fmt::Write;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use unisono_api::client::{
    Client, ClientError, Config as ClientConfig, Reply, SigningAgent, WriteOptions,
};
use unisono_api::dto::{
    ActionBody, AgentKindWord, Claim, EnrolBody, HeldBy, Paged, Recorded, SignalBody,
};
use unisono_core::replication::Cursor;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};
use crate::sealed;

/// A part of a list.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Page {
    /// At most so many, 1 to 1000; 1000 if left out
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Goes on after this: the `next_after` of the page before (-o json), as of the same moment
    #[arg(long, value_name = "NAME")]
    after: Option<String>,
}

impl Page {
    /// What is asked for.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| ("limit", limit.to_string()));
        let after = self.after.clone().map(|after| ("after", after));
        limit.into_iter().chain(after).collect()
    }
}

/// A conversation.
#[derive(Debug)]
pub(crate) struct Session {
    /// The client.
    pub(crate) client: Client,
    /// The orchestra's name.
    pub(crate) orchestra: String,
    /// What every command understands.
    pub(crate) global: Global,
    pub(super) agent: Option<String>,
}

impl Session {
    /// The moment that reads are asked to speak of, if one was named.
    pub(crate) fn as_of(&self) -> Option<&str> {
        self.global.as_of.as_deref()
    }

    /// Refuses a moment where something is done, or shown as it is now: an answer that bore the time
    /// asked for and spoke of another would be a lie.
    pub(crate) fn is_now(&self) -> Result<(), Failure> {
        if self.as_of().is_none() {
            return Ok(());
        }
        Err(Failure::usage(
            "this knows no --as-of: what is done, is done now; nothing changed",
        )
        .hint("leave --as-of out; views of an orchestra take it, and `rollback --to` goes back"))
    }

    /// Finds a node to speak to.
    pub(crate) async fn new(config: Config, global: Global) -> Result<Self, Failure> {
        let client = connect(&config).await?;
        let orchestra = config
            .text("orchestra")
            .unwrap_or(crate::config::ORCHESTRA)
            .to_owned();
        if let Some(text) = &global.min_cursor {
            let cursor = Cursor::from_text(text).ok_or_else(|| {
                Failure::usage("--min-cursor is not a cursor that a node gave out")
            })?;
            client.seen(&orchestra, &cursor);
        }
        let agent = config.text("as").map(str::to_owned);
        let client = match super::reading::reader(agent.as_deref(), &global) {
            Some(reader) => client.reading_as(reader),
            None => client,
        };
        Ok(Self {
            client,
            orchestra,
            global,
            agent,
        })
    }

    /// Who acts.
    pub(crate) fn agent(&self) -> Result<&str, Failure> {
        self.agent.as_deref().ok_or_else(|| {
            Failure::usage("who acts is not said")
                .hint("--as NAME, or UNISONO_AS, or `as` in the configuration")
                .next("unisono agent enrol NAME")
        })
    }

    /// The terms of a write.
    pub(crate) fn options(&self) -> WriteOptions {
        WriteOptions {
            durable_on: self.global.durable_on,
            confirm: false,
            wait_ms: self.global.wait_ms,
            key: self.global.idempotency_key.clone(),
        }
    }

    /// The agent that signs by itself, where a key file was named.
    pub(crate) fn signing_as(
        &self,
        name: &str,
        role: &str,
        kind: AgentKindWord,
        tier: Option<&str>,
    ) -> Result<Option<SigningAgent>, Failure> {
        self.signing_in(&self.orchestra, name, role, kind, tier)
    }

    fn signing_in(
        &self,
        orchestra: &str,
        name: &str,
        role: &str,
        kind: AgentKindWord,
        tier: Option<&str>,
    ) -> Result<Option<SigningAgent>, Failure> {
        let Some(path) = &self.global.key_file else {
            return Ok(None);
        };
        let key = sealed::agent_key_or_new(path)?;
        let introduction = EnrolBody {
            name: name.to_owned(),
            role: role.to_owned(),
            kind,
            tier: tier.map(str::to_owned),
        };
        let client = self.client.clone();
        let agent = SigningAgent::new(client, orchestra, key, introduction);
        Ok(Some(match &self.global.token_file {
            Some(path) => {
                let agent = agent.under(super::token::read(&path.to_string_lossy())?)?;
                if path.is_file() {
                    agent.keeping_token_in(path.clone())
                } else {
                    agent
                }
            }
            None => agent,
        }))
    }

    /// Has an agent that signs for itself say a signal in another orchestra; for others the node
    /// does, with what is said here.
    pub(crate) async fn say_there(&self, there: &str, body: &SignalBody) -> Result<(), Failure> {
        self.is_now()?;
        let elsewhere = self.signing_in(there, self.agent()?, "", AgentKindWord::Ai, None)?;
        let Some(agent) = elsewhere else {
            return Ok(());
        };
        let body = SignalBody {
            to_orchestra: None,
            from_orchestra: Some(self.orchestra.clone()),
            ..body.clone()
        };
        let options = self.options();
        agent.act(ActionBody::Emit(body), &options).await?;
        Ok(())
    }

    /// Has the agent do something.
    pub(crate) async fn act(
        &self,
        action: ActionBody,
        options: WriteOptions,
    ) -> Result<Reply<Recorded>, Failure> {
        self.is_now()?;
        let agent = self.agent()?;
        if let Some(agent) = self.signing_as(agent, "", AgentKindWord::Ai, None)? {
            return Ok(agent.act(action, &options).await?);
        }
        let done = self
            .client
            .act(&self.orchestra, agent, &action, &options)
            .await;
        done.map_err(|error| {
            let unknown = error.is_code(unisono_model::Code::AgentUnknown)
                || error.is_code(unisono_model::Code::NotHeld);
            // Where it is unknown in another orchestra, the node's hint names that one.
            let across = matches!(&action, ActionBody::Emit(body) if body.to_orchestra.is_some());
            let failure = Failure::from(error);
            if unknown && !across {
                failure.next(format!("unisono agent enrol {agent}"))
            } else {
                failure
            }
        })
    }

    /// Has the agent do something, and shows what came of it.
    pub(crate) async fn show_act(&self, action: ActionBody) -> Result<(), Failure> {
        let reply = self.act(action, self.options()).await?;
        self.show_recorded(&reply)
    }

    /// Shows what came of an action: to people in a line, to programs in full.
    pub(crate) fn show_recorded(&self, reply: &Reply<Recorded>) -> Result<(), Failure> {
        let recorded = &reply.body;
        if self.global.output == Format::Table {
            Self::show_line(recorded)?;
        } else {
            self.show(reply, None)?;
        }
        let (on, wanted) = (recorded.durable_on, recorded.durable_wanted);
        // Who asked for so many takes a zero for all of them.
        if self.global.durable_on.is_some() && on < wanted {
            let words = if recorded.repeated {
                format!(
                    "it was recorded before, and who holds it is not asked again: {on} of {wanted} disks is sure"
                )
            } else {
                format!("it is recorded, on {on} of {wanted} disks")
            };
            let hint = if recorded.repeated {
                "it spreads by itself once others are heard; whoever has to know writes anew, with another key"
            } else {
                "it spreads by itself once others are heard; --wait-ms waits longer"
            };
            return Err(Failure::new(Exit::TimedOut, "not_durable", words)
                .changed()
                .hint(hint)
                .next("unisono members"));
        }
        Ok(())
    }

    fn show_line(recorded: &Recorded) -> Result<(), Failure> {
        let claim = recorded.claim.as_ref().map(line_of).unwrap_or_default();
        let again = if recorded.repeated {
            ", as answered before"
        } else {
            ""
        };
        let Recorded {
            record,
            durable_on,
            durable_wanted,
            stamp,
            ..
        } = recorded;
        let disks = if durable_on < durable_wanted {
            format!("{durable_on} of {durable_wanted} disks")
        } else {
            format!(
                "{durable_on} disk{}",
                if *durable_on == 1 { "" } else { "s" }
            )
        };
        let time = stamp.time;
        output::raw(&format!(
            "{claim}record {record} at {time:.3}, on {disks}{again}\n"
        ))
    }

    /// Reads something of the orchestra.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, Failure> {
        Ok(self.read_in(&self.orchestra, what, query).await?)
    }

    /// Reads all of a list of the orchestra, page by page as of one moment.
    pub(crate) async fn read_whole<T: DeserializeOwned + Paged>(
        &self,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, Failure> {
        let query = self.on_terms(query);
        let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let read = || self.client.read_whole(&self.orchestra, what, &query);
        match read().await {
            Err(refused) if self.lays_down(&self.orchestra, &refused).await? => Ok(read().await?),
            read => Ok(read?),
        }
    }

    /// Reads something of any orchestra, on the terms that stand on the command line.
    pub(crate) async fn read_in<T: DeserializeOwned>(
        &self,
        orchestra: &str,
        what: &str,
        query: &[(&str, &str)],
    ) -> Result<Reply<T>, ClientError> {
        let query = self.on_terms(query);
        let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let read = || self.client.read(orchestra, what, &query);
        match read().await {
            Err(refused) if self.lays_down(orchestra, &refused).await? => read().await,
            read => read,
        }
    }

    /// Lays the agent's token before an orchestra that asks who reads and has not seen it: with the first
    /// thing that it does there, as ever.
    async fn lays_down(&self, orchestra: &str, refused: &ClientError) -> Result<bool, ClientError> {
        if !refused.is_code(unisono_model::Code::TokenUnknown) {
            return Ok(false);
        }
        let name = self.agent.as_deref().unwrap_or_default();
        let agent = self.signing_in(orchestra, name, "", AgentKindWord::Ai, None);
        let agent = agent.map_err(|failure| ClientError::Usage(failure.report().error.clone()))?;
        match agent {
            Some(agent) => agent.lay_down().await,
            None => Ok(false),
        }
    }

    fn on_terms<'a>(&self, query: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
        let own = query
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        let as_of = self.global.as_of.clone().map(|moment| ("as_of", moment));
        let wait = self.global.wait_ms.map(|ms| ("wait_ms", ms.to_string()));
        own.chain(as_of).chain(wait).collect()
    }

    /// Reads something of the orchestra, and shows it.
    pub(crate) async fn show_read(
        &self,
        what: &str,
        query: &[(&str, &str)],
        table: Option<Table>,
    ) -> Result<(), Failure> {
        let reply: Reply<Value> = self.read(what, query).await?;
        self.show(&reply, table)
    }

    /// Shows an answer, with what it says about itself.
    pub(crate) fn show<T: Serialize>(
        &self,
        reply: &Reply<T>,
        table: Option<Table>,
    ) -> Result<(), Failure> {
        let mut body = serde_json::to_value(&reply.body)
            .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
        if let Some(fields) = body.as_object_mut() {
            let mut add = |name: &str, value: Value| {
                if !value.is_null() {
                    fields.entry(name).or_insert(value);
                }
            };
            add(
                "as_of",
                reply
                    .as_of
                    .map_or(Value::Null, |stamp| json!(stamp.to_string())),
            );
            add("final", json!(reply.is_final));
            let cursor = reply.cursor.as_ref();
            add(
                "cursor",
                cursor.map_or(Value::Null, |cursor| cursor.to_text().into()),
            );
            add("answered_by", json!(reply.node));
        }
        output::answer(self.global.output, &body, table)?;
        if self.global.output != Format::Json
            && let Some(after) = body["next_after"].as_str()
        {
            output::say(&more(after, body["as_of"].as_str()));
        }
        Ok(())
    }
}

/// How the next page is had, to whoever does not see what the answer says of itself.
fn more(after: &str, as_of: Option<&str>) -> String {
    let after = serde_json::to_string(after).unwrap_or_default();
    let as_of = as_of.map_or_else(String::new, |at| format!(" --as-of {at}"));
    format!("there may be more: the same command with --after {after}{as_of}")
}

/// A claim to people.
fn line_of(claim: &Claim) -> String {
    let Claim {
        topic,
        holder,
        token,
        until,
        ..
    } = claim;
    let status = serde_json::to_value(claim.status).unwrap_or_default();
    let status = status.as_str().unwrap_or_default();
    if let Some(HeldBy { holder, until }) = &claim.held_by {
        let until = until.time;
        return format!("{status}: {topic} is held by {holder} until {until:.3}\n");
    }
    let token = if claim.token_valid {
        format!("token {}", token.stamp)
    } else {
        // Somebody beyond a cut held it too, and has a higher token.
        "no token: it was contested, and `unisono renew` makes one".to_owned()
    };
    let until = until.time;
    format!("{status}: {holder} holds {topic} until {until:.3}, {token}\n")
}

/// A client of the configured nodes.
pub(crate) async fn connect(config: &Config) -> Result<Client, Failure> {
    let nodes = config.list("node");
    let alone = nodes.len() == 1;
    let mut client = ClientConfig::new(nodes);
    if let Some(path) = config.text("http_token_file") {
        let token = std::fs::read_to_string(path).map_err(|error| Failure::system(path, &error))?;
        client.token = Some(token.trim().to_owned());
    }
    // With one node there is nothing to choose, and nothing to measure.
    Ok(if alone {
        Client::offline(client)?
    } else {
        Client::connect(client).await?
    })
}

/// A name as one step of a path.
pub(crate) fn encoded(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // A string takes everything.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
