//! What is on disk becomes true: logs, folds and documents take it in, and everybody is told.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use unisono_model::{DocumentKind, LogId, NodeId, OrchestraId};

use super::batch::{Batch, Placement, Staged, kind_of};
use super::output::{Class, Output};
use super::wait::Waiter;
use super::{Node, limits, space};
use crate::context::Context;
use crate::replication::Frame;

impl Node {
    pub(super) fn apply(&mut self, context: &mut Context<'_>, batch: Batch, out: &mut Vec<Output>) {
        self.adopt_proofs(batch.proofs, out);
        for ((orchestra, log), mut state) in batch.states {
            if let Some(space) = self.spaces.get_mut(&orchestra) {
                // A proof in the same batch may have cut the log meanwhile.
                let cut = space.logs.get(&log).and_then(|known| known.cut);
                if cut.is_none_or(|cut| state.seq < cut) {
                    // It was copied before the cut was known.
                    state.cut = state.cut.into_iter().chain(cut).min();
                    space.logs.replace(log, state);
                } else {
                    // What its bundles in this batch put into the views has to come out (seed 391).
                    space.folds.upset();
                }
                space.vector_changed();
            }
        }
        let mut acknowledged: BTreeMap<(NodeId, OrchestraId), BTreeMap<LogId, u64>> =
            BTreeMap::new();
        let mut own: Vec<Vec<u8>> = Vec::new();
        let mut relayed: Vec<(NodeId, Vec<u8>)> = Vec::new();
        for staged in &batch.bundles {
            self.apply_bundle(context, staged);
            let log = staged.carried.header().log;
            let seq = staged.carried.header().seq;
            self.no_longer_lost(staged.orchestra, &log, seq);
            let bytes = staged.carried.bytes().to_vec();
            self.recent.push(staged.orchestra, log, seq, &bytes);
            if staged.own {
                if self.edits_are_in_flight(&staged.orchestra) {
                    self.living_written(context, staged.orchestra, true, out);
                }
                self.keep_to_send_again(staged, context.now_ms());
                own.push(bytes);
            } else {
                self.counters.bundles_received += 1;
                let logs = acknowledged
                    .entry((log.node, staged.orchestra))
                    .or_default();
                logs.insert(log, seq);
                relayed.push((log.node, bytes));
            }
        }
        let edited = batch.bundles.iter().map(|staged| staged.orchestra);
        for orchestra in edited.collect::<BTreeSet<_>>() {
            self.space_entry(orchestra).living.unshelve();
        }
        self.stand_on_members();
        self.push(context, own, relayed, out);
        if self.is_frozen() {
            // Whoever is about to go is no place to keep anything.
            acknowledged.clear();
        }
        for ((node, orchestra), logs) in acknowledged {
            let frame = Frame::Have {
                orchestra,
                logs: logs.into_iter().collect(),
            };
            self.send(node, Class::Push, &frame, out);
        }
        for placement in batch.made {
            self.incident_written(&placement, out);
            self.made(context, placement);
        }
        if !batch.mended.is_empty() {
            self.mended(context, &batch.mended, out);
        }
    }

