//! A few nodes joined by a loop of memory: perfect network, perfect disk, no time of its own.

use std::collections::{BTreeMap, VecDeque};

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng as _;
use unisono_core::context::{Context, StrictVerifier};
use unisono_core::journal::{Damage, Entry, Ranges, Stretch};
use unisono_core::node::{
    Answer, AnswerBody, Ask, Config, Input, Node, Output, Promise, Question, Reader, Storage,
    Submit, Ticket, Work,
};
use unisono_core::orchestra::view::View;
use unisono_core::replication::Frame;
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, AgentId, AuthorityId, ClusterId, Incarnation, LogId, NodeId, OrchestraId, Rejection,
    Succession,
};

/// What a node has written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) bundles: BTreeMap<(OrchestraId, LogId, u64), Vec<u8>>,
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
}

impl Storage for Memory {
    fn orchestras(&mut self) -> Vec<OrchestraId> {
        let mut ids: Vec<_> = self.bundles.keys().map(|(id, _, _)| *id).collect();
        ids.dedup();
        ids
    }
    fn holdings(&mut self, orchestra: OrchestraId) -> Vec<(LogId, Vec<(u64, u64)>)> {
        let mut held: BTreeMap<LogId, Ranges> = BTreeMap::new();
        for (id, log, seq) in self.bundles.keys() {
            if *id == orchestra {
                held.entry(*log).or_default().insert(*seq);
            }
        }
        held.into_iter()
            .map(|(log, ranges)| (log, ranges.iter().collect()))
            .collect()
    }
    fn read(&mut self, orchestra: OrchestraId, log: LogId, from_seq: u64, max: usize) -> Stretch {
        let mut bytes = 0;
        let range = self
            .bundles
            .range((orchestra, log, from_seq)..=(orchestra, log, u64::MAX));
        let entries = range
            .zip(from_seq..)
            .take_while(|((key, bundle), seq)| {
                bytes += bundle.len();
                key.2 == *seq && (bytes == bundle.len() || bytes <= max)
            })
            .map(|(found, _)| found)
            .map(|((orchestra, log, seq), bytes)| Entry {
                key: unisono_core::journal::EntryKey {
                    orchestra: *orchestra,
                    log: *log,
                    seq: *seq,
                },
                bytes: bytes.clone(),
            })
            .collect();
        Stretch {
            entries,
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

/// The nodes and the time.
pub(crate) struct Loop {
    pub(crate) nodes: Vec<Node>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) now_ns: u64,
    pub(crate) cut: Vec<(usize, usize)>,
    /// Who turns whom away.
    pub(crate) excluded: Vec<(usize, NodeId)>,
    /// Who was told which authority signs.
    pub(crate) told: Vec<(usize, Succession)>,
    /// The key that issues first links, for nodes that are started from now on.
    pub(crate) root: Option<AgentId>,
    /// The key that names other roots, likewise.
    pub(crate) recovery: Option<AgentId>,
    /// Bundles that went to another region to be passed on there: who sent which to whom.
    pub(crate) relayed: Vec<(usize, usize, Vec<u8>)>,
    regions: Vec<&'static str>,
    /// How far each node's clock is ahead of the time.
    pub(crate) ahead_ms: Vec<u64>,
    /// How far each says that its time may be off the cluster's (ns), if they know that.
    pub(crate) unsure_ns: Option<u64>,
    /// How often each has said that views have changed.
    pub(crate) published: Vec<u32>,
    /// How often each has been woken by time alone.
    pub(crate) ticks: Vec<u32>,
    /// Nodes whose lives ended for a reason are begun anew; otherwise that is a fault.
    pub(crate) revived: Option<Vec<(usize, &'static str)>>,
    /// While it is set, disks take writes and reads and do not answer.
    pub(crate) disks_hang: bool,
    hanging: Vec<(usize, Input)>,
    replies: BTreeMap<Ticket, Result<Answer, Rejection>>,
    next_ticket: u64,
    rng: ChaCha8Rng,
    lives: u64,
}

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);
const START_NS: u64 = 1_700_000_000_000_000_000;

/// The root of rights.
pub(crate) fn root_key() -> SigningKey {
    SigningKey::from_bytes(&[0xee; 32])
}

/// The key of the authority that the founder made.
pub(crate) fn authority_key() -> SigningKey {
    SigningKey::from_bytes(&[0xca; 32])
}

/// The key that names other roots.
pub(crate) fn recovery_key() -> SigningKey {
    SigningKey::from_bytes(&[0xed; 32])
}

/// What a node sees of its machine.
fn context<'a>(
    now_ns: u64,
    ahead_ms: u64,
    unsure_ns: Option<u64>,
    rng: &'a mut ChaCha8Rng,
    verifier: &'a mut StrictVerifier,
) -> Context<'a> {
    Context {
        wall_ns: now_ns + ahead_ms * 1_000_000,
        unsure_ns,
        monotonic_ns: now_ns - START_NS + 1_000_000,
        rng,
        verifier,
    }
}

