//! Incidents that no executive acknowledges in time are posted to an address of the operator's, once:
//! by the node that wrote them, and by no other. Nothing in the node waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use unisono_api::client::post_json;
use unisono_api::dto::IncidentTold;
use unisono_api::server::{Asked, Call};
use unisono_core::node::{AnswerBody, Question, Reader};
use unisono_core::orchestra::view::{AlertsView, IncidentView, View};
use unisono_model::{NodeId, OrchestraId, Stamp};

use crate::home::{now_ms, replace};
use crate::small_file;

/// How long one post may take.
const POST_WITHIN: Duration = Duration::from_secs(5);
/// Posts of one incident before it is given up: with the pauses, more than four minutes.
const POSTS_MAX: u32 = 8;
/// The pause after the first post that failed; each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(2);
/// Incidents that wait to be posted. More are found again when there is room.
const WAITING_MAX: usize = 1_024;
/// How often orchestras with something new are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often all are, should a wake-up have been missed.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_secs(60);
/// How long the node may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest file of what was posted (bytes): ten thousand orchestras have room in it.
const TOLD_BYTES_MAX: u64 = 1024 * 1024;

/// What is watched, and who is told.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    /// Where it is posted.
    pub(crate) url: String,
    /// How long an executive has to acknowledge it.
    pub(crate) after: Duration,
    /// The node's inbox.
    pub(crate) calls: mpsc::Sender<Call>,
    /// The node whose incidents are posted: this one.
    pub(crate) node: NodeId,
    /// Its name.
    pub(crate) name: String,
}

/// Up to where incidents were dealt with: posted, acknowledged or given up. A node's own stamps rise
/// in each orchestra, so one for each is enough.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Dealt {
    /// What is older than the setting is nobody's business.
    since: Stamp,
    up_to: BTreeMap<OrchestraId, Stamp>,
}

/// Posts incidents.
#[derive(Debug)]
pub(crate) struct Webhook {
    watch: Watch,
    file: PathBuf,
    dealt: Dealt,
    names: BTreeMap<OrchestraId, String>,
    /// What is not acknowledged, and from when on it is posted.
    waiting: BTreeMap<(Stamp, OrchestraId), Instant>,
    /// Where something is new.
    dirty: BTreeSet<OrchestraId>,
}

