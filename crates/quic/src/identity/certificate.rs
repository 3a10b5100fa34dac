//! Reading certificates: which node, cluster and region one vouches for.

use std::{fmt, time::Duration};

use data_encoding::HEXLOWER;
use ed25519_dalek::VerifyingKey;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use unisono_model::{
    AgentId, AuthorityId, ClusterId, NodeId, RootWord, SuccessionWord, from_hex, wire::Signature,
};
use webpki::{EndEntityCert, KeyUsage};

use super::{CertificateError, Region, Validity, files};
use crate::limits;

/// What precedes the 32 bytes of an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410, section 4).
const ED25519_SPKI_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// An X.509 certificate in DER.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate(Vec<u8>);

/// The SHA-256 of a certificate's DER, as `openssl x509 -fingerprint -sha256` shows it.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Fingerprint(pub [u8; 32]);

/// Who a node certificate speaks of.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerIdentity {
    /// The node: the certificate's key.
    pub node: NodeId,
    /// The cluster whose authority signed it.
    pub cluster: ClusterId,
    /// Where the authority says that the node stands.
    pub region: Region,
}

impl Certificate {
    /// Wraps DER; nothing is checked yet.
    pub fn from_der(der: Vec<u8>) -> Self {
        Self(der)
    }

    /// The certificate in a text in PEM, as files hold it; nothing else is checked yet.
    pub fn from_pem(text: &str) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(text.as_bytes()).ok()?;
        Some(Self(der.to_vec()))
    }

    /// The text of a certificate file.
    pub fn to_pem(&self) -> String {
        files::to_pem("CERTIFICATE", &self.0)
    }

    /// Its DER.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.0);
        Fingerprint(digest.as_ref().try_into().expect("SHA-256 is 32 bytes"))
    }

    /// The cluster that an authority's certificate names.
    pub fn authority_cluster(&self) -> Result<ClusterId, CertificateError> {
        let der = self.rustls();
        let parsed = parse(&der)?;
        let (cluster, _) = of_authority(&parsed)?;
        Ok(cluster)
    }

    /// The key of an authority, from its certificate.
    pub fn authority_id(&self) -> Result<AuthorityId, CertificateError> {
        let der = self.rustls();
        ed25519_key(&parse(&der)?).map(AuthorityId)
    }

    /// The word by which a root has put an authority in the place of another one, if its certificate
    /// bears one; the signature in it is not looked at here.
    pub fn succession(&self) -> Result<Option<SuccessionWord>, CertificateError> {
        let der = self.rustls();
        let (_, words) = of_authority(&parse(&der)?)?;
        Ok(words.map(|(word, _)| word))
    }

    /// The word that names the root which has put this authority in its place, if that is not the root
    /// of the founding; the signatures in it are not looked at here.
    pub fn root_word(&self) -> Result<Option<RootWord>, CertificateError> {
        let der = self.rustls();
        let (_, words) = of_authority(&parse(&der)?)?;
        Ok(words.and_then(|(_, named)| named))
    }

    /// Who a node's certificate speaks of. Only form and consistency are checked here;
    /// [`vouched_by`](Self::vouched_by) or the TLS handshake checks the signature.
    pub fn identity(&self) -> Result<PeerIdentity, CertificateError> {
        let der = self.rustls();
        let parsed = parse(&der)?;
        let key = ed25519_key(&parsed)?;
        sound(NodeId(key))?;
        let identity = from_uri(only_uri(&parsed)?).ok_or(CertificateError::Name)?;
        (identity.node == NodeId(key))
            .then_some(identity)
            .ok_or(CertificateError::Name)
    }

    /// Whether `authority` signed this node certificate and it is in its time at `now_ms`
    /// (milliseconds since the Unix epoch), following RFC 5280 as WebPKI does.
    pub fn vouched_by(
        &self,
        authority: &Self,
        now_ms: u64,
    ) -> Result<PeerIdentity, CertificateError> {
        let span_ms = |from: UnixTime, to: UnixTime| (to.as_secs() - from.as_secs()) * 1000;
        let untrusted = |error: webpki::Error| match error {
            webpki::Error::CertExpired { time, not_after } => CertificateError::Ended {
                ago_ms: span_ms(not_after, time),
            },
            webpki::Error::CertNotValidYet { time, not_before } => CertificateError::NotYet {
                in_ms: span_ms(time, not_before),
            },
            error => CertificateError::Untrusted(error.to_string()),
        };
        let (der, authority_der) = (self.rustls(), authority.rustls());
        let anchor = webpki::anchor_from_trusted_cert(&authority_der).map_err(untrusted)?;
        parse(&der)?
            .verify_for_usage(
                crate::tls::provider().signature_verification_algorithms.all,
                &[anchor],
                &[],
                UnixTime::since_unix_epoch(Duration::from_millis(now_ms)),
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map_err(untrusted)?;
        let identity = self.identity()?;
        let cluster = authority.authority_cluster()?;
        if identity.cluster != cluster {
            return Err(CertificateError::OtherCluster(identity.cluster));
        }
        Ok(identity)
    }

    /// Whether this is the certificate of the node with this TLS name.
    pub(crate) fn is_for(&self, name: &ServerName<'_>) -> Result<(), CertificateError> {
        let der = self.rustls();
        let named = parse(&der)?.verify_is_valid_for_subject_name(name);
        named.map_err(|_| CertificateError::OtherNode)
    }

    /// From when to when it counts, as it says itself: nothing else is checked here.
    pub fn validity(&self) -> Result<Validity, CertificateError> {
        // WebPKI looks at the time before anything else, and says both ends where it does not fit.
        let from_ms = match self.refused_at(0)? {
            webpki::Error::CertNotValidYet { not_before, .. } => not_before,
            // It began before 1970, or says nothing that can be read.
            _ => UnixTime::since_unix_epoch(Duration::ZERO),
        };
        let end_of_time = u64::MAX / 4;
        match self.refused_at(end_of_time)? {
            webpki::Error::CertExpired { not_after, .. } => Ok(Validity {
                from_ms: from_ms.as_secs().saturating_mul(1000),
                until_ms: not_after.as_secs().saturating_mul(1000),
            }),
            _ => Err(CertificateError::Malformed),
        }
    }

    fn refused_at(&self, seconds: u64) -> Result<webpki::Error, CertificateError> {
        let der = self.rustls();
        let parsed = parse(&der)?;
        let verified = parsed.verify_for_usage(
            crate::tls::provider().signature_verification_algorithms.all,
            &[],
            &[],
            UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
            KeyUsage::server_auth(),
            None,
            None,
        );
        // Without an authority nothing is vouched for.
        Ok(verified.err().unwrap_or(webpki::Error::UnknownIssuer))
    }

    pub(crate) fn rustls(&self) -> CertificateDer<'_> {
        CertificateDer::from(self.0.as_slice())
    }
}

