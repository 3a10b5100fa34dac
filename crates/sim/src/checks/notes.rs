//! I1 and I2 for what is written together: everybody shows the same notes and configuration, and
//! every line whose writing was acknowledged stands in the guest book. I3: and no line stands there
//! that nobody sent, or more often than it was sent.

use std::collections::BTreeMap;

use unisono_core::node::{LivingEdit, Work};
use unisono_core::orchestra::view::ConfigView;
use unisono_model::Digest;

/// The note to which lines are only ever added.
pub const GUEST_BOOK: &str = "guest-book";

/// The name under which a line of the guest book is remembered.
pub fn line_name(line: &str) -> Digest {
    Digest::of("unisono/sim-line/v1", &[line.trim_end().as_bytes()])
}

/// The line that a request adds to the guest book, if it does.
pub fn line_of(work: &Work) -> Option<Digest> {
    match work {
        Work::Living {
            edit: LivingEdit::NoteSplice { name, insert, .. },
            ..
        } if name == GUEST_BOOK => Some(line_name(insert)),
        _ => None,
    }
}

/// The lines that were handed to nodes, and how often: an edit has no key, and one that is sent again
/// may stand there twice.
#[derive(Clone, Debug, Default)]
pub struct Sent(BTreeMap<Digest, usize>);

impl Sent {
    /// A line was handed to a node.
    pub fn note(&mut self, line: Digest) {
        *self.0.entry(line).or_default() += 1;
    }

    /// Whether a guest book holds nothing else.
    pub fn check(&self, lines: &BTreeMap<Digest, usize>) -> Result<(), String> {
        for (line, count) in lines {
            let sent = self.0.get(line).copied().unwrap_or(0);
            if *count > sent {
                return Err(format!(
                    "a line of the guest book stands there {count} times, and was sent {sent} times"
                ));
            }
        }
        Ok(())
    }
}

/// What one node shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// The notes by name.
    pub notes: Vec<(String, String)>,
    /// The configuration, with what was written at once and by whom.
    pub config: Vec<ConfigView>,
}

impl Written {
    /// The lines of the guest book, and how often each stands there.
    pub fn lines(&self) -> BTreeMap<Digest, usize> {
        let book = self.notes.iter().find(|(name, _)| name == GUEST_BOOK);
        let text = book.map_or("", |(_, text)| text);
        let mut lines = BTreeMap::new();
        for line in text.lines() {
            *lines.entry(line_name(line)).or_default() += 1;
        }
        lines
    }

    /// Whether another node shows the same.
    pub fn agrees(&self, other: &Self) -> Result<(), String> {
        if self.notes != other.notes {
            let (one, other) = (&self.notes, &other.notes);
            return Err(format!("notes differ: {one:?} and {other:?}"));
        }
        if self.config != other.config {
            let (one, other) = (&self.config, &other.config);
            return Err(format!("configurations differ: {one:?} and {other:?}"));
        }
        Ok(())
    }
}
