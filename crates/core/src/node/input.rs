//! Everything that can happen to a node. The list is closed.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{
    Action, AgentId, Content, Digest, IdempotencyKey, InviteKey, LogId, NodeId, OrchestraId,
    Rejection, Stamp,
};

use super::invites::InviteSaid;
use crate::journal::Stretch;
use crate::orchestra::view::{ClaimsWanted, DecisionsWanted, SignalsWanted};
use crate::replication::Cursor;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// An agent asks for something to be done.
    Submit(Submit),
    /// An agent asks what there is.
    Ask(Ask),
    /// A peer sent a frame.
    Received {
        /// The authenticated sender.
        from: NodeId,
        /// The frame's bytes, whatever they are.
        bytes: Vec<u8>,
    },
    /// A connection to a peer stands.
    PeerUp {
        /// Who.
        node: NodeId,
        /// The round trip (µs).
        round_trip_us: u64,
    },
    /// The connection to a peer is lost. Advice: it never stops repair.
    PeerDown {
        /// Who.
        node: NodeId,
    },
    /// A frame was not taken because the peer is slow: it is marked for repair.
    Refused {
        /// The slow peer.
        to: NodeId,
    },
    /// The disk has dealt with a batch.
    Persisted {
        /// Which.
        batch: BatchId,
        /// What came of it.
        result: Result<(), DiskFailure>,
    },
    /// Stored bundles that were asked for.
    Loaded {
        /// Which request.
        load: LoadId,
        /// Empty where there are no more, or where they cannot be read.
        stretch: Stretch,
    },
    /// A cache that was asked for.
    BlobLoaded {
        /// Which request.
        load: LoadId,
        /// Its content, if there is a good copy.
        bytes: Option<Vec<u8>>,
    },
    /// The alarm clock rang.
    Tick,
}

/// Why a batch is not on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DiskFailure {
    /// No room: nothing was written, and writing may go on when there is room.
    Full,
    /// The state of the disk is unknown: the node must start again, as a new incarnation.
    Broken,
}

/// Names one waiting request. Chosen by the driver, never used twice.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// Names one batch on its way to disk.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct BatchId(pub u64);

/// Names one read from disk.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct LoadId(pub u64);

/// Something to be done.
#[derive(Clone, Debug)]
pub struct Submit {
    /// Comes back in [`super::Output::Reply`].
    pub ticket: Ticket,
    /// Where.
    pub orchestra: OrchestraId,
    /// What.
    pub work: Work,
    /// Under which promises.
    pub promise: Promise,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Work {
    /// A record that the agent signed itself: canonical bytes of a `SignedRecord`.
    Record(Vec<u8>),
    /// An action of an agent whose key this node holds. It must have been enrolled here.
    Act {
        /// The agent's name.
        agent: String,
        /// What it does. In `FieldChange::replaces`, `Renew::claim` and `Release::claim`, empty or
        /// zero means "what stands now", and the node fills it in.
        action: Action,
        /// The client's name for the request.
        key: Option<IdempotencyKey>,
    },
    /// A record or an action that writes a file, with what the edge saw of it. A write that comes
    /// without is refused: what an agent claims of its content counts for nothing.
    File {
        /// What of the content was measured, none for a removal; or why the file is not taken.
        seen: Result<Option<Content>, Rejection>,
        /// The record, or the action.
        work: Box<Work>,
    },
    /// Makes an orchestra, or finds that it is there.
    Open {
        /// Its name; `Submit::orchestra` must be the id that follows from it.
        name: String,
    },
    /// The node leaves the cluster (cluster orchestra only).
    Leave {
        /// How many other members must hold all that it wrote; 0 for two, or all where there are
        /// fewer.
        hand_to: u16,
    },
    /// This node lays down what is said of an invite (cluster orchestra only).
    OfInvite(InviteSaid),
    /// Changes a note or the configuration.
    Living {
        /// The agent on whose behalf (held or not; living values are signed by the node alone).
        agent: String,
        /// What changes.
        edit: LivingEdit,
    },
}

/// A change of a living value.
#[derive(Clone, Debug)]
pub enum LivingEdit {
    /// The note's text becomes this; only what differs is changed.
    NoteText {
        /// The note's name.
        name: String,
        /// Its text.
        text: String,
    },
    /// Replaces a stretch of a note.
    NoteSplice {
        /// The note's name.
        name: String,
        /// From which character on.
        position: usize,
        /// How many characters go.
        delete: usize,
        /// What comes.
        insert: String,
    },
    /// Sets a configuration value, or takes it away.
    Config {
        /// The key, with dots.
        key: String,
        /// The value, or none.
        value: Option<String>,
    },
}

/// What must hold before the answer is given.
#[derive(Clone, Debug)]
pub struct Promise {
    /// On how many nodes' disks it must be; 1 is this one.
    pub durable_on: u16,
    /// Whether a claim must be confirmed.
    pub confirm: bool,
    /// How long to wait for these at most (ms from now); what is missing then is said, not failed.
    pub deadline_ms: u64,
    /// What the agent has already seen elsewhere.
    pub min_cursor: Option<Cursor>,
}

impl Default for Promise {
    fn default() -> Self {
        Self {
            durable_on: 1,
            confirm: false,
            deadline_ms: 10_000,
            min_cursor: None,
        }
    }
}

/// A question.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Comes back in [`super::Output::Reply`].
    pub ticket: Ticket,
    /// Where.
    pub orchestra: OrchestraId,
    /// What.
    pub question: Question,
    /// As of which stamp; none: now.
    pub as_of: Option<Stamp>,
    /// What the agent has already seen elsewhere.
    pub min_cursor: Option<Cursor>,
    /// How long to wait for that at most (ms).
    pub deadline_ms: u64,
    /// On whose behalf.
    pub reader: super::Reader,
}

