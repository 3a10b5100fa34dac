//! The first minute: one command in an empty directory, and the commands of the README.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::process::{PROGRAM, Place, free_address, root, said};

/// Generous beside the 300 ms that the design asks for: tests share their machine.
const READY_WITHIN: Duration = Duration::from_secs(3);

#[test]
fn one_command_in_an_empty_directory_serves_an_orchestra() {
    let place = Place::new();
    let started = Instant::now();
    let node = place.up();
    let took = started.elapsed();
    assert!(took < READY_WITHIN, "ready after {took:?}");
    let state = node.json(&place, &["state"]);
    assert_eq!(
        (&state["name"], &state["iteration"]),
        (&"main".into(), &1.into())
    );
    node.json(&place, &["agent", "enrol", "ada"]);
    node.json(&place, &["agent", "enrol", "bob"]);
    let held = node.json(&place, &["claim", "door", "--as", "ada"]);
    assert_eq!(
        held["claim"]["status"], "confirmed",
        "alone, nobody has to be asked"
    );
    let refused = node.fails(&place, 5, &["claim", "door", "--as", "bob"]);
    assert_eq!(
        (&refused["code"], &refused["held_by"]["holder"]),
        (&"claim_held".into(), &"ada".into())
    );
    assert_eq!(refused["held_by"]["until"], held["claim"]["until"]);
    assert_eq!(node.stop(), 0);
}

#[test]
fn up_again_goes_on_where_it_was() {
    let place = Place::new();
    let node = place.up();
    node.json(&place, &["agent", "enrol", "ada"]);
    node.json(
        &place,
        &["note", "set", "plan", "first the index", "--as", "ada"],
    );
    let before = node.json(&place, &["agent", "list"]);
    assert_eq!(node.stop(), 0);
    let node = place.up();
    let after = node.json(&place, &["agent", "list"]);
    let names = |answer: &serde_json::Value| {
        let agents = answer["agents"].as_array().unwrap();
        agents
            .iter()
            .map(|agent| agent["name"].clone())
            .collect::<Vec<_>>()
    };
    for name in names(&before) {
        assert!(names(&after).contains(&name), "{name} is forgotten");
    }
    assert_eq!(
        node.json(&place, &["note", "show", "plan"])["text"],
        "first the index"
    );
}

/// What stands between the marks of the README is run as it stands there, so that it cannot lie.
#[test]
fn the_commands_of_the_readme_work() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let begin = readme.find("<!-- six commands").unwrap();
    let end = readme.find("<!-- /six commands").unwrap();
    let shown = readme[begin..end].split("\n$ unisono ").skip(1);
    let commands = shown.map(|one| one.split_once('\n').unwrap());
    let place = Place::new();
    let (http, peer) = (free_address(), free_address());
    let mut node = None;
    for (command, output) in commands {
        let command = command.split("  #").next().unwrap_or(command).trim();
        if let Some(up) = command.strip_suffix('&') {
            assert_eq!(up.trim(), "up", "only a node stays in the background");
            node = Some(
                place
                    .start("up", ".unisono", &http, &peer, &[])
                    .ok()
                    .unwrap(),
            );
            continue;
        }
        let mut shell = std::process::Command::new("sh");
        let program = PROGRAM;
        let run = place.command();
        for (name, value) in run.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
            .current_dir(place.path(""))
            .env("UNISONO_NODE", format!("http://{http}"));
        shell
            .arg("-c")
            .arg(format!("exec {program} {command}"))
            .stdin(Stdio::null());
        let said = said(shell.output().unwrap());
        let refused_on_purpose = said.err.starts_with("claim_held");
        assert!(
            said.code == 0 || refused_on_purpose,
            "{command}: {}",
            said.err
        );
        let shown = output.split("```").next().unwrap();
        assert_eq!(
            shape(shown),
            shape(&format!("{}{}", said.out, said.err)),
            "the README shows something else for: unisono {command}"
        );
    }
    drop(node);
}

/// What an output says, without what differs from run to run: keys, times, ports, figures.
fn shape(text: &str) -> Vec<String> {
    let word = |word: &str| {
        // A name that was drawn has a digit nearly always, but not always.
        let drawn = word.starts_with("node-");
        let varies = drawn || word.contains(|letter: char| letter.is_ascii_digit());
        if varies && word != "1" {
            "#".to_owned()
        } else {
            word.to_owned()
        }
    };
    let line = |line: &str| {
        line.split_whitespace()
            .map(word)
            .collect::<Vec<_>>()
            .join(" ")
    };
    text.lines()
        .map(line)
        .filter(|line| !line.is_empty())
        .collect()
}
