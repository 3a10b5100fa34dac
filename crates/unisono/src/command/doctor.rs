//! Looks for what goes wrong on machines: a node that is no member any more, keys that others can read,
//! certificates out of their time, ports that are taken, a full disk, clocks that differ, members that are away, another version.
//!
//! Nothing is changed. Each finding says what to do about it.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use unisono_api::client::{AgentKey, Client};
use unisono_api::dto::{CertificateWord, Clock, NodeCertificate, Status, SyncWord};
use unisono_quic::identity::{Credentials, spoken};

use super::session::connect;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::{self, Home, Membership, ROOT_KEY_FILE};
use crate::limits::WALL_CLOCK_APART_MS_MAX;
use crate::output::{self, Table};
use crate::renewal::{APART_MS, NOT_MEMBER};
use crate::room;
use crate::rotation;
use crate::sealed;
use crate::standing::{self, Word};

mod members;

/// Less room than this is worth a word (bytes): a busy node writes about as much in a day.
const ROOM_LOW_BYTES: u64 = 1 << 30;
/// With less room than this writes are about to be refused (bytes).
const ROOM_NONE_BYTES: u64 = 64 << 20;
/// A node that is there answers within this.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// A clock that is so far off is worth a word (ms): beyond 500 ms other nodes refuse its stamps.
const CLOCK_OFF_MS: i64 = 250;

/// How something is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    /// It works, but not for long, or not well.
    Poor,
    /// It does not work.
    Bad,
    /// It could not be looked at.
    Unknown,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
struct Finding {
    what: &'static str,
    state: State,
    detail: String,
    /// What to do about it; empty where there is nothing to do.
    hint: String,
}

#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, what: &'static str, state: State, detail: impl Into<String>, hint: &str) {
        self.0.push(Finding {
            what,
            state,
            detail: detail.into(),
            hint: hint.to_owned(),
        });
    }

    fn good(&mut self, what: &'static str, detail: impl Into<String>) {
        self.add(what, State::Good, detail, "");
    }

    fn failed(&mut self, what: &'static str, failure: &Failure) {
        let report = failure.report();
        self.add(what, State::Bad, report.error.clone(), &report.hint);
    }
}

/// Looks at this machine's directory and, where one answers, at its node.
///
/// # Errors
/// Something is bad; all findings are printed before.
pub(crate) async fn run(config: Config, global: Global) -> Result<(), Failure> {
    let mut findings = Findings::default();
    let home = Home::new(config.data());
    membership(&home, &mut findings);
    directory(&home, &mut findings);
    let client = connect(&nearest(&home, config.clone())).await?;
    match tokio::time::timeout(ANSWERS_WITHIN, client.status()).await {
        // Nobody has named it: it happens to listen where this one would.
        Ok(Ok(status)) if config.is_default("node") && is_anothers(&home, &status.body) => {
            let words = format!(
                "it does not run: {}, which answers there, serves another directory",
                status.body.name
            );
            silent(&home, &config, &words, &mut findings);
        }
        Ok(Ok(status)) => {
            whose(&home, &status.body, &mut findings);
            node(&client, &status.body, &mut findings).await;
        }
        Ok(Err(error)) => silent(&home, &config, &error.to_string(), &mut findings),
        Err(_) => {
            let words = "what listens there does not answer";
            silent(&home, &config, words, &mut findings);
        }
    }
    let bad = findings.0.iter().filter(|one| one.state == State::Bad);
    let bad = bad.count();
    let columns = &[
        ("WHAT", "what"),
        ("STATE", "state"),
        ("DETAIL", "detail"),
        ("WHAT TO DO", "hint"),
    ];
    let table = Table {
        list: "findings",
        columns,
    };
    output::answer(
        global.output,
        &json!({ "healthy": bad == 0, "findings": findings.0 }),
        Some(table),
    )?;
    if bad == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        "unhealthy",
        format!("{bad} of {} things are bad", findings.0.len()),
    )
    .hint("the findings say what to do; nothing was changed"))
}

