//! Who reads: the agent of the command line, where an orchestra asks for it; and a session as text, for
//! programs that read by themselves.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_api::client::{ClientError, ReadAs, ReadKey};
use unisono_model::capability::Token;
use unisono_model::{OrchestraId, limits};

use super::session::Session;
use crate::cli::Global;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::sealed;

/// Minutes that a session is good for, at most.
const MINUTES_MAX: u64 = limits::SESSION_LIFE_MS_MAX / 60_000;

/// `session`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum SessionCommand {
    /// Signs a session and prints it, for the header Unisono-Session
    #[command(
        after_help = "Example:\n  curl -H \"Unisono-Session: $(unisono session open --as ada --key-file ada.key)\" http://127.0.0.1:7420/v1/orchestras/main/state"
    )]
    Open {
        /// How many minutes it is good for, 1 to 15
        #[arg(long, value_name = "N", default_value_t = 10,
            value_parser = clap::value_parser!(u64).range(1..=MINUTES_MAX))]
        minutes: u64,
        /// For every orchestra of the cluster, not for this one alone
        #[arg(long)]
        everywhere: bool,
    },
}

/// Who reads, if the command line says so.
pub(crate) fn reader(agent: Option<&str>, global: &Global) -> Option<ReadAs> {
    match (&global.key_file, agent) {
        (Some(_), _) => {
            let global = global.clone();
            Some(ReadAs::signing(move || {
                let failed = |failure: Failure| ClientError::Usage(failure.report().error.clone());
                key(&global).map_err(failed)
            }))
        }
        (None, Some(name)) => Some(ReadAs::held(name)),
        (None, None) => None,
    }
}

fn key(global: &Global) -> Result<ReadKey, Failure> {
    let Some(path) = &global.key_file else {
        return Err(Failure::usage("a session is signed with the agent's own key")
            .hint("--key-file FILE; for an agent whose key the node holds, send the header Unisono-As: NAME instead"));
    };
    let key = sealed::agent_key(path)?;
    let mut read = ReadKey {
        key,
        token: None,
        cluster: None,
    };
    if let Some(path) = &global.token_file {
        let bytes = super::token::read(&path.to_string_lossy())?;
        let (token, links) = Token::decode(&bytes)
            .map_err(|malformed| Failure::usage(format!("the token: {malformed}")))?;
        read.token = Some(token.id());
        read.cluster = links.first().map(|link| link.cluster);
    }
    Ok(read)
}

/// Does it.
pub(crate) async fn run(args: SessionArgs, session: &Session) -> Result<(), Failure> {
    let SessionCommand::Open {
        minutes,
        everywhere,
    } = args.command;
    session.is_now()?;
    let key = key(&session.global)?;
    let cluster = match key.cluster {
        Some(cluster) => cluster,
        None => session.client.version().await?.cluster,
    };
    let orchestra = (!everywhere).then(|| id_of(session, cluster)).transpose()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = u64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    let life = Duration::from_secs(60 * minutes);
    let text = key.session(cluster, orchestra, now_ms, life)?;
    if session.global.output == Format::Table {
        return output::raw(&format!("{text}\n"));
    }
    let told = json!({
        "session": text,
        "agent": key.agent(),
        "held": "agent",
        "token": key.token,
        "cluster": cluster,
        "orchestra": orchestra,
        "ends_ms": now_ms + minutes * 60_000,
    });
    output::answer(session.global.output, &told, None)
}

fn id_of(session: &Session, cluster: unisono_model::ClusterId) -> Result<OrchestraId, Failure> {
    match session.orchestra.strip_prefix("id:") {
        Some(id) => id
            .parse()
            .map_err(|error| Failure::usage(format!("the orchestra's id: {error}"))),
        None => Ok(OrchestraId::of(cluster, &session.orchestra)),
    }
}
