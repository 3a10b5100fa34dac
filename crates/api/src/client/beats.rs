//! The beat for programs: what time it is in the cluster, and beats that are told before they come.

use std::time::{Duration, Instant};

use super::calls::{path_of, with_query};
use super::streams::{Lines, sse_event};
use super::{Client, ClientError};
use crate::dto;
use crate::limits::HEARTBEAT_EVERY;

/// What time it was in the cluster, by this program's steady clock.
#[derive(Clone, Copy, Debug)]
pub struct CommonTime {
    read: Instant,
    estimate_ns: u64,
    rate_ppb: f64,
    /// By how much it may be off, ns: three sigma of the node's clock, and half the way there and
    /// back.
    pub unsure_ns: u64,
}

/// Beats of an orchestra, each told before it comes.
#[derive(Debug)]
pub struct Beats {
    client: Client,
    path: String,
    lines: Option<Lines>,
}

impl CommonTime {
    /// What time it is now (ns since the Unix epoch).
    pub fn now_ns(&self) -> u64 {
        self.at_ns(Instant::now())
    }

    /// What time it is at an instant (ns since the Unix epoch).
    pub fn at_ns(&self, instant: Instant) -> u64 {
        let rate = 1.0 + self.rate_ppb / 1e9;
        let (elapsed, sign) = match instant.checked_duration_since(self.read) {
            Some(elapsed) => (elapsed, 1),
            None => (self.read - instant, -1),
        };
        let elapsed_ns = (elapsed.as_nanos() as f64 * rate).round() as i64;
        self.estimate_ns.saturating_add_signed(sign * elapsed_ns)
    }

    /// When it is so late in the cluster, by this program's clock; at once where it was already.
    pub fn instant(&self, at_ns: u64) -> Instant {
        let now = Instant::now();
        let left_ns = at_ns.saturating_sub(self.at_ns(now)) as f64;
        now + Duration::from_nanos((left_ns / (1.0 + self.rate_ppb / 1e9)) as u64)
    }
}

impl Client {
    /// What time it is in the cluster, for counting on from here: good for some seconds.
    ///
    /// # Errors
    /// What every request may fail with; [`ClientError::Usage`] where the node knows no time yet.
    pub async fn common_time(&self) -> Result<CommonTime, ClientError> {
        let sent = Instant::now();
        let clock = self.clock().await?.body;
        let round_trip = sent.elapsed();
        let estimate_ns = clock
            .estimate()
            .ok_or_else(|| ClientError::Usage("the node does not know the time yet".to_owned()))?;
        let half_ns = round_trip.as_nanos() as f64 / 2.0;
        let unsure_ns = clock.three_sigma_ns.unwrap_or_default() + half_ns;
        Ok(CommonTime {
            read: sent + round_trip / 2,
            estimate_ns,
            rate_ppb: clock.rate_ppb,
            unsure_ns: unsure_ns.round() as u64,
        })
    }

    /// The tempo map that stands.
    ///
    /// # Errors
    /// What every read may fail with.
    pub async fn tempo(
        &self,
        orchestra: &str,
    ) -> Result<super::Reply<dto::TempoShown>, ClientError> {
        self.read(orchestra, "tempo", &[]).await
    }

    /// Who performs now, and by how much each corrects its errors.
    ///
    /// # Errors
    /// What every read may fail with.
    pub async fn performing(
        &self,
        orchestra: &str,
    ) -> Result<super::Reply<dto::Performers>, ClientError> {
        self.read(orchestra, "ensemble/performers", &[]).await
    }

    /// Beats from now on, of which the number is a multiple of `every`, each told so long before it
    /// comes (ms).
    pub fn beats(&self, orchestra: &str, every: u16, ahead_ms: u64) -> Beats {
        let (every, ahead_ms) = (every.to_string(), ahead_ms.to_string());
        let query = [("every", every.as_str()), ("ahead_ms", ahead_ms.as_str())];
        Beats {
            client: self.clone(),
            path: with_query(&path_of(orchestra, "beats"), &query),
            lines: None,
        }
    }

    /// Calls on every beat of which the number is a multiple of `every`, until it is told `false`.
    /// Beats that it is too busy for are left out. It waits as [`ClusterClock::until`](super::ClusterClock::until)
    /// does: whoever needs more arms its action for `at_ns` with [`ClusterClock::at`](super::ClusterClock::at).
    /// A change of tempo that is published less than a quarter of a second before a beat comes too late for it.
    ///
    /// # Errors
    /// The stream's, when the node has gone.
    pub async fn on_beat(
        &self,
        orchestra: &str,
        every: u16,
        mut play: impl FnMut(&dto::Beat) -> bool,
    ) -> Result<(), ClientError> {
        let mut beats = self.beats(orchestra, every, ON_BEAT_AHEAD_MS);
        let clock = self.cluster_clock().await?;
        let mut played = None;
        loop {
            let beat = beats.next().await?;
            // After a change of tempo a beat that was told already is told again.
            if played.is_some_and(|last| beat.beat <= last) {
                continue;
            }
            played = Some(beat.beat);
            // Whoever plays on plays by a clock that is not sure, too.
            clock.arm(beat.at_ns.0, |_| ())?.await?;
            let late = clock.now().estimate_ns.saturating_sub(beat.at_ns.0);
            if late < LATE_NS_MAX && !play(&beat) {
                return Ok(());
            }
        }
    }
}

/// How long before it comes a beat is told to whoever only waits for it, ms.
const ON_BEAT_AHEAD_MS: u64 = 250;
/// A beat that is so long past is left out, ns.
const LATE_NS_MAX: u64 = 50_000_000;

impl Beats {
    /// The next beat, told before it comes.
    ///
    /// # Errors
    /// The connection's, when the node has gone; the next call opens another.
    pub async fn next(&mut self) -> Result<dto::Beat, ClientError> {
        loop {
            if let Some(beat) = self.told().await? {
                return Ok(beat);
            }
        }
    }

    async fn told(&mut self) -> Result<Option<dto::Beat>, ClientError> {
        if self.lines.is_none() {
            let node = self.client.nearest();
            let body = self.client.stream(&node, self.path.clone(), None).await?;
            self.lines = Some(Lines::new(body, 3 * HEARTBEAT_EVERY));
        }
        let Some(lines) = &mut self.lines else {
            return Ok(None);
        };
        let event = sse_event(lines).await;
        let ended = || ClientError::Unreachable("the node ended the stream".to_owned());
        let event = event.and_then(|event| event.ok_or_else(ended));
        let event = event.inspect_err(|_| self.lines = None)?;
        if event.kind != "beat" {
            return Ok(None);
        }
        let beat = serde_json::from_str(&event.data);
        beat.map(Some)
            .map_err(|error| ClientError::Unreadable(error.to_string()))
    }
}
