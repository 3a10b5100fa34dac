//! What verdicts rest on: who is enrolled, for which tier, the tokens that were laid down, guards and
//! fences. All of it only grows.

use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::capability::Tier;
use unisono_model::{AgentId, ChainId, Digest, Fence, FenceTarget, Place, Stamp};

use super::TOKEN_KEPT_MS;
use super::roots::Roots;
use super::turns::Turns;
use crate::capability::Verified;
use crate::orchestra::fact::Fact;

/// Everything of that kind which is known.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Laws {
    guard: Option<Place>,
    /// By what they end, so that a verdict looks at those alone that concern it.
    fences: BTreeMap<FenceTarget, BTreeMap<Place, Fencing>>,
    enrolled: BTreeMap<AgentId, Binding>,
    pub(super) turns: Turns,
    pub(super) roots: Roots,
    /// Where links that a root has signed were laid down first while it was the root. By these the
    /// links of former roots go on counting.
    rooted: BTreeMap<Digest, Place>,
    /// With all that they pass through, by their last links.
    pub(super) tokens: BTreeMap<Digest, Verified>,
}

/// A fence with its author.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Fencing {
    /// Who fenced.
    pub by: AgentId,
    /// Whether that is a root of the cluster: then it ends what other fences say, too.
    pub by_root: bool,
    /// What it says.
    pub fence: Fence,
}

impl Fencing {
    /// Whether it says how much of a chain stays.
    pub(super) fn names(&self, chain: &ChainId) -> bool {
        self.fence.keep.iter().any(|cut| cut.chain == *chain)
    }
}

static CONTRADICTED: Binding = Binding::Contradicted;

/// What an enrolled key is enrolled for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Binding {
    /// No enrolment that names a tier is held.
    Unbound,
    /// Tokens of this tier count for it.
    Bound(Tier),
    /// Two tiers: none does.
    Contradicted,
}

impl Laws {
    /// From which record on every action needs a token.
    pub fn guarded_from(&self) -> Option<Place> {
        self.guard
    }

    /// Whether an action at this place needs a token.
    pub fn is_guarded(&self, place: Place) -> bool {
        self.guard.is_some_and(|guard| place > guard)
    }

    /// All fences, in order.
    pub fn fences(&self) -> Vec<(Place, &Fencing)> {
        let by_target = self.fences.values().flatten();
        let mut all: Vec<(Place, &Fencing)> = by_target
            .map(|(place, fencing)| (*place, fencing))
            .collect();
        all.sort_unstable_by_key(|(place, _)| *place);
        all
    }

