//! The one vocabulary of these tests: a place for data, a command, a serving process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The program that is tested.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_unisono");

/// Where a test keeps its directories. Commands run here, so that no configuration is found.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A serving process.
pub(crate) struct Process {
    child: Child,
    pub(crate) url: String,
    pub(crate) peer: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(PROGRAM))
    }

    /// The same of a copy of the program.
    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNISONO_")) {
            command.env_remove(name);
        }
        command
            .env("HOME", self.directory.path())
            .env_remove("XDG_CONFIG_HOME");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Said {
        said(
            self.command()
                .args(words)
                .stdin(Stdio::null())
                .output()
                .unwrap(),
        )
    }

    /// Runs a command that must succeed, and reads its answer.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.extend(["-o", "json"]);
        let said = self.run(&words);
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{words:?}: {e}: {}", said.out))
    }

    /// Runs a command that must fail with this exit code, and reads why.
    pub(crate) fn fails(&self, code: i32, words: &[&str]) -> Value {
        let mut words = words.to_vec();
        words.extend(["-o", "json"]);
        let said = self.run(&words);
        assert_eq!(said.code, code, "{words:?}: {} {}", said.out, said.err);
        let last = said.err.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{words:?}: {e}: {}", said.err))
    }

    /// Founds a cluster in a directory.
    pub(crate) fn found(&self, name: &str) {
        self.json(&["init", "--data", name, "--name", name]);
    }

    /// Serves a directory on free ports.
    pub(crate) fn serve(&self, name: &str, more: &[&str]) -> Process {
        self.start("serve", name, "127.0.0.1:0", "127.0.0.1:0", more)
            .unwrap()
    }

    /// The same, with these in its environment.
    pub(crate) fn serve_in(&self, name: &str, environment: &[(&str, &str)]) -> Process {
        let anywhere = "127.0.0.1:0";
        self.start_in("serve", name, anywhere, anywhere, &[], environment)
            .unwrap()
    }

    /// Begins a cluster of one node in `lab`, as whoever tries the program does.
    pub(crate) fn up(&self) -> Process {
        self.start("up", "lab", "127.0.0.1:0", "127.0.0.1:0", &[])
            .ok()
            .unwrap()
    }

    /// Serves a directory; the process that ends before it is ready is an error with what it said.
    pub(crate) fn start(
        &self,
        how: &str,
        name: &str,
        http: &str,
        peer: &str,
        more: &[&str],
    ) -> Result<Process, Said> {
        self.start_in(how, name, http, peer, more, &[])
    }

    fn start_in(
        &self,
        how: &str,
        name: &str,
        http: &str,
        peer: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Process, Said> {
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        let mut child = self
            .command()
            .args([
                how, "--data", name, "--http", http, "--peer", peer, "-o", "json",
            ])
            .args(more)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        if line.is_empty() {
            let code = child.wait().unwrap().code().unwrap_or(-1);
            let err = std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap();
            return Err(Said {
                code,
                out: line,
                err,
            });
        }
        let ready: Value = serde_json::from_str(&line).unwrap();
        let text = |field: &str| ready[field].as_str().unwrap().to_owned();
        let (url, peer) = (text("http"), text("peer"));
        Ok(Process { child, url, peer })
    }

    /// Lets a directory join the cluster of another one.
    pub(crate) fn join(&self, from: &str, name: &str, region: &str) {
        let invite = self.json(&["invite", "--data", from]);
        let invite = invite["invite"].as_str().unwrap();
        self.json(&[
            "join", invite, "--data", name, "--name", name, "--region", region,
        ]);
    }
}

impl Process {
    /// Asks this node, in JSON.
    pub(crate) fn json(&self, place: &Place, words: &[&str]) -> Value {
        let mut all = vec!["--node", self.url.as_str()];
        all.extend(words);
        place.json(&all)
    }

    /// Asks this node for something that must fail.
    pub(crate) fn fails(&self, place: &Place, code: i32, words: &[&str]) -> Value {
        let mut all = vec!["--node", self.url.as_str()];
        all.extend(words);
        place.fails(code, &all)
    }

    /// Posts JSON as any program could; gives the status and the answer.
    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.sends("POST", path, body)
    }

    /// The same by another method.
    pub(crate) fn sends(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = body.to_string();
        let length = body.len();
        let (status, told) = self.request(
            &format!("{method} {path}"),
            &format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"),
        );
        (status, serde_json::from_str(&told).unwrap_or_default())
    }

    /// Gets what any program could; gives the status and the answer as text.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.request(&format!("GET {path}"), "\r\n")
    }

    /// The same, with a header line.
    pub(crate) fn get_as(&self, path: &str, header: &str) -> (u16, String) {
        self.request(&format!("GET {path}"), &format!("{header}\r\n\r\n"))
    }

    /// A request as short as can be.
    fn request(&self, what: &str, rest: &str) -> (u16, String) {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        stream.write_all((head + rest).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, told) = answer.split_once("\r\n\r\n").unwrap();
        (status, told.to_owned())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end, and says how it did.
    pub(crate) fn stop(self) -> i32 {
        let killed = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(killed.success());
        self.ended()
    }

    /// Waits for its end, and says how it was.
    pub(crate) fn ended(mut self) -> i32 {
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it did not end within 10 s");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < end, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// A port that was free a moment ago, for TCP and UDP.
pub(crate) fn free_address() -> String {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap();
        if UdpSocket::bind(address).is_ok() {
            return address.to_string();
        }
    }
}

pub(crate) fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
