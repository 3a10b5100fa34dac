//! What agents act under where rights are asked for: a root that guards, an executive that fences,
//! and everybody else under a token that the executive has handed on.

use ed25519_dalek::SigningKey;
use unisono_core::node::Question;
use unisono_model::capability::{
    Grant, LINK_VERSION, Link, Operations, RENEWAL_VERSION, Renewal, Rights as Allowed, Scope,
    SignedLink, Tier, Token,
};
use unisono_model::wire::Blob;
use unisono_model::{Action, AgentId, ChainCut, ClusterId, Digest, Fence, FenceTarget, limits};

use super::{Agent, Wish, files};
use crate::chance::Chance;
use crate::clock::EPOCH_NS;
use crate::plan::Collusion;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// What an agent acts under.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// The tier that it enrols for.
    pub tier: Option<Tier>,
    /// Its token with its name, or somebody else's that it has stolen.
    pub token: Option<(Digest, Vec<u8>)>,
    /// Whether it names no token as long as nobody asks for one.
    pub is_bare: bool,
    /// When it guards the orchestra (virtual ns): the root alone.
    pub guard_at: Option<u64>,
    /// What it fences, and when (virtual ns).
    pub fences: Vec<(u64, FenceTarget)>,
    /// The same token renewed, and when it gets it (virtual ns).
    renewals: Vec<(u64, (Digest, Vec<u8>))>,
    /// What it goes back to if the renewed one is none.
    before: Option<(Digest, Vec<u8>)>,
    /// Where the chains stand that its next fence concerns, as its node has seen them.
    cuts: Option<Vec<ChainCut>>,
}

impl Rights {
    /// What an executive has by a root's link.
    pub(super) fn executive(link: &SignedLink) -> Self {
        Self {
            tier: Some(Tier::Executive),
            token: Some(token(vec![link.clone()])),
            ..Self::default()
        }
    }

    /// It gets another token than it was to have, which nobody renews.
    pub(super) fn hand(&mut self, links: Vec<SignedLink>) {
        self.token = Some(token(links));
        self.renewals.clear();
    }

    /// What somebody else has who has the agent's key: its token, and none of its duties.
    pub fn of_another(&self) -> Self {
        Self {
            tier: self.tier.clone(),
            token: self.token.clone(),
            ..Self::default()
        }
    }
}

/// The key of the root of rights under a seed: that of the agent after all others.
pub fn root(seed: u64, agents: usize) -> AgentId {
    AgentId(root_key(seed, agents).verifying_key().to_bytes())
}

/// The key of the root.
pub fn root_key(seed: u64, agents: usize) -> SigningKey {
    key(seed, agents as u64)
}

/// The key that names other roots.
pub fn recovery_key(seed: u64) -> SigningKey {
    key(seed, RECOVERY)
}

/// Who names other roots under a seed.
pub fn recovery(seed: u64) -> AgentId {
    AgentId(recovery_key(seed).verifying_key().to_bytes())
}

/// The key of a root that takes the place of another one.
pub fn next_root_key(seed: u64, number: u64) -> SigningKey {
    key(seed, RECOVERY + 1 + number)
}

/// The key that names roots, and after it those that it names.
const RECOVERY: u64 = 6_000;

/// Who has which rights: of each agent, and of the root after them. The first agent is the
/// executive.
pub fn draw(seed: u64, cluster: ClusterId, agents: usize, end: u64) -> Vec<Rights> {
    let mut chance = Chance::new(seed, "rights", 0);
    let name = |number: usize| AgentId(key(seed, number as u64).verifying_key().to_bytes());
    let (root, boss) = (key(seed, agents as u64), key(seed, 0));
    let first = executive(cluster, name(agents), name(0)).sign(&root);
    let mut all = vec![Rights::executive(&first)];
    let mut links: Vec<Digest> = Vec::new();
    for number in 1..agents {
        // Some tokens end while work goes on, and nobody renews them.
        let life_ns = if chance.percent(20) {
            chance.between(60 * SECOND, 2 * end)
        } else {
            10 * end
        };
        let handed = Handed {
            cluster,
            life_ns,
            number,
            name: &name,
        };
        if number + 1 == agents && agents > 3 {
            let (id, bytes) = token(vec![validator(&handed).sign(&root)]);
            all.push(Rights {
                tier: Some(Tier::Validation),
                token: Some((id, bytes)),
                ..Rights::default()
            });
            continue;
        }
        let mut next = worker(&handed, 0, first.id());
        let renewable = chance.percent(50);
        if renewable {
            next.renew_until_ms = next.expires_ms + life_ns / MS;
        }
        let mut links_of = vec![first.clone(), next.sign(&boss)];
        if number == 3 && chance.percent(50) {
            links_of = third_hand(seed, &mut chance, &handed, &first);
        }
        let renewable = renewable && links_of.len() == 2;
        let renewals = if renewable {
            renewals(
                seed,
                &mut chance,
                (&handed, agents),
                (&next, &links_of),
                end,
            )
        } else {
            Vec::new()
        };
        let (id, bytes) = token(links_of);
        links.push(id);
        all.push(Rights {
            tier: Some(Tier::Implementation),
            token: Some((id, bytes)),
            renewals,
            ..Rights::default()
        });
    }
    let root = fences(&mut chance, (agents, end), &links, &mut all, &name);
    all.push(root);
    all
}

