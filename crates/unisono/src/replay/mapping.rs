//! What each kind of event becomes here. `docs/replay.md` has the same as a table.

use unisono_model::{FieldValue, Relation, TaskStatus, limits};

use super::trace::Kind;

/// What an event sets of its task, or the word that has no meaning here.
pub(crate) fn fields(kind: &Kind, actor: &str) -> Result<Vec<FieldValue>, String> {
    let link = |on: &String, relation, stands| FieldValue::Link {
        on: on.clone(),
        relation,
        stands,
    };
    let status = |word: &str| status(word).map(FieldValue::Status);
    Ok(match kind {
        Kind::Created {
            title,
            description,
            of_type,
            priority,
            labels,
        } => vec![
            FieldValue::Created(cut(of_type, limits::NAME_BYTES_MAX)),
            FieldValue::Title(text(title)),
            FieldValue::Description(text(description)),
            FieldValue::Priority(priority.unwrap_or(0)),
            FieldValue::Labels(
                labels
                    .iter()
                    .take(limits::TAGS_MAX)
                    .map(|label| cut(label, limits::NAME_BYTES_MAX))
                    .collect(),
            ),
            FieldValue::Status(TaskStatus::Open),
        ],
        Kind::Claimed => vec![
            FieldValue::Assignee(actor.to_owned()),
            FieldValue::Status(TaskStatus::InProgress),
        ],
        Kind::Released { status: word } => {
            vec![FieldValue::Assignee(String::new()), status(word)?]
        }
        Kind::Status { status: word } | Kind::Reopened { status: word } => vec![status(word)?],
        // The task file leaves a zero out: nearly every one of these stands between two zeros.
        Kind::Priority { priority } => vec![FieldValue::Priority(priority.unwrap_or(0))],
        Kind::Blocks { on } => vec![link(on, Relation::Blocks, true)],
        Kind::Unblocks { on } => vec![link(on, Relation::Blocks, false)],
        Kind::Linked { on, relation: word } => vec![link(on, relation(word), true)],
        Kind::Unlinked { on, relation: word } => vec![link(on, relation(word), false)],
        Kind::Noted { text: words } | Kind::Commented { text: words } => {
            vec![FieldValue::Remark(text(words))]
        }
        Kind::Closed { .. } => vec![FieldValue::Status(TaskStatus::Closed)],
        Kind::Deleted => vec![FieldValue::Status(TaskStatus::Deleted)],
    })
}

/// A text within the limits of a record: control characters replaced, cut between characters.
pub(crate) fn text(words: &str) -> String {
    cut(words, limits::TEXT_BYTES_MAX)
}

fn cut(words: &str, bytes_max: usize) -> String {
    let shown = |c: char| match c {
        '\n' | '\r' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let mut text: String = words.chars().map(shown).collect();
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

fn status(word: &str) -> Result<TaskStatus, String> {
    Ok(match word {
        // A pinned task stays open for good.
        "open" | "pinned" => TaskStatus::Open,
        // A hooked task hangs on an agent's hook: that agent works on it.
        "in_progress" | "hooked" => TaskStatus::InProgress,
        "blocked" => TaskStatus::Blocked,
        "deferred" => TaskStatus::Deferred,
        "done" | "closed" => TaskStatus::Closed,
        other => return Err(format!("status {other:?}")),
    })
}

fn relation(word: &str) -> Relation {
    match word {
        "blocks" | "blocked-by" => Relation::Blocks,
        "parent-child" => Relation::Parent,
        "discovered-from" => Relation::DiscoveredFrom,
        // related, relates-to, tracks, replies-to, supersedes, duplicates, and what comes later.
        _ => Relation::Related,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("aü\u{1b}", 2), "a");
        assert_eq!(cut("aü\u{1b}", 3), "aü");
        assert_eq!(cut("aü\u{1b}\n", 99), "aü\u{fffd}\n");
    }
}
