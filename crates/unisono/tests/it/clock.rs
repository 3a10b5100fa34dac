//! The cluster's clock between real processes: three regions, clocks that are half a second off and
//! run wrong, a leader that is killed. The bounds are wide, since machines that run tests are noisy;
//! that an interval contains the truth is asked of every look.

use serde_json::Value;

use crate::process::{Place, Process, until};

/// What a node shows, with the machine's clock at that moment.
struct Look {
    monotonic_ns: i128,
    estimate_ns: i128,
    earliest_ns: i128,
    latest_ns: i128,
    rate_ppb: f64,
    json: Value,
}

fn look(place: &Place, node: &Process) -> Look {
    let json = node.json(place, &["clock"]);
    let ns = |field: &str| -> i128 { json[field].as_str().map_or(0, |text| text.parse().unwrap()) };
    Look {
        monotonic_ns: i128::from(json["monotonic_ns"].as_u64().unwrap()),
        estimate_ns: ns("estimate_ns"),
        earliest_ns: ns("earliest_ns"),
        latest_ns: ns("latest_ns"),
        rate_ppb: json["rate_ppb"].as_f64().unwrap(),
        json,
    }
}

impl Look {
    /// What its clock shows when the machine's does so much.
    fn at(&self, monotonic_ns: i128) -> i128 {
        let elapsed = monotonic_ns - self.monotonic_ns;
        self.estimate_ns + elapsed + (elapsed as f64 * self.rate_ppb / 1e9) as i128
    }

    fn is_synchronised_to(&self, leader: &Value) -> bool {
        self.json["state"] == "synchronised" && self.json["leader"] == *leader && !leader.is_null()
    }
}

/// Rounding of a rate over a few seconds, ns.
const ROUNDING_NS: i128 = 2_000;

#[test]
fn three_regions_have_one_time_and_keep_it_when_their_leader_is_killed() {
    let place = Place::new();
    place.found("n1");
    let wrong = |offset: &str, drift: &str| {
        [
            format!("--clock-offset-ms={offset}"),
            format!("--clock-drift-ppm={drift}"),
        ]
    };
    let serve = |name: &str, offset: &str, drift: &str| {
        let words = wrong(offset, drift);
        place.serve(name, &[words[0].as_str(), words[1].as_str()])
    };
    let n1 = serve("n1", "500", "50");
    place.join("n1", "n2", "near");
    let n2 = serve("n2", "-500", "-50");
    place.join("n1", "n3", "far");
    let n3 = serve("n3", "250", "-30");
    let first = look(&place, &n1).json["leader"].clone();
    until("all follow one leader", || {
        [&n1, &n2, &n3]
            .iter()
            .all(|node| look(&place, node).is_synchronised_to(&first))
    });
    let mut told = [0, 0];
    for _ in 0..15 {
        let truth = look(&place, &n1);
        for (node, told) in [&n2, &n3].into_iter().zip(&mut told) {
            let seen = look(&place, node);
            let true_ns = truth.at(seen.monotonic_ns);
            assert!(
                seen.earliest_ns <= true_ns + ROUNDING_NS,
                "{} {true_ns}",
                seen.json
            );
            assert!(
                seen.latest_ns + ROUNDING_NS >= true_ns,
                "{} {true_ns}",
                seen.json
            );
            assert!(
                (seen.estimate_ns - true_ns).abs() < 100_000_000,
                "{}",
                seen.json
            );
            assert!(seen.estimate_ns >= *told, "time ran backwards");
            *told = seen.estimate_ns;
        }
    }
    until("both channels are looked at", || {
        look(&place, &n2).json["channels"]["secondary"]["degraded"] == false
    });
    n2.json(&place, &["state", "--create"]);
    n2.json(&place, &["agent", "enrol", "ada"]);
    let needed_ms = || {
        let leads = n2.json(&place, &["schedule", "leads", "ada"]);
        leads["together_ms"].as_u64().unwrap()
    };
    assert!(needed_ms() >= 2_000, "assumed of whom nobody knows");
    let before = look(&place, &n1);
    let epoch = before.json["epoch"].as_u64().unwrap();
    n1.kill();
    until("the others follow a new leader", || {
        let (a, b) = (look(&place, &n2), look(&place, &n3));
        let leader = a.json["leader"].clone();
        leader != first && a.is_synchronised_to(&leader) && b.is_synchronised_to(&leader)
    });
    until(
        "notice is known to reach one of two, and more of it asked for",
        || {
            let channels = look(&place, &n2).json["channels"].clone();
            channels["secondary"]["degraded"] == true
                && channels["notice_factor"].as_f64() >= Some(2.0)
        },
    );
    // The node itself asks for twice as much notice, of whoever gives a cue over whatever way.
    until("leads are longer by that", || needed_ms() >= 4_000);
    let said = place.run(&["--node", n2.url.as_str(), "status"]);
    assert!(said.out.contains("notice degraded"), "{}", said.out);
    for (node, told) in [&n2, &n3].into_iter().zip(&mut told) {
        let seen = look(&place, node);
        assert!(seen.estimate_ns >= *told, "time ran backwards");
        assert!(seen.json["epoch_known"].as_u64().unwrap() > epoch);
        let off = seen.estimate_ns - before.at(seen.monotonic_ns);
        assert!(
            off.abs() < 100_000_000,
            "the new leader's time is {off} ns off the old one's"
        );
    }
}

