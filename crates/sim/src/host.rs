//! One simulated machine: its clocks, its disk, and the node that runs on it or does not.

use std::collections::VecDeque;

use ed25519_dalek::SigningKey;
use unisono_core::context::Context;
use unisono_core::journal::{Entry, Proof};
use unisono_core::node::revival::Revival;
use unisono_core::node::{BatchId, Config, Node};
use unisono_model::{ClusterId, Digest, Incarnation, LogId, NodeId};

use crate::chance::Chance;
use crate::clock::Clock;
use crate::discipline::Discipline;
use crate::disk::DiskImage;
use crate::memo::Memo;
use crate::store::Store;

/// A machine.
pub struct Host {
    /// Its number.
    pub index: usize,
    /// Its node's identity.
    pub id: NodeId,
    /// The node, while the machine runs.
    pub node: Option<Node>,
    /// Its disk.
    pub store: Store,
    /// Its clocks.
    pub clock: Clock,
    /// What its timing plane knows, if it has one.
    discipline: Option<Discipline>,
    /// Counts the lives, so that what was meant for an earlier one is dropped.
    pub life: u32,
    /// The present or latest life's name.
    pub incarnation: Incarnation,
    /// Whether the machine stands still.
    pub paused: bool,
    /// When the node wants to be woken next (true ns).
    pub tick_at: u64,
    /// Batches on their way to disk: at most one, unless the node breaks its word.
    pub writing: VecDeque<(BatchId, Vec<Entry>, Vec<Proof>)>,
    /// The crash that waits for the next write: how long the machine is then down (ns).
    pub armed: Option<u64>,
    /// An image of the disk from earlier, and when it was taken.
    pub image: Option<(u64, DiskImage)>,
    /// Machines whose address this one knows.
    pub knows: Vec<bool>,
    /// The highest wall clock reading that the node was ever shown (ns).
    pub highest_wall_ns: u64,
    /// Until when the latest power failure lasts.
    pub down_until: u64,
    /// Whether its node left for good: it is never switched on again, and its disk is gone. Or it waits
    /// for an invite to let it in.
    pub gone: bool,
    /// Whether it is switched on all the same, for a while.
    pub returns: bool,
    /// Whether the root has removed its node, which may not know.
    pub removed: bool,
    /// The life of its node that is leaving.
    pub leaving: Option<u32>,
    /// When its node began its present life (ns).
    pub began_at: u64,
    /// The pauses between lives that end of themselves.
    pub revival: Revival,
    /// Whether its disk once went back in time, so that it cannot know all that it wrote.
    pub forgetful: bool,
    /// Frames sent in the present virtual second.
    pub frames: (u64, u32),
    /// Batches in the present virtual second.
    pub batches: (u64, u32),
    /// Ticks in the present virtual second.
    pub ticks: (u64, u32),
    secret: [u8; 32],
    region: usize,
    chance: Chance,
}

/// What all machines have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// The cluster.
    pub cluster: ClusterId,
    /// Who founded it.
    pub founder: NodeId,
    /// Who issues first capability links.
    pub root: unisono_model::AgentId,
    /// Who names other roots.
    pub recovery: unisono_model::AgentId,
    /// Which authority the founder made, where that matters.
    pub authority: Option<unisono_model::AuthorityId>,
    /// The longest lease (ms).
    pub lease_ms_max: u64,
    /// How far back views can be read at once (ms): short, so that the past is folded away in a run.
    pub readable_ms: u64,
    /// After how many records views are checkpointed: few, for the same reason.
    pub checkpoint_records: u64,
    /// Rules to break.
    pub sabotage: unisono_core::sabotage::Sabotage,
    /// Whether a life goes on with the log of the one before.
    pub continues_logs: bool,
}

/// The secret of a machine's node under a seed.
pub fn secret(seed: u64, index: usize) -> [u8; 32] {
    let index = (index as u64).to_le_bytes();
    Digest::of("unisono/sim-node-secret/v1", &[&seed.to_le_bytes(), &index]).0
}

/// The address of a machine.
pub fn address(index: usize) -> String {
    format!("10.0.{}.{}:7000", index / 250, index % 250 + 1)
}

impl Host {
    /// A machine that was never switched on. `index` is its place in the world, `identity` the
    /// place whose secret it uses: the same, but for a copy of a lying node.
    pub fn new(
        seed: u64,
        index: usize,
        identity: usize,
        cluster: ClusterId,
        clock: Clock,
        region: usize,
        machines: usize,
    ) -> Self {
        let secret = secret(seed, identity);
        let public = SigningKey::from_bytes(&secret).verifying_key().to_bytes();
        Self {
            index,
            id: NodeId(public),
            node: None,
            store: Store::new(seed.wrapping_mul(1_000).wrapping_add(index as u64), cluster),
            clock,
            discipline: Discipline::drawn(seed, identity),
            life: 0,
            incarnation: Incarnation::default(),
            paused: false,
            tick_at: u64::MAX,
            writing: VecDeque::new(),
            armed: None,
            image: None,
            knows: vec![false; machines],
            highest_wall_ns: 0,
            down_until: 0,
            gone: false,
            returns: false,
            removed: false,
            leaving: None,
            began_at: 0,
            revival: Revival::default(),
            forgetful: false,
            frames: (0, 0),
            batches: (0, 0),
            ticks: (0, 0),
            secret,
            region,
            chance: Chance::new(seed, "node", index as u64),
        }
    }

