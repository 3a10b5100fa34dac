//! Which records their tokens allowed, naively: the whole set is looked at in three rounds. What a
//! root fences stands by itself; what others fence stands unless a root has cut it off; everything
//! else stands unless any fence has.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::capability::{Operations, Scope, Tier, Token};
use unisono_model::{
    Action, AgentId, ClusterId, Digest, Fence, FenceTarget, Held, Incarnation, Measure, NodeId,
    OrchestraId, Place, Rotation, SuccessionWord,
};

use super::deeds::{Need, need};
use super::invites::is_signed;
use super::logs::Fact;
use super::roots::Reigns;
use super::tokens::Chain;

/// A fence of a link or an epoch says nothing of tokens that ended so long before it (ms): seven days.
const TOKEN_KEPT_MS: u64 = 7 * 24 * 3_600_000;

/// What verdicts rest on beside the records.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The cluster.
    pub cluster: ClusterId,
    /// The orchestra.
    pub orchestra: OrchestraId,
    /// Who issued first links at the founding.
    pub root: AgentId,
    /// Who names other roots; that root, if nobody is said.
    pub recovery: Option<AgentId>,
    /// Nodes that a root has removed, and how much of their logs counts.
    pub expelled: Expelled,
}

/// By node: where each of its logs ends; nothing counts of one that is not named.
pub type Expelled = BTreeMap<NodeId, BTreeMap<(OrchestraId, Incarnation), u64>>;

/// Whom the records of the cluster's own orchestra that count remove. Of several words about a log the
/// lowest counts.
pub fn expelled(facts: &[Fact]) -> Expelled {
    let mut all = Expelled::new();
    for fact in facts {
        let Action::Remove(one) = &fact.body.action else {
            continue;
        };
        let ends = one.ends.iter();
        let ends = ends.map(|end| ((end.orchestra, end.end.incarnation), end.end.seq));
        let ends: BTreeMap<_, u64> = ends.collect();
        match all.get_mut(&one.node) {
            None => drop(all.insert(one.node, ends)),
            Some(known) => {
                known.retain(|log, _| ends.contains_key(log));
                for (log, end) in known {
                    *end = ends[log].min(*end);
                }
            }
        }
    }
    all
}

/// Which authority signs, by the words of roots that count: the one of the highest rank, and of several words
/// about it the one with the earliest end.
pub fn authority(facts: &[Fact]) -> Option<SuccessionWord> {
    let words = facts.iter().filter_map(|fact| match &fact.body.action {
        Action::Succeed(succession) => Some(succession.word),
        _ => None,
    });
    words.max_by_key(SuccessionWord::precedence)
}

/// Each record that does not count, and whether something is missing that could still come; and the
/// first key of each agent that has changed its own.
pub(super) fn verdicts(
    facts: &[Fact],
    ground: &Ground,
) -> (BTreeMap<Place, bool>, BTreeMap<AgentId, AgentId>) {
    let mut court = Court::of(facts, ground);
    for fact in facts.iter().filter(|fact| court.reigns.signs(fact)) {
        match &fact.body.action {
            Action::Fence(fence) => court.fences.push((fact.place, fence)),
            Action::Guard => {
                let first = court
                    .guard
                    .map_or(fact.place, |known| known.min(fact.place));
                court.guard = Some(first);
            }
            _ => {}
        }
    }
    court.turn(facts);
    court.learn(facts);
    let others = facts.iter().filter(|fact| !court.reigns.signs(fact));
    let more: Vec<(Place, &Fence)> = others
        .filter_map(|fact| match &fact.body.action {
            Action::Fence(fence) if court.may_fence(fact, fence) == Some(true) => {
                Some((fact.place, fence))
            }
            _ => None,
        })
        .collect();
    let mut not = BTreeMap::new();
    for fact in facts {
        if let Action::Fence(fence) = &fact.body.action
            && court.is_enrolled(fact)
        {
            let allowed = court.reigns.signs(fact) || more.iter().any(|(at, _)| *at == fact.place);
            if !allowed {
                not.insert(fact.place, court.may_fence(fact, fence).is_none());
            }
        }
    }
    let roots = std::mem::take(&mut court.fences);
    for fact in facts {
        let ground = matches!(need(&fact.body.action), Need::Nothing | Need::Authority);
        court.fences.clone_from(&roots);
        if !ground {
            court.fences.extend(&more);
        }
        match court.counts(fact) {
            Some(true) => {}
            verdict => drop(not.entry(fact.place).or_insert(verdict.is_none())),
        }
    }
    let turned = court.from.keys();
    let first = |key: &AgentId| court.keys(*key).last().map(|first| (*key, *first));
    let first = turned.filter_map(first).collect();
    (not, first)
}

