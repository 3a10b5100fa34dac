//! What a request that is well gets: the JSON, and the headers that let it be believed elsewhere.

use serde_json::{Value, json};
use unisono_api::{idempotency_key, server};
use unisono_core::node::Question;
use unisono_core::orchestra::view::{DamageView, SignalsWanted};
use unisono_core::replication::Cursor;
use unisono_model::{Action, CorrectionRule, Resource, Setting, Stamp};

use crate::fake::{Fake, World, orchestra};
use crate::web::{get, request, send};

const OPUS: &str = "/v1/orchestras/opus";

#[tokio::test]
async fn a_write_is_answered_with_all_that_a_reader_elsewhere_needs() {
    let node = Fake::start(1, &World::shared()).await;
    let path = format!("{OPUS}/claims?durable_on=3&confirm=true&wait_ms=50");
    let body = json!({"agent": "ada", "topic": "src/**"}).to_string();
    let head = [
        "Content-Type: application/json; charset=utf-8",
        "Idempotency-Key: build 7",
    ];
    let seen = request(node.address, "POST", &path, &head, body.as_bytes()).await;
    assert_eq!(seen.status, 201, "{}", seen.body);
    let answer = seen.json();
    assert_eq!(answer["key"], idempotency_key("build 7").to_string());
    assert_eq!(
        (&answer["durable_on"], &answer["durable_wanted"]),
        (&json!(1), &json!(3))
    );
    assert_eq!(answer["stamp"]["time"], "2027-01-15T08:00:00Z");
    assert_eq!(answer["record"].as_str().unwrap().len(), 64);
    let claim = &answer["claim"];
    assert_eq!(
        (&claim["status"], &claim["token_valid"]),
        (&json!("provisional"), &json!(true))
    );
    assert_eq!(claim["token"]["stamp"], answer["stamp"]["stamp"]);
    assert_eq!(seen.header("unisono-cursor"), answer["cursor"].as_str());
    assert_eq!(
        seen.header("unisono-as-of"),
        answer["stamp"]["stamp"].as_str()
    );
    assert_eq!(seen.header("unisono-final"), Some("false"));
    assert_eq!(seen.header("unisono-node"), Some("01".repeat(32).as_str()));
    let promise = node.promises.lock().unwrap()[0].clone();
    assert_eq!(
        (promise.durable_on, promise.confirm, promise.deadline_ms),
        (3, true, 50)
    );

    // What was left out is zero: the node fills it in.
    let action = node.world.lock().unwrap().records[0].action.clone();
    assert_eq!(
        action,
        Action::Claim {
            topic: "src/**".to_owned(),
            lease_ms: 0
        }
    );

    let again = request(node.address, "POST", &path, &head, body.as_bytes()).await;
    assert_eq!(
        (again.status, &again.json()["repeated"]),
        (200, &json!(true))
    );
    assert_eq!(again.json()["record"], answer["record"]);
}

