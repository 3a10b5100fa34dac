//! Reads from disk that take several steps: serving peers, folding again, looking at the past,
//! pages of records, documents.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{DocumentName, ForkProof, LogId, NodeId, OrchestraId};

use super::Node;
use super::input::{LoadId, Ticket};
use super::output::{Class, Output};
use super::page::Page;
use super::scan::Scan;
use crate::carriage::Carried;
use crate::context::Context;
use crate::journal::Stretch;
use crate::replication::{Frame, SignedHeader};

/// Reads under way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    next: u64,
    loads: BTreeMap<LoadId, Load>,
    documents: BTreeMap<LoadId, (OrchestraId, DocumentName)>,
    /// Reads that met a hole, and until when they wait for it to be mended (ms).
    pub(super) parked: Vec<(Load, u64)>,
    /// Fork proofs that go to disk with the next batch.
    pub(super) new_proofs: Vec<ForkProof>,
}

/// A read under way.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) orchestra: OrchestraId,
    pub(super) log: LogId,
    pub(super) from_seq: u64,
    pub(super) bytes_max: usize,
    pub(super) purpose: Purpose,
}

/// What a read is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A peer lacks these.
    Serve { to: NodeId, more: bool },
    /// A header that a peer is shown.
    Show { to: NodeId },
    /// What stands at the place of a header that a peer has shown.
    Header {
        from: NodeId,
        theirs: Box<SignedHeader>,
    },
    /// Every record of an orchestra, log by log.
    Scan(Box<Scan>),
    /// Records after a cursor.
    Page(Box<Page>),
    /// What stands behind a hole: it names the bundle that is missing before it.
    Anchor,
}

impl Purpose {
    /// Who waits for it, and until when (ms); none where nobody has asked.
    pub(super) fn asker(&self) -> Option<(Ticket, u64)> {
        match self {
            Self::Scan(scan) => scan.asker(),
            Self::Page(page) => Some(page.asker()),
            Self::Serve { .. } | Self::Show { .. } | Self::Header { .. } | Self::Anchor => None,
        }
    }
}

impl Jobs {
    /// Ends the reads whose askers wait no longer; what still comes from disk for them is dropped.
    pub(super) fn give_up(&mut self, now_ms: u64) -> Vec<Ticket> {
        let mut tickets = Vec::new();
        self.loads.retain(|_, load| {
            let late = load.purpose.asker().filter(|(_, due)| *due <= now_ms);
            tickets.extend(late.map(|(ticket, _)| ticket));
            late.is_none()
        });
        tickets
    }

    /// When the first asker has waited long enough (ms).
    pub(super) fn overdue_ms(&self) -> Option<u64> {
        let parked = self.parked.iter().map(|(load, _)| load);
        let loads = self.loads.values().chain(parked);
        let askers = loads.filter_map(|load| load.purpose.asker());
        askers.map(|(_, due)| due).min()
    }

    pub(super) fn next_load(&mut self) -> LoadId {
        self.next += 1;
        LoadId(self.next)
    }

    pub(super) fn load_document(&mut self, orchestra: OrchestraId, name: DocumentName) -> LoadId {
        let load = self.next_load();
        self.documents.insert(load, (orchestra, name));
        load
    }
}

impl Node {
    /// Reads a stretch of a log: at once where it is in memory, else from the disk.
    pub(super) fn fetch(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
        purpose: Purpose,
        out: &mut Vec<Output>,
    ) {
        if let Purpose::Serve { to, more } = &purpose {
            let entries = self.recent.read(orchestra, log, from_seq, bytes_max);
            if !entries.is_empty() {
                self.send_range(*to, entries, *more, out);
                return;
            }
        }
        let load = self.next_load();
        self.jobs.loads.insert(
            load,
            Load {
                orchestra,
                log,
                from_seq,
                bytes_max,
                purpose,
            },
        );
        out.push(Output::Load {
            load,
            orchestra,
            log,
            from_seq,
            bytes_max,
        });
    }

    pub(super) fn loaded(
        &mut self,
        context: &mut Context<'_>,
        load: LoadId,
        stretch: Stretch,
        out: &mut Vec<Output>,
    ) {
        let Some(load) = self.jobs.loads.remove(&load) else {
            return;
        };
        let Some(load) = self.park_at_hole(context, load, &stretch, out) else {
            return;
        };
        let Load {
            orchestra,
            log,
            from_seq,
            purpose,
            ..
        } = load;
        let entries = stretch.entries;
        match purpose {
            Purpose::Serve { to, more } => self.send_range(to, entries, more, out),
            Purpose::Show { to } => {
                let ours = entries
                    .first()
                    .and_then(|entry| Carried::from_disk(&entry.bytes, self.config.cluster).ok());
                if let Some(ours) = ours.filter(|ours| ours.header().seq == from_seq) {
                    let header = (*ours.header(), ours.bundle().signature);
                    self.send(to, Class::Repair, &Frame::Header(header), out);
                }
            }
            Purpose::Header { from, theirs } => {
                let ours = entries
                    .first()
                    .and_then(|entry| Carried::from_disk(&entry.bytes, self.config.cluster).ok());
                if let Some(ours) = ours
                    && ours.header().seq == theirs.0.seq
                    && let Some(space) = self.spaces.get_mut(&orchestra)
                {
                    let known = space.headers.entry(log).or_default();
                    known.insert(theirs.0.seq, (*ours.header(), ours.bundle().signature));
                    self.compare_header(context, from, *theirs, out);
                    self.flush(context, out);
                }
            }
            Purpose::Scan(scan) => self.scan_step(context, orchestra, scan, from_seq, entries, out),
            Purpose::Page(page) => self.page_step(context, orchestra, page, entries, out),
            Purpose::Anchor => {
                self.anchor(context, orchestra, log, from_seq, &entries, out);
            }
        }
    }

    pub(super) fn blob_loaded(
        &mut self,
        context: &mut Context<'_>,
        load: LoadId,
        bytes: Option<Vec<u8>>,
        out: &mut Vec<Output>,
    ) {
        let Some((orchestra, name)) = self.jobs.documents.remove(&load) else {
            return;
        };
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        if space.documents.loaded(name, bytes.as_deref()) {
            if space.documents.take_incomplete(name) {
                self.rebuild_document(context, orchestra, name, out);
                return;
            }
            self.flush(context, out);
            self.check_waiters(context, out);
        } else {
            space.documents.begin_anew(name);
            self.rebuild_document(context, orchestra, name, out);
        }
    }

    /// Asks for the documents that changes wait for.
    pub(super) fn fetch_documents(&mut self, out: &mut Vec<Output>) {
        let mut wanted: Vec<(OrchestraId, DocumentName, String)> = Vec::new();
        let ids: Vec<OrchestraId> = self.spaces.keys().copied().collect();
        for id in ids {
            let whole = self.is_whole(id);
            let Some(space) = self.spaces.get_mut(&id) else {
                continue;
            };
            let names = space.documents.wanted(whole);
            wanted.extend(names.into_iter().map(|(name, blob)| (space.id, name, blob)));
        }
        for (orchestra, name, blob) in wanted {
            let load = self.jobs.load_document(orchestra, name);
            out.push(Output::LoadBlob { load, name: blob });
        }
    }
}
