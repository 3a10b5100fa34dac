//! The world of one seed: machines, links, agents, and one queue of everything that will happen,
//! in the order of virtual time.

mod collusion;
mod end;
mod false_invites;
mod faults;
mod forged;
mod forgery;
mod ghosts;
mod joined;
mod joining;
mod judge;
mod perform;
mod power;
mod removal;
mod shadow;
mod talk;
mod tally;
mod wires;
mod withheld;
mod witness;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use unisono_core::journal::Stretch;
use unisono_core::node::{Answer, BatchId, DiskFailure, Input, LoadId, Output};
use unisono_model::{
    Action, AgentId, ClusterId, Digest, Held, LogId, NodeId, OrchestraId, Setting,
};

use crate::agents::{Agent, Character, Heard, Letter, Place, bare, executives, rights, rotation};
use crate::chance::Chance;
use crate::checks::Checks;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::history::Operation;
use crate::host::{Common, Host};
use crate::memo::Memo;
use crate::network::{Flight, Network};
use crate::oracle::Reading;
use crate::plan::{Fault, Plan};
use crate::scenario::Scenario;
use crate::trace::Trace;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// The orchestra that the agents work in.
pub const WORKPLACE: &str = "main";

/// Something that will happen.
#[derive(Debug)]
enum Event {
    /// A node's alarm clock rings.
    Tick(usize),
    /// A frame arrives.
    Arrives(Flight),
    /// A node hears that a frame was not taken.
    Refused { host: usize, life: u32, to: NodeId },
    /// A batch reaches the disk.
    Writes { host: usize, life: u32 },
    /// The node hears of it.
    Wrote {
        host: usize,
        life: u32,
        batch: BatchId,
        result: Result<(), DiskFailure>,
    },
    /// A read is done.
    Loaded { host: usize, life: u32, read: Read },
    /// Whether a connection must be given up.
    LookAt(usize, usize, u32),
    /// Whether nobody has answered a call: from where, where to, its number.
    Unanswered(usize, usize, u32),
    /// Two machines try to connect.
    Connect(usize, usize),
    /// Something goes wrong, or right again.
    Fault(Fault),
    /// A letter reaches a machine.
    Posted {
        agent: usize,
        talk: u64,
        letter: Box<Letter>,
    },
    /// An agent hears something, if it still waits for this.
    Heard {
        agent: usize,
        talk: u64,
        heard: Heard,
    },
    /// An agent wakes up.
    Woken { agent: usize, nap: u64 },
    /// Judges look after all machines, and compare replicas.
    Checkpoint,
    /// Judges compare replicas.
    Compare,
    /// Whoever joined by an invite is looked after.
    Care,
}

/// What was read from a disk.
#[derive(Debug)]
enum Read {
    /// Bundles.
    Entries(LoadId, Stretch),
    /// A cache.
    Blob(LoadId, Option<Vec<u8>>),
}

/// What the lying node has in hand beside its node.
#[derive(Debug, Default)]
struct Deceit {
    /// Logs in which it has forged.
    forged: BTreeSet<LogId>,
    /// What it keeps back.
    withheld: Option<withheld::Withheld>,
    /// Some of the frames that it has sent, and how many it has.
    said: Vec<Vec<u8>>,
    said_count: u64,
    /// The log that it has begun together with an agent before that one's fence.
    before: Option<shadow::Shadow>,
    /// What the executive ends because of it.
    exposed: Option<unisono_model::FenceTarget>,
    /// What the two have written.
    colluded: Vec<collusion::Colluded>,
}

