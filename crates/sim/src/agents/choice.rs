//! What an agent feels like doing next.

use unisono_core::node::{LivingEdit, Promise, Question};
use unisono_core::orchestra::view::{ClaimsWanted, SignalsWanted};
use unisono_model::{
    Across, Action, Digest, Field, FieldChange, FieldValue, Mark, Presence, Relation, Setting,
    Signal, SignalKind, Stamp, Status, TaskChange, TaskStatus, Urgency,
};

use super::{Agent, Wish};
use crate::checks::notes::GUEST_BOOK;
use crate::clock::EPOCH_NS;

/// Topics that everybody wants.
pub const TOPICS: usize = 4;
/// Tasks that everybody changes.
pub const TASKS: usize = 12;

fn topic(n: u64) -> String {
    format!("topic-{n}")
}

fn task(n: u64) -> String {
    format!("task-{n:02}")
}

impl Agent {
    pub(super) fn choose(&mut self, now: u64) -> Wish {
        if !self.script.is_empty() {
            return Wish::Act(self.script.remove(0));
        }
        if let Some(wish) = self.exercise(now) {
            return wish;
        }
        if let Some(wish) = self.change_key(self.seed, now) {
            return wish;
        }
        if let Some(wish) = self.clear_the_way() {
            return wish;
        }
        if let Some(wish) = self.pass_on() {
            return wish;
        }
        if let Some(wish) = self.go_back(now) {
            return wish;
        }
        if self.chance.percent(4) {
            // Agents move: that is what cursors are for.
            self.move_on();
        }
        if let Some(wish) = self.tend(now) {
            return wish;
        }
        if let Some((name, _)) = self.made_task.clone() {
            self.move_on();
            return Wish::Look(Question::Task(name), None);
        }
        if let Some(wish) = self.handle_files() {
            return wish;
        }
        // Two intentions that are one are decided by who claims first: now and then both take at
        // once, and for long, what they have said that they would.
        if self.intends.is_some() && self.whim(22).is_multiple_of(3) {
            return self.claim_what_it_intends();
        }
        match self.chance.below(100) {
            0..=21 => self.claim(),
            22..=31 => self.presence(),
            32..=44 => self.signal(),
            45..=57 => self.mark(),
            58..=78 => self.task(),
            79..=81 => Wish::Act(Action::Advance {
                from: self.iteration,
            }),
            82..=86 => self.edit(),
            87 => Wish::Act(Action::Settings(vec![(
                Setting::PresenceStaleMs,
                self.chance.between(1, 600) * 1_000,
            )])),
            88..=93 => self.play_together(now),
            _ => self.look(),
        }
    }

    /// Looks after what it holds: renews, gives back, gives up.
    fn tend(&mut self, now: u64) -> Option<Wish> {
        let wall = Stamp::from_ns(EPOCH_NS + now);
        let over: Vec<String> = self
            .holdings
            .iter()
            .filter(|(_, held)| held.until.plus_ms(2_000) < wall)
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in over {
            self.holdings.remove(&topic);
        }
        let topics: Vec<String> = self.holdings.keys().cloned().collect();
        let topic = self.chance.pick(&topics)?.clone();
        let held = self.holdings.get(&topic)?.clone();
        if held.lost {
            self.holdings.remove(&topic);
            return Some(Wish::Act(Action::Release {
                topic,
                claim: held.claim,
            }));
        }
        match self.chance.below(100) {
            _ if !held.token_valid => Some(self.renew(topic, held.claim)),
            0..=29 => Some(self.renew(topic, held.claim)),
            30..=44 => {
                self.holdings.remove(&topic);
                Some(Wish::Act(Action::Release {
                    topic,
                    claim: held.claim,
                }))
            }
            45..=64 => Some(Wish::Look(Question::Claims(ClaimsWanted::on(topic)), None)),
            _ => None,
        }
    }

    fn renew(&mut self, topic: String, claim: Digest) -> Wish {
        let lease_ms = self.lease();
        Wish::Act(Action::Renew {
            topic,
            claim,
            lease_ms,
        })
    }

