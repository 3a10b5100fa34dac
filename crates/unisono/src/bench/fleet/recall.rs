//! How much of what an agent turns to next it was told, and for how many tokens: by its brief, by the
//! compressed history, by the last lines of a file to which everybody appends, and by all of it.
//!
//! The truth is a task's later fate: the tasks that were there before, and that the agent (for the
//! history: anybody) touches in the next iteration. A text tells of a task if it names it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use unisono_api::client::compression::{Budget, compress};

use super::super::figures::Figures;
use super::super::iterations::Appended;
use super::life::Life;
use crate::failure::Failure;
use crate::replay::trace::{Event, Kind, Trace};
use crate::tokens::Counter;

/// After how many iterations, and how many of their neighbours are looked at, too: one iteration is
/// few tasks.
const AT: [(u32, u32, u32); 3] = [(1, 1, 3), (10, 8, 12), (100, 96, 100)];
/// Budgets of a brief (tokens).
const BRIEF_TOKENS: [u64; 3] = [400, 800, 1_500];
/// Most characters of a line in the file.
const LINE_CHARS_MAX: usize = 160;
/// Most characters of what stands for an agent's own lines and everybody's, looked at from the end.
const TAIL_LINES_MAX: usize = 4_000;

/// Ways to be told, in the order in which they are shown.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Plain {
    /// Each of these three under a budget of the brief (tokens).
    Brief(u64),
    OwnLines(u64),
    LastLines(u64),
    Everything,
    History,
    HistoryLines,
    HistoryEverything,
}

