//! What going back to an earlier time would set aside.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use unisono_core::node::Question;
use unisono_core::orchestra::view::{RecordView, Verdict, View};
use unisono_model::{Action, LogEnd, Stamp, limits};

use super::edge::Edge;
use super::refusal::Refusal;
use super::terms::{Names, ReadParams, Terms};
use crate::dto;
use crate::limits::{PAGE, RECORDS_PAGE};

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
    let mut would = Would::new(to, limit);
    let mut after = None;
    loop {
        let question = Question::Records {
            after,
            limit: RECORDS_PAGE,
            task: None,
        };
        let (told, view) = edge.ask(orchestra, question, read.clone()).await?;
        let View::Records(page) = view else {
            return Err(Refusal::mismatch());
        };
        for record in page.records {
            would.take(record);
        }
        if !page.more {
            let shown = would.shown(told.as_of);
            return Ok(told.json(StatusCode::OK, &shown));
        }
        after = Some(page.next);
    }
}

struct Would {
    to: Stamp,
    limit: usize,
    sets_aside: u64,
    records: BTreeMap<(Stamp, unisono_model::Digest), RecordView>,
    stays: u64,
    claimed: BTreeSet<String>,
    barred: BTreeSet<String>,
    seen: BTreeMap<unisono_model::Incarnation, u64>,
}

impl Would {
    fn new(to: Stamp, limit: usize) -> Self {
        Self {
            to,
            limit,
            sets_aside: 0,
            records: BTreeMap::new(),
            stays: 0,
            claimed: BTreeSet::new(),
            barred: BTreeSet::new(),
            seen: BTreeMap::new(),
        }
    }

    fn take(&mut self, record: RecordView) {
        if record.place.stamp <= self.to {
            return;
        }
        let seen = self.seen.entry(record.log.incarnation).or_default();
        *seen = (*seen).max(record.bundle);
        if record.verdict != Verdict::Valid {
            return;
        }
        if record.action.is_revertible() {
            self.sets_aside += 1;
            self.records
                .insert((record.place.stamp, record.place.record), record);
            if self.records.len() > self.limit {
                self.records.pop_last();
            }
            return;
        }
        self.stays += 1;
        match record.action {
            Action::Claim { topic, .. } if self.claimed.len() < self.limit => {
                self.claimed.insert(topic);
            }
            Action::Write(write) if self.barred.len() < self.limit => {
                let words = format!(
                    "{} was written since then, and no record brings a file on a disk back",
                    write.path
                );
                self.barred.insert(words);
            }
            Action::Guard => {
                let words = "rights were asked for since then, and nobody can take that back";
                self.barred.insert(words.to_owned());
            }
            _ => {}
        }
    }

    fn shown(mut self, now: Stamp) -> dto::RollbackShown {
        if self.to >= now {
            self.barred.insert("that time has not come yet".to_owned());
        } else if self.sets_aside == 0 {
            let words = "nothing that can be set aside was done since";
            self.barred.insert(words.to_owned());
        }
        if self.seen.len() > limits::ROLLBACK_LOGS_MAX {
            let words = format!("{} logs were written since then", self.seen.len());
            self.barred.insert(words);
        }
        let seen = self.seen.into_iter();
        dto::RollbackShown {
            to: self.to.into(),
            sets_aside: self.sets_aside,
            records: self.records.into_values().map(Into::into).collect(),
            stays: self.stays,
            claimed: self.claimed.into_iter().collect(),
            barred: self.barred.into_iter().collect(),
            seen: seen
                .map(|(incarnation, seq)| LogEnd { incarnation, seq }.into())
                .collect(),
        }
    }
}
