//! Whatever is wrong, the answer has one shape, says what to do, and that nothing changed.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use unisono_api::limits::{BODIES_BYTES_MAX, BODY_BYTES_FREE, BODY_BYTES_MAX, FILE_BODY_BYTES_MAX};
use unisono_api::server::{BearerToken, BindError, bind};
use unisono_model::{Code, Rejection};

use crate::fake::{Deed, Fake, World};
use crate::web::{Seen, get, request, send};

fn assert_problem(seen: &Seen, status: u16, code: &str, words: &str) {
    assert_eq!(seen.status, status, "{}", seen.body);
    assert_eq!(
        seen.header("content-type"),
        Some("application/problem+json")
    );
    assert!(
        seen.header("unisono-node").is_some(),
        "every reply says who answered"
    );
    let problem = seen.json();
    assert_eq!(problem["status"], status);
    assert_eq!(problem["code"], code);
    assert_eq!(problem["type"], format!("urn:unisono:problem:{code}"));
    for field in ["title", "detail", "hint"] {
        assert!(problem[field].is_string(), "{field} in {problem}");
    }
    assert!(problem["next"].is_array());
    assert_eq!(problem["changed"], false);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(words), "{detail:?} does not say {words:?}");
}

#[tokio::test]
async fn malformed_requests_are_told_what_is_wrong_with_them() {
    let node = Fake::start(1, &World::shared()).await;
    let to = node.address;
    let claims = "/v1/orchestras/opus/claims";
    let json_type = &["Content-Type: application/json"];

    let seen = request(to, "POST", claims, json_type, b"{\"agent\": ").await;
    assert_problem(&seen, 400, "malformed", "EOF");
    assert_eq!(seen.json()["next"], json!(["GET /openapi.json"]));
    let seen = send(
        to,
        "POST",
        claims,
        &json!({"agent": "ada", "topic": "a", "ttl": 3}),
    )
    .await;
    assert_problem(&seen, 400, "malformed", "unknown field `ttl`");
    let seen = send(to, "POST", claims, &json!({"topic": "a"})).await;
    assert_problem(&seen, 400, "malformed", "missing field `agent`");
    let seen = send(to, "POST", claims, &json!({"agent": "ada", "topic": 5})).await;
    assert_problem(&seen, 400, "malformed", "expected a string");
    let actions = "/v1/orchestras/opus/actions";
    let seen = send(
        to,
        "POST",
        actions,
        &json!({"agent": "ada", "do": "conquer"}),
    )
    .await;
    assert_problem(&seen, 400, "malformed", "conquer");
    let act = json!({"agent": "ada", "do": "claim", "topic": "a", "lease": 1});
    assert_problem(
        &send(to, "POST", actions, &act).await,
        400,
        "malformed",
        "`lease`",
    );
    let seen = request(to, "POST", claims, &["Content-Type: text/plain"], b"{}").await;
    assert_problem(&seen, 415, "media_type", "text/plain");
    let seen = get(to, "/v1/orchestras/opus/tasks?limit=0").await;
    assert_problem(&seen, 400, "malformed", "from 1 to 1000");
    let seen = get(to, "/v1/orchestras/opus/tasks?statos=open").await;
    assert_problem(&seen, 400, "malformed", "unknown query field `statos`");
    let seen = get(to, "/v1/orchestras/opus/tasks?status=lost").await;
    assert_problem(&seen, 400, "malformed", "in_progress");
    let seen = get(to, "/v1/orchestras/opus/state?as_of=yesterday").await;
    assert_problem(&seen, 400, "cursor_invalid", "RFC 3339");
    let seen = get(to, "/v1/orchestras/opus/state?min_cursor=!").await;
    assert_problem(&seen, 400, "cursor_invalid", "cursor");
    let seen = get(to, "/v1/orchestras/a%0Ab/state").await;
    assert_problem(&seen, 400, "malformed", "orchestra");
    let seen = get(to, "/v1/orchestras/opus/session/xyz").await;
    assert_problem(&seen, 400, "malformed", "64 hexadecimal");
    assert!(
        node.promises.lock().unwrap().is_empty(),
        "none of it reached the node"
    );
}

