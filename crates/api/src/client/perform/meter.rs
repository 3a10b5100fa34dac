//! What an instrument uses, told beside its actions: how much since the word before, of what was allotted to the
//! actions since then.

use crate::dto::{Digits, ResourceWord, UsedBody};
use crate::limits::PERFORM_USED_EVERY;

/// Reads what an instrument has used of a resource since it began.
pub struct Meter {
    resource: ResourceWord,
    /// What is allotted to each action.
    allotted: u64,
    read: Box<dyn FnMut() -> Option<u64> + Send>,
    /// What had been used when it was told last.
    before: Option<u64>,
    actions: u32,
    told_ns: Option<u64>,
}

impl Meter {
    /// A meter of a resource, so much of which is allotted to each action. `read` says how much was used since
    /// the instrument began, where that can be said; it does not wait.
    pub fn new(
        resource: ResourceWord,
        allotted: u64,
        mut read: impl FnMut() -> Option<u64> + Send + 'static,
    ) -> Self {
        Self {
            resource,
            allotted,
            before: read(),
            read: Box::new(read),
            actions: 0,
            told_ns: None,
        }
    }

    /// One more action has ended: what there is to be told, once in a second at the most.
    pub(super) fn acted(&mut self, target_ns: u64) -> Option<UsedBody> {
        self.actions = self.actions.saturating_add(1);
        let since_ns = *self.told_ns.get_or_insert(target_ns);
        if u128::from(target_ns.saturating_sub(since_ns)) < PERFORM_USED_EVERY.as_nanos() {
            return None;
        }
        let now = (self.read)()?;
        let used = UsedBody {
            resource: self.resource,
            until_ns: Digits(target_ns),
            actions: self.actions,
            used: now.saturating_sub(self.before.unwrap_or(now)),
            allotted: self.allotted.saturating_mul(self.actions.into()),
        };
        (self.before, self.actions, self.told_ns) = (Some(now), 0, Some(target_ns));
        Some(used)
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter")
            .field("resource", &self.resource)
            .field("allotted", &self.allotted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_was_used_is_told_once_a_second_of_what_was_allotted_to_the_actions_since() {
        let used = Arc::new(AtomicU64::new(70));
        let read = Arc::clone(&used);
        let mut meter = Meter::new(ResourceWord::CpuMs, 20, move || {
            Some(read.load(Ordering::SeqCst))
        });
        let mut told = Vec::new();
        for beat in 0..9_u64 {
            used.fetch_add(30, Ordering::SeqCst);
            told.extend(meter.acted(1_000_000_000 + beat * 250_000_000));
        }
        let told: Vec<_> = told
            .iter()
            .map(|one| (one.until_ns.0, one.actions, one.used, one.allotted))
            .collect();
        // The first second has its first beat, too.
        assert_eq!(
            told,
            [(2_000_000_000, 5, 150, 100), (3_000_000_000, 4, 120, 80)]
        );
        let mut blind = Meter::new(ResourceWord::CpuMs, 20, || None);
        let nothing = (0..9).find_map(|beat| blind.acted(beat * 1_000_000_000));
        assert_eq!(nothing, None, "what cannot be read is not told");
    }
}
