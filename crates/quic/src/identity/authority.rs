//! The cluster's certificate authority: one Ed25519 key that says who belongs.

use std::{fmt, time::Duration};

use ed25519_dalek::SigningKey;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use unisono_model::{
    AuthorityId, ClusterId, InviteKey, InviteUse, InviteWord, NodeId, RootWord, SuccessionWord,
};

use super::{
    Certificate, IdentityError, NodeKey, Region,
    certificate::{server_name, sound, to_authority_uri, to_uri},
    key::random,
};
use crate::limits;

/// Issues node certificates for one cluster. Whoever holds it can admit nodes: it stays with the
/// founder and with nodes that were deliberately given `ca.key`, and is never sent over the network.
#[derive(Clone)]
pub struct ClusterAuthority {
    cluster: ClusterId,
    key: NodeKey,
    certificate: Certificate,
}

impl ClusterAuthority {
    /// A fresh authority for `cluster`, with a self-signed certificate made at `now_ms`
    /// (milliseconds since the Unix epoch).
    pub fn found(cluster: ClusterId, now_ms: u64) -> Result<Self, IdentityError> {
        let key = NodeKey::generate();
        let made = authority_params(cluster, now_ms)?
            .self_signed(&key)
            .map_err(unmakeable)?;
        Ok(Self {
            cluster,
            key,
            certificate: Certificate::from_der(made.der().to_vec()),
        })
    }

    /// The authority of a fresh key that the root puts in the place of another one, with a self-signed
    /// certificate that bears the root's word, and the one that names that root where it is not the
    /// founding's, made at `now_ms` (milliseconds since the Unix epoch).
    ///
    /// # Errors
    /// If the word is about another key.
    pub fn succeeding(
        cluster: ClusterId,
        key: NodeKey,
        (word, named): (&SuccessionWord, Option<&RootWord>),
        now_ms: u64,
    ) -> Result<Self, IdentityError> {
        if word.authority.0 != key.id().0 {
            return Err(IdentityError::Mismatch {
                what: "authority's key and the root's word",
            });
        }
        let mut params = authority_params(cluster, now_ms)?;
        params.subject_alt_names = vec![uri(to_authority_uri(
            cluster,
            Some(&(*word, named.copied())),
        ))?];
        let made = params.self_signed(&key).map_err(unmakeable)?;
        Ok(Self {
            cluster,
            key,
            certificate: Certificate::from_der(made.der().to_vec()),
        })
    }

    /// The authority of an existing key and certificate.
    pub fn from_parts(key: NodeKey, certificate: Certificate) -> Result<Self, IdentityError> {
        let cluster = certificate
            .authority_cluster()
            .map_err(IdentityError::Certificate)?;
        let authority = Self {
            cluster,
            key,
            certificate,
        };
        // The key is the right one exactly if what it signs verifies under the certificate.
        let now_ms = super::credentials::unix_now_ms();
        let region = "probe".parse().expect("five letters are a region");
        let probe = authority.issue(authority.key.id(), &region, now_ms)?;
        probe
            .vouched_by(&authority.certificate, now_ms)
            .map_err(|_| IdentityError::Mismatch {
                what: "authority's key and certificate",
            })?;
        Ok(authority)
    }

    /// A certificate for `node` in `region`, made at `now_ms` (milliseconds since the Unix epoch):
    /// valid from a day before, since clocks differ, for [`limits::NODE_CERTIFICATE_MS`]. It serves
    /// both ends of TLS.
    pub fn issue(
        &self,
        node: NodeId,
        region: &Region,
        now_ms: u64,
    ) -> Result<Certificate, IdentityError> {
        self.issue_for(node, region, now_ms, limits::NODE_CERTIFICATE_MS)
    }

    /// The same, with another life (ms).
    pub fn issue_for(
        &self,
        node: NodeId,
        region: &Region,
        now_ms: u64,
        life_ms: u64,
    ) -> Result<Certificate, IdentityError> {
        sound(node).map_err(IdentityError::Certificate)?;
        let mut params = node_params(self.cluster, node, region)?;
        validity(&mut params, now_ms, life_ms);
        let issuer_params = authority_params(self.cluster, now_ms)?;
        let issuer = Issuer::from_params(&issuer_params, &self.key);
        let made = params
            .signed_by(&Subject(node), &issuer)
            .map_err(unmakeable)?;
        Ok(Certificate::from_der(made.der().to_vec()))
    }

    /// What it says of an invite that `maker` has made, for every other holder of this key (ms since the
    /// Unix epoch).
    pub fn invites(&self, invite: InviteKey, expires_ms: u64, maker: NodeId) -> InviteWord {
        let key = SigningKey::from_bytes(&self.key.seed());
        InviteWord::sign(&key, self.cluster, invite, expires_ms, maker)
    }

    /// What it says of an invite by which `issuer` lets a node in.
    pub fn lets_in(&self, invite: InviteKey, node: NodeId, issuer: NodeId) -> InviteUse {
        let key = SigningKey::from_bytes(&self.key.seed());
        InviteUse::sign(&key, self.cluster, invite, node, issuer)
    }

    /// Which cluster it speaks for.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Its key.
    pub fn id(&self) -> AuthorityId {
        AuthorityId(self.key.id().0)
    }

    /// Its own certificate, the root that every node trusts and every invite pins.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) fn key(&self) -> &NodeKey {
        &self.key
    }
}

impl fmt::Debug for ClusterAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterAuthority({:?}, secret)", self.cluster)
    }
}

/// A public key whose secret is elsewhere.
struct Subject(NodeId);

impl rcgen::PublicKeyData for Subject {
    fn der_bytes(&self) -> &[u8] {
        &self.0.0
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

fn authority_params(cluster: ClusterId, now_ms: u64) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(format!("unisono cluster {cluster}"));
    params.subject_alt_names = vec![uri(to_authority_uri(cluster, None))?];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.serial_number = Some(serial());
    validity(&mut params, now_ms, limits::AUTHORITY_CERTIFICATE_MS);
    Ok(params)
}

fn node_params(
    cluster: ClusterId,
    node: NodeId,
    region: &Region,
) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(format!("unisono node {node:?}"));
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, region.as_str());
    let name = server_name(node).try_into().map_err(unmakeable)?;
    params.subject_alt_names = vec![uri(to_uri(cluster, region, node))?, SanType::DnsName(name)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial());
    Ok(params)
}

fn validity(params: &mut CertificateParams, now_ms: u64, length_ms: u64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let start = now_ms.saturating_sub(limits::CERTIFICATE_SKEW_MS);
    params.not_before = epoch + Duration::from_millis(start);
    params.not_after = epoch + Duration::from_millis(now_ms.saturating_add(length_ms));
}

fn named(common_name: String) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "unisono");
    name.push(DnType::CommonName, common_name);
    name
}

fn uri(text: String) -> Result<SanType, IdentityError> {
    Ok(SanType::URI(text.try_into().map_err(unmakeable)?))
}

/// 127 random bits, positive: RFC 5280 (section 4.1.2.2) asks for a unique positive number.
fn serial() -> SerialNumber {
    let mut bytes: [u8; 16] = random();
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn unmakeable(error: rcgen::Error) -> IdentityError {
    IdentityError::Unmakeable(error.to_string())
}
