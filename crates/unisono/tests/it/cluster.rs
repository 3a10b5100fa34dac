//! Several nodes: joining, agreeing, racing for a claim, and a client that survives a node.

use unisono_api::client::{AgentKey, Client, Config, SigningAgent, WriteOptions};
use unisono_api::dto::EnrolBody;

use crate::process::{Place, Process, free_address, until};

/// Three nodes in two regions that know each other, with the orchestra `main`.
pub(crate) fn three(place: &Place, more: &[&str]) -> [Process; 3] {
    place.found("n1");
    let n1 = place.serve("n1", more);
    place.join("n1", "n2", "near");
    let n2 = place.serve("n2", more);
    place.join("n1", "n3", "far");
    let n3 = place.serve("n3", more);
    let nodes = [n1, n2, n3];
    nodes[0].json(place, &["state", "--create"]);
    for node in &nodes {
        until("all members are alive", || alive(place, node) == 3);
    }
    nodes
}

pub(crate) fn alive(place: &Place, node: &Process) -> usize {
    let members = node.json(place, &["members"]);
    let members = members["members"].as_array().unwrap();
    members
        .iter()
        .filter(|member| member["alive"] == true && member["removed"] == false)
        .count()
}

/// Waits until all nodes show the same at one moment.
pub(crate) fn agree(place: &Place, nodes: &[Process]) {
    until("all nodes show the same", || {
        let time = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let moment = format!("{:08x}00000000", time.as_secs() - 1);
        let hashes: Vec<_> = nodes
            .iter()
            .map(|node| node.json(place, &["state", "--hash", "--as-of", &moment]))
            .map(|hash| {
                (
                    hash["views"].clone(),
                    hash["vector"].clone(),
                    hash["documents"].clone(),
                )
            })
            .collect();
        hashes.iter().all(|hash| *hash == hashes[0])
    });
}

#[test]
fn three_nodes_take_writes_anywhere_and_show_the_same() {
    let place = Place::new();
    let nodes = three(&place, &[]);
    for (node, agent) in nodes.iter().zip(["ada", "bob", "cyd"]) {
        node.json(&place, &["agent", "enrol", agent]);
        node.json(&place, &["emit", "intent", "index", "--as", agent]);
        node.json(
            &place,
            &["note", "set", agent, "a note of mine", "--as", agent],
        );
    }
    agree(&place, &nodes);
    let made = nodes[0].json(
        &place,
        &["task", "create", "t", "--as", "ada", "--durable-on", "3"],
    );
    assert_eq!(made["durable_on"], 3);
    let more = ["task", "create", "u", "--as", "ada", "--durable-on", "4"];
    let key = ["--wait-ms", "300", "--idempotency-key", "u-on-four"];
    // Asked again it is answered as before, and that is no word of more disks.
    for _ in 0..2 {
        let short = nodes[0].fails(&place, 7, &[&more[..], &key].concat());
        assert_eq!(
            short["code"], "not_durable",
            "who asks for four has not got them"
        );
        assert_eq!(short["changed"], true);
    }
    let cursor = made["cursor"].as_str().unwrap();
    for node in &nodes {
        let task = node.json(&place, &["task", "show", "t", "--min-cursor", cursor]);
        assert_eq!(task["status"], "open", "what was written is read anywhere");
    }
    for node in nodes {
        assert_eq!(node.stop(), 0);
    }
}

#[test]
fn of_two_claims_at_once_one_holds_and_the_loser_is_told() {
    let place = Place::new();
    let nodes = three(&place, &[]);
    nodes[0].json(&place, &["agent", "enrol", "ada"]);
    nodes[1].json(&place, &["agent", "enrol", "bob"]);
    let claim = |node: &Process, agent: &str| {
        let words = [
            "claim",
            "door",
            "--as",
            agent,
            "--confirm",
            "--wait-ms",
            "5000",
            "-o",
            "json",
        ];
        place.run(&[&["--node", node.url.as_str()], words.as_slice()].concat())
    };
    let (ada, bob) = std::thread::scope(|scope| {
        let ada = scope.spawn(|| claim(&nodes[0], "ada"));
        let bob = scope.spawn(|| claim(&nodes[1], "bob"));
        (ada.join().unwrap(), bob.join().unwrap())
    });
    let mut codes = [ada.code, bob.code];
    codes.sort_unstable();
    assert_eq!(
        codes,
        [0, 5],
        "{}{}{}{}",
        ada.out,
        ada.err,
        bob.out,
        bob.err
    );
    let (winner, loser) = if ada.code == 0 {
        ("ada", bob)
    } else {
        ("bob", ada)
    };
    let report: serde_json::Value =
        serde_json::from_str(loser.err.lines().last().unwrap_or_default()).unwrap();
    assert!(
        report["error"].as_str().unwrap().contains(winner),
        "{report}"
    );
    for node in &nodes {
        until("every node names the winner", || {
            let claims = node.json(&place, &["claim"]);
            claims["claims"][0]["holder"] == winner && claims["claims"][0]["status"] == "confirmed"
        });
    }
}

