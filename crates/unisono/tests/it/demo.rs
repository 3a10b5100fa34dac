//! The demonstration passes, says so in figures, and finds what is broken on purpose.

use serde_json::Value;

use crate::process::{Place, Said};

/// Plays it; gives the exit code and the answer.
fn play(place: &Place, more: &[&str]) -> (Said, Value) {
    let mut words = vec!["demo", "-o", "json"];
    words.extend(more);
    let said = place.run(&words);
    let answer = serde_json::from_str(&said.out);
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {}\n{}", said.out, said.err));
    (said, answer)
}

fn broken(answer: &Value) -> Vec<&str> {
    let verdicts = answer["verdicts"].as_array().unwrap();
    let broken = verdicts.iter().filter(|verdict| verdict["ok"] == false);
    broken
        .map(|verdict| verdict["property"].as_str().unwrap())
        .collect()
}

#[test]
fn it_passes_and_says_so_in_figures() {
    let (said, answer) = play(&Place::new(), &[]);
    assert_eq!(said.code, 0, "{answer:#}\n{}", said.err);
    assert_eq!(answer["ok"], true);
    assert_eq!(broken(&answer), Vec::<&str>::new());
    assert_eq!(answer["verdicts"].as_array().unwrap().len(), 11);
    let seconds = answer["times"]["seconds"].as_f64().unwrap();
    assert!(seconds < 60.0, "it took {seconds} s");
}

/// Plays it with a fault, which has to break that property.
fn breaks(fault: &str, property: &str) {
    let (said, answer) = play(&Place::new(), &["--sabotage", fault]);
    assert_eq!(said.code, 1, "{answer:#}\n{}", said.err);
    assert_eq!(answer["ok"], false);
    let broken = broken(&answer);
    assert!(broken.contains(&property), "{broken:?}");
    assert!(said.err.contains(property), "{}", said.err);
}

#[test]
fn claims_in_the_order_of_arrival_are_found() {
    breaks("claim-order-by-arrival", "one confirmed holder");
}

#[test]
fn gaps_that_are_not_repaired_are_found() {
    breaks("gaps-not-repaired", "converged");
}

#[test]
fn a_key_that_is_forgotten_is_found() {
    breaks("key-forgotten", "counted once");
}
