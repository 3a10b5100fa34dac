//! What a batch and an opening cost on the disk of this machine. Run in release, by name:
//! `cargo test --release -p unisono-store -- --ignored --nocapture cost`.

use std::time::{Duration, Instant};

use unisono_core::journal::limits::SEGMENT_BYTES;

use crate::stand::{LOG, ORCHESTRA, entry, journal};

#[test]
#[ignore = "measures, and writes half a gigabyte"]
fn cost_of_a_million_entries() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut source = journal(directory.path(), SEGMENT_BYTES);
    let started = Instant::now();
    let mut slowest = Duration::ZERO;
    for batch in 0..1000 {
        let entries: Vec<_> = (0..1000).map(|at| entry(batch * 1000 + at, 300)).collect();
        let began = Instant::now();
        source.append(&entries).unwrap();
        slowest = slowest.max(began.elapsed());
    }
    let took = started.elapsed();
    eprintln!("1,000 batches of 1,000 entries: {took:?}, slowest {slowest:?}");
    let started = Instant::now();
    for batch in 0..1000 {
        let entries: Vec<_> = (0..64)
            .map(|at| entry(1_000_000 + batch * 64 + at, 300))
            .collect();
        source.append(&entries).unwrap();
    }
    eprintln!("a batch of 64 entries: {:?}", started.elapsed() / 1000);
    let started = Instant::now();
    for seq in 0..1000 {
        source.append(&[entry(2_000_000 + seq, 20_000)]).unwrap();
    }
    eprintln!(
        "a batch of one bundle of 20 kB: {:?}",
        started.elapsed() / 1000
    );
    drop(source);

    for _ in 0..3 {
        let started = Instant::now();
        let opened = journal(directory.path(), SEGMENT_BYTES);
        let took = started.elapsed();
        eprintln!(
            "opening: {took:?}, {} segments, {} bytes",
            opened.segments(),
            opened.bytes()
        );
        assert_eq!(opened.held(ORCHESTRA, LOG).unwrap().count(), 1_065_000);
        assert!(took < Duration::from_secs(1));
    }
    let mut opened = journal(directory.path(), SEGMENT_BYTES);
    let started = Instant::now();
    let mut next = 0;
    while let Some(last) = opened.read(ORCHESTRA, LOG, next, 1 << 20).unwrap().last() {
        next = last.key.seq + 1;
    }
    eprintln!("reading all: {:?}", started.elapsed());
    let started = Instant::now();
    for seq in (0..1_000_000).step_by(1013) {
        assert!(opened.read_one(entry(seq, 0).key).unwrap().is_some());
    }
    eprintln!("reading one: {:?}", started.elapsed() / 988);
    let started = Instant::now();
    let verified = opened.verify(u64::MAX).unwrap();
    eprintln!(
        "verifying {} bytes: {:?}",
        verified.bytes,
        started.elapsed()
    );
    assert!(verified.damage.is_empty());
}
