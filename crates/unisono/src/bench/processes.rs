//! Real nodes as processes of this machine, and what the system says of them.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use unisono_api::dto::{Members, Status};

use crate::failure::{Exit, Failure};
use crate::replay::http::{Answer, Request, Server};

/// How long a cluster may take to be whole.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);
/// How long one request may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(70);
/// Clock ticks a second in `/proc/PID/stat`: Linux shows 100 to programs, whatever it uses itself.
const TICKS_PER_SECOND: f64 = 100.0;

/// Where a node runs, if not beside this program on loopback.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// A network namespace by its name.
    pub(crate) namespace: String,
    /// Where it serves agents: an address that this program reaches.
    pub(crate) http: String,
    /// Where it listens to other nodes.
    pub(crate) peer: String,
    /// The token that agents show, since it serves beyond loopback.
    pub(crate) token_file: PathBuf,
}

/// A serving process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    data: PathBuf,
    host: Option<Host>,
    /// Where it serves agents.
    pub(crate) server: Server,
    /// From its start to its first answer.
    pub(crate) started_in: Duration,
}

/// Founds a cluster of so many nodes under a directory, and starts them.
pub(crate) async fn cluster(directory: &Path, nodes: usize) -> Result<Vec<Process>, Failure> {
    let data = |n: usize| directory.join(format!("n{n}"));
    unisono(&data(0), &["init", "--name", "n0", "--region", "bench"])?;
    let mut processes = vec![Process::start(&data(0)).await?];
    for n in 1..nodes {
        join(&data(0), &data(n), n)?;
        processes.push(Process::start(&data(n)).await?);
    }
    for process in &processes {
        process.sees(nodes).await?;
    }
    Ok(processes)
}

/// Makes a data directory a member of another's cluster.
pub(crate) fn join(founder: &Path, data: &Path, n: usize) -> Result<(), Failure> {
    join_region(founder, data, n, "bench")
}

fn join_region(founder: &Path, data: &Path, n: usize, region: &str) -> Result<(), Failure> {
    join_from(founder, data, n, region, None)
}

fn join_from(
    founder: &Path,
    data: &Path,
    n: usize,
    region: &str,
    host: Option<&Host>,
) -> Result<(), Failure> {
    let invite = unisono(founder, &["invite"])?;
    let invite = invite["invite"].as_str().unwrap_or_default();
    let name = format!("n{n}");
    let words = ["join", invite, "--name", &name, "--region", region];
    ended(program_on(data, host).args(words))?;
    Ok(())
}

/// The same with a region for each node, with words of its own for each, and on hosts of their own if
/// there are some.
pub(crate) async fn regions(
    directory: &Path,
    words: &[Vec<String>],
    hosts: &[Host],
) -> Result<Vec<Process>, Failure> {
    let data = |n: usize| directory.join(format!("n{n}"));
    unisono(&data(0), &["init", "--name", "n0", "--region", "region-0"])?;
    let mut processes = Vec::new();
    for (n, words) in words.iter().enumerate() {
        let host = hosts.get(n);
        if n > 0 {
            join_from(&data(0), &data(n), n, &format!("region-{n}"), host)?;
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        processes.push(Process::start_on(&data(n), &words, host).await?);
    }
    for process in &processes {
        process.sees(words.len()).await?;
    }
    Ok(processes)
}

/// Runs a command of this program to its end.
fn unisono(data: &Path, args: &[&str]) -> Result<Value, Failure> {
    ended(program(data).args(args))
}

fn ended(command: &mut Command) -> Result<Value, Failure> {
    let done = command.output().map_err(|error| system(&error))?;
    if !done.status.success() {
        let words = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(Failure::new(Exit::Failed, "node_command", words));
    }
    serde_json::from_slice(&done.stdout).map_err(|error| unreadable(&error.to_string()))
}

pub(crate) fn program(data: &Path) -> Command {
    program_on(data, None)
}

/// This program, wherever it lies: the test of it runs it under another name.
pub(crate) fn own() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "unisono".into())
}

/// The same on a host. `ip netns exec` becomes what it runs, so the process is the node.
fn program_on(data: &Path, host: Option<&Host>) -> Command {
    let own = own();
    let mut command = match host {
        None => Command::new(own),
        Some(host) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", &host.namespace]).arg(own);
            command
        }
    };
    command.arg("--data").arg(data).args(["-o", "json"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UNISONO_")) {
        command.env_remove(name);
    }
    command
}

impl Process {
    /// Starts the node of a data directory, and waits for its first answer.
    pub(crate) async fn start(data: &Path) -> Result<Self, Failure> {
        Self::start_with(data, &[]).await
    }

    /// The same with more words on its command line.
    pub(crate) async fn start_with(data: &Path, more: &[&str]) -> Result<Self, Failure> {
        Self::start_on(data, more, None).await
    }

