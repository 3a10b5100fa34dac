//! Playing along with the beat, between real processes: what is late as a rule is released as much earlier, what
//! cannot keep up is told, and what a command says harms nobody.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use unisono_api::client::perform::{Action, Ended, Happened, Performance};
use unisono_api::client::{Actor, Client, Config};

use crate::process::{Place, Process};

/// Acts sixty ms and what it takes to wait for them after it was told to.
pub(crate) const LATE: [&str; 3] = [
    "sh",
    "-c",
    "while read beat; do sleep 0.06; echo acted; done",
];

pub(crate) fn alone(place: &Place) -> Process {
    let node = place.up();
    for agent in ["ada", "eve"] {
        node.json(place, &["agent", "enrol", agent]);
    }
    node
}

/// Has four beats come in a second, from now on.
pub(crate) fn four_a_second(place: &Place, node: &Process) {
    let words = ["tempo", "set", "240", "--at", "+500ms", "--as", "ada"];
    node.json(place, &words);
    std::thread::sleep(Duration::from_millis(600));
}

/// What a performance told, to its end.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) events: Vec<Value>,
    err: String,
}

impl Told {
    pub(crate) fn all<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Value> {
        let each = self.events.iter();
        each.filter(move |one| one["event"] == event)
    }

    fn summary(&self) -> &Value {
        let found = self.all("summary").next();
        found.unwrap_or_else(|| panic!("no summary: {self:?}"))
    }

    fn number(&self, name: &str) -> u64 {
        self.summary()[name].as_u64().unwrap()
    }

