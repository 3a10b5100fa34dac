//! Capabilities: whether a token allows something, told offline, by every replica alike.
//!
//! ```text
//!  bytes ─► decode ─► chain: root, parents, audiences, time, epoch ─► each link within the grant
//!                     before it and within its tier's ceiling ─► signatures ─► Verified
//!  Verified ─► allows(what, where) ─► yes, or the field that says no
//! ```
//!
//! Nothing here knows a clock or a state: time is the stamp of the record that is judged, and what
//! is known of the cluster comes in an [`Anchor`]. At most four signatures, no look-up: checking a
//! token costs the same in a cluster of three and of three thousand.
//!
//! **Invariant:** a [`Verified`] token comes from [`verify`] or [`examine`], or from a checkpoint
//! that this node wrote of one.

mod chain;
mod deeds;
mod lattice;
mod tiers;

pub use chain::{Anchor, Renewed, Verified, examine, verify};
pub(crate) use chain::{Strictness, examine_loosely};
pub use deeds::{Denied, Need, allows, allows_read, allows_write, limits_functions, need};
pub use lattice::{Comparison, Field, compare, exceeds, grant_exceeds, meet};
pub use tiers::{Ceiling, ceiling, offends};

use unisono_model::wire::Malformed;

/// Why a token counts for nothing. Nothing changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Invalid {
    /// The bytes are no token in canonical form.
    #[error("the token is malformed: {0}")]
    Malformed(Malformed),
    /// A token of another cluster.
    #[error("link {link} is of another cluster")]
    Cluster {
        /// Which link, from 1.
        link: usize,
    },
    /// The first link is signed by no root of this cluster.
    #[error("the first link is not issued by a root of this cluster")]
    Root,
    /// A link that does not continue the one before it: another issuer, or another parent.
    #[error("link {link} does not continue the link before it: {what}")]
    Parent {
        /// Which link, from 1.
        link: usize,
        /// Whether the issuer or the parent is another.
        what: &'static str,
    },
    /// A life that is empty, too long, or longer than its parent's.
    #[error("link {link}: {what}")]
    Life {
        /// Which link, from 1.
        link: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It does not count yet, or no longer.
    #[error(
        "link {link} counts from {from_ms} to {until_ms}, and the record is stamped {at_ms} (ms)"
    )]
    Time {
        /// Which link, from 1.
        link: usize,
        /// The record's stamp (ms).
        at_ms: u64,
        /// From when it counts (ms).
        from_ms: u64,
        /// Until before when (ms).
        until_ms: u64,
    },
    /// A token of another epoch.
    #[error("link {link} is of epoch {epoch}, and the cluster is in epoch {now}")]
    Epoch {
        /// Which link, from 1.
        link: usize,
        /// Its epoch.
        epoch: u32,
        /// The cluster's at the record's stamp.
        now: u32,
    },
    /// More than the link before it may grant.
    #[error("link {link} has more than may be granted: {field}")]
    Widens {
        /// Which link, from 1.
        link: usize,
        /// In which field.
        field: Field,
    },
    /// More than its tier may ever have.
    #[error("link {link}: no {tier} may have this: {field}")]
    Ceiling {
        /// Which link, from 1.
        link: usize,
        /// The tier's word.
        tier: &'static str,
        /// In which field.
        field: Field,
    },
    /// Duties that one hand may not hold together.
    #[error("link {link} holds duties together that must stay apart: {what}")]
    Duties {
        /// Which link, from 1.
        link: usize,
        /// Which.
        what: &'static str,
    },
    /// An audience that has issued a link of the same chain, or is enrolled for another tier.
    #[error("the audience of link {link} {what}")]
    Binding {
        /// Which link, from 1.
        link: usize,
        /// Why it cannot be the audience.
        what: &'static str,
    },
    /// A renewal that renews another token, for too long, or by nobody's leave.
    #[error("the renewal does not count: {what}")]
    Renewal {
        /// What is wrong with it.
        what: &'static str,
    },
    /// A signature that is not its issuer's.
    #[error("the signature of link {link} is not its issuer's")]
    Signature {
        /// Which link, from 1.
        link: usize,
    },
}

impl Invalid {
    /// The rule, stable over versions.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(Malformed::TooLarge { .. }) => "token_size",
            Self::Malformed(Malformed::Limit("the number of links")) => "token_depth",
            Self::Malformed(_) => "token_malformed",
            Self::Cluster { .. } => "token_cluster",
            Self::Root => "token_root",
            Self::Parent { .. } => "token_parent",
            Self::Life { .. } => "token_life",
            Self::Time { .. } => "token_time",
            Self::Epoch { .. } => "token_epoch",
            Self::Widens { .. } => "token_widens",
            Self::Ceiling { .. } => "token_ceiling",
            Self::Duties { .. } => "token_duties",
            Self::Binding { .. } => "token_binding",
            Self::Renewal { .. } => "token_renewal",
            Self::Signature { .. } => "token_signature",
        }
    }
}
