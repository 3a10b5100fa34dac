//! Goes back to an earlier time, or shows what that would set aside.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;
use unisono_api::client::Reply;
use unisono_api::dto::{ActionBody, RollbackBody, RollbackShown, parse_stamp};

use super::session::Session;
use crate::failure::Failure;
use crate::output::{self, Format};

/// `rollback`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RollbackArgs {
    /// To when: a time (RFC 3339) or a stamp
    #[arg(long, value_name = "TIME")]
    to: String,
    /// Shows what would be set aside, and changes nothing
    #[arg(long)]
    dry_run: bool,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// Most records that are shown
    #[arg(long, default_value_t = 100, requires = "dry_run")]
    limit: usize,
}

/// Sets aside what was done since a time.
pub(crate) async fn rollback(args: RollbackArgs, session: &Session) -> Result<(), Failure> {
    let to = parse_stamp(&args.to);
    let to = to.map_err(|error| Failure::usage(format!("{}: {error}", args.to)))?;
    let (moment, limit) = (to.to_string(), args.limit.to_string());
    let query = [("to", moment.as_str()), ("limit", limit.as_str())];
    let would: Reply<RollbackShown> = session.read("rollback", &query).await?;
    if args.dry_run {
        return shown(&would.body, session);
    }
    // What comes between this look and the record stands: nobody has seen it.
    let body = RollbackBody {
        to,
        seen: would.body.seen,
        reason: args.reason,
    };
    session.show_act(ActionBody::Rollback(body)).await
}

fn shown(would: &RollbackShown, session: &Session) -> Result<(), Failure> {
    if session.global.output != Format::Table {
        let value = serde_json::to_value(would).unwrap_or(Value::Null);
        return output::answer(session.global.output, &value, None);
    }
    let mut text = format!(
        "{} records would be set aside, {} made since stay\n",
        would.sets_aside, would.stays
    );
    for record in &would.records {
        text.push_str(&super::record::in_a_line(record)?);
    }
    // Writing to a string cannot fail.
    let more = would.sets_aside.saturating_sub(would.records.len() as u64);
    if more > 0 {
        let _ = writeln!(text, "… and {more} more");
    }
    if would.takes_back > 0 {
        let (rollbacks, records) = (would.takes_back, would.returns);
        let _ = writeln!(
            text,
            "{rollbacks} earlier rollbacks would stand no more, and {records} records count again"
        );
    }
    if would.sets_aside == 0 && would.takes_back == 0 {
        text = format!(
            "nothing would be set aside; {} made since stay\n",
            would.stays
        );
    }
    for topic in &would.claimed {
        let words = format!("{topic} was claimed since and stays with whoever holds it");
        let _ = writeln!(text, "{}", output::in_a_line(&words));
    }
    for why in &would.barred {
        let _ = writeln!(text, "refused: {}", output::in_a_line(why));
    }
    output::raw(&text)
}
