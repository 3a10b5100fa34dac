//! The data directory: which cluster, which node, whose invites, where the journal lies.
//!
//! ```text
//! cluster.toml                        cluster, founder, longest lease, this node's name, whom to knock at
//! node.key node.crt ca.crt [ca.key]   who this node is, and who belongs
//! [ca.next.key ca.next.crt]           the authority that is to be, while it is changed
//! [root.key]                          the root of rights: on the founder, until it is taken away
//! invites/                            invites made here: their public halves, and who used them
//! journal/                            everything else; locked by the process that serves
//! caches/                             what saves time at the start; may be removed
//! run.json                            where the running process listens; a convenience, not state
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use unisono_api::client::AgentKey;
use unisono_core::timekeeper::Remembered;
use unisono_model::{AgentId, ClusterId, Digest, NodeId, limits};
use unisono_quic::identity::{
    CA_CERTIFICATE_FILE, CA_KEY_FILE, CA_NEXT_CERTIFICATE_FILE, CA_NEXT_KEY_FILE, Credentials,
    IdentityError, NODE_CERTIFICATE_FILE, NODE_KEY_FILE, NodeKey, Region,
};

use crate::failure::{Exit, Failure};
use crate::small_file;

/// The version of the directory's layout that this program writes and reads.
const FORMAT: u32 = 1;
/// The root of rights.
pub(crate) const ROOT_KEY_FILE: &str = "root.key";
/// Longest file of what is remembered of the cluster's time (bytes): some hundred bytes for each of
/// the nodes that are measured.
const TIMING_BYTES_MAX: u64 = 256 << 10;
/// What a node's region is called where nobody says.
pub(crate) const REGION: &str = "local";

/// A data directory.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    directory: PathBuf,
}

/// What `cluster.toml` says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    /// The version of the directory's layout.
    format: u32,
    /// The cluster.
    pub(crate) cluster: ClusterId,
    /// Who founded it.
    pub(crate) founder: NodeId,
    /// The key that issues first capability links; none in a cluster founded before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<AgentId>,
    /// The longest lease (ms): the same on every node, since folds read it.
    pub(crate) lease_ms_max: u64,
    /// The name of this node that people read.
    pub(crate) name: String,
    /// Members that this node may knock at; empty for the founder.
    #[serde(default)]
    pub(crate) seeds: Vec<Seed>,
}

/// A member to knock at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seed {
    /// Who.
    pub(crate) node: NodeId,
    /// Where, `host:port`.
    pub(crate) address: String,
}

/// Where the running process listens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The process.
    pub(crate) pid: u32,
    /// Where agents are served.
    pub(crate) http: String,
    /// Where peers are told to knock.
    pub(crate) peer: String,
}

impl Home {
    /// The data directory at a path, whether it is there or not.
    pub(crate) fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Where it is.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where the journal lies.
    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    /// Where the caches lie.
    pub(crate) fn caches(&self) -> PathBuf {
        self.directory.join("caches")
    }

    /// Where the invites lie.
    pub(crate) fn invites(&self) -> PathBuf {
        self.directory.join("invites")
    }

    /// Whether the key of an authority lies here that is to take the place of another one.
    pub(crate) fn has_next_authority(&self) -> bool {
        self.directory.join(CA_NEXT_KEY_FILE).exists()
    }

    /// Whether it belongs to a node of a cluster.
    pub(crate) fn is_member(&self) -> bool {
        self.cluster_file().exists()
    }

    /// Founds a cluster with this node as its first member.
    pub(crate) fn found(
        &self,
        name: Option<&str>,
        region: &Region,
        lease_ms_max: u64,
    ) -> Result<(Membership, Credentials), Failure> {
        if self.is_member() {
            let cluster = self.membership()?.cluster;
            return Err(self.taken(cluster).next("unisono serve"));
        }
        let allowed = *limits::LEASE_MS.start()..=*limits::LEASE_MS.end();
        if !allowed.contains(&lease_ms_max) {
            return Err(Failure::usage(format!(
                "the longest lease is {} to {} ms, not {lease_ms_max}",
                allowed.start(),
                allowed.end()
            )));
        }
        // An earlier init may have been interrupted after the keys: they are finished, not replaced.
        let credentials = match Credentials::load(&self.directory, None) {
            Ok(credentials) => credentials,
            Err(IdentityError::Missing { .. }) => {
                let key = self.key()?;
                let cluster = ClusterId(drawn()?);
                let credentials = Credentials::found(cluster, key, region, now_ms())?;
                credentials.save(&self.directory)?;
                credentials
            }
            Err(other) => return Err(other.into()),
        };
        let membership = Membership {
            format: FORMAT,
            cluster: credentials.cluster(),
            founder: credentials.node(),
            root: Some(self.root_key()?.agent()),
            lease_ms_max,
            name: name.map_or_else(|| name_of(credentials.node()), str::to_owned),
            seeds: Vec::new(),
        };
        self.write_membership(&membership)?;
        Ok((membership, credentials))
    }

