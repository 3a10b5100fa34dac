//! Bad input: a clear error, and nothing disturbed.

use proptest::prelude::*;
use unisono_core::timing::{
    LedgerError, Memory, MemoryError, OffsetFilter, PathMemory, Probe, ProbeError, ProbeLedger,
    RateMemory, TimesError,
};

use super::{MS, Machine, SECOND, cluster_ns, regular, synced};

#[test]
fn impossible_readings_are_no_probe() {
    let (sent, remote) = (7 * SECOND, cluster_ns(0));
    let back = sent + 80 * MS;
    type Case = (&'static str, [u64; 4], fn(&TimesError) -> bool);
    let cases: [Case; 8] = [
        ("zero", [0, remote, remote, back], |e| {
            matches!(e, TimesError::NoTime { .. })
        }),
        ("no remote", [sent, 0, 0, back], |e| {
            matches!(e, TimesError::NoTime { .. })
        }),
        ("far future", [sent, u64::MAX, u64::MAX, back], |e| {
            matches!(e, TimesError::NoTime { .. })
        }),
        ("negative trip", [back, remote, remote, sent], |e| {
            matches!(e, TimesError::Backwards { .. })
        }),
        ("negative hold", [sent, remote, remote - 1, back], |e| {
            matches!(e, TimesError::Backwards { .. })
        }),
        ("no path", [sent, remote, remote + 80 * MS, back], |e| {
            matches!(e, TimesError::NoPath { .. })
        }),
        (
            "long trip",
            [sent, remote, remote, sent + 11 * SECOND],
            |e| matches!(e, TimesError::TooLong { .. }),
        ),
        (
            "long hold",
            [sent, remote, remote + 2 * SECOND, sent + 3 * SECOND],
            |e| matches!(e, TimesError::TooLong { .. }),
        ),
    ];
    for (name, [a, b, c, d], expected) in cases {
        let error = Probe::new(a, b, c, d).expect_err(name);
        assert!(expected(&error), "{name}: {error:?}");
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn an_answer_counts_once_and_only_if_it_was_asked_for() {
    let mut ledger = ProbeLedger::default();
    let (sent, remote) = (7 * SECOND, cluster_ns(0));
    ledger.asked(1, sent);
    let back = sent + 80 * MS;
    let forged = ledger.answered(2, remote, remote, back);
    assert_eq!(forged, Err(LedgerError::NotAsked { nonce: 2 }));
    let impossible = ledger.answered(1, remote, remote, sent - 1);
    assert!(
        matches!(impossible, Err(LedgerError::Times(_))),
        "{impossible:?}"
    );
    assert!(ledger.answered(1, remote, remote, back).is_ok());
    let again = ledger.answered(1, remote, remote, back);
    assert_eq!(again, Err(LedgerError::NotAsked { nonce: 1 }));
    for nonce in 10..200 {
        ledger.asked(nonce, sent + nonce);
    }
    let given_up = ledger.answered(10, remote, remote, back);
    assert_eq!(given_up, Err(LedgerError::NotAsked { nonce: 10 }));
}

proptest! {
    #[test]
    fn a_refused_probe_changes_nothing(
        number in 0_u64..300,
        off_ms in prop_oneof![-400_000_000_i64..-200, 200_i64..400_000_000],
    ) {
        let machine = Machine::new(30_000);
        let mut filter = synced(&machine, 300);
        let local_ns = machine.local_ns(61 * SECOND);
        let before = filter.estimate(local_ns);
        let old = filter.push(&regular(&machine, number));
        let expected = if number == 299 {
            matches!(old, Err(ProbeError::Repeated))
        } else {
            matches!(old, Err(ProbeError::OutOfOrder { .. } | ProbeError::Repeated))
        };
        prop_assert!(expected, "{old:?}");
        prop_assert_eq!(filter.estimate(local_ns), before);
        // A leader that lies by more than the paths allow, into the past or the far future.
        let remote_ns = cluster_ns(60_040 * MS).saturating_add_signed(off_ms * MS.cast_signed());
        let (sent_ns, back_ns) = (machine.local_ns(60 * SECOND), machine.local_ns(60_080 * MS));
        let lie = Probe::new(sent_ns, remote_ns, remote_ns, back_ns).expect("possible readings");
        let told = filter.push(&lie);
        prop_assert!(matches!(told, Err(ProbeError::Contradicts { .. })), "{told:?}");
        prop_assert_eq!(filter.push(&lie), Err(ProbeError::Repeated));
        prop_assert_eq!(filter.estimate(local_ns), before);
        // The truth goes on, and the lie is forgotten.
        prop_assert!(filter.push(&regular(&machine, 301)).is_ok());
    }
}

#[test]
fn a_damaged_memory_is_refused() {
    let rate = |rate_ppb, deviation_ppb| Memory {
        rate: Some(RateMemory {
            rate_ppb,
            deviation_ppb,
        }),
        path: None,
    };
    let path = |floor_ns, question_ns| Memory {
        rate: None,
        path: Some(PathMemory {
            floor_ns,
            floor_deviation_ns: 1.0,
            question_ns,
            answer_ns: 1.0,
        }),
    };
    let cases = [
        ("rate_ppb", rate(f64::NAN, 1.0)),
        ("rate_ppb", rate(1e9, 1.0)),
        ("deviation_ppb", rate(0.0, -1.0)),
        ("deviation_ppb", rate(0.0, f64::INFINITY)),
        ("floor_ns", path(f64::NAN, 1.0)),
        ("floor_ns", path(-1.0, 1.0)),
        ("question_ns", path(1.0, f64::INFINITY)),
    ];
    for (figure, memory) in cases {
        let refused = OffsetFilter::remembering(memory).expect_err(figure);
        assert_eq!(refused, MemoryError::Impossible { figure });
    }
}
