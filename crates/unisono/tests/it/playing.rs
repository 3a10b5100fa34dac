//! What goes wrong among agents that play together, over a real node: found within stated numbers of
//! actions, told with a command that recovers, over when it goes well again, and never told of the honest.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use unisono_api::client::{Client, Config};
use unisono_api::dto::FailureWord;

use crate::following::Following;
use crate::process::{Place, Process, until};

const AGENTS: [&str; 8] = ["ada", "eve", "bob", "zoe", "ivy", "max", "kim", "lou"];
/// What is told is told within this, however busy the machine is.
const WITHIN: Duration = Duration::from_secs(60);
/// Beats before anything goes wrong.
const CALM: u64 = 52;

/// An orchestra whose agents play.
struct Band<'a> {
    node: &'a Process,
    name: &'a str,
    /// The first beat (ns since the Unix epoch): a while ago, so that all of them are past.
    from_ns: u64,
}

impl<'a> Band<'a> {
    fn new(node: &'a Process, place: &Place, name: &'a str) -> Self {
        let (status, told) = node.post("/v1/orchestras", &json!({ "name": name }));
        assert!(status < 300, "{told}");
        for agent in AGENTS {
            let path = format!("/v1/orchestras/{name}/agents");
            let (status, told) = node.post(&path, &json!({ "name": agent }));
            assert!(status < 300, "{told}");
        }
        let clock = node.json(place, &["clock"]);
        let now_ns: u64 = clock["estimate_ns"].as_str().unwrap().parse().unwrap();
        Self {
            node,
            name,
            from_ns: now_ns - 600_000_000_000,
        }
    }

    /// All play some beats at once, each as late as is said (ms), and about a millisecond.
    fn play(&self, beats: std::ops::Range<u64>, late_ms: impl Fn(usize, u64) -> f64 + Sync) {
        std::thread::scope(|scope| {
            for (index, agent) in AGENTS.iter().enumerate() {
                let (beats, late_ms) = (beats.clone(), &late_ms);
                scope.spawn(move || {
                    for beat in beats {
                        let chance_ms =
                            ((beat * 31 + index as u64 * 17) * 7_919 % 1_000) as f64 / 1e3;
                        let late_ns = ((late_ms(index, beat) + chance_ms) * 1e6) as i64;
                        let target_ns = self.from_ns + beat * 2_000_000_000;
                        let body = json!({"agent": agent, "target_ns": target_ns.to_string(),
                            "late_ns": late_ns, "unsure_ns": 100_000});
                        let path = format!("/v1/orchestras/{}/ensemble", self.name);
                        let (status, told) = self.node.post(&path, &body);
                        assert_eq!(status, 201, "{told}");
                    }
                });
            }
        });
    }

    fn findings(&self, place: &Place) -> Vec<Value> {
        let words = ["ensemble", "--orchestra", self.name];
        let told = self.node.json(place, &words);
        told["findings"].as_array().unwrap().clone()
    }

    /// The calm, in which nothing is told, and then so many beats of trouble: what is told of it.
    fn troubled(
        &self,
        place: &Place,
        beats: u64,
        late_ms: impl Fn(usize, u64) -> f64 + Sync,
    ) -> Value {
        self.play(0..CALM, |_, _| 0.0);
        assert_eq!(self.findings(place), Vec::<Value>::new(), "{}", self.name);
        self.play(CALM..CALM + beats, |index, beat| {
            late_ms(index, beat - CALM)
        });
        let told = self.findings(place);
        assert_eq!(told.len(), 1, "{}: {told:?}", self.name);
        told[0].clone()
    }
}

fn next(finding: &Value) -> &str {
    finding["next"][0].as_str().unwrap()
}

