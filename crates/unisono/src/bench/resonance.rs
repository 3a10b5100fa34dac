//! What coordination costs and finds: the brief of an agent behind a long history, and collisions of
//! intentions held against what a fleet linked by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use unisono_core::orchestra::claims::{Rules, Standing};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::interference::Interference;
use unisono_core::orchestra::interference::limits::LIKENESS_FLOOR;
use unisono_core::orchestra::interference::words::Words;
use unisono_core::orchestra::view::SignalsWanted;
use unisono_core::orchestra::{FoldRules, Folds, Reading};
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, AgentId, AgentKind, ClusterId, Digest, Enrol, FieldChange, FieldValue, Held,
    Incarnation, LogId, Mark, NodeId, Place, RECORD_VERSION, RecordBody, Signal, SignalKind, Stamp,
    TaskChange, TaskStatus, Urgency,
};

use super::figures::Figures;
use crate::failure::Failure;
use crate::replay::trace::{Kind, Trace};

/// Agents of the long history.
const AGENTS: u64 = 64;
/// Records of one task of the long history.
const TASK_RECORDS: u64 = 10;
/// How often a question is asked.
const ASKED: u64 = 300;
/// What a real node leaves readable without the logs (records).
pub(super) const READABLE: u64 = 32 * 1024;
/// The slowest brief that is good enough (ms).
const BRIEF_MS: f64 = 100.0;
/// The thresholds that are compared (‰).
const THRESHOLDS: [u16; 7] = [200, 250, 300, 350, 400, 500, 600];
/// A title that more tasks bear than these was written by a machine.
const TEMPLATE_TASKS: usize = 4;

struct NobodyLate;

impl Standing for NobodyLate {
    fn is_late(&self, _: &LogId, _: Stamp) -> bool {
        false
    }

    fn fence_after(&self, _: Stamp) -> Option<Stamp> {
        None
    }
}

pub(super) fn claim_rules() -> Rules<'static> {
    Rules {
        standing: &NobodyLate,
        lease_ms_max: 24 * 3_600_000,
        expiry_ignored: false,
    }
}

pub(super) fn fold_rules() -> FoldRules {
    FoldRules {
        founder: NodeId([1; 32]),
        cluster: ClusterId([7; 16]),
        root: None,
        recovery: None,
        authority: None,
        lease_ms_max: 24 * 3_600_000,
        sabotage: Sabotage::default(),
    }
}

pub(super) fn fact(agent: u64, number: u64, at_ms: u64, action: Action) -> Fact {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&agent.to_le_bytes());
    Fact {
        place: Place {
            stamp: Stamp::from_ms(at_ms),
            record: Digest::of("unisono/bench/v1", &[&number.to_le_bytes()]),
        },
        agent: AgentId(key),
        log: LogId {
            node: NodeId([9; 32]),
            incarnation: Incarnation::default(),
        },
        bundle: number,
        seq: number,
        body: RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: at_ms,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action,
        },
    }
}

fn enrol(agent: u64) -> Action {
    enrol_as(&format!("agent-{agent}"))
}

pub(super) fn enrol_as(name: &str) -> Action {
    Action::Enrol(Enrol {
        name: name.to_owned(),
        role: "builder".to_owned(),
        kind: AgentKind::Ai,
        tier: None,
    })
}

fn change(task: u64, values: Vec<FieldValue>, evidence: Option<Digest>) -> Action {
    let fields = values.into_iter().map(|value| FieldChange {
        value,
        replaces: Vec::new(),
    });
    Action::Task(TaskChange {
        task: format!("task-{task:07}"),
        fields: fields.collect(),
        evidence,
    })
}

fn signal(kind: SignalKind, topic: String, text: String) -> Action {
    Action::Signal(Signal {
        kind,
        topic,
        urgency: Urgency::Normal,
        text,
        lifetime_ms: 3_600_000,
        evidence: None,
    })
}

