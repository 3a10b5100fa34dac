//! The authorities that a node knows: the one that signs, and those before it.
//!
//! An authority that takes the place of another one bears the word of the cluster's root in its own
//! certificate. So it is believed wherever that certificate is shown, also by a node that was off
//! while the cluster changed its authority; and the one before it is known by the key that the word
//! names. What ends, and when, follows from all words together ([`SuccessionWord::end_ms`]).

use ed25519_dalek::{Signature, VerifyingKey};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use unisono_model::{AgentId, AuthorityId, ClusterId, Digest, RootWord, SuccessionWord, wire};

use super::{Certificate, CertificateError, IdentityError, PeerIdentity};
use crate::limits;

/// An authority that a node knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KnownAuthority {
    /// Its key.
    pub id: AuthorityId,
    /// What the root says of it; none for the one that the founder made.
    pub word: Option<SuccessionWord>,
    /// Its certificate.
    pub certificate: Certificate,
}

/// All authorities of one cluster that a node knows, the one that signs first; there is always one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorities {
    cluster: ClusterId,
    known: Vec<KnownAuthority>,
    /// Whose words count; none in a cluster without a root, whose authority cannot be changed.
    root: Option<AgentId>,
    /// Who names another root: the recovery key, or without one the root of the founding.
    names_roots: Option<AgentId>,
    /// The highest word that was heard of it: then the root that it names is the one whose words count.
    named: Option<RootWord>,
}

/// Who vouches for what is taken in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Vouched {
    /// Nobody but its own bytes: it was shown in a handshake.
    Shown,
    /// The records of the cluster's own orchestra, which say it at a place where its root stood.
    Recorded,
}

impl KnownAuthority {
    fn read(certificate: Certificate) -> Result<Self, CertificateError> {
        Ok(Self {
            id: certificate.authority_id()?,
            word: certificate.succession()?,
            certificate,
        })
    }

    /// How many authorities there were before it, and its key: the highest signs.
    pub fn rank(&self) -> (u32, AuthorityId) {
        self.word
            .as_ref()
            .map_or((0, self.id), SuccessionWord::rank)
    }
}

impl Authorities {
    /// The authority of this certificate alone, believed as it is: pinned by an invite, or from this
    /// node's own disk.
    pub fn of(certificate: Certificate) -> Result<Self, CertificateError> {
        let cluster = certificate.authority_cluster()?;
        Ok(Self {
            cluster,
            known: vec![KnownAuthority::read(certificate)?],
            root: None,
            names_roots: None,
            named: None,
        })
    }