/// One request for each kind of action, in the words of the friendly routes.
fn friendly() -> [(&'static str, &'static str, Value); 22] {
    let mark = "ab".repeat(32);
    [
        ("POST", "agents", json!({"name": "ada", "role": "builder"})),
        (
            "POST",
            "presence",
            json!({"agent": "ada", "status": "thinking", "intent": "to build"}),
        ),
        (
            "POST",
            "signals",
            json!({"agent": "ada", "kind": "offer", "topic": "t", "evidence": mark}),
        ),
        (
            "POST",
            "claims",
            json!({"agent": "ada", "topic": "t", "lease_ms": 500}),
        ),
        (
            "POST",
            "claims/renew",
            json!({"agent": "ada", "topic": "t", "claim": mark}),
        ),
        (
            "POST",
            "claims/release",
            json!({"agent": "ada", "topic": "t"}),
        ),
        (
            "POST",
            "marks",
            json!({"agent": "ada", "text": "done", "evidence": [mark]}),
        ),
        (
            "POST",
            "tasks",
            json!({"agent": "ada", "task": "build", "links":
            [{"on": "design", "relation": "blocks"}]}),
        ),
        (
            "PATCH",
            "tasks/src%2Fa",
            json!({"agent": "ada", "status": "closed", "evidence": mark}),
        ),
        (
            "POST",
            "iteration/advance",
            json!({"agent": "ada", "from": 1}),
        ),
        (
            "PUT",
            "settings",
            json!({"agent": "ada", "settings": {"claim_lease_ms": 9000}}),
        ),
        (
            "PUT",
            "plan",
            json!({"agent": "ada", "project": [{"name": "engine", "phase": [{"number": 1,
                "name": "parts", "files": [{"role": "builder", "paths": ["src/**"]}]}]}]}),
        ),
        (
            "POST",
            "files",
            json!({"agent": "ada", "project": "engine", "phase": 1, "path": "src/a.rs",
                "text": "fn a() {}"}),
        ),
        (
            "POST",
            "approvals",
            json!({"agent": "ada", "about": {"path": "src/a.rs"}, "content": mark,
                "verdict": "approved"}),
        ),
        (
            "PUT",
            "tempo",
            json!({"agent": "ada", "beat": 8, "part": "0", "segments": [
                {"starts_ns": "5", "lasts_ns": 9, "bpm": 99.5, "curve": {"linear": {"to_bpm": 120}}},
                {"starts_ns": 14, "bpm": 120}]}),
        ),
        (
            "POST",
            "barriers",
            json!({"agent": "ada", "barrier": "door", "of": 3}),
        ),
        (
            "POST",
            "cues",
            json!({"agent": "ada", "name": "go", "target_ns": "1800000000000000000"}),
        ),
        (
            "POST",
            "cues/answer",
            json!({"agent": "ada", "cue": mark, "word": "short_notice"}),
        ),
        (
            "POST",
            "ensemble",
            json!({"agent": "ada", "target_ns": "1800000000000000000", "late_ns": -5}),
        ),
        (
            "POST",
            "decisions",
            json!({"agent": "ada", "kind": "dead_end", "topic": "storage", "text": "no database",
                "supersedes": [mark]}),
        ),
        (
            "POST",
            "fixes",
            json!({"agent": "ada", "error": "main.c:3:5: error: 'x' undeclared", "text": "declare it"}),
        ),
        (
            "POST",
            "fixes/outcome",
            json!({"agent": "ada", "remedy": mark, "helped": true}),
        ),
    ]
}

