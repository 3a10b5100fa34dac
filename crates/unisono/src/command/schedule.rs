//! What is to be done together when: cues, how much notice they give, and what becomes of them.

use std::time::Duration;

use clap::{Args, Subcommand};
use unisono_api::client::Reply;
use unisono_api::dto::{
    ActionBody, AnswerBody, ChannelModeWord, ChannelsShown, CueAnswerWord, CueBody, CueList,
    CueNoticeShown, CueOutcomeWord, CueRuleWord, CueShown, CueStageWord, CueTurn, Digits,
    LeadsShown, PartyShown, PlanWord,
};
use unisono_model::{AgentId, Digest};

use super::armed::Act;
use super::at;
use super::elsewhere::{enrolled, key_of};
use super::fire::{self, Target};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, in_a_line};

/// How soon a cue that was to be decided just now is looked at again.
const DECIDED_LOOK_EVERY: Duration = Duration::from_millis(20);
/// And at the latest: clocks are put right meanwhile.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(10);

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
        after_help = "Example:\n  unisono schedule cue switch --for ada --prepare \"drain\" --as eve"
    )]
    Cue(CueArgs),
    /// How much notice agents need, by how long they took to be ready so far
    #[command(after_help = "Example:\n  unisono schedule leads ada eve --share 0.99")]
    Leads(LeadsArgs),
    /// Tells each cue as it stands, and again whenever that changes, until it is interrupted; with
    /// --as only what concerns that agent
    #[command(after_help = "Example:\n  unisono schedule follow --as eve")]
    Follow,
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
    /// When: as for `unisono at` [default: as soon as those who are meant can be ready]
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Who is meant, by name; may stand several times [default: whoever wants to]
    #[arg(long = "for", value_name = "AGENT")]
    parties: Vec<String>,
    /// What is to be prepared
    #[arg(long, value_name = "WORDS", default_value = "")]
    prepare: String,
    /// By how much an action may miss the time and still be in time (ms) [default: by how the actions of
    /// those who are meant spread, 50 at least where too few are known, and more where the node knows the
    /// time badly]
    #[arg(long, value_name = "MS")]
    window_ms: Option<u32>,
    /// So long before it everybody has to have answered (ms)
    #[arg(long, value_name = "MS", default_value_t = 500)]
    answer_ms: u32,
    /// How sure the time is, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=100))]
    confidence: u32,
    /// What becomes of it if somebody who is meant is not ready in time
    #[arg(long, value_name = "RULE", default_value = "go")]
    rule: Rule,
    /// One cue for each agent that is meant, each as soon as that one can be ready: the quickest first
    #[arg(long, conflicts_with_all = ["at", "rule"], requires = "parties")]
    cascade: bool,
}

/// `schedule leads`.
#[derive(Clone, Debug, Args)]
struct LeadsArgs {
    /// Of whom, by names or keys [default: everybody]
    #[arg(value_name = "AGENT")]
    agents: Vec<String>,
    /// Of everybody in this role
    #[arg(long, conflicts_with = "agents")]
    role: Option<String>,
    /// In which share of cues all of them are to be ready in time: above 0, below 1 [default: 0.95]
    #[arg(long, value_name = "SHARE", allow_hyphen_values = true)]
    share: Option<String>,
    /// At most so many, 1 to 1000
    #[arg(long, value_name = "N")]
    limit: Option<u16>,
}

/// What becomes of a cue when somebody who is meant is not ready in time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(super) enum Rule {
    /// Whoever is ready goes
    Go,
    /// Nobody goes: it is off
    Wait,
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

/// Shows, gives, answers and plays cues.
pub(crate) async fn schedule(args: ScheduleArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        None | Some(ScheduleCommand::List) => list(session).await,
        Some(ScheduleCommand::Cue(args)) => cue(args, session).await,
        Some(ScheduleCommand::Leads(args)) => leads(args, session).await,
        Some(ScheduleCommand::Follow) => follow(session).await,
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
        ("STAGE", "stage"),
        ("LACKING", "lacking"),
        ("MISSING", "missing"),
        ("TOO SHORT", "notice.short"),
        ("PREPARE", "cue.preparation"),
        ("RECORD", "record"),
    ];
    let list = "cues";
    session
        .show_read(list, &[], Some(Table { list, columns }))
        .await
}