    /// Those of a text with one certificate or more in PEM, believed as they are; `None` if there is
    /// none, or one that cannot be read, or of two clusters.
    pub(super) fn from_pem(text: &str) -> Option<Self> {
        let mut all: Option<Self> = None;
        for der in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let certificate = Certificate::from_der(der.ok()?.to_vec());
            let one = Self::of(certificate).ok()?;
            match &mut all {
                None => all = Some(one),
                Some(all) if all.cluster == one.cluster => all.add(one.known.into_iter().next()?),
                Some(_) => return None,
            }
        }
        all
    }

    /// The text of a file with all of them, the one that signs first.
    pub(super) fn to_pem(&self) -> String {
        let certificates = self.known.iter().map(|known| known.certificate.to_pem());
        certificates.collect()
    }

    /// The same, where the words of this root count.
    #[must_use]
    pub fn under(mut self, root: Option<AgentId>) -> Self {
        self.root = root;
        self.names_roots = root;
        self
    }

    /// The same, where this key names other roots than that one.
    #[must_use]
    pub fn named_by(mut self, recovery: Option<AgentId>) -> Self {
        self.names_roots = self.root.and(recovery.or(self.root));
        self
    }

    /// Takes in that another root stands. True if that is news: from now on its words count, and of the
    /// one before it those that are known.
    pub fn hear(&mut self, word: &RootWord) -> bool {
        let rank = |word: &RootWord| (word.number, word.root);
        let known = self.named.as_ref().map(rank);
        if known >= Some(rank(word)) || !self.is_named(word) {
            return false;
        }
        self.named = Some(*word);
        self.root = Some(word.root);
        true
    }

    fn is_named(&self, word: &RootWord) -> bool {
        let proof = word.signed(self.cluster);
        let by = self.names_roots;
        by.is_some_and(|by| has_signed(&by, &proof, &word.signature))
            && has_signed(&word.root, &proof, &word.consent)
    }

    /// Whose words count.
    pub fn root(&self) -> Option<AgentId> {
        self.root
    }

    /// Takes an authority in that is shown by anybody, if the root has named it: by a word in its
    /// certificate, or as the one before another that is known. True if that is news.
    ///
    /// # Errors
    /// Why it is not believed. Nothing has changed.
    pub fn take(
        &mut self,
        certificate: Certificate,
        vouched: Vouched,
    ) -> Result<bool, CertificateError> {
        let cluster = certificate.authority_cluster()?;
        if cluster != self.cluster {
            return Err(CertificateError::OtherCluster(cluster));
        }
        let shown = KnownAuthority::read(certificate)?;
        let known = self.known.iter().find(|known| known.id == shown.id);
        let is_news = |known: &KnownAuthority| match (&known.word, &shown.word) {
            (Some(known), Some(shown)) => shown.former_until_ms < known.former_until_ms,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if known.is_some_and(|known| !is_news(known)) {
            return Ok(false);
        }
        if let Some(named) = shown.certificate.root_word()? {
            // It may be of a root that took the place of the one which is known here.
            self.hear(&named);
        }
        let believed = match &shown.word {
            Some(_) if vouched == Vouched::Recorded => true,
            Some(word) => self.is_said(word),
            None => self.words().any(|word| word.former == shown.id),
        };
        if !believed {
            let why = "the cluster's root has not put it in the place of another one";
            return Err(CertificateError::Untrusted(why.to_owned()));
        }
        self.add(shown);
        Ok(true)
    }

    fn is_said(&self, word: &SuccessionWord) -> bool {
        let proof = word.signed(self.cluster);
        self.root
            .is_some_and(|root| has_signed(&root, &proof, &word.signature))
    }

    fn add(&mut self, one: KnownAuthority) {
        self.known.retain(|known| known.id != one.id);
        self.known.push(one);
        self.known
            .sort_by_key(|known| std::cmp::Reverse(known.rank()));
        self.known.truncate(limits::AUTHORITIES_MAX);
    }

    fn words(&self) -> impl Iterator<Item = &SuccessionWord> {
        self.known.iter().filter_map(|known| known.word.as_ref())
    }

    /// Which cluster they speak for.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The one that signs.
    pub fn current(&self) -> &KnownAuthority {
        &self.known[0]
    }

    /// All of them, the one that signs first.
    pub fn all(&self) -> &[KnownAuthority] {
        &self.known
    }

    /// The one with this key.
    pub fn find(&self, id: &AuthorityId) -> Option<&KnownAuthority> {
        self.known.iter().find(|known| known.id == *id)
    }

    /// Until when what an authority has signed counts (ms since the Unix epoch); none: without an end.
    /// One that is not known counts for nothing.
    pub fn end_ms(&self, id: &AuthorityId) -> Option<u64> {
        match self.find(id) {
            Some(known) => SuccessionWord::end_ms(self.words(), known.rank()),
            None => Some(0),
        }
    }

    /// Which of them has signed this certificate of a node, whether its time is over or not, and of
    /// whom it speaks.
    ///
    /// # Errors
    /// Why none of them vouches for it, as the one that signs would say it.
    pub fn signer_of(
        &self,
        certificate: &Certificate,
    ) -> Result<(&KnownAuthority, PeerIdentity), CertificateError> {
        let within_ms = certificate.validity()?.until_ms;
        let mut first = None;
        for known in &self.known {
            match certificate.vouched_by(&known.certificate, within_ms) {
                Ok(identity) => return Ok((known, identity)),
                Err(error) => drop(first.get_or_insert(error)),
            }
        }
        Err(first.unwrap_or(CertificateError::Malformed))
    }

    /// The one whose key this is, as an error for whoever reads files.
    pub(super) fn of_key(&self, id: &AuthorityId) -> Result<&KnownAuthority, IdentityError> {
        self.find(id).ok_or(IdentityError::Mismatch {
            what: "authority's key and certificate",
        })
    }
}

fn has_signed(key: &AgentId, proof: &Digest, signature: &wire::Signature) -> bool {
    let key = VerifyingKey::from_bytes(&key.0).ok();
    let signature = Signature::from_bytes(&signature.to_bytes());
    key.is_some_and(|key| key.verify_strict(&proof.0, &signature).is_ok())
}
