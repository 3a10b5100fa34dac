//! What time alone brings about.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use unisono_model::{DocumentName, NodeId, OrchestraId};

use super::input::DiskFailure;
use super::leave::Leaving;
use super::output::{Note, Output};
use super::space::Space;
use super::{Node, limits};
use crate::context::Context;

impl Node {
    pub(super) fn tick(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        if let Some(reason) = self.life_is_over() {
            self.stopped = true;
            out.push(Output::Restart { reason });
            return;
        }
        self.join(context, out);
        if self.relay_due_ms.is_some_and(|due| due <= now_ms) {
            self.send_relayed(now_ms, out);
        }
        self.send_again(now_ms, out);
        let mut advice = Vec::new();
        self.gossip.on_tick(context.monotonic_ns, &mut advice);
        self.heed(advice, out);
        if now_ms >= self.next_summary_ms {
            self.summaries(context, out);
        }
        if now_ms >= self.next_care_ms {
            self.next_care_ms = now_ms + limits::CARE_MS;
            self.care(context, out);
        }
        self.ask_for_gaps(now_ms);
        if self.disk_retry_ms.is_some_and(|at| at <= now_ms) {
            // One small write finds out whether there is room: the next head.
            self.try_disk(now_ms);
        }
        self.answer_overdue(context, out);
        self.go_on_leaving(context, out);
        self.check_waiters(context, out);
        if self.disk_retry_ms.is_none() || !self.queue.is_empty() {
            self.retry_deferred(context, out);
        }
        self.flush(context, out);
    }

    /// When to call `handle` with `Input::Tick` next at the latest (monotonic ns).
    pub fn next_deadline_ns(&self) -> u64 {
        if self.stopped {
            return u64::MAX;
        }
        let idle = self.batch.is_none() && self.disk_retry_ms.is_none();
        let mut at_ms = self.next_care_ms.min(self.next_summary_ms);
        // What waits for a walk or a document is looked at when that has ended: to ask for a tick at
        // once, again and again, would be all that the processor does (seed 1252).
        let edits = self.spaces.values().any(|space| {
            !space.living.queue.is_empty() && !space.refolding && !space.living.broken
        });
        let work = self.queue.len() > self.held_back;
        // What waits for the time is looked at with the next care, which is when that wait is over.
        let sure = !self.wall_clock.holds_back;
        if idle && (sure && (work || edits) || !self.jobs.new_proofs.is_empty()) {
            at_ms = 0;
        }
        if !self.is_member() && !self.stays_away() {
            at_ms = at_ms.min(self.next_join_ms);
        }
        let open = !self.is_closed();
        for space in self.spaces.values() {
            let ready = idle && !space.refolding && open;
            if ready && Self::has_next(space) {
                at_ms = 0;
            }
            if let Some(due) = space.head_due_ms
                && idle
                && sure
            {
                at_ms = at_ms.min(due);
            }
        }
        for at in [
            self.relay_due_ms,
            self.twice.due_ms,
            self.disk_retry_ms,
            self.waiters_deadline_ms(),
            self.overdue_ms(),
            self.leaving.as_ref().map(Leaving::due_ms),
        ] {
            at_ms = at_ms.min(at.unwrap_or(u64::MAX));
        }
        at_ms
            .saturating_mul(1_000_000)
            .min(self.gossip.next_deadline_ns())
            .min(self.ripens.map_or(u64::MAX, |next| next.at_ns))
    }

    /// Whether any waiting bundle continues its log.
    pub(super) fn has_next(space: &Space) -> bool {
        let mut firsts = space.incoming.firsts();
        firsts.any(|(log, seq)| seq <= space.logs.get(&log).map_or(0, |state| state.seq) + 1)
    }

