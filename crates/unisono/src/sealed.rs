//! Key files that a passphrase protects, and where the passphrase comes from.
//!
//! A protected file is PEM (RFC 7468) with the label `UNISONO PROTECTED KEY` around: version (a byte, 1),
//! memory in KiB, passes and lanes of Argon2id (4 bytes each, little endian; RFC 9106), salt (16), and
//! what the file held, sealed by ChaCha20-Poly1305 (RFC 8439) under the key that follows, with all
//! before it as associated data. Each sealing draws a salt and so has a key of its own: its nonce is
//! zeros.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use data_encoding::{BASE64, HEXLOWER};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use unisono_api::client::AgentKey;
use unisono_model::from_hex;
use unisono_quic::identity::PROTECTED_KEY;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::home::replace;
use crate::small_file;

/// A file whose first line is the passphrase.
pub(crate) const PASSPHRASE_FILE: &str = "UNISONO_PASSPHRASE_FILE";
/// The passphrase itself. Whoever is the same user sees it.
pub(crate) const PASSPHRASE: &str = "UNISONO_PASSPHRASE";
/// Shortest passphrase (bytes): less is guessed in a day.
const PASSPHRASE_BYTES_MIN: usize = 10;
/// Longest passphrase (bytes).
const PASSPHRASE_BYTES_MAX: usize = 1024;
/// Largest key file (bytes).
const KEY_FILE_BYTES_MAX: u64 = 4 * 1024;

const BEGIN: &str = PROTECTED_KEY;
const END: &str = "-----END UNISONO PROTECTED KEY-----";
const VERSION: u8 = 1;
/// What a guess costs, by the second recommendation of RFC 9106, section 4: 64 MiB, three passes.
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 4,
};
/// The most that a file may ask for: whoever wrote it need not be its reader's friend.
const COST_MAX: Cost = Cost {
    memory_kib: 1024 * 1024,
    passes: 16,
    lanes: 16,
};
const HEAD_BYTES: usize = 29;

/// What somebody keeps in mind.
pub(crate) type Passphrase = Zeroizing<String>;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Whether a text is a protected key.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.trim_start().starts_with(BEGIN)
}

/// Whether a file is one, whoever may read it.
pub(crate) fn is_sealed_file(path: &Path) -> bool {
    small_file::text(path, KEY_FILE_BYTES_MAX).is_ok_and(|text| is_sealed(&text))
}

/// Protects the text of a key file.
fn seal(text: &str, passphrase: &str) -> Result<String, Failure> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| Failure::new(Exit::Failed, "system", error.to_string()))?;
    let mut head = vec![VERSION];
    for number in [COST.memory_kib, COST.passes, COST.lanes] {
        head.extend_from_slice(&number.to_le_bytes());
    }
    head.extend_from_slice(&salt);
    let key = key(passphrase, &salt, COST).ok_or_else(unsealable)?;
    // Room for the tag from the beginning: a vector that grows leaves the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + CHACHA20_POLY1305.tag_len()));
    bytes.extend_from_slice(text.as_bytes());
    key.seal_in_place_append_tag(nonce(), Aad::from(&head), &mut *bytes)
        .map_err(|_| unsealable())?;
    head.extend_from_slice(&bytes);
    let body = BASE64.encode(&head);
    let lines: Vec<&str> = (0..body.len())
        .step_by(64)
        .map(|at| &body[at..body.len().min(at + 64)])
        .collect();
    Ok(format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")))
}

/// What a protected file held. None with another passphrase, or where a bit of it has changed.
fn open(text: &str, passphrase: &str) -> Option<Zeroizing<String>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let body: String = body.split_ascii_whitespace().collect();
    let bytes = Zeroizing::new(BASE64.decode(body.as_bytes()).ok()?);
    let (head, sealed) = bytes.split_at_checked(HEAD_BYTES)?;
    let number = |at: usize| {
        let bytes = head.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(bytes))
    };
    let cost = Cost {
        memory_kib: number(1)?,
        passes: number(5)?,
        lanes: number(9)?,
    };
    let bounded = cost.memory_kib <= COST_MAX.memory_kib
        && cost.passes <= COST_MAX.passes
        && cost.lanes <= COST_MAX.lanes;
    if head[0] != VERSION || !bounded {
        return None;
    }
    let key = key(passphrase, &head[13..], cost)?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let opened = key
        .open_in_place(nonce(), Aad::from(head), &mut sealed)
        .ok()?;
    let text = core::str::from_utf8(opened).ok()?;
    Some(Zeroizing::new(text.to_owned()))
}

