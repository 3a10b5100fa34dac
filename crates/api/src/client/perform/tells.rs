//! Telling the orchestra how punctual each action was, what actions used and by how much they are corrected, beside
//! the performance and never in its way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use unisono_core::ensemble::{Gains, Rule};
use unisono_model::limits::GAIN_PPM_MAX;

use super::super::{Actor, ClientError};
use super::{Action, Meter, Performance};
use crate::dto::{ActionBody, CorrectionWord, Digits, PerformsBody, PlayedBody};
use crate::limits::{
    PERFORM_GAINS_AGAIN, PERFORM_GAINS_EVERY, PERFORM_HOLDS, PERFORM_TELL_EVERY,
    PERFORM_TELL_WITHIN, PERFORM_UNTOLD_MAX,
};

/// Tells actions, as often as it may.
#[derive(Debug)]
pub(super) struct Tells {
    /// Each so many-th action; nothing: by the time between them.
    every: Option<u32>,
    actions: u64,
    last_ns: Option<u64>,
    meter: Option<Meter>,
    /// By which rule errors are corrected.
    rule: CorrectionWord,
    /// The gains that were told last, and when.
    gains: Option<(Gains, Instant)>,
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
    pub(super) fn new(actor: &Actor, performance: &Performance, meter: Option<Meter>) -> Self {
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
        let rule = performance.rule.filter(|_| !performance.by_release);
        Self {
            every: performance.tell_every,
            actions: 0,
            last_ns: None,
            meter,
            rule: match rule {
                None => CorrectionWord::None,
                Some(Rule::Seed) => CorrectionWord::Seed,
                Some(Rule::Best) => CorrectionWord::Best,
                Some(Rule::Kalman) => CorrectionWord::Kalman,
            },
            gains: None,
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

    /// Tells by how much it corrects: as it begins, when that has moved, and again before it is over. What cannot
    /// wait any more is told the next time.
    pub(super) fn performs(&mut self, gains: Option<Gains>) {
        let gains = gains.unwrap_or(NO_GAINS);
        let now = Instant::now();
        if !is_news(gains, now, self.gains) {
            return;
        }
        if self.send(self.word(gains, PERFORM_HOLDS)) {
            self.gains = Some((gains, now));
        }
    }

    /// That it performs for so long.
    fn word(&self, gains: Gains, holds: Duration) -> ActionBody {
        let most = f64::from(GAIN_PPM_MAX);
        let ppm = |gain: f64| (gain * 1e6).round().clamp(0.0, most) as u32;
        ActionBody::Performs(PerformsBody {
            rule: self.rule,
            phase_ppm: ppm(gains.phase),
            period_ppm: ppm(gains.period),
            holds_ms: holds.as_millis() as u32,
        })
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

    /// Says that it performs no more, and waits for what is under way, but not for long. How many actions were
    /// told, and how many were to be and were not.
    pub(super) async fn end(&mut self) -> (u64, u64) {
        let over = self.word(NO_GAINS, Duration::ZERO);
        let tell = self.tell.take().filter(|_| self.gains.is_some());
        let task = &mut self.task;
        let ends = async move {
            if let Some(tell) = tell {
                // Where nobody takes it, the word before is over soon.
                let _ = tell.send(over).await;
            }
            task.await
        };
        // What is not known to be told by then is not counted as told.
        let ended = tokio::time::timeout(PERFORM_TELL_WITHIN, ends).await;
        if ended.is_err() {
            self.task.abort();
        }
        let told = locked(&self.told);
        (told.told, told.untold)
    }
}

/// Those of whoever corrects nothing.
const NO_GAINS: Gains = Gains {
    phase: 0.0,
    period: 0.0,
};

/// Whether gains are to be told, with what was told last and when.
fn is_news(gains: Gains, now: Instant, told: Option<(Gains, Instant)>) -> bool {
    let Some((before, at)) = told else {
        return true;
    };
    let since = now.saturating_duration_since(at);
    since >= PERFORM_GAINS_AGAIN || (since >= PERFORM_GAINS_EVERY && gains.have_moved(before))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gains_are_told_when_they_have_moved_and_again_before_what_was_told_is_over() {
        let begun = Instant::now();
        let half = Gains {
            phase: 0.5,
            period: 0.0,
        };
        let more = Gains { phase: 0.6, ..half };
        assert!(is_news(half, begun, None));
        let told = Some((half, begun));
        let early = begun + PERFORM_GAINS_EVERY / 2;
        let soon = begun + PERFORM_GAINS_EVERY;
        assert!(!is_news(half, soon, told), "nothing has moved");
        assert!(is_news(more, soon, told));
        assert!(!is_news(more, early, told), "not more often than that");
        assert!(is_news(half, begun + PERFORM_GAINS_AGAIN, told));
        // One word that is lost ends nobody.
        assert!(PERFORM_HOLDS > 2 * PERFORM_GAINS_AGAIN + PERFORM_TELL_WITHIN);
    }
}