/// Whether a token lets a file be written: its files, its phases, and functions and contents that are
/// as small as it asks for.
fn within(token: &Chain, action: &Action) -> bool {
    let Action::Write(write) = action else {
        return true;
    };
    let may = &token.leaf().may;
    let files = may.files.as_ref();
    let moved_from = write.moved_from.as_ref().map(|moved| &moved.path);
    let mut paths = moved_from.into_iter().chain([&write.path]);
    let listed = files.is_none_or(|files| paths.all(|path| files.contains(path)));
    let phases = may.phases.as_ref();
    let in_phase = phases.is_none_or(|phases| phases.contains(&write.phase));
    let (complexity, lines) = (may.complexity_max, may.function_lines_max);
    let small = write.content.as_ref().is_none_or(|content| {
        let simple = match &content.measure {
            Measure::Known(measured) => {
                measured.complexity_max <= u32::from(complexity)
                    && measured.lines_max <= u32::from(lines)
            }
            Measure::UnknownLanguage => true,
            Measure::Unmeasurable(_) => complexity == u16::MAX && lines == u16::MAX,
        };
        simple && content.bytes <= may.file_bytes_max
    });
    listed && in_phase && small
}

/// What roots have signed of a token: its first link, and that of what renews it.
fn signed_by_roots(token: &Chain) -> impl Iterator<Item = (Digest, AgentId)> {
    let first = token.links().first().map(|(id, link)| (*id, link.issuer));
    let renewed = token.renewed();
    let delegated = renewed.and_then(|renewed| renewed.delegation.first().copied());
    first.into_iter().chain(delegated)
}

struct Court<'a> {
    ground: &'a Ground,
    reigns: Reigns,
    /// Links that a root has signed and that were laid down while it was the root.
    rooted: BTreeSet<Digest>,
    /// Where each key was given up.
    away: BTreeMap<AgentId, Place>,
    /// The rotation by which each key came.
    from: BTreeMap<AgentId, &'a Fact>,
    /// Rotations of keys that were nobody's below them.
    waiting: BTreeSet<Place>,
    tokens: BTreeMap<Digest, Chain>,
    tiers: BTreeMap<AgentId, BTreeSet<Tier>>,
    enrolled: BTreeSet<AgentId>,
    guard: Option<Place>,
    fences: Vec<(Place, &'a Fence)>,
}

impl<'a> Court<'a> {
    fn of(facts: &[Fact], ground: &'a Ground) -> Self {
        let Ground {
            cluster,
            root,
            recovery,
            ..
        } = ground;
        Self {
            ground,
            reigns: Reigns::of(facts, *cluster, *root, *recovery),
            rooted: BTreeSet::new(),
            tokens: BTreeMap::new(),
            tiers: BTreeMap::new(),
            away: BTreeMap::new(),
            from: BTreeMap::new(),
            waiting: BTreeSet::new(),
            enrolled: BTreeSet::new(),
            guard: None,
            fences: Vec::new(),
        }
    }

    /// Which rotations count, from the lowest place on.
    fn turn(&mut self, facts: &'a [Fact]) {
        let mut known: BTreeSet<AgentId> = BTreeSet::new();
        let mut in_order: Vec<&Fact> = facts.iter().collect();
        in_order.sort_by_key(|fact| fact.place);
        for fact in in_order {
            let agent = fact.agent;
            if self.cut(fact, None) || self.away.contains_key(&agent) {
                continue;
            }
            match &fact.body.action {
                Action::Enrol(_) => drop(known.insert(agent)),
                Action::Rotate(rotation) if !self.is_signed(fact, rotation) => {}
                Action::Rotate(_) if !known.contains(&agent) => {
                    self.waiting.insert(fact.place);
                }
                Action::Rotate(rotation) if !known.contains(&rotation.next) => {
                    known.insert(rotation.next);
                    self.away.insert(agent, fact.place);
                    self.from.insert(rotation.next, fact);
                }
                _ => {}
            }
        }
    }

