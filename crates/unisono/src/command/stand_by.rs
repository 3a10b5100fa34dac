//! Stands by: waits for cues of one name, makes a command of this machine ready, and runs it at their time.
//!
//! Nothing of a cue reaches the command. Whoever gives it decides when, and by its name which of the commands
//! that stand by: what these are is written here alone
//! (`docs/decisions/031-a-command-stays-on-its-machine.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use unisono_api::client::{ClientError, Reply};
use unisono_api::dto::{
    ActionBody, AnswerBody, CueAnswerWord, CueList, CueShown, CueTurn, Ended, PlanWord,
};
use unisono_model::{AgentId, Digest};

use super::armed::{Act, startable};
use super::at;
use super::elsewhere::{enrolled, key_of};
use super::fire::{self, Arming, Fired};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, in_a_line};

/// So many cues are stood ready for at once: each has a process of its own.
const ACTING_MAX: usize = 16;
/// So many cues that are over are remembered: more than one giver may have open, and a stream that is opened
/// again tells those of the last hour once more.
const OVER_MAX: usize = 4_096;
/// How long it is waited before a node that does not answer is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// So long before the target it is asked for the last time what has become of the cue, ns: what the node is
/// asked then has to be back in time.
const COMMITS_NS: u64 = 250_000_000;
/// How long that may take.
const LOOK_WITHIN: Duration = Duration::from_millis(80);
/// So long before a target that is not sure the command is made ready, ns: a process begins within that.
const REACTS_NS: u64 = 4 * COMMITS_NS;
/// Between two looks at a cue that is not decided yet.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest sleep: clocks are put right meanwhile.
const SLEEP_NS_MAX: u64 = 10_000_000_000;

/// `stand-by`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StandByArgs {
    /// For which cues: what `at --word` and `schedule cue` call them
    #[arg(value_name = "WORD")]
    word: String,
    /// Only on cues of this agent, by name or key; may stand several times [default: of whoever may give
    /// them]
    #[arg(long = "from", value_name = "AGENT")]
    from: Vec<String>,
    /// Ends when it has acted once, as the command did
    #[arg(long)]
    once: bool,
    /// Runs the command when a cue comes, and gives it a line (the time, ns) on its standard input when the
    /// time has come: for programs that take long to be ready
    #[arg(long)]
    ready: bool,
    /// What is run
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// What an agent stands by with.
#[derive(Debug)]
struct StandBy {
    session: Session,
    word: String,
    agent: AgentId,
    /// Whose cues it acts on; nobody: everybody's.
    from: BTreeSet<AgentId>,
    act: Act,
}

/// What came of a cue.
#[derive(Debug)]
enum Came {
    /// It was not made ready, and why.
    Unready(String),
    /// It did not take place: who was lacking.
    Off(Vec<String>),
    /// It was ready, and did not act, and why.
    NotRun(String),
    /// It acted.
    Played(Box<Fired>),
}

/// Waits for cues and acts on them, until it is interrupted.
pub(crate) async fn stand_by(args: StandByArgs, session: Session) -> Result<(), Failure> {
    let agents = enrolled(&session).await?;
    let agent = key_of(session.agent()?, &agents)?;
    let from = args.from.iter().map(|name| key_of(name, &agents));
    let clock = fire::ask(&session, false).await?;
    fire::is_here(&clock)?;
    let act = if args.ready {
        Act::Release(args.command.clone())
    } else {
        Act::run(args.command.clone())
    };
    let standing = Arc::new(StandBy {
        word: args.word,
        agent,
        from: from.collect::<Result<_, _>>()?,
        act,
        session,
    });
    standing.say(
        &json!({ "event": "standing", "word": standing.word, "agent": agent }),
        &format!("stands by for {}", standing.word),
    );
    if let Err(error) = startable(&args.command) {
        // It may be put there before the first cue comes; until then each is declined.
        output::say(&format!("not ready for any cue yet: {error}"));
    }
    let (tell, told) = mpsc::channel(ACTING_MAX);
    let follows = tokio::spawn(follow(standing.clone(), tell));
    let ended = standing.serve(told, args.once).await;
    follows.abort();
    ended
}

