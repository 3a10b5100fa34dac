//! The node, the members, the orchestra and its iteration, as they are.

use clap::{Args, Subcommand};
use unisono_api::client::Reply;
use unisono_api::dto::{
    ActionBody, AdvanceBody, CertificateWord, ChannelModeWord, Damage, Iteration, Member, Members,
    NodeCertificate, Status,
};
use unisono_quic::identity::spoken;

use super::session::Session;
use crate::failure::Failure;
use crate::output::{self, Format, Table};

/// `state`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StateArgs {
    /// Makes the orchestra if it is not there
    #[arg(long)]
    create: bool,
    /// Shows digests that agree where replicas do, instead
    #[arg(long)]
    hash: bool,
}

/// `iteration`.
#[derive(Clone, Debug, Args)]
pub(crate) struct IterationArgs {
    #[command(subcommand)]
    command: Option<IterationCommand>,
}

#[derive(Clone, Debug, Subcommand)]
enum IterationCommand {
    /// The current one (the same as no word)
    #[command(after_help = "Example:\n  unisono iteration show")]
    Show,
    /// Ends one
    #[command(after_help = "Example:\n  unisono iteration advance --as ada --from 1")]
    Advance {
        /// Which; the current one if left out
        #[arg(long)]
        from: Option<u32>,
    },
}

const MEMBERS: Table = Table {
    list: "members",
    columns: &[
        ("NAME", "name"),
        ("REGION", "region"),
        ("ADDRESS", "address"),
        ("ALIVE", "alive"),
        ("HEARD MS AGO", "heard_ms_ago"),
        ("ROUND TRIP US", "round_trip_us"),
        ("BEHIND", "behind"),
        ("NODE", "node"),
    ],
};

const ORCHESTRAS: Table = Table {
    list: "orchestras",
    columns: &[
        ("NAME", "name"),
        ("RECORDS", "records"),
        ("ORCHESTRA", "orchestra"),
    ],
};

/// Shows how the node is.
pub(crate) async fn status(session: &Session) -> Result<(), Failure> {
    let reply: Reply<Status> = session.client.status().await?;
    if session.global.output != Format::Table {
        return session.show(&reply, None);
    }
    let status = &reply.body;
    let off = status
        .clock_offset_ms
        .map_or("not compared".to_owned(), |ms| format!("{ms} ms off"));
    let ahead = status.stamps_ahead_ms;
    let ahead = ahead.map_or_else(String::new, |ms| {
        format!(", its stamps {ms} ms ahead of it")
    });
    output::raw(&format!(
        "node      {} in {} ({})\ncluster   {}\ndisk      {}\nclock     {off}{ahead}\nwaiting   {}\n",
        status.name,
        status.region,
        status.node,
        status.cluster,
        if status.disk_full {
            "full: writes are refused"
        } else {
            "writable"
        },
        status.waiting,
    ))?;
    // A node of an earlier version tells no cluster time.
    if let Ok(clock) = session.client.clock().await {
        output::raw(&format!("time      {}\n", super::clock::words(&clock.body)))?;
        let channels = clock.body.channels.as_ref();
        if let Some(channels) = channels.filter(|one| one.mode != ChannelModeWord::Whole) {
            let words = super::clock::channels_words(channels);
            output::raw(&format!("channels  {words}\n"))?;
        }
    }
    if let Some(certificate) = &status.certificate {
        output::raw(&format!("keys      {}\n", certificate_words(certificate)))?;
    }
    for damage in &status.damage {
        output::raw(&format!("damage    {}\n", damage_words(damage)))?;
    }
    show_members(&status.members)
}

