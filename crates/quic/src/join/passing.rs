//! A member that cannot sign passes a join on to one that can, over the connection that stands between
//! them, and hands the answer back: so an invite can be used at any member.
//!
//! The joiner's proofs go along as they are, with the exporter of the connection in which they were
//! made. Who signs cannot see that connection, and need not: a member that repeats a join which it has
//! overheard gets a certificate for the joiner's key, which is of use to the joiner alone, and an
//! invite is used up by the key that it was proven with.

use quinn::{Connection, ReadToEndError, RecvStream, SendStream};
use tokio::time::timeout;
use unisono_model::NodeId;

use super::{Refusal, server, wire};
use crate::{endpoint::Shared, limits};

/// Asks members that may sign. What a joiner is to be told; none if nobody could be asked who knows.
pub(super) async fn pass_on(
    shared: &Shared,
    exported: &[u8; 32],
    envelope: &[u8],
    signers: Vec<NodeId>,
) -> Option<Result<wire::Answer, Refusal>> {
    let request = wire::passed(exported, envelope);
    let mut told = None;
    for member in candidates(shared, signers) {
        let Some(connection) = shared.peer(member).and_then(|peer| peer.connection()) else {
            continue;
        };
        let asked = timeout(limits::PASSED_JOIN_TIMEOUT, ask(&connection, &request)).await;
        match asked {
            Ok(Some(wire::Answer::Refused(refusal))) => match refusal {
                Refusal::NotAnIssuer { .. } | Refusal::NotReady | Refusal::Malformed => {}
                // Another one may have made it.
                Refusal::InviteUnknown => told = Some(Err(Refusal::InviteUnknown)),
                refusal => return Some(Err(refusal)),
            },
            Ok(Some(admitted)) => {
                tracing::info!(by = %member, "a join was passed on, and the node was let in");
                return Some(Ok(admitted));
            }
            Ok(None) | Err(_) => {}
        }
    }
    told
}

/// Who has signed for this node, those that the cluster names, then whoever is connected.
fn candidates(shared: &Shared, named: Vec<NodeId>) -> Vec<NodeId> {
    let signer = shared.signer().map(|(node, _)| node);
    let connected = shared.peers().into_iter().map(|peer| peer.node);
    let mut members: Vec<NodeId> = Vec::new();
    for node in signer.into_iter().chain(named).chain(connected) {
        let is_live = || {
            shared
                .peer(node)
                .is_some_and(|peer| peer.connection().is_some())
        };
        if members.len() < limits::PASSED_TO_MAX && !members.contains(&node) && is_live() {
            members.push(node);
        }
    }
    members
}

async fn ask(connection: &Connection, request: &[u8]) -> Option<wire::Answer> {
    let (mut requests, mut answers) = connection.open_bi().await.ok()?;
    if requests.write_all(request).await.is_ok() {
        _ = requests.finish();
    }
    let bytes = answers.read_to_end(limits::JOIN_ANSWER_BYTES_MAX).await;
    wire::decode(&bytes.ok()?)
}

/// Whether what a member asks is a join that it passes on.
pub(crate) fn is_passed(bytes: &[u8]) -> bool {
    wire::unpassed(bytes).is_some()
}

/// Answers a member that passes a join on.
pub(crate) async fn answer(
    shared: &Shared,
    from: NodeId,
    connection: &Connection,
    mut answers: SendStream,
    bytes: &[u8],
) {
    let decided = async {
        let _place = shared.joins.try_acquire().map_err(|_| Refusal::NotReady)?;
        if shared.is_excluded(from) {
            let why = "the member that passes this on is excluded".to_owned();
            return Err(Refusal::Denied { why });
        }
        let (exported, envelope) = wire::unpassed(bytes).ok_or(Refusal::Malformed)?;
        let asked = server::Asked {
            exported,
            from: connection.remote_address(),
            is_passed: true,
        };
        server::decide(shared, asked, envelope).await
    };
    let decided = timeout(limits::JOIN_TIMEOUT, decided).await;
    let answer = match decided.unwrap_or(Err(Refusal::NotReady)) {
        Ok(admitted) => {
            shared.counters.joins_admitted.add(1);
            admitted
        }
        Err(refusal) => {
            shared.counters.joins_refused.add(1);
            tracing::info!(by = %from, code = refusal.code(), "a join that was passed on was refused");
            wire::Answer::Refused(refusal)
        }
    };
    if answers.write_all(&wire::encode(&answer)).await.is_ok() {
        _ = answers.finish();
    }
}

/// Reads what a member asks on a stream of two ways: a renewal of its own, or somebody's join. What is
/// longer than either is read as nothing, which is neither.
pub(crate) async fn read(requests: &mut RecvStream) -> Option<Vec<u8>> {
    let most = limits::JOIN_REQUEST_BYTES_MAX + wire::PASSED_BYTES;
    let read = timeout(limits::RENEWAL_TIMEOUT, requests.read_to_end(most)).await;
    match read.ok()? {
        Ok(bytes) => Some(bytes),
        Err(ReadToEndError::TooLong) => Some(Vec::new()),
        Err(ReadToEndError::Read(_)) => None,
    }
}
