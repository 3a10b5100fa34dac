//! The judges: one for each invariant, apart from the world. The world shows them what happens; they
//! remember what must hold and say what does not.

mod agreement;
mod bounds;
mod brief;
mod claims;
mod coherence;
mod durability;
pub mod interference;
mod invention;
mod joins;
mod lessons;
mod membership;
pub mod notes;
mod progress;
pub mod rights;
mod session;
mod stamps;
mod together;

use serde::{Deserialize, Serialize};

pub use agreement::{Apart, Shown, agrees};
pub use bounds::Bounds;
pub use claims::{Claims, Excuses};
pub use durability::{Durability, Promised};
pub use invention::Invention;
pub use joins::Joins;
pub use lessons::Learned;
pub use membership::Membership;
pub use notes::{Sent, Written};
pub use progress::{Progress, Waiting, Who};
pub use session::covers;
pub use stamps::Stamps;
pub use together::Score;

/// Most violations that are kept of one run: the first ones tell the story.
const KEPT_MAX: usize = 20;

/// An invariant that did not hold.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// Which: `I1` to `I14`, `session`, or `size` where too little happened.
    pub invariant: String,
    /// When it was seen (virtual ns).
    pub at_ns: u64,
    /// What was seen.
    pub detail: String,
}

/// All judges, and what they found.
#[derive(Debug, Default)]
pub struct Checks {
    /// What did not hold.
    pub found: Vec<Violation>,
    /// I2.
    pub durability: Durability,
    /// I3.
    pub invention: Invention,
    /// I3, of what is written together.
    pub lines: Sent,
    /// I5.
    pub stamps: Stamps,
    /// I8.
    pub claims: Claims,
    /// I9.
    pub membership: Membership,
    /// I9, for invites.
    pub joins: Joins,
    /// I10.
    pub bounds: Bounds,
    /// I12.
    pub progress: Progress,
}

impl Checks {
    /// Something did not hold.
    pub fn violated(&mut self, now: u64, invariant: &str, detail: impl Into<String>) {
        if self.found.len() < KEPT_MAX {
            let (invariant, detail) = (invariant.to_owned(), detail.into());
            self.found.push(Violation {
                invariant,
                at_ns: now,
                detail,
            });
        }
    }

    /// Takes over what a judge says.
    pub fn say(&mut self, now: u64, invariant: &str, verdict: Result<(), String>) {
        if let Err(detail) = verdict {
            self.violated(now, invariant, detail);
        }
    }
}
