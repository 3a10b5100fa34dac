//! Has commands run on other machines at one time: a cue that says when, to agents that stand by with
//! commands of their own, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use unisono_api::client::{ClientError, Cues, Reply};
use unisono_api::dto::{
    ActionBody, Agent, AgentKindWord, Agents, CueAnswerWord, CueBody, CueNoticeShown,
    CueOutcomeWord, CueRuleWord, CueShown, CueStageWord, Digits, Ended, PartyShown,
};
use unisono_model::{AgentId, Digest};

use super::at;
use super::fire;
use super::schedule::{self, Rule};
use super::session::Session;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, in_a_line};

/// So long before the target everybody has to have answered where nobody says and the node does not fill it
/// in (ms).
const ANSWER_MS: u32 = 500;

/// What belongs to `at --on`.
#[derive(Clone, Debug, Args)]
pub(super) struct ElsewhereArgs {
    /// On other machines: which agents, by name or key, with commas; a node's name stands for the agents
    /// that were enrolled there. Each runs the command that it stands by with (`unisono stand-by`)
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "word")]
    on: Vec<String>,
    /// For which word they stand by
    #[arg(long, value_name = "WORD", requires = "on", conflicts_with = "command")]
    word: Option<String>,
    /// Of those only the ones in this role
    #[arg(long, value_name = "ROLE", requires = "on", conflicts_with = "command")]
    role: Option<String>,
    /// What is to be prepared, in words
    #[arg(
        long,
        value_name = "WORDS",
        default_value = "",
        requires = "on",
        conflicts_with = "command"
    )]
    prepare: String,
    /// What happens if somebody is not ready in time
    #[arg(
        long,
        value_name = "RULE",
        default_value = "wait",
        requires = "on",
        conflicts_with = "command"
    )]
    rule: Rule,
    /// So long before the time everybody has to have answered (ms) [default: half a second, and with the
    /// rule `wait` three round trips on top]
    #[arg(long, value_name = "MS", requires = "on", conflicts_with = "command")]
    answer_ms: Option<u32>,
    /// By how much each may miss the time and still be in time (ms) [default: by how their actions spread, 50
    /// at least where too few are known, and more where the node knows the time badly]
    #[arg(long, value_name = "MS", requires = "on", conflicts_with = "command")]
    window_ms: Option<u32>,
    /// How long after the time it is waited for word of everybody, with the end of the commands (ms)
    #[arg(
        long,
        value_name = "MS",
        default_value_t = 10_000,
        requires = "on",
        conflicts_with = "command"
    )]
    patience_ms: u64,
}

impl ElsewhereArgs {
    /// Whether nobody elsewhere is named.
    pub(super) fn is_empty(&self) -> bool {
        self.on.is_empty()
    }
}

