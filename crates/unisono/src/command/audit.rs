//! The audit: every signed byte that a node holds, in a file that anybody can check without it.
//!
//! A file of `audit export` is JSON lines: one that says what it is, one for each bundle as its node
//! signed it, and one that closes it: how many there are, the digest over all of them, and the
//! exporting node's signature over that, so that nothing can be left out of the file unnoticed.
//! `tests/verify_audit.py` checks the same without any code of this repository.

use std::io::{BufWriter, Write};

use clap::{Args, Subcommand};
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use unisono_core::carriage::Carried;
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_core::journal::Journal;
use unisono_core::replication::Logs;
use unisono_model::wire::Signature;
use unisono_model::{ClusterId, Digest, LogId, NodeId, OrchestraId};

use super::verify::{self, Found, STEP_BYTES, VerifyArgs};
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::offline::{self, Overlay};

/// What the first line of a file says.
const KIND: &str = "unisono/audit/v1";
/// The longest line: the largest bundle in base64, and its frame (bytes).
pub(super) const LINE_BYTES_MAX: usize = unisono_model::limits::BUNDLE_BYTES_MAX / 3 * 4 + 1_024;

/// `audit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum AuditCommand {
    /// Prints every bundle that this data directory holds, signed, for a check elsewhere
    #[command(after_help = "Example:\n  unisono audit export > audit.jsonl")]
    Export,
    /// Verifies a data directory, or what `audit export` printed, without a node
    #[command(after_help = "Example:\n  unisono audit verify audit.jsonl")]
    Verify(VerifyArgs),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    kind: String,
    cluster: ClusterId,
    /// Who has exported it.
    node: NodeId,
}

/// A bundle.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Its bytes in base64.
    bundle: String,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    bundles: u64,
    /// Over the digests of all bundles in their order.
    digest: Digest,
    /// The exporting node's, over that digest (base64).
    signature: String,
}

/// Exports or verifies.
pub(crate) fn run(args: &AuditArgs, config: &Config, global: &Global) -> Result<(), Failure> {
    match &args.command {
        AuditCommand::Export => export(config),
        AuditCommand::Verify(args) => verify::run(args, global),
    }
}

/// The digest over the bundles so far and one more.
fn on(cluster: ClusterId, node: NodeId, before: Digest, bundle: &Digest) -> Digest {
    Digest::of(KIND, &[&cluster.0, &node.0, &before.0, &bundle.0])
}

fn export(config: &Config) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let (membership, credentials) = home.load()?;
    let cluster = membership.cluster;
    let key = SigningKey::from_bytes(&credentials.key().seed());
    let node = credentials.key().id();
    let journal = offline::open(&home.journal(), cluster)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let kind = KIND.to_owned();
    print(
        &mut out,
        &Head {
            kind,
            cluster,
            node,
        },
    )?;
    let (mut bundles, mut digest) = (0, Digest::default());
    for orchestra in journal.orchestras() {
        for log in journal.holdings(orchestra).into_keys() {
            each(&journal, orchestra, log, |bytes| {
                let carried = Carried::from_disk(bytes, cluster)
                    .map_err(|error| broken(&format!("a bundle of log {log:?}: {error}")))?;
                bundles += 1;
                digest = on(cluster, node, digest, &carried.digest());
                let bundle = BASE64.encode(bytes);
                print(&mut out, &Line { bundle })
            })?;
        }
    }
    let signature = Signature::from_bytes(key.sign(&digest.0).to_bytes());
    let signature = BASE64.encode(&signature.to_bytes());
    let end = End {
        bundles,
        digest,
        signature,
    };
    print(&mut out, &end)?;
    out.flush()
        .map_err(|error| Failure::system("output", &error))
}

/// Each bundle of a log in its order; a hole ends the export, since a file with one would not verify.
fn each(
    journal: &Journal<Overlay>,
    orchestra: OrchestraId,
    log: LogId,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut next = 1;
    loop {
        let entries = journal.read(orchestra, log, next, STEP_BYTES);
        let entries = entries.map_err(|error| broken(&error.to_string()))?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            if entry.key.seq != next {
                let words = format!("log {log:?}: bundle {next} cannot be read");
                return Err(broken(&words));
            }
            take(&entry.bytes)?;
            next += 1;
        }
    }
}

fn broken(words: &str) -> Failure {
    Failure::new(Exit::Verification, "not_verified", words)
        .hint("let the node run with its peers: it fetches what its disk has lost")
        .next("unisono verify")
}

