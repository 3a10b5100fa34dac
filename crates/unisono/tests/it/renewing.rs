//! Certificates of seconds instead of a week: renewed while agents work, by whoever holds the
//! authority's key, for whoever is still let in; and what becomes of all when nobody signs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use unisono_quic::identity::Credentials;

use crate::cluster::{alive, three};
use crate::process::{Place, Process, until};

const DAY_MS: u64 = 24 * 3_600_000;

fn certificate(place: &Place, node: &Process) -> Value {
    node.json(place, &["status"])["certificate"].clone()
}

fn made_ms(place: &Place, node: &Process) -> u64 {
    certificate(place, node)["made_ms"].as_u64().unwrap()
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(since.unwrap().as_millis()).unwrap()
}

fn finding(report: &Value, what: &str) -> Value {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|one| one["what"] == what);
    found.cloned().unwrap_or_default()
}

#[test]
fn certificates_are_renewed_twice_while_agents_work_and_no_connection_is_lost() {
    let place = Place::new();
    let nodes = three(&place, &["--certificate-seconds", "16"]);
    let before: Vec<u64> = nodes.iter().map(|node| made_ms(&place, node)).collect();
    nodes[2].json(&place, &["agent", "enrol", "cyd"]);
    let mut seen: Vec<Vec<u64>> = before.iter().map(|made| vec![*made]).collect();
    let mut tasks = 0;
    until("each has had two more certificates", || {
        tasks += 1;
        let name = format!("t{tasks}");
        let made = nodes[2].json(&place, &["task", "create", &name, "--as", "cyd"]);
        let cursor = made["cursor"].as_str().unwrap();
        let show = ["task", "show", &name, "--min-cursor", cursor];
        assert_eq!(nodes[1].json(&place, &show)["status"], "open");
        for (node, seen) in nodes.iter().zip(&mut seen) {
            let made = made_ms(&place, node);
            if seen.last() != Some(&made) {
                seen.push(made);
            }
        }
        seen.iter().all(|seen| seen.len() >= 3)
    });
    let shown = certificate(&place, &nodes[1]);
    assert!(shown["trouble"].is_null(), "{shown}");
    assert_eq!(shown["signs"], false);
    let founder = nodes[0].json(&place, &["status"])["node"].clone();
    assert_eq!(shown["signed_by"], founder);
    assert_eq!(certificate(&place, &nodes[0])["signs"], true);
    for name in ["n1", "n2", "n3"] {
        let log = fs::read_to_string(place.path(&format!("{name}.log"))).unwrap();
        assert!(!log.contains("a peer is gone"), "{name}: {log}");
        let file = place.path(name).join("node.crt");
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let (_, metrics) = nodes[0].get("/metrics");
    assert!(metrics.contains("unisono_certificates_renewed_total"));
    assert!(metrics.contains("unisono_certificate_ends_seconds"));
}

#[test]
fn m10_a_removed_node_is_not_renewed_and_no_invite_lets_its_key_in() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &["--certificate-seconds", "12"]);
    let stolen = n3.json(&place, &["status"])["node"].clone();
    let stolen = stolen.as_str().unwrap();
    let key = place.path("n1").join("root.key");
    let key = key.to_str().unwrap();
    n1.json(
        &place,
        &["node", "remove", stolen, "--as", "root", "--key-file", key],
    );
    let last = made_ms(&place, &n3);
    until("it is refused", || {
        certificate(&place, &n3)["trouble"]["code"] == "not_member"
    });
    // Nor does a new invite make anything of the key that was taken.
    let copied = place.path("copied");
    fs::create_dir(&copied).unwrap();
    fs::set_permissions(&copied, fs::Permissions::from_mode(0o700)).unwrap();
    fs::copy(place.path("n3").join("node.key"), copied.join("node.key")).unwrap();
    let invite = place.json(&["invite", "--data", "n1"]);
    let invite = invite["invite"].as_str().unwrap();
    let said = place.run(&["join", invite, "--data", "copied"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("a root has removed"), "{}", said.err);
    until("its certificate ends", || {
        certificate(&place, &n3)["state"] == "ended"
    });
    assert_eq!(made_ms(&place, &n3), last);
    assert_eq!(certificate(&place, &n2)["state"], "fresh");
}

