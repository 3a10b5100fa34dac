//! The authority that is to take the place of the one that signs: drawn, and on disk, before anything
//! is said of it.

use std::path::{Path, PathBuf};

use unisono_model::{AuthorityId, ClusterId, RootWord, SuccessionWord};

use super::{
    CA_NEXT_CERTIFICATE_FILE, CA_NEXT_KEY_FILE, Certificate, ClusterAuthority, IdentityError,
    NodeKey, files,
};

/// A key that waits in a directory to become the authority's, with what the root has said of it, if
/// that has been kept there too.
#[derive(Debug)]
pub struct NextAuthority {
    directory: PathBuf,
    key: NodeKey,
    certificate: Option<Certificate>,
}

impl NextAuthority {
    /// The key that was drawn in `directory`; a new one, on disk, if there is none.
    pub fn load(directory: &Path) -> Result<Self, IdentityError> {
        let path = directory.join(CA_NEXT_KEY_FILE);
        let key = match files::read(&path) {
            Ok(text) => NodeKey::from_pem(&text).ok_or(IdentityError::Malformed {
                path,
                what: "an Ed25519 private key in PEM (PKCS#8)",
            })?,
            Err(IdentityError::Missing { .. }) => {
                let key = NodeKey::generate();
                files::write(&path, &key.to_pem())?;
                key
            }
            Err(other) => return Err(other),
        };
        let text = match files::read(&directory.join(CA_NEXT_CERTIFICATE_FILE)) {
            Ok(text) => Some(text),
            Err(IdentityError::Missing { .. }) => None,
            Err(other) => return Err(other),
        };
        Ok(Self {
            directory: directory.to_owned(),
            // One that cannot be read is made anew.
            certificate: text.and_then(|text| Certificate::from_pem(&text)),
            key,
        })
    }

    /// Its key.
    pub fn id(&self) -> AuthorityId {
        AuthorityId(self.key.id().0)
    }

    /// What the root has said of this key, as its certificate has it.
    pub fn word(&self) -> Option<SuccessionWord> {
        let word = self.certificate.as_ref()?.succession().ok()??;
        (word.authority == self.id()).then_some(word)
    }

    /// The authority of this key by this word of the root that is `named`, or of the founding's: with the certificate that is kept, or with a new one,
    /// made at `now_ms` (milliseconds since the Unix epoch) and on disk.
    pub fn keep(
        self,
        cluster: ClusterId,
        (word, named): (&SuccessionWord, Option<&RootWord>),
        now_ms: u64,
    ) -> Result<ClusterAuthority, IdentityError> {
        let kept = self.certificate.as_ref();
        let kept = kept.and_then(|kept| kept.root_word().ok()).flatten();
        if self.word().as_ref() == Some(word)
            && kept.as_ref() == named
            && let Some(certificate) = self.certificate
        {
            return ClusterAuthority::from_parts(self.key, certificate);
        }
        let made = ClusterAuthority::succeeding(cluster, self.key, (word, named), now_ms)?;
        let path = self.directory.join(CA_NEXT_CERTIFICATE_FILE);
        files::replace(&path, &made.certificate().to_pem())?;
        Ok(made)
    }
}
