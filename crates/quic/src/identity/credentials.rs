//! All that a node needs to speak in a cluster, in memory and in a directory.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use unisono_model::{AgentId, AuthorityId, ClusterId, NodeId, RootWord};

use super::{
    Authorities, Certificate, CertificateError, ClusterAuthority, IdentityError, KnownAuthority,
    NodeKey, PeerIdentity, Region, Validity, Vouched, files,
};

/// The node's secret key, PKCS#8 in PEM.
pub const NODE_KEY_FILE: &str = "node.key";
/// The node's certificate in PEM.
pub const NODE_CERTIFICATE_FILE: &str = "node.crt";
/// The certificates of the authorities in PEM, the one that signs first.
pub const CA_CERTIFICATE_FILE: &str = "ca.crt";
/// The authority's secret key, PKCS#8 in PEM; only on nodes that may admit others.
pub const CA_KEY_FILE: &str = "ca.key";

/// How the file of a key begins that a passphrase protects.
pub const PROTECTED_KEY: &str = "-----BEGIN UNISONO PROTECTED KEY-----";
/// The key of an authority that is to take the place of the one in [`CA_KEY_FILE`], until it has.
pub const CA_NEXT_KEY_FILE: &str = "ca.next.key";
/// Its certificate in PEM.
pub const CA_NEXT_CERTIFICATE_FILE: &str = "ca.next.crt";

/// A node's key, its certificate, the authority's certificate and, on an issuer, the authority.
#[derive(Clone, Debug)]
pub struct Credentials {
    key: NodeKey,
    identity: PeerIdentity,
    certificate: Certificate,
    validity: Validity,
    /// The authority that has signed the certificate.
    signer: KnownAuthority,
    authorities: Authorities,
    /// The authority whose key is held here, whether or not it is the one that signs.
    held: Option<ClusterAuthority>,
}

impl Credentials {
    /// Founds a cluster: a fresh authority, and this node as its first member.
    /// `now_ms` is in milliseconds since the Unix epoch.
    pub fn found(
        cluster: ClusterId,
        key: NodeKey,
        region: &Region,
        now_ms: u64,
    ) -> Result<Self, IdentityError> {
        let authority = ClusterAuthority::found(cluster, now_ms)?;
        let certificate = authority.issue(key.id(), region, now_ms)?;
        let root = authority.certificate().clone();
        Self::new(key, certificate, root, Some(authority), now_ms)
    }

    /// Puts the parts together and checks that they belong together at `now_ms` (milliseconds since
    /// the Unix epoch): the authority vouches for the certificate, the certificate for the key.
    pub fn new(
        key: NodeKey,
        certificate: Certificate,
        authority_certificate: Certificate,
        authority: Option<ClusterAuthority>,
        now_ms: u64,
    ) -> Result<Self, IdentityError> {
        if authority
            .as_ref()
            .is_some_and(|held| *held.certificate() != authority_certificate)
        {
            return Err(IdentityError::Mismatch {
                what: "authority's key and certificate",
            });
        }
        let authorities = Authorities::of(authority_certificate);
        let authorities = authorities.map_err(IdentityError::Certificate)?;
        Self::among(key, certificate, authorities, authority, now_ms)
    }

    /// The same among all authorities that are known.
    fn among(
        key: NodeKey,
        certificate: Certificate,
        authorities: Authorities,
        held: Option<ClusterAuthority>,
        now_ms: u64,
    ) -> Result<Self, IdentityError> {
        let signer = authorities.signer_of(&certificate);
        let (signer, _) = signer.map_err(IdentityError::Certificate)?;
        let identity = certificate
            .vouched_by(&signer.certificate, now_ms)
            .map_err(IdentityError::Certificate)?;
        if identity.node != key.id() {
            return Err(IdentityError::Mismatch {
                what: "node's key and certificate",
            });
        }
        let validity = certificate.validity();
        Ok(Self {
            key,
            identity,
            validity: validity.map_err(IdentityError::Certificate)?,
            certificate,
            signer: signer.clone(),
            authorities,
            held,
        })
    }

    /// Reads them from `directory`. With `cluster`, credentials of another cluster are refused. A
    /// certificate that has ended is read all the same: with it a node can ask for the next one, and
    /// for nothing else while others have theirs.
    pub fn load(directory: &Path, cluster: Option<ClusterId>) -> Result<Self, IdentityError> {
        files::check_directory(directory)?;
        let key = Self::load_key(directory)?;
        let certificate = load_certificate(directory, NODE_CERTIFICATE_FILE)?;
        let authorities = load_authorities(directory)?;
        let held = load_held(directory, &authorities)?;
        let found = authorities.cluster();
        if let Some(expected) = cluster.filter(|expected| *expected != found) {
            return Err(IdentityError::OtherCluster { expected, found });
        }
        let mut at_ms = unix_now_ms();
        let signer = authorities.signer_of(&certificate);
        let (signer, _) = signer.map_err(IdentityError::Certificate)?;
        let vouched = certificate.vouched_by(&signer.certificate, at_ms);
        if let Err(CertificateError::Ended { ago_ms }) = vouched {
            at_ms = at_ms.saturating_sub(ago_ms + 1000);
        }
        Self::among(key, certificate, authorities, held, at_ms)
    }

