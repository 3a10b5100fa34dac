//! Which records count: validity as a predicate over the set of records held.
//!
//! ```text
//!  record ─► its agent enrolled? ─► its token laid before the orchestra? ─► in time, of its tier,
//!            │ no: pending          │ no: pending                           allows this? │ no: void
//!            ▼                      ▼                                                    ▼
//!           waits for it           waits for it                    below every fence's cut? ─► counts
//! ```
//!
//! No clock, no configuration but the keys of the founding, no current state: what a verdict rests on and
//! is not here yet makes a record pending, and a fence that comes late makes it void and folds
//! everything again. Equal sets give equal verdicts in any order: `tests/it/trust.rs` holds them
//! against a reference, and `docs/decisions/009-validity-over-the-set.md` says why it is so.
//!
//! **Invariant (I7):** nothing reaches the other folds that its token did not allow.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use serde::{Deserialize, Serialize};
use unisono_model::capability::Tier;
use unisono_model::{
    Action, AgentId, ChainCut, ChainId, Digest, Fence, FenceTarget, Incident, LogId, NodeId,
    OrchestraId, Place, Stamp,
};

use super::FoldRules;
use super::fact::Fact;
use super::waiting::Waiting;
use crate::capability::Verified;

mod heeds;
mod judge;
mod laws;
pub mod limits;
mod roots;
mod turns;

pub use heeds::{HEEDS_KEPT_MAX, Heeds};
pub(crate) use judge::is_held_to_token;
pub use judge::{Awaited, Lesson, Verdict, Void};
pub use laws::{Binding, Laws};
pub use roots::Roots;
pub(crate) use roots::is_said;
use turns::Change;
pub use turns::{Turn, Turns};

/// Void records that are kept in memory for reading; older ones are in the log.
pub const VOIDED_KEPT_MAX: usize = 1_024;
/// Incidents that are kept in memory for reading; older ones are in the log.
pub const INCIDENTS_KEPT_MAX: usize = 256;
/// How long after its end a token is kept for records that come late (ms). What comes even later is
/// judged by folding the logs again.
pub const TOKEN_KEPT_MS: u64 = 7 * 24 * 3_600_000;

/// The fold over everything that rights are judged by.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Trust {
    /// What verdicts are given by.
    laws: Laws,
    /// What the records folded here say. The same, but while a log is folded again: then the laws
    /// are those that were known before, so that nothing counts until its fence comes by.
    seen: Laws,
    /// What was known when a walk over the logs began.
    #[serde(skip)]
    given: Laws,
    /// How far each chain has come under each token, or under none: what a fence would have to take
    /// back.
    used: BTreeMap<Use, u64>,
    /// Keys that have done anything under a token: a second tier would take all of it back.
    holders: BTreeSet<AgentId>,
    /// The highest record of each key that counted: a rotation below it takes that back.
    latest: BTreeMap<AgentId, Place>,
    /// Where tokens were laid down last that a key has issued a link of, and whom tokens were for.
    issued: BTreeMap<AgentId, Place>,
    audiences: BTreeSet<AgentId>,
    /// Tokens that are forgotten: who names one is judged by the logs.
    forgotten: BTreeSet<Digest>,
    /// The highest record that counted without a token where a guard would ask for one.
    bare: Option<Place>,
    voided: BTreeMap<Place, Voided>,
    incidents: BTreeMap<Place, (NodeId, Incident)>,
    /// The highest incident that is not kept any more.
    incidents_from: Option<Place>,
    heeds: Heeds,
    /// Where each token was first laid before the orchestra.
    laid: BTreeMap<Digest, Place>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
struct Use {
    token: Option<Digest>,
    chain: ChainId,
    /// Whether verdicts rest on it: then only a root's fence takes it back.
    ground: bool,
}

/// A record that does not count, and why.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Voided {
    /// Who signed it.
    pub agent: AgentId,
    /// The log that carries it.
    pub log: LogId,
    /// The action's name.
    pub deed: String,
    /// The rule's word.
    pub rule: String,
    /// Why, in a sentence.
    pub detail: String,
}

