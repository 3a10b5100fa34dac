//! The data directory: which cluster, which node, whose invites, where the journal lies.
//!
//! ```text
//! cluster.toml                        cluster, founder, longest lease, this node's name, whom to knock at
//! node.key node.crt ca.crt [ca.key]   who this node is, and who belongs
//! [ca.next.key ca.next.crt]           the authority that is to be, while it is changed
//! [root.key]                          the root of rights: on the founder, until it is taken away
//! [recovery.key]                      names another root: on the founder, until it is taken away
//! [root.next.key root.former.N.key]   the root that is to be, while it is changed, and those that were
//! [roots.json]                        the words that name other roots, as this node has heard them
//! [renewer.token]                     lets the node renew tokens
//! invites/                            invites made here: their public halves, and who used them
//! journal/                            everything else; locked by the process that serves
//! caches/                             what saves time at the start; may be removed
//! [next/ rotation.* former.N/]         another identity of this node: see `rotation`
//! standing.json                       what has become of its membership, where that is not well
//! run.json                            where the running process listens; a convenience, not state
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use unisono_api::client::AgentKey;
use unisono_api::dto::{RootBody, parse_token, token_text};
use unisono_core::context::{StrictVerifier, Verifier as _};
use unisono_core::timekeeper::Remembered;
use unisono_model::capability::{LINK_VERSION, Link, RENEWER, Token};
use unisono_model::{AgentId, ClusterId, Digest, NodeId, RootWord, limits};
use unisono_quic::identity::{
    CA_CERTIFICATE_FILE, CA_KEY_FILE, CA_NEXT_CERTIFICATE_FILE, CA_NEXT_KEY_FILE, Credentials,
    IdentityError, NODE_CERTIFICATE_FILE, NODE_KEY_FILE, NodeKey, Region,
};

use crate::failure::{Exit, Failure};
use crate::sealed::Passphrase;
use crate::{sealed, small_file, tier};