impl Plain {
    fn words(self) -> String {
        match self {
            Self::Brief(most) => format!("the brief of at most {most}"),
            Self::OwnLines(most) => {
                format!("the agent's own last lines, as many tokens as the brief of at most {most}")
            }
            Self::LastLines(most) => {
                format!("everybody's last lines, as many tokens as the brief of at most {most}")
            }
            Self::Everything => "the whole file".to_owned(),
            Self::History => "the compressed history".to_owned(),
            Self::HistoryLines => {
                "everybody's last lines, as many tokens as the history".to_owned()
            }
            Self::HistoryEverything => "the whole file, for everybody".to_owned(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    told: u64,
    truth: u64,
    tokens: u64,
    texts: u64,
}

/// The file and the history so far, and how much each has told.
pub(super) struct Recall<'a> {
    trace: &'a Trace,
    counter: Counter,
    lines: Vec<(usize, String)>,
    known: BTreeSet<usize>,
    appended: Appended,
    scores: BTreeMap<(u32, Plain), Score>,
}

impl<'a> Recall<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        Self {
            trace,
            counter: Counter::load(),
            lines: Vec::new(),
            known: BTreeSet::new(),
            appended: Appended::new(),
            scores: BTreeMap::new(),
        }
    }

    /// An event is appended to the file, and becomes a record of the history.
    pub(super) fn take(&mut self, iteration: u32, event: &Event) -> Result<(), Failure> {
        let task = &self.trace.tasks[event.task];
        let actor = &self.trace.actors[event.actor];
        let words = words(&event.kind);
        let line: String = format!("- {actor} {task}: {} {words}", event.kind.word());
        let line = line.chars().take(LINE_CHARS_MAX).collect();
        self.lines.push((event.actor, line));
        self.known.insert(event.task);
        let line = json!({
            "actor": actor, "task": task, "kind": event.kind.word(), "text": words,
        });
        self.appended.work(iteration, &line.to_string())
    }

    /// An iteration ends.
    pub(super) fn advance(&mut self, iteration: u32) -> Result<(), Failure> {
        let advance = json!({ "do": "advance", "from": iteration });
        self.appended.record(iteration, &advance).map(|_| ())
    }

    /// Holds what each way tells at the end of an iteration against what comes in the next.
    pub(super) fn measure(&mut self, iteration: u32, life: &Life<'_>, next: &[Event]) {
        let near = AT
            .iter()
            .find(|(_, from, to)| (*from..=*to).contains(&iteration));
        let Some((at, ..)) = near else {
            return;
        };
        let mut of: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
        let mut everybody: BTreeSet<&str> = BTreeSet::new();
        for event in next.iter().filter(|event| self.known.contains(&event.task)) {
            let task = self.trace.tasks[event.task].as_str();
            of.entry(event.actor).or_default().insert(task);
            everybody.insert(task);
        }
        let whole: u64 = self
            .lines
            .iter()
            .map(|(_, line)| self.counter.count(line) + 1)
            .sum();
        for (actor, truth) in of {
            if !life.knows(actor) {
                continue;
            }
            let count = |text: &str| self.counter.count(text);
            let gathered = life.gather(actor);
            let packed = BRIEF_TOKENS.map(|budget| {
                let brief = gathered.clone().packed(budget, &count).markdown();
                (budget, count(&brief), brief)
            });
            for (budget, most, brief) in packed {
                let own = self.tail(Some(actor), most);
                let all = self.tail(None, most);
                self.score(*at, Plain::Brief(budget), &brief, &truth);
                self.score(*at, Plain::OwnLines(budget), &own, &truth);
                self.score(*at, Plain::LastLines(budget), &all, &truth);
            }
            self.add(*at, Plain::Everything, truth.len(), truth.len(), whole);
        }
        let count = |text: &str| self.counter.count(text);
        let history = compress(self.appended.chronicle(), Budget::default(), &count).markdown();
        let lines = self.tail(None, count(&history));
        self.score(*at, Plain::History, &history, &everybody);
        self.score(*at, Plain::HistoryLines, &lines, &everybody);
        let truth = everybody.len();
        self.add(*at, Plain::HistoryEverything, truth, truth, whole);
    }

    /// The last lines, of one actor or of all, that have at most so many tokens.
    fn tail(&self, actor: Option<usize>, most: u64) -> String {
        let lines = self.lines.iter().rev();
        let own = lines.filter(|(by, _)| actor.is_none_or(|actor| actor == *by));
        let mut text = String::new();
        let mut tokens = 0;
        for (_, line) in own.take(TAIL_LINES_MAX) {
            tokens += self.counter.count(line) + 1;
            if tokens > most {
                break;
            }
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn score(&mut self, at: u32, way: Plain, text: &str, truth: &BTreeSet<&str>) {
        let parts = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.' | '_')));
        let named: BTreeSet<&str> = parts.map(|word| word.trim_matches('.')).collect();
        let told = truth.intersection(&named).count();
        self.add(at, way, told, truth.len(), self.counter.count(text));
    }

    fn add(&mut self, at: u32, way: Plain, told: usize, truth: usize, tokens: u64) {
        let score = self.scores.entry((at, way)).or_default();
        score.told += told as u64;
        score.truth += truth as u64;
        score.tokens += tokens;
        score.texts += 1;
    }

    /// Shows what came of it.
    pub(super) fn tell(&self, figures: &mut Figures) {
        for ((at, way), score) in &self.scores {
            let name = |what: &str| format!("about iteration {at}: {}: {what}", way.words());
            let recall = score.told as f64 / score.truth.max(1) as f64;
            let tokens = score.tokens as f64 / score.texts.max(1) as f64;
            figures.tell(name("texts"), score.texts as f64);
            figures.tell(name("tasks that mattered"), score.truth as f64);
            figures.tell(name("recall"), recall);
            figures.tell(name("tokens of a text"), tokens);
            let per_thousand = score.told as f64 * 1_000.0 / score.tokens.max(1) as f64;
            figures.tell(name("tasks told per thousand tokens"), per_thousand);
        }
    }
}

/// What an event says in words.
fn words(kind: &Kind) -> String {
    let said = match kind {
        Kind::Created { title, .. } => title.clone(),
        Kind::Noted { text } | Kind::Commented { text } => text.clone(),
        Kind::Closed { reason } => reason.clone(),
        Kind::Status { status } | Kind::Released { status } | Kind::Reopened { status } => {
            status.clone()
        }
        Kind::Blocks { on }
        | Kind::Unblocks { on }
        | Kind::Linked { on, .. }
        | Kind::Unlinked { on, .. } => on.clone(),
        Kind::Claimed | Kind::Priority { .. } | Kind::Deleted => String::new(),
    };
    said.replace('\n', " ")
}