#[tokio::test]
async fn a_tempo_of_nothing_and_no_number_is_refused_and_nothing_is_disturbed() {
    let node = Fake::start(1, &World::shared()).await;
    let to = node.address;
    let tempo = "/v1/orchestras/opus/tempo";
    let json_type = &["Content-Type: application/json"];
    for (bpm, words) in [
        ("0", "above 0"),
        ("-120", "above 0"),
        ("1e300", "above 0"),
        ("1e999", "out of range"),
        ("NaN", "expected"),
        ("Infinity", "expected"),
        ("null", "expected f64"),
        ("\"NaN\"", "expected f64"),
    ] {
        let segments = format!("[{{\"starts_ns\": \"5\", \"bpm\": {bpm}}}]");
        let body =
            format!("{{\"agent\": \"ada\", \"beat\": 0, \"part\": 0, \"segments\": {segments}}}");
        let seen = request(to, "PUT", tempo, json_type, body.as_bytes()).await;
        assert_problem(&seen, 400, "malformed", words);
    }
    for (field, value) in [
        ("target_ns", json!("NaN")),
        ("target_ns", json!(-1)),
        ("target_ns", json!(1.5)),
        ("late_ns", json!(1e300)),
        ("late_ns", json!("inf")),
    ] {
        let mut body = json!({"agent": "ada", "target_ns": "5", "late_ns": 0});
        body[field] = value;
        let seen = send(to, "POST", "/v1/orchestras/opus/ensemble", &body).await;
        assert_problem(&seen, 400, "malformed", "");
    }
    for (field, value) in [
        ("resource", json!("patience")),
        ("until_ns", json!("soon")),
        ("used", json!(-1)),
        ("used", json!(1.5)),
        ("actions", json!(1_u64 << 32)),
        ("left", json!(1)),
    ] {
        let mut body = json!({"agent": "ada", "resource": "calls", "until_ns": "5",
            "used": 1, "allotted": 1});
        body[field] = value;
        let seen = send(to, "POST", "/v1/orchestras/opus/ensemble/usage", &body).await;
        assert_problem(&seen, 400, "malformed", "");
    }
    for (field, value) in [
        ("rule", json!("patience")),
        ("phase_ppm", json!(0.5)),
        ("phase_ppm", json!(-1)),
        ("holds_ms", json!(1_u64 << 32)),
        ("players", json!(2)),
    ] {
        let mut body = json!({"agent": "ada", "rule": "seed", "holds_ms": 5});
        body[field] = value;
        let path = "/v1/orchestras/opus/ensemble/performers";
        let seen = send(to, "POST", path, &body).await;
        assert_problem(&seen, 400, "malformed", "");
    }
    for (field, value, words) in [
        ("timing_ms", "0", "from 1 to 60000"),
        ("timing_ms", "-5", "from 1 to 60000"),
        ("timing_ms", "60001", "from 1 to 60000"),
        ("timing_ms", "NaN", "expected"),
        ("timing_ms", "1.5", "from 1 to 60000"),
        ("timing_ms", "\"60\"", "from 1 to 60000"),
        ("rate_ppm", "0", "from 1 to 500000"),
        ("rate_ppm", "500001", "from 1 to 500000"),
        ("rate_ppm", "1e999", "out of range"),
        ("beats", "0", "from 1 to 64"),
        ("beats", "65", "from 1 to 64"),
        ("at", "\"bar\"", "unknown variant"),
        ("resources_ppm", "0", "from 1 to 1000000"),
        ("resources_ppm", "1000001", "from 1 to 1000000"),
        ("resources", "5", "unknown field"),
    ] {
        let body = format!("{{\"agent\": \"ada\", \"{field}\": {value}}}");
        let to_vary = "/v1/orchestras/opus/tempo/variation";
        let seen = request(to, "PUT", to_vary, json_type, body.as_bytes()).await;
        assert_problem(&seen, 400, "malformed", words);
    }
    let seen = get(to, "/v1/orchestras/opus/beats?every=0").await;
    assert_problem(&seen, 400, "malformed", "from 1 to 65535");
    let seen = get(to, "/v1/orchestras/opus/beats?ahead_ms=60001").await;
    assert_problem(&seen, 400, "malformed", "from 0 to 60000");
    assert!(
        node.world.lock().unwrap().records.is_empty(),
        "nothing was written"
    );
}

