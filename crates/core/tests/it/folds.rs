//! The laws of the folds: any order, any duplication, pruned or not, the same view.

use proptest::prelude::*;
use unisono_core::orchestra::claims::{Rules, Standing};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::{FoldRules, Folds, Reading, Refold};
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, AgentId, AgentKind, Approve, Arrival, ClusterId, Content, CorrectionRule, Cue,
    CueAnswer, CueRule, CueWord, Curve, Digest, Enrol, FieldChange, FieldValue, IdempotencyKey,
    Incarnation, Judgement, LogId, Mark, Measure, Moved, NodeId, Performs, Plan, Played, Presence,
    Project, Resource, Reviewed, Stamp, Status, TaskChange, TaskStatus, Tempo, TempoSegment, Used,
    Write,
};

use crate::facts;

pub(crate) struct NobodyLate;

impl Standing for NobodyLate {
    fn is_late(&self, _: &LogId, _: Stamp) -> bool {
        false
    }

    fn fence_after(&self, _: Stamp) -> Option<Stamp> {
        None
    }
}

pub(crate) const RULES: FoldRules = FoldRules {
    cluster: ClusterId([0; 16]),
    root: None,
    recovery: None,
    authority: None,
    founder: NodeId([1; 32]),
    lease_ms_max: 60_000,
    sabotage: Sabotage::NONE,
};

pub(crate) fn claim_rules() -> Rules<'static> {
    Rules {
        standing: &NobodyLate,
        lease_ms_max: 60_000,
        expiry_ignored: false,
    }
}

pub(crate) fn fact(number: u64, agent: u8, at_ms: u64, action: Action) -> Fact {
    let record = Digest::of("test", &[&number.to_le_bytes()]);
    let log = LogId {
        node: NodeId([agent % 3; 32]),
        incarnation: Incarnation::default(),
    };
    facts::fact(record, (log, number), agent, at_ms, action)
}

/// Something that is asked again under the same key: what counts is the lowest.
fn keyed(number: u64, agent: u8, at_ms: u64, kind: u8, subject: u8) -> Fact {
    let action = if kind % 8 == 6 {
        Action::Mark(Mark {
            about: format!("m{}", subject % 4),
            text: String::new(),
            reasoning: String::new(),
            evidence: Vec::new(),
            tags: Vec::new(),
        })
    } else {
        Action::Presence(Presence {
            status: Status::Thinking,
            intent: format!("i{}", subject % 4),
            focus: String::new(),
        })
    };
    let mut fact = fact(number, agent, at_ms, action);
    fact.body.key = Some(IdempotencyKey([kind % 8 * 4 + subject % 4; 16]));
    fact
}

/// Files, plans and opinions: two paths, a few contents that come and go.
fn file_action(kind: u8, subject: u8) -> Action {
    let content = |number: u8| Digest([number; 32]);
    let path = format!("src/{}", subject % 2);
    let (one, other) = (kind / 8 % 4, subject / 2 % 4);
    match kind % 8 {
        0..=3 => Action::Write(Box::new(Write {
            project: "p".into(),
            phase: 1,
            path,
            base: (other > 0).then(|| content(other)),
            content: (one > 0 || other == 0).then(|| Content {
                digest: content(one),
                bytes: 1,
                blank: false,
                measure: Measure::UnknownLanguage,
            }),
            moved_from: (one == 3).then(|| Moved {
                path: format!("src/{}", 1 - subject % 2),
                base: content(other),
            }),
            plan: content(kind),
        })),
        4..=6 => Action::Approve(Approve {
            about: match subject % 8 {
                7 => Reviewed::Task("t1".into()),
                _ => Reviewed::Path(path),
            },
            content: content(one),
            judgement: Judgement::Approved,
            reason: String::new(),
        }),
        _ => Action::Plan(Plan {
            projects: vec![Project {
                name: format!("p{}", subject % 4),
                unmeasured: Vec::new(),
                phases: Vec::new(),
            }],
        }),
    }
}

