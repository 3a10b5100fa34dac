//! The one loop: hands the node what happened, and does what it asks for.
//!
//! ```text
//! calls (HTTP) ──┐                                ┌─► disk thread ─► Persisted, Loaded
//! events (QUIC) ─┼─► inbox ─► Node::handle ─► out ┼─► transport, SSE followers
//! disk, clock ───┘        then Node's Tick        └─► replies
//! ```
//!
//! Everything that is ready is handed in before the clock's tick, so that batches form under load;
//! nothing waits for company when the disk is idle.

mod caches;
mod clock;
mod disk;
mod history;
mod life;
mod metrics;
mod perform;
mod stored;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use unisono_api::server::{Call, Readiness};
use unisono_core::context::{Context, PracticedVerifier};
use unisono_core::node::revival::Revival;
use unisono_core::node::{Answer, Input, Node, Output, Ticket};
use unisono_core::sabotage::Sabotage;
use unisono_model::{NodeId, OrchestraId, Rejection};
use unisono_quic::{Event, Events, Loss, Transport};

pub(crate) use clock::Clock;
pub(crate) use history::History;
pub(crate) use metrics::Metrics;

use crate::failure::Failure;
use crate::home::{Home, Seed, drawn};
use disk::{DiskThread, Done, What};
use life::make_node;

/// Most things handed in before the clock's tick gets its turn.
const BURST_MAX: usize = 512;
/// A node that asks for a tick again right after one waits this long, so that a fault of ours costs
/// time and not a processor.
const TICK_PAUSE: Duration = Duration::from_millis(1);

/// Who the node is, over all its lives.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The cluster.
    pub(crate) cluster: unisono_model::ClusterId,
    /// The node's Ed25519 seed.
    pub(crate) secret: [u8; 32],
    /// The name that people read.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: String,
    /// Where peers reach it.
    pub(crate) address: String,
    /// Who founded the cluster.
    pub(crate) founder: NodeId,
    /// The key that issues first capability links, if the cluster has one.
    pub(crate) root: Option<unisono_model::AgentId>,
    /// The key that names other roots, if the cluster has one.
    pub(crate) recovery: Option<unisono_model::AgentId>,
    /// The authority that the founder made, if this node knows it.
    pub(crate) authority: Option<unisono_model::AuthorityId>,
    /// Where the words that name roots are remembered.
    pub(crate) home: Home,
    /// By what it may renew tokens, if it may.
    pub(crate) renewer: Option<Vec<u8>>,
    /// Members that it may knock at.
    pub(crate) seeds: Vec<Seed>,
    /// The longest lease (ms).
    pub(crate) lease_ms_max: u64,
}

/// What an order from the test endpoint changes about the node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Break these rules from now on: the node is made anew with them.
    Sabotage(Sabotage),
}

/// What the driver is connected to.
#[derive(Debug)]
pub(crate) struct Doors {
    /// Requests of agents.
    pub(crate) calls: mpsc::Receiver<Call>,
    /// The network.
    pub(crate) events: Events,
    /// The same network, to send with.
    pub(crate) transport: Transport,
    /// Orders of the test endpoint.
    pub(crate) orders: mpsc::Receiver<Order>,
    /// Wakes followers.
    pub(crate) published: broadcast::Sender<OrchestraId>,
    /// Says whether the node can serve.
    pub(crate) readiness: watch::Sender<Readiness>,
    /// True when everything is to end.
    pub(crate) finish: watch::Receiver<bool>,
    /// Says that the node has left the cluster and nobody needs it any more.
    pub(crate) left: watch::Sender<bool>,
}

/// What else the driver needs to know.
#[derive(Debug)]
pub(crate) struct Means {
    /// Where the journal lies.
    pub(crate) journal: PathBuf,
    /// Where the caches lie.
    pub(crate) caches: PathBuf,
    /// Whether syncs are left out.
    pub(crate) no_sync: Arc<AtomicBool>,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// The clocks.
    pub(crate) clock: Arc<Clock>,
    /// Where requests are recorded.
    pub(crate) history: Option<History>,
    /// Rules to break from the start.
    pub(crate) sabotage: Sabotage,
}

/// The loop and all that it owns.
pub(crate) struct Driver {
    identity: Identity,
    doors: Doors,
    metrics: Arc<Metrics>,
    clock: Arc<Clock>,
    history: Option<History>,
    sabotage: Sabotage,
    disk: DiskThread,
    done: mpsc::UnboundedReceiver<Done>,
    node: Node,
    life: u64,
    /// When this life began, on the clock that never jumps (ns).
    began_ns: u64,
    revival: Revival,
    rng: ChaCha12Rng,
    verifier: PracticedVerifier,
    waiting: BTreeMap<Ticket, oneshot::Sender<Result<Answer, Rejection>>>,
    tickets: u64,
    /// What follows from doing what the node asked for.
    following: VecDeque<Input>,
    outputs: Vec<Output>,
    restart: Option<Restart>,
    last_tick: Instant,
    disk_full: bool,
    /// Whom this node turns away.
    excluded: BTreeSet<NodeId>,
    /// Who turns this node away.
    closed_by: BTreeSet<NodeId>,
}

