//! How far logs had come by the word of other nodes than the one that exports them: what it left out
//! of the end of a log shows by what others held of it.
//!
//! A witness names a header that the log's own node has signed, so that neither the one who bears
//! witness nor the one who exports can make it up.

use std::collections::BTreeMap;

use unisono_core::carriage::Carried;
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_core::replication::Placed;
use unisono_model::{
    Action, BundleHeader, ClusterId, Digest, Expulsion, ForkProof, Incarnation, LogId, NodeId,
    OrchestraId, Witness,
};

type Log = (OrchestraId, LogId);

/// What was held of logs, and what is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Witnessed {
    /// The bundles of each log from the first on.
    there: BTreeMap<Log, Vec<Digest>>,
    /// The highest header of each log that another node has borne witness of, and who.
    heads: BTreeMap<Log, (BundleHeader, NodeId)>,
    /// From which bundle on a log counts no more, since it forked there.
    forked: BTreeMap<Log, u64>,
    /// Nodes that were removed, and up to which bundle each of their logs counts.
    removed: BTreeMap<NodeId, BTreeMap<(OrchestraId, Incarnation), u64>>,
}

/// What the witnesses come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// Logs of which another node has borne witness.
    pub(super) logs: u64,
    /// Logs whose node was removed before where others held them: nothing is said of these.
    pub(super) excused: u64,
    /// What is missing or stands otherwise, in words.
    pub(super) faults: Vec<String>,
}

impl Witnessed {
    /// The next bundle of a log, with its records.
    pub(super) fn bundle(&mut self, carried: &Carried, placed: &[Placed]) {
        let header = carried.header();
        let log = (header.orchestra, header.log);
        self.there.entry(log).or_default().push(carried.digest());
        if header.orchestra != OrchestraId::of(header.cluster, "cluster") {
            return;
        }
        for one in placed.iter().filter(|one| one.good) {
            match one.body.as_ref().map(|body| &body.action) {
                Some(Action::Witness(witness)) if one.agent.0 == header.log.node.0 => {
                    self.heard(header.cluster, header.log.node, witness);
                }
                Some(Action::Remove(expulsion)) => self.removed(expulsion),
                _ => {}
            }
        }
    }

    /// A proof that a log forked, which is good.
    pub(super) fn proof(&mut self, proof: &ForkProof) {
        let header = &proof.one.0;
        let cut = self.forked.entry((header.orchestra, header.log));
        let cut = cut.or_insert(header.seq);
        *cut = header.seq.min(*cut);
    }

    fn heard(&mut self, cluster: ClusterId, by: NodeId, witness: &Witness) {
        for (header, signature) in &witness.heads {
            let log = (header.orchestra, header.log);
            let known = self.heads.get(&log).map_or(0, |(head, _)| head.seq);
            let news = header.seq > known && header.cluster == cluster && header.log.node != by;
            let writer = &header.log.node.0;
            if news && StrictVerifier.verify(writer, &header.digest(), signature) {
                self.heads.insert(log, (*header, by));
            }
        }
    }

    fn removed(&mut self, expulsion: &Expulsion) {
        let ends = expulsion.ends.iter();
        let ends = ends.map(|one| ((one.orchestra, one.end.incarnation), one.end.seq));
        let ends: BTreeMap<_, _> = ends.collect();
        match self.removed.get_mut(&expulsion.node) {
            None => drop(self.removed.insert(expulsion.node, ends)),
            Some(known) => {
                known.retain(|log, _| ends.contains_key(log));
                for (log, end) in known {
                    *end = ends[log].min(*end);
                }
            }
        }
    }

    /// What is missing from the ends of logs, once everything was taken in.
    pub(super) fn judge(&self) -> Heard {
        let mut heard = Heard {
            logs: self.heads.len() as u64,
            ..Heard::default()
        };
        for (log, (head, by)) in &self.heads {
            let (orchestra, life) = log;
            if self.forked.get(log).is_some_and(|cut| *cut <= head.seq) {
                continue;
            }
            let ends = self.removed.get(&life.node);
            let end = ends.map(|ends| ends.get(&(*orchestra, life.incarnation)).copied());
            if end.is_some_and(|end| end.unwrap_or(0) < head.seq) {
                heard.excused += 1;
                continue;
            }
            let there = self.there.get(log).map_or(&[][..], Vec::as_slice);
            let at = usize::try_from(head.seq - 1).unwrap_or(usize::MAX);
            let words = match there.get(at) {
                None => format!(
                    "orchestra {orchestra}: log {life:?} ends with bundle {}, and node {by} held {} of it",
                    there.len(),
                    head.seq
                ),
                Some(digest) if *digest != head.digest() => format!(
                    "orchestra {orchestra}: log {life:?}: bundle {} is another one than node {by} held",
                    head.seq
                ),
                Some(_) => continue,
            };
            heard.faults.push(words);
        }
        heard
    }
}
