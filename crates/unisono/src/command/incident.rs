//! Incidents: what was refused, followed as an executive, and acknowledged.

use clap::Args;
use serde::Deserialize as _;
use serde_json::Value;
use unisono_api::client::{Alert, Reply, WriteOptions};
use unisono_api::dto::{ActionBody, AgentKindWord, IncidentShown, IncidentTold, MarkBody};
use unisono_model::{Code, Digest, limits};

use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};

/// `incidents`.
#[derive(Clone, Debug, Args)]
pub(crate) struct IncidentsArgs {
    /// Goes on, as the executive of --as: tells what it has not acknowledged, and what comes
    #[arg(short, long)]
    follow: bool,
    /// Acknowledges nothing: what was told is told again the next time
    #[arg(long, requires = "follow")]
    keep: bool,
    /// Acknowledges this incident; may stand several times
    #[arg(long, value_name = "RECORD", conflicts_with = "follow")]
    acknowledge: Vec<Digest>,
}

impl IncidentsArgs {
    /// All that there are; or, followed, those that are not acknowledged and what comes.
    pub(crate) const fn told(follow: bool) -> Self {
        Self {
            follow,
            keep: false,
            acknowledge: Vec::new(),
        }
    }
}

/// Shows what was refused.
pub(crate) async fn incidents(args: IncidentsArgs, session: &Session) -> Result<(), Failure> {
    if args.follow {
        return follow(args.keep, session).await;
    }
    if !args.acknowledge.is_empty() {
        if args.acknowledge.len() > limits::TAGS_MAX {
            let words = format!("at most {} at once; nothing changed", limits::TAGS_MAX);
            return Err(Failure::usage(words));
        }
        let mark = MarkBody::acknowledging(&args.acknowledge);
        return session.show_act(ActionBody::Mark(mark)).await;
    }
    let columns = &[
        ("WHEN", "stamp.time"),
        ("AGENT", "name"),
        ("DEED", "deed"),
        ("RULE", "rule"),
        ("TIMES", "times"),
        ("WHY", "detail"),
    ];
    let list = "incidents";
    let reply: Reply<Value> = session.read("trust", &[]).await?;
    session.show(&reply, Some(Table { list, columns }))?;
    let told = reply.body[list].as_array().into_iter().flatten();
    let told = told.filter_map(|one| IncidentTold::deserialize(one).ok());
    told.filter_map(|one| advice(&one.name, &one.incident))
        .for_each(|words| output::say(&words));
    Ok(())
}

/// How an executive ends a key that has signed twice for one place, in a command. Nobody is ended for
/// that by itself: see `docs/decisions/030-a-second-signature-for-one-place-is-told-and-ends-nobody.md`.
fn advice(name: &str, one: &IncidentShown) -> Option<String> {
    let is_twice = one.rule == Code::ChainOrder.as_str();
    is_twice.then(|| {
        format!(
            "{} has signed two records for one place. If that was not itself: unisono fence --key {} \
             --reason \"two records for one place\"",
            name, one.agent
        )
    })
}

/// Tells each incident in a line, and acknowledges it once it is printed.
async fn follow(keep: bool, session: &Session) -> Result<(), Failure> {
    session.is_now()?;
    let name = session.agent()?;
    let signing = session.signing_as(name, "", AgentKindWord::Ai, None)?;
    let key = signing.map(|agent| agent.agent().to_string());
    let agent = key.as_deref().unwrap_or(name);
    let mut alerts = session.client.alerts(&session.orchestra, agent);
    loop {
        let told = match alerts.next().await? {
            Alert::Beyond(beyond) => {
                output::say(&format!(
                    "there were more incidents than are kept: those up to {:.3} are in `unisono log`",
                    beyond.time
                ));
                continue;
            }
            Alert::Incident(told) => told,
        };
        output::raw(&line(session.global.output, &told)?)?;
        if let Some(words) = advice(&told.name, &told.incident) {
            output::say(&words);
        }
        if !keep {
            let mark = ActionBody::Mark(MarkBody::acknowledging(&[told.record]));
            session.act(mark, WriteOptions::default()).await?;
        }
    }
}

fn line(format: Format, told: &IncidentTold) -> Result<String, Failure> {
    if format != Format::Table {
        let text = serde_json::to_string(told);
        let text = text.map_err(|e| Failure::new(Exit::Failed, "unprintable", e.to_string()))?;
        return Ok(format!("{text}\n"));
    }
    let (time, name, one) = (&told.stamp.time, &told.name, &told.incident);
    let times = match one.times {
        1 => String::new(),
        times => format!(" ({times} times)"),
    };
    let (deed, rule, why) = (&one.deed, &one.rule, &one.detail);
    Ok(format!(
        "{time:.3}  {name:<12}  {deed:<10}  {rule}{times}: {why}  {}\n",
        told.record
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_signed_twice_is_shown_with_the_fence_that_would_end_it() {
        let refused = |rule: &str| IncidentShown {
            agent: unisono_model::AgentId([0x46; 32]),
            token: None,
            deed: "claim".into(),
            rule: rule.into(),
            detail: "so it was".into(),
            evidence: None,
            times: 1,
        };
        let words = advice("ivy", &refused("chain_order")).expect("a fence");
        let key = "46".repeat(32);
        assert!(words.starts_with("ivy ") && words.contains(&format!("unisono fence --key {key}")));
        assert_eq!(advice("ivy", &refused("not_allowed")), None);
    }
}