async fn leads(args: LeadsArgs, session: &Session) -> Result<(), Failure> {
    let columns = &[
        ("AGENT", "name"),
        ("SAMPLES", "samples"),
        ("MISSES", "misses"),
        ("MEDIAN MS", "median_ms"),
        ("SPREAD MS", "spread_ms"),
        ("FLOOR MS", "floor_ms"),
        ("QUANTILE MS", "quantile_ms"),
        ("PREPARING MS", "preparation_ms"),
        ("LEAD MS", "lead_ms"),
        ("ASSUMED", "assumed"),
        ("RELIABILITY", "reliability"),
        ("BACK AFTER MS", "recovery_ms"),
    ];
    let agents = args.agents.join(",");
    let limit = args.limit.map(|limit| limit.to_string());
    let asked = [
        (
            "agents",
            Some(agents.as_str()).filter(|agents| !agents.is_empty()),
        ),
        ("role", args.role.as_deref()),
        ("share", args.share.as_deref()),
        ("limit", limit.as_deref()),
    ];
    let query: Vec<(&str, &str)> = asked
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let reply: Reply<LeadsShown> = session.read("leads", &query).await?;
    let list = "agents";
    session.show(&reply, Some(Table { list, columns }))?;
    let told = &reply.body;
    if session.global.output == Format::Table {
        output::say(&format!(
            "together: {} ms, so that all {} are ready in {} of cues (each in {:.6}); assumed of {}: fewer than 8 samples",
            told.together_ms, told.total, told.share, told.share_each, told.assumed
        ));
        output::say(&format!("their window: {} ms to each side", told.window_ms));
    }
    Ok(())
}

async fn follow(session: &Session) -> Result<(), Failure> {
    session.is_now()?;
    let agent = session.agent.as_deref();
    let mut cues = session.client.cues(&session.orchestra, agent);
    loop {
        let shown = cues.next().await?;
        let line = if session.global.output == Format::Table {
            line_of(&shown)
        } else {
            serde_json::to_string(&shown)
                .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?
        };
        output::raw(&format!("{line}\n"))?;
    }
}

/// A cue in a line: what becomes of it, and who is lacking.
fn line_of(shown: &CueShown) -> String {
    let stage = match shown.stage {
        CueStageWord::Asked => "asked",
        CueStageWord::AskedAgain => "asked again",
        CueStageWord::Answered => "answered",
        CueStageWord::Escalated => "escalated",
        CueStageWord::On => "on",
        CueStageWord::Off => "off",
    };
    let name = &shown.cue.name;
    let mut words = vec![format!("{name} at {}: {stage}", shown.cue.target_ns.0)];
    if !shown.lacking.is_empty() {
        words.push(format!("not ready: {}", shown.lacking.join(", ")));
    }
    for PartyShown {
        name,
        late_ns,
        outcome,
        ..
    } in &shown.parties
    {
        let late_ms = late_ns.unwrap_or_default() as f64 / 1e6;
        words.extend(outcome.map(|outcome| match outcome {
            CueOutcomeWord::Punctual => format!("{name} punctual"),
            CueOutcomeWord::Early => format!("{name} {:.3} ms early", -late_ms),
            CueOutcomeWord::Late => format!("{name} {late_ms:.3} ms late"),
            CueOutcomeWord::Untold => format!("{name} told nothing"),
        }));
    }
    let line = words.join(", ");
    in_a_line(&format!("{line}  {}", shown.record))
}

async fn cue(args: CueArgs, session: &Session) -> Result<(), Failure> {
    say_channels(session).await;
    let parties = keys(&args.parties, session).await?;
    if args.cascade {
        return cascade(&args, &parties, session).await;
    }
    let target_ns = match &args.at {
        Some(at) => {
            let clock = fire::ask(session, false).await?;
            let target = at::target(session, &clock, at::read(at)?).await?;
            target.at_ns
        }
        None => 0,
    };
    give(body(&args, target_ns, parties), session).await
}

/// Says to people where a channel is weak, and what the node does about it: windows that nobody names are
/// wider, more notice is needed, and cues are sent twice.
pub(super) async fn say_channels(session: &Session) {
    if session.global.output != Format::Table {
        return;
    }
    let clock = session.client.clock().await.ok();
    let channels = clock.and_then(|reply| reply.body.channels);
    let weak = |one: &ChannelsShown| one.mode != ChannelModeWord::Whole || one.widen_ms > 0.0;
    if let Some(channels) = channels.filter(weak) {
        output::say(&super::clock::channels_words(&channels));
    }
}

/// One cue for each, each after its own lead.
async fn cascade(args: &CueArgs, parties: &[AgentId], session: &Session) -> Result<(), Failure> {
    let agents: Vec<String> = parties.iter().map(AgentId::to_string).collect();
    let agents = agents.join(",");
    let reply: Reply<LeadsShown> = session.read("leads", &[("agents", &agents)]).await?;
    for one in reply.body.agents.iter().rev() {
        give(body(args, 0, vec![one.agent]), session).await?;
    }
    Ok(())
}

fn body(args: &CueArgs, target_ns: u64, parties: Vec<AgentId>) -> CueBody {
    CueBody {
        name: args.name.clone(),
        target_ns: Digits(target_ns),
        window_ms: args.window_ms.unwrap_or_default(),
        confidence_ppm: args.confidence * 10_000,
        answer_ms: args.answer_ms,
        preparation: args.prepare.clone(),
        parties,
        rule: args.rule.into(),
    }
}