    /// Writes what a join has gained.
    pub(crate) fn joined(
        &self,
        credentials: &Credentials,
        name: Option<&str>,
        welcome: &Welcome,
    ) -> Result<Membership, Failure> {
        credentials.save(&self.directory)?;
        let membership = Membership {
            format: FORMAT,
            cluster: credentials.cluster(),
            founder: welcome.founder,
            root: welcome.root,
            lease_ms_max: welcome.lease_ms_max,
            name: name.map_or_else(|| name_of(credentials.node()), str::to_owned),
            seeds: welcome.members.clone(),
        };
        self.write_membership(&membership)?;
        Ok(membership)
    }

    /// The node's key: the one that is there, or a new one, saved.
    pub(crate) fn key(&self) -> Result<NodeKey, Failure> {
        match Credentials::load_key(&self.directory) {
            Ok(key) => Ok(key),
            Err(IdentityError::Missing { .. }) => {
                let key = NodeKey::generate();
                Credentials::save_key(&self.directory, &key)?;
                Ok(key)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The cluster's root of rights: the one that is there, or a new one, saved. Nothing but issuing
    /// first links, guarding and fencing needs it; it may be taken off the machine.
    pub(crate) fn root_key(&self) -> Result<AgentKey, Failure> {
        let path = self.directory.join(ROOT_KEY_FILE);
        AgentKey::load_or_create(&path)
            .map_err(|error| Failure::system(&path.display().to_string(), &error))
    }

    /// Who this node is, and in which cluster.
    pub(crate) fn load(&self) -> Result<(Membership, Credentials), Failure> {
        let membership = self.membership()?;
        let credentials = Credentials::load(&self.directory, Some(membership.cluster))?;
        // Another authority is believed by the word of the root alone.
        let credentials = credentials.under(membership.root);
        Ok((membership, credentials))
    }

    /// What `cluster.toml` says.
    pub(crate) fn membership(&self) -> Result<Membership, Failure> {
        let path = self.cluster_file();
        let text = fs::read_to_string(&path).map_err(|error| self.unreadable(&path, &error))?;
        let broken = |error: String| {
            let words = format!("{} cannot be read: {error}", path.display());
            Failure::new(Exit::Verification, "data_broken", words)
                .hint("restore it from a backup, or move the directory away")
        };
        // The version first, since a newer layout may have fields that this program refuses.
        let table: toml::Table = text
            .parse()
            .map_err(|e: toml::de::Error| broken(e.to_string()))?;
        let format = table
            .get("format")
            .and_then(toml::Value::as_integer)
            .unwrap_or(0);
        if format > i64::from(FORMAT) {
            let words = format!(
                "{} has format version {format}, this program knows up to {FORMAT}",
                self.directory.display()
            );
            return Err(Failure::new(Exit::Verification, "newer_version", words)
                .hint("start the newer program, or name another directory with --data"));
        }
        toml::from_str(&text).map_err(|error| broken(error.to_string()))
    }

    /// Says where the process listens, for `invite` and whoever looks.
    pub(crate) fn write_running(&self, running: &Running) -> io::Result<()> {
        let text = serde_json::to_string(running).map_err(io::Error::other)?;
        replace(&self.directory.join("run.json"), &format!("{text}\n"))
    }

    /// Where a process listens that was started here and has not said goodbye. It may be gone.
    pub(crate) fn running(&self) -> Option<Running> {
        let text = fs::read_to_string(self.directory.join("run.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// What an earlier process knew of the cluster's time, if it can be read whole.
    pub(crate) fn timing_memory(&self) -> Option<Remembered> {
        let text = small_file::text(&self.timing_file(), TIMING_BYTES_MAX).ok()?;
        let (digest, told) = text.split_once('\n')?;
        (digest == timing_digest(told)).then(|| serde_json::from_str(told).ok())?
    }

    /// Remembers it for the next one.
    pub(crate) fn write_timing_memory(&self, known: &Remembered) -> io::Result<()> {
        let told = serde_json::to_string(known).map_err(io::Error::other)?;
        fs::create_dir_all(self.caches())?;
        let text = format!("{}\n{told}", timing_digest(&told));
        replace(&self.timing_file(), &text)
    }

    fn timing_file(&self) -> PathBuf {
        self.caches().join("timing")
    }

    /// Says goodbye.
    pub(crate) fn remove_running(&self) {
        // Whoever finds it later asks a port that nobody answers: no harm.
        let _ = fs::remove_file(self.directory.join("run.json"));
    }

    /// Keys of which there may be no other copy: the cluster's authority, and the root's.
    pub(crate) fn only_keys(&self) -> impl Iterator<Item = &'static str> {
        let files = [CA_KEY_FILE, CA_NEXT_KEY_FILE, ROOT_KEY_FILE].into_iter();
        files.filter(|file| self.directory.join(file).exists())
    }

    /// The files beside the journal, for a backup.
    pub(crate) fn credential_files(&self) -> Vec<PathBuf> {
        let names = [
            "cluster.toml",
            NODE_KEY_FILE,
            NODE_CERTIFICATE_FILE,
            CA_CERTIFICATE_FILE,
            CA_KEY_FILE,
            CA_NEXT_KEY_FILE,
            CA_NEXT_CERTIFICATE_FILE,
            ROOT_KEY_FILE,
        ];
        let files = names.iter().map(|name| self.directory.join(name));
        files.filter(|file| file.exists()).collect()
    }

    /// A refusal, since the directory belongs to a node already.
    pub(crate) fn taken(&self, cluster: ClusterId) -> Failure {
        let words = format!(
            "{} belongs to a node of cluster {cluster}",
            self.directory.display()
        );
        Failure::new(Exit::Conflict, "already_initialised", words)
            .hint("serve it, or name another directory with --data")
    }

    fn cluster_file(&self) -> PathBuf {
        self.directory.join("cluster.toml")
    }

    fn write_membership(&self, membership: &Membership) -> Result<(), Failure> {
        let path = self.cluster_file();
        let text = toml::to_string(membership)
            .map_err(|error| Failure::new(Exit::Failed, "unprintable", error.to_string()))?;
        replace(&path, &text).map_err(|error| Failure::system(&path.display().to_string(), &error))
    }

    fn unreadable(&self, path: &Path, error: &io::Error) -> Failure {
        if error.kind() != io::ErrorKind::NotFound {
            return Failure::system(&path.display().to_string(), error);
        }
        let words = format!(
            "{} is no data directory of a node yet",
            self.directory.display()
        );
        Failure::new(Exit::NotFound, "not_initialised", words)
            .hint("found a cluster, join one, or name the right directory with --data")
            .next("unisono up")
            .next("unisono init")
            .next("unisono join STRING")
    }
}

/// What a joiner is told beside its certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Welcome {
    /// Who founded the cluster.
    pub(crate) founder: NodeId,
    /// The key that issues first capability links.
    #[serde(default)]
    pub(crate) root: Option<AgentId>,
    /// The longest lease (ms).
    pub(crate) lease_ms_max: u64,
    /// The members.
    pub(crate) members: Vec<Seed>,
}

/// Puts a file in place, whole and durable, readable by its owner alone.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.part", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let directory = path.parent().unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// A flipped bit in a number would still be a number.
fn timing_digest(told: &str) -> String {
    Digest::of("unisono/timing-memory/v1", &[told.as_bytes()]).to_string()
}

/// The time in milliseconds since the Unix epoch, by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes that nobody can guess.
pub(crate) fn drawn<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::new(
            Exit::Failed,
            "no_randomness",
            format!("no random bytes: {error}"),
        )
    })?;
    Ok(bytes)
}

fn name_of(node: NodeId) -> String {
    format!("node-{:02x}{:02x}", node.0[0], node.0[1])
}