/// One step of one task of the long history: ten make one that is closed, of every eighth five, so
/// that an eighth stay open.
fn step(task: u64, step: u64) -> Action {
    let path = format!("src/part{}/file{}.rs", task % 97, task % 1_009);
    let words = format!("change part {} for case {}", task % 97, task % 331);
    match step {
        0 => change(
            task,
            vec![
                FieldValue::Created("feature".to_owned()),
                FieldValue::Title(words),
                FieldValue::Status(TaskStatus::Open),
                FieldValue::Priority((task % 5) as u8),
            ],
            None,
        ),
        1 => change(
            task,
            vec![
                FieldValue::Assignee(format!("agent-{}", task % AGENTS)),
                FieldValue::Status(TaskStatus::InProgress),
            ],
            None,
        ),
        2 => signal(SignalKind::Intent, path, words),
        3 => Action::Claim {
            topic: path,
            lease_ms: 1_800_000,
        },
        4 => signal(SignalKind::Need, format!("part{}", task % 97), words),
        5..=7 => Action::Mark(Mark {
            about: format!("task-{task:07}"),
            text: format!("step {step}: {words} in {path}"),
            reasoning: String::new(),
            tags: if task.is_multiple_of(5_000) {
                vec!["decision".to_owned()]
            } else {
                Vec::new()
            },
            evidence: Vec::new(),
        }),
        8 => change(task, vec![FieldValue::Remark(words)], None),
        _ => change(
            task,
            vec![FieldValue::Status(TaskStatus::Closed)],
            Some(Digest::default()),
        ),
    }
}

/// A history of so many records over two weeks, folded as a node folds it.
fn long_history(records: u64) -> (Folds, Stamp) {
    let rules = fold_rules();
    let mut folds = Folds::default();
    let begin_ms = 1_700_000_000_000;
    for agent in 0..AGENTS {
        folds.insert(fact(agent, agent, begin_ms, enrol(agent)), &rules);
    }
    let (mut at_ms, mut made) = (begin_ms, AGENTS);
    let mut stamps: Vec<Stamp> = Vec::new();
    for number in 0.. {
        if made >= records {
            break;
        }
        // Tasks overlap: 640 are under way at a time.
        let (round, place) = (number / (640 * TASK_RECORDS), number % (640 * TASK_RECORDS));
        let (task, at) = (round * 640 + place % 640, place / 640);
        if task % 8 == 7 && at > 0 {
            continue;
        }
        at_ms += 1_200_000_000 / records.max(1);
        let mut action = step(task, at);
        if let Action::Task(change) = &mut action {
            folds.tasks_fill(change, Stamp::from_ms(at_ms));
        }
        folds.insert(fact(task % AGENTS, made, at_ms, action), &rules);
        made += 1;
        stamps.push(Stamp::from_ms(at_ms));
        if made.is_multiple_of(8_192) && made > READABLE {
            let frontier = stamps[stamps.len() - READABLE as usize];
            folds.prune(frontier, &claim_rules());
        }
    }
    (folds, Stamp::from_ms(at_ms + 1))
}

pub(super) fn percentiles(mut times_ms: Vec<f64>) -> (f64, f64) {
    times_ms.sort_by(f64::total_cmp);
    let at = |share: usize| times_ms[(times_ms.len() - 1) * share / 100];
    (at(50), at(99))
}

/// Asks for briefs and signals behind histories of ten thousand records, ten times as many, and a
/// hundred times.
pub(crate) fn briefs(records_max: u64) -> Figures {
    let mut figures = Figures::default();
    for records in [10_000, 100_000, 1_000_000] {
        if records > records_max {
            continue;
        }
        let begun = Instant::now();
        let (folds, at) = long_history(records);
        let fold_us = begun.elapsed().as_secs_f64() * 1e6 / records as f64;
        figures.tell(format!("continue_{records}_fold_us_a_record"), fold_us);
        let horizon = Horizon::default();
        let reading = Reading {
            folds: &folds,
            at,
            horizon: &horizon,
            rules: claim_rules(),
        };
        let timed = |work: &dyn Fn(&str)| {
            let times = (0..ASKED).map(|n| {
                let name = format!("agent-{}", n * 7 % AGENTS);
                let begun = Instant::now();
                work(&name);
                begun.elapsed().as_secs_f64() * 1e3
            });
            percentiles(times.collect())
        };
        let mut tell = |what: &str, (p50, p99): (f64, f64), budget: Option<f64>| {
            figures.tell(format!("{what}_{records}_p50_ms"), p50);
            let name = format!("{what}_{records}_p99_ms");
            match budget {
                Some(budget) => figures.at_most(name, p99, budget),
                None => figures.tell(name, p99),
            }
        };
        let brief = |name: &str| drop(reading.brief(name, 1_500, None).markdown());
        tell("continue", timed(&brief), Some(BRIEF_MS));
        let sensed = |name: &str, limit| {
            drop(reading.sense(&SignalsWanted {
                agent: Some(name.to_owned()),
                limit,
                ..SignalsWanted::default()
            }));
        };
        tell("sense", timed(&|name| sensed(name, None)), None);
        tell("sense_page", timed(&|name| sensed(name, Some(20))), None);
        tell(
            "interference",
            timed(&|_| drop(reading.interferences(None, 100))),
            None,
        );
        tell("coherence", timed(&|_| drop(reading.coherence())), None);
        let tokens = reading.brief("agent-3", 1_500, None).tokens;
        figures.tell(format!("continue_{records}_tokens"), tokens as f64);
    }
    super::unseen::fleets(&mut figures);
    super::search::decisions(&mut figures);
    figures
}