/// Where nobody has named a node, the one that serves the directory is asked.
fn nearest(home: &Home, config: Config) -> Config {
    match home.running() {
        Some(running) if config.is_default("node") => {
            config.with("node", format!("http://{}", running.http))
        }
        _ => config,
    }
}

/// What the directory remembers of what became of its node: whoever is no member need not look at ports.
fn membership(home: &Home, findings: &mut Findings) {
    let Some(known) = standing::of(home) else {
        return;
    };
    let state = match known.word {
        Word::Left => State::Poor,
        Word::Removed | Word::InviteOutdone | Word::TurnedAway | Word::NotMember => State::Bad,
    };
    let ago = spoken(home::now_ms().saturating_sub(known.at_ms));
    let detail = format!("{} (told {ago} ago)", known.detail);
    findings.add("membership", state, detail, known.word.hint());
}

/// Whether the node that answers is one of another directory, as far as can be seen.
fn is_anothers(home: &Home, status: &Status) -> bool {
    let own = home.load();
    own.is_ok_and(|(_, credentials)| credentials.key().id() != status.node)
}

/// Whether the node that answers is the directory's own.
fn whose(home: &Home, status: &Status, findings: &mut Findings) {
    if is_anothers(home, status) {
        findings.add(
            "this directory",
            State::Poor,
            format!("{} answers, and serves another directory", status.name),
            "start this one with `unisono serve --data`, or name its node with --node",
        );
    }
}

fn directory(home: &Home, findings: &mut Findings) {
    if rotation::is_begun(home) {
        let hint = "give `unisono node rotate` again, and do not remove `next`: agents may have \
            their keys from there";
        let words = "the node's next key is drawn, and not in its place yet";
        findings.add("rotation", State::Poor, words, hint);
    }
    let membership = match home.membership() {
        Ok(membership) => membership,
        Err(failure) => return findings.failed("directory", &failure),
    };
    let place = home.directory().display();
    findings.good(
        "directory",
        format!("{place}, a node of cluster {}", membership.cluster),
    );
    match Credentials::load(home.directory(), Some(membership.cluster)) {
        Ok(credentials) => {
            findings.good("keys", "closed to others, and of this cluster");
            certificate(&credentials, findings);
            authority(&credentials, findings);
        }
        Err(error) => findings.failed("keys", &error.into()),
    }
    root_key(home, &membership, findings);
    room(home.directory(), findings);
}

fn certificate(credentials: &Credentials, findings: &mut Findings) {
    let (what, validity, now_ms) = ("certificate", credentials.validity(), home::now_ms());
    let life_ms = unisono_quic::limits::NODE_CERTIFICATE_MS;
    let ends = spoken(validity.until_ms.saturating_sub(now_ms));
    let authority = credentials.authority_certificate();
    if let Err(error) = credentials.certificate().vouched_by(authority, now_ms) {
        let hint = "if this machine's clock is right, serve the node where it reaches one that holds \
            ca.key: that one signs the next, as long as the node is a member";
        findings.add(what, State::Bad, error.to_string(), hint);
    } else if validity.is_overdue(life_ms, now_ms) {
        let detail = format!("it ends in {ends}, and it was time for the next one long ago");
        findings.add(what, State::Poor, detail, NO_SIGNER);
    } else {
        let detail = format!("signed by the cluster, ends in {ends}, renews itself before");
        findings.good(what, detail);
    }
}