#[test]
fn a_command_is_run_at_a_time_and_nonsense_runs_nothing() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    let file = place.path("fired");
    let file = file.to_str().unwrap();
    let code = |time: &str| {
        let said = place.run(&[
            "--node", &node.url, "-o", "json", "at", time, "--", "touch", file,
        ]);
        assert_eq!(said.code, 2, "{time}: {}", said.err);
        let told: Value = serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
        told["code"].as_str().unwrap().to_owned()
    };
    for (time, word) in [
        ("1000", "time_past"),
        ("-5", "time_past"),
        ("NaN", "time_unreadable"),
        ("inf", "time_unreadable"),
        ("+1e300s", "lead_too_long"),
        ("+2", "time_unreadable"),
        ("99999999999999", "lead_too_long"),
    ] {
        assert_eq!(code(time), word, "{time}");
    }
    assert!(!place.path("fired").exists(), "nothing was run");
    let words = [
        "--node", &node.url, "-o", "json", "at", "+300ms", "--", "touch", file,
    ];
    let said = place.run(&words);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(place.path("fired").exists());
    let told: Value = serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
    assert!(
        told["late_ns"].as_i64().unwrap() >= 0,
        "never early: {told}"
    );
    let said = place.run(&["--node", &node.url, "at", "+100ms", "--", "false"]);
    assert_eq!(said.code, 1, "the command's failure is told: {}", said.err);
}

/// What was armed went with the node that had been asked: it was asked again shortly before the time,
/// and the first refused connection ended it.
#[test]
fn what_is_armed_is_run_although_the_node_is_gone() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    let file = place.path("fired");
    let words = [
        "--node", &node.url, "-o", "json", "at", "+3s", "--", "touch",
    ];
    let mut armed = place.command();
    armed.args(words).arg(&file);
    armed.stderr(std::process::Stdio::piped());
    let armed = armed.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    node.kill();
    let ended = armed.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && file.exists(), "{told}");
    // The reading was some seconds old then, and is worth less.
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert!(
        told["three_sigma_ns"].as_f64().unwrap() > 200_000.0,
        "{told}"
    );
}

/// Commands were started when their time had come: fifty at once were milliseconds apart. What is made
/// ready before has to be the same command, with nothing of what made it ready.
#[test]
fn what_is_made_ready_before_its_time_is_the_command_and_nothing_else() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    let file = place.path("said");
    let said = |file: &std::path::Path| std::fs::read_to_string(file).unwrap();
    let script = |text: &str| format!("{text} > {}", file.display());
    let at = |time: &str, words: &[&str]| {
        let mut all = vec!["--node", &node.url, "-o", "json", "at", time];
        all.extend(words);
        place.run(&all)
    };
    // The files that it has open are those that any command of this test has.
    let open = script("ls /proc/self/fd");
    let plain = std::process::Command::new("sh")
        .args(["-c", &open])
        .status();
    assert!(plain.unwrap().success());
    let plain = said(&file);
    let done = at("+400ms", &["--", "sh", "-c", &open]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(said(&file), plain);
    // So are its class, its niceness, the slack of its timers, and where it may run.
    let kept = "cat /proc/self/timerslack_ns; cut -d' ' -f18,19,40,41 /proc/self/stat; \
        grep Cpus_allowed_list /proc/self/status";
    let kept = script(&format!("{{ {kept}; }}"));
    let plain = std::process::Command::new("sh")
        .args(["-c", &kept])
        .status();
    assert!(plain.unwrap().success());
    let plain = said(&file);
    assert_eq!(plain.lines().count(), 3, "{plain}");
    let done = at("+400ms", &["--", "sh", "-c", &kept]);
    assert_eq!(done.code, 0, "{}", done.err);
    assert_eq!(said(&file), plain);
    let told: Value = serde_json::from_str(done.err.lines().last().unwrap()).unwrap();
    assert!(told["real_time"].is_boolean(), "{told}");
    assert!(
        told["runs_late_ns"].as_i64() >= told["late_ns"].as_i64(),
        "{told}"
    );
    let done = at("+400ms", &["--", "sh", "-c", "exit 3"]);
    assert!(
        done.code == 1 && done.err.contains("ended with 3"),
        "{}",
        done.err
    );
    let done = at("+400ms", &["--", "/no/such/program"]);
    assert!(done.err.contains("command_failed"), "{}", done.err);
    let wait = script("read time; echo $time");
    let done = at("+400ms", &["--ready", "--", "sh", "-c", &wait]);
    let told: Value = serde_json::from_str(done.err.lines().last().unwrap()).unwrap();
    assert_eq!(said(&file).trim(), told["target_ns"].as_str().unwrap());
}

#[test]
fn what_is_armed_is_not_run_when_whoever_armed_it_is_killed() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    let file = place.path("fired");
    let mut armed = place.command();
    armed.args(["--node", &node.url, "at", "+2s", "--", "touch"]);
    let mut armed = armed.arg(&file).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(1));
    armed.kill().unwrap();
    armed.wait().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(!file.exists(), "nobody waits for it any more");
}

/// A founder told a time of its own at each start: after its wall clock had been set right, one before
/// what tempo maps and cues on its disk speak of.
#[test]
fn the_time_goes_on_over_a_restart_of_all() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &["--clock-offset-ms=5000"]);
    let before = look(&place, &node);
    assert_eq!(node.stop(), 0);
    let node = place.serve("n1", &[]);
    let after = look(&place, &node);
    assert!(after.estimate_ns > before.estimate_ns, "it fell");
}