/// Refuses keys that no node can own: off the curve, or of small order.
pub(super) fn sound(node: NodeId) -> Result<(), CertificateError> {
    let key = VerifyingKey::from_bytes(&node.0).map_err(|_| CertificateError::Key)?;
    if key.is_weak() {
        Err(CertificateError::Key)
    } else {
        Ok(())
    }
}

pub(super) fn to_uri(cluster: ClusterId, region: &Region, node: NodeId) -> String {
    format!("spiffe://{cluster}/region/{region}/node/{node}")
}

fn from_uri(uri: &str) -> Option<PeerIdentity> {
    let mut parts = uri.strip_prefix("spiffe://")?.split('/');
    let cluster = parts.next()?.parse().ok()?;
    let region = (parts.next()? == "region")
        .then(|| parts.next())??
        .parse()
        .ok()?;
    let node = (parts.next()? == "node")
        .then(|| parts.next())??
        .parse()
        .ok()?;
    let identity = PeerIdentity {
        node,
        cluster,
        region,
    };
    // One spelling only: upper-case hexadecimal or a trailing part would be a second name for one node.
    (to_uri(cluster, &identity.region, node) == uri).then_some(identity)
}

/// What the root says of an authority, and the word that names that root where it is not the founding's.
type Words = (SuccessionWord, Option<RootWord>);

