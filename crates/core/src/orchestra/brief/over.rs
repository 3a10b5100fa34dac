//! What is over since an agent looked last.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;

use unisono_model::Stamp;

use super::{BriefPart, Held, INTERFERENCES_MAX, Lines, interference_words};
use crate::orchestra::Reading;

impl Reading<'_> {
    /// What stood at an earlier time and does not any more: what it held, its tasks, what was in its
    /// way, what bound it. What the folds cannot tell any more is left out.
    pub(super) fn brief_over(
        &self,
        name: &str,
        since: Stamp,
        held: &Held,
        tasks: &BTreeSet<String>,
        lines: &mut Lines,
    ) {
        let before = Stamp(since.0.saturating_sub(1));
        if before < self.folds.readable_from() || before >= self.at {
            return;
        }
        let then = Self {
            at: before,
            ..*self
        };
        let agents = then.named(name);
        let mut old = Lines::default();
        let mut over = |words: String| {
            lines.add(BriefPart::Over, words, None);
            if let Some(line) = lines.0.last_mut() {
                line.since = since;
            }
        };
        for topic in then.brief_held(&agents, &mut old).keys() {
            if !held.contains_key(topic) {
                let now = self.topic(topic).holding;
                let now = now.map(|one| self.folds.agents.name(&one.agent));
                let now = now.map_or_else(String::new, |who| format!("; {who} does"));
                over(format!("you no longer hold {topic}{now}"));
            }
        }
        for task in then.brief_tasks(name, &mut old) {
            if !tasks.contains(&task) {
                let status = self.folds.tasks.status(&task, self.when());
                let status = status.map_or_else(String::new, |one| format!(" ({one:?})"));
                over(format!("task {task} is no longer yours or is over{status}"));
            }
        }
        let stood = then.interferences(Some(&agents), INTERFERENCES_MAX);
        for one in stood.interferences.iter().filter(|one| one.is_open()) {
            if self.interference(&one.id).is_none() {
                over(format!("{} has ended", interference_words(one, &agents)));
            }
        }
        for words in self.superseded_since(&then) {
            over(format!("no longer binds: {words}"));
        }
    }
}