/// A simulated cluster with everything around it.
pub struct World {
    /// The virtual time (ns).
    pub now: u64,
    /// What happened.
    pub trace: Trace,
    /// What happened how often.
    pub counters: Counters,
    /// The judges.
    pub checks: Checks,
    /// What agents asked for.
    pub history: Vec<Operation>,
    scenario: Scenario,
    seed: u64,
    plan: Plan,
    common: Common,
    home: OrchestraId,
    workplace: OrchestraId,
    hosts: Vec<Host>,
    network: Network,
    agents: Vec<Agent>,
    /// Per agent: its present conversation, and its present sleep.
    talks: Vec<(u64, u64)>,
    /// What will happen: in boxes, since what is queued early moves aside again and again.
    queue: BTreeMap<(u64, u64), Box<Event>>,
    next_event: u64,
    memo: Memo,
    chance: Chance,
    outputs: Vec<Output>,
    /// What came to a machine while it stood still.
    backlog: BTreeMap<usize, Vec<Event>>,
    /// The last answer to a judge.
    heard_by_judge: Option<Result<Answer, unisono_model::Rejection>>,
    /// Machines that lie: the liar and its copy, and whoever was removed.
    liars: Vec<usize>,
    /// How far the root has come in each log in which it has spoken to the cluster: the number of its
    /// last record there, and its name.
    root_at: BTreeMap<(AgentId, LogId), (u64, Digest)>,
    twin: Option<usize>,
    deceit: Deceit,
    joins: joining::Joins,
    /// Which machine has told an agent that something is made, and at which stamp.
    made_by: Vec<(usize, unisono_model::Stamp)>,
    cuts: usize,
    healed: bool,
    /// When agents stopped beginning anything (virtual ns).
    retired_at: u64,
    /// Something has gone so wrong that going on makes no sense.
    broken: bool,
    forks_noted: BTreeSet<Digest>,
    /// Frames that were not taken while a node was speaking: who, in which life, to whom.
    refusals: Vec<(usize, u32, NodeId)>,
    /// Machines that did not know what their asker had made, when, and its stamp: it may have been
    /// void there already.
    unknown_to: Vec<(u64, usize, unisono_model::Stamp)>,
    /// What the disks held of an orchestra when the judges last read them, and when.
    readings: BTreeMap<OrchestraId, (u64, Rc<Reading>)>,
}

impl World {
    /// The world of a seed, before anything has happened.
    pub fn new(scenario: &Scenario, seed: u64, lines: bool) -> Self {
        let plan = Plan::draw(scenario, seed);
        let mut cluster = ClusterId::default();
        let name = Digest::of("unisono/sim-cluster/v1", &[&seed.to_le_bytes()]);
        cluster.0.copy_from_slice(&name.0[..16]);
        let (hosts, sites) = machines(scenario, seed, &plan, cluster);
        let common = Common {
            cluster,
            founder: hosts[0].id,
            root: rights::root(seed, scenario.agents),
            recovery: rights::recovery(seed),
            authority: plan.joining.is_some().then(|| joining::authority(seed, 0)),
            lease_ms_max: scenario.lease_ms_max,
            readable_ms: plan.readable_ms,
            checkpoint_records: plan.checkpoint_records,
            sabotage: scenario.switches(),
            continues_logs: scenario.continues_logs(),
        };
        let mut world = Self {
            now: 0,
            trace: Trace::new(lines),
            counters: Counters::default(),
            checks: Checks::default(),
            history: Vec::new(),
            scenario: scenario.clone(),
            seed,
            network: Network::new(seed, &sites, plan.weather),
            liars: plan.liar.into_iter().collect(),
            root_at: BTreeMap::new(),
            plan,
            home: OrchestraId::of(cluster, "cluster"),
            workplace: OrchestraId::of(cluster, WORKPLACE),
            common,
            hosts,
            agents: Vec::new(),
            talks: Vec::new(),
            queue: BTreeMap::new(),
            next_event: 0,
            memo: Memo::new(scenario.verifies_plainly()),
            chance: Chance::new(seed, "world", 0),
            outputs: Vec::new(),
            backlog: BTreeMap::new(),
            heard_by_judge: None,
            twin: None,
            deceit: Deceit::default(),
            joins: joining::Joins::default(),
            made_by: Vec::new(),
            cuts: 0,
            healed: false,
            retired_at: 0,
            broken: false,
            forks_noted: BTreeSet::new(),
            refusals: Vec::new(),
            unknown_to: Vec::new(),
            readings: BTreeMap::new(),
        };
        world.people();
        world.schedule();
        world
    }

