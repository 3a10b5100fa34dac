//! Backup and restore: the journal verified on its way, and the keys beside it.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{Home, replace};
use crate::output;

/// `backup`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where to: a directory that is new or empty. It will hold the node's keys
    to: PathBuf,
}

/// `restore`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup; --data says where to
    from: PathBuf,
}

/// Copies the data directory, which may be in use.
pub(crate) fn backup(args: &BackupArgs, config: &Config, global: &Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    home.membership()?;
    copy(&home, &Home::new(&args.to), global)
}

/// Makes a data directory from a backup. What starts there is a new incarnation.
pub(crate) fn restore(args: &RestoreArgs, config: &Config, global: &Global) -> Result<(), Failure> {
    let from = Home::new(&args.from);
    from.load()?;
    copy(&from, &Home::new(config.data()), global)
}

fn copy(from: &Home, to: &Home, global: &Global) -> Result<(), Failure> {
    refuse_files(to.directory())?;
    let report = unisono_store::backup(&from.journal(), &to.journal())?;
    // The caches after the journal, so that they may speak of more than it holds, which is seen at
    // the start, and costs time at most.
    if from.caches().exists()
        && let Err(error) = unisono_store::backup(&from.caches(), &to.caches())
    {
        output::say(&format!("note: the caches were left out: {error}"));
    }
    // The keys last: whoever finds them may rely on the rest.
    for file in from.credential_files().into_iter().rev() {
        let Some(name) = file.file_name() else {
            continue;
        };
        let text = fs::read_to_string(&file);
        let written = text.and_then(|text| replace(&to.directory().join(name), &text));
        written.map_err(|error| Failure::system(&file.display().to_string(), &error))?;
    }
    let done = json!({
        "from": from.directory().display().to_string(),
        "to": to.directory().display().to_string(),
        "segments": report.segments,
        "bytes": report.bytes,
    });
    output::answer(global.output, &done, None)
}

fn refuse_files(directory: &Path) -> Result<(), Failure> {
    let mut entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => {
            other.map_err(|error| Failure::system(&directory.display().to_string(), &error))?
        }
    };
    if entries.next().is_none() {
        return Ok(());
    }
    let words = format!("{} is not empty; nothing was changed", directory.display());
    Err(Failure::new(Exit::Conflict, "not_empty", words)
        .hint("name a directory that is new or empty"))
}