    /// Whether a node runs here and the machine does not stand still.
    pub fn is_awake(&self) -> bool {
        self.node.is_some() && !self.paused
    }

    /// The log that the present life writes.
    pub fn log(&self) -> LogId {
        LogId {
            node: self.id,
            incarnation: self.incarnation,
        }
    }

    /// Names a new life; the disk must be open afterwards for the node to start.
    pub fn begin_life(&mut self, now: u64, common: &Common) {
        self.life += 1;
        let nonce = self.chance.below(u64::MAX);
        if self.life == 1 || !common.continues_logs {
            let started_ms = self.clock.wall_ns(now) / 1_000_000;
            self.incarnation = Incarnation { started_ms, nonce };
        }
    }

    /// Opens the disk; whether its tail was torn, or nothing where the disk cannot be opened.
    pub fn open_disk(&mut self) -> Option<bool> {
        let salt = self.chance.bytes16();
        self.store.open(salt).ok()
    }

    /// Starts the node over the open disk.
    pub fn start(
        &mut self,
        now: u64,
        common: &Common,
        seeds: Vec<(NodeId, String)>,
        memo: &mut Memo,
    ) {
        let config = Config {
            cluster: common.cluster,
            secret: self.secret,
            name: format!("n{}", self.index),
            region: format!("r{}", self.region),
            address: address(self.index),
            incarnation: self.incarnation,
            founder: Some(common.founder),
            root: Some(common.root),
            recovery: Some(common.recovery),
            authority: common.authority,
            seeds,
            lease_ms_max: common.lease_ms_max,
            readable_ms: common.readable_ms,
            checkpoint_records: common.checkpoint_records,
            sabotage: common.sabotage,
        };
        self.began_at = now;
        self.tick_at = u64::MAX;
        let (wall_ns, unsure_ns) = self.time(now);
        self.highest_wall_ns = self.highest_wall_ns.max(wall_ns);
        let mut context = Context {
            wall_ns,
            unsure_ns,
            monotonic_ns: self.clock.monotonic_ns(now),
            rng: self.chance.raw(),
            verifier: memo,
        };
        let node = Node::start(config, &mut self.store, &mut context);
        self.incarnation = node.log().incarnation;
        self.node = Some(node);
    }

    /// Hands the node something that happened. If others have moved its stamps further ahead of a time
    /// that it knows than both may be off: by how much (ms).
    pub fn handle(
        &mut self,
        now: u64,
        input: unisono_core::node::Input,
        memo: &mut Memo,
        out: &mut Vec<unisono_core::node::Output>,
    ) -> Option<u64> {
        let (wall_ns, unsure_ns) = self.time(now);
        self.highest_wall_ns = self.highest_wall_ns.max(wall_ns);
        let node = self.node.as_mut()?;
        let reached = node.stamps_reached();
        let mut context = Context {
            wall_ns,
            unsure_ns,
            monotonic_ns: self.clock.monotonic_ns(now),
            rng: self.chance.raw(),
            verifier: memo,
        };
        node.handle(&mut context, input, out);
        let discipline = self.discipline.filter(|_| unsure_ns.is_some())?;
        let (before, followed) = reached;
        let (after, follows) = node.stamps_reached();
        let horizon_ns = wall_ns.saturating_add(discipline.dragged_ns_max());
        // Whoever was moved so far before goes on from there, a record at a time.
        let dragged = after.as_ns() > horizon_ns.max(before.as_ns() + 1_000_000);
        (dragged && follows == followed).then(|| (after.as_ns() - wall_ns) / 1_000_000)
    }

    /// What time the node is told it is, and how far that may be off (ns).
    fn time(&self, now: u64) -> (u64, Option<u64>) {
        let told = self
            .discipline
            .and_then(|plane| plane.read(now, self.began_at));
        told.map_or((self.clock.wall_ns(now), None), |(time_ns, unsure_ns)| {
            (time_ns, Some(unsure_ns))
        })
    }

    /// The process ends, with everything that it had in memory.
    pub fn stop(&mut self) {
        self.node = None;
        self.writing.clear();
        self.armed = None;
        self.paused = false;
        self.tick_at = u64::MAX;
        self.knows.fill(false);
    }

    /// The machine's share of chance.
    pub fn chance(&mut self) -> &mut Chance {
        &mut self.chance
    }
}
