//! The data directory: founded once, used by one process, refused where it is not what it should be.

use crate::process::Place;

#[test]
fn a_second_init_is_refused() {
    let place = Place::new();
    place.found("a");
    let refused = place.fails(5, &["init", "--data", "a"]);
    assert_eq!(
        (&refused["code"], &refused["changed"]),
        (&"already_initialised".into(), &false.into())
    );
}

#[test]
fn a_second_process_on_one_directory_is_refused() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    let refused = place.fails(
        5,
        &[
            "serve",
            "--data",
            "a",
            "--http",
            "127.0.0.1:0",
            "--peer",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(refused["code"], "data_in_use");
    assert!(
        node.json(&place, &["status"])["node"].is_string(),
        "the first one goes on"
    );
}

#[test]
fn a_directory_that_is_none_is_refused_with_what_to_do() {
    let place = Place::new();
    let refused = place.fails(3, &["serve", "--data", "nowhere"]);
    assert_eq!(refused["code"], "not_initialised");
    assert!(
        refused["next"]
            .as_array()
            .unwrap()
            .contains(&"unisono up".into())
    );
}

#[test]
fn a_directory_of_another_cluster_or_a_newer_version_is_refused() {
    let place = Place::new();
    place.found("a");
    place.found("b");
    place.serve("a", &[]).stop();
    // The journal of a under the keys of b.
    std::fs::rename(place.path("a/journal"), place.path("b/journal")).unwrap();
    let refused = place.fails(
        8,
        &[
            "serve",
            "--data",
            "b",
            "--http",
            "127.0.0.1:0",
            "--peer",
            "127.0.0.1:0",
        ],
    );
    assert_eq!(refused["code"], "other_cluster");
    let file = place.path("a/cluster.toml");
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("format = 1", "format = 2");
    std::fs::write(&file, text).unwrap();
    let refused = place.fails(8, &["serve", "--data", "a"]);
    assert_eq!(refused["code"], "newer_version");
}

#[test]
fn secrets_that_others_can_read_are_refused() {
    let place = Place::new();
    place.found("a");
    let key = place.path("a/node.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let refused = place.fails(4, &["serve", "--data", "a"]);
    assert_eq!(refused["code"], "secrets_readable");
}

#[test]
fn a_restored_backup_of_a_running_node_has_everything_that_was_acknowledged() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "ada"]);
    let made = node.json(
        &place,
        &[
            "mark",
            "make",
            "it is done",
            "--about",
            "index",
            "--as",
            "ada",
        ],
    );
    let record = made["record"].as_str().unwrap();
    place.json(&["backup", "copy", "--data", "a"]);
    assert_eq!(
        place.fails(5, &["backup", "copy", "--data", "a"])["code"],
        "not_empty"
    );
    node.kill();
    place.json(&["restore", "copy", "--data", "b"]);
    assert_eq!(place.json(&["verify", "b"])["ok"], true);
    let node = place.serve("b", &[]);
    let marks = node.json(&place, &["mark", "list"]);
    assert_eq!(marks["marks"][0]["record"], record);
}

#[test]
fn damage_is_found_by_verification() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "ada"]);
    assert_eq!(node.stop(), 0);
    assert_eq!(place.json(&["verify", "a"])["ok"], true);
    let journal = std::fs::read_dir(place.path("a/journal")).unwrap();
    let segment = journal.map(|entry| entry.unwrap().path()).find(|path| {
        path.extension()
            .is_some_and(|extension| extension == "segment")
    });
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    assert_eq!(place.fails(8, &["verify", "a"])["code"], "not_verified");
}