#[tokio::test]
async fn unknown_routes_and_methods_have_the_same_shape() {
    let node = Fake::start(1, &World::shared()).await;
    let seen = get(node.address, "/v2/anything").await;
    assert_problem(&seen, 404, "route_unknown", "/v2/anything");
    let seen = request(
        node.address,
        "DELETE",
        "/v1/orchestras/opus/claims",
        &[],
        b"",
    )
    .await;
    assert_problem(&seen, 405, "method_not_allowed", "DELETE");
    let allowed = seen.header("allow").unwrap();
    assert!(
        allowed.contains("GET") && allowed.contains("POST"),
        "{allowed}"
    );
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_read() {
    let node = Fake::start(1, &World::shared()).await;
    let path = "/v1/orchestras/opus/records";
    let body = vec![0; BODY_BYTES_MAX + 1];
    let kind = &["Content-Type: application/octet-stream"];
    let seen = request(node.address, "POST", path, kind, &body).await;
    assert_problem(&seen, 413, "body_too_large", "262144");
    let seen = request(node.address, "POST", path, kind, b"garbage").await;
    assert_eq!(
        (seen.status, &seen.json()["code"]),
        (400, &json!("malformed"))
    );
}

/// The incident: bodies with files were read before anybody was asked who sends them, as many at once
/// as requests may be under way, 1.5 GiB.
#[tokio::test]
async fn bodies_that_do_not_end_take_bounded_room_and_keep_nobody_from_small_ones() {
    let node = Fake::start(1, &World::shared()).await;
    let path = "/v1/orchestras/opus/records";
    let kind = &["Content-Type: application/json"];
    let large = vec![b' '; 2 * BODY_BYTES_FREE];
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {FILE_BODY_BYTES_MAX}\r\n\r\n",
        node.address
    );
    let mut stuck = Vec::new();
    // Who finds no room gives back what it had, so that the last gaps are filled with less.
    let files = [FILE_BODY_BYTES_MAX - 1].repeat(BODIES_BYTES_MAX / FILE_BODY_BYTES_MAX + 1);
    let rests = [2 * BODY_BYTES_FREE - 1].repeat(FILE_BODY_BYTES_MAX / BODY_BYTES_FREE);
    for bytes in files.into_iter().chain(rests) {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // Who is refused may find the connection closed.
        let _ = stream.write_all(&vec![b' '; bytes]).await;
        stuck.push(stream);
    }
    let status = async |body: &[u8]| {
        let seen = request(node.address, "POST", path, kind, body).await;
        // An answer can be lost on a connection that is closed with bytes under way.
        let code = if seen.body.is_empty() {
            json!(null)
        } else {
            seen.json()["code"].clone()
        };
        (seen.status, code)
    };
    let begun = Instant::now();
    while status(&large).await != (429, json!("busy")) {
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "there is room for all"
        );
    }
    assert_eq!(
        status(b"[").await,
        (400, json!("malformed")),
        "a small one is read"
    );
    drop(stuck);
    while status(&large).await != (400, json!("malformed")) {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no room came back"
        );
    }
}

#[tokio::test]
async fn every_rule_of_the_core_has_its_status() {
    let node = Fake::start(1, &World::shared()).await;
    for &code in Code::ALL {
        let rejection = Rejection::new(code, "because")
            .hint("do this")
            .retry_after(2_500);
        node.plan([Deed::Refuse(rejection)]);
        let body = json!({"agent": "ada", "status": "active"});
        let seen = send(node.address, "POST", "/v1/orchestras/opus/presence", &body).await;
        assert!(
            (400..=504).contains(&seen.status),
            "{code:?} {}",
            seen.status
        );
        let problem = seen.json();
        assert_eq!(problem["code"], code.as_str());
        assert_eq!(
            (&problem["detail"], &problem["hint"]),
            (&json!("because"), &json!("do this"))
        );
        assert_eq!(seen.header("retry-after"), Some("3"));
        // Of one rule alone nobody can say that nothing changed.
        assert_eq!(
            problem["changed"].is_null(),
            code == Code::Unknown,
            "{code:?}"
        );
    }
}

