//! Backup and restore: the journal verified on its way, and the keys beside it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
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
use crate::rotation;

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
    // Somebody may have changed the node's key meanwhile: half of one and half of the other is no copy.
    to.load().map_err(&again)?;
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
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(directory);
        made.map_err(failed)?;
        let marker = directory.join(UNFINISHED_FILE);
        let (lock, begun) = match marked(&marker) {
            // Before it says of a directory of somebody's that it is a copy's.
            Ok(None) => {
                refuse_files(directory)?;
                (first_mark(&marker).map_err(failed)?, false)
            }
            Ok(Some(lock)) => (lock, true),
            Err(error) => return Err(failed(error)),
        };
        let under_way = || {
            let place = directory.display();
            let words = format!("another command copies into {place}; nothing was changed");
            Failure::new(Exit::Conflict, "command_under_way", words).hint("wait for its end")
        };
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(under_way()),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever ended meanwhile has taken its mark away: what is locked here stands for nothing.
        if !is_there(&lock, &marker).map_err(failed)? {
            return Err(under_way());
        }
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

/// The mark of a copy that has begun, if there is one.
fn marked(marker: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).open(marker) {
        Ok(mark) => Ok(Some(mark)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The mark of a copy that begins now; refused where another one begins at the same moment.
fn first_mark(marker: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(marker)
}

/// Whether a path still leads to an open file.
fn is_there(open: &File, path: &Path) -> io::Result<bool> {
    let held = open.metadata()?;
    match path.symlink_metadata() {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Of a directory that is to be served: a mark that lies there still is one that a copy which was whole
/// could not take away, since what says that a directory is a node's is written last. Where it stayed,
/// the same `restore` given again would clear what has been written since.
pub(crate) fn end_whole(home: &Home) -> Result<(), Failure> {
    let marker = home.directory().join(UNFINISHED_FILE);
    let failed = |error: io::Error| Failure::system(&marker.display().to_string(), &error);
    let Some(mark) = marked(&marker).map_err(failed)? else {
        return Ok(());
    };
    match mark.try_lock() {
        Ok(()) => fs::remove_file(&marker).map_err(failed),
        Err(TryLockError::WouldBlock) => refuse_unfinished(home),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Takes away what a copy has written that did not come to its end, and nothing else.
fn clear(directory: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    let home = Home::new(directory);
    // Whatever says that it is no part of a copy is looked for before anything is taken away.
    if home.is_member() {
        let words = format!(
            "{} holds a whole node: the copy into it had come to its end; nothing was changed",
            directory.display()
        );
        return Err(Failure::new(Exit::Conflict, "not_empty", words).hint(
            "name a directory that is new or empty; to make this one anew, remove it yourself",
        ));
    }
    if rotation::released(&home)?.is_none() {
        let words = format!(
            "a process uses {}; nothing was changed",
            directory.display()
        );
        return Err(Failure::new(Exit::Conflict, "in_use", words).hint("end it first"));
    }
    refuse_others(directory, |path| is_of_a_copy(&home, path))?;
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
        if is_part(&path) {
            fs::remove_file(path).map_err(failed)?;
        }
    }
    refuse_files(directory)
}

/// What a file is called that is being written.
fn is_part(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "part")
}

/// Whether a copy that was broken off may have written it.
fn is_of_a_copy(home: &Home, path: &Path) -> bool {
    let folders = [home.journal(), home.caches()];
    let files = home.credential_files();
    is_part(path) || folders.iter().chain(&files).any(|own| own == path)
}

/// Refuses a directory that holds anything but the word that a copy has begun.
fn refuse_files(directory: &Path) -> Result<(), Failure> {
    refuse_others(directory, |_| false)
}

/// Refuses a directory that holds anything but that and what is a copy's.
fn refuse_others(directory: &Path, is_own: impl Fn(&Path) -> bool) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        // A command that makes keys here may have come and been refused.
        let is_no_content = name == UNFINISHED_FILE || name == at_work::LOCK_FILE;
        if !is_no_content && !is_own(&entry.path()) {
            let words = format!("{} is not empty; nothing was changed", directory.display());
            let name = name.display();
            let hint = format!("name a directory that is new or empty; it holds `{name}`");
            return Err(Failure::new(Exit::Conflict, "not_empty", words).hint(hint));
        }
    }
    Ok(())
}