/// Something that is played together; a cue may be answered that is none.
fn together(kind: u8, subject: u8, at_ms: u64, earlier: Digest) -> Action {
    let target_ns = (at_ms + u64::from(subject) * 20) * 1_000_000;
    match kind % 7 {
        0 => Action::Arrive(Arrival {
            barrier: format!("b{}", subject % 2),
            of: 2 + u16::from(subject % 3),
            lead_ms: u32::from(subject),
            patience_ms: 1 + u64::from(subject) * 40,
        }),
        1 => Action::Cue(Cue {
            name: format!("c{}", subject % 3),
            target_ns,
            window_ms: 5,
            confidence_ppm: 1_000_000,
            answer_ms: 10,
            preparation: String::new(),
            parties: vec![AgentId([1; 32])],
            rule: if subject.is_multiple_of(2) {
                CueRule::Go
            } else {
                CueRule::Wait
            },
        }),
        2 => Action::Answer(CueAnswer {
            cue: earlier,
            word: if subject.is_multiple_of(2) {
                CueWord::Ready
            } else {
                CueWord::Declined
            },
            text: String::new(),
        }),
        3 => Action::Played(Played {
            cue: Some(earlier),
            target_ns,
            late_ns: i64::from(subject) - 90,
            unsure_ns: 7,
        }),
        4 => Action::Used(Used {
            resource: if subject.is_multiple_of(2) {
                Resource::CpuMs
            } else {
                Resource::Tokens
            },
            until_ns: target_ns,
            actions: 1,
            used: subject.into(),
            allotted: 90,
        }),
        5 => Action::Performs(Performs {
            rule: CorrectionRule::Best,
            phase_ppm: subject.into(),
            period_ppm: 0,
            holds_ms: u32::from(subject % 4) * 100,
        }),
        _ => Action::Tempo(Tempo {
            beat: u64::from(subject),
            part: 0,
            segments: vec![TempoSegment {
                starts_ns: target_ns,
                lasts_ns: None,
                rate_ubpm: 1_000_000 * (1 + u64::from(subject)),
                curve: Curve::Steady,
            }],
            point_every: 4,
            major_every: 16,
        }),
    }
}

/// What an agent does, in numbers; names of earlier records are filled in from a history.
fn build(steps: &[(u8, u8, u8, u16)]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = (1..=4)
        .map(|agent| {
            let enrol = Enrol {
                name: format!("a{agent}"),
                role: String::new(),
                kind: AgentKind::Ai,
                tier: None,
            };
            fact(
                u64::from(agent),
                agent,
                1_000 + u64::from(agent),
                Action::Enrol(enrol),
            )
        })
        .collect();
    let mut at_ms = 2_000;
    for (index, (agent, kind, subject, gap)) in steps.iter().enumerate() {
        at_ms += u64::from(*gap);
        let topic = format!("t{}", subject % 3);
        let earlier: Vec<Digest> = facts.iter().map(|fact| fact.place.record).collect();
        let pick = |salt: usize| earlier[(index * 7 + salt * 3 + 1) % earlier.len()];
        let own = facts.iter().rev().find(|fact| {
            matches!(&fact.body.action, Action::Claim { topic: t, .. } if *t == topic)
                && fact.agent == AgentId([agent % 4 + 1; 32])
        });
        let claim = own.map_or_else(|| pick(0), |fact| fact.place.record);
        if *kind >= 160 {
            let who = agent % 4 + 1;
            let action = together(*kind, *subject, at_ms, pick(4));
            facts.push(fact(index as u64 + 10, who, at_ms, action));
            continue;
        }
        if kind % 8 >= 6 {
            facts.push(keyed(
                index as u64 + 10,
                agent % 4 + 1,
                at_ms,
                *kind,
                *subject,
            ));
            continue;
        }
        if *subject >= 160 {
            let action = file_action(*kind, *subject);
            facts.push(fact(index as u64 + 10, agent % 4 + 1, at_ms, action));
            continue;
        }
        let action = match kind % 8 {
            0 | 1 => Action::Claim {
                topic,
                lease_ms: 500 + u64::from(*subject) * 40,
            },
            2 => Action::Renew {
                topic,
                claim,
                lease_ms: 700,
            },
            3 => Action::Release { topic, claim },
            _ => Action::Task(TaskChange {
                task: topic,
                fields: vec![FieldChange {
                    value: if kind % 2 == 0 {
                        FieldValue::Priority(subject % 5)
                    } else {
                        FieldValue::Status(TaskStatus::Open)
                    },
                    replaces: vec![pick(1), pick(2)],
                }],
                evidence: None,
            }),
        };
        facts.push(fact(index as u64 + 10, agent % 4 + 1, at_ms, action));
    }
    facts
}

