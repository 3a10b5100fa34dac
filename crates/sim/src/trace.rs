//! What happened, as one running digest: two runs of one seed must agree on it. The lines for
//! people are kept only when asked for, since a seed can be run again.

use unisono_model::Digest;

/// How much is hashed at once: a power of two, which the hasher likes best.
const PIECE_BYTES: usize = 128 << 10;

/// The running digest of everything that happened, and its lines.
#[derive(Clone, Debug)]
pub struct Trace {
    hasher: blake3::Hasher,
    /// What goes to the hasher next: in long pieces it takes many blocks side by side.
    waiting: Vec<u8>,
    lines: Option<Vec<String>>,
    /// How many things happened.
    pub events: u64,
}

impl Trace {
    /// An empty trace; with `lines`, one that people can read afterwards.
    pub fn new(lines: bool) -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key("unisono/sim-trace/v1"),
            waiting: Vec::with_capacity(2 * PIECE_BYTES),
            lines: lines.then(Vec::new),
            events: 0,
        }
    }

    /// Something happened to somebody.
    pub fn event(&mut self, now: u64, what: &str, whom: usize, bytes: &[u8]) {
        self.events += 1;
        self.waiting.extend_from_slice(&now.to_le_bytes());
        self.waiting.extend_from_slice(what.as_bytes());
        self.waiting.extend_from_slice(&(whom as u64).to_le_bytes());
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= PIECE_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
        if let Some(lines) = &mut self.lines {
            let line = serde_json::json!({
                "ns": now, "what": what, "whom": whom, "bytes": bytes.len(),
                "digest": blake3::hash(bytes).to_hex()[..16],
            });
            lines.push(line.to_string());
        }
    }

    /// A line for people that is not part of the digest; made only where lines are kept.
    pub fn say(&mut self, now: u64, whom: usize, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let line = serde_json::json!({ "ns": now, "whom": whom, "say": text() });
            lines.push(line.to_string());
        }
    }

    /// The digest so far.
    pub fn digest(&self) -> Digest {
        let mut whole = self.hasher.clone();
        Digest(*whole.update(&self.waiting).finalize().as_bytes())
    }

    /// The lines, where they were kept (JSON lines).
    pub fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}
