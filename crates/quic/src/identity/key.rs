//! A node's secret key.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use unisono_model::NodeId;

use super::files;

/// What precedes the 32 bytes of an Ed25519 seed in PKCS#8 version 1 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A node's Ed25519 key. It is wiped when dropped and never shown by `Debug`.
#[derive(Clone)]
pub struct NodeKey(SigningKey);

impl NodeKey {
    /// A fresh key from the system's random source.
    pub fn generate() -> Self {
        Self::from_seed(random())
    }

    /// The key of this 32-byte seed (RFC 8032).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// Who the node is: the public key.
    pub fn id(&self) -> NodeId {
        NodeId(self.0.verifying_key().to_bytes())
    }

    /// The 32-byte seed, for whoever else signs in the node's name. Keep it out of logs.
    pub fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// The key in a text: PKCS#8 in PEM, as key files hold it.
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok()?;
        Self::from_pkcs8(der.secret_pkcs8_der())
    }

    /// The text of a key file. Keep it out of logs.
    pub fn to_pem(&self) -> String {
        files::to_pem("PRIVATE KEY", self.to_pkcs8().secret_pkcs8_der())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    pub(crate) fn to_pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        let mut der = PKCS8_PREFIX.to_vec();
        der.extend_from_slice(&self.0.to_bytes());
        PrivatePkcs8KeyDer::from(der)
    }

    /// Reads PKCS#8, version 1 as written here or version 2 as other tools write it: the public key
    /// and attributes that may follow the seed are ignored, since the seed implies them.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let algorithm_and_after = &PKCS8_PREFIX[5..];
        let body = der.get(5..)?;
        let seed = body.strip_prefix(algorithm_and_after)?.get(..32)?;
        let tag_and_version = (der[0], der[2], der[3], der[4]);
        let known = matches!(tag_and_version, (0x30, 0x02, 0x01, 0x00 | 0x01));
        known.then(|| Self::from_seed(seed.try_into().expect("32 bytes were taken")))
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({:?}, secret)", self.id())
    }
}

impl rcgen::PublicKeyData for NodeKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_ref().as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for NodeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(NodeKey::sign(self, message).to_vec())
    }
}

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)
        .expect("a system without a random source cannot hold a key");
    bytes
}
