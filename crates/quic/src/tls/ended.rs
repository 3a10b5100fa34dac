//! Certificates whose time is over: signature and name are asked all the same, as of their last second.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{Shown, provider};
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

/// Finishes the handshake with any node of the cluster, ended or not: see `endpoint::admit`. Who is
/// believed follows from the authorities that are known at the time, those among them that the peer
/// shows itself and the cluster's root has named.
#[derive(Debug)]
pub(super) struct LateNodes {
    pub(super) shown: Arc<Shown>,
    /// Says what does not depend on who is known: schemes, and the name that all authorities bear.
    pub(super) first: Arc<dyn ClientCertVerifier>,
}

impl LateNodes {
    pub(super) fn new(shown: &Arc<Shown>) -> Result<Self, Error> {
        Ok(Self {
            shown: Arc::clone(shown),
            first: Self::now(shown)?,
        })
    }

    fn now(shown: &Shown) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        WebPkiClientVerifier::builder_with_provider(shown.roots()?, provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }
}

impl ClientCertVerifier for LateNodes {
    fn client_auth_mandatory(&self) -> bool {
        self.first.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.first.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.shown.learn_from(intermediates);
        let as_of = last_second(end_entity, now).unwrap_or(now);
        let verifier = Self::now(&self.shown)?;
        let verified = verifier.verify_client_cert(end_entity, intermediates, as_of);
        verified.map_err(in_words)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}

/// Believes the wanted node; whether after the end of its certificate, too, is for whoever calls to
/// say: see `dial::call`.
#[derive(Debug)]
pub(super) struct LateServers {
    shown: Arc<Shown>,
    first: Arc<WebPkiServerVerifier>,
    may_be_late: bool,
}

impl LateServers {
    pub(super) fn new(shown: &Arc<Shown>, may_be_late: bool) -> Result<Self, Error> {
        Ok(Self {
            shown: Arc::clone(shown),
            first: Self::now(shown)?,
            may_be_late,
        })
    }

    fn now(shown: &Shown) -> Result<Arc<WebPkiServerVerifier>, Error> {
        WebPkiServerVerifier::builder_with_provider(shown.roots()?, provider())
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }

    /// Whether the authority of a certificate has come to its end, where that is looked at.
    fn is_of_ended(&self, end_entity: &CertificateDer<'_>, now: UnixTime) -> bool {
        let certificate = Certificate::from_der(end_entity.to_vec());
        let standing = self.shown.standing(&certificate);
        let takes = |standing| self.shown.takes(&standing, now.as_secs() * 1000);
        !self.may_be_late && !standing.is_some_and(takes)
    }
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
        self.shown.learn_from(intermediates);
        let late = self.may_be_late.then(|| last_second(end_entity, now));
        let verified = Self::now(&self.shown)?.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            late.flatten().unwrap_or(now),
        );
        let verified = verified.map_err(in_words)?;
        if self.is_of_ended(end_entity, now) {
            let why = "its certificate is of an authority whose time is over: it has to be renewed";
            return Err(Error::General(why.to_owned()));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
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