/// Why the node is made anew.
enum Restart {
    /// It asked for it: so it may again, and again.
    Wanted(&'static str),
    /// Somebody outside did.
    Ordered(&'static str),
}

/// Something that happened outside.
enum Arrived {
    Disk(Done),
    Call(Box<Call>),
    Event(Event),
    Order(Order),
    Alarm,
    Finish,
}

impl Driver {
    /// Opens the journal and makes the node from it.
    pub(crate) fn new(identity: Identity, doors: Doors, means: Means) -> Result<Self, Failure> {
        let Means {
            journal,
            caches,
            no_sync,
            metrics,
            clock,
            history,
            sabotage,
        } = means;
        let (disk, done) = DiskThread::start(
            &journal,
            &caches,
            identity.cluster,
            no_sync,
            Arc::clone(&metrics),
        )?;
        let mut rng = ChaCha12Rng::from_seed(drawn()?);
        let node = make_node(&identity, sabotage, &disk, &clock, &mut rng)?;
        // However long the logs are, reading them is no life.
        let began_ns = clock.monotonic_ns();
        let mut driver = Self {
            identity,
            doors,
            metrics,
            clock,
            history,
            sabotage,
            disk,
            done,
            node,
            life: 0,
            began_ns,
            revival: Revival::default(),
            rng,
            verifier: PracticedVerifier::default(),
            waiting: BTreeMap::new(),
            tickets: 0,
            following: VecDeque::new(),
            outputs: Vec::new(),
            restart: None,
            last_tick: Instant::now(),
            disk_full: false,
            excluded: BTreeSet::new(),
            closed_by: BTreeSet::new(),
        };
        driver.know_seeds();
        driver.tell_readiness();
        Ok(driver)
    }

    /// Turns until it is told to finish; then everything that is worth keeping is on disk.
    pub(crate) async fn run(mut self) {
        loop {
            match self.wait().await {
                Arrived::Finish => break,
                arrived => self.take(arrived),
            }
            for _ in 0..BURST_MAX {
                match self.ready().await {
                    Some(arrived) => self.take(arrived),
                    None => break,
                }
            }
            if self.restart.is_none() && self.clock.monotonic_ns() >= self.node.next_deadline_ns() {
                self.tick();
            }
            if let Some(restart) = self.restart.take() {
                self.make_anew(restart).await;
            }
            if self.node.is_dispensable() {
                self.doors
                    .left
                    .send_if_modified(|left| !std::mem::replace(left, true));
            }
        }
        self.finish().await;
    }

    async fn wait(&mut self) -> Arrived {
        let due = self.clock.when(self.node.next_deadline_ns());
        let due = due.max(self.last_tick + TICK_PAUSE);
        let doors = &mut self.doors;
        tokio::select! {
            biased;
            Some(done) = self.done.recv() => Arrived::Disk(done),
            Some(order) = doors.orders.recv() => Arrived::Order(order),
            Some(event) = doors.events.recv() => Arrived::Event(event),
            Some(call) = doors.calls.recv() => Arrived::Call(Box::new(call)),
            () = tokio::time::sleep_until(due.into()) => Arrived::Alarm,
            _ = doors.finish.wait_for(|&finish| finish) => Arrived::Finish,
        }
    }

    /// What is there already, without waiting.
    async fn ready(&mut self) -> Option<Arrived> {
        let doors = &mut self.doors;
        tokio::select! {
            biased;
            Some(done) = self.done.recv() => Some(Arrived::Disk(done)),
            Some(event) = doors.events.recv() => Some(Arrived::Event(event)),
            Some(call) = doors.calls.recv() => Some(Arrived::Call(Box::new(call))),
            () = std::future::ready(()) => None,
        }
    }

    fn take(&mut self, arrived: Arrived) {
        match arrived {
            Arrived::Disk(Done { life, what }) if life == self.life => match what {
                What::Input(input) => self.feed(*input),
                What::CacheFailed(failure) => {
                    self.node.cache_failed(failure, &mut self.outputs);
                    self.perform_all();
                }
            },
            Arrived::Disk(_) => {}
            Arrived::Call(call) => self.call(*call),
            Arrived::Event(event) => self.event(event),
            Arrived::Order(Order::Sabotage(sabotage)) => {
                self.sabotage = sabotage;
                self.restart = Some(Restart::Ordered("the rules to break have changed"));
            }
            Arrived::Alarm | Arrived::Finish => {}
        }
    }

    fn call(&mut self, call: Call) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let (input, answer) = call.into_input(ticket);
        if let (Some(history), Input::Submit(submit)) = (&mut self.history, &input) {
            history.invoked(submit, self.clock.time_ns());
        }
        self.waiting.insert(ticket, answer);
        self.feed(input);
    }

    fn event(&mut self, event: Event) {
        let input = match event {
            Event::Frame { from, bytes, .. } => Input::Received { from, bytes },
            Event::Connected { node, rtt, .. } => {
                let round_trip_us = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX);
                tracing::info!(%node, round_trip_us, "a peer is connected");
                self.let_in_again(node);
                Input::PeerUp {
                    node,
                    round_trip_us,
                }
            }
            Event::Lost { node, why } => {
                tracing::info!(%node, %why, "a peer is gone");
                if why == Loss::Excluded {
                    self.turned_away(node);
                }
                Input::PeerDown { node }
            }
            Event::Slow { node, .. } => Input::Refused { to: node },
        };
        let connection = matches!(input, Input::PeerUp { .. } | Input::PeerDown { .. });
        self.feed(input);
        if connection {
            self.tell_readiness();
        }
    }

    fn tick(&mut self) {
        self.last_tick = Instant::now();
        self.feed(Input::Tick);
    }

    /// Hands the node one thing that happened, and what follows from it.
    fn feed(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take().or_else(|| self.following.pop_front()) {
            if self.restart.is_some() {
                self.following.clear();
                return;
            }
            let (wall_ns, unsure_ns) = self.clock.time();
            let mut context = Context {
                wall_ns,
                unsure_ns,
                monotonic_ns: self.clock.monotonic_ns(),
                rng: &mut self.rng,
                verifier: &mut self.verifier,
            };
            self.node.compensate(self.clock.compensation());
            self.node.handle(&mut context, input, &mut self.outputs);
            self.perform_all();
        }
    }
}
