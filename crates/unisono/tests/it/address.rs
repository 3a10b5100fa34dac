//! The addresses of the draft's appendix A: each of the ten is a route under another name.

use serde_json::{Value, json};

use crate::process::{Place, Process, until};

fn body(node: &Process, path: &str) -> Value {
    let (status, text) = node.get(&format!("/v1/orchestras/main/{path}"));
    assert_eq!(status, 200, "{path}: {text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_of_the_ten_addresses_is_its_route() {
    let place = Place::new();
    let node = place.up();
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&["agent", "enrol", "ada", "--role", "maker"]);
    let mark = ask(&["mark", "make", "made it", "--about", "index", "--as", "ada"]);
    let mark = mark["record"].as_str().unwrap();
    ask(&["emit", "offer", "index", "--evidence", mark, "--as", "ada"]);
    ask(&["iteration", "advance", "--as", "ada"]);
    // Doing, at two of them.
    let base = "/v1/orchestras/main/address";
    let need = json!({ "agent": "ada", "kind": "need", "topic": "x", "lifetime_ms": 60_000 });
    let emit = format!("{base}/self.orchestra.resonance.emit");
    assert_eq!(node.post(&emit, &need).0, 201);
    let busy = json!({ "agent": "ada", "status": "thinking", "intent": "to go on" });
    let update = format!("{base}/self.orchestra.presence.update");
    assert_eq!(node.post(&update, &busy).0, 201);
    until("both are shown", || {
        body(&node, "signals")["signals"][0]["topic"] == "x"
    });
    let presences = body(&node, "presence")["presence"].clone();
    let ada = presences
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "ada");
    assert_eq!(ada.unwrap()["intent"], "to go on");
    // Reading, at the others.
    for (address, route) in [
        ("self.orchestra.state", "state"),
        ("self.orchestra.coherence", "coherence"),
        ("self.orchestra.resonance.sense", "signals"),
        ("self.orchestra.resonance.sense?as=ada", "signals?as=ada"),
        ("self.orchestra.resonance.interference", "interference"),
    ] {
        assert_eq!(
            body(&node, &format!("address/{address}")),
            body(&node, route),
            "{address}"
        );
    }
    let drift = body(&node, "address/self.orchestra.drift");
    assert_eq!(drift["drift"], body(&node, "coherence")["drift"]);
    assert_eq!(
        &body(&node, "address/self.orchestra.presence.ada"),
        ada.unwrap()
    );
    let recovered = ask(&["recover", "1"]);
    let whole = body(&node, "address/time.orchestra.history.recover?iteration=1");
    for list in ["marks", "artifacts", "decisions", "records", "deeds"] {
        assert_eq!(whole[list], recovered[list], "{list}");
    }
    let summary = body(&node, "address/time.orchestra.history.1");
    assert_eq!(summary["witness_mark_ids"], json!([mark]));
    assert_eq!(summary["artifacts_produced"], json!(["index"]));
    // The command goes the same way.
    let shown = ask(&["address", "self.orchestra.state"]);
    assert_eq!(shown["iteration"], 2);
    let done = r#"{"kind": "need", "topic": "y"}"#;
    ask(&[
        "address",
        "self.orchestra.resonance.emit",
        done,
        "--as",
        "ada",
    ]);
}

#[test]
fn other_addresses_are_refused_with_the_list() {
    let place = Place::new();
    let node = place.up();
    let base = "/v1/orchestras/main/address";
    for path in ["self.orchestra.soul", "time.orchestra.history.soon", "x"] {
        let (status, text) = node.get(&format!("{base}/{path}"));
        assert_eq!(status, 404, "{path}: {text}");
        assert!(text.contains("self.orchestra.coherence"), "{text}");
    }
    let (status, _) = node.get(&format!("{base}/self.orchestra.resonance.emit"));
    assert_eq!(status, 405);
    let (status, _) = node.get(&format!("{base}/time.orchestra.history.9"));
    assert_eq!(status, 404);
    let body = json!({ "agent": "ada" });
    let (status, text) = node.post(&format!("{base}/self.orchestra.state"), &body);
    assert_eq!(status, 405, "{text}");
}
