//! An agent's own key: drawn once, kept in a file that only its owner reads.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::path::Path;

use ed25519_dalek::SigningKey;
use unisono_model::{AgentId, from_hex};

/// An agent's Ed25519 key.
#[derive(Clone)]
pub struct AgentKey {
    signing: SigningKey,
}

impl AgentKey {
    /// From its seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self {
            signing: SigningKey::from_bytes(&seed),
        }
    }

    /// A new one.
    pub fn generate() -> io::Result<Self> {
        Ok(Self::from_seed(random()?))
    }

    /// The key in a file; a new one is drawn and written there if there is no file.
    pub fn load_or_create(path: &Path) -> io::Result<Self> {
        match Self::load(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let key = Self::generate()?;
        key.keep(path)?;
        Ok(key)
    }

    /// Writes the key into a file that is not there yet: whole or not at all, and on disk before this
    /// returns.
    fn keep(&self, path: &Path) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let text = data_encoding::HEXLOWER.encode(&self.signing.to_bytes()) + "\n";
        let mut aside = path.as_os_str().to_owned();
        aside.push(format!(".{}.temp", std::process::id()));
        let aside = Path::new(&aside);
        let written = (|| {
            let mut file = options.open(aside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            // A link takes no other file's place, as a renaming would; not every file system has links.
            std::fs::hard_link(aside, path).or_else(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Err(error),
                _ if path.symlink_metadata().is_ok() => Err(error),
                _ => std::fs::rename(aside, path),
            })
        })();
        let removed = std::fs::remove_file(aside);
        written?;
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let parent = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        #[cfg(unix)]
        std::fs::File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
        Ok(())
    }

    /// The key in a file: 64 hexadecimal characters. A link to it is followed, as secrets that are
    /// mounted are links; what is opened has to be a plain file of this user's own, or the
    /// administrator's, that nobody else can read.
    pub fn load(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true);
        // Nobody waits for the other end of a pipe.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut options,
            rustix::fs::OFlags::NONBLOCK.bits().cast_signed(),
        );
        let file = options.open(path)?;
        #[cfg(unix)]
        check(&file.metadata()?)?;
        let mut text = String::new();
        file.take(256).read_to_string(&mut text)?;
        let mut seed = [0; 32];
        from_hex(text.trim(), &mut seed).ok_or_else(|| {
            let words = "an agent's key file holds 64 hexadecimal characters";
            io::Error::new(io::ErrorKind::InvalidData, words)
        })?;
        Ok(Self::from_seed(seed))
    }

    /// Who signs with it.
    pub fn agent(&self) -> AgentId {
        AgentId(self.signing.verifying_key().to_bytes())
    }

    /// The key itself, to sign links of capability tokens with.
    pub fn signing(&self) -> &SigningKey {
        &self.signing
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentKey({:?})", self.agent())
    }
}

/// Whether an open file may hold a key.
#[cfg(unix)]
fn check(metadata: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let denied = |words: &str| Err(io::Error::new(io::ErrorKind::PermissionDenied, words));
    if !metadata.is_file() {
        let words = "an agent's key is a plain file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
    }
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user && owner != 0 {
        return denied("this key belongs to another user, who can change it: `chown` it");
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return denied(
            "others can read or change this key: `chmod 600` it, and think of it as known",
        );
    }
    Ok(())
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}
