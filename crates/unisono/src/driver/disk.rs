//! The disk behind two threads of its own: one appends and reads bundles, appends first; the other
//! keeps caches, in a journal of their own, so that a large one never stands before a batch.
//!
//! Both journals stand behind locks, so that a node can be made anew from them; ordinarily only their
//! threads take them.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc;
use unisono_core::journal::{AppendError, Entry, Journal, Options, Proof};
use unisono_core::node::{BatchId, DiskFailure, Input, LoadId, Storage};
use unisono_model::{ClusterId, LogId, OrchestraId};

use super::caches::Caches;
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
    caches: Caches,
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
    stopping: bool,
}

#[derive(Debug)]
struct Append {
    batch: BatchId,
    entries: Vec<Entry>,
    proofs: Vec<Proof>,
}

/// Bundles of a log to be read.
#[derive(Debug)]
pub(crate) struct Read {
    /// Names the read.
    pub(crate) load: LoadId,
    /// Where.
    pub(crate) orchestra: OrchestraId,
    /// Which log.
    pub(crate) log: LogId,
    /// From this bundle on.
    pub(crate) from_seq: u64,
    /// About so many bytes.
    pub(crate) bytes_max: usize,
}

enum Job {
    Append(Append),
    Read(Read),
}

impl DiskThread {
    /// Opens the journal and the caches, and begins to serve them.
    pub(crate) fn start(
        directory: &Path,
        caches: &Path,
        cluster: ClusterId,
        no_sync: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> Result<(Self, mpsc::UnboundedReceiver<Done>), Failure> {
        let (done, results) = mpsc::unbounded_channel();
        let (flag, counts) = (Arc::clone(&no_sync), Arc::clone(&metrics));
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            journal: Mutex::default(),
            directory: directory.to_owned(),
            cluster,
            metrics,
            no_sync,
            done: done.clone(),
        });
        shared.open()?;
        let caches = Caches::start(caches, cluster, flag, counts, done)?;
        let worker = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("disk".to_owned());
        let thread = thread
            .spawn(move || worker.work())
            .map_err(|error| Failure::system("the disk's thread", &error))?;
        Ok((
            Self {
                shared,
                thread: Some(thread),
                caches,
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
        self.shared.open()?;
        self.caches.reopen(life)
    }

    /// Hands the journal to whoever makes a node from it.
    pub(crate) fn with_storage<T>(&self, make: impl FnOnce(&mut dyn Storage) -> T) -> T {
        let (mut journal, caches) = (self.shared.journal(), self.caches.journal());
        make(&mut Stored {
            journal: journal.as_mut(),
            caches: caches.as_ref(),
        })
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

    /// Reads bundles.
    pub(crate) fn read(&self, read: Read) {
        self.shared.queue().reads.push_back(read);
        self.shared.wake.notify_one();
    }

    /// Reads a cache.
    pub(crate) fn load(&self, load: LoadId, name: String) {
        self.caches.load(load, name);
    }

    /// Keeps a cache.
    pub(crate) fn keep(&self, name: String, bytes: Vec<u8>) {
        self.caches.keep(name, bytes);
    }

    /// Does what is waiting, and ends.
    pub(crate) fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.caches.end();
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
                %damage,
                "stored bytes are not what was written; peers are asked"
            );
        }
        *self.journal() = Some(journal);
        Ok(())
    }

    fn work(&self) {
        while let Some((life, job)) = self.next() {
            let input = match job {
                Job::Append(append) => self.append(append),
                Job::Read(read) => self.read(&read),
            };
            // The driver is gone only when nobody waits any more.
            let _ = self.done.send(Done {
                life,
                what: What::Input(Box::new(input)),
            });
        }
    }

    fn next(&self) -> Option<(u64, Job)> {
        let mut queue = self.queue();
        loop {
            let append = queue.appends.pop_front().map(Job::Append);
            let job = append.or_else(|| queue.reads.pop_front().map(Job::Read));
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

    fn append(&self, append: Append) -> Input {
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
        Input::Persisted { batch, result }
    }

    fn read(&self, read: &Read) -> Input {
        let mut journal = self.journal();
        let mut stored = Stored {
            journal: journal.as_mut(),
            caches: None,
        };
        let stretch = stored.read(read.orchestra, read.log, read.from_seq, read.bytes_max);
        Input::Loaded {
            load: read.load,
            stretch,
        }
    }
}
