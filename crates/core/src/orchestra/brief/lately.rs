//! What an agent touched last, which is what it most often turns to again.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use unisono_model::{AgentId, TaskStatus};

use super::{BriefPart, Lines, one_line};
use crate::orchestra::Reading;
use crate::orchestra::lately::Touch;
use crate::orchestra::lately::limits::{TOUCHED_MAX, WORDS_CHARS_MAX};

impl Reading<'_> {
    /// What it touched, the latest first, but what is told of it already.
    pub(super) fn brief_lately(
        &self,
        agents: &BTreeSet<AgentId>,
        told: &BTreeSet<&str>,
        lines: &mut Lines,
    ) {
        let own = agents.iter();
        let own = own.flat_map(|agent| self.folds.lately.of(agent, self.at));
        let mut touches: BTreeSet<Touch<'_>> = own.collect();
        let mut named = told.clone();
        while let Some(touch) = touches.pop_last() {
            if named.len() >= told.len() + TOUCHED_MAX {
                break;
            }
            if named.insert(touch.name) {
                let words = self.touch_words(&touch);
                lines.add(BriefPart::Lately, words, Some(touch.place));
            }
        }
    }

    /// Its name, and in short what it is about: a task's title, or what was said.
    fn touch_words(&self, touch: &Touch<'_>) -> String {
        let (name, when) = (touch.name, self.when());
        let title = self.folds.tasks.title(name, when);
        let words = title.as_deref().unwrap_or(touch.words);
        let status = match self.folds.tasks.status(name, when) {
            Some(TaskStatus::Closed) => " [closed]",
            Some(TaskStatus::Deleted) => " [deleted]",
            Some(TaskStatus::Blocked) => " [blocked]",
            Some(TaskStatus::Deferred) => " [deferred]",
            Some(TaskStatus::Open | TaskStatus::InProgress) | None => "",
        };
        match one_line(words, WORDS_CHARS_MAX) {
            words if words.is_empty() => format!("{name}{status}"),
            words => format!("{name}: {words}{status}"),
        }
    }
}
