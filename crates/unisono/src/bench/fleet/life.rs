//! A fleet's orchestra, folded at the times of its trace.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{BriefView, InterferenceView};
use unisono_core::orchestra::{Folds, Reading};
use unisono_model::{
    Action, AgentId, Digest, FieldChange, FieldValue, Mark, Place, Setting, Signal, SignalKind,
    Stamp, TaskChange, Urgency,
};

use super::super::resonance::{READABLE, claim_rules, enrol_as, fact, fold_rules};
use super::Needs;
use crate::replay::mapping;
use crate::replay::trace::{Event, Kind, Trace};

/// How long a claim and an intention stand unless their task ends before: people and agents of the
/// trace work for hours without a word.
const WORK_MS: u64 = 8 * 3_600_000;
/// How long a NEED stands.
const NEED_MS: u64 = 24 * 3_600_000;
/// Records between two prunings.
const PRUNED_EVERY: u64 = 8_192;

/// The orchestra so far.
pub(super) struct Life<'a> {
    trace: &'a Trace,
    folds: Folds,
    now: Stamp,
    iteration: u32,
    number: u64,
    stamps: Vec<Stamp>,
    enrolled: BTreeSet<usize>,
    /// Who holds a task, by the trace, with the claim's record.
    held: BTreeMap<usize, (usize, Digest)>,
    /// NEEDs that stand, by topic: until when (ms).
    needs: BTreeMap<String, Vec<u64>>,
    told: u64,
    met: u64,
    titles: BTreeMap<usize, (String, String)>,
}