    /// The fences that are about what an agent does under a token.
    fn about<'a>(
        &'a self,
        agent: &AgentId,
        token: Option<&'a Verified>,
        at: Stamp,
    ) -> impl Iterator<Item = &'a Fencing> {
        let agent = *agent;
        let named = token.into_iter().flat_map(Verified::named);
        let named = named.map(FenceTarget::Link);
        let renewer = token.and_then(Verified::renewed);
        let renewer = renewer.map(|renewed| FenceTarget::Key(renewed.renewer));
        let exact = core::iter::once(FenceTarget::Key(agent))
            .chain(named)
            .chain(renewer);
        let exact = exact.filter_map(|target| self.fences.get(&target));
        let epoch = token.and_then(|token| token.links().iter().map(|(_, l)| l.epoch).min());
        let later = epoch.map(|epoch| {
            let from = FenceTarget::Epoch(epoch.saturating_add(1));
            let to = FenceTarget::Epoch(u32::MAX);
            self.fences.range(from..=to).map(|(_, fences)| fences)
        });
        // A rotation that a fence of the former key cuts off hands that fence on: else whoever has the
        // key would go on under the next one.
        let handed_on = self.turns.before(agent).flat_map(|turn| {
            let fences = self.fences.get(&FenceTarget::Key(turn.former));
            let fences = fences.into_iter().flatten();
            fences.filter(|(_, fencing)| turn.seq > kept(&fencing.fence, &turn.chain))
        });
        exact
            .chain(later.into_iter().flatten())
            .flatten()
            .chain(handed_on)
            .filter(move |(place, _)| place.stamp <= at)
            .filter(move |(place, fencing)| concerns(&fencing.fence.target, **place, token))
            .map(|(_, fencing)| fencing)
    }

    /// What a key is enrolled for, if it is enrolled, by itself or as one that its agent had before.
    pub fn binding(&self, agent: &AgentId) -> Option<&Binding> {
        let keys = self.turns.lineage(*agent);
        let known = keys.filter_map(|key| self.enrolled.get(&key));
        known.reduce(|one, other| match (one, other) {
            (Binding::Unbound, other) => other,
            (one, Binding::Unbound) => one,
            (Binding::Bound(tier), Binding::Bound(other)) if tier == other => one,
            _ => &CONTRADICTED,
        })
    }

    /// Which keys are one agent's.
    pub fn turns(&self) -> &Turns {
        &self.turns
    }

    /// Whether a fence of a key reaches this one, because its agent came to it by a rotation that the
    /// fence cuts off.
    pub(super) fn hands_on(&self, fence: &Fence, key: AgentId) -> bool {
        let FenceTarget::Key(former) = &fence.target else {
            return false;
        };
        let mut turns = self.turns.before(key);
        turns.any(|turn| turn.former == *former && turn.seq > kept(fence, &turn.chain))
    }

    /// The tier that a key is bound to, if it is to one.
    pub fn tier_of(&self, agent: &AgentId) -> Option<&Tier> {
        match self.binding(agent)? {
            Binding::Bound(tier) => Some(tier),
            Binding::Unbound | Binding::Contradicted => None,
        }
    }

    /// The fence that cuts a record off, if any. Fences by others than a root are not asked about
    /// fences themselves: two that end each other both stand, whichever came first.
    pub fn cut<'a>(
        &'a self,
        chain: &ChainId,
        seq: u64,
        token: Option<&'a Verified>,
        by_root_alone: bool,
    ) -> Option<&'a Fencing> {
        self.about(&chain.agent, token, Stamp::MAX)
            .filter(|fencing| fencing.by_root || !by_root_alone)
            .find(|fencing| seq > kept(&fencing.fence, chain))
    }

    /// Whether a fence up to a stamp ends a token: nothing that names it counts any more but what is
    /// kept.
    pub fn ends(&self, token: &Verified, at: Stamp) -> bool {
        let audience = token.leaf().audience;
        let key = self.turns.latest(audience, Place::end_of(at));
        self.about(&key, Some(token), at).next().is_some()
    }

    pub(super) fn guard(&mut self, place: Place) {
        self.guard = Some(self.guard.map_or(place, |known| known.min(place)));
    }

    pub(super) fn fence(&mut self, fact: &Fact, fence: &Fence, by_root: bool) {
        let fencing = Fencing {
            by: fact.agent,
            by_root,
            fence: fence.clone(),
        };
        let known = self.fences.entry(fence.target).or_default();
        known.insert(fact.place, fencing);
    }

    /// Takes in an enrolment.
    pub(super) fn enrol(&mut self, agent: AgentId, tier: Option<&Tier>) {
        let binding = self.enrolled.entry(agent).or_insert(Binding::Unbound);
        match (&*binding, tier) {
            (Binding::Unbound, Some(tier)) => *binding = Binding::Bound(tier.clone()),
            (Binding::Bound(known), Some(tier)) if known != tier => {
                *binding = Binding::Contradicted;
            }
            _ => {}
        }
    }

    /// Which keys are the root of rights, and when.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Takes in where a link was laid down that the root of that time has signed. True if that is news.
    pub(super) fn root_link(&mut self, link: Digest, place: Place) -> bool {
        let known = self.rooted.get(&link);
        let is_news = known.is_none_or(|known| place < *known);
        if is_news {
            self.rooted.insert(link, place);
        }
        is_news
    }

    /// Where a link was first laid down that the root of that time had signed.
    pub(super) fn rooted_at(&self, link: &Digest) -> Option<Place> {
        self.rooted.get(link).copied()
    }

    pub(super) fn lay_down(&mut self, token: Verified) -> bool {
        match self.tokens.entry(token.id()) {
            Entry::Vacant(entry) => {
                entry.insert(token);
                true
            }
            Entry::Occupied(mut known) => {
                known.get_mut().join(token);
                false
            }
        }
    }
}

/// Whether a fence at this place still concerns a token: long after its end nothing takes its records
/// back, so that what is known of it can be forgotten.
fn concerns(target: &FenceTarget, place: Place, token: Option<&Verified>) -> bool {
    let kept = |token: &Verified| token.leaf().expires_ms.saturating_add(TOKEN_KEPT_MS);
    match target {
        FenceTarget::Key(_) => true,
        FenceTarget::Link(_) | FenceTarget::Epoch(_) => {
            token.is_some_and(|token| place.stamp.as_ms() < kept(token))
        }
    }
}

/// Whether a fence of this target, at this place, is about what an agent does under a token.
pub(super) fn is_about(
    target: &FenceTarget,
    place: Place,
    agent: &AgentId,
    token: Option<&Verified>,
) -> bool {
    let meant = match target {
        FenceTarget::Key(key) => {
            let renewed = token.and_then(Verified::renewed);
            key == agent || renewed.is_some_and(|renewed| renewed.renewer == *key)
        }
        FenceTarget::Link(link) => token.is_some_and(|token| token.passes_through(link)),
        FenceTarget::Epoch(epoch) => token.is_some_and(|token| {
            let mut links = token.links().iter();
            links.any(|(_, link)| link.epoch < *epoch)
        }),
    };
    meant && concerns(target, place, token)
}

/// Up to which record of a chain a fence lets stand; 0: none.
pub(super) fn kept(fence: &Fence, chain: &ChainId) -> u64 {
    let heads = &fence.keep;
    heads
        .binary_search_by(|head| head.chain.cmp(chain))
        .map_or(0, |index| heads[index].seq)
}