/// Whether the keys in the directory go with the authority that signs.
fn authority(credentials: &Credentials, findings: &mut Findings) {
    let what = "authority";
    let current = credentials.authorities().current();
    let number = current.rank().0;
    if credentials.held().is_some() && credentials.authority().is_none() {
        let detail = format!("ca.key here signs no more: authority {number} has taken its place");
        let hint = "copy ca.key of a node that signs, mode 600, over it and start this node again, or \
            remove it: `unisono ca show` says where it is";
        return findings.add(what, State::Poor, detail, hint);
    }
    if !credentials.has_moved() {
        let detail =
            format!("the certificate is of the one before authority {number}, which signs");
        let hint =
            "serve the node where it reaches one that signs: it asks for the next one itself";
        return findings.add(what, State::Poor, detail, hint);
    }
    let others = credentials.authorities().all().len() - 1;
    findings.good(
        what,
        format!("number {number} signs, {others} before it are known"),
    );
}

/// What the node says of its own certificate.
fn renewal(certificate: &NodeCertificate, findings: &mut Findings) {
    let what = "renewal";
    if let Some(trouble) = &certificate.trouble {
        let state = match certificate.state {
            CertificateWord::Ended => State::Bad,
            CertificateWord::Fresh | CertificateWord::Due | CertificateWord::Overdue => State::Poor,
        };
        let since = spoken(home::now_ms().saturating_sub(trouble.since_ms));
        let detail = format!("fails since {since} ({}): {}", trouble.code, trouble.detail);
        return findings.add(what, state, detail, hint_of(&trouble.code));
    }
    let apart_ms = certificate.clock_apart_ms.unwrap_or_default();
    if apart_ms.unsigned_abs() > APART_MS {
        let detail = format!(
            "the clock of who signed is {} {} this machine's",
            spoken(apart_ms.unsigned_abs()),
            if apart_ms > 0 { "ahead of" } else { "behind" },
        );
        let hint = "set the clock that is off (NTP): a day apart, certificates no longer count";
        return findings.add(what, State::Poor, detail, hint);
    }
    let words = match (certificate.signs, certificate.signed_by) {
        (true, _) => "this node holds ca.key: it signs its own and others'".to_owned(),
        (false, Some(node)) => format!("node {node} signed the last one"),
        (false, None) => "it was not yet time for it in this process".to_owned(),
    };
    findings.good(what, words);
}

/// What to do where nobody signs.
const NO_SIGNER: &str = "bring a node with ca.key within reach; a copy of that file, mode 600, in a \
    second node's directory makes that one sign too. Members that are cut off with this one go on";

fn hint_of(code: &str) -> &'static str {
    match code {
        NOT_MEMBER => {
            "the cluster does not let this node in: `unisono members` on another one says why"
        }
        "clock_apart" => "set the clock that is off (NTP)",
        "not_saved" => {
            "make room, and look whose the directory is: the new certificate is in use, but not on disk"
        }
        _ => NO_SIGNER,
    }
}

fn root_key(home: &Home, membership: &Membership, findings: &mut Findings) {
    let path = home.directory().join(ROOT_KEY_FILE);
    if !path.exists() {
        return findings.good("root of rights", "not on this machine");
    }
    if sealed::is_sealed_file(&path) {
        let detail = "on this machine, protected by a passphrase; it may be kept elsewhere";
        return findings.good("root of rights", detail);
    }
    match AgentKey::load(&path) {
        Ok(key) if home.root(membership).1 == Some(key.agent()) => {
            findings.good(
                "root of rights",
                "on this machine, closed to others; it may be kept elsewhere",
            );
        }
        Ok(_) => findings.add(
            "root of rights",
            State::Poor,
            format!(
                "{} is a former root's, or another cluster's",
                path.display()
            ),
            "move it away",
        ),
        Err(error) => findings.add(
            "root of rights",
            State::Bad,
            format!("{}: {error}", path.display()),
            "close it to others, and think of it as known if it was open",
        ),
    }
}

fn room(directory: &Path, findings: &mut Findings) {
    let what = "disk";
    match room::free_bytes(directory) {
        None => findings.add(what, State::Unknown, "the system does not say", ""),
        Some(free) => {
            let detail = format!("{} MiB are free", free >> 20);
            let hint = "make room: writes are refused when there is none, reads go on";
            match free {
                0..ROOM_NONE_BYTES => findings.add(what, State::Bad, detail, hint),
                ROOM_NONE_BYTES..ROOM_LOW_BYTES => findings.add(what, State::Poor, detail, hint),
                ROOM_LOW_BYTES.. => findings.good(what, detail),
            }
        }
    }
}

