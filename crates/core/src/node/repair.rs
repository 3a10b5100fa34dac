//! Repair: summaries, vectors, requests for what is missing, and the search for forks.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use unisono_model::{Digest, ForkProof, LogId, NodeId, OrchestraId, wire::Blob};

use super::door::window;
use super::jobs::Purpose;
use super::output::{Class, Note, Output};
use super::pursuit::Pursuit;
use super::{Node, limits};
use crate::carriage::proves_fork;
use crate::context::Context;
use crate::journal::{Entry, EntryKey};
use crate::replication::{
    Frame, LogHead, PROOFS_MAX, RANGE_BYTES_MAX, SUMMARY_MAX, SignedHeader, VECTOR_MAX,
};

/// Bundles that were written lately, to be served without the disk.
#[derive(Debug, Default)]
pub(super) struct Recent {
    bundles: BTreeMap<(OrchestraId, LogId), BTreeMap<u64, Vec<u8>>>,
    order: VecDeque<(OrchestraId, LogId, u64)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn push(&mut self, orchestra: OrchestraId, log: LogId, seq: u64, bytes: &[u8]) {
        let log_bundles = self.bundles.entry((orchestra, log)).or_default();
        self.bytes += bytes.len();
        match log_bundles.insert(seq, bytes.to_vec()) {
            None => self.order.push_back((orchestra, log, seq)),
            // Of a log that forked there may be another one for the same place.
            Some(former) => self.bytes -= former.len(),
        }
        while self.bytes > limits::RECENT_BYTES_MAX {
            let Some((orchestra, log, seq)) = self.order.pop_front() else {
                return;
            };
            if let Some(bundles) = self.bundles.get_mut(&(orchestra, log)) {
                self.bytes -= bundles.remove(&seq).map_or(0, |bytes| bytes.len());
                if bundles.is_empty() {
                    self.bundles.remove(&(orchestra, log));
                }
            }
        }
    }

