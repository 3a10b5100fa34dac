//! Looking back over HTTP and on the command line: every read takes a moment or says that it cannot,
//! whatever does something refuses one, and lists can be had page by page.

use serde_json::{Value, json};

use crate::process::{Place, Process};

fn started(place: &Place) -> Process {
    place.up()
}

/// Every GET of the OpenAPI document below an orchestra, asked as of an earlier moment: it answers as
/// of that moment, or refuses with a reason. Before, a moment was an unknown field here, and was taken
/// and passed over there.
#[test]
fn every_read_speaks_of_the_moment_or_says_that_it_cannot() {
    let place = Place::new();
    let node = started(&place);
    node.json(&place, &["agent", "enrol", "ada"]);
    node.json(&place, &["task", "create", "parse", "--as", "ada"]);
    let then = node.json(&place, &["state"]);
    let moment = then["as_of"].as_str().unwrap().to_owned();
    node.json(&place, &["agent", "enrol", "eve"]);
    let (_, document) = node.get("/openapi.json");
    let document: Value = serde_json::from_str(&document).unwrap();
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || !path.starts_with("/v1/") {
            continue;
        }
        let at = path
            .replace("{o}", "main")
            .replace("{name}", "parse")
            .replace("{path}", "self.orchestra.state")
            .replace("{agent}", &"ab".repeat(32));
        let more = match path.rsplit('/').next().unwrap() {
            _ if path.contains("/foretold") => "&agent=ada".to_owned(),
            "continue" | "flow" | "stream" => "&as=ada".to_owned(),
            "fixes" => "&error=not%20found".to_owned(),
            "approvals" => "&task=parse".to_owned(),
            "ends" => format!("&node={}", "ab".repeat(32)),
            "chains" => "&epoch=1".to_owned(),
            "rollback" => format!("&to={moment}"),
            _ => String::new(),
        };
        let (status, text) = node.get(&format!("{at}?as_of={moment}{more}"));
        let told: Value = serde_json::from_str(&text).unwrap_or_default();
        match status {
            200 => answered.push(path.clone()),
            400..=499 => {
                let code = told["code"].as_str().unwrap_or_default().to_owned();
                let detail = told["detail"].as_str().unwrap_or_default();
                assert!(
                    code == "too_old" || detail.contains("as_of"),
                    "{path}: {text}"
                );
                refused.push(path.clone());
            }
            other => panic!("{path}: {other} {text}"),
        }
    }
    assert!(answered.len() >= 24, "{answered:?}");
    let now = [
        "beats",
        "chains",
        "clock",
        "config",
        "ends",
        "events",
        "foretold",
        "members",
        "notes",
        "orchestras",
        "rollback",
        "status",
        "stream",
        "{agent}",
        "{name}",
    ];
    for path in &refused {
        let last = path.rsplit('/').next().unwrap();
        assert!(now.contains(&last), "{path} could speak of the past");
    }
}

#[test]
fn what_does_something_knows_no_moment_and_what_is_shown_does() {
    let place = Place::new();
    let node = started(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&["agent", "enrol", "ada"]);
    ask(&["task", "create", "parse", "--as", "ada"]);
    let then = ask(&["state"])["as_of"].as_str().unwrap().to_owned();
    ask(&["task", "set", "parse", "--title", "later", "--as", "ada"]);
    let does = [
        &["claim", "x", "--as", "ada"][..],
        &["agent", "enrol", "eve"],
        &["note", "set", "plan", "words", "--as", "ada"],
        &["conf", "set", "a.b", "c", "--as", "ada"],
        &["settings", "set", "title_conflict=last", "--as", "ada"],
        &["state", "--create"],
        &["status"],
        &["members"],
        &["explain", "01ca085c"],
    ];
    for words in does {
        let told = node.fails(&place, 2, &[words, &["--as-of", &then]].concat());
        assert!(
            told["error"].as_str().unwrap().contains("--as-of"),
            "{words:?}: {told}"
        );
    }
    assert_eq!(ask(&["claim"])["claims"], json!([]), "nothing was done");
    let records = ask(&["task", "history", "parse", "--as-of", &then]);
    assert_eq!(records["records"].as_array().unwrap().len(), 1);
    let all = place.run(&["--node", &node.url, "dump"]).out;
    let early = place
        .run(&["--node", &node.url, "dump", "--as-of", &then])
        .out;
    assert!(all.contains("later") && !early.contains("later"), "{early}");
    assert!(early.lines().count() + 1 == all.lines().count());
}

