//! Somebody who looks at every node's claims all the time and remembers what was called confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use unisono_api::client::Client;
use unisono_api::dto::{Claim, ClaimStatusWord};
use unisono_model::{Digest, Stamp};

use super::fleet::{Ledger, ORCHESTRA};

/// Between two looks at one node.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Per topic and claim: from when to when it was shown as confirmed.
    confirmed: BTreeMap<(String, Digest), (Stamp, Stamp)>,
    /// Claims that some node showed as lost.
    told: BTreeSet<Digest>,
    /// Held and provisional, by node, at the last look.
    provisional: [usize; 3],
    looks: u64,
}

impl Seen {
    /// Takes down what a node shows as of a stamp.
    pub(super) fn take(&self, node: usize, as_of: Stamp, claims: &[Claim]) {
        let mut inner = self.lock();
        inner.looks += 1;
        let provisional = claims
            .iter()
            .filter(|claim| claim.status == ClaimStatusWord::Provisional);
        inner.provisional[node] = provisional.count();
        for claim in claims {
            inner
                .told
                .extend(claim.losers.iter().map(|lost| lost.claim));
            if claim.status == ClaimStatusWord::Confirmed {
                let key = (claim.topic.clone(), claim.claim);
                let times = inner.confirmed.entry(key).or_insert((as_of, as_of));
                *times = (times.0.min(as_of), times.1.max(as_of));
            }
        }
    }

    /// Somebody was told that this claim lost.
    pub(super) fn told(&self, claim: Digest) {
        self.lock().told.insert(claim);
    }

    /// Whether somebody was told.
    pub(super) fn was_told(&self, claim: &Digest) -> bool {
        self.lock().told.contains(claim)
    }

    /// Claims held and not confirmed at the last look at each node.
    pub(super) fn provisional(&self) -> [usize; 3] {
        self.lock().provisional
    }

    /// Claims that were ever shown as confirmed.
    pub(super) fn confirmed(&self) -> BTreeSet<Digest> {
        self.lock()
            .confirmed
            .keys()
            .map(|(_, claim)| *claim)
            .collect()
    }

    /// How often anybody looked.
    pub(super) fn looks(&self) -> u64 {
        self.lock().looks
    }

    /// Whether two claims of one topic were shown as confirmed at one time.
    pub(super) fn overlap(&self) -> Result<(), String> {
        let inner = self.lock();
        let mut shown: Vec<_> = inner.confirmed.iter().collect();
        shown.sort_by(|a, b| (&a.0.0, a.1).cmp(&(&b.0.0, b.1)));
        for pair in shown.windows(2) {
            let ((topic, one), (_, until)) = pair[0];
            let ((next, other), (from, _)) = pair[1];
            if topic == next && from <= until {
                return Err(format!(
                    "{topic} was shown as confirmed to {one:?} and to {other:?}"
                ));
            }
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at one node until everything is over.
pub(super) async fn watch(node: usize, client: Client, seen: Arc<Seen>, ledger: Arc<Ledger>) {
    while !ledger.over.load(Ordering::Relaxed) {
        // A node that is down is looked at again.
        if let Ok(told) = client.claims(ORCHESTRA).await
            && let Some(as_of) = told.as_of
        {
            seen.take(node, as_of, &told.body.claims);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
