//! The frames that wait for one peer in one class: bounded in number and bytes.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::Notify, time::Instant};

use crate::limits;

/// A bounded queue with many writers; readers take turns.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Queued>,
    bytes: usize,
}

/// A frame and since when it waits.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) bytes: Vec<u8>,
    pub(crate) since: Instant,
}

/// The queue has no room for the frame.
#[derive(Debug)]
pub(crate) struct Full;

impl Queue {
    pub(crate) fn push(&self, bytes: Vec<u8>) -> Result<(), Full> {
        let mut waiting = self.lock();
        let full = waiting.frames.len() >= limits::QUEUE_FRAMES_MAX
            || waiting.bytes + bytes.len() > limits::QUEUE_BYTES_MAX;
        if full {
            return Err(Full);
        }
        waiting.bytes += bytes.len();
        waiting.frames.push_back(Queued {
            bytes,
            since: Instant::now(),
        });
        drop(waiting);
        self.ready.notify_one();
        Ok(())
    }

    /// The oldest frame; waits for one. Cancel-safe: a frame is taken only when it is returned.
    pub(crate) async fn pop(&self) -> Queued {
        loop {
            if let Some(frame) = self.take() {
                return frame;
            }
            self.ready.notified().await;
        }
    }

    /// Drops everything; how many frames that were.
    pub(crate) fn clear(&self) -> usize {
        let mut waiting = self.lock();
        waiting.bytes = 0;
        let frames = std::mem::take(&mut waiting.frames);
        drop(waiting);
        frames.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().frames.is_empty()
    }

    /// How many frames and bytes wait.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.frames.len(), waiting.bytes)
    }

    fn take(&self) -> Option<Queued> {
        let mut waiting = self.lock();
        let frame = waiting.frames.pop_front()?;
        waiting.bytes -= frame.bytes.len();
        Some(frame)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
