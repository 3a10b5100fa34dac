//! Leaving the cluster. Every agent of a machine may speak to its node, and none of them may send it
//! away: who asks has to hold the node's own key.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use data_encoding::BASE64;
use ed25519_dalek::{Signature, VerifyingKey};
use unisono_core::node::{AnswerBody, Promise, Work};
use unisono_model::{Code, OrchestraId, Rejection};

use super::body::Json;
use super::edge::Edge;
use super::refusal::Refusal;
use super::terms::{Terms, WaitParams};
use crate::dto;
use crate::limits::LEAVE_FRESH_MS;

/// Has the node leave the cluster: it takes nothing more, hands on all that it wrote, says its last
/// word, and ends. Answered when others hold everything, or when the time is over.
#[utoipa::path(post, path = "/v1/leave", tag = "cluster", params(WaitParams),
    request_body = dto::LeaveBody, responses((status = 200, body = dto::Left)))]
pub(crate) async fn leave(
    State(edge): State<Edge>,
    terms: Terms,
    Json(body): Json<dto::LeaveBody>,
) -> Result<Response, Refusal> {
    let promise = Promise {
        deadline_ms: terms.wait()?,
        ..Promise::default()
    };
    may_send_away(&edge, &body)?;
    let orchestra = OrchestraId::of(edge.handle().cluster, "cluster");
    let hand_to = body.hand_to;
    let (told, answer) = edge
        .work(orchestra, Work::Leave { hand_to }, promise)
        .await?;
    let AnswerBody::Left { held_by, wanted } = answer else {
        return Err(Refusal::stopping());
    };
    let ends = held_by.len() >= wanted;
    Ok(told.json(
        StatusCode::OK,
        &dto::Left {
            held_by,
            wanted,
            ends,
        },
    ))
}

fn may_send_away(edge: &Edge, body: &dto::LeaveBody) -> Result<(), Refusal> {
    let node = edge.handle().node;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ms = now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
    let bytes = BASE64.decode(body.signature.as_bytes()).ok();
    let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let key = VerifyingKey::from_bytes(&node.0).ok();
    let signed = key.zip(signature).is_some_and(|(key, signature)| {
        let digest = body.digest(node);
        key.verify_strict(&digest.0, &signature).is_ok()
    });
    if signed && now_ms.abs_diff(body.at_ms) <= LEAVE_FRESH_MS {
        return Ok(());
    }
    let why = if signed {
        "the signature is of another time"
    } else {
        "only who holds this node's key may have it leave"
    };
    Err(Rejection::new(Code::BadSignature, why)
        .hint("`unisono leave --data DIRECTORY` on the node's own machine")
        .into())
}