/// What came of learning something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Learned {
    /// What records were waiting for.
    pub arrived: Vec<Awaited>,
    /// Something ended, or a key was given up, perhaps for records that wait.
    pub ended: bool,
    /// Something that counted does so no more: everything has to be folded again.
    pub upset: bool,
}

impl Trust {
    /// An empty fold that already knows the laws, for folding logs again.
    pub fn under(laws: Laws) -> Self {
        Self {
            given: laws.clone(),
            laws,
            ..Self::default()
        }
    }

    /// Whether a walk has come to know laws that it did not begin with: what it judged before it
    /// met them was judged without.
    pub fn has_learned(&self) -> bool {
        self.given != self.laws
    }

    /// The laws that verdicts are given by.
    pub fn laws(&self) -> &Laws {
        &self.laws
    }

    /// After a walk over whole logs: the laws are what the walk has seen. True if verdicts were
    /// given by others, so that the walk has to be made again.
    pub fn settle(&mut self) -> bool {
        let differ = self.laws != self.seen;
        self.laws.clone_from(&self.seen);
        self.given = Laws::default();
        differ
    }

    /// A record counts: what it says about rights holds from now on.
    pub fn learn(&mut self, fact: &Fact, lesson: Lesson) -> Learned {
        let mut learned = Learned::default();
        match lesson {
            Lesson::Nothing => {}
            Lesson::Tokens { tokens, rooted } => {
                for link in rooted {
                    self.seen.root_link(link, fact.place);
                    if self.laws.root_link(link, fact.place) {
                        learned.arrived.push(Awaited::Rooted(link));
                    }
                }
                for token in tokens {
                    self.note_hands(fact.place, &token);
                    let id = token.id();
                    let first = self.laid.entry(id).or_insert(fact.place);
                    *first = fact.place.min(*first);
                    self.seen.lay_down(token.clone());
                    if self.laws.lay_down(token) {
                        learned.arrived.push(Awaited::Token(id));
                    }
                }
            }
            Lesson::Enrolment(tier) => self.enrolled(fact, tier.as_ref(), &mut learned),
            Lesson::Rotation(turn) => {
                learned.arrived.push(Awaited::Enrolment(turn.next));
                learned.arrived.push(Awaited::Tier(turn.next));
                learned.ended = true;
            }
            Lesson::Guard => {
                self.laws.guard(fact.place);
                self.seen.guard(fact.place);
                learned.upset = self.bare.is_some_and(|bare| bare > fact.place);
            }
            Lesson::Fence { by_root } => {
                if let Action::Fence(fence) = &fact.body.action {
                    learned.upset = self.reaches_back(fence, fact.place, by_root);
                    learned.ended = true;
                    self.laws.fence(fact, fence, by_root);
                    self.seen.fence(fact, fence, by_root);
                }
            }
        }
        if let Action::Incident(incident) = &fact.body.action {
            let known = (fact.log.node, incident.clone());
            let dropped = keep_latest(&mut self.incidents, fact.place, known, INCIDENTS_KEPT_MAX);
            self.incidents_from = self.incidents_from.max(dropped);
        }
        self.heeds
            .insert(fact, self.laws.turns().identity(fact.agent));
        learned
    }

    fn enrolled(&mut self, fact: &Fact, tier: Option<&Tier>, learned: &mut Learned) {
        let agent = fact.agent;
        let before = self.laws.binding(&agent).cloned();
        self.seen.enrol(agent, tier);
        self.laws.enrol(agent, tier);
        let now = self.laws.binding(&agent);
        let turns = self.laws.turns();
        if before.is_none() || turns.is_asked(&agent) {
            learned.arrived.push(Awaited::Enrolment(agent));
        }
        if tier.is_some() {
            learned.arrived.push(Awaited::Tier(agent));
        }
        let contradicted = now == Some(&Binding::Contradicted) && before.as_ref() != now;
        learned.upset = contradicted && self.holders.contains(&agent);
        // What an agent is enrolled for goes over to the next key.
        learned.upset |= turns.concerns(&agent) && before.as_ref() != now;
    }