/// The version of the directory's layout that this program writes and reads.
const FORMAT: u32 = 1;
/// The root of rights.
pub(crate) const ROOT_KEY_FILE: &str = "root.key";
/// The key that names other roots.
pub(crate) const RECOVERY_KEY_FILE: &str = "recovery.key";
/// The root that is to be, while it is changed.
pub(crate) const ROOT_NEXT_KEY_FILE: &str = "root.next.key";
/// The words that name other roots.
pub(crate) const ROOTS_FILE: &str = "roots.json";
/// There while the node's key changes: see [`crate::rotation`].
pub(crate) const ROTATION_FILE: &str = "rotation.json";
/// Longest file of such words (bytes): all that there can be.
const ROOTS_BYTES_MAX: u64 = 256 << 10;
/// How long the founder's node may renew tokens before a root has to let it again (ms): a year.
const RENEWER_LIFE_MS: u64 = 365 * 24 * 3_600_000;
/// The token by which the node renews others, if it may.
pub(crate) const RENEWER_TOKEN_FILE: &str = "renewer.token";
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
    /// The key that names other roots; none in a cluster founded before there was one, where that root
    /// does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) recovery: Option<AgentId>,
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
        self.cluster_file().exists() || self.is_moving()
    }

    /// Whether files of its node and of the one that is to be change places.
    pub(crate) fn is_moving(&self) -> bool {
        self.directory.join(ROTATION_FILE).exists()
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
        let root = self.drawn_key(ROOT_KEY_FILE)?;
        let recovery = self.drawn_key(RECOVERY_KEY_FILE)?;
        let membership = Membership {
            format: FORMAT,
            cluster: credentials.cluster(),
            founder: credentials.node(),
            root: Some(root.agent()),
            recovery: Some(recovery.agent()),
            lease_ms_max,
            name: name.map_or_else(|| name_of(credentials.node()), str::to_owned),
            seeds: Vec::new(),
        };
        self.let_renew(&membership, &root)?;
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
            recovery: welcome.recovery,
            lease_ms_max: welcome.lease_ms_max,
            name: name.map_or_else(|| name_of(credentials.node()), str::to_owned),
            seeds: welcome.members.clone(),
        };
        self.write_roots(&welcome.roots)
            .map_err(|error| Failure::system(ROOTS_FILE, &error))?;
        self.write_membership(&membership)?;
        Ok(membership)
    }

    /// The words that name other roots, as they were heard here, without those that nobody has said.
    pub(crate) fn root_words(&self, membership: &Membership) -> Vec<RootWord> {
        let Ok(text) = small_file::text(&self.directory.join(ROOTS_FILE), ROOTS_BYTES_MAX) else {
            return Vec::new();
        };
        let words: Vec<RootBody> = serde_json::from_str(&text).unwrap_or_default();
        let words = words.into_iter().map(RootWord::from);
        words.filter(|word| membership.has_named(word)).collect()
    }

    /// Remembers them, for the next process and for who gives commands here.
    pub(crate) fn write_roots(&self, words: &[RootBody]) -> io::Result<()> {
        if words.is_empty() {
            return Ok(());
        }
        let text = serde_json::to_string(words).map_err(io::Error::other)?;
        replace(&self.directory.join(ROOTS_FILE), &format!("{text}\n"))
    }

    /// The root of rights by now, as far as this directory knows, with its number.
    pub(crate) fn root(&self, membership: &Membership) -> (u32, Option<AgentId>) {
        let now_ms = now_ms();
        let words = self.root_words(membership).into_iter();
        let begun = words.filter(|word| word.from_ms <= now_ms);
        let highest = begun.max_by_key(|word| (word.number, word.root));
        highest.map_or((0, membership.root), |word| (word.number, Some(word.root)))
    }

    /// Whether the key of the root that stands lies here.
    pub(crate) fn holds_root(&self, membership: &Membership) -> bool {
        let key = AgentKey::load(&self.directory.join(ROOT_KEY_FILE)).ok();
        let (_, root) = self.root(membership);
        root.is_some() && key.map(|key| key.agent()) == root
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

    /// A key of the cluster's operator: the one that is there, or a new one, saved. The root's issues
    /// first links, guards and fences; the recovery key names another root. Both may be taken off the
    /// machine, and the second one should be at once.
    pub(crate) fn drawn_key(&self, file: &str) -> Result<AgentKey, Failure> {
        let path = self.directory.join(file);
        sealed::agent_key_or_new(&path)
    }

    /// The bytes of the token that lets this node renew others, if there is one that can be read.
    pub(crate) fn renewer_token(&self) -> Option<Vec<u8>> {
        let path = self.directory.join(RENEWER_TOKEN_FILE);
        let text = small_file::text(&path, small_file::BYTES_MAX).ok()?;
        let read = parse_token(&text);
        let unread = |words: &&str| tracing::warn!(words, "renewer.token is no token");
        read.inspect_err(unread).ok()
    }

    /// Lets the founder's node renew tokens: a root is there at this moment, and may be taken away.
    fn let_renew(&self, membership: &Membership, root: &AgentKey) -> Result<(), Failure> {
        let shape = tier::shape(RENEWER, &tier::Given::default())?;
        let now_ms = now_ms();
        let link = Link {
            version: LINK_VERSION,
            cluster: membership.cluster,
            issuer: root.agent(),
            audience: AgentId(membership.founder.0),
            parent: Digest::default(),
            nonce: drawn()?,
            epoch: 0,
            not_before_ms: now_ms.saturating_sub(10_000),
            expires_ms: now_ms.saturating_add(RENEWER_LIFE_MS),
            renew_until_ms: 0,
            tier: shape.tier,
            may: shape.may,
            grant: None,
            depth_left: 0,
        };
        let links = vec![link.sign(root.signing())];
        let text = token_text(&Token { links }.encode()) + "\n";
        let path = self.directory.join(RENEWER_TOKEN_FILE);
        replace(&path, &text).map_err(|error| Failure::system(&path.display().to_string(), &error))
    }

    /// Who this node is, and in which cluster.
    pub(crate) fn load(&self) -> Result<(Membership, Credentials), Failure> {
        let membership = self.membership()?;
        let credentials = Credentials::load(&self.directory, Some(membership.cluster))?;
        // Another authority is believed by the word of the root alone.
        let credentials = credentials.under(membership.root);
        let mut credentials = credentials.named_by(membership.recovery);
        for word in self.root_words(&membership) {
            credentials = credentials.hearing(&word).unwrap_or(credentials);
        }
        Ok((membership, credentials))
    }

    /// The same, with the authority's key also where a passphrase protects it.
    pub(crate) fn load_to_sign(&self) -> Result<(Membership, Credentials), Failure> {
        let (membership, credentials, _) = self.load_to_rotate()?;
        Ok((membership, credentials))
    }

    /// The same with that passphrase, for the key that takes its place.
    pub(crate) fn load_to_rotate(
        &self,
    ) -> Result<(Membership, Credentials, Option<Passphrase>), Failure> {
        let path = self.directory.join(CA_KEY_FILE);
        if !sealed::is_sealed_file(&path) {
            let (membership, credentials) = self.load()?;
            return Ok((membership, credentials, None));
        }
        let failed = |error: io::Error| Failure::system(&path.display().to_string(), &error);
        let text = small_file::text(&path, small_file::BYTES_MAX).map_err(failed)?;
        let (opened, passphrase) = sealed::opened(&path, &text)?;
        let (membership, credentials) = self.load()?;
        let credentials = credentials.with_authority(&opened)?;
        Ok((membership, credentials, Some(passphrase)))
    }

    /// Protects the authority's key that lies here now.
    pub(crate) fn protect_authority(&self, passphrase: &str) -> Result<(), Failure> {
        sealed::protect(&self.directory.join(CA_KEY_FILE), passphrase)
    }

    /// The same where a passphrase is at hand; a node that has none serves, and signs nothing.
    pub(crate) fn load_to_serve(&self) -> Result<(Membership, Credentials), Failure> {
        if sealed::is_at_hand() {
            return self.load_to_sign();
        }
        if sealed::is_sealed_file(&self.directory.join(CA_KEY_FILE)) {
            tracing::warn!(
                "ca.key is protected, and no passphrase is at hand: this node lets nobody in and \
                 renews no certificate; {} names a file with it",
                sealed::PASSPHRASE_FILE
            );
        }
        self.load()
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
        let files = [
            CA_KEY_FILE,
            CA_NEXT_KEY_FILE,
            ROOT_KEY_FILE,
            ROOT_NEXT_KEY_FILE,
            RECOVERY_KEY_FILE,
        ]
        .into_iter();
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
            ROOT_NEXT_KEY_FILE,
            RECOVERY_KEY_FILE,
            ROOTS_FILE,
            RENEWER_TOKEN_FILE,
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

impl Membership {
    /// The key whose word names another root.
    pub(crate) fn names_roots(&self) -> Option<AgentId> {
        self.root.and(self.recovery.or(self.root))
    }

    /// Whether that key has said it, and the next root consents.
    fn has_named(&self, word: &RootWord) -> bool {
        let proof = word.signed(self.cluster);
        let mut by = StrictVerifier;
        self.names_roots().is_some_and(|key| {
            by.verify(&key.0, &proof, &word.signature)
                && by.verify(&word.root.0, &proof, &word.consent)
        })
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
    /// The key that names other roots.
    #[serde(default)]
    pub(crate) recovery: Option<AgentId>,
    /// The words that have named other roots, so that the joiner goes by the one that stands at once.
    #[serde(default)]
    pub(crate) roots: Vec<RootBody>,
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
    let written = (|| {
        let mut file = options.open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    })();
    // What could not be put in place is of no use to anybody, least of all on a full disk.
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))?;
    // A bare name has a parent, which is empty.
    let directory = path.parent().filter(|one| !one.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
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