#[test]
fn lists_come_page_by_page_and_each_item_once() {
    let place = Place::new();
    let node = started(&place);
    for number in 0..7 {
        let name = format!("agent-{number}");
        node.json(&place, &["agent", "enrol", &name]);
        node.json(
            &place,
            &["claim", &format!("topic-{number}"), "--as", &name],
        );
        node.json(
            &place,
            &["emit", "intent", &format!("t{number}"), "--as", &name],
        );
    }
    let pages = [
        ("agents", "agents", "agent"),
        ("presence", "presence", "agent"),
        ("claims", "claims", "topic"),
        ("signals", "signals", "record"),
    ];
    for (path, list, name) in pages {
        let whole = node.get(&format!("/v1/orchestras/main/{path}")).1;
        let whole: Value = serde_json::from_str(&whole).unwrap();
        assert!(whole.get("next_after").is_none());
        let names = |page: &Value| -> Vec<Value> {
            let items = page[list].as_array().unwrap().iter();
            items.map(|item| item[name].clone()).collect()
        };
        let (mut told, mut after) = (Vec::new(), String::new());
        loop {
            let page = node
                .get(&format!("/v1/orchestras/main/{path}?limit=3{after}"))
                .1;
            let page: Value = serde_json::from_str(&page).unwrap();
            told.extend(names(&page));
            let Some(next) = page["next_after"].as_str() else {
                break;
            };
            after = format!("&after={next}");
        }
        assert_eq!(told, names(&whole), "{path}");
        // What stands in the order of its names goes on where a name has gone; signals do not.
        let (status, text) = node.get(&format!("/v1/orchestras/main/{path}?after=nobody"));
        let refused = status == 400 && text.contains("as of one moment");
        assert_eq!(refused, path == "signals", "{path}: {status} {text}");
    }
    // A table looked as if it were all.
    let table = |words: &[&str]| place.run(&[&["--node", node.url.as_str()], words].concat());
    let page = table(&["sense", "--limit", "2"]);
    let (_, next) = page.err.split_once("--after ").unwrap();
    let next: Vec<&str> = next.split_whitespace().collect();
    let [after, "--as-of", as_of] = next[..] else {
        panic!("{next:?}");
    };
    let rest = [
        "sense",
        "--after",
        after.trim_matches('"'),
        "--as-of",
        as_of,
    ];
    let rest = table(&rest);
    assert_eq!((rest.code, rest.err.as_str()), (0, ""));
    let lines = page.out.lines().count() + rest.out.lines().count();
    let whole = table(&["sense"]).out;
    assert_eq!(
        lines,
        whole.lines().count() + 1,
        "titles twice, each signal once"
    );
    let page = node.json(&place, &["sense", "--limit", "2"]);
    assert_eq!(page["signals"].as_array().unwrap().len(), 2);
}

/// Two changes that name no value which they replace, as from two sides of a cut: the field shows what
/// its strategy says, and lists both with their authors.
#[test]
fn a_field_that_two_wrote_at_once_shows_what_its_setting_says() {
    let place = Place::new();
    let node = started(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    for name in ["ada", "eve"] {
        ask(&["agent", "enrol", name]);
    }
    let refused = node.fails(
        &place,
        2,
        &["settings", "set", "title_conflict=9", "--as", "ada"],
    );
    assert!(
        refused["error"]
            .as_str()
            .unwrap()
            .contains("nothing changed"),
        "{refused}"
    );
    let set = ["settings", "set", "title_conflict=merge", "--as", "ada"];
    ask(&set);
    assert_eq!(ask(&["settings", "show"])["settings"]["title_conflict"], 3);
}

/// Going back with a plan, a flow and histories in it: each shows what stood, and as of the moment
/// before what had been.
#[test]
fn flow_and_histories_go_back_too() {
    let place = Place::new();
    let node = started(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&["agent", "enrol", "ada"]);
    ask(&["decide", "storage", "one file a segment", "--as", "ada"]);
    let to = ask(&["state"])["as_of"].as_str().unwrap().to_owned();
    ask(&[
        "emit",
        "intent",
        "parser",
        "write the parser",
        "--as",
        "ada",
    ]);
    ask(&["decide", "parser", "by hand", "--as", "ada"]);
    ask(&["iteration", "advance", "--as", "ada"]);
    assert_eq!(ask(&["flow", "--as", "ada"])["place"], "working");
    assert_eq!(ask(&["history"])["iteration"], 2);
    let before = ask(&["state"])["as_of"].as_str().unwrap().to_owned();
    ask(&["rollback", "--to", &to, "--as", "ada"]);
    let flow = ask(&["flow", "--as", "ada"]);
    assert_eq!(
        (&flow["place"], &flow["iteration"]),
        (&json!("sensing"), &json!(1))
    );
    let told = ask(&["history"]);
    assert_eq!(told["iteration"], 1);
    assert!(
        !told["markdown"].as_str().unwrap().contains("by hand"),
        "{told}"
    );
    let decided = |told: &Value| told["decisions"].as_array().unwrap().len();
    assert_eq!(decided(&ask(&["recover", "1"])), 1);
    // As of the moment before, none of it had been set aside.
    assert_eq!(
        ask(&["flow", "--as", "ada", "--as-of", &before])["place"],
        "working"
    );
    assert_eq!(ask(&["history", "--as-of", &before])["iteration"], 2);
    assert_eq!(decided(&ask(&["recover", "1", "--as-of", &before])), 2);
    // A rollback of the rollback: as of between the two it had been set aside.
    let between = ask(&["state"])["as_of"].as_str().unwrap().to_owned();
    ask(&["rollback", "--to", &before, "--as", "ada"]);
    assert_eq!(ask(&["history"])["iteration"], 2);
    assert_eq!(ask(&["history", "--as-of", &between])["iteration"], 1);
    assert_eq!(decided(&ask(&["recover", "1", "--as-of", &between])), 1);
}