#[test]
fn who_rushes_or_drags_is_told_within_eight_actions_and_the_honest_never() {
    let place = Place::new();
    let node = place.up();
    let dragged = Band::new(&node, &place, "dragged");
    let late = |index, _| if index == 1 { 15.0 } else { 0.0 };
    let told = dragged.troubled(&place, 8, late);
    assert_eq!(
        (&told["failure"], &told["agents"]),
        (&json!("dragging"), &json!(["eve"]))
    );
    assert_eq!(
        (&told["cause"], &told["recovery"]),
        (&json!("player"), &json!("more_notice"))
    );
    // The command that is proposed is taken as it stands, by any agent.
    let command = next(&told).replace("NAME", "ada");
    let mut words: Vec<&str> = command.split(' ').skip(1).collect();
    words.extend(["--orchestra", "dragged"]);
    let given = node.json(&place, &words);
    assert_eq!(
        given["cue"]["notice"]["short"],
        json!([]),
        "the notice is enough: {given}"
    );
    // The agent itself is told, and nobody else.
    let brief = |agent: &str| {
        let words = ["continue", "--orchestra", "dragged", "--as", agent];
        node.json(&place, &words).to_string()
    };
    assert!(brief("eve").contains("you drag: "), "{}", brief("eve"));
    assert!(!brief("bob").contains("you drag"), "{}", brief("bob"));
    let said = place.run(&["--node", &node.url, "ensemble", "--orchestra", "dragged"]);
    // As many gains as there are players: of eight the seed's do not hold.
    let gains = &node.json(&place, &["ensemble", "--orchestra", "dragged"])["gains"];
    let expected = json!({"players": 8, "phase_best": 0.125, "period_best": 0.0125,
        "phase_bound": 0.25, "seed_is_stable": false});
    assert_eq!(gains, &expected);
    assert!(
        said.out
            .contains("stable below 0.250; 0.25 and 0.1 are not stable"),
        "{}",
        said.out
    );
    assert!(
        said.out.contains("dragging: eve, ") && said.out.contains("next: unisono schedule cue"),
        "{}",
        said.out
    );
    // Whoever follows is told what there is, and that it is over.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::offline(Config::new([node.url.as_str()])).unwrap();
        let mut findings = client.findings("dragged");
        let begun = findings.next().await.unwrap().begun;
        assert_eq!(begun[0].failure, FailureWord::Dragging);
        tokio::task::block_in_place(|| dragged.play(CALM + 8..CALM + 36, |_, _| 0.0));
        let over = findings.next().await.unwrap().over;
        assert_eq!(over[0].agents, ["eve"]);
    });
    assert_eq!(dragged.findings(&place), Vec::<Value>::new());
    let rushed = Band::new(&node, &place, "rushed");
    let early = |index, _| if index == 6 { -15.0 } else { 0.0 };
    let told = rushed.troubled(&place, 8, early);
    assert_eq!(
        (&told["failure"], &told["agents"]),
        (&json!("rushing"), &json!(["kim"]))
    );
    assert!(next(&told).contains("hold the rate: "), "{told}");
}

