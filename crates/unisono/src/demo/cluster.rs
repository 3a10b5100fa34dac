//! Three nodes in three regions, as processes of this very program in a directory of their own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use unisono_model::{ClusterId, NodeId};

use crate::failure::{Exit, Failure};

/// The regions, one node in each.
pub(super) const REGIONS: [&str; 3] = ["paris", "oregon", "tokyo"];
/// One way from each region to each (ms): about what the sea cables give.
pub(super) const ONE_WAY_MS: [[u64; 3]; 3] = [[0, 70, 110], [70, 0, 50], [110, 50, 0]];

/// How long a node may take until it serves.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long any other command may take.
const DONE_WITHIN: Duration = Duration::from_secs(20);

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    /// Its region, and its name.
    pub(super) region: &'static str,
    /// Its data directory.
    pub(super) data: PathBuf,
    /// Where agents find it.
    pub(super) http: String,
    /// Who it is.
    pub(super) id: NodeId,
    peer: String,
    child: Option<Child>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Cluster {
    /// Where everything lies.
    pub(super) directory: PathBuf,
    /// Which cluster.
    pub(super) id: ClusterId,
    /// By region.
    pub(super) nodes: Vec<Node>,
    keep: bool,
}

/// What a node says when it serves.
#[derive(Debug, Deserialize)]
struct Ready {
    http: String,
    peer: String,
    cluster: ClusterId,
}

impl Cluster {
    /// A directory for it; nothing runs yet.
    pub(super) fn new(keep: bool) -> Result<Self, Failure> {
        let mut random = [0; 8];
        random.copy_from_slice(&crate::home::drawn::<8>()?);
        let name = format!("unisono-demo-{:016x}", u64::from_le_bytes(random));
        let directory = std::env::temp_dir().join(name);
        let failed = |error| Failure::system(&directory.display().to_string(), &error);
        std::fs::create_dir(&directory).map_err(failed)?;
        // An empty one, so that no configuration of this machine's reaches the nodes.
        std::fs::write(directory.join("empty.toml"), "").map_err(failed)?;
        Ok(Self {
            directory,
            id: ClusterId::default(),
            nodes: Vec::new(),
            keep,
        })
    }

    /// Founds the cluster and lets the others join, so many nodes at most: the way that operators go.
    pub(super) async fn found(&mut self, sabotage: &[String], nodes: usize) -> Result<(), Failure> {
        for (index, region) in REGIONS.into_iter().take(nodes).enumerate() {
            let data = self.directory.join(region);
            let shown = data.display().to_string();
            let own = ["--region", region, "--name", region, "--data", &shown];
            if index == 0 {
                self.command("init", &own).await?;
            } else {
                let first = self.nodes[0].data.display().to_string();
                let invite = self.command("invite", &["--data", &first]).await?;
                let mut join = vec![invite.trim()];
                join.extend(own);
                self.command("join", &join).await?;
            }
            self.nodes.push(Node {
                region,
                data,
                http: String::new(),
                id: NodeId::default(),
                peer: "127.0.0.1:0".to_owned(),
                child: None,
            });
            self.start(index, sabotage).await?;
        }
        Ok(())
    }

    /// Starts a node: at a free port the first time, at the same again.
    pub(super) async fn start(&mut self, index: usize, sabotage: &[String]) -> Result<(), Failure> {
        let node = &self.nodes[index];
        let history = self.history(index);
        let data = node.data.display().to_string();
        let http = node
            .http
            .strip_prefix("http://")
            .unwrap_or("127.0.0.1:0")
            .to_owned();
        let mut command = self.program("serve");
        command.args(["--data", &data, "--http", &http, "--peer", &node.peer]);
        command
            .args(["-o", "json", "--log", "warn", "--test-faults", "--history"])
            .arg(&history);
        for name in sabotage {
            command.args(["--sabotage", name]);
        }
        let log = self.directory.join(format!("{}.log", node.region));
        let log = std::fs::File::options().create(true).append(true).open(log);
        let log = log.map_err(|error| Failure::system("the log", &error))?;
        command.stdout(Stdio::piped()).stderr(log);
        let mut child = command
            .spawn()
            .map_err(|error| Failure::system("this program", &error))?;
        let out = child.stdout.take().ok_or_else(|| self.silent(index))?;
        let mut out = BufReader::new(out);
        let mut line = String::new();
        let read = tokio::time::timeout(READY_WITHIN, out.read_line(&mut line)).await;
        let ready: Ready = match read {
            Ok(Ok(1..)) => serde_json::from_str(&line).map_err(|_| self.silent(index))?,
            _ => return Err(self.silent(index)),
        };
        // Kept open: whoever closes it takes the process its standard output.
        child.stdout = Some(out.into_inner());
        self.id = ready.cluster;
        let node = &mut self.nodes[index];
        (node.http, node.peer) = (ready.http, ready.peer);
        node.child = Some(child);
        if node.id == NodeId::default() {
            let status = get(&node.http, "/v1/status").await?;
            let id = status.get("node").cloned().unwrap_or_default();
            let id = serde_json::from_value(id).map_err(|_| self.silent(index))?;
            self.nodes[index].id = id;
        }
        Ok(())
    }