    /// The agents, and the one that sets the cluster up.
    fn people(&mut self) {
        let place = Place {
            cluster: self.common.cluster,
            orchestra: self.workplace,
            opens: Some(WORKPLACE.into()),
            hosts: self.scenario.nodes,
            lease_ms_max: self.scenario.lease_ms_max,
            think_ns: self.scenario.think_ms * MS,
        };
        let count = self.scenario.agents;
        for number in 0..count as u64 {
            // A key that the node holds is another on every node: no token could be made for it.
            let held = if number % 4 == 3 && !self.plan.rights {
                Held::Node
            } else {
                Held::Agent
            };
            let mut character = Character::Honest;
            let mut home = number as usize % self.scenario.nodes;
            if self.plan.dishonest && number % 8 == 4 {
                character = Character::Liar;
            }
            if let (Some(liar), 2) = (self.plan.liar, number) {
                character = Character::Forker;
                home = liar;
            }
            let agent = Agent::new(self.seed, number, held, character, home, place.clone());
            self.agents.push(agent);
        }
        if self.plan.rights {
            self.give_rights(&place);
        }
        let workplace = place.clone();
        if self.plan.remove_after_ms > 0 {
            let place = Place {
                orchestra: self.home,
                opens: None,
                ..place
            };
            let number = count as u64 + 1;
            let mut operator =
                Agent::new(self.seed, number, Held::Node, Character::Honest, 0, place);
            let setting = (Setting::RemoveSilentAfterMs, self.plan.remove_after_ms);
            operator.script = vec![Action::Settings(vec![setting])];
            operator.retired = true;
            self.agents.push(operator);
        }
        let times = self.times();
        rotation::draw(self.seed, &mut self.agents, count, &workplace, &times);
        self.talks = vec![(0, 0); self.agents.len()];
        for agent in self.agents.iter().filter(|one| one.held == Held::Agent) {
            self.checks.invention.signs_itself(agent.id);
        }
    }

    /// When agents may do what crosses a cut.
    fn times(&self) -> rotation::Times {
        let end = self.scenario.safety_s * SECOND;
        let cuts = self.plan.faults.iter().filter_map(|(at, fault)| {
            let Fault::Cut(cut) = fault else { return None };
            let mends = |(later, fault): &&(u64, Fault)| {
                *later > *at && matches!(fault, Fault::Mend(mended) if mended == cut)
            };
            let mended = self.plan.faults.iter().find(mends);
            Some((*at, mended.map_or(end, |(later, _)| *later)))
        });
        let cuts: Vec<(u64, u64)> = cuts.collect();
        let longest = cuts
            .iter()
            .max_by_key(|(at, mended)| mended.saturating_sub(*at));
        rotation::Times {
            cuts: cuts.iter().map(|(at, _)| *at).collect(),
            longest: longest.map(|(at, _)| *at),
            end,
        }
    }

    /// The agents act under tokens, and one more guards the orchestra.
    fn give_rights(&mut self, place: &Place) {
        let count = self.scenario.agents;
        let end = self.scenario.safety_s * SECOND;
        let mut all = rights::draw(self.seed, self.common.cluster, count, end);
        let (mix, seed, times) = (&self.scenario.faults, self.seed, self.times());
        let two = mix.second_executives;
        if executives::draw(two, seed, self.common.cluster, &mut all, &times) {
            self.counters.add("second executive");
        }
        bare::draw(mix.bare, seed, &mut all, &times);
        for (number, agent) in self.agents.iter().enumerate() {
            if agent.character == Character::Liar {
                rights::steal(&mut all, number);
            }
        }
        let named = self.plan.faults.iter().filter_map(|(at, fault)| {
            let names = matches!(fault, Fault::NameRoot { .. });
            names.then_some(*at)
        });
        let named: Vec<u64> = named.collect();
        if let Some(collusion) = &self.plan.collusion {
            self.deceit.exposed = Some(rights::expose(&mut all, self.seed, collusion));
        }
        if count > 1 {
            rights::outlive(&mut all, self.seed, self.common.cluster, &named);
        }
        let (held, honest) = (Held::Agent, Character::Honest);
        let root = Agent::new(self.seed, count as u64, held, honest, 0, place.clone());
        self.agents.push(root);
        for (agent, rights) in self.agents.iter_mut().zip(all) {
            agent.rights = Some(rights);
        }
    }

