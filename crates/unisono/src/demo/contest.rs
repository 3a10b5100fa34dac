//! The scenes about claims: a race, a topic claimed on both sides of a cut, and how it ends.

use std::time::{Duration, Instant};

use serde_json::json;
use unisono_api::client::{ClientError, FencingRefusal, Reply, WriteOptions};
use unisono_api::dto::{
    ActionBody, Claim, ClaimBody, ClaimStatusWord, Claims, HeldBy, Recorded, ReleaseBody, RenewBody,
};

use super::cluster::REGIONS;
use super::fleet::{self, Agent, NAMES, ORCHESTRA};
use super::scenes::Stage;
use crate::failure::Failure;

/// How long a claim waits to be confirmed (ms).
const CONFIRM_MS: u64 = 8_000;
/// The same while nobody can confirm it.
const CONFIRM_CUT_MS: u64 = 1_000;
/// How long the regions may take to agree after the heal.
const AGREE_WITHIN: Duration = Duration::from_secs(15);
/// For how long the scenes' claims are held (ms): longer than all of it lasts.
const LEASE_MS: u64 = 600_000;

/// One side of a race, as it was answered.
struct Side {
    agent: Agent,
    claim: Option<Claim>,
    held_by: Option<HeldBy>,
}

impl Stage {
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

    /// Waits until all nodes show the same claim, and its losers where it has any; gives what each
    /// node shows, or nothing if they never agree.
    async fn wait_for_agreement(
        &self,
        topic: &str,
        contested: bool,
    ) -> Result<Option<Vec<Claim>>, Failure> {
        let began = Instant::now();
        loop {
            let mut shown: Vec<Claim> = Vec::new();
            for node in &self.cluster.nodes {
                let client = fleet::client(&[node.http.as_str()])?;
                let told = client
                    .read::<Claims>(ORCHESTRA, "claims", &[("topic", topic)])
                    .await;
                shown.extend(
                    told.ok()
                        .and_then(|told| told.body.claims.into_iter().next()),
                );
            }
            let all = shown.len() == REGIONS.len();
            let same = shown.windows(2).all(|pair| pair[0].claim == pair[1].claim);
            let known = !contested || shown.iter().all(|claim| !claim.losers.is_empty());
            if all && same && known {
                return Ok(Some(shown));
            }
            if began.elapsed() >= AGREE_WITHIN {
                return Ok(None);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until all nodes show the same holder; then losers are told and the winner renews.
    pub(super) async fn agree(
        &mut self,
        topic: &str,
        held: Vec<(Agent, Claim)>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        let shown = self.wait_for_agreement(topic, held.len() > 1).await?;
        let ms = began.elapsed().as_millis() as u64;
        self.facts.times.push(("agreed_on_holder_ms", json!(ms)));
        let Some(shown) = shown else {
            self.screen
                .say(&format!("the regions do not agree who holds {topic:?}"));
            self.fault(
                "one confirmed holder",
                format!("no agreement on {topic} within {ms} ms"),
            );
            return Ok(());
        };
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
fn claim(topic: &str) -> ActionBody {
    ActionBody::Claim(ClaimBody {
        topic: topic.to_owned(),
        lease_ms: Some(LEASE_MS),
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
