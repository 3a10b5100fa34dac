//! Who leads the cluster's time: one node in each region, one of these for the cluster.
//!
//! Candidates are compared as in the best master clock algorithm of IEEE 1588 ([`Rank`]); what was
//! decided is numbered by [`Epoch`]s, so that whoever missed a decision is told by the number alone.
//! One [`Contest`] decides over one scope; [`Election`] runs two of them, the region's and the
//! cluster's, in which the regions' leaders stand.
//!
//! What it promises, as far as messages arrive: at most one leader for each epoch (its number bears
//! the leader's id); one leader in each connected component within bounded time; no change of leader
//! without a cause.
//!
//! **Invariant:** knows nothing of probes, filters or the time that is told; a leader is a name, and
//! whether two leaders' times agree is told to it.

mod contest;
mod epoch;
pub mod limits;
mod pair;
mod rank;
mod unbroken;
mod word;

pub use contest::Contest;
pub use epoch::Epoch;
pub use pair::{Announcement, Election, Role, Told};
pub use rank::{Class, Rank};
pub use word::{Candidate, Change, Claim, Fault, Standing, Verdict, Word};
