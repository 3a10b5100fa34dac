//! Certificates whose time is over: signature and name are asked all the same, as of their last second.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use crate::identity::{Certificate, spoken};

/// The last second in which a certificate counted, if that is over.
fn last_second(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<UnixTime> {
    let validity = Certificate::from_der(certificate.to_vec())
        .validity()
        .ok()?;
    let last =
        UnixTime::since_unix_epoch(core::time::Duration::from_secs(validity.until_ms / 1000));
    (last < now).then_some(last)
}

/// Finishes the handshake with any node of the cluster, ended or not: see `endpoint::admit`.
#[derive(Debug)]
pub(super) struct LateNodes(pub(super) Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for LateNodes {
    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let as_of = last_second(end_entity, now).unwrap_or(now);
        let verified = self.0.verify_client_cert(end_entity, intermediates, as_of);
        verified.map_err(in_words)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Believes the wanted node; whether after the end of its certificate, too, is for whoever calls to
/// say: see `dial::call`.
#[derive(Debug)]
pub(super) struct LateServers {
    pub(super) verifier: Arc<WebPkiServerVerifier>,
    pub(super) may_be_late: bool,
}

impl ServerCertVerifier for LateServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let late = self.may_be_late.then(|| last_second(end_entity, now));
        let verified = self.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            late.flatten().unwrap_or(now),
        );
        verified.map_err(in_words)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// A certificate out of its time is mostly a clock that is off: it is said as such.
fn in_words(error: Error) -> Error {
    let apart = |from: UnixTime, to: UnixTime| spoken((to.as_secs() - from.as_secs()) * 1000);
    match error {
        Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after }) => {
            Error::General(format!(
                "its certificate ended {} ago by the clock of whoever says this: it has to be renewed, or that clock is ahead",
                apart(not_after, time)
            ))
        }
        Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before }) => {
            Error::General(format!(
                "its certificate counts in {} only by the clock of whoever says this: that clock is behind, or its signer's was ahead",
                apart(time, not_before)
            ))
        }
        error => error,
    }
}
