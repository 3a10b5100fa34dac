//! Agents: machines of their own that speak to nodes through the public door only. An agent says
//! what it sends and how long it sleeps; it knows no world.

mod answers;
pub mod bare;
mod character;
mod choice;
mod errand;
pub mod executives;
mod files;
mod lessons;
mod resonance;
pub mod rights;
pub mod rotation;
mod together;

use std::collections::{BTreeMap, BTreeSet};

use ed25519_dalek::SigningKey;
use unisono_core::node::{Answer, Promise, Question, Work};
use unisono_core::replication::Cursor;
use unisono_model::{
    Action, AgentId, ChainHead, ClusterId, Digest, Held, IdempotencyKey, LogId, OrchestraId,
    Rejection, Stamp, wire::Signature,
};

pub use character::Character;
pub use choice::{TASKS, TOPICS};

use crate::chance::Chance;
use crate::history::Operation;

/// What an agent must know about where it lives.
#[derive(Clone, Debug)]
pub struct Place {
    /// The cluster.
    pub cluster: ClusterId,
    /// The orchestra that it works in.
    pub orchestra: OrchestraId,
    /// That orchestra's name, where it may have to be opened.
    pub opens: Option<String>,
    /// How many nodes there are to go to.
    pub hosts: usize,
    /// The longest lease that it asks for (ms).
    pub lease_ms_max: u64,
    /// How long it thinks on average (ns).
    pub think_ns: u64,
}

/// An agent.
#[derive(Debug)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its key, where it holds it itself.
    pub id: AgentId,
    /// Who holds its key.
    pub held: Held,
    /// How honest it is.
    pub character: Character,
    /// The node that it speaks to.
    pub home: usize,
    /// What it has seen.
    pub cursor: Cursor,
    /// How often in a row a node did not have yet what that names.
    behind_in_a_row: u32,
    /// Whether it begins nothing new.
    pub retired: bool,
    /// What it must do before anything else.
    pub script: Vec<Action>,
    /// What it acts under, where rights are asked for.
    pub rights: Option<rights::Rights>,
    key: SigningKey,
    turns: rotation::Turns,
    seed: u64,
    place: Place,
    chance: Chance,
    chain: Option<Chain>,
    /// Nodes that hold its key and its enrolment.
    enrolled: BTreeSet<usize>,
    /// Nodes that hold its token.
    presented: BTreeSet<usize>,
    iteration: u32,
    errand: Option<Errand>,
    talk: Talk,
    holdings: BTreeMap<String, Holding>,
    /// What it has said that it will do, and has not claimed yet.
    intends: Option<String>,
    marks: Vec<Digest>,
    /// Interferences that name it and that it may resolve.
    in_the_way: Vec<Digest>,
    made_task: Option<(String, Stamp)>,
    heads: Option<unisono_core::orchestra::view::TaskView>,
    score: together::Score,
    known: lessons::Known,
    last_as_of: Option<Stamp>,
    desk: files::Desk,
    old_letters: Vec<Vec<u8>>,
    next_operation: u64,
    number: u64,
}

/// Where an agent that signs itself continues.
#[derive(Clone, Debug)]
struct Chain {
    host: usize,
    log: LogId,
    next_seq: u64,
    prev: Digest,
    predecessors: Vec<ChainHead>,
    enrolled: bool,
}

/// What the agent is about until it is answered.
#[derive(Clone, Debug)]
struct Errand {
    wish: Wish,
    key: IdempotencyKey,
    promise: Promise,
    /// What was sent, to be sent again unchanged, and its digest.
    bytes: Option<(usize, Vec<u8>, Digest)>,
    first_host: usize,
    operation: Operation,
    lie: bool,
}

#[derive(Clone, Debug)]
enum Wish {
    Act(Action),
    Look(Question, Option<Stamp>),
    Edit(unisono_core::node::LivingEdit),
}

/// What the next answer is an answer to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Talk {
    Nothing,
    Session,
    Opening,
    Enrolment,
    Presenting,
    Errand,
}

