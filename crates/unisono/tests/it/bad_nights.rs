//! What users met on the first bad night: a disk that is full at the start, a node that was removed and
//! does not know, two commands in one folder, a copy that was broken off, a clock that nobody named.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::cluster::three;
use crate::process::{Place, free_address, until};

/// What the doctor of a directory finds, in its order.
fn findings(place: &Place, words: &[&str]) -> Vec<Value> {
    let said = place.run(&[words, &["doctor", "-o", "json"]].concat());
    let told: Value = serde_json::from_str(&said.out).unwrap();
    told["findings"].as_array().unwrap().clone()
}

fn parts(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".part")).collect()
}

/// A node that may write nothing from its first moment on, as on a disk that is full; ended with this.
struct Full(Child);

impl Drop for Full {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn on_a_full_disk(place: &Place, words: &[&str]) -> (Full, Value) {
    let node = place.command();
    let mut shell = std::process::Command::new("sh");
    let limit = "trap '' XFSZ; ulimit -S -f 0; exec \"$@\"";
    shell.args(["-c", limit, "sh"]).arg(node.get_program());
    shell.current_dir(node.get_current_dir().unwrap());
    shell.args(words).args(["-o", "json"]);
    let piped = shell.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = piped.spawn().unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    let full = Full(child);
    BufReader::new(out).read_line(&mut line).unwrap();
    let ready = serde_json::from_str(&line).unwrap_or(Value::Null);
    (full, ready)
}

#[test]
fn a_node_starts_on_a_full_disk_for_reading_says_so_and_takes_writes_when_there_is_room() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "ada"]);
    node.json(&place, &["task", "create", "kept", "--as", "ada"]);
    assert_eq!(node.stop(), 0);

    let anywhere = ["--http", "127.0.0.1:0", "--peer", "127.0.0.1:0"];
    let (node, ready) =
        on_a_full_disk(&place, &[&["serve", "--data", "a"], &anywhere[..]].concat());
    let url = ready["http"].as_str().expect("it serves").to_owned();
    let ask = |words: &[&str]| place.json(&[&["--node", &url], words].concat());
    assert_eq!(ask(&["task", "show", "kept"])["status"], "open");
    until("it says that it takes no writes", || {
        ask(&["status"])["disk_full"] == true
    });
    let write = ["--node", &url, "task", "create", "more", "--as", "ada"];
    assert_eq!(place.fails(6, &write)["code"], "disk_full");
    let found = findings(&place, &["--node", &url, "--data", "a"]);
    let writes = found.iter().find(|one| one["what"] == "writes").unwrap();
    assert_eq!(writes["state"], "bad", "{writes}");
    assert_eq!(parts(&place.path("a")), Vec::<String>::new());
    assert!(!place.path("a/run.json").exists());

    let pid = Pid::from_raw(i32::try_from(node.0.id()).unwrap());
    let none = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, none).unwrap();
    until("it takes writes", || place.run(&write).code == 0);
    until("it says where it listens", || {
        place.path("a/run.json").exists()
    });
}

#[test]
fn what_cannot_be_made_for_want_of_room_says_how_much_there_is_and_leaves_nothing_half() {
    let place = Place::new();
    let (mut node, ready) = on_a_full_disk(&place, &["init", "--data", "a"]);
    assert_eq!(ready, Value::Null);
    assert_eq!(node.0.wait().unwrap().code(), Some(6));
    assert_eq!(parts(&place.path("a")), Vec::<String>::new());
    place.found("a");
}

#[test]
fn the_doctor_of_a_removed_node_names_the_removal_before_anything_else() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    assert_ne!(
        findings(&place, &["--node", &n3.url, "--data", "n3"])[0]["what"],
        "membership"
    );
    let removed = n3.json(&place, &["status"])["node"].clone();
    let root = place.path("n1/root.key");
    let remove = [
        "node",
        "remove",
        removed.as_str().unwrap(),
        "--as",
        "root",
        "--key-file",
        root.to_str().unwrap(),
    ];
    n1.json(&place, &remove);
    let first = |words: &[&str]| findings(&place, words).remove(0);
    until("its directory remembers who turned it away", || {
        first(&["--node", &n3.url, "--data", "n3"])["what"] == "membership"
    });
    assert_eq!(n3.stop(), 0);
    // Another node answers where this one would, and says nothing of it.
    let said = first(&["--data", "n3"]);
    assert_eq!(
        (&said["what"], &said["state"]),
        (&json!("membership"), &json!("bad")),
        "{said}"
    );
    let hint = said["hint"].as_str().unwrap();
    assert!(hint.contains("an invite"), "{said}");
    // Those that stay remember nothing of that kind.
    for (node, data) in [(&n1, "n1"), (&n2, "n2")] {
        let said = first(&["--node", &node.url, "--data", data]);
        assert_ne!(said["what"], "membership", "{said}");
    }
}

