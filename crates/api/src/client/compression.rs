//! Iterations made small: the current one in full, the last three as summaries, older ones as a line
//! each, the oldest together, so that what an agent reads stays as long as it is however long the
//! orchestra goes on.
//!
//! Nothing is stored and nothing is lost: this is read from a [`Chronicle`], and what was left out is
//! still there (`Chronicle::chapter`). What is pinned is never left out, and so may break a budget.

use std::fmt::Write;

use serde::Serialize;
use unisono_model::Digest;

use super::chronicle::{Artifact, Chapter, Chronicle, Decided, Marked, Needed, Resolved};
use crate::dto::{DecideWord, PhaseWord};

/// How long each level may be (tokens).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Budget {
    /// The current iteration.
    pub current: u64,
    /// Each of the last three before it.
    pub summary: u64,
    /// Each older one.
    pub line: u64,
    /// All together.
    pub total: u64,
}

/// How many iterations before the current one are told as summaries.
const SUMMARIES: u32 = 3;
/// Most decisions that are told of the current iteration, those that are pinned aside.
const DECISIONS_MAX: usize = 5;
/// Most decisions that are told of a summary, those that are pinned aside.
const SUMMARY_DECISIONS_MAX: usize = 3;
/// Most characters of one free text.
const TEXT_CHARS_MAX: usize = 160;
/// Letters of a record's name in a text: enough to find it with `explain`.
const NAME_CHARS: usize = 8;
/// Most items of one kind that are looked at, the newest first where they are not ranked: far more
/// than fit, and a bound on the time that counting takes.
const ITEMS_LOOKED_MAX: usize = 256;
/// Most names in the sentence of an iteration.
const NAMES_MAX: usize = 16;
/// Most marks that a line names: whoever wants all asks to recover the iteration.
const LINE_MARKS_MAX: usize = 2;

impl Default for Budget {
    fn default() -> Self {
        Self {
            current: 2_000,
            summary: 200,
            line: 50,
            total: 5_000,
        }
    }
}

/// How much of an iteration is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What nobody may forget, from iterations that are told as less than a summary.
    Pinned,
    /// Several iterations together.
    Folded,
    /// One line.
    Line,
    /// A summary.
    Summary,
    /// The current iteration.
    Current,
}

/// What is told of an iteration, or of several.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The first of them.
    pub iteration: u32,
    /// The last of them.
    pub until: u32,
    /// How much.
    pub level: Level,
    /// As Markdown.
    pub text: String,
    /// How many tokens that has.
    pub tokens: u64,
    /// How many items of them were left out.
    pub left_out: u64,
}

/// An orchestra's iterations, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// The current iteration.
    pub iteration: u32,
    /// What is told.
    pub told: Vec<Told>,
    /// How many tokens all of it has.
    pub tokens: u64,
    /// How many it might have.
    pub budget: Budget,
    /// Whether headings and what is pinned took more than there was.
    pub over: bool,
}

impl History {
    /// All of it as Markdown.
    pub fn markdown(&self) -> String {
        self.told.iter().map(|one| one.text.as_str()).collect()
    }
}

/// Makes a chronicle fit a budget, as a tokenizer counts.
pub fn compress(chronicle: &Chronicle, budget: Budget, count: &dyn Fn(&str) -> u64) -> History {
    let chapters = chronicle.chapters();
    let iteration = chronicle.iteration();
    // Where there is less room than the levels take, the near ones leave some to the older.
    let current_max = budget.current.min(budget.total / 2);
    let summary_max = budget.summary.min(budget.total / 8);
    let mut told = Vec::new();
    for chapter in &chapters {
        let age = iteration - chapter.iteration;
        told.push(match age {
            0 => current(chapter, current_max, count),
            1..=SUMMARIES => summary(chapter, summary_max, count),
            _ => line(chapter, budget.line, count),
        });
    }
    let older = &chapters[..chapters.len().saturating_sub(1 + SUMMARIES as usize)];
    // What is pinned stands first, where nobody reads past it.
    if let Some(pinned) = pinned(older, count) {
        told.insert(0, pinned);
    }
    let tokens = fold(&mut told, &chapters, budget.total, count);
    History {
        iteration,
        told,
        tokens,
        budget,
        over: tokens > budget.total,
    }
}

