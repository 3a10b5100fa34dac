//! Where agents get in each other's way, how far they have come apart, and what one needs to know to
//! go on.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use unisono_api::client::{InTheWay, Reply};
use unisono_api::dto::{
    ActionBody, Brief, Coherence, CoherenceExplained, Drift, FlowShown, MarkBody, ResolutionWord,
    ResolveBody, SeenBody, TermWord,
};
use unisono_core::replication::Cursor;
use unisono_model::{Code, Digest};

use super::session::Session;
use super::word::word;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};

/// `interference`.
#[derive(Clone, Debug, Args)]
pub(crate) struct InterferenceArgs {
    #[command(subcommand)]
    command: Option<InterferenceCommand>,
}

#[derive(Clone, Debug, Subcommand)]
enum InterferenceCommand {
    /// Those that stand; of one agent with --as (the same as no word)
    #[command(after_help = "Example:\n  unisono interference list --as ada")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Goes on: tells what gets in the way of the agent of --as, how it is resolved, and what is over
    #[command(after_help = "Example:\n  unisono interference follow --as ada")]
    Follow,
    /// Says how one was resolved; the first to say so decides
    #[command(
        after_help = "Example:\n  unisono interference resolve 3b6a… synthesis \"one module for both\" --as ada"
    )]
    Resolve {
        /// Its id, as it is listed
        id: Digest,
        /// In which way: merge, priority, synthesis, defer
        #[arg(value_parser = word::<ResolutionWord>)]
        how: ResolutionWord,
        /// What was decided
        #[arg(default_value = "")]
        outcome: String,
        /// The record of the mark that proves it; one that tells the outcome is made if left out
        #[arg(long, value_name = "RECORD")]
        mark: Option<Digest>,
    },
}

/// `coherence`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CoherenceArgs {
    /// What stands behind each term: what it is, what it counts, who lowers it by what
    #[arg(long)]
    explain: bool,
    /// Goes on: tells each drift as it begins and ends, and each condition that breaks
    #[arg(long, conflicts_with = "explain")]
    follow: bool,
    /// Only this term: iteration, phase, context, fresh, intent, unblocked
    #[arg(requires = "explain", value_parser = word::<TermWord>)]
    term: Option<TermWord>,
}

/// `continue`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ContinueArgs {
    /// At most about so many tokens
    #[arg(long, default_value_t = 1_500)]
    max_tokens: u64,
    /// Only what is new since this cursor
    // A cursor is base64 and may begin with a hyphen.
    #[arg(long, value_name = "CURSOR", allow_hyphen_values = true)]
    since: Option<String>,
    /// Also records that the agent has seen all that this shows
    #[arg(long)]
    seen: bool,
}

/// `seen`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SeenArgs {
    /// The cursor of what was read, as a read gives it
    #[arg(value_name = "CURSOR", allow_hyphen_values = true)]
    cursor: String,
}

/// Says how an interference was resolved. Where no mark is named, one is made once the node has
/// nothing else against it: what is refused leaves no mark behind.
async fn resolve(mut body: ResolveBody, session: &Session) -> Result<(), Failure> {
    let options = session.options();
    let told = session.act(ActionBody::Resolve(body.clone()), options.clone());
    let told = match told.await {
        Err(failure) if body.mark.is_none() && failure.is_code(Code::EvidenceMissing) => {
            let how = shown(&body.how);
            let mark = MarkBody {
                about: body.interference.to_string(),
                text: format!("resolved by {how}: {}", body.outcome),
                reasoning: body.outcome.clone(),
                tags: vec!["resolution".to_owned()],
                evidence: Vec::new(),
            };
            // Two records, two keys: the words that were given name the resolution.
            let mut marking = options.clone();
            marking.key = marking.key.map(|words| format!("{words} (mark)"));
            let mark = session.act(ActionBody::Mark(mark), marking).await?;
            body.mark = Some(mark.body.record);
            session.act(ActionBody::Resolve(body), options).await?
        }
        told => told?,
    };
    session.show_recorded(&told)
}

/// Lists interferences, or resolves one.
pub(crate) async fn interference(args: InterferenceArgs, session: &Session) -> Result<(), Failure> {
    let limit = match args.command {
        None => 100,
        Some(InterferenceCommand::List { limit }) => limit,
        Some(InterferenceCommand::Follow) => return follow(session).await,
        Some(InterferenceCommand::Resolve {
            id,
            how,
            outcome,
            mark,
        }) => {
            let body = ResolveBody {
                interference: id,
                how,
                outcome,
                mark,
            };
            return resolve(body, session).await;
        }
    };
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    let agent = session.agent().ok();
    query.extend(agent.map(|name| ("as", name)));
    let columns = &[
        ("KIND", "kind"),
        ("BLOCKING", "blocking"),
        ("AGENTS", "agents"),
        ("SINCE", "since.time"),
        ("UNTIL", "until.time"),
        ("RESOLVED", "resolution.how"),
        ("ID", "id"),
    ];
    let list = "interferences";
    session
        .show_read("interference", &query, Some(Table { list, columns }))
        .await
}

