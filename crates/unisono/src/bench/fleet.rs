//! A fleet's trace folded at its own times: coherence as the weeks go by, interferences as they begin
//! and end, NEEDs and whether they were met; and how much of what an agent turns to next a brief, a
//! history or the last lines of a file would have told it; and what would have been foretold of when each
//! acts next.

mod life;
mod recall;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use unisono_core::orchestra::view::InterferenceKind;
use unisono_model::Digest;

use super::figures::{Figures, Line};
use crate::failure::Failure;
use crate::replay::trace::Trace;
use life::Life;
use recall::Recall;
use sources::Sources;

/// How many iterations the trace is cut into, and one more: what came after the last is its truth.
const ITERATIONS: usize = 100;
/// Between two looks at the whole orchestra (ms of the trace).
const LOOK_MS: u64 = 3 * 3_600_000;
/// Interferences that are looked at, at most.
const LOOKED_MAX: usize = 10_000;
const HOUR_MS: f64 = 3_600_000.0;

/// What became of one interference.
#[derive(Debug)]
struct Seen {
    kind: InterferenceKind,
    /// Until when it can stand at most, as of when it was last looked at (ms).
    open: bool,
}

/// What is found while the trace goes by.
#[derive(Debug, Default)]
struct Found {
    seen: BTreeMap<Digest, Seen>,
    /// Hours since the first event, and what there was.
    coherence: Vec<[f64; 2]>,
    agents: Vec<[f64; 2]>,
    open: Vec<[f64; 2]>,
    needs_open: Vec<[f64; 2]>,
    scores: Vec<u64>,
}

/// What of a trace is told beside the figures.
#[derive(Debug, Serialize)]
struct Needs {
    told: u64,
    met: u64,
}

/// Does it.
pub(crate) fn run(file: &Path) -> Result<Figures, Failure> {
    let trace = Trace::read(file)?;
    let mut figures = Figures::default();
    let mut life = Life::new(&trace);
    let mut found = Found::default();
    let mut recall = Recall::new(&trace);
    let mut sources = Sources::new();
    let each = (trace.events.len() / (ITERATIONS + 1)).max(1);
    let first_ms = trace.events.first().map_or(0, |event| event.at_ms);
    let mut look_ms = first_ms;
    let mut iteration = 1_u32;
    for (index, event) in trace.events.iter().enumerate() {
        while look_ms < event.at_ms {
            found.look(&mut life, look_ms, first_ms);
            look_ms += LOOK_MS;
        }
        if index > 0 && index % each == 0 && iteration <= ITERATIONS as u32 {
            let next = index..(index + each).min(trace.events.len());
            recall.measure(iteration, &life, &trace.events[next]);
            recall.advance(iteration)?;
            life.advance(iteration);
            iteration += 1;
        }
        life.play(event);
        sources.take(event);
        recall.take(iteration, event)?;
        found.glance(&life, event.actor);
    }
    found.look(&mut life, look_ms, first_ms);
    found.tell(&life, &mut figures);
    recall.tell(&mut figures);
    sources.tell(&mut figures);
    Ok(figures)
}

impl Found {
    /// What stands in the way of whoever has just acted: what begins with a record names its agent.
    fn glance(&mut self, life: &Life<'_>, actor: usize) {
        for one in life.interferences(Some(actor), LOOKED_MAX) {
            let open = true;
            let kind = one.kind;
            self.seen.entry(one.id).or_insert(Seen { kind, open });
        }
    }

    /// Looks at the whole orchestra.
    fn look(&mut self, life: &mut Life<'_>, at_ms: u64, first_ms: u64) {
        life.pass_to(at_ms);
        let hours = at_ms.saturating_sub(first_ms) as f64 / HOUR_MS;
        let standing = life.interferences(None, LOOKED_MAX);
        let ids: BTreeSet<Digest> = standing.iter().map(|one| one.id).collect();
        for one in standing {
            let (kind, open) = (one.kind, true);
            self.seen.entry(one.id).or_insert(Seen { kind, open });
        }
        for (id, seen) in &mut self.seen {
            seen.open = ids.contains(id);
        }
        let (score, agents) = life.coherence();
        if agents > 0 {
            self.coherence.push([hours, score as f64 / 1_000.0]);
            self.scores.push(score);
        }
        self.agents.push([hours, agents as f64]);
        self.open.push([hours, ids.len() as f64]);
        self.needs_open.push([hours, life.needs_open() as f64]);
    }

    fn tell(mut self, life: &Life<'_>, figures: &mut Figures) {
        let Needs { told, met } = life.needs();
        figures.tell("needs told", told as f64);
        figures.tell("needs met by an offer while they stood", met as f64);
        figures.tell("records folded", life.records() as f64);
        for (kind, word) in [
            (InterferenceKind::Contested, "claims contested"),
            (InterferenceKind::Overlap, "claims that overlap"),
            (
                InterferenceKind::Unanswered,
                "needs unanswered for ten minutes",
            ),
            (InterferenceKind::Collision, "intentions that collide"),
        ] {
            let own = || self.seen.values().filter(|one| one.kind == kind);
            figures.tell(word, own().count() as f64);
            let ended = own().filter(|one| !one.open).count();
            figures.tell(
                format!("{word}: of these ended by themselves"),
                ended as f64,
            );
        }
        self.scores.sort_unstable();
        let at = |permille: usize| {
            let last = self.scores.len().saturating_sub(1);
            let score = self.scores.get(last * permille / 1_000);
            score.copied().unwrap_or_default() as f64 / 1_000.0
        };
        figures.tell("looks with somebody taking part", self.scores.len() as f64);
        figures.tell("coherence, lowest", at(0));
        figures.tell("coherence, lowest tenth", at(100));
        figures.tell("coherence, median", at(500));
        let line = |name: &str, points: Vec<[f64; 2]>| Line {
            name: name.to_owned(),
            across: "hours since the first event".to_owned(),
            points,
        };
        figures.lines = vec![
            line("coherence", self.coherence),
            line("agents taking part", self.agents),
            line("interferences open", self.open),
            line("needs open", self.needs_open),
        ];
    }
}
