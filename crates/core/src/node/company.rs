//! Which pushed bundles wait a moment for others on their way to disk: group commit (DeWitt et al.,
//! "Implementation Techniques for Main Memory Database Systems", 1984) where nobody waits for it.
//!
//! A promise of two disks needs one more than the origin's. The peer that comes after the origin in
//! the order of keys syncs what is pushed at once; the others of the region let what nobody confirms
//! gather first. All read the order from the members, so nobody is asked. Where views differ about
//! who is alive, it is at worst a few milliseconds later.

use unisono_model::{NodeId, RecordBody};

use super::{Node, limits, space};
use crate::carriage::Carried;
use crate::context::Context;

/// What has come in and waits for the next batch.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Company {
    /// Until when it waits for more (ms), if all of it may.
    until_ms: Option<u64>,
    /// Some of it may not.
    hurries: bool,
}

impl Company {
    /// Something came in that must not wait.
    pub(super) fn hurry(&mut self) {
        *self = Self {
            until_ms: None,
            hurries: true,
        };
    }

    /// Something came in that may wait.
    fn gather(&mut self, now_ms: u64) {
        if !self.hurries && self.until_ms.is_none() {
            self.until_ms = Some(now_ms + limits::COMPANY_MS);
        }
    }

    /// Until when all that has come in waits; `None` where it does not.
    pub(super) fn until_ms(&self) -> Option<u64> {
        self.until_ms
    }
}

impl Node {
    /// Whether what has come in still waits for more.
    pub(super) fn awaits_company(&self, now_ms: u64) -> bool {
        self.company.until_ms.is_some_and(|at| now_ms < at) && self.queue.is_empty()
    }

    /// A pushed bundle has come in.
    pub(super) fn join_company(&mut self, context: &Context<'_>, patient: bool) {
        if patient {
            self.company.gather(context.now_ms());
        } else {
            self.company.hurry();
        }
    }

    /// Whether a pushed bundle may wait: it was written in this region, another peer is the one that
    /// syncs it at once, and it holds nothing that others have to sign past.
    pub(super) fn may_wait(&self, context: &Context<'_>, carried: &Carried) -> bool {
        let header = carried.header();
        let records = &carried.body().records;
        let calm = header.orchestra != self.cluster
            && !records.is_empty()
            && records.iter().all(|record| {
                RecordBody::decode(&record.body.0).is_ok_and(|body| !space::urgent(&body.action))
            });
        let second = calm.then(|| self.second_after(header.log.node, context.now_ms()));
        second.flatten().is_some_and(|node| node != self.me.node)
    }

    /// The living member of this region that comes after a node of it; `None` for nodes elsewhere.
    fn second_after(&self, origin: NodeId, now_ms: u64) -> Option<NodeId> {
        let region = self.region_nodes();
        if !region.contains(&origin) {
            return None;
        }
        let after = region.range(origin..).skip(1);
        let mut ring = after.chain(region.range(..origin));
        ring.find(|node| self.seems_alive(node, now_ms)).copied()
    }
}