/// Tells each cue of the agent as it stands, over whichever node answers.
async fn follow(standing: Arc<StandBy>, tell: mpsc::Sender<Result<CueShown, Failure>>) {
    let session = &standing.session;
    let agent = standing.agent.to_string();
    loop {
        let mut cues = session.client.cues(&session.orchestra, Some(&agent));
        let error = loop {
            match cues.next().await {
                Ok(shown) if shown.cue.name != standing.word => {}
                Ok(shown) => {
                    if tell.send(Ok(shown)).await.is_err() {
                        return;
                    }
                }
                Err(error) => break error,
            }
        };
        if !matches!(error, ClientError::Unreachable(_)) {
            // Nobody is there any more if this fails.
            let _ = tell.send(Err(error.into())).await;
            return;
        }
        output::say("no node answers; asking again");
        tokio::time::sleep(AGAIN).await;
    }
}

impl StandBy {
    /// Acts on each cue as it comes.
    async fn serve(
        self: Arc<Self>,
        mut told: mpsc::Receiver<Result<CueShown, Failure>>,
        once: bool,
    ) -> Result<(), Failure> {
        let mut acting: BTreeMap<Digest, watch::Sender<CueShown>> = BTreeMap::new();
        let mut over: BTreeSet<Digest> = BTreeSet::new();
        let mut tasks = JoinSet::new();
        loop {
            tokio::select! {
                shown = told.recv() => {
                    let shown = shown.ok_or_else(own_fault)??;
                    let record = shown.record;
                    if let Some(known) = acting.get(&record) {
                        known.send_replace(shown);
                    } else if !over.contains(&record) && shown.is_for(&self.agent) {
                        let full = acting.len() >= ACTING_MAX;
                        let (tell, known) = watch::channel(shown);
                        acting.insert(record, tell);
                        tasks.spawn(self.clone().plays(record, known, full));
                    }
                }
                Some(ended) = tasks.join_next(), if !tasks.is_empty() => {
                    let (record, came) = ended.map_err(|_| own_fault())?;
                    acting.remove(&record);
                    over.insert(record);
                    if over.len() > OVER_MAX {
                        over.pop_first();
                    }
                    if let Some(Came::Played(fired)) = came && once {
                        return at::ended(&fired);
                    }
                }
            }
        }
    }

    /// One cue from its beginning to its end. What goes wrong with it is told, and ends nothing else.
    async fn plays(
        self: Arc<Self>,
        record: Digest,
        known: watch::Receiver<CueShown>,
        full: bool,
    ) -> (Digest, Option<Came>) {
        let came = match self.play(record, known, full).await {
            Ok(came) => came,
            Err(failure) => {
                output::failure(self.session.global.output, &failure);
                None
            }
        };
        if let Some(came) = &came {
            self.say_what_came(record, came);
        }
        (record, came)
    }

