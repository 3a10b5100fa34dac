//! Who may read: in an orchestra that asks for sessions a stranger reads nothing, by whichever route; who
//! may read does, at any node; and what ends the right ends the reading.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::three;
use crate::process::{Place, Process, until};
use crate::rights::Agent;

/// A word that stands in what a stranger must not read.
const SECRET: &str = "vault7";

/// What makes a request of a route one that is answered, where it needs more than its path.
fn query(path: &str) -> &'static str {
    match path.trim_start_matches("/v1/orchestras/{o}/") {
        "continue" | "flow" | "incidents/stream" => "?as=ada",
        "trust/chains" => "?epoch=1",
        "trust/ends" => "?node=NODE",
        "approvals" => "?task=vault7",
        "fixes" => "?error=vault7",
        "rollback" => "?to=2026-01-01T00:00:00Z",
        "foretold" | "foretold/stream" => "?agent=ada",
        _ => "",
    }
}

const ADDRESSES: [&str; 8] = [
    "self.orchestra.state",
    "self.orchestra.coherence",
    "self.orchestra.drift",
    "self.orchestra.resonance.sense",
    "self.orchestra.resonance.interference",
    "self.orchestra.presence.ada",
    "time.orchestra.history.1",
    "time.orchestra.history.recover?iteration=1",
];

/// A route with names filled in, and whether its answer goes on.
struct Route {
    path: String,
    goes_on: bool,
}

/// All that is got below an orchestra, from what the node says it serves: none can be forgotten here.
fn routes(node: &Process, id: &str) -> Vec<Route> {
    let described: Value = serde_json::from_str(&node.get("/openapi.json").1).unwrap();
    let mut all = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        let Some(got) = methods.get("get") else {
            continue;
        };
        if !path.starts_with("/v1/orchestras/{o}/") {
            continue;
        }
        let filled = path
            .replace("{o}", "main")
            .replace("{name}", SECRET)
            .replace("{agent}", id);
        let addresses: &[&str] = if filled.contains("{path}") {
            &ADDRESSES
        } else {
            &[""]
        };
        for address in addresses {
            let filled = filled.replace("{path}", address) + &query(path).replace("NODE", id);
            assert!(
                !filled.contains('{'),
                "{path}: a name that is not known here"
            );
            all.push(Route {
                path: filled,
                goes_on: got["tags"][0] == "streams",
            });
        }
    }
    all
}

fn code(told: &str) -> String {
    let problem: Value = serde_json::from_str(told).unwrap_or_else(|_| panic!("{told}"));
    problem["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_stranger_reads_nothing_by_any_route_where_an_orchestra_asks_who_reads() {
    let place = Place::new();
    let node = place.up();
    let id = node.json(&place, &["status"])["node"]
        .as_str()
        .unwrap()
        .to_owned();
    for words in [
        &["agent", "enrol", "ada"][..],
        &["task", "create", SECRET, "--as", "ada", "--title", SECRET],
        &["claim", SECRET, "--as", "ada"],
        &[
            "note",
            "edit",
            SECRET,
            "--as",
            "ada",
            "--position",
            "0",
            SECRET,
        ],
    ] {
        node.json(&place, words);
    }
    let routes = routes(&node, &id);
    assert!(routes.len() > 45, "{}", routes.len());
    let open = node.get("/v1/orchestras/main/tasks");
    assert!(open.0 == 200 && open.1.contains(SECRET), "{}", open.1);

    let before = node.json(&place, &["state"])["as_of"].clone();
    let before = before.as_str().unwrap();
    node.json(
        &place,
        &["settings", "set", "reading=sessions", "--as", "ada"],
    );
    for Route { path, .. } in &routes {
        for path in [path.clone(), path.replacen("main", &by_id(&node), 1)] {
            let (status, told) = node.get(&path);
            assert_eq!(
                (status, code(&told)),
                (403, "session_needed".into()),
                "{path}: {told}"
            );
            assert!(!told.contains(SECRET), "{path}: {told}");
            let (status, told) = node.get_as(&path, "Unisono-As: nobody");
            assert_eq!(
                (status, code(&told)),
                (404, "agent_unknown".into()),
                "{path}"
            );
        }
    }
    // Neither as of a time before, nor with a cursor that nobody has seen yet.
    for asked in [
        format!("?as_of={before}"),
        "?min_cursor=AQEBAQEBAQEJ".to_owned(),
    ] {
        let (status, told) = node.get(&format!("/v1/orchestras/main/tasks{asked}"));
        assert_eq!(
            (status, code(&told)),
            (403, "session_needed".into()),
            "{told}"
        );
    }
    // What is measured is held against what is recorded.
    let measured = json!({ "path": "a.rs", "text": "fn a() {}" });
    let (status, told) = node.post("/v1/orchestras/main/measure", &measured);
    assert_eq!(
        (status, told["code"].as_str()),
        (403, Some("session_needed"))
    );
    for path in [
        "/v1/orchestras",
        "/v1/status",
        "/v1/members",
        "/metrics",
        "/version",
        "/v1/clock",
    ] {
        let (status, told) = node.get(path);
        assert!(status == 200 && !told.contains(SECRET), "{path}: {told}");
    }
    let figures = node.get("/metrics").1;
    assert!(!figures.contains("orchestra=\"main\""), "{figures}");

    // Whose name the node takes for writing reads as well; the program does it by itself.
    for Route { path, goes_on } in &routes {
        if !goes_on {
            let (status, told) = node.get_as(path, "Unisono-As: ada");
            assert_ne!(status, 403, "{path}: {told}");
        }
    }
    let tasks = node.json(&place, &["task", "list", "--as", "ada"]);
    assert_eq!(tasks["tasks"][0]["task"], SECRET);
    let refused = node.fails(&place, 4, &["task", "list"]);
    assert_eq!(refused["code"], "session_needed");
    assert!(
        refused["hint"]
            .as_str()
            .unwrap()
            .contains("unisono session open")
    );

    node.json(&place, &["settings", "set", "reading=open", "--as", "ada"]);
    assert_eq!(node.get("/v1/orchestras/main/tasks").0, 200);
}

/// The orchestra, named by its id.
fn by_id(node: &Process) -> String {
    let all: Value = serde_json::from_str(&node.get("/v1/orchestras").1).unwrap();
    let all = all["orchestras"].as_array().unwrap();
    let main = all.iter().find(|one| one["name"] == "main").unwrap();
    format!("id:{}", main["orchestra"].as_str().unwrap())
}

/// The lines of a stream, until it ends.
fn lines(node: &Process, path: &str, header: &str) -> Receiver<String> {
    let address = node.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    stream
        .write_all(format!("{head}{header}\r\n\r\n").as_bytes())
        .unwrap();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            let _ = tell.send(line);
        }
    });
    told
}