    /// Regular care: heads, documents, pruning, checkpoints, votes, addresses.
    fn care(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        self.vote(context);
        self.tell_addresses(out);
        self.tell_expelled(out);
        self.tell_shut_out(context, out);
        self.spread_roots(context, out);
        self.tell_authorities(out);
        self.announce(context, out);
        self.care_for_folds(context, out);
        self.care_for_holes(context, out);
        self.tell_losers(out);
        self.tell_incidents(context);
        self.bear_witness(context);
        self.renew_held(context);
        let (me, shown) = (self.me, self.cluster_head());
        let silent = self.is_frozen();
        for space in self.spaces.values_mut() {
            match space.head_due_ms {
                _ if silent => space.head_due_ms = None,
                None if space.needs_head(&me) || space.foreign > shown => {
                    space.head_due_ms = Some(now_ms + limits::HEAD_DELAY_MS);
                }
                _ => {}
            }
        }
        let mut broken = Vec::new();
        for space in self.spaces.values_mut() {
            let names = space.documents.pump(now_ms, false);
            broken.extend(names.into_iter().map(|name| (space.id, name)));
        }
        for (orchestra, name) in broken {
            if let Some(space) = self.spaces.get_mut(&orchestra) {
                space.documents.begin_anew(name);
            }
            self.rebuild_document(context, orchestra, name, out);
        }
        self.fetch_documents(out);
        let least = self.config.checkpoint_records;
        let due: Vec<OrchestraId> = self
            .spaces
            .values()
            .filter(|space| space.is_worth_saving(least))
            .map(|s| s.id)
            .collect();
        for orchestra in due {
            self.checkpoint(context, orchestra, limits::DOCUMENT_IDLE_MS, out);
        }
        self.put_away(context, out);
        self.prune_quiet(context);
        let minute = now_ms / 60_000;
        self.emitted.retain(|_, (at, _)| *at == minute);
    }

    /// Saves the views and documents of an orchestra, after pruning what is settled.
    pub(super) fn checkpoint(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        idle_ms: u64,
        out: &mut Vec<Output>,
    ) {
        let Some(space) = self.spaces.get(&orchestra) else {
            return;
        };
        if space.refolding || space.living.runs_ahead() {
            return;
        }
        self.prune(context, orchestra);
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        for (name, bytes) in space.documents.save(context.now_ms(), idle_ms) {
            out.push(Output::SaveBlob { name, bytes });
        }
        if space.living.dirty
            && let Some(bytes) = space.living.save()
        {
            space.living.dirty = false;
            let name = super::living::Living::blob_name(orchestra);
            out.push(Output::SaveBlob { name, bytes });
        }
        let name = Space::checkpoint_name(orchestra);
        out.push(Output::SaveBlob {
            name,
            bytes: space.checkpoint(),
        });
    }

    /// Saves everything that has changed: before a clean end.
    pub fn save_all(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let changed = self.spaces.values().filter(|space| space.unsaved > 0);
        let changed: Vec<OrchestraId> = changed.map(|space| space.id).collect();
        for orchestra in changed {
            self.checkpoint(context, orchestra, limits::DOCUMENT_IDLE_MS, out);
        }
    }

    /// Puts documents away that nobody has touched for a while, also of quiet orchestras, and the
    /// longest untouched ones where there are too many. What is
    /// put away is what the checkpoint names, so both are written together.
    fn put_away(&mut self, context: &Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        let surplus = self.surplus_documents();
        let idle = |space: &&Space| space.documents.any_idle(now_ms, limits::DOCUMENT_IDLE_MS);
        let mut due: BTreeSet<OrchestraId> =
            self.spaces.values().filter(idle).map(|s| s.id).collect();
        for (orchestra, name) in surplus {
            if let Some(space) = self.spaces.get_mut(&orchestra) {
                space.documents.put_away_next(name);
                due.insert(orchestra);
            }
        }
        for orchestra in due {
            self.checkpoint(context, orchestra, limits::DOCUMENT_IDLE_MS, out);
        }
    }

