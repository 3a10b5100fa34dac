//! All that a node needs to speak in a cluster, in memory and in a directory.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use unisono_model::{ClusterId, NodeId};

use super::{
    Certificate, CertificateError, ClusterAuthority, IdentityError, NodeKey, PeerIdentity, Region,
    Validity, files,
};

/// The node's secret key, PKCS#8 in PEM.
pub const NODE_KEY_FILE: &str = "node.key";
/// The node's certificate in PEM.
pub const NODE_CERTIFICATE_FILE: &str = "node.crt";
/// The authority's certificate in PEM.
pub const CA_CERTIFICATE_FILE: &str = "ca.crt";
/// The authority's secret key, PKCS#8 in PEM; only on nodes that may admit others.
pub const CA_KEY_FILE: &str = "ca.key";

/// A node's key, its certificate, the authority's certificate and, on an issuer, the authority.
#[derive(Clone, Debug)]
pub struct Credentials {
    key: NodeKey,
    identity: PeerIdentity,
    certificate: Certificate,
    validity: Validity,
    authority_certificate: Certificate,
    authority: Option<ClusterAuthority>,
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
        let identity = certificate
            .vouched_by(&authority_certificate, now_ms)
            .map_err(IdentityError::Certificate)?;
        if identity.node != key.id() {
            return Err(IdentityError::Mismatch {
                what: "node's key and certificate",
            });
        }
        if authority
            .as_ref()
            .is_some_and(|held| *held.certificate() != authority_certificate)
        {
            return Err(IdentityError::Mismatch {
                what: "authority's key and certificate",
            });
        }
        let validity = certificate.validity();
        Ok(Self {
            key,
            identity,
            validity: validity.map_err(IdentityError::Certificate)?,
            certificate,
            authority_certificate,
            authority,
        })
    }

    /// Reads them from `directory`. With `cluster`, credentials of another cluster are refused. A
    /// certificate that has ended is read all the same: with it a node can ask for the next one, and
    /// for nothing else while others have theirs.
    pub fn load(directory: &Path, cluster: Option<ClusterId>) -> Result<Self, IdentityError> {
        let key = Self::load_key(directory)?;
        let certificate = load_certificate(directory, NODE_CERTIFICATE_FILE)?;
        let authority_certificate = load_certificate(directory, CA_CERTIFICATE_FILE)?;
        let authority = match load_secret(directory, CA_KEY_FILE) {
            Ok(key) => Some(ClusterAuthority::from_parts(
                key,
                authority_certificate.clone(),
            )?),
            Err(IdentityError::Missing { .. }) => None,
            Err(other) => return Err(other),
        };
        let found = authority_certificate
            .authority_cluster()
            .map_err(IdentityError::Certificate)?;
        if let Some(expected) = cluster.filter(|expected| *expected != found) {
            return Err(IdentityError::OtherCluster { expected, found });
        }
        let mut at_ms = unix_now_ms();
        let vouched = certificate.vouched_by(&authority_certificate, at_ms);
        if let Err(CertificateError::Ended { ago_ms }) = vouched {
            at_ms = at_ms.saturating_sub(ago_ms + 1000);
        }
        Self::new(key, certificate, authority_certificate, authority, at_ms)
    }

    /// The same with another certificate, for the same key, cluster and region and under the same
    /// authority, that counts at `now_ms` (milliseconds since the Unix epoch).
    pub fn renewed(&self, certificate: Certificate, now_ms: u64) -> Result<Self, IdentityError> {
        let next = Self::new(
            self.key.clone(),
            certificate,
            self.authority_certificate.clone(),
            self.authority.clone(),
            now_ms,
        )?;
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

    /// Reads the node's key alone, for a join that was interrupted before it had a certificate.
    pub fn load_key(directory: &Path) -> Result<NodeKey, IdentityError> {
        load_secret(directory, NODE_KEY_FILE)
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
        save_certificate(directory, CA_CERTIFICATE_FILE, &self.authority_certificate)?;
        if let Some(authority) = &self.authority {
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

    /// The certificate that every node of the cluster trusts.
    pub fn authority_certificate(&self) -> &Certificate {
        &self.authority_certificate
    }

    /// The authority itself, if this node may admit others.
    pub fn authority(&self) -> Option<&ClusterAuthority> {
        self.authority.as_ref()
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

fn load_certificate(directory: &Path, name: &str) -> Result<Certificate, IdentityError> {
    let path = directory.join(name);
    Certificate::from_pem(&files::read(&path)?).ok_or(IdentityError::Malformed {
        path,
        what: "a certificate in PEM",
    })
}
