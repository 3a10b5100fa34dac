//! One question for the time and its answer; which answers were asked for.

use alloc::collections::VecDeque;

use thiserror::Error;

use super::limits;

/// A question that went out and came back: four readings of two clocks. It can only be made from
/// readings that are possible.
#[allow(clippy::struct_field_names, reason = "units stand last")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Probe {
    sent_local_ns: i64,
    received_remote_ns: i64,
    sent_remote_ns: i64,
    received_local_ns: i64,
    /// By how much the far clock's readings may be off the time that they tell of, ns.
    unsure_ns: i64,
}

/// Why four readings are no probe. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TimesError {
    /// A reading is zero or lies beyond the year 2100: a clock was not set, or a number forged.
    #[error("a reading of {reading_ns} ns is no time of day or of a running machine")]
    NoTime {
        /// The reading.
        reading_ns: u64,
    },
    /// An answer arrived before its question left, or left before the question arrived.
    #[error("the answer came {by_ns} ns before its question")]
    Backwards {
        /// By how much.
        by_ns: i64,
    },
    /// The answer took longer to give than the whole trip lasted.
    #[error("the path would have taken {path_ns} ns, less than nothing")]
    NoPath {
        /// What would remain for the path.
        path_ns: i64,
    },
    /// The path or the answer took so long that the probe says nothing.
    #[error("{took_ns} ns is too long for a probe")]
    TooLong {
        /// How long it took.
        took_ns: i64,
    },
}

impl Probe {
    /// Four readings, ns: when it left here, when it arrived there, when the answer left there, when
    /// it arrived here. The outer two are this machine's steady clock, the inner two the leader's
    /// cluster time.
    ///
    /// # Errors
    /// [`TimesError`] where the readings are impossible.
    pub fn new(
        sent_local_ns: u64,
        received_remote_ns: u64,
        sent_remote_ns: u64,
        received_local_ns: u64,
    ) -> Result<Self, TimesError> {
        let probe = Self {
            sent_local_ns: reading(sent_local_ns)?,
            received_remote_ns: reading(received_remote_ns)?,
            sent_remote_ns: reading(sent_remote_ns)?,
            received_local_ns: reading(received_local_ns)?,
            unsure_ns: 0,
        };
        let trip_ns = probe.received_local_ns - probe.sent_local_ns;
        let hold_ns = probe.sent_remote_ns - probe.received_remote_ns;
        if trip_ns.min(hold_ns) < 0 {
            let by_ns = -trip_ns.min(hold_ns);
            return Err(TimesError::Backwards { by_ns });
        }
        if trip_ns > limits::ROUND_TRIP_NS_MAX || hold_ns > limits::HOLD_NS_MAX {
            let took_ns = trip_ns.max(hold_ns);
            return Err(TimesError::TooLong { took_ns });
        }
        if trip_ns <= hold_ns {
            let path_ns = trip_ns - hold_ns;
            return Err(TimesError::NoPath { path_ns });
        }
        Ok(probe)
    }

    /// The same of a clock that tells another one's time by its best guess, within so much (ns) for
    /// certain. Such a guess moves, and later ones are surer: what this probe proves stays as wide as
    /// it was when it was made.
    pub fn unsure_by(self, unsure_ns: u64) -> Self {
        let unsure_ns = i64::try_from(unsure_ns).unwrap_or(i64::MAX);
        Self {
            unsure_ns: unsure_ns.min(i64::MAX / 4),
            ..self
        }
    }

    /// When the answer arrived, by this machine's clock (ns).
    pub fn received_local_ns(&self) -> u64 {
        self.received_local_ns.unsigned_abs()
    }

    /// How long it was under way, without the leader's thinking (ns).
    pub fn round_trip_ns(&self) -> i64 {
        self.received_local_ns
            - self.sent_local_ns
            - (self.sent_remote_ns - self.received_remote_ns)
    }

    /// Cluster time minus local time if the ways there and back were equally long (ns): the offset of
    /// RFC 5905, section 8.
    pub fn offset_ns(&self) -> i64 {
        let (most_ns, least_ns) = (self.offset_ns_max(), self.offset_ns_min());
        least_ns + (most_ns - least_ns) / 2
    }

    pub(super) fn unsure_ns(&self) -> i64 {
        self.unsure_ns
    }

    pub(super) fn sent_ns(&self) -> i64 {
        self.sent_local_ns
    }

    pub(super) fn received_ns(&self) -> i64 {
        self.received_local_ns
    }

    /// Cluster time minus local time was at the most this when the question left: it arrived later.
    pub(super) fn offset_ns_max(&self) -> i64 {
        self.received_remote_ns - self.sent_local_ns
    }

    /// Cluster time minus local time was at least this when the answer arrived: it left earlier.
    pub(super) fn offset_ns_min(&self) -> i64 {
        self.sent_remote_ns - self.received_local_ns
    }
}

fn reading(reading_ns: u64) -> Result<i64, TimesError> {
    if reading_ns == 0 || reading_ns > limits::TIME_NS_MAX {
        return Err(TimesError::NoTime { reading_ns });
    }
    i64::try_from(reading_ns).map_err(|_| TimesError::NoTime { reading_ns })
}

/// Which questions are under way. An answer is taken once, and only to a question that was asked:
/// what is forged, replayed or late beyond the limit finds no question here.
#[derive(Clone, Debug, Default)]
pub struct ProbeLedger {
    pending: VecDeque<(u64, u64)>,
}

/// Why an answer is not taken. Its question, if there is one, goes on waiting.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum LedgerError {
    /// Nobody waits for this answer: forged, answered before, or given up.
    #[error("no question {nonce:x} is under way")]
    NotAsked {
        /// The answer's number.
        nonce: u64,
    },
    /// The answer's readings are impossible.
    #[error(transparent)]
    Times(#[from] TimesError),
}

impl ProbeLedger {
    /// Notes a question. `nonce` is drawn by the caller, so that nobody who does not see the question
    /// can answer it.
    pub fn asked(&mut self, nonce: u64, sent_local_ns: u64) {
        self.pending.retain(|(known, _)| *known != nonce);
        if self.pending.len() >= limits::PROBES_PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back((nonce, sent_local_ns));
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// [`LedgerError`] where nobody asked, or the readings are impossible.
    pub fn answered(
        &mut self,
        nonce: u64,
        received_remote_ns: u64,
        sent_remote_ns: u64,
        received_local_ns: u64,
    ) -> Result<Probe, LedgerError> {
        let place = self.pending.iter().position(|(known, _)| *known == nonce);
        let place = place.ok_or(LedgerError::NotAsked { nonce })?;
        let sent_local_ns = self.pending[place].1;
        let probe = Probe::new(
            sent_local_ns,
            received_remote_ns,
            sent_remote_ns,
            received_local_ns,
        )?;
        self.pending.remove(place);
        Ok(probe)
    }
}
