//! What an agent can do. The list is closed; a record bears exactly one of these.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::capability::Tier;
use crate::wire::{self, Blob};
use crate::{
    Approve, Arrival, Cue, CueAnswer, Decide, Digest, Fence, Incarnation, Incident, InviteUse,
    InviteWord, LogEnd, LogId, NodeId, OrchestraId, Outcome, Performs, Place, Plan, Played, Remedy,
    RootWord, Rotation, Seen, Setting, Stamp, Succession, Tempo, Used, Witness, Write,
};

/// One thing that an agent does.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// The agent introduces itself; signed by its own key. Everything else that it signs in this
    /// orchestra is pending until one of these is held.
    Enrol(Enrol),
    /// Makes the orchestra of this name. Counts where the name is the one that the id follows from.
    Open {
        /// The name.
        name: String,
    },
    /// Sets settings of the orchestra; the latest by stamp stands.
    Settings(Vec<(Setting, u64)>),
    /// How the agent is.
    Presence(Presence),
    /// A resonance signal.
    Signal(Signal),
    /// Claims a topic for a time.
    Claim {
        /// What is claimed: a task, a path, a glob, any word the agents agree on.
        topic: String,
        /// For how long (ms).
        lease_ms: u64,
    },
    /// Prolongs a lease from the record's stamp on.
    Renew {
        /// The topic.
        topic: String,
        /// The claim that is renewed.
        claim: Digest,
        /// For how long from now (ms).
        lease_ms: u64,
    },
    /// Gives a topic back, or gives up a claim that lost.
    Release {
        /// The topic.
        topic: String,
        /// The claim that ends.
        claim: Digest,
    },
    /// A witness mark: what was done, why, and what proves it.
    Mark(Mark),
    /// Ends an iteration. Counts once, however many write it.
    Advance {
        /// The iteration that ends.
        from: u32,
    },
    /// Makes or changes a task.
    Task(TaskChange),
    /// Admits one life of a node to the cluster (cluster orchestra only).
    Admit(Admit),
    /// Votes for who belongs to the cluster (cluster orchestra only).
    VoteView(ViewVote),
    /// Lays a capability token before the orchestra: the canonical bytes of a
    /// [`crate::capability::Token`] for the agent that signs. Records name it by its last link, and
    /// are pending until one of these is held.
    Present(Blob),
    /// From this record on, every action in this orchestra needs a token. Only a root says so, and
    /// nobody can take it back.
    Guard,
    /// Ends what tokens or a key allowed.
    Fence(Fence),
    /// Something was refused (nodes only).
    Incident(Incident),
    /// Sets the plan of the orchestra; the latest by stamp stands, as a whole.
    Plan(Plan),
    /// A file was written, moved or removed.
    Write(Box<Write>),
    /// Approves or rejects what others have made.
    Approve(Approve),
    /// Says how an interference between agents was resolved; the first by stamp stands.
    Resolve(Resolve),
    /// Sets the tempo map; the latest by stamp stands.
    Tempo(Tempo),
    /// The agent waits at a barrier.
    Arrive(Arrival),
    /// Something is to be done together at a time.
    Cue(Cue),
    /// An answer to a cue.
    Answer(CueAnswer),
    /// How punctual an action was.
    Played(Played),
    /// Something was decided, or was found to lead nowhere.
    Decide(Box<Decide>),
    /// What helps against an error.
    Remedy(Box<Remedy>),
    /// Whether a remedy helped.
    Outcome(Outcome),
    /// The life that writes this leaves the cluster and writes nothing more (cluster orchestra only).
    Leave(Leave),
    /// A node is no member any more, in whatever life (cluster orchestra only). Only a root says so,
    /// and nobody can take it back.
    Remove(Expulsion),
    /// The orchestra goes back to how it was at an earlier time: what was done since, as far as the
    /// record says it was seen, is set aside. Nothing is erased.
    Rollback(Box<Rollback>),
    /// What the agent says that it has seen: what it did not know of counts against nobody.
    Seen(Seen),
    /// A signal that is said in two orchestras: one of the two records.
    Across(Box<Across>),
    /// The agent goes on with another key: what it signs with this one above this record counts for
    /// nothing.
    Rotate(Box<Rotation>),
    /// Another authority signs the certificates of nodes from now on (cluster orchestra only). Only a
    /// root says so.
    Succeed(Box<Succession>),
    /// How far logs of other nodes have come, by the word of those that write them (cluster orchestra
    /// only; nodes only).
    Witness(Witness),
    /// Another root of rights stands from a time on. The word proves itself: anybody may lay it down,
    /// and nodes do in every orchestra that they hold.
    Root(Box<RootWord>),
    /// An invite was made: whoever holds the authority's key honours it (cluster orchestra only; nodes
    /// only).
    Invite(Box<InviteWord>),
    /// An invite let a node in, and lets no other in (cluster orchestra only; nodes only).
    InviteUsed(Box<InviteUse>),
    /// What an agent has used of what was allotted to it.
    Used(Used),
    /// An agent performs, and by how much it corrects its errors.
    Performs(Performs),
}