/// Who is meant.
#[derive(Debug)]
struct Meant {
    agent: AgentId,
    /// The node whose name stood for it.
    node: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Told {
    cue: Digest,
    word: String,
    target_ns: Digits,
    /// Whether it took place.
    stage: CueStageWord,
    /// Whether the notice was enough; none where its time had come.
    notice: Option<CueNoticeShown>,
    /// In how many ms from when it was given all could have been ready.
    enough_ms: Option<u64>,
    players: Vec<PlayerTold>,
}

/// What came of one agent.
#[derive(Debug, Serialize)]
struct PlayerTold {
    name: String,
    agent: AgentId,
    /// The node whose name stood for it.
    node: Option<String>,
    /// Its latest word.
    word: Option<CueAnswerWord>,
    /// How long after the cue was given it was ready (ms).
    ready_after_ms: Option<f64>,
    /// Whether it was not ready in time.
    lacking: bool,
    /// How much later than the time it acted (ms); less than nothing: earlier.
    late_ms: Option<f64>,
    /// How that lies in the window.
    outcome: Option<CueOutcomeWord>,
    /// How its command ended, where it did with an exit code.
    exit: Option<i32>,
    /// What it says beside that.
    why: String,
}

/// Gives the cue, waits for what comes of it, and shows that.
pub(super) async fn at(time: &str, args: ElsewhereArgs, session: &Session) -> Result<(), Failure> {
    session.agent()?;
    let meant = meant(&args, session).await?;
    let target_ns = match time {
        "soon" => 0,
        time => {
            let time = at::read(time)?;
            let clock = fire::ask(session, false).await?;
            at::target(session, &clock, time).await?.at_ns
        }
    };
    let patience = Duration::from_millis(args.patience_ms);
    let body = body(args, target_ns, &meant, session).await;
    let mut cues = session
        .client
        .cues(&session.orchestra, session.agent.as_deref());
    let reply = session
        .act(ActionBody::Cue(body), session.options())
        .await?;
    let mut told = Following {
        record: reply.body.record,
        ready: BTreeMap::new(),
        notice: reply.body.cue.as_ref().and_then(|cue| cue.notice.clone()),
    };
    if let Some(shown) = &reply.body.cue
        && session.global.output == Format::Table
    {
        say_notice(shown);
    }
    let shown = told.follow(&mut cues, patience, session).await?;
    let told = told.told(&shown, &meant);
    show(session, &told)?;
    judged(&shown, &told)
}

async fn body(args: ElsewhereArgs, target_ns: u64, meant: &[Meant], session: &Session) -> CueBody {
    // What a node fills in stands in no record that an agent signs by itself.
    let filled_in = args.rule == Rule::Wait && session.global.key_file.is_none();
    let answer_ms = if filled_in { 0 } else { ANSWER_MS };
    schedule::say_channels(session).await;
    CueBody {
        name: args.word.unwrap_or_default(),
        target_ns: Digits(target_ns),
        window_ms: args.window_ms.unwrap_or_default(),
        confidence_ppm: 1_000_000,
        answer_ms: args.answer_ms.unwrap_or(answer_ms),
        preparation: args.prepare,
        parties: meant.iter().map(|one| one.agent).collect(),
        rule: args.rule.into(),
    }
}

/// Says to people whom the notice is too short for, and which would be enough.
fn say_notice(shown: &CueShown) {
    let Some(notice) = &shown.notice else {
        return;
    };
    schedule::say_unreliable(notice);
    for one in &notice.short {
        output::say(&format!(
            "short notice: {} ms too short for {}; +{} ms would be enough{}",
            one.short_ms,
            in_a_line(&one.name),
            enough_ms(shown, notice),
            if notice.assumed {
                ", which is assumed: too little is known"
            } else {
                ""
            }
        ));
    }
}

/// From when it is given to its time (ms): what the slowest needs, and the time to answer.
fn enough_ms(shown: &CueShown, notice: &CueNoticeShown) -> u64 {
    notice.needed_ms + u64::from(shown.cue.answer_ms)
}

/// Everybody who is enrolled, but for the nodes themselves: these answer no cue.
pub(super) async fn enrolled(session: &Session) -> Result<Vec<Agent>, Failure> {
    let agents: Reply<Agents> = session.read_whole("agents", &[]).await?;
    let agents = agents.body.agents.into_iter();
    Ok(agents
        .filter(|one| one.kind != AgentKindWord::Node)
        .collect())
}

/// The first key of an agent, by its name or key.
pub(super) fn key_of(name: &str, agents: &[Agent]) -> Result<AgentId, Failure> {
    let mut known = agents.iter().filter(|one| is_called(one, name));
    match (known.next(), known.next()) {
        (Some(one), None) => Ok(one.agent),
        (None, _) => {
            let words = format!("no agent {name} is enrolled here; nothing was done");
            let failure = Failure::new(Exit::NotFound, "agent_unknown", words);
            Err(failure.next("unisono agent list"))
        }
        (Some(_), Some(_)) => {
            let words = format!("several agents are called {name}; nothing was done");
            let failure = Failure::new(Exit::Conflict, "name_taken", words);
            Err(failure.hint("name the one that is meant by its key"))
        }
    }
}

fn is_called(agent: &Agent, name: &str) -> bool {
    agent.name == name || agent.agent.to_string() == name
}

/// Who is meant by names of agents and nodes.
async fn meant(args: &ElsewhereArgs, session: &Session) -> Result<Vec<Meant>, Failure> {
    let agents = enrolled(session).await?;
    let of_role = |agent: &Agent| args.role.as_ref().is_none_or(|role| agent.role == *role);
    let mut meant: BTreeMap<AgentId, Meant> = BTreeMap::new();
    let mut nodes = Vec::new();
    for name in &args.on {
        if !agents.iter().any(|one| is_called(one, name)) {
            nodes.push(name);
            continue;
        }
        let agent = key_of(name, &agents)?;
        let role = agents.iter().find(|one| one.agent == agent);
        if !role.is_some_and(of_role) {
            let words = format!("{name} is not in that role; nothing was given");
            return Err(Failure::new(Exit::NotFound, "agent_unknown", words));
        }
        meant.insert(agent, Meant { agent, node: None });
    }
    if nodes.is_empty() {
        return Ok(meant.into_values().collect());
    }
    let members = session.client.members().await?.body.members;
    let homes = homes(&agents, session).await?;
    for name in nodes {
        let Some(member) = members.iter().find(|one| one.name == *name && one.stays()) else {
            let words = format!("{name} is neither an agent nor a node; nothing was done");
            let failure = Failure::new(Exit::NotFound, "agent_unknown", words);
            return Err(failure.next("unisono agent list").next("unisono members"));
        };
        // A node that has another key now is the same machine: agents stay at home there.
        let keys: BTreeSet<_> = members
            .iter()
            .filter(|one| one.name == member.name)
            .map(|one| one.node)
            .collect();
        let there = agents.iter().filter(|one| of_role(one));
        let there = there.filter(|one| {
            homes
                .get(&one.agent)
                .is_some_and(|home| keys.contains(home))
        });
        let mut any = false;
        for agent in there.map(|one| one.agent) {
            any = true;
            let node = Some(name.clone());
            meant.entry(agent).or_insert(Meant { agent, node });
        }
        if !any {
            let words =
                format!("no agent that could stand by was enrolled at {name}; nothing was given");
            return Err(Failure::new(Exit::NotFound, "agent_unknown", words)
                .next("unisono agent enrol NAME"));
        }
    }
    Ok(meant.into_values().collect())
}

/// At which node each agent was enrolled: the log that carries the record of it.
async fn homes(
    agents: &[Agent],
    session: &Session,
) -> Result<BTreeMap<AgentId, unisono_model::NodeId>, Failure> {
    let mut wanted: BTreeMap<Digest, AgentId> = agents
        .iter()
        .map(|one| (one.since.record, one.agent))
        .collect();
    let mut homes = BTreeMap::new();
    let mut dump = session.client.dump(&session.orchestra, None).await?;
    while !wanted.is_empty()
        && let Some(record) = dump.next().await?
    {
        if let Some(agent) = wanted.remove(&record.record) {
            homes.insert(agent, record.log.node);
        }
    }
    Ok(homes)
}

/// A cue that is followed.
struct Following {
    record: Digest,
    /// When each was ready first (ns since the Unix epoch).
    ready: BTreeMap<AgentId, u64>,
    /// Whether the notice is enough, as it was told last.
    notice: Option<CueNoticeShown>,
}

impl Following {
    /// Follows it until nothing more is to be expected, or patience is over.
    async fn follow(
        &mut self,
        cues: &mut Cues,
        patience: Duration,
        session: &Session,
    ) -> Result<CueShown, Failure> {
        let mut shown = self.next(cues).await?;
        let began = tokio::time::Instant::now();
        let mut comes = began + until(&shown, session).await?;
        loop {
            // Until its time an answer may still come that was given in time.
            let to_come = tokio::time::Instant::now() < comes;
            if !to_come && meant_of(&shown).all(|one| is_over(one, &shown)) {
                return Ok(shown);
            }
            let ends = if to_come { comes } else { comes + patience };
            match tokio::time::timeout_at(ends, self.next(cues)).await {
                Ok(next) => shown = next?,
                // Clocks are put right meanwhile.
                Err(_) if to_come => {
                    comes = tokio::time::Instant::now() + until(&shown, session).await?;
                }
                Err(_) => return Ok(shown),
            }
        }
    }

