//! Rights on real nodes: the story of an executive, an implementer and a thief, as a person or a
//! program would live it, with each refusal's stable code.

use serde_json::Value;

use crate::cluster::{agree, three};
use crate::process::{Place, Process, until};

/// An agent that signs for itself.
pub(crate) struct Agent<'a> {
    place: &'a Place,
    name: &'static str,
    token: Option<String>,
}

impl<'a> Agent<'a> {
    pub(crate) fn new(place: &'a Place, name: &'static str) -> Self {
        Self {
            place,
            name,
            token: None,
        }
    }

    /// Its public key; enrols it.
    pub(crate) fn enrol(&self, node: &Process, tier: &str) -> String {
        let key = format!("{}.key", self.name);
        let words = [
            "agent",
            "enrol",
            self.name,
            "--key-file",
            &key,
            "--tier",
            tier,
        ];
        let enrolled = node.json(self.place, &words);
        enrolled["agent"].as_str().unwrap().to_owned()
    }

    /// Acts under the token from here on.
    pub(crate) fn under(&mut self, token: &str) {
        let path = format!("{}.token", self.name);
        std::fs::write(self.place.path(&path), token).unwrap();
        self.token = Some(path);
    }

    fn words<'b>(&'b self, words: &[&'b str], key: &'b str) -> Vec<&'b str> {
        let mut all = words.to_vec();
        all.extend(["--as", self.name, "--key-file", key]);
        if let Some(token) = &self.token {
            all.extend(["--token-file", token.as_str()]);
        }
        all
    }

    pub(crate) fn does(&self, node: &Process, words: &[&str]) -> Value {
        let key = format!("{}.key", self.name);
        node.json(self.place, &self.words(words, &key))
    }

    pub(crate) fn fails(&self, node: &Process, words: &[&str]) -> String {
        let key = format!("{}.key", self.name);
        let failed = node.fails(self.place, 4, &self.words(words, &key));
        failed["code"].as_str().unwrap().to_owned()
    }
}

fn rules(trust: &Value, list: &str) -> Vec<String> {
    let list = trust[list].as_array().unwrap();
    let rules = list.iter().map(|one| one["rule"].as_str().unwrap());
    let mut rules: Vec<String> = rules.map(str::to_owned).collect();
    rules.sort();
    rules
}