/// A claim that the agent made.
#[derive(Clone, Debug)]
struct Holding {
    claim: Digest,
    until: Stamp,
    lost: bool,
    token_valid: bool,
}

/// Something that an agent does.
#[derive(Debug)]
pub enum Deed {
    /// It sends a request.
    Send(Box<Letter>),
    /// It does nothing for so long (ns), and is then woken.
    Sleep(u64),
    /// It has signed a record.
    Signed {
        /// The record's digest.
        record: Digest,
        /// The key that signed it.
        by: AgentId,
        /// The signature.
        signature: Signature,
    },
    /// It has asked for something under this key.
    Keyed(IdempotencyKey),
    /// Something is over.
    Finished(Box<Operation>),
}

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Letter {
    /// To which machine.
    pub host: usize,
    /// In which orchestra.
    pub orchestra: OrchestraId,
    /// What.
    pub request: Request,
    /// Under which promises.
    pub promise: Promise,
    /// It must be refused.
    pub lie: bool,
    /// It goes to a copy of a lying node as well, with this content.
    pub forked: Option<Vec<u8>>,
    /// What it asks for was made at this stamp, by itself.
    pub made_at: Option<Stamp>,
}

/// What a request asks.
#[derive(Clone, Debug)]
pub enum Request {
    /// What there is.
    Ask(Question, Option<Stamp>),
    /// That something be done.
    Do(Work),
}

/// What comes back.
#[derive(Debug)]
pub enum Heard {
    /// The answer.
    Answer(Box<Answer>),
    /// A refusal.
    Refusal(Rejection),
    /// Nothing, for too long.
    Silence,
    /// The machine is not there.
    Unreachable,
}

impl Agent {
    /// An agent that lives at a node.
    pub fn new(
        seed: u64,
        number: u64,
        held: Held,
        character: Character,
        home: usize,
        place: Place,
    ) -> Self {
        let key = rights::key(seed, number);
        Self {
            name: format!("a{number}"),
            id: AgentId(key.verifying_key().to_bytes()),
            held,
            character,
            home,
            cursor: Cursor::default(),
            behind_in_a_row: 0,
            retired: false,
            script: Vec::new(),
            rights: None,
            key,
            turns: rotation::Turns::default(),
            seed,
            place,
            chance: Chance::new(seed, "agent", number),
            chain: None,
            enrolled: BTreeSet::new(),
            presented: BTreeSet::new(),
            iteration: 1,
            errand: None,
            talk: Talk::Nothing,
            holdings: BTreeMap::new(),
            intends: None,
            marks: Vec::new(),
            in_the_way: Vec::new(),
            made_task: None,
            heads: None,
            score: together::Score::default(),
            known: lessons::Known::default(),
            last_as_of: None,
            desk: files::Desk::default(),
            old_letters: Vec::new(),
            next_operation: 0,
            number,
        }
    }

    /// Whether it does what it says.
    pub fn is_plain(&self) -> bool {
        self.character == Character::Honest
    }

    /// Whether it waits for nothing.
    pub fn is_idle(&self) -> bool {
        self.errand.is_none()
    }

    /// It goes to another node, if it waits for nothing and its key can go there; whether it does.
    pub fn go_to(&mut self, host: usize) -> bool {
        let goes = self.errand.is_none() && self.talk == Talk::Nothing && self.held == Held::Agent;
        if goes {
            self.home = host;
        }
        goes
    }

    /// Whether it still has something to do.
    pub fn is_done(&self) -> bool {
        self.errand.is_none() && (self.retired || self.script.is_empty())
    }

    /// It wakes up: it goes on with its errand, or finds a new one.
    pub fn wake(&mut self, now: u64) -> Vec<Deed> {
        if self.talk != Talk::Nothing {
            return Vec::new();
        }
        if self.errand.is_none() {
            if self.retired && self.script.is_empty() {
                return Vec::new();
            }
            let wish = self.choose(now);
            self.begin(now, wish);
        }
        self.pursue(now)
    }
}