#[tokio::test]
async fn every_action_has_its_friendly_route() {
    let node = Fake::start(1, &World::shared()).await;
    let to = json!({"agent": "ada", "to": "67eb1f2a00000000"});
    let back = ("POST", "rollback", to);
    let bounds = json!({"agent": "ada", "timing_ms": 60, "at": "major", "beats": 4});
    let varies = ("PUT", "tempo/variation", bounds);
    let used = json!({"agent": "ada", "resource": "tokens", "until_ns": "1800000000000000000",
        "used": 5, "allotted": 4});
    let used = ("POST", "ensemble/usage", used);
    let performs =
        json!({"agent": "ada", "rule": "best", "phase_ppm": 500_000, "holds_ms": 60_000});
    let performs = ("POST", "ensemble/performers", performs);
    let more = [&back, &varies, &used, &performs];
    for (method, path, body) in friendly().iter().chain(more) {
        let seen = send(node.address, method, &format!("{OPUS}/{path}"), body).await;
        assert_eq!(seen.status, 201, "{path}: {}", seen.body);
    }
    let names: Vec<_> = {
        let world = node.world.lock().unwrap();
        world
            .records
            .iter()
            .map(|record| record.action.name())
            .collect()
    };
    let expected = [
        "enrol", "presence", "signal", "claim", "renew", "release", "mark", "task", "task",
        "advance", "settings", "plan", "write", "approve", "tempo", "arrive", "cue", "answer",
        "played", "decide", "remedy", "outcome", "rollback", "settings", "used", "performs",
    ];
    assert_eq!(names, expected);
    let world = node.world.lock().unwrap();
    let Action::Task(change) = &world.records[8].action else {
        panic!("a task was changed")
    };
    assert_eq!((change.task.as_str(), change.fields.len()), ("src/a", 1));
    let Action::Release { claim, .. } = &world.records[5].action else {
        panic!("a release")
    };
    assert_eq!(claim.0, [0; 32], "left out: what stands");
    let Action::Tempo(tempo) = &world.records[14].action else {
        panic!("a tempo")
    };
    assert_eq!(tempo.segments[0].rate_ubpm, 99_500_000);
    assert_eq!((tempo.point_every, tempo.major_every), (4, 64));
    let Action::Settings(varies) = &world.records[23].action else {
        panic!("how agents may vary is set")
    };
    let expected = [
        (Setting::VaryTimingMs, 60),
        (Setting::VaryRatePpm, 0),
        (Setting::VaryAt, 2),
        (Setting::VaryBeats, 4),
        (Setting::VaryResourcesPpm, 0),
    ];
    assert_eq!(varies, &expected, "as a whole");
    let Action::Used(used) = &world.records[24].action else {
        panic!("what was used is told")
    };
    assert_eq!((used.resource, used.actions), (Resource::Tokens, 1));
    let Action::Performs(performs) = &world.records[25].action else {
        panic!("how it performs is told")
    };
    assert_eq!(performs.rule, CorrectionRule::Best);
    assert_eq!((performs.phase_ppm, performs.period_ppm), (500_000, 0));
}