/// No node answers: is the way free for one?
fn silent(home: &Home, config: &Config, error: &str, findings: &mut Findings) {
    findings.add(
        "node",
        State::Unknown,
        error,
        "start it with `unisono serve`, or name where it answers with --node",
    );
    if let Some(running) = home.running() {
        findings.add(
            "last process",
            State::Poor,
            format!(
                "process {} has not said goodbye; it listened at {}",
                running.pid, running.http
            ),
            "if it is gone, that is harmless: the next start takes over",
        );
    }
    for (what, key) in [("port for agents", "http"), ("port for peers", "peer")] {
        let taken = match config.address(key) {
            Err(failure) => {
                findings.failed(what, &failure);
                continue;
            }
            // Peers come over UDP.
            Ok(address) if key == "peer" => (address, std::net::UdpSocket::bind(address).err()),
            Ok(address) => (address, TcpListener::bind(address).err()),
        };
        match taken {
            (address, None) => findings.good(what, format!("{address} is free")),
            (address, Some(error)) => findings.add(
                what,
                State::Bad,
                format!("{address}: {error}"),
                "end what listens there, or name another address with --http and --peer",
            ),
        }
    }
}

async fn node(client: &Client, status: &Status, findings: &mut Findings) {
    findings.good("node", format!("{} answers", status.name));
    version(client, findings).await;
    if status.disk_full {
        let detail = "the node's disk is full: it refuses writes";
        findings.add(
            "writes",
            State::Bad,
            detail,
            "make room; it recovers by itself",
        );
    }
    for damage in &status.damage {
        findings.add(
            "stored logs",
            State::Bad,
            format!("{damage:?}"),
            "bundles that another member has are fetched by themselves; `unisono verify` says more",
        );
    }
    if let Some(certificate) = &status.certificate {
        renewal(certificate, findings);
    }
    match client.clock().await {
        Ok(clock) => {
            wall_clock(status, clock.body.state, findings);
            cluster_clock(&clock.body, home::now_ms(), findings);
        }
        Err(error) => findings.add("cluster's clock", State::Unknown, error.to_string(), ""),
    }
    members::look(&status.members, findings);
}

async fn version(client: &Client, findings: &mut Findings) {
    let own = env!("CARGO_PKG_VERSION");
    match client.version().await {
        Ok(told) if told.version == own => findings.good("version", format!("{own}, as this one")),
        Ok(told) => findings.add(
            "version",
            State::Poor,
            format!("the node runs {}, this program is {own}", told.version),
            "use one version for both",
        ),
        Err(error) => findings.add("version", State::Unknown, error.to_string(), ""),
    }
}

fn wall_clock(status: &Status, follows: SyncWord, findings: &mut Findings) {
    let what = "machine's clock";
    if let Some(ahead_ms) = status.stamps_ahead_ms {
        findings.add(
            what,
            State::Bad,
            format!("it was ahead: the node has stamped {ahead_ms} ms further than it is now"),
            "where others are members, use another node until the clock has come there; nobody can join by this one meanwhile",
        );
    }
    match status.clock_offset_ms {
        None => findings.add(
            what,
            State::Unknown,
            "fewer than two other members were heard, so nobody can say",
            "",
        ),
        // What it goes by until then is what it knew before its start: a clock that was mended since is
        // not to be accused.
        Some(off_ms)
            if off_ms.abs() > CLOCK_OFF_MS
                && matches!(follows, SyncWord::Unset | SyncWord::Holdover) =>
        {
            findings.add(
                what,
                State::Unknown,
                format!(
                    "{off_ms} ms from the other members', and the node is still asking for the time"
                ),
                "ask again in some seconds",
            );
        }
        Some(off_ms) if off_ms.abs() > CLOCK_OFF_MS => findings.add(
            what,
            State::Bad,
            format!("{off_ms} ms from the other members'"),
            "let the machine be synchronised (NTP): far off, its writes are refused",
        ),
        Some(off_ms) => findings.good(what, format!("{off_ms} ms from the other members'")),
    }
}