fn key(passphrase: &str, salt: &[u8], cost: Cost) -> Option<LessSafeKey> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = Zeroizing::new([0; 32]);
    argon2
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .ok()?;
    UnboundKey::new(&CHACHA20_POLY1305, &*key)
        .ok()
        .map(LessSafeKey::new)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn unsealable() -> Failure {
    Failure::new(
        Exit::Failed,
        "system",
        "the key cannot be derived; nothing changed",
    )
    .hint("64 MiB of memory have to be free")
}

/// A key, and the passphrase that protects its file, if one does.
pub(crate) struct Unlocked {
    /// The key.
    pub(crate) key: AgentKey,
    /// What opened it.
    pub(crate) passphrase: Option<Passphrase>,
}

/// An agent's key, or a root's, in a file, whether or not it is protected.
pub(crate) fn agent_key(path: &Path) -> Result<AgentKey, Failure> {
    unlocked(path).map(|unlocked| unlocked.key)
}

/// The same, with what opened it.
pub(crate) fn unlocked(path: &Path) -> Result<Unlocked, Failure> {
    let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
    match AgentKey::load(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData && is_sealed_file(path) => {
            let text = small_file::text(path, KEY_FILE_BYTES_MAX).map_err(failed)?;
            let (opened, passphrase) = opened(path, &text)?;
            let mut seed = Zeroizing::new([0; 32]);
            from_hex(opened.trim(), &mut *seed).ok_or_else(|| {
                let words = format!("{} holds no agent's key", path.display());
                Failure::new(Exit::Verification, "key_malformed", words)
            })?;
            Ok(Unlocked {
                key: AgentKey::from_seed(*seed),
                passphrase: Some(passphrase),
            })
        }
        loaded => Ok(Unlocked {
            key: loaded.map_err(failed)?,
            passphrase: None,
        }),
    }
}

/// The same; one that is not there is drawn.
pub(crate) fn agent_key_or_new(path: &Path) -> Result<AgentKey, Failure> {
    if path.symlink_metadata().is_ok() {
        return agent_key(path);
    }
    AgentKey::load_or_create(path)
        .map_err(|error| Failure::system(&path.display().to_string(), &error))
}

/// The key in a file; one that is not there is drawn, and protected by this from its first byte on.
pub(crate) fn agent_key_or_sealed(path: &Path, passphrase: &str) -> Result<AgentKey, Failure> {
    if path.symlink_metadata().is_ok() {
        return agent_key(path);
    }
    let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
    let key = AgentKey::generate().map_err(failed)?;
    let seed = Zeroizing::new(key.signing().to_bytes());
    let text = Zeroizing::new(HEXLOWER.encode(&*seed) + "\n");
    replace(path, &sealed_whole(&text, passphrase)?).map_err(failed)?;
    Ok(key)
}

/// Protects a key file that lies there as it is; one that is protected already stays so.
pub(crate) fn protect(path: &Path, passphrase: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
    let text = Zeroizing::new(small_file::text(path, KEY_FILE_BYTES_MAX).map_err(failed)?);
    if is_sealed(&text) {
        return Ok(());
    }
    replace(path, &sealed_whole(&text, passphrase)?).map_err(failed)
}

/// The same as [`seal`], once it is sure that it opens again: the key may have no other copy, and what
/// takes its place has to hold it.
pub(crate) fn sealed_whole(text: &str, passphrase: &str) -> Result<String, Failure> {
    let sealed = seal(text, passphrase)?;
    match open(&sealed, passphrase) {
        Some(opened) if opened.as_str() == text => Ok(sealed),
        _ => Err(Failure::new(
            Exit::Failed,
            "system",
            "the key was not sealed; nothing changed",
        )),
    }
}

/// What a protected file held, with the passphrase that is at hand.
pub(crate) fn unlock(path: &Path, text: &str) -> Result<Zeroizing<String>, Failure> {
    opened(path, text).map(|(opened, _)| opened)
}

/// The same, and the passphrase.
pub(crate) fn opened(path: &Path, text: &str) -> Result<(Zeroizing<String>, Passphrase), Failure> {
    let passphrase = passphrase(&format!("passphrase of {}: ", path.display()))?;
    let opened = open(text, &passphrase).ok_or_else(|| {
        let words = format!(
            "{} does not open with this passphrase, or is damaged; nothing changed",
            path.display()
        );
        Failure::new(Exit::Denied, "passphrase_wrong", words)
            .hint("give it again; a file that was damaged has to come from a backup")
    })?;
    Ok((opened, passphrase))
}

