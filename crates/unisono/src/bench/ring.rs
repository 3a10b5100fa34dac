//! Nodes in one process, joined by memory: a perfect network, a perfect disk, a clock that is set.
//! Counts what each node spends and sends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use unisono_core::context::Context;
use unisono_core::journal::{Damage, Entry, EntryKey, Stretch};
use unisono_core::node::{
    Class, Config, Input, Node, Output, Promise, Storage, Submit, Ticket, Work,
};
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, AgentId, ChainId, ClusterId, Digest, Held, Incarnation, LogId, NodeId, OrchestraId,
    RECORD_VERSION, RecordBody, RecordPlace, SignedRecord, wire,
};

use super::inside::Timed;
use crate::failure::{Exit, Failure};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);
pub(crate) const ORCHESTRA: &str = "bench";
pub(crate) const START_NS: u64 = 1_700_000_000_000_000_000;
/// Monotonic clocks start a little above zero.
const BOOTED_NS: u64 = 1_000_000;
/// How long nodes may take to become one cluster (ms).
const JOINED_MS: u64 = 10_000;

/// What a node has spent (ns).
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_field_names, reason = "units stand last")]
pub(crate) struct Spent {
    /// On requests, frames, and making batches of them.
    pub(crate) edge_ns: u64,
    /// On what follows when a batch is on disk.
    pub(crate) persisted_ns: u64,
    /// On ticks and what was read.
    pub(crate) other_ns: u64,
    /// Of all that, on checking signatures.
    pub(crate) verify_ns: u64,
}

/// What was sent and stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    /// Frames that carry changes or what follows from them.
    pub(crate) pushes: u64,
    /// Their bytes.
    pub(crate) push_bytes: u64,
    /// All other frames.
    pub(crate) others: u64,
    /// Their bytes.
    pub(crate) other_bytes: u64,
    /// Bytes put on disk, by node.
    pub(crate) persisted_bytes: Vec<u64>,
}

/// Where an agent signs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    log: LogId,
    orchestra: OrchestraId,
}

/// An agent that signs by itself.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its name.
    pub(crate) name: String,
    /// The token that its records name.
    pub(crate) token: Option<Digest>,
    key: SigningKey,
    place: Place,
    seq: u64,
    prev: Digest,
}

impl Agent {
    /// A new agent.
    pub(crate) fn new(name: &str, place: Place) -> Self {
        let seed = Digest::of("unisono/bench-agent/v1", &[name.as_bytes()]);
        Self::with_key(name, SigningKey::from_bytes(&seed.0), place)
    }

    /// The same with a key of its own.
    pub(crate) fn with_key(name: &str, key: SigningKey, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            token: None,
            key,
            place,
            seq: 0,
            prev: Digest::default(),
        }
    }

    /// Its next record.
    pub(crate) fn sign(&mut self, action: &Action) -> Vec<u8> {
        self.seq += 1;
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: START_NS / 1_000_000,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: self.token,
            action: action.clone(),
        };
        let agent = AgentId(self.key.verifying_key().to_bytes());
        let place = RecordPlace {
            cluster: CLUSTER,
            orchestra: self.place.orchestra,
            chain: ChainId {
                agent,
                log: self.place.log,
            },
            seq: self.seq,
            prev: self.prev,
        };
        let record = SignedRecord::sign(&self.key, &place, &body);
        self.prev = place.digest(&record.body.0);
        wire::encode(&record)
    }
}

/// The nodes and the time.
pub(crate) struct Ring {
    root: Option<AgentId>,
    nodes: Vec<Node>,
    memories: Vec<Memory>,
    now_ns: u64,
    next_ticket: u64,
    unanswered: BTreeSet<Ticket>,
    refused: Option<String>,
    rng: ChaCha12Rng,
    /// What each node has spent.
    pub(crate) spent: Vec<Spent>,
    /// What was sent and stored.
    pub(crate) traffic: Traffic,
}

impl Ring {
    /// So many nodes of one region, with one orchestra.
    pub(crate) fn new(count: usize) -> Result<Self, Failure> {
        Self::rooted(count, None)
    }

    /// The same, of a cluster with a root of rights.
    pub(crate) fn rooted(count: usize, root: Option<AgentId>) -> Result<Self, Failure> {
        let mut ring = Self {
            root,
            nodes: Vec::new(),
            memories: vec![Memory::default(); count],
            now_ns: START_NS,
            next_ticket: 0,
            unanswered: BTreeSet::new(),
            refused: None,
            rng: ChaCha12Rng::from_seed([1; 32]),
            spent: Vec::new(),
            traffic: Traffic::default(),
        };
        for index in 0..count {
            let node = ring.start(index);
            ring.nodes.push(node);
        }
        ring.forget();
        ring.run_ms(JOINED_MS);
        let name = ORCHESTRA.to_owned();
        ring.submit(0, Work::Open { name }, Promise::default());
        ring.run_ms(JOINED_MS);
        ring.all_answered()?;
        Ok(ring)
    }