    async fn play(
        &self,
        record: Digest,
        mut known: watch::Receiver<CueShown>,
        full: bool,
    ) -> Result<Option<Came>, Failure> {
        let shown = known.borrow_and_update().clone();
        let reacts = shown.plan == PlanWord::React;
        if reacts && !self.waits_unprepared(&shown, full).await? {
            return Ok(None);
        }
        let mut arming = match self.makes_ready(&shown, full).await {
            Ok(Some(arming)) => arming,
            // Its time was past when this agent heard of it.
            Ok(None) => return Ok(None),
            Err(failure) => {
                let why = failure.report().error.clone();
                self.answer(record, CueAnswerWord::Declined, &why).await?;
                return Ok(Some(Came::Unready(why)));
            }
        };
        if !reacts {
            self.answer(record, CueAnswerWord::Ready, "").await?;
        }
        let left_ms = arming.left_ns() as f64 / 1e6;
        self.say(
            &json!({ "event": "ready", "cue": record, "by": shown.by, "left_ms": left_ms }),
            &format!(
                "ready for {} of {}, in {left_ms:.0} ms",
                self.word,
                in_a_line(&shown.by)
            ),
        );
        let window_ns = u64::from(shown.cue.window_ms) * 1_000_000;
        let decided = self.decided(&mut arming, &known).await;
        let why = match decided.turn_of(&self.agent.to_string()) {
            CueTurn::Acts if arming.past_ns() <= window_ns => None,
            CueTurn::Acts => Some("its time was past before it could be fired"),
            CueTurn::Off => return Ok(Some(Came::Off(decided.lacking))),
            CueTurn::NotReady => Some("it was not ready in time"),
            CueTurn::Waits => Some("it was not known here in time whether all were ready"),
        };
        if let Some(why) = why {
            drop(arming);
            return self.was_not_run(record, why.to_owned()).await;
        }
        let mut firing = arming.fire();
        let mut fired = match firing.fired().await {
            Ok(fired) => fired,
            Err(failure) => {
                return self
                    .was_not_run(record, failure.report().error.clone())
                    .await;
            }
        };
        // The orchestra hears how punctual it was while the command may still be running.
        let told = at::tell(&self.session, Some(record), &fired).await;
        fired.status = firing.ended().await?;
        let ended = fired.status.map_or(Ended::Code(0), how).to_string();
        let answered = self.answer(record, CueAnswerWord::Ready, &ended).await;
        for untold in [told, answered].into_iter().filter_map(Result::err) {
            output::failure(self.session.global.output, &untold);
        }
        Ok(Some(Came::Played(Box::new(fired))))
    }

    /// Says that it will act on a cue whose time is not sure, and waits until that is near: nothing is made
    /// ready for what may not come then. Returns whether there is anything to do.
    async fn waits_unprepared(&self, shown: &CueShown, full: bool) -> Result<bool, Failure> {
        let target_ns = shown.cue.target_ns.0;
        let mut said = false;
        loop {
            let clock = fire::ask(&self.session, false).await?;
            let now_ns = clock.estimate().unwrap_or_default();
            if now_ns >= target_ns {
                return Ok(false);
            }
            // What it may not or cannot do is declined where it is made ready: at once.
            if self.may(shown, full).is_err() {
                return Ok(true);
            }
            if !said {
                self.answer(shown.record, CueAnswerWord::Ready, "reacts")
                    .await?;
                let sure = f64::from(shown.sure_ppm) / 1e6;
                self.say(
                    &json!({ "event": "reacts", "cue": shown.record, "sure": sure }),
                    &format!(
                        "{} of {} is {sure:.2} sure: nothing is made ready before its time",
                        self.word,
                        in_a_line(&shown.by)
                    ),
                );
                said = true;
            }
            let Some(left_ns) = (target_ns - now_ns).checked_sub(REACTS_NS) else {
                return Ok(true);
            };
            tokio::time::sleep(Duration::from_nanos(left_ns.clamp(1, SLEEP_NS_MAX))).await;
        }
    }

    /// Makes the command ready for a cue; nothing where its time is past.
    async fn makes_ready(&self, shown: &CueShown, full: bool) -> Result<Option<Arming>, Failure> {
        let clock = fire::ask(&self.session, false).await?;
        if clock
            .estimate()
            .is_some_and(|now_ns| now_ns >= shown.cue.target_ns.0)
        {
            return Ok(None);
        }
        self.may(shown, full)?;
        let mut arming = Arming::new(clock, shown.cue.target_ns.0, self.act.clone())?;
        arming.ready().await?;
        Ok(Some(arming))
    }