impl Loop {
    pub(crate) fn new(count: usize) -> Self {
        Self::in_regions(vec!["here"; count])
    }

    /// A node in each of the regions named.
    pub(crate) fn in_regions(regions: Vec<&'static str>) -> Self {
        Self::cut_from_the_start(regions, Vec::new())
    }

    /// The same, with some cut off from each other before they are started.
    pub(crate) fn cut_from_the_start(regions: Vec<&'static str>, cut: Vec<(usize, usize)>) -> Self {
        let count = regions.len();
        let mut world = Self {
            nodes: Vec::new(),
            memories: vec![Memory::default(); count],
            now_ns: START_NS,
            cut,
            excluded: Vec::new(),
            told: Vec::new(),
            root: Some(AgentId(root_key().verifying_key().to_bytes())),
            recovery: Some(AgentId(recovery_key().verifying_key().to_bytes())),
            relayed: Vec::new(),
            regions,
            ahead_ms: vec![0; count],
            unsure_ns: None,
            published: vec![0; count],
            ticks: vec![0; count],
            revived: None,
            disks_hang: false,
            hanging: Vec::new(),
            replies: BTreeMap::new(),
            next_ticket: 0,
            rng: ChaCha8Rng::seed_from_u64(1),
            lives: 0,
        };
        for index in 0..count {
            let node = world.start(index);
            world.nodes.push(node);
        }
        world.run_ms(5_000);
        world
    }

    pub(crate) fn start(&mut self, index: usize) -> Node {
        self.lives += 1;
        let seeds = if index == 0 {
            Vec::new()
        } else {
            vec![(self.nodes[0].id(), String::new())]
        };
        let config = Config {
            root: self.root,
            recovery: self.recovery,
            authority: Some(AuthorityId(authority_key().verifying_key().to_bytes())),
            founder: seeds.first().map(|(node, _)| *node),
            cluster: CLUSTER,
            secret: [index as u8 + 1; 32],
            name: format!("n{index}"),
            region: self.regions[index].into(),
            address: String::new(),
            incarnation: Incarnation {
                started_ms: self.now_ns / 1_000_000,
                nonce: self.lives,
            },
            seeds,
            lease_ms_max: 60_000,
            readable_ms: 10_000,
            checkpoint_records: 1_024,
            sabotage: Sabotage::default(),
        };
        let mut verifier = StrictVerifier;
        let ahead_ms = self.ahead_ms[index];
        let mut context = context(
            self.now_ns,
            ahead_ms,
            self.unsure_ns,
            &mut self.rng,
            &mut verifier,
        );
        Node::start(config, &mut self.memories[index], &mut context)
    }

    pub(crate) fn restart(&mut self, index: usize) {
        let node = self.start(index);
        self.nodes[index] = node;
    }

