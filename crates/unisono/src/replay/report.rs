//! What is counted while a trace is played, and the report at the end.

use std::fmt::Write as _;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use unisono_model::Digest;

use super::check::Checked;

/// Refusals without an explanation that are shown in full.
const SAMPLES_MAX: usize = 20;

/// What is counted while a trace is played.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Events played to their end.
    pub(crate) events: AtomicU64,
    /// Records made.
    pub(crate) records: AtomicU64,
    repeated: AtomicU64,
    kinds: Mutex<BTreeMap<&'static str, KindCount>>,
    refusals: Mutex<BTreeMap<String, Refused>>,
    again: Mutex<BTreeMap<&'static str, u64>>,
    acknowledged: Mutex<BTreeSet<Digest>>,
    samples: Mutex<Vec<String>>,
}

/// Events of one kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct KindCount {
    /// Events of the kind.
    pub(crate) events: u64,
    /// Of these, how many changed their task as the trace says.
    pub(crate) taken: u64,
    /// Refusals on the way.
    pub(crate) refusals: u64,
}

/// Refusals by one rule.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Refused {
    /// The trace itself says why.
    pub(crate) explained: u64,
    /// Nothing says why.
    pub(crate) unexplained: u64,
}

/// What became of a trace.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The file.
    pub(crate) trace: String,
    /// The orchestra.
    pub(crate) orchestra: String,
    /// The nodes.
    pub(crate) nodes: Vec<String>,
    /// Events played.
    pub(crate) events: u64,
    /// Actors.
    pub(crate) actors: usize,
    /// Tasks.
    pub(crate) tasks: usize,
    /// Records made.
    pub(crate) records: u64,
    /// Requests that had been recorded by an earlier run.
    pub(crate) repeated: u64,
    /// How long it took.
    pub(crate) seconds: f64,
    /// Events a second.
    pub(crate) events_per_second: f64,
    /// Records a second.
    pub(crate) records_per_second: f64,
    /// Events by kind.
    pub(crate) kinds: BTreeMap<&'static str, KindCount>,
    /// Refusals by rule.
    pub(crate) refusals: BTreeMap<String, Refused>,
    /// Refusals that nothing explains.
    pub(crate) unexplained: u64,
    /// The first of them.
    pub(crate) unexplained_samples: Vec<String>,
    /// How often something was tried again, by reason.
    pub(crate) retries: BTreeMap<&'static str, u64>,
    /// Whether all nodes show the same.
    pub(crate) converged: bool,
    /// As of which stamp.
    pub(crate) as_of: Option<String>,
    /// How long after the last answer they did (ms).
    pub(crate) converged_after_ms: u64,
    /// The digest of all views, by node.
    pub(crate) views: BTreeMap<String, String>,
    /// What a naive refold of the dumps says, where that was asked for.
    pub(crate) check: Option<Checked>,
}

impl Tally {
    /// A record was made, or had been.
    pub(crate) fn recorded(&self, record: Digest, repeated: bool) {
        lock(&self.acknowledged).insert(record);
        let counter = if repeated {
            &self.repeated
        } else {
            &self.records
        };
        counter.fetch_add(1, Relaxed);
    }

    /// The records that were acknowledged.
    pub(crate) fn acknowledged(&self) -> BTreeSet<Digest> {
        lock(&self.acknowledged).clone()
    }

    /// An event was played.
    pub(crate) fn event(&self, kind: &'static str, taken: bool, refused: u32) {
        self.events.fetch_add(1, Relaxed);
        let mut kinds = lock(&self.kinds);
        let count = kinds.entry(kind).or_default();
        count.events += 1;
        count.taken += u64::from(taken);
        count.refusals += u64::from(refused);
    }

    /// Something was refused.
    pub(crate) fn refused(&self, code: &str, explained: bool, place: String) {
        let mut refusals = lock(&self.refusals);
        let refused = refusals.entry(code.to_owned()).or_default();
        if explained {
            refused.explained += 1;
            return;
        }
        refused.unexplained += 1;
        let mut samples = lock(&self.samples);
        if samples.len() < SAMPLES_MAX {
            samples.push(format!("{code}: {place}"));
        }
    }

    /// Something will be tried again.
    pub(crate) fn again(&self, why: &'static str) {
        *lock(&self.again).entry(why).or_default() += 1;
    }

    /// What came of it all; what the tally does not know is left empty.
    pub(crate) fn report(&self, took: Duration) -> Report {
        let seconds = took.as_secs_f64();
        let events = self.events.load(Relaxed);
        let records = self.records.load(Relaxed);
        let refusals = lock(&self.refusals).clone();
        Report {
            trace: String::new(),
            orchestra: String::new(),
            nodes: Vec::new(),
            events,
            actors: 0,
            tasks: 0,
            records,
            repeated: self.repeated.load(Relaxed),
            seconds,
            events_per_second: events as f64 / seconds,
            records_per_second: records as f64 / seconds,
            kinds: lock(&self.kinds).clone(),
            unexplained: refusals.values().map(|refused| refused.unexplained).sum(),
            refusals,
            unexplained_samples: lock(&self.samples).clone(),
            retries: lock(&self.again).clone(),
            converged: false,
            as_of: None,
            converged_after_ms: 0,
            views: BTreeMap::new(),
            check: None,
        }
    }
}

impl Report {
    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{} events of {} actors on {} tasks through {} nodes in {:.1} s\n\
             {:.0} events/s, {:.0} records/s ({} records, {} found recorded)\n\n",
            self.events,
            self.actors,
            self.tasks,
            self.nodes.len(),
            self.seconds,
            self.events_per_second,
            self.records_per_second,
            self.records,
            self.repeated,
        );
        text.push_str("kind         events    taken  refusals\n");
        for (kind, count) in &self.kinds {
            let KindCount {
                events,
                taken,
                refusals,
            } = count;
            // A string takes everything.
            let _ = writeln!(text, "{kind:<10} {events:>8} {taken:>8} {refusals:>9}");
        }
        text.push_str("\nrefused by            explained  unexplained\n");
        for (code, refused) in &self.refusals {
            let Refused {
                explained,
                unexplained,
            } = refused;
            // A string takes everything.
            let _ = writeln!(text, "{code:<20} {explained:>10} {unexplained:>12}");
        }
        for sample in &self.unexplained_samples {
            // A string takes everything.
            let _ = writeln!(text, "  {sample}");
        }
        self.end(&mut text);
        text
    }

    /// How it ended.
    fn end(&self, text: &mut String) {
        let retries: Vec<String> = self
            .retries
            .iter()
            .map(|(why, count)| format!("{why} {count}"))
            .collect();
        let retries = if retries.is_empty() {
            "none".to_owned()
        } else {
            retries.join(", ")
        };
        // A string takes everything.
        let _ = write!(text, "\ntried again: {retries}\n");
        let as_of = self.as_of.as_deref().unwrap_or("-");
        if self.converged {
            let one = self.views.values().next().map_or("-", String::as_str);
            // A string takes everything.
            let _ = writeln!(
                text,
                "all {} nodes show the same at {as_of}, {} ms after the last answer: {one}",
                self.views.len(),
                self.converged_after_ms
            );
        } else {
            // A string takes everything.
            let _ = writeln!(text, "the nodes do NOT show the same at {as_of}:");
            for (node, views) in &self.views {
                // A string takes everything.
                let _ = writeln!(text, "  {node}  {views}");
            }
        }
        if let Some(check) = &self.check {
            text.push_str(&check.words());
        }
    }
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
