//! Keys and certificates, in memory and on disk.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use unisono_model::{ClusterId, NodeId};
use unisono_quic::identity::{
    Certificate, ClusterAuthority, Credentials, IdentityError, NodeKey, Region,
};

use crate::world::{certificate_for, founder, member, now_ms, region};

const DAY_MS: u64 = 24 * 3_600_000;

#[test]
fn a_certificate_names_node_cluster_and_region() {
    let root = founder(7);
    let south = member(&root, "south-2");
    let identity = south
        .certificate()
        .vouched_by(root.authority_certificate(), now_ms())
        .unwrap();
    assert_eq!(identity.node, south.node());
    assert_eq!(identity.cluster, ClusterId([7; 16]));
    assert_eq!(identity.region.as_str(), "south-2");
    assert_eq!(
        root.authority_certificate().authority_cluster().unwrap(),
        ClusterId([7; 16])
    );
}

#[test]
fn a_certificate_counts_for_a_week_with_a_day_to_spare_before() {
    let root = founder(1);
    let now = now_ms();
    let authority = root.authority_certificate();
    let at = |made: u64, seen: u64| {
        certificate_for(&root, root.node(), made)
            .vouched_by(authority, seen)
            .is_ok()
    };
    assert!(at(now, now));
    assert!(at(now + DAY_MS / 2, now));
    assert!(!at(now + 2 * DAY_MS, now));
    assert!(at(now, now + 6 * DAY_MS));
    assert!(!at(now, now + 8 * DAY_MS));
}

#[test]
fn another_authority_and_a_tampered_certificate_do_not_count() {
    let (root, other) = (founder(1), founder(2));
    let certificate = member(&root, "south").certificate().clone();
    assert!(
        certificate
            .vouched_by(other.authority_certificate(), now_ms())
            .is_err()
    );
    // A second authority of the same cluster id is still another authority.
    let twin = founder(1);
    assert!(
        certificate
            .vouched_by(twin.authority_certificate(), now_ms())
            .is_err()
    );
    for position in 0..certificate.der().len() {
        let mut der = certificate.der().to_vec();
        der[position] ^= 1;
        let tampered = Certificate::from_der(der);
        assert!(
            tampered
                .vouched_by(root.authority_certificate(), now_ms())
                .is_err(),
            "{position}"
        );
    }
}

#[test]
fn no_certificate_for_a_key_that_nobody_can_own() {
    let root = founder(1);
    let authority = root.authority().unwrap();
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        assert!(
            authority
                .issue(NodeId(weak), &region("north"), now_ms())
                .is_err()
        );
    }
}

#[test]
fn regions_are_dns_labels() {
    for good in ["a", "eu-west-1", "9", &"x".repeat(63)] {
        assert!(good.parse::<Region>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "-a",
        "a-",
        "A",
        "a b",
        "a/b",
        "é",
        "a\n",
        &"x".repeat(64),
    ] {
        assert!(bad.parse::<Region>().is_err(), "{bad}");
    }
}

#[test]
fn credentials_survive_the_disk_and_are_closed_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let root = founder(1);
    root.save(&path).unwrap();
    root.save(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let mut names = Vec::new();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["ca.crt", "ca.key", "node.crt", "node.key"]);
    let loaded = Credentials::load(&path, Some(ClusterId([1; 16]))).unwrap();
    assert_eq!(loaded.node(), root.node());
    assert!(loaded.authority().is_some());

    let south = member(&root, "south");
    let other = directory.path().join("other");
    south.save(&other).unwrap();
    assert!(
        Credentials::load(&other, None)
            .unwrap()
            .authority()
            .is_none()
    );
    // Keys are never overwritten.
    assert!(matches!(
        south.save(&path),
        Err(IdentityError::Exists { .. })
    ));
    assert_eq!(Credentials::load(&path, None).unwrap().node(), root.node());
}

fn change(path: &Path, change: impl FnOnce(&Path)) -> IdentityError {
    change(path);
    Credentials::load(path, None).unwrap_err()
}

