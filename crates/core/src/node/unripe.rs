//! Bundles of other nodes that are stamped ahead of the time, further than both clocks may be off:
//! held, passed on, folded, and in no view before their time has come.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::{LogId, NodeId, OrchestraId, Stamp, limits as model_limits};

use super::output::Answer;
use super::{Node, clock, limits};
use crate::context::Context;
use crate::replication::{Cursor, LogTag};
use crate::timing::ahead_max_ns;

/// Those of one orchestra: log and number, by stamp.
#[derive(Debug, Default)]
pub(super) struct Unripe(BTreeMap<(Stamp, LogTag), u64>);

impl Unripe {
    /// Of too many, the furthest are forgotten: they count as seen, which is all that is lost.
    fn add(&mut self, stamp: Stamp, log: LogTag, seq: u64) {
        self.0.insert((stamp, log), seq);
        if self.0.len() > limits::UNRIPE_MAX {
            self.0.pop_last();
        }
    }

    /// Forgets those whose time has come. Says whether there were any.
    fn ripen(&mut self, now: Stamp) -> bool {
        let before = self.0.len();
        while self
            .0
            .first_key_value()
            .is_some_and(|((stamp, _), _)| *stamp <= now)
        {
            self.0.pop_first();
        }
        self.0.len() < before
    }

    /// The next that comes.
    fn next(&self) -> Option<Stamp> {
        self.0.keys().next().map(|(stamp, _)| *stamp)
    }

    /// Takes out of a cursor what no view shows yet: whoever bore it would have seen what it has not.
    fn leave_out(&self, cursor: &mut Cursor, now: Stamp) {
        for ((stamp, log), seq) in &self.0 {
            if *stamp > now
                && let Some(seen) = cursor.0.get_mut(log).filter(|seen| **seen >= *seq)
            {
                *seen = seq - 1;
            }
        }
        cursor.0.retain(|_, seen| *seen > 0);
    }

    /// The highest stamp among those that a cursor has seen, up to a horizon.
    fn seen_up_to(&self, cursor: &Cursor, horizon: Stamp) -> Option<Stamp> {
        let mut near = self.0.iter().rev();
        let seen = near.find(|((stamp, log), seq)| {
            *stamp <= horizon && cursor.0.get(log).is_some_and(|seen| seen >= *seq)
        });
        seen.map(|((stamp, _), _)| *stamp)
    }
}

impl Node {
    /// Takes note of the stamp of a bundle that has come to stay. Says whether its time has come, or
    /// the stamping clock was moved so that it has.
    pub(super) fn observe(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        (log, seq): (LogId, u64),
        stamp: Stamp,
    ) -> bool {
        let ahead_ns = self.ahead_max_ns(context, &log.node);
        if self.clock.observe(stamp, self.time_ns(context), ahead_ns) {
            return true;
        }
        self.counters.bundles_held_back += 1;
        self.ripens = Some(Ripens::now(context));
        if let Some(space) = self.spaces.get_mut(&orchestra) {
            space.unripe.add(stamp, LogTag::of(&log), seq);
        }
        false
    }

    fn ahead_max_ns(&self, context: &Context<'_>, author: &NodeId) -> u64 {
        if self.config.sabotage.poison_within_half_a_second {
            // Planted: whatever is known of the time, a bad clock drags this one by half a second.
            return ahead_max_ns(None, None);
        }
        let theirs = self.peers.get(author).and_then(|peer| peer.unsure_ns);
        ahead_max_ns(context.unsure_ns, theirs)
    }

    /// Whoever has seen something elsewhere acts after it, also where this node would still hold it
    /// back: its clock goes there, at most as far as any clock may drag it.
    pub(super) fn follow_cursor(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        cursor: Option<&Cursor>,
    ) {
        let time_ns = self.time_ns(context);
        let horizon = Stamp::from_ns(time_ns).plus_ms(model_limits::STAMP_AHEAD_MS_MAX);
        let space = self.spaces.get(&orchestra);
        let seen = cursor
            .zip(space)
            .and_then(|(cursor, space)| space.unripe.seen_up_to(cursor, horizon));
        if let Some(stamp) = seen {
            self.clock.observe(stamp, time_ns, ahead_max_ns(None, None));
            self.counters.clocks_followed += 1;
        }
    }

    /// An answer whose cursor names what its view shows, and what its bearer brought.
    pub(super) fn as_shown(
        &self,
        orchestra: OrchestraId,
        mut answer: Answer,
        asked: Option<&Cursor>,
    ) -> Answer {
        if let Some(space) = self.spaces.get(&orchestra) {
            space
                .unripe
                .leave_out(&mut answer.cursor, self.clock.now(0));
            if let Some(asked) = asked {
                answer.cursor.merge(asked);
            }
        }
        answer
    }

    /// How far this node's stamps have come, and how often somebody who had been elsewhere moved them:
    /// for whoever judges.
    pub fn stamps_reached(&self) -> (Stamp, u64) {
        (self.clock.now(0), self.counters.clocks_followed)
    }

    /// What has ripened is published, and when to look again is set.
    pub(super) fn ripen(&mut self, context: &Context<'_>) {
        let Some(looked) = self.ripens.take() else {
            return;
        };
        let now = self.now(context);
        let mut next: Option<Stamp> = None;
        let mut ripened: Vec<OrchestraId> = Vec::new();
        for (id, space) in &mut self.spaces {
            if space.unripe.ripen(now) {
                if !space.refolding {
                    space.folds.ripen(now);
                }
                ripened.push(*id);
            }
            next = next.into_iter().chain(space.unripe.next()).min();
        }
        self.published.extend(ripened);
        self.ripens = next.map(|stamp| {
            let ahead_ns = stamp.as_ns().saturating_sub(self.time_ns(context));
            looked.again(context, stamp, ahead_ns.div_ceil(1_000_000))
        });
    }
}

/// When the next of what was held back may be shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ripens {
    stamp: Stamp,
    /// When to look (monotonic ns).
    pub(super) at_ns: u64,
    /// How often that was too early.
    in_vain: u32,
}

impl Ripens {
    fn now(context: &Context<'_>) -> Self {
        Self {
            stamp: Stamp::MIN,
            at_ns: context.monotonic_ns,
            in_vain: 0,
        }
    }

    /// The next look, at a stamp that is so far ahead.
    fn again(self, context: &Context<'_>, stamp: Stamp, ahead_ms: u64) -> Self {
        let known = self.stamp == stamp;
        let waits = known && context.monotonic_ns < self.at_ns;
        let mut in_vain = if known { self.in_vain } else { 0 };
        let mut count = in_vain;
        let wait_ms = clock::patience_ms(ahead_ms.max(1), &mut count);
        let mut at_ns = context.monotonic_ns.saturating_add(wait_ms * 1_000_000);
        if waits {
            at_ns = at_ns.min(self.at_ns);
        } else {
            in_vain = count;
        }
        Self {
            stamp,
            at_ns,
            in_vain,
        }
    }
}