    fn lease(&mut self) -> u64 {
        self.chance.between(1_000, self.place.lease_ms_max)
    }

    fn claim(&mut self) -> Wish {
        let lease_ms = self.lease();
        let topic = topic(self.chance.below(TOPICS as u64));
        let topic = self.path_or(topic);
        Wish::Act(Action::Claim {
            lease_ms: self.lease_of(&topic, lease_ms),
            topic,
        })
    }

    fn claim_what_it_intends(&mut self) -> Wish {
        Wish::Act(Action::Claim {
            topic: self.intends.take().unwrap_or_default(),
            lease_ms: self.place.lease_ms_max,
        })
    }

    fn presence(&mut self) -> Wish {
        let all = [
            Status::Active,
            Status::Thinking,
            Status::Blocked,
            Status::Idle,
            Status::Absent,
        ];
        let status = *self.chance.pick(&all).unwrap_or(&Status::Active);
        Wish::Act(Action::Presence(Presence {
            status,
            intent: format!("{} means well", self.name),
            focus: topic(self.chance.below(TOPICS as u64)),
        }))
    }

    fn signal(&mut self) -> Wish {
        let evidence = self.chance.pick(&self.marks.clone()).copied();
        let kind = match self.chance.below(3) {
            0 => SignalKind::Intent,
            1 if evidence.is_some() => SignalKind::Offer,
            _ => SignalKind::Need,
        };
        let urgencies = [
            Urgency::Low,
            Urgency::Normal,
            Urgency::High,
            Urgency::Blocking,
        ];
        let signal = Signal {
            kind,
            topic: topic(self.chance.below(TOPICS as u64)),
            urgency: *self.chance.pick(&urgencies).unwrap_or(&Urgency::Low),
            text: self.intention(),
            lifetime_ms: self.chance.log_between(500, 400_000),
            evidence: if kind == SignalKind::Offer {
                evidence
            } else {
                None
            },
        };
        if kind == SignalKind::Intent {
            self.intends = Some(signal.topic.clone());
        }
        // A mark that proves what comes from elsewhere would stand there.
        let incoming = kind != SignalKind::Offer && self.whim(20).is_multiple_of(2);
        Wish::Act(if self.whim(21).is_multiple_of(5) {
            Action::Across(Box::new(Across {
                orchestra: "elsewhere".into(),
                incoming,
                signal,
            }))
        } else {
            Action::Signal(signal)
        })
    }

    fn mark(&mut self) -> Wish {
        Wish::Act(Action::Mark(Mark {
            about: task(self.chance.below(TASKS as u64)),
            text: format!("step {} of {}", self.next_operation, self.name),
            reasoning: "it had to be done".into(),
            tags: vec!["simulated".into()],
            evidence: self.marks.last().copied().into_iter().collect(),
        }))
    }

    fn task(&mut self) -> Wish {
        let name = task(self.chance.below(TASKS as u64));
        if self.chance.percent(30) {
            let fresh = format!("task-{}-{}", self.name, self.next_operation);
            let name = if self.chance.percent(80) { name } else { fresh };
            return Wish::Act(Action::Task(TaskChange {
                task: name,
                fields: vec![
                    bare(FieldValue::Created("feature".into())),
                    bare(FieldValue::Status(TaskStatus::Open)),
                ],
                evidence: None,
            }));
        }
        if self.heads.is_none() && self.chance.percent(40) {
            return Wish::Look(Question::Task(name), None);
        }
        let value = self.value();
        let known = self.heads.take().filter(|_| self.chance.percent(80));
        let task = known.as_ref().map_or(name, |view| view.task.clone());
        let replaces = known.map_or_else(Vec::new, |view| heads_of(&view.heads, &value.field()));
        let closes = matches!(value, FieldValue::Status(TaskStatus::Closed));
        let evidence = if closes {
            self.marks.last().copied()
        } else {
            None
        };
        Wish::Act(Action::Task(TaskChange {
            task,
            fields: vec![FieldChange { value, replaces }],
            evidence,
        }))
    }

