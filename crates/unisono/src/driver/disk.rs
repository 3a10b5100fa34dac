//! The disk behind a thread of its own: appends before reads, reads before caches.
//!
//! The journal stands behind a lock, so that a node can be made anew from it; ordinarily only this
//! thread takes it.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;
use unisono_core::journal::{
    AppendError, BlobError, DiskErrorKind, Entry, Journal, Options, Proof,
};
use unisono_core::node::{BatchId, DiskFailure, Input, LoadId, Storage};
use unisono_model::{ClusterId, LogId, OrchestraId};

use super::metrics::Metrics;
use super::stored::{NodeDisk, Stored};
use crate::failure::Failure;
use crate::home::drawn;

/// What the disk has done, for the life of the node that asked for it.
#[derive(Debug)]
pub(crate) struct Done {
    /// Which life asked.
    pub(crate) life: u64,
    /// What came of it.
    pub(crate) what: What,
}

/// What came of one request.
#[derive(Debug)]
pub(crate) enum What {
    /// An input for the node.
    Input(Box<Input>),
    /// A cache could not be kept.
    CacheFailed(DiskFailure),
}

/// The driver's end.
#[derive(Debug)]
pub(crate) struct DiskThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    journal: Mutex<Option<Journal<NodeDisk>>>,
    directory: PathBuf,
    cluster: ClusterId,
    metrics: Arc<Metrics>,
    no_sync: Arc<AtomicBool>,
    done: mpsc::UnboundedSender<Done>,
}

#[derive(Debug, Default)]
struct Queue {
    life: u64,
    appends: VecDeque<Append>,
    reads: VecDeque<Read>,
    caches: VecDeque<(String, Vec<u8>)>,
    stopping: bool,
}

#[derive(Debug)]
struct Append {
    batch: BatchId,
    entries: Vec<Entry>,
    proofs: Vec<Proof>,
}

/// Something to be read.
#[derive(Debug)]
pub(crate) enum Read {
    /// Bundles of a log.
    Entries {
        /// Names the read.
        load: LoadId,
        /// Where.
        orchestra: OrchestraId,
        /// Which log.
        log: LogId,
        /// From this bundle on.
        from_seq: u64,
        /// About so many bytes.
        bytes_max: usize,
    },
    /// A cache.
    Cache {
        /// Names the read.
        load: LoadId,
        /// The cache's name.
        name: String,
    },
}

enum Job {
    Append(Append),
    Read(Read),
    Cache(String, Vec<u8>),
}

impl DiskThread {
    /// Opens the journal in `directory` and begins to serve it.
    pub(crate) fn start(
        directory: &Path,
        cluster: ClusterId,
        no_sync: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Done>), Failure> {
        let (done, results) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            journal: Mutex::default(),
            directory: directory.to_owned(),
            cluster,
            metrics,
            no_sync,
            done,
        });
        shared.open()?;
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("disk".to_owned());
        let thread = thread
            .spawn(move || worker.work())
            .map_err(|error| Failure::system("the disk's thread", &error))?;
        Ok((
            Self {
                shared,
                thread: Some(thread),
            },
            results,
        ))
    }

    /// Drops what is waiting for an earlier life, and opens the journal anew.
    pub(crate) fn reopen(&self, life: u64) -> Result<(), Failure> {
        {
            let mut queue = self.shared.queue();
            *queue = Queue {
                life,
                ..Queue::default()
            };
        }
        // The lock of the directory goes with the journal and is taken again.
        drop(self.shared.journal().take());
        self.shared.open()
    }

    /// Hands the journal to whoever makes a node from it.
    pub(crate) fn with_storage<T>(&self, make: impl FnOnce(&mut dyn Storage) -> T) -> T {
        let journal = self.shared.journal();
        make(&mut Stored(journal.as_ref()))
    }

    /// Appends a batch with one sync.
    pub(crate) fn append(&self, batch: BatchId, entries: Vec<Entry>, proofs: Vec<Proof>) {
        self.shared.queue().appends.push_back(Append {
            batch,
            entries,
            proofs,
        });
        self.shared.wake.notify_one();
    }

    /// Reads something.
    pub(crate) fn read(&self, read: Read) {
        self.shared.queue().reads.push_back(read);
        self.shared.wake.notify_one();
    }

    /// Keeps a cache, when there is nothing better to do. A newer one of the same name replaces one
    /// that still waits.
    pub(crate) fn keep(&self, name: String, bytes: Vec<u8>) {
        let mut queue = self.shared.queue();
        match queue
            .caches
            .iter_mut()
            .find(|(waiting, _)| *waiting == name)
        {
            Some((_, waiting)) => *waiting = bytes,
            None => queue.caches.push_back((name, bytes)),
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Does what is waiting, and ends.
    pub(crate) fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.queue().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the disk's thread ended by a panic");
        }
        drop(self.shared.journal().take());
    }
}

