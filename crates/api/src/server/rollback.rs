//! What going back to an earlier time would set aside.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use unisono_core::node::Question;
use unisono_core::orchestra::rollbacks::{Fate, GoingBack};
use unisono_core::orchestra::view::{RecordView, Verdict, View};
use unisono_model::{Action, Place, Stamp};

use super::edge::Edge;
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, Terms};
use crate::dto;
use crate::limits::PAGE;

/// What going back to a time would set aside, what would stay, and why it would be refused. Nothing
/// is changed. Every record that the node holds is looked at.
#[utoipa::path(get, path = "/v1/orchestras/{o}/rollback", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"),
        ("to" = String, Query, description = "To when: an RFC 3339 time or a stamp"),
        ("limit" = Option<usize>, Query, description = "At most so many records, 1 to 1000"),
        ReadParams),
    responses((status = 200, body = dto::RollbackShown)))]
pub(crate) async fn would(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let Some(to) = terms.text("to")? else {
        return Err(Refusal::malformed("`to` says to when"));
    };
    let to = dto::parse_stamp(&to).map_err(|error| Refusal::malformed(format!("`to`: {error}")))?;
    let limit = terms.limit()?.min(PAGE);
    let orchestra = edge.orchestra(&o)?;
    let read = terms.read()?;
    if read.as_of.is_some() {
        return Err(Refusal::malformed("`as_of`: going back begins now"));
    }
    let question = Question::GoingBack(to);
    let (_, view) = edge.ask(orchestra, question, read.clone()).await?;
    let View::GoingBack(going) = view else {
        return Err(Refusal::mismatch());
    };
    let mut would = Would::new(to, limit, *going);
    let take = |record| would.take(record);
    let told = edge.each_record(orchestra, &read, take).await?;
    Ok(told.json(StatusCode::OK, &would.shown()))
}

/// What the core would do, told by the records that it concerns.
struct Would {
    to: Stamp,
    limit: usize,
    going: GoingBack,
    sets_aside: u64,
    returns: u64,
    takes_back: u64,
    records: BTreeMap<Place, RecordView>,
    stays: u64,
    claimed: BTreeSet<String>,
    written: BTreeSet<String>,
}

impl Would {
    fn new(to: Stamp, limit: usize, going: GoingBack) -> Self {
        Self {
            to,
            limit,
            going,
            sets_aside: 0,
            returns: 0,
            takes_back: 0,
            records: BTreeMap::new(),
            stays: 0,
            claimed: BTreeSet::new(),
            written: BTreeSet::new(),
        }
    }

    fn take(&mut self, record: RecordView) {
        let counts = matches!(record.verdict, Verdict::Valid | Verdict::SetAside);
        if !counts {
            return;
        }
        if record.action.is_revertible() {
            let place = record.place;
            match self.going.fate(place, &record.log, record.bundle) {
                Fate::Goes => {
                    self.sets_aside += 1;
                    self.records.insert(place, record);
                    if self.records.len() > self.limit {
                        self.records.pop_last();
                    }
                }
                // Also one from before that time, if whoever set it aside went further back.
                Fate::Returns => self.returns += 1,
                Fate::Stays => {}
            }
            return;
        }
        if record.place.stamp <= self.to {
            return;
        }
        self.stays += 1;
        match record.action {
            Action::Claim { topic, .. } if self.claimed.len() < self.limit => {
                self.claimed.insert(topic);
            }
            Action::Write(write) if self.written.len() < self.limit => {
                let words = format!(
                    "{} was written since then, and no record brings a file on a disk back",
                    write.path
                );
                self.written.insert(words);
            }
            Action::Rollback(_) if self.going.takes_back(&record.place) => {
                self.takes_back += 1;
                self.stays -= 1;
            }
            _ => {}
        }
    }

    /// The core's reason comes first; where that is a file, the others bar the way as well.
    fn barred(&mut self) -> Vec<String> {
        let Some(why) = &self.going.refused else {
            return Vec::new();
        };
        let why = why.detail.trim_end_matches("; nothing changed").to_owned();
        let mut others = std::mem::take(&mut self.written);
        others.remove(&why);
        std::iter::once(why).chain(others).collect()
    }

    fn shown(mut self) -> dto::RollbackShown {
        let barred = self.barred();
        let seen = self.going.seen.into_iter();
        dto::RollbackShown {
            to: self.to.into(),
            sets_aside: self.sets_aside,
            records: self.records.into_values().map(Into::into).collect(),
            returns: self.returns,
            takes_back: self.takes_back,
            stays: self.stays,
            claimed: self.claimed.into_iter().collect(),
            barred,
            seen: seen.map(Into::into).collect(),
        }
    }
}
