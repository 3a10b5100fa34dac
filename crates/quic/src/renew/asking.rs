//! The asking side of a renewal.

use quinn::{Connection, ConnectionError};
use tokio::time::timeout;
use unisono_model::NodeId;

use super::{Answer, Renewal, RenewalError, RenewalRefusal, Request, VERSION, decode, encode};
use crate::{
    connection::code,
    endpoint::Shared,
    identity::{
        Certificate, CertificateError, Credentials, IdentityError, server_name, unix_now_ms,
    },
    limits,
};

/// Asks a member: over the live connection, or over one that is made for it.
pub(crate) async fn ask(shared: &Shared, node: NodeId) -> Result<Renewal, RenewalError> {
    let answered = reach(shared, node).await;
    match &answered {
        Ok(_) => shared.set_signer(node),
        // Its word is good for a try: who answers there has to show the certificate of that node. Of
        // nodes that it may have made up no notice is taken.
        Err(RenewalError::Refused(RenewalRefusal::NotAnIssuer { issuers })) => {
            for (issuer, addr) in issuers.iter().take(1) {
                if let Some(peer) = shared.peer(*issuer) {
                    peer.called_from(*addr);
                }
            }
        }
        Err(_) => {}
    }
    answered
}

async fn reach(shared: &Shared, node: NodeId) -> Result<Renewal, RenewalError> {
    let silent = |why: &str| RenewalError::Unreachable(why.to_owned());
    let peer = shared
        .peer(node)
        .ok_or_else(|| silent("nothing is known of it"))?;
    let mut last = silent("no address of it is known");
    if let Some(connection) = peer.connection() {
        match exchange(shared, &connection).await {
            // It may be closing, since the certificate here has ended.
            Err(silence @ RenewalError::Unreachable(_)) => last = silence,
            answered => return answered,
        }
    }
    for addr in peer.places() {
        shared.learn(node, addr);
        let config = shared.renewing.clone();
        let dialled = shared
            .endpoint
            .connect_with(config, addr, &server_name(node));
        let connecting = match dialled {
            Ok(connecting) => connecting,
            Err(error) => {
                last = silent(&error.to_string());
                continue;
            }
        };
        match timeout(limits::HANDSHAKE_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => {
                let answered = exchange(shared, &connection).await;
                connection.close(code::CLOSED, b"done");
                return answered;
            }
            Ok(Err(error)) => last = silent(&format!("{addr}: {error}")),
            Err(_) => last = silent(&format!("{addr} did not answer in time")),
        }
    }
    Err(last)
}

async fn exchange(shared: &Shared, connection: &Connection) -> Result<Renewal, RenewalError> {
    let credentials = shared.shown.credentials();
    let silent = |why: String| RenewalError::Unreachable(why);
    let asked = async {
        // An older node allows no stream of two ways: this waits until the time is over.
        let (mut requests, mut answers) = connection.open_bi().await.map_err(|e| told(&e))?;
        let request = encode(&Request {
            version: VERSION,
            cluster: credentials.cluster(),
            node: credentials.node(),
        });
        if requests.write_all(&request).await.is_ok() {
            _ = requests.finish();
        }
        let bytes = answers.read_to_end(limits::RENEWAL_ANSWER_BYTES_MAX).await;
        bytes.map_err(|error| match connection.close_reason() {
            Some(closed) => told(&closed),
            None => silent(error.to_string()),
        })
    };
    let bytes = timeout(limits::RENEWAL_TIMEOUT, asked).await;
    let bytes = bytes.map_err(|_| silent("no answer in time".to_owned()))??;
    match decode(&bytes) {
        None => Err(RenewalError::BadAnswer("it cannot be read".to_owned())),
        Some(Answer::Refused(refusal)) => Err(RenewalError::Refused(refusal)),
        Some(Answer::Signed {
            certificate,
            now_ms,
        }) => accept(&credentials, certificate, now_ms),
    }
}

fn told(error: &ConnectionError) -> RenewalError {
    if let ConnectionError::ApplicationClosed(close) = error
        && close.error_code == code::EXCLUDED
    {
        let why = "it turns this node away: whoever was removed is not renewed".to_owned();
        return RenewalError::Refused(RenewalRefusal::NotAMember { why });
    }
    RenewalError::Unreachable(error.to_string())
}

/// Takes the certificate only if the authority made it for this key, cluster and region, and if it
/// counts now.
fn accept(
    credentials: &Credentials,
    certificate: Vec<u8>,
    signer_ms: u64,
) -> Result<Renewal, RenewalError> {
    let now_ms = unix_now_ms();
    let clock_apart_ms = i64::try_from(i128::from(signer_ms) - i128::from(now_ms));
    let clock_apart_ms = clock_apart_ms.unwrap_or(i64::MAX);
    let renewed = credentials.renewed(Certificate::from_der(certificate), now_ms);
    let renewed = renewed.map_err(|error| match error {
        IdentityError::Certificate(
            CertificateError::Ended { .. } | CertificateError::NotYet { .. },
        ) => RenewalError::Clock {
            apart_ms: clock_apart_ms,
        },
        error => RenewalError::BadAnswer(error.to_string()),
    })?;
    Ok(Renewal {
        credentials: renewed,
        clock_apart_ms,
    })
}
