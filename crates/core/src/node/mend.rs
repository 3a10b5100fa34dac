//! Mending: bundles that were once on disk and can no longer be read are asked for from peers, held
//! against the log's chain of hashes, and written again. It is the same whether the loss was found
//! at the start or by whoever read there first.
//!
//! What has come back is nothing new: views and vector cover it already. So it passes no fold, and
//! is believed only if the bundle behind it names it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use unisono_model::{Code, Digest, LogId, NodeId, OrchestraId, Rejection, SignedBundle};

use super::batch::Batch;
use super::jobs::{Load, Purpose};
use super::output::{Class, Note, Output};
use super::{Node, limits};
use crate::carriage::Carried;
use crate::context::Context;
use crate::journal::{Damage, Entry, Ranges, Stretch};
use crate::orchestra::view::DamageView;
use crate::replication::{Cursor, Frame, LogTag};

/// What is lost of one log.
#[derive(Debug, Default)]
pub(super) struct Hole {
    /// Which bundles. Those beyond the log's head come back by ordinary repair.
    seqs: Ranges,
    /// In which segments they stood, where that is known.
    segments: BTreeSet<u64>,
    /// The highest lost bundle that is looked for, and the digest that it must have.
    anchor: Option<(u64, Digest)>,
    /// What stands behind the hole is being read.
    reading: bool,
    /// What peers have sent for it and the chain does not reach yet.
    found: BTreeMap<u64, Carried>,
    /// From which bundle on a peer was asked last, and until when its answer is waited for (ms).
    /// Without it, peers with the same hole would ask each other without end.
    asked: Option<(u64, u64)>,
    /// Below this nothing is asked for, so that what was found above fits into memory.
    floor: u64,
}

impl Hole {
    /// Bytes of what was found.
    fn bytes(&self) -> usize {
        self.found.values().map(|one| one.bytes().len()).sum()
    }

    fn remove(&mut self, seq: u64) {
        let one: Ranges = core::iter::once((seq, seq)).collect();
        self.seqs = self.seqs.without(&one);
    }

    /// The highest range at or below the log's head.
    fn highest(&self, head: u64) -> Option<(u64, u64)> {
        let below = self.seqs.iter().filter(|(first, _)| *first <= head).last();
        below.map(|(first, last)| (first, last.min(head)))
    }

    /// From which bundle on the peers are asked, for a hole that ends at `last`.
    fn wanted(&self, first: u64, last: u64) -> Option<u64> {
        let lowest = last.saturating_sub(limits::MEND_BUNDLES_MAX - 1);
        let lowest = lowest.max(first).max(self.floor);
        (lowest..=last).find(|seq| !self.found.contains_key(seq))
    }
}

impl Node {
    /// Takes in what the disk knows to be lost.
    pub(super) fn note_damage(&mut self, damage: &[Damage]) {
        for one in damage {
            if let (Some(orchestra), Some(log)) = (one.orchestra, one.log) {
                self.note_lost(orchestra, log, &one.seqs, Some(one.segment));
            }
        }
    }

    /// Says of known holes in which segments they lie. Damage that bears no name may be any of them.
    pub(super) fn note_segments(&mut self, damage: &[Damage]) {
        let holes = self.spaces.iter_mut().flat_map(|(id, space)| {
            let holes = space.holes.iter_mut();
            holes.map(|(log, hole)| (*id, *log, hole))
        });
        for (orchestra, log, hole) in holes {
            let named = damage.iter().filter(|one| {
                (one.orchestra, one.log) == (Some(orchestra), Some(log))
                    && one.seqs.without(&hole.seqs) != one.seqs
            });
            hole.segments.extend(named.map(|one| one.segment));
            if hole.segments.is_empty() {
                let nameless = damage.iter().filter(|one| one.log.is_none());
                hole.segments.extend(nameless.map(|one| one.segment));
            }
        }
    }

    /// Takes in that the disk holds only some bundles of a log that it once held all of.
    pub(super) fn note_missing(&mut self, orchestra: OrchestraId, log: LogId, held: &Ranges) {
        let Some(space) = self.spaces.get(&orchestra) else {
            return;
        };
        let state = space.logs.get(&log);
        let last = state
            .map_or(0, |state| state.seq)
            .max(held.last().unwrap_or(0));
        let last = match state.and_then(|state| state.cut) {
            Some(cut) => last.min(cut - 1),
            None => last,
        };
        let mut all = Ranges::new();
        all.insert_range(1, last);
        let head = state.map_or(0, |state| state.seq);
        if let Some(space) = self.spaces.get_mut(&orchestra)
            && head < last
        {
            space.unread.insert(log, (head, last));
        }
        self.note_lost(orchestra, log, &all.without(held), None);
    }