/// Who fences what and when: the executive a link or a key, and now and then the root the executive.
fn fences(
    chance: &mut Chance,
    (agents, end): (usize, u64),
    links: &[Digest],
    all: &mut [Rights],
    name: &dyn Fn(usize) -> AgentId,
) -> Rights {
    let mut moment = || chance.between(30 * SECOND, end.max(31 * SECOND));
    let (guard_at, first_at, second_at, last_at) = (moment(), moment(), moment(), moment());
    let mut targets = Vec::new();
    if let Some(link) = chance.pick(links) {
        targets.push((first_at, FenceTarget::Link(*link)));
    }
    if chance.percent(50) && agents > 2 {
        let other = chance.between(1, agents as u64 - 1) as usize;
        targets.push((second_at, FenceTarget::Key(name(other))));
    }
    all[0].fences = targets;
    let mut root = Rights {
        guard_at: Some(guard_at),
        ..Rights::default()
    };
    if chance.percent(15) {
        root.fences = vec![(last_at, FenceTarget::Key(name(0)))];
    }
    root
}

/// What the root of the founding still does when others are named, at these times: it fences, shortly
/// before and afterwards, and it issues what was laid down nowhere. The fence before is taken back
/// by a word that counts from an earlier time.
pub fn outlive(all: &mut [Rights], seed: u64, cluster: ClusterId, named: &[u64]) {
    let agents = all.len() - 1;
    let name = |number: usize| AgentId(key(seed, number as u64).verifying_key().to_bytes());
    for (index, at) in named.iter().enumerate() {
        let mut one = 1 + index % (agents - 1);
        // A second executive keeps what it has.
        one += usize::from(all[one].tier == Some(Tier::Executive));
        let handed = Handed {
            cluster,
            life_ns: 100_000 * SECOND,
            number: one,
            name: &name,
        };
        let link = Link {
            issuer: name(agents),
            nonce: [66 + index as u8; 16],
            ..worker(&handed, 0, Digest::default())
        };
        let late = token(vec![link.sign(&key(seed, agents as u64))]);
        all[one].renewals.push((at + 4 * SECOND, late));
        all[one].renewals.sort_by_key(|(at, _)| *at);
        let root = &mut all[agents];
        root.fences
            .push((at + 200 * MS, FenceTarget::Key(name(one))));
        if index == 0 {
            // It looks first, which takes it some seconds.
            let before = at.saturating_sub(6 * SECOND);
            let last = FenceTarget::Key(name(agents - 1));
            root.fences.insert(0, (before, last));
        }
        root.guard_at = root.guard_at.map(|_| at + 2 * SECOND);
    }
}

/// Which agent works together with a lying node, where one does: an implementer with a token of its own.
pub fn accomplice(agents: usize) -> usize {
    agents.saturating_sub(2)
}

/// The executive ends what the accomplice of a lying node may do.
pub fn expose(all: &mut [Rights], seed: u64, collusion: &Collusion) -> FenceTarget {
    let number = accomplice(all.len() - 1);
    let name = AgentId(key(seed, number as u64).verifying_key().to_bytes());
    let link = all[number].token.as_ref().map(|(link, _)| *link);
    let link = link.filter(|_| collusion.by_link).map(FenceTarget::Link);
    let target = link.unwrap_or(FenceTarget::Key(name));
    all[0].fences.insert(0, (collusion.fenced_at, target));
    target
}

/// Whoever may renew and do nothing else, by the root's leave.
const RENEWER: u64 = 5_000;