/// Who holds an agent's private key.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Held {
    /// The agent itself: a node that is compromised cannot forge it.
    Agent,
    /// The node, for agents that cannot sign (curl, a simple script). Every record says so.
    Node,
}

/// An agent introduces itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Enrol {
    /// The name that people read; unique only by custom.
    pub name: String,
    /// What it does in this orchestra.
    pub role: String,
    /// Whether people or a program stand behind it.
    pub kind: AgentKind,
    /// What kind of rights it will ever have: tokens of other tiers do not count for its key, and a
    /// key that is enrolled for two has none. Nobody but its holder can bring that about.
    pub tier: Option<Tier>,
}

/// What stands behind an agent.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum AgentKind {
    /// A program.
    Ai,
    /// A person.
    Human,
    /// A node, acting for the cluster itself.
    Node,
}

/// How an agent is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Presence {
    /// What it is about.
    pub status: Status,
    /// What it means to do, in one sentence.
    pub intent: String,
    /// What it looks at.
    pub focus: String,
}

/// What an agent is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are ORCHESTRA-2's own")]
pub enum Status {
    Active,
    Thinking,
    Blocked,
    Idle,
    Absent,
}

/// A resonance signal (ORCHESTRA-3). CLAIM and RELEASE are actions of their own.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// What kind.
    pub kind: SignalKind,
    /// About what.
    pub topic: String,
    /// How much it matters.
    pub urgency: Urgency,
    /// In words.
    pub text: String,
    /// For how long it stands, from its stamp (ms). Written by the edge when the agent named none.
    pub lifetime_ms: u64,
    /// The mark that proves it; an OFFER must bear one.
    pub evidence: Option<Digest>,
}

/// A signal that its agent says in its own orchestra and in another one, with a record in each: here
/// it stands like any other, and the name of the other orchestra is testimony of who signs.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Across {
    /// The other orchestra's name.
    pub orchestra: String,
    /// Whether it comes from there; else it is addressed to it.
    pub incoming: bool,
    /// The signal.
    pub signal: Signal,
}

/// Kinds of signals.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are ORCHESTRA-3's own")]
pub enum SignalKind {
    Intent,
    Need,
    Offer,
}

/// How much a signal matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are ORCHESTRA-3's own")]
pub enum Urgency {
    Low,
    Normal,
    High,
    Blocking,
}

/// A witness mark (ORCHESTRA-9).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// What it is about: a task, a topic.
    pub about: String,
    /// What was done.
    pub text: String,
    /// Why.
    pub reasoning: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Other marks or content that prove it.
    pub evidence: Vec<Digest>,
}

/// How an interference was resolved (ORCHESTRA-5).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Resolve {
    /// Which: the digest that every replica derives from the records of its sides.
    pub interference: Digest,
    /// In which way.
    pub how: Resolution,
    /// What was decided, in words.
    pub outcome: String,
    /// The mark that proves it.
    pub mark: Option<Digest>,
}

/// Ways out of an interference.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Resolution {
    /// Both go on as one.
    Merge,
    /// One goes on, the other gives way.
    Priority,
    /// Something third takes the place of both.
    Synthesis,
    /// It is left for later.
    Defer,
}

/// Makes or changes a task. Each field is a register of its own: the change names, per field, the
/// heads that it replaces, and heads that nothing replaced are shown as a conflict.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TaskChange {
    /// The task's name.
    pub task: String,
    /// What changes.
    pub fields: Vec<FieldChange>,
    /// The mark that proves it; needed where a status becomes `Closed`.
    pub evidence: Option<Digest>,
}

/// One field's new value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The new value, which also names the field.
    pub value: FieldValue,
    /// Digests of the records whose value of this field it replaces.
    pub replaces: Vec<Digest>,
}