    /// Consecutive bundles from a number on, if the first is here.
    pub(super) fn read(
        &self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Vec<Entry> {
        let Some(bundles) = self.bundles.get(&(orchestra, log)) else {
            return Vec::new();
        };
        let mut entries: Vec<Entry> = Vec::new();
        let mut bytes = 0;
        for (place, (seq, bundle)) in bundles.range(from_seq..).enumerate() {
            if *seq != from_seq + place as u64 || (bytes > 0 && bytes + bundle.len() > bytes_max) {
                break;
            }
            bytes += bundle.len();
            let key = EntryKey {
                orchestra,
                log,
                seq: *seq,
            };
            entries.push(Entry {
                key,
                bytes: bundle.clone(),
            });
        }
        entries
    }

    /// Forgets a log: it forked.
    pub(super) fn forget(&mut self, orchestra: OrchestraId, log: LogId) {
        if let Some(bundles) = self.bundles.remove(&(orchestra, log)) {
            self.bytes -= bundles.values().map(Vec::len).sum::<usize>();
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Node {
    /// Tells a peer what this node holds, in one hash per orchestra.
    pub(super) fn send_summary(
        &mut self,
        context: &mut Context<'_>,
        to: NodeId,
        out: &mut Vec<Output>,
    ) {
        let frame = self.summary(context, &to, true);
        self.send(to, Class::Repair, &frame, out);
    }

    /// The cluster's own orchestra is always in it; of the others as many as there is room for, the
    /// next ones next time. An outsider is told of that one alone.
    fn summary(&mut self, context: &Context<'_>, to: &NodeId, ask: bool) -> Frame {
        let (outsider, cluster) = (self.is_outsider(to), self.cluster);
        let spaces = self.spaces.keys().copied();
        let others: Vec<OrchestraId> = spaces.filter(|id| *id != cluster && !outsider).collect();
        let (mut told, next) = window(others, self.windows.orchestras, SUMMARY_MAX - 1);
        self.windows.orchestras = next;
        told.push(cluster);
        told.sort_unstable();
        let told = told.iter().filter_map(|id| {
            let space = self.spaces.get_mut(id)?;
            Some((*id, space.vector_digest()))
        });
        let orchestras = told.collect();
        Frame::Summary {
            wall_ms: context.wall_ms(),
            unsure_ns: context.unsure_ns,
            ask,
            orchestras,
        }
    }

    /// A peer has said what it holds: where that differs, it is told what this node holds.
    pub(super) fn compare(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        ask: bool,
        theirs: &[(OrchestraId, Digest)],
        out: &mut Vec<Output>,
    ) {
        if theirs.is_empty() {
            // It only says what its clock shows.
            return;
        }
        let (outsider, cluster) = (self.is_outsider(&from), self.cluster);
        let theirs: BTreeMap<OrchestraId, Digest> = theirs.iter().copied().collect();
        let mut told = theirs.keys().filter(|id| **id != cluster).copied();
        let part = (theirs.len() >= SUMMARY_MAX)
            .then(|| told.next().zip(told.next_back()))
            .flatten();
        let speaks_of = |id: &OrchestraId| {
            let within = part.is_none_or(|(first, last)| first <= *id && *id <= last);
            *id == cluster || (within && !outsider)
        };
        let mut differ: Vec<OrchestraId> = Vec::new();
        for space in self
            .spaces
            .values_mut()
            .filter(|space| speaks_of(&space.id))
        {
            if theirs.get(&space.id) != Some(&space.vector_digest()) {
                differ.push(space.id);
            }
        }
        let unknown = theirs.keys().filter(|id| !self.spaces.contains_key(id));
        differ.extend(unknown.copied());
        let same = differ.is_empty();
        for orchestra in differ {
            self.send_vector(from, orchestra, true, out);
        }
        if same {
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.behind = 0;
            }
            if ask {
                let frame = self.summary(context, &from, false);
                self.send(from, Class::Repair, &frame, out);
            }
        } else {
            self.unsettled_until_ms = context.now_ms() + limits::SUMMARY_IDLE_MS;
            if ask {
                // Vectors say nothing of the clock, and whoever asks may need to know it.
                let (wall_ms, ask) = (context.wall_ms(), false);
                let orchestras = Vec::new();
                let frame = Frame::Summary {
                    wall_ms,
                    unsure_ns: context.unsure_ns,
                    ask,
                    orchestras,
                };
                self.send(from, Class::Repair, &frame, out);
            }
        }
    }

    pub(super) fn send_vector(
        &mut self,
        to: NodeId,
        orchestra: OrchestraId,
        ask: bool,
        out: &mut Vec<Output>,
    ) {
        let space = self.spaces.get(&orchestra);
        let logs = space.map_or_else(Vec::new, |space| space.logs.heads());
        let proofs = space.map_or_else(Vec::new, |s| s.logs.proofs().cloned().collect());
        let next = self.windows.vectors.get(&orchestra).copied();
        let next = next.unwrap_or_default();
        let (logs, next_log) = window(logs, next.0, VECTOR_MAX);
        let (proofs, next_proof) = window(proofs, next.1, PROOFS_MAX);
        if (next_log, next_proof) == (0, 0) {
            self.windows.vectors.remove(&orchestra);
        } else {
            let next = (next_log, next_proof);
            self.windows.vectors.insert(orchestra, next);
        }
        let frame = Frame::Vector {
            orchestra,
            ask,
            logs,
            proofs,
        };
        self.send(to, Class::Repair, &frame, out);
    }

    /// A peer has said where its logs stand: what it has more is asked for.
    pub(super) fn compare_vector(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        orchestra: OrchestraId,
        ask: bool,
        theirs: &[LogHead],
        out: &mut Vec<Output>,
    ) {
        let now_ms = context.now_ms();
        let me = self.me;
        // Whatever a peer names, there is no room made for it before a bundle of it has come.
        let space = self.spaces.get(&orchestra);
        let mut wanted = Vec::new();
        let mut forked = Vec::new();
        let mut unknown = Vec::new();
        let mut lacks = 0;
        for head in theirs {
            let state = space.and_then(|space| space.logs.get(&head.log));
            let held = state.map_or(0, |state| state.seq);
            let cut = state.and_then(|state| state.cut);
            let lacked = head.seq > held && head.log != me && cut.is_none_or(|cut| held + 1 < cut);
            if lacked && self.knows(&head.log.node) {
                wanted.push((head.log, held + 1, head.seq));
            }
            let known = space
                .and_then(|space| space.headers.get(&head.log))
                .and_then(|h| h.get(&head.seq))
                .copied();
            let differs = known.is_some_and(|(header, _)| header.digest() != head.head);
            let counts = cut.is_none_or(|cut| head.seq < cut);
            if differs && counts {
                forked.extend(known);
            }
            // The disk has it, and memory may not have had it since the start.
            let at_head = state.filter(|state| state.seq == head.seq);
            if known.is_none() && counts && at_head.is_some_and(|state| state.head != head.head) {
                unknown.push((head.log, head.seq));
            }
        }
        let place: BTreeMap<LogId, u64> = theirs.iter().map(|h| (h.log, h.seq)).collect();
        let part = (theirs.len() >= VECTOR_MAX)
            .then(|| place.keys().next().zip(place.keys().next_back()))
            .flatten();
        let held = space.into_iter().flat_map(|space| space.logs.iter());
        let speaks_of = |log: &LogId| part.is_none_or(|(first, last)| first <= log && log <= last);
        for (log, state) in held.filter(|(log, _)| speaks_of(log)) {
            lacks += state
                .seq
                .saturating_sub(place.get(log).copied().unwrap_or(0));
        }
        for header in forked {
            self.send(from, Class::Repair, &Frame::Header(header), out);
        }
        for (log, seq) in unknown.into_iter().take(limits::WANT_LOGS_MAX) {
            self.fetch(orchestra, log, seq, 1, Purpose::Show { to: from }, out);
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.behind = lacks;
        }
        if !wanted.is_empty() {
            self.want(now_ms, from, orchestra, wanted, out);
        }
        if lacks > 0 && ask {
            self.send_vector(from, orchestra, false, out);
        }
    }

    fn want(
        &mut self,
        now_ms: u64,
        from: NodeId,
        orchestra: OrchestraId,
        mut logs: Vec<(LogId, u64, u64)>,
        out: &mut Vec<Output>,
    ) {
        if self.config.sabotage.gaps_not_repaired {
            return;
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        // The cluster's own orchestra never waits: without it nobody is a member.
        if orchestra != self.cluster && now_ms < peer.wanted_until_ms {
            return;
        }
        if orchestra != self.cluster {
            peer.wanted_until_ms = now_ms + limits::WANT_TIMEOUT_MS;
        }
        logs.truncate(limits::WANT_LOGS_MAX);
        if orchestra != self.cluster {
            peer.pursuit = Some(Pursuit::new(orchestra, &logs));
        }
        let logs = logs.into_iter().map(|(log, from, _)| (log, from)).collect();
        self.counters.repairs_asked += 1;
        self.send(from, Class::Repair, &Frame::Want { orchestra, logs }, out);
    }

    /// A peer lacks bundles: they come from memory or from the disk, a stretch of each log.
    pub(super) fn serve(
        &mut self,
        to: NodeId,
        orchestra: OrchestraId,
        logs: &[(LogId, u64)],
        out: &mut Vec<Output>,
    ) {
        self.counters.repairs_served += 1;
        self.give_word(orchestra);
        let logs = &logs[..logs.len().min(limits::WANT_LOGS_MAX)];
        for (place, (log, from_seq)) in logs.iter().enumerate() {
            let more = place + 1 < logs.len();
            let purpose = Purpose::Serve { to, more };
            self.fetch(orchestra, *log, *from_seq, RANGE_BYTES_MAX, purpose, out);
        }
    }

    /// Whoever lacks something here waits for the word of each member's latest life: until then
    /// nothing of its views is settled. A life that has written nothing here writes a head.
    fn give_word(&mut self, orchestra: OrchestraId) {
        let (me, member) = (self.me, self.is_member());
        let Some(space) = self.spaces.get_mut(&orchestra).filter(|_| member) else {
            return;
        };
        if space.logs.get(&me).is_none_or(|state| state.seq == 0) && !space.word_wanted {
            space.word_wanted = true;
            space.head_due_ms = Some(0);
        }
    }

    /// Sends a stretch of a log.
    pub(super) fn send_range(
        &mut self,
        to: NodeId,
        entries: Vec<Entry>,
        more: bool,
        out: &mut Vec<Output>,
    ) {
        let cut = entries.first().and_then(|entry| {
            self.spaces
                .get(&entry.key.orchestra)?
                .logs
                .get(&entry.key.log)?
                .cut
        });
        let good = entries
            .into_iter()
            .filter(|e| cut.is_none_or(|cut| e.key.seq < cut));
        let bundles = good.map(|entry| Blob(entry.bytes)).collect();
        self.send(to, Class::Repair, &Frame::Range { bundles, more }, out);
    }

    /// A peer shows what stands at a place of a log in its copy. If ours differs, the log forked.
    pub(super) fn compare_header(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        theirs: SignedHeader,
        out: &mut Vec<Output>,
    ) {
        let header = theirs.0;
        let good = header.cluster == self.config.cluster
            && context
                .verifier
                .verify(&header.log.node.0, &header.digest(), &theirs.1);
        let Some(space) = self.spaces.get(&header.orchestra) else {
            return;
        };
        let cut = space.logs.get(&header.log).and_then(|state| state.cut);
        // Until the proof is on disk the log is not cut. Whoever answered each header of it again
        // would be answered again, twice for once (seed 675: a storm).
        let found = |proof: &ForkProof| {
            let one = &proof.one.0;
            (one.orchestra, one.log) == (header.orchestra, header.log) && one.seq <= header.seq
        };
        let on_its_way = self.batch.iter().flat_map(|batch| &batch.proofs);
        let found = self.jobs.new_proofs.iter().chain(on_its_way).any(found);
        if !good || found || cut.is_some_and(|cut| cut <= header.seq) {
            return;
        }
        let known = space.headers.get(&header.log);
        let ours = known.and_then(|headers| headers.get(&header.seq)).copied();
        match ours {
            Some(ours) if ours.0 != header => {
                let before = known
                    .and_then(|headers| headers.get(&(header.seq - 1)))
                    .copied();
                self.fork_found(ours, theirs);
                // They may differ earlier still: show what stands before.
                self.send(from, Class::Repair, &Frame::Header(ours), out);
                if let Some(before) = before {
                    self.send(from, Class::Repair, &Frame::Header(before), out);
                }
            }
            Some(_) => {}
            None => {
                let held = space
                    .logs
                    .get(&header.log)
                    .is_some_and(|s| s.seq >= header.seq);
                if held {
                    let purpose = Purpose::Header {
                        from,
                        theirs: theirs.into(),
                    };
                    self.fetch(header.orchestra, header.log, header.seq, 1, purpose, out);
                }
            }
        }
    }

    /// Two bundles at one place: the proof goes to disk and to everybody.
    pub(super) fn fork_found(&mut self, a: SignedHeader, b: SignedHeader) {
        let (one, other) = if a.0.digest() < b.0.digest() {
            (a, b)
        } else {
            (b, a)
        };
        if self.config.sabotage.fork_accepted || one.0 == other.0 {
            return;
        }
        self.jobs.new_proofs.push(ForkProof { one, other });
    }

    pub(super) fn take_proofs(
        &mut self,
        context: &mut Context<'_>,
        proofs: Vec<ForkProof>,
        out: &mut Vec<Output>,
    ) {
        if self.config.sabotage.fork_accepted {
            return;
        }
        for proof in proofs {
            let header = proof.one.0;
            // Of what is not here nothing has to be cut: a proof comes again, as long as what is held
            // differs without it.
            let Some(space) = self.spaces.get(&header.orchestra) else {
                continue;
            };
            let cut = space.logs.get(&header.log).and_then(|state| state.cut);
            let queued = self.jobs.new_proofs.contains(&proof);
            if cut.is_none_or(|cut| header.seq < cut)
                && !queued
                && self.knows(&header.log.node)
                && proves_fork(&proof, self.config.cluster, context.verifier)
            {
                self.jobs.new_proofs.push(proof);
            }
        }
        if !self.jobs.new_proofs.is_empty() {
            self.flush(context, out);
        }
    }

    /// Proofs are on disk. However many logs end, everybody is told of an orchestra once.
    pub(super) fn adopt_proofs(&mut self, proofs: Vec<ForkProof>, out: &mut Vec<Output>) {
        let proofs = proofs.into_iter();
        let cut = proofs.filter_map(|proof| self.adopt_proof(proof, out));
        for orchestra in cut.collect::<BTreeSet<_>>() {
            for (node, _) in self.current_members() {
                self.send_vector(node, orchestra, false, out);
            }
        }
    }

    /// A proof is on disk: its log ends before the fork, and if more of it had been folded, the
    /// orchestra is folded again. Gives back the orchestra, if the log was not cut there before.
    fn adopt_proof(&mut self, proof: ForkProof, out: &mut Vec<Output>) -> Option<OrchestraId> {
        let header = proof.one.0;
        let (orchestra, log, seq) = (header.orchestra, header.log, header.seq);
        let space = self.space_entry(orchestra);
        if !space.logs.prove_fork(proof) {
            return None;
        }
        space.vector_changed();
        space.incoming.cut(&log, seq);
        let folded = space.logs.get(&log).is_some_and(|state| state.seq >= seq);
        if let Some(headers) = space.headers.get_mut(&log) {
            headers.retain(|number, _| *number < seq);
        }
        self.counters.forks += 1;
        self.recent.forget(orchestra, log);
        out.push(Output::Note(Note::LogForked {
            orchestra,
            log,
            seq,
        }));
        // Folding again begins when all of the batch that brings the proof is applied: a walk that
        // began now would know this node's log up to the bundle before, and end there (seed 675).
        if folded && let Some(space) = self.spaces.get_mut(&orchestra) {
            space.folds.upset();
        }
        Some(orchestra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The incident (seed 412): a liar's log forked, the longer of two bundles for one place came later
    /// and was counted with the length of the first, and who forgot the log when the proof came counted
    /// below nothing.
    #[test]
    fn of_two_bundles_for_one_place_the_one_that_is_kept_is_counted() {
        let (orchestra, log) = (OrchestraId::default(), LogId::default());
        let mut recent = Recent::default();
        recent.push(orchestra, log, 1, &[0; 10]);
        recent.push(orchestra, log, 1, &[0; 30]);
        assert_eq!(recent.bytes(), 30);
        recent.push(orchestra, log, 2, &[0; 5]);
        recent.forget(orchestra, log);
        assert_eq!(recent.bytes(), 0);
    }
}