pub(crate) fn digest(folds: &Folds, at: Stamp) -> Digest {
    let horizon = Horizon::default();
    Reading {
        folds,
        at,
        horizon: &horizon,
        rules: claim_rules(),
    }
    .digest()
}

pub(crate) fn folded<'a>(facts: impl Iterator<Item = &'a Fact>) -> Folds {
    let mut folds = Folds::default();
    for fact in facts {
        folds.insert(fact.clone(), &RULES);
    }
    folds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn order_does_not_matter(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..60),
        order in any::<u64>(),
        at in 0_u64..60_000,
    ) {
        let facts = build(&steps);
        let straight = folded(facts.iter());
        let mut shuffled: Vec<&Fact> = facts.iter().collect();
        shuffled.sort_by_key(|fact| Digest::of("order", &[&fact.place.record.0, &order.to_le_bytes()]));
        let other = folded(shuffled.into_iter());
        for at in [Stamp::from_ms(at), Stamp::from_ms(1 << 40)] {
            prop_assert_eq!(digest(&straight, at), digest(&other, at));
        }
    }

    #[test]
    fn pruning_changes_nothing_above_the_frontier(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..60),
        frontier in 1_000_u64..40_000,
    ) {
        let facts = build(&steps);
        let whole = folded(facts.iter());
        let edge = Stamp::from_ms(frontier);
        let (below, above): (Vec<&Fact>, Vec<&Fact>) =
            facts.iter().partition(|fact| fact.place.stamp <= edge);
        let mut pruned = folded(below.into_iter());
        pruned.prune(edge, &claim_rules());
        for fact in above {
            pruned.insert(fact.clone(), &RULES);
        }
        for at in [edge, Stamp::from_ms(frontier + 700), Stamp::from_ms(1 << 40)] {
            prop_assert_eq!(digest(&whole, at), digest(&pruned, at));
        }
    }

    /// A checkpoint, then a record from below it: what must be folded again is said, and folding it
    /// again gives the same as folding everything.
    #[test]
    fn a_late_record_is_folded_again(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 2..60),
        frontier in 1_000_u64..40_000,
        late in any::<prop::sample::Index>(),
    ) {
        let facts = build(&steps);
        let late = late.index(facts.len());
        let whole = folded(facts.iter());
        let edge = Stamp::from_ms(frontier);
        let mut pruned = Folds::default();
        for (index, fact) in facts.iter().enumerate() {
            if index != late && fact.place.stamp <= edge {
                pruned.insert(fact.clone(), &RULES);
            }
        }
        pruned.prune(edge, &claim_rules());
        for (index, fact) in facts.iter().enumerate() {
            if index == late || fact.place.stamp > edge {
                pruned.insert(fact.clone(), &RULES);
            }
        }
        match pruned.needs_refold() {
            Some(Refold::Topics(_)) => pruned.adopt_topics(folded(facts.iter())),
            Some(Refold::Everything) => pruned = folded(facts.iter()),
            None => {}
        }
        let at = Stamp::from_ms(1 << 40);
        prop_assert_eq!(digest(&whole, at), digest(&pruned, at));
    }
}
