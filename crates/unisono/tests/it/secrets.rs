//! Where secrets are not: in what processes print and log and answer, in their arguments and their
//! environment, in the files beside the keys, in what is left of a process that dies. The incident: the
//! kernel wrote an image of a node that died, with every key in it, where the system was set so.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use serde_json::Value;

use crate::process::{PROGRAM, Place, until};

const PASSPHRASE: &str = "seven herons over a tin roof";
const HTTP_TOKEN: &str = "0f4c1d7a9be35286f00dfeed5ca1ab1e";
/// Whom nothing belongs to.
const NOBODY: u32 = 65_534;

/// A place in which everything that is said is kept.
struct Room {
    place: Place,
    heard: RefCell<Vec<(String, Vec<u8>)>>,
}

/// A process that serves, or follows.
struct Going {
    child: Child,
    url: String,
}

impl Drop for Going {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Room {
    fn new() -> Self {
        let room = Self {
            place: Place::new(),
            heard: RefCell::default(),
        };
        room.secret("passphrase", PASSPHRASE);
        room.secret("http.token", HTTP_TOKEN);
        room
    }

    fn secret(&self, name: &str, text: &str) {
        let path = self.place.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The program, started where images of memory are allowed.
    fn command(&self, words: &[&str]) -> Command {
        let plain = self.place.command();
        let mut command = Command::new("sh");
        let script = "ulimit -S -c $(ulimit -H -c); exec \"$0\" \"$@\"";
        command.args(["-c", script]).arg(plain.get_program());
        command.args(words).current_dir(self.place.path("."));
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .env("UNISONO_LOG", "trace")
            .env("RUST_BACKTRACE", "1")
            .env("UNISONO_PASSPHRASE_FILE", self.place.path("passphrase"))
            .env("UNISONO_HTTP_TOKEN_FILE", self.place.path("http.token"));
        command
    }

    /// Runs a command to its end, and keeps what it said; gives its exit code and its answer.
    fn run(&self, words: &[&str]) -> (i32, Value) {
        let output = self.command(words).args(["-o", "json"]).output().unwrap();
        let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let said = [output.stdout, output.stderr].concat();
        self.heard.borrow_mut().push((words.join(" "), said));
        (output.status.code().unwrap_or(-1), answer)
    }

    fn does(&self, words: &[&str]) -> Value {
        let (code, answer) = self.run(words);
        assert_eq!(code, 0, "{words:?}: {}", self.last());
        answer
    }

    fn is_refused(&self, words: &[&str]) {
        let (code, _) = self.run(words);
        assert_ne!(code, 0, "{words:?}: {}", self.last());
    }

    fn last(&self) -> String {
        let heard = self.heard.borrow();
        String::from_utf8_lossy(&heard.last().unwrap().1).into_owned()
    }

    fn serve(&self, name: &str) -> Going {
        let log = fs::File::create(self.place.path(&format!("{name}.log"))).unwrap();
        let listen = ["--http", "127.0.0.1:0", "--peer", "127.0.0.1:0"];
        let words = [&["serve", "--data", name, "-o", "json"][..], &listen].concat();
        let mut command = self.command(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        let url = ready["http"].as_str().unwrap().to_owned();
        self.heard.borrow_mut().push((name.into(), line.into()));
        Going { child, url }
    }

    /// Sends bytes over HTTP, and keeps the answer.
    fn ask(&self, node: &Going, token: &str, what: &str, body: &str) {
        let address = node.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let length = body.len();
        let request = format!(
            "{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 "), "{what}: an answer");
        self.heard.borrow_mut().push((what.into(), answer));
    }

    /// What is to be found nowhere, by its name.
    fn secrets(&self) -> Vec<(String, Vec<u8>)> {
        let read = |name: &str| fs::read_to_string(self.place.path(name)).unwrap();
        let mut all = vec![
            ("passphrase".to_owned(), PASSPHRASE.into()),
            ("http.token".to_owned(), HTTP_TOKEN.into()),
        ];
        for name in ["n1/root.key", "n1/recovery.key", "ivy.key", "boss.key"] {
            let key = HEXLOWER.decode(read(name).trim().as_bytes()).unwrap();
            all.push((name.into(), key));
        }
        for name in ["n1/ca.key", "n1/node.key", "n2/node.key"] {
            let pem = read(name);
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let der = BASE64.decode(body.as_bytes()).unwrap();
            // RFC 8410: the key is 32 bytes behind 16 of structure.
            all.push((name.into(), der[16..48].to_vec()));
        }
        all
    }
}

/// The forms in which a secret could stand somewhere, half of it being enough.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let halves = [&secret[..secret.len() / 2], &secret[secret.len() / 2..]];
    let mut all = Vec::new();
    for half in halves {
        let listed = format!("{half:?}");
        all.extend([
            half.to_vec(),
            HEXLOWER.encode(half).into(),
            HEXUPPER.encode(half).into(),
            listed[1..listed.len() - 1].into(),
        ]);
        for before in 0..3 {
            // Whatever stands before and behind it, these characters of the encoding are its own.
            let bytes = [&vec![0; before][..], half].concat();
            for text in [BASE64.encode(&bytes), BASE64URL_NOPAD.encode(&bytes)] {
                let end = bytes.len() / 3 * 4;
                let begin = if before == 0 { 0 } else { 4 };
                all.push(text.as_bytes()[begin..end].into());
            }
        }
    }
    all
}

/// The secrets by the first bytes of each of their forms: logs of everything are long.
struct Sought(HashMap<[u8; 4], Vec<(String, Vec<u8>)>>);

impl Sought {
    fn new(secrets: &[(String, Vec<u8>)]) -> Self {
        let mut all: HashMap<[u8; 4], Vec<(String, Vec<u8>)>> = HashMap::new();
        for (name, secret) in secrets {
            for form in forms(secret) {
                let head = *form.first_chunk().unwrap();
                all.entry(head).or_default().push((name.clone(), form));
            }
        }
        Self(all)
    }

