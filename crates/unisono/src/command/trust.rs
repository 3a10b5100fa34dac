//! Rights in an orchestra: guard it, fence something off, see what stands and what was refused.

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_api::client::Reply;
use unisono_api::client::review::Voided;
use unisono_api::dto::{ActionBody, Chains, FenceBody, GuardBody, TargetBody};
use unisono_model::{AgentId, Digest, limits};

use super::session::Session;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};
use crate::tier;

/// `fence`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FenceArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Why, in a sentence
    #[arg(long, default_value = "")]
    reason: String,
    /// Voids everything that was ever done under it, too; otherwise what this node has seen stays
    #[arg(long)]
    nothing_stays: bool,
}

#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct TargetArgs {
    /// Ends every token that passes through this link
    #[arg(long, value_name = "LINK")]
    link: Option<Digest>,
    /// Ends everything that this key signs
    #[arg(long, value_name = "AGENT")]
    key: Option<AgentId>,
    /// Ends every token of an epoch before this one (roots only)
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
}

/// `epoch`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EpochArgs {
    /// The first epoch whose tokens still count
    #[arg(value_name = "N")]
    epoch: u32,
    /// Why, in a sentence
    #[arg(long, default_value = "")]
    reason: String,
    /// Voids everything that was ever done under them, too; otherwise what this node has seen stays
    #[arg(long)]
    nothing_stays: bool,
}

/// `tier`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TierArgs {
    #[command(subcommand)]
    command: TierCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum TierCommand {
    /// The tiers that ship
    #[command(after_help = "Example:\n  unisono tier list")]
    List,
    /// Prints a tier's file, to be copied and changed
    #[command(after_help = "Example:\n  unisono tier show executive > mine.toml")]
    Show {
        /// Which
        name: String,
    },
}

/// From now on every action in the orchestra needs a token.
pub(crate) async fn guard(session: &Session) -> Result<(), Failure> {
    session.show_act(ActionBody::Guard(GuardBody {})).await
}

/// Ends what tokens or a key allowed.
pub(crate) async fn fence(args: FenceArgs, session: &Session) -> Result<(), Failure> {
    let TargetArgs { link, key, epoch } = args.target;
    let (target, name, value) = match (link, key, epoch) {
        (Some(link), _, _) => (TargetBody::Link(link), "link", link.to_string()),
        (_, Some(key), _) => (TargetBody::Key(key), "key", key.to_string()),
        (_, _, epoch) => {
            let epoch = epoch.unwrap_or_default();
            (TargetBody::Epoch(epoch), "epoch", epoch.to_string())
        }
    };
    let keep = if args.nothing_stays {
        Vec::new()
    } else {
        let chains: Reply<Chains> = session.read("trust/chains", &[(name, &value)]).await?;
        chains.body.chains
    };
    if keep.len() > limits::FENCE_CHAINS_MAX {
        let words = format!(
            "{} chains are under this, and one fence can keep a part of {}; nothing was fenced",
            keep.len(),
            limits::FENCE_CHAINS_MAX
        );
        return Err(Failure::new(Exit::Denied, "fence_too_wide", words)
            .hint("fence the links below it one by one, or with --nothing-stays"));
    }
    let reason = args.reason;
    let body = FenceBody {
        target,
        reason,
        keep,
    };
    session.show_act(ActionBody::Fence(body)).await
}

/// Ends every token of an epoch before one: `fence --epoch`.
pub(crate) async fn epoch(args: EpochArgs, session: &Session) -> Result<(), Failure> {
    let target = TargetArgs {
        link: None,
        key: None,
        epoch: Some(args.epoch),
    };
    let args = FenceArgs {
        target,
        reason: args.reason,
        nothing_stays: args.nothing_stays,
    };
    fence(args, session).await
}

/// What rights stand.
pub(crate) async fn trust(session: &Session) -> Result<(), Failure> {
    if session.global.output != Format::Table {
        return session.show_read("trust", &[], None).await;
    }
    let columns = &[
        ("WHEN", "stamp.time"),
        ("TARGET", "target"),
        ("BY ROOT", "by_root"),
        ("REASON", "reason"),
    ];
    let list = "fences";
    session
        .show_read("trust", &[], Some(Table { list, columns }))
        .await
}

/// The records that do not count, and what was built on them. Of an earlier moment the records alone:
/// what was built by then may be void itself by now.
pub(crate) async fn voided(session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("WHEN", "stamp.time"),
        ("AGENT", "name"),
        ("DEED", "deed"),
        ("RULE", "rule"),
        ("WHY", "detail"),
        ("REVIEW", "review"),
        ("RECORD", "record"),
    ];
    let list = "voided";
    let table = Some(Table { list, columns });
    if session.as_of().is_some() {
        return session.show_read("trust", &[], table).await;
    }
    let reply = session.client.reviewed(&session.orchestra).await?;
    session.show(&reply, table)?;
    if session.global.output != Format::Table {
        return Ok(());
    }
    output::raw(&to_review(&reply.body))
}

/// What somebody has to look at, a sentence for each.
fn to_review(voided: &Voided) -> String {
    let sentences = voided.voided.iter().flat_map(|reviewed| {
        let void = &reviewed.void;
        let built_on = reviewed.built_on.iter().map(move |one| {
            format!(
                "{} ({} of {}) was built on {} ({} of {}), which does not count.\n",
                one.record, one.deed, one.name, void.record, void.deed, void.name
            )
        });
        let more = (reviewed.more > 0)
            .then(|| format!("{} more were built on {}.\n", reviewed.more, void.record));
        built_on.chain(more)
    });
    sentences.collect()
}

/// The tiers.
pub(crate) fn tiers(args: &TierArgs, global: &Global) -> Result<(), Failure> {
    match &args.command {
        TierCommand::Show { name } => output::raw(&tier::text(name)?),
        TierCommand::List => {
            let about = |text: &str| {
                let first = text.lines().next().unwrap_or_default();
                first.trim_start_matches("# ").to_owned()
            };
            let tiers = tier::BUILT_IN.iter();
            let tiers: Vec<_> = tiers
                .map(|(name, text)| json!({ "tier": name, "about": about(text) }))
                .collect();
            let columns = &[("TIER", "tier"), ("ABOUT", "about")];
            let list = "tiers";
            let table = Some(Table { list, columns });
            output::answer(global.output, &json!({ "tiers": tiers }), table)
        }
    }
}
