//! Who is believed in a handshake: a node that one of the cluster's authorities vouches for, whether
//! its certificate's time is over or not.
//!
//! The signature on a certificate is checked once, in [`Shown::standing`], with the rules of RFC 5280
//! as WebPKI has them and without intermediate authorities; what follows the handshake asks there
//! again, for nothing. Only the time and the name are looked at here.

use std::sync::Arc;

use rustls::{
    DistinguishedName, Error,
    client::danger::{ServerCertVerified, ServerCertVerifier},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{Shown, Standing, signed_with_ed25519};
use crate::identity::{Certificate, CertificateError};

/// Finishes the handshake with any node of the cluster, ended or not: see `endpoint::admit`. Who is
/// believed follows from the authorities that are known at the time, those among them that the peer
/// shows itself and the cluster's root has named.
#[derive(Debug)]
pub(super) struct Callers(pub(super) Arc<Shown>);

impl ClientCertVerifier for Callers {
    /// A joiner has no certificate yet.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// A node has one certificate and needs no hint which to show.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificate = Certificate::from_der(end_entity.to_vec());
        let standing = vouched(&self.0, &certificate, intermediates)?;
        match standing.validity.counts(now_ms(now)) {
            // Whoever calls may be here to renew it.
            Err(CertificateError::Ended { .. }) | Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(error) => Err(refused(&error)),
        }
    }

    signed_with_ed25519!();
}

/// Believes the wanted node; whether after the end of its certificate, too, is for whoever calls to
/// say: see `dial::call`.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) shown: Arc<Shown>,
    pub(super) may_be_late: bool,
}

impl ServerCertVerifier for Wanted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = Certificate::from_der(end_entity.to_vec());
        let standing = vouched(&self.shown, &certificate, intermediates)?;
        let named = certificate.is_for(server_name);
        named.map_err(|error| refused(&error))?;
        match standing.validity.counts(now_ms(now)) {
            Err(CertificateError::Ended { .. }) if self.may_be_late => {}
            Err(error) => return Err(refused(&error)),
            Ok(()) => {}
        }
        if !self.may_be_late && !self.shown.takes(&standing, now_ms(now)) {
            let why = "its certificate is of an authority whose time is over: it has to be renewed";
            return Err(Error::General(why.to_owned()));
        }
        Ok(ServerCertVerified::assertion())
    }

    signed_with_ed25519!();
}

/// Learns which authorities the peer shows beside its certificate, and then who has signed that.
fn vouched(
    shown: &Shown,
    certificate: &Certificate,
    beside: &[CertificateDer<'_>],
) -> Result<Standing, Error> {
    shown.learn_from(beside);
    let standing = shown.standing(certificate);
    standing.map_err(|error| refused(&error))
}

fn now_ms(now: UnixTime) -> u64 {
    now.as_secs().saturating_mul(1000)
}

fn refused(error: &CertificateError) -> Error {
    Error::General(format!("its certificate is refused: {error}"))
}