    /// A hole at the head of a log is closed by ordinary repair, as far as others hold the log. What
    /// this disk alone holds behind it is read by a life that begins anew: nobody would bring it (seed
    /// 678, where a node's own records that no other had were on its disk and in no view).
    fn read_behind_holes(&mut self, out: &mut Vec<Output>) {
        let mut readable = false;
        for space in self.spaces.values_mut() {
            let (logs, holes) = (&space.logs, &space.holes);
            space.unread.retain(|log, (then, last)| {
                let head = logs.get(log).map_or(0, |state| state.seq);
                let lost = holes
                    .get(log)
                    .is_some_and(|hole| hole.seqs.contains(head + 1));
                readable |= head > *then && head < *last && !lost;
                head < *last
            });
        }
        if readable {
            self.stopped = true;
            let reason = "what stands behind a hole in a log can be read again";
            out.push(Output::Restart { reason });
        }
    }

    fn note_lost(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        seqs: &Ranges,
        segment: Option<u64>,
    ) {
        if seqs.is_empty() {
            return;
        }
        let hole = self.space_entry(orchestra).holes.entry(log).or_default();
        hole.seqs.extend(seqs);
        hole.segments.extend(segment);
        // What stands behind the hole may be another bundle now.
        hole.anchor = None;
    }

    /// Up to where a log is held and counts.
    fn counted(&self, orchestra: OrchestraId, log: &LogId) -> u64 {
        let state = self
            .spaces
            .get(&orchestra)
            .and_then(|space| space.logs.get(log));
        state.map_or(0, |state| {
            state.cut.map_or(state.seq, |cut| state.seq.min(cut - 1))
        })
    }

    /// Whether these bytes claim to be a bundle that was lost here.
    pub(super) fn is_lost(&self, bytes: &[u8]) -> Option<(OrchestraId, LogId)> {
        let header = SignedBundle::peek(bytes)?;
        let hole = self.spaces.get(&header.orchestra)?.holes.get(&header.log)?;
        let wanted = header.seq <= self.counted(header.orchestra, &header.log)
            && header.seq >= hole.floor
            && hole.seqs.contains(header.seq)
            && !hole.found.contains_key(&header.seq);
        wanted.then_some((header.orchestra, header.log))
    }

    /// A good bundle has come for a hole.
    pub(super) fn found(&mut self, carried: Carried) {
        let header = *carried.header();
        let Some(space) = self.spaces.get_mut(&header.orchestra) else {
            return;
        };
        let Some(hole) = space.holes.get_mut(&header.log) else {
            return;
        };
        hole.found.insert(header.seq, carried);
        while hole.bytes() > limits::MEND_BYTES_MAX && hole.found.len() > 1 {
            if let Some((seq, _)) = hole.found.pop_first() {
                hole.floor = seq + 1;
            }
        }
    }

    /// Joins what was found to the chain, from the hole's end down, and asks for more.
    pub(super) fn mend(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        log: LogId,
        out: &mut Vec<Output>,
    ) {
        let head = self.counted(orchestra, &log);
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        let Some(hole) = space.holes.get_mut(&log) else {
            return;
        };
        if hole.seqs.is_empty() {
            space.holes.remove(&log);
            return;
        }
        let Some((first, last)) = hole.highest(head) else {
            return;
        };
        if hole.anchor.is_none_or(|(seq, _)| seq != last) {
            let behind = space.headers.get(&log).and_then(|h| h.get(&(last + 1)));
            let state = space.logs.get(&log).filter(|state| state.seq == last);
            let digest = behind
                .map(|(header, _)| header.prev)
                .or_else(|| state.map(|state| state.head));
            let Some(digest) = digest else {
                return self.read_anchor(orchestra, log, last + 1, out);
            };
            hole.anchor = Some((last, digest));
        }
        let joined = self.join_to_chain(orchestra, log, first, out);
        if joined {
            self.flush(context, out);
            // The rest of the hole is looked for once this is on disk.
            return;
        }
        self.ask_for_lost(context.now_ms(), orchestra, log, (first, last), out);
    }

