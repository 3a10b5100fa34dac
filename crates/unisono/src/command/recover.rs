//! Recovery of what goes wrong among those who play together (part VII of the seed): one agent, that
//! somebody has let do so, gives the cues. A node has no say in what agents do together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;
use unisono_api::client::{ClientError, Reply};
use unisono_api::dto::{
    ActionBody, CueBody, CueRuleWord, Digits, Ensemble, Finding, FindingChange, Recorded,
};
use unisono_core::ensemble::{Asks, Cure, Due, Recovery};
use unisono_model::limits::CUE_PARTIES_MAX;
use unisono_model::{AgentId, Code, Digest};

use super::ensemble::{named, words};
use super::session::Session;
use super::{at, fire};
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

/// So often each thing that goes wrong is answered with a cue; after that people are asked.
const STEPS_MAX: u32 = 3;
/// So soon a cue that could not be given is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// What begins again within so many times the patience goes on where it was: it was not over, or what was asked
/// for did not help.
const REMEMBERED: u32 = 4;
/// How often it is looked whether a step has had its time.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// So long before its time everybody has to have answered a cue (ms).
const ANSWER_MS: u32 = 500;

/// What goes wrong, and whom it concerns: two findings are one while both stay.
type Trouble = (String, Vec<AgentId>);

/// What is being done about something.
#[derive(Debug)]
struct Course {
    finding: Finding,
    /// How many cues were given.
    steps: u32,
    /// When the next one is due, if it still stands.
    due: Instant,
    /// Whether people were asked.
    told: bool,
    /// Since when it is over, if it is.
    over: Option<Instant>,
}

/// What is asked for, when, and of whom.
struct Step {
    name: &'static str,
    preparation: String,
    /// As for `unisono at`; none: as soon as those who are meant can be ready.
    at: Option<String>,
    parties: Vec<AgentId>,
}

/// Follows what goes wrong and gives what recovers, until it is interrupted.
pub(super) async fn recover(session: &Session, patience: Duration) -> Result<(), Failure> {
    session.agent()?;
    let mut changes = changes(session);
    let mut courses: BTreeMap<Trouble, Course> = BTreeMap::new();
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            change = changes.recv() => {
                let Some(change) = change else { return Ok(()) };
                let change = change?;
                for finding in &change.over {
                    if let Some(course) = courses.get_mut(&trouble(finding)) {
                        course.over = Some(Instant::now());
                        tell_over(session, finding)?;
                    }
                }
                for finding in change.begun {
                    tell(session, &finding)?;
                    begins(&mut courses, finding);
                }
            }
            _ = look.tick() => {}
        }
        let remembered = patience * REMEMBERED;
        courses.retain(|_, course| course.over.is_none_or(|over| over.elapsed() < remembered));
        for course in courses.values_mut() {
            if course.over.is_none() && Instant::now() >= course.due {
                go_on(session, course, patience).await?;
            }
        }
    }
}

/// What begins and is over, read by itself: a connection that is being made is not given up for a look.
fn changes(session: &Session) -> mpsc::Receiver<Result<FindingChange, ClientError>> {
    let (tell, told) = mpsc::channel(1);
    let mut findings = session.client.findings(&session.orchestra);
    tokio::spawn(async move {
        loop {
            let change = findings.next().await;
            let ends = change.is_err();
            if tell.send(change).await.is_err() || ends {
                return;
            }
        }
    });
    told
}

fn trouble(finding: &Finding) -> Trouble {
    (named(finding).0.to_owned(), finding.keys.clone())
}

/// What begins, or goes on after it seemed to be over.
fn begins(courses: &mut BTreeMap<Trouble, Course>, finding: Finding) {
    let known = courses.entry(trouble(&finding)).or_insert_with(|| Course {
        finding: finding.clone(),
        steps: 0,
        due: Instant::now(),
        told: false,
        over: None,
    });
    (known.finding, known.over) = (finding, None);
}

/// The next step, or people.
async fn go_on(session: &Session, course: &mut Course, patience: Duration) -> Result<(), Failure> {
    let (what, who) = named(&course.finding);
    if course.finding.is_critical() {
        // It says that something is wrong, not what: part VII has nothing to ask for there.
        if !course.told {
            course.told = true;
            output::say(&format!("{what} ({who}): somebody has to look"));
        }
        return Ok(());
    }
    if course.steps == STEPS_MAX {
        if !course.told {
            course.told = true;
            output::say(&format!(
                "{what} ({who}) stands after {STEPS_MAX} cues: somebody has to look what lies behind it"
            ));
        }
        return Ok(());
    }
    match give(session, course).await {
        Ok((step, reply)) => {
            course.steps += 1;
            course.due = Instant::now() + patience;
            given(session, course, &step, &reply)
        }
        // Somebody else under this name has given it, for another time.
        Err(failure) if failure.is_code(Code::KeyReused) => {
            course.steps += 1;
            course.due = Instant::now() + patience;
            Ok(())
        }
        // A cue that is refused today may be taken tomorrow; one that goes wrong stops no others.
        Err(failure) => {
            course.due = Instant::now() + AGAIN_AFTER;
            output::say(&format!(
                "{what} ({who}): no cue was given: {} ({})",
                failure.report().error,
                failure.report().code
            ));
            Ok(())
        }
    }
}