    /// How the cue stands when that has changed.
    async fn next(&mut self, cues: &mut Cues) -> Result<CueShown, ClientError> {
        loop {
            let shown = cues.next().await?;
            if shown.record != self.record {
                continue;
            }
            for one in &shown.parties {
                let ready = one.word == Some(CueAnswerWord::Ready);
                let answered = one.answered.filter(|_| ready);
                let answered_ns = answered.map(|answered| answered.stamp.as_ns());
                // What is said after the time tells how the command ended.
                if let Some(ready_ns) = answered_ns.filter(|ns| *ns < shown.cue.target_ns.0) {
                    self.ready.entry(one.agent).or_insert(ready_ns);
                }
            }
            self.notice = shown.notice.clone().or(self.notice.take());
            return Ok(shown);
        }
    }

    fn told(self, shown: &CueShown, meant: &[Meant]) -> Told {
        let given_ns = shown.given.stamp.as_ns();
        let player = |one: &PartyShown| {
            let ended = Ended::read(&one.text);
            let node = meant.iter().find(|meant| meant.agent == one.agent);
            let ready_ns = self.ready.get(&one.agent);
            let ready_ns = ready_ns.map(|ready_ns| ready_ns.saturating_sub(given_ns));
            PlayerTold {
                name: one.name.clone(),
                agent: one.agent,
                node: node.and_then(|meant| meant.node.clone()),
                word: one.word,
                ready_after_ms: ready_ns.map(to_ms),
                lacking: one.lacking,
                late_ms: one.late_ns.map(|late_ns| late_ns as f64 / 1e6),
                outcome: one.outcome,
                exit: match ended {
                    Some(Ended::Code(code)) => Some(code),
                    _ => None,
                },
                why: why(one, ended),
            }
        };
        Told {
            cue: shown.record,
            word: shown.cue.name.clone(),
            target_ns: shown.cue.target_ns,
            stage: shown.stage,
            enough_ms: self.notice.as_ref().map(|one| enough_ms(shown, one)),
            players: meant_of(shown).map(player).collect(),
            notice: self.notice,
        }
    }
}

fn to_ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// What is to be said of somebody beside figures.
fn why(one: &PartyShown, ended: Option<Ended>) -> String {
    match (&one.word, ended) {
        (None, _) => "said nothing: does it stand by?".to_owned(),
        (_, Some(Ended::Code(_))) => String::new(),
        (_, Some(other)) => other.to_string(),
        (Some(CueAnswerWord::Ready), None) if one.lacking => "was ready too late".to_owned(),
        (Some(CueAnswerWord::Ready), None) => match (one.late_ns, one.outcome) {
            (None, Some(CueOutcomeWord::Untold)) => "was ready, and told nothing since".to_owned(),
            (Some(_), _) => "told no end of its command".to_owned(),
            (None, _) => String::new(),
        },
        (Some(_), None) => in_a_line(&one.text),
    }
}

/// How long it is until a cue's time.
async fn until(shown: &CueShown, session: &Session) -> Result<Duration, Failure> {
    let clock = fire::ask(session, true).await?;
    let now_ns = clock.estimate().unwrap_or_default();
    let left_ns = shown.cue.target_ns.0.saturating_sub(now_ns);
    Ok(Duration::from_nanos(left_ns))
}

/// Those who are meant; others may have answered too.
fn meant_of(shown: &CueShown) -> impl Iterator<Item = &PartyShown> {
    shown.parties.iter().filter(|one| shown.is_for(&one.agent))
}

/// Whether nothing more is to be expected of somebody once the time has come.
fn is_over(one: &PartyShown, shown: &CueShown) -> bool {
    let ended = Ended::read(&one.text);
    let not_run = matches!(ended, Some(Ended::NotRun(_)));
    shown.stage == CueStageWord::Off
        || one.lacking
        || not_run
        || (one.late_ns.is_some() && ended.is_some())
}

fn show(session: &Session, told: &Told) -> Result<(), Failure> {
    let columns = &[
        ("PLAYER", "name"),
        ("READY AFTER MS", "ready_after_ms"),
        ("OFF BY MS", "late_ms"),
        ("IN TIME", "outcome"),
        ("EXIT", "exit"),
        ("WHY", "why"),
    ];
    let list = "players";
    output::answer(session.global.output, told, Some(Table { list, columns }))
}

/// Whether everybody played who was to, and each command ended well.
fn judged(shown: &CueShown, told: &Told) -> Result<(), Failure> {
    let word = in_a_line(&told.word);
    let names = |of: &dyn Fn(&PlayerTold) -> bool| {
        let names = told.players.iter().filter(|one| of(one));
        names
            .map(|one| in_a_line(&one.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let stand_by =
        format!("each needs `unisono stand-by {word} --as NAME -- COMMAND` on its machine");
    if shown.stage == CueStageWord::Off {
        let lacking = names(&|one| one.lacking);
        let words =
            format!("{word} is off: not ready in time: {lacking}; nothing was run anywhere");
        let failure = Failure::new(Exit::Conflict, "cue_off", words);
        return Err(failure.hint(stand_by).next("unisono schedule").changed());
    }
    let played = |one: &PlayerTold| one.late_ms.is_some();
    // Whoever is named plays; of a node that is named, under the rule `go`, at least one does.
    let excused = |one: &PlayerTold| {
        let go = shown.cue.rule == CueRuleWord::Go;
        let mut there = told.players.iter().filter(|other| other.node == one.node);
        go && one.node.is_some() && there.any(played)
    };
    let missing = names(&|one| !played(one) && !excused(one));
    if !missing.is_empty() {
        let words = format!("{word} was not played by {missing}");
        let failure = Failure::new(Exit::Failed, "not_played", words);
        return Err(failure.hint(stand_by).next("unisono schedule").changed());
    }
    let badly = names(&|one| played(one) && !matches!(one.exit, Some(0)));
    if badly.is_empty() {
        return Ok(());
    }
    let words = format!("{word} did not end well, or told no end, at {badly}");
    Err(Failure::new(Exit::Failed, "command_ended_badly", words).changed())
}
