//! Records: followed as they come, or all of them.

use clap::Args;
use serde_json::{Value, json};
use unisono_api::client::Dump;
use unisono_api::dto::{RecordEvent, parse_stamp};
use unisono_core::replication::Cursor;
use unisono_model::{Digest, Stamp};

use super::incident::{self, IncidentsArgs};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

/// `log`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// Goes on with what comes
    #[arg(short, long)]
    follow: bool,
    /// From this cursor on; `now` for what is new only; the beginning if left out
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    after: Option<String>,
    /// Only what was done from this time on: RFC 3339, or a stamp
    #[arg(long, value_name = "TIME", conflicts_with = "after", value_parser = moment)]
    since: Option<Stamp>,
}

/// `events`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only what was refused for want of a right, as `unisono incidents` shows it
    #[arg(long, conflicts_with_all = ["after", "since"])]
    security: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// `dump`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DumpArgs {
    /// From this cursor on
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    after: Option<String>,
    /// In the node's order, line by line as it comes: for what does not fit in memory
    #[arg(long)]
    unsorted: bool,
}

/// What happens: records, or refusals alone.
pub(crate) async fn events(args: EventsArgs, session: &Session) -> Result<(), Failure> {
    if args.security {
        return incident::incidents(IncidentsArgs::told(args.log.follow), session).await;
    }
    log(args.log, session).await
}

/// How records are shown as a table.
pub(crate) const COLUMNS: &[(&str, &str)] = &[
    ("TIME", "stamp.time"),
    ("AGENT", "name"),
    ("DID", "action.do"),
    ("WHAT", "action"),
    ("VERDICT", "verdict"),
    ("RECORD", "record"),
];

/// Shows records, and goes on if asked to.
pub(crate) async fn log(args: LogArgs, session: &Session) -> Result<(), Failure> {
    let format = session.global.output;
    // Replicas hold records in different orders: a time is no place in a log, so that all are read.
    let is_since = |record: &RecordEvent| args.since.is_none_or(|at| record.stamp.stamp >= at);
    let live = args.after.as_deref() == Some("now");
    let after = if live {
        None
    } else {
        cursor(args.after.as_deref())?
    };
    if !args.follow {
        let mut dump = dumped(session, after.as_ref()).await?;
        while let Some(record) = dump.next().await? {
            if is_since(&record) {
                output::raw(&line(format, &record, None)?)?;
            }
        }
        return Ok(());
    }
    // What comes is of now.
    session.is_now()?;
    let client = &session.client;
    let mut events = if live {
        client.follow_new(&session.orchestra)
    } else {
        client.follow(&session.orchestra, after)
    };
    loop {
        let followed = events.next().await?;
        if is_since(&followed.record) {
            output::raw(&line(format, &followed.record, Some(&followed.cursor))?)?;
        }
    }
}

/// Prints every record. Where the node has lost some of them, what it says about that is the error.
pub(crate) async fn dump(args: DumpArgs, session: &Session) -> Result<(), Failure> {
    let after = cursor(args.after.as_deref())?;
    let mut dump = dumped(session, after.as_ref()).await?;
    // Sorted, equal sets of records are equal bytes, whichever node printed them.
    let mut sorted: Vec<((Stamp, Digest), String)> = Vec::new();
    while let Some(record) = dump.next().await? {
        let text = line(Format::Ndjson, &record, None)?;
        if args.unsorted {
            output::raw(&text)?;
        } else {
            sorted.push(((record.stamp.stamp, record.record), text));
        }
    }
    sorted.sort_unstable_by_key(|(place, _)| *place);
    sorted.iter().try_for_each(|(_, text)| output::raw(text))
}

/// All records from a cursor on, as of the moment that was asked for.
async fn dumped(session: &Session, after: Option<&Cursor>) -> Result<Dump, Failure> {
    let at = session.as_of().map(moment).transpose();
    let at = at.map_err(|error| Failure::usage(format!("--as-of: {error}")))?;
    let client = &session.client;
    Ok(client.dump_as_of(&session.orchestra, after, at).await?)
}

/// A record on one line, for people.
pub(super) fn in_a_line(record: &RecordEvent) -> Result<String, Failure> {
    line(Format::Table, record, None)
}

fn line(format: Format, record: &RecordEvent, cursor: Option<&Cursor>) -> Result<String, Failure> {
    let mut value = serde_json::to_value(record)
        .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
    if format == Format::Table {
        let action = value["action"].as_object().cloned().unwrap_or_default();
        let what = action
            .get("do")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let rest = action
            .into_iter()
            .filter(|(name, value)| name != "do" && !value.is_null());
        let rest: Vec<String> = rest
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let time = &record.stamp.time;
        let by = record.set_aside_by.as_ref();
        let aside = by.map_or_else(String::new, |by| format!("  (set aside by {})", by.record));
        return Ok(format!(
            "{time:.3}  {:<12}  {what:<10}  {}{aside}\n",
            record.name,
            rest.join(" ")
        ));
    }
    if let Some(cursor) = cursor {
        value["cursor"] = json!(cursor.to_text());
    }
    Ok(format!("{value}\n"))
}

fn moment(text: &str) -> Result<Stamp, String> {
    parse_stamp(text).map_err(|error| error.to_string())
}

fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let cursor = Cursor::from_text(text);
    cursor
        .map(Some)
        .ok_or_else(|| Failure::usage("--after is not a cursor that a node gave out"))
}
