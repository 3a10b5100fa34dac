//! What happens on the stage besides the fleet's work: a race, a cut, a kill, a heal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use unisono_api::client::{
    ClientError, FencingGuard, FencingRefusal, Reply, SigningAgent, WriteOptions,
};
use unisono_api::dto::{
    ActionBody, Claim, ClaimBody, ClaimStatusWord, Claims, HeldBy, Recorded, ReleaseBody,
    RenewBody, Task, TaskBody,
};
use unisono_model::{Code, Digest};

use super::cluster::{Cluster, REGIONS};
use super::fleet::{self, Agent, Ledger, NAMES, ORCHESTRA};
use super::screen::Screen;
use super::watch::Seen;
use crate::failure::Failure;

/// How long a claim waits to be confirmed (ms).
const CONFIRM_MS: u64 = 20_000;
/// The same while nobody can confirm it.
const CONFIRM_CUT_MS: u64 = 1_000;
/// How long the regions may take to agree after the heal.
const AGREE_WITHIN: Duration = Duration::from_secs(15);
/// For how long the scenes' claims are held (ms): longer than all of it lasts.
const LEASE_MS: u64 = 600_000;

/// The stage.
#[derive(Debug)]
pub(super) struct Stage {
    /// The nodes.
    pub(super) cluster: Cluster,
    /// The twelve.
    pub(super) agents: Vec<Agent>,
    /// What they were promised.
    pub(super) ledger: Arc<Ledger>,
    /// What was shown.
    pub(super) seen: Arc<Seen>,
    /// The audience.
    pub(super) screen: Arc<Screen>,
    /// In front of whatever the claims protect.
    pub(super) guard: FencingGuard,
    /// What came of it.
    pub(super) facts: Facts,
}

