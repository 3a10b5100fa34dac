//! Agents: enrol, list, say how one is.

use std::io::ErrorKind;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_api::client::{NotRotated, Rotated};
use unisono_api::dto::{ActionBody, AgentKindWord, EnrolBody, PresenceBody, StatusWord};

use super::session::{Page, Session};
use super::word::word;
use crate::failure::Failure;
use crate::output::{self, Table};
use crate::sealed;

/// `agent`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    command: AgentCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum AgentCommand {
    /// Introduces an agent: the node holds its key, or --key-file does
    #[command(after_help = "Example:\n  unisono agent enrol ada --role builder")]
    Enrol {
        /// Its name
        name: String,
        /// What it does in this orchestra
        #[arg(long, default_value = "")]
        role: String,
        /// What stands behind it: ai, human, node
        #[arg(long, default_value = "ai", value_parser = word::<AgentKindWord>)]
        kind: AgentKindWord,
        /// The tier that its key is bound to for life; none: no token counts for it
        #[arg(long)]
        tier: Option<String>,
    },
    /// Gives the key in --key-file up for a new one, which takes its place
    #[command(
        after_help = "Example:\n  unisono agent rotate ivy --key-file ivy.key --key-out ivy.2.key"
    )]
    Rotate {
        /// Its name
        name: String,
        /// Where the new key is, or is written before anything is sent; the file of --key-file
        /// with `.next` behind it if left out
        #[arg(long, value_name = "FILE")]
        key_out: Option<PathBuf>,
    },
    /// Who is enrolled
    #[command(after_help = "Example:\n  unisono agent list")]
    List(Page),
}

/// `presence`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PresenceArgs {
    /// How this agent is: active, thinking, blocked, idle, absent; shows all agents if left out
    #[arg(value_parser = word::<StatusWord>)]
    status: Option<StatusWord>,
    /// What it means to do, in one sentence
    #[arg(long, default_value = "")]
    intent: String,
    /// What it looks at
    #[arg(long, default_value = "")]
    focus: String,
}

/// Enrols or lists.
pub(crate) async fn run(args: AgentArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        AgentCommand::Enrol {
            name,
            role,
            kind,
            tier,
        } => enrol(session, name, role, kind, tier).await,
        AgentCommand::Rotate { name, key_out } => rotate(session, &name, key_out).await,
        AgentCommand::List(page) => {
            let columns = &[
                ("NAME", "name"),
                ("ROLE", "role"),
                ("KIND", "kind"),
                ("KEY HELD BY", "held"),
                ("SINCE", "since.stamp.time"),
                ("AGENT", "agent"),
                ("KEY", "key"),
            ];
            let page = page.query();
            let query: Vec<_> = page.iter().map(|(n, v)| (*n, v.as_str())).collect();
            session
                .show_read(
                    "agents",
                    &query,
                    Some(Table {
                        list: "agents",
                        columns,
                    }),
                )
                .await
        }
    }
}

async fn enrol(
    session: &Session,
    name: String,
    role: String,
    kind: AgentKindWord,
    tier: Option<String>,
) -> Result<(), Failure> {
    session.is_now()?;
    if let Some(agent) = session.signing_as(&name, &role, kind, tier.as_deref())? {
        agent.enrol().await?;
        let enrolled = json!({ "agent": agent.agent(), "name": name, "held": "agent" });
        return output::answer(session.global.output, &enrolled, None);
    }
    let body = EnrolBody {
        name,
        role,
        kind,
        tier,
    };
    let reply = session
        .client
        .enrol(&session.orchestra, &body, &session.options())
        .await?;
    session.show_recorded(&reply)
}

async fn rotate(session: &Session, name: &str, out: Option<PathBuf>) -> Result<(), Failure> {
    session.is_now()?;
    let Some(from) = &session.global.key_file else {
        return Err(Failure::usage(
            "an agent's key is given up by who holds it, and no --key-file is named; nothing changed",
        )
        .hint(
            "name the file with the key that the agent has. A key that a node holds follows from the \
             node's own and from the name, and changes with that: `unisono node rotate`",
        ));
    };
    // One that was not there would be drawn here, and be nobody's.
    let former = sealed::unlocked(from)?;
    let out = out.unwrap_or_else(|| {
        let mut next = from.clone().into_os_string();
        next.push(".next");
        next.into()
    });
    let drawn = matches!(out.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound);
    let next = match &former.passphrase {
        Some(passphrase) => sealed::agent_key_or_sealed(&out, passphrase),
        None => sealed::agent_key_or_new(&out),
    };
    let next =
        next.map_err(|failure| failure.hint("nothing was sent; name another file with --key-out"))?;
    if next.agent() == former.key.agent() {
        let words = format!(
            "{} holds the key that the agent has already; nothing changed",
            out.display()
        );
        return Err(Failure::usage(words).hint("name another file with --key-out"));
    }
    let Some(agent) = session.signing_as(name, "", AgentKindWord::Ai, None)? else {
        return Err(Failure::usage("no --key-file is named; nothing changed"));
    };
    let rotated = agent.rotate(&next, &session.options()).await;
    let rotated = rotated.map_err(|NotRotated { error, is_definite }| {
        // Nobody has the key that was drawn for this, and a later try would take it up. One that was
        // there before may be somebody's, and one that may have been recorded is the agent's.
        if drawn && is_definite && std::fs::remove_file(&out).is_ok() {
            return Failure::from(error);
        }
        let again = format!(
            "unisono agent rotate {name} --key-file {} --key-out {}",
            from.display(),
            out.display()
        );
        Failure::from(error).next(again)
    })?;
    let record = match &rotated {
        Rotated::Now(reply) => json!(reply.body.record),
        Rotated::Before => json!(null),
    };
    let told = json!({
        "name": name,
        "former": former.key.agent(),
        "key": next.agent(),
        "key_file": out,
        "record": record,
    });
    output::answer(session.global.output, &told, None)?;
    output::say(&format!(
        "{name} signs with the key in {} from now on, in {}; what {} signs counts no more",
        out.display(),
        session.orchestra,
        from.display()
    ));
    Ok(())
}

/// Says how the agent is, or shows how all are.
pub(crate) async fn presence(args: PresenceArgs, session: &Session) -> Result<(), Failure> {
    let Some(status) = args.status else {
        let columns = &[
            ("NAME", "name"),
            ("ROLE", "role"),
            ("STATUS", "status"),
            ("INTENT", "intent"),
            ("FOCUS", "focus"),
            ("LAST ACTION", "last_action.time"),
            ("STALE", "stale"),
            ("MARKS", "contributions"),
        ];
        return session
            .show_read(
                "presence",
                &[],
                Some(Table {
                    list: "presence",
                    columns,
                }),
            )
            .await;
    };
    let PresenceArgs { intent, focus, .. } = args;
    session
        .show_act(ActionBody::Presence(PresenceBody {
            status,
            intent,
            focus,
        }))
        .await
}
