//! Iterations that are over: told in a budget, given back whole, and told to roles from templates.

use serde_json::Value;

use crate::process::{Place, Process};

/// A node on which a maker and a player go through some iterations; in the first something is
/// decided that nobody may forget.
fn played(place: &Place, iterations: u32) -> Process {
    let node = place.up();
    let ask = |words: &[&str]| node.json(place, words);
    ask(&["agent", "enrol", "ada", "--role", "maker"]);
    ask(&["agent", "enrol", "pia", "--role", "player"]);
    ask(&[
        "decide",
        "storage",
        "one file a segment",
        "--importance",
        "critical",
        "--as",
        "ada",
    ]);
    for number in 1..=6 {
        let topic = format!("detail-{number}");
        ask(&["decide", &topic, "so be it", "--as", "ada"]);
    }
    for iteration in 1..=iterations {
        let what = format!("piece-{iteration}");
        let mark = ask(&["mark", "make", "made it", "--about", &what, "--as", "ada"]);
        let mark = mark["record"].as_str().unwrap();
        ask(&["emit", "offer", &what, "--evidence", mark, "--as", "ada"]);
        if iteration < iterations {
            ask(&["iteration", "advance", "--as", "ada"]);
        }
    }
    node
}

fn level(history: &Value, iteration: u64) -> &Value {
    let told = history["told"].as_array().unwrap();
    let of = |one: &&Value| one["iteration"] == iteration && one["level"] != "pinned";
    told.iter().find(of).unwrap()
}

#[test]
fn the_nearer_an_iteration_the_more_is_told_and_nothing_pinned_is_dropped() {
    let place = Place::new();
    let node = played(&place, 7);
    let told = node.json(&place, &["history"]);
    assert_eq!(told["counted_with"], "cl100k_base");
    for (iteration, wanted, most) in [
        (1, "line", 50),
        (3, "line", 50),
        (4, "summary", 200),
        (6, "summary", 200),
        (7, "current", 2_000),
    ] {
        let one = level(&told, iteration);
        assert_eq!(one["level"], wanted, "{iteration}: {told:#}");
        assert!(one["tokens"].as_u64().unwrap() <= most, "{one:#}");
        let made = format!("piece-{iteration}");
        assert!(one["text"].as_str().unwrap().contains(&made), "{one:#}");
    }
    let text = told["markdown"].as_str().unwrap();
    assert!(text.starts_with("## Never to be forgotten\n- decided storage: one file a segment"));
    assert!(told["tokens"].as_u64().unwrap() <= 5_000);

    let tight = node.json(&place, &["history", "--max-tokens", "60", "--by-bytes"]);
    assert_eq!(tight["counted_with"], "bytes/3.5");
    assert_eq!(tight["over"], true, "what is near is told in any case");
    assert_eq!(level(&tight, 1)["level"], "folded");
    assert!(
        tight["markdown"]
            .as_str()
            .unwrap()
            .contains("one file a segment")
    );

    let early = played_until(&place, &node);
    assert_eq!(early["iteration"], 1);
    let shown = level(&early, 1)["text"].as_str().unwrap();
    assert_eq!(shown.matches("decided detail-").count(), 5, "{shown}");
    assert!(shown.contains("decided storage"), "pinned besides: {shown}");
}

/// The history as it was before anything had ended.
fn played_until(place: &Place, node: &Process) -> Value {
    let first = node.json(place, &["recover", "1"]);
    let last = first["artifacts"][0]["at"]["stamp"].as_str().unwrap();
    node.json(place, &["history", "--as-of", last])
}