    fn start(&mut self, index: usize) -> Node {
        let seeds = match self.nodes.first() {
            Some(first) => vec![(first.id(), String::new())],
            None => Vec::new(),
        };
        let config = Config {
            root: self.root,
            recovery: None,
            authority: None,
            founder: seeds.first().map(|(node, _)| *node),
            cluster: CLUSTER,
            secret: [index as u8 + 1; 32],
            name: format!("n{index}"),
            region: "here".to_owned(),
            address: String::new(),
            incarnation: Incarnation {
                started_ms: self.now_ns / 1_000_000,
                nonce: index as u64 + 1,
            },
            seeds,
            lease_ms_max: 60_000,
            readable_ms: 3_600_000,
            checkpoint_records: unisono_core::node::limits::CHECKPOINT_RECORDS,
            sabotage: Sabotage::default(),
        };
        let mut verifier = Timed::default();
        let mut context = Context {
            wall_ns: self.now_ns,
            unsure_ns: None,
            monotonic_ns: self.now_ns - START_NS + BOOTED_NS,
            rng: &mut self.rng,
            verifier: &mut verifier,
        };
        Node::start(config, &mut self.memories[index], &mut context)
    }

    /// Where agents sign on a node.
    pub(crate) fn place(&self, index: usize) -> Place {
        Place {
            log: self.nodes[index].log(),
            orchestra: OrchestraId::of(CLUSTER, ORCHESTRA),
        }
    }

    /// Counts from zero again.
    pub(crate) fn forget(&mut self) {
        self.spent = vec![Spent::default(); self.memories.len()];
        self.traffic = Traffic {
            persisted_bytes: vec![0; self.memories.len()],
            ..Traffic::default()
        };
    }

    /// Asks a node for something, and rings its alarm.
    pub(crate) fn submit(&mut self, index: usize, work: Work, promise: Promise) {
        self.submit_quietly(index, work, promise);
        self.feed(index, Input::Tick);
    }

    /// Asks a node for something.
    pub(crate) fn queue(&mut self, index: usize, work: Work) {
        self.submit_quietly(index, work, Promise::default());
    }

    fn submit_quietly(&mut self, index: usize, work: Work, promise: Promise) {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.unanswered.insert(ticket);
        let orchestra = OrchestraId::of(CLUSTER, ORCHESTRA);
        let submit = Submit {
            ticket,
            orchestra,
            work,
            promise,
        };
        self.feed(index, Input::Submit(submit));
    }

    /// Whether everything was done that was asked for.
    pub(crate) fn all_answered(&self) -> Result<(), Failure> {
        let words = match (&self.refused, self.unanswered.len()) {
            (Some(why), _) => why.clone(),
            (None, 0) => return Ok(()),
            (None, left) => format!("{left} requests were not answered"),
        };
        Err(Failure::new(Exit::Failed, "core", words))
    }

    /// Lets time pass.
    pub(crate) fn run_ms(&mut self, ms: u64) {
        let end = self.now_ns + ms * 1_000_000;
        while self.now_ns < end {
            for index in 0..self.nodes.len() {
                let due = self.nodes[index].next_deadline_ns();
                if due <= self.now_ns - START_NS + BOOTED_NS {
                    self.feed(index, Input::Tick);
                }
            }
            self.now_ns += 1_000_000;
        }
    }

    /// Hands a node something, and everybody what follows from it.
    pub(crate) fn feed(&mut self, index: usize, input: Input) {
        let mut inputs = VecDeque::from([(index, input)]);
        let ids: Vec<NodeId> = self.nodes.iter().map(Node::id).collect();
        while let Some((index, input)) = inputs.pop_front() {
            let mut out = Vec::new();
            self.handle(index, input, &mut out);
            for output in out {
                self.perform(index, output, &ids, &mut inputs);
            }
        }
    }

    fn handle(&mut self, index: usize, input: Input, out: &mut Vec<Output>) {
        let mut verifier = Timed::default();
        let mut context = Context {
            wall_ns: self.now_ns,
            unsure_ns: None,
            monotonic_ns: self.now_ns - START_NS + BOOTED_NS,
            rng: &mut self.rng,
            verifier: &mut verifier,
        };
        let spent = &mut self.spent[index];
        let class = match &input {
            Input::Submit(_) | Input::Received { .. } => &mut spent.edge_ns,
            Input::Persisted { .. } => &mut spent.persisted_ns,
            _ => &mut spent.other_ns,
        };
        let begun = cpu_ns();
        self.nodes[index].handle(&mut context, input, out);
        *class += cpu_ns() - begun;
        spent.verify_ns += verifier.ns;
    }

