//! Playing together between real processes: one tempo, barriers that open at one time, and what is
//! refused by name.

use serde_json::{Value, json};
use unisono_api::client::{Actor, Client, ClientError, Config, Played};
use unisono_api::dto::{
    Agents, Beat, CueAnswerWord, CueBody, CueList, CueRuleWord, CueStageWord, Digits,
};

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
    let change = &set["change"];
    assert_eq!(
        (&change["from_bpm"], &change["to_bpm"]),
        (&json!(120.0), &json!(90.0))
    );
    // Half a minute goes by before it is over, and nobody plays.
    let stage = change["stage"].as_str().unwrap();
    assert!(["announced", "under_way"].contains(&stage), "{change}");
    let shown = place.run(&["--node", &node.url, "tempo"]);
    assert!(
        shown.out.contains("from 120 to 90 beats a minute"),
        "{}",
        shown.out
    );
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
    let (_, figures) = node.get("/metrics");
    let figure = |name: &str, labels: &str| -> f64 {
        let name = format!("unisono_ensemble_{name}{{orchestra=\"main\"{labels}}} ");
        let value = figures.lines().find_map(|line| line.strip_prefix(&name));
        value
            .unwrap_or_else(|| panic!("no {name}: {figures}"))
            .parse()
            .unwrap()
    };
    assert_eq!((figure("players", ""), figure("actions", "")), (3.0, 3.0));
    let off_ms: f64 = players
        .iter()
        .map(|one| one["off_ms"].as_f64().unwrap())
        .sum();
    let told_ms = figure("asynchrony_seconds", "") * 1e3;
    assert!((told_ms - off_ms / 3.0).abs() < 0.01, "{told_ms}");
    for health in ["warning", "critical"] {
        let unwell = players.iter().filter(|one| one["health"] == health).count();
        let labels = format!(",health=\"{health}\"");
        assert!((figure("unwell_players", &labels) - unwell as f64).abs() < 0.5);
    }
    assert!(figure("findings", ",failure=\"split\"") >= 0.0);
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
fn a_window_that_nobody_names_is_filled_in_for_whoever_signs_for_itself_too() {
    let place = Place::new();
    let node = alone(&place);
    node.json(&place, &["agent", "enrol", "sue", "--key-file", "sue.key"]);
    let cue = ["schedule", "cue", "switch", "--at", "+5s", "--for", "eve"];
    let window = |more: &[&str]| {
        let given = node.json(&place, &[&cue[..], more].concat());
        given["cue"]["cue"]["window_ms"].clone()
    };
    let signs = ["--as", "sue", "--key-file", "sue.key"];
    let leads = node.json(&place, &["schedule", "leads", "eve"]);
    // Of whom nobody knows how her actions spread it is what is assumed, or more where the time is not sure.
    assert!(leads["window_ms"].as_u64() >= Some(50), "{leads}");
    assert_eq!(leads["window_assumed"], true);
    for signs in [&["--as", "ada"][..], &signs] {
        assert!(window(signs).as_u64() >= Some(50));
        assert_eq!(window(&[signs, &["--window-ms", "7"]].concat()), 7);
    }
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
            // The estimate may have moved between the release and this look.
            let late_ns = time.now_ns().cast_signed() - beat.at_ns.0.cast_signed();
            played.push((beat.beat, late_ns));
            played.len() < 3
        };
        client.on_beat("main", 1, play).await.unwrap();
        assert_eq!(played.len(), 3);
        assert!(
            played.windows(2).all(|pair| pair[0].0 < pair[1].0),
            "{played:?}"
        );
        let in_time = |(_, late_ns): &(_, i64)| (-10_000_000..60_000_000).contains(late_ns);
        assert!(played.iter().all(in_time), "{played:?}");
    });
}

