//! The composed node: one door in (`handle`), one door out (`Output`), one alarm clock.
//!
//! ```text
//! Submit ─► submit: may it? ─► queue ─► batch: stamp, sign, stage ─► Persist
//! Received ─► peers: carriage ─► incoming ──┘                          │
//!          Reply, Publish, Send ◄─ apply: logs, folds, documents ◄─ Persisted
//! ```

mod alerts;
mod answer;
mod apply;
mod batch;
mod bundle;
mod clock;
mod documents;
mod door;
mod expulsion;
mod files;
mod incoming;
mod input;
mod invites;
mod jobs;
mod leave;
mod lessons;
pub mod limits;
mod living;
mod losers;
mod members;
mod mend;
mod output;
mod overdue;
mod own;
mod page;
mod peers;
mod places;
mod precondition;
mod prune;
mod pursuit;
mod readers;
mod renewing;
mod repair;
pub mod revival;
mod rights;
mod rollback;
mod roots;
mod scan;
mod space;
mod start;
mod subjects;
mod submit;
mod succession;
mod tick;
mod together;
mod twice;
mod unripe;
mod views;
mod wait;
mod witness;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;
use unisono_model::{
    AgentId, AuthorityId, ClusterId, Incarnation, LogId, NodeId, OrchestraId, Stamp,
};

pub use batch::held_key;
pub use input::{
    Ask, BatchId, DiskFailure, Input, LivingEdit, LoadId, Promise, Question, Submit, Ticket, Work,
};
pub use invites::InviteSaid;
pub use output::{Answer, AnswerBody, Class, EDITS_CUT_OFF, Note, Output, Recorded};
pub use readers::Reader;

use crate::context::Context;
use crate::journal::{Damage, Stretch};
use crate::membership::Membership;
use crate::orchestra::FoldRules;
use crate::orchestra::claims::Rules;
use crate::orchestra::horizon::{Horizon, MemberHead};
use crate::orchestra::view::Counters;
use crate::sabotage::Sabotage;
use crate::timing::StampClock;
use batch::{Batch, Made, Subject};
use jobs::Jobs;
use losers::Granted;
use peers::Peer;
use repair::Recent;
use space::Space;
use wait::Waiter;

/// What a node must be told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's Ed25519 seed.
    pub secret: [u8; 32],
    /// The name that people read.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where peers reach it.
    pub address: String,
    /// This life: new at every start.
    pub incarnation: Incarnation,
    /// Who founded the cluster: the first view follows that node alone. None if this one did.
    pub founder: Option<NodeId>,
    /// The key that issued first capability links at the founding; none in a cluster without tokens. The
    /// same on every node.
    pub root: Option<AgentId>,
    /// The key that names other roots; none in a cluster that was founded before there was one. The same
    /// on every node.
    pub recovery: Option<AgentId>,
    /// The authority that the founder made, where this node knows it: its words on invites count.
    pub authority: Option<AuthorityId>,
    /// Members that it may knock at: identity and address. Empty for the founder.
    pub seeds: Vec<(NodeId, String)>,
    /// The longest lease in this cluster (ms): the same on every node.
    pub lease_ms_max: u64,
    /// How far back views can be read without folding the logs again (ms).
    pub readable_ms: u64,
    /// After how many records the views of a small orchestra are checkpointed; those of a large one
    /// are after a quarter of its values, but after eight times as many at the latest.
    pub checkpoint_records: u64,
    /// Rules to break, for tests of the checkers.
    pub sabotage: Sabotage,
}

