//! What comes next, between real processes: a source that keeps time is foretold and prepared for, one that
//! does not is reacted to, and of what nobody knows nothing is said.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::following::Following;
use crate::process::{Place, Process};

/// Longer than any of this takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Begins to foretell, and waits until it has told how things stand.
fn foretell(place: &Place, node: &Process, words: &str, command: &[&str]) -> Following {
    let words: Vec<&str> = ["foretell"].into_iter().chain(words.split(' ')).collect();
    let foretelling = Following::of(place, node, &[&words[..], &["--"], command].concat());
    assert_eq!(foretelling.within(PATIENCE).unwrap()["event"], "foretold");
    foretelling
}

/// All that it says until it ends by itself.
fn to_its_end(foretelling: &Following) -> Vec<Value> {
    std::iter::from_fn(|| foretelling.within(PATIENCE)).collect()
}

fn alone(place: &Place) -> Process {
    let node = place.up();
    for agent in ["ada", "eve"] {
        node.json(place, &["agent", "enrol", agent]);
    }
    node
}

fn wall_ns() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
}

/// Makes a mark after each of these intervals (ms), by absolute times; gives the record of each and when it
/// was about to be made (ns).
fn marks(node: &Process, agent: &str, intervals_ms: &[u64]) -> BTreeMap<String, u128> {
    let begun = Instant::now();
    let mut due = Duration::ZERO;
    let mut made = BTreeMap::new();
    for interval_ms in intervals_ms {
        due += Duration::from_millis(*interval_ms);
        std::thread::sleep(due.saturating_sub(begun.elapsed()));
        let at_ns = wall_ns();
        let body = json!({ "agent": agent, "text": "done", "about": agent });
        let (status, told) = node.post("/v1/orchestras/main/marks", &body);
        assert_eq!(status, 201, "{told}");
        made.insert(told["record"].as_str().unwrap().to_owned(), at_ns);
    }
    made
}

/// Intervals that nobody foretells.
fn wild(times: usize) -> Vec<u64> {
    let wild = [
        300, 27, 117, 567, 203, 13, 417, 68, 26, 470, 177, 333, 41, 520, 90,
    ];
    wild.iter().copied().cycle().take(times).collect()
}

fn of<'a>(said: &'a [Value], event: &str) -> Vec<&'a Value> {
    said.iter().filter(|one| one["event"] == event).collect()
}

#[test]
fn a_source_that_keeps_time_is_foretold_and_prepared_for_before_its_events() {
    let place = Place::new();
    let node = alone(&place);
    let runs = place.path("runs");
    let runs = runs.to_str().unwrap();
    let note = format!(
        "echo $UNISONO_WHY $(date +%s%N) $UNISONO_FORETOLD_AT_NS $UNISONO_CONFIDENCE >> {runs}"
    );
    let words = "--agent ada --kind mark --within-ms 120 --prepare-ms 130 --times 30";
    let foretelling = foretell(&place, &node, words, &["sh", "-c", &note]);
    // Somebody else is at work meanwhile, and is another source.
    let (made, said) = std::thread::scope(|scope| {
        let ada = scope.spawn(|| marks(&node, "ada", &[300; 31]));
        scope.spawn(|| marks(&node, "eve", &wild(30)));
        let said = to_its_end(&foretelling);
        (ada.join().unwrap(), said)
    });
    let came = of(&said, "came");
    assert_eq!(came.len(), 30);
    assert!(came.iter().all(|one| one["came"]["name"] == "ada"));
    assert!(came[..8].iter().all(|one| one["next"].is_null()));
    let foretold: Vec<_> = came
        .iter()
        .filter(|one| one["came"]["came_true"].is_boolean())
        .collect();
    let true_ones = foretold
        .iter()
        .filter(|one| one["came"]["came_true"] == true)
        .count();
    assert_eq!(
        foretold.len(),
        21,
        "nine are needed, and the next is foretold"
    );
    assert!(2 * true_ones > foretold.len(), "{true_ones} came true");
    let last = came.last().unwrap();
    assert_eq!(last["next"]["pattern"], "periodic", "{last}");
    assert!(last["reliability"][0]["cases"].as_u64() > Some(0), "{last}");
    let mean_ms = last["mean_ms"].as_f64().unwrap();
    assert!((250.0..350.0).contains(&mean_ms), "{last}");

    let text = std::fs::read_to_string(runs).unwrap();
    let counts = &said.last().unwrap()["counts"];
    ran_once_for_each(&text, counts, &came, &made);
}

