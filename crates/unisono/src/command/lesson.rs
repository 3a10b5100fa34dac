//! What the orchestra has learned: decisions, dead ends, and what helps against errors.

use std::cmp::Reverse;
use std::io::Read;

use clap::Args;
use serde_json::{Value, json};
use unisono_api::client::ClientError;
use unisono_api::dto::{
    ActionBody, DecideBody, DecideWord, Fix, Fixes, ImportanceWord, OutcomeBody, RejectedBody,
    RemedyBody,
};
use unisono_core::orchestra::lessons::error::ErrorForm;
use unisono_model::{Code, Digest};

use super::session::Session;
use super::word::{said, word};
use crate::failure::Failure;
use crate::output::{self, Table};

/// Most bytes of an error that are read from standard input.
const ERROR_BYTES_MAX: u64 = 1024 * 1024;

/// `decide`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DecideArgs {
    /// About what
    topic: String,
    /// What was decided, or what leads nowhere
    text: String,
    /// It was tried and leads nowhere
    #[arg(long)]
    dead_end: bool,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// The question that was open
    #[arg(long, default_value = "")]
    question: String,
    /// How much it matters: low, normal, high, critical; high and critical stand in a brief before
    /// all else
    #[arg(long, default_value = "normal", value_parser = word::<ImportanceWord>)]
    importance: ImportanceWord,
    /// How sure it is (‰)
    #[arg(long, value_name = "PERMILLE", default_value_t = 1_000)]
    confidence: u16,
    /// An alternative that was not taken, OPTION or OPTION=WHY; may stand several times
    #[arg(long, value_name = "OPTION=WHY")]
    rejected: Vec<String>,
    /// The record of a decision that it takes the place of; may stand several times
    #[arg(long, value_name = "RECORD")]
    supersedes: Vec<Digest>,
}

/// `decisions`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DecisionsArgs {
    /// Only about this topic
    #[arg(long)]
    topic: Option<String>,
    /// Only this kind: decision, dead-end
    #[arg(long, value_parser = word::<DecideWord>)]
    kind: Option<DecideWord>,
    /// Those first that speak of these words, and no others
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// Also those whose place others have taken
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// `fix`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FixArgs {
    /// What the tool said; `-` reads it from standard input
    #[arg(required_unless_present_any = ["helped", "failed"])]
    error: Option<String>,
    /// Records that this helps against it
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["helped", "failed"])]
    record: Option<String>,
    /// What it comes from
    #[arg(long, default_value = "", requires = "record")]
    cause: String,
    /// A file that it is done to; may stand several times
    #[arg(long, value_name = "PATH", requires = "record")]
    file: Vec<String>,
    /// The remedy of this record helped
    #[arg(long, value_name = "RECORD", conflicts_with_all = ["failed", "error"])]
    helped: Option<Digest>,
    /// The remedy of this record did not help
    #[arg(long, value_name = "RECORD", conflicts_with = "error")]
    failed: Option<Digest>,
    /// Looks in all orchestras of the node
    #[arg(long, conflicts_with_all = ["record", "helped", "failed"])]
    everywhere: bool,
    /// At most so many
    #[arg(long, default_value_t = 5)]
    limit: usize,
}

/// Tells what may help against an error, records what does, or says what came of it.
pub(crate) async fn fix(args: FixArgs, session: &Session) -> Result<(), Failure> {
    if let Some(remedy) = args.helped.or(args.failed) {
        let body = OutcomeBody {
            remedy,
            helped: args.helped.is_some(),
            text: String::new(),
        };
        return session.show_act(ActionBody::Outcome(body)).await;
    }
    // Only what went wrong is sent: the form of the form is the form.
    let error = ErrorForm::of(&error_text(args.error)?).text();
    if error.is_empty() {
        return Err(Failure::usage("nothing in this text says what went wrong")
            .hint("give what the tool printed, with the line that names the error"));
    }
    if let Some(text) = args.record {
        let body = RemedyBody {
            error,
            text,
            cause: args.cause,
            files: args.file,
        };
        return session.show_act(ActionBody::Remedy(body)).await;
    }
    let limit = args.limit.to_string();
    let query = [("error", error.as_str()), ("limit", limit.as_str())];
    if args.everywhere {
        return fix_everywhere(&query, args.limit, session).await;
    }
    let table = Table {
        list: "fixes",
        columns: &FIXES[1..],
    };
    session.show_read("fixes", &query, Some(table)).await
}