/// What a node reads at its start: the journal, or whatever stands for it.
pub trait Storage {
    /// The orchestras that are on disk.
    fn orchestras(&mut self) -> Vec<OrchestraId>;
    /// The logs of an orchestra, each with the ranges of bundles held (first, last).
    fn holdings(&mut self, orchestra: OrchestraId) -> Vec<(LogId, Vec<(u64, u64)>)>;
    /// Bundles of a log from `from_seq` on, in sequence, about `bytes_max` of them.
    fn read(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Stretch;
    /// Damage that is known and not repaired. Damage that nobody has met yet is not in it.
    fn damage(&mut self) -> Vec<Damage>;
    /// Fork proofs.
    fn proofs(&mut self, orchestra: OrchestraId) -> Vec<Vec<u8>>;
    /// A cache kept under a name.
    fn blob(&mut self, name: &str) -> Option<Vec<u8>>;
}

/// One member of the cluster, as a value.
#[derive(Debug)]
pub struct Node {
    config: Config,
    key: SigningKey,
    /// The log that this life writes.
    me: LogId,
    /// The cluster's own orchestra.
    cluster: OrchestraId,
    clock: StampClock,
    /// The highest stamp of its own that is on its disk, in any orchestra and from any life: no life
    /// of this node stamps at or below it any more.
    written: Stamp,
    spaces: BTreeMap<OrchestraId, Space>,
    /// Own work that has passed its preconditions and waits for the next batch.
    queue: VecDeque<Made>,
    /// How many of it wait for a document or a walk, by the last look: while there are no more,
    /// there is no need to look again before one of these ends.
    held_back: usize,
    /// What is being changed by work that is not on disk yet.
    blocked: BTreeMap<Subject, u32>,
    /// Requests about something that is being changed, with their deadlines (ms).
    deferred: VecDeque<(Submit, u64)>,
    batch: Option<Batch>,
    next_batch: u64,
    waiters: Vec<Waiter>,
    jobs: Jobs,
    peers: BTreeMap<NodeId, Peer>,
    gossip: Membership,
    windows: door::Windows,
    expulsions: expulsion::Expulsions,
    /// What the driver was told of authorities.
    succeeded: succession::Told,
    shut_out: invites::ShutOut,
    named: roots::Named,
    /// Keys of held agents that were derived lately.
    held_keys: BTreeMap<OrchestraId, BTreeMap<String, SigningKey>>,
    renewing: renewing::Renewing,
    witnessing: witness::Witnessing,
    granted: Granted,
    recent: Recent,
    /// Which peer is asked next for bundles that were lost here.
    mend_turn: usize,
    /// Bundles for other regions, gathered.
    relay: Vec<Vec<u8>>,
    relay_due_ms: Option<u64>,
    twice: twice::Twice,
    /// Signals per agent in the current minute.
    emitted: BTreeMap<(OrchestraId, AgentId), (u64, u64)>,
    token_minutes: rights::TokenMinutes,
    incidents: rights::Incidents,
    refusals: alerts::Refusals,
    places: places::Places,
    /// The disk is full until this is tried again (ms).
    disk_retry_ms: Option<u64>,
    /// The node must be made anew: nothing more is done.
    stopped: bool,
    next_join_ms: u64,
    next_summary_ms: u64,
    next_care_ms: u64,
    /// Something differed from a peer at the last summaries.
    unsettled_until_ms: u64,
    wish: Option<views::Wish>,
    leaving: Option<leave::Leaving>,
    /// It has left, and others hold everything.
    dispensable: bool,
    wall_clock: clock::WallClock,
    published: BTreeSet<OrchestraId>,
    /// When the time of something comes that is held back.
    ripens: Option<unripe::Ripens>,
    counters: Counters,
}

impl Node {
    /// Takes in one thing that happened, and pushes onto `out` what to do about it.
    pub fn handle(&mut self, context: &mut Context<'_>, input: Input, out: &mut Vec<Output>) {
        if self.stopped {
            return;
        }
        self.watch_clock(context, out);
        match input {
            Input::Submit(submit) => self.submit(context, submit, out),
            Input::Ask(ask) => self.ask(context, ask, out),
            Input::Received { from, bytes } => self.receive(context, from, &bytes, out),
            Input::PeerUp {
                node,
                round_trip_us,
            } => {
                self.peer_up(context, node, round_trip_us, out);
            }
            Input::PeerDown { node } => self.peer_down(node, out),
            Input::Refused { to } => self.refused(context, to),
            Input::Persisted { batch, result } => self.persisted(context, batch, result, out),
            Input::Loaded { load, stretch } => self.loaded(context, load, stretch, out),
            Input::BlobLoaded { load, bytes } => self.blob_loaded(context, load, bytes, out),
            Input::Tick => self.tick(context, out),
        }
        self.ripen(context);
        for orchestra in core::mem::take(&mut self.published) {
            out.push(Output::Publish { orchestra });
        }
        self.counters.rejections += out
            .iter()
            .filter(|output| matches!(output, Output::Reply { result: Err(_), .. }))
            .count() as u64;
    }