/// Tells each change in a line.
async fn follow(session: &Session) -> Result<(), Failure> {
    session.is_now()?;
    let mut way = session.client.way(&session.orchestra, session.agent()?);
    loop {
        let told = way.next().await?;
        output::raw(&told_of(session.global.output, &told)?)?;
    }
}

fn told_of(format: Format, told: &InTheWay) -> Result<String, Failure> {
    if format != Format::Table {
        let text = match told {
            InTheWay::Met(one) => serde_json::to_string(one),
            InTheWay::Over(id) => serde_json::to_string(&serde_json::json!({ "over": id })),
        };
        let text = text.map_err(|e| Failure::new(Exit::Failed, "unprintable", e.to_string()))?;
        return Ok(format!("{text}\n"));
    }
    let one = match told {
        InTheWay::Over(id) => return Ok(format!("over        {id}\n")),
        InTheWay::Met(one) => one,
    };
    let sides = one
        .sides
        .iter()
        .map(|side| format!("{} ({})", side.name, side.topic));
    let sides = sides.collect::<Vec<_>>().join(", ");
    let outcome = match (&one.resolution, &one.decided_for) {
        (Some(how), _) => format!("resolved by {}: {}", how.name, how.outcome),
        (None, Some(winner)) => format!("{winner} goes on"),
        (None, None) if one.blocking => "open, and blocks".to_owned(),
        (None, None) => "open".to_owned(),
    };
    let kind = shown(&one.kind);
    Ok(format!("{kind:<10}  {sides}: {outcome}  {}\n", one.id))
}

/// Shows the score and its terms.
pub(crate) async fn coherence(args: CoherenceArgs, session: &Session) -> Result<(), Failure> {
    if args.explain {
        return explain_coherence(args.term, session).await;
    }
    if args.follow {
        return follow_coherence(session).await;
    }
    if session.global.output != Format::Table {
        return session.show_read("coherence", &[], None).await;
    }
    let reply: Reply<Coherence> = session.read("coherence", &[]).await?;
    let body = &reply.body;
    // Writing to a string cannot fail.
    let mut text = format!(
        "coherence {:.3} of {} agents\n",
        body.coherence, body.agents
    );
    for term in &body.terms {
        let _ = writeln!(
            text,
            "  {:<10} {:>4} ‰ × {:>4} ‰{}",
            shown(&term.term),
            term.weight,
            term.share,
            by(&term.breakers)
        );
    }
    for one in &body.gluing {
        let mark = if one.holds { "holds" } else { "broken" };
        let _ = writeln!(text, "  {mark:<7} {}{}", one.condition, by(&one.breakers));
    }
    for one in &body.drift {
        let _ = writeln!(text, "  {}", drift_line(one));
    }
    output::raw(&text)
}

/// Tells each change in a few lines.
async fn follow_coherence(session: &Session) -> Result<(), Failure> {
    session.is_now()?;
    let mut drifting = session.client.drifting(&session.orchestra);
    loop {
        let told = drifting.next().await?;
        if session.global.output != Format::Table {
            let text = serde_json::to_string(&told)
                .map_err(|e| Failure::new(Exit::Failed, "unprintable", e.to_string()))?;
            output::raw(&format!("{text}\n"))?;
            continue;
        }
        let (at, agents) = (told.at.time, told.agents);
        let mut text = format!(
            "{at:.3} coherence {:.3} of {agents} agents\n",
            told.coherence
        );
        for (word, drifts) in [("new", &told.begun), ("over", &told.ended)] {
            for one in drifts {
                let _ = writeln!(text, "  {word:<4} {}", drift_line(one));
            }
        }
        for one in told.gluing.iter().filter(|one| !one.holds) {
            let _ = writeln!(text, "  broken {}{}", one.condition, by(&one.breakers));
        }
        output::raw(&text)?;
    }
}

fn drift_line(one: &Drift) -> String {
    let (severity, kind) = (shown(&one.severity), shown(&one.kind));
    let (agents, evidence) = (one.agents.join(", "), &one.evidence);
    format!(
        "{severity} {kind} {agents}: {evidence}; ends with {}",
        one.remedy
    )
}