    /// Moves what the chain names to the next batch. Says whether there was anything.
    fn join_to_chain(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        first: u64,
        out: &mut Vec<Output>,
    ) -> bool {
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return false;
        };
        let Some(hole) = space.holes.get_mut(&log) else {
            return false;
        };
        let mut joined = false;
        while let Some((seq, digest)) = hole.anchor.filter(|(seq, _)| *seq >= first) {
            let Some(carried) = hole.found.remove(&seq) else {
                break;
            };
            if carried.digest() != digest {
                // Signed by its node, and yet not what that node once wrote here.
                self.counters.bundles_refused += 1;
                out.push(Output::Note(Note::BundleRefused {
                    from: log.node,
                    log: Some(log),
                    why: "the log names another bundle at its place",
                }));
                break;
            }
            hole.anchor = Some((seq - 1, carried.header().prev));
            hole.remove(seq);
            hole.floor = 0;
            space.mended.push(carried);
            joined = true;
        }
        joined
    }

    /// Reads the bundle behind a hole.
    fn read_anchor(&mut self, orchestra: OrchestraId, log: LogId, seq: u64, out: &mut Vec<Output>) {
        let space = self.space_entry(orchestra);
        if let Some(hole) = space.holes.get_mut(&log)
            && !hole.reading
        {
            hole.reading = true;
            self.fetch(orchestra, log, seq, 1, Purpose::Anchor, out);
        }
    }

    /// The bundle behind a hole was read, or is lost too.
    pub(super) fn anchor(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        entries: &[Entry],
        out: &mut Vec<Output>,
    ) {
        let cluster = self.config.cluster;
        let head = self.counted(orchestra, &log);
        let Some(hole) = self
            .spaces
            .get_mut(&orchestra)
            .and_then(|space| space.holes.get_mut(&log))
        else {
            return;
        };
        hole.reading = false;
        let behind = entries
            .first()
            .and_then(|entry| Carried::from_disk(&entry.bytes, cluster).ok());
        let grown = match behind {
            Some(carried) => {
                let header = carried.header();
                hole.anchor = Some((header.seq - 1, header.prev));
                true
            }
            None => hole.highest(head).is_some_and(|(_, last)| last >= from_seq),
        };
        if grown {
            self.mend(context, orchestra, log, out);
        }
    }

    /// Asks one peer after the other.
    fn ask_for_lost(
        &mut self,
        now_ms: u64,
        orchestra: OrchestraId,
        log: LogId,
        (first, last): (u64, u64),
        out: &mut Vec<Output>,
    ) {
        let space = self.spaces.get_mut(&orchestra);
        let Some(hole) = space.and_then(|space| space.holes.get_mut(&log)) else {
            return;
        };
        let Some(from_seq) = hole.wanted(first, last) else {
            return;
        };
        let waits = |(from, until_ms): (u64, u64)| from == from_seq && now_ms < until_ms;
        if hole.asked.is_some_and(waits) {
            return;
        }
        hole.asked = Some((from_seq, now_ms + limits::CARE_MS / 2));
        let mut others: Vec<NodeId> = self.current_members().into_iter().map(|m| m.0).collect();
        others.retain(|node| *node != self.me.node);
        let heard = |node: &NodeId| self.peers.get(node).is_some_and(|peer| peer.connected);
        if others.iter().any(heard) {
            others.retain(heard);
        }
        if others.is_empty() || self.config.sabotage.gaps_not_repaired {
            return;
        }
        let to = others[self.mend_turn % others.len()];
        self.counters.repairs_asked += 1;
        let logs = alloc::vec![(log, from_seq)];
        self.send(to, Class::Repair, &Frame::Want { orchestra, logs }, out);
    }

    /// Regular care: what was not answered is asked for again, of the next peer, and whoever has
    /// waited long enough goes on without.
    pub(super) fn care_for_holes(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let spaces = self.spaces.iter();
        let holes: Vec<(OrchestraId, LogId)> = spaces
            .flat_map(|(id, space)| space.holes.keys().map(|log| (*id, *log)))
            .collect();
        if !holes.is_empty() {
            self.mend_turn = self.mend_turn.wrapping_add(1);
        }
        // Some of them at a time, and others the next time: what nobody can mend stays.
        let first = self.mend_turn.wrapping_mul(limits::WANT_LOGS_MAX) % holes.len().max(1);
        let turn = holes.iter().cycle().skip(first);
        let turn = turn.take(holes.len().min(limits::WANT_LOGS_MAX));
        for (orchestra, log) in turn.copied() {
            self.mend(context, orchestra, log, out);
        }
        self.leave_holes(context, out);
        self.read_behind_holes(out);
    }

    /// Whoever has waited long enough for a hole to be mended waits no longer.
    pub(super) fn leave_holes(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        let parked = core::mem::take(&mut self.jobs.parked);
        let (over, waiting) = parked.into_iter().partition(|(load, until_ms)| {
            let asker = load.purpose.asker();
            *until_ms <= now_ms || asker.is_some_and(|(_, due_ms)| due_ms <= now_ms)
        });
        self.jobs.parked = waiting;
        let over: Vec<(Load, u64)> = over;
        for (load, _) in over {
            self.go_without(context, load, out);
        }
    }

    /// Adds what was mended to a batch.
    pub(super) fn stage_mended(&mut self, batch: &mut Batch) {
        let mut bytes = 0;
        for space in self.spaces.values_mut() {
            while bytes < limits::BATCH_BYTES_MAX
                && let Some(carried) = space.mended.pop()
            {
                bytes += carried.bytes().len();
                batch.mended.push(carried);
            }
        }
    }

    /// What was mended is on disk: whoever waited for it reads on.
    pub(super) fn mended(
        &mut self,
        context: &mut Context<'_>,
        mended: &[Carried],
        out: &mut Vec<Output>,
    ) {
        self.counters.bundles_mended += mended.len() as u64;
        for carried in mended {
            // Whoever read there meanwhile has met the hole once more.
            let header = carried.header();
            self.no_longer_lost(header.orchestra, &header.log, header.seq);
        }
        let of = |carried: &Carried| (carried.header().orchestra, carried.header().log);
        let logs: BTreeSet<(OrchestraId, LogId)> = mended.iter().map(of).collect();
        for (orchestra, log) in logs {
            self.mend(context, orchestra, log, out);
        }
        self.read_on(out);
    }

    /// Reads again where holes have been closed.
    fn read_on(&mut self, out: &mut Vec<Output>) {
        for (load, until_ms) in core::mem::take(&mut self.jobs.parked) {
            let hole = self
                .spaces
                .get(&load.orchestra)
                .and_then(|space| space.holes.get(&load.log));
            if hole.is_some_and(|hole| hole.seqs.contains(load.from_seq)) {
                self.jobs.parked.push((load, until_ms));
            } else {
                let (orchestra, log, from_seq) = (load.orchestra, load.log, load.from_seq);
                let (bytes_max, purpose) = (load.bytes_max, load.purpose);
                self.fetch(orchestra, log, from_seq, bytes_max, purpose, out);
            }
        }
    }

    /// The write of what was mended failed: it is looked for again.
    pub(super) fn lost_again(&mut self, mended: &[Carried]) {
        for carried in mended {
            let header = carried.header();
            let mut seqs = Ranges::new();
            seqs.insert(header.seq);
            self.note_lost(header.orchestra, header.log, &seqs, None);
        }
    }

    /// A bundle was written in the ordinary way: it is not lost any more.
    pub(super) fn no_longer_lost(&mut self, orchestra: OrchestraId, log: &LogId, seq: u64) {
        let space = self.spaces.get_mut(&orchestra);
        if let Some(hole) = space.and_then(|space| space.holes.get_mut(log)) {
            hole.remove(seq);
        }
    }

    /// A read that met a hole waits for it to be mended where anybody may have a copy. Gives the
    /// read back if it is to go on.
    pub(super) fn park_at_hole(
        &mut self,
        context: &mut Context<'_>,
        load: Load,
        stretch: &Stretch,
        out: &mut Vec<Output>,
    ) -> Option<Load> {
        self.note_damage(&stretch.damage);
        let (orchestra, log, from_seq) = (load.orchestra, load.log, load.from_seq);
        if !stretch.entries.is_empty() || from_seq > self.counted(orchestra, &log) {
            return Some(load);
        }
        let mut seqs = Ranges::new();
        seqs.insert(from_seq);
        self.note_lost(orchestra, log, &seqs, None);
        let patience_ms = match &load.purpose {
            Purpose::Serve { .. }
            | Purpose::Show { .. }
            | Purpose::Header { .. }
            | Purpose::Anchor => None,
            purpose if purpose.asker().is_some() => Some(limits::MEND_ASK_PATIENCE_MS),
            _ => Some(limits::MEND_PATIENCE_MS),
        };
        let anchor = matches!(load.purpose, Purpose::Anchor);
        let result = match patience_ms {
            None => Some(load),
            Some(patience_ms) if self.peers_matter() => {
                let until_ms = context.now_ms() + patience_ms;
                self.jobs.parked.push((load, until_ms));
                None
            }
            Some(_) => {
                self.go_without(context, load, out);
                None
            }
        };
        if !anchor {
            self.mend(context, orchestra, log, out);
        }
        result
    }

    /// Nobody has had a copy in time: a question is refused, and whatever else reads ends the log
    /// there.
    fn go_without(&mut self, context: &mut Context<'_>, load: Load, out: &mut Vec<Output>) {
        let (orchestra, log, from_seq) = (load.orchestra, load.log, load.from_seq);
        match (load.purpose.asker(), load.purpose) {
            (Some((ticket, _)), _) => {
                let rejection = self.damaged(orchestra, log);
                Self::reject(Some(ticket), rejection, out);
            }
            (None, Purpose::Scan(scan)) => {
                self.scan_step(context, orchestra, scan, from_seq, Vec::new(), out);
            }
            (None, _) => {}
        }
    }

    /// Why a reader who has seen this much will not get the rest: a log ends before a hole, and there
    /// is nobody to fill it. Where there is somebody, the log is behind and nothing is lost.
    pub(super) fn lost_beyond(&self, orchestra: OrchestraId, seen: &Cursor) -> Option<Rejection> {
        let space = self
            .spaces
            .get(&orchestra)
            .filter(|_| !self.peers_matter())?;
        let lost = space.holes.iter().find(|(log, hole)| {
            let seen = seen.0.get(&LogTag::of(log)).copied().unwrap_or(0);
            let from = seen.max(self.counted(orchestra, log)) + 1;
            let cut = space.logs.get(log).and_then(|state| state.cut);
            let counts = |first: u64| cut.is_none_or(|cut| first.max(from) < cut);
            let mut seqs = hole.seqs.iter();
            seqs.any(|(first, last)| last >= from && counts(first))
        });
        lost.map(|(log, _)| self.damaged(orchestra, *log))
    }

    fn damaged(&self, orchestra: OrchestraId, log: LogId) -> Rejection {
        let space = self.spaces.get(&orchestra);
        let hole = space.and_then(|space| space.holes.get(&log));
        let seqs = hole.map_or_else(Default::default, |hole| hole.seqs.to_string());
        let segments = hole.into_iter().flat_map(|hole| &hole.segments);
        let segments: Vec<_> = segments.map(ToString::to_string).collect();
        let place = if segments.is_empty() {
            "of its journal".to_string()
        } else {
            format!("of its journal, segment {}", segments.join(", "))
        };
        let (node, life) = (log.node, log.incarnation);
        let hint = if self.peers_matter() {
            "other members are asked for them: ask again, or ask another node"
        } else {
            "no other member has a copy: `unisono verify DIRECTORY` shows the extent, \
             `unisono restore` puts a backup in place"
        };
        let why = format!(
            "this node cannot read bundles {seqs} of log {node} {life} of orchestra {orchestra} \
             any more: the bytes {place} are not what was written; nothing was changed"
        );
        Rejection::new(Code::Corrupt, why).hint(hint)
    }

    /// Whether the logs of an orchestra can be read to their heads, as far as is known.
    pub(super) fn is_whole(&self, orchestra: OrchestraId) -> bool {
        let space = self.spaces.get(&orchestra);
        let mut holes = space.into_iter().flat_map(|space| &space.holes);
        holes.all(|(log, hole)| hole.highest(self.counted(orchestra, log)).is_none())
    }

    /// What is lost and not yet mended.
    pub(super) fn damage_view(&self) -> Vec<DamageView> {
        let asked = self.peers_matter();
        let spaces = self.spaces.iter();
        let holes = spaces.flat_map(|(id, space)| space.holes.iter().map(move |h| (*id, h)));
        let lost = holes.filter(|(_, (_, hole))| !hole.seqs.is_empty());
        lost.map(|(orchestra, (log, hole))| DamageView {
            orchestra,
            log: *log,
            bundles: hole.seqs.iter().collect(),
            segments: hole.segments.iter().copied().collect(),
            asked,
        })
        .collect()
    }
}
