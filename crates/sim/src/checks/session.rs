//! Session guarantees: an answer shows at least what its asker had seen before, on any node.

use unisono_core::replication::{Cursor, LogTag};
use unisono_model::NodeId;

/// Whether an answer covers what it was asked to cover. Of those who were removed nobody needs to have
/// what does not count.
pub fn covers(answer: &Cursor, wanted: Option<&Cursor>, removed: &[NodeId]) -> Result<(), String> {
    let Some(wanted) = wanted else { return Ok(()) };
    let lacks = |tag: &LogTag, seq: u64| answer.0.get(tag).is_none_or(|have| *have < seq);
    let counts = |tag: LogTag| !removed.iter().any(|node| tag.is_of(node));
    let mut named = wanted.0.iter();
    if named.any(|(tag, seq)| lacks(tag, *seq) && counts(*tag)) {
        let (answer, wanted) = (answer.to_text(), wanted.to_text());
        return Err(format!("the answer has {answer} and was to have {wanted}"));
    }
    Ok(())
}
