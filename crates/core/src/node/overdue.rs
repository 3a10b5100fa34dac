//! Whose patience is at its end: requests that are neither refused nor done when their time is up
//! are answered all the same, however slow the disk is or however long the views take.

use alloc::vec::Vec;

use unisono_model::{Code, Rejection};

use super::input::Ticket;
use super::output::Output;
use super::{Node, limits};
use crate::context::Context;

/// Somebody who waits for an answer inside the node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    /// The request; none once it was answered.
    pub(super) ticket: Option<Ticket>,
    /// Until when it waits (ms).
    pub(super) deadline_ms: u64,
}

impl Asker {
    /// Takes the ticket of whoever waits no longer.
    fn give_up(&mut self, now_ms: u64) -> Option<Ticket> {
        self.ticket.take_if(|_| self.deadline_ms <= now_ms)
    }

    fn due_ms(&self) -> Option<u64> {
        self.ticket.map(|_| self.deadline_ms)
    }
}

impl Node {
    /// Answers everybody whose time is up and who is in no list of waiters: work that no batch has
    /// taken yet, work on its way to disk, and questions that read from disk.
    pub(super) fn answer_overdue(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        if self.overdue_ms().is_none_or(|due| due > now_ms) {
            return;
        }
        let queue = core::mem::take(&mut self.queue);
        for made in queue {
            if made.ticket.is_some() && made.deadline_ms <= now_ms {
                self.unblock(&made.subjects);
                Self::reject(made.ticket, not_begun(), out);
            } else {
                self.queue.push_back(made);
            }
        }
        let mut late = Vec::new();
        for placement in self.batch.iter_mut().flat_map(|batch| &mut batch.made) {
            let made = &mut placement.made;
            late.extend(made.ticket.take_if(|_| made.deadline_ms <= now_ms));
        }
        for space in self.spaces.values_mut() {
            let queued = space.living.queue.iter_mut().map(|(asker, _)| asker);
            let askers = queued.chain(&mut space.living.in_flight);
            late.extend(askers.filter_map(|asker| asker.give_up(now_ms)));
        }
        for ticket in late {
            Self::reject(Some(ticket), under_way(), out);
        }
        self.leave_holes(context, out);
        self.answer_refused(|refused| refused.due_ms <= now_ms, None, out);
        for ticket in self.jobs.give_up(now_ms) {
            Self::reject(Some(ticket), still_reading(), out);
        }
    }

    /// When the first of these has waited long enough (ms).
    pub(super) fn overdue_ms(&self) -> Option<u64> {
        let queued = self.queue.iter();
        let written = self.batch.iter().flat_map(|batch| &batch.made);
        let made = queued.chain(written.map(|placement| &placement.made));
        let made = made.filter_map(|made| made.ticket.map(|_| made.deadline_ms));
        let living = self.spaces.values().flat_map(|space| {
            let queued = space.living.queue.iter().map(|(asker, _)| asker);
            queued.chain(&space.living.in_flight)
        });
        made.chain(living.filter_map(Asker::due_ms))
            .chain(self.jobs.overdue_ms())
            .chain(self.refusals.waiting.iter().map(|refused| refused.due_ms))
            .min()
    }
}

fn not_begun() -> Rejection {
    Rejection::new(
        Code::Busy,
        "this node did not come to it in time; nothing changed",
    )
    .hint("ask again, or ask another node")
    .retry_after(limits::WANT_TIMEOUT_MS)
}

fn under_way() -> Rejection {
    Rejection::new(
        Code::Unknown,
        "it is on its way to a slow disk: it will be done unless the disk fails",
    )
    .hint("ask again with the same key, or look whether it is there")
    .retry_after(limits::WANT_TIMEOUT_MS)
}

fn still_reading() -> Rejection {
    Rejection::new(
        Code::Behind,
        "the disk did not give the records in time; nothing changed",
    )
    .hint("ask again, or ask another node")
    .retry_after(limits::WANT_TIMEOUT_MS)
}
