//! What an agent reads at the beginning of an iteration, in tokens: the compressed history beside a
//! file to which everybody only ever appends. The work is an excerpt of a real fleet's.

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};
use unisono_api::client::chronicle::Chronicle;
use unisono_api::client::compression::{Budget, Level, compress};
use unisono_core::orchestra::course::PhaseMap;
use unisono_model::{Digest, Stamp};

use super::figures::Figures;
use crate::demo::excerpt::EXCERPT;
use crate::failure::{Exit, Failure};
use crate::tokens::Counter;

/// After how many iterations it is measured.
const AT: [u32; 3] = [1, 10, 100];
/// Events of the fleet in one iteration: what 3,000 give over a hundred.
const EVENTS: usize = 30;
/// Each so many iterations something is decided that may never be dropped.
const PINNED_EVERY: u32 = 10;
/// Between two records (ns).
const STEP_NS: u64 = 1_000_000_000;

/// What happens over a hundred iterations.
pub(super) struct Appended {
    chronicle: Chronicle,
    /// What everybody appended.
    file: String,
    stamp: Stamp,
    records: u64,
}

/// Measures it.
pub(super) fn run(figures: &mut Figures) -> Result<(), Failure> {
    let started = Instant::now();
    let counter = Counter::load();
    let loading_ms = started.elapsed().as_secs_f64() * 1e3;
    figures.tell(
        format!("loading {} (ms)", counter.counted_with()),
        loading_ms,
    );
    let mut life = Appended::new();
    let mut events = EXCERPT.lines();
    let last = AT[AT.len() - 1];
    for iteration in 1..=last {
        for line in events.by_ref().take(EVENTS) {
            life.work(iteration, line)?;
        }
        life.decide(iteration)?;
        if AT.contains(&iteration) {
            measure(iteration, &life, &counter, figures);
        }
        life.record(iteration, &json!({ "do": "advance", "from": iteration }))?;
    }
    Ok(())
}

fn measure(iteration: u32, life: &Appended, counter: &Counter, figures: &mut Figures) {
    let budget = Budget::default();
    let count = |text: &str| counter.count(text);
    let started = Instant::now();
    let told = compress(&life.chronicle, budget, &count);
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let most = |level: Level| {
        let levels = told.told.iter().filter(|one| one.level == level);
        levels.map(|one| one.tokens).max().unwrap_or_default() as f64
    };
    let figure = |what: &str| format!("iteration {iteration}: {what}");
    figures.at_most(
        figure("the history (tokens)"),
        told.tokens as f64,
        budget.total as f64,
    );
    let current = most(Level::Current);
    figures.at_most(
        figure("of these the current one (tokens)"),
        current,
        budget.current as f64,
    );
    let summary = most(Level::Summary);
    figures.at_most(
        figure("the longest summary (tokens)"),
        summary,
        budget.summary as f64,
    );
    let line = most(Level::Line);
    figures.at_most(
        figure("the longest line (tokens)"),
        line,
        budget.line as f64,
    );
    figures.tell(
        figure("never to be forgotten (tokens)"),
        most(Level::Pinned),
    );
    figures.tell(
        figure("the appended file (tokens)"),
        counter.count(&life.file) as f64,
    );
    figures.tell(figure("making it (ms)"), ms);
}

impl Appended {
    pub(super) fn new() -> Self {
        Self {
            chronicle: Chronicle::new(PhaseMap::default()),
            file: String::new(),
            stamp: Stamp::from_ns(1_763_000_000 * STEP_NS),
            records: 0,
        }
    }

    pub(super) fn chronicle(&self) -> &Chronicle {
        &self.chronicle
    }

    /// Somebody does what somebody of the fleet did: a mark, and an offer that bears it.
    pub(super) fn work(&mut self, iteration: u32, line: &str) -> Result<(), Failure> {
        let event: Value = serde_json::from_str(line)
            .map_err(|error| Failure::new(Exit::Failed, "excerpt", error.to_string()))?;
        let word = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let (task, kind) = (word("task"), word("kind"));
        let text = [word("title"), word("text"), word("reason"), word("status")].join(" ");
        let text = format!("{kind} {}", text.trim());
        // Writing to a string cannot fail.
        let _ = writeln!(self.file, "- {} {task}: {text}", word("actor"));
        let mark = json!({ "do": "mark", "about": task, "text": text });
        let mark = self.record(iteration, &mark)?;
        if kind == "closed" || kind == "created" {
            let offer = json!({
                "do": "emit", "kind": "offer", "topic": task, "text": word("title"),
                "evidence": mark,
            });
            self.record(iteration, &offer)?;
        }
        Ok(())
    }

    /// Six things are decided, one of which matters much every so many iterations.
    fn decide(&mut self, iteration: u32) -> Result<(), Failure> {
        for number in 1..=6 {
            let high = number == 1 && iteration % PINNED_EVERY == 1;
            let importance = if high { "high" } else { "normal" };
            let topic = format!("DD-{iteration}-{number}");
            let text = format!("in iteration {iteration} the answer to question {number} was yes");
            let _ = writeln!(self.file, "- decided {topic}: {text}");
            let decide = json!({
                "do": "decide", "topic": topic, "text": text, "importance": importance,
            });
            self.record(iteration, &decide)?;
        }
        Ok(())
    }

    pub(super) fn record(&mut self, iteration: u32, action: &Value) -> Result<Digest, Failure> {
        self.records += 1;
        self.stamp = Stamp::from_ns(self.stamp.as_ns() + STEP_NS);
        let record = Digest::of(
            "unisono/bench-iterations/v1",
            &[&self.records.to_be_bytes()],
        );
        let moment = unisono_api::dto::Moment::from(self.stamp);
        let zeros = Digest::default();
        let event = json!({
            "record": record, "stamp": moment, "agent": zeros, "name": "ada",
            "seq": self.records, "bundle": 1, "held": "node", "agent_ms": 0,
            "log": { "node": zeros, "incarnation": { "started_ms": 0, "nonce": "0000000000000000" } },
            "iteration": iteration, "key": null, "verdict": "valid", "action": action,
        });
        let event = serde_json::from_value(event)
            .map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
        self.chronicle.insert(event);
        Ok(record)
    }
}
