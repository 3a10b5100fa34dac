//! What finding interferences costs beside how many signals stand: with words of their own, all on one
//! topic, and as NEEDs and OFFERs of one topic.

use std::time::Instant;

use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::interference::Interference;
use unisono_core::orchestra::view::SignalsWanted;
use unisono_core::orchestra::{Folds, Reading};
use unisono_core::sabotage::Sabotage;
use unisono_model::{Action, Signal, SignalKind, Stamp, Urgency};

use super::figures::Figures;
use super::resonance::{claim_rules, enrol_as, fact, fold_rules, percentiles};

/// So many standing signals, at most as many as are asked for.
const STANDING: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// So many of the last are timed.
const TIMED: u64 = 1_000;
/// Words that signals are made of.
const VOCABULARY: u64 = 20_000;

/// How signals are made.
#[derive(Clone, Copy)]
enum Made {
    /// INTENTs of eight words drawn from many.
    Apart,
    /// The same, all on one topic.
    OneTopic,
    /// A NEED and an OFFER in turn, all on one topic.
    NeedsOfOneTopic,
}

impl Made {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Apart, "apart"),
        (Self::OneTopic, "one_topic"),
        (Self::NeedsOfOneTopic, "needs_of_one_topic"),
    ];

    fn signal(self, number: u64) -> Action {
        let word = |at: u64| {
            // Multiplied and folded: the same words in every run, and no pattern that detection could use.
            let mixed = (number * 8 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
            format!("word{}", mixed % VOCABULARY)
        };
        let words: Vec<String> = (0..8).map(word).collect();
        let kind = match self {
            Self::Apart | Self::OneTopic => SignalKind::Intent,
            Self::NeedsOfOneTopic if number.is_multiple_of(2) => SignalKind::Need,
            Self::NeedsOfOneTopic => SignalKind::Offer,
        };
        let topic = match self {
            Self::Apart => words[0].clone(),
            Self::OneTopic | Self::NeedsOfOneTopic => "the topic".to_owned(),
        };
        Action::Signal(Signal {
            kind,
            topic,
            urgency: Urgency::Normal,
            text: words.join(" "),
            lifetime_ms: 30 * 24 * 3_600_000,
            evidence: None,
        })
    }
}

/// How often each question is asked.
const ASKED: u64 = 20;
/// Agents that say all of it in turn.
const AGENTS: u64 = 64;

/// What reading costs behind so many INTENTs that all stand, on one topic.
pub(crate) fn reads(records_max: u64, figures: &mut Figures) {
    let (rules, mut folds) = (fold_rules(), Folds::default());
    let begin_ms = 1_700_000_000_000;
    for agent in 0..AGENTS {
        let enrol = enrol_as(&format!("agent-{agent}"));
        folds.insert(fact(agent, agent, begin_ms, enrol), &rules);
    }
    let mut folded = 0;
    for standing in STANDING.into_iter().filter(|one| *one <= records_max) {
        while folded < standing {
            let (number, at_ms) = (AGENTS + folded, begin_ms + 1 + folded);
            let said = Made::OneTopic.signal(folded);
            folds.insert(fact(folded % AGENTS, number, at_ms, said), &rules);
            folded += 1;
        }
        let horizon = Horizon::default();
        let reading = Reading {
            folds: &folds,
            at: Stamp::from_ms(begin_ms + 1 + folded),
            horizon: &horizon,
            rules: claim_rules(),
        };
        let wanted = SignalsWanted {
            agent: Some("agent-7".to_owned()),
            limit: Some(20),
            ..SignalsWanted::default()
        };
        let mut tell = |what: &str, read: &dyn Fn()| {
            let times = (0..ASKED).map(|_| {
                let begun = Instant::now();
                read();
                begun.elapsed().as_secs_f64() * 1e3
            });
            let (p50, p99) = percentiles(times.collect());
            figures.tell(format!("standing_read_{standing}_{what}_p50_ms"), p50);
            figures.tell(format!("standing_read_{standing}_{what}_p99_ms"), p99);
        };
        tell("sense_page", &|| drop(reading.sense(&wanted)));
        tell("continue", &|| drop(reading.brief("agent-7", 1_500, None)));
        tell("interferences", &|| drop(reading.interferences(None, 100)));
        tell("coherence", &|| drop(reading.coherence()));
        tell("state", &|| drop(reading.state()));
    }
}

/// Folds signals that all stand, each of an agent of its own, and times the last thousand before each size.
pub(crate) fn run(records_max: u64, figures: &mut Figures) {
    for (made, name) in Made::ALL {
        let mut fold = Interference::default();
        let mut folded = 0;
        for standing in STANDING.into_iter().filter(|one| *one <= records_max) {
            let mut times_us = Vec::new();
            while folded < standing {
                let fact = fact(folded, folded, 1_000 + folded, made.signal(folded));
                let begun = Instant::now();
                fold.insert(&fact, Sabotage::NONE);
                if folded + TIMED >= standing {
                    times_us.push(begun.elapsed().as_secs_f64() * 1e6);
                }
                folded += 1;
            }
            let (p50, p99) = percentiles(times_us);
            figures.tell(format!("standing_{name}_{standing}_p50_us"), p50);
            figures.tell(format!("standing_{name}_{standing}_p99_us"), p99);
        }
    }
}