#[test]
fn what_is_wrong_with_credentials_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let root = founder(1);
    let fresh = |name: &str| {
        let path = directory.path().join(name);
        root.save(&path).unwrap();
        path
    };
    let path = fresh("missing");
    let error = change(&path, |path| {
        fs::remove_file(path.join("node.key")).unwrap();
    });
    assert!(matches!(error, IdentityError::Missing { .. }), "{error}");

    let error = change(&fresh("open"), |path| {
        fs::set_permissions(path.join("node.key"), fs::Permissions::from_mode(0o644)).unwrap();
    });
    assert!(
        matches!(error, IdentityError::TooOpen { mode: 0o644, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("chmod 600"), "{error}");

    let error = change(&fresh("writable"), |path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o770)).unwrap();
    });
    assert!(
        matches!(error, IdentityError::TooOpen { mode: 0o770, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("chmod 700"), "{error}");

    let error = change(&fresh("pipe"), |path| {
        fs::remove_file(path.join("node.key")).unwrap();
        let made = std::process::Command::new("mkfifo")
            .arg(path.join("node.key"))
            .status();
        assert!(made.unwrap().success());
    });
    assert!(matches!(error, IdentityError::Malformed { .. }), "{error}");

    let error = change(&fresh("link"), |path| {
        fs::rename(path.join("node.key"), path.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", path.join("node.key")).unwrap();
    });
    assert!(matches!(error, IdentityError::Malformed { .. }), "{error}");

    let error = change(&fresh("short"), |path| {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path.join("node.key"))
            .unwrap();
        file.set_len(40).unwrap();
    });
    assert!(matches!(error, IdentityError::Malformed { .. }), "{error}");

    let other = directory.path().join("stranger");
    founder(2).save(&other).unwrap();
    let swapped = |name: &'static str| {
        let other = other.clone();
        move |path: &Path| {
            fs::copy(other.join(name), path.join(name)).unwrap();
        }
    };
    let error = change(&fresh("key"), swapped("node.key"));
    assert!(matches!(error, IdentityError::Mismatch { .. }), "{error}");
    let error = change(&fresh("ca"), swapped("ca.key"));
    assert!(matches!(error, IdentityError::Mismatch { .. }), "{error}");
    let error = change(&fresh("crt"), swapped("node.crt"));
    assert!(matches!(error, IdentityError::Certificate(_)), "{error}");

    let error = Credentials::load(&fresh("whole"), Some(ClusterId([2; 16]))).unwrap_err();
    assert!(
        matches!(error, IdentityError::OtherCluster { .. }),
        "{error}"
    );
}

/// Only the administrator can give a file away, so that this runs for nobody else.
#[test]
fn a_key_that_belongs_to_somebody_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for gives in ["node.key", "ca.key", "."] {
        let path = directory.path().join(format!("of-{gives}"));
        founder(1).save(&path).unwrap();
        let given = std::os::unix::fs::chown(path.join(gives), Some(65_534), None);
        if let Err(error) = given {
            println!("SKIPPED: no file can be given away: {error}");
            return;
        }
        if fs::metadata(directory.path()).unwrap().uid() == 65_534 {
            println!("SKIPPED: this is the user whom it was given to");
            return;
        }
        let error = Credentials::load(&path, None).unwrap_err();
        let IdentityError::OthersOwn { owner, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(owner, 65_534);
        assert!(error.to_string().contains("chown"), "{error}");
    }
}

#[test]
fn an_interrupted_join_keeps_its_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    let key = NodeKey::generate();
    Credentials::save_key(&path, &key).unwrap();
    assert_eq!(Credentials::load_key(&path).unwrap().id(), key.id());
    let missing = Credentials::load(&path, None).unwrap_err();
    assert!(missing.to_string().contains("node.crt"), "{missing}");
}

#[test]
fn no_debug_output_shows_a_secret() {
    let seed = [0xa5; 32];
    let key = NodeKey::from_seed(seed);
    let authority = ClusterAuthority::found(ClusterId([1; 16]), now_ms()).unwrap();
    let certificate = authority
        .issue(key.id(), &region("north"), now_ms())
        .unwrap();
    let root = authority.certificate().clone();
    let shown = format!("{key:?} {authority:?}");
    let credentials = Credentials::new(key, certificate, root, Some(authority), now_ms()).unwrap();
    let shown = format!("{shown} {credentials:?}").to_lowercase();
    assert!(
        !shown.contains("a5a5a5") && !shown.contains("165, 165, 165"),
        "{shown}"
    );
}
