//! The tempo for whoever performs: kept in the background, read without asking anybody.

use std::sync::{Arc, PoisonError, RwLock};

use unisono_core::ensemble::TempoMap;

use super::super::kept::Asks;
use super::super::{Client, ClientError};
use super::Every;
use super::part::Turn;
use crate::limits::PERFORM_TEMPO_EVERY;

/// The tempo map that stood when it was asked for last.
#[derive(Debug)]
pub(super) struct KeptTempo {
    map: Arc<RwLock<TempoMap>>,
    _asks: Asks,
}

impl KeptTempo {
    pub(super) async fn new(client: &Client, orchestra: &str) -> Result<Self, ClientError> {
        let map = Arc::new(RwLock::new(ask(client, orchestra).await?));
        let (client, orchestra, kept) = (client.clone(), orchestra.to_owned(), Arc::clone(&map));
        let asks = tokio::spawn(async move {
            loop {
                tokio::time::sleep(PERFORM_TEMPO_EVERY).await;
                // Whoever hears nothing plays on: the map says when.
                if let Ok(map) = ask(&client, &orchestra).await {
                    *kept.write().unwrap_or_else(PoisonError::into_inner) = map;
                }
            }
        });
        Ok(Self {
            map,
            _asks: Asks(asks),
        })
    }

    fn read<T>(&self, what: impl FnOnce(&TempoMap) -> T) -> T {
        what(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of the beat that is under way at a time (ns since the Unix epoch).
    pub(super) fn reached(&self, at_ns: u64) -> i64 {
        self.read(|map| map.position(at_ns).beat)
    }

    /// A beat as the tempo stands now; nothing outside the time that can be told.
    pub(super) fn turn(&self, beat: i64, every: Every) -> Option<Turn> {
        self.read(|map| Turn::of(map, beat, every.beats(map)))
    }

    /// The first beat of those that are played after one; nothing where numbers end.
    pub(super) fn after(&self, beat: i64, every: Every) -> Option<i64> {
        let every = self.read(|map| i64::from(every.beats(map)));
        beat.div_euclid(every).checked_add(1)?.checked_mul(every)
    }

    /// How many beats of those that are played come from one to the one that is under way at a time, with both;
    /// and the last of them. The first one at the least.
    pub(super) fn passed(&self, beat: i64, every: Every, now_ns: u64) -> (u64, i64) {
        let every = self.read(|map| i64::from(every.beats(map)));
        let reached = self.reached(now_ns).max(beat);
        let more = reached.saturating_sub(beat).div_euclid(every);
        (1 + more.cast_unsigned(), beat + more * every)
    }
}

async fn ask(client: &Client, orchestra: &str) -> Result<TempoMap, ClientError> {
    let shown = client.tempo(orchestra).await?.body;
    TempoMap::new(shown.tempo.into()).map_err(|error| ClientError::Unreadable(error.to_string()))
}
