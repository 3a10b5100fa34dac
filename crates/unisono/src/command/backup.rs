//! Backup and restore: the journal verified on its way, and the keys beside it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::at_work;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{Home, replace};
use crate::output;
use crate::room;

/// Says of a directory that a copy into it has begun and not ended; locked by the command that is at it.
const UNFINISHED_FILE: &str = "unfinished-copy";

/// `backup`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where to: a directory that is new or empty, or where a backup was broken off. It will hold the
    /// node's keys
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
    refuse_unfinished(&from)?;
    from.load()?;
    copy(&from, &Home::new(config.data()), global)
}

/// Refuses a directory in which a copy was broken off: it holds a part of a node, and nobody knows which.
pub(crate) fn refuse_unfinished(home: &Home) -> Result<(), Failure> {
    if !home.directory().join(UNFINISHED_FILE).exists() {
        return Ok(());
    }
    let words = format!(
        "a copy into {} was broken off, or is still under way; nothing was changed",
        home.directory().display()
    );
    Err(Failure::new(Exit::Conflict, "copy_unfinished", words)
        .hint("give the same `backup` or `restore` again: it goes on from the beginning"))
}

fn copy(from: &Home, to: &Home, global: &Global) -> Result<(), Failure> {
    let copying = Copying::begin(to.directory())?;
    let again = |failure: Failure| {
        let failure = room::told(failure, to.directory());
        let before = failure.report().hint.clone();
        let begins = "the same command given again begins anew";
        let hint = [before.as_str(), begins];
        let hint = hint.into_iter().filter(|one| !one.is_empty());
        failure.hint(hint.collect::<Vec<_>>().join("; "))
    };
    let report = unisono_store::backup(&from.journal(), &to.journal());
    let report = report.map_err(|error| again(error.into()))?;
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
        written.map_err(|error| again(Failure::system(&file.display().to_string(), &error)))?;
    }
    copying.end()?;
    let done = json!({
        "from": from.directory().display().to_string(),
        "to": to.directory().display().to_string(),
        "segments": report.segments,
        "bytes": report.bytes,
    });
    output::answer(global.output, &done, None)
}

/// A copy that is under way into a directory. What is broken off leaves the word of it behind, so that
/// the same command may clear what there is and begin anew.
struct Copying {
    directory: PathBuf,
    _lock: File,
}

impl Copying {
    fn begin(directory: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
        let begun = directory.join(UNFINISHED_FILE).exists();
        if !begun {
            refuse_files(directory)?;
        }
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(failed)?;
        let lock = at_work::locked(&directory.join(UNFINISHED_FILE)).map_err(failed)?;
        let lock = lock.ok_or_else(|| {
            let words = format!(
                "another command copies into {}; nothing was changed",
                directory.display()
            );
            Failure::new(Exit::Conflict, "command_under_way", words).hint("wait for its end")
        })?;
        if begun {
            clear(directory)?;
            let place = directory.display();
            output::say(&format!(
                "note: a copy into {place} was broken off; it begins anew"
            ));
        }
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
        })
    }

    fn end(self) -> Result<(), Failure> {
        let directory = &self.directory;
        let removed = fs::remove_file(directory.join(UNFINISHED_FILE));
        let synced = removed.and_then(|()| File::open(directory)?.sync_all());
        synced.map_err(|error| Failure::system(&directory.display().to_string(), &error))
    }
}

/// Takes away what a copy has written that did not come to its end, and nothing else.
fn clear(directory: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    let home = Home::new(directory);
    for folder in [home.journal(), home.caches()] {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
    }
    for file in home.credential_files() {
        fs::remove_file(file).map_err(failed)?;
    }
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "part")
        {
            fs::remove_file(path).map_err(failed)?;
        }
    }
    refuse_files(directory)
}

/// Refuses a directory that holds anything but the word that a copy has begun.
fn refuse_files(directory: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if name != UNFINISHED_FILE {
            let words = format!("{} is not empty; nothing was changed", directory.display());
            let name = name.display();
            let hint = format!("name a directory that is new or empty; it holds `{name}`");
            return Err(Failure::new(Exit::Conflict, "not_empty", words).hint(hint));
        }
    }
    Ok(())
}