#[tokio::test]
async fn living_values_are_edited_by_name() {
    let node = Fake::start(1, &World::shared()).await;
    for (method, path, body) in [
        ("PUT", "notes/plan", json!({"agent": "ada", "text": "one"})),
        (
            "PATCH",
            "notes/plan",
            json!({"agent": "ada", "position": 3, "insert": "!"}),
        ),
        (
            "PUT",
            "config/build.jobs",
            json!({"agent": "ada", "value": "4"}),
        ),
    ] {
        let seen = send(node.address, method, &format!("{OPUS}/{path}"), &body).await;
        assert_eq!(
            (seen.status, &seen.json()["done"]),
            (200, &json!(true)),
            "{}",
            seen.body
        );
    }
    let path = format!("{OPUS}/config/build.jobs");
    let seen = request(
        node.address,
        "DELETE",
        &format!("{path}?agent=ada"),
        &[],
        b"",
    )
    .await;
    assert_eq!(seen.status, 200);
    assert_eq!(
        request(node.address, "DELETE", &path, &[], b"")
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_read_hands_on_its_moment_and_its_cursor() {
    let node = Fake::start(1, &World::shared()).await;
    let cursor = node.world.lock().unwrap().cursor();
    assert_eq!(cursor, Cursor::default());
    let wanted = {
        let mut world = node.world.lock().unwrap();
        let body = crate::fake::body_of(Action::Advance { from: 1 }, None);
        world.add(node.log, unisono_model::AgentId([3; 32]), 5, &body);
        world.cursor()
    };
    let header = format!("Unisono-Min-Cursor: {}", wanted.to_text());
    let path = format!("{OPUS}/state?as_of=2027-01-15T08:00:00Z");
    let seen = request(node.address, "GET", &path, &[&header], b"").await;
    assert_eq!(seen.json()["tasks"]["in_progress"], 2);
    assert_eq!(seen.json()["phase"], "design");
    let path = format!("{OPUS}/signals?topic=a%2Fb&as_of=67eb1f2a00000001");
    get(node.address, &path).await;
    let questions = node.questions.lock().unwrap();
    assert!(matches!(questions[0].0, Question::State));
    assert_eq!(questions[0].1, Some(Stamp::from_ms(1_800_000_000_000)));
    assert_eq!(questions[0].2, Some(wanted));
    let Question::Sense(SignalsWanted { topic, .. }) = &questions[1].0 else {
        panic!("signals were asked for")
    };
    assert_eq!(topic.as_deref(), Some("a/b"));
    assert_eq!(questions[1].1, Some(Stamp(0x67eb_1f2a_0000_0001)));
}

#[tokio::test]
async fn a_full_page_of_tasks_says_where_the_next_begins() {
    let node = Fake::start(1, &World::shared()).await;
    let page = get(node.address, &format!("{OPUS}/tasks?limit=2&status=open"))
        .await
        .json();
    assert_eq!(page["next_after"], "task-1");
    let page = get(node.address, &format!("{OPUS}/tasks")).await.json();
    assert!(page["next_after"].is_null());
    assert_eq!(page["tasks"][0]["heads"][0]["field"], "status");
}

#[tokio::test]
async fn status_is_one_question_and_says_what_the_disk_has_lost() {
    let node = Fake::start(1, &World::shared()).await;
    let lost = DamageView {
        orchestra: orchestra(),
        log: node.log,
        bundles: vec![(3, 4)],
        segments: vec![2],
        asked: false,
    };
    node.world.lock().unwrap().damage = vec![lost];
    let status = get(node.address, "/v1/status").await.json();
    assert_eq!(status["damage"][0]["bundles"], json!([[3, 4]]), "{status}");
    assert_eq!(status["damage"][0]["segments"], json!([2]));
    assert_eq!(node.questions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn probes_and_figures_speak_plain_text() {
    let node = Fake::start(1, &World::shared()).await;
    assert_eq!(get(node.address, "/livez").await.body, "ok\n");
    assert_eq!(get(node.address, "/readyz").await.body, "ready\n");
    let verbose = get(node.address, "/readyz?verbose").await;
    assert_eq!(verbose.body, "[+] disk: writes\nready\n");
    node.readiness.send_modify(|readiness| {
        readiness.ready = false;
        readiness.checks[0].well = false;
    });
    let seen = get(node.address, "/readyz").await;
    assert_eq!(
        (seen.status, seen.body.as_str()),
        (503, "[-] disk: writes\nnot ready\n")
    );
    let figures = get(node.address, "/metrics").await.body;
    assert!(
        figures.contains("unisono_http_requests_total{status=\"2xx\"} 3\n"),
        "{figures}"
    );
    assert!(figures.contains("unisono_records_made_total 0\n"));
    assert!(figures.contains("unisono_clock_offset_seconds -0.003\n"));
    assert!(figures.ends_with("unisono_fake 1\n"));
    let named = |line: &&str| line.starts_with("unisono_") || line.starts_with("# ");
    assert_eq!(
        figures.lines().filter(|line| !named(line)).count(),
        0,
        "one prefix for all"
    );
    assert_eq!(get(node.address, "/version").await.json()["name"], "fake-1");
}

#[tokio::test]
async fn the_description_names_every_route() {
    let api: Value = serde_json::from_str(&server::openapi_json()).unwrap();
    let paths = api["paths"].as_object().unwrap();
    let operations: usize = paths
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    assert_eq!(
        (paths.len(), operations),
        (71, 96),
        "{:?}",
        paths.keys().collect::<Vec<_>>()
    );
    let node = Fake::start(1, &World::shared()).await;
    assert_eq!(get(node.address, "/openapi.json").await.json(), api);
    let each = paths
        .values()
        .flat_map(|path| path.as_object().unwrap().values());
    let mut ids: Vec<_> = each
        .clone()
        .map(|one| one["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(
        ids.len(),
        operations,
        "each operation has a name of its own"
    );
    assert!(
        each.clone()
            .all(|one| one["responses"]["default"].is_object())
    );
    for schema in ["Recorded", "Problem", "Claim", "RecordEvent"] {
        assert!(api["components"]["schemas"][schema].is_object(), "{schema}");
    }
}