    /// The same, where the words of this root on authorities count.
    #[must_use]
    pub fn under(mut self, root: Option<AgentId>) -> Self {
        self.authorities = self.authorities.under(root);
        self
    }

    /// The same, where this key names other roots.
    #[must_use]
    pub fn named_by(mut self, recovery: Option<AgentId>) -> Self {
        self.authorities = self.authorities.named_by(recovery);
        self
    }

    /// The same, where another root stands; `None` if that was known.
    #[must_use]
    pub fn hearing(&self, word: &RootWord) -> Option<Self> {
        let mut next = self.clone();
        next.authorities.hear(word).then_some(next)
    }

    /// The same, with an authority taken in that somebody has shown; `None` if it was known.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn taking(
        &self,
        authority: Certificate,
        vouched: Vouched,
    ) -> Result<Option<Self>, CertificateError> {
        let mut next = self.clone();
        let is_news = next.authorities.take(authority, vouched)?;
        Ok(is_news.then_some(next))
    }

    /// The authority whose key was drawn in `directory` to take the place of the one before, if it has
    /// become the one that signs. Its files are put in place, each whole, so that a crash leaves one of
    /// the two keys, and certificates of both.
    pub(crate) fn promoted(
        &self,
        directory: &Path,
    ) -> Result<Option<ClusterAuthority>, IdentityError> {
        let key = match load_secret(directory, CA_NEXT_KEY_FILE) {
            Ok(key) => key,
            Err(IdentityError::Missing { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        let current = self.authorities.current();
        if current.id.0 != key.id().0 {
            return Ok(None);
        }
        let held = ClusterAuthority::from_parts(key, current.certificate.clone())?;
        self.save_authorities(directory)?;
        files::replace(&directory.join(CA_KEY_FILE), &held.key().to_pem())?;
        for name in [CA_NEXT_CERTIFICATE_FILE, CA_NEXT_KEY_FILE] {
            files::remove(&directory.join(name))?;
        }
        Ok(Some(held))
    }

    /// The same, with this authority's key.
    pub(crate) fn holding(mut self, held: ClusterAuthority) -> Self {
        self.held = Some(held);
        self
    }

    /// The same, with the authorities that others know, and the key that they hold.
    pub(crate) fn knowing(mut self, others: &Self) -> Self {
        self.authorities = others.authorities.clone();
        self.held.clone_from(&others.held);
        self
    }

    /// The same with another certificate, for the same key, cluster and region and of the authority
    /// that signs, that counts at `now_ms` (milliseconds since the Unix epoch).
    pub fn renewed(&self, certificate: Certificate, now_ms: u64) -> Result<Self, IdentityError> {
        let next = Self::among(
            self.key.clone(),
            certificate,
            self.authorities.clone(),
            self.held.clone(),
            now_ms,
        )?;
        if !next.has_moved() {
            return Err(IdentityError::Certificate(CertificateError::Former));
        }
        if next.identity != self.identity {
            return Err(IdentityError::Mismatch {
                what: "node's certificate and the one before it",
            });
        }
        Ok(next)
    }

    /// Writes the certificate, and nothing else, over the one that lies in `directory`: a crash leaves
    /// the old one or this one, whole.
    pub fn save_certificate(&self, directory: &Path) -> Result<(), IdentityError> {
        let path = directory.join(NODE_CERTIFICATE_FILE);
        files::replace(&path, &self.certificate.to_pem())
    }

    /// Writes the authorities that are known over those that lie in `directory`, whole or not at all.
    pub fn save_authorities(&self, directory: &Path) -> Result<(), IdentityError> {
        let path = directory.join(CA_CERTIFICATE_FILE);
        files::replace(&path, &self.authorities.to_pem())
    }

    /// Reads the node's key alone, for a join that was interrupted before it had a certificate.
    pub fn load_key(directory: &Path) -> Result<NodeKey, IdentityError> {
        load_secret(directory, NODE_KEY_FILE)
    }

    /// The same with the key of an authority that is known here, in PEM: where its file is protected.
    pub fn with_authority(self, authority_pem: &str) -> Result<Self, IdentityError> {
        let key = NodeKey::from_pem(authority_pem).ok_or(IdentityError::Mismatch {
            what: "authority's key and PEM (PKCS#8)",
        })?;
        let known = self.authorities.of_key(&AuthorityId(key.id().0))?;
        let held = ClusterAuthority::from_parts(key, known.certificate.clone())?;
        Ok(Self {
            held: Some(held),
            ..self
        })
    }

    /// Writes the node's key alone, before a join: an interrupted join is repeated with the same key,
    /// so the invite that it used still counts.
    pub fn save_key(directory: &Path, key: &NodeKey) -> Result<(), IdentityError> {
        files::make_directory(directory)?;
        save_secret(directory, NODE_KEY_FILE, key)
    }

    /// Writes all of them to `directory` (mode 0700, files 0600), each file whole or not at all.
    /// Files that are there already and differ are never overwritten. Saving again is harmless.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        Self::save_key(directory, &self.key)?;
        let path = directory.join(CA_CERTIFICATE_FILE);
        files::write(&path, &self.authorities.to_pem())?;
        if let Some(authority) = &self.held {
            save_secret(directory, CA_KEY_FILE, authority.key())?;
        }
        // Last, since whoever finds it may rely on the rest.
        save_certificate(directory, NODE_CERTIFICATE_FILE, &self.certificate)
    }

    /// Who this node is.
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// Which cluster it belongs to.
    pub fn cluster(&self) -> ClusterId {
        self.identity.cluster
    }

    /// Where it stands.
    pub fn region(&self) -> &Region {
        &self.identity.region
    }

    /// Its secret key.
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// From when to when its certificate counts.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// The certificate of the authority that has signed this node's.
    pub fn authority_certificate(&self) -> &Certificate {
        &self.signer.certificate
    }

    /// The authority that has signed this node's certificate.
    pub fn signer(&self) -> &KnownAuthority {
        &self.signer
    }

    /// All authorities that are known here.
    pub fn authorities(&self) -> &Authorities {
        &self.authorities
    }

    /// Whether its certificate is of the authority that signs.
    pub fn has_moved(&self) -> bool {
        self.signer.id == self.authorities.current().id
    }

    /// The authority that signs, if this node holds its key and may admit others.
    pub fn authority(&self) -> Option<&ClusterAuthority> {
        let current = self.authorities.current().id;
        self.held.as_ref().filter(|held| held.id() == current)
    }

    /// The authority whose key this node holds, whether it signs or another has taken its place.
    pub fn held(&self) -> Option<&ClusterAuthority> {
        self.held.as_ref()
    }
}

/// Milliseconds since the Unix epoch by the machine's clock; 0 for a clock that stands before it.
pub(crate) fn unix_now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

fn save_secret(directory: &Path, name: &str, key: &NodeKey) -> Result<(), IdentityError> {
    files::write(&directory.join(name), &key.to_pem())
}

fn load_secret(directory: &Path, name: &str) -> Result<NodeKey, IdentityError> {
    let path = directory.join(name);
    NodeKey::from_pem(&files::read(&path)?).ok_or(IdentityError::Malformed {
        path,
        what: "an Ed25519 private key in PEM (PKCS#8)",
    })
}

fn save_certificate(
    directory: &Path,
    name: &str,
    certificate: &Certificate,
) -> Result<(), IdentityError> {
    files::write(&directory.join(name), &certificate.to_pem())
}

fn load_authorities(directory: &Path) -> Result<Authorities, IdentityError> {
    let path = directory.join(CA_CERTIFICATE_FILE);
    Authorities::from_pem(&files::read(&path)?).ok_or(IdentityError::Malformed {
        path,
        what: "an authority's certificate in PEM, or several of one cluster",
    })
}

fn load_held(
    directory: &Path,
    authorities: &Authorities,
) -> Result<Option<ClusterAuthority>, IdentityError> {
    let path = directory.join(CA_KEY_FILE);
    match files::read(&path) {
        // Whoever has its passphrase brings the key: see `Credentials::with_authority`.
        Ok(text) if text.starts_with(PROTECTED_KEY) => return Ok(None),
        Err(IdentityError::Missing { .. }) => return Ok(None),
        _ => {}
    }
    let key = load_secret(directory, CA_KEY_FILE)?;
    let known = authorities.of_key(&AuthorityId(key.id().0))?;
    ClusterAuthority::from_parts(key, known.certificate.clone()).map(Some)
}

fn load_certificate(directory: &Path, name: &str) -> Result<Certificate, IdentityError> {
    let path = directory.join(name);
    Certificate::from_pem(&files::read(&path)?).ok_or(IdentityError::Malformed {
        path,
        what: "a certificate in PEM",
    })
}
