//! What agents learn: they decide, supersede what others have decided, record remedies and say what
//! came of them. Chosen by the operation's number, so that what else an agent draws stays the same.

use unisono_core::node::Question;
use unisono_core::orchestra::lessons::error::ErrorForm;
use unisono_core::orchestra::view::{DecisionView, DecisionsWanted, RemedyView};
use unisono_model::{Action, Decide, DecideKind, Digest, Importance, Outcome, Rejected, Remedy};

use super::{Agent, Wish};

/// Most that it remembers of what it was told.
const KNOWN_MAX: usize = 4;

/// What it knows of what others have learned.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    decisions: Vec<Digest>,
    remedies: Vec<Digest>,
}

impl Known {
    pub(super) fn take_decisions(&mut self, views: &[DecisionView]) {
        let latest = views.iter().take(KNOWN_MAX);
        self.decisions = latest.map(|view| view.place.record).collect();
    }

    pub(super) fn take_remedies(&mut self, views: &[RemedyView]) {
        let latest = views.iter().take(KNOWN_MAX);
        self.remedies = latest.map(|view| view.place.record).collect();
    }
}

impl Agent {
    /// Learns something, or tells of it, now and then.
    pub(super) fn pass_on(&mut self) -> Option<Wish> {
        let which = self.whim(21) as usize;
        match self.whim(20) % 64 {
            0 | 1 => Some(Wish::Act(self.decide(Vec::new()))),
            2 => Some(Wish::Look(
                Question::Decisions(DecisionsWanted {
                    limit: KNOWN_MAX,
                    ..DecisionsWanted::default()
                }),
                None,
            )),
            3 | 4 if !self.known.decisions.is_empty() => {
                let known = self.known.decisions.len();
                let former = self.known.decisions.remove(which % known);
                Some(Wish::Act(self.decide(vec![former])))
            }
            5 => Some(Wish::Act(Action::Remedy(Box::new(Remedy {
                form: 1,
                error: ErrorForm::of(&format!("E{:04}: of some kind", which % 5)).text(),
                text: format!("as {} did", self.name),
                cause: String::new(),
                files: Vec::new(),
            })))),
            6 => Some(Wish::Look(Question::Remedies { limit: KNOWN_MAX }, None)),
            7..=9 if !self.known.remedies.is_empty() => {
                let known = self.known.remedies.len();
                // It may say so again, or change its mind.
                Some(Wish::Act(Action::Outcome(Outcome {
                    remedy: self.known.remedies[which % known],
                    helped: self.whim(22).is_multiple_of(2),
                    text: String::new(),
                })))
            }
            _ => None,
        }
    }

    fn decide(&self, supersedes: Vec<Digest>) -> Action {
        let importances = [
            Importance::Low,
            Importance::Normal,
            Importance::High,
            Importance::Critical,
        ];
        Action::Decide(Box::new(Decide {
            kind: if self.whim(23).is_multiple_of(3) {
                DecideKind::DeadEnd
            } else {
                DecideKind::Decision
            },
            topic: format!("topic-{}", self.whim(24) % 4),
            question: String::new(),
            text: self.intention(),
            reason: String::new(),
            importance: importances[(self.whim(25) % 4) as usize],
            confidence_permille: 900,
            rejected: vec![Rejected {
                option: "nothing".into(),
                reason: String::new(),
            }],
            supersedes,
        }))
    }
}