/// Shows what stands behind the terms of the score: all of them, or one.
pub(crate) async fn explain_coherence(
    term: Option<TermWord>,
    session: &Session,
) -> Result<(), Failure> {
    let term = term.map(|term| shown(&term));
    let query: Vec<(&str, &str)> = term.iter().map(|term| ("term", term.as_str())).collect();
    let address = "coherence/explained";
    if session.global.output != Format::Table {
        return session.show_read(address, &query, None).await;
    }
    let reply: Reply<CoherenceExplained> = session.read(address, &query).await?;
    let body = &reply.body;
    let mut text = format!(
        "coherence {:.3} of {} agents\n",
        body.coherence, body.agents
    );
    for one in &body.terms {
        let _ = writeln!(
            text,
            "{}: {}\n  weight {} ‰ × share {} ‰; it takes {} ‰ from the score\n  a fault: {}",
            shown(&one.term),
            one.what,
            one.weight,
            one.share,
            one.lost,
            one.fault
        );
        for by in &one.lowered_by {
            let _ = writeln!(text, "  {} lowers it", output::in_a_line(&by.name));
            for why in &by.why {
                let _ = writeln!(text, "    {}", output::in_a_line(why));
            }
            if by.more > 0 {
                let _ = writeln!(text, "    and {} reasons more", by.more);
            }
        }
    }
    output::raw(&text)
}

/// Shows where an agent stands in the flow, and what it yields to.
pub(crate) async fn flow(session: &Session) -> Result<(), Failure> {
    let query = [("as", session.agent()?)];
    if session.global.output != Format::Table {
        return session.show_read("flow", &query, None).await;
    }
    let reply: Reply<FlowShown> = session.read("flow", &query).await?;
    let body = &reply.body;
    let mut text = format!(
        "{} is {} in iteration {} ({})\n",
        body.agent,
        shown(&body.place),
        body.iteration,
        shown(&body.phase)
    );
    for topic in &body.holds {
        let _ = writeln!(text, "  holds {}", output::in_a_line(topic));
    }
    for one in &body.yields_to {
        let sides = one.interference.sides.iter();
        let sides: Vec<String> = sides
            .map(|side| {
                let words = format!("{}: {} {}", side.name, side.topic, side.text);
                output::in_a_line(&words)
            })
            .collect();
        let kind = shown(&one.interference.kind);
        let (why, own) = (shown(&one.named_by), output::in_a_line(&one.own_topic));
        let _ = writeln!(
            text,
            "  yields to {kind} ({why} {own}): {}",
            sides.join(" / ")
        );
        let _ = writeln!(text, "    {}", one.interference.id);
    }
    output::raw(&text)
}

/// Tells an agent what it needs to know to go on.
pub(crate) async fn go_on(args: ContinueArgs, session: &Session) -> Result<(), Failure> {
    let tokens = args.max_tokens.to_string();
    let mut query = vec![("as", session.agent()?), ("max_tokens", tokens.as_str())];
    query.extend(args.since.as_deref().map(|cursor| ("since", cursor)));
    if args.seen {
        return read_and_say_so(&query, session).await;
    }
    if session.global.output != Format::Table {
        return session.show_read("continue", &query, None).await;
    }
    let reply: Reply<Brief> = session.read("continue", &query).await?;
    output::raw(&reply.body.markdown)
}

/// Records what an agent has seen.
pub(crate) async fn seen(args: SeenArgs, session: &Session) -> Result<(), Failure> {
    // An empty word is a variable that nobody has set, and would say that nothing was seen.
    let named = Cursor::from_text(&args.cursor).filter(|cursor| !cursor.0.is_empty());
    let cursor = named.ok_or_else(|| {
        Failure::usage("CURSOR is none that a node gave out; nothing changed")
            .hint("`unisono continue --as NAME -o json` has one, and --seen says it at once")
    })?;
    session
        .show_act(ActionBody::Seen(SeenBody { cursor }))
        .await
}

/// What is told stands on the screen before anything says that it was read.
async fn read_and_say_so(query: &[(&str, &str)], session: &Session) -> Result<(), Failure> {
    session.is_now()?;
    let reply: Reply<Brief> = session.read("continue", query).await?;
    let cursor = reply.cursor.clone().unwrap_or_default();
    if session.global.output == Format::Table {
        output::raw(&reply.body.markdown)?;
    } else {
        session.show(&reply, None)?;
    }
    let said = ActionBody::Seen(SeenBody { cursor });
    session.act(said, session.options()).await.map(drop)
}

fn shown<T: serde::Serialize>(word: &T) -> String {
    let word = serde_json::to_value(word).unwrap_or_default();
    word.as_str().unwrap_or_default().replace('_', " ")
}

fn by(breakers: &[String]) -> String {
    if breakers.is_empty() {
        return String::new();
    }
    format!("  ({})", breakers.join(", "))
}
