//! Key files: protect one with a passphrase, and take that away.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use unisono_model::from_hex;
use unisono_quic::identity::{NODE_KEY_FILE, NodeKey};
use zeroize::Zeroizing;

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::home::replace;
use crate::{output, sealed, small_file};

/// Largest key file (bytes).
const KEY_FILE_BYTES_MAX: u64 = 4 * 1024;

/// `key`.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum KeyCommand {
    /// Protects a key file with a passphrase: root.key, ca.key, an agent's
    #[command(after_help = "Example:\n  unisono key protect ./lab/root.key")]
    Protect {
        /// The file
        file: PathBuf,
    },
    /// Takes the passphrase of a key file away
    #[command(after_help = "Example:\n  unisono key unprotect ./lab/ca.key")]
    Unprotect {
        /// The file
        file: PathBuf,
    },
}

/// Protects, or takes the protection away.
pub(crate) fn run(args: &KeyArgs, global: &Global) -> Result<(), Failure> {
    let (file, protects) = match &args.command {
        KeyCommand::Protect { file } => (file, true),
        KeyCommand::Unprotect { file } => (file, false),
    };
    let failed = |error: io::Error| Failure::system(&file.display().to_string(), &error);
    closed_to_others(file)?;
    let text = Zeroizing::new(small_file::text(file, KEY_FILE_BYTES_MAX).map_err(failed)?);
    let is_sealed = sealed::is_sealed(&text);
    let written = match (protects, is_sealed) {
        (true, true) => return Err(already(file, "is protected already")),
        (false, false) => return Err(already(file, "is not protected")),
        (true, false) => protected(file, &text)?,
        (false, true) => sealed::unlock(file, &text)?,
    };
    replace(file, &written).map_err(failed)?;
    let told = json!({ "file": file, "protected": protects });
    output::answer(global.output, &told, None)
}

fn protected(file: &Path, text: &str) -> Result<Zeroizing<String>, Failure> {
    if file.file_name().is_some_and(|name| name == NODE_KEY_FILE) {
        let words =
            "node.key is not protected: a node begins by itself, also at night; nothing changed";
        return Err(Failure::usage(words).hint("have its disk encrypted, or its folder"));
    }
    let is_key = from_hex(text.trim(), &mut [0; 32]).is_some() || NodeKey::from_pem(text).is_some();
    if !is_key {
        let words = format!("{} holds no key of ours; nothing changed", file.display());
        return Err(Failure::new(Exit::Verification, "key_malformed", words));
    }
    let passphrase = sealed::new_passphrase(file)?;
    Ok(Zeroizing::new(sealed::sealed_whole(text, &passphrase)?))
}

fn closed_to_others(file: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |error: io::Error| Failure::system(&file.display().to_string(), &error);
    let metadata = file.symlink_metadata().map_err(failed)?;
    if !metadata.is_file() {
        let words = format!("{} is no plain file; nothing changed", file.display());
        return Err(Failure::usage(words));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let words = format!(
            "others can read {}: `chmod 600` it, and think of the key as known; nothing changed",
            file.display()
        );
        return Err(Failure::new(Exit::Denied, "key_open", words));
    }
    Ok(())
}

fn already(file: &Path, what: &str) -> Failure {
    Failure::usage(format!("{} {what}; nothing changed", file.display()))
}