/// A field of a task, with a value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum FieldValue {
    /// The task exists; says of what type (feature, bug, …).
    Created(String),
    /// One line.
    Title(String),
    /// Many lines.
    Description(String),
    /// Where it stands.
    Status(TaskStatus),
    /// 0 is most urgent.
    Priority(u8),
    /// Who has it; empty: nobody.
    Assignee(String),
    /// Words on it.
    Labels(Vec<String>),
    /// Whether it stands in a relation to another task.
    Link {
        /// The other task.
        on: String,
        /// Which relation; `Blocks`: this one waits for the other.
        relation: Relation,
        /// Set or lifted.
        stands: bool,
    },
    /// One more remark; remarks are never replaced.
    Remark(String),
}

/// How tasks hang together.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Relation {
    /// This task cannot start before the other is closed.
    Blocks,
    /// The other is part of this one, or this one of it.
    Parent,
    /// They have to do with each other.
    Related,
    /// This one was found while working on the other.
    DiscoveredFrom,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[allow(missing_docs, reason = "plain words")]
pub enum TaskStatus {
    Open,
    InProgress,
    Blocked,
    Deferred,
    Closed,
    Deleted,
}

/// A register's name within a task.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[allow(missing_docs, reason = "one for each FieldValue, which has the words")]
pub enum Field {
    Created,
    Title,
    Description,
    Status,
    Priority,
    Assignee,
    Labels,
    Link(String, Relation),
    Remark,
}

/// Admits one life of a node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Admit {
    /// Who.
    pub node: NodeId,
    /// Its life: a removed member comes back only with a later one.
    pub incarnation: Incarnation,
    /// The region that its certificate names.
    pub region: String,
    /// The name that people read.
    pub name: String,
    /// Where peers reach it, `host:port`.
    pub address: String,
}

/// A vote for the next view of the cluster: who belongs to it from then on. It is installed when all
/// whom it lists have cast it word for word and more than half of the view before are among them;
/// whoever it leaves out takes no topic from then on (`docs/protocol.md`, "Views").
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ViewVote {
    /// The view that it follows: [`ViewVote::id`] of that one, [`ViewVote::GENESIS`] for the first.
    pub base: Digest,
    /// Who belongs to the view, in whichever life, in order.
    pub members: Vec<NodeId>,
    /// Members until now that are left out, in order of nodes.
    pub removed: Vec<LogId>,
}

/// The last word of a life that leaves of its own accord: where all that its node ever wrote ends.
/// Nothing of it can come any more to whoever holds that much, so nobody has to wait for it
/// (`docs/protocol.md`, "Leaving").
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Leave {
    /// Where its logs end, in order; those that a later one closes are left out. Nothing was written
    /// in an orchestra that is not named by any part.
    pub ends: Vec<OrchestraEnd>,
    /// The lives to which it leaves the cluster, in order of nodes: where nobody else is left of the
    /// view that the next one follows, that one follows these.
    pub staying: Vec<LogId>,
    /// Whether this is the last part: with it the life is over.
    pub last: bool,
}

/// The end of a node in the cluster: what counts of its logs, and who stays.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Expulsion {
    /// Who is removed.
    pub node: NodeId,
    /// Up to which bundle each of its logs counts, in order, each log once. Nothing counts of a log
    /// that is not named. Where a node is removed more than once, the lowest end of each log stands.
    pub ends: Vec<OrchestraEnd>,
    /// The lives that stay, in order of nodes: where nobody else is left of the view that the next one
    /// follows, that one follows these.
    pub staying: Vec<LogId>,
    /// Why, in a sentence.
    pub reason: String,
}

/// Sets aside what was done after a time. What it names is set aside, and nothing else: what came
/// meanwhile from beyond a cut stands, since whoever wrote this had not seen it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rollback {
    /// What stands above this stamp is set aside, as far as it was seen.
    pub to: Stamp,
    /// How far each log was seen, in order: of a log that is not named, nothing is set aside.
    pub seen: Vec<LogEnd>,
    /// Why, in words; may be empty.
    pub reason: String,
}

impl Rollback {
    /// Whether it sets aside what stands at a place, in a bundle of a log. `own` is its own place:
    /// nothing above it can have been seen.
    pub fn covers(&self, own: Place, place: Place, log: &LogId, bundle: u64) -> bool {
        let seen = |end: &LogEnd| end.incarnation == log.incarnation && bundle <= end.seq;
        self.to < place.stamp && place < own && self.seen.iter().any(seen)
    }
}

/// The end of a log in an orchestra.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct OrchestraEnd {
    /// Where.
    pub orchestra: OrchestraId,
    /// Which life's log, and its last bundle.
    pub end: LogEnd,
}