#[test]
fn what_may_vary_is_set_by_a_command_and_is_told_as_that_and_not_as_dragging() {
    let place = Place::new();
    let node = place.up();
    let band = Band::new(&node, &place, "varied");
    band.play(0..CALM, |_, _| 0.0);
    // For sixteen beats of the tempo (four of these) from each major synchronisation on.
    let likely = |beat: u64| (band.from_ns + beat * 2_000_000_000) / 500_000_000 % 64 < 16;
    band.play(CALM..CALM + 24, |index, beat| {
        if index == 1 && likely(beat) {
            50.0
        } else {
            0.0
        }
    });
    let told = band.findings(&place);
    assert_eq!(told.len(), 1, "nobody knows that it is meant: {told:?}");
    assert_eq!(told[0]["failure"], "dragging");
    let vary = |words: &[&str]| {
        let mut all = vec!["tempo", "vary"];
        all.extend(words);
        all.extend(["--as", "ada", "--orchestra", "varied"]);
        node.json(&place, &all);
    };
    vary(&[
        "--timing-ms",
        "60",
        "--rate-percent",
        "2.5",
        "--at",
        "major",
        "--beats",
        "16",
    ]);
    let tempo = node.json(&place, &["tempo", "--orchestra", "varied"]);
    let set = json!({"timing_ms": 60, "rate_ppm": 25_000, "at": "major", "beats": 16});
    assert_eq!(tempo["variation"], set);
    assert_eq!(band.findings(&place), Vec::<Value>::new());
    let said = |what: &str| {
        let words = ["--node", &node.url, what, "--orchestra", "varied"];
        place.run(&words).out
    };
    let shown = said("ensemble");
    assert!(shown.contains("eve varies as it may: "), "{shown}");
    assert!(!shown.contains("bob varies"), "{shown}");
    let shown = said("tempo");
    assert!(
        shown.contains("by up to 60 ms, 2.5 % of the rate, for 16 beats from each major"),
        "{shown}"
    );
    vary(&["--timing-ms", "20", "--at", "major", "--beats", "16"]);
    let told = band.findings(&place);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["failure"], &told[0]["reason"]),
        (&json!("dragging"), &json!("out_of_bounds"))
    );
    vary(&["--none"]);
    assert_eq!(band.findings(&place)[0]["reason"], Value::Null);
    let mistaken = [
        vec!["--timing-ms", "0"],
        vec!["--timing-ms", "NaN"],
        vec!["--rate-percent", "NaN"],
        vec!["--rate-percent", "51"],
        vec!["--resources", "101%"],
        vec!["--resources", "%"],
        vec!["--timing-ms", "60", "--beats", "65"],
        vec!["--none", "--timing-ms", "60"],
        vec!["--at", "major"],
        vec!["--beats", "4"],
        vec![],
    ];
    for words in mistaken {
        let mut all = vec!["--node", &node.url, "tempo", "vary"];
        all.extend(words);
        all.extend(["--as", "ada", "--orchestra", "varied"]);
        assert_eq!(place.run(&all).code, 2, "{all:?}");
    }
    let tempo = node.json(&place, &["tempo", "--orchestra", "varied"]);
    assert!(tempo["variation"].is_null(), "{tempo}");
}

#[test]
fn what_no_bound_can_be_is_refused_as_a_setting_too_with_what_may_be_and_nothing_changes() {
    let place = Place::new();
    let node = place.up();
    node.json(&place, &["agent", "enrol", "ada"]);
    let settings = "/v1/orchestras/main/settings";
    let set = |some: Value| node.sends("PUT", settings, &json!({"agent": "ada", "settings": some}));
    let (status, told) = set(json!({"vary_timing_ms": 60, "vary_resources_ppm": 200_000}));
    assert_eq!(status, 201, "{told}");
    let stands = || node.json(&place, &["tempo"])["variation"].clone();
    let bounds = json!({"timing_ms": 60, "resources_ppm": 200_000, "at": "beat", "beats": 1});
    assert_eq!(stands(), bounds);
    for (some, most) in [
        (json!({"vary_timing_ms": 60_001}), "from 0 to 60000"),
        (json!({"vary_timing_ms": u64::MAX}), "from 0 to 60000"),
        (json!({"vary_rate_ppm": 500_001}), "from 0 to 500000"),
        (
            json!({"vary_resources_ppm": 1_000_001}),
            "from 0 to 1000000",
        ),
        (json!({"vary_at": 3}), "from 0 to 2"),
        (json!({"vary_beats": 0}), "from 1 to 64"),
        (json!({"vary_beats": 65}), "from 1 to 64"),
        // One that is none takes the others with it.
        (
            json!({"vary_timing_ms": 20, "vary_beats": 65}),
            "from 1 to 64",
        ),
    ] {
        let (status, told) = set(some);
        assert_eq!(
            (status, &told["code"]),
            (400, &json!("malformed")),
            "{told}"
        );
        assert_eq!(told["changed"], false, "{told}");
        assert!(told["hint"].as_str().unwrap().contains(most), "{told}");
    }
    for some in [
        json!({"vary_timing_ms": -1}),
        json!({"vary_timing_ms": 1.5}),
        json!({"vary_timing_ms": "60"}),
        json!({"vary_everything": 1}),
    ] {
        assert_eq!(set(some.clone()).0, 400, "{some}");
    }
    assert_eq!(stands(), bounds);
    // And neither is what nobody can have used.
    for (field, value) in [
        ("until_ns", json!("0")),
        ("actions", json!(0)),
        ("actions", json!(1_000_001)),
        ("used", json!((1_u64 << 50) + 1)),
        ("allotted", json!(0)),
        ("allotted", json!((1_u64 << 50) + 1)),
    ] {
        let mut body = json!({"agent": "ada", "resource": "calls", "until_ns": "5",
            "used": 1, "allotted": 1});
        body[field] = value;
        let (status, told) = node.post("/v1/orchestras/main/ensemble/usage", &body);
        assert_eq!(
            (status, &told["changed"]),
            (400, &json!(false)),
            "{field}: {told}"
        );
    }
}

