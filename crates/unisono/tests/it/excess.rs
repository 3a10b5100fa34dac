//! Too much, too long, too far ahead: what is refused says what is allowed instead, and changes nothing.

use serde_json::{Value, json};

use crate::process::{Place, Process};

fn ada(place: &Place, node: &Process) {
    for name in ["ada", "bob"] {
        node.json(place, &["agent", "enrol", name]);
    }
}

/// Emits until it is refused; within so many signals two minutes can have begun, and not more.
fn flood(place: &Place, node: &Process, allowed: usize) -> Value {
    for number in 0..=2 * allowed {
        let topic = format!("topic {number}");
        let words = ["emit", "intent", &topic, "--as", "ada", "-o", "json"];
        let said = place.run(&[&["--node", node.url.as_str()], &words[..]].concat());
        if said.code != 0 {
            return serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
        }
    }
    panic!("{} signals and no refusal", 2 * allowed + 1);
}

#[test]
fn an_agent_that_floods_is_told_when_it_may_again_and_others_go_on() {
    let place = Place::new();
    let node = place.up();
    ada(&place, &node);
    node.json(
        &place,
        &["settings", "set", "emit_per_minute_max=5", "--as", "bob"],
    );
    let told = flood(&place, &node, 5);
    assert_eq!(
        (&told["code"], &told["changed"]),
        (&json!("rate_limited"), &json!(false)),
        "{told}"
    );
    let wait_ms = told["retry_after_ms"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait_ms), "{told}");
    let hint = told["hint"].as_str().unwrap();
    assert!(hint.contains("emit_per_minute_max"), "{hint}");
    node.json(&place, &["emit", "intent", "mine", "--as", "bob"]);
    // The setting that the hint names is one.
    node.json(
        &place,
        &["settings", "set", "emit_per_minute_max=500", "--as", "bob"],
    );
    node.json(&place, &["emit", "intent", "at last", "--as", "ada"]);
}

#[test]
fn an_iteration_is_advanced_once_and_never_jumped() {
    let place = Place::new();
    let node = place.up();
    ada(&place, &node);
    let advance = |from: &str| {
        let words = ["iteration", "advance", "--from", from, "--as", "ada"];
        node.fails(&place, 5, &words)
    };
    let ahead = advance("6");
    assert_eq!(ahead["changed"], false, "{ahead}");
    assert_eq!(node.json(&place, &["iteration"])["iteration"], 1);
    node.json(
        &place,
        &["iteration", "advance", "--from", "1", "--as", "ada"],
    );
    advance("1");
    assert_eq!(node.json(&place, &["iteration"])["iteration"], 2);
}

#[test]
fn a_signal_stands_for_more_than_nothing_and_not_for_ever() {
    let place = Place::new();
    let node = place.up();
    ada(&place, &node);
    let emit = ["emit", "intent", "index", "--as", "ada", "--lifetime-ms"];
    let in_the_year_9999 = (8_000 * 365 * 86_400_000_u64).to_string();
    for lifetime_ms in ["0", &in_the_year_9999, "18446744073709551615"] {
        let told = node.fails(&place, 2, &[&emit[..], &[lifetime_ms]].concat());
        assert_eq!(told["changed"], false, "{told}");
    }
    assert_eq!(node.json(&place, &["sense"])["signals"], json!([]));
    let longest = (400 * 86_400_000_u64).to_string();
    node.json(&place, &[&emit[..], &[&longest]].concat());
    assert_eq!(
        node.json(&place, &["sense"])["signals"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn searches_from_hell_find_nothing_or_say_why() {
    let place = Place::new();
    let node = place.up();
    ada(&place, &node);
    let decide = ["decide", "storage", "an append-only journal", "--as", "ada"];
    node.json(&place, &decide);
    let search =
        |words: &str| node.json(&place, &["decisions", "--search", words])["decisions"].clone();
    let many = "journal ".repeat(8_000);
    assert_eq!(search(&many[..40_000]).as_array().unwrap().len(), 1);
    for nothing in [
        "\u{202e}lanruoj",
        "' OR 1=1 --",
        "journal* AND (NOT storage)~9 ^\"",
        "\u{1}\u{2}\u{7f}x",
        "%00%ff../../x",
        ".*+?[",
    ] {
        let words = ["decisions", "--search", nothing, "-o", "json"];
        let said = place.run(&[&["--node", node.url.as_str()], &words[..]].concat());
        // Words that are in it are found; what has none is refused; nothing else happens.
        assert!([0, 2].contains(&said.code), "{nothing:?}: {}", said.err);
    }
    let too_long = "journal ".repeat(9_000);
    node.fails(&place, 2, &["decisions", "--search", &too_long]);
    for no_word in ["", "   ", "\u{200b}\u{202e}"] {
        node.fails(&place, 2, &["decisions", "--search", no_word]);
    }
}

#[test]
fn a_remedy_of_another_orchestra_is_found_everywhere_and_named() {
    let place = Place::new();
    let node = place.up();
    ada(&place, &node);
    let error = "error[E0502]: cannot borrow `index` as mutable";
    let record = [
        "fix",
        error,
        "--record",
        "clone the key first",
        "--as",
        "ada",
    ];
    node.json(&place, &record);
    node.json(&place, &["state", "--create", "--orchestra", "other"]);
    let ask = |more: &[&str]| {
        let words = [&["fix", error, "--orchestra", "other"], more].concat();
        node.json(&place, &words)["fixes"].clone()
    };
    assert_eq!(ask(&[]), json!([]), "nobody here knows");
    let found = ask(&["--everywhere"]);
    assert_eq!(found[0]["orchestra"], "main", "{found}");
}

/// Every topic that could not be taken was "outside its limits", whatever was wrong with it.
#[test]
fn a_topic_that_cannot_be_taken_is_refused_with_what_is_wrong_with_it() {
    let place = Place::new();
    let node = place.up();
    ada(&place, &node);
    let before = node.json(&place, &["state"])["records"].clone();
    let long = "x".repeat(300);
    for (topic, why) in [
        ("", "topic is empty"),
        (" ", "topic is empty"),
        (
            long.as_str(),
            "topic has 300 bytes, at most 256 are allowed",
        ),
        ("bell\u{7}", "topic has U+0007; control and formatting"),
        (
            "src/\u{202e}sr.nigol",
            "topic has U+202E; control and formatting",
        ),
    ] {
        for deed in [&["emit", "intent", topic][..], &["claim", topic]] {
            let refused = node.fails(&place, 2, &[deed, &["--as", "ada"]].concat());
            let told = refused["error"].as_str().unwrap();
            assert!(told.contains(why), "{deed:?}: {refused}");
        }
    }
    assert_eq!(node.json(&place, &["state"])["records"], before);
}
