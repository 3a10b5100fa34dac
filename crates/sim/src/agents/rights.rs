//! What agents act under where rights are asked for: a root that guards, an executive that fences,
//! and everybody else under a token that the executive has handed on.

use ed25519_dalek::SigningKey;
use unisono_core::node::Question;
use unisono_model::capability::{
    Grant, LINK_VERSION, Link, Operations, Rights as Allowed, Scope, SignedLink, Tier, Token,
};
use unisono_model::wire::Blob;
use unisono_model::{Action, AgentId, ChainCut, ClusterId, Digest, Fence, FenceTarget, limits};

use super::{Agent, Wish, files};
use crate::chance::Chance;
use crate::clock::EPOCH_NS;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// What an agent acts under.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// The tier that it enrols for.
    pub tier: Option<Tier>,
    /// Its token with its name, or somebody else's that it has stolen.
    pub token: Option<(Digest, Vec<u8>)>,
    /// When it guards the orchestra (virtual ns): the root alone.
    pub guard_at: Option<u64>,
    /// What it fences, and when (virtual ns).
    pub fences: Vec<(u64, FenceTarget)>,
    /// Where the chains stand that its next fence concerns, as its node has seen them.
    cuts: Option<Vec<ChainCut>>,
}

impl Rights {
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

/// Who has which rights: of each agent, and of the root after them. The first agent is the
/// executive.
pub fn draw(seed: u64, cluster: ClusterId, agents: usize, end: u64) -> Vec<Rights> {
    let mut chance = Chance::new(seed, "rights", 0);
    let name = |number: usize| AgentId(key(seed, number as u64).verifying_key().to_bytes());
    let (root, boss) = (key(seed, agents as u64), key(seed, 0));
    let first = executive(cluster, name(agents), name(0)).sign(&root);
    let mut all = vec![Rights {
        tier: Some(Tier::Executive),
        token: Some(token(vec![first.clone()])),
        ..Rights::default()
    }];
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
        let next = worker(&handed, 0, first.id());
        let mut links_of = vec![first.clone(), next.sign(&boss)];
        if number == 3 && chance.percent(50) {
            links_of = third_hand(seed, &mut chance, &handed, &first);
        }
        let (id, bytes) = token(links_of);
        links.push(id);
        all.push(Rights {
            tier: Some(Tier::Implementation),
            token: Some((id, bytes)),
            ..Rights::default()
        });
    }
    let mut moment = || chance.between(30 * SECOND, end.max(31 * SECOND));
    let (guard_at, first_at, second_at, last_at) = (moment(), moment(), moment(), moment());
    let mut targets = Vec::new();
    if let Some(link) = chance.pick(&links) {
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
    all.push(root);
    all
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

fn executive(cluster: ClusterId, root: AgentId, boss: AgentId) -> Link {
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
        renew_until_ms: 0,
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
struct Handed<'a> {
    cluster: ClusterId,
    life_ns: u64,
    number: usize,
    name: &'a dyn Fn(usize) -> AgentId,
}

fn worker(handed: &Handed<'_>, issuer: usize, parent: Digest) -> Link {
    let now_ms = EPOCH_NS / MS;
    let name = handed.name;
    let first = executive(handed.cluster, name(issuer), name(handed.number));
    let place = Scope::Project(crate::world::WORKPLACE.into());
    Link {
        parent,
        expires_ms: now_ms + handed.life_ns / MS,
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
        let (id, _) = self.rights.as_ref()?.token.as_ref()?;
        let free = matches!(
            action,
            Action::Enrol(_) | Action::Present(_) | Action::Guard | Action::Rotate(_)
        );
        (!free).then_some(*id)
    }
}

/// A key by the seed and the agent's number.
pub(super) fn key(seed: u64, number: u64) -> SigningKey {
    let secret = Digest::of(
        "unisono/sim-agent-secret/v1",
        &[&seed.to_le_bytes(), &number.to_le_bytes()],
    );
    SigningKey::from_bytes(&secret.0)
}