    /// Whether it may and can act on a cue.
    fn may(&self, shown: &CueShown, full: bool) -> Result<(), Failure> {
        let cannot = |why: String| Failure::new(Exit::Conflict, "not_ready", why);
        if !self.from.is_empty() && !self.from.contains(&shown.agent) {
            let words = format!("it acts on no cues of {}", in_a_line(&shown.by));
            return Err(cannot(words));
        }
        if full {
            return Err(cannot(format!("it is ready for {ACTING_MAX} cues already")));
        }
        if let Act::Run(words) | Act::Release(words) = &self.act {
            startable(words).map_err(|error| cannot(error.to_string()))?;
        }
        Ok(())
    }

    /// Waits until shortly before the target, and says how the cue stands then.
    async fn decided(&self, arming: &mut Arming, known: &watch::Receiver<CueShown>) -> CueShown {
        while let left_ns @ COMMITS_NS.. = arming.left_ns() {
            let sleeps_ns = (left_ns - COMMITS_NS + 1).min(SLEEP_NS_MAX);
            tokio::time::sleep(Duration::from_nanos(sleeps_ns)).await;
        }
        let record = known.borrow().record;
        let agent = self.agent.to_string();
        arming.ask_again(&self.session, false).await;
        loop {
            // Where the node does not answer in time, what it told last is all there is.
            let looked = tokio::time::timeout(LOOK_WITHIN, self.look(record)).await;
            let shown = match looked {
                Ok(Ok(Some(shown))) => shown,
                _ => known.borrow().clone(),
            };
            if shown.turn_of(&agent) != CueTurn::Waits || arming.left_ns() == 0 {
                return shown;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn look(&self, record: Digest) -> Result<Option<CueShown>, Failure> {
        let cues: Reply<CueList> = self.session.read("cues", &[]).await?;
        Ok(cues.body.cues.into_iter().find(|one| one.record == record))
    }

    async fn was_not_run(&self, record: Digest, why: String) -> Result<Option<Came>, Failure> {
        let words = Ended::NotRun(why.clone()).to_string();
        self.answer(record, CueAnswerWord::Declined, &words).await?;
        Ok(Some(Came::NotRun(why)))
    }

    async fn answer(&self, cue: Digest, word: CueAnswerWord, text: &str) -> Result<(), Failure> {
        let text = text.to_owned();
        let body = ActionBody::Answer(AnswerBody { cue, word, text });
        let options = self.session.options();
        self.session.act(body, options).await.map(|_| ())
    }

    fn say_what_came(&self, record: Digest, came: &Came) {
        let word = &self.word;
        let (mut told, words) = match came {
            Came::Unready(why) => (
                json!({ "event": "declined", "why": why }),
                format!("declined {word}: {why}"),
            ),
            Came::Off(lacking) => (
                json!({ "event": "off", "lacking": lacking }),
                format!(
                    "{word} is off, not ready: {}; nothing was run",
                    lacking.join(", ")
                ),
            ),
            Came::NotRun(why) => (
                json!({ "event": "not_run", "why": why }),
                format!("{word} was not run: {why}"),
            ),
            Came::Played(fired) => {
                let ended = fired.status.map_or(Ended::Code(0), how);
                let late_us = fired.late_ns as f64 / 1e3;
                let told = json!({
                    "event": "played",
                    "late_ns": fired.late_ns,
                    "runs_late_ns": fired.runs_late_ns,
                    "three_sigma_ns": fired.unsure_ns,
                    "real_time": fired.real_time,
                    "ended": ended.to_string(),
                });
                (
                    told,
                    format!("ran {word} {late_us:.1} us after its time, {ended}"),
                )
            }
        };
        told["cue"] = json!(record);
        self.say(&told, &in_a_line(&words));
    }

    /// Says something in a line: to people, or to programs.
    fn say(&self, told: &Value, words: &str) {
        let line = if self.session.global.output == Format::Table {
            words.to_owned()
        } else {
            told.to_string()
        };
        // Where nobody reads any more, it goes on standing by.
        let _ = output::raw(&format!("{line}\n"));
    }
}

/// How a command ended.
fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Code(code),
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

fn own_fault() -> Failure {
    let words = "whoever follows the cues ended by a fault of its own";
    Failure::new(Exit::Failed, "internal", words)
}
