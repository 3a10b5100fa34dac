//! An iteration given back in words: nothing is clipped, left out or ranked, and every name stands in
//! full, so that whoever takes up old work has what those had who did it.

use std::fmt::{Display, Write as _};

use super::chronicle::{Artifact, Chapter, Decided, Marked, Needed, Resolved};
use super::compression::{heading, one_line, sentence};
use crate::dto::{DecideWord, RecordEvent};

/// All of an iteration, whatever that takes, as Markdown. What was done stands at its end, record by
/// record, where the chronicle kept it.
pub fn whole(chapter: &Chapter) -> String {
    let mut parts = vec![heading(chapter), format!("{}\n", sentence(chapter))];
    let mut part = |title: &str, items: Vec<String>| {
        if !items.is_empty() {
            parts.push(format!("\n### {title}\n{}\n", items.join("\n")));
        }
    };
    part("Decided", chapter.decisions.iter().map(decision).collect());
    part("Needed", chapter.needs.iter().map(need).collect());
    part(
        "Resolved",
        chapter.resolutions.iter().map(resolution).collect(),
    );
    part("Made", chapter.artifacts.iter().map(artifact).collect());
    part("Marks", chapter.marks.iter().map(mark).collect());
    part(
        "Done, in this order",
        chapter.deeds.iter().map(deed).collect(),
    );
    parts.concat()
}

/// A line with more lines beneath it, each with a word for what it is; empty ones are left out.
fn item(line: &str, more: &[(&str, String)]) -> String {
    let mut text = format!("- {}", one_line(line));
    for (word, said) in more.iter().filter(|(_, said)| !said.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  - {word}: {}", one_line(said));
    }
    text
}

fn decision(one: &Decided) -> String {
    let word = match one.kind {
        DecideWord::Decision => "decided",
        DecideWord::DeadEnd => "leads nowhere,",
    };
    let gone = if one.superseded { " (superseded)" } else { "" };
    let Decided {
        by, topic, text, ..
    } = one;
    let line = format!("{word} by {by} on {topic}: {text}{gone}");
    let sure = one.confidence_permille < 1_000;
    let mut more = vec![
        ("question", one.question.clone()),
        ("why", one.reason.clone()),
        (
            "sure",
            if sure {
                format!("{} ‰", one.confidence_permille)
            } else {
                String::new()
            },
        ),
    ];
    more.extend(one.rejected.iter().map(|other| {
        let why = if other.reason.is_empty() {
            ""
        } else {
            ", since "
        };
        (
            "not taken",
            format!("{}{why}{}", other.option, other.reason),
        )
    }));
    more.push(("in place of", all(&one.supersedes)));
    more.push(("record", one.record.to_string()));
    item(&line, &more)
}

fn need(one: &Needed) -> String {
    let Needed {
        by, topic, text, ..
    } = one;
    let what = match (one.answered, one.blocking) {
        (true, _) => "answered",
        (false, true) => "blocks",
        (false, false) => "open",
    };
    item(
        &format!("{what}: {by} needs {topic}: {text}"),
        &[("record", one.record.to_string())],
    )
}

fn resolution(one: &Resolved) -> String {
    item(
        &format!("resolved by {}: {}", one.by, one.outcome),
        &[("record", one.record.to_string())],
    )
}

fn artifact(one: &Artifact) -> String {
    let line = format!("{} by {}: {}", one.name, one.by, one.text);
    let mark = one.mark.map_or_else(String::new, |mark| mark.to_string());
    item(
        &line,
        &[("proved by", mark), ("record", one.record.to_string())],
    )
}

fn mark(one: &Marked) -> String {
    let line = format!("{} on {}: {}", one.by, one.about, one.text);
    let more = [
        ("why", one.reasoning.clone()),
        ("tags", one.tags.join(", ")),
        ("evidence", all(&one.evidence)),
        ("record", one.record.to_string()),
    ];
    item(&line, &more)
}

fn deed(one: &RecordEvent) -> String {
    let action = serde_json::to_string(&one.action).unwrap_or_default();
    item(&format!("{} {}: {action}", one.stamp.time, one.name), &[])
}

fn all<T: Display>(names: &[T]) -> String {
    let names: Vec<String> = names.iter().map(T::to_string).collect();
    names.join(", ")
}