    /// The failure's code.
    fn failure(&self) -> String {
        let last = self.err.lines().last().unwrap_or_default();
        let told: Value = serde_json::from_str(last).unwrap_or_default();
        told["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) fn perform(
    place: &Place,
    node: &Process,
    agent: &str,
    more: &[&str],
    command: &[&str],
) -> Told {
    let words = ["--node", &node.url, "-o", "json", "perform", "--as", agent];
    let said = place.run(&[&words[..], more, &["--"], command].concat());
    let events = said.out.lines().map(serde_json::from_str);
    Told {
        code: said.code,
        events: events.collect::<Result<_, _>>().unwrap(),
        err: said.err,
    }
}

/// What half of them are not off by more than, ns.
fn median(late_ns: impl Iterator<Item = i64>) -> u64 {
    let mut off_ns: Vec<u64> = late_ns.map(i64::unsigned_abs).collect();
    off_ns.sort_unstable();
    off_ns[off_ns.len() / 2]
}

fn late_ns<'a>(events: impl Iterator<Item = &'a Value>, name: &'a str) -> Vec<i64> {
    events.map(|one| one[name].as_i64().unwrap()).collect()
}

#[test]
fn what_is_late_as_a_rule_is_released_earlier_until_it_acts_on_the_beat() {
    let place = Place::new();
    let node = alone(&place);
    four_a_second(&place, &node);
    let words = ["--effect", "release", "--count", "12"];
    let stays = perform(&place, &node, "eve", &words, &LATE);
    assert_eq!(stays.code, 0, "{stays:?}");
    assert!(stays.all("played").all(|one| one["moved_ns"] == 0));
    let by_release = late_ns(stays.all("played"), "released_late_ns");
    assert!(by_release.iter().all(|late| *late >= 0), "never early");
    let answered = late_ns(stays.all("played"), "answered_late_ns");
    assert!(answered.iter().all(|late| *late >= 60_000_000));
    let uncorrected = median(answered.into_iter());
    let told = perform(&place, &node, "ada", &["--count", "28"], &LATE);
    assert_eq!(told.code, 0, "{told:?}");
    let late = late_ns(told.all("played"), "late_ns");
    assert!(late.len() > 16 && late[0] >= 60_000_000, "{late:?}");
    let corrected = median(late[late.len() / 2..].iter().copied());
    assert!(2 * corrected < uncorrected, "{corrected} of {uncorrected}");
    let last = told.all("played").last().unwrap();
    assert!(last["moved_ns"].as_i64().unwrap() < -30_000_000, "{last}");
    assert_eq!(told.summary()["ended"], "counted");
    assert_eq!(told.number("surplus"), 0, "{told:?}");
    // The orchestra judges what it was told.
    assert!(told.number("told") > 10 && told.number("untold") == 0);
    let ensemble = node.json(&place, &["ensemble"]);
    let players = ensemble["players"].as_array().unwrap();
    let ada = players.iter().find(|one| one["name"] == "ada").unwrap();
    assert_eq!(ada["actions"], told.summary()["told"]);
    assert_eq!(ensemble["gains"]["players"], 2, "{ensemble}");
    assert_eq!(ensemble["gains"]["seed_is_stable"], true);
    // By the other rules, too, and by none it stays.
    for (rule, comes) in [("best", true), ("seed", true), ("none", false)] {
        let words = ["--rule", rule, "--count", "20", "--tell-every", "0"];
        let told = perform(&place, &node, "ada", &words, &LATE);
        let late = late_ns(told.all("played"), "late_ns");
        let left = median(late[late.len() / 2..].iter().copied());
        assert_eq!(2 * left < uncorrected, comes, "{rule}: {left}");
        assert_eq!(told.number("told"), 0);
    }
}

#[test]
fn who_cannot_keep_up_misses_beats_and_says_so_and_nobody_else_misses_any_for_it() {
    let place = Place::new();
    let node = alone(&place);
    let slow = [
        "sh",
        "-c",
        "while read beat; do sleep 0.8; echo acted; done",
    ];
    let quick = ["sh", "-c", "while read beat; do echo acted; done"];
    let (ada, eve) = std::thread::scope(|scope| {
        let count = &["--count", "14"];
        let ada = scope.spawn(|| perform(&place, &node, "ada", count, &slow));
        let eve = scope.spawn(|| perform(&place, &node, "eve", count, &quick));
        (ada.join().unwrap(), eve.join().unwrap())
    });
    assert_eq!((ada.code, eve.code), (0, 0), "{ada:?} {eve:?}");
    // It plays on, and plays nothing later.
    assert!(ada.number("missed") >= 4 && ada.number("actions") >= 3);
    assert!(ada.all("missed").all(|one| one["why"] == "busy"));
    let beats: Vec<i64> = late_ns(ada.all("played"), "beat");
    assert!(beats.windows(2).all(|pair| pair[0] < pair[1]), "{beats:?}");
    let findings = ada.summary()["findings"].to_string();
    assert!(findings.contains("cannot_keep_up"), "{findings}");
    assert!(findings.contains("bound_met"), "{findings}");
    assert!(ada.err.contains("it cannot keep up"), "{}", ada.err);
    assert!(ada.err.contains("the bound is met"), "{}", ada.err);
    assert!(eve.number("actions") >= 12, "{eve:?}");
    // Who hears nothing at all is told that, too.
    let deaf = ["sh", "-c", "cat > /dev/null"];
    let told = perform(&place, &node, "ada", &["--count", "6"], &deaf);
    assert_eq!((told.number("actions"), told.number("unanswered")), (0, 1));
    assert!(
        told.err.contains("beats in a row were missed"),
        "{}",
        told.err
    );
    // A late answer is wanted by whoever says so.
    let words = ["--count", "8", "--feedback-delay", "2"];
    let pipelined = [
        "sh",
        "-c",
        "while read beat; do (sleep 0.8; echo acted) & done; wait",
    ];
    let told = perform(&place, &node, "ada", &words, &pipelined);
    assert!(told.number("missed") <= 2, "{told:?}");
}

#[test]
fn a_rule_that_does_not_hold_and_words_that_are_none_are_refused_and_nothing_is_run() {
    let place = Place::new();
    let node = alone(&place);
    let file = place.path("ran");
    let touch = ["touch", file.to_str().unwrap()];
    let seed = ["--rule", "seed"];
    for (exit, code, words) in [
        (
            2,
            "gains_unstable",
            [&seed[..], &["--players", "8"]].concat(),
        ),
        (
            2,
            "gains_unstable",
            [&seed[..], &["--feedback-delay", "6"]].concat(),
        ),
        (2, "malformed", vec!["--players", "0"]),
        (2, "malformed", vec!["--players", "5000"]),
        (2, "malformed", vec!["--feedback-delay", "65"]),
        (2, "usage", vec!["--every", "0"]),
        (2, "usage", vec!["--every", "65536"]),
        (2, "usage", vec!["--every", "bar"]),
        (2, "usage", vec!["--count", "0"]),
        (2, "usage", vec!["--effect", "release", "--rule", "best"]),
    ] {
        let told = perform(&place, &node, "ada", &words, &touch);
        assert_eq!(
            (told.code, told.failure().as_str()),
            (exit, code),
            "{words:?}: {}",
            told.err
        );
        assert!(told.events.is_empty(), "{told:?}");
    }
    let told = perform(
        &place,
        &node,
        "ada",
        &[&seed[..], &["--players", "8"]].concat(),
        &touch,
    );
    let why: Value = serde_json::from_str(&told.err).unwrap();
    assert!(
        why["error"].as_str().unwrap().contains("below 0.2500"),
        "{why}"
    );
    assert!(why["hint"].as_str().unwrap().contains("0.1250"), "{why}");
    let told = perform(&place, &node, "nobody", &[], &touch);
    assert_eq!((told.code, told.failure().as_str()), (3, "agent_unknown"));
    let told = perform(&place, &node, "ada", &[], &["./is-not-there"]);
    assert_eq!((told.code, told.failure().as_str()), (3, "command_failed"));
    assert!(!file.exists());
    let words = ["--rule", "best", "--players", "8", "--count", "2"];
    let told = perform(&place, &node, "ada", &words, &LATE);
    assert_eq!(told.code, 0, "{told:?}");
    assert_eq!(told.events[0]["gains"]["phase"], 0.125, "{told:?}");
}

#[test]
fn whatever_a_command_says_it_is_bounded_and_the_performance_ends_as_it_was_to() {
    let place = Place::new();
    let node = alone(&place);
    let count = ["--count", "5"];
    let flood = perform(&place, &node, "ada", &count, &["yes"]);
    assert_eq!(flood.code, 0, "{flood:?}");
    assert_eq!(flood.summary()["ended"], "counted");
    let surplus = flood.number("surplus");
    assert!(
        (1..10_000).contains(&surplus),
        "read a little at a time: {surplus}"
    );
    let endless = perform(&place, &node, "ada", &count, &["cat", "/dev/zero"]);
    assert_eq!((endless.code, endless.number("actions")), (1, 0));
    let findings = endless.summary()["findings"].to_string();
    assert!(findings.contains("command_stayed"), "{findings}");
    let noise = "head -c 300000 /dev/urandom; exec cat > /dev/null";
    let noise = perform(&place, &node, "ada", &count, &["sh", "-c", noise]);
    assert_eq!(noise.code, 0, "{noise:?}");
    // Times that cannot be are passed over.
    let lies = "while read beat; do echo 17; read beat; echo 18446744073709551615; done";
    let lies = perform(&place, &node, "ada", &count, &["sh", "-c", lies]);
    assert_eq!(lies.number("not_believed"), lies.number("actions"));
    let late = late_ns(lies.all("played"), "late_ns");
    assert!(
        late.iter().all(|late| late.abs() < 5_000_000_000),
        "{late:?}"
    );
    let silent = ["sh", "-c", "exec 1>&-; exec sleep 30"];
    let silent = perform(&place, &node, "ada", &count, &silent);
    assert_eq!(silent.summary()["ended"], "command_ended");
    assert_eq!(silent.failure(), "command_ended_badly");
    let ends = perform(
        &place,
        &node,
        "ada",
        &[],
        &["sh", "-c", "read a; echo a; read a; exit 3"],
    );
    assert_eq!(
        (ends.code, ends.failure().as_str()),
        (1, "command_ended_badly")
    );
    assert_eq!(
        (ends.number("actions"), &ends.summary()["exit"]),
        (1, &json!(3))
    );
    let ends = perform(&place, &node, "ada", &[], &["true"]);
    assert_eq!(
        (ends.code, &ends.summary()["ended"]),
        (1, &json!("command_ended"))
    );
    assert_eq!(node.json(&place, &["ensemble"])["gains"]["players"], 1);
}

/// A performance that goes on.
struct Performing {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Performing {
    fn new(place: &Place, node: &Process, more: &[&str], command: &[&str]) -> Self {
        let words = ["--node", &node.url, "-o", "json", "perform", "--as", "ada"];
        let mut child = place
            .command()
            .args([&words[..], more, &["--"], command].concat())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        Self { child, says }
    }

    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }
}

impl Drop for Performing {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_change_of_tempo_is_followed_and_an_interrupt_ends_it_cleanly() {
    let place = Place::new();
    let node = alone(&place);
    let ended = place.path("ended");
    let script = format!(
        "while read beat; do echo acted; done; touch {}",
        ended.to_str().unwrap()
    );
    let mut performing = Performing::new(&place, &node, &[], &["sh", "-c", &script]);
    assert_eq!(performing.next().unwrap()["event"], "performing");
    let mut beats: Vec<(i64, i64)> = Vec::new();
    while beats.len() < 16 {
        let told = performing.next().unwrap();
        if told["event"] != "played" {
            continue;
        }
        let target_ns = told["target_ns"].as_str().unwrap().parse().unwrap();
        beats.push((told["beat"].as_i64().unwrap(), target_ns));
        if beats.len() == 3 {
            let words = ["tempo", "set", "240", "--at", "+1s", "--as", "ada"];
            node.json(&place, &words);
        }
    }
    let apart = |pair: &[(i64, i64)]| (pair[1].1 - pair[0].1) / (pair[1].0 - pair[0].0);
    let apart: Vec<i64> = beats.windows(2).map(apart).collect();
    let about = |ns: i64| move |one: &i64| (one - ns).abs() < 1_000;
    assert!(about(500_000_000)(&apart[0]), "{apart:?}");
    assert!(apart[12..].iter().all(about(250_000_000)), "{apart:?}");
    let pid = performing.child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(killed.success());
    let mut last = None;
    while let Some(told) = performing.next() {
        last = Some(told);
    }
    assert_eq!(last.unwrap()["ended"], "stopped");
    assert_eq!(performing.child.wait().unwrap().code(), Some(0));
    assert!(
        ended.exists(),
        "the command was told by the end of its input"
    );
}

#[test]
fn a_program_performs_by_the_same_loop() {
    let place = Place::new();
    let node = alone(&place);
    four_a_second(&place, &node);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let actor = Actor::Held {
            client: Client::offline(Config::new([node.url.as_str()])).unwrap(),
            orchestra: "main".to_owned(),
            name: "eve".to_owned(),
        };
        let mut actions: Vec<Action> = Vec::new();
        let performance = Performance {
            count: Some(20),
            ..Performance::default()
        };
        let told = |one: &Happened<'_>| {
            if let Happened::Acted(action) = one {
                actions.push(**action);
            }
        };
        let late = |_: &_| {
            std::thread::sleep(Duration::from_millis(60));
            None
        };
        let summary = actor.perform(&performance, late, told).await.unwrap();
        assert_eq!(summary.ended, Ended::Counted);
        assert_eq!(summary.actions + summary.missed, 20, "{summary:?}");
        assert!(actions[0].late_ns >= 60_000_000, "{actions:?}");
        let late = actions[actions.len() / 2..].iter().map(|one| one.late_ns);
        assert!(median(late) < 30_000_000, "{actions:?}");
        assert!(summary.told > 0 && summary.untold == 0, "{summary:?}");
        // A word of its own counts where it can be: it acts when it is called.
        let clock = actor.client().cluster_clock().await.unwrap();
        let says = move |_: &_| {
            let acted_ns = clock.now().estimate_ns;
            std::thread::sleep(Duration::from_millis(60));
            Some(acted_ns)
        };
        let performance = Performance {
            count: Some(8),
            ..performance
        };
        let summary = actor.perform(&performance, says, |_| ()).await.unwrap();
        assert!(summary.median_ns < 30_000_000, "{summary:?}");
        assert_eq!(summary.not_believed, 0);
        let unstable = Performance {
            rule: Some(unisono_core::ensemble::Rule::Seed),
            players: Some(8),
            ..Performance::default()
        };
        let refused = actor.perform(&unstable, |_| panic!("nothing is run"), |_| ());
        assert!(refused.await.is_err());
        // Whoever panics plays no more, and nothing else ends.
        let gone = actor.perform(&performance, |_| panic!("on purpose"), |_| ());
        let gone = gone.await.unwrap();
        assert_eq!((gone.ended, gone.unanswered), (Ended::Gone, 1));
    });
}

