//! However often the moving is broken off, it comes to the same end.

use super::*;

/// A directory in which a former identity is to make room for the next one.
fn place() -> (tempfile::TempDir, Home) {
    let directory = tempfile::tempdir().expect("a place to write");
    let home = Home::new(directory.path());
    for name in ["cluster.toml", "node.key", "roots.json", "renewer.token"] {
        fs::write(directory.path().join(name), "former").expect("written");
    }
    for name in ["root.key", "ca.key"] {
        fs::write(directory.path().join(name), "the operator's").expect("written");
    }
    fs::create_dir(directory.path().join("journal")).expect("made");
    fs::write(directory.path().join("journal/one"), "former").expect("written");
    fs::create_dir(directory.path().join(NEXT)).expect("made");
    for name in ["cluster.toml", "node.key", "node.crt"] {
        fs::write(directory.path().join(NEXT).join(name), "next").expect("written");
    }
    let moving = Moving {
        former: NodeId([1; 32]),
        next: NodeId([2; 32]),
        aside: "former.1".to_owned(),
        authority_aside: false,
        step: Step::Aside,
    };
    write(&home, ROTATION_FILE, &moving).expect("written");
    (directory, home)
}

fn is_in_place(home: &Home) {
    let read = |name: &str| fs::read_to_string(home.directory().join(name)).ok();
    for name in ["cluster.toml", "node.key", "node.crt"] {
        assert_eq!(read(name).as_deref(), Some("next"), "{name}");
    }
    for name in ["root.key", "ca.key"] {
        assert_eq!(read(name).as_deref(), Some("the operator's"), "{name}");
    }
    // The next identity has heard of no other root, and may renew nothing.
    for name in ["roots.json", "renewer.token", "journal/one", ROTATION_FILE] {
        assert_eq!(read(name), None, "{name}");
    }
    for name in [
        "cluster.toml",
        "node.key",
        "roots.json",
        "renewer.token",
        "journal/one",
    ] {
        let aside = format!("former.1/{name}");
        assert_eq!(read(&aside).as_deref(), Some("former"), "{aside}");
    }
    assert!(!home.directory().join(NEXT).exists());
}

#[test]
fn what_was_broken_off_at_any_file_is_finished() {
    let (_kept, home) = place();
    finish(&home).expect("finished");
    is_in_place(&home);
    // Each single move that may have been the last one before a power cut, in their order.
    let aside = OF_ONE_IDENTITY.map(|name| (name.to_owned(), format!("former.1/{name}")));
    let inward = OF_A_JOIN.map(|name| (format!("{NEXT}/{name}"), name.to_owned()));
    for done in 0..=aside.len() + inward.len() {
        let (_kept, home) = place();
        let at = |name: &str| home.directory().join(name);
        fs::create_dir(at("former.1")).expect("made");
        for (from, to) in aside.iter().take(done) {
            moved(&at(from), &at(to)).expect("moved");
        }
        if done >= aside.len() {
            let mut moving = moving(&home).expect("read").expect("there");
            moving.step = Step::In;
            write(&home, ROTATION_FILE, &moving).expect("written");
        }
        for (from, to) in inward.iter().take(done.saturating_sub(aside.len())) {
            moved(&at(from), &at(to)).expect("moved");
        }
        finish(&home).expect("finished");
        is_in_place(&home);
        finish(&home).expect("nothing is left to be done");
        is_in_place(&home);
    }
}

#[test]
fn an_authority_that_the_next_identity_does_not_know_goes_aside() {
    let (_kept, home) = place();
    let mut moving = moving(&home).expect("read").expect("there");
    moving.authority_aside = true;
    write(&home, ROTATION_FILE, &moving).expect("written");
    finish(&home).expect("finished");
    assert!(!home.directory().join(CA_KEY_FILE).exists());
    assert!(home.directory().join("former.1").join(CA_KEY_FILE).exists());
}

#[tokio::test]
async fn whoever_serves_waits_for_the_command_and_finishes_what_it_left() {
    let (_kept, home) = place();
    let rotation = Rotation::begin(&home).expect("nobody else is at it");
    let second = Rotation::begin(&home).expect_err("somebody is");
    assert_eq!(second.report().code, "rotation_under_way");
    let waited = tokio::time::timeout(3 * LOOKED_EVERY, settled(&home)).await;
    assert!(waited.is_err(), "it waits");
    drop(rotation);
    settled(&home).await.expect("finished");
    is_in_place(&home);
}

#[tokio::test]
async fn nothing_is_moved_while_the_former_process_may_write() {
    let (_kept, home) = place();
    fs::remove_dir_all(home.journal()).expect("removed");
    let process = FileDisk::open(home.journal()).expect("free");
    let waited = tokio::time::timeout(3 * LOOKED_EVERY, settled(&home)).await;
    assert!(waited.is_err(), "it waits");
    assert!(
        moving(&home).expect("read").is_some(),
        "it is still decided"
    );
    drop(process);
    settled(&home).await.expect("finished");
    assert!(home.directory().join("former.1/journal").is_dir());
}

#[test]
fn a_link_that_would_lead_elsewhere_is_found_before_anything_changes() {
    let (kept, home) = place();
    let rotation = Rotation::begin(&home).expect("nobody else is at it");
    rotation.can_move().expect("all lies here");
    fs::rename(home.journal(), kept.path().join("elsewhere")).expect("moved");
    std::os::unix::fs::symlink("elsewhere", home.journal()).expect("linked");
    let refused = rotation.can_move().expect_err("it would dangle");
    assert_eq!(refused.report().code, "not_movable");
    fs::remove_file(home.journal()).expect("removed");
    std::os::unix::fs::symlink(kept.path().join("elsewhere"), home.journal()).expect("linked");
    rotation.can_move().expect("it leads to the same place");
}