/// One iteration in full, as far as it fits.
fn current(chapter: &Chapter, tokens_max: u64, count: &dyn Fn(&str) -> u64) -> Told {
    let mut lines = Lines::new(heading(chapter), tokens_max, count);
    let others = pin(chapter, &mut lines);
    let open: Vec<&Needed> = chapter.needs.iter().filter(|one| !one.answered).collect();
    lines.add_all(open.len(), open.iter().rev().map(|one| need(one)));
    lines.left_out += others.len().saturating_sub(DECISIONS_MAX) as u64;
    for one in others.iter().take(DECISIONS_MAX) {
        lines.add(&decision(one));
    }
    let resolutions = chapter.resolutions.iter().rev();
    lines.add_all(chapter.resolutions.len(), resolutions.map(resolution));
    let artifacts = chapter.artifacts.iter().rev();
    lines.add_all(chapter.artifacts.len(), artifacts.map(artifact));
    let marks: Vec<&Marked> = chapter
        .marks
        .iter()
        .filter(|one| !one.is_pinned())
        .collect();
    lines.add_all(marks.len(), marks.iter().rev().map(|one| done(one)));
    lines.told(chapter, Level::Current)
}

/// What survives of an iteration for the three that follow.
fn summary(chapter: &Chapter, tokens_max: u64, count: &dyn Fn(&str) -> u64) -> Told {
    let mut lines = Lines::new(heading(chapter), tokens_max, count);
    let others = pin(chapter, &mut lines);
    lines.add(&sentence(chapter));
    lines.left_out += others.len().saturating_sub(SUMMARY_DECISIONS_MAX) as u64;
    for one in others.iter().take(SUMMARY_DECISIONS_MAX) {
        lines.add(&decision(one));
    }
    let resolutions = chapter.resolutions.iter().rev();
    lines.add_all(chapter.resolutions.len(), resolutions.map(resolution));
    let marks: Vec<String> = chapter.marks.iter().map(|one| name(&one.record)).collect();
    if !marks.is_empty() {
        lines.add_names("marks", &marks);
    }
    lines.told(chapter, Level::Summary)
}

/// Puts in what may not be dropped; gives the other decisions that stand, what matters most first and
/// the newest first among these.
fn pin<'c>(chapter: &'c Chapter, lines: &mut Lines<'_>) -> Vec<&'c Decided> {
    let stand = chapter.decisions.iter().filter(|one| !one.superseded);
    let (pinned, mut others): (Vec<_>, Vec<_>) = stand.partition(|one| one.is_pinned());
    others.sort_by_key(|one| std::cmp::Reverse((one.importance, one.at.stamp, one.record)));
    for one in pinned {
        lines.pin(&decision(one));
    }
    for one in chapter.marks.iter().filter(|one| one.is_pinned()) {
        lines.pin(&done(one));
    }
    others
}

/// One line and the marks from which the rest can be recovered.
fn line(chapter: &Chapter, tokens_max: u64, count: &dyn Fn(&str) -> u64) -> Told {
    let head = format!(
        "- Iteration {} ({}): ",
        chapter.iteration,
        phase(chapter.phase)
    );
    let mut marks: Vec<String> = chapter.marks.iter().map(|one| name(&one.record)).collect();
    let more = marks.len().saturating_sub(LINE_MARKS_MAX);
    marks.truncate(LINE_MARKS_MAX);
    let mut tail = if marks.is_empty() {
        String::new()
    } else {
        format!("; marks {}", marks.join(" "))
    };
    if more > 0 {
        // Writing to a string cannot fail.
        let _ = write!(tail, " and {more} more");
    }
    let words = sentence(chapter);
    let words: Vec<&str> = words.split(' ').collect();
    // The longest beginning that fits: tokens only grow with the words.
    let text_of = |kept: usize| {
        let cut = if kept < words.len() { "…" } else { "" };
        format!("{head}{}{cut}{tail}\n", words[..kept].join(" "))
    };
    let (mut fits, mut beyond) = (0, words.len() + 1);
    while fits + 1 < beyond {
        let middle = usize::midpoint(fits, beyond);
        if count(&text_of(middle)) <= tokens_max {
            fits = middle;
        } else {
            beyond = middle;
        }
    }
    let text = text_of(fits);
    Told {
        iteration: chapter.iteration,
        until: chapter.iteration,
        level: Level::Line,
        tokens: count(&text),
        text,
        left_out: u64::from(fits < words.len()),
    }
}

/// What nobody may forget of iterations that are told in a line or less.
fn pinned(older: &[Chapter], count: &dyn Fn(&str) -> u64) -> Option<Told> {
    // Writing to a string cannot fail.
    let mut text = String::new();
    for chapter in older {
        for one in chapter.decisions.iter().filter(|one| one.is_pinned()) {
            let _ = writeln!(text, "- {}, iteration {}", decision(one), chapter.iteration);
        }
        for one in chapter.marks.iter().filter(|one| one.is_pinned()) {
            let _ = writeln!(text, "- {}, iteration {}", done(one), chapter.iteration);
        }
    }
    if text.is_empty() {
        return None;
    }
    let text = format!("## Never to be forgotten\n{text}");
    Some(Told {
        iteration: older.first()?.iteration,
        until: older.last()?.iteration,
        level: Level::Pinned,
        tokens: count(&text),
        text,
        left_out: 0,
    })
}