/// Reads on until a line has a word in it; the stream's end is no line.
fn read_until(lines: &Receiver<String>, word: &str) -> String {
    loop {
        let line = lines.recv_timeout(Duration::from_secs(30));
        let line = line.unwrap_or_else(|why| panic!("{why} before {word:?}"));
        if line.contains(word) {
            return line;
        }
    }
}

const ROOT: [&str; 4] = ["--as", "root", "--key-file", "n1/root.key"];

/// An agent that has a first link from the root.
fn given<'a>(
    place: &'a Place,
    node: &Process,
    (name, tier): (&'static str, &str),
    more: &[&str],
) -> Agent<'a> {
    let mut agent = Agent::new(place, name);
    let key = agent.enrol(node, tier);
    let mut mint = vec!["token", "mint", tier, "--data", "n1", "--for", &key];
    mint.extend(more);
    agent.under(place.json(&mint)["token"].as_str().unwrap());
    agent
}

/// A session of an agent, as the header that bears it.
fn session(agent: &Agent<'_>, node: &Process) -> String {
    let opened = agent.does(node, &["session", "open"]);
    format!("Unisono-Session: {}", opened["session"].as_str().unwrap())
}

#[test]
fn under_a_guard_those_read_whose_tokens_let_them_at_any_node_until_a_fence_ends_it() {
    let place = Place::new();
    let nodes = three(&place, &[]);
    let [n1, n2, n3] = &nodes;
    let scope = |project| ["--project", project, "--file", "src/a.rs", "--phase", "1"];
    let boss = given(&place, n1, ("boss", "executive"), &scope("main"));
    let vera = given(&place, n1, ("vera", "validation"), &[]);
    let ivy = given(&place, n1, ("ivy", "implementation"), &scope("main"));
    let otto = given(&place, n1, ("otto", "implementation"), &scope("other"));
    n1.json(&place, &["agent", "enrol", "held"]);
    boss.does(n1, &["settings", "set", "reading=sessions"]);
    let guard = [&["guard"][..], &ROOT].concat();
    n1.json(&place, &guard);
    for node in &nodes {
        let closed = || node.get("/v1/orchestras/main/state").0 == 403;
        until("the setting is everywhere", closed);
        let guarded = || {
            let words = [&["trust"][..], &ROOT].concat();
            node.json(&place, &words)["guarded_since"].is_object()
        };
        until("the guard is everywhere", guarded);
    }

    // Their first reads lay their tokens down.
    for agent in [&boss, &vera, &ivy] {
        assert_eq!(agent.does(n2, &["state"])["name"], "main");
    }
    assert_eq!(otto.fails(n2, &["state"]), "not_allowed");
    assert_eq!(
        Agent::new(&place, "ivy").fails(n2, &["state"]),
        "token_missing"
    );
    let held = n1.fails(&place, 4, &["state", "--as", "held"]);
    assert_eq!(held["code"], "token_missing");
    let told = || {
        let told = boss.does(n1, &["incidents"])["incidents"].clone();
        let told = told.as_array().unwrap().clone();
        told.iter()
            .any(|one| one["deed"] == "read" && one["rule"] == "not_allowed")
    };
    until("the orchestra is told of who tried", told);

    // One session for three nodes; a copy of it writes nothing and reads nothing elsewhere.
    let header = session(&ivy, n1);
    for node in &nodes {
        let laid = || node.get_as("/v1/orchestras/main/state", &header).0 == 200;
        until("the token is known there", laid);
    }
    let (status, told) = n1.get_as("/v1/orchestras/cluster/state", &header);
    assert!(status == 200, "that one does not ask: {told}");
    let (status, _) = n1.get_as("/v1/orchestras/main/session/00", &header);
    assert_eq!(status, 400);

    let watched = lines(n3, "/v1/orchestras/main/events?after=now", &header);
    let other = lines(
        n3,
        "/v1/orchestras/main/events?after=now",
        &session(&boss, n3),
    );
    let beats = lines(n2, "/v1/orchestras/main/beats", &header);
    for one in [&watched, &other, &beats] {
        read_until(one, "HTTP/1.1 200");
    }
    let link = place.json(&["token", "inspect", "ivy.token"])["links"][0]["link"].clone();
    let link = link.as_str().unwrap();
    boss.does(
        n1,
        &["fence", "--link", link, "--reason", "the laptop is gone"],
    );
    for one in [&watched, &beats] {
        read_until(one, "event: problem");
        assert!(read_until(one, "data:").contains("token_fenced"));
        let end = loop {
            match one.recv_timeout(Duration::from_secs(30)) {
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        assert_eq!(end, std::sync::mpsc::RecvTimeoutError::Disconnected);
    }
    boss.does(n1, &["decide", "doors", "closed"]);
    assert!(
        read_until(&other, "closed").contains("doors"),
        "who may reads on"
    );
    let (status, told) = n3.get_as("/v1/orchestras/main/state", &header);
    assert_eq!((status, code(&told)), (403, "token_fenced".into()));
}

#[test]
fn who_signs_reads_by_themselves_and_an_agents_first_key_reads_until_it_is_given_up() {
    let place = Place::new();
    let node = place.up();
    let ada = Agent::new(&place, "ada");
    node.json(&place, &["agent", "enrol", "ada", "--key-file", "ada.key"]);
    ada.does(&node, &["settings", "set", "reading=sessions"]);
    ada.does(&node, &["claim", "door"]);
    assert_eq!(ada.does(&node, &["claim"])["claims"][0]["topic"], "door");
    let stranger = Agent::new(&place, "eve");
    std::fs::write(place.path("eve.key"), "1".repeat(64) + "\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(place.path("eve.key"), mode).unwrap();
    let words = ["claim", "--as", "eve", "--key-file", "eve.key"];
    assert_eq!(node.fails(&place, 3, &words)["code"], "agent_unknown");
    // Whoever enrols reads, where no root guards: nobody could enrol who could not see their own place.
    stranger.does(&node, &["claim", "window"]);
    assert_eq!(stranger.does(&node, &["state"])["name"], "main");

    let before = session(&ada, &node);
    let path = "/v1/orchestras/main/state";
    assert_eq!(node.get_as(path, &before).0, 200);
    ada.does(&node, &["agent", "rotate", "ada"]);
    let (status, told) = node.get_as(path, &before);
    assert_eq!((status, code(&told)), (403, "key_rotated".into()));
    std::fs::rename(place.path("ada.key.next"), place.path("ada.key")).unwrap();
    assert_eq!(node.get_as(path, &session(&ada, &node)).0, 200);

    let words = [
        "session",
        "open",
        "--as",
        "ada",
        "--key-file",
        "ada.key",
        "--minutes",
        "16",
    ];
    assert_eq!(place.run(&words).code, 2, "longer than any session may be");
    let words = ["--node", &node.url, "session", "open", "--as", "ada"];
    let refused = place.fails(2, &words);
    assert!(refused["hint"].as_str().unwrap().contains("Unisono-As"));
}
