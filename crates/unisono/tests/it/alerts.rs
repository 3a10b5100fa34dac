//! Executives are told of incidents on real nodes: at once, at any node, again until they have
//! acknowledged; and a webhook where none does.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
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
    let (port, told) = listening(answers, Some);
    (format!("http://127.0.0.1:{port}/hook?key=1"), told)
}

/// The same behind whatever lies over a connection. One for which nothing does is none.
fn listening<S: Read + Write>(
    answers: &'static [&'static str],
    over: impl Fn(TcpStream) -> Option<S> + Send + 'static,
) -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.iter().chain(std::iter::repeat(&"204 No Content"));
        let connections = listener.incoming().map_while(Result::ok);
        for stream in connections.filter_map(over) {
            let answer = answers.next().unwrap();
            // Whoever does not believe the listener goes before it has said anything.
            if let Ok(posted) = taken(BufReader::new(stream), answer) {
                let _ = tell.send(posted);
            }
        }
    });
    (port, told)
}

/// What one posts, which is answered.
fn taken<S: Read + Write>(mut stream: BufReader<S>, answer: &str) -> std::io::Result<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    let head = format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().flush()?;
    Ok(serde_json::from_slice(&body)?)
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

type Sealed = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// A listener with a certificate of its own, and the authority behind it in PEM.
fn sealed_listener() -> (String, Receiver<Value>, String) {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let named = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = named.signed_by(&key, &issuer).unwrap();
    let secret = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret.into())
        .unwrap();
    let config = Arc::new(config);
    let over = move |stream| -> Option<Sealed> {
        let connection = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
        Some(rustls::StreamOwned::new(connection, stream))
    };
    let (port, told) = listening(&[], over);
    (format!("https://localhost:{port}/hook"), told, root.pem())
}

#[test]
fn a_webhook_over_tls_is_told_if_the_machine_believes_it_and_nobody_else_is() {
    let place = Place::new();
    let (url, posted, authority) = sealed_listener();
    let settings = format!("incident_webhook = \"{url}\"\nincident_webhook_after_ms = \"100\"\n");
    std::fs::write(place.path("unisono.toml"), settings).unwrap();
    let believed = place.path("authority.pem");
    std::fs::write(&believed, authority).unwrap();
    place.found("n1");
    let node = place.serve("n1", &[]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "ada"]);
    node.fails(&place, 4, &["guard", "--as", "ada"]);
    let nothing = posted.recv_timeout(Duration::from_secs(3));
    assert!(nothing.is_err(), "whom nobody vouches for is told nothing");
    assert_eq!(node.stop(), 0);
    let believed = believed.to_str().unwrap();
    let _node = place.serve_in("n1", &[("SSL_CERT_FILE", believed)]);
    let told = posted.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(told["incident"]["rule"], "not_allowed");
}
