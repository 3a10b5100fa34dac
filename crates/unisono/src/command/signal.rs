//! Resonance signals: sense them, emit one.

use clap::Args;
use unisono_api::dto::{ActionBody, SignalBody, SignalKindWord, UrgencyWord};
use unisono_model::Digest;

use super::session::{Page, Session};
use super::word::word;
use crate::failure::Failure;
use crate::output::Table;

/// `sense`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SenseArgs {
    /// Only this topic
    topic: Option<String>,
    /// Only this agent's
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// Only these: intent, need, offer
    #[arg(long, value_parser = word::<SignalKindWord>)]
    kind: Option<SignalKindWord>,
    /// Only what concerns the agent of --as
    #[arg(long)]
    near: bool,
    #[command(flatten)]
    page: Page,
}

/// `emit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EmitArgs {
    /// What kind: intent, need, offer
    #[arg(value_parser = word::<SignalKindWord>)]
    kind: SignalKindWord,
    /// About what
    topic: String,
    /// In words
    #[arg(default_value = "")]
    text: String,
    /// How much it matters: low, normal, high, blocking
    #[arg(long, default_value = "normal", value_parser = word::<UrgencyWord>)]
    urgency: UrgencyWord,
    /// For how long it stands (ms); as the settings say if left out
    #[arg(long, value_name = "MS")]
    lifetime_ms: Option<u64>,
    /// The record of the mark that proves it; an offer must bear one
    #[arg(long, value_name = "RECORD")]
    evidence: Option<Digest>,
    /// Says it in this orchestra too, where the agent is enrolled and its token allows it
    #[arg(long, value_name = "ORCHESTRA")]
    to_orchestra: Option<String>,
}

/// Shows the signals that stand.
pub(crate) async fn sense(args: SenseArgs, session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("KIND", "kind"),
        ("TOPIC", "topic"),
        ("URGENCY", "urgency"),
        ("FROM", "name"),
        ("OF", "from_orchestra"),
        ("TEXT", "text"),
        ("UNTIL", "expires.time"),
    ];
    let topic = args.topic.iter().map(|topic| ("topic", topic.as_str()));
    let from = args.from.iter().map(|name| ("from", name.as_str()));
    let kind = args
        .kind
        .map(|kind| serde_json::to_value(kind).unwrap_or_default());
    let kind = kind
        .iter()
        .filter_map(|kind| Some(("kind", kind.as_str()?)));
    let near = args.near.then_some(("near", "true"));
    let agent = session.agent().ok().map(|name| ("as", name));
    let page = args.page.query();
    let page = page.iter().map(|(name, value)| (*name, value.as_str()));
    let query = topic.chain(from).chain(kind).chain(near).chain(agent);
    let query: Vec<(&str, &str)> = query.chain(page).collect();
    session
        .show_read(
            "signals",
            &query,
            Some(Table {
                list: "signals",
                columns,
            }),
        )
        .await
}

/// Emits a signal.
pub(crate) async fn emit(args: EmitArgs, session: &Session) -> Result<(), Failure> {
    let EmitArgs {
        kind,
        topic,
        text,
        urgency,
        lifetime_ms,
        evidence,
        to_orchestra,
    } = args;
    let body = SignalBody {
        kind,
        topic,
        urgency,
        text,
        lifetime_ms,
        evidence,
        to_orchestra,
        from_orchestra: None,
    };
    if let Some(there) = &body.to_orchestra {
        session.say_there(there, &body).await?;
    }
    session.show_act(ActionBody::Emit(body)).await
}
