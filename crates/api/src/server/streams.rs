//! Long answers: events followed live from any point in the past, and dumps. Both pull: the next
//! page is asked for when the reader has taken the last, so that a slow reader costs one page.

use std::collections::VecDeque;
use std::io;
use std::iter::Peekable;
use std::vec;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{RecordView, RecordsView, View};
use unisono_core::replication::{Cursor, LogTag};
use unisono_model::{OrchestraId, Rejection, Stamp};

use super::edge::{Edge, Told};
use super::following::{Following as _, Looking, Outgoing};
use super::refusal::Refusal;
use super::terms::{Names, ReadTerms, Terms};
use super::way::Way;
use crate::dto::{Problem, RecordEvent};
use crate::limits::{LAST_WORDS, RECORDS_PAGE, WAIT_MS};

/// Follows an orchestra's records, from a cursor on, as server-sent events. Each event's id is the
/// cursor after it, valid on any node; a record may come twice after a resumption, never be missed.
#[utoipa::path(get, path = "/v1/orchestras/{o}/events", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("after" = Option<String>, Query,
            description = "A cursor; `now` for what is new only; the beginning if left out"),
        ("as" = Option<String>, Query, description = "Also tells this agent, as `interference` \
            events, what stands in its way, how that is resolved, and when it has ended"),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen")),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(crate) async fn events(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    let follower = Follower::start(edge, &o, terms).await?;
    let told = follower.told.clone();
    Ok(follower.into_response(&told))
}

/// Every record after a cursor, one JSON object a line. A dump that breaks off says why in a last
/// line, `{"problem":{…}}`, as far as the reader takes it, and ends the connection without the last
/// chunk, so that half of one is never taken for the whole.
#[utoipa::path(get, path = "/v1/orchestras/{o}/dump", tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("after" = Option<String>, Query, description = "A cursor; the beginning if left out"),
        ("as_of" = Option<String>, Query, description = "Only what stood at this moment, and \
            whether it was set aside by then")),
    responses((status = 200, content_type = "application/x-ndjson", body = String)))]
pub(crate) async fn dump(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let after = terms.cursor("after")?;
    let as_of = terms.moment()?;
    terms.end()?;
    let orchestra = edge.orchestra(&o)?;
    let mut pages = Pages {
        edge,
        orchestra,
        after,
        as_of,
    };
    let room = pages.edge.stream_room()?;
    let (told, first) = pages.next().await?;
    // Nothing was sent yet, so this refusal can be an ordinary one.
    if let (true, Some(lost)) = (first.records.is_empty(), &first.lost) {
        return Err(lost.clone().into());
    }
    let dumping = Dumping {
        pages,
        next: Next::Page(first),
        _room: room,
    };
    let chunks = stream::unfold(dumping, Dumping::step);
    let mut response = Body::from_stream(chunks).into_response();
    let media_type = HeaderValue::from_static("application/x-ndjson");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    told.mark(&mut response);
    Ok(response)
}

/// A dump under way.
struct Dumping {
    pages: Pages,
    next: Next,
    _room: OwnedSemaphorePermit,
}

/// What a dump sends next.
enum Next {
    Page(RecordsView),
    /// Why there is no other page.
    LastWords(Refusal),
    BreakOff(String),
    Nothing,
}

impl Dumping {
    async fn step(mut self) -> Option<(io::Result<Bytes>, Self)> {
        let next = std::mem::replace(&mut self.next, Next::Nothing);
        let chunk = match next {
            Next::Page(page) => {
                self.next = self.after(page.more, page.lost.clone()).await;
                Ok(lines(page))
            }
            Next::LastWords(refusal) => {
                let problem = refusal.problem();
                self.next = Next::BreakOff(problem.detail.clone());
                let mut text = serde_json::to_vec(&LastLine { problem })
                    .expect("a problem holds texts and numbers");
                text.push(b'\n');
                Ok(text.into())
            }
            Next::BreakOff(why) => {
                // A connection that breaks takes along what it has not sent yet.
                tokio::time::sleep(LAST_WORDS).await;
                Err(io::Error::other(why))
            }
            Next::Nothing => return None,
        };
        Some((chunk, self))
    }

    async fn after(&mut self, more: bool, lost: Option<Rejection>) -> Next {
        if !more {
            return lost.map_or(Next::Nothing, |lost| Next::LastWords(lost.into()));
        }
        match self.pages.next().await {
            Ok((_, page)) => Next::Page(page),
            Err(refusal) => Next::LastWords(refusal),
        }
    }
}

/// The last line of a dump that breaks off.
#[derive(serde::Serialize)]
struct LastLine<'a> {
    problem: &'a Problem,
}

