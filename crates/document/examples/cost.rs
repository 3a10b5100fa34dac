//! Measures what an entry costs: CPU time to append here and to apply elsewhere, one and 64 entries
//! a change, in documents of 1,000 and 8,000 entries, and what it takes on disk.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program for reading its output"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "what it measures is known to the kernel alone"
)]

use unisono_document::{Actor, ChangePlan, DocumentId, FactDocument, Key, Kind};
use unisono_model::{ChainId, OrchestraId};

/// The size of a typical packed record.
const VALUE_BYTES: usize = 200;
const WRITERS: u64 = 8;
const SAMPLE: u64 = 640;

fn main() {
    println!("entries  per change  local µs/entry  remote ×1  remote ×100  cold ×1  saved B/entry");
    for entries in [1_000, 8_000] {
        for per_change in [1, 64] {
            measure(entries, per_change);
        }
    }
}

fn measure(entries: u64, per_change: u64) {
    let id = DocumentId {
        orchestra: OrchestraId([1; 16]),
        kind: Kind::Score,
        part: 0,
    };
    let mut writer = FactDocument::new(id);
    let history = write(&mut writer, 0, entries, per_change).0;
    let saved = writer.save().unwrap();
    let heads = writer.heads();
    let (plans, local) = write(&mut writer, entries, SAMPLE, per_change);

    let mut one = FactDocument::new(id);
    one.apply(&history).unwrap();
    let remote_one = cost(SAMPLE, || {
        for plan in &plans {
            assert_eq!(apply(&mut one, std::slice::from_ref(plan)), 1);
        }
    });
    let mut many = FactDocument::new(id);
    many.apply(&history).unwrap();
    let remote_many = cost(SAMPLE, || assert_eq!(apply(&mut many, &plans), plans.len()));
    let mut cold = FactDocument::load(id, &saved, &heads).unwrap();
    let remote_cold = cost(SAMPLE, || {
        for plan in &plans {
            assert_eq!(apply(&mut cold, std::slice::from_ref(plan)), 1);
        }
    });
    assert_eq!(one.heads(), cold.heads());
    let bytes = saved.len() as f64 / entries as f64;
    println!(
        "{entries:7} {per_change:11} {local:15.1} {remote_one:10.1} {remote_many:12.1} \
         {remote_cold:8.1} {bytes:14.1}"
    );
    let save = cost(entries, || drop(writer.save().unwrap()));
    let load = cost(entries, || {
        drop(FactDocument::load(id, &saved, &heads).unwrap());
    });
    println!(
        "        save {save:.2} µs/entry, load {load:.2} µs/entry, {:?}",
        one.figures()
    );
}

fn apply(document: &mut FactDocument, plans: &[ChangePlan]) -> usize {
    document.apply(plans).unwrap().applied.len()
}

/// Writes entries from eight chains in turn; answers the plans and the CPU time of each entry.
fn write(
    document: &mut FactDocument,
    from: u64,
    count: u64,
    per_change: u64,
) -> (Vec<ChangePlan>, f64) {
    let changes: Vec<(Actor, Vec<_>)> = (0..count / per_change)
        .map(|change| {
            let writer = change % WRITERS;
            let mut actor = Actor([9; 16]);
            actor.0[..6].copy_from_slice(&(1_700_000_000_000 + writer).to_be_bytes()[2..]);
            let mut chain = ChainId::default();
            chain.agent.0[0] = writer as u8;
            let entries = (0..per_change).map(|n| {
                let seq = from + change * per_change + n;
                (Key::record(&chain, seq), noise(seq))
            });
            (actor, entries.collect())
        })
        .collect();
    let mut appended = Vec::new();
    let local = cost(count, || {
        for (actor, entries) in &changes {
            let borrowed: Vec<(Key, &[u8])> = entries
                .iter()
                .map(|(key, value)| (key.clone(), value.as_slice()))
                .collect();
            appended.push(document.append(actor, &borrowed).unwrap());
        }
    });
    let plan =
        |((actor, entries), appended): ((Actor, _), unisono_document::Appended)| ChangePlan {
            actor,
            seq: appended.seq,
            dependencies: appended.dependencies,
            entries,
        };
    (changes.into_iter().zip(appended).map(plan).collect(), local)
}

/// Bytes that do not compress, like signatures and hashes.
fn noise(seed: u64) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    blake3::Hasher::new()
        .update(&seed.to_be_bytes())
        .finalize_xof()
        .fill(&mut value);
    value
}

/// CPU time of this thread in µs for each of `count`.
fn cost(count: u64, work: impl FnOnce()) -> f64 {
    let before = cpu_ns();
    work();
    (cpu_ns() - before) as f64 / 1000.0 / count as f64
}

/// From the kernel's accounting, which it brings up to date whenever a thread yields.
fn cpu_ns() -> u64 {
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}
