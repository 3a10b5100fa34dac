//! Barriers: wait until so many agents wait, and go on at one time.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use unisono_api::client::Reply;
use unisono_api::dto::{ActionBody, ArriveBody, BarrierList, OpeningShown, Recorded};

use super::armed::Act;
use super::at;
use super::fire::{self, Target};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};

/// Between two looks, ms: short beside every lead that a barrier has by itself.
const LOOK_MS: u64 = 40;

/// `barrier`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BarrierArgs {
    /// The barrier; shows who waits where if left out
    #[arg(requires = "of")]
    name: Option<String>,
    /// How many agents it takes, this one included
    #[arg(long, value_name = "N")]
    of: Option<u16>,
    /// How long after the last arrival it opens at the earliest (ms)
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    lead_ms: u32,
    /// How long this agent waits (ms)
    #[arg(long, value_name = "MS", default_value_t = 600_000)]
    patience_ms: u64,
    /// Goes on although an arrival could still come that makes it another time, or although the
    /// clock is not synchronised
    #[arg(long)]
    unsure: bool,
    /// Tells the orchestra how punctual it was
    #[arg(long)]
    tell: bool,
    /// What is run when it opens
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Waits at a barrier, or shows who waits where.
pub(crate) async fn barrier(args: BarrierArgs, session: &Session) -> Result<(), Failure> {
    let (Some(name), Some(of)) = (args.name, args.of) else {
        let columns = &[
            ("BARRIER", "barrier"),
            ("OF", "of"),
            ("WAITING", "waiting"),
            ("OPENED FOR", "opened.agents"),
            ("OPENS NS", "opened.opens_ns"),
            ("CONFIRMED", "opened.confirmed"),
        ];
        let list = "barriers";
        return session
            .show_read(list, &[], Some(Table { list, columns }))
            .await;
    };
    let body = ActionBody::Arrive(ArriveBody {
        barrier: name.clone(),
        of,
        lead_ms: Some(args.lead_ms),
        patience_ms: Some(args.patience_ms),
    });
    let arrived = session.act(body, session.options()).await?.body;
    if session.global.output == Format::Table {
        output::say(&format!("waiting at {name} for {of} agents"));
    }
    let patience = Duration::from_millis(args.patience_ms);
    let waited = wait(session, &name, of, &arrived, args.unsure);
    let Ok(opening) = tokio::time::timeout(patience, waited).await else {
        let words = format!("{name} did not open within {} ms", args.patience_ms);
        return Err(Failure::new(Exit::TimedOut, "barrier_closed", words).next("unisono barrier"));
    };
    let opening = opening?;
    let target_ns = opening.opens_ns.0;
    let clock = fire::ask(session, args.unsure).await?;
    let now_ns = clock.estimate().unwrap_or_default();
    if now_ns > target_ns && !args.unsure {
        return Err(late(&name, now_ns - target_ns));
    }
    let fired = fire::at(
        session,
        clock,
        Target::fixed(target_ns),
        args.unsure,
        Act::run(args.command),
    )
    .await?;
    if args.tell {
        at::tell(session, None, &fired).await?;
    }
    let told = json!({
        "barrier": name,
        "of": of,
        "opens_ns": target_ns.to_string(),
        "agents": opening.agents,
        "confirmed": opening.confirmed,
        "late_ns": fired.late_ns,
        "three_sigma_ns": fired.unsure_ns,
    });
    output::answer(session.global.output, &told, None)?;
    at::ended(&fired)
}

fn late(name: &str, by_ns: u64) -> Failure {
    let late_ms = by_ns as f64 / 1e6;
    let words = format!(
        "{name} opened {late_ms:.0} ms ago, before this agent knew; the others have gone on"
    );
    Failure::new(Exit::TimedOut, "barrier_late", words)
        .hint("a longer --lead-ms leaves time to be sure; --unsure goes on at once")
}

/// Looks until the barrier has opened for this agent.
async fn wait(
    session: &Session,
    name: &str,
    of: u16,
    arrived: &Recorded,
    unsure: bool,
) -> Result<OpeningShown, Failure> {
    loop {
        let reply: Reply<BarrierList> = session
            .client
            .read(&session.orchestra, "barriers", &[])
            .await?;
        let barriers = reply.body.barriers.into_iter();
        let opened = barriers
            .filter(|one| one.barrier == name && one.of == of)
            .find_map(|one| one.opened);
        let opened = opened.filter(|one| one.completed.stamp >= arrived.stamp.stamp);
        if let Some(opening) = opened {
            if !opening.arrivals.contains(&arrived.record) {
                let words = format!("{name} has opened and closed again for others since");
                return Err(Failure::new(Exit::Conflict, "barrier_missed", words)
                    .hint("arrive again, or at a barrier of another name"));
            }
            if opening.confirmed || unsure {
                return Ok(opening);
            }
        }
        tokio::time::sleep(Duration::from_millis(LOOK_MS)).await;
    }
}
