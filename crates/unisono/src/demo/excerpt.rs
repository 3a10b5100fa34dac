//! The recorded work of a real fleet, as things for agents to do.

use std::collections::BTreeSet;

use serde::Deserialize;
use unisono_api::dto::{
    ActionBody, ClaimBody, LinkChange, MarkBody, RelationWord, ReleaseBody, RenewBody, TaskBody,
    TaskStatusWord,
};

/// One event a line.
pub(crate) const EXCERPT: &str = include_str!("../../data/fleet-excerpt.jsonl");

/// How long a claim on a task is held at the most (ms).
const LEASE_MS: u64 = 600_000;

/// One thing that somebody did to a task.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    actor: String,
    /// The task.
    pub(super) task: String,
    kind: String,
    #[serde(default)]
    title: String,
    #[serde(default, rename = "type")]
    of_type: String,
    priority: Option<u8>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    status: String,
    #[serde(default)]
    relation: String,
    #[serde(default)]
    on: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    reason: String,
}

/// What an agent has done so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// Tasks that it has made.
    made: BTreeSet<String>,
    /// Tasks that it holds.
    held: BTreeSet<String>,
}

/// One action that follows from an event.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Just this.
    Act(ActionBody),
    /// A mark; the next step's task change bears it as evidence.
    Mark(MarkBody),
    /// The change that the mark before proves.
    Proven(TaskBody),
}

/// The first `count` events, dealt to so many hands: all that concerns one task goes to one hand, so
/// that its order is kept without anybody waiting for anybody.
pub(super) fn dealt(count: usize, hands: usize) -> Vec<Vec<Event>> {
    let mut dealt = vec![Vec::new(); hands];
    for line in EXCERPT.lines().take(count) {
        if let Ok(event) = serde_json::from_str::<Event>(line) {
            let hash = event
                .task
                .bytes()
                .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
                });
            // The high bits: the low ones of this hash follow the text's last letters.
            let hand = (hash >> 32) as usize % hands;
            dealt[hand].push(event);
        }
    }
    dealt
}

impl Event {
    /// What the agent does, who has done so much before.
    pub(super) fn steps(&self, past: &mut Past) -> Vec<Step> {
        let mut steps = Vec::new();
        let new = past.made.insert(self.task.clone());
        if new && self.kind != "created" {
            // The excerpt begins in the middle of this task's life.
            let body = TaskBody {
                kind: Some("task".to_owned()),
                ..self.change()
            };
            steps.push(Step::Act(ActionBody::Task(body)));
        }
        match self.kind.as_str() {
            "claimed" => {
                let again = !past.held.insert(self.task.clone());
                steps.extend(self.claimed(again));
            }
            "released" => {
                past.held.remove(&self.task);
                let body = ReleaseBody {
                    topic: self.topic(),
                    claim: None,
                };
                steps.push(Step::Act(ActionBody::Release(body)));
                steps.push(Step::Act(ActionBody::Task(
                    self.status(TaskStatusWord::Open),
                )));
            }
            "closed" => {
                steps.push(Step::Mark(MarkBody {
                    about: self.task.clone(),
                    text: "closed".to_owned(),
                    reasoning: self.reason.clone(),
                    tags: Vec::new(),
                    evidence: Vec::new(),
                }));
                steps.push(Step::Proven(self.status(TaskStatusWord::Closed)));
            }
            _ => steps.push(Step::Act(ActionBody::Task(self.changed(new)))),
        }
        steps
    }

    /// Whoever claims what it holds already prolongs its lease.
    fn claimed(&self, again: bool) -> [Step; 2] {
        let (topic, lease_ms) = (self.topic(), Some(LEASE_MS));
        let claim = if again {
            ActionBody::Renew(RenewBody {
                topic,
                claim: None,
                lease_ms,
            })
        } else {
            ActionBody::Claim(ClaimBody { topic, lease_ms })
        };
        let assignee = Some(self.actor.clone());
        let taken = TaskBody {
            assignee,
            ..self.status(TaskStatusWord::InProgress)
        };
        [Step::Act(claim), Step::Act(ActionBody::Task(taken))]
    }

    /// What becomes of the task, where that is all.
    fn changed(&self, new: bool) -> TaskBody {
        match self.kind.as_str() {
            "created" => self.created(new),
            "status" | "reopened" => self.status(word(&self.status)),
            "priority" => TaskBody {
                priority: self.priority,
                ..self.change()
            },
            "blocks" | "linked" => self.link(true),
            "unblocks" | "unlinked" => self.link(false),
            "deleted" => self.status(TaskStatusWord::Deleted),
            _ => TaskBody {
                remark: Some(self.words()),
                ..self.change()
            },
        }
    }

    fn status(&self, status: TaskStatusWord) -> TaskBody {
        TaskBody {
            status: Some(status),
            ..self.change()
        }
    }

    fn change(&self) -> TaskBody {
        TaskBody {
            task: self.task.clone(),
            ..TaskBody::default()
        }
    }

    fn created(&self, new: bool) -> TaskBody {
        let kind = if self.of_type.is_empty() {
            "task"
        } else {
            &self.of_type
        };
        TaskBody {
            kind: new.then(|| kind.to_owned()),
            title: Some(self.title.clone()),
            status: Some(TaskStatusWord::Open),
            priority: self.priority,
            labels: (!self.labels.is_empty()).then(|| self.labels.clone()),
            ..self.change()
        }
    }

    fn link(&self, stands: bool) -> TaskBody {
        let relation = match self.relation.as_str() {
            "blocks" => RelationWord::Blocks,
            "parent-child" => RelationWord::Parent,
            "discovered-from" => RelationWord::DiscoveredFrom,
            _ => RelationWord::Related,
        };
        let link = LinkChange {
            on: self.on.clone(),
            relation,
            stands,
        };
        TaskBody {
            links: vec![link],
            ..self.change()
        }
    }

    fn words(&self) -> String {
        if self.text.is_empty() {
            self.kind.clone()
        } else {
            self.text.clone()
        }
    }

    fn topic(&self) -> String {
        format!("task/{}", self.task)
    }
}

fn word(status: &str) -> TaskStatusWord {
    match status {
        "hooked" | "in_progress" | "pinned" => TaskStatusWord::InProgress,
        "blocked" => TaskStatusWord::Blocked,
        "deferred" => TaskStatusWord::Deferred,
        "closed" | "tombstone" => TaskStatusWord::Closed,
        _ => TaskStatusWord::Open,
    }
}