    /// Takes in what decides which rotations count, before the record is judged: enrolments and
    /// rotations, whether or not they count themselves. True if others count now than did: everything
    /// has to be folded again.
    pub fn witness(&mut self, orchestra: OrchestraId, fact: &Fact, rules: &FoldRules) -> bool {
        let change = match &fact.body.action {
            Action::Enrol(_) if self.is_ground_left(orchestra, fact, rules) => {
                self.seen.turns.enrolled(fact.agent, fact.place);
                self.laws.turns.enrolled(fact.agent, fact.place)
            }
            Action::Rotate(rotation) if self.is_ground_left(orchestra, fact, rules) => {
                let Some(turn) = self.turn(orchestra, fact, rules, rotation) else {
                    return false;
                };
                self.seen.turns.asked(turn);
                let upsets = self.is_upset_by(&turn);
                match self.laws.turns.asked(turn) {
                    Change::Counts if upsets => Change::Others,
                    change => change,
                }
            }
            // It proves itself, whoever carries it: also one whose records do not count.
            Action::Root(word) => {
                self.seen.roots.hear(word, rules);
                let changed = self.laws.roots.hear(word, rules);
                return changed && !rules.sabotage.root_by_arrival;
            }
            _ => Change::Nothing,
        };
        change == Change::Others && !rules.sabotage.rotation_by_arrival
    }

    /// Whether a rotation takes anything back that has counted: what the former key signed above it,
    /// tokens that were laid down above it with a link that this key has issued; or whether the next
    /// key has been taken for an agent of its own.
    fn is_upset_by(&self, turn: &Turn) -> bool {
        let above = |highest: &BTreeMap<AgentId, Place>| {
            let highest = highest.get(&turn.former);
            highest.is_some_and(|highest| *highest > turn.place)
        };
        let next_known = self.laws.binding(&turn.next).is_some()
            || self.laws.turns().concerns(&turn.next)
            || self.audiences.contains(&turn.next);
        above(&self.latest) || above(&self.issued) || next_known
    }

    fn note_hands(&mut self, place: Place, token: &Verified) {
        let audiences = token.links().iter().map(|(_, link)| link.audience);
        self.audiences.extend(audiences);
        for issuer in token.issuers() {
            let highest = self.issued.entry(issuer).or_insert(place);
            *highest = place.max(*highest);
        }
    }

    /// A record counts: a fence that comes later may have to take it back.
    pub fn note_use(&mut self, fact: &Fact, rules: &FoldRules) {
        if judge::needs_token(&fact.body.action) && fact.body.token.is_none() {
            self.bare = self.bare.max(Some(fact.place));
        }
        // What is asked of no token is judged by none, though it may name one.
        let held_to = is_held_to_token(&fact.body.action);
        let token = fact.body.token.filter(|_| held_to);
        let (agent, log) = (fact.agent, fact.log);
        if token.is_some() {
            self.holders.insert(agent);
        }
        if judge::is_immune(fact, rules, &self.laws) {
            return;
        }
        let one = Use {
            token,
            chain: ChainId { agent, log },
            ground: judge::is_ground(&fact.body.action),
        };
        let highest = self.used.entry(one).or_default();
        *highest = fact.seq.max(*highest);
        let latest = self.latest.entry(agent).or_insert(fact.place);
        *latest = fact.place.max(*latest);
    }

