//! Removing a node from the cluster, by the word of its root; and where another key is asked for.

use clap::{Args, Subcommand};
use unisono_api::client::Reply;
use unisono_api::dto::{ActionBody, Ends, Member, Members, RemoveBody};

use super::rotate::{self, RotateArgs};
use super::session::Session;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

/// `node`.
#[derive(Clone, Debug, Args)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    command: NodeCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum NodeCommand {
    /// Removes a node for good: a stolen or lost machine (roots only)
    #[command(
        after_help = "Example:\n  unisono node remove lab-3 --reason \"stolen\" --as root --key-file ./lab/root.key"
    )]
    Remove {
        /// Its id, the beginning of it, or its name
        // Not `node`: that is what everywhere names the nodes to ask.
        #[arg(value_name = "NODE")]
        member: String,
        /// Why, in a sentence
        #[arg(long, default_value = "")]
        reason: String,
        /// Nothing that it ever wrote stays; otherwise what the node asked here holds of it stays
        #[arg(long)]
        nothing_stays: bool,
    },
    /// Gives this machine's node another key: it leaves, and is a member anew under the same name, and
    /// agents whose keys it holds stay who they are
    #[command(after_help = "Example:\n  unisono node rotate --data ./lab2 --invite unisono1.abc…")]
    Rotate(RotateArgs),
}

/// Does what is asked about a node.
pub(crate) async fn run(args: NodeArgs, config: Config, global: Global) -> Result<(), Failure> {
    let (wanted, reason, nothing_stays) = match args.command {
        NodeCommand::Rotate(args) => return rotate::run(args, config, global).await,
        NodeCommand::Remove {
            member,
            reason,
            nothing_stays,
        } => (member, reason, nothing_stays),
    };
    let mut session = Session::new(config, global).await?;
    // Whoever belongs to the cluster stands in its own orchestra, whichever one is worked in.
    session.orchestra = "cluster".into();
    let members: Reply<Members> = session.client.members().await?;
    let member = one_of(&members.body.members, &wanted)?.clone();
    let id = member.node.to_string();
    let ends: Reply<Ends> = session.read("trust/ends", &[("node", &id)]).await?;
    let Ends {
        ends,
        staying,
        left_out,
    } = ends.body;
    if staying.is_empty() {
        let words = format!(
            "{} is the last member: without it the cluster would be gone; nothing changed",
            member.name
        );
        return Err(Failure::new(Exit::Denied, "last_member", words));
    }
    let ends = if nothing_stays { Vec::new() } else { ends };
    let (logs, others) = (ends.len(), staying.len());
    let body = RemoveBody {
        node: member.node,
        ends,
        staying,
        reason,
    };
    let reply = session
        .act(ActionBody::Remove(body), session.options())
        .await?;
    let shown = session.show_recorded(&reply);
    if session.global.output != Format::Table {
        return shown;
    }
    let unnamed = if left_out > 0 && !nothing_stays {
        format!("; nothing of {left_out} more, for which there was no room")
    } else {
        String::new()
    };
    output::raw(&format!(
        "{} ({id}) is removed for good: no node that knows it speaks with it, in whatever life\n\
         what this node holds of {logs} logs of it stays{unnamed}; what comes from behind counts nowhere\n\
         {others} other members learn of it as they hear each other\n\
         its machine comes back by an invite alone, as a new node with a new directory\n",
        member.name
    ))?;
    shown
}

/// The member that is meant. A name is meant before the beginning of an id: a removal cannot be undone.
fn one_of<'a>(members: &'a [Member], text: &str) -> Result<&'a Member, Failure> {
    // Nodes name themselves, and may do so by the id of another one.
    if let Some(one) = members.iter().find(|one| one.node.to_string() == text) {
        return Ok(one);
    }
    let named = |member: &&Member| member.name == text;
    let begins = |member: &&Member| text.len() >= 4 && member.node.to_string().starts_with(text);
    let mut found: Vec<&Member> = members.iter().filter(named).collect();
    if found.is_empty() {
        found = members.iter().filter(begins).collect();
    }
    // Who has left keeps its name, and another node may have it since.
    let staying: Vec<&Member> = found.iter().copied().filter(|one| one.stays()).collect();
    if let [one] = staying[..] {
        return Ok(one);
    }
    match found[..] {
        [one] => Ok(one),
        [] => Err(Failure::usage(format!("no member is called {text}")).next("unisono members")),
        _ => Err(Failure::usage(format!(
            "{} members are called {text}, {}: say which by its id",
            found.len(),
            named_of(&found)
        ))
        .next("unisono members")),
    }
}

/// Their ids, each with whether it has left.
fn named_of(members: &[&Member]) -> String {
    let each = members.iter().map(|one| {
        let left = if one.stays() { "" } else { " (left)" };
        format!("{}{left}", one.node)
    });
    each.collect::<Vec<_>>().join(" and ")
}