impl Drop for DiskThread {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A panic while the lock was held leaves a queue that is still a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Option<Journal<NodeDisk>>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<(), Failure> {
        let (no_sync, metrics) = (Arc::clone(&self.no_sync), Arc::clone(&self.metrics));
        let disk = NodeDisk::open(&self.directory, no_sync, metrics)?;
        let journal = Journal::open(disk, Options::new(self.cluster, drawn()?))?;
        if let Some(torn) = journal.torn_tail() {
            tracing::info!(
                ?torn,
                "an interrupted write was dropped; it was never acknowledged"
            );
        }
        for damage in journal.damage() {
            tracing::warn!(
                ?damage,
                "stored bytes are not what was written; peers are asked"
            );
        }
        *self.journal() = Some(journal);
        Ok(())
    }

    fn work(&self) {
        while let Some((life, job)) = self.next() {
            let what = match job {
                Job::Append(append) => Some(self.append(append)),
                Job::Read(read) => Some(What::Input(Box::new(self.read(read)))),
                Job::Cache(name, bytes) => self.keep(&name, &bytes),
            };
            if let Some(what) = what {
                // The driver is gone only when nobody waits any more.
                let _ = self.done.send(Done { life, what });
            }
        }
    }

    fn next(&self) -> Option<(u64, Job)> {
        let mut queue = self.queue();
        loop {
            let append = queue.appends.pop_front().map(Job::Append);
            let job = append
                .or_else(|| queue.reads.pop_front().map(Job::Read))
                .or_else(|| {
                    queue
                        .caches
                        .pop_front()
                        .map(|(name, bytes)| Job::Cache(name, bytes))
                });
            if let Some(job) = job {
                return Some((queue.life, job));
            }
            if queue.stopping {
                return None;
            }
            queue = self
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn append(&self, append: Append) -> What {
        let Append {
            batch,
            entries,
            proofs,
        } = append;
        let started = Instant::now();
        let result = match self.journal().as_mut() {
            Some(journal) => journal
                .append_batch(&entries, &proofs)
                .map_err(|error| match error {
                    AppendError::Full(_) => DiskFailure::Full,
                    AppendError::Io(_)
                    | AppendError::TooLarge { .. }
                    | AppendError::SyncFailed(_)
                    | AppendError::Poisoned => {
                        tracing::error!(%error, "a batch is not on disk");
                        DiskFailure::Broken
                    }
                }),
            None => Err(DiskFailure::Broken),
        };
        let bytes: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
        self.metrics.appended(bytes, started.elapsed());
        What::Input(Box::new(Input::Persisted { batch, result }))
    }

    fn read(&self, read: Read) -> Input {
        let journal = self.journal();
        let mut storage = Stored(journal.as_ref());
        match read {
            Read::Entries {
                load,
                orchestra,
                log,
                from_seq,
                bytes_max,
            } => {
                let entries = storage.read(orchestra, log, from_seq, bytes_max);
                Input::Loaded { load, entries }
            }
            Read::Cache { load, name } => Input::BlobLoaded {
                load,
                bytes: storage.blob(&name),
            },
        }
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Option<What> {
        let kept = self.journal().as_mut()?.put_blob(name, bytes);
        let error = kept.err()?;
        tracing::warn!(%error, name, "a cache was not kept");
        let full = matches!(&error, BlobError::Disk(error) if error.kind == DiskErrorKind::Full);
        full.then_some(What::CacheFailed(DiskFailure::Full))
    }
}
