//! I8: a confirmed claim is never lost, confirmed holdings of one topic do not overlap, tokens that
//! a guard accepts only grow, and whoever lost was told.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::view::{ClaimStatus, ClaimView};
use unisono_model::{Digest, NodeId, Stamp};

use crate::oracle::Story;

/// Remembers what was said about claims.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    /// Claims that some node called confirmed: their topic.
    confirmed: BTreeMap<Digest, String>,
    /// Per topic, tokens that were shown as valid where nothing could change any more: as of when,
    /// and which.
    tokens: BTreeMap<String, BTreeSet<(Stamp, Stamp)>>,
    /// Per topic, the highest token that a guard has taken.
    guards: BTreeMap<String, Stamp>,
    /// Claims that somebody was told the loss of.
    told: BTreeSet<Digest>,
    /// Claims that a node called granted when it answered, and which life of which machine did.
    granted: BTreeMap<Digest, (usize, u32)>,
}

/// What the final fold may say otherwise than a node did.
#[derive(Clone, Debug, Default)]
pub struct Excuses {
    /// Machines whose word counts for nothing.
    pub liars: Vec<usize>,
    /// Topics of which something was taken away, or added in spite of what was promised, and from
    /// which stamp on. What lies below has to hold.
    pub topics: BTreeMap<String, Stamp>,
    /// From which stamp on any topic may go otherwise, since a fork took away what a view rested on.
    pub everything: Option<Stamp>,
}

impl Excuses {
    /// A topic may go otherwise from a stamp on.
    pub fn add(&mut self, topic: String, since: Stamp) {
        let known = self.topics.entry(topic).or_insert(since);
        *known = since.min(*known);
    }

    fn covers(&self, topic: &str, at: Stamp) -> bool {
        let of_topic = self.topics.get(topic).copied();
        of_topic
            .into_iter()
            .chain(self.everything)
            .any(|since| at >= since)
    }
}

impl Claims {
    /// A node has shown what became of a claim, and whether that can still change.
    pub fn shown(&mut self, as_of: Stamp, is_final: bool, view: &ClaimView) {
        match view.status {
            ClaimStatus::Confirmed => {
                self.confirmed(view.claim.record, view.topic.clone());
                if view.token_valid && is_final {
                    let tokens = self.tokens.entry(view.topic.clone()).or_default();
                    tokens.insert((as_of, view.token));
                }
            }
            ClaimStatus::Lost => {
                self.told.insert(view.claim.record);
            }
            ClaimStatus::Provisional | ClaimStatus::Ended => {}
        }
        for (place, _) in &view.losers {
            self.told.insert(place.record);
        }
    }

    /// Somebody was told that a claim is confirmed.
    pub fn confirmed(&mut self, claim: Digest, topic: String) {
        self.confirmed.insert(claim, topic);
    }

    /// Whoever has just been told that its claim or renewal is confirmed shows its token to a guard,
    /// who must not have taken a higher one.
    pub fn presented(&mut self, view: &ClaimView) -> Result<(), String> {
        if view.status != ClaimStatus::Confirmed || !view.token_valid {
            return Ok(());
        }
        let highest = self.guards.entry(view.topic.clone()).or_default();
        if view.token < *highest {
            let (topic, token) = (&view.topic, view.token);
            return Err(format!(
                "a guard of {topic} took {highest} before the confirmed {token}"
            ));
        }
        *highest = view.token;
        Ok(())
    }

    /// A node has answered a claim as granted.
    pub fn granted(&mut self, claim: Digest, host: usize, life: u32) {
        self.granted.entry(claim).or_insert((host, life));
    }

    /// A node has noted that it told a loser.
    pub fn told(&mut self, claim: Digest) {
        self.told.insert(claim);
    }

    /// How many claims were confirmed.
    pub fn confirmed_count(&self) -> usize {
        self.confirmed.len()
    }

    /// Whether the final fold keeps what was said.
    pub fn check(&self, story: &Story, excuses: &Excuses) -> Result<(), String> {
        for (claim, topic) in &self.confirmed {
            let Some(loss) = story.lost.get(claim) else {
                continue;
            };
            let by_liar = self.granted.get(claim);
            let by_liar = by_liar.is_some_and(|(host, _)| excuses.liars.contains(host));
            if !by_liar && !excuses.covers(topic, loss.at) {
                let why = &loss.why;
                return Err(format!(
                    "claim {claim} was confirmed, and turns out to have lost: {why}"
                ));
            }
        }
        self.check_overlap(story, excuses)?;
        for (topic, tokens) in &self.tokens {
            let mut highest = Stamp::MIN;
            for (as_of, token) in tokens {
                if *token < highest && !excuses.covers(topic, *as_of) {
                    return Err(format!(
                        "the valid token of {topic} is {token} as of {as_of}, and was {highest}"
                    ));
                }
                highest = highest.max(*token);
            }
        }
        Ok(())
    }

    /// From which stamp on a topic may go otherwise than was said, because of one node: claims that
    /// were confirmed and then lost to a claim of its.
    pub fn upset_by(&self, story: &Story, node: NodeId) -> Vec<(String, Stamp)> {
        let upset = self.confirmed.iter().filter_map(|(claim, topic)| {
            let (log, since) = story.lost.get(claim)?.to?;
            (log.node == node).then(|| (topic.clone(), since))
        });
        upset.collect()
    }

    /// Claims that a node still running has called granted, that lost, and whose loss nobody told.
    pub fn untold(&self, story: &Story, lives: &[Option<u32>], excuses: &Excuses) -> Vec<Digest> {
        // What was confirmed is looked at no more; a copied node's claim that is dated back may beat it
        // all the same (seed 1294).
        let excused = |claim: &Digest, at: Stamp| {
            let topic = self.confirmed.get(claim);
            topic.is_some_and(|topic| excuses.covers(topic, at))
        };
        let lost = self.granted.iter().filter(|(claim, (host, life))| {
            let alive = lives.get(*host) == Some(&Some(*life)) && !excuses.liars.contains(host);
            let lost = story.lost.get(*claim);
            let lost = lost.is_some_and(|loss| !excused(claim, loss.at));
            alive && lost && !self.told.contains(*claim)
        });
        lost.map(|(claim, _)| *claim).collect()
    }

    fn check_overlap(&self, story: &Story, excuses: &Excuses) -> Result<(), String> {
        let mut held: Vec<_> = story
            .granted
            .iter()
            .filter(|(topic, claim, _, _, _)| {
                self.confirmed.contains_key(&claim.record) && !excuses.covers(topic, claim.stamp)
            })
            .collect();
        held.sort_by(|a, b| (&a.0, a.3).cmp(&(&b.0, b.3)));
        for pair in held.windows(2) {
            if pair[0].0 == pair[1].0 && pair[1].3 < pair[0].4 {
                let (topic, one, other) = (&pair[0].0, pair[0].1.record, pair[1].1.record);
                return Err(format!(
                    "{topic} was held by {one} and by {other} at one time"
                ));
            }
        }
        Ok(())
    }
}
