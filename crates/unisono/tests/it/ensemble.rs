//! Playing together between real processes: one tempo, barriers that open at one time, and what is
//! refused by name.

use serde_json::{Value, json};
use unisono_api::client::{Client, Config};
use unisono_api::dto::Beat;

use crate::process::{Place, Process};

fn alone(place: &Place) -> Process {
    let node = place.up();
    for agent in ["ada", "eve", "bob"] {
        node.json(place, &["agent", "enrol", agent]);
    }
    node
}

fn refused(node: &Process, place: &Place, exit: i32, words: &[&str]) -> String {
    let words = [words, &["--as", "ada"]].concat();
    let told = node.fails(place, exit, &words);
    told["code"].as_str().unwrap().to_owned()
}

#[test]
fn the_tempo_changes_along_a_curve_for_everybody_and_nonsense_changes_nothing() {
    let place = Place::new();
    let node = alone(&place);
    let tempo = || node.json(&place, &["tempo"]);
    assert!(tempo()["record"].is_null(), "nobody has set one");
    let codes = [
        (2, "tempo_unreadable", vec!["tempo", "set", "NaN"]),
        (2, "tempo_unreadable", vec!["tempo", "set", "inf"]),
        (2, "tempo_unreadable", vec!["tempo", "set", "0"]),
        (2, "tempo_unreadable", vec!["tempo", "set", "-90"]),
        (2, "tempo_unreadable", vec!["tempo", "set", "90000"]),
        (
            2,
            "tempo_unreadable",
            vec!["tempo", "set", "90", "--over", "NaNs"],
        ),
        (2, "time_past", vec!["tempo", "set", "90", "--at", "1000"]),
    ];
    for (exit, code, words) in codes {
        assert_eq!(refused(&node, &place, exit, &words), code, "{words:?}");
    }
    assert!(tempo()["record"].is_null(), "nothing was changed");
    let words = [
        "tempo", "set", "90", "--over", "30s", "--at", "+1s", "--as", "ada",
    ];
    node.json(&place, &words);
    let set = tempo();
    let segments = set["tempo"]["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 3, "{set}");
    assert_eq!(segments[1]["curve"]["linear"]["to_bpm"], 90.0);
    let code = refused(
        &node,
        &place,
        5,
        &["tempo", "set", "100", "--at", "+1500ms"],
    );
    assert_eq!(code, "tempo_changing");
    // A map that plays the present otherwise, by the door that agents use.
    let rewritten = json!({"agent": "ada", "do": "tempo", "beat": 3, "part": 0,
        "segments": [{"starts_ns": 5, "bpm": 77}]});
    let (status, told) = node.post("/v1/orchestras/main/actions", &rewritten);
    assert_eq!(
        (status, &told["code"]),
        (400, &json!("time_past")),
        "{told}"
    );
    let endless = json!({"agent": "ada", "do": "tempo", "beat": 3, "part": 0,
        "segments": [{"starts_ns": 5, "bpm": 77}, {"starts_ns": 9, "bpm": 77}]});
    let (status, told) = node.post("/v1/orchestras/main/actions", &endless);
    assert_eq!(
        (status, &told["code"]),
        (400, &json!("malformed")),
        "{told}"
    );
    assert!(
        told["detail"].as_str().unwrap().contains("overlaps"),
        "{told}"
    );
    assert_eq!(tempo()["record"], set["record"], "nothing was changed");
}

#[test]
fn a_barrier_opens_for_all_at_one_time_and_everybody_is_asked_how_punctual_it_was() {
    let place = Place::new();
    let node = alone(&place);
    let told: Vec<Value> = std::thread::scope(|scope| {
        let wait = |agent: &'static str| {
            let (node, place) = (&node, &place);
            move || {
                let words = ["barrier", "door", "--of", "3", "--tell", "--as", agent];
                node.json(place, &words)
            }
        };
        let each = ["ada", "eve", "bob"].map(|agent| scope.spawn(wait(agent)));
        each.map(|one| one.join().unwrap()).to_vec()
    });
    for one in &told {
        assert_eq!(one["opens_ns"], told[0]["opens_ns"], "{told:?}");
        assert_eq!(one["confirmed"], true);
        assert!(one["late_ns"].as_i64().unwrap() >= 0, "never early: {one}");
    }
    let ensemble = node.json(&place, &["ensemble"]);
    let players = ensemble["players"].as_array().unwrap();
    assert_eq!(players.len(), 3, "{ensemble}");
    assert!(
        players
            .iter()
            .all(|one| one["actions"] == 1 && one["off_ms"].as_f64().unwrap() >= 0.0)
    );
    let code = refused(
        &node,
        &place,
        7,
        &["barrier", "wall", "--of", "2", "--patience-ms", "400"],
    );
    assert_eq!(code, "barrier_closed");
}