impl From<Rule> for CueRuleWord {
    fn from(rule: Rule) -> Self {
        match rule {
            Rule::Go => Self::Go,
            Rule::Wait => Self::Wait,
        }
    }
}

/// Gives a cue, and says to people which lead by whom it has, and whom it is too short for.
async fn give(body: CueBody, session: &Session) -> Result<(), Failure> {
    let reply = session
        .act(ActionBody::Cue(body), session.options())
        .await?;
    let kept = session.show_recorded(&reply);
    if let Some(shown) = &reply.body.cue
        && session.global.output == Format::Table
    {
        say_of(shown);
    }
    kept
}

/// To people, by whose lead a cue goes.
fn say_of(shown: &CueShown) {
    if shown.plan == PlanWord::React {
        output::say(&format!(
            "only {:.2} sure, by its confidence and by how true earlier cues were: nobody is to prepare for it",
            f64::from(shown.sure_ppm) / 1e6
        ));
    }
    let Some(notice) = &shown.notice else {
        return;
    };
    let target_ns = shown.cue.target_ns.0;
    let by = in_a_line(&notice.by);
    let basis = if notice.assumed {
        ", which is assumed: too little is known"
    } else {
        ""
    };
    output::say(&format!(
        "at {target_ns}, {} ms to be ready; {by} needs {} ms{basis}",
        notice.given_ms, notice.needed_ms
    ));
    for one in &notice.short {
        let name = in_a_line(&one.name);
        output::say(&format!(
            "short notice: {} ms too short for {name}",
            one.short_ms
        ));
    }
    say_unreliable(notice);
}

/// Says to people who is known to miss cues, and who could do it instead.
pub(super) fn say_unreliable(notice: &CueNoticeShown) {
    for one in &notice.unreliable {
        let name = in_a_line(&one.name);
        let share = f64::from(one.reliability_ppm) / 1e6;
        let instead = if one.stand_ins.is_empty() {
            "nobody in its role is known to be more reliable".to_owned()
        } else {
            format!("could stand in: {}", in_a_line(&one.stand_ins.join(", ")))
        };
        output::say(&format!(
            "{name} is ready in time in {share:.2} of its cues, so it is asked twice as often; {instead}"
        ));
    }
}

/// The first keys of agents, by names or keys.
async fn keys(names: &[String], session: &Session) -> Result<Vec<AgentId>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let agents = enrolled(session).await?;
    names.iter().map(|name| key_of(name, &agents)).collect()
}

async fn play(record: Digest, command: Vec<String>, session: &Session) -> Result<(), Failure> {
    session.agent()?;
    let CueShown { cue, .. } = decided(record, session).await?;
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
            "played {late_ms:.3} ms after its time, {window} {} ms, {}",
            cue.window_ms,
            at::priority(&fired)
        ));
    } else {
        let told = serde_json::json!({
            "cue": record.to_string(),
            "late_ns": fired.late_ns,
            "real_time": fired.real_time,
        });
        output::say(&told.to_string());
    }
    at::ended(&fired)
}

/// A cue that this agent acts on. One that waits for all is waited for until it is decided, and so is an
/// agent that is meant and has not said yet that it is ready.
async fn decided(record: Digest, session: &Session) -> Result<CueShown, Failure> {
    loop {
        let cues: Reply<CueList> = session.read("cues", &[]).await?;
        let known = cues.body.cues.into_iter().find(|one| one.record == record);
        let shown = known.ok_or_else(|| {
            let words = format!("no cue {record} is held here; nothing was run");
            Failure::new(Exit::NotFound, "cue_unknown", words).next("unisono schedule")
        })?;
        match shown.turn_of(session.agent()?) {
            CueTurn::Acts => return Ok(shown),
            CueTurn::Off => {
                let lacking = in_a_line(&shown.lacking.join(", "));
                let words =
                    format!("the cue is off: not ready in time: {lacking}; nothing was run");
                return Err(Failure::new(Exit::Conflict, "cue_off", words).next("unisono schedule"));
            }
            CueTurn::NotReady => {
                let words = "this agent is meant and was not ready in time; nothing was run";
                let failure = Failure::new(Exit::Conflict, "cue_not_ready", words);
                return Err(failure
                    .hint("say `schedule answer CUE ready` before the time to answer is over"));
            }
            CueTurn::Waits => {}
        }
        let clock = fire::ask(session, false).await?;
        let left_ns = shown
            .answer_by_ns
            .0
            .saturating_sub(clock.estimate().unwrap_or_default());
        let left = Duration::from_nanos(left_ns);
        tokio::time::sleep(left.clamp(DECIDED_LOOK_EVERY, LOOK_EVERY_MAX)).await;
    }
}
