//! The certificate that this node shows, from one handshake to the next: exchanged without a restart.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustls::{
    SignatureScheme,
    client::ResolvesClientCert,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use tokio::sync::watch;
use unisono_model::{AuthorityId, RootWord};

use crate::{
    identity::{
        Certificate, CertificateError, Credentials, Fingerprint, IdentityError, PeerIdentity,
        Validity, Vouched,
    },
    limits,
};

/// Who this node says it is in the next handshake, in either role, and whom it believes.
#[derive(Debug)]
pub(crate) struct Shown {
    now: RwLock<Now>,
    /// Counts the authorities that were learned of.
    learned: watch::Sender<u64>,
    /// How long certificates live here (ms).
    life_ms: u64,
}

#[derive(Clone, Debug)]
struct Now {
    key: Arc<CertifiedKey>,
    credentials: Arc<Credentials>,
    /// What was found of certificates under these credentials: a handshake and what follows it ask
    /// several times, and a signature is most of what asking costs.
    found: Arc<Mutex<HashMap<Fingerprint, Standing>>>,
}

/// Whom the certificate of another node speaks of, and for how long it counts here.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) identity: PeerIdentity,
    /// As the certificate says itself.
    pub(super) validity: Validity,
    /// The authority that has signed it.
    pub(crate) signer: AuthorityId,
}

impl Shown {
    pub(crate) fn new(credentials: Credentials, life_ms: u64) -> Result<Self, rustls::Error> {
        Ok(Self {
            now: RwLock::new(Now::of(credentials)?),
            learned: watch::Sender::default(),
            life_ms,
        })
    }

    /// Shows this certificate from the next handshake on. Authorities may have been learned of, and a
    /// key put in its place, since these credentials were made: they stay.
    pub(crate) fn exchange(&self, credentials: Credentials) -> Result<(), rustls::Error> {
        let changed = self.change(|now| Ok(Some(credentials.knowing(now))));
        changed.map(|_| ())
    }

    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        self.now().credentials
    }

    pub(crate) fn life_ms(&self) -> u64 {
        self.life_ms
    }

    /// Changes the credentials by what they are now, unless that comes to nothing.
    fn change<E>(
        &self,
        by: impl FnOnce(&Credentials) -> Result<Option<Credentials>, E>,
    ) -> Result<bool, E>
    where
        E: From<rustls::Error>,
    {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let Some(next) = by(&now.credentials)? else {
            return Ok(false);
        };
        *now = Now::of(next)?;
        Ok(true)
    }

    /// Takes an authority in, if the cluster's root has put it in the place of another one. True if
    /// that is news.
    pub(crate) fn learn(
        &self,
        authority: &Certificate,
        vouched: Vouched,
    ) -> Result<bool, CertificateError> {
        let id = authority.authority_id()?;
        let known = self.credentials();
        let is_known = known.authorities().find(&id);
        if is_known.is_some_and(|known| known.certificate == *authority) {
            return Ok(false);
        }
        let mut refused = None;
        let changed = self.change(|now| match now.taking(authority.clone(), vouched) {
            Ok(next) => Ok::<_, rustls::Error>(next),
            Err(error) => {
                refused = Some(error);
                Ok(None)
            }
        });
        if let Some(error) = refused {
            return Err(error);
        }
        let is_news = changed.map_err(|error| CertificateError::Untrusted(error.to_string()))?;
        if is_news {
            tracing::info!(authority = %id, "another authority of this cluster is known from now on");
            self.learned.send_modify(|count| *count += 1);
        }
        Ok(is_news)
    }

    /// Takes in that another root of rights stands, whose words about authorities count.
    pub(crate) fn hear(&self, word: &RootWord) -> bool {
        let changed = self.change(|now| Ok::<_, rustls::Error>(now.hearing(word)));
        changed.unwrap_or(false)
    }

    /// Learns what a peer shows beside its own certificate. What the root has not named is passed over:
    /// nothing is believed by it.
    pub(crate) fn learn_from(&self, chain: &[CertificateDer<'_>]) {
        for der in chain.iter().take(limits::CHAIN_MAX) {
            let shown = Certificate::from_der(der.to_vec());
            if let Err(error) = self.learn(&shown, Vouched::Shown) {
                tracing::debug!(%error, "a certificate beside a node's own is no authority's here");
            }
        }
    }

    /// Tells of each authority that is learned of.
    pub(crate) fn learned(&self) -> watch::Receiver<u64> {
        self.learned.subscribe()
    }

    /// Puts the key of the authority that signs now in its place, if it was drawn in this directory.
    pub(crate) fn promote(&self, directory: &Path) -> Result<bool, IdentityError> {
        let Some(held) = self.credentials().promoted(directory)? else {
            return Ok(false);
        };
        self.change(|now| Ok(Some(now.clone().holding(held))))
            .map_err(|error: rustls::Error| IdentityError::Unmakeable(error.to_string()))
    }

    /// Whose certificate this is and for how long it counts, whether its time is over or not.
    ///
    /// # Errors
    /// Why nobody who is known here vouches for it.
    pub(crate) fn standing(&self, certificate: &Certificate) -> Result<Standing, CertificateError> {
        let Now {
            credentials, found, ..
        } = self.now();
        let fingerprint = certificate.fingerprint();
        let known = lock(&found).get(&fingerprint).cloned();
        if let Some(standing) = known {
            return Ok(standing);
        }
        let (signer, identity) = credentials.authorities().signer_of(certificate)?;
        let standing = Standing {
            identity,
            validity: certificate.validity()?,
            signer: signer.id,
        };
        let mut found = lock(&found);
        if found.len() >= limits::STANDINGS_MAX {
            found.clear();
        }
        found.insert(fingerprint, standing.clone());
        Ok(standing)
    }

    /// From when to when such a certificate counts: what an authority has signed ends with it.
    pub(crate) fn validity(&self, standing: &Standing) -> Validity {
        let credentials = self.credentials();
        let end_ms = credentials.authorities().end_ms(&standing.signer);
        Validity {
            until_ms: standing.validity.until_ms.min(end_ms.unwrap_or(u64::MAX)),
            ..standing.validity
        }
    }

    /// Whether the authority that has signed such a certificate has come to its end.
    pub(crate) fn is_of_ended(&self, standing: &Standing, now_ms: u64) -> bool {
        let end_ms = self.credentials().authorities().end_ms(&standing.signer);
        end_ms.is_some_and(|end_ms| end_ms < now_ms)
    }

    /// Whether the ended certificate of another node is taken at `now_ms`. Who has not been able to
    /// renew its own, or to have one of the authority that signs, is where nobody signs; to hold it
    /// against others there would end honest work.
    fn takes_ended(&self, now_ms: u64) -> bool {
        let own = self.credentials();
        own.validity().is_overdue(self.life_ms, now_ms) || !own.has_moved()
    }

    /// Whether a node with such a certificate may speak as a member at `now_ms`.
    pub(crate) fn takes(&self, standing: &Standing, now_ms: u64) -> bool {
        !self.validity(standing).has_ended(now_ms) || self.takes_ended(now_ms)
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
            found: Arc::default(),
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