    /// The documents beyond what memory is for, longest untouched first.
    fn surplus_documents(&self) -> Vec<(OrchestraId, DocumentName)> {
        let spaces = self.spaces.values();
        let mut loaded: Vec<(u64, OrchestraId, DocumentName, u64)> = spaces
            .flat_map(|space| {
                let idle = space.documents.idle();
                idle.map(|(touched_ms, name, bytes)| (touched_ms, space.id, name, bytes))
            })
            .collect();
        let mut bytes: u64 = loaded.iter().map(|(.., bytes)| bytes).sum();
        if bytes <= limits::DOCUMENTS_BYTES_MAX {
            return Vec::new();
        }
        loaded.sort_unstable();
        let mut surplus = Vec::new();
        for (_, orchestra, name, size) in loaded {
            // Some room is made, so that the next document does not ask for it again.
            if bytes <= limits::DOCUMENTS_BYTES_MAX / 4 * 3 {
                break;
            }
            bytes -= size;
            surplus.push((orchestra, name));
        }
        surplus
    }

    /// Tells some peers what there is: all that need repair, and a few at random.
    fn summaries(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        let busy = now_ms < self.unsettled_until_ms;
        let every_ms = if busy {
            limits::SUMMARY_BUSY_MS
        } else {
            limits::SUMMARY_IDLE_MS
        };
        let jitter = u64::from(context.rng.next_u32()) % every_ms;
        self.next_summary_ms = now_ms + every_ms / 2 + jitter;
        let mut others: Vec<NodeId> = self
            .current_members()
            .into_iter()
            .map(|(node, _)| node)
            .collect();
        others.retain(|node| *node != self.me.node);
        if !self.is_member() {
            others.extend(self.config.seeds.iter().map(|(node, _)| *node));
        }
        others.sort_unstable();
        others.dedup();
        let count = (others.len() / 100).clamp(3, 10);
        let mut chosen: Vec<NodeId> = Vec::new();
        for node in &others {
            let peer = self.peers.entry(*node).or_default();
            if core::mem::take(&mut peer.needs_repair) {
                chosen.push(*node);
            }
        }
        while chosen.len() < count.min(others.len()) {
            let index = context.rng.next_u32() as usize % others.len();
            let node = others.swap_remove(index);
            if !chosen.contains(&node) {
                chosen.push(node);
            }
        }
        for node in chosen {
            self.send_summary(context, node, out);
        }
    }

    /// A gap that push has not closed by itself is asked for.
    fn ask_for_gaps(&mut self, now_ms: u64) {
        let stands = self.spaces.values_mut().filter_map(|space| {
            let since = space.gap_since_ms?;
            (now_ms.saturating_sub(since) >= limits::GAP_DELAY_MS).then(|| {
                space.gap_since_ms = Some(now_ms + limits::WANT_TIMEOUT_MS);
                space.id
            })
        });
        let orchestras: Vec<OrchestraId> = stands.collect();
        if orchestras.is_empty() {
            return;
        }
        self.unsettled_until_ms = now_ms + limits::SUMMARY_IDLE_MS;
        self.next_summary_ms = self.next_summary_ms.min(now_ms);
    }

    fn try_disk(&mut self, now_ms: u64) {
        for space in self.spaces.values_mut() {
            if space.id == self.cluster {
                space.head_due_ms = Some(now_ms);
                space.foreign = space.foreign.max(self.clock.now(0));
            }
        }
        self.disk_retry_ms = None;
    }

    /// The disk could not take a cache: it is tried again with the next checkpoint.
    pub fn cache_failed(&mut self, failure: DiskFailure, out: &mut Vec<Output>) {
        if failure == DiskFailure::Full {
            out.push(Output::Note(Note::Disk { full: true }));
        }
    }
}

impl Space {
    /// Whether enough has happened since the last checkpoint: `least` records, and more where there
    /// is more to write.
    fn is_worth_saving(&self, least: u64) -> bool {
        let weight = self.folds.weight() as u64;
        let most = least.saturating_mul(limits::CHECKPOINT_GROWTH_MAX);
        let enough = (weight / 4).clamp(least, most);
        self.unsaved >= enough && !self.refolding
    }
}
