//! The asking side of a join.

use std::{
    collections::{HashSet, VecDeque},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use quinn::{Connection, ConnectionError};
use tokio::time::timeout;

use super::{
    Invite, InviteError, Refusal,
    invite::check_addresses,
    wire::{self, Answer, Envelope, Request},
};
use crate::{
    connection::code,
    endpoint::certificates,
    identity::{Certificate, Credentials, IdentityError, NodeKey, Region},
    limits, tls,
};

/// Who wants to join.
#[derive(Clone, Debug)]
pub struct Joiner {
    /// Its key; save it before, see [`Credentials::save_key`].
    pub key: NodeKey,
    /// Where it stands.
    pub region: Region,
    /// Where it will listen, `host:port`, at most [`limits::JOIN_ADDRESSES_MAX`]; may be empty.
    pub addresses: Vec<String>,
}

/// What a joiner has gained. Save the credentials at once.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Its place in the cluster.
    pub credentials: Credentials,
    /// The member list, as the admitting node's [`Admission`](super::Admission) gave it.
    pub members: Vec<u8>,
}

/// Why a join failed. The cluster may have recorded an admission whose answer was lost; joining again
/// with the same key and invite is then right.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The invite cannot be used.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// One of the joiner's own addresses is wrong.
    #[error("{address:?} is not an address to listen at: use `host:port`, and at most 8 of them")]
    Address {
        /// Which; empty if there are too many.
        address: String,
    },
    /// The cluster said no.
    #[error("{address} refused: {refusal}")]
    Refused {
        /// Who said it.
        address: String,
        /// What it said.
        refusal: Refusal,
    },
    /// Whoever answers is not of the cluster that the invite names. Nothing was told to it.
    #[error(
        "{address} is not of the invite's cluster ({why}): check the address, somebody may be in between"
    )]
    WrongAuthority {
        /// Who answered.
        address: String,
        /// What was wrong.
        why: String,
    },
    /// Nobody answered.
    #[error("{address} cannot be reached ({why}): check that a node listens there and UDP passes")]
    Unreachable {
        /// The last address tried.
        address: String,
        /// What went wrong.
        why: String,
    },
    /// The answer makes no sense.
    #[error("{address} answered what cannot be used ({why}): use the same version on both sides")]
    BadAnswer {
        /// Who answered.
        address: String,
        /// What was wrong.
        why: String,
    },
}

impl JoinError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Invite(InviteError::NotAnInvite) => "not_an_invite",
            Self::Invite(InviteError::Typo) => "invite_typo",
            Self::Invite(InviteError::WrongVersion { .. }) => "invite_version",
            Self::Invite(InviteError::Expired { .. }) => "invite_expired",
            Self::Invite(InviteError::Address { .. }) | Self::Address { .. } => "bad_address",
            Self::Refused { refusal, .. } => refusal.code(),
            Self::WrongAuthority { .. } => "wrong_authority",
            Self::Unreachable { .. } => "unreachable",
            Self::BadAnswer { .. } => "bad_answer",
        }
    }

    /// Which of two failures tells more: an answer more than a stranger, a stranger more than silence.
    fn weight(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 0,
            Self::WrongAuthority { .. } => 1,
            Self::BadAnswer { .. } => 2,
            Self::Refused { .. } => 3,
            Self::Invite(_) | Self::Address { .. } => 4,
        }
    }
}

/// Joins the cluster of `invite`, trying its addresses in turn and those that refusals name.
/// `now_ms` is this machine's time in milliseconds since the Unix epoch.
pub async fn join(invite: &Invite, joiner: &Joiner, now_ms: u64) -> Result<Joined, JoinError> {
    invite.check_time(now_ms)?;
    check_addresses(&joiner.addresses, 0).map_err(|address| JoinError::Address { address })?;
    let mut ahead: VecDeque<String> = invite.addresses.iter().cloned().collect();
    let mut tried = HashSet::new();
    let mut told: Option<JoinError> = None;
    while let Some(address) = ahead.pop_front() {
        if tried.len() >= limits::JOIN_ATTEMPTS_MAX || !tried.insert(address.clone()) {
            continue;
        }
        let failure = match attempt(invite, joiner, &address, now_ms).await {
            Ok(joined) => return Ok(joined),
            Err(failure) => failure,
        };
        if let JoinError::Refused { refusal, .. } = &failure {
            if let Refusal::NotAnIssuer { issuers } = refusal {
                ahead.extend(issuers.iter().take(limits::JOIN_ADDRESSES_MAX).cloned());
            } else if !refusal.is_passing() {
                return Err(failure);
            }
        }
        if told
            .as_ref()
            .is_none_or(|told| told.weight() <= failure.weight())
        {
            told = Some(failure);
        }
    }
    Err(told.unwrap_or(JoinError::Invite(InviteError::Address {
        address: String::new(),
    })))
}

async fn attempt(
    invite: &Invite,
    joiner: &Joiner,
    address: &str,
    now_ms: u64,
) -> Result<Joined, JoinError> {
    let silent = |why: String| JoinError::Unreachable {
        address: address.to_owned(),
        why,
    };
    let found = timeout(limits::HANDSHAKE_TIMEOUT, tokio::net::lookup_host(address)).await;
    let found = found.map_err(|_| silent("its name was not resolved in time".to_owned()))?;
    let found: Vec<_> = found
        .map_err(|error| silent(error.to_string()))?
        .take(4)
        .collect();
    let mut last = silent("its name has no address".to_owned());
    for addr in found {
        let local = match addr {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = match quinn::Endpoint::client(local) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                last = silent(error.to_string());
                continue;
            }
        };
        let asked = ask(&endpoint, addr, invite, joiner, address, now_ms);
        let outcome = timeout(limits::JOIN_TIMEOUT + limits::HANDSHAKE_TIMEOUT, asked).await;
        endpoint.close(code::CLOSED, b"done");
        // The server waits for this closing, so it must leave before the socket goes.
        _ = timeout(limits::CLOSE_TIMEOUT, endpoint.wait_idle()).await;
        match outcome {
            Ok(Err(silence @ JoinError::Unreachable { .. })) => last = silence,
            Ok(answered) => return answered,
            Err(_) => last = silent("the join took too long".to_owned()),
        }
    }
    Err(last)
}