#[test]
fn an_iteration_is_given_back_whole_with_the_marks_that_prove_it() {
    let place = Place::new();
    let node = played(&place, 5);
    let back = node.json(&place, &["recover", "1"]);
    assert_eq!(back["decisions"].as_array().unwrap().len(), 7);
    assert_eq!(back["artifacts"][0]["name"], "piece-1");
    assert_eq!(back["artifacts"][0]["mark"], back["marks"][0]["record"]);
    assert_eq!(back["verified"]["marks"], 1);
    assert_eq!(back["verified"]["missing"], serde_json::json!([]));
    let deeds = back["deeds"].as_array().unwrap();
    assert_eq!(back["records"], deeds.len());
    assert_eq!(back["ended"]["stamp"].as_str().unwrap().len(), 16);
    let gone = node.fails(&place, 3, &["recover", "9"]);
    assert_eq!(gone["code"], "iteration_unknown");
    // What a mark proves that nobody has is not taken.
    let nothing = "ab".repeat(32);
    let offer = ["emit", "offer", "hot air", "--as", "ada", "--evidence"];
    let refused = node.fails(&place, 3, &[&offer[..], &[&nothing]].concat());
    assert_eq!(refused["code"], "evidence_unknown");
    for agent in ["ada", "pia"] {
        let intent = ["emit", "intent", "login", "the login form", "--as", agent];
        node.json(&place, &intent);
    }
    let found = node.json(&place, &["interference", "list"]);
    let id = found["interferences"][0]["id"].as_str().unwrap();
    let resolve = ["interference", "resolve", id, "merge", "one form", "--mark"];
    let refused = node.fails(
        &place,
        3,
        &[&resolve[..], &[&nothing, "--as", "ada"]].concat(),
    );
    assert_eq!(refused["code"], "evidence_unknown");
}

/// Before, `recover` believed the node: whether its agents had signed what it gave back said
/// `unisono verify`, of other bytes.
#[test]
fn what_is_given_back_is_held_against_what_its_agents_signed() {
    let place = Place::new();
    let node = played(&place, 2);
    let back = node.json(&place, &["recover", "1", "--against", "lab"]);
    let signed = back["verified"]["signed_records"].as_u64().unwrap();
    assert!(signed >= 9, "seven decisions, a mark, an offer: {signed}");
    place.json(&["backup", "early", "--data", "lab"]);
    let back = node.json(&place, &["recover", "2", "--against", "early"]);
    assert!(back["verified"]["signed_records"].as_u64().unwrap() >= 2);
    node.json(&place, &["decide", "late", "after the copy", "--as", "ada"]);
    let told = node.fails(&place, 8, &["recover", "2", "--against", "early"]);
    assert_eq!(told["code"], "not_signed");
    assert!(
        told["error"]
            .as_str()
            .unwrap()
            .contains("does not stand there"),
        "{told}"
    );
    std::fs::write(place.path("no-export"), "{}").unwrap();
    let told = node.fails(&place, 8, &["recover", "2", "--against", "no-export"]);
    assert!(
        told["error"].as_str().unwrap().contains("no export"),
        "{told}"
    );
}

/// `recover` could only ask a node and hold its answer against a second copy. One closed file, or one
/// directory, gives an iteration back by itself, and what was changed in it is found.
#[test]
fn an_iteration_is_given_back_from_one_sealed_file_without_a_node() {
    let place = Place::new();
    let node = played(&place, 3);
    let before = node.json(&place, &["state"]);
    let moment = before["as_of"].as_str().unwrap();
    node.json(
        &place,
        &["decide", "wrong", "it is taken back", "--as", "ada"],
    );
    node.json(&place, &["rollback", "--to", moment, "--as", "ada"]);
    let online = [1, 2, 3].map(|n| node.json(&place, &["recover", &format!("{n}")]));
    drop(node);
    let export = place.run(&["audit", "export", "--data", "lab"]);
    assert_eq!(export.code, 0, "{}", export.err);
    std::fs::write(place.path("sealed.jsonl"), &export.out).unwrap();
    for from in ["sealed.jsonl", "lab"] {
        for (number, online) in (1..).zip(&online) {
            let words = ["recover", &format!("{number}"), "--from", from];
            let mut told = place.json(&words);
            assert_eq!(told["verified"]["missing"], serde_json::json!([]));
            assert_eq!(told["verified"]["marks"], online["verified"]["marks"]);
            assert!(told["verified"]["signed_records"].as_u64().unwrap() >= 2);
            told["verified"] = online["verified"].clone();
            assert_eq!(&told, online, "{from}: iteration {number}");
        }
    }
    let fails = |words: &[&str]| -> Value {
        let said = place.run(&[words, &["-o", "json"]].concat());
        assert_eq!(said.code, 8, "{}", said.err);
        serde_json::from_str(&said.err).unwrap()
    };
    let mut lines: Vec<&str> = export.out.lines().collect();
    lines.remove(lines.len() / 2);
    std::fs::write(place.path("shorter.jsonl"), lines.join("\n")).unwrap();
    let told = fails(&["recover", "1", "--from", "shorter.jsonl"]);
    assert_eq!(told["code"], "not_verified", "{told}");
    let unknown = place.run(&["recover", "9", "--from", "sealed.jsonl"]);
    assert_eq!(unknown.code, 3, "{}", unknown.err);
    let other = [
        "recover",
        "1",
        "--from",
        "sealed.jsonl",
        "--orchestra",
        "other",
    ];
    assert_eq!(place.run(&other).code, 3);
}

