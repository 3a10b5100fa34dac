//! The real disk does what the journal asks of one.

use unisono_core::journal::{Disk, DiskErrorKind, FORMAT_VERSION, Journal, OpenError, Options};
use unisono_model::ClusterId;
use unisono_store::{FileDisk, OpenDiskError};

use crate::stand::{self, ORCHESTRA, content, entry, journal, options};

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/data");
    for life in 0..5 {
        let mut journal = journal(&path, 4096);
        assert_eq!(content(&journal).len(), life * 20);
        for seq in 0..20 {
            journal
                .append(&[entry(life as u64 * 20 + seq, 300)])
                .unwrap();
        }
        journal
            .put_blob("views.checkpoint", &[life as u8; 500])
            .unwrap();
        assert_eq!(journal.list_blobs("views"), ["views.checkpoint"]);
    }
    let mut journal = journal(&path, 4096);
    assert!(journal.segments() > 5);
    assert!(
        content(&journal)
            .iter()
            .eq(&(0..100).map(|seq| entry(seq, 300)).collect::<Vec<_>>())
    );
    assert_eq!(
        journal.get_blob("views.checkpoint").unwrap(),
        Some(vec![4; 500])
    );
    journal.remove_blob("views.checkpoint").unwrap();
    assert_eq!(journal.get_blob("views.checkpoint").unwrap(), None);
    let one = journal.read_one(entry(77, 300).key).unwrap();
    assert_eq!(one, Some(entry(77, 300)));
    assert!(journal.verify(u64::MAX).unwrap().damage.is_empty());
}

#[test]
fn a_directory_is_for_its_owner_and_for_one_process() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let first = FileDisk::open(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let refused = FileDisk::open(&path).unwrap_err();
    assert!(matches!(refused, OpenDiskError::InUse(_)));
    let text = refused.to_string();
    assert!(text.contains(path.to_str().unwrap()) && text.contains("nothing was changed"));
    drop(first);
    FileDisk::open(&path).unwrap();
}

#[test]
fn another_cluster_or_a_newer_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = journal(directory.path(), 4096);
    for seq in 0..20 {
        journal.append(&[entry(seq, 300)]).unwrap();
    }
    drop(journal);
    let files = || {
        let disk = FileDisk::open_read_only(directory.path()).unwrap();
        let names = disk.list().unwrap();
        let content = |(name, length): (String, u64)| {
            let bytes = disk.read(&name, 0, length as usize).unwrap();
            (name, bytes)
        };
        names.into_iter().map(content).collect::<Vec<_>>()
    };
    let before = files();
    let foreign = Options::new(ClusterId([8; 16]), [9; 16]);
    let refused = Journal::open(FileDisk::open(directory.path()).unwrap(), foreign).unwrap_err();
    let OpenError::OtherCluster { found, .. } = &refused else {
        panic!("{refused}")
    };
    assert_eq!(*found, options().cluster);
    assert_eq!(files(), before);

    // The last segment of a newer program, whose head we cannot even check.
    let (last, mut bytes) = before
        .iter()
        .rfind(|(n, _)| n.ends_with(".segment"))
        .unwrap()
        .clone();
    for copy in [0, 64] {
        bytes[copy + 8] = FORMAT_VERSION as u8 + 1;
    }
    std::fs::write(directory.path().join(&last), &bytes).unwrap();
    let before = files();
    let refused = Journal::open(FileDisk::open(directory.path()).unwrap(), options()).unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::NewerVersion {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{refused}"
    );
    assert!(refused.to_string().contains(&last));
    assert_eq!(files(), before);
}

#[test]
fn missing_and_bad_indexes_are_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut journal_before = journal(path, 4096);
    for seq in 0..40 {
        journal_before.append(&[entry(seq, 300)]).unwrap();
    }
    drop(journal_before);
    let mut indexes: Vec<_> = std::fs::read_dir(path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "index")
        })
        .collect();
    indexes.sort();
    std::fs::remove_file(&indexes[0]).unwrap();
    let mut bytes = std::fs::read(&indexes[1]).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&indexes[1], bytes).unwrap();
    std::fs::write(&indexes[2], b"short").unwrap();
    let journal = journal(path, 4096);
    assert_eq!(content(&journal).len(), 40);
    assert_eq!(journal.damage(), []);
    assert!(
        indexes
            .iter()
            .all(|path| std::fs::metadata(path).unwrap().len() > 100)
    );
    // A good index is read, not made anew: opening must not grow with history.
    drop(journal);
    let written = |path| std::fs::metadata(path).unwrap().modified().unwrap();
    let before: Vec<_> = indexes.iter().map(written).collect();
    drop(stand::journal(path, 4096));
    assert_eq!(indexes.iter().map(written).collect::<Vec<_>>(), before);
}

#[test]
fn a_segment_that_is_gone_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mut journal_before = journal(path, 4096);
    for seq in 0..40 {
        journal_before.append(&[entry(seq, 300)]).unwrap();
    }
    drop(journal_before);
    std::fs::remove_file(path.join("0000000000000002.segment")).unwrap();
    let journal = journal(path, 4096);
    let damage = journal.damage();
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].segment, 2);
    assert!(damage[0].to_string().contains("missing"));
    assert!(
        journal
            .held(ORCHESTRA, entry(0, 0).key.log)
            .unwrap()
            .iter()
            .count()
            == 2,
        "a gap"
    );
}

#[test]
fn errors_say_what_failed() {
    let directory = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::open(directory.path()).unwrap();
    let error = disk.read("absent", 0, 10).unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::Missing);
    assert!(
        error
            .to_string()
            .starts_with("cannot read absent: there is no such file"),
        "{error}"
    );
    assert!(disk.remove("absent").unwrap_err().is_missing());
    disk.append("file", b"abcdef").unwrap();
    disk.truncate("file", 4).unwrap();
    disk.append("file", b"xy").unwrap();
    disk.sync("file").unwrap();
    disk.rename("file", "other").unwrap();
    disk.append("other", b"!").unwrap();
    disk.sync_directory().unwrap();
    assert_eq!(disk.read("other", 2, 100).unwrap(), b"cdxy!");
    assert_eq!(disk.list().unwrap(), [("other".to_owned(), 7)]);
    let mut reader = FileDisk::open_read_only(directory.path()).unwrap();
    assert!(reader.append("other", b"no").is_err());
}
