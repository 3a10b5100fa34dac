//! Who a node is: its key, the certificate that the cluster gave it, and the authority that gives.
//!
//! The identity is the Ed25519 key; X.509 is the packaging that TLS and operators' tools understand.
//! A certificate binds three things: the key (in its SPKI, RFC 8410), the cluster and the region (in
//! one URI name, `spiffe://<cluster>/region/<region>/node/<node>`, after the SPIFFE ID format). So a
//! peer's claim about its region is as authentic as its key.

mod authorities;
mod authority;
mod certificate;
mod credentials;
mod files;
mod key;
mod next;
mod region;
mod validity;

use std::{io, path::PathBuf};

pub use authorities::{Authorities, KnownAuthority, Vouched};
pub use authority::ClusterAuthority;
pub(crate) use certificate::server_name;
pub use certificate::{Certificate, Fingerprint, PeerIdentity};
pub(crate) use credentials::unix_now_ms;
pub use credentials::{
    CA_CERTIFICATE_FILE, CA_KEY_FILE, CA_NEXT_CERTIFICATE_FILE, CA_NEXT_KEY_FILE, Credentials,
    NODE_CERTIFICATE_FILE, NODE_KEY_FILE, PROTECTED_KEY,
};
pub use key::NodeKey;
pub(crate) use key::random;
pub use next::NextAuthority;
pub use region::{NotARegion, Region};
pub use validity::Validity;

use unisono_model::ClusterId;

/// Why keys and certificates cannot be used. Nothing was changed on disk, unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file is not there.
    #[error("{} does not exist: found a cluster or join one first, or name the right data directory", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// A file or directory could not be read.
    #[error("{} cannot be read ({source}): check its owner", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written; a part of the set may be written, and saving again completes it.
    #[error("{} cannot be written ({source}): check the directory's owner and free space", path.display())]
    Unwritable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A secret is somebody else's, who can change it.
    #[error("{} belongs to user {owner}, and this is user {user}: run `chown {user} {}`, or as that user", path.display(), path.display())]
    OthersOwn {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// As whom this process runs.
        user: u32,
    },
    /// Others may read a secret, or put another in its place.
    #[error("{} may be read or changed by others (mode {mode:o}): run `chmod {wanted:o} {}`", path.display(), path.display())]
    TooOpen {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits that it should have.
        wanted: u32,
    },
    /// The file is not what its name says.
    #[error("{} is not {what}: restore it from a backup, or move the directory away and join again", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// Another key or certificate stands where this one should be written.
    #[error("{} exists and is another one: move it away if this node shall have a new identity", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// The credentials are for another cluster than the one asked for.
    #[error(
        "these credentials are for cluster {found}, not {expected}: name the right data directory"
    )]
    OtherCluster {
        /// The cluster that was asked for.
        expected: ClusterId,
        /// The cluster that the credentials name.
        found: ClusterId,
    },
    /// Key and certificate do not belong together.
    #[error("the {what} do not belong together: restore both from one backup, or join again")]
    Mismatch {
        /// Which pair.
        what: &'static str,
    },
    /// A certificate does not verify.
    #[error("the certificate is not valid: {0}")]
    Certificate(CertificateError),
    /// The certificate could not be made.
    #[error("the certificate could not be made: {0}")]
    Unmakeable(String),
}

/// Why a certificate says nothing about a peer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CertificateError {
    /// It is not a certificate, or too large for one.
    #[error("it is no X.509 certificate")]
    Malformed,
    /// Its key is not a sound Ed25519 key.
    #[error("its key is no Ed25519 key, or a weak one")]
    Key,
    /// Its URI name is not that of a node, or does not match its key.
    #[error("it does not name a node by the node's own key")]
    Name,
    /// It is another node's than the one that was called.
    #[error("it is not of the node that was called")]
    OtherNode,
    /// It belongs to another cluster.
    #[error("it belongs to cluster {0}")]
    OtherCluster(ClusterId),
    /// The authority did not sign it, or not for this.
    #[error("the cluster's authority does not vouch for it ({0})")]
    Untrusted(String),
    /// The authority that signed it is not the one that signs now.
    #[error("it is of an authority in whose place there is another one")]
    Former,
    /// Its time is over.
    #[error(
        "it ended {} ago by this machine's clock: its node has to renew it, or this clock is ahead",
        spoken(*ago_ms)
    )]
    Ended {
        /// How long ago.
        ago_ms: u64,
    },
    /// Its time has not come, though a certificate counts from a day before it was made.
    #[error(
        "it counts in {} by this machine's clock only: this clock is behind, or that of whoever signed it was ahead",
        spoken(*in_ms)
    )]
    NotYet {
        /// In how long it would.
        in_ms: u64,
    },
}

/// A span of time (ms) as a person would say it.
pub fn spoken(span_ms: u64) -> String {
    let seconds = span_ms / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