    pub(crate) fn feed(&mut self, index: usize, input: Input) {
        let mut inputs = VecDeque::from([(index, input)]);
        let ids: Vec<NodeId> = self.nodes.iter().map(Node::id).collect();
        while let Some((index, input)) = inputs.pop_front() {
            let mut out = Vec::new();
            let mut verifier = StrictVerifier;
            let ahead_ms = self.ahead_ms[index];
            let mut context = context(
                self.now_ns,
                ahead_ms,
                self.unsure_ns,
                &mut self.rng,
                &mut verifier,
            );
            self.nodes[index].handle(&mut context, input, &mut out);
            for output in out {
                match output {
                    Output::Persist { batch, entries, .. } => {
                        for entry in entries {
                            let key = (entry.key.orchestra, entry.key.log, entry.key.seq);
                            self.memories[index].bundles.insert(key, entry.bytes);
                        }
                        let result = Ok(());
                        let done = Input::Persisted { batch, result };
                        inputs.extend(self.disk_says(index, done));
                    }
                    Output::Load {
                        load,
                        orchestra,
                        log,
                        from_seq,
                        bytes_max,
                    } => {
                        let stretch =
                            self.memories[index].read(orchestra, log, from_seq, bytes_max);
                        inputs.extend(self.disk_says(index, Input::Loaded { load, stretch }));
                    }
                    Output::LoadBlob { load, name } => {
                        let bytes = self.memories[index].blobs.get(&name).cloned();
                        inputs.extend(self.disk_says(index, Input::BlobLoaded { load, bytes }));
                    }
                    Output::SaveBlob { name, bytes } => {
                        self.memories[index].blobs.insert(name, bytes);
                    }
                    Output::Send { to, bytes, .. } => {
                        let Some(there) = ids.iter().position(|id| *id == to) else {
                            continue;
                        };
                        let cut = self.cut.contains(&(index, there))
                            || self.cut.contains(&(there, index));
                        if !cut {
                            self.note_relay(index, there, &bytes);
                            let from = ids[index];
                            inputs.push_back((there, Input::Received { from, bytes }));
                        }
                    }
                    Output::Reply { ticket, result } => {
                        assert!(self.replies.insert(ticket, result).is_none(), "two answers");
                    }
                    Output::Exclude { node } => self.excluded.push((index, node)),
                    Output::Publish { .. } => self.published[index] += 1,
                    Output::Succession(succession) => self.told.push((index, *succession)),
                    Output::Root(_) | Output::Note(_) | Output::Address { .. } => {}
                    Output::Restart { reason } => {
                        let revived = self.revived.as_mut();
                        revived
                            .unwrap_or_else(|| panic!("restart: {reason}"))
                            .push((index, reason));
                        self.restart(index);
                    }
                }
            }
        }
    }

