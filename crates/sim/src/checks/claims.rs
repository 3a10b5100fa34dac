//! I8: a confirmed claim is never lost, confirmed holdings of one topic do not overlap, tokens that
//! a guard accepts only grow, and whoever lost was told.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::view::{ClaimStatus, ClaimView};
use unisono_model::{Digest, Stamp};

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

impl Claims {
    /// A node has shown what became of a claim, and whether that can still change.
    pub fn shown(&mut self, as_of: Stamp, is_final: bool, view: &ClaimView) {
        match view.status {
            ClaimStatus::Confirmed => {
                self.confirmed.insert(view.claim.record, view.topic.clone());
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

    /// Whether the final fold keeps what was said; liars' words do not count, nor topics of which a
    /// fork has set something aside.
    pub fn check(
        &self,
        story: &Story,
        liars: &[usize],
        fenced: &BTreeSet<String>,
    ) -> Result<(), String> {
        let honest = |claim: &Digest| {
            self.granted
                .get(claim)
                .is_none_or(|(host, _)| !liars.contains(host))
        };
        let lost = self
            .confirmed
            .iter()
            .filter(|(_, topic)| !fenced.contains(*topic))
            .find(|(claim, _)| story.lost.contains_key(*claim) && honest(claim));
        if let Some((claim, _)) = lost {
            let why = story.lost.get(claim).cloned().unwrap_or_default();
            return Err(format!(
                "claim {claim} was confirmed, and turns out to have lost: {why}"
            ));
        }
        self.check_overlap(story, fenced)?;
        for (topic, tokens) in &self.tokens {
            if fenced.contains(topic) {
                continue;
            }
            let mut highest = Stamp::MIN;
            for (as_of, token) in tokens {
                if *token < highest {
                    return Err(format!(
                        "the valid token of {topic} is {token} as of {as_of}, and was {highest}"
                    ));
                }
                highest = highest.max(*token);
            }
        }
        Ok(())
    }

    /// Claims that a node still running has called granted, that lost, and whose loss nobody told.
    pub fn untold(&self, story: &Story, lives: &[u32], liars: &[usize]) -> Vec<Digest> {
        let lost = self.granted.iter().filter(|(claim, (host, life))| {
            let alive = lives.get(*host) == Some(life) && !liars.contains(host);
            alive && story.lost.contains_key(*claim) && !self.told.contains(*claim)
        });
        lost.map(|(claim, _)| *claim).collect()
    }

    fn check_overlap(&self, story: &Story, fenced: &BTreeSet<String>) -> Result<(), String> {
        let mut held: Vec<_> = story
            .granted
            .iter()
            .filter(|(topic, claim, _, _, _)| {
                self.confirmed.contains_key(&claim.record) && !fenced.contains(topic)
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
