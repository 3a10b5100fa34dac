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
fn it_passes_and_each_planted_fault_is_found() {
    // One after the other: each is three nodes under load.
    let place = Place::new();
    let (said, answer) = play(&place, &[]);
    assert_eq!(said.code, 0, "{answer:#}\n{}", said.err);
    assert_eq!(answer["ok"], true);
    assert_eq!(broken(&answer), Vec::<&str>::new());
    assert_eq!(answer["verdicts"].as_array().unwrap().len(), 11);
    let seconds = answer["times"]["seconds"].as_f64().unwrap();
    assert!(seconds < 60.0, "it took {seconds} s");

    let faults = [
        ("claim-order-by-arrival", "one confirmed holder"),
        ("gaps-not-repaired", "converged"),
        ("key-forgotten", "counted once"),
    ];
    for (fault, property) in faults {
        let (said, answer) = play(&place, &["--sabotage", fault]);
        assert_eq!(said.code, 1, "{fault}: {answer:#}\n{}", said.err);
        assert_eq!(answer["ok"], false);
        assert!(
            broken(&answer).contains(&property),
            "{fault}: {:?}",
            broken(&answer)
        );
        assert!(said.err.contains(property), "{fault}: {}", said.err);
    }
}
