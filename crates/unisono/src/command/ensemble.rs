//! How punctual everybody is, and what is to be done together when.

use clap::{Args, Subcommand};
use unisono_api::client::Reply;
use unisono_api::dto::{
    ActionBody, Agents, AnswerBody, CueAnswerWord, CueBody, CueList, CueShown, Digits,
};
use unisono_model::{AgentId, Digest};

use super::armed::Act;
use super::at;
use super::fire::{self, Target};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table};

/// `schedule`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    command: Option<ScheduleCommand>,
}

#[derive(Clone, Debug, Subcommand)]
enum ScheduleCommand {
    /// What is to be done when, and who has answered (the same as no word)
    #[command(after_help = "Example:\n  unisono schedule list")]
    List,
    /// Gives a cue: something is to be done together at a time
    #[command(
        after_help = "Example:\n  unisono schedule cue switch --at +10s --for ada --prepare \"drain\" --as eve"
    )]
    Cue(CueArgs),
    /// Answers a cue
    #[command(after_help = "Example:\n  unisono schedule answer 3b6a… ready --as ada")]
    Answer {
        /// The cue's record
        cue: Digest,
        /// ready, short-notice or declined
        word: Word,
        /// Why
        #[arg(long, default_value = "")]
        text: String,
    },
    /// Runs a command here at the target of a cue, and tells how punctual it was
    #[command(after_help = "Example:\n  unisono schedule play 3b6a… --as ada -- ./switch")]
    Play {
        /// The cue's record
        cue: Digest,
        /// What is run
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Clone, Debug, Args)]
struct CueArgs {
    /// What is to be done
    name: String,
    /// When: as for `unisono at`
    #[arg(long, value_name = "TIME")]
    at: String,
    /// Who is meant, by name; may stand several times [default: whoever wants to]
    #[arg(long = "for", value_name = "AGENT")]
    parties: Vec<String>,
    /// What is to be prepared
    #[arg(long, value_name = "WORDS", default_value = "")]
    prepare: String,
    /// By how much an action may miss the time and still be in time (ms)
    #[arg(long, value_name = "MS", default_value_t = 50)]
    window_ms: u32,
    /// So long before it everybody has to have answered (ms)
    #[arg(long, value_name = "MS", default_value_t = 500)]
    answer_ms: u32,
    /// How sure the time is, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    confidence: u32,
}

/// What an agent says to a cue.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
enum Word {
    /// It is prepared
    Ready,
    /// The notice was too short
    ShortNotice,
    /// It will not take part
    Declined,
}

/// Shows how punctual everybody is.
pub(crate) async fn ensemble(session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("PLAYER", "name"),
        ("ACTIONS", "actions"),
        ("MEAN MS", "mean_ms"),
        ("OFF MS", "off_ms"),
        ("SPREAD MS", "spread_ms"),
        ("WORST MS", "worst_ms"),
        ("DRIFT MS/MIN", "drift_ms_per_minute"),
        ("CLOCK MS", "unsure_ms"),
        ("HEALTH", "health"),
    ];
    let list = "players";
    session
        .show_read("ensemble", &[], Some(Table { list, columns }))
        .await
}

/// Shows, gives, answers and plays cues.
pub(crate) async fn schedule(args: ScheduleArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        None | Some(ScheduleCommand::List) => list(session).await,
        Some(ScheduleCommand::Cue(args)) => cue(args, session).await,
        Some(ScheduleCommand::Answer { cue, word, text }) => {
            let word = match word {
                Word::Ready => CueAnswerWord::Ready,
                Word::ShortNotice => CueAnswerWord::ShortNotice,
                Word::Declined => CueAnswerWord::Declined,
            };
            let body = AnswerBody { cue, word, text };
            session.show_act(ActionBody::Answer(body)).await
        }
        Some(ScheduleCommand::Play { cue, command }) => play(cue, command, session).await,
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("CUE", "cue.name"),
        ("AT NS", "cue.target_ns"),
        ("LEAD MS", "lead_ms"),
        ("BY", "by"),
        ("MISSING", "missing"),
        ("PREPARE", "cue.preparation"),
        ("RECORD", "record"),
    ];
    let list = "cues";
    session
        .show_read(list, &[], Some(Table { list, columns }))
        .await
}

async fn cue(args: CueArgs, session: &Session) -> Result<(), Failure> {
    let clock = fire::ask(session, false).await?;
    let target_ns = at::target(session, &clock, at::read(&args.at)?)
        .await?
        .at_ns;
    let agents: Reply<Agents> = session.read("agents", &[]).await?;
    let key = |name: &String| -> Result<AgentId, Failure> {
        let mut known = agents.body.agents.iter().filter(|one| one.name == *name);
        match (known.next(), known.next()) {
            (Some(one), None) => Ok(one.agent),
            (None, _) => Err(Failure::new(
                Exit::NotFound,
                "agent_unknown",
                format!("no agent {name} is enrolled here; nothing was given"),
            )),
            (Some(_), Some(_)) => Err(Failure::new(
                Exit::Conflict,
                "name_taken",
                format!("several agents are called {name}; nothing was given"),
            )),
        }
    };
    let body = CueBody {
        name: args.name,
        target_ns: Digits(target_ns),
        window_ms: args.window_ms,
        confidence_ppm: args.confidence * 10_000,
        answer_ms: args.answer_ms,
        preparation: args.prepare,
        parties: args.parties.iter().map(key).collect::<Result<_, _>>()?,
    };
    session.show_act(ActionBody::Cue(body)).await
}

async fn play(record: Digest, command: Vec<String>, session: &Session) -> Result<(), Failure> {
    session.agent()?;
    let cues: Reply<CueList> = session.read("cues", &[]).await?;
    let known = cues.body.cues.into_iter().find(|one| one.record == record);
    let CueShown { cue, .. } = known.ok_or_else(|| {
        let words = format!("no cue {record} is held here; nothing was run");
        Failure::new(Exit::NotFound, "cue_unknown", words).next("unisono schedule")
    })?;
    let clock = fire::ask(session, false).await?;
    let target_ns = cue.target_ns.0;
    let now_ns = clock.estimate().unwrap_or_default();
    if target_ns < now_ns {
        let past_ms = (now_ns - target_ns) as f64 / 1e6;
        let words = format!("the cue's time is {past_ms:.3} ms past; nothing was run");
        return Err(Failure::new(Exit::Usage, "time_past", words));
    }
    let act = Act::run(command);
    let fired = fire::at(session, clock, Target::fixed(target_ns), false, act).await?;
    at::tell(session, Some(record), &fired).await?;
    let late_ms = fired.late_ns as f64 / 1e6;
    if session.global.output == Format::Table {
        let within = fired.late_ns.unsigned_abs() <= u64::from(cue.window_ms) * 1_000_000;
        let window = if within { "within" } else { "outside" };
        output::say(&format!(
            "played {late_ms:.3} ms after its time, {window} {} ms",
            cue.window_ms
        ));
    } else {
        let told = serde_json::json!({ "cue": record.to_string(), "late_ns": fired.late_ns });
        output::say(&told.to_string());
    }
    at::ended(&fired)
}
