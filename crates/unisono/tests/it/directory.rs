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

/// What the doctor found, by what was looked at.
fn found(told: &serde_json::Value) -> std::collections::BTreeMap<String, String> {
    let findings = told["findings"].as_array().unwrap().iter();
    let word = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap().to_owned();
    findings
        .map(|one| (word(one, "what"), word(one, "state")))
        .collect()
}

#[test]
fn the_doctor_finds_open_keys_and_taken_ports_and_says_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.found("a");
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = socket.local_addr().unwrap().to_string();
    let url = format!("http://{taken}");
    let look = |http: &str| {
        let words = [
            "doctor",
            "--data",
            "a",
            "--node",
            &url,
            "-o",
            "json",
            "--wait-ms",
            "1000",
        ];
        let config = format!("http = \"{http}\"\npeer = \"127.0.0.1:0\"\n");
        std::fs::write(place.path("doctor.toml"), config).unwrap();
        let mut all = words.to_vec();
        all.extend(["--config", "doctor.toml"]);
        place.run(&all)
    };
    let said = look(&taken);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let states = found(&told);
    assert_eq!((said.code, states["keys"].as_str()), (1, "good"));
    assert_eq!(states["port for agents"], "bad", "{states:?}");
    assert_eq!(states["port for peers"], "good");
    drop(socket);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(place.path("a/root.key"), open).unwrap();
    let said = look("127.0.0.1:0");
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let states = found(&told);
    assert_eq!((said.code, states["root of rights"].as_str()), (1, "bad"));
    assert!(said.out.contains("chmod 600"), "{}", said.out);
}

#[test]
fn the_doctor_is_content_with_a_node_that_is_well() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    let told = node.json(&place, &["doctor", "--data", "a"]);
    assert_eq!(told["healthy"], true, "{told:#}");
    let states = found(&told);
    for what in [
        "directory",
        "keys",
        "certificate",
        "node",
        "version",
        "members",
    ] {
        assert_eq!(states[what], "good", "{what}: {told:#}");
    }
}
