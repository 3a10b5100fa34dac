//! Caches, kept by a thread of their own in a journal of their own: a large one never stands before
//! a batch, and all of them may be lost.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use unisono_core::journal::{BlobError, DiskErrorKind, Journal, Options};
use unisono_core::node::{DiskFailure, Input, LoadId};
use unisono_model::ClusterId;

use super::disk::{Done, What};
use super::metrics::Metrics;
use super::stored::NodeDisk;
use crate::failure::Failure;
use crate::home::drawn;

/// The driver's end.
#[derive(Debug)]
pub(super) struct Caches {
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
    loads: VecDeque<(LoadId, String)>,
    keeps: VecDeque<(String, Vec<u8>)>,
    stopping: bool,
}

enum Job {
    Load(LoadId, String),
    /// Waits no more, and is not on disk yet.
    Waiting(LoadId, Vec<u8>),
    Keep(String, Vec<u8>),
}

impl Caches {
    /// Opens the caches in `directory` and begins to serve them.
    pub(super) fn start(
        directory: &Path,
        cluster: ClusterId,
        no_sync: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
        done: mpsc::UnboundedSender<Done>,
    ) -> Result<Self, Failure> {
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
        let thread = std::thread::Builder::new().name("caches".to_owned());
        let thread = thread
            .spawn(move || worker.work())
            .map_err(|error| Failure::system("the caches' thread", &error))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Drops what is waiting for an earlier life, and opens the caches anew.
    pub(super) fn reopen(&self, life: u64) -> Result<(), Failure> {
        *self.shared.queue() = Queue {
            life,
            ..Queue::default()
        };
        // The lock of the directory goes with the journal and is taken again.
        drop(self.shared.journal().take());
        self.shared.open()
    }

    /// The caches, for whoever makes a node from them.
    pub(super) fn journal(&self) -> MutexGuard<'_, Option<Journal<NodeDisk>>> {
        self.shared.journal()
    }

    /// Reads a cache.
    pub(super) fn load(&self, load: LoadId, name: String) {
        self.shared.queue().loads.push_back((load, name));
        self.shared.wake.notify_one();
    }

    /// Keeps a cache. A newer one of the same name replaces one that still waits.
    pub(super) fn keep(&self, name: String, bytes: Vec<u8>) {
        let mut queue = self.shared.queue();
        match queue.keeps.iter_mut().find(|(waiting, _)| *waiting == name) {
            Some((_, waiting)) => *waiting = bytes,
            None => queue.keeps.push_back((name, bytes)),
        }
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Does what is waiting, and ends.
    pub(super) fn end(&mut self) {
        self.shared.queue().stopping = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the caches' thread ended by a panic");
        }
        drop(self.shared.journal().take());
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
        *self.journal() = Some(Journal::open(disk, Options::new(self.cluster, drawn()?))?);
        Ok(())
    }

    fn work(&self) {
        while let Some((life, job)) = self.next() {
            let what = match job {
                Job::Waiting(load, bytes) => Some(loaded(load, Some(bytes))),
                Job::Load(load, name) => {
                    let journal = self.journal();
                    let read = journal
                        .as_ref()
                        .and_then(|journal| journal.get_blob(&name).ok());
                    Some(loaded(load, read.flatten()))
                }
                Job::Keep(name, bytes) => self.write(&name, &bytes),
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
            if let Some((load, name)) = queue.loads.pop_front() {
                let waiting = queue.keeps.iter().find(|(waiting, _)| *waiting == name);
                let job = match waiting {
                    Some((_, bytes)) => Job::Waiting(load, bytes.clone()),
                    None => Job::Load(load, name),
                };
                return Some((queue.life, job));
            }
            if let Some((name, bytes)) = queue.keeps.pop_front() {
                return Some((queue.life, Job::Keep(name, bytes)));
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

    fn write(&self, name: &str, bytes: &[u8]) -> Option<What> {
        let error = self.journal().as_mut()?.put_blob(name, bytes).err()?;
        tracing::warn!(%error, name, "a cache was not kept");
        let full = matches!(&error, BlobError::Disk(error) if error.kind == DiskErrorKind::Full);
        full.then_some(What::CacheFailed(DiskFailure::Full))
    }
}

fn loaded(load: LoadId, bytes: Option<Vec<u8>>) -> What {
    What::Input(Box::new(Input::BlobLoaded { load, bytes }))
}