/// What came of the scenes.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// What should not have happened, by the property that it belongs to.
    pub(super) faults: Vec<(&'static str, String)>,
    /// Tokens that the guard took, in their order.
    pub(super) tokens: u64,
    /// Tokens of losers that it refused.
    pub(super) stale_refused: u64,
    /// Writes that another region read back by cursor.
    pub(super) read_back: u64,
    /// Reads that said that they cannot know yet.
    pub(super) said_behind: u64,
    /// Losers who were told who holds it, in their answer.
    pub(super) told_in_answer: u64,
    /// Claims that were provisional on both sides of the cut.
    pub(super) provisional: u64,
    /// Acknowledged while the network was cut, by region.
    pub(super) in_the_cut: [usize; 3],
    /// The task that a repeated request remarked on.
    pub(super) repeated_on: String,
    /// Figures for whoever reads the answer.
    pub(super) times: Vec<(&'static str, Value)>,
}

/// One side of a race, as it was answered.
struct Side {
    agent: Agent,
    claim: Option<Claim>,
    held_by: Option<HeldBy>,
}

impl Stage {
    /// The agent of this name.
    pub(super) fn agent(&self, name: &str) -> Agent {
        let found = self.agents.iter().find(|agent| agent.name == name);
        found
            .or(self.agents.first())
            .cloned()
            .expect("twelve agents are enrolled before any scene")
    }

    pub(super) fn fault(&mut self, property: &'static str, words: impl Into<String>) {
        self.facts.faults.push((property, words.into()));
    }

    /// Two agents in two regions claim one topic at the same moment.
    pub(super) async fn race(&mut self, topic: &str) {
        let (one, other) = (self.agent("ada"), self.agent("ichiro"));
        let options = confirm(CONFIRM_MS);
        let (first, second) = tokio::join!(
            one.act(claim(topic), &options),
            other.act(claim(topic), &options)
        );
        let sides = [side(one, first), side(other, second)];
        let (winners, losers): (Vec<Side>, Vec<Side>) =
            sides.into_iter().partition(|side| side.held_by.is_none());
        let [winner] = winners.as_slice() else {
            let words = format!("{} of 2 hold {topic} after the race", winners.len());
            self.screen.say(&format!("{topic}: {words}"));
            return self.fault("one confirmed holder", words);
        };
        let Some(held) = winner.claim.clone() else {
            return;
        };
        self.screen.say(&format!(
            "{} and {} claim {topic:?} at once: {} holds it, {}",
            NAMES[0][0],
            NAMES[2][0],
            winner.agent.name,
            word(held.status),
        ));
        for loser in &losers {
            self.tell_loser(loser).await;
        }
        let winner = winner.agent.clone();
        self.make_sure(&winner, topic, held, &losers).await;
    }

    /// The loser says what it was told, and gives its claim up.
    async fn tell_loser(&mut self, loser: &Side) {
        let Some(by) = &loser.held_by else { return };
        self.facts.told_in_answer += 1;
        self.screen.say(&format!(
            "  {} was told: held by {} until {}",
            loser.agent.name,
            by.holder,
            clock(&by.until.time.to_string()),
        ));
        if let Some(claim) = &loser.claim {
            self.seen.told(claim.claim);
            let body = ReleaseBody {
                topic: claim.topic.clone(),
                claim: Some(claim.claim),
            };
            // It may have been given up for it already.
            let _ = loser
                .agent
                .act(ActionBody::Release(body), &WriteOptions::default())
                .await;
        }
    }

    /// The winner renews where a loser had a higher token; then the guard must take its token and no
    /// loser's.
    async fn make_sure(&mut self, winner: &Agent, topic: &str, held: Claim, losers: &[Side]) {
        let body = RenewBody {
            topic: topic.to_owned(),
            claim: Some(held.claim),
            lease_ms: Some(LEASE_MS),
        };
        if held.token_valid {
            self.offer(&held);
        }
        let began = Instant::now();
        match winner
            .act(ActionBody::Renew(body), &confirm(CONFIRM_MS))
            .await
        {
            Ok(Reply {
                body: Recorded {
                    claim: Some(claim), ..
                },
                ..
            }) => {
                self.screen.say(&format!(
                    "  {} renews: {} after {} ms, token {} above every loser's",
                    winner.name,
                    word(claim.status),
                    began.elapsed().as_millis(),
                    claim.token.stamp,
                ));
                self.offer(&claim);
            }
            Ok(_) => self.fault(
                "tokens only grow",
                format!("the renewal of {topic} bears no claim"),
            ),
            Err(error) => self.fault(
                "tokens only grow",
                format!("{} cannot renew {topic}: {error}", winner.name),
            ),
        }
        for claim in losers.iter().filter_map(|loser| loser.claim.as_ref()) {
            match self.guard.admit(topic, claim.token.stamp, true) {
                Err(FencingRefusal::Overtaken { .. }) => self.facts.stale_refused += 1,
                other => self.fault(
                    "tokens only grow",
                    format!("a loser's token of {topic}: {other:?}"),
                ),
            }
        }
    }

    fn offer(&mut self, claim: &Claim) {
        match self.guard.admit_claim(claim) {
            Ok(()) => self.facts.tokens += 1,
            Err(refusal) => {
                self.fault("tokens only grow", format!("{}: {refusal}", claim.topic));
            }
        }
    }

    /// Each region writes, and each other reads it back by its cursor.
    pub(super) async fn hand_over(&mut self, round: usize) -> Result<(), Failure> {
        for from in 0..REGIONS.len() {
            let writer = self.agent(NAMES[from][0]);
            let task = format!("handed-over-{round}-{}", REGIONS[from]);
            let written = match writer.act(create(&task), &WriteOptions::default()).await {
                Ok(written) => written,
                Err(error) => {
                    self.fault(
                        "read your writes",
                        format!("{} could not write: {error}", writer.name),
                    );
                    continue;
                }
            };
            let mut reads = tokio::task::JoinSet::new();
            for to in (0..REGIONS.len()).filter(|to| *to != from) {
                let reader = fleet::client(&[self.cluster.nodes[to].http.as_str()])?;
                if let Some(cursor) = &written.cursor {
                    reader.seen(ORCHESTRA, cursor);
                }
                let what = format!("tasks/{task}");
                reads.spawn(async move {
                    let query = [("wait_ms", "4000")];
                    (to, reader.read::<Task>(ORCHESTRA, &what, &query).await)
                });
            }
            for (to, read) in reads.join_all().await {
                match read {
                    Ok(_) => self.facts.read_back += 1,
                    Err(error) => {
                        let words = format!("{} does not show {task}: {error}", REGIONS[to]);
                        self.fault("read your writes", words);
                    }
                }
            }
        }
        Ok(())
    }

    /// Both sides of the cut claim one topic; nobody can be sure.
    pub(super) async fn claim_on_both_sides(&mut self, topic: &str) -> Vec<(Agent, Claim)> {
        let (one, other) = (self.agent("blaise"), self.agent("junko"));
        let options = confirm(CONFIRM_CUT_MS);
        let (first, second) = tokio::join!(
            one.act(claim(topic), &options),
            other.act(claim(topic), &options)
        );
        let mut held = Vec::new();
        for (agent, told) in [(one, first), (other, second)] {
            match told {
                Ok(Reply {
                    body:
                        Recorded {
                            claim: Some(claim), ..
                        },
                    ..
                }) => {
                    self.screen.say(&format!(
                        "  {} in {} claims {topic:?}: granted, {}",
                        agent.name,
                        REGIONS[agent.region],
                        word(claim.status),
                    ));
                    if claim.status == ClaimStatusWord::Provisional {
                        self.facts.provisional += 1;
                    } else {
                        let words = format!("{topic} was {} in the cut", word(claim.status));
                        self.fault("both sides went on", words);
                    }
                    held.push((agent, claim));
                }
                Ok(_) => {}
                Err(error) => {
                    let words = format!("{} could not claim {topic}: {error}", agent.name);
                    self.fault("both sides went on", words);
                }
            }
        }
        held
    }

    /// An agent whose answer was lost repeats its request beyond the cut: it must count once.
    pub(super) async fn repeat_beyond_the_cut(&mut self, task: &str) -> Result<(), Failure> {
        task.clone_into(&mut self.facts.repeated_on);
        let body = TaskBody {
            task: task.to_owned(),
            remark: Some("once".to_owned()),
            ..TaskBody::default()
        };
        let options = WriteOptions {
            key: Some(format!("{task}-once")),
            ..WriteOptions::default()
        };
        let name = "franz";
        let first = self
            .agent("franz")
            .act(ActionBody::Task(body.clone()), &options)
            .await;
        let far = fleet::client(&[self.cluster.nodes[2].http.as_str()])?;
        let twin = SigningAgent::new(far, ORCHESTRA, fleet::key(name), fleet::introduction(name));
        let second = twin.act(ActionBody::Task(body), &options).await;
        match (first, second) {
            (Ok(one), Ok(other)) if one.body.record != other.body.record => {
                self.screen.say(&format!(
                    "  {name} repeats a request in tokyo whose answer from oregon it lost: 2 records, 1 key"
                ));
            }
            (Ok(_), Ok(_)) => self.fault("counted once", "the cut let a record through"),
            (Err(error), _) | (_, Err(error)) => {
                self.fault("counted once", format!("{name} could not remark: {error}"));
            }
        }
        Ok(())
    }

    /// Whoever has seen one side's news is told by the other that it does not know them yet.
    pub(super) async fn ask_beyond_the_cut(&mut self) -> Result<(), Failure> {
        let writer = self.agent("ada");
        let task = "only-in-paris";
        let Ok(written) = writer.act(create(task), &WriteOptions::default()).await else {
            self.fault("read your writes", "ada could not write during the cut");
            return Ok(());
        };
        let reader = fleet::client(&[self.cluster.nodes[2].http.as_str()])?;
        if let Some(cursor) = &written.cursor {
            reader.seen(ORCHESTRA, cursor);
        }
        let what = format!("tasks/{task}");
        match reader
            .read::<Task>(ORCHESTRA, &what, &[("wait_ms", "200")])
            .await
        {
            Err(error) if error.is_code(Code::Behind) => self.facts.said_behind += 1,
            Err(error) => self.fault("read your writes", format!("tokyo said: {error}")),
            Ok(_) => self.fault("read your writes", "tokyo shows what it cannot have"),
        }
        Ok(())
    }

    /// Kills a node and starts it again on what its disk holds.
    pub(super) async fn kill_and_start(
        &mut self,
        index: usize,
        sabotage: &[String],
    ) -> Result<(), Failure> {
        let before = self.ledger.counts();
        self.cluster.kill(index).await?;
        self.screen.say(&format!(
            "kill -9 {}: its signing agents go on over paris, the others wait",
            REGIONS[index]
        ));
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let started = Instant::now();
        self.cluster.start(index, sabotage).await?;
        self.cluster.stretch(Some(index)).await?;
        let ms = started.elapsed().as_millis() as u64;
        let after = self.ledger.counts();
        self.facts.times.push(("restart_ms", json!(ms)));
        self.screen.say(&format!(
            "{} serves again after {ms} ms; meanwhile paris acknowledged {}, tokyo {}",
            REGIONS[index],
            after[0] - before[0],
            after[2] - before[2],
        ));
        Ok(())
    }

    /// Waits until all nodes show the same holder; then losers are told and the winner renews.
    pub(super) async fn agree(
        &mut self,
        topic: &str,
        held: Vec<(Agent, Claim)>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let mut shown = Vec::new();
        let agreed = loop {
            shown.clear();
            for node in &self.cluster.nodes {
                let client = fleet::client(&[node.http.as_str()])?;
                let query = [("topic", topic)];
                let told = client.read::<Claims>(ORCHESTRA, "claims", &query).await;
                shown.extend(
                    told.ok()
                        .and_then(|told| told.body.claims.into_iter().next()),
                );
            }
            let names: Vec<Digest> = shown.iter().map(|claim| claim.claim).collect();
            let same = names.len() == REGIONS.len() && names.iter().all(|name| *name == names[0]);
            let losers_known = held.len() < 2 || shown.iter().all(|claim| !claim.losers.is_empty());
            if same && losers_known {
                break true;
            }
            if began.elapsed() >= AGREE_WITHIN {
                break false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let ms = began.elapsed().as_millis() as u64;
        self.facts.times.push(("agreed_on_holder_ms", json!(ms)));
        if !agreed {
            self.screen
                .say(&format!("the regions do not agree who holds {topic:?}"));
            self.fault(
                "one confirmed holder",
                format!("no agreement on {topic} within {ms} ms"),
            );
            return Ok(());
        }
        self.screen.say(&format!(
            "healed: all three show one holder of {topic:?} after {ms} ms"
        ));
        let standing = shown[0].clone();
        let (mut winner, mut losers) = (None, Vec::new());
        for (agent, claim) in held {
            if claim.claim == standing.claim {
                winner = Some(agent);
                continue;
            }
            let by = Some(HeldBy {
                holder: standing.holder.clone(),
                until: standing.until,
            });
            let knows = shown[agent.region]
                .losers
                .iter()
                .any(|lost| lost.claim == claim.claim);
            if !knows {
                self.fault("losers told", format!("{} is not told", agent.name));
            }
            losers.push(Side {
                agent,
                claim: Some(claim),
                held_by: by,
            });
        }
        for loser in &losers {
            self.tell_loser(loser).await;
        }
        if let Some(winner) = winner {
            self.make_sure(&winner, topic, standing, &losers).await;
        }
        Ok(())
    }

    /// A lease that runs out frees its topic without anybody giving it back.
    pub(super) async fn let_lapse(&mut self, topic: &str) {
        let (one, other) = (self.agent("denis"), self.agent("colette"));
        let body = ClaimBody {
            topic: topic.to_owned(),
            lease_ms: Some(800),
        };
        let taken = one
            .act(ActionBody::Claim(body), &WriteOptions::default())
            .await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let again = other.act(claim(topic), &WriteOptions::default()).await;
        match (taken, again) {
            (Ok(_), Ok(_)) => {
                self.screen.say(&format!(
                    "{} falls silent, its lease on {topic:?} runs out, {} takes over",
                    one.name, other.name
                ));
            }
            (Err(error), _) | (_, Err(error)) => {
                self.fault(
                    "leases end",
                    format!("{topic} could not be taken over: {error}"),
                );
            }
        }
    }
}

/// Claims a topic for longer than the demonstration lasts.
pub(super) fn claim(topic: &str) -> ActionBody {
    ActionBody::Claim(ClaimBody {
        topic: topic.to_owned(),
        lease_ms: Some(LEASE_MS),
    })
}

/// Makes a task.
pub(super) fn create(task: &str) -> ActionBody {
    let (kind, title) = (Some("task".to_owned()), Some(task.to_owned()));
    ActionBody::Task(TaskBody {
        task: task.to_owned(),
        kind,
        title,
        ..TaskBody::default()
    })
}

fn confirm(wait_ms: u64) -> WriteOptions {
    WriteOptions {
        confirm: true,
        wait_ms: Some(wait_ms),
        ..WriteOptions::default()
    }
}

fn side(agent: Agent, told: Result<Reply<Recorded>, ClientError>) -> Side {
    match told {
        Ok(reply) => {
            let claim = reply.body.claim;
            let held_by = claim.as_ref().and_then(|claim| claim.held_by.clone());
            Side {
                agent,
                claim,
                held_by,
            }
        }
        Err(error) => {
            let held_by = error.problem().and_then(|problem| problem.held_by.clone());
            Side {
                agent,
                claim: None,
                held_by,
            }
        }
    }
}

fn word(status: ClaimStatusWord) -> &'static str {
    match status {
        ClaimStatusWord::Provisional => "provisional",
        ClaimStatusWord::Confirmed => "confirmed",
        ClaimStatusWord::Lost => "lost",
        ClaimStatusWord::Ended => "ended",
    }
}

/// The hour out of an RFC 3339 time.
fn clock(time: &str) -> &str {
    time.get(11..19).unwrap_or(time)
}