/// Once for each event, in their order, and mostly before those that were prepared for.
fn ran_once_for_each(text: &str, counts: &Value, came: &[&Value], made: &BTreeMap<String, u128>) {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let count = |what: &str| counts[what].as_u64().unwrap() as usize;
    assert_eq!(count("not_run"), 0, "{counts}");
    assert_eq!(count("prepared") + count("reacted"), lines.len(), "{text}");
    assert_eq!(lines.len(), came.len(), "{text}");
    assert!(count("prepared") >= 10, "{counts}");
    let before = lines.iter().zip(came).filter(|(line, came)| {
        let ran_ns: u128 = line[1].parse().unwrap();
        let record = came["came"]["record"].as_str().unwrap();
        line[0] == "prepared" && ran_ns < made[record]
    });
    let before = before.count();
    assert!(
        2 * before > count("prepared"),
        "{before} ran before: {text}"
    );
    for line in lines.iter().filter(|line| line[0] == "prepared") {
        assert!(line[2].parse::<u64>().is_ok(), "{text}");
        assert!(line[3].parse::<f64>().unwrap() >= 0.6, "{text}");
    }
    assert!(lines[..9].iter().all(|line| line[0] == "reacted"), "{text}");
}

#[test]
fn what_was_prepared_for_and_does_not_come_is_said_and_a_source_that_has_stopped_is_not_foretold() {
    let place = Place::new();
    let node = alone(&place);
    let words = "--agent ada --within-ms 100 --prepare-ms 100";
    let foretelling = foretell(&place, &node, words, &["true"]);
    marks(&node, "ada", &[200; 16]);
    let overdue = std::iter::from_fn(|| foretelling.within(PATIENCE))
        .find(|one| one["event"] == "overdue" && one["events"] == 16)
        .unwrap();
    assert_eq!(overdue["missed"], true, "it was prepared for: {overdue}");
    assert!(overdue["next"].is_null(), "{overdue}");
    assert!(overdue["counts"]["missed"].as_u64() > Some(0), "{overdue}");
    let failure = node.fails(&place, 3, &["foretell", "--agent", "ada"]);
    assert_eq!(failure["code"], "event_overdue", "{failure}");
    // It was prepared for, however late it comes.
    marks(&node, "ada", &[1]);
    let came = foretelling.within(PATIENCE).unwrap();
    assert_eq!(
        (&came["event"], &came["prepared"]),
        (&"came".into(), &true.into())
    );
    assert_eq!(came["came"]["came_true"], false, "{came}");
}

#[test]
fn an_erratic_source_is_reacted_to_and_never_prepared_for() {
    let place = Place::new();
    let node = alone(&place);
    let words = "--topic eve --kind mark --within-ms 5 --prepare-ms 50 --times 24";
    let foretelling = foretell(&place, &node, words, &["true"]);
    let said = std::thread::scope(|scope| {
        scope.spawn(|| marks(&node, "eve", &wild(24)));
        to_its_end(&foretelling)
    });
    let last = of(&said, "came").last().copied().unwrap().clone();
    assert_eq!(of(&said, "prepared").len(), 0, "{last}");
    assert_eq!(of(&said, "reacted").len(), 24, "{last}");
    assert_eq!(last["plan"], "react", "{last}");
    let came = of(&said, "came");
    assert!(
        came[9..]
            .iter()
            .all(|one| one["came"]["foretold"].is_object())
    );
}

#[test]
fn what_nobody_knows_is_not_foretold_and_what_is_no_question_is_refused() {
    let place = Place::new();
    let node = alone(&place);
    let ask = |code, words: &[&str]| {
        let words = [&["foretell"], words].concat();
        node.fails(&place, code, &words)["code"].clone()
    };
    assert_eq!(ask(3, &["--agent", "nobody"]), "source_unknown");
    marks(&node, "ada", &[1; 4]);
    assert_eq!(ask(3, &["--agent", "ada"]), "too_little_known");
    assert_eq!(
        ask(3, &["--agent", "ada", "--kind", "emit"]),
        "source_unknown"
    );
    assert_eq!(ask(2, &[]), "malformed");
    for within in ["NaN", "inf", "0", "-1", "86400001", "1e300"] {
        assert_eq!(
            ask(2, &["--agent", "ada", "--within-ms", within]),
            "malformed",
            "{within}"
        );
    }
    assert_eq!(ask(2, &["--agent", "ada", "--from", "0"]), "malformed");
    assert_eq!(
        ask(2, &["--agent", "ada", "--prepare-ms", "86400001"]),
        "malformed"
    );
    assert_eq!(
        ask(2, &["--agent", "ada", "--as-of", "2026-01-01T00:00:00Z"]),
        "usage"
    );
    assert_eq!(
        ask(3, &["--agent", "ada", "--orchestra", "none"]),
        "orchestra_unknown"
    );
    let words = ["--node", &node.url, "-o", "json", "foretell"];
    let said = place.run(&[&words[..], &["--agent", "ada", "--", "/no/such/program"]].concat());
    assert_eq!(said.code, 3, "{}", said.err);
    assert!(said.err.contains("command_failed"), "{}", said.err);
}