/// A token renewed once or twice while the agent works: for longer, sometimes with less, and now and
/// then by a renewer that lies, for longer than the links let it.
fn renewals(
    seed: u64,
    chance: &mut Chance,
    (handed, root): (&Handed<'_>, usize),
    (leaf, links): (&Link, &[SignedLink]),
    end: u64,
) -> Vec<(u64, (Digest, Vec<u8>))> {
    let renewer = key(seed, RENEWER);
    let worker = worker(handed, handed.number, Digest::default());
    let delegation = Link {
        issuer: (handed.name)(root),
        audience: AgentId(renewer.verifying_key().to_bytes()),
        tier: Tier::renewer(),
        may: Allowed::none(),
        grant: None,
        depth_left: 0,
        ..executive(handed.cluster, (handed.name)(root), worker.audience)
    };
    let delegation = token(vec![delegation.sign(&key(seed, root as u64))]).1;
    let longest_ms = leaf.renew_until_ms - leaf.expires_ms;
    let first_at = chance.between(20 * SECOND, end.clamp(21 * SECOND, 10 * end));
    let mut all = Vec::new();
    for at in [first_at, first_at + chance.between(SECOND, end)] {
        let lies = chance.percent(15);
        let longer_ms = if lies {
            longest_ms + 1 + chance.below(end / MS)
        } else {
            chance.between(1, longest_ms)
        };
        let less = Operations::READ.and(Operations::COORDINATE);
        let renewal = Renewal {
            version: RENEWAL_VERSION,
            cluster: handed.cluster,
            renews: leaf_id(links),
            renewer: AgentId(renewer.verifying_key().to_bytes()),
            // No longer than at first, and clocks may be off by an hour and more.
            from_ms: leaf.not_before_ms + longer_ms,
            expires_ms: leaf.expires_ms + longer_ms,
            may: chance.percent(20).then(|| Allowed {
                operations: less,
                ..leaf.may.clone()
            }),
            delegation: Blob(delegation.clone()),
        };
        let mut links = links.to_vec();
        links.push(renewal.sign(&renewer));
        all.push((at, token(links)));
    }
    all
}

fn leaf_id(links: &[SignedLink]) -> Digest {
    links.last().map(SignedLink::id).unwrap_or_default()
}

/// A third hand: the second may hand on less than it has, or nothing of it counts.
fn third_hand(
    seed: u64,
    chance: &mut Chance,
    handed: &Handed<'_>,
    first: &SignedLink,
) -> Vec<SignedLink> {
    let second = Handed {
        number: 2,
        ..*handed
    };
    let between = worker(&second, 0, first.id());
    let less = Operations::READ.and(Operations::COORDINATE);
    let between = Link {
        grant: Some(Grant {
            tiers: vec![Tier::Implementation],
            rights: Allowed {
                operations: less,
                ..between.may.clone()
            },
        }),
        depth_left: 1,
        ..between
    };
    let between = between.sign(&key(seed, 0));
    let mut third = worker(handed, 2, between.id());
    if chance.percent(50) {
        third.may.operations = less;
    }
    let third = third.sign(&key(seed, 2));
    vec![first.clone(), between, third]
}

/// A thief: it acts under the token of another.
pub fn steal(all: &mut [Rights], thief: usize) {
    let victim = if thief == 1 { 2 } else { 1 };
    if let Some(token) = all.get(victim).map(|rights| rights.token.clone()) {
        all[thief].token = token;
    }
}

fn token(links: Vec<SignedLink>) -> (Digest, Vec<u8>) {
    let token = Token { links };
    (token.id(), token.encode())
}

pub(super) fn executive(cluster: ClusterId, root: AgentId, boss: AgentId) -> Link {
    let may = Allowed {
        operations: Operations::READ
            .and(Operations::COORDINATE)
            .and(Operations::WRITE_PLAN)
            .and(Operations::SPAWN)
            .and(Operations::FENCE),
        read: Scope::Global,
        write: Scope::Global,
        actions_per_minute_max: u16::MAX,
        ..Allowed::none()
    };
    let rights = Allowed {
        operations: Operations::READ
            .and(Operations::COORDINATE)
            .and(Operations::WRITE_CODE),
        complexity_max: 8,
        function_lines_max: 60,
        file_bytes_max: 4_096,
        ..may.clone()
    };
    let now_ms = EPOCH_NS / MS;
    Link {
        version: LINK_VERSION,
        cluster,
        issuer: root,
        audience: boss,
        parent: Digest::default(),
        nonce: [0; 16],
        epoch: 0,
        // Clocks may be off by an hour and more.
        not_before_ms: now_ms - limits::TOKEN_LIFE_MS_MAX / 2,
        expires_ms: now_ms + limits::TOKEN_LIFE_MS_MAX / 2,
        renew_until_ms: now_ms + limits::TOKEN_LIFE_MS_MAX / 2,
        tier: Tier::Executive,
        may,
        grant: Some(Grant {
            tiers: vec![Tier::Implementation],
            rights,
        }),
        depth_left: 2,
    }
}

/// What a token for an agent needs.
pub(super) struct Handed<'a> {
    pub(super) cluster: ClusterId,
    pub(super) life_ns: u64,
    pub(super) number: usize,
    pub(super) name: &'a dyn Fn(usize) -> AgentId,
}

