//! One record, in sentences: who did what, by whose grace, and whether it counts.

use clap::Args;
use serde_json::{Value, json};
use unisono_api::client::Reply;
use unisono_api::dto::{
    ActionShown, Coherence, IncidentShown, RecordEvent, State, TermWord, TokenShown, Trust,
};
use unisono_model::{Digest, Stamp};

use super::resonance::explain_coherence;
use super::scene;
use super::session::Session;
use super::word::word;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

/// `explain`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The record's name, or the beginning of it; or coherence, or coherence.TERM
    record: String,
    /// Also the iteration, the phase and the coherence of its moment
    #[arg(long)]
    with_coherence: bool,
}

/// The shortest beginning that is looked for: eight digits, as tables show them.
const BEGINNING_MIN: usize = 8;

/// Says of a record what it did, the chain of grants behind it, and whether it counts.
pub(crate) async fn explain(args: ExplainArgs, session: &Session) -> Result<(), Failure> {
    if let Some(term) = args.record.strip_prefix("coherence") {
        let term = match term.strip_prefix('.') {
            Some(word_of) => Some(word::<TermWord>(word_of).map_err(Failure::usage)?),
            None if term.is_empty() => None,
            None => return Err(Failure::usage("it is coherence, or coherence.TERM")),
        };
        return explain_coherence(term, session).await;
    }
    if session.as_of().is_some() {
        return Err(Failure::usage(
            "a record is explained as it stands now, without --as-of",
        ));
    }
    let wanted = args.record.to_ascii_lowercase();
    let digits = wanted.bytes().all(|byte| byte.is_ascii_hexdigit());
    if wanted.len() < BEGINNING_MIN || !digits {
        let words = format!("{:?} is no record's name", args.record);
        return Err(Failure::usage(words).hint("64 hexadecimal digits, or the first eight of them"));
    }
    let record = find(&wanted, session).await?;
    let reply = session.client.trust(&session.orchestra).await?;
    let trust: Trust = reply.body;
    let mut told = sentences(&record, &trust)?;
    if args.with_coherence {
        told.push(moment_of(&record, session).await?);
    }
    if session.global.output == Format::Table {
        return output::raw(&format!("{}\n", told.join("\n")));
    }
    output::answer(
        session.global.output,
        &json!({ "record": record, "explained": told }),
        None,
    )
}

/// How the orchestra was when a record was made: two reads as of its stamp, for which a node that has
/// forgotten that moment folds its logs again.
async fn moment_of(record: &RecordEvent, session: &Session) -> Result<String, Failure> {
    let moment = record.stamp.stamp.to_string();
    let query = [("as_of", moment.as_str())];
    let (client, orchestra) = (&session.client, &session.orchestra);
    let state: Reply<State> = client.read(orchestra, "state", &query).await?;
    let coherence: Reply<Coherence> = client.read(orchestra, "coherence", &query).await?;
    Ok(format!(
        "The orchestra was in iteration {} ({}) then, with a coherence of {:.3} over {} agents.",
        state.body.iteration,
        scene::phase(state.body.phase),
        coherence.body.coherence,
        coherence.body.agents
    ))
}

async fn find(wanted: &str, session: &Session) -> Result<RecordEvent, Failure> {
    let mut dump = session.client.dump(&session.orchestra, None).await?;
    let mut found: Option<RecordEvent> = None;
    while let Some(record) = dump.next().await? {
        if !record.record.to_string().starts_with(wanted) {
            continue;
        }
        if let Some(first) = &found {
            let words = format!(
                "both {} and {} begin like that",
                first.record, record.record
            );
            return Err(Failure::usage(words).hint("write more of its digits"));
        }
        found = Some(record);
    }
    found.ok_or_else(|| {
        let words = format!("no record {wanted}… in {}", session.orchestra);
        Failure::new(Exit::NotFound, "record_unknown", words)
            .hint("`unisono log` shows the records; --orchestra names another orchestra")
    })
}

fn sentences(record: &RecordEvent, trust: &Trust) -> Result<Vec<String>, Failure> {
    let value = serde_json::to_value(record)
        .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut told = vec![format!(
        "{} ({}) did {} at {}, in iteration {}, as record {} of its chain on node {}.",
        record.name,
        record.agent,
        word(&value["action"]["do"]),
        record.stamp.time,
        record.iteration,
        record.seq,
        record.log.node,
    )];
    told.push(match word(&value["held"]).as_str() {
        "agent" => "It signed by itself.".to_owned(),
        _ => "Its node signed for it.".to_owned(),
    });
    told.push(grants(record.token, record.stamp.stamp, trust));
    if let ActionShown::Incident(refused) = &record.action {
        told.push(refusal(refused, record.stamp.stamp, trust));
    }
    let void = trust
        .voided
        .iter()
        .find(|void| void.record == record.record);
    told.push(match (word(&value["verdict"]).as_str(), void) {
        (_, Some(void)) => format!("It does not count: {} ({}).", void.detail, void.rule),
        ("valid", None) => "It counts.".to_owned(),
        ("void", None) => "It does not count.".to_owned(),
        ("set_aside", None) => {
            let by = record.set_aside_by.as_ref();
            let by = by.map_or_else(String::new, |by| format!(" by {}", by.record));
            format!("It was set aside{by}: the orchestra has gone back.")
        }
        (_, None) => "It refers to something that this node does not hold yet.".to_owned(),
    });
    Ok(told)
}

/// What a node tells of having refused, with the rights of whoever asked.
fn refusal(refused: &IncidentShown, at: Stamp, trust: &Trust) -> String {
    let IncidentShown {
        agent,
        token,
        deed,
        rule,
        detail,
        times,
        ..
    } = refused;
    let often = if *times > 1 {
        format!(", {times} times")
    } else {
        String::new()
    };
    let rights = grants(*token, at, trust);
    format!(
        "It tells that {agent} was refused {deed}{often}: {detail} ({rule}). Of what was asked: {rights}"
    )
}

/// The chain of grants as one sentence.
fn grants(token: Option<Digest>, at: Stamp, trust: &Trust) -> String {
    let Some(id) = token else {
        return match &trust.guarded_since {
            Some(since) if since.stamp < at => {
                "It names no token; since the guard only what needs none counts so.".to_owned()
            }
            _ => "It names no token; the orchestra was open.".to_owned(),
        };
    };
    let Some(token) = trust.tokens.iter().find(|token| token.token == id) else {
        return format!("It names the token {id}, which this node does not hold.");
    };
    let mut chain: Vec<String> = token.issuers.iter().map(ToString::to_string).collect();
    chain.push(format!("{} ({})", token.agent, token.name));
    let ended = if token.fenced {
        "; it has been fenced off since"
    } else {
        ""
    };
    format!(
        "Its token {id} went from the root {}: {}, until {}{ended}.",
        chain.join(" to "),
        allows(token),
        super::token_words::time(token.expires_ms),
    )
}

fn allows(token: &TokenShown) -> String {
    format!("as {} it may {}", token.tier, token.operations.join(", "))
}