    /// The keys of the chain of grants under which an agent acts, its own among them. The root's is
    /// none of them: it stands above all.
    pub fn hands(&self, agent: AgentId, token: Option<Digest>) -> Vec<AgentId> {
        let token = token.and_then(|id| self.laws.tokens.get(&id));
        let links = token.into_iter().flat_map(Verified::links);
        // An agent that has changed its key is one pair of hands.
        let turns = self.laws.turns();
        let audiences = links.map(|(_, link)| turns.identity(link.audience));
        let mut hands: BTreeSet<AgentId> = audiences.collect();
        hands.insert(turns.identity(agent));
        hands.into_iter().collect()
    }

    /// A record does not count.
    pub fn void(&mut self, fact: &Fact, why: Void) {
        let voided = Voided {
            agent: fact.agent,
            log: fact.log,
            deed: String::from(fact.body.action.name()),
            rule: String::from(why.code.as_str()),
            detail: why.detail,
        };
        keep_latest(&mut self.voided, fact.place, voided, VOIDED_KEPT_MAX);
    }

    /// Whether a fence or a rotation ends a record that waits, and that the logs alone have: it has
    /// to be told as void.
    pub(super) fn ends_what_waits(&self, fact: &Fact, waiting: &Waiting) -> bool {
        match &fact.body.action {
            Action::Rotate(_) => waiting
                .reaches(|chain, reach| chain.agent == fact.agent && reach.place > fact.place),
            Action::Fence(fence) => {
                // Without a token, which is what it waits for, only a key's end concerns a record.
                let FenceTarget::Key(key) = fence.target else {
                    return false;
                };
                let turns = self.laws.turns();
                let is_cut = |turn: &Turn| turn.seq > laws::kept(fence, &turn.chain);
                let goes_on = turns.asked_of(key).any(is_cut);
                let identity = turns.identity(key);
                waiting.reaches(|chain, reach| {
                    let own =
                        chain.agent == key || (goes_on && turns.identity(chain.agent) == identity);
                    own && reach.seq > laws::kept(fence, chain)
                })
            }
            _ => false,
        }
    }

    /// Whether a fence takes anything back that has counted.
    fn reaches_back(&self, fence: &Fence, place: Place, by_root: bool) -> bool {
        // Of those that do not count, too, others may rest on it that they do not.
        let turns = self.laws.turns();
        let is_cut = |turn: &Turn| turn.seq > laws::kept(fence, &turn.chain);
        if let FenceTarget::Key(key) = fence.target
            && by_root
            && turns.asked_of(key).any(is_cut)
        {
            return true;
        }
        let mut touched = self.used.iter().filter(|(one, _)| by_root || !one.ground);
        touched.any(|(one, highest)| {
            let token = one.token.and_then(|id| self.laws.tokens.get(&id));
            let about = laws::is_about(&fence.target, place, &one.chain.agent, token)
                || self.laws.hands_on(fence, one.chain.agent);
            about && *highest > laws::kept(fence, &one.chain)
        })
    }

    /// The tokens of an agent, under whichever of its keys, the one that lasts longest first.
    pub fn tokens_of(&self, agent: &AgentId) -> Vec<&Verified> {
        let turns = self.laws.turns();
        let agent = turns.identity(*agent);
        let own = |token: &&Verified| turns.identity(token.leaf().audience) == agent;
        let mut tokens: Vec<&Verified> = self.laws.tokens.values().filter(own).collect();
        tokens.sort_by_key(|token| core::cmp::Reverse((token.leaf().expires_ms, token.id())));
        tokens
    }

    /// Whether a token was known here and is forgotten.
    pub fn has_forgotten(&self, id: &Digest) -> bool {
        self.forgotten.contains(id)
    }

    /// Why a record does not count, if it is one of those that are kept.
    pub fn why_void(&self, place: &Place) -> Option<&Voided> {
        self.voided.get(place)
    }

    /// All tokens that were laid before the orchestra, by their last links.
    pub fn tokens(&self) -> impl Iterator<Item = &Verified> {
        self.laws.tokens.values()
    }

    /// Whether a token was laid before the orchestra by then.
    pub fn is_laid(&self, id: &Digest, at: Stamp) -> bool {
        self.laid.get(id).is_some_and(|place| place.stamp <= at)
    }