async fn ask(
    endpoint: &quinn::Endpoint,
    addr: SocketAddr,
    invite: &Invite,
    joiner: &Joiner,
    address: &str,
    now_ms: u64,
) -> Result<Joined, JoinError> {
    let bad = |why: String| JoinError::BadAnswer {
        address: address.to_owned(),
        why,
    };
    let connection = connect(endpoint, addr, invite, address).await?;
    let (mut requests, mut answers) = connection
        .open_bi()
        .await
        .map_err(|error| broken(&connection, address, &error))?;
    let request =
        envelope(&connection, invite, joiner).ok_or_else(|| bad("no exporter".to_owned()))?;
    // A server that refuses early may stop reading; its answer tells more than a failed write.
    if requests.write_all(&request).await.is_ok() {
        _ = requests.finish();
    }
    let bytes = answers.read_to_end(limits::JOIN_ANSWER_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| broken(&connection, address, &error))?;
    match wire::decode(&bytes).ok_or_else(|| bad("it cannot be read".to_owned()))? {
        Answer::Refused(refusal) => Err(JoinError::Refused {
            address: address.to_owned(),
            refusal,
        }),
        Answer::Admitted {
            certificate,
            members,
        } => {
            let certificate = Certificate::from_der(certificate);
            let credentials = accept(&connection, invite, joiner, certificate, now_ms)
                .map_err(|error| bad(error.to_string()))?;
            Ok(Joined {
                credentials,
                members,
            })
        }
    }
}

/// A connection that broke off in the middle: a server with too much to do says so, by the code with
/// which it closes.
fn broken(connection: &Connection, address: &str, error: &dyn std::fmt::Display) -> JoinError {
    let address = address.to_owned();
    match connection.close_reason() {
        Some(ConnectionError::ApplicationClosed(close)) if close.error_code == code::OVERLOADED => {
            JoinError::Refused {
                address,
                refusal: Refusal::NotReady,
            }
        }
        _ => JoinError::Unreachable {
            address,
            why: error.to_string(),
        },
    }
}

async fn connect(
    endpoint: &quinn::Endpoint,
    addr: SocketAddr,
    invite: &Invite,
    address: &str,
) -> Result<Connection, JoinError> {
    let silent = |why: String| JoinError::Unreachable {
        address: address.to_owned(),
        why,
    };
    let crypto =
        tls::joiner(invite.authority, invite.cluster).map_err(|error| silent(error.to_string()))?;
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connecting = endpoint
        .connect_with(config, addr, JOIN_SERVER_NAME)
        .map_err(|error| silent(error.to_string()))?;
    let connected = timeout(limits::HANDSHAKE_TIMEOUT, connecting).await;
    let connected = connected.map_err(|_| silent("no answer in time".to_owned()))?;
    connected.map_err(|error| match error {
        // TLS alerts are 0x100 and up (RFC 9001, section 4.8); raised by us, they mean that whoever
        // answers could not show the pinned authority.
        ConnectionError::TransportError(error)
            if (0x100..0x200).contains(&u64::from(error.code)) =>
        {
            JoinError::WrongAuthority {
                address: address.to_owned(),
                why: error.reason,
            }
        }
        error => silent(error.to_string()),
    })
}

/// TLS wants a name; which node answers does not matter, so none is checked.
const JOIN_SERVER_NAME: &str = "join.unisono.internal";

fn envelope(connection: &Connection, invite: &Invite, joiner: &Joiner) -> Option<Vec<u8>> {
    let request = wire::encode(&Request {
        version: wire::VERSION,
        cluster: invite.cluster,
        invite: invite.id(),
        node: joiner.key.id(),
        region: joiner.region.to_string(),
        addresses: joiner.addresses.clone(),
    });
    let signed = wire::signed(&wire::exported(connection)?, &request);
    Some(wire::encode(&Envelope {
        request,
        invite_proof: invite.key().sign(&signed.0).to_vec(),
        node_proof: joiner.key.sign(&signed.0).to_vec(),
    }))
}

/// Takes the certificate only if the pinned authority made it, for this key, this cluster and this
/// region.
fn accept(
    connection: &Connection,
    invite: &Invite,
    joiner: &Joiner,
    certificate: Certificate,
    now_ms: u64,
) -> Result<Credentials, IdentityError> {
    let chain = certificates(connection).unwrap_or_default();
    let authority = tls::pinned(&chain, invite.authority).ok_or(IdentityError::Mismatch {
        what: "authority and its fingerprint",
    })?;
    let credentials = Credentials::new(joiner.key.clone(), certificate, authority, None, now_ms)?;
    if credentials.cluster() != invite.cluster {
        let found = credentials.cluster();
        return Err(IdentityError::OtherCluster {
            expected: invite.cluster,
            found,
        });
    }
    if *credentials.region() != joiner.region {
        return Err(IdentityError::Mismatch {
            what: "region and the certificate",
        });
    }
    Ok(credentials)
}
