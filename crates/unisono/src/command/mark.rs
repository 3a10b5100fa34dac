//! Witness marks: made, listed, taken out with their signature, and verified from a file alone.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::json;
use unisono_api::dto::{ActionBody, MarkBody};
use unisono_core::carriage::Carried;
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::{
    Action, ClusterId, Digest, OrchestraId, RecordBody, SignedRecord, Stamp, limits, wire,
};

use super::audit::LINE_BYTES_MAX;
use super::session::Session;
use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::offline;
use crate::output::{self, Table};

/// What a proof says of itself.
const KIND: &str = "unisono/record-proof/v1";

/// `mark`.
#[derive(Clone, Debug, Args)]
pub(crate) struct MarkArgs {
    #[command(subcommand)]
    pub(crate) command: MarkCommand,
}

/// What can be done about marks.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum MarkCommand {
    /// Leaves a mark: what was done, why, and what proves it
    #[command(
        after_help = "Example:\n  unisono mark make --as ada --about index \"indexed the corpus\""
    )]
    Make {
        /// What was done
        text: String,
        /// What it is about: a task, a topic
        #[arg(long, default_value = "")]
        about: String,
        /// Why
        #[arg(long, default_value = "")]
        reasoning: String,
        /// A word to find it by; may stand several times
        #[arg(long = "tag", value_name = "WORD")]
        tags: Vec<String>,
        /// A record or a digest of content that proves it; may stand several times
        #[arg(long, value_name = "DIGEST")]
        evidence: Vec<Digest>,
    },
    /// The latest marks
    #[command(after_help = "Example:\n  unisono mark list")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Takes a record with its signature out of the data directory, as a file that proves it
    #[command(after_help = "Example:\n  unisono mark export RECORD --data ./.unisono > mark.json")]
    Export {
        /// The record
        record: Digest,
    },
    /// Verifies a file that `mark export` printed: no node is asked
    #[command(after_help = "Example:\n  unisono mark verify mark.json")]
    Verify {
        /// The file
        file: PathBuf,
    },
}

/// A record with everything that its signature covers.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Proof {
    kind: String,
    cluster: ClusterId,
    orchestra: OrchestraId,
    /// The signed record's canonical bytes in base64 (RFC 4648).
    record: String,
    /// Where the node that took it in placed it: the node's word, not the agent's.
    stamp: Stamp,
}

/// Makes or lists marks; the rest asks no node.
pub(crate) async fn run(args: MarkArgs, session: &Session) -> Result<(), Failure> {
    match args.command {
        MarkCommand::Make {
            text,
            about,
            reasoning,
            tags,
            evidence,
        } => {
            let body = MarkBody {
                about,
                text,
                reasoning,
                tags,
                evidence,
            };
            session.show_act(ActionBody::Mark(body)).await
        }
        MarkCommand::List { limit } => {
            let columns = &[
                ("TIME", "stamp.time"),
                ("BY", "name"),
                ("ABOUT", "about"),
                ("TEXT", "text"),
                ("RECORD", "record"),
            ];
            let limit = limit.to_string();
            let table = Table {
                list: "marks",
                columns,
            };
            session
                .show_read("marks", &[("limit", &limit)], Some(table))
                .await
        }
        MarkCommand::Export { .. } | MarkCommand::Verify { .. } => {
            Err(Failure::usage("this command asks no node"))
        }
    }
}

/// Prints a record with its signature.
pub(crate) fn export(record: Digest, config: &Config, global: &Global) -> Result<(), Failure> {
    let home = Home::new(config.data());
    let cluster = home.membership()?.cluster;
    let journal = offline::open(&home.journal(), cluster)?;
    let mut unread = None;
    for orchestra in journal.orchestras() {
        for log in journal.holdings(orchestra).into_keys() {
            let found = offline::each_bundle(&journal, orchestra, log, |_, bytes| {
                let found = find(bytes, cluster, record);
                Ok::<_, Failure>(found.map_or(ControlFlow::Continue(()), ControlFlow::Break))
            });
            match found {
                Ok(Some(proof)) => return output::answer(global.output, &proof, None),
                Ok(None) => {}
                // Another log may have it; if none has, it may have stood here.
                Err(failure) => unread = Some(failure),
            }
        }
    }
    if let Some(failure) = unread {
        return Err(failure);
    }
    let words = format!("{} holds no record {record}", home.directory().display());
    Err(Failure::new(Exit::NotFound, "record_unknown", words))
}