#[test]
fn a_program_reads_the_clock_arms_an_action_and_prepares_others() {
    let place = Place::new();
    let node = alone(&place);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = Client::offline(Config::new([node.url.as_str()])).unwrap();
        let actor = |name: &str| Actor::Held {
            client: client.clone(),
            orchestra: "main".to_owned(),
            name: name.to_owned(),
        };
        let clock = client.cluster_clock().await.unwrap();
        let now = clock.now();
        assert!(now.earliest_ns <= now.estimate_ns && now.estimate_ns <= now.latest_ns);
        // On the node's own machine its reading is taken as it is.
        let shown = client.clock().await.unwrap().body.estimate().unwrap();
        let later = clock.now();
        assert!(
            shown <= later.estimate_ns + later.unsure_ns
                && shown + later.unsure_ns >= now.estimate_ns
        );
        let fired = clock.until(later.estimate_ns + 100_000_000).await.unwrap();
        assert!((0..50_000_000).contains(&fired.late_ns), "{fired:?}");
        // Eve is meant and says that she is ready, bob is meant and does not.
        let agents = client
            .read_whole::<Agents>("main", "agents", &[])
            .await
            .unwrap()
            .body
            .agents;
        let key = |name: &str| agents.iter().find(|one| one.name == name).unwrap().agent;
        let cue = CueBody {
            name: "switch".to_owned(),
            target_ns: Digits(clock.now().estimate_ns + 4_000_000_000),
            window_ms: 50,
            confidence_ppm: 1_000_000,
            answer_ms: 1_000,
            preparation: "drain".to_owned(),
            parties: vec![key("eve"), key("bob")],
            rule: CueRuleWord::Go,
        };
        let given = actor("ada").prepare(cue.clone()).await.unwrap().body.record;
        let (eve, bob) = (actor("eve"), actor("bob"));
        eve.ack(given, CueAnswerWord::Ready, "").await.unwrap();
        let played = eve
            .play(&clock, given, |fired| fired.target_ns)
            .await
            .unwrap();
        let Played::Fired(target_ns, _) = played else {
            panic!("it is on");
        };
        assert_eq!(target_ns, cue.target_ns.0);
        let refused = bob.play(&clock, given, |_| panic!("nothing is run")).await;
        assert!(matches!(refused, Err(ClientError::Usage(words)) if words.contains("not ready")));
        let cues = client
            .read::<CueList>("main", "cues", &[])
            .await
            .unwrap()
            .body
            .cues;
        let late = |name: &str| {
            let mut parties = cues[0].parties.iter();
            parties.find(|one| one.name == name).unwrap().late_ns
        };
        assert!(late("eve").is_some() && late("bob").is_none(), "{cues:?}");
        // One that waits for both is off.
        let target_ns = Digits(clock.now().estimate_ns + 2_000_000_000);
        let cue = CueBody {
            target_ns,
            rule: CueRuleWord::Wait,
            ..cue
        };
        let given = actor("ada").prepare(cue).await.unwrap().body.record;
        eve.ack(given, CueAnswerWord::Ready, "").await.unwrap();
        let played = eve.play(&clock, given, |_| panic!("nothing is run")).await;
        assert!(matches!(played, Ok(Played::Off(lacking)) if lacking == ["bob"]));
    });
}

#[test]
fn who_is_meant_and_not_ready_does_not_play_though_the_others_go() {
    let place = Place::new();
    let node = alone(&place);
    let cue = [
        "schedule", "cue", "switch", "--at", "+3s", "--for", "eve", "--as", "ada",
    ];
    let record = node.json(&place, &cue)["record"]
        .as_str()
        .unwrap()
        .to_owned();
    let file = place.path("played");
    let words = [
        "--node", &node.url, "-o", "json", "schedule", "play", &record, "--as", "eve",
    ];
    let words = [&words[..], &["--", "touch", file.to_str().unwrap()]].concat();
    let refused = place.run(&words);
    assert_eq!(refused.code, 5, "{}", refused.err);
    assert!(refused.err.contains("cue_not_ready"), "{}", refused.err);
    assert!(!file.exists(), "nothing was run");
}

/// What a command says to people: what it printed, and what it said beside that.
fn said(node: &Process, place: &Place, words: &[&str]) -> String {
    let mut all = vec!["--node", node.url.as_str()];
    all.extend(words);
    let said = place.run(&all);
    assert_eq!(said.code, 0, "{words:?}: {}", said.err);
    said.out + &said.err
}

