//! Performers hear of one another, between real processes: they are counted as they come and go, and hear by how
//! much the others correct.

use std::time::Duration;

use serde_json::{Value, json};

use crate::performing::{LATE, Told, alone, four_a_second, perform};
use crate::process::Place;

/// For so long (ms) an agent counts that says nothing more.
const HOLDS_MS: u64 = 15_000;

/// How many players there were after each event, by the latest word on it.
fn players(told: &Told) -> Vec<u64> {
    let of = |event: &Value| event["players"].as_u64();
    let mut players: Vec<u64> = told.events.iter().filter_map(of).collect();
    players.dedup();
    players
}

/// The gain with which an agent was heard last.
fn heard(told: &Told, name: &str) -> Option<f64> {
    let words = told.all("partners");
    let words = words.flat_map(|one| one["partners"].as_array().unwrap().clone());
    let last = words.filter(|one| one["name"] == name).last()?;
    last["gains"]["phase"].as_f64()
}

/// Its own gain after the last action that it played among so many.
fn gain_among(told: &Told, players: u64) -> f64 {
    let mut now = 0;
    let mut last = None;
    for event in &told.events {
        now = event["players"].as_u64().unwrap_or(now);
        if event["event"] == "played" && now == players {
            last = event["gains"]["phase"].as_f64();
        }
    }
    last.unwrap_or_else(|| panic!("never among {players}: {told:?}"))
}

#[test]
fn performers_hear_one_another_are_counted_as_they_come_and_go_and_come_to_similar_gains() {
    let place = Place::new();
    let node = alone(&place);
    node.json(&place, &["agent", "enrol", "kim"]);
    four_a_second(&place, &node);
    let kim = json!({"agent": "kim", "rule": "best", "phase_ppm": 400_000, "holds_ms": HOLDS_MS});
    let path = "/v1/orchestras/main/ensemble/performers";
    let (status, answer) = node.post(path, &kim);
    assert_eq!(status, 201, "{answer}");
    let (ada, eve) = std::thread::scope(|scope| {
        let (place, node) = (&place, &node);
        let ada = ["--rule", "best", "--count", "120"];
        let ada = scope.spawn(move || perform(place, node, "ada", &ada, &LATE));
        std::thread::sleep(Duration::from_secs(3));
        let eve = ["--rule", "best", "--count", "72"];
        let eve = scope.spawn(move || perform(place, node, "eve", &eve, &LATE));
        (ada.join().unwrap(), eve.join().unwrap())
    });
    assert_eq!((ada.code, eve.code), (0, 0), "{ada:?} {eve:?}");
    // Each counts who is there as it begins, and begins with its share.
    assert_eq!(ada.events[0]["gains"]["phase"], 0.5, "{ada:?}");
    assert_eq!(eve.events[0]["players"], 3, "{eve:?}");
    // Who says that it ends is not counted any more, nor who says nothing for longer than it said.
    assert_eq!(players(&ada), [2, 3, 2, 1], "{ada:?}");
    assert_eq!(players(&eve), [3, 2], "{eve:?}");
    // Each hears the other's gain, and they come to be alike.
    let (of_eve, of_ada) = (heard(&ada, "eve"), heard(&eve, "ada"));
    assert!(of_eve > Some(0.0) && of_ada > Some(0.0), "{ada:?} {eve:?}");
    let both = [gain_among(&ada, 2), gain_among(&eve, 2)];
    let apart = both[0].max(both[1]) / both[0].min(both[1]);
    assert!(apart < 1.5, "{both:?}");
    // Alone, it corrects the whole again.
    assert!(gain_among(&ada, 1) > 1.5 * both[0], "{both:?} {ada:?}");
    // Everybody sees what was said, and that nobody performs any more.
    let ensemble = node.json(&place, &["ensemble"]);
    let told = ensemble["performers"].as_array().unwrap();
    let mut names: Vec<_> = told
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["ada", "eve", "kim"], "{ensemble}");
    assert!(
        told.iter().all(|one| one["performs"] == false),
        "{ensemble}"
    );
    assert!(told.iter().all(|one| one["told"]["time"].is_string()));
    let (_, now) = node.get(path);
    let now: Value = serde_json::from_str(&now).unwrap();
    assert_eq!(now["performers"], json!([]), "{now}");
}
