//! Copies of a whole data directory, verified while they are made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use unisono_core::journal::{self, CopyError, CopyReport};

use crate::file_disk::{FileDisk, LOCK_NAME, OpenDiskError};

/// A directory could not be backed up or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The target has files already.
    #[error("{} is not empty; nothing was changed", .0.display())]
    NotEmpty(PathBuf),
    /// A directory cannot be used.
    #[error(transparent)]
    Directory(#[from] OpenDiskError),
    /// Copying stopped. The target is of no use.
    #[error("{}: {source}", target.display())]
    Copy {
        /// Where the unfinished copy lies.
        target: PathBuf,
        /// Why.
        source: CopyError,
    },
}

/// Copies the journal in `from`, which may be in use, to a new or empty directory. Sealed segments
/// are verified by their hashes, the growing one frame by frame.
pub fn backup(from: &Path, to: &Path) -> Result<CopyReport, BackupError> {
    copy_directory(from, to)
}

/// Puts a backup in place as a data directory, which must be new or empty. The node that starts
/// there begins a new incarnation, as every start does, so it can fork nobody.
pub fn restore(from: &Path, to: &Path) -> Result<CopyReport, BackupError> {
    copy_directory(from, to)
}

fn copy_directory(from: &Path, to: &Path) -> Result<CopyReport, BackupError> {
    let source = FileDisk::open_read_only(from)?;
    refuse_files(to)?;
    let mut target = FileDisk::open(to)?;
    // Again under the lock: another process may have come first.
    refuse_files(to)?;
    journal::copy(&source, &mut target).map_err(|source| BackupError::Copy {
        target: to.to_path_buf(),
        source,
    })
}

/// Refuses a directory with anything in it but the lock.
fn refuse_files(directory: &Path) -> Result<(), BackupError> {
    let failed = |source: io::Error| OpenDiskError::Io {
        path: directory.to_path_buf(),
        source,
    };
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(failed)?,
    };
    for entry in entries {
        if entry.map_err(failed)?.file_name() != LOCK_NAME {
            return Err(BackupError::NotEmpty(directory.to_path_buf()));
        }
    }
    Ok(())
}