/// Puts the oldest lines together until all of it fits; gives the tokens of the whole.
fn fold(
    told: &mut Vec<Told>,
    chapters: &[Chapter],
    total: u64,
    count: &dyn Fn(&str) -> u64,
) -> u64 {
    let whole = |told: &[Told]| told.iter().map(|one| one.tokens).sum::<u64>();
    let first = told.iter().position(|one| one.level == Level::Line);
    let Some(first) = first else {
        return whole(told);
    };
    let lines = told.iter().filter(|one| one.level == Level::Line).count();
    let mut all = whole(told);
    let mut folded: Vec<Told> = Vec::new();
    let mut together = None;
    while all > total && folded.len() < lines {
        let one = told.remove(first);
        all -= one.tokens;
        folded.push(one);
        let oldest = folded_text(&folded, chapters);
        let tokens = count(&oldest);
        all = all - together.as_ref().map_or(0, |(_, tokens)| *tokens) + tokens;
        together = Some((oldest, tokens));
    }
    if let (Some((text, tokens)), Some(last)) = (together, folded.last()) {
        told.insert(
            first,
            Told {
                iteration: folded[0].iteration,
                until: last.iteration,
                level: Level::Folded,
                text,
                tokens,
                left_out: folded.len() as u64,
            },
        );
    }
    all
}

fn folded_text(folded: &[Told], chapters: &[Chapter]) -> String {
    let (first, last) = (folded[0].iteration, folded[folded.len() - 1].iteration);
    let within = chapters
        .iter()
        .filter(|one| (first..=last).contains(&one.iteration));
    let (mut made, mut decided, mut marks) = (0, 0, 0);
    for one in within {
        made += one.artifacts.len();
        decided += one.decisions.len();
        marks += one.marks.len();
    }
    format!(
        "- Iterations {first} to {last}: {made} made, {decided} decided, {marks} marks; `unisono recover N` gives one back\n"
    )
}

/// Lines that fit a budget; what is pinned goes in first and always. Lines are counted one by one: no
/// token spans two of them but in the rarest case, and the whole is counted once at the end.
struct Lines<'a> {
    text: String,
    tokens: u64,
    tokens_max: u64,
    left_out: u64,
    count: &'a dyn Fn(&str) -> u64,
}

impl<'a> Lines<'a> {
    fn new(heading: String, tokens_max: u64, count: &'a dyn Fn(&str) -> u64) -> Self {
        Self {
            tokens: count(&heading),
            text: heading,
            tokens_max,
            left_out: 0,
            count,
        }
    }

    fn pin(&mut self, words: &str) {
        let line = format!("- {words}\n");
        self.tokens += (self.count)(&line);
        self.text.push_str(&line);
    }

    /// Whether it fitted.
    fn fits(&mut self, words: &str) -> bool {
        let line = format!("- {words}\n");
        let tokens = (self.count)(&line);
        let fits = self.tokens + tokens <= self.tokens_max;
        if fits {
            self.tokens += tokens;
            self.text.push_str(&line);
        }
        fits
    }

    fn add(&mut self, words: &str) {
        self.left_out += u64::from(!self.fits(words));
    }

    /// The first of a list that is as long as one likes, and how many of it are left out.
    fn add_all(&mut self, items: usize, lines: impl Iterator<Item = String>) {
        self.left_out += items.saturating_sub(ITEMS_LOOKED_MAX) as u64;
        lines
            .take(ITEMS_LOOKED_MAX)
            .for_each(|line| self.add(&line));
    }

    /// As many of a list of names as fit, on one line.
    fn add_names(&mut self, what: &str, names: &[String]) {
        let (mut fits, mut beyond) = (0, names.len().min(ITEMS_LOOKED_MAX) + 1);
        let line = |kept: usize| {
            let more = names.len() - kept;
            let rest = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            format!("{what} {}{rest}", names[..kept].join(" "))
        };
        while fits + 1 < beyond {
            let middle = usize::midpoint(fits, beyond);
            let tokens = (self.count)(&format!("- {}\n", line(middle)));
            if self.tokens + tokens <= self.tokens_max {
                fits = middle;
            } else {
                beyond = middle;
            }
        }
        if fits > 0 {
            self.pin(&line(fits));
        }
        self.left_out += (names.len() - fits) as u64;
    }

