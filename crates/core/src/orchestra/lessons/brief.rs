//! What of all that was learned an agent has to know to go on.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{Decide, DecideKind};

use super::limits::{BINDING_TOLD_MAX, OTHERS_TOLD_MAX};
use crate::orchestra::Reading;
use crate::orchestra::brief::{BriefPart, Lines, clipped};

impl Reading<'_> {
    /// What binds everybody: decisions and dead ends that stand, important ones pinned; and marks
    /// with the tags of `agents::PINNING_TAGS`, as they were made before decisions were an action.
    pub(in crate::orchestra) fn brief_decisions(&self, lines: &mut Lines) {
        for (important, most) in [(true, BINDING_TOLD_MAX), (false, OTHERS_TOLD_MAX)] {
            for (place, one) in self.binding(important, most) {
                let part = match one.decide.kind {
                    DecideKind::Decision => BriefPart::Decisions,
                    DecideKind::DeadEnd => BriefPart::DeadEnds,
                };
                lines.add(part, words(&one.decide), Some(place));
                if important {
                    lines.pin();
                }
            }
        }
        for (place, one) in self.folds.agents.pinned(self.at) {
            let because = because(&one.mark.reasoning);
            let words = format!("{}{because} ({})", clipped(&one.mark.text), one.mark.about);
            lines.add(BriefPart::Decisions, words, Some(place));
            lines.pin();
        }
    }

    /// What bound everybody at an earlier reading, and does not any more.
    pub(in crate::orchestra) fn superseded_since(&self, then: &Self) -> Vec<String> {
        let mut gone = Vec::new();
        for (important, most) in [(true, BINDING_TOLD_MAX), (false, OTHERS_TOLD_MAX)] {
            for (place, one) in then.binding(important, most) {
                let decisions = &self.folds.lessons.decisions;
                if decisions.superseders(&place, self.at).next().is_some() {
                    gone.push(words(&one.decide));
                }
            }
        }
        gone
    }
}

fn words(decide: &Decide) -> String {
    let because = because(&decide.reason);
    format!("{}: {}{because}", decide.topic, clipped(&decide.text))
}

fn because(reason: &str) -> String {
    match reason {
        "" => String::new(),
        reason => format!(", because {}", clipped(reason)),
    }
}