async fn give(session: &Session, course: &Course) -> Result<(Step, Reply<Recorded>), Failure> {
    let cure = Recovery::from(course.finding.recovery).cure(course.steps);
    let all = if cure.all {
        players(session).await?
    } else {
        Vec::new()
    };
    let step = step(&course.finding, cure, all);
    let target_ns = match &step.at {
        Some(text) => {
            let clock = fire::ask(session, false).await?;
            at::target(session, &clock, at::read(text)?).await?.at_ns
        }
        None => 0,
    };
    let finding = &course.finding;
    let body = CueBody {
        name: step.name.to_owned(),
        target_ns: Digits(target_ns),
        window_ms: u32::try_from(finding.window_ms).unwrap_or(u32::MAX).max(1),
        confidence_ppm: 1_000_000,
        answer_ms: ANSWER_MS,
        preparation: step.preparation.clone(),
        parties: step.parties.clone(),
        rule: CueRuleWord::Go,
    };
    let mut options = session.options();
    // Whoever recovers under one name in two places, or begins anew, gives each cue once.
    let (what, _) = named(finding);
    let keys: Vec<&[u8]> = finding.keys.iter().map(|key| &key.0[..]).collect();
    // A trouble of all names any number of them, and a key has a bound.
    let (keys, since_ns) = (
        Digest::of("unisono/recovered/v1", &keys),
        finding.since_ns.0,
    );
    options.key = Some(format!("recover {what} {since_ns} {} {keys}", course.steps));
    let reply = session.act(ActionBody::Cue(body), options).await?;
    Ok((step, reply))
}

/// Everybody who plays.
async fn players(session: &Session) -> Result<Vec<AgentId>, Failure> {
    let reply: Reply<Ensemble> = session.read("ensemble", &[]).await?;
    Ok(reply.body.players.iter().map(|one| one.agent).collect())
}

/// What part VII asks for, in words.
fn step(finding: &Finding, cure: Cure, all: Vec<AgentId>) -> Step {
    let (off_ms, lead_ms) = (finding.off_ms.abs(), finding.lead_ms);
    let (name, preparation) = match cure.asks {
        Asks::HoldRate => ("hold", format!("hold the rate: {off_ms:.0} ms early")),
        Asks::ActLater => ("rate-down", format!("act {off_ms:.0} ms later")),
        Asks::PrepareEarlier => ("resync", format!("{off_ms:.0} ms late: prepare earlier")),
        Asks::CorrectPeriod => {
            let side = if finding.off_ms >= 0.0 {
                "late"
            } else {
                "early"
            };
            let words = format!(
                "correct the period and begin anew at the beat: {off_ms:.0} ms {side} so far"
            );
            ("resync", words)
        }
        Asks::KeepToOthers => {
            let words = format!("keep to the beat of the others: {off_ms:.0} ms away");
            ("resync", words)
        }
        Asks::UseLess => ("relieve", finding.too_much()),
        Asks::MeetAnew => {
            let of = finding.players;
            let words = format!("all meet anew: unisono barrier resync --of {of}");
            ("resync", words)
        }
    };
    let parties = if cure.all { all } else { finding.keys.clone() };
    Step {
        name,
        preparation,
        at: match cure.due {
            Due::Soon => None,
            Due::Notice => Some(format!("+{lead_ms}ms")),
            Due::NextMajor => Some("next-major".to_owned()),
        },
        // A cue to more than can be named is for whoever wants to.
        parties: if parties.len() > CUE_PARTIES_MAX {
            Vec::new()
        } else {
            parties
        },
    }
}

fn tell(session: &Session, finding: &Finding) -> Result<(), Failure> {
    if session.global.output == Format::Table {
        return output::raw(&format!("{}\n", words(finding)));
    }
    line(&json!({ "begun": finding }))
}

fn tell_over(session: &Session, finding: &Finding) -> Result<(), Failure> {
    if session.global.output == Format::Table {
        let (what, who) = named(finding);
        return output::raw(&format!("over: {what} ({who})\n"));
    }
    line(&json!({ "over": finding }))
}

fn given(
    session: &Session,
    course: &Course,
    step: &Step,
    reply: &Reply<Recorded>,
) -> Result<(), Failure> {
    let (what, who) = named(&course.finding);
    let (name, words, steps) = (step.name, &step.preparation, course.steps);
    let record = &reply.body.record;
    if session.global.output == Format::Table {
        return output::raw(&format!(
            "given ({steps} of {STEPS_MAX}): {name}, \"{words}\", for {what} ({who})  {record}\n"
        ));
    }
    line(&json!({
        "given": name, "preparation": words, "failure": what, "step": steps,
        "for": step.parties.iter().map(AgentId::to_string).collect::<Vec<_>>(),
        "record": record,
    }))
}

fn line(value: &serde_json::Value) -> Result<(), Failure> {
    let line = serde_json::to_string(value)
        .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
    output::raw(&format!("{line}\n"))
}