#[test]
fn a_drift_of_all_and_a_split_are_told_once_with_a_meeting_that_helps() {
    let place = Place::new();
    let node = place.up();
    let drifting = Band::new(&node, &place, "drifting");
    let told = drifting.troubled(&place, 12, |_, since| 2.0 * (since + 1) as f64);
    assert_eq!(
        (&told["failure"], &told["cause"]),
        (&json!("drift"), &json!("beat"))
    );
    assert_eq!(told["agents"].as_array().unwrap().len(), AGENTS.len());
    assert!(next(&told).contains("--at next-major"), "{told}");
    let torn = Band::new(&node, &place, "torn");
    let late = |index, _| if index < 3 { 60.0 } else { 0.0 };
    let told = torn.troubled(&place, 6, late);
    assert_eq!(
        (&told["failure"], &told["recovery"]),
        (&json!("split"), &json!("barrier"))
    );
    let mut astray: Vec<&str> = told["agents"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    astray.sort_unstable();
    assert_eq!(astray, ["ada", "bob", "eve"], "the others keep to the beat");
    assert!(
        next(&told).starts_with("unisono barrier resync --of 8"),
        "{told}"
    );
    assert!(
        (told["off_ms"].as_f64().unwrap() - 60.0).abs() < 2.0,
        "{told}"
    );
    // As of a time before, nothing was wrong.
    let (status, then) = node.get("/v1/orchestras/torn/ensemble?as_of=2026-01-01T00:00:00Z");
    assert!(status != 200 || !then.contains("split"), "{then}");
}

/// Who was let recover gives the cue itself: at once, more explicitly while it stands, no more than three
/// times, and once however often it is begun anew.
#[test]
fn who_recovers_gives_each_cue_once_and_then_asks_for_people() {
    let place = Place::new();
    let node = place.up();
    let band = Band::new(&node, &place, "rushed");
    let early = |index, _| if index == 6 { -15.0 } else { 0.0 };
    let told = band.troubled(&place, 8, early);
    let key = told["keys"][0].as_str().unwrap().to_owned();
    let words = ["ensemble", "--follow", "--recover", "--orchestra", "rushed"];
    let nobody = place.run(&[&["--node", &node.url], &words[..]].concat());
    assert_eq!(nobody.code, 2, "nobody gives cues: {}", nobody.err);
    let patient = ["--patience", "1", "--as", "ada"];
    let cues = || -> Vec<Value> {
        let told = node.json(&place, &["schedule", "--orchestra", "rushed"]);
        told["cues"].as_array().unwrap().clone()
    };
    // Begun twice at once, as where one of two is to stand in for the other.
    let words = [&["--node", &node.url], &words[..], &patient].concat();
    let both = ["first", "second"].map(|name| Recovering::new(&place, name, &words));
    until("people are asked", || {
        both.iter().all(|one| one.says("somebody has to look"))
    });
    let given = cues();
    let names: Vec<&str> = given
        .iter()
        .map(|one| one["cue"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 3, "each once: {given:?}");
    assert_eq!(names.iter().filter(|name| **name == "hold").count(), 1);
    assert_eq!(names.iter().filter(|name| **name == "rate-down").count(), 2);
    assert!(
        given
            .iter()
            .all(|one| one["cue"]["parties"] == json!([key])),
        "nobody else is meant: {given:?}"
    );
    band.play(CALM + 8..CALM + 36, |_, _| 0.0);
    until("it is over", || {
        both.iter().all(|one| one.says("over: rushing (kim)"))
    });
    assert_eq!(cues().len(), 3, "and nothing after");
}

/// Alerts and findings over a node, to whoever follows and to whoever recovers: for what is critical people
/// are asked and nobody is given a cue; who drags gets one, and what stands by at that agent hears it and acts.
#[test]
fn what_is_critical_is_told_and_left_to_people_and_who_drags_hears_the_cue_that_recovers() {
    let place = Place::new();
    let node = place.up();
    let band = Band::new(&node, &place, "unwell");
    let of = |words: &[&'static str]| [words, &["--orchestra", "unwell"]].concat();
    let told = Following::of(&place, &node, &of(&["ensemble", "--follow"]));
    let recovers = ["ensemble", "--follow", "--recover", "--as", "bob"];
    let recovery = Following::of(
        &place,
        &node,
        &of(&[&recovers[..], &["--patience", "600"]].concat()),
    );
    let heard = place.path("heard");
    let stands = of(&["stand-by", "resync", "--as", "eve", "--from", "bob"]);
    let touch = ["--", "touch", heard.to_str().unwrap()];
    let stands = Following::of(&place, &node, &[&stands[..], &touch].concat());
    assert_eq!(stands.within(WITHIN).unwrap()["event"], "standing");
    // Ada is late by as much each time, and lou by now more, now less: nobody fails by that, and it is too much.
    let off = |index: usize, beat: u64| match (index, beat % 2) {
        (0, _) => 150.0,
        (7, 0) => 80.0,
        (7, _) => -80.0,
        _ => 0.0,
    };
    band.play(0..CALM, off);
    let mut alerts = begun(&told, 2);
    alerts.sort();
    let expected = [("mean_critical", "ada"), ("spread_critical", "lou")];
    let expected = expected.map(|(what, who)| (what.to_owned(), who.to_owned()));
    assert_eq!(alerts, expected);
    band.play(CALM..CALM + 8, |index, beat| {
        off(index, beat) + if index == 1 { 15.0 } else { 0.0 }
    });
    let dragging = ("dragging".to_owned(), "eve".to_owned());
    assert_eq!(begun(&told, 1), [dragging]);
    // Whoever recovers has told of the same, and has given one cue, to who drags alone.
    let mut said: Vec<Value> = Vec::new();
    let given = loop {
        let next = recovery.within(WITHIN);
        let next = next.unwrap_or_else(|| panic!("no cue: {said:?}"));
        if next["given"].is_string() {
            break next;
        }
        said.push(next);
    };
    let begun = said.iter().filter(|one| one["begun"].is_object());
    assert_eq!(begun.count(), 3, "{said:?}");
    assert_eq!(
        (&given["failure"], &given["given"]),
        (&json!("dragging"), &json!("resync"))
    );
    let cues = node.json(&place, &["schedule", "--orchestra", "unwell"]);
    let cues = cues["cues"].as_array().unwrap();
    assert_eq!(
        cues.len(),
        1,
        "for what is critical nobody is given a cue: {cues:?}"
    );
    let meant = cues[0]["parties"].as_array().unwrap();
    assert_eq!((meant.len(), &meant[0]["name"]), (1, &json!("eve")));
    until("eve has heard it and acts", || heard.exists());
}

/// What begins next, so many findings: what it is, and with whom.
fn begun(told: &Following, count: usize) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while found.len() < count {
        let change = told.within(WITHIN);
        let change = change.unwrap_or_else(|| panic!("nothing more is told: {found:?}"));
        let word = |value: &Value| value.as_str().unwrap().to_owned();
        for one in change["begun"].as_array().unwrap() {
            found.push((word(&one["failure"]), word(&one["agents"][0])));
        }
    }
    found
}

/// A process that recovers, and all that it has said.
struct Recovering {
    child: Child,
    said: PathBuf,
}

impl Recovering {
    fn new(place: &Place, name: &str, words: &[&str]) -> Self {
        let said = place.path(name);
        let file = std::fs::File::create(&said).unwrap();
        let mut command = place.command();
        let command = command.args(words).stdin(Stdio::null());
        let child = command
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, said }
    }

    fn says(&self, what: &str) -> bool {
        std::fs::read_to_string(&self.said).unwrap().contains(what)
    }
}

impl Drop for Recovering {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