#[tokio::test]
async fn who_is_refused_a_claim_learns_who_holds_it_and_until_when() {
    let node = Fake::start(1, &World::shared()).await;
    let claim = json!({"agent": "ada", "topic": "src/**", "lease_ms": 60_000});
    let path = "/v1/orchestras/opus/claims";
    assert_eq!(send(node.address, "POST", path, &claim).await.status, 201);
    node.plan([Deed::Refuse(Rejection::new(
        Code::ClaimHeld,
        "ada holds src/**",
    ))]);
    let claim = json!({"agent": "bob", "topic": "src/**"});
    let seen = send(node.address, "POST", path, &claim).await;
    assert_problem(&seen, 409, "claim_held", "ada");
    let held_by = &seen.json()["held_by"];
    assert_eq!(held_by["holder"], "ada");
    assert_eq!(held_by["until"]["time"], "2027-01-15T08:01:00Z");
}

#[tokio::test]
async fn an_answer_that_is_lost_says_that_nobody_can_tell() {
    let node = Fake::start(1, &World::shared()).await;
    node.plan([Deed::LoseAnswer]);
    let body = json!({"agent": "ada", "status": "active"});
    let seen = send(node.address, "POST", "/v1/orchestras/opus/presence", &body).await;
    assert_eq!(
        (seen.status, &seen.json()["code"]),
        (504, &json!("unknown"))
    );
    assert!(seen.json()["changed"].is_null());
}

#[tokio::test]
async fn a_token_is_asked_of_everyone_but_the_probes() {
    let token = BearerToken::new("correct-horse-battery").unwrap();
    let node = Fake::start_with(1, &World::shared(), Some(token), 64).await;
    let to = node.address;
    for open in ["/livez", "/readyz", "/version"] {
        assert_eq!(get(to, open).await.status, 200, "{open}");
    }
    for closed in [
        "/v1/status",
        "/metrics",
        "/v1/orchestras/opus/state",
        "/nowhere",
    ] {
        let seen = get(to, closed).await;
        assert_problem(&seen, 401, "token_needed", "token");
        assert_eq!(seen.header("www-authenticate"), Some("Bearer"));
    }
    let wrong = &["Authorization: Bearer correct-horse-batterz"];
    assert_eq!(
        request(to, "GET", "/v1/status", wrong, b"").await.status,
        401
    );
    let right = &[
        "Authorization: bearer correct-horse-battery",
        "Host: a.example",
    ];
    assert_eq!(
        request(to, "GET", "/v1/status", right, b"").await.status,
        200
    );
}

#[tokio::test]
async fn without_a_token_only_loopback_is_bound_and_only_addresses_are_answered() {
    let wide = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(
        bind(wide, None).await,
        Err(BindError::TokenNeeded(_))
    ));
    let mapped = "[::ffff:127.0.0.1]:0".parse().unwrap();
    assert!(!matches!(
        bind(mapped, None).await,
        Err(BindError::TokenNeeded(_))
    ));
    let token = BearerToken::new("correct-horse-battery").unwrap();
    assert!(bind(wide, Some(&token)).await.is_ok());
    assert!(BearerToken::new("short").is_err() && BearerToken::new("two words, long").is_err());

    let node = Fake::start(1, &World::shared()).await;
    for (host, status) in [
        ("evil.example", 421),
        ("localhost:80", 200),
        ("[::1]:9", 200),
    ] {
        let host = format!("Host: {host}");
        assert_eq!(
            request(node.address, "GET", "/v1/status", &[&host], b"")
                .await
                .status,
            status
        );
    }
}

#[tokio::test]
async fn a_full_inbox_says_when_to_come_back() {
    let node = Fake::start_with(1, &World::shared(), None, 1).await;
    // The node takes nothing out from here on.
    let stuck = node.stuck.clone();
    let stuck = stuck.lock().await;
    let asking: Vec<_> = (0..8)
        .map(|_| tokio::spawn(get(node.address, "/v1/status?wait_ms=0")))
        .collect();
    let mut refused = 0;
    for answer in asking {
        let seen = answer.await.unwrap();
        if seen.status != 429 {
            assert_problem(&seen, 504, "timeout", "in time");
            continue;
        }
        refused += 1;
        assert_problem(&seen, 429, "busy", "inbox");
        assert_eq!(seen.header("retry-after"), Some("1"));
        assert_eq!(seen.json()["retry_after_ms"], 1_000);
    }
    assert!(
        refused >= 6,
        "one waits, one is being worked on, {refused} were told to wait"
    );
    drop(stuck);
}