    fn schedule(&mut self) {
        for host in 0..self.scenario.nodes {
            let at = host as u64 * 150 * MS + self.chance.below(100 * MS);
            self.push(at, Event::Fault(Fault::Start { host }));
        }
        for (at, fault) in self.plan.faults.clone() {
            self.push(at, Event::Fault(fault));
        }
        for agent in 0..self.agents.len() {
            let at = 4 * SECOND + self.chance.below(5 * SECOND);
            self.push(at, Event::Woken { agent, nap: 0 });
        }
        self.push(10 * SECOND, Event::Checkpoint);
        if self.plan.joining.is_some() {
            self.push(10 * SECOND, Event::Care);
        }
    }

    fn push(&mut self, at: u64, event: Event) {
        self.next_event += 1;
        self.queue
            .insert((at.max(self.now), self.next_event), Box::new(event));
    }

    /// Lets everything happen up to a virtual time. False where going on makes no sense.
    pub fn run_until(&mut self, end: u64) -> bool {
        while !self.broken {
            match self.queue.first_key_value() {
                Some(((at, _), _)) if *at <= end => {}
                _ => break,
            }
            let Some(((at, _), event)) = self.queue.pop_first() else {
                break;
            };
            self.now = at;
            self.happen(*event);
        }
        self.now = self.now.max(end);
        !self.broken
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(host) => self.tick(host),
            Event::Arrives(flight) => self.arrives(flight),
            Event::Refused { host, life, to } => {
                if self.hosts[host].life == life {
                    self.feed(host, Input::Refused { to });
                }
            }
            Event::Writes { host, life } => self.writes(host, life),
            Event::Wrote {
                host,
                life,
                batch,
                result,
            } => self.wrote(host, life, batch, result),
            Event::Loaded { host, life, read } => self.loaded(host, life, read),
            Event::LookAt(a, b, epoch) => self.look_at(a, b, epoch),
            Event::Unanswered(from, to, call) => self.unanswered(from, to, call),
            Event::Connect(a, b) => self.connect(a, b),
            Event::Fault(fault) => self.fault(fault),
            Event::Posted {
                agent,
                talk,
                letter,
            } => self.posted(agent, talk, letter),
            Event::Heard { agent, talk, heard } => self.heard(agent, talk, heard),
            Event::Woken { agent, nap } => self.woken(agent, nap),
            Event::Checkpoint => self.checkpoint(),
            Event::Compare => self.compare_all(),
            Event::Care => self.care(),
        }
    }

    /// Whether a machine with this number belongs to a liar.
    fn lies(&self, host: usize) -> bool {
        self.liars.contains(&host)
    }

    /// What was to go wrong, and when (virtual ns).
    pub fn planned(&mut self) -> Vec<(u64, Fault)> {
        std::mem::take(&mut self.plan.faults)
    }

    /// What the world held of signatures: computed and remembered.
    pub fn signature_checks(&self) -> (u64, u64) {
        (self.memo.computed, self.memo.remembered)
    }
}

/// The machines and their places in the matrix: a liar's copy stands beside the liar.
fn machines(
    scenario: &Scenario,
    seed: u64,
    plan: &Plan,
    cluster: ClusterId,
) -> (Vec<Host>, Vec<usize>) {
    let count = scenario.nodes + usize::from(plan.liar.is_some());
    (0..count)
        .map(|index| {
            let identity = if index < scenario.nodes {
                index
            } else {
                plan.liar.unwrap_or(0)
            };
            let (offset, drift) = plan.clocks[identity];
            let (clock, region) = (Clock::new(offset, drift), plan.regions[identity]);
            let mut host = Host::new(seed, index, identity, cluster, clock, region, count);
            let joining = plan.joining.as_ref();
            host.gone = joining.is_some_and(|joining| joining.newcomers.contains(&index));
            (host, plan.sites[region])
        })
        .unzip()
}