    fn is_signed(&self, fact: &Fact, rotation: &Rotation) -> bool {
        let Ground {
            cluster, orchestra, ..
        } = self.ground;
        let next = rotation.next;
        let proof = Rotation::proof(*cluster, *orchestra, fact.agent, next, &rotation.name);
        let ordinary = |key: &AgentId| !self.reigns.knows(key) && key.0 != fact.log.node.0;
        let by_itself = fact.body.held == Held::Agent;
        ordinary(&fact.agent)
            && ordinary(&next)
            && by_itself
            && StrictVerifier.verify(&next.0, &proof, &rotation.signature)
    }

    /// A key, and those that its agent had before.
    fn keys(&self, key: AgentId) -> Vec<AgentId> {
        let mut keys = vec![key];
        while let Some(turn) = self.from.get(&keys[keys.len() - 1]) {
            keys.push(turn.agent);
        }
        keys
    }

    /// Whether a root signs something at a time when another one stands.
    fn is_out_of_time(&self, fact: &Fact) -> bool {
        let by_anybody = matches!(fact.body.action, Action::Enrol(_) | Action::Root(_));
        !by_anybody && self.reigns.knows(&fact.agent) && !self.reigns.signs(fact)
    }

    /// Whether the key that signed was given up before.
    fn is_given_up(&self, fact: &Fact) -> bool {
        let away = self.away.get(&fact.agent);
        away.is_some_and(|away| fact.place > *away)
    }

    /// Enrolments and tokens, as far as no root has cut them off.
    fn learn(&mut self, facts: &[Fact]) {
        let stands = |court: &Self, fact: &Fact| {
            !court.cut(fact, None) && !court.is_given_up(fact) && !court.is_out_of_time(fact)
        };
        for fact in facts
            .iter()
            .filter(|fact| stands(self, fact))
            .collect::<Vec<_>>()
        {
            if let Action::Enrol(enrol) = &fact.body.action {
                self.enrolled.insert(fact.agent);
                self.tiers
                    .entry(fact.agent)
                    .or_default()
                    .extend(enrol.tier.clone());
            }
        }
        // What rests on a link that was laid down elsewhere counts once that does.
        loop {
            let before = self.rooted.len();
            let standing = facts.iter().filter(|fact| stands(self, fact));
            for fact in standing.collect::<Vec<_>>() {
                self.lay_down(fact);
            }
            if self.rooted.len() == before {
                return;
            }
        }
    }

    fn lay_down(&mut self, fact: &Fact) {
        let Some(token) = self.laid_down(fact) else {
            return;
        };
        let now = self.reigns.at(fact.place.stamp.as_ms());
        let of_now = signed_by_roots(&token).filter(|(_, issuer)| *issuer == now);
        self.rooted.extend(of_now.map(|(link, _)| link));
        let before = self
            .before_it_was_renewed(fact)
            .filter(|_| token.renewed().is_some());
        let before = before.iter().flat_map(Chain::beginnings);
        for token in token.beginnings().into_iter().chain(before) {
            self.tokens.insert(token.id(), token);
        }
    }

    /// The token that a record lays down for its own agent.
    fn laid_down(&self, fact: &Fact) -> Option<Chain> {
        let Action::Present(bytes) = &fact.body.action else {
            return None;
        };
        let (cluster, roots) = (self.ground.cluster, self.reigns.keys());
        let token = Chain::read(&bytes.0, cluster, &roots)?;
        let now = self.reigns.at(fact.place.stamp.as_ms());
        let in_time = |(link, issuer)| issuer == now || self.rooted.contains(&link);
        let in_time = signed_by_roots(&token).all(in_time);
        let laid = in_time && self.is_own_and_in_time(fact, &token);
        (laid && self.is_enrolled(fact)).then_some(token)
    }