fn lines(page: RecordsView) -> Bytes {
    let mut text = Vec::new();
    for record in page.records {
        serde_json::to_writer(&mut text, &RecordEvent::from(record))
            .expect("a vector takes everything, and the maps have words as keys");
        text.push(b'\n');
    }
    text.into()
}

/// Records after a cursor, page by page.
pub(super) struct Pages {
    pub(super) edge: Edge,
    pub(super) orchestra: OrchestraId,
    pub(super) after: Option<Cursor>,
    pub(super) as_of: Option<Stamp>,
}

impl Pages {
    /// The next page.
    pub(super) async fn next(&mut self) -> Result<(Told, RecordsView), Refusal> {
        let after = self.after.clone();
        let question = Question::Records {
            after,
            limit: RECORDS_PAGE,
            task: None,
        };
        let terms = ReadTerms {
            as_of: self.as_of,
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let (told, view) = self.edge.ask(self.orchestra, question, terms).await?;
        let View::Records(view) = view else {
            return Err(Refusal::mismatch());
        };
        self.after = Some(view.next.clone());
        Ok((told, view))
    }
}

struct Follower {
    pages: Pages,
    told: Told,
    outgoing: Outgoing,
    /// What the agent that follows was told stands in its way.
    way: Option<Way>,
}

impl Follower {
    async fn start(edge: Edge, o: &str, mut terms: Terms) -> Result<Self, Refusal> {
        let orchestra = edge.orchestra(o)?;
        // What a browser sends by itself when it comes back is newer than the address it opened.
        let resumed = terms.last_event()?;
        let text = terms.text("after")?;
        let live = text.as_deref() == Some("now");
        let after = match text {
            Some(text) if !live => Some(super::terms::cursor(&text)?),
            _ => None,
        };
        let agent = super::reads::asking(&mut terms)?;
        terms.end()?;
        let mut outgoing = Outgoing::new(&edge, orchestra)?;
        outgoing.more = true;
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let (told, _) = edge.ask(orchestra, Question::State, terms).await?;
        let after = resumed
            .or(after)
            .or_else(|| live.then(|| told.cursor.clone()));
        Ok(Self {
            pages: Pages {
                edge,
                orchestra,
                after,
                as_of: None,
            },
            told,
            outgoing,
            way: agent.map(Way::new),
        })
    }
}

impl Looking for Follower {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    async fn look(&mut self) -> Result<(), Refusal> {
        let before = self.pages.after.clone().unwrap_or_default();
        let (_, page) = self.pages.next().await?;
        self.outgoing.more = page.more;
        self.outgoing.ready = events_of(before, page);
        if !self.outgoing.more
            && let Some(way) = &mut self.way
        {
            let (edge, orchestra) = (&self.pages.edge, self.pages.orchestra);
            self.outgoing.ready.extend(way.look(edge, orchestra).await);
        }
        Ok(())
    }
}

/// The records of a page, each with the cursor after it. Inside a bundle that is the cursor before the
/// bundle: a cursor counts bundles, and half of one seen again is better than half of one missed.
pub(super) struct Numbered {
    records: Peekable<vec::IntoIter<RecordView>>,
    cursor: Cursor,
    /// After the last of them.
    next: Cursor,
}

impl Numbered {
    pub(super) fn new(after: Cursor, page: RecordsView) -> Self {
        Self {
            records: page.records.into_iter().peekable(),
            cursor: after,
            next: page.next,
        }
    }

    /// After the record that was taken last.
    pub(super) fn cursor(&self) -> &Cursor {
        &self.cursor
    }
}

impl Iterator for Numbered {
    type Item = RecordView;

    fn next(&mut self) -> Option<RecordView> {
        let record = self.records.next()?;
        let place = |record: &RecordView| (record.log, record.bundle);
        match self.records.peek() {
            Some(next) if place(next) == place(&record) => {}
            Some(_) => {
                let seen = self.cursor.0.entry(LogTag::of(&record.log)).or_default();
                *seen = (*seen).max(record.bundle);
            }
            None => self.cursor.clone_from(&self.next),
        }
        Some(record)
    }
}

fn events_of(after: Cursor, page: RecordsView) -> VecDeque<Event> {
    let mut records = Numbered::new(after, page);
    let mut events = VecDeque::new();
    while let Some(record) = records.next() {
        let data = serde_json::to_string(&RecordEvent::from(record))
            .expect("the maps of a record have words as keys");
        let id = records.cursor().to_text();
        events.push_back(Event::default().event("record").id(id).data(data));
    }
    events
}