/// Tasks as intentions, and what the fleet itself linked.
struct Labelled {
    /// Topic and text of each task, in the order in which they were made.
    intents: Vec<(String, String)>,
    /// Pairs that the fleet called duplicates.
    duplicates: BTreeSet<(usize, usize)>,
    /// Pairs that it linked as related, or of which one was found at work on the other.
    linked: BTreeSet<(usize, usize)>,
}

fn labelled(trace: &Trace, templates: bool) -> Labelled {
    let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &trace.events {
        if let Kind::Created { title, .. } = &event.kind {
            *titles.entry(title).or_default() += 1;
        }
    }
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    let mut intents = Vec::new();
    for event in &trace.events {
        let name = trace.tasks[event.task].as_str();
        if let Kind::Created {
            title, description, ..
        } = &event.kind
            && (templates || titles[title.as_str()] <= TEMPLATE_TASKS)
            && !index.contains_key(name)
        {
            index.insert(name, intents.len());
            let text: String = description.chars().take(300).collect();
            intents.push((title.chars().take(80).collect(), text));
        }
    }
    let (mut duplicates, mut linked) = (BTreeSet::new(), BTreeSet::new());
    for event in &trace.events {
        let own = index.get(trace.tasks[event.task].as_str());
        let pair = |set: &mut BTreeSet<(usize, usize)>, other: &str| {
            if let (Some(one), Some(two)) = (own, index.get(other))
                && one != two
            {
                set.insert((*one.min(two), *one.max(two)));
            }
        };
        match &event.kind {
            Kind::Linked { on, relation } => match relation.as_str() {
                "duplicates" | "supersedes" => pair(&mut duplicates, on),
                "related" | "relates-to" | "discovered-from" => pair(&mut linked, on),
                _ => {}
            },
            Kind::Closed { reason } => {
                for other in named_as_same(reason) {
                    pair(&mut duplicates, &other);
                }
            }
            _ => {}
        }
    }
    linked.retain(|pair| !duplicates.contains(pair));
    Labelled {
        intents,
        duplicates,
        linked,
    }
}