    /// Whether a token is for who lays it down, and issued with no key that was given up below.
    fn is_own_and_in_time(&self, fact: &Fact, token: &Chain) -> bool {
        let late = token.issuers().any(|issuer| {
            let away = self.away.get(&issuer);
            away.is_some_and(|away| fact.place > *away)
        });
        !late && self.keys(fact.agent).contains(&token.leaf().audience)
    }

    /// Whether a token would be laid down if what roots have signed of it had been in their time.
    fn awaits_a_root(&self, fact: &Fact) -> bool {
        let now = self.reigns.at(fact.place.stamp.as_ms());
        let Action::Present(bytes) = &fact.body.action else {
            return false;
        };
        let (cluster, roots) = (self.ground.cluster, self.reigns.keys());
        let Some(token) = Chain::read(&bytes.0, cluster, &roots) else {
            return false;
        };
        let missing = |(link, issuer)| issuer != now && !self.rooted.contains(&link);
        self.is_own_and_in_time(fact, &token) && signed_by_roots(&token).any(missing)
    }

    fn before_it_was_renewed(&self, fact: &Fact) -> Option<Chain> {
        let Action::Present(bytes) = &fact.body.action else {
            return None;
        };
        let (token, _) = Token::decode(&bytes.0).ok()?;
        let (cluster, roots) = (self.ground.cluster, self.reigns.keys());
        let bytes = token.unrenewed().encode();
        Chain::read(&bytes, cluster, &roots)
    }

    fn is_enrolled(&self, fact: &Fact) -> bool {
        let mut keys = self.keys(fact.agent).into_iter();
        keys.any(|key| self.enrolled.contains(&key))
    }

    /// Whether one of the fences that are looked at cuts a record off.
    fn cut(&self, fact: &Fact, token: Option<&Chain>) -> bool {
        // Nothing stands above a root, and nodes are judged by membership for what they say as nodes.
        if self.is_of_itself(fact) {
            return false;
        }
        self.fences.iter().any(|(at, fence)| {
            let links = || token.into_iter().flat_map(Chain::links);
            let kept = token.is_some_and(|token| {
                let end_ms = token.leaf().expires_ms.saturating_add(TOKEN_KEPT_MS);
                at.stamp.as_ms() < end_ms
            });
            let about = match fence.target {
                FenceTarget::Key(key) => {
                    let renewed = token.and_then(Chain::renewed);
                    key == fact.agent || renewed.is_some_and(|renewed| renewed.renewer == key)
                }
                FenceTarget::Link(link) => {
                    let mut named = token.into_iter().flat_map(Chain::named);
                    kept && named.any(|id| id == link)
                }
                FenceTarget::Epoch(epoch) => kept && links().any(|(_, link)| link.epoch < epoch),
            };
            let beyond = |fact: &Fact| {
                let own = |cut: &&unisono_model::ChainCut| {
                    cut.chain.agent == fact.agent && cut.chain.log == fact.log
                };
                fact.seq > fence.keep.iter().find(own).map_or(0, |cut| cut.seq)
            };
            // A fence of a key that cuts off how its agent gave it up goes on with the agent.
            let keys = self.keys(fact.agent);
            let handed_on = keys.iter().filter_map(|key| self.from.get(key));
            let mut handed_on =
                handed_on.filter(|turn| fence.target == FenceTarget::Key(turn.agent));
            (about || handed_on.any(|turn| beyond(turn))) && beyond(fact)
        })
    }

    /// Whether it is a root's, or what a node says as a node.
    fn is_of_itself(&self, fact: &Fact) -> bool {
        let own = fact.agent.0 == fact.log.node.0
            && matches!(need(&fact.body.action), Need::Node | Need::Nothing);
        self.reigns.signs(fact) || own
    }

