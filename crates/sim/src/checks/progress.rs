//! I12: every request ends in one answer before its deadline.

use std::collections::BTreeMap;

use unisono_core::node::Ticket;
use unisono_core::replication::Cursor;
use unisono_model::Stamp;

/// How much later than its deadline an answer may come (ns of the node's own clock): a driver wakes
/// a node at the earliest a millisecond after it last spoke.
const SLACK_NS: u64 = 5_000_000;

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// An agent, in its so manieth conversation.
    Agent(usize, u64),
    /// A machine that wants to be let in.
    Joiner(usize),
    /// A judge.
    Judge,
    /// Nobody.
    Nobody,
}

/// A request without an answer.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The machine that has it.
    pub host: usize,
    /// When the answer is due (the machine's monotonic ns).
    pub due_ns: u64,
    /// Who asked.
    pub who: Who,
    /// What the asker had seen.
    pub min_cursor: Option<Cursor>,
    /// It must be refused.
    pub lie: bool,
    /// What it asks for was made by the asker at this stamp.
    pub made_at: Option<Stamp>,
    /// The line that it adds to the guest book.
    pub line: Option<unisono_model::Digest>,
    /// Whether it asks for confirmation, and on how many disks.
    pub wants: (bool, u16),
}

/// Remembers what is open.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    open: BTreeMap<u64, Waiting>,
    next: u64,
}

impl Progress {
    /// A request goes in.
    pub fn open(&mut self, waiting: Waiting) -> Ticket {
        self.next += 1;
        self.open.insert(self.next, waiting);
        Ticket(self.next)
    }

    /// An answer comes out.
    pub fn close(&mut self, ticket: Ticket) -> Result<Waiting, String> {
        self.open
            .remove(&ticket.0)
            .ok_or_else(|| format!("request {} was answered twice, or never asked", ticket.0))
    }

    /// Whether an answer that comes now comes in time.
    pub fn in_time(waiting: &Waiting, monotonic_ns: u64) -> Result<(), String> {
        if monotonic_ns <= waiting.due_ns + SLACK_NS {
            return Ok(());
        }
        let (host, who) = (waiting.host, waiting.who);
        let by = (monotonic_ns - waiting.due_ns) / 1_000_000;
        Err(format!("machine {host} answered {by} ms late ({who:?})"))
    }

    /// A life ends: whoever waits for it waits in vain.
    pub fn abandon(&mut self, host: usize) -> Vec<Waiting> {
        let gone: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, w)| w.host == host)
            .map(|(ticket, _)| *ticket)
            .collect();
        gone.iter()
            .filter_map(|ticket| self.open.remove(ticket))
            .collect()
    }

    /// How many requests a machine has.
    pub fn open_at(&self, host: usize) -> usize {
        self.open
            .values()
            .filter(|waiting| waiting.host == host)
            .count()
    }

    /// Whether something of a machine is overdue by its own clock.
    pub fn check(&self, host: usize, monotonic_ns: u64) -> Result<(), String> {
        let late = |w: &&Waiting| w.host == host && w.due_ns + SLACK_NS < monotonic_ns;
        match self.open.values().find(late) {
            None => Ok(()),
            Some(late) => {
                let by = (monotonic_ns - late.due_ns) / 1_000_000;
                Err(format!(
                    "machine {host} owes an answer for {by} ms ({:?})",
                    late.who
                ))
            }
        }
    }
}
