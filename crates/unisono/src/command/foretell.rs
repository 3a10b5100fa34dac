//! What comes next: when an event of a source is expected and how sure that is, told once or anew after each;
//! and a command that is run before the event, or when it comes
//! (`docs/decisions/033-what-comes-next-is-read-from-stamps.md`).

use std::collections::BTreeMap;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use unisono_api::client::{Attending, ClientError, Due, EventsOf, Foreteller, Settled};
use unisono_api::dto::{CameShown, EventKindWord, ForetoldShown, NextShown, PatternWord};
use unisono_core::ensemble::limits::INTERVALS_MIN;

use super::armed::{command, startable};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, in_a_line};
use crate::undumped::AsGiven;

/// So many commands run at once: an event that comes while they do is told, and nothing is run.
const RUNNING_MAX: usize = 16;
/// How long it is waited before a node that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// Messages that wait to be worked on; the node keeps the others.
const WAITING_MAX: usize = 16;

/// `foretell`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ForetellArgs {
    /// What this agent does, by its name or key
    #[arg(long = "agent", value_name = "AGENT")]
    by: Option<String>,
    /// What is about this: of signals, claims and decisions the topic, of marks what they are about, of
    /// tasks, barriers and cues the name
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Only this: presence, emit, claim, renew, release, mark, advance, task, closed, write, approve,
    /// arrive, cue, answer, played, decide, remedy, outcome
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<EventKindWord>,
    /// An event is foretold if it comes within so much of its time (ms), 0.001 to 86400000
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 100.0,
        allow_hyphen_values = true
    )]
    within_ms: f64,
    /// In how many of the latest records to look for events, 1 to 16384 [default: 4096]
    #[arg(long, value_name = "RECORDS")]
    from: Option<usize>,
    /// Tells anew after each event, and whether it came as foretold, until it is interrupted
    #[arg(short, long)]
    follow: bool,
    /// Goes on as with --follow, and ends after so many events
    #[arg(long, value_name = "EVENTS", value_parser = clap::value_parser!(u64).range(1..))]
    times: Option<u64>,
    /// So long before its time COMMAND is to be run (ms) where the event is foretold surely enough; else it
    /// is run when the event comes
    #[arg(long, value_name = "MS")]
    prepare_ms: Option<u64>,
    /// What is run, once for each event; UNISONO_WHY says whether it is prepared or reacted
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// A source that is followed, and the command that is run for its events.
struct Following<'a> {
    session: &'a Session,
    command: Vec<String>,
    attending: Attending,
    running: JoinSet<(&'static str, io::Result<ExitStatus>)>,
    counts: Counts,
}

/// What has happened since it began.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
struct Counts {
    /// Events that came.
    came: u64,
    /// Of those of which something was foretold, how many came in time, and how many did not.
    came_true: u64,
    came_otherwise: u64,
    /// How often the command was run before its event, and when it came.
    prepared: u64,
    reacted: u64,
    /// How often what was prepared for did not come in time.
    missed: u64,
    /// How often the command could not be run, or others were running still.
    not_run: u64,
    /// How often it ended badly.
    ended_badly: u64,
}

/// Tells what comes next.
pub(crate) async fn foretell(args: ForetellArgs, session: &Session) -> Result<(), Failure> {
    let of = EventsOf {
        agent: args.by,
        topic: args.topic,
        kind: args.kind,
        within_ms: Some(args.within_ms),
        prepare_ms: args.prepare_ms,
        from: args.from,
    };
    if args.command.is_empty() && !args.follow && args.times.is_none() {
        let reply = session.client.foretold(&session.orchestra, &of).await?;
        match session.global.output {
            Format::Table => output::raw(&at_length(&reply.body))?,
            _ => session.show(&reply, None)?,
        }
        return judged(&reply.body);
    }
    if !args.command.is_empty() {
        startable(&args.command).map_err(|error| {
            let words = format!("the command could not be run: {error}; nothing was followed");
            Failure::new(Exit::NotFound, "command_failed", words)
        })?;
    }
    let (tell, told) = mpsc::channel(WAITING_MAX);
    let foreteller = session.client.foreteller(&session.orchestra, &of);
    let follows = tokio::spawn(follow(foreteller, tell));
    let mut following = Following {
        session,
        command: args.command,
        attending: Attending::default(),
        running: JoinSet::new(),
        counts: Counts::default(),
    };
    let ended = following.serve(told, args.times.unwrap_or(u64::MAX)).await;
    follows.abort();
    ended
}