/// What can be asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// Where an agent that signs itself continues its chain on this node.
    Session(AgentId),
    /// Iteration, phase, counts.
    State,
    /// Who is enrolled.
    Agents,
    /// How the agents are.
    Presences,
    /// The signals that stand, most urgent and newest first.
    Sense(SignalsWanted),
    /// Where agents get in each other's way.
    Interference {
        /// Only what names this agent.
        agent: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// How far agents have come apart.
    Coherence,
    /// The terms of coherence with what stands behind them: all, or one.
    Explained(Option<crate::orchestra::view::TermKind>),
    /// What an agent needs to know to go on, the most useful first: packing it is for whoever asks.
    Continue {
        /// The agent's name.
        agent: String,
        /// Only what is new since this cursor.
        since: Option<Cursor>,
    },
    /// Who holds what, by name of the topic.
    Claims(ClaimsWanted),
    /// The tasks, by name from `after` on.
    Tasks {
        /// Only in this state.
        status: Option<unisono_model::TaskStatus>,
        /// Start after this name.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// One task.
    Task(String),
    /// The latest marks.
    Marks {
        /// At most so many.
        limit: usize,
    },
    /// The settings.
    Settings,
    /// The plan that stands.
    Plan,
    /// Files that were ever written, by path.
    Files {
        /// Start after this path.
        after: Option<String>,
        /// At most so many.
        limit: usize,
    },
    /// One file.
    File(String),
    /// What was said about a file or a task.
    Approvals(unisono_model::Reviewed),
    /// Tokens, fences, void records, refusals.
    Trust,
    /// Refusals that an executive has not acknowledged; refused to whoever is none. Without a name,
    /// those that no executive has.
    Alerts {
        /// The executive's name or key.
        agent: Option<String>,
    },
    /// The chains that a fence of this target would concern, and how far each has come.
    Chains(unisono_model::FenceTarget),
    /// A token as it counts for longer, signed by this node; refused where it holds no delegation.
    Renewed {
        /// The token's bytes.
        token: Vec<u8>,
        /// What it is narrowed to; as before if left out.
        may: Option<unisono_model::capability::Rights>,
    },
    /// Up to where a node's logs are held here, in all orchestras: what its removal would keep.
    Ends(NodeId),
    /// What an invite has come to (cluster orchestra only).
    Invite(InviteKey),
    /// What going back to a time would do now.
    GoingBack(Stamp),
    /// The notes' names.
    Notes,
    /// One note.
    Note(String),
    /// The configuration, with concurrent values.
    Config,
    /// The digest of all views, and of the documents' heads.
    Hash,
    /// Records in this node's order after a cursor.
    Records {
        /// From where; none: the beginning.
        after: Option<Cursor>,
        /// At most so many records.
        limit: usize,
        /// Only of this task (its history).
        task: Option<String>,
    },
    /// Members, logs, peers, health, what the disk has lost (any orchestra).
    Status,
    /// The orchestras that this node holds.
    Orchestras,
    /// One record by digest, where it is still in memory or in the given log.
    Proof {
        /// Its log.
        log: LogId,
        /// Its digest.
        record: Digest,
    },
    /// The tempo map, with what became of its last change.
    Tempo,
    /// The tempo map alone, as whoever plays by it asks for it many times a second.
    Beat,
    /// Who waits at which barrier, and what has opened.
    Barriers,
    /// What is to be done together when, and who has answered.
    Cues,
    /// How much notice agents need.
    Leads {
        /// Whose.
        of: crate::orchestra::view::LeadsOf,
        /// In which share of cues all of them are to be ready in time, millionths; 950 000 if left out.
        share_ppm: Option<u32>,
        /// At most so many of them are told one by one.
        limit: usize,
    },
    /// How punctual everybody is.
    Players,
    /// Who performs now, and by how much each corrects its errors.
    Performing,
    /// What was decided, and what leads nowhere.
    Decisions(DecisionsWanted),
    /// What may help against an error.
    Fixes {
        /// What the tool said.
        error: String,
        /// At most so many.
        limit: usize,
    },
    /// The latest remedies.
    Remedies {
        /// At most so many.
        limit: usize,
    },
}
