//! The answering side of a renewal.

use std::sync::Arc;

use quinn::{Connection, SendStream};
use tokio::time::timeout;

use super::{Answer, RenewalRefusal, Request, VERSION, decode, encode};
use crate::{
    connection::code,
    endpoint::Shared,
    identity::{PeerIdentity, unix_now_ms},
    limits,
};

/// Answers one node on a connection on which nothing else can be asked.
pub(crate) async fn serve(shared: &Arc<Shared>, connection: Connection, who: PeerIdentity) {
    if shared.is_excluded(who.node) {
        shared.counters.excluded_refused.add(1);
        return connection.close(code::EXCLUDED, b"excluded");
    }
    let Ok(_place) = shared.renewing_now.try_acquire() else {
        shared.counters.renewals_refused.add(1);
        return connection.close(code::OVERLOADED, b"too many renewals at a time, try again");
    };
    let exchange = async {
        if let Ok((answers, mut requests)) = connection.accept_bi().await {
            let most = limits::RENEWAL_REQUEST_BYTES_MAX;
            match requests.read_to_end(most).await {
                Ok(bytes) => answer(shared, &who, answers, &bytes).await,
                // More than any request has: it is told so.
                Err(quinn::ReadToEndError::TooLong) => answer(shared, &who, answers, &[]).await,
                Err(quinn::ReadToEndError::Read(_)) => {}
            }
        }
        // Whoever asks closes when it has read the answer; closing first might cut it off.
        _ = connection.closed().await;
    };
    if timeout(2 * limits::RENEWAL_TIMEOUT, exchange)
        .await
        .is_err()
    {
        connection.close(code::SLOW, b"the renewal took too long");
    }
}

/// Answers one request, within bounded time and memory.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    who: &PeerIdentity,
    mut answers: SendStream,
    bytes: &[u8],
) {
    let exchange = async {
        let counters = &shared.counters;
        let answer = match decide(shared, who, bytes).await {
            Ok(signed) => {
                counters.renewals_signed.add(1);
                tracing::info!(node = %who.node, "a node's certificate was renewed");
                signed
            }
            Err(refusal) => {
                counters.renewals_refused.add(1);
                // Every node asks those first that cannot sign.
                if matches!(refusal, RenewalRefusal::NotAnIssuer { .. }) {
                    tracing::debug!(node = %who.node, "a renewal was asked of this node, which cannot sign");
                } else {
                    tracing::warn!(node = %who.node, code = refusal.code(), "a renewal was refused");
                }
                Answer::Refused(refusal)
            }
        };
        if answers.write_all(&encode(&answer)).await.is_ok() {
            _ = answers.finish();
        }
    };
    if timeout(limits::RENEWAL_TIMEOUT, exchange).await.is_err() {
        shared.counters.renewals_refused.add(1);
    }
}

async fn decide(
    shared: &Shared,
    who: &PeerIdentity,
    bytes: &[u8],
) -> Result<Answer, RenewalRefusal> {
    if let Some(retry_after_ms) = shared.renewals.asked(who.node) {
        return Err(RenewalRefusal::TooOften { retry_after_ms });
    }
    let request: Request = decode(bytes).ok_or(RenewalRefusal::Malformed)?;
    if request.version != VERSION {
        return Err(RenewalRefusal::OtherVersion { spoken: VERSION });
    }
    if request.cluster != shared.cluster {
        return Err(RenewalRefusal::OtherCluster);
    }
    if request.node != who.node {
        return Err(RenewalRefusal::OtherNode);
    }
    let credentials = shared.shown.credentials();
    let Some(authority) = credentials.authority() else {
        let issuers = shared.signer().into_iter().collect();
        return Err(RenewalRefusal::NotAnIssuer { issuers });
    };
    let admission = shared.admission().ok_or(RenewalRefusal::NotReady)?;
    admission.renews(who.node).await?;
    if shared.is_excluded(who.node) {
        let why = "it is excluded".to_owned();
        return Err(RenewalRefusal::NotAMember { why });
    }
    let now_ms = unix_now_ms();
    // The region is that of the certificate before: where a node stands is said once, when it joins.
    let certificate = authority
        .issue_for(who.node, &who.region, now_ms, shared.shown.life_ms())
        .map_err(|error| {
            tracing::error!(node = %who.node, %error, "a certificate could not be made");
            RenewalRefusal::NotReady
        })?;
    Ok(Answer::Signed {
        certificate: certificate.der().to_vec(),
        now_ms,
    })
}
