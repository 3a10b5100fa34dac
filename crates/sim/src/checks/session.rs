//! Session guarantees: an answer shows at least what its asker had seen before, on any node.

use unisono_core::replication::Cursor;

/// Whether an answer covers what it was asked to cover.
pub fn covers(answer: &Cursor, wanted: Option<&Cursor>) -> Result<(), String> {
    match wanted {
        Some(wanted) if !answer.covers(wanted) => Err(format!(
            "the answer has {} and was to have {}",
            answer.to_text(),
            wanted.to_text()
        )),
        _ => Ok(()),
    }
}
