//! A backup is whole, verified, and taken while the node goes on writing.

use std::fs;

use unisono_store::{BackupError, backup, restore};

use crate::stand::{content, entry, journal};

#[test]
fn a_backup_of_a_journal_in_use_can_be_restored() {
    let directory = tempfile::tempdir().unwrap();
    let [data, saved, again] = ["data", "saved", "again"].map(|name| directory.path().join(name));
    let mut source = journal(&data, 4096);
    for seq in 0..50 {
        source.append(&[entry(seq, 300)]).unwrap();
    }
    source.put_blob("settings", b"loud").unwrap();
    let report = backup(&data, &saved).unwrap();
    assert!(report.segments > 3 && report.blobs == 1);
    source.append(&[entry(50, 300)]).unwrap();
    restore(&saved, &again).unwrap();
    let restored = journal(&again, 4096);
    assert_eq!(content(&restored).len(), 50);
    assert_eq!(
        restored.get_blob("settings").unwrap().as_deref(),
        Some(&b"loud"[..])
    );
    assert_eq!(restored.damage(), []);
    drop(restored);
    let refused = restore(&saved, &again).unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)));
    assert!(refused.to_string().contains("nothing was changed"));
}

#[test]
fn a_backup_of_damaged_data_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut source = journal(&data, 4096);
    for seq in 0..50 {
        source.append(&[entry(seq, 300)]).unwrap();
    }
    drop(source);
    for (number, segment) in ["0000000000000001.segment", "0000000000000003.segment"]
        .iter()
        .enumerate()
    {
        let path = data.join(segment);
        let mut bytes = fs::read(&path).unwrap();
        bytes[1000] ^= 4;
        fs::write(&path, &bytes).unwrap();
        let refused = backup(&data, &directory.path().join(format!("saved{number}"))).unwrap_err();
        assert!(matches!(refused, BackupError::Copy { .. }), "{refused}");
        bytes[1000] ^= 4;
        fs::write(&path, &bytes).unwrap();
    }
    backup(&data, &directory.path().join("saved")).unwrap();
}

#[test]
fn there_has_to_be_something_to_back_up() {
    let directory = tempfile::tempdir().unwrap();
    let [empty, saved] = ["empty", "saved"].map(|name| directory.path().join(name));
    backup(&empty, &saved).unwrap_err();
    fs::create_dir(&empty).unwrap();
    backup(&empty, &saved).unwrap_err();
}
