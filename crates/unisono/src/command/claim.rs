//! Claims: take a topic for a time, prolong, give back. The loser is told who holds it until when.

use clap::Args;
use unisono_api::dto::{ActionBody, ClaimBody, ClaimStatusWord, ReleaseBody, RenewBody};
use unisono_model::Digest;
use unisono_model::limits::LEASE_MS;

use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Table};

/// `claim`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClaimArgs {
    /// What is claimed; shows who holds what if left out
    topic: Option<String>,
    /// For how long (ms): 100 to 86400000; as the settings say if left out
    #[arg(long, value_name = "MS", value_parser = lease)]
    lease_ms: Option<u64>,
    /// Waits until no other claim can come before it (--wait-ms says how long)
    #[arg(long)]
    confirm: bool,
}

/// `renew`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RenewArgs {
    /// The topic
    topic: String,
    /// For how long from now (ms): 100 to 86400000; as the settings say if left out
    #[arg(long, value_name = "MS", value_parser = lease)]
    lease_ms: Option<u64>,
    /// The claim's record; the one that stands if left out
    #[arg(long, value_name = "RECORD")]
    claim: Option<Digest>,
}

/// `release`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReleaseArgs {
    /// The topic
    topic: String,
    /// The claim's record; the one that stands if left out
    #[arg(long, value_name = "RECORD")]
    claim: Option<Digest>,
}

/// A lease: none that is shorter or longer is quietly made one that may be.
fn lease(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|ms| LEASE_MS.contains(ms));
    let (least, most) = (LEASE_MS.start(), LEASE_MS.end());
    number.ok_or_else(|| format!("a whole number of ms from {least} to {most}; nothing changed"))
}

/// Claims a topic, or shows who holds what.
pub(crate) async fn claim(args: ClaimArgs, session: &Session) -> Result<(), Failure> {
    let Some(topic) = args.topic else {
        let columns = &[
            ("TOPIC", "topic"),
            ("HOLDER", "holder"),
            ("STATUS", "status"),
            ("UNTIL", "until.time"),
            ("TOKEN", "token.stamp"),
            ("TOKEN VALID", "token_valid"),
        ];
        return session
            .show_read(
                "claims",
                &[],
                Some(Table {
                    list: "claims",
                    columns,
                }),
            )
            .await;
    };
    let mut options = session.options();
    options.confirm = args.confirm;
    let body = ActionBody::Claim(ClaimBody {
        topic,
        lease_ms: args.lease_ms,
    });
    let reply = session.act(body, options).await?;
    let shown = session.show_recorded(&reply);
    let Some(claim) = &reply.body.claim else {
        return shown;
    };
    // Who lost it gains nothing by waiting for disks.
    if let Some(held) = &claim.held_by {
        let words = format!(
            "{} is held by {} until {}",
            claim.topic, held.holder, held.until.time
        );
        return Err(Failure::new(Exit::Conflict, "claim_lost", words)
            .hint("work on something else, or wait; release gives the lost claim up")
            .next(format!("unisono release {}", claim.topic)));
    }
    shown?;
    if args.confirm && claim.status == ClaimStatusWord::Provisional {
        output::say("note: the claim is provisional: not every member could be asked in time");
    }
    Ok(())
}

/// Prolongs a lease.
pub(crate) async fn renew(args: RenewArgs, session: &Session) -> Result<(), Failure> {
    let RenewArgs {
        topic,
        lease_ms,
        claim,
    } = args;
    session
        .show_act(ActionBody::Renew(RenewBody {
            topic,
            claim,
            lease_ms,
        }))
        .await
}

/// Gives a topic back.
pub(crate) async fn release(args: ReleaseArgs, session: &Session) -> Result<(), Failure> {
    let ReleaseArgs { topic, claim } = args;
    session
        .show_act(ActionBody::Release(ReleaseBody { topic, claim }))
        .await
}
