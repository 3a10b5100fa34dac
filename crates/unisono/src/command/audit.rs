//! The audit: every signed byte that a node holds, in a file that anybody can check without it.
//!
//! A file of `audit export` is JSON lines: one that says what it is, one for each bundle as its node
//! signed it, one for each proof that a log forked, and one that closes it: how many bundles there
//! are, the digest over everything, and the exporting node's signature over that. Whoever knows that
//! node's key sees by it that nothing was left out of the file; whoever does not can be handed a
//! file that somebody else has shortened and signed again. What the exporting node itself has left out
//! of the end of a log shows by the records in which other nodes bear witness of it ([`super::witnessed`]).
//! `tests/verify_audit.py` checks the same without any code of this repository.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use unisono_api::audit::{AUDIT_KIND, AuditEnd, AuditHead, AuditLine};
use unisono_core::carriage::{Carried, proves_fork};
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_core::replication::Logs;
use unisono_model::wire::{self, Signature};
use unisono_model::{ClusterId, Digest, ForkProof, NodeId, OrchestraId};

use super::verify::{self, Found};
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::offline;

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
    Verify(AuditVerifyArgs),
}

/// `audit verify`.
#[derive(Clone, Debug, Args)]
struct AuditVerifyArgs {
    /// A data directory, also one in use, or a file that `audit export` printed
    path: PathBuf,
    /// The node's key that must have closed the file: without it, whoever shortens a file and signs
    /// it again is not found
    #[arg(long, value_name = "NODE")]
    signed_by: Option<NodeId>,
}

/// Exports or verifies.
pub(crate) fn run(args: &AuditArgs, config: &Config, global: &Global) -> Result<(), Failure> {
    match &args.command {
        AuditCommand::Export => export(config),
        AuditCommand::Verify(args) => verify::evidence(&args.path, args.signed_by.as_ref(), global),
    }
}

/// The digest over what came so far and one more bundle or proof.
fn chained(cluster: ClusterId, node: NodeId, before: Digest, next: &Digest) -> Digest {
    Digest::of(AUDIT_KIND, &[&cluster.0, &node.0, &before.0, &next.0])
}

fn proof_digest(bytes: &[u8]) -> Digest {
    Digest::of("unisono/fork-proof/v1", &[bytes])
}

fn export(config: &Config) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let (membership, credentials) = home.load()?;
    let cluster = membership.cluster;
    let key = SigningKey::from_bytes(&credentials.key().seed());
    let node = credentials.key().id();
    let mut journal = offline::open(&home.journal(), cluster)?;
    // A log that lost its end looks like a shorter one: nothing is signed over what is damaged.
    let verified = journal.verify(u64::MAX);
    verified.map_err(|error| broken(&error.to_string()))?;
    if let Some(damage) = journal.damage().first() {
        return Err(broken(&damage.to_string()));
    }
    let mut out = BufWriter::new(io::stdout().lock());
    let kind = AUDIT_KIND.to_owned();
    let head = AuditHead {
        kind,
        cluster,
        node,
    };
    print(&mut out, &AuditLine::Head(head))?;
    let (mut bundles, mut digest) = (0, Digest::default());
    for orchestra in journal.orchestras() {
        for log in journal.holdings(orchestra).into_keys() {
            offline::each_bundle(&journal, orchestra, log, |seq, bytes| {
                let carried = Carried::from_disk(bytes, cluster)
                    .map_err(|error| broken(&format!("log {log:?}: bundle {seq}: {error}")))?;
                bundles += 1;
                digest = chained(cluster, node, digest, &carried.digest());
                print(&mut out, &AuditLine::Bundle(bytes.to_vec()))?;
                Ok::<_, Failure>(ControlFlow::<()>::Continue(()))
            })?;
        }
        let proofs = journal.proofs(orchestra);
        for proof in proofs.map_err(|error| broken(&error.to_string()))? {
            digest = chained(cluster, node, digest, &proof_digest(&proof.bytes));
            print(&mut out, &AuditLine::Proof(proof.bytes))?;
        }
    }
    let signature = Signature::from_bytes(key.sign(&digest.0).to_bytes());
    let signature = BASE64.encode(&signature.to_bytes());
    let end = AuditEnd {
        bundles,
        digest,
        signature,
    };
    print(&mut out, &AuditLine::End(end))?;
    written(out.flush())
}

fn broken(words: &str) -> Failure {
    Failure::new(Exit::Verification, "not_verified", words)
        .hint("let the node run with its peers: it fetches what its disk has lost")
        .next("unisono verify")
}