fn find(bundle: &[u8], cluster: ClusterId, wanted: Digest) -> Option<Proof> {
    let carried = Carried::from_disk(bundle, cluster).ok()?;
    let header = carried.header();
    carried.body().records.iter().find_map(|record| {
        let agent = *carried.body().agents.get(record.agent as usize)?;
        let place = record.place(header, agent);
        if place.digest(&record.body.0) != wanted {
            return None;
        }
        let signed = SignedRecord {
            agent,
            log: header.log,
            seq: record.seq,
            prev: record.prev,
            body: record.body.clone(),
            signature: record.signature,
        };
        Some(Proof {
            kind: KIND.to_owned(),
            cluster,
            orchestra: header.orchestra,
            record: BASE64.encode(&wire::encode(&signed)),
            stamp: record.stamp,
        })
    })
}

/// Whether a file is one of `mark export`.
pub(crate) fn is_proof(first_line: &str, path: &Path) -> bool {
    first_line.contains(KIND)
        || (first_line.trim() == "{" && read(path).is_ok_and(|proof| proof.kind == KIND))
}

/// Verifies a file of `mark export`.
pub(crate) fn verify(path: &Path, global: &Global) -> Result<(), Failure> {
    let bad = |words: String| {
        Failure::new(
            Exit::Verification,
            "not_verified",
            format!("{}: {words}", path.display()),
        )
    };
    let proof = read(path)?;
    if proof.kind != KIND {
        return Err(bad(format!("it is of kind {:?}, not {KIND:?}", proof.kind)));
    }
    let bytes = BASE64
        .decode(proof.record.as_bytes())
        .map_err(|error| bad(error.to_string()))?;
    let signed: SignedRecord =
        wire::decode(&bytes, limits::RECORD_BYTES_MAX + 1024).map_err(|e| bad(e.to_string()))?;
    let record = signed
        .place(proof.cluster, proof.orchestra)
        .digest(&signed.body.0);
    if !StrictVerifier.verify(&signed.agent.0, &record, &signed.signature) {
        return Err(bad("the signature does not verify".to_owned()));
    }
    let body = RecordBody::decode(&signed.body.0).map_err(|error| bad(error.to_string()))?;
    let mut shown = json!({
        "ok": true,
        "what": body.action.name(),
        "record": record,
        "agent": signed.agent,
        "key_held_by": format!("{:?}", body.held).to_lowercase(),
        "cluster": proof.cluster,
        "orchestra": proof.orchestra,
        "iteration": body.iteration,
        "agent_ms": body.agent_ms,
    });
    if let Action::Mark(mark) = body.action {
        shown["about"] = mark.about.into();
        shown["text"] = mark.text.into();
        shown["reasoning"] = mark.reasoning.into();
        shown["tags"] = mark.tags.into();
        shown["evidence"] = json!(mark.evidence);
    }
    output::answer(global.output, &shown, None)
}

fn read(path: &Path) -> Result<Proof, Failure> {
    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(path);
    // No proof is longer than a line of an export may be: what is ends here.
    let read = opened.and_then(|file| file.take(LINE_BYTES_MAX as u64).read_to_end(&mut bytes));
    read.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, "unreadable", format!("{shown}: {error}"))
        }
        _ => Failure::system(&shown, &error),
    })?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(
            Exit::Verification,
            "not_verified",
            format!("{shown}: no mark: {error}"),
        )
    })
}
