//! TLS 1.3 for both roles: which certificates are shown, and which are believed.

use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::{Resumption, WebPkiServerVerifier, danger},
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};

use crate::identity::{Certificate, Credentials, Fingerprint};

/// The protocol between nodes.
pub(crate) const ALPN: &[u8] = b"unisono/1";
/// The protocol between a joiner, who has no certificate yet, and a node.
pub(crate) const JOIN_ALPN: &[u8] = b"unisono-join/1";

/// *ring*, stated once so that no process-wide default can change it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(rustls::crypto::ring::default_provider()))
        .clone()
}

/// A node that answers. A certificate is asked for and, if shown, must be the cluster's; a peer that
/// shows none may still finish the handshake, because a joiner has none. Which of the two protocols
/// such a peer may speak is decided in one place, `endpoint::admit`.
pub(crate) fn server(credentials: &Credentials) -> Result<QuicServerConfig, rustls::Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(credentials)?, provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain(credentials), secret(credentials))?;
    config.alpn_protocols = vec![ALPN.to_vec(), JOIN_ALPN.to_vec()];
    // A resumed session would carry an identity past a change of trust; a full handshake is cheap here.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    QuicServerConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))
}

/// A node that dials another: the server name is the wanted node's id, so that the handshake itself
/// fails unless that very node answers.
pub(crate) fn client(credentials: &Credentials) -> Result<QuicClientConfig, rustls::Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(credentials)?, provider())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain(credentials), secret(credentials))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    QuicClientConfig::try_from(config).map_err(|error| rustls::Error::General(error.to_string()))
}

/// A joiner: no certificate, and one pinned authority.
pub(crate) fn joiner(pin: Fingerprint) -> Result<QuicClientConfig, rustls::Error> {
    let mut config = rustls::ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority(pin)))
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

fn roots(credentials: &Credentials) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(credentials.authority_certificate().rustls().into_owned())?;
    Ok(Arc::new(roots))
}

/// The authority's certificate goes along, though a TLS server may leave out the root: joiners know
/// only its fingerprint.
fn chain(credentials: &Credentials) -> Vec<CertificateDer<'static>> {
    vec![
        credentials.certificate().rustls().into_owned(),
        credentials.authority_certificate().rustls().into_owned(),
    ]
}

fn secret(credentials: &Credentials) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(credentials.key().to_pkcs8())
}

/// Believes any node vouched for by the authority with one fingerprint, and nobody else: there is no
/// trust on first use. Which node answers does not matter to a joiner.
#[derive(Debug)]
struct PinnedAuthority(Fingerprint);

impl danger::ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<danger::ServerCertVerified, rustls::Error> {
        let authority = pinned(intermediates, self.0).ok_or(rustls::Error::InvalidCertificate(
            rustls::CertificateError::UnknownIssuer,
        ))?;
        Certificate::from_der(end_entity.to_vec())
            .vouched_by(&authority, now.as_secs().saturating_mul(1000))
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<danger::HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::PeerIncompatible(
            rustls::PeerIncompatible::Tls12NotOffered,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<danger::HandshakeSignatureValid, rustls::Error> {
        let algorithms = provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}
