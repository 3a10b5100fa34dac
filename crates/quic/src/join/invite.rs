//! The invite: all that a new machine needs, in one string.

use std::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use unisono_model::{ClusterId, InviteKey};

use crate::{
    identity::{Fingerprint, NodeKey, random},
    limits,
};

const NAME: &str = "unisono";
const VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 4;

/// An invitation to one cluster. Whoever reads its text can use it, once: treat it as a password.
///
/// The text is `unisono1.` and, in lower-case base32 (RFC 4648) without padding, the postcard form of
/// the fields with the first four bytes of a BLAKE3 digest behind. Letters of either case are read,
/// and spaces and line breaks inside are ignored.
#[derive(Clone, Eq, PartialEq)]
pub struct Invite {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The fingerprint of the certificate of its authority.
    pub authority: Fingerprint,
    /// Where to knock, `host:port`, in this order.
    pub addresses: Vec<String>,
    /// Until when it counts, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    secret: [u8; 16],
}

/// The public half of an invite: what a cluster keeps to recognise it by. It admits nobody.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct InviteId(pub [u8; 32]);

/// Why a text is not an invite that can be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InviteError {
    /// It is something else.
    #[error("this is no invite: it begins with `unisono1.` and is made with `unisono invite`")]
    NotAnInvite,
    /// It was an invite, and a character of it is wrong or missing.
    #[error("the invite has a typing error: paste it again, whole")]
    Typo,
    /// It is an invite of a version that this program does not know.
    #[error(
        "the invite is of version {found}, this program reads {VERSION}: update the older side"
    )]
    WrongVersion {
        /// Its version.
        found: u32,
    },
    /// Its time is over.
    #[error("the invite expired {ago_ms} ms ago by this machine's clock: ask for a new one")]
    Expired {
        /// How long ago.
        ago_ms: u64,
    },
    /// An invite needs one to [`limits::JOIN_ADDRESSES_MAX`] addresses of the form `host:port`.
    #[error("{address:?} is not an address: use `host:port`, and 1 to 8 of them")]
    Address {
        /// The one that is wrong; empty if there are too few or too many.
        address: String,
    },
}

/// The invite's form in its text.
#[derive(Serialize, Deserialize)]
struct Body {
    cluster: ClusterId,
    authority: [u8; 32],
    secret: [u8; 16],
    expires_ms: u64,
    addresses: Vec<String>,
}

impl Invite {
    /// An invite with a fresh secret. Keep its [`id`](Self::id) and `expires_ms` where the
    /// [`Admission`](super::Admission) finds them, and the text nowhere.
    pub fn new(
        cluster: ClusterId,
        authority: Fingerprint,
        addresses: Vec<String>,
        expires_ms: u64,
    ) -> Result<Self, InviteError> {
        check_addresses(&addresses, 1).map_err(|address| InviteError::Address { address })?;
        Ok(Self {
            cluster,
            authority,
            addresses,
            expires_ms,
            secret: random(),
        })
    }

    /// Its public half.
    pub fn id(&self) -> InviteId {
        InviteId(self.key().id().0)
    }

    /// Its text, to be pasted on the new machine.
    pub fn to_text(&self) -> String {
        let body = Body {
            cluster: self.cluster,
            authority: self.authority.0,
            secret: self.secret,
            expires_ms: self.expires_ms,
            addresses: self.addresses.clone(),
        };
        let mut bytes = postcard::to_allocvec(&body).expect("plain fields have a postcard form");
        bytes.extend_from_slice(&checksum(&bytes));
        let text = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        format!("{NAME}{VERSION}.{text}")
    }

    /// Whether it still counts at `now_ms` (milliseconds since the Unix epoch) by this machine's clock.
    /// The cluster decides by its own.
    pub fn check_time(&self, now_ms: u64) -> Result<(), InviteError> {
        match now_ms.checked_sub(self.expires_ms) {
            Some(ago_ms) => Err(InviteError::Expired { ago_ms }),
            None => Ok(()),
        }
    }

    /// The key that proves the secret. The cluster is mixed in, so that one secret in two invites
    /// would still be two keys.
    pub(super) fn key(&self) -> NodeKey {
        let mut hasher = blake3::Hasher::new_derive_key("unisono/invite-key/v1");
        hasher.update(&self.cluster.0);
        hasher.update(&self.secret);
        NodeKey::from_seed(*hasher.finalize().as_bytes())
    }
}

impl FromStr for Invite {
    type Err = InviteError;

    fn from_str(text: &str) -> Result<Self, InviteError> {
        if text.len() > limits::INVITE_TEXT_MAX {
            return Err(InviteError::NotAnInvite);
        }
        let text: String = text
            .split_ascii_whitespace()
            .collect::<String>()
            .to_ascii_lowercase();
        let rest = text.strip_prefix(NAME).ok_or(InviteError::NotAnInvite)?;
        let (version, body) = rest.split_once('.').ok_or(InviteError::NotAnInvite)?;
        let found = version.parse().map_err(|_| InviteError::NotAnInvite)?;
        if found != VERSION {
            return Err(InviteError::WrongVersion { found });
        }
        let bytes = BASE32_NOPAD
            .decode(body.to_ascii_uppercase().as_bytes())
            .map_err(|_| InviteError::Typo)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(InviteError::Typo)?;
        if *sum != checksum(body) {
            return Err(InviteError::Typo);
        }
        from_body(body).ok_or(InviteError::NotAnInvite)
    }
}

fn from_body(bytes: &[u8]) -> Option<Invite> {
    let (body, rest): (Body, _) = postcard::take_from_bytes(bytes).ok()?;
    if !rest.is_empty() || check_addresses(&body.addresses, 1).is_err() {
        return None;
    }
    Some(Invite {
        cluster: body.cluster,
        authority: Fingerprint(body.authority),
        addresses: body.addresses,
        expires_ms: body.expires_ms,
        secret: body.secret,
    })
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = blake3::derive_key("unisono/invite-checksum/v1", body);
    *digest
        .first_chunk()
        .expect("a digest is longer than its checksum")
}

/// The first address that is none, or an empty text if their number is wrong.
pub(super) fn check_addresses(addresses: &[String], least: usize) -> Result<(), String> {
    if !(least..=limits::JOIN_ADDRESSES_MAX).contains(&addresses.len()) {
        return Err(String::new());
    }
    let sound = |address: &String| {
        let (host, port) = address.rsplit_once(':').unwrap_or_default();
        let plain = address.bytes().all(|byte| byte.is_ascii_graphic());
        let port: Option<u16> = port.parse().ok();
        plain && !host.is_empty() && port.is_some() && address.len() <= limits::ADDRESS_BYTES_MAX
    };
    addresses
        .iter()
        .find(|address| !sound(address))
        .map_or(Ok(()), |address| Err(address.clone()))
}

impl fmt::Debug for Invite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invite")
            .field("id", &self.id())
            .field("cluster", &self.cluster)
            .field("addresses", &self.addresses)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

impl InviteId {
    /// Its name in the records of the cluster.
    pub fn key(self) -> InviteKey {
        InviteKey(self.0)
    }
}

impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
