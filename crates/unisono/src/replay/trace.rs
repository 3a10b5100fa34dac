//! A fleet's trace: one event a line, as JSON, perhaps compressed; who is in it, and about what.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use unisono_model::Digest;

use crate::failure::{Exit, Failure};

/// Longest line (bytes).
const LINE_BYTES_MAX: u64 = 1024 * 1024;
/// Most events of one trace, all of which are held in memory.
const EVENTS_MAX: usize = 5_000_000;
/// How compressed files begin (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A whole trace.
#[derive(Debug)]
pub(crate) struct Trace {
    /// Names it, so that its requests can be repeated: half of the digest of its lines.
    pub(crate) name: String,
    /// The actors, each once.
    pub(crate) actors: Vec<String>,
    /// The tasks, each once.
    pub(crate) tasks: Vec<String>,
    /// The events, in the order of the file.
    pub(crate) events: Vec<Event>,
}

/// One event.
#[derive(Debug)]
pub(crate) struct Event {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// When it happened (ms since 1970).
    pub(crate) at_ms: u64,
    /// Who, as an index.
    pub(crate) actor: usize,
    /// What it is about, as an index.
    pub(crate) task: usize,
    /// What happened.
    pub(crate) kind: Kind,
}

/// What happened, with the fields of the kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs, reason = "docs/replay.md says what each field means")]
pub(crate) enum Kind {
    Created {
        title: String,
        #[serde(default)]
        description: String,
        #[serde(rename = "type")]
        of_type: String,
        priority: Option<u8>,
        #[serde(default)]
        labels: Vec<String>,
    },
    Claimed,
    Released {
        status: String,
    },
    Status {
        status: String,
    },
    Priority {
        priority: Option<u8>,
    },
    Blocks {
        on: String,
    },
    Unblocks {
        on: String,
    },
    Linked {
        on: String,
        relation: String,
    },
    Unlinked {
        on: String,
        relation: String,
    },
    Noted {
        #[serde(default)]
        text: String,
    },
    Commented {
        #[serde(default)]
        text: String,
    },
    Closed {
        #[serde(default)]
        reason: String,
    },
    Reopened {
        status: String,
    },
    Deleted,
}

#[derive(Deserialize)]
struct Line {
    at: String,
    actor: String,
    task: String,
    #[serde(flatten)]
    kind: Kind,
}

impl Kind {
    /// The word of the trace.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Created { .. } => "created",
            Self::Claimed => "claimed",
            Self::Released { .. } => "released",
            Self::Status { .. } => "status",
            Self::Priority { .. } => "priority",
            Self::Blocks { .. } => "blocks",
            Self::Unblocks { .. } => "unblocks",
            Self::Linked { .. } => "linked",
            Self::Unlinked { .. } => "unlinked",
            Self::Noted { .. } => "noted",
            Self::Commented { .. } => "commented",
            Self::Closed { .. } => "closed",
            Self::Reopened { .. } => "reopened",
            Self::Deleted => "deleted",
        }
    }
}

impl Trace {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display().to_string();
        let refused = |error: std::io::Error| {
            let exit = match error.kind() {
                std::io::ErrorKind::NotFound => Exit::NotFound,
                _ => Exit::Failed,
            };
            Failure::new(exit, "trace_unreadable", format!("{shown}: {error}"))
        };
        let mut file = BufReader::new(File::open(path).map_err(refused)?);
        let packed = file.fill_buf().map_err(refused)?.starts_with(&GZIP_MAGIC);
        let lines: Box<dyn Read> = if packed {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        Self::parse(lines, &shown)
    }

    /// Reads lines.
    fn parse(lines: impl Read, shown: &str) -> Result<Self, Failure> {
        let mut lines = BufReader::new(lines);
        let mut names = (Names::default(), Names::default());
        let mut events = Vec::new();
        let mut digest = Digest::default();
        let mut text = String::new();
        loop {
            text.clear();
            let line = events.len() + 1;
            let wrong = |why: String| {
                let words = format!("{shown}:{line}: {why}");
                Failure::new(Exit::Usage, "trace_malformed", words)
                    .hint("one event a line, as docs/replay.md says")
            };
            let mut limited = lines.by_ref().take(LINE_BYTES_MAX);
            let read = limited.read_line(&mut text);
            if read.map_err(|error| wrong(error.to_string()))? == 0 {
                break;
            }
            if events.len() >= EVENTS_MAX {
                return Err(wrong(format!("more than {EVENTS_MAX} events")));
            }
            digest = Digest::of("unisono/trace/v1", &[&digest.0, text.as_bytes()]);
            let parsed: Line = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
            let at = unisono_api::dto::parse_stamp(&parsed.at).map_err(|e| wrong(e.to_string()))?;
            events.push(Event {
                line,
                at_ms: at.as_ms(),
                actor: names.0.index(parsed.actor),
                task: names.1.index(parsed.task),
                kind: parsed.kind,
            });
        }
        Ok(Self {
            name: data_encoding::HEXLOWER.encode(&digest.0[..8]),
            actors: names.0.each,
            tasks: names.1.each,
            events,
        })
    }
}

/// Names, numbered in the order in which they come.
#[derive(Default)]
struct Names {
    each: Vec<String>,
    known: HashMap<String, usize>,
}

impl Names {
    fn index(&mut self, name: String) -> usize {
        *self.known.entry(name).or_insert_with_key(|name| {
            self.each.push(name.clone());
            self.each.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_excerpt_is_read_whole() {
        let text = include_str!("../../data/fleet-excerpt.jsonl");
        let trace = Trace::parse(text.as_bytes(), "excerpt").expect("a good trace");
        assert_eq!(trace.events.len(), 3_000);
        assert_eq!(trace.actors.len(), 41);
        assert_eq!(trace.tasks.len(), 1_197);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let error = Trace::parse("{}\n".as_bytes(), "some").expect_err("no event");
        assert!(error.report().error.starts_with("some:1:"));
    }
}