fn kind(text: &str) -> Result<EventKindWord, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// Hands on what is foretold, over whichever node answers.
async fn follow(
    mut foreteller: Foreteller,
    tell: mpsc::Sender<Result<Box<ForetoldShown>, Failure>>,
) {
    loop {
        match foreteller.next().await {
            Ok(shown) => {
                if tell.send(Ok(Box::new(shown))).await.is_err() {
                    return;
                }
            }
            Err(ClientError::Unreachable(_)) => {
                output::say("no node answers; asking again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                // Nobody is there any more if this fails.
                let _ = tell.send(Err(error.into())).await;
                return;
            }
        }
    }
}

impl Following<'_> {
    /// Tells and runs what there is to, until so many events have come.
    async fn serve(
        &mut self,
        mut told: mpsc::Receiver<Result<Box<ForetoldShown>, Failure>>,
        times: u64,
    ) -> Result<(), Failure> {
        while self.counts.came < times {
            let due = self.attending.due().filter(|_| !self.command.is_empty());
            let comes = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                shown = told.recv() => self.hear(&*shown.ok_or_else(own_fault)??),
                () = comes => {
                    if let Some(due) = self.attending.prepare() {
                        self.run(&due);
                    }
                }
                Some(ended) = self.running.join_next() => self.ended(ended.map_err(|_| own_fault())?),
            }
        }
        while let Some(ended) = self.running.join_next().await {
            self.ended(ended.map_err(|_| own_fault())?);
        }
        if self.counts.ended_badly == 0 {
            return Ok(());
        }
        let words = format!("the command ended badly {} times", self.counts.ended_badly);
        Err(Failure::new(Exit::Failed, "command_ended_badly", words).changed())
    }

    /// Takes in what is foretold now, and tells it.
    fn hear(&mut self, shown: &ForetoldShown) {
        if let Some(came) = &shown.came {
            self.counts.came += 1;
            match came.came_true {
                Some(true) => self.counts.came_true += 1,
                Some(false) => self.counts.came_otherwise += 1,
                None => {}
            }
        }
        let (due, settled) = self.attending.told(shown);
        let missed = matches!(settled, Some(Settled::Missed(_)));
        let was_prepared = matches!(settled, Some(Settled::Came(_)));
        self.counts.missed += u64::from(missed);
        let event = match (&shown.came, &shown.overdue) {
            (Some(_), _) => "came",
            (None, Some(_)) => "overdue",
            (None, None) => "foretold",
        };
        let mut told = json!({ "event": event, "prepared": was_prepared, "missed": missed });
        if let (Some(told), Ok(Value::Object(shown))) =
            (told.as_object_mut(), serde_json::to_value(shown))
        {
            told.extend(shown);
        }
        self.say(told, &in_short(shown, missed));
        if let Some(due) = due {
            self.run(&due);
        }
    }

    /// Runs the command for an event.
    fn run(&mut self, due: &Due) {
        if self.command.is_empty() {
            return;
        }
        let (why, given) = given(due);
        let begun = if self.running.len() < RUNNING_MAX {
            let _given = AsGiven::begin();
            let mut command = tokio::process::Command::from(command(&self.command));
            command.envs(&given).stdin(Stdio::null()).spawn()
        } else {
            Err(io::Error::other(format!("{RUNNING_MAX} are running still")))
        };
        match begun {
            Ok(mut child) => {
                match due {
                    Due::Prepare(_) => self.counts.prepared += 1,
                    Due::React(_) => self.counts.reacted += 1,
                }
                self.running.spawn(async move { (why, child.wait().await) });
                self.say(
                    json!({ "event": why, "given": given }),
                    &format!("  runs the command: {why}"),
                );
            }
            Err(error) => {
                self.counts.not_run += 1;
                let words = error.to_string();
                self.say(
                    json!({ "event": "not_run", "why": words }),
                    &format!("  the command was not run: {words}"),
                );
            }
        }
    }

    /// A command has ended.
    fn ended(&mut self, (why, ended): (&'static str, io::Result<ExitStatus>)) {
        let code = ended.as_ref().ok().and_then(ExitStatus::code);
        if code == Some(0) {
            return;
        }
        self.counts.ended_badly += 1;
        let how = code.map_or("without an exit code".to_owned(), |code| {
            format!("with {code}")
        });
        self.say(
            json!({ "event": "ended_badly", "why": why, "exit": code }),
            &format!("  the command that was {why} ended {how}"),
        );
    }

    /// Says something in a line: to people, or to programs.
    fn say(&self, mut told: Value, words: &str) {
        let line = if self.session.global.output == Format::Table {
            words.to_owned()
        } else {
            told["counts"] = json!(self.counts);
            told.to_string()
        };
        // Where nobody reads any more, it goes on all the same.
        let _ = output::raw(&format!("{line}\n"));
    }
}

