//! Executives are told of incidents on real nodes: at once, at any node, again until they have
//! acknowledged; and a webhook where none does.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::three;
use crate::following::Following;
use crate::process::{Place, Process, until};
use crate::rights::Agent;

/// What is told is told within this.
const WITHIN: Duration = Duration::from_secs(5);

/// Somebody who follows the incidents.
struct Follower(Following);

impl Follower {
    fn of(place: &Place, node: &Process, words: &[&str]) -> Self {
        let words = [&["incidents", "--follow"], words].concat();
        Self(Following::of(place, node, &words))
    }

    /// The next incident's record.
    fn next(&self) -> Value {
        let told = self.0.within(WITHIN);
        told.expect("told within the time")["record"].clone()
    }

    fn silent(&self) -> bool {
        self.0.within(Duration::from_millis(500)).is_none()
    }
}

const BOSS: [&str; 6] = [
    "--as",
    "boss",
    "--key-file",
    "boss.key",
    "--token-file",
    "boss.token",
];

#[test]
fn an_executive_is_told_at_any_node_until_it_has_acknowledged() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    let mut boss = Agent::new(&place, "boss");
    let executive = boss.enrol(&n1, "executive");
    let mut mint = vec!["token", "mint", "executive", "--data", "n1"];
    mint.extend(["--for", &executive, "--project", "main"]);
    mint.extend(["--file", "src/a.rs", "--phase", "1"]);
    boss.under(place.json(&mint)["token"].as_str().unwrap());
    boss.does(&n1, &["claim", "desk"]);
    for agent in ["ivy", "kim", "lee"] {
        n2.json(&place, &["agent", "enrol", agent]);
    }
    n1.json(
        &place,
        &["guard", "--as", "root", "--key-file", "n1/root.key"],
    );
    for node in [&n2, &n3] {
        let guarded = || node.json(&place, &["trust"])["guarded_since"].is_object();
        until("the guard is everywhere", guarded);
    }
    let violation = |agent: &str| {
        let failed = n2.fails(&place, 4, &["claim", "door", "--as", agent]);
        assert_eq!(failed["code"], "token_missing");
        assert!(failed["incident"].is_string(), "{failed}");
        failed["incident"].clone()
    };

    let keeping = [&BOSS[..], &["--keep"]].concat();
    let there = Follower::of(&place, &n3, &keeping);
    let first = violation("ivy");
    assert_eq!(there.next(), first, "told at another node");
    drop(there);
    let second = violation("kim");
    let held = || {
        n1.json(&place, &["trust"])
            .to_string()
            .contains(second.as_str().unwrap())
    };
    until("it has come to the first node", held);
    // A node that begins anew tells both from its own disk; they are acknowledged there.
    assert_eq!(n1.stop(), 0);
    let n1 = place.serve("n1", &[]);
    let again = Follower::of(&place, &n1, &BOSS);
    assert_eq!([again.next(), again.next()], [first, second]);
    let acknowledged = |node: &Process| {
        let trust = node.json(&place, &["trust"]);
        let incidents = trust["incidents"].as_array().unwrap().clone();
        let by = |one: &&Value| one["acknowledged_by"] == json!([executive]);
        incidents.iter().filter(by).count()
    };
    until("the word has come to the third", || acknowledged(&n3) == 2);
    drop(again);
    let there = Follower::of(&place, &n3, &BOSS);
    assert!(there.silent(), "what was acknowledged is told no more");
    let third = violation("lee");
    assert_eq!(there.next(), third);

    let nobody = n3.fails(&place, 4, &["incidents", "--follow", "--as", "ivy"]);
    assert_eq!(nobody["code"], "not_allowed");
}

#[test]
fn a_thousand_refusals_are_a_handful_of_alerts() {
    let place = Place::new();
    let node = place.up();
    node.json(&place, &["agent", "enrol", "boss", "--tier", "executive"]);
    node.json(&place, &["agent", "enrol", "ivy"]);
    let boss = Follower::of(&place, &node, &["--as", "boss"]);
    let guard = json!({ "agent": "ivy", "do": "guard" });
    let mut named = BTreeSet::new();
    for _ in 0..1_000 {
        let (status, problem) = node.post("/v1/orchestras/main/actions", &guard);
        assert_eq!((status, &problem["code"]), (403, &json!("not_allowed")));
        named.insert(problem["incident"].as_str().unwrap().to_owned());
    }
    // One at once, and one each ten seconds; all refusals within ten seconds name one record.
    let trust = node.json(&place, &["trust"]);
    let incidents = trust["incidents"].as_array().unwrap();
    assert!(incidents.len() <= 7, "{}", incidents.len());
    let events = node.json(&place, &["events", "--security"]);
    assert_eq!(&events["incidents"], &trust["incidents"]);
    assert!(named.len() <= incidents.len());
    for _ in 0..named.len() {
        assert!(named.contains(boss.next().as_str().unwrap()));
    }
}

/// An address that answers with these, and tells what was posted.
fn listener(answers: &'static [&'static str]) -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook?key=1", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let answers = answers.iter().chain(std::iter::repeat(&"204 No Content"));
        for (stream, answer) in listener.incoming().zip(answers) {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim_end().to_ascii_lowercase();
                if let Some(text) = line.strip_prefix("content-length: ") {
                    length = text.parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let head =
                format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            let _ = tell.send(serde_json::from_slice(&body).unwrap());
        }
    });
    (address, told)
}

#[test]
fn what_no_executive_acknowledges_is_posted_once_also_over_a_restart() {
    let place = Place::new();
    let (url, posted) = listener(&["503 Busy"]);
    let settings = format!("incident_webhook = \"{url}\"\nincident_webhook_after_ms = \"2000\"\n");
    std::fs::write(place.path("unisono.toml"), settings).unwrap();
    place.found("n1");
    let node = place.serve("n1", &[]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "boss", "--tier", "executive"]);
    for agent in ["ada", "bob", "cyd", "dan"] {
        node.json(&place, &["agent", "enrol", agent]);
    }
    let violation = |node: &Process, agent: &str| {
        let failed = node.fails(&place, 4, &["guard", "--as", agent]);
        failed["incident"].as_str().unwrap().to_owned()
    };
    let next = || {
        let told = posted.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(told["kind"], "unisono/incident/v1");
        assert_eq!(told["orchestra"], "main");
        assert_eq!(told["incident"]["rule"], "not_allowed");
        told["incident"]["record"].as_str().unwrap().to_owned()
    };
    let first = violation(&node, "ada");
    assert_eq!(
        [next(), next()],
        [first.clone(), first],
        "until it is taken"
    );
    let heeded = violation(&node, "bob");
    node.json(
        &place,
        &["incidents", "--acknowledge", &heeded, "--as", "boss"],
    );
    let third = violation(&node, "cyd");
    assert_eq!(next(), third, "what was acknowledged is not posted");
    assert_eq!(node.stop(), 0);
    let node = place.serve("n1", &[]);
    let last = violation(&node, "dan");
    assert_eq!(next(), last, "what was posted is not posted again");
}
