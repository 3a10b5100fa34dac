//! Room on disks: how much there is, and what is said where there is none.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::failure::Failure;
use crate::limits::START_BYTES;

/// What a refusal for want of room is called; the same word as the node's own.
pub(crate) const FULL: &str = "disk_full";

/// How much room its user has on the disk of a path (bytes). A path that is not there yet is asked for by
/// the folder that it is to lie in.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|one| one.exists());
    let there = there.unwrap_or(Path::new("."));
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the system refused something for want of room: on the disk, or in what this user or this
/// process may take of it, as the journal has it.
pub(crate) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let none_left = matches!(error.kind(), StorageFull | QuotaExceeded);
    // By its number: a file that is too long to be read has the same kind.
    none_left || error.raw_os_error() == Some(Errno::FBIG.raw_os_error())
}

/// A refusal for want of room says how much there is and how much is wanted; any other stays as it is.
pub(crate) fn told(failure: Failure, directory: &Path) -> Failure {
    if failure.report().code != FULL {
        return failure;
    }
    failure.hint(format!(
        "{}, {} KiB at least are wanted besides what it holds: make room, then give the same command again",
        words(directory),
        START_BYTES >> 10
    ))
}

/// How much is free, in words.
pub(crate) fn words(directory: &Path) -> String {
    let place = directory.display();
    match free_bytes(directory) {
        Some(free) => format!("{} KiB are free on the disk of {place}", free >> 10),
        None => format!("nothing is free on the disk of {place}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn what_is_refused_for_want_of_room_says_how_much_there_is_and_nothing_else_does() {
        let place = tempfile::tempdir().expect("a place to write");
        let missing = place.path().join("a/b");
        let error = io::Error::from(io::ErrorKind::StorageFull);
        let full = told(Failure::system("run.json", &error), &missing);
        let report = full.report();
        assert_eq!(
            (report.code.as_str(), report.exit),
            (FULL, Exit::Unavailable as u8)
        );
        assert!(report.hint.contains("KiB are free"), "{}", report.hint);
        assert!(report.hint.contains("make room"), "{}", report.hint);
        let other = io::Error::from(io::ErrorKind::NotFound);
        let other = told(Failure::system("run.json", &other), &missing);
        assert_eq!(other.report().code, "system");
        assert_eq!(other.report().hint, "");
    }
}