impl<'a> Life<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let mut life = Self {
            trace,
            folds: Folds::default(),
            now: Stamp::MIN,
            iteration: 1,
            number: 0,
            stamps: Vec::new(),
            enrolled: BTreeSet::new(),
            held: BTreeMap::new(),
            needs: BTreeMap::new(),
            told: 0,
            met: 0,
            titles: BTreeMap::new(),
        };
        let first_ms = trace.events.first().map_or(0, |event| event.at_ms);
        life.pass_to(first_ms.saturating_sub(1));
        life.enrol(0);
        life.record(0, Action::Settings(vec![(Setting::IterationLast, 1_000)]));
        life
    }

    /// The time goes on to a moment, if that is to come.
    pub(super) fn pass_to(&mut self, at_ms: u64) {
        self.now = self.now.max(Stamp::from_ms(at_ms));
    }

    /// One event, as docs/replay.md says, with an intention for each claim and an offer where
    /// somebody needs what was closed.
    pub(super) fn play(&mut self, event: &Event) {
        self.pass_to(event.at_ms);
        self.enrol(event.actor);
        let topic = self.trace.tasks[event.task].clone();
        match &event.kind {
            Kind::Created {
                title, description, ..
            } => {
                let words = description.chars().take(300).collect();
                let title = title.chars().take(80).collect();
                self.titles.insert(event.task, (title, words));
            }
            Kind::Claimed => self.claim(event, &topic),
            Kind::Blocks { on } => {
                self.told += 1;
                let until_ms = event.at_ms + NEED_MS;
                self.needs.entry(on.clone()).or_default().push(until_ms);
                let text = format!("{topic} waits for it");
                let need = signal(SignalKind::Need, on.clone(), text, NEED_MS, None);
                self.record(event.actor, need);
            }
            _ => {}
        }
        let proof = match &event.kind {
            Kind::Closed { reason } => Some(self.mark(event, &topic, reason)),
            _ => None,
        };
        if let Ok(fields) = mapping::fields(&event.kind, &self.trace.actors[event.actor]) {
            self.change(event.actor, topic.clone(), fields, proof);
        }
        if matches!(
            event.kind,
            Kind::Closed { .. } | Kind::Deleted | Kind::Released { .. }
        ) {
            self.release(event, &topic);
        }
        if let Some(proof) = proof {
            self.offer(event, &topic, proof);
        }
    }

    /// Ends an iteration: whoever acts next does so in the one after it.
    pub(super) fn advance(&mut self, from: u32) {
        self.record(0, Action::Advance { from });
        self.iteration = from + 1;
        // NEEDs and OFFERs end with it.
        self.needs.clear();
    }

    fn claim(&mut self, event: &Event, topic: &str) {
        let own = self.held.get(&event.task);
        let action = match own {
            Some((actor, claim)) if *actor == event.actor => Action::Renew {
                topic: topic.to_owned(),
                claim: *claim,
                lease_ms: WORK_MS,
            },
            // Somebody else's: one node would refuse it, two sides of a cut would not.
            _ => Action::Claim {
                topic: topic.to_owned(),
                lease_ms: WORK_MS,
            },
        };
        let renews = matches!(action, Action::Renew { .. });
        let record = self.record(event.actor, action);
        if !renews {
            self.held.insert(event.task, (event.actor, record));
        }
        if let Some((title, words)) = self.titles.get(&event.task).cloned() {
            let intent = signal(SignalKind::Intent, title, words, WORK_MS, None);
            self.record(event.actor, intent);
        }
    }

    fn release(&mut self, event: &Event, topic: &str) {
        if let Some((actor, claim)) = self.held.remove(&event.task) {
            let topic = topic.to_owned();
            self.record(actor, Action::Release { topic, claim });
        }
    }

    fn mark(&mut self, event: &Event, topic: &str, reason: &str) -> Digest {
        let mark = Mark {
            about: topic.to_owned(),
            text: "closed".to_owned(),
            reasoning: mapping::text(reason),
            tags: Vec::new(),
            evidence: Vec::new(),
        };
        self.record(event.actor, Action::Mark(mark))
    }

    fn offer(&mut self, event: &Event, topic: &str, proof: Digest) {
        let Some(needs) = self.needs.remove(topic) else {
            return;
        };
        let standing = needs.iter().filter(|until_ms| **until_ms >= event.at_ms);
        self.met += standing.count() as u64;
        let words = "it is closed".to_owned();
        let offer = signal(
            SignalKind::Offer,
            topic.to_owned(),
            words,
            NEED_MS,
            Some(proof),
        );
        self.record(event.actor, offer);
    }

    fn change(
        &mut self,
        actor: usize,
        task: String,
        values: Vec<FieldValue>,
        proof: Option<Digest>,
    ) {
        let fields = values.into_iter().map(|value| FieldChange {
            value,
            replaces: Vec::new(),
        });
        let mut change = TaskChange {
            task,
            fields: fields.collect(),
            evidence: proof,
        };
        self.folds.tasks_fill(&mut change, self.now);
        self.record(actor, Action::Task(change));
    }

    fn enrol(&mut self, actor: usize) {
        if self.enrolled.insert(actor) {
            let name = &self.trace.actors[actor];
            self.record(actor, enrol_as(name));
        }
    }

    fn record(&mut self, actor: usize, action: Action) -> Digest {
        // Several records of one millisecond keep their order.
        self.now = Stamp(self.now.0 + 1);
        self.number += 1;
        let mut fact = fact(actor as u64, self.number, self.now.as_ms(), action);
        let record = fact.place.record;
        fact.place = Place {
            stamp: self.now,
            record,
        };
        fact.body.iteration = self.iteration;
        self.folds.insert(fact, &fold_rules());
        self.stamps.push(self.now);
        if self.number.is_multiple_of(PRUNED_EVERY) && self.number > READABLE {
            let frontier = self.stamps[self.stamps.len() - READABLE as usize];
            self.folds.prune(frontier, &claim_rules());
        }
        record
    }

    fn read<T>(&self, what: impl FnOnce(&Reading<'_>) -> T) -> T {
        let horizon = Horizon::default();
        what(&Reading {
            folds: &self.folds,
            at: self.now,
            horizon: &horizon,
            rules: claim_rules(),
        })
    }

    /// What stands in the way, of one actor or of all.
    pub(super) fn interferences(&self, actor: Option<usize>, most: usize) -> Vec<InterferenceView> {
        let of = actor.map(|actor| BTreeSet::from([key(actor)]));
        self.read(|reading| reading.interferences(of.as_ref(), most).interferences)
    }

    /// The score (‰), and of how many agents.
    pub(super) fn coherence(&self) -> (u64, u64) {
        self.read(|reading| {
            let view = reading.coherence();
            (view.score, view.agents)
        })
    }

    /// What an agent is told, before it is packed.
    pub(super) fn gather(&self, actor: usize) -> BriefView {
        let name = &self.trace.actors[actor];
        self.read(|reading| reading.gather(name, None))
    }

    /// Whether an actor was there before.
    pub(super) fn knows(&self, actor: usize) -> bool {
        self.enrolled.contains(&actor)
    }

    pub(super) fn needs_open(&self) -> usize {
        let now_ms = self.now.as_ms();
        let all = self.needs.values().flatten();
        all.filter(|until_ms| **until_ms >= now_ms).count()
    }

    pub(super) fn needs(&self) -> Needs {
        Needs {
            told: self.told,
            met: self.met,
        }
    }

    pub(super) fn records(&self) -> u64 {
        self.number
    }
}

/// As `fact` makes keys.
fn key(actor: usize) -> AgentId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(actor as u64).to_le_bytes());
    AgentId(key)
}

fn signal(
    kind: SignalKind,
    topic: String,
    text: String,
    lifetime_ms: u64,
    evidence: Option<Digest>,
) -> Action {
    let urgency = match kind {
        SignalKind::Need => Urgency::Blocking,
        SignalKind::Intent | SignalKind::Offer => Urgency::Normal,
    };
    Action::Signal(Signal {
        kind,
        topic,
        urgency,
        text,
        lifetime_ms,
        evidence,
    })
}