    fn perform(
        &mut self,
        index: usize,
        output: Output,
        ids: &[NodeId],
        inputs: &mut VecDeque<(usize, Input)>,
    ) {
        let memory = &mut self.memories[index];
        match output {
            Output::Persist { batch, entries, .. } => {
                for entry in entries {
                    self.traffic.persisted_bytes[index] += entry.bytes.len() as u64;
                    let key = (entry.key.orchestra, entry.key.log, entry.key.seq);
                    memory.bundles.insert(key, entry.bytes);
                }
                let result = Ok(());
                inputs.push_back((index, Input::Persisted { batch, result }));
            }
            Output::Load {
                load,
                orchestra,
                log,
                from_seq,
                bytes_max,
            } => {
                let stretch = memory.read(orchestra, log, from_seq, bytes_max);
                inputs.push_back((index, Input::Loaded { load, stretch }));
            }
            Output::LoadBlob { load, name } => {
                let bytes = memory.blobs.get(&name).cloned();
                inputs.push_back((index, Input::BlobLoaded { load, bytes }));
            }
            Output::SaveBlob { name, bytes } => drop(memory.blobs.insert(name, bytes)),
            Output::Send { to, class, bytes } => {
                let size = bytes.len() as u64;
                let (count, sum) = match class {
                    Class::Push => (&mut self.traffic.pushes, &mut self.traffic.push_bytes),
                    _ => (&mut self.traffic.others, &mut self.traffic.other_bytes),
                };
                *count += 1;
                *sum += size;
                if let Some(there) = ids.iter().position(|id| *id == to) {
                    let from = ids[index];
                    inputs.push_back((there, Input::Received { from, bytes }));
                }
            }
            Output::Reply { ticket, result } => {
                self.unanswered.remove(&ticket);
                if let Err(rejection) = result {
                    // What is refused later follows from the first.
                    let why = || rejection.to_string();
                    self.refused.get_or_insert_with(why);
                }
            }
            Output::Restart { reason } => self.refused = Some(reason.to_owned()),
            Output::Note(_)
            | Output::Publish { .. }
            | Output::Address { .. }
            | Output::Exclude { .. }
            | Output::Succession(_)
            | Output::Root(_) => {}
        }
    }
}

/// Processor time of this thread (ns): what others do on the same processors is not in it, though
/// what they push out of the caches is.
pub(crate) fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let ns = time.tv_sec * 1_000_000_000 + time.tv_nsec;
    u64::try_from(ns).unwrap_or(0)
}

/// What a node has written.
#[derive(Clone, Debug, Default)]
struct Memory {
    bundles: BTreeMap<(OrchestraId, LogId, u64), Vec<u8>>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Storage for Memory {
    fn orchestras(&mut self) -> Vec<OrchestraId> {
        let mut ids: Vec<OrchestraId> = self.bundles.keys().map(|(id, _, _)| *id).collect();
        ids.dedup();
        ids
    }

    fn holdings(&mut self, orchestra: OrchestraId) -> Vec<(LogId, Vec<(u64, u64)>)> {
        let mut held: BTreeMap<LogId, u64> = BTreeMap::new();
        for (_, log, seq) in self.bundles.keys().filter(|(id, _, _)| *id == orchestra) {
            held.insert(*log, *seq);
        }
        let ranges = held.into_iter().map(|(log, last)| (log, vec![(1, last)]));
        ranges.collect()
    }

    fn read(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Stretch {
        let mut bytes = 0;
        let range = (orchestra, log, from_seq)..=(orchestra, log, u64::MAX);
        let some = self.bundles.range(range).take_while(|(_, bundle)| {
            bytes += bundle.len();
            bytes == bundle.len() || bytes <= bytes_max
        });
        let entry = |(key, bytes): (&(OrchestraId, LogId, u64), &Vec<u8>)| Entry {
            key: EntryKey {
                orchestra: key.0,
                log: key.1,
                seq: key.2,
            },
            bytes: bytes.clone(),
        };
        Stretch {
            entries: some.map(entry).collect(),
            damage: Vec::new(),
        }
    }

    fn damage(&mut self) -> Vec<Damage> {
        Vec::new()
    }

    fn proofs(&mut self, _: OrchestraId) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn blob(&mut self, name: &str) -> Option<Vec<u8>> {
        self.blobs.get(name).cloned()
    }
}