/// When the certificate ends, and what is wrong with it.
fn certificate_words(certificate: &NodeCertificate) -> String {
    let now_ms = crate::home::now_ms();
    let ends = match certificate.state {
        CertificateWord::Ended => {
            let ago = spoken(now_ms.saturating_sub(certificate.ends_ms));
            format!("the certificate ended {ago} ago")
        }
        CertificateWord::Fresh | CertificateWord::Due | CertificateWord::Overdue => {
            let left = spoken(certificate.ends_ms.saturating_sub(now_ms));
            format!("the certificate ends in {left}")
        }
    };
    let trouble = certificate.trouble.as_ref();
    let trouble = trouble.map_or_else(String::new, |trouble| {
        let since = spoken(now_ms.saturating_sub(trouble.since_ms));
        format!(", not renewed since {since}: {}", trouble.detail)
    });
    let current = certificate.authorities.first().map(|one| one.authority);
    let former = if current.is_none_or(|current| current == certificate.authority) {
        ""
    } else {
        ", of a former authority"
    };
    format!("{ends}{former}{trouble}")
}

/// Those that belong to the cluster.
fn show_members(members: &[Member]) -> Result<(), Failure> {
    let here: Vec<&Member> = members.iter().filter(|one| one.stays()).collect();
    let shown = serde_json::json!({ "members": here });
    output::answer(Format::Table, &shown, Some(MEMBERS))
}

/// What a node has lost, in a sentence.
pub(crate) fn damage_words(damage: &Damage) -> String {
    let ranges: Vec<String> = damage
        .bundles
        .iter()
        .map(|(first, last)| format!("{first}-{last}"))
        .collect();
    let segments: Vec<String> = damage.segments.iter().map(ToString::to_string).collect();
    let place = match segments.as_slice() {
        [] => "its journal".to_owned(),
        _ => format!("segment {} of its journal", segments.join(", ")),
    };
    let log = unisono_model::LogId::from(damage.log);
    format!(
        "bundles {} of log {} {} of orchestra {} cannot be read from {place}; {}",
        ranges.join(", "),
        log.node,
        log.incarnation,
        damage.orchestra,
        if damage.asked {
            "other members are asked for them"
        } else {
            "no other member has a copy"
        },
    )
}

/// Shows the members, and who is none any more.
pub(crate) async fn members(session: &Session) -> Result<(), Failure> {
    let reply: Reply<Members> = session.client.members().await?;
    if session.global.output != Format::Table {
        return session.show(&reply, Some(MEMBERS));
    }
    let members = &reply.body.members;
    show_members(members)?;
    for member in members.iter().filter(|one| !one.stays() || one.outdone) {
        let how = if member.expelled {
            "was removed by the root"
        } else if member.outdone && member.left {
            "has left, since its invite has let in another node"
        } else if member.outdone {
            "has to leave, since its invite has let in another node"
        } else if member.left {
            "has left"
        } else {
            "was left out by a view"
        };
        output::raw(&format!("{} {how} ({})\n", member.name, member.node))?;
    }
    Ok(())
}

/// Shows the orchestras, the cluster's own among them.
pub(crate) async fn orchestras(session: &Session) -> Result<(), Failure> {
    let reply = session.client.orchestras().await?;
    session.show(&reply, Some(ORCHESTRAS))
}

/// Shows the orchestra in numbers.
pub(crate) async fn state(args: StateArgs, session: &Session) -> Result<(), Failure> {
    if args.create {
        session.is_now()?;
        session.client.open(&session.orchestra).await?;
    }
    session
        .show_read(if args.hash { "hash" } else { "state" }, &[], None)
        .await
}

/// Shows or ends the iteration.
pub(crate) async fn iteration(args: IterationArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        None | Some(IterationCommand::Show) => session.show_read("iteration", &[], None).await,
        Some(IterationCommand::Advance { from }) => {
            let from = if let Some(from) = from {
                from
            } else {
                let now: Reply<Iteration> = session.client.iteration(&session.orchestra).await?;
                now.body.iteration
            };
            session
                .show_act(ActionBody::Advance(AdvanceBody { from }))
                .await
        }
    }
}