#[test]
fn a_cue_is_answered_and_played_and_one_in_the_past_is_refused() {
    let place = Place::new();
    let node = alone(&place);
    let cue = [
        "schedule", "cue", "switch", "--at", "+5s", "--for", "eve", "--as", "ada",
    ];
    let record = node.json(&place, &cue)["record"]
        .as_str()
        .unwrap()
        .to_owned();
    let missing = || node.json(&place, &["schedule"])["cues"][0]["missing"].clone();
    assert_eq!(missing(), 1);
    node.json(
        &place,
        &["schedule", "answer", &record, "ready", "--as", "eve"],
    );
    assert_eq!(missing(), 0);
    let file = place.path("played");
    let file = file.to_str().unwrap();
    let words = [
        "--node", &node.url, "-o", "json", "schedule", "play", &record, "--as", "eve",
    ];
    let said = place.run(&[&words[..], &["--", "touch", file]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(place.path("played").exists());
    let shown = node.json(&place, &["schedule"]);
    let party = &shown["cues"][0]["parties"][0];
    assert!(
        party["late_ns"].as_i64().is_some_and(|late| late >= 0),
        "{shown}"
    );
    for (target, code) in [
        (json!("1000"), "time_past"),
        (json!("4000000000000000000"), "malformed"),
    ] {
        let body = json!({"agent": "ada", "name": "x", "target_ns": target});
        let (status, told) = node.post("/v1/orchestras/main/cues", &body);
        assert_eq!((status, &told["code"]), (400, &json!(code)), "{told}");
    }
    let nobody = json!({"agent": "ada", "cue": "ab".repeat(32), "word": "ready"});
    let (status, told) = node.post("/v1/orchestras/main/cues/answer", &nobody);
    assert_eq!(
        (status, &told["code"]),
        (404, &json!("cue_unknown")),
        "{told}"
    );
}

#[test]
fn beats_are_told_before_they_come_and_played_when_they_do() {
    let place = Place::new();
    let node = alone(&place);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::offline(Config::new([node.url.as_str()])).unwrap();
        let time = client.common_time().await.unwrap();
        let mut beats = client.beats("main", 2, 3_000);
        let first = beats.next().await.unwrap();
        let second = beats.next().await.unwrap();
        assert_eq!((first.beat % 2, second.beat), (0, first.beat + 2));
        // Two beats a second, where nobody has set a tempo.
        assert_eq!(second.at_ns.0 - first.at_ns.0, 1_000_000_000);
        assert!(second.at_ns.0 > time.now_ns(), "told before it comes");
        let mut played = Vec::new();
        let play = |beat: &Beat| {
            played.push((beat.beat, time.now_ns() - beat.at_ns.0));
            played.len() < 3
        };
        client.on_beat("main", 1, play).await.unwrap();
        assert_eq!(played.len(), 3);
        assert!(
            played.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{played:?}"
        );
        assert!(
            played.iter().all(|(_, late_ns)| *late_ns < 60_000_000),
            "{played:?}"
        );
    });
}