#[test]
fn an_orchestra_that_is_guarded_holds_everybody_to_their_tokens_on_every_node() {
    let place = Place::new();
    let nodes = three(&place, &[]);
    let [n1, n2, n3] = &nodes;
    let (mut boss, mut ivy) = (Agent::new(&place, "boss"), Agent::new(&place, "ivy"));
    let executive = boss.enrol(n1, "executive");
    let given = ["--project", "main", "--file", "src/a.rs", "--phase", "1"];
    let mut mint = vec![
        "token",
        "mint",
        "executive",
        "--data",
        "n1",
        "--for",
        &executive,
    ];
    mint.extend(given);
    boss.under(place.json(&mint)["token"].as_str().unwrap());
    let implementer = ivy.enrol(n2, "implementation");
    let mut narrow = vec!["token", "narrow", "boss.token", "implementation"];
    narrow.extend(["--for", &implementer, "--key-file", "boss.key"]);
    narrow.extend(given);
    let narrowed = place.json(&narrow);
    ivy.under(narrowed["token"].as_str().unwrap());
    let link = narrowed["id"].as_str().unwrap();
    let explained = place.json(&["token", "explain", "ivy.token"]);
    assert!(
        explained["explained"]
            .as_str()
            .unwrap()
            .contains("src/a.rs")
    );

    ivy.does(n2, &["claim", "before"]);
    let before = n1.json(&place, &["state"])["as_of"].clone();
    boss.does(n1, &["decide", "doors", "closed"]);
    let root = ["guard", "--as", "root", "--key-file", "n1/root.key"];
    n1.json(&place, &root);
    let guarded = || n3.json(&place, &["trust"])["guarded_since"].is_object();
    until("the guard is everywhere", guarded);

    // Nobody goes back to when no rights were asked for.
    let back = ["rollback", "--to", before.as_str().unwrap()];
    let refused = n1.fails(&place, 5, &boss.words(&back, "boss.key"));
    assert_eq!(refused["code"], "rollback_barred");
    let claimed = ivy.does(n2, &["claim", "door"]);
    let record = claimed["record"].as_str().unwrap();
    let told = n2.json(&place, &["explain", record])["explained"].to_string();
    let chain = format!("to {executive} to {implementer} (ivy)");
    for words in [
        "did claim",
        "signed by itself",
        "went from the root",
        &chain,
        "It counts.",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert_eq!(ivy.fails(n2, &["iteration", "advance"]), "not_allowed");
    let bare = Agent::new(&place, "ivy");
    assert_eq!(bare.fails(n2, &["claim", "other"]), "token_missing");
    let mut thief = Agent::new(&place, "thief");
    thief.enrol(n3, "implementation");
    std::fs::copy(place.path("ivy.token"), place.path("thief.token")).unwrap();
    thief.token = Some("thief.token".into());
    let key = "thief.key";
    let refused = n3.fails(&place, 2, &thief.words(&["claim", "loot"], key));
    assert!(refused["error"].as_str().unwrap().contains("another agent"));

    let fence = ["fence", "--link", link, "--reason", "the laptop is gone"];
    boss.does(n1, &fence);
    let fenced = || {
        !n2.json(&place, &["trust"])["fences"]
            .as_array()
            .unwrap()
            .is_empty()
    };
    until("the fence is everywhere", fenced);
    assert_eq!(ivy.fails(n2, &["claim", "more"]), "token_fenced");
    let claims = n3.json(&place, &["claim"]);
    assert_eq!(
        claims["claims"].as_array().unwrap().len(),
        2,
        "what was done stays"
    );

    until("the refusals are told everywhere", || {
        let told = rules(&n1.json(&place, &["trust"]), "incidents");
        told == ["not_allowed", "token_fenced", "token_missing"]
    });
    let trust = n1.json(&place, &["trust"]);
    let incidents = trust["incidents"].as_array().unwrap();
    let refused = incidents.iter().find(|one| one["rule"] == "not_allowed");
    let record = refused.unwrap()["record"].as_str().unwrap();
    let told = n3.json(&place, &["explain", record])["explained"].to_string();
    let asked = format!("It tells that {implementer} was refused advance");
    for words in [
        &asked,
        "(not_allowed)",
        &chain,
        "it has been fenced off since",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    agree(&place, &nodes);
}

/// A revocation that did not know all that had been done: what lies beyond its cut is taken back on
/// every node, and shown.
#[test]
fn what_a_fence_does_not_keep_is_taken_back_and_shown() {
    let place = Place::new();
    let nodes = three(&place, &[]);
    let [n1, n2, n3] = &nodes;
    let mut ivy = Agent::new(&place, "ivy");
    let key = ivy.enrol(n2, "implementation");
    let mut mint = vec![
        "token",
        "mint",
        "implementation",
        "--data",
        "n1",
        "--for",
        &key,
    ];
    mint.extend(["--project", "main", "--file", "src/a.rs", "--phase", "1"]);
    ivy.under(place.json(&mint)["token"].as_str().unwrap());
    ivy.does(n2, &["claim", "door"]);
    let mark = ivy.does(n2, &["mark", "make", "opened it", "--about", "door"]);
    let mut fence = vec!["fence", "--key", &key, "--nothing-stays"];
    fence.extend(["--as", "root", "--key-file", "n1/root.key"]);
    n1.json(&place, &fence);
    for node in [n1, n2, n3] {
        until("what was done is void", || {
            let voided = node.json(&place, &["voided"]);
            let voided = voided["voided"].as_array().unwrap().clone();
            voided.iter().any(|one| one["record"] == mark["record"])
        });
        let claims = node.json(&place, &["claim"]);
        assert_eq!(claims["claims"].as_array().unwrap().len(), 0);
    }
    agree(&place, &nodes);
    let name = mark["record"].as_str().unwrap();
    let told = n3.json(&place, &["explain", &name[..12]]);
    assert_eq!(told["record"]["verdict"], "void", "the dump said valid");
    let told = told["explained"].to_string();
    for words in ["did mark", "names the token", "token_fenced"] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

/// From the open time of an orchestra an agent has no tier. Enrolling it for one said that it was done,
/// and did nothing.
#[test]
fn an_agent_without_a_tier_is_enrolled_for_one_and_never_for_a_second() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    node.json(&place, &["state", "--create"]);
    let mut ada = Agent::new(&place, "ada");
    let plain = ["agent", "enrol", "ada", "--key-file", "ada.key"];
    node.json(&place, &plain);
    let key = ada.enrol(&node, "implementation");
    let mut mint = vec!["token", "mint", "implementation", "--data", "n1"];
    mint.extend(["--for", &key, "--project", "main", "--file", "src/a.rs"]);
    mint.extend(["--phase", "1"]);
    ada.under(place.json(&mint)["token"].as_str().unwrap());
    ada.does(&node, &["claim", "door"]);
    let mut second = plain.to_vec();
    second.extend(["--tier", "validation"]);
    let refused = node.fails(&place, 4, &second);
    assert_eq!(refused["code"], "token_binding");
    ada.does(&node, &["release", "door"]);
}

#[test]
fn tokens_are_refused_before_they_are_made_where_they_could_not_count() {
    let place = Place::new();
    place.found("n1");
    let key = "ab".repeat(32);
    let mint = |tier: &str, more: &[&str]| {
        let mut words = vec!["token", "mint", tier, "--data", "n1", "--for", &key];
        words.extend(more);
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let code = |exit: i32, words: Vec<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        place.fails(exit, &words)["code"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(code(2, mint("implementation", &[])), "usage", "no project");
    assert_eq!(code(1, mint("no-such.toml", &[])), "system");
    let traversal = ["--project", "main", "--file", "src/../secret"];
    assert_eq!(code(2, mint("implementation", &traversal)), "usage");
    let tier = place.run(&["tier", "show", "validation"]).out;
    let greedy = tier.replace("\"approve\"", "\"approve\", \"write-code\"");
    std::fs::write(place.path("greedy.toml"), greedy).unwrap();
    assert_eq!(code(2, mint("greedy.toml", &[])), "tier_invalid");
    let endless = place.fails(1, &["token", "inspect", "/dev/zero"]);
    assert_eq!(endless["code"], "system", "it was read for ever");
    let others = place.run(&["token", "inspect", "unicap1.AAAA", "-o", "json"]);
    assert_eq!(others.code, 8, "{}", others.err);
    std::fs::write(place.path("open.key"), format!("{}\n", "11".repeat(32))).unwrap();
    let mut loose = mint("validation", &[]);
    loose.extend(["--key-file".to_owned(), "open.key".to_owned()]);
    assert_eq!(code(1, loose), "system");
}

/// An epoch ends for everybody at once: what was minted for it counts no more, what is minted for the
/// next one does.
#[test]
fn an_epoch_ends_by_a_command_of_its_own() {
    let place = Place::new();
    let node = place.up();
    let mut boss = Agent::new(&place, "boss");
    let key = boss.enrol(&node, "executive");
    let mint = [
        &["token", "mint", "executive", "--data", "lab", "--for", &key][..],
        &["--project", "main", "--file", "src/a.rs", "--phase", "1"],
    ]
    .concat();
    boss.under(place.json(&mint)["token"].as_str().unwrap());
    boss.does(&node, &["decide", "doors", "closed"]);
    let root = ["--as", "root", "--key-file", "lab/root.key"];
    node.json(
        &place,
        &[&["epoch", "2", "--reason", "anew"], &root[..]].concat(),
    );
    assert_eq!(boss.fails(&node, &["claim", "door"]), "token_fenced");
    let trust = node.json(&place, &["trust"]);
    assert_eq!(trust["fences"][0]["reason"], "anew");
    boss.under(
        place.json(&[&mint[..], &["--epoch", "2"]].concat())["token"]
            .as_str()
            .unwrap(),
    );
    boss.does(&node, &["decide", "doors", "open"]);
}
