//! What the orchestra has learned: decisions and dead ends.

use clap::Args;
use unisono_api::dto::{ActionBody, DecideBody, DecideWord, ImportanceWord, RejectedBody};
use unisono_model::Digest;

use super::session::Session;
use super::word::word;
use crate::failure::Failure;
use crate::output::Table;

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
    /// How much it matters: low, normal, high, critical; high and critical stand in every brief
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
    /// Also those whose place others have taken
    #[arg(long)]
    all: bool,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
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
    query.extend(args.kind.map(|kind| {
        let word = match kind {
            DecideWord::Decision => "decision",
            DecideWord::DeadEnd => "dead_end",
        };
        ("kind", word)
    }));
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