    /// Whether a record counts; none: what it refers to is not here.
    fn counts(&self, fact: &Fact) -> Option<bool> {
        let action = &fact.body.action;
        if self.cut(fact, None) || self.is_out_of_time(fact) {
            return Some(false);
        }
        if self.is_given_up(fact) && !self.is_of_itself(fact) {
            return Some(false);
        }
        if !self.is_enrolled(fact) {
            return None;
        }
        match need(action) {
            Need::Nothing => match action {
                // A link of a former root's may still have been laid down in its time.
                Action::Present(_) if self.laid_down(fact).is_some() => Some(true),
                Action::Present(_) => (!self.awaits_a_root(fact)).then_some(false),
                Action::Root(word) => Some(self.reigns.is_said(word, self.ground.cluster)),
                Action::Rotate(rotation) => {
                    let turn = self.from.get(&rotation.next);
                    let counts = turn.is_some_and(|turn| turn.place == fact.place);
                    let waits = self.waiting.contains(&fact.place);
                    (!waits).then_some(counts)
                }
                _ => Some(true),
            },
            Need::Root => Some(self.reigns.signs(fact)),
            Need::Node => {
                let signed = is_signed(action, self.ground.cluster);
                Some(fact.agent.0 == fact.log.node.0 && signed)
            }
            // Judged before.
            Need::Authority => Some(true),
            Need::Operation(operation) => match fact.body.token {
                None => Some(self.guard.is_none_or(|guard| fact.place < guard)),
                Some(id) => {
                    let token = self.own_token(fact, id)?;
                    let Some(token) = token else {
                        return Some(false);
                    };
                    let allowed = self.allows(token, operation) && within(token, action);
                    Some(allowed && !self.cut(fact, Some(token)))
                }
            },
        }
    }

    /// The token that a record names, if it is good for it; none at all if it is not here.
    #[allow(
        clippy::option_option,
        reason = "not here, here and bad, here and good are three things"
    )]
    fn own_token(&self, fact: &Fact, id: Digest) -> Option<Option<&Chain>> {
        let token = self.tokens.get(&id)?;
        let keys = self.keys(fact.agent);
        if !keys.contains(&token.leaf().audience) {
            return Some(None);
        }
        let tiers = keys.iter().filter_map(|key| self.tiers.get(key));
        let tiers: BTreeSet<&Tier> = tiers.flatten().collect();
        if tiers.is_empty() {
            return None;
        }
        let at_ms = fact.place.stamp.as_ms();
        let lives = token
            .links()
            .iter()
            .all(|(_, link)| (link.not_before_ms..link.expires_ms).contains(&at_ms));
        let bound = tiers.len() == 1 && tiers.contains(&&token.leaf().tier);
        Some(Some(token).filter(|_| lives && bound))
    }

    fn allows(&self, token: &Chain, operation: Operations) -> bool {
        let may = &token.leaf().may;
        let here = match &may.write {
            Scope::Global => true,
            Scope::Project(name) => {
                OrchestraId::of(self.ground.cluster, name) == self.ground.orchestra
            }
            Scope::Nowhere => false,
        };
        may.operations.contains(operation) && here
    }

    /// Whether somebody else than a root may fence this; none: what it refers to is not here.
    fn may_fence(&self, fact: &Fact, fence: &Fence) -> Option<bool> {
        if self.cut(fact, None) || self.is_given_up(fact) || self.is_out_of_time(fact) {
            return Some(false);
        }
        if !self.is_enrolled(fact) {
            return None;
        }
        let keys = self.keys(fact.agent);
        let mut holds = false;
        if let Some(id) = fact.body.token {
            let Some(token) = self.own_token(fact, id)? else {
                return Some(false);
            };
            if self.cut(fact, Some(token)) {
                return Some(false);
            }
            holds = self.allows(token, Operations::FENCE);
        }
        match fence.target {
            FenceTarget::Epoch(_) => Some(false),
            FenceTarget::Key(key) => Some(holds || keys.contains(&key)),
            FenceTarget::Link(_) if holds => Some(true),
            FenceTarget::Link(link) => {
                let token = self.tokens.get(&link)?;
                let issued = token
                    .links()
                    .iter()
                    .any(|(_, link)| keys.contains(&link.issuer));
                Some(issued || keys.contains(&token.leaf().audience))
            }
        }
    }
}