    /// Who this is.
    pub fn id(&self) -> NodeId {
        self.me.node
    }

    /// The log that this life writes.
    pub fn log(&self) -> LogId {
        self.me
    }

    /// The cluster's own orchestra.
    pub fn cluster_orchestra(&self) -> OrchestraId {
        self.cluster
    }

    /// The key of an agent whose secret this node holds: derived from the node's own, never stored.
    pub fn held_agent(&self, orchestra: OrchestraId, name: &str) -> AgentId {
        AgentId(self.held_key(orchestra, name).verifying_key().to_bytes())
    }

    /// The same key, from memory where it was needed lately: to derive it costs as much as to sign.
    fn remembered_key(&mut self, orchestra: OrchestraId, name: &str) -> SigningKey {
        let keys = self.held_keys.get(&orchestra);
        if let Some(key) = keys.and_then(|keys| keys.get(name)) {
            return key.clone();
        }
        let key = self.held_key(orchestra, name);
        let count: usize = self.held_keys.values().map(BTreeMap::len).sum();
        if count >= limits::HELD_KEYS_MAX {
            // Whoever is at work comes back with the next request.
            self.held_keys.clear();
        }
        let keys = self.held_keys.entry(orchestra).or_default();
        keys.insert(name.into(), key.clone());
        key
    }

    fn held_key(&self, orchestra: OrchestraId, name: &str) -> SigningKey {
        held_key(&self.config.secret, orchestra, name)
    }

    fn fold_rules(&self) -> FoldRules {
        FoldRules {
            founder: self.config.founder.unwrap_or(self.me.node),
            cluster: self.config.cluster,
            root: self.config.root,
            recovery: self.config.recovery,
            authority: self.config.authority,
            lease_ms_max: self.config.lease_ms_max,
            sabotage: self.config.sabotage.at(self.clock.now(0).as_ms()),
        }
    }

    fn claim_rules(&self) -> Option<Rules<'_>> {
        Some(Rules {
            standing: &self.spaces.get(&self.cluster)?.folds.members,
            lease_ms_max: self.config.lease_ms_max,
            expiry_ignored: self.config.sabotage.expiry_ignored,
        })
    }

    /// What the members have said about an orchestra. A member's word counts as far as its heads
    /// in the orchestra and in the cluster's own have come, so that a claim cannot be confirmed
    /// past an admission or a removal.
    fn horizon(&self, orchestra: OrchestraId) -> Horizon {
        let (Some(space), Some(cluster)) =
            (self.spaces.get(&orchestra), self.spaces.get(&self.cluster))
        else {
            return Horizon::default();
        };
        let mut words = Vec::new();
        for member in cluster.folds.members.all(Stamp::MAX) {
            let life = LogId {
                node: member.admit.node,
                incarnation: member.admit.incarnation,
            };
            let members = &cluster.folds.members;
            let left = members.last_words(&life.node, life.incarnation);
            let head = if let Some(head) = self.expelled_head(&orchestra, &life.node) {
                head
            } else if life == self.me && left.is_none() {
                // What its clock has given besides is written nowhere, so its next life may begin
                // below that (seed 329).
                self.written
            } else {
                let there = space.heard_of(&life, members);
                there.min(cluster.heard_of(&life, members))
            };
            let terms = members.terms(&life.node).into_iter();
            words.extend(terms.map(|term| MemberHead {
                head,
                since: term.since,
                removed_from: term.until,
            }));
        }
        Horizon { members: words }
    }

    fn now(&self, context: &Context<'_>) -> Stamp {
        self.clock.now(self.time_ns(context))
    }
}
