//! Facts made by hand, for the laws of the folds.

use unisono_core::orchestra::claims::Rules;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::{FoldRules, Folds, Reading, Refold};
use unisono_model::{
    Action, AgentId, Digest, Held, LogId, Place, RECORD_VERSION, RecordBody, Stamp,
};

use crate::folds::NobodyLate;
use crate::trust::Shown;

/// A record that an agent made, with its name, as bundle and record `number` of a log.
pub(crate) fn fact(
    record: Digest,
    (log, number): (LogId, u64),
    agent: u8,
    at_ms: u64,
    action: Action,
) -> Fact {
    Fact {
        place: Place {
            stamp: Stamp::from_ms(at_ms),
            record,
        },
        agent: AgentId([agent; 32]),
        log,
        bundle: number,
        seq: number,
        body: RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: 0,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action,
        },
    }
}

/// The same facts in another order, which follows from a number (xorshift64, Marsaglia 2003).
pub(crate) fn shuffled(facts: &[Fact], order: u64) -> Vec<Fact> {
    let mut shuffled = facts.to_vec();
    let mut state = order | 1;
    for index in (1..shuffled.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        shuffled.swap(index, (state % (index as u64 + 1)) as usize);
    }
    shuffled
}

/// How claims are read where nobody is late.
pub(crate) fn claim_rules() -> Rules<'static> {
    Rules {
        standing: &NobodyLate,
        lease_ms_max: 60_000,
        expiry_ignored: false,
    }
}

/// Folds these records again as often as it is asked for, and shows what comes of it.
pub(crate) fn settled(mut folds: Folds, facts: &[Fact], rules: &FoldRules) -> (Shown, Folds) {
    let mut refolds = 0;
    while folds.needs_refold() == Some(Refold::Everything) {
        refolds += 1;
        assert!(refolds < 5, "folding again must come to an end");
        let mut again = folds.again();
        for fact in facts.iter().rev() {
            again.insert(fact.clone(), rules);
        }
        again.settle();
        folds = again;
    }
    let horizon = Horizon::default();
    let reading = Reading {
        folds: &folds,
        at: Stamp::MAX,
        horizon: &horizon,
        rules: claim_rules(),
    };
    let state = reading.state();
    let voided = reading.trust().voided;
    let shown = Shown {
        valid: state.records,
        void: state.void,
        pending: state.pending,
        voided: voided
            .into_iter()
            .map(|one| (one.place, one.rule))
            .collect(),
        refolds: refolds > 0,
    };
    (shown, folds)
}