    /// The same on a host.
    async fn start_on(data: &Path, more: &[&str], host: Option<&Host>) -> Result<Self, Failure> {
        let begun = Instant::now();
        let loopback = "127.0.0.1:0";
        let listens = host.map(|host| (host.http.as_str(), host.peer.as_str()));
        let (http, peer) = listens.unwrap_or((loopback, loopback));
        let mut command = program_on(data, host);
        command.args(["serve", "--http", http, "--peer", peer, "--log", "error"]);
        let mut token = None;
        if let Some(host) = host {
            command.arg("--http-token-file").arg(&host.token_file);
            let read = std::fs::read_to_string(&host.token_file);
            token = Some(read.map_err(|error| system(&error))?);
        }
        let mut child = command
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| system(&error))?;
        let Some(stdout) = child.stdout.take() else {
            return Err(unreadable("no standard output"));
        };
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = line.await.map_err(|error| unreadable(&error.to_string()))?;
        let line = line.map_err(|error| system(&error))?;
        let ready: Value = serde_json::from_str(&line).map_err(|e| unreadable(&e.to_string()))?;
        let server = Server::new(
            ready["http"].as_str().unwrap_or_default(),
            token.as_deref().map(str::trim),
        )?;
        let data = data.to_owned();
        let mut process = Self {
            child,
            data,
            host: host.cloned(),
            server,
            started_in: Duration::ZERO,
        };
        process.get("/v1/status").await?;
        process.started_in = begun.elapsed();
        Ok(process)
    }

    /// Ends it in an orderly way.
    pub(crate) async fn stop(mut self) -> Result<PathBuf, Failure> {
        let pid = self.child.id().to_string();
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .map_err(|error| system(&error))?;
        let begun = Instant::now();
        while begun.elapsed() < WHOLE_WITHIN {
            if self
                .child
                .try_wait()
                .map_err(|error| system(&error))?
                .is_some()
            {
                return Ok(self.data.clone());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Failure::new(
            Exit::TimedOut,
            "node_stays",
            "a node did not end when it was told to",
        ))
    }

    /// Waits until it knows so many members.
    pub(crate) async fn sees(&self, nodes: usize) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < WHOLE_WITHIN {
            let answer = self.get("/v1/members").await?;
            let members: Members =
                serde_json::from_slice(&answer.body).map_err(|e| unreadable(&e.to_string()))?;
            if members.members.len() == nodes {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Failure::new(
            Exit::TimedOut,
            "not_whole",
            "the nodes did not find each other in time",
        ))
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.ask("GET", path, None).await
    }

    /// Has something done.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.ask("POST", path, Some(body)).await?;
        serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error.to_string()))
    }

    async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let body = body.map(Value::to_string);
        let request = Request {
            method,
            path,
            min_cursor: None,
            body: body
                .as_ref()
                .map(|body| ("application/json", body.as_bytes())),
        };
        let answer = self.server.ask(&request, ANSWERED_WITHIN).await;
        let answer = answer.map_err(|error| unreadable(&format!("{path}: {error:?}")))?;
        if answer.status >= 300 {
            let words = String::from_utf8_lossy(&answer.body).into_owned();
            return Err(unreadable(&format!("{path}: {words}")));
        }
        Ok(answer)
    }

    /// Makes an orchestra.
    pub(crate) async fn open(&self, orchestra: &str) -> Result<(), Failure> {
        self.post("/v1/orchestras", &serde_json::json!({ "name": orchestra }))
            .await
            .map(drop)
    }

    /// Makes an agent whose key it holds.
    pub(crate) async fn enrol(&self, orchestra: &str, agent: &str) -> Result<(), Failure> {
        let path = format!("/v1/orchestras/{orchestra}/agents");
        self.post(&path, &serde_json::json!({ "name": agent }))
            .await
            .map(drop)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// This program as an agent of the node.
    pub(crate) fn agent(&self) -> Command {
        let mut command = program(&self.data);
        command.args(["--node", &format!("http://{}", self.server.authority)]);
        if let Some(host) = &self.host {
            command.arg("--http-token-file").arg(&host.token_file);
        }
        command
    }

    /// Where its data lies.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Processor time that it has used (s).
    pub(crate) fn cpu_seconds(&self) -> f64 {
        stat_seconds(&self.proc("stat"))
    }

    /// Memory that it holds now (MiB).
    pub(crate) fn resident_mib(&self) -> f64 {
        self.status_mib("VmRSS:")
    }

    /// The most memory that it has held (MiB).
    pub(crate) fn resident_max_mib(&self) -> f64 {
        self.status_mib("VmHWM:")
    }

    fn status_mib(&self, name: &str) -> f64 {
        let text = self.proc("status");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or(f64::NAN) / 1024.0
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }

    /// What it has counted.
    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        let answer = self.get("/v1/status").await?;
        serde_json::from_slice(&answer.body).map_err(|error| unreadable(&error.to_string()))
    }

    /// One of its metrics, by its full name.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64, Failure> {
        let answer = self.get("/metrics").await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.trim().parse().ok())
            .ok_or_else(|| unreadable(&format!("no metric {name}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time that this machine has spent on anything, and that this process has (s).
pub(crate) fn machine_and_own_seconds() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = text.lines().next().unwrap_or_default();
    let fields = all.split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal: all but the two that are waiting.
    let busy: f64 = [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|&n| ticks.get(n))
        .sum();
    let own = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    (busy / TICKS_PER_SECOND, stat_seconds(&own))
}

/// Fields 14 and 15 of a process's stat, counted after its name, which may hold anything.
fn stat_seconds(text: &str) -> f64 {
    let rest = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// Bytes of all files below a directory.
pub(crate) fn bytes_below(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

fn system(error: &std::io::Error) -> Failure {
    Failure::system("a node's process", error)
}

fn unreadable(why: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        "node_answer",
        format!("a node's answer cannot be used: {why}"),
    )
}