/// Why the command is run, and what its environment tells it.
fn given(due: &Due) -> (&'static str, BTreeMap<&'static str, String>) {
    let mut given = BTreeMap::new();
    let why = match due {
        Due::Prepare(_) => "prepared",
        Due::React(_) => "reacted",
    };
    given.insert("UNISONO_WHY", why.to_owned());
    let foretold = match due {
        Due::Prepare(next) => Some(next),
        Due::React(came) => {
            given.insert("UNISONO_CAME_AT_NS", came.at_ns.0.to_string());
            given.insert("UNISONO_RECORD", came.record.to_string());
            came.foretold.as_ref()
        }
    };
    if let Some(next) = foretold {
        given.insert("UNISONO_FORETOLD_AT_NS", next.at_ns.0.to_string());
        given.insert("UNISONO_CONFIDENCE", next.confidence.to_string());
    }
    (why, given)
}

/// Whether anything is foretold; where not, why.
fn judged(shown: &ForetoldShown) -> Result<(), Failure> {
    if shown.next.is_some() {
        return Ok(());
    }
    let none = |code, words| Err(Failure::new(Exit::NotFound, code, words));
    if let Some(late) = &shown.overdue {
        let words = format!(
            "what was foretold for {:.3} has not come; nothing is foretold until it does",
            late.time
        );
        return none("event_overdue", words);
    }
    let (events, looked_at) = (shown.events, shown.looked_at);
    if events == 0 {
        let words = format!(
            "nothing is known of it: none of the latest {looked_at} records that the node holds is such an event"
        );
        return none("source_unknown", words);
    }
    let words = format!(
        "too little is known of it: {events} such events among the latest {looked_at} records that the node holds, and {} are needed; nothing is guessed",
        INTERVALS_MIN + 1
    );
    none("too_little_known", words)
}

/// All that is foretold, in lines.
fn at_length(shown: &ForetoldShown) -> String {
    let mut lines = Vec::new();
    if let Some(next) = &shown.next {
        lines.push(next_in_words(next, shown));
    }
    if let Some(mean_ms) = shown.mean_ms {
        let spread = shown.spread_ms.map(|ms| format!(", give or take {ms} ms"));
        lines.push(format!(
            "one every {mean_ms} ms{}; learnt from {} events among the latest {} records",
            spread.unwrap_or_default(),
            shown.events,
            shown.looked_at
        ));
    }
    for bin in &shown.reliability {
        let (least, most) = (bin.stated - 0.05, bin.stated + 0.05);
        lines.push(format!(
            "of {} that were stated with {least:.1} to {most:.1}, {:.2} came true",
            bin.cases, bin.came_true
        ));
    }
    // Each line ends, also the last.
    lines.push(String::new());
    lines.join("\n")
}

/// What has come and what comes next, in a line.
fn in_short(shown: &ForetoldShown, missed: bool) -> String {
    let came = shown.came.as_ref().map(came_in_words);
    let overdue = shown.overdue.as_ref().map(|late| {
        let prepared = if missed { ", and was prepared for" } else { "" };
        format!("has not come, foretold for {:.3}{prepared}", late.time)
    });
    let next = match (&shown.next, &shown.overdue) {
        (Some(next), _) => Some(next_in_words(next, shown)),
        (None, Some(_)) => None,
        (None, None) => Some(format!(
            "too little is known: {} events of {}",
            shown.events,
            INTERVALS_MIN + 1
        )),
    };
    let parts: Vec<String> = came.into_iter().chain(overdue).chain(next).collect();
    parts.join("; ")
}

fn came_in_words(came: &CameShown) -> String {
    let by = in_a_line(&came.name);
    let Some(off_ms) = came.off_ms else {
        return format!("came, by {by}");
    };
    let side = if off_ms < 0.0 { "before" } else { "after" };
    let in_time = match came.came_true {
        Some(true) => "as foretold",
        _ => "not as foretold",
    };
    format!(
        "came, by {by}, {} ms {side} its time, {in_time}",
        off_ms.abs()
    )
}

fn next_in_words(next: &NextShown, shown: &ForetoldShown) -> String {
    let pattern = match next.pattern {
        PatternWord::Periodic => "periodic",
        PatternWord::Alternating => "alternating",
        PatternWord::Bursty => "bursty",
    };
    format!(
        "next at {:.3}, in {:.0} ms: {pattern}, {:.2} sure that it comes within {} ms of that",
        next.time,
        shown.in_ms.unwrap_or_default(),
        next.confidence,
        shown.within_ms
    )
}

fn own_fault() -> Failure {
    let words = "whoever follows the source ended by a fault of its own";
    Failure::new(Exit::Failed, "internal", words)
}
