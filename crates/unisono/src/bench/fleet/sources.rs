//! What is foretold of whoever acts in a trace: what each actor does, kind by kind, as a source of events; how
//! many of these keep time, and how often what was stated came true.

use std::collections::BTreeMap;

use unisono_core::ensemble::limits::CONFIDENCE_MIN;
use unisono_core::ensemble::{Came, EventSource, Foretold, Pattern};

use super::super::figures::Figures;
use crate::replay::trace::Event;

/// Fewer events of a source tell nothing of how often it came true.
const EVENTS_MIN: u64 = 64;
/// Within what an event is foretold (s).
const WITHIN_S: [u64; 4] = [1, 60, 600, 3_600];
/// A source whose intervals differ from their mean by less than this share of it keeps time.
const STEADY: f64 = 0.25;

/// What each actor does, kind by kind.
pub(super) struct Sources {
    sources: BTreeMap<(usize, &'static str), Vec<Source>>,
}

/// One source, with one tolerance.
struct Source {
    model: EventSource,
    events: u64,
    told: Vec<(Foretold, bool)>,
    /// Looks at which its intervals kept time.
    steady: u64,
    looks: u64,
}

impl Sources {
    pub(super) fn new() -> Self {
        Self {
            sources: BTreeMap::new(),
        }
    }

    /// Takes in an event.
    pub(super) fn take(&mut self, event: &Event) {
        let each = self.sources.entry((event.actor, event.kind.word()));
        let each = each.or_insert_with(|| {
            let source = |within_s: &u64| Source {
                model: EventSource::new(within_s * 1_000_000_000),
                events: 0,
                told: Vec::new(),
                steady: 0,
                looks: 0,
            };
            WITHIN_S.iter().map(source).collect()
        });
        for source in each {
            source.take(event.at_ms.saturating_mul(1_000_000));
        }
    }

    pub(super) fn tell(self, figures: &mut Figures) {
        let sources = self.sources.into_values();
        let sources: Vec<Vec<Source>> = sources
            .filter(|each| each.iter().all(|one| one.events >= EVENTS_MIN))
            .collect();
        figures.tell("event sources of 64 events or more", sources.len() as f64);
        let steady = |each: &&Vec<Source>| each.iter().any(|one| 2 * one.steady > one.looks);
        let count = sources.iter().filter(steady).count();
        figures.tell("event sources that keep time", count as f64);
        for (pattern, word) in [
            (Pattern::Periodic, "one interval"),
            (Pattern::Alternating, "two intervals in turn"),
            (Pattern::Bursty, "bursts"),
        ] {
            let is_so = |each: &&Vec<Source>| each.first().map(Source::pattern) == Some(pattern);
            let count = sources.iter().filter(is_so).count();
            figures.tell(format!("event sources believed: {word}"), count as f64);
        }
        for (index, within_s) in WITHIN_S.iter().enumerate() {
            let told = sources.iter().filter_map(|each| each.get(index));
            let told: Vec<(Foretold, bool)> = told.flat_map(|one| one.told.clone()).collect();
            let name = |what: &str| format!("foretold within {within_s} s: {what}");
            let share = |of: &[&(Foretold, bool)]| {
                let came_true = of.iter().filter(|(_, came_true)| *came_true).count();
                came_true as f64 / of.len().max(1) as f64
            };
            let all: Vec<&(Foretold, bool)> = told.iter().collect();
            figures.tell(name("events"), all.len() as f64);
            figures.tell(name("share that came true"), share(&all));
            let stated: f64 = all.iter().map(|(foretold, _)| foretold.confidence).sum();
            figures.tell(name("confidence, mean"), stated / all.len().max(1) as f64);
            figures.tell(name("confidence off from what came true"), off(&all));
            let sure = |one: &&(Foretold, bool)| one.0.confidence >= CONFIDENCE_MIN;
            let sure: Vec<_> = all.iter().copied().filter(sure).collect();
            let prepared = sure.len() as f64 / all.len().max(1) as f64;
            figures.tell(name("share sure enough to prepare"), prepared);
            figures.tell(name("of these came true"), share(&sure));
        }
    }
}

/// By how much confidence and truth differ, tenth by tenth, weighted by how often each was told.
fn off(told: &[&(Foretold, bool)]) -> f64 {
    let mut tenths = [(0.0, 0.0); 10];
    for (foretold, came_true) in told {
        let tenth = &mut tenths[((foretold.confidence * 10.0) as usize).min(9)];
        tenth.0 += foretold.confidence;
        tenth.1 += f64::from(u8::from(*came_true));
    }
    let off: f64 = tenths
        .iter()
        .map(|(stated, came)| (stated - came).abs())
        .sum();
    off / told.len().max(1) as f64
}

impl Source {
    fn take(&mut self, at_ns: u64) {
        match self.model.came(at_ns) {
            Came::OutOfOrder => return,
            Came::Unforetold => {}
            Came::Foretold {
                foretold,
                came_true,
                ..
            } => {
                self.told.push((foretold, came_true));
                let known = self.model.intervals();
                let spread = known.and_then(|known| Some(known.spread_ns? / known.mean_ns));
                self.looks += 1;
                self.steady += u64::from(spread.is_some_and(|spread| spread < STEADY));
            }
        }
        self.events += 1;
    }

    /// The pattern that was believed most often.
    fn pattern(&self) -> Pattern {
        let times = |pattern: Pattern| {
            let of = |one: &&(Foretold, bool)| one.0.pattern == pattern;
            self.told.iter().filter(of).count()
        };
        let all = [Pattern::Periodic, Pattern::Alternating, Pattern::Bursty];
        all.into_iter()
            .max_by_key(|pattern| times(*pattern))
            .unwrap_or(Pattern::Periodic)
    }
}