pub(super) fn worker(handed: &Handed<'_>, issuer: usize, parent: Digest) -> Link {
    let now_ms = EPOCH_NS / MS;
    let name = handed.name;
    let first = executive(handed.cluster, name(issuer), name(handed.number));
    let place = Scope::Project(crate::world::WORKPLACE.into());
    Link {
        parent,
        expires_ms: now_ms + handed.life_ns / MS,
        renew_until_ms: 0,
        tier: Tier::Implementation,
        may: Allowed {
            operations: Operations::READ
                .and(Operations::COORDINATE)
                .and(Operations::WRITE_CODE),
            read: place.clone(),
            write: place,
            files: Some(files::listed()),
            phases: handed.number.is_multiple_of(2).then(|| vec![1]),
            complexity_max: 8,
            function_lines_max: 60,
            file_bytes_max: 4_096,
            actions_per_minute_max: u16::MAX,
        },
        grant: None,
        depth_left: 0,
        ..first
    }
}

/// Validators are the operator's: nobody approves what their own executive has brought in.
fn validator(handed: &Handed<'_>) -> Link {
    let worker = worker(handed, handed.number, Digest::default());
    let first = executive(handed.cluster, worker.audience, worker.audience);
    Link {
        issuer: (handed.name)(handed.number + 1),
        tier: Tier::Validation,
        may: Allowed {
            operations: Operations::READ
                .and(Operations::COORDINATE)
                .and(Operations::APPROVE),
            ..first.may
        },
        grant: None,
        depth_left: 0,
        ..worker
    }
}

impl Agent {
    /// What its rights make it do before anything else.
    pub(super) fn exercise(&mut self, now: u64) -> Option<Wish> {
        let rights = self.rights.as_mut()?;
        if rights.renewals.first().is_some_and(|(at, _)| *at <= now) {
            let (_, renewed) = rights.renewals.remove(0);
            rights.before = rights.token.replace(renewed);
            self.presented.clear();
        }
        if rights.guard_at.is_some_and(|at| at <= now) {
            rights.guard_at = None;
            return Some(Wish::Act(Action::Guard));
        }
        let due = rights.fences.iter().position(|(at, _)| *at <= now);
        if let Some(index) = due {
            let (_, target) = rights.fences[index];
            let Some(keep) = rights.cuts.take() else {
                return Some(Wish::Look(Question::Chains(target), None));
            };
            rights.fences.remove(index);
            return Some(Wish::Act(Action::Fence(self.fence(target, keep))));
        }
        let idle = rights.token.is_none();
        self.retired |= idle && rights.guard_at.is_none() && rights.fences.is_empty();
        // The root does nothing but this.
        idle.then_some(Wish::Look(Question::State, None))
    }

    /// Goes back to the token that it had, since the renewed one is none.
    pub(super) fn goes_back_to_its_token(&mut self) -> bool {
        let rights = self.rights.as_mut();
        let Some((rights, before)) = rights.and_then(|rights| {
            let before = rights.before.take()?;
            Some((rights, before))
        }) else {
            return false;
        };
        rights.token = Some(before);
        self.presented.clear();
        true
    }

    /// What it has seen of a chain is a beginning of it, or less.
    fn fence(&mut self, target: FenceTarget, mut keep: Vec<ChainCut>) -> Fence {
        for cut in &mut keep {
            cut.seq = cut.seq.saturating_sub(self.chance.below(4)).max(2);
        }
        keep.truncate(limits::FENCE_CHAINS_MAX);
        Fence {
            target,
            reason: "a test".into(),
            keep,
        }
    }

    /// Where the chains stand that it is about to cut.
    pub(super) fn take_cuts(&mut self, cuts: Vec<ChainCut>) {
        if let Some(rights) = self.rights.as_mut() {
            rights.cuts = Some(cuts);
        }
    }

    /// The token that has to be laid down at this node before an action.
    pub(super) fn to_present(&self, action: &Action) -> Option<Action> {
        let (_, bytes) = self.rights.as_ref()?.token.as_ref()?;
        let due = self.names_token(action).is_some() && !self.presented.contains(&self.home);
        due.then(|| Action::Present(Blob(bytes.clone())))
    }

    /// The token that a record of an action names.
    pub(super) fn names_token(&self, action: &Action) -> Option<Digest> {
        let rights = self.rights.as_ref().filter(|rights| !rights.is_bare)?;
        let (id, _) = rights.token.as_ref()?;
        let free = matches!(
            action,
            Action::Enrol(_) | Action::Present(_) | Action::Guard | Action::Rotate(_)
        );
        (!free).then_some(*id)
    }
}

/// A key by the seed and the agent's number.
pub fn key(seed: u64, number: u64) -> SigningKey {
    let secret = Digest::of(
        "unisono/sim-agent-secret/v1",
        &[&seed.to_le_bytes(), &number.to_le_bytes()],
    );
    SigningKey::from_bytes(&secret.0)
}