const FIXES: [(&str, &str); 9] = [
    ("IN", "orchestra"),
    ("SURE", "confidence_permille"),
    ("HOW", "how"),
    ("HELPED", "helped"),
    ("FAILED", "failed"),
    ("DO", "remedy.text"),
    ("CAUSE", "remedy.cause"),
    ("BY", "name"),
    ("RECORD", "record"),
];

/// Asks every orchestra that the node shows, and tells the most promising of all. One that may not
/// be read is passed over; what else goes wrong is no empty answer.
async fn fix_everywhere(
    query: &[(&str, &str)],
    limit: usize,
    session: &Session,
) -> Result<(), Failure> {
    let all = session.client.orchestras().await?;
    let mut found: Vec<(String, Fix)> = Vec::new();
    for one in all.body.orchestras {
        // One whose name has not come yet cannot be asked.
        if one.name.is_empty() {
            continue;
        }
        match session.read_in::<Fixes>(&one.name, "fixes", query).await {
            Ok(reply) => {
                let fixes = reply.body.fixes.into_iter();
                found.extend(fixes.map(|fix| (one.name.clone(), fix)));
            }
            Err(ClientError::Refused(problem)) if problem.status == 403 => {}
            Err(error) if error.is_code(Code::AgentUnknown) => {}
            Err(error) => return Err(error.into()),
        }
    }
    found.sort_by_key(|(_, fix)| Reverse((fix.confidence_permille, fix.likeness_permille)));
    found.truncate(limit);
    let fixes: Vec<Value> = found
        .iter()
        .map(|(orchestra, fix)| {
            let mut shown = json!(fix);
            shown["orchestra"] = orchestra.as_str().into();
            shown
        })
        .collect();
    let table = Table {
        list: "fixes",
        columns: &FIXES,
    };
    output::answer(
        session.global.output,
        &json!({ "fixes": fixes }),
        Some(table),
    )
}

fn error_text(error: Option<String>) -> Result<String, Failure> {
    let error = error.unwrap_or_default();
    if error != "-" {
        return Ok(error);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin()
        .take(ERROR_BYTES_MAX + 1)
        .read_to_end(&mut bytes);
    read.map_err(|error| Failure::system("standard input", &error))?;
    if bytes.len() as u64 > ERROR_BYTES_MAX {
        return Err(Failure::usage("more than 1 MiB of error")
            .hint("give the lines that matter: `… 2>&1 | head -c 100000 | unisono fix -`"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Records a decision or a dead end.
pub(crate) async fn decide(args: DecideArgs, session: &Session) -> Result<(), Failure> {
    let kind = if args.dead_end {
        DecideWord::DeadEnd
    } else {
        DecideWord::Decision
    };
    let rejected = args.rejected.iter().map(|text| rejected(text)).collect();
    let body = DecideBody {
        kind,
        topic: args.topic,
        question: args.question,
        text: args.text,
        reason: args.reason,
        importance: args.importance,
        confidence_permille: args.confidence,
        rejected,
        supersedes: args.supersedes,
    };
    session.show_act(ActionBody::Decide(body)).await
}

/// Shows what was decided.
pub(crate) async fn decisions(args: DecisionsArgs, session: &Session) -> Result<(), Failure> {
    let limit = args.limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(args.topic.as_deref().map(|topic| ("topic", topic)));
    query.extend(args.search.as_deref().map(|words| ("search", words)));
    let kind = args.kind.map(said);
    query.extend(kind.as_deref().map(|kind| ("kind", kind)));
    query.extend(args.all.then_some(("all", "true")));
    let columns = &[
        ("KIND", "kind"),
        ("TOPIC", "topic"),
        ("TEXT", "text"),
        ("WHY", "reason"),
        ("MATTERS", "importance"),
        ("BY", "name"),
        ("AT", "stamp.time"),
        ("STANDS", "stands"),
        ("RECORD", "record"),
    ];
    let list = "decisions";
    session
        .show_read("decisions", &query, Some(Table { list, columns }))
        .await
}

fn rejected(text: &str) -> RejectedBody {
    let (option, reason) = text.split_once('=').unwrap_or((text, ""));
    RejectedBody {
        option: option.trim().to_owned(),
        reason: reason.trim().to_owned(),
    }
}
