//! Key files that a passphrase protects: what needs the key asks for it, what does not goes on.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::process::Place;

const PASSPHRASE: &str = "nobody says these together";

/// Runs a command with a passphrase in the file that the environment names.
fn with(place: &Place, passphrase: &str, words: &[&str]) -> (i32, String, String) {
    let path = place.path("passphrase");
    fs::write(&path, format!("{passphrase}\nand a line that is none\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = place.command();
    command.env("UNISONO_PASSPHRASE_FILE", &path).args(words);
    let output = command.args(["-o", "json"]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn code_of(err: &str) -> Value {
    let last: Value = serde_json::from_str(err.lines().last().unwrap()).unwrap();
    last["code"].clone()
}

fn mode(place: &Place, file: &str) -> u32 {
    fs::metadata(place.path(file)).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_protected_root_key_signs_with_its_passphrase_alone() {
    let place = Place::new();
    place.found("solo");
    let before = fs::read_to_string(place.path("solo/root.key")).unwrap();
    let (code, out, err) = with(&place, PASSPHRASE, &["key", "protect", "solo/root.key"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap()["protected"],
        true
    );
    let sealed = fs::read_to_string(place.path("solo/root.key")).unwrap();
    assert!(!sealed.contains(before.trim()));
    assert_eq!(mode(&place, "solo/root.key"), 0o600);
    let agent = "46".repeat(32);
    let mint = [
        "token",
        "mint",
        "validation",
        "--for",
        &agent,
        "--data",
        "solo",
    ];
    let (code, _, err) = with(&place, PASSPHRASE, &mint);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = with(&place, "another one of mine", &mint);
    assert_eq!(
        (code, code_of(&err)),
        (4, "passphrase_wrong".into()),
        "{err}"
    );
    let (code, _, err) = with(&place, PASSPHRASE, &["key", "protect", "solo/root.key"]);
    assert_eq!(code, 2, "once is enough: {err}");
    let (code, _, err) = with(&place, PASSPHRASE, &["key", "unprotect", "solo/root.key"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(
        fs::read_to_string(place.path("solo/root.key")).unwrap(),
        before
    );
    assert_eq!(mode(&place, "solo/root.key"), 0o600);
}

/// A node begins by itself, also where nobody is there to type: it serves, and signs nothing.
#[test]
fn a_node_with_a_protected_authority_serves_without_it_and_signs_with_it() {
    let place = Place::new();
    place.found("solo");
    let (code, _, err) = with(&place, PASSPHRASE, &["key", "protect", "solo/ca.key"]);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = with(&place, "another one of mine", &["invite", "--data", "solo"]);
    assert_eq!(
        (code, code_of(&err)),
        (4, "passphrase_wrong".into()),
        "{err}"
    );
    let (code, out, err) = with(&place, PASSPHRASE, &["invite", "--data", "solo"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("unisono1."));
    let node = place.serve("solo", &[]);
    let status = node.json(&place, &["status"]);
    assert_eq!(status["certificate"]["signs"], false, "{status}");
    drop(node);
    let (code, _, err) = with(&place, PASSPHRASE, &["key", "unprotect", "solo/ca.key"]);
    assert_eq!(code, 0, "{err}");
    let node = place.serve("solo", &[]);
    let status = node.json(&place, &["status"]);
    assert_eq!(status["certificate"]["signs"], true, "{status}");
}

#[test]
fn an_agent_signs_with_a_protected_key_and_what_is_no_key_is_left_alone() {
    let place = Place::new();
    place.found("solo");
    let node = place.serve("solo", &[]);
    node.json(&place, &["state", "--create"]);
    let enrol = [
        "agent",
        "enrol",
        "ivy",
        "--key-file",
        "ivy.key",
        "--node",
        &node.url,
    ];
    place.json(&enrol);
    let (code, _, err) = with(&place, PASSPHRASE, &["key", "protect", "ivy.key"]);
    assert_eq!(code, 0, "{err}");
    let emit = [
        "emit",
        "intent",
        "work",
        "on it",
        "--as",
        "ivy",
        "--key-file",
        "ivy.key",
        "--node",
        &node.url,
    ];
    let (code, _, err) = with(&place, PASSPHRASE, &emit);
    assert_eq!(code, 0, "{err}");
    let (code, _, err) = with(&place, "another one of mine", &emit);
    assert_eq!(
        (code, code_of(&err)),
        (4, "passphrase_wrong".into()),
        "{err}"
    );

    for (file, code) in [("solo/node.key", 2), ("solo/cluster.toml", 8)] {
        let before = fs::read(place.path(file)).unwrap();
        fs::set_permissions(place.path(file), fs::Permissions::from_mode(0o600)).unwrap();
        let (refused, _, err) = with(&place, PASSPHRASE, &["key", "protect", file]);
        assert_eq!(refused, code, "{file}: {err}");
        assert_eq!(fs::read(place.path(file)).unwrap(), before);
    }
    let (code, _, err) = with(&place, "short", &["key", "protect", "solo/root.key"]);
    assert_eq!(code, 2, "{err}");
    fs::set_permissions(
        place.path("solo/root.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let (code, _, err) = with(&place, PASSPHRASE, &["key", "protect", "solo/root.key"]);
    assert_eq!((code, code_of(&err)), (4, "key_open".into()), "{err}");
}

fn is_sealed(place: &Place, file: &str) -> bool {
    let text = fs::read_to_string(place.path(file)).unwrap();
    text.starts_with("-----BEGIN UNISONO PROTECTED KEY-----") && mode(place, file) == 0o600
}

/// The incident: whoever changed a protected key had the next one on the disk as it is, and was told
/// nothing of it.
#[test]
fn what_takes_the_place_of_a_protected_key_is_protected() {
    let place = Place::new();
    place.found("solo");
    let node = place.serve("solo", &[]);
    node.json(&place, &["state", "--create"]);
    let at = ["--node", node.url.as_str()];
    let does = |words: &[&str]| {
        let (code, out, err) = with(&place, PASSPHRASE, &[&at[..], words].concat());
        assert_eq!(code, 0, "{words:?}: {err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let ivy = ["--key-file", "ivy.key"];
    does(&[&["agent", "enrol", "ivy"][..], &ivy].concat());
    for file in [
        "solo/ca.key",
        "solo/root.key",
        "solo/recovery.key",
        "ivy.key",
    ] {
        does(&["key", "protect", file]);
    }

    let wrong = [&at[..], &["ca", "rotate", "--data", "solo"]].concat();
    let (code, _, err) = with(&place, "another one of mine", &wrong);
    assert_eq!(
        (code, code_of(&err)),
        (4, "passphrase_wrong".into()),
        "{err}"
    );
    let done = does(&["ca", "rotate", "--data", "solo"]);
    assert_eq!(
        (&done["authorities"][0]["number"], &done["signs"]),
        (&1.into(), &true.into())
    );
    assert!(is_sealed(&place, "solo/ca.key"));
    assert!(!place.path("solo/ca.next.key").exists());
    does(&["invite", "--data", "solo"]);

    let done = does(&["root", "rotate", "--data", "solo"]);
    assert_eq!(done["roots"][1]["state"], "stands", "{done}");
    assert!(is_sealed(&place, "solo/root.key") && is_sealed(&place, "solo/root.former.0.key"));
    let agent = "46".repeat(32);
    let mint = [
        "token",
        "mint",
        "validation",
        "--for",
        &agent,
        "--data",
        "solo",
    ];
    does(&mint);
    let (code, _, err) = with(&place, "another one of mine", &mint);
    assert_eq!(
        (code, code_of(&err)),
        (4, "passphrase_wrong".into()),
        "{err}"
    );

    does(&[&["agent", "rotate", "ivy"][..], &ivy].concat());
    assert!(is_sealed(&place, "ivy.key.next"));
    let next = ["--as", "ivy", "--key-file", "ivy.key.next"];
    does(&[&["emit", "intent", "work", "on it"][..], &next].concat());
}
