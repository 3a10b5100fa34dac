//! Telling the orchestra how punctual each action was and what actions used, beside the performance and never in
//! its way.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::{Actor, ClientError};
use super::{Action, Meter};
use crate::dto::{ActionBody, Digits, PlayedBody};
use crate::limits::{PERFORM_TELL_EVERY, PERFORM_TELL_WITHIN, PERFORM_UNTOLD_MAX};

/// Tells actions, as often as it may.
#[derive(Debug)]
pub(super) struct Tells {
    /// Each so many-th action; nothing: by the time between them.
    every: Option<u32>,
    actions: u64,
    last_ns: Option<u64>,
    meter: Option<Meter>,
    tell: Option<mpsc::Sender<ActionBody>>,
    task: JoinHandle<()>,
    told: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    told: u64,
    untold: u64,
    /// Whether anything could not be told.
    failed: bool,
    /// Why the first was not, until it has been said.
    why: Option<ClientError>,
}

impl Tells {
    pub(super) fn new(actor: &Actor, every: Option<u32>, meter: Option<Meter>) -> Self {
        let (tell, mut words) = mpsc::channel::<ActionBody>(PERFORM_UNTOLD_MAX);
        let (actor, told) = (actor.clone(), Arc::<Mutex<Counts>>::default());
        let counts = Arc::clone(&told);
        let task = tokio::spawn(async move {
            while let Some(word) = words.recv().await {
                let is_action = matches!(word, ActionBody::Played(_));
                let told = actor.act(word).await;
                locked(&counts).count(is_action, told.err());
            }
        });
        Self {
            every,
            actions: 0,
            last_ns: None,
            meter,
            tell: Some(tell),
            task,
            told,
        }
    }

    /// Tells an action if it is its turn, and what was used if that is due. What cannot wait any more is not told.
    pub(super) fn tell(&mut self, action: &Action) {
        let used = self
            .meter
            .as_mut()
            .and_then(|one| one.acted(action.target_ns));
        // The next word on it says how it goes on.
        let _ = used.map(|used| self.send(ActionBody::Used(used)));
        if !self.is_due(action.target_ns) {
            return;
        }
        let played = PlayedBody {
            cue: None,
            target_ns: Digits(action.target_ns),
            late_ns: action.late_ns,
            unsure_ns: action.unsure_ns,
        };
        if !self.send(ActionBody::Played(played)) {
            locked(&self.told).untold += 1;
        }
    }

    /// Says whether it can still wait to be told.
    fn send(&self, word: ActionBody) -> bool {
        let tell = self.tell.as_ref();
        tell.is_some_and(|tell| tell.try_send(word).is_ok())
    }

    fn is_due(&mut self, target_ns: u64) -> bool {
        self.actions += 1;
        let Some(every) = self.every else {
            let apart_ns = PERFORM_TELL_EVERY.as_nanos();
            let soon = |last_ns| u128::from(target_ns.abs_diff(last_ns)) < apart_ns;
            let due = !self.last_ns.is_some_and(soon);
            if due {
                self.last_ns = Some(target_ns);
            }
            return due;
        };
        every > 0 && (self.actions - 1).is_multiple_of(u64::from(every))
    }

    /// Why actions are not told, once.
    pub(super) fn why(&self) -> Option<ClientError> {
        locked(&self.told).why.take()
    }

    /// Waits for what is under way, but not for long. How many were told, and how many were to be and were
    /// not.
    pub(super) async fn end(&mut self) -> (u64, u64) {
        drop(self.tell.take());
        // What is not known to be told by then is not counted as told.
        if tokio::time::timeout(PERFORM_TELL_WITHIN, &mut self.task)
            .await
            .is_err()
        {
            self.task.abort();
        }
        let told = locked(&self.told);
        (told.told, told.untold)
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Counts {
    fn count(&mut self, is_action: bool, error: Option<ClientError>) {
        let Some(error) = error else {
            self.told += u64::from(is_action);
            return;
        };
        if !self.failed {
            self.why = Some(error);
        }
        self.failed = true;
        self.untold += u64::from(is_action);
    }
}

fn locked(told: &Mutex<Counts>) -> std::sync::MutexGuard<'_, Counts> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