/// The URI name of an authority: the cluster's alone for the founder's, with the root's word for one
/// that has taken the place of another.
pub(super) fn to_authority_uri(cluster: ClusterId, words: Option<&Words>) -> String {
    let Some((word, named)) = words else {
        return format!("spiffe://{cluster}");
    };
    let (number, former, until_ms) = (word.number, word.former, word.former_until_ms);
    let text = |signature: &Signature| HEXLOWER.encode(&signature.to_bytes());
    let signature = text(&word.signature);
    let uri = format!(
        "spiffe://{cluster}/authority/{number}/former/{former}/until/{until_ms}/root/{signature}"
    );
    let Some(named) = named else {
        return uri;
    };
    let RootWord {
        number,
        root,
        former,
        from_ms,
        ..
    } = named;
    let (signature, consent) = (text(&named.signature), text(&named.consent));
    format!(
        "{uri}/named/{number}/key/{root}/former/{former}/from/{from_ms}/by/{signature}/consent/{consent}"
    )
}

/// The cluster of an authority, and the root's word on it.
fn of_authority(
    parsed: &EndEntityCert<'_>,
) -> Result<(ClusterId, Option<Words>), CertificateError> {
    let uri = only_uri(parsed)?;
    let rest = uri
        .strip_prefix("spiffe://")
        .ok_or(CertificateError::Name)?;
    let (cluster, word) = rest.split_once('/').unwrap_or((rest, ""));
    let cluster = cluster.parse().map_err(|_| CertificateError::Name)?;
    let words = match word {
        "" => None,
        word => {
            let authority = AuthorityId(ed25519_key(parsed)?);
            Some(words_from_uri(word, authority).ok_or(CertificateError::Name)?)
        }
    };
    // One spelling only, as for nodes.
    if to_authority_uri(cluster, words.as_ref()) == uri {
        Ok((cluster, words))
    } else {
        Err(CertificateError::Name)
    }
}

fn words_from_uri(text: &str, authority: AuthorityId) -> Option<Words> {
    let signed = |text: &str| {
        let mut bytes = [0; 64];
        from_hex(text, &mut bytes)?;
        Some(Signature::from_bytes(bytes))
    };
    let mut parts = text.split('/');
    let mut after = |label: &str| (parts.next()? == label).then(|| parts.next())?;
    let (number, former) = (after("authority")?, after("former")?);
    let (until_ms, signature) = (after("until")?, after("root")?);
    let word = SuccessionWord {
        number: number.parse().ok()?,
        authority,
        former: former.parse().ok()?,
        former_until_ms: until_ms.parse().ok()?,
        signature: signed(signature)?,
    };
    let Some(number) = after("named") else {
        return Some((word, None));
    };
    let (root, former, from_ms): (AgentId, AgentId, u64) = (
        after("key")?.parse().ok()?,
        after("former")?.parse().ok()?,
        after("from")?.parse().ok()?,
    );
    let (by, consent) = (after("by")?, after("consent")?);
    let named = RootWord {
        number: number.parse().ok()?,
        root,
        former,
        from_ms,
        signature: signed(by)?,
        consent: signed(consent)?,
    };
    Some((word, Some(named)))
}

fn ed25519_key(parsed: &EndEntityCert<'_>) -> Result<[u8; 32], CertificateError> {
    let spki = parsed.subject_public_key_info();
    spki.strip_prefix(&ED25519_SPKI_PREFIX[..])
        .and_then(|key| key.try_into().ok())
        .ok_or(CertificateError::Key)
}

/// The TLS server name of a node: its id in two DNS labels, since one label holds 63 characters.
pub(crate) fn server_name(node: NodeId) -> String {
    let text = node.to_string();
    let (high, low) = text.split_at(32);
    format!("{high}.{low}.node.unisono.internal")
}

fn parse<'a>(der: &'a CertificateDer<'a>) -> Result<EndEntityCert<'a>, CertificateError> {
    if der.len() > limits::CERTIFICATE_BYTES_MAX {
        return Err(CertificateError::Malformed);
    }
    EndEntityCert::try_from(der).map_err(|_| CertificateError::Malformed)
}

fn only_uri<'a>(parsed: &EndEntityCert<'a>) -> Result<&'a str, CertificateError> {
    let mut uris = parsed.valid_uri_names();
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        _ => Err(CertificateError::Name),
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.0.iter();
        bytes
            .next()
            .map_or(Ok(()), |first| write!(f, "{first:02X}"))?;
        bytes.try_for_each(|byte| write!(f, ":{byte:02X}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