fn print(out: &mut impl Write, line: &impl Serialize) -> Result<(), Failure> {
    let written = serde_json::to_writer(&mut *out, line)
        .map_err(std::io::Error::from)
        .and_then(|()| out.write_all(b"\n"));
    match written {
        Ok(()) => Ok(()),
        // Whoever reads has seen enough: that is no failure of ours.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::system("output", &error)),
    }
}

/// Whether a file is one of `audit export`.
pub(super) fn is_export(first_line: &str) -> bool {
    serde_json::from_str::<Head>(first_line).is_ok_and(|head| head.kind == KIND)
}

/// Checks what `audit export` printed: every signature, every chain, every log from its beginning,
/// and that the file is whole. Faults name the line.
pub(super) fn check(
    first_line: &str,
    lines: impl Iterator<Item = std::io::Result<String>>,
    found: &mut Found,
) -> std::io::Result<()> {
    let Ok(head) = serde_json::from_str::<Head>(first_line) else {
        found.fault("line 1: no export begins like this".to_owned());
        return Ok(());
    };
    let mut seen = Seen::new(head);
    for (number, line) in lines.enumerate() {
        let line = line?;
        found.bytes += line.len() as u64;
        if let Err(fault) = seen.take(&line, found) {
            found.fault(format!("line {}: {fault}", number + 2));
        }
    }
    if !seen.ended {
        found.fault("the last line is missing: the file was cut".to_owned());
    }
    found.orchestras = seen.orchestras.len() as u64;
    found.logs = seen
        .orchestras
        .values()
        .map(|logs| logs.iter().count() as u64)
        .sum();
    Ok(())
}

/// What a file has shown so far.
struct Seen {
    head: Head,
    orchestras: std::collections::BTreeMap<OrchestraId, Logs>,
    bundles: u64,
    digest: Digest,
    ended: bool,
}

impl Seen {
    fn new(head: Head) -> Self {
        Self {
            head,
            orchestras: std::collections::BTreeMap::new(),
            bundles: 0,
            digest: Digest::default(),
            ended: false,
        }
    }

    fn take(&mut self, line: &str, found: &mut Found) -> Result<(), String> {
        if self.ended {
            return Err("something follows the end".to_owned());
        }
        if let Ok(line) = serde_json::from_str::<Line>(line) {
            return self.bundle(&line, found);
        }
        match serde_json::from_str::<End>(line) {
            Ok(end) => self.end(&end),
            Err(error) => Err(format!("neither a bundle nor the end: {error}")),
        }
    }

    fn bundle(&mut self, line: &Line, found: &mut Found) -> Result<(), String> {
        let bytes = BASE64.decode(line.bundle.as_bytes());
        let bytes = bytes.map_err(|error| format!("no base64: {error}"))?;
        let carried = Carried::admit(&bytes, self.head.cluster, &mut StrictVerifier)
            .map_err(|error| error.to_string())?;
        let (header, digest) = (*carried.header(), carried.digest());
        self.bundles += 1;
        self.digest = on(self.head.cluster, self.head.node, self.digest, &digest);
        let logs = self.orchestras.entry(header.orchestra).or_default();
        let state = logs.entry(header.log);
        state
            .is_next(&header, &digest, carried.lowest())
            .map_err(|why| format!("bundle {} of its log: {why:?}", header.seq))?;
        let placed = state.advance(&header, digest, carried.body(), &mut StrictVerifier);
        found.bundles += 1;
        found.records += placed.len() as u64;
        found.inert += placed.iter().filter(|placed| !placed.good).count() as u64;
        Ok(())
    }

    fn end(&mut self, end: &End) -> Result<(), String> {
        self.ended = true;
        if (end.bundles, end.digest) != (self.bundles, self.digest) {
            return Err(format!(
                "it was closed with {} bundles, and these are {}, or others",
                end.bundles, self.bundles
            ));
        }
        let bytes = BASE64.decode(end.signature.as_bytes()).ok();
        let bytes: Option<[u8; 64]> = bytes.and_then(|bytes| bytes.try_into().ok());
        let signed = bytes.is_some_and(|bytes| {
            let signature = Signature::from_bytes(bytes);
            StrictVerifier.verify(&self.head.node.0, &end.digest, &signature)
        });
        if signed {
            Ok(())
        } else {
            Err("the exporting node has not signed this".to_owned())
        }
    }
}
