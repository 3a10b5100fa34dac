//! What stands at the latest places of the chains in this life's log, so that a second record that its
//! key has signed for one of them is seen for what it is, and the orchestra is told.
//!
//! It ends nobody: `docs/decisions/030-a-second-signature-for-one-place-is-told-and-ends-nobody.md`.

use alloc::collections::{BTreeMap, VecDeque};

use unisono_model::{
    AgentId, Code, Digest, Incident, OrchestraId, RecordBody, Rejection, SignedRecord,
};

use super::{Node, limits};
use crate::context::Context;

/// A place of a chain in this life's log.
type Spot = (OrchestraId, AgentId, u64);

/// What stands there, and since when (ms).
#[derive(Debug, Default)]
pub(super) struct Places {
    standing: BTreeMap<Spot, (Digest, u64)>,
    order: VecDeque<Spot>,
}

impl Places {
    /// A record has got its place.
    pub(super) fn took(&mut self, spot: Spot, record: Digest, now_ms: u64) {
        if self.standing.insert(spot, (record, now_ms)).is_none() {
            self.order.push_back(spot);
        }
        while self.order.len() > limits::PLACES_KEPT_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.standing.remove(&oldest);
            }
        }
    }
}

impl Node {
    /// A signed record did not continue its chain: told, if another one has stood in its place for
    /// longer than an agent races with itself. A copy of what stands there is nobody's deed.
    pub(super) fn note_second(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        (record, digest): (&SignedRecord, &Digest),
        body: &RecordBody,
    ) {
        let spot = (orchestra, record.agent, record.seq);
        let known = self.places.standing.get(&spot).copied();
        let Some((standing, taken_ms)) = known.filter(|_| record.log == self.me) else {
            return;
        };
        if standing == *digest || context.now_ms() < taken_ms.saturating_add(limits::RACE_MS) {
            return;
        }
        let words = Incident::signed_twice(&standing, digest, record);
        let rejection = Rejection::new(Code::ChainOrder, words);
        self.note_incident(context, orchestra, record.agent, body, &rejection);
    }
}

/// Whether the agent has signed a record for its place.
pub(super) fn check_signature(
    context: &mut Context<'_>,
    record: &SignedRecord,
    digest: &Digest,
) -> Result<(), Rejection> {
    let verifier = &mut context.verifier;
    if verifier.verify(&record.agent.0, digest, &record.signature) {
        return Ok(());
    }
    let words = "the agent's signature does not verify";
    Err(Rejection::new(Code::BadSignature, words)
        .hint("sign for this cluster, orchestra, node and chain place; see the session"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_place_is_forgotten_first_and_no_more_are_kept_than_may_be() {
        let mut places = Places::default();
        let spot = |seq| (OrchestraId::default(), AgentId::default(), seq);
        let most = limits::PLACES_KEPT_MAX as u64;
        for seq in 0..most {
            places.took(spot(seq), Digest::default(), seq);
        }
        places.took(spot(0), Digest([1; 32]), 7);
        assert_eq!(places.standing[&spot(0)], (Digest([1; 32]), 7));
        places.took(spot(most), Digest::default(), most);
        assert_eq!(places.standing.len(), limits::PLACES_KEPT_MAX);
        assert!(!places.standing.contains_key(&spot(0)));
        assert_eq!(places.order.len(), places.standing.len());
    }
}