    /// How many void records that are kept came after a stamp.
    pub fn voided_after(&self, at: Stamp) -> u64 {
        let later = (Bound::Excluded(Place::end_of(at)), Bound::Unbounded);
        self.voided.range(later).count() as u64
    }

    /// The token of a name.
    pub fn token(&self, id: &Digest) -> Option<&Verified> {
        self.laws.tokens.get(id)
    }

    /// The latest void records, newest first.
    pub fn voided(&self, at: Stamp) -> impl Iterator<Item = (Place, &Voided)> {
        let seen = self.voided.range(..=Place::end_of(at));
        seen.rev().map(|(place, voided)| (*place, voided))
    }

    /// The latest incidents with the nodes that tell of them, newest first.
    pub fn incidents(&self, at: Stamp) -> impl Iterator<Item = (Place, NodeId, &Incident)> {
        let seen = self.incidents.range(..=Place::end_of(at));
        seen.rev().map(|(place, (node, one))| (*place, *node, one))
    }

    /// Up to where incidents stand in the log alone, if there were more than are kept.
    pub fn incidents_from(&self) -> Option<Place> {
        self.incidents_from
    }

    /// Who has acknowledged which incidents.
    pub fn heeds(&self) -> &Heeds {
        &self.heeds
    }

    /// Where the chains stand that a fence would concern: what it keeps if nothing that has counted
    /// is to be taken back, as of a stamp.
    pub fn chains_under(&self, target: &FenceTarget, at: Stamp) -> Vec<ChainCut> {
        let now = Place::end_of(at);
        let mut chains: BTreeMap<ChainId, u64> = BTreeMap::new();
        for (one, highest) in &self.used {
            let token = one.token.and_then(|id| self.laws.tokens.get(&id));
            if laws::is_about(target, now, &one.chain.agent, token) {
                let seq = chains.entry(one.chain).or_default();
                *seq = (*highest).max(*seq);
            }
        }
        let cuts = chains.into_iter();
        cuts.map(|(chain, seq)| ChainCut { chain, seq }).collect()
    }

    /// Forgets tokens that ended long before the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let over = frontier.as_ms().saturating_sub(TOKEN_KEPT_MS);
        let tokens = self.laws.tokens.iter();
        let ended: BTreeSet<Digest> = tokens
            // What can be renewed is renewed from its own bytes.
            .filter(|(_, token)| {
                let leaf = token.leaf();
                let source = token.source().map_or(0, |_| leaf.renew_until_ms);
                leaf.expires_ms.max(source) < over
            })
            .map(|(id, _)| *id)
            .collect();
        if ended.is_empty() {
            return;
        }
        self.seen.tokens.retain(|id, _| !ended.contains(id));
        self.laws.tokens.retain(|id, _| !ended.contains(id));
        self.laid.retain(|id, _| !ended.contains(id));
        // How far the chains came under them, a fence of their key still has to know.
        for (one, highest) in core::mem::take(&mut self.used) {
            let token = one.token.filter(|id| !ended.contains(id));
            let known = self.used.entry(Use { token, ..one }).or_default();
            *known = highest.max(*known);
        }
        self.forgotten.extend(ended);
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.laws.tokens.len()
            + self.used.len()
            + self.holders.len()
            + self.latest.len()
            + self.issued.len()
            + self.audiences.len()
            + self.laws.turns().weight()
            + self.forgotten.len()
            + self.voided.len()
            + self.incidents.len()
            + self.heeds.weight()
    }
}

/// Keeps the highest places alone, so that what is kept does not depend on the order of arrival. Says which was dropped last.
fn keep_latest<T>(
    kept: &mut BTreeMap<Place, T>,
    place: Place,
    value: T,
    most: usize,
) -> Option<Place> {
    kept.insert(place, value);
    let mut dropped = None;
    while kept.len() > most {
        dropped = kept.pop_first().map(|(place, _)| place);
    }
    dropped
}