    fn told(self, chapter: &Chapter, level: Level) -> Told {
        Told {
            iteration: chapter.iteration,
            until: chapter.iteration,
            level,
            tokens: (self.count)(&self.text),
            text: self.text,
            left_out: self.left_out,
        }
    }
}

pub(super) fn heading(chapter: &Chapter) -> String {
    format!(
        "## Iteration {} ({})\n",
        chapter.iteration,
        phase(chapter.phase)
    )
}

/// What happened, in one sentence.
pub fn sentence(chapter: &Chapter) -> String {
    let names = |names: Vec<&str>| {
        let mut told = Vec::new();
        for name in names {
            if !told.contains(&name) {
                told.push(name);
            }
        }
        let more = told.len().saturating_sub(NAMES_MAX);
        told.truncate(NAMES_MAX);
        if more > 0 {
            return format!("{} and {more} more", told.join(", "));
        }
        told.join(", ")
    };
    let made = names(
        chapter
            .artifacts
            .iter()
            .map(|one| one.name.as_str())
            .collect(),
    );
    let decided = names(
        chapter
            .decisions
            .iter()
            .map(|one| one.topic.as_str())
            .collect(),
    );
    let mut parts = Vec::new();
    if !made.is_empty() {
        parts.push(format!("made {}", one_line(&made)));
    }
    if !decided.is_empty() {
        parts.push(format!("decisions: {}", one_line(&decided)));
    }
    let resolved = chapter.resolutions.iter().map(|one| one.outcome.as_str());
    let resolved = names(resolved.filter(|outcome| !outcome.is_empty()).collect());
    if !resolved.is_empty() {
        parts.push(format!("resolved: {}", clipped(&resolved)));
    }
    let open = chapter.needs.iter().filter(|one| !one.answered).count();
    if open > 0 {
        parts.push(format!("{open} needs left open"));
    }
    if parts.is_empty() {
        parts.push(format!("{} records", chapter.records));
    }
    parts.join("; ")
}

fn decision(one: &Decided) -> String {
    let (topic, text, name) = (clipped(&one.topic), clipped(&one.text), name(&one.record));
    let word = match one.kind {
        DecideWord::Decision => "decided",
        DecideWord::DeadEnd => "leads nowhere,",
    };
    format!("{word} {topic}: {text} ({name})")
}

fn need(one: &Needed) -> String {
    let (by, topic, text) = (clipped(&one.by), clipped(&one.topic), clipped(&one.text));
    let word = match (one.answered, one.blocking) {
        (true, _) => "answered",
        (false, true) => "blocks",
        (false, false) => "open",
    };
    format!("{word}: {by} needs {topic}: {text}")
}

fn resolution(one: &Resolved) -> String {
    format!(
        "resolved by {}: {}",
        clipped(&one.by),
        clipped(&one.outcome)
    )
}

fn artifact(one: &Artifact) -> String {
    let (by, what) = (clipped(&one.by), clipped(&one.name));
    let text = if one.text.is_empty() {
        String::new()
    } else {
        format!(": {}", clipped(&one.text))
    };
    match &one.mark {
        Some(mark) => format!("made by {by}: {what}{text} (mark {})", name(mark)),
        None => format!("made by {by}: {what}{text}"),
    }
}

fn done(one: &Marked) -> String {
    let (by, about, text) = (clipped(&one.by), clipped(&one.about), clipped(&one.text));
    let word = if one.is_pinned() { "pinned" } else { "done" };
    format!("{word} by {by}: {about}: {text} ({})", name(&one.record))
}

fn phase(phase: PhaseWord) -> &'static str {
    match phase {
        PhaseWord::Design => "DESIGN",
        PhaseWord::Execution => "EXECUTION",
        PhaseWord::Reflection => "REFLECTION",
    }
}

fn name(record: &Digest) -> String {
    record.to_string().chars().take(NAME_CHARS).collect()
}

/// The beginning of a text, on one line, with nothing in it that hides or turns the writing.
pub fn clipped(text: &str) -> String {
    let line = one_line(text.trim());
    if line.chars().count() <= TEXT_CHARS_MAX {
        return line;
    }
    let mut cut: String = line.chars().take(TEXT_CHARS_MAX).collect();
    cut.push('…');
    cut
}

/// What turns the direction of writing, hides, or begins a line could make a text look like another.
pub(super) fn one_line(text: &str) -> String {
    let hides = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let shown = |c: char| match c {
        c if c.is_control() => ' ',
        c if hides(c) => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