#[test]
fn what_a_command_uses_is_told_with_who_stays_beyond_what_it_may_and_it_knows_when_it_may_vary() {
    let place = Place::new();
    let node = alone(&place);
    let set = [
        "tempo",
        "vary",
        "--timing-ms",
        "60",
        "--beats",
        "2",
        "--resources",
        "20%",
        "--as",
        "ada",
    ];
    node.json(&place, &set);
    four_a_second(&place, &node);
    let told = place.path("told");
    // Counting costs tens of ms of a processor, of the one that is allotted.
    let busy = format!(
        "echo $UNISONO_VARY_EVERY $UNISONO_VARY_BEATS $UNISONO_VARY_TIMING_MS $UNISONO_VARY_RATE_PPM > {}; \
         while read beat; do i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; echo acted; done",
        told.to_str().unwrap()
    );
    std::thread::scope(|scope| {
        let (place, node) = (&place, &node);
        let ada = ["--allot-cpu-ms", "1", "--count", "68"];
        let eve = ["--allot-cpu-ms", "60000", "--count", "68"];
        let ada = scope.spawn(move || perform(place, node, "ada", &ada, &["sh", "-c", &busy]));
        let eve = scope.spawn(move || perform(place, node, "eve", &eve, &LATE));
        for told in [ada.join().unwrap(), eve.join().unwrap()] {
            assert_eq!((told.code, told.number("untold")), (0, 0), "{told:?}");
        }
    });
    assert_eq!(std::fs::read_to_string(told).unwrap(), "4 2 60\n");
    let ensemble = node.json(&place, &["ensemble"]);
    let each = ensemble["usage"].as_array().unwrap();
    let of = |name: &str| each.iter().find(|one| one["name"] == name).unwrap();
    for name in ["ada", "eve"] {
        let usage = of(name);
        assert_eq!(usage["resource"], "cpu_ms");
        assert!(usage["stretches"].as_u64().unwrap() >= 12, "{usage}");
    }
    assert!(of("ada")["used_percent"].as_f64().unwrap() > 500.0);
    assert!(of("eve")["used_percent"].as_f64().unwrap() < 50.0);
    assert_eq!(of("eve")["over"], false);
    let findings = ensemble["findings"].as_array().unwrap();
    let over: Vec<&Value> = findings
        .iter()
        .filter(|one| one["failure"] == "overuse")
        .collect();
    assert_eq!(over.len(), 1, "{findings:?}");
    assert_eq!(over[0]["agents"], json!(["ada"]));
    let why = (&over[0]["cause"], &over[0]["recovery"]);
    assert_eq!(why, (&json!("resources"), &json!("relieve")));
    assert_eq!(over[0]["overuse"]["most_percent"], 120.0);
    let next = over[0]["next"][0].as_str().unwrap();
    assert!(
        next.starts_with("unisono schedule cue relieve --for "),
        "{next}"
    );
    let shown = place.run(&["--node", &node.url, "ensemble"]).out;
    assert!(
        shown.contains("ada uses ") && shown.contains("overuse: ada, use less: "),
        "{shown}"
    );
    let shown = place.run(&["--node", &node.url, "tempo"]).out;
    assert!(
        shown.contains("; uses up to 20 % more than is allotted"),
        "{shown}"
    );
}
