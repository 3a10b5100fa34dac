//! How far agents have come apart, as people and programs ask for it: what somebody has not seen, the
//! terms explained, and the figures for whoever watches the node.

use serde_json::{Value, json};

use crate::process::{Place, Process};

fn context(node: &Process, place: &Place) -> Value {
    let words = ["coherence", "--explain", "context"];
    let told = node.json(place, &words);
    assert_eq!(told["terms"].as_array().unwrap().len(), 1, "{told}");
    told["terms"][0].clone()
}

#[test]
fn who_has_not_seen_what_binds_it_is_named_until_it_says_that_it_has() {
    let place = Place::new();
    let node = place.up();
    for agent in ["ada", "bob"] {
        node.json(&place, &["agent", "enrol", agent]);
    }
    let set = ["settings", "set", "context_stale_ms=1", "--as", "ada"];
    node.json(&place, &set);
    let brief = node.json(&place, &["continue", "--as", "bob", "--seen"]);
    assert_eq!(brief["agent"], "bob");
    let decide = [
        "decide",
        "storage",
        "one file",
        "--importance",
        "critical",
        "--as",
        "ada",
    ];
    let decided = node.json(&place, &decide)["record"].clone();
    let acts = ["presence", "--as", "bob", "active"];
    std::thread::sleep(std::time::Duration::from_millis(20));
    node.json(&place, &acts);

    let term = context(&node, &place);
    assert_eq!(term["lowered_by"][0]["name"], "bob", "{term}");
    let why = term["lowered_by"][0]["why"][0].as_str().unwrap();
    assert!(why.contains(decided.as_str().unwrap()), "{why}");
    assert_eq!((&term["weight"], &term["lost"]), (&json!(150), &json!(75)));
    let explained = node.json(&place, &["explain", "coherence.context"]);
    assert_eq!(explained["terms"][0]["lowered_by"], term["lowered_by"]);
    assert_eq!(
        node.fails(&place, 2, &["explain", "coherence.mood"])["code"],
        "usage"
    );
    let (status, refused) = node.get("/v1/orchestras/main/coherence/explained?term=mood");
    assert!(status == 400 && refused.contains("unblocked"), "{refused}");

    let (_, metrics) = node.get("/metrics");
    for line in [
        "unisono_orchestra_coherence{orchestra=\"main\"} 0.925",
        "unisono_orchestra_agents{orchestra=\"main\"} 2",
        "unisono_orchestra_condition{orchestra=\"main\",condition=\"score\"} 1",
        "unisono_orchestra_drift{orchestra=\"main\",kind=\"context_divergence\",severity=\"warning\"} 1",
        "unisono_orchestra_interferences_open{orchestra=\"main\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in: {metrics}");
    }

    // Before it acted all was well.
    let record = decided.as_str().unwrap();
    let then = node.json(&place, &["explain", record, "--with-coherence"]);
    let then = then["explained"].as_array().unwrap().last().unwrap();
    let words = then.as_str().unwrap();
    assert!(words.contains("iteration 1 (DESIGN)"), "{words}");
    assert!(
        words.contains("coherence of 1.000 over 2 agents"),
        "{words}"
    );

    // It looks, and says so by the cursor of what it read.
    let brief = node.json(&place, &["continue", "--as", "bob"]);
    let cursor = brief["cursor"].as_str().unwrap().to_owned();
    node.json(&place, &["seen", &cursor, "--as", "bob"]);
    node.json(&place, &acts);
    assert_eq!(context(&node, &place)["lowered_by"], json!([]));
    let failed = node.fails(&place, 2, &["seen", "no cursor!", "--as", "bob"]);
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("nothing changed"),
        "{failed}"
    );
}