fn print(out: &mut impl Write, line: &AuditLine) -> Result<(), Failure> {
    written(writeln!(out, "{}", line.to_text()))
}

fn written(done: io::Result<()>) -> Result<(), Failure> {
    match done {
        Ok(()) => Ok(()),
        // Whoever reads has seen enough: that is no failure of ours.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::system("output", &error)),
    }
}

/// Whether a file is one of `audit export`.
pub(super) fn is_export(first_line: &str) -> bool {
    matches!(AuditLine::parse(first_line), Ok(AuditLine::Head(head)) if head.kind == AUDIT_KIND)
}

/// Checks what `audit export` printed: every signature, every chain, every log from its beginning,
/// every proof, and that the file is whole. Faults name the line.
pub(super) fn check(
    first_line: &str,
    lines: impl Iterator<Item = io::Result<String>>,
    signed_by: Option<&NodeId>,
    found: &mut Found,
) -> io::Result<()> {
    let Ok(AuditLine::Head(head)) = AuditLine::parse(first_line) else {
        found.fault("line 1: no export begins like this".to_owned());
        return Ok(());
    };
    if signed_by.is_some_and(|node| *node != head.node) {
        found.fault(format!("line 1: node {} exported it", head.node));
    }
    found.of(head.cluster, head.node);
    let mut seen = Seen::new(head);
    for (number, line) in lines.enumerate() {
        let line = match line {
            Ok(line) => line,
            // No line that is good begins like this: what follows is not looked at.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                found.fault(format!("line {}: {error}", number + 2));
                break;
            }
            Err(error) => return Err(error),
        };
        found.bytes += line.len() as u64;
        if let Err(fault) = seen.take(&line, found) {
            found.fault(format!("line {}: {fault}", number + 2));
        }
    }
    if !seen.ended {
        found.fault("the last line is missing: the file was cut".to_owned());
    }
    for fault in found.ends() {
        found.fault(fault);
    }
    found.orchestras = seen.orchestras.len() as u64;
    found.logs = seen
        .orchestras
        .values()
        .map(|logs| logs.iter().count() as u64)
        .sum();
    Ok(())
}

/// Checks a proof that a log of this cluster forked.
pub(super) fn check_proof(bytes: &[u8], cluster: ClusterId) -> Result<ForkProof, String> {
    let proof: ForkProof = wire::decode(bytes, unisono_model::limits::FORK_PROOF_BYTES_MAX)
        .map_err(|e| e.to_string())?;
    if proves_fork(&proof, cluster, &mut StrictVerifier) {
        Ok(proof)
    } else {
        Err("this proves no fork".to_owned())
    }
}

/// What a file has shown so far.
struct Seen {
    head: AuditHead,
    orchestras: BTreeMap<OrchestraId, Logs>,
    bundles: u64,
    digest: Digest,
    ended: bool,
}

impl Seen {
    fn new(head: AuditHead) -> Self {
        Self {
            head,
            orchestras: BTreeMap::new(),
            bundles: 0,
            digest: Digest::default(),
            ended: false,
        }
    }

    fn take(&mut self, line: &str, found: &mut Found) -> Result<(), String> {
        if self.ended {
            return Err("something follows the end".to_owned());
        }
        match AuditLine::parse(line).map_err(|error| error.to_string())? {
            AuditLine::Bundle(bytes) => self.bundle(&bytes, found),
            AuditLine::Proof(bytes) => self.proof(&bytes, found),
            AuditLine::End(end) => self.end(&end),
            AuditLine::Head(_) => Err("neither a bundle, a proof nor the end".to_owned()),
        }
    }

    fn bundle(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String> {
        let carried = Carried::admit(bytes, self.head.cluster, &mut StrictVerifier)
            .map_err(|error| error.to_string())?;
        let header = carried.header();
        self.bundles += 1;
        self.on(&carried.digest());
        let logs = self.orchestras.entry(header.orchestra).or_default();
        found
            .bundle(&carried, logs.entry(header.log))
            .map_err(|why| format!("bundle {} of its log: {why}", header.seq))
    }

    fn proof(&mut self, bytes: &[u8], found: &mut Found) -> Result<(), String> {
        self.on(&proof_digest(bytes));
        let proof = check_proof(bytes, self.head.cluster)?;
        found.proof(bytes, &proof);
        Ok(())
    }

    fn on(&mut self, next: &Digest) {
        self.digest = chained(self.head.cluster, self.head.node, self.digest, next);
    }

    fn end(&mut self, end: &AuditEnd) -> Result<(), String> {
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