/// What to do where the cluster's time is not known well.
const NO_LEADER: &str = "where the node has just started, ask again in some seconds; else: can it reach its \
    region's leader over UDP?";

fn cluster_clock(clock: &Clock, wall_ms: u64, findings: &mut Findings) {
    let words = super::clock::words(clock);
    let what = "cluster's clock";
    match clock.state {
        SyncWord::Synchronised | SyncWord::FreeRunning => {}
        SyncWord::Unset | SyncWord::Holdover => {
            return findings.add(what, State::Poor, words, NO_LEADER);
        }
    }
    let apart_ms = clock.estimate_ms.map_or(0.0, |ms| ms - wall_ms as f64);
    if apart_ms.abs() <= WALL_CLOCK_APART_MS_MAX as f64 {
        return match clock.state {
            SyncWord::FreeRunning => findings.add(what, State::Poor, words, NO_LEADER),
            _ => findings.good(what, words),
        };
    }
    let way = if apart_ms < 0.0 { "behind" } else { "ahead of" };
    let detail = format!(
        "{:.1} s {way} the clock of this machine; {} s are good",
        apart_ms.abs() / 1e3,
        WALL_CLOCK_APART_MS_MAX / 1_000
    );
    let hint = "all nodes go by the clock of the one that leads (`unisono clock`). If this machine's is wrong, \
        set it (NTP). If the leader's is, set that one; where the cluster is behind after that, stop all \
        nodes, remove `caches/timing` in their directories, and start the leader first";
    findings.add(what, State::Poor, detail, hint);
}

#[cfg(test)]
mod tests {
    use unisono_api::dto::TimingRole;

    use super::*;

    fn found(state: SyncWord, estimate_ms: f64, wall_ms: u64) -> Finding {
        let mut findings = Findings::default();
        let clock = json!({
            "state": state,
            "role": TimingRole::Member,
            "estimate_ms": estimate_ms,
            "epoch": 1,
            "epoch_known": 1,
            "monotonic_ns": 0,
            "rate_ppb": 0.0,
            "correction_ns": 0,
            "sources": [],
        });
        let clock: Clock = serde_json::from_value(clock).expect("a clock");
        cluster_clock(&clock, wall_ms, &mut findings);
        findings.0.remove(0)
    }

    #[test]
    fn a_clock_that_is_further_from_the_clusters_than_the_bound_is_named_and_no_nearer_one() {
        let wall_ms = 1_763_723_400_000;
        let most = WALL_CLOCK_APART_MS_MAX as f64;
        for apart_ms in [0.0, most, -most] {
            let one = found(SyncWord::Synchronised, wall_ms as f64 + apart_ms, wall_ms);
            assert_eq!(one.state, State::Good, "{apart_ms}: {one:?}");
        }
        for (apart_ms, word) in [(5_000.0, "5.0 s ahead of"), (-1_500.0, "1.5 s behind")] {
            let one = found(SyncWord::Synchronised, wall_ms as f64 + apart_ms, wall_ms);
            assert_eq!(one.state, State::Poor, "{apart_ms}");
            assert!(one.detail.contains(word), "{one:?}");
            assert!(one.hint.contains("NTP"), "{one:?}");
        }
    }

    #[test]
    fn a_clock_is_not_accused_before_the_node_knows_the_time() {
        for state in [SyncWord::Unset, SyncWord::Holdover] {
            let one = found(state, 5_000.0, 0);
            assert!(!one.detail.contains("the clock of this machine"), "{one:?}");
            assert!(one.hint.contains("just started"), "{one:?}");
        }
    }
}