#[test]
fn roles_and_the_outline_are_told_from_templates_and_a_wrong_one_says_where() {
    let place = Place::new();
    let node = played(&place, 2);
    node.json(
        &place,
        &[
            "emit",
            "need",
            "piece-3",
            "where is it?",
            "--urgency",
            "blocking",
            "--as",
            "pia",
        ],
    );
    let prompt = node.json(&place, &["prompt", "--as", "ada"]);
    let text = prompt["text"].as_str().unwrap();
    for words in [
        "# ada (maker): main",
        "**Iteration 2 of 10 | Phase: EXECUTION",
        "Priority: piece-3, which blocks pia",
        "Blocking: 1",
        "made piece-1",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let player = node.json(&place, &["prompt", "--as", "pia"]);
    let mission = player["mission"].as_str().unwrap();
    assert!(
        mission.ends_with("Play what is ready, and say what is broken."),
        "{mission}"
    );
    std::fs::write(place.path("mine.md"), "{{ agent }} in {{ iteration }}\n").unwrap();
    let own = node.json(&place, &["prompt", "--as", "ada", "--template", "mine.md"]);
    assert_eq!(own["text"], "ada in 2");
    let wrong = "one\n{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    std::fs::write(place.path("wrong.md"), wrong).unwrap();
    let told = node.fails(
        &place,
        2,
        &["prompt", "--as", "ada", "--template", "wrong.md"],
    );
    assert!(
        told["error"].as_str().unwrap().starts_with("wrong.md:2: "),
        "{told}"
    );
    // A device that never ends was read until memory did.
    let told = node.fails(
        &place,
        2,
        &["prompt", "--as", "ada", "--template", "/dev/zero"],
    );
    assert!(
        told["error"].as_str().unwrap().contains("more than"),
        "{told}"
    );
    let outline = node.json(&place, &["outline"]);
    let text = outline["text"].as_str().unwrap();
    for words in [
        "- [x] 1 DESIGN: made piece-1",
        "- [ ] 2 EXECUTION",
        "who is blocked",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn two_moments_are_compared_and_equal_ones_do_not_differ() {
    let place = Place::new();
    let node = played(&place, 1);
    let ask = |words: &[&str]| node.json(&place, words);
    let before = ask(&["task", "create", "t", "--title", "one", "--as", "ada"]);
    let before = before["stamp"]["stamp"].as_str().unwrap();
    ask(&["claim", "door", "--as", "pia"]);
    ask(&["task", "set", "t", "--status", "in_progress", "--as", "ada"]);
    ask(&["settings", "set", "execution_ends=3", "--as", "ada"]);
    let after = ask(&["iteration", "advance", "--as", "ada"]);
    let after = after["stamp"]["stamp"].as_str().unwrap();
    let told = ask(&["diff", before, after]);
    let changes = told["changes"].as_array().unwrap();
    let found: Vec<(&str, &str, &str)> = changes
        .iter()
        .map(|one| {
            let word = |field: &str| one[field].as_str().unwrap();
            (word("change"), word("what"), word("name"))
        })
        .collect();
    // The offer ended with its iteration.
    let offer = changes.iter().find(|one| one["what"] == "signal").unwrap();
    assert_eq!(
        (&offer["change"], &offer["before"]["topic"]),
        (&"removed".into(), &"piece-1".into())
    );
    let offer = offer["name"].as_str().unwrap();
    let wanted = [
        ("changed", "setting", "execution_ends"),
        ("changed", "setting", "iteration"),
        ("added", "claim", "door"),
        ("removed", "signal", offer),
        ("changed", "task", "t"),
    ];
    assert_eq!(found, wanted, "{told:#}");
    assert_eq!(changes[4]["after"]["status"], "in_progress");
    let back = ask(&["diff", after, before]);
    assert_eq!(
        back["changes"].as_array().unwrap().len(),
        5,
        "the other way round"
    );
    assert_eq!(
        ask(&["diff", after, after])["changes"],
        serde_json::json!([])
    );
    let wrong = node.fails(&place, 2, &["diff", "yesterday"]);
    assert_eq!(wrong["code"], "usage");
}