    /// The names of those that stand in a text.
    fn found_in(&self, text: &[u8]) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        for (at, head) in text.windows(4).enumerate() {
            let Some(begun) = self.0.get(head) else {
                continue;
            };
            let is_there = |(_, form): &&(String, Vec<u8>)| text[at..].starts_with(form);
            found.extend(begun.iter().filter(is_there).map(|(name, _)| name.as_str()));
        }
        found
    }
}

/// All files below a folder, with what they hold.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// What the system shows of a process.
fn shown(going: &Going, file: &str) -> Vec<u8> {
    // The environment of a closed process is shown to the administrator alone.
    let read = fs::read(format!("/proc/{}/{file}", going.child.id()));
    read.unwrap_or_default()
}

fn leaves_no_image(going: &Going) {
    let limits = String::from_utf8(shown(going, "limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[4], "0", "{limits}");
}

/// Two nodes and their agents at work, and refused; every line, answer and file of theirs.
fn lived_in() -> (Room, Vec<Going>) {
    let room = Room::new();
    room.does(&["init", "--data", "n1", "--name", "n1"]);
    let n1 = room.serve("n1");
    let invite = room.does(&["invite", "--data", "n1"]);
    let invite = invite["invite"].as_str().unwrap().to_owned();
    room.does(&["join", &invite, "--data", "n2", "--name", "n2"]);
    room.is_refused(&["join", &invite, "--data", "n3"]);
    let n2 = room.serve("n2");
    let at = ["--node", n1.url.as_str()];
    let does = |words: &[&str]| room.does(&[&at[..], words].concat());
    let refused = |words: &[&str]| room.is_refused(&[&at[..], words].concat());
    does(&["state", "--create"]);
    for (name, tier) in [("boss", "executive"), ("ivy", "implementation")] {
        let key = format!("{name}.key");
        does(&["agent", "enrol", name, "--tier", tier, "--key-file", &key]);
    }
    let (ivy, boss) = (["--as", "ivy", "--key-file", "ivy.key"], "boss.key");
    does(&[&["claim", "door"][..], &ivy].concat());

    // What goes wrong with keys: one for another file, one that is cut, one that others can read.
    refused(&[&["claim", "attic", "--token-file", "n1/root.key"][..], &ivy].concat());
    let whole = fs::read_to_string(room.place.path("ivy.key")).unwrap();
    room.secret("cut.key", whole.trim().get(..62).unwrap());
    refused(&["claim", "roof", "--as", "ivy", "--key-file", "cut.key"]);
    room.secret("wide.key", &whole);
    fs::set_permissions(
        room.place.path("wide.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    refused(&["claim", "roof", "--as", "ivy", "--key-file", "wide.key"]);
    room.is_refused(&["token", "inspect", "n1/root.key"]);

    // A passphrase, a wrong one, a root that signs with it.
    fs::copy(
        room.place.path("n1/root.key"),
        room.place.path("sealed.key"),
    )
    .unwrap();
    room.does(&["key", "protect", "sealed.key"]);
    let guard = ["guard", "--as", "root", "--key-file", "sealed.key"];
    does(&guard);
    room.secret("passphrase", "seven herons over a tin rook");
    refused(&guard);
    room.secret("passphrase", PASSPHRASE);
    refused(&[&["claim", "cellar"][..], &ivy].concat());
    refused(&["iteration", "advance", "--as", "boss", "--key-file", boss]);

    for path in [
        "status",
        "clock",
        "orchestras/main/trust",
        "orchestras/main/log",
        "nowhere",
    ] {
        room.ask(&n1, HTTP_TOKEN, &format!("GET /v1/{path}"), "");
    }
    room.ask(&n1, HTTP_TOKEN, "GET /metrics", "");
    room.ask(&n1, "another one", "GET /v1/status", "");
    let records = "POST /v1/orchestras/main/records";
    room.ask(&n1, HTTP_TOKEN, records, "{\"record\": \"AAAA\"}");
    room.ask(&n1, HTTP_TOKEN, records, "[");
    room.run(&["audit", "export", "--data", "n1"]);
    room.run(&[&at[..], &["doctor", "--data", "n1"]].concat());
    (room, vec![n1, n2])
}

#[test]
fn no_secret_stands_in_what_processes_say_show_answer_or_leave_behind() {
    let (room, mut nodes) = lived_in();
    let node = ["--node", nodes[0].url.as_str()];
    let as_boss = ["--as", "boss", "--key-file", "boss.key"];
    let words = [&node[..], &["log", "--follow"], &as_boss].concat();
    let out = fs::File::create(room.place.path("followed.log")).unwrap();
    let child = room.command(&words).stdout(out).spawn().unwrap();
    let url = String::new();
    nodes.push(Going { child, url });
    until("it has begun", || {
        shown(&nodes[2], "comm").starts_with(b"unisono")
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    let mut said = room.heard.take();
    for one in &nodes {
        leaves_no_image(one);
        for file in ["cmdline", "environ"] {
            let name = format!("{file} of {}", one.child.id());
            said.push((name, shown(one, file)));
        }
    }

    // A fault from which a process does not come back.
    let mut dying = nodes.remove(0);
    let pid = dying.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-ABRT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let status = dying.child.wait().unwrap();
    assert!(
        status.signal() == Some(6) && !status.core_dumped(),
        "{status}"
    );
    drop(nodes);

    let secrets = room.secrets();
    let sought = Sought::new(&secrets);
    let mut left = Vec::new();
    files(&room.place.path("."), &mut left);
    let keeps = |name: &str| {
        let own = [
            "root.key",
            "recovery.key",
            "ca.key",
            "node.key",
            "ivy.key",
            "boss.key",
        ];
        let made = ["cut.key", "wide.key", "passphrase", "http.token"];
        own.iter().chain(&made).any(|file| name.ends_with(file))
    };
    let mut known = BTreeSet::new();
    for (name, text) in &left {
        let found = sought.found_in(text);
        assert!(found.is_empty() || keeps(name), "{found:?} in {name}");
        known.extend(found);
    }
    for (name, text) in &said {
        let found = sought.found_in(text);
        assert!(found.is_empty(), "{found:?} in what {name} says");
    }
    // That each is found in its own file shows that it would be found elsewhere.
    assert_eq!(known.len(), secrets.len(), "{known:?}");
    let log = String::from_utf8(fs::read(room.place.path("n1.log")).unwrap()).unwrap();
    assert!(log.contains("TRACE"), "everything was logged");
}

/// Whom what is shown of a process belongs to: the administrator, as soon as nobody else may look into
/// it.
fn belongs_to(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}/status")).unwrap().uid()
}

/// The processes that one has started, by whichever of its threads.
fn children(pid: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let listed = threads.filter_map(|thread| {
        let thread = thread.ok()?;
        fs::read_to_string(thread.path().join("children")).ok()
    });
    let all: Vec<String> = listed.collect();
    let children = all.iter().flat_map(|text| text.split_whitespace());
    children.map(str::to_owned).collect()
}

/// A program that a command runs is not the command's: it leaves images where its user wants them. And
/// it is made ready as before, though whoever makes it ready lets nobody look among its open files.
#[test]
fn nobody_looks_into_a_process_that_holds_keys_and_a_program_that_it_runs_is_as_ever() {
    let place = Place::new();
    place.found("n1");
    // The folder that it was built in may let nobody else in. A process of its own writes the copy: what this
    // one has open for writing, another test's child may still hold, and then nobody can run it.
    let program = place.path("unisono");
    let copied = Command::new("cp").arg(PROGRAM).arg(&program).status();
    assert!(copied.unwrap().success());
    let own = fs::metadata(place.path(".")).unwrap().uid();
    // The administrator's processes show nothing of it.
    let user = if own == 0 { NOBODY } else { own };
    let mut found = vec![place.path(".")];
    while let Some(path) = found.pop() {
        if path.is_dir() {
            found.extend(fs::read_dir(&path).unwrap().map(|one| one.unwrap().path()));
        }
        chown(&path, Some(user), None).unwrap();
    }
    let as_user = |mut command: Command| {
        if own == 0 {
            command.uid(user);
        }
        command
    };
    let mut serve = place.command_of(&program);
    serve.args(["serve", "--data", "n1", "--http", "127.0.0.1:0"]);
    serve.args(["--peer", "127.0.0.1:0", "-o", "json"]);
    let mut child = as_user(serve).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let url = ready["http"].as_str().unwrap().to_owned();
    let node = Going { child, url };
    assert_eq!(belongs_to(node.child.id()), 0);

    let mut shell = Command::new("sh");
    let script = "ulimit -S -c 0; ulimit -S -c 7; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(&program);
    shell.args(["--node", &node.url, "-o", "json", "at", "+1500ms", "--"]);
    shell
        .args(["sh", "-c", "ulimit -c"])
        .current_dir(place.path("."));
    shell
        .env("HOME", place.path("."))
        .env_remove("XDG_CONFIG_HOME");
    let mut at = as_user(shell).stdout(Stdio::piped()).spawn().unwrap();
    let pid = at.id();
    until("a process is made ready", || {
        let made = children(pid).into_iter();
        let words = made.filter_map(|child| fs::read(format!("/proc/{child}/cmdline")).ok());
        let word = b"armed-process".as_slice();
        words
            .into_iter()
            .any(|words| words.windows(word.len()).any(|one| one == word))
    });
    until("it is closed again", || belongs_to(pid) == 0);
    let mut said = String::new();
    at.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(at.wait().unwrap().success(), "{said}");
    assert_eq!(said.lines().next(), Some("7"), "as it was given: {said}");
}