impl Webhook {
    /// Goes on where the file says; from now on without one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn new(watch: Watch, file: PathBuf) -> io::Result<Self> {
        let known = small_file::text(&file, TOLD_BYTES_MAX).ok();
        let known = known.and_then(|text| serde_json::from_str(&text).ok());
        let dealt = known.unwrap_or_else(|| Dealt {
            since: Stamp::from_ms(now_ms()),
            up_to: BTreeMap::new(),
        });
        let webhook = Self {
            watch,
            file,
            dealt,
            names: BTreeMap::new(),
            waiting: BTreeMap::new(),
            dirty: BTreeSet::new(),
        };
        webhook.save()?;
        Ok(webhook)
    }

    /// Posts until the process ends.
    pub(crate) async fn run(
        mut self,
        mut published: broadcast::Receiver<OrchestraId>,
        mut finish: watch::Receiver<bool>,
    ) {
        tokio::select! {
            _ = finish.wait_for(|&finish| finish) => {}
            () = self.turn(&mut published) => {}
        }
    }

    async fn turn(&mut self, published: &mut broadcast::Receiver<OrchestraId>) {
        let mut all_at = Instant::now();
        loop {
            if all_at <= Instant::now() {
                all_at = Instant::now() + LOOK_AT_ALL_EVERY;
                self.look_everywhere().await;
            }
            for orchestra in std::mem::take(&mut self.dirty) {
                if self.look(orchestra).await.is_none() {
                    self.dirty.insert(orchestra);
                }
            }
            self.post_due().await;
            tokio::time::sleep(LOOK_EVERY).await;
            let next = self.waiting.values().min().copied().unwrap_or(all_at);
            tokio::select! {
                () = tokio::time::sleep_until(next.min(all_at)), if self.dirty.is_empty() => {}
                news = published.recv(), if self.dirty.is_empty() => self.heed(news, &mut all_at),
                () = std::future::ready(()), if !self.dirty.is_empty() => {}
            }
            while let Ok(orchestra) = published.try_recv() {
                self.dirty.insert(orchestra);
            }
        }
    }

    fn heed(
        &mut self,
        news: Result<OrchestraId, broadcast::error::RecvError>,
        all_at: &mut Instant,
    ) {
        match news {
            Ok(orchestra) => drop(self.dirty.insert(orchestra)),
            // Something was published, and nobody knows where.
            Err(broadcast::error::RecvError::Lagged(_)) => *all_at = Instant::now(),
            Err(broadcast::error::RecvError::Closed) => {}
        }
    }

    async fn look_everywhere(&mut self) {
        let Some(View::Orchestras(all)) =
            self.ask(OrchestraId::default(), Question::Orchestras).await
        else {
            return;
        };
        self.dirty.extend(all.iter().map(|one| one.orchestra));
        self.names = all
            .into_iter()
            .map(|one| (one.orchestra, one.name))
            .collect();
    }

    /// Looks what of an orchestra is to be posted; nothing if the node does not answer.
    async fn look(&mut self, orchestra: OrchestraId) -> Option<Vec<IncidentView>> {
        let question = Question::Alerts { agent: None };
        let View::Alerts(AlertsView { incidents, .. }) = self.ask(orchestra, question).await?
        else {
            return None;
        };
        let from = self.dealt.up_to.get(&orchestra);
        let from = *from.unwrap_or(&self.dealt.since);
        let own = |one: &IncidentView| one.node == self.watch.node && one.place.stamp > from;
        let own: Vec<IncidentView> = incidents.into_iter().filter(own).collect();
        let standing: BTreeSet<Stamp> = own.iter().map(|one| one.place.stamp).collect();
        self.waiting
            .retain(|(stamp, place), _| *place != orchestra || standing.contains(stamp));
        for stamp in standing {
            if self.waiting.len() >= WAITING_MAX {
                break;
            }
            let age_ms = now_ms().saturating_sub(stamp.as_ms());
            let left = self
                .watch
                .after
                .saturating_sub(Duration::from_millis(age_ms));
            let due = Instant::now() + left;
            self.waiting.entry((stamp, orchestra)).or_insert(due);
        }
        Some(own)
    }

    /// Posts what nobody has acknowledged in time, the oldest first.
    async fn post_due(&mut self) {
        while let Some(((stamp, orchestra), due)) = self.waiting.first_key_value() {
            let (stamp, orchestra) = (*stamp, *orchestra);
            if *due > Instant::now() {
                return;
            }
            if self.post(orchestra, stamp).await.is_none() {
                return;
            }
            self.waiting.remove(&(stamp, orchestra));
            let up_to = self.dealt.up_to.entry(orchestra).or_default();
            *up_to = stamp.max(*up_to);
            if let Err(error) = self.save() {
                tracing::warn!(%error, "what the webhook was told may be told again");
            }
            // There may be more than had room.
            self.dirty.insert(orchestra);
        }
    }

    /// Posts one incident until it is taken, acknowledged or given up; nothing if the node does not
    /// answer.
    async fn post(&mut self, orchestra: OrchestraId, stamp: Stamp) -> Option<()> {
        let mut pause = PAUSE;
        // It may have been made since all were looked at.
        if self.names.get(&orchestra).is_none_or(String::is_empty) {
            self.look_everywhere().await;
        }
        for number in 1..=POSTS_MAX {
            let standing = self.look(orchestra).await?;
            let mut standing = standing.into_iter();
            let Some(incident) = standing.find(|one| one.place.stamp == stamp) else {
                return Some(());
            };
            let body = self.body(orchestra, incident);
            let why = match post_json(&self.watch.url, body, POST_WITHIN).await {
                Ok(status) if (200..300).contains(&status) => return Some(()),
                Ok(status) => format!("status {status}"),
                Err(why) => why,
            };
            tracing::warn!(number, why, "the webhook did not take an incident");
            if number < POSTS_MAX {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        tracing::error!(%stamp, "an incident was given up: the webhook never took it");
        Some(())
    }

    fn body(&self, orchestra: OrchestraId, incident: IncidentView) -> Vec<u8> {
        let name = self.names.get(&orchestra).filter(|name| !name.is_empty());
        let body = json!({
            "kind": "unisono/incident/v1",
            "orchestra": name.cloned().unwrap_or_else(|| orchestra.to_string()),
            "node_name": self.watch.name,
            "incident": IncidentTold::from(incident),
        });
        body.to_string().into_bytes()
    }

    async fn ask(&self, orchestra: OrchestraId, question: Question) -> Option<View> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked::Question {
            question,
            as_of: None,
            min_cursor: None,
            deadline_ms: u64::try_from(ANSWER_WITHIN.as_millis()).unwrap_or(u64::MAX),
            reader: Reader::Own,
        };
        let call = Call {
            orchestra,
            asked,
            answer,
        };
        // Agents come first: where the inbox is full, this looks later.
        self.watch.calls.try_send(call).ok()?;
        match tokio::time::timeout(ANSWER_WITHIN, answered)
            .await
            .ok()?
            .ok()?
            .ok()?
            .body
        {
            AnswerBody::View(view) => Some(view),
            _ => None,
        }
    }

    fn save(&self) -> io::Result<()> {
        let text = serde_json::to_string(&self.dealt).map_err(io::Error::other)?;
        replace(&self.file, &format!("{text}\n"))
    }
}
