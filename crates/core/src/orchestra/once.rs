//! Once: per agent and idempotency key, the record with the lowest place counts, and the others
//! are its repetitions. The same key with another action is a told conflict.
//!
//! Of two actions under one key the first to come may be folded already when the lowest comes. Then
//! the orchestra is folded again, and that walk knows which record is the lowest before it meets it
//! ([`Once::after`]): or two logs in the wrong order would upset every walk anew, for ever.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Digest, IdempotencyKey, LogId, Place, Stamp, limits, wire};

use super::fact::Fact;

/// The fold over all keyed requests.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Once {
    requests: BTreeMap<RequestId, Request>,
    /// Conflicts of keys that are forgotten.
    settled: u64,
    /// Keys of which the walk has not met the record yet that is known to count.
    #[serde(skip)]
    unmet: BTreeSet<RequestId>,
    /// The record that was known to count, for each key that the walk began with.
    #[serde(skip)]
    given: BTreeMap<RequestId, Place>,
}

type RequestId = (AgentId, IdempotencyKey);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Request {
    lowest: Kept,
    action: Digest,
    /// What the others do: which of them contradict is decided when it is asked, since the record
    /// that counts may come last.
    others: BTreeMap<Place, Digest>,
}

impl Request {
    /// The others that do something else, up to a stamp.
    fn contradictions(&self, at: Stamp) -> impl Iterator<Item = &Place> {
        let others = self.others.range(..=Place::end_of(at));
        let differ = others.filter(|(_, action)| **action != self.action);
        differ.map(|(place, _)| place)
    }
}

/// The record that counts for a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The record.
    pub place: Place,
    /// Its log.
    pub log: LogId,
    /// The bundle that carries it.
    pub bundle: u64,
    /// Its number in its chain.
    pub seq: u64,
}

/// What a keyed record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// The one that counts.
    Counts,
    /// The one that counts; another counted until now, with the same action, and must come out.
    Replaces(Kept),
    /// The one that counts; another counted until now, with another action: fold everything again.
    Upsets,
    /// A repetition.
    Repeats,
}

impl Once {
    /// An empty fold that already knows which record counts where a key was used more than once: for
    /// folding logs again. What a repetition does while it counts may not be undone by taking it out,
    /// as where a rollback was asked for twice.
    pub fn after(former: &Self) -> Self {
        let used = former.requests.iter();
        let repeated = used.filter(|(_, request)| !request.others.is_empty());
        let known = repeated.map(|(id, request)| {
            let others = BTreeMap::new();
            (*id, Request { others, ..*request })
        });
        let requests: BTreeMap<RequestId, Request> = known.collect();
        let unmet = requests.keys().copied().collect();
        let given = requests
            .iter()
            .map(|(id, request)| (*id, request.lowest.place))
            .collect();
        Self {
            requests,
            unmet,
            given,
            settled: 0,
        }
    }

    /// Keys that were used for two actions.
    fn contested(&self) -> impl Iterator<Item = (&RequestId, &Request)> {
        let differ = |request: &Request| request.contradictions(Stamp::MAX).next().is_some();
        self.requests
            .iter()
            .filter(move |(_, request)| differ(request))
    }

    /// Whether a walk has met a key with two actions that it did not begin with, or with another
    /// record as the one that counts: the wrong one may have been folded before.
    pub fn has_learned(&self) -> bool {
        let mut contested = self.contested();
        contested.any(|(id, request)| self.given.get(id) != Some(&request.lowest.place))
    }

    /// After a walk over whole logs: true if a record that was known to count was not met, so that
    /// what repeats it was left out in vain and the walk has to be made again.
    pub fn settle(&mut self) -> bool {
        let gone = core::mem::take(&mut self.unmet);
        self.given.clear();
        self.requests.retain(|id, _| !gone.contains(id));
        !gone.is_empty()
    }

    /// Takes in a record and says what it is.
    pub fn insert(&mut self, fact: &Fact) -> Standing {
        let Some(key) = fact.body.key else {
            return Standing::Counts;
        };
        let action = digest(&fact.body.action);
        let kept = Kept {
            place: fact.place,
            log: fact.log,
            bundle: fact.bundle,
            seq: fact.seq,
        };
        let id = (fact.agent, key);
        let Some(request) = self.requests.get_mut(&id) else {
            let request = Request {
                lowest: kept,
                action,
                others: BTreeMap::new(),
            };
            self.requests.insert(id, request);
            return Standing::Counts;
        };
        if fact.place == request.lowest.place {
            self.unmet.remove(&id);
            return Standing::Counts;
        }
        let same = request.action == action;
        if fact.place > request.lowest.place {
            request.others.insert(fact.place, action);
            return Standing::Repeats;
        }
        let former = core::mem::replace(&mut request.lowest, kept);
        let before = core::mem::replace(&mut request.action, action);
        request.others.insert(former.place, before);
        if self.unmet.remove(&id) {
            // The former lowest has not been folded: there is nothing to take back.
            Standing::Counts
        } else if same {
            Standing::Replaces(former)
        } else {
            Standing::Upsets
        }
    }

    /// The record that stands for a key, if any.
    pub fn find(&self, agent: AgentId, key: IdempotencyKey) -> Option<Kept> {
        self.requests
            .get(&(agent, key))
            .map(|request| request.lowest)
    }

    /// Whether the key was used for another action.
    pub fn contradicts(&self, agent: AgentId, key: IdempotencyKey, action: &Action) -> bool {
        self.requests
            .get(&(agent, key))
            .is_some_and(|known| known.action != digest(action))
    }

    /// Requests up to a stamp that bore a key which was used for another action: the same in
    /// whatever order they came.
    pub fn conflicts(&self, at: Stamp) -> u64 {
        let seen = self.requests.values();
        let held: usize = seen.map(|request| request.contradictions(at).count()).sum();
        self.settled + held as u64
    }

    /// Forgets keys whose time was over at the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let settled = &mut self.settled;
        self.requests.retain(|_, request| {
            let stays = request.lowest.place.stamp.plus_ms(limits::IDEMPOTENCY_MS) >= frontier;
            if !stays {
                *settled += request.contradictions(Stamp::MAX).count() as u64;
            }
            stays
        });
    }

    /// Keys kept in memory.
    pub fn weight(&self) -> usize {
        self.requests.len()
    }
}

/// What makes two requests the same: the action without the numbers that an edge fills in, since
/// whoever asks again leaves them out again.
fn digest(action: &Action) -> Digest {
    let mut action = action.clone();
    match &mut action {
        Action::Claim { lease_ms, .. } => *lease_ms = 0,
        Action::Renew {
            claim, lease_ms, ..
        } => {
            *claim = Digest::default();
            *lease_ms = 0;
        }
        Action::Release { claim, .. } => *claim = Digest::default(),
        Action::Signal(signal) => signal.lifetime_ms = 0,
        Action::Across(across) => across.signal.lifetime_ms = 0,
        Action::Write(write) => write.plan = Digest::default(),
        Action::Rollback(rollback) => rollback.seen.clear(),
        Action::Arrive(arrival) => (arrival.lead_ms, arrival.patience_ms) = (0, 0),
        Action::Cue(cue) => (cue.target_ns, cue.answer_ms, cue.window_ms) = (0, 0, 0),
        Action::Task(change) => {
            for field in &mut change.fields {
                field.replaces.clear();
            }
        }
        _ => {}
    }
    Digest::of("unisono/action/v1", &[&wire::encode(&action)])
}