    /// Makes the ways between the regions as long as they are; one node's own, or all.
    pub(super) async fn stretch(&self, only: Option<usize>) -> Result<(), Failure> {
        for (from, row) in ONE_WAY_MS.iter().enumerate() {
            if only.is_some_and(|only| only != from) {
                continue;
            }
            for (to, ms) in row.iter().enumerate().filter(|(to, _)| *to != from) {
                let faults = json!({ "delay_ms": ms, "delay_to": [self.nodes[to].id] });
                self.faults(from, &faults).await?;
            }
        }
        Ok(())
    }

    /// Cuts a region off from the others, or ends that.
    pub(super) async fn cut(&self, index: usize, cut: bool) -> Result<(), Failure> {
        let others: Vec<NodeId> = self
            .nodes
            .iter()
            .map(|node| node.id)
            .filter(|id| *id != self.nodes[index].id)
            .collect();
        let word = if cut { "block" } else { "unblock" };
        let mut faults = json!({});
        faults[word] = json!(others);
        self.faults(index, &faults).await
    }

    /// Kills a node as the kernel would: at once, in the middle of whatever it does.
    pub(super) async fn kill(&mut self, index: usize) -> Result<(), Failure> {
        if let Some(mut child) = self.nodes[index].child.take() {
            child
                .kill()
                .await
                .map_err(|error| Failure::system("kill", &error))?;
        }
        Ok(())
    }

    /// Where a node records what it promises.
    pub(super) fn history(&self, index: usize) -> PathBuf {
        self.directory
            .join(format!("{}.history.jsonl", REGIONS[index]))
    }

    async fn faults(&self, index: usize, faults: &Value) -> Result<(), Failure> {
        request(
            &self.nodes[index].http,
            "POST",
            "/v1/test/faults",
            Some(faults),
        )
        .await
        .map(|_| ())
    }

    /// Runs a command to its end, and returns what it printed.
    async fn command(&self, name: &str, arguments: &[&str]) -> Result<String, Failure> {
        let mut command = self.program(name);
        command
            .args(arguments)
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        let ended = tokio::time::timeout(DONE_WITHIN, command.output()).await;
        let words = |text: &str| format!("unisono {name}: {text}");
        let failed = |text: &str| Failure::new(Exit::Failed, "demo_setup", words(text));
        let output = ended.map_err(|_| failed("no end"))?;
        let output = output.map_err(|error| failed(&error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// This program, away from this machine's configuration and from the terminal's Ctrl-C.
    fn program(&self, name: &str) -> Command {
        let own = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("unisono"));
        let mut command = Command::new(own);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("UNISONO_") {
                command.env_remove(variable);
            }
        }
        command
            .arg(name)
            .arg("--config")
            .arg(self.directory.join("empty.toml"));
        command
            .stdin(Stdio::null())
            .kill_on_drop(!self.keep)
            .process_group(0);
        command
    }

    fn silent(&self, index: usize) -> Failure {
        let region = self.nodes[index].region;
        let log = std::fs::read_to_string(self.directory.join(format!("{region}.log")));
        let log = log.unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let words = format!("the node in {region} does not serve: {}", last.join(" | "));
        Failure::new(Exit::Failed, "demo_setup", words)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // The processes first: each is killed when its handle is dropped, and waited for below.
        for node in &mut self.nodes {
            if let Some(mut child) = node.child.take() {
                // It may have ended by itself.
                let _ = child.start_kill();
                while matches!(child.try_wait(), Ok(None)) {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        }
        remove(&self.directory);
    }
}

/// A directory of the temporary ones; if it cannot be removed, the system's own care takes it.
fn remove(directory: &Path) {
    let _ = std::fs::remove_dir_all(directory);
}

async fn get(base: &str, path: &str) -> Result<Value, Failure> {
    request(base, "GET", path, None).await
}

/// One request in the plainest way: the client of the agents has no door to the test endpoint.
async fn request(
    base: &str,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, Failure> {
    let host = base.strip_prefix("http://").unwrap_or(base);
    let body = body.map(Value::to_string).unwrap_or_default();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let exchange = async {
        let mut stream = TcpStream::connect(host).await?;
        stream.write_all(format!("{head}{body}").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let failed = |words: String| Failure::new(Exit::Failed, "demo_request", words);
    let answer = tokio::time::timeout(DONE_WITHIN, exchange).await;
    let answer = answer.map_err(|_| failed(format!("{host}{path}: no answer")))?;
    let answer = answer.map_err(|error| failed(format!("{host}{path}: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) != Some("200") {
        return Err(failed(format!(
            "{host}{path}: {}",
            head.lines().next().unwrap_or_default()
        )));
    }
    // A body of known length stands as it is; a chunked one begins at its first brace.
    let start = body.find('{').unwrap_or(0);
    let end = body.rfind('}').map_or(body.len(), |end| end + 1);
    serde_json::from_str(body.get(start..end).unwrap_or_default())
        .map_err(|error| failed(format!("{host}{path}: {error}")))
}
