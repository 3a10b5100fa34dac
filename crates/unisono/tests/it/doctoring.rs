//! What `doctor` says of what is wrong with a node that runs: its clock, and a program of another
//! version.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::cluster::alive;
use crate::faults::inject;
use crate::process::{Place, Process, until};

/// What is found, by what it is about: how bad it is, and all that is said.
fn findings(place: &Place, url: &str, data: &str) -> BTreeMap<String, (String, String)> {
    let said = place.run(&["--node", url, "doctor", "--data", data, "-o", "json"]);
    let told: Value = serde_json::from_str(&said.out).unwrap();
    let findings = told["findings"].as_array().unwrap().iter();
    let found = |one: &Value| {
        let word = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let said = format!("{} {}", word("detail"), word("hint"));
        (word("what"), (word("state"), said))
    };
    findings.map(found).collect()
}

#[test]
fn the_doctor_names_a_machine_whose_clock_is_off() {
    let place = Place::new();
    place.found("n1");
    let n1 = place.serve("n1", &[]);
    place.join("n1", "n2", "near");
    let n2 = place.serve("n2", &[]);
    place.join("n1", "n3", "far");
    let n3 = place.serve("n3", &["--test-faults"]);
    let nodes = [n1, n2, n3];
    for node in &nodes {
        until("all members are alive", || alive(&place, node) == 3);
    }
    // It stamps by a time that stays off, whatever it hears of the cluster's.
    assert_eq!(inject(&nodes[2], &json!({ "clock_offset_ms": 900 })), 200);
    let clock = |node: &Process, data: &str| {
        let mut found = findings(&place, &node.url, data);
        found.remove("machine's clock").unwrap()
    };
    until("it is known who is off", || {
        clock(&nodes[2], "n3").0 == "bad" && clock(&nodes[0], "n1").0 == "good"
    });
    let (_, said) = clock(&nodes[2], "n3");
    assert!(said.contains("ms from the other members'"), "{said}");
    assert!(said.contains("NTP"), "{said}");
}

/// Stands before a node and answers as it does, but for its version.
fn older(node: &Process) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let behind = node.url.trim_start_matches("http://").to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let behind = behind.clone();
            // Whoever gives up in the middle is nobody's concern.
            std::thread::spawn(move || pass_on(stream, &behind).unwrap_or_default());
        }
    });
    url
}

fn pass_on(stream: TcpStream, behind: &str) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let mut node = TcpStream::connect(behind)?;
    let head = head.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    node.write_all(head.as_bytes())?;
    let mut answer = String::new();
    node.read_to_string(&mut answer)?;
    if head.starts_with("GET /version ") {
        // As long as the other one, so that the length stays true.
        let (own, older) = (env!("CARGO_PKG_VERSION"), "0.0.9");
        assert_eq!(own.len(), older.len());
        answer = answer.replace(&format!("\"{own}\""), &format!("\"{older}\""));
    }
    stream.get_mut().write_all(answer.as_bytes())
}

#[test]
fn the_doctor_names_a_program_of_another_version() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    let (state, said) = findings(&place, &node.url, "a").remove("version").unwrap();
    assert_eq!(state, "good", "{said}");
    let (state, said) = findings(&place, &older(&node), "a")
        .remove("version")
        .unwrap();
    assert_eq!(state, "poor", "{said}");
    assert!(said.contains("the node runs 0.0.9"), "{said}");
    assert!(said.contains("use one version for both"), "{said}");
}