/// The design: expiry bounds what a stolen key can do, and never ends honest work.
#[test]
fn without_anybody_who_signs_members_go_on_and_are_renewed_when_it_is_back() {
    let place = Place::new();
    let brief = ["--certificate-seconds", "6"];
    let [n1, n2, n3] = three(&place, &brief);
    n2.json(&place, &["agent", "enrol", "bob"]);
    n1.kill();
    for node in [&n2, &n3] {
        until("its certificate ends", || {
            certificate(&place, node)["state"] == "ended"
        });
    }
    until("it says that nobody signs", || {
        certificate(&place, &n2)["trouble"]["code"] == "no_signer"
    });
    let said = n2.fails(&place, 1, &["doctor", "--data", "n2"]);
    assert_eq!(said["code"], "unhealthy");
    let report = place.run(&["--node", &n2.url, "doctor", "--data", "n2", "-o", "json"]);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(finding(&report, "certificate")["state"], "bad", "{report}");
    assert_eq!(finding(&report, "renewal")["state"], "bad", "{report}");
    assert!(
        finding(&report, "renewal")["hint"]
            .as_str()
            .unwrap()
            .contains("ca.key")
    );

    // One of them starts anew, with an ended certificate, and both go on.
    n3.kill();
    let n3 = place.serve("n3", &brief);
    let made = n2.json(&place, &["task", "create", "alone", "--as", "bob"]);
    let cursor = made["cursor"].as_str().unwrap();
    let show = [
        "task",
        "show",
        "alone",
        "--min-cursor",
        cursor,
        "--wait-ms",
        "15000",
    ];
    assert_eq!(n3.json(&place, &show)["status"], "open");

    // The signer was off for longer than its own certificate lived.
    let n1 = place.serve("n1", &["--certificate-seconds", "3600"]);
    let nodes = [n1, n2, n3];
    for node in &nodes {
        until("each is renewed", || {
            let shown = certificate(&place, node);
            shown["ends_ms"].as_u64().unwrap() > now_ms() + 60_000 && shown["trouble"].is_null()
        });
        until("all are alive", || alive(&place, node) == 3);
    }
}

/// What a node of an earlier version has in its directory.
#[test]
fn a_certificate_of_ten_years_is_replaced_by_one_of_a_week() {
    let place = Place::new();
    place.found("lab");
    let directory = place.path("lab");
    let credentials = Credentials::load(&directory, None).unwrap();
    let authority = credentials.authority().unwrap();
    let made = now_ms() - 100 * DAY_MS;
    let (node, region) = (credentials.node(), credentials.region());
    let old = authority.issue_for(node, region, made, 3652 * DAY_MS);
    let old = credentials.renewed(old.unwrap(), now_ms()).unwrap();
    old.save_certificate(&directory).unwrap();

    let lab = place.serve("lab", &[]);
    until("it lives a week", || {
        let ends_ms = certificate(&place, &lab)["ends_ms"].as_u64().unwrap();
        ends_ms < now_ms() + 8 * DAY_MS
    });
    let kept = Credentials::load(&directory, None).unwrap();
    assert!(kept.validity().until_ms < now_ms() + 8 * DAY_MS);
    let healthy = lab.json(&place, &["doctor", "--data", "lab"]);
    assert_eq!(finding(&healthy, "certificate")["state"], "good");
    assert_eq!(finding(&healthy, "renewal")["state"], "good");
    let told = place.run(&["--node", &lab.url, "status"]);
    assert!(
        told.out.contains("the certificate ends in 7 days")
            || told.out.contains("the certificate ends in 6 days"),
        "{}",
        told.out
    );
}
