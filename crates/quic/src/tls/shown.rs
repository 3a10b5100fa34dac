//! The certificate that this node shows, from one handshake to the next: exchanged without a restart.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::identity::{Credentials, Validity};

/// Who this node says it is in the next handshake, in either role.
#[derive(Debug)]
pub(crate) struct Shown {
    now: RwLock<Now>,
    /// How long certificates live here (ms).
    life_ms: u64,
}

#[derive(Clone, Debug)]
struct Now {
    key: Arc<CertifiedKey>,
    credentials: Arc<Credentials>,
}

impl Shown {
    pub(crate) fn new(credentials: Credentials, life_ms: u64) -> Result<Self, rustls::Error> {
        Ok(Self {
            now: RwLock::new(Now::of(credentials)?),
            life_ms,
        })
    }

    /// Shows these from the next handshake on.
    pub(crate) fn exchange(&self, credentials: Credentials) -> Result<(), rustls::Error> {
        let next = Now::of(credentials)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        self.now().credentials
    }

    pub(crate) fn life_ms(&self) -> u64 {
        self.life_ms
    }

    /// Whether the ended certificate of another node is taken at `now_ms`. Who has not been able to
    /// renew its own is where nobody signs; to hold it against others there would end honest work.
    fn takes_ended(&self, now_ms: u64) -> bool {
        let own = self.credentials().validity();
        own.is_overdue(self.life_ms, now_ms)
    }

    /// Whether a node with a certificate of this time may speak as a member at `now_ms`.
    pub(crate) fn takes(&self, validity: Validity, now_ms: u64) -> bool {
        !validity.has_ended(now_ms) || self.takes_ended(now_ms)
    }

    fn now(&self) -> Now {
        let now = self.now.read().unwrap_or_else(PoisonError::into_inner);
        now.clone()
    }
}

impl Now {
    fn of(credentials: Credentials) -> Result<Self, rustls::Error> {
        let secret = PrivateKeyDer::Pkcs8(credentials.key().to_pkcs8());
        let key = CertifiedKey::from_der(chain(&credentials), secret, &super::provider())?;
        Ok(Self {
            key: Arc::new(key),
            credentials: Arc::new(credentials),
        })
    }
}

/// The authority's certificate goes along, though a TLS server may leave out the root: joiners know
/// only its fingerprint.
fn chain(credentials: &Credentials) -> Vec<CertificateDer<'static>> {
    vec![
        credentials.certificate().rustls().into_owned(),
        credentials.authority_certificate().rustls().into_owned(),
    ]
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now().key)
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now().key)
    }

    fn has_certs(&self) -> bool {
        true
    }
}