impl ViewVote {
    /// What the first view follows: the founder alone.
    pub const GENESIS: Digest = Digest([0; 32]);

    /// The name of the view: equal votes name one view.
    pub fn id(&self) -> Digest {
        Digest::of("unisono/view/v1", &[&wire::encode(self)])
    }
}

impl FieldValue {
    /// Which register the value belongs to.
    pub fn field(&self) -> Field {
        match self {
            Self::Created(_) => Field::Created,
            Self::Title(_) => Field::Title,
            Self::Description(_) => Field::Description,
            Self::Status(_) => Field::Status,
            Self::Priority(_) => Field::Priority,
            Self::Assignee(_) => Field::Assignee,
            Self::Labels(_) => Field::Labels,
            Self::Link { on, relation, .. } => Field::Link(on.clone(), *relation),
            Self::Remark(_) => Field::Remark,
        }
    }
}

impl Action {
    /// The action's name, as errors and lists show it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Enrol(_) => "enrol",
            Self::Open { .. } => "open",
            Self::Settings(_) => "settings",
            Self::Presence(_) => "presence",
            Self::Signal(_) => "signal",
            Self::Claim { .. } => "claim",
            Self::Renew { .. } => "renew",
            Self::Release { .. } => "release",
            Self::Mark(_) => "mark",
            Self::Advance { .. } => "advance",
            Self::Task(_) => "task",
            Self::Admit(_) => "admit",
            Self::VoteView(_) => "vote-view",
            Self::Present(_) => "present",
            Self::Guard => "guard",
            Self::Fence(_) => "fence",
            Self::Incident(_) => "incident",
            Self::Plan(_) => "plan",
            Self::Write(_) => "write",
            Self::Approve(_) => "approve",
            Self::Resolve(_) => "resolve",
            Self::Tempo(_) => "tempo",
            Self::Arrive(_) => "arrive",
            Self::Cue(_) => "cue",
            Self::Answer(_) => "answer",
            Self::Played(_) => "played",
            Self::Decide(_) => "decide",
            Self::Remedy(_) => "remedy",
            Self::Outcome(_) => "outcome",
            Self::Leave(_) => "leave",
            Self::Remove(_) => "remove",
            Self::Rollback(_) => "rollback",
            Self::Seen(_) => "seen",
            Self::Across(_) => "across",
            Self::Rotate(_) => "rotate",
            Self::Succeed(_) => "succeed",
            Self::Witness(_) => "witness",
            Self::Root(_) => "root",
            Self::Invite(_) => "invite",
            Self::InviteUsed(_) => "invite-used",
            Self::Used(_) => "used",
            Self::Performs(_) => "performs",
        }
    }

    /// The resonance signal that it is, wherever that comes from.
    pub fn signal(&self) -> Option<&Signal> {
        match self {
            Self::Signal(signal) => Some(signal),
            Self::Across(across) => Some(&across.signal),
            _ => None,
        }
    }

    /// Whether a [`Rollback`] sets it aside: what an orchestra has agreed on and said. What somebody
    /// holds, may do or has witnessed, what stands in files, what was played, and how an agent is
    /// stay as they are: it happened, and others may have acted on it outside of the orchestra.
    pub fn is_revertible(&self) -> bool {
        matches!(
            self,
            Self::Task(_)
                | Self::Signal(_)
                | Self::Across(_)
                | Self::Resolve(_)
                | Self::Decide(_)
                | Self::Remedy(_)
                | Self::Outcome(_)
                | Self::Advance { .. }
                | Self::Settings(_)
                | Self::Plan(_)
        )
    }

    /// Whether the record stands in the document of what lasts, not in its iteration's.
    pub fn lasts(&self) -> bool {
        matches!(
            self,
            Self::Enrol(_)
                | Self::Open { .. }
                | Self::Settings(_)
                | Self::Advance { .. }
                | Self::Task(_)
                | Self::Admit(_)
                | Self::VoteView(_)
                | Self::Present(_)
                | Self::Guard
                | Self::Fence(_)
                | Self::Incident(_)
                | Self::Plan(_)
                | Self::Write(_)
                | Self::Approve(_)
                | Self::Tempo(_)
                | Self::Decide(_)
                | Self::Remedy(_)
                | Self::Outcome(_)
                | Self::Leave(_)
                | Self::Remove(_)
                | Self::Rollback(_)
                | Self::Rotate(_)
                | Self::Root(_)
        )
    }
}