/// Whether a passphrase can be had without asking anybody.
pub(crate) fn is_at_hand() -> bool {
    [PASSPHRASE_FILE, PASSPHRASE]
        .iter()
        .any(|name| std::env::var_os(name).is_some())
}

/// A passphrase for a file that is to be protected: asked for twice where somebody types it.
pub(crate) fn new_passphrase(path: &Path) -> Result<Passphrase, Failure> {
    let first = passphrase(&format!("new passphrase for {}: ", path.display()))?;
    if first.len() < PASSPHRASE_BYTES_MIN {
        let words =
            format!("a passphrase has {PASSPHRASE_BYTES_MIN} bytes at least; nothing changed");
        return Err(Failure::usage(words).hint("some words that nobody says together are good"));
    }
    if !is_at_hand() && *passphrase("the same again: ")? != *first {
        return Err(Failure::usage("the two are not the same; nothing changed"));
    }
    Ok(first)
}

fn passphrase(prompt: &str) -> Result<Passphrase, Failure> {
    if let Some(path) = std::env::var_os(PASSPHRASE_FILE) {
        return from_file(Path::new(&path));
    }
    if let Ok(text) = std::env::var(PASSPHRASE) {
        return Ok(Zeroizing::new(text));
    }
    typed(prompt).map_err(|_| {
        let words = "this key is protected, and no passphrase is at hand; nothing changed";
        Failure::new(Exit::Denied, "passphrase_needed", words).hint(format!(
            "{PASSPHRASE_FILE} names a file with it (mode 600), or give the command in a terminal"
        ))
    })
}

fn from_file(path: &Path) -> Result<Passphrase, Failure> {
    let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        let words = format!(
            "others can read {}: `chmod 600` it; nothing changed",
            path.display()
        );
        return Err(Failure::new(Exit::Denied, "key_open", words));
    }
    let text = Zeroizing::new(small_file::text(path, PASSPHRASE_BYTES_MAX as u64).map_err(failed)?);
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

/// Reads a line from the terminal, and shows nothing of it.
fn typed(prompt: &str) -> io::Result<Passphrase> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let terminal = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    (&terminal).write_all(prompt.as_bytes())?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
    let mut line = Zeroizing::new(String::with_capacity(PASSPHRASE_BYTES_MAX));
    let most = PASSPHRASE_BYTES_MAX as u64;
    let read = io::BufReader::new(io::Read::take(&terminal, most)).read_line(&mut line);
    let restored = tcsetattr(&terminal, OptionalActions::Flush, &before);
    (&terminal).write_all(b"\n")?;
    read?;
    restored?;
    let end = line.trim_end_matches(['\n', '\r']).len();
    line.truncate(end);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0707070707070707070707070707070707070707070707070707070707070707\n";

    #[test]
    fn a_key_comes_back_with_its_passphrase_and_no_other_and_each_time_looks_otherwise() {
        let sealed = seal(SECRET, "as good as any").expect("sealed");
        assert!(is_sealed(&sealed) && !is_sealed(SECRET));
        assert!(!sealed.contains(SECRET.trim()));
        assert_eq!(
            open(&sealed, "as good as any").expect("opened").as_str(),
            SECRET
        );
        assert!(open(&sealed, "as good as anx").is_none());
        assert_ne!(seal(SECRET, "as good as any").expect("sealed"), sealed);
    }

    /// Each byte of it, the cost among it, is under the seal; a file that asks for more than a machine
    /// has is not even tried.
    #[test]
    fn a_file_in_which_anything_was_changed_does_not_open() {
        let sealed = seal(SECRET, "as good as any").expect("sealed");
        let body: String = sealed
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let bytes = BASE64.decode(body.as_bytes()).expect("base64");
        for at in [0, 1, 4, 5, 9, 13, HEAD_BYTES, bytes.len() - 1] {
            let mut harmed = bytes.clone();
            harmed[at] ^= 0x80;
            let text = format!("{BEGIN}\n{}\n{END}\n", BASE64.encode(&harmed));
            assert!(open(&text, "as good as any").is_none(), "{at}");
        }
        assert!(open(&sealed[..sealed.len() / 2], "as good as any").is_none());
        assert!(open(&format!("{BEGIN}\n{END}\n"), "as good as any").is_none());
    }
}
