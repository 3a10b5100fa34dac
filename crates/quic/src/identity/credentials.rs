//! All that a node needs to speak in a cluster, in memory and in a directory.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use unisono_model::{ClusterId, NodeId};

use super::{Certificate, ClusterAuthority, IdentityError, NodeKey, PeerIdentity, Region, files};

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
        Ok(Self {
            key,
            identity,
            certificate,
            authority_certificate,
            authority,
        })
    }

    /// Reads them from `directory`. With `cluster`, credentials of another cluster are refused.
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
        Self::new(
            key,
            certificate,
            authority_certificate,
            authority,
            unix_now_ms(),
        )
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
    let der = key.to_pkcs8();
    files::write(
        &directory.join(name),
        &files::to_pem("PRIVATE KEY", der.secret_pkcs8_der()),
    )
}

fn load_secret(directory: &Path, name: &str) -> Result<NodeKey, IdentityError> {
    let path = directory.join(name);
    let text = files::read(&path)?;
    PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
        .ok()
        .and_then(|der| NodeKey::from_pkcs8(der.secret_pkcs8_der()))
        .ok_or(IdentityError::Malformed {
            path,
            what: "an Ed25519 private key in PEM (PKCS#8)",
        })
}

fn save_certificate(
    directory: &Path,
    name: &str,
    certificate: &Certificate,
) -> Result<(), IdentityError> {
    files::write(
        &directory.join(name),
        &files::to_pem("CERTIFICATE", certificate.der()),
    )
}

fn load_certificate(directory: &Path, name: &str) -> Result<Certificate, IdentityError> {
    let path = directory.join(name);
    let text = files::read(&path)?;
    let der =
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| IdentityError::Malformed {
            path,
            what: "a certificate in PEM",
        })?;
    Ok(Certificate::from_der(der.to_vec()))
}
