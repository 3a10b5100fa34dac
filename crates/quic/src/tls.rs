//! TLS 1.3 for both roles: which certificates are shown, and which are believed.

mod believed;
mod shown;

use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    CipherSuite, DistinguishedName,
    client::{Resumption, danger},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::NoServerSessionStorage,
};

use unisono_model::ClusterId;

use crate::identity::{Certificate, Fingerprint};
use believed::{Callers, Wanted};
pub(crate) use shown::{Shown, Standing};

/// What everybody asks of a signature in a handshake, whomever they believe: TLS 1.3, as QUIC has nothing
/// before it (RFC 9001, section 4.2), and Ed25519, as everybody here signs with that.
macro_rules! signed_with_ed25519 {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &rustls::pki_types::CertificateDer<'_>,
            _signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let why = rustls::PeerIncompatible::Tls12NotOffered;
            Err(rustls::Error::PeerIncompatible(why))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &rustls::pki_types::CertificateDer<'_>,
            signature: &rustls::DigitallySignedStruct,
        ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
            let algorithms = $crate::tls::provider().signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
            vec![rustls::SignatureScheme::ED25519]
        }
    };
}
use signed_with_ed25519;

/// The protocol between nodes.
pub(crate) const ALPN: &[u8] = b"unisono/1";
/// The protocol between a joiner, who has no certificate yet, and a node.
pub(crate) const JOIN_ALPN: &[u8] = b"unisono-join/1";
/// The protocol between a node whose certificate may have ended and one that may sign the next.
pub(crate) const RENEW_ALPN: &[u8] = b"unisono-renew/1";

/// *ring*, stated once so that no process-wide default can change it. AES-128 comes first: with X25519
/// and Ed25519 more bits protect nothing more, and processors hash its SHA-256 faster than SHA-384.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let make = || {
        let mut provider = rustls::crypto::ring::default_provider();
        let first = CipherSuite::TLS13_AES_128_GCM_SHA256;
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != first);
        Arc::new(provider)
    };
    PROVIDER.get_or_init(make).clone()
}

/// A node that answers. A certificate is asked for and, if shown, must be the cluster's; a peer that
/// shows none may still finish the handshake, because a joiner has none; so may one whose certificate
/// has ended, because it may renew it. Which of the protocols such a peer may speak is decided in one
/// place, `endpoint::admit`.
pub(crate) fn server(shown: &Arc<Shown>) -> Result<QuicServerConfig, rustls::Error> {
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Callers(Arc::clone(shown))))
        .with_cert_resolver(Arc::clone(shown) as _);
    config.alpn_protocols = vec![ALPN.to_vec(), JOIN_ALPN.to_vec(), RENEW_ALPN.to_vec()];
    // A resumed session would carry an identity past a change of trust; a full handshake is cheap here.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    QuicServerConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))
}

/// A node that dials another: the server name is the wanted node's id, so that the handshake itself
/// fails unless that very node answers.
pub(crate) fn client(shown: &Arc<Shown>) -> Result<QuicClientConfig, rustls::Error> {
    dialling(shown, ALPN, true)
}

/// A node that dials one that may sign its next certificate. That one's own must not have ended.
pub(crate) fn renewing(shown: &Arc<Shown>) -> Result<QuicClientConfig, rustls::Error> {
    dialling(shown, RENEW_ALPN, false)
}

fn dialling(
    shown: &Arc<Shown>,
    protocol: &[u8],
    may_be_late: bool,
) -> Result<QuicClientConfig, rustls::Error> {
    let verifier = Wanted {
        shown: Arc::clone(shown),
        may_be_late,
    };
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::clone(shown) as _);
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))
}

/// A joiner: no certificate, and one pinned authority.
pub(crate) fn joiner(
    pin: Fingerprint,
    cluster: ClusterId,
) -> Result<QuicClientConfig, rustls::Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority(pin, cluster)))
        .with_no_client_auth();
    config.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))
}

/// The certificate with this fingerprint among those that a server showed beside its own.
pub(crate) fn pinned(chain: &[CertificateDer<'_>], pin: Fingerprint) -> Option<Certificate> {
    chain
        .iter()
        .map(|der| Certificate::from_der(der.to_vec()))
        .find(|certificate| certificate.fingerprint() == pin)
}

/// Believes any node vouched for by the authority with one fingerprint, and nobody else: there is no
/// trust on first use. Which node answers does not matter to a joiner.
#[derive(Debug)]
struct PinnedAuthority(Fingerprint, ClusterId);

impl PinnedAuthority {
    /// Why nobody is believed. What a stranger shows is believed in nothing; but an invite from before
    /// the authority was changed is the likelier reason.
    fn stranger(&self, intermediates: &[CertificateDer<'_>]) -> rustls::Error {
        let of_its_cluster = |der: &CertificateDer<'_>| {
            let shown = Certificate::from_der(der.to_vec());
            shown.authority_cluster() == Ok(self.1)
        };
        if intermediates.iter().any(of_its_cluster) {
            return rustls::Error::General(OTHER_AUTHORITY.to_owned());
        }
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)
    }
}

/// Said of whoever shows another authority under the name of the same cluster.
const OTHER_AUTHORITY: &str = "it shows another authority of that name: if the cluster has changed its authority since the invite was made, ask for a new invite";

impl danger::ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<danger::ServerCertVerified, rustls::Error> {
        let authority =
            pinned(intermediates, self.0).ok_or_else(|| self.stranger(intermediates))?;
        Certificate::from_der(end_entity.to_vec())
            .vouched_by(&authority, now.as_secs().saturating_mul(1000))
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(danger::ServerCertVerified::assertion())
    }

    signed_with_ed25519!();

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
