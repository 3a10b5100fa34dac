//! Beats as server-sent events: each is told before it comes, with the time at which it does, so
//! that no network stands between a beat and who plays it.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use tokio::sync::{OwnedSemaphorePermit, watch};
use unisono_core::ensemble::{Bounds, TempoMap};
use unisono_core::node::Question;
use unisono_core::orchestra::view::View;
use unisono_model::{Digest, OrchestraId};

use super::edge::{Edge, Told};
use super::following::Following;
use super::refusal::Refusal;
use super::terms::{Names, ReadTerms, Terms};
use crate::dto;
use crate::limits::{BEAT_AHEAD_MS, BEAT_AHEAD_MS_MAX, TEMPO_LOOK_EVERY, WAIT_MS};

/// The beats of an orchestra from now on, each told `ahead_ms` before it comes. Whoever reads too
/// slowly misses beats and never gets old ones. When the tempo changes, beats that were told
/// already are told again under the new map.
#[utoipa::path(get, path = "/v1/orchestras/{o}/beats", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("every" = Option<u16>, Query, description = "Only beats whose number is a multiple of this"),
        ("ahead_ms" = Option<u64>, Query, description = "How long before it comes (ms)")),
    responses((status = 200, content_type = "text/event-stream", body = dto::Beat)))]
pub(crate) async fn beats(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    let (beating, told) = Beating::start(edge, &o, terms).await?;
    Ok(beating.into_response(&told))
}

struct Beating {
    edge: Edge,
    orchestra: OrchestraId,
    map: TempoMap,
    /// The record that set the map.
    record: Option<Digest>,
    /// How agents may vary on purpose, if they may.
    bounds: Option<Bounds>,
    every: u16,
    ahead_ns: u64,
    /// The last beat that was told came at this time.
    told_ns: u64,
    stop: watch::Receiver<bool>,
    _room: OwnedSemaphorePermit,
}

impl Beating {
    async fn start(edge: Edge, o: &str, mut terms: Terms) -> Result<(Self, Told), Refusal> {
        let room = edge.stream_room()?;
        let orchestra = edge.orchestra(o)?;
        let every = terms.number("every", 1..=u16::MAX)?.unwrap_or(1);
        let ahead_ms = terms.number("ahead_ms", 0..=BEAT_AHEAD_MS_MAX)?;
        terms.end()?;
        let (told, map, record, bounds) = tempo(&edge, orchestra).await?;
        let stop = edge.handle().stop.clone();
        let beating = Self {
            edge,
            orchestra,
            map,
            record,
            bounds,
            every,
            ahead_ns: ahead_ms.unwrap_or(BEAT_AHEAD_MS) * 1_000_000,
            told_ns: 0,
            stop,
            _room: room,
        };
        Ok((beating, told))
    }

    fn now_ns(&self) -> Option<u64> {
        let shown = (self.edge.handle().clock)();
        shown.status.reading.map(|reading| reading.estimate_ns)
    }
}

impl Following for Beating {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if *self.stop.borrow() {
                return None;
            }
            // Without a time nothing can be told; nor where the node cannot be asked just now.
            if let Ok((_, map, record, bounds)) = tempo(&self.edge, self.orchestra).await {
                self.bounds = bounds;
                if record != self.record {
                    (self.map, self.record) = (map, record);
                    self.told_ns = 0;
                }
            }
            let mut wait = TEMPO_LOOK_EVERY;
            if let Some(now_ns) = self.now_ns() {
                let beat = self.map.next(now_ns.max(self.told_ns), self.every)?;
                let due_ns = beat.at_ns.saturating_sub(self.ahead_ns);
                if due_ns <= now_ns {
                    self.told_ns = beat.at_ns;
                    let bounds = self.bounds;
                    let may_vary =
                        bounds.is_some_and(|bounds| bounds.is_likely(&self.map, beat.number));
                    return Some(shown(&dto::Beat::of(&beat, self.record, may_vary)));
                }
                wait = wait.min(Duration::from_nanos(due_ns - now_ns));
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stop.wait_for(|&stopping| stopping) => {}
            }
        }
    }
}

fn shown(beat: &dto::Beat) -> Event {
    let data = serde_json::to_string(beat).expect("a beat holds texts and numbers");
    Event::default().event("beat").data(data)
}

async fn tempo(
    edge: &Edge,
    orchestra: OrchestraId,
) -> Result<(Told, TempoMap, Option<Digest>, Option<Bounds>), Refusal> {
    let terms = ReadTerms {
        deadline_ms: WAIT_MS,
        ..ReadTerms::default()
    };
    let (told, view) = edge.ask(orchestra, Question::Beat, terms).await?;
    let View::Tempo(view) = view else {
        return Err(Refusal::mismatch());
    };
    let record = view.set.map(|(place, ..)| place.record);
    let map = TempoMap::new(view.tempo).map_err(|_| Refusal::mismatch())?;
    Ok((told, map, record, view.bounds))
}