#[test]
fn the_doctor_names_a_clock_that_is_further_from_the_clusters_than_a_second() {
    let place = Place::new();
    place.found("a");
    let found = |node: &str| {
        let found = findings(&place, &["--node", node, "--data", "a"]);
        let clock = found.iter().find(|one| one["what"] == "cluster's clock");
        clock.unwrap().clone()
    };
    let node = place.serve("a", &["--clock-offset-ms=3000"]);
    until("the node leads", || found(&node.url)["state"] != "unknown");
    let said = found(&node.url);
    assert_eq!(said["state"], "poor", "{said}");
    let detail = said["detail"].as_str().unwrap();
    assert!(
        detail.contains("ahead of the clock of this machine"),
        "{said}"
    );
}

#[test]
fn the_doctor_leaves_out_a_node_of_another_directory_that_nobody_has_named() {
    let place = Place::new();
    place.found("a");
    place.found("b");
    let http = free_address();
    let node = place
        .start("serve", "a", &http, "127.0.0.1:0", &[])
        .ok()
        .unwrap();
    // What `a` left behind says that `b` listens there: as good as the usual port.
    fs::copy(place.path("a/run.json"), place.path("b/run.json")).unwrap();
    let found = findings(&place, &["--data", "b"]);
    let words = |what: &str| found.iter().find(|one| one["what"] == what);
    let said = words("node").unwrap();
    assert_eq!(said["state"], "unknown", "{said}");
    assert!(
        said["detail"]
            .as_str()
            .unwrap()
            .contains("another directory"),
        "{said}"
    );
    assert!(
        words("members").is_none() && words("renewal").is_none(),
        "{found:?}"
    );
    // Whoever names it is told of it.
    let found = findings(&place, &["--node", &node.url, "--data", "b"]);
    assert!(
        found.iter().any(|one| one["what"] == "members"),
        "{found:?}"
    );
}

#[test]
fn of_two_commands_that_make_or_change_keys_in_one_folder_the_second_is_told_of_the_first() {
    let place = Place::new();
    fs::DirBuilder::new()
        .mode(0o700)
        .create(place.path("new"))
        .unwrap();
    place.found("a");
    let node = place.serve("a", &[]);
    let invite = place.json(&["invite", "--data", "a"]);
    let invite = invite["invite"].as_str().unwrap();
    let at_work = |folder: &str| {
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true);
        let lock = lock.open(place.path(folder).join("command.lock")).unwrap();
        lock.lock().unwrap();
        lock
    };
    let locks = [at_work("new"), at_work("a")];
    let url = node.url.as_str();
    for (words, code) in [
        (&["init", "--data", "new"][..], "command_under_way"),
        (&["join", invite, "--data", "new"], "command_under_way"),
        (
            &["--node", url, "root", "rotate", "--data", "a"],
            "command_under_way",
        ),
        (
            &["--node", url, "ca", "rotate", "--data", "a"],
            "rotation_under_way",
        ),
    ] {
        let said = place.fails(5, words);
        assert_eq!(said["code"], code, "{words:?}: {said}");
        let error = said["error"].as_str().unwrap();
        assert!(error.contains("another command is at work"), "{said}");
    }
    drop(locks);
    node.json(&place, &["root", "rotate", "--data", "a"]);
    place.json(&["join", invite, "--data", "new"]);
}

#[test]
fn a_copy_that_was_broken_off_is_made_anew_and_nothing_else_is_taken_away() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    fs::create_dir_all(place.path("copy/journal")).unwrap();
    fs::write(place.path("copy/journal/lock"), "").unwrap();
    fs::write(place.path("copy/journal/half"), "of a segment").unwrap();
    let backup = ["backup", "copy", "--data", "a"];
    let said = place.fails(5, &backup);
    assert_eq!(said["code"], "not_empty", "nobody says whose it is: {said}");
    fs::write(place.path("copy/unfinished-copy"), "").unwrap();
    fs::write(place.path("copy/precious"), "mine").unwrap();
    let said = place.fails(5, &["restore", "copy", "--data", "b"]);
    assert_eq!(said["code"], "copy_unfinished", "{said}");
    let said = place.fails(5, &["init", "--data", "copy"]);
    assert_eq!(said["code"], "copy_unfinished", "{said}");
    let said = place.fails(5, &backup);
    assert_eq!(said["code"], "not_empty", "{said}");
    assert!(
        said["hint"].as_str().unwrap().contains("precious"),
        "{said}"
    );
    let half = fs::read(place.path("copy/journal/half")).unwrap();
    assert_eq!(half, b"of a segment", "nothing is taken away before that");
    fs::remove_file(place.path("copy/precious")).unwrap();
    place.json(&backup);
    // It was broken off when all was done but this: it is whole, and stays.
    fs::write(place.path("copy/unfinished-copy"), "").unwrap();
    let said = place.fails(5, &backup);
    assert_eq!(said["code"], "not_empty", "{said}");
    assert!(place.path("copy/cluster.toml").exists());
    fs::remove_file(place.path("copy/unfinished-copy")).unwrap();
    assert!(!place.path("copy/unfinished-copy").exists());
    assert!(!place.path("copy/journal/half").exists());
    node.kill();
    place.json(&["restore", "copy", "--data", "b"]);
    assert_eq!(place.json(&["verify", "b"])["ok"], true);
    fs::write(place.path("b/unfinished-copy"), "").unwrap();
    let served = place.serve("b", &[]);
    assert!(!place.path("b/unfinished-copy").exists());
    let said = place.fails(5, &["restore", "copy", "--data", "b"]);
    assert_eq!(said["code"], "not_empty", "{said}");
    assert_eq!(served.stop(), 0);
}