    /// What a node wants to be done about an input, none of which is done but what goes to disk.
    pub(crate) fn outputs(&mut self, index: usize, input: Input) -> Vec<Output> {
        let mut all = Vec::new();
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            let mut verifier = StrictVerifier;
            let mut context = context(
                self.now_ns,
                self.ahead_ms[index],
                self.unsure_ns,
                &mut self.rng,
                &mut verifier,
            );
            self.nodes[index].handle(&mut context, input, &mut out);
            for output in &out {
                if let Output::Load {
                    load,
                    orchestra,
                    log,
                    from_seq,
                    bytes_max,
                } = output
                {
                    let memory = &mut self.memories[index];
                    let stretch = memory.read(*orchestra, *log, *from_seq, *bytes_max);
                    inputs.push_back(Input::Loaded {
                        load: *load,
                        stretch,
                    });
                }
            }
            all.extend(out);
        }
        all
    }

    fn note_relay(&mut self, from: usize, to: usize, bytes: &[u8]) {
        if let Ok(Frame::Push {
            relay: true,
            bundles,
        }) = Frame::decode(bytes)
        {
            let sent = bundles.into_iter().map(|bundle| (from, to, bundle.0));
            self.relayed.extend(sent);
        }
    }

    /// Says to both ends of a connection that it stands, or that it is lost.
    pub(crate) fn connect(&mut self, one: usize, other: usize, up: bool) {
        for (here, there) in [(one, other), (other, one)] {
            let node = self.nodes[there].id();
            let input = if up {
                Input::PeerUp {
                    node,
                    round_trip_us: 100,
                }
            } else {
                Input::PeerDown { node }
            };
            self.feed(here, input);
        }
    }

    /// Saves what a clean end saves.
    pub(crate) fn save(&mut self, index: usize) {
        let mut out = Vec::new();
        let mut verifier = StrictVerifier;
        let mut context = context(
            self.now_ns,
            self.ahead_ms[index],
            self.unsure_ns,
            &mut self.rng,
            &mut verifier,
        );
        self.nodes[index].save_all(&mut context, &mut out);
        for output in out {
            if let Output::SaveBlob { name, bytes } = output {
                self.memories[index].blobs.insert(name, bytes);
            }
        }
    }

    /// What a disk says, unless it hangs.
    fn disk_says(&mut self, index: usize, input: Input) -> Option<(usize, Input)> {
        if self.disks_hang {
            self.hanging.push((index, input));
            return None;
        }
        Some((index, input))
    }

    /// The disks go on, and answer what they owe.
    pub(crate) fn disks_go_on(&mut self) {
        self.disks_hang = false;
        for (index, input) in std::mem::take(&mut self.hanging) {
            self.feed(index, input);
        }
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        let end = self.now_ns + ms * 1_000_000;
        while self.now_ns < end {
            for index in 0..self.nodes.len() {
                let due = self.nodes[index].next_deadline_ns();
                if due <= self.now_ns - START_NS + 1_000_000 {
                    self.ticks[index] += 1;
                    self.feed(index, Input::Tick);
                }
            }
            self.now_ns += 1_000_000;
        }
    }

    pub(crate) fn submit(
        &mut self,
        index: usize,
        name: &str,
        work: Work,
        promise: Promise,
    ) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let orchestra = OrchestraId::of(CLUSTER, name);
        self.feed(
            index,
            Input::Submit(Submit {
                ticket,
                orchestra,
                work,
                promise,
            }),
        );
        self.feed(index, Input::Tick);
        ticket
    }

    pub(crate) fn reply(&mut self, ticket: Ticket) -> Option<Result<Answer, Rejection>> {
        self.replies.remove(&ticket)
    }

    /// Has an agent begin something, whose answer may take its time.
    pub(crate) fn begin(
        &mut self,
        index: usize,
        agent: &str,
        action: Action,
        promise: Promise,
    ) -> Ticket {
        let work = Work::Act {
            agent: agent.into(),
            action,
            key: None,
        };
        self.submit(index, "main", work, promise)
    }

    pub(crate) fn act(
        &mut self,
        index: usize,
        agent: &str,
        action: Action,
    ) -> Result<Answer, Rejection> {
        let ticket = self.begin(index, agent, action, Promise::default());
        self.run_ms(3);
        self.reply(ticket)
            .expect("the action is answered at once on a perfect disk")
    }

    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.nodes.iter().map(Node::id).collect()
    }

    pub(crate) fn open(&mut self, index: usize) {
        let work = Work::Open {
            name: "main".into(),
        };
        let ticket = self.submit(index, "main", work, Promise::default());
        self.run_ms(5);
        self.reply(ticket)
            .expect("an answer")
            .expect("the orchestra is made");
    }

    pub(crate) fn enrol(&mut self, index: usize, agent: &str) {
        let enrol = unisono_model::Enrol {
            name: agent.into(),
            role: "tester".into(),
            kind: unisono_model::AgentKind::Ai,
            tier: None,
        };
        self.act(index, agent, Action::Enrol(enrol))
            .expect("enrolled");
    }

    pub(crate) fn ask(&mut self, index: usize, question: Question, deadline_ms: u64) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        let orchestra = OrchestraId::of(CLUSTER, "main");
        self.feed(
            index,
            Input::Ask(Ask {
                ticket,
                orchestra,
                question,
                as_of: None,
                min_cursor: None,
                deadline_ms,
                reader: Reader::Own,
            }),
        );
        ticket
    }

    pub(crate) fn view(&mut self, index: usize, question: Question) -> Result<View, Rejection> {
        let ticket = self.ask(index, question, 1_000);
        self.run_ms(5);
        match self.reply(ticket).expect("an answer")?.body {
            AnswerBody::View(view) => Ok(view),
            other => panic!("no view: {other:?}"),
        }
    }
}