/// The tasks that a short reason for closing calls the same: `Duplicate of bd-12`.
fn named_as_same(reason: &str) -> Vec<String> {
    let small = reason.to_lowercase();
    let says = [
        "duplicat",
        "superseded",
        "merged into",
        "same as",
        "consolidated into",
    ];
    if reason.len() > 200 || !says.iter().any(|word| small.contains(word)) {
        return Vec::new();
    }
    let words = small.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '.')));
    let names = words.map(|word| word.trim_matches('.'));
    names
        .filter(|word| word.contains('-') && word.bytes().any(|b| b.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

/// Folds every task as an intention of an agent of its own, and holds the collisions against the
/// links.
pub(crate) fn collisions(file: &Path) -> Result<Figures, Failure> {
    let trace = Trace::read(file)?;
    let mut figures = Figures::default();
    for templates in [true, false] {
        let prefix = if templates { "all" } else { "no_templates" };
        judge(&labelled(&trace, templates), prefix, &mut figures);
    }
    Ok(figures)
}

fn judge(labelled: &Labelled, prefix: &str, figures: &mut Figures) {
    let intents = labelled.intents.len();
    let facts: Vec<Fact> = labelled
        .intents
        .iter()
        .enumerate()
        .map(|(n, (topic, text))| {
            let intent = signal(SignalKind::Intent, topic.clone(), text.clone());
            fact(n as u64, n as u64, 1_000 + n as u64, intent)
        })
        .collect();
    let mut fold = Interference::default();
    let mut times_us: Vec<f64> = Vec::with_capacity(intents);
    for fact in &facts {
        let begun = Instant::now();
        fold.insert(fact, Sabotage::default());
        times_us.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let worst = times_us.iter().copied().fold(0.0, f64::max);
    let mean = times_us.iter().sum::<f64>() / intents as f64;
    let (p50, p99) = percentiles(times_us);
    let mut off = Folds::default();
    let begun = Instant::now();
    for one in facts {
        off.insert(without_detection(one), &fold_rules());
    }
    let off_us = begun.elapsed().as_secs_f64() * 1e6 / intents as f64;
    figures.tell(format!("{prefix}_intents"), intents as f64);
    figures.tell(
        format!("{prefix}_duplicates"),
        labelled.duplicates.len() as f64,
    );
    figures.tell(format!("{prefix}_linked"), labelled.linked.len() as f64);
    figures.tell(format!("{prefix}_fold_without_detection_us"), off_us);
    figures.tell(format!("{prefix}_detection_mean_us"), mean);
    figures.tell(format!("{prefix}_detection_p50_us"), p50);
    figures.tell(format!("{prefix}_detection_p99_us"), p99);
    figures.tell(format!("{prefix}_detection_worst_us"), worst);
    let found: Vec<_> = fold
        .pairs(Stamp::from_ms(2_000 + intents as u64), LIKENESS_FLOOR)
        .collect();
    let number = |agent: &AgentId| {
        let bytes = agent.0[..8].try_into().expect("a key has 32 bytes");
        u64::from_le_bytes(bytes) as usize
    };
    let pairs: Vec<((usize, usize), u16)> = found
        .iter()
        .map(|one| {
            let (a, b) = (number(&one.first_agent), number(&one.second_agent));
            ((a.min(b), a.max(b)), one.likeness)
        })
        .collect();
    for threshold in THRESHOLDS {
        let hits: BTreeSet<(usize, usize)> = pairs
            .iter()
            .filter(|(_, likeness)| *likeness >= threshold)
            .map(|(pair, _)| *pair)
            .collect();
        at_threshold(labelled, &hits, threshold, prefix, figures);
    }
}

fn at_threshold(
    labelled: &Labelled,
    hits: &BTreeSet<(usize, usize)>,
    threshold: u16,
    prefix: &str,
    figures: &mut Figures,
) {
    let truth: BTreeSet<_> = labelled
        .duplicates
        .union(&labelled.linked)
        .copied()
        .collect();
    let share = |set: &BTreeSet<(usize, usize)>| {
        set.intersection(hits).count() as f64 / set.len().max(1) as f64
    };
    let alike = |pair: &&(usize, usize)| {
        let words = |n: usize| Words::of(&labelled.intents[n].0, &labelled.intents[n].1);
        words(pair.0).likeness(&words(pair.1)) >= threshold
    };
    let name = |what: &str| format!("{prefix}_{threshold}_{what}");
    figures.tell(name("pairs_found"), hits.len() as f64);
    figures.tell(name("recall_duplicates"), share(&labelled.duplicates));
    figures.tell(name("recall_linked"), share(&labelled.linked));
    // What comparing every pair would find: the rest is what looking at neighbours alone costs.
    let every = labelled.duplicates.iter().filter(alike).count() as f64;
    let most = labelled.duplicates.len().max(1) as f64;
    figures.tell(name("recall_duplicates_of_every_pair"), every / most);
    let good = truth.intersection(hits).count() as f64;
    figures.tell(name("precision"), good / hits.len().max(1) as f64);
    // Of pairs of which both tasks were linked to something: somebody had looked at them.
    let seen: BTreeSet<usize> = truth.iter().flat_map(|(a, b)| [*a, *b]).collect();
    let judged = hits
        .iter()
        .filter(|(a, b)| seen.contains(a) && seen.contains(b));
    figures.tell(
        name("precision_among_linked_tasks"),
        good / judged.count().max(1) as f64,
    );
    let same = |(a, b): &&(usize, usize)| labelled.intents[*a].0 == labelled.intents[*b].0;
    let same = hits.iter().filter(same).count() as f64;
    figures.tell(
        name("share_with_one_title"),
        same / hits.len().max(1) as f64,
    );
}

/// The same record as one that no detector looks at, of the same size.
fn without_detection(mut fact: Fact) -> Fact {
    if let Action::Signal(signal) = fact.body.action {
        fact.body.action = Action::Presence(unisono_model::Presence {
            status: unisono_model::Status::Active,
            intent: signal.text,
            focus: signal.topic,
        });
    }
    fact
}