#[test]
fn what_is_out_of_its_bounds_is_refused_with_the_bounds() {
    let place = Place::new();
    place.found("a");
    let whom = "77".repeat(32);
    let mint = [
        "token",
        "mint",
        "executive",
        "--project",
        "p",
        "--data",
        "a",
        "--for",
        &whom,
    ];
    let long = [&mint[..], &["--life", "400d"]].concat();
    for (words, bounds) in [
        (
            &["invite", "--data", "a", "--valid-minutes", "0"][..],
            "1..=40320",
        ),
        (
            &["invite", "--data", "a", "--advertise", "foo:0"],
            "1 to 65535",
        ),
        (
            &["claim", "x", "--lease-ms", "0", "--as", "ada"],
            "100 to 86400000",
        ),
        (
            &["claim", "x", "--lease-ms", "-5", "--as", "ada"],
            "100 to 86400000",
        ),
        (
            &["renew", "x", "--lease-ms", "99", "--as", "ada"],
            "100 to 86400000",
        ),
        (&long, "399 days"),
    ] {
        let said = place.run(words);
        assert_eq!(said.code, 2, "{words:?}: {}", said.err);
        assert!(said.err.contains(bounds), "{words:?}: {}", said.err);
        assert!(!said.err.contains("use '--"), "{words:?}: {}", said.err);
    }
    place.json(&[&mint[..], &["--life", "399d"]].concat());
}

#[test]
fn a_folder_in_use_is_named_before_its_ports_and_a_command_that_is_not_there_before_its_time() {
    let place = Place::new();
    let node = place.up();
    let http = node.url.trim_start_matches("http://");
    let said = place.fails(5, &["up", "--data", "lab", "--http", http]);
    assert_eq!(said["code"], "data_in_use", "{said}");
    let next = said["next"][0].as_str().unwrap();
    assert!(next.contains(&node.url), "{said}");
    let said = place.run(&["--node", &node.url, "at", "+3600s", "--", "./nothing"]);
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("./nothing"), "{}", said.err);
    node.json(&place, &["agent", "enrol", "ada"]);
    let mute = [
        "perform", "--as", "ada", "--count", "1", "--", "sleep", "30",
    ];
    let said = place.run(&[&["--node", node.url.as_str()], &mute[..]].concat());
    assert_eq!(said.code, 1, "{} {}", said.out, said.err);
    assert!(said.err.contains("nothing_played"), "{}", said.err);
}

#[test]
fn a_cut_export_is_said_to_lack_its_end_and_a_tempo_that_changes_is_not_its_setters() {
    let place = Place::new();
    let node = place.up();
    let export = place.run(&["audit", "export", "--data", "lab"]);
    let cut = &export.out.as_bytes()[..export.out.len() * 2 / 3];
    let cut = cut.strip_suffix(b"\n").unwrap_or(cut);
    fs::write(place.path("cut"), cut.strip_suffix(b"}").unwrap_or(cut)).unwrap();
    let said = place.fails(8, &["verify", "cut"]);
    assert!(
        said["error"]
            .as_str()
            .unwrap()
            .contains("its end is missing"),
        "{said}"
    );

    node.json(&place, &["agent", "enrol", "ada"]);
    node.json(
        &place,
        &["tempo", "set", "90", "--at", "+60s", "--as", "ada"],
    );
    let said = place.run(&["--node", &node.url, "tempo"]);
    let line = |word: &str| {
        said.out
            .lines()
            .find(|line| line.starts_with(word))
            .unwrap()
    };
    assert!(!line("tempo").contains("ada"), "{}", said.out);
    assert!(line("change").contains("set by ada"), "{}", said.out);
}

#[test]
fn a_change_of_the_authority_that_was_broken_off_is_not_taken_for_anothers() {
    let place = Place::new();
    let node = place.up();
    let rotate = ["--node", &node.url, "ca", "rotate", "--data", "lab"];
    let mut first = place.command();
    let piped = first
        .args(rotate)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut first = piped.spawn().unwrap();
    until("the root's word is a record", || {
        let (_, records) = node.get("/v1/orchestras/cluster/dump");
        records.contains("\"do\":\"succeed\"")
    });
    // It may have come to its end.
    let _ = first.kill();
    first.wait().unwrap();
    let again = place.run(&rotate);
    // Where the node has the key in its place already, the change is under way.
    let done = again.code == 0 || again.err.contains("rotation_under_way");
    assert!(done, "{} {}", again.code, again.err);
    let shown = node.json(&place, &["ca", "show"]);
    assert_eq!(shown["authorities"][0]["number"], 1, "{shown}");
}
