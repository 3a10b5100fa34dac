//! The answering side of a join.

use std::{net::SocketAddr, sync::Arc};

use ed25519_dalek::{Signature, VerifyingKey};
use quinn::Connection;
use tokio::time::timeout;
use unisono_model::Digest;

use super::{
    JoinRequest, Refusal,
    invite::check_addresses,
    passing,
    wire::{self, Answer, Envelope, Request},
};
use crate::{connection::code, endpoint::Shared, identity::Region, limits};

/// Answers one joiner, within bounded time and memory.
pub(crate) async fn serve(shared: &Arc<Shared>, connection: Connection) {
    let Ok(_place) = shared.joins.try_acquire() else {
        shared.counters.joins_refused.add(1);
        connection.close(code::OVERLOADED, b"too many joins at a time, try again");
        return;
    };
    let done = timeout(limits::JOIN_TIMEOUT, exchange(shared, &connection)).await;
    if !matches!(done, Ok(Some(()))) {
        shared.counters.joins_refused.add(1);
        connection.close(code::OVERLOADED, b"the join took too long or broke off");
    }
}

async fn exchange(shared: &Arc<Shared>, connection: &Connection) -> Option<()> {
    let (mut answers, mut requests) = connection.accept_bi().await.ok()?;
    let answer = match requests.read_to_end(limits::JOIN_REQUEST_BYTES_MAX).await {
        Ok(bytes) => decide_here(shared, connection, &bytes).await,
        Err(quinn::ReadToEndError::TooLong) => Err(Refusal::Malformed),
        Err(quinn::ReadToEndError::Read(_)) => return None,
    };
    let counters = &shared.counters;
    let answer = match answer {
        Ok(admitted) => {
            counters.joins_admitted.add(1);
            admitted
        }
        Err(refusal) => {
            counters.joins_refused.add(1);
            tracing::info!(from = %connection.remote_address(), code = refusal.code(), "a joiner was refused");
            Answer::Refused(refusal)
        }
    };
    // What follows only delivers the decision, so its failure is no second refusal.
    if answers.write_all(&wire::encode(&answer)).await.is_ok() && answers.finish().is_ok() {
        // The joiner closes when it has read the answer; closing first might cut it off.
        _ = connection.closed().await;
    }
    Some(())
}

async fn decide_here(
    shared: &Shared,
    connection: &Connection,
    bytes: &[u8],
) -> Result<Answer, Refusal> {
    let from = connection.remote_address();
    if let Some(retry_after_ms) = shared.proofs.wait_ms(from.ip()) {
        return Err(Refusal::TooManyFailures { retry_after_ms });
    }
    let asked = Asked {
        exported: wire::exported(connection).ok_or(Refusal::NotReady)?,
        from,
        is_passed: false,
    };
    let decided = decide(shared, asked, bytes).await;
    if matches!(decided, Err(Refusal::BadProof | Refusal::InviteUnknown)) {
        shared.proofs.failed(from.ip());
    }
    decided
}

/// How a join came here.
pub(super) struct Asked {
    /// What was exported where the joiner made its proofs.
    pub(super) exported: [u8; 32],
    /// Who brings it.
    pub(super) from: SocketAddr,
    /// Whether that is a member which could not answer it, and not the joiner.
    pub(super) is_passed: bool,
}

pub(super) async fn decide(shared: &Shared, asked: Asked, bytes: &[u8]) -> Result<Answer, Refusal> {
    let envelope: Envelope = wire::decode(bytes).ok_or(Refusal::Malformed)?;
    let request: Request = wire::decode(&envelope.request).ok_or(Refusal::Malformed)?;
    let signed = wire::signed(&asked.exported, &envelope.request);
    let proven = verifies(&request.invite.0, &envelope.invite_proof, &signed)
        && verifies(&request.node.0, &envelope.node_proof, &signed);
    if !proven {
        return Err(Refusal::BadProof);
    }
    if request.version != wire::VERSION {
        return Err(Refusal::OtherVersion {
            spoken: wire::VERSION,
        });
    }
    if request.cluster != shared.cluster {
        return Err(Refusal::OtherCluster);
    }
    check_addresses(&request.addresses, 0).map_err(|_| Refusal::Malformed)?;
    let region: Region = request.region.parse().map_err(|_| Refusal::Malformed)?;
    let admission = shared.admission().ok_or(Refusal::NotReady)?;
    let credentials = shared.shown.credentials();
    let Some(authority) = credentials.authority() else {
        if !asked.is_passed {
            let signers = admission.signers();
            let passed = passing::pass_on(shared, &asked.exported, bytes, signers).await;
            if let Some(told) = passed {
                return told;
            }
        }
        let mut issuers = admission.issuers();
        issuers.truncate(limits::JOIN_ADDRESSES_MAX);
        return Err(Refusal::NotAnIssuer { issuers });
    };
    // Made before the invite is used up, since making it can fail and using it up cannot be undone.
    let now_ms = crate::identity::unix_now_ms();
    let certificate = authority
        .issue_for(request.node, &region, now_ms, shared.shown.life_ms())
        .map_err(|error| Refusal::Denied {
            why: error.to_string(),
        })?;
    let request = JoinRequest {
        invite: request.invite,
        node: request.node,
        region,
        addresses: request.addresses,
        from: asked.from,
    };
    let members = admission.admit(request).await?;
    let room = limits::JOIN_ANSWER_BYTES_MAX - limits::CERTIFICATE_BYTES_MAX;
    if members.len() > room {
        return Err(Refusal::Denied {
            why: "the member list is too large to be sent".to_owned(),
        });
    }
    Ok(Answer::Admitted {
        certificate: certificate.der().to_vec(),
        members,
    })
}

fn verifies(key: &[u8; 32], signature: &[u8], signed: &Digest) -> bool {
    let (Ok(key), Ok(signature)) = (
        VerifyingKey::from_bytes(key),
        Signature::from_slice(signature),
    ) else {
        return false;
    };
    key.verify_strict(&signed.0, &signature).is_ok()
}
