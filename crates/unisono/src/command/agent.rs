//! Agents: enrol, list, say how one is.

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_api::dto::{ActionBody, AgentKindWord, EnrolBody, PresenceBody, StatusWord};

use super::session::{Page, Session};
use super::word::word;
use crate::failure::Failure;
use crate::output::{self, Table};

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
        AgentCommand::List(page) => {
            let columns = &[
                ("NAME", "name"),
                ("ROLE", "role"),
                ("KIND", "kind"),
                ("KEY HELD BY", "held"),
                ("SINCE", "since.stamp.time"),
                ("AGENT", "agent"),
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