    /// One bundle's records go into the folds and the documents.
    pub(super) fn apply_bundle(&mut self, context: &mut Context<'_>, staged: &Staged) {
        let rules = self.fold_rules();
        let now_ms = context.now_ms();
        let header = staged.carried.header();
        let bundle = (header.log, header.seq);
        if staged.own {
            self.written = self.written.max(header.stamp);
        }
        self.note_moved(staged);
        let observed = self.observe(context, staged.orchestra, bundle, header.stamp);
        let now = self.now(context);
        let Some(space) = self.spaces.get_mut(&staged.orchestra) else {
            return;
        };
        space.note_header(&staged.carried);
        let mut kinds: Vec<Option<(DocumentKind, u64)>> = Vec::new();
        let mut hurry = false;
        for placed in &staged.placed {
            kinds.push(placed.body.as_ref().map(|body| (kind_of(body), placed.seq)));
            if let Some(fact) = space::fact(header.log, header.seq, placed) {
                hurry |= space::urgent(&fact.body.action);
                if staged.own {
                    let action = &fact.body.action;
                    self.granted
                        .add(staged.orchestra, fact.place, fact.agent, action);
                }
                if let unisono_model::Action::Open { name } = &fact.body.action
                    && OrchestraId::of(header.cluster, name) == space.id
                {
                    space.folds.name.clone_from(name);
                }
                space.folds.insert(fact, &rules);
            } else {
                space.inert.insert(placed.place.record);
                space.folds.insert_void();
            }
        }
        space.folds.ripen(now);
        let body = staged.carried.body();
        space
            .documents
            .queue(header, body, &staged.changes, &kinds, now_ms);
        // This life's own changes were applied when they were made.
        if header.log != self.me {
            space.living.shelve(header, &body.living);
        }
        space.unsaved += (body.records.len() + body.living.len()) as u64;
        if staged.own {
            self.counters.records_made += body.records.len() as u64;
        } else {
            self.counters.records_received += body.records.len() as u64;
            if let Some(last) = staged.placed.last() {
                space.foreign = space.foreign.max(last.place.stamp);
                // What is wanted at once is wanted as soon as a head can stand above it.
                let ahead_ms = header.stamp.as_ms().saturating_sub(now.as_ms());
                let delay_ms = match (hurry, observed) {
                    (true, true) => 0,
                    (true, false) => (ahead_ms + 1).min(limits::HEAD_DELAY_MS),
                    (false, _) => limits::HEAD_DELAY_MS,
                };
                let due = now_ms + delay_ms;
                space.head_due_ms = Some(space.head_due_ms.map_or(due, |at| at.min(due)));
            }
        }
        if !staged.placed.is_empty() || !body.living.is_empty() {
            self.published.insert(staged.orchestra);
        }
    }

    /// Own work is done: it waits for what was promised, or is answered.
    fn made(&mut self, context: &mut Context<'_>, placement: Placement) {
        let Placement {
            made,
            placed,
            bundle,
        } = placement;
        self.unblock(&made.subjects);
        let Some(ticket) = made.ticket else { return };
        let _ = context;
        self.waiters
            .push(Waiter::made(ticket, made, &placed, self.me, bundle));
    }

    /// Sends new bundles to whom they concern: own ones to the peers of the region, and, where this
    /// node forwards for its region, everything that is new in the region to the other regions.
    fn push(
        &mut self,
        context: &mut Context<'_>,
        own: Vec<Vec<u8>>,
        received: Vec<(NodeId, Vec<u8>)>,
        out: &mut Vec<Output>,
    ) {
        let (near, far) = self.targets(context.now_ms());
        if !own.is_empty() {
            self.send_pushes(&near, false, &own, out);
        }
        if far.is_empty() || !self.forwards(context.now_ms()) {
            return;
        }
        let region = self.region_nodes();
        self.relay.extend(own);
        let near_born = received
            .into_iter()
            .filter(|(node, _)| region.contains(node));
        self.relay.extend(near_born.map(|(_, bytes)| bytes));
        if self.relay.is_empty() {
            return;
        }
        let bytes: usize = self.relay.iter().map(Vec::len).sum();
        if bytes >= limits::RELAY_BYTES_MAX {
            self.send_relayed(context.now_ms(), out);
        } else {
            let due = context.now_ms() + limits::RELAY_DELAY_MS;
            self.relay_due_ms = Some(self.relay_due_ms.map_or(due, |at| at.min(due)));
        }
    }

    /// Sends what was gathered for the other regions.
    pub(super) fn send_relayed(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        self.relay_due_ms = None;
        let bundles = core::mem::take(&mut self.relay);
        if bundles.is_empty() {
            return;
        }
        let (_, far) = self.targets(now_ms);
        self.send_pushes(&far, true, &bundles, out);
    }

    /// Sends bundles in as many frames as it takes: a batch holds more than a frame may.
    pub(super) fn send_pushes(
        &mut self,
        to: &[NodeId],
        relay: bool,
        bundles: &[Vec<u8>],
        out: &mut Vec<Output>,
    ) {
        let mut rest = bundles;
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|bundle| {
                bytes += bundle.len();
                bytes <= limits::PUSH_BYTES_MAX
            });
            let (first, others) = rest.split_at(fit.count().max(1));
            let frame = Frame::Push {
                relay,
                bundles: super::batch::blobs(first),
            };
            for node in to {
                self.send(*node, Class::Push, &frame, out);
            }
            rest = others;
        }
    }
}