#[test]
fn a_client_goes_on_with_another_node_when_one_dies() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = Config::new([n1.url.as_str(), n2.url.as_str(), n3.url.as_str()]);
    let client = runtime.block_on(Client::connect(config)).unwrap();
    let body: EnrolBody = serde_json::from_str(r#"{"name":"ada"}"#).unwrap();
    let ada = SigningAgent::new(client.clone(), "main", AgentKey::generate().unwrap(), body);
    let options = WriteOptions {
        durable_on: Some(2),
        ..WriteOptions::default()
    };
    let claim = runtime.block_on(ada.claim("door", None, &options)).unwrap();
    let mut nodes = vec![n1, n2, n3];
    let nearest = nodes
        .iter()
        .position(|node| node.url == claim.node)
        .unwrap();
    nodes.remove(nearest).kill();
    let renewed = runtime.block_on(ada.renew("door", None, &options)).unwrap();
    assert_ne!(renewed.node, claim.node);
    let (before, after) = (claim.body.claim.unwrap(), renewed.body.claim.unwrap());
    assert!(after.token.stamp > before.token.stamp && after.claim == before.claim);
    agree(&place, &nodes);
}

#[test]
fn a_node_that_restarts_and_one_that_was_away_catch_up() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    n1.json(&place, &["agent", "enrol", "ada"]);
    let (http, peer) = (
        n3.url.trim_start_matches("http://").to_owned(),
        n3.peer.clone(),
    );
    n3.kill();
    for number in 0..20 {
        n1.json(
            &place,
            &["emit", "intent", &format!("topic {number}"), "--as", "ada"],
        );
    }
    let n3 = place.start("serve", "n3", &http, &peer, &[]).ok().unwrap();
    agree(&place, &[n1, n2, n3]);
}

#[test]
fn every_way_of_not_joining_has_its_name() {
    let place = Place::new();
    place.found("a");
    place.found("b");
    let peer = free_address();
    let node = place
        .start("serve", "a", "127.0.0.1:0", &peer, &[])
        .ok()
        .unwrap();
    let invite = |more: &[&str]| {
        let made = place.json(&[&["invite", "--data", "a"], more].concat());
        made["invite"].as_str().unwrap().to_owned()
    };
    let good = invite(&[]);
    let code = |exit: i32, invite: &str, data: &str| {
        place.fails(exit, &["join", invite, "--data", data])["code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let typo = format!(
        "{}{}",
        &good[..good.len() - 1],
        if good.ends_with('a') { 'b' } else { 'a' }
    );
    assert_eq!(code(2, &typo, "c"), "invite_typo");
    assert_eq!(code(2, "hello", "c"), "not_an_invite");
    let refused = place.fails(2, &["invite", "--data", "a", "--valid-minutes", "0"]);
    let words = refused["error"].as_str().unwrap();
    assert!(words.contains("1..=40320"), "{refused}");
    let before: Vec<_> = invites(&place);
    let late = invite(&[]);
    let file = invites(&place)
        .into_iter()
        .find(|file| !before.contains(file));
    let file = file.unwrap();
    let kept = std::fs::read_to_string(&file).unwrap();
    let mut kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    kept["expires_ms"] = 1.into();
    std::fs::write(&file, kept.to_string()).unwrap();
    assert_eq!(code(4, &late, "c"), "invite_expired");
    assert_eq!(code(5, &good, "b"), "already_initialised");
    place.json(&["join", &good, "--data", "c"]);
    assert_eq!(code(5, &good, "d"), "invite_used");
    let unknown = invite(&[]);
    std::fs::remove_dir_all(place.path("a/invites")).unwrap();
    assert_eq!(code(4, &unknown, "d"), "invite_unknown");
    let foreign = invite(&[]);
    node.kill();
    let node = place
        .start("serve", "b", "127.0.0.1:0", &peer, &[])
        .ok()
        .unwrap();
    assert_eq!(code(4, &foreign, "d"), "wrong_authority");
    node.kill();
    assert_eq!(code(6, &foreign, "d"), "unreachable");
    let refused = place.fails(4, &["invite", "--data", "c"]);
    assert_eq!(refused["code"], "not_an_issuer");
}

/// The files of the invites that `a` has made.
fn invites(place: &Place) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(place.path("a/invites"));
    let entries = entries.into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}
