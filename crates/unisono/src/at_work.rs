//! One command at a time makes or changes the keys of a data directory: two at once would each find the
//! half of what the other one has written, and blame its owner for it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use crate::failure::{Exit, Failure};
use crate::home::Home;

/// The lock of the command that is at work.
pub(crate) const LOCK_FILE: &str = "command.lock";

/// What the second command is told.
pub(crate) const UNDER_WAY: &str = "command_under_way";

/// The right to change them. It ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct AtWork {
    _lock: File,
}

/// Takes it; the directory is made if it is missing.
pub(crate) fn begin(home: &Home) -> Result<AtWork, Failure> {
    let directory = home.directory();
    let failed = |error: io::Error| Failure::system(&directory.display().to_string(), &error);
    let mut builder = DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(failed)?;
    let lock = locked(&directory.join(LOCK_FILE)).map_err(failed)?;
    let lock = lock.ok_or_else(|| {
        let place = directory.display();
        let words = format!("another command is at work in {place}; nothing changed");
        Failure::new(Exit::Conflict, UNDER_WAY, words)
            .hint("wait for its end; what it has done is there then")
    })?;
    Ok(AtWork { _lock: lock })
}

/// A file that is locked by this process; none where another one has it.
pub(crate) fn locked(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let lock = options.open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_commands_in_one_directory_the_second_is_told_so_until_the_first_has_ended() {
        let place = tempfile::tempdir().expect("a place to write");
        let home = Home::new(place.path().join("a/b"));
        let first = begin(&home).expect("nobody else is at work");
        let second = begin(&home).expect_err("one at a time");
        assert_eq!(second.report().code, "command_under_way");
        assert!(second.report().error.contains("another command"));
        drop(first);
        begin(&home).expect("the first has ended");
    }
}
