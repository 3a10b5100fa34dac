//! A machine that was stolen: the root removes its node, which is turned away everywhere, now and
//! after a start, and nobody waits for it. Until now nothing could take a node key back.

use crate::cluster::three;
use crate::process::{Place, until};

#[test]
fn a_stolen_node_is_removed_by_the_root_and_stays_away() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    n3.json(&place, &["agent", "enrol", "cyd"]);
    n1.json(&place, &["agent", "enrol", "ada"]);
    let kept = n3.json(&place, &["task", "create", "kept", "--as", "cyd"]);
    let cursor = kept["cursor"].as_str().unwrap().to_owned();
    let show = ["task", "show", "kept", "--min-cursor", &cursor];
    n1.json(&place, &show);

    let status = n3.json(&place, &["status"]);
    let stolen = status["node"].as_str().unwrap().to_owned();
    let key = place.path("n1").join("root.key");
    let key = key.to_str().unwrap();
    let remove = |who: &str, key: &str| {
        let words = [
            "--node",
            &n1.url,
            "node",
            "remove",
            who,
            "--reason",
            "stolen",
            "--as",
            "root",
            "--key-file",
            key,
        ];
        place.run(&words)
    };
    let other = place.path("other.key");
    let refused = remove(&stolen[..8], other.to_str().unwrap());
    assert_eq!(refused.code, 4, "{}", refused.err);
    assert!(refused.err.contains("only a root"), "{}", refused.err);
    let done = remove(&stolen[..8], key);
    assert_eq!(done.code, 0, "{}", done.err);
    assert!(done.out.contains("is removed for good"), "{}", done.out);

    for one in [&n1, &n2] {
        until("it is shown as removed", || {
            let members = one.json(&place, &["members"]);
            let members = members["members"].as_array().unwrap();
            members
                .iter()
                .any(|member| member["node"] == stolen.as_str() && member["expelled"] == true)
        });
    }
    // What it had said stays; nobody waits for it.
    assert_eq!(n2.json(&place, &["task", "show", "kept"])["status"], "open");
    let claim = [
        "claim",
        "door",
        "--as",
        "ada",
        "--confirm",
        "--wait-ms",
        "5000",
    ];
    let claimed = n1.json(&place, &claim);
    assert_eq!(claimed["claim"]["status"], "confirmed");
    // What it says from now on reaches nobody, nor does its next life.
    drop(n3);
    let n3 = place.serve("n3", &[]);
    let _ = place.run(&["--node", &n3.url, "task", "create", "later", "--as", "cyd"]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    for one in [&n1, &n2] {
        let tasks = one.json(&place, &["task", "list"]);
        assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "{tasks}");
    }
}