#[test]
fn leads_come_from_how_long_agents_took_and_a_cue_needs_no_time() {
    let place = Place::new();
    let node = alone(&place);
    let leads = |words: &[&str]| node.json(&place, &[&["schedule", "leads"], words].concat());
    let before = leads(&["eve", "bob"]);
    assert_eq!(
        (&before["total"], &before["assumed"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(
        before["together_ms"], 2_000,
        "assumed, and said to be: {before}"
    );
    assert_eq!(leads(&[])["total"], 3, "everybody, and no node");
    for _ in 0..8 {
        let cue = [
            "schedule", "cue", "drill", "--at", "+20s", "--for", "eve", "--as", "ada",
        ];
        let record = node.json(&place, &cue)["record"].clone();
        let body = json!({"agent": "eve", "cue": record, "word": "ready"});
        let (status, told) = node.post("/v1/orchestras/main/cues/answer", &body);
        assert_eq!(status, 201, "{told}");
    }
    let eve = leads(&["eve", "--share", "0.5"])["agents"][0].clone();
    assert_eq!(
        (&eve["samples"], &eve["assumed"]),
        (&json!(8), &json!(false))
    );
    let lead_ms = eve["lead_ms"].as_u64().unwrap();
    assert!(
        lead_ms < 2_000,
        "two to four times what two programs took: {eve}"
    );
    assert!(lead_ms >= 2 * eve["median_ms"].as_u64().unwrap().saturating_sub(1));
    // A group waits for its slowest, of whom nothing is known.
    let cue = [
        "schedule", "cue", "switch", "--for", "eve", "--for", "bob", "--as", "ada",
    ];
    let told = node.json(&place, &cue);
    let notice = &told["cue"]["notice"];
    assert_eq!(
        (&notice["by"], &notice["assumed"]),
        (&json!("bob"), &json!(true))
    );
    assert_eq!(
        (&notice["needed_ms"], &notice["short"]),
        (&json!(2_000), &json!([]))
    );
    assert!(told["cue"]["lead_ms"].as_u64().unwrap() >= 2_500, "{told}");
    let words = said(&node, &place, &cue);
    assert!(
        words.contains("bob needs 2000 ms, which is assumed"),
        "{words}"
    );
    // In a cascade each goes as soon as it can.
    let all = said(&node, &place, &[&cue[..], &["--cascade"]].concat());
    assert_eq!(all.matches("record").count(), 2, "{all}");
    assert!(
        all.find("eve needs").unwrap() < all.find("bob needs").unwrap(),
        "{all}"
    );
    // With a time that is too soon it is taken, and flagged to everybody.
    let soon = [
        "schedule", "cue", "now", "--at", "+1500ms", "--for", "bob", "--as", "ada",
    ];
    let words = said(&node, &place, &soon);
    assert!(
        words.contains("short notice:") && words.contains("too short for bob"),
        "{words}"
    );
    let list = node.json(&place, &["schedule"]);
    let shown = list["cues"].as_array().unwrap().iter();
    let shown = shown
        .clone()
        .find(|one| one["cue"]["name"] == "now")
        .unwrap();
    assert_eq!(shown["notice"]["short"][0]["name"], "bob", "{shown}");
}

#[test]
fn leads_of_nobody_and_shares_that_are_none_are_refused_by_name() {
    let place = Place::new();
    let node = alone(&place);
    for share in [
        "0", "1", "2", "-0.5", "NaN", "inf", "-inf", "1e-9", "much", "",
    ] {
        let words = ["schedule", "leads", "--share", share];
        assert_eq!(refused(&node, &place, 2, &words), "malformed", "{share}");
        let (status, told) = node.get(&format!("/v1/orchestras/main/leads?share={share}"));
        assert_eq!(status, 400, "{share}: {told}");
    }
    let words = ["schedule", "leads", "eve", "zoe"];
    assert_eq!(refused(&node, &place, 3, &words), "agent_unknown");
    let words = ["schedule", "leads", "--role", "nobody's"];
    assert_eq!(refused(&node, &place, 3, &words), "agent_unknown");
    for query in [
        "agents=",
        "agents=eve,",
        "agents=eve&role=x",
        "limit=0",
        "what=1",
    ] {
        let (status, told) = node.get(&format!("/v1/orchestras/main/leads?{query}"));
        assert_eq!(status, 400, "{query}: {told}");
    }
    let many = vec!["eve"; 257].join(",");
    let (status, told) = node.get(&format!("/v1/orchestras/main/leads?agents={many}"));
    assert_eq!(status, 400, "{told}");
    let nobody = json!({"agent": "ada", "name": "x", "rule": "wait"});
    let (status, told) = node.post("/v1/orchestras/main/cues", &nobody);
    assert_eq!(
        (status, &told["code"]),
        (400, &json!("malformed")),
        "{told}"
    );
    let none = node.json(&place, &["schedule"]);
    assert_eq!(none["cues"], json!([]), "nothing was given");
}

#[test]
fn whoever_is_silent_is_asked_again_and_what_waits_for_all_is_off_without_it() {
    let place = Place::new();
    let node = alone(&place);
    let cue = [
        "schedule",
        "cue",
        "lift",
        "--at",
        "+6s",
        "--answer-ms",
        "2000",
        "--rule",
        "wait",
        "--for",
        "eve",
        "--for",
        "bob",
        "--as",
        "ada",
    ];
    let record = node.json(&place, &cue)["record"]
        .as_str()
        .unwrap()
        .to_owned();
    node.json(
        &place,
        &["schedule", "answer", &record, "ready", "--as", "eve"],
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stages = runtime.block_on(async {
        let client = Client::offline(Config::new([node.url.as_str()])).unwrap();
        // The one who gave it is told, and so is who has to answer.
        let mut told = client.cues("main", Some("bob"));
        let mut stages: Vec<(CueStageWord, u8)> = Vec::new();
        while stages
            .last()
            .is_none_or(|(stage, _)| *stage != CueStageWord::Off)
        {
            let cue = told.next().await.unwrap();
            let bob = cue.parties.iter().find(|one| one.name == "bob").unwrap();
            stages.push((cue.stage, bob.asked));
            assert_eq!(cue.lacking, ["bob"]);
        }
        stages
    });
    let last = stages.len() - 1;
    assert!(
        stages.contains(&(CueStageWord::AskedAgain, 3)),
        "{stages:?}"
    );
    assert_eq!(stages[last - 1], (CueStageWord::Escalated, 3), "{stages:?}");
    // Too late is too late.
    node.json(
        &place,
        &["schedule", "answer", &record, "ready", "--as", "bob"],
    );
    let file = place.path("played");
    let words = [
        "schedule",
        "play",
        &record,
        "--as",
        "eve",
        "--",
        "touch",
        file.to_str().unwrap(),
    ];
    let mut all = vec!["--node", node.url.as_str(), "-o", "json"];
    all.extend(words);
    let refused = place.run(&all);
    assert_eq!(refused.code, 5, "{}", refused.err);
    assert!(
        refused.err.contains("cue_off") && refused.err.contains("bob"),
        "{}",
        refused.err
    );
    assert!(!place.path("played").exists(), "nothing was run");
    // Whoever waits for all plays when all are ready.
    let cue = [
        "schedule", "cue", "lift", "--rule", "wait", "--for", "eve", "--as", "ada",
    ];
    let record = node.json(&place, &cue)["record"]
        .as_str()
        .unwrap()
        .to_owned();
    node.json(
        &place,
        &["schedule", "answer", &record, "ready", "--as", "eve"],
    );
    let mut all = vec![
        "--node",
        node.url.as_str(),
        "-o",
        "json",
        "schedule",
        "play",
        &record,
    ];
    all.extend(["--as", "eve", "--", "touch", file.to_str().unwrap()]);
    let played = place.run(&all);
    assert_eq!(played.code, 0, "{}", played.err);
    assert!(place.path("played").exists());
}