    fn value(&mut self) -> FieldValue {
        let n = self.next_operation;
        match self.chance.below(9) {
            0 => FieldValue::Title(format!("title {n}")),
            // Lines that come again, and blank ones: what merges lose first.
            1 => FieldValue::Description(format!("same\n\nwords {n}\n\nsame")),
            2 => FieldValue::Priority(self.chance.below(5) as u8),
            3 => FieldValue::Assignee(self.name.clone()),
            4 => FieldValue::Labels(vec![format!("label-{}", n % 5)]),
            5 => FieldValue::Remark(format!("remark {n}")),
            6 => {
                let all = [TaskStatus::Open, TaskStatus::InProgress, TaskStatus::Closed];
                FieldValue::Status(*self.chance.pick(&all).unwrap_or(&TaskStatus::Open))
            }
            _ => FieldValue::Link {
                on: task(self.chance.below(TASKS as u64)),
                relation: if self.chance.percent(80) {
                    Relation::Blocks
                } else {
                    Relation::Related
                },
                stands: self.chance.percent(85),
            },
        }
    }

    fn edit(&mut self) -> Wish {
        let name = format!("note-{}", self.chance.below(2));
        Wish::Edit(match self.chance.below(3) {
            0 => LivingEdit::NoteText {
                name,
                text: format!("{} was here", self.name),
            },
            1 => {
                let guest = name.ends_with('1');
                let line = format!("{} {}\n", self.name, self.next_operation);
                LivingEdit::NoteSplice {
                    name: if guest { GUEST_BOOK.into() } else { name },
                    position: 0,
                    delete: 0,
                    insert: if guest { line } else { "so ".into() },
                }
            }
            _ => LivingEdit::Config {
                key: format!("key.{}", self.chance.below(3)),
                value: self
                    .chance
                    .percent(80)
                    .then(|| format!("{}", self.next_operation)),
            },
        })
    }

    fn look(&mut self) -> Wish {
        let as_of = self.last_as_of.filter(|_| self.chance.percent(20));
        let hot = topic(self.chance.below(TOPICS as u64));
        let question = match self.chance.below(8) {
            0 => Question::State,
            1 => Question::Sense(SignalsWanted {
                topic: Some(hot),
                ..SignalsWanted::default()
            }),
            2 => Question::Claims(ClaimsWanted::on(hot)),
            3 => Question::Tasks {
                status: None,
                after: None,
                limit: 10,
            },
            4 => Question::Marks { limit: 10 },
            5 => Question::Presences,
            6 => Question::Records {
                after: Some(self.cursor.clone()),
                limit: 20,
                task: None,
            },
            _ => Question::Task(task(self.chance.below(TASKS as u64))),
        };
        Wish::Look(question, as_of)
    }

    pub(super) fn promise(&mut self, wish: &Wish) -> Promise {
        let durable_on = match self.chance.below(10) {
            0..=5 => 1,
            6..=8 => 2,
            _ => 3,
        };
        let claims = matches!(wish, Wish::Act(Action::Claim { .. } | Action::Renew { .. }));
        Promise {
            durable_on,
            confirm: claims && self.chance.percent(40),
            deadline_ms: self.chance.between(2_000, 8_000),
            min_cursor: None,
        }
    }

    /// Goes to another node.
    pub(super) fn move_on(&mut self) {
        if self.place.hosts < 2 || self.held == unisono_model::Held::Node {
            return;
        }
        let step = self.chance.between(1, self.place.hosts as u64 - 1) as usize;
        self.home = (self.home + step) % self.place.hosts;
    }
}

fn bare(value: FieldValue) -> FieldChange {
    FieldChange {
        value,
        replaces: Vec::new(),
    }
}

fn heads_of(heads: &[(Field, Vec<Digest>)], field: &Field) -> Vec<Digest> {
    heads
        .iter()
        .find(|(known, _)| known == field)
        .map(|(_, h)| h.clone())
        .unwrap_or_default()
}
