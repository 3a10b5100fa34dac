//! What comes next, for programs: when an event of a source is expected, told anew after each, and whether to
//! prepare for it or to react.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use unisono_model::Digest;

use super::calls::{path_of, with_query};
use super::source::{Source, read};
use super::{Client, ClientError, Reply};
use crate::dto::{CameShown, EventKindWord, ForetoldShown, NextShown, PlanWord};
use crate::limits::FORETOLD_EVENTS_MAX;

/// Which records are events of a source, and what is asked of it. At least one of agent, topic and kind has to
/// be named; what is left out is the node's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventsOf {
    /// Only what this agent does, by its name or key.
    pub agent: Option<String>,
    /// Only what is about this.
    pub topic: Option<String>,
    /// Only this.
    pub kind: Option<EventKindWord>,
    /// An event is foretold if it comes within so much of its time (ms).
    pub within_ms: Option<f64>,
    /// How long it takes to prepare for one (ms).
    pub prepare_ms: Option<u64>,
    /// In how many of the latest records to look for events.
    pub from: Option<usize>,
}

/// What is foretold of a source, as it goes on.
#[derive(Debug)]
pub struct Foreteller {
    source: Source,
    /// The id of the last event: another node tells what has come since.
    after: Option<String>,
    /// Events that were told lately: after a resumption one may come twice.
    told: VecDeque<Digest>,
}

/// What is to be done about the events of a source, once for each: before it where it is foretold surely
/// enough, and otherwise when it comes.
#[derive(Clone, Debug, Default)]
pub struct Attending {
    /// When to begin to prepare for which.
    due: Option<(Instant, NextShown)>,
    /// What was prepared for and has not come yet, and whether it was said that it is overdue.
    prepared: Option<(NextShown, bool)>,
}

/// Something to be done about an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// It is about to come.
    Prepare(NextShown),
    /// It has come, and nobody has prepared for it.
    React(CameShown),
}

/// What became of an event that was prepared for.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// It has come, in time or not.
    Came(CameShown),
    /// It has not come within the tolerance. When it comes after all, it was prepared for.
    Missed(NextShown),
}

impl EventsOf {
    fn query(&self) -> Vec<(&'static str, String)> {
        let kind = self.kind.and_then(|kind| serde_json::to_value(kind).ok());
        let kind = kind.and_then(|kind| kind.as_str().map(str::to_owned));
        let all = [
            ("agent", self.agent.clone()),
            ("topic", self.topic.clone()),
            ("kind", kind),
            ("within_ms", self.within_ms.map(|ms| ms.to_string())),
            ("prepare_ms", self.prepare_ms.map(|ms| ms.to_string())),
            ("from", self.from.map(|from| from.to_string())),
        ];
        let named = all.into_iter();
        named
            .filter_map(|(name, value)| Some((name, value?)))
            .collect()
    }
}

impl Client {
    /// When the next event of a source comes, and how sure that is.
    ///
    /// # Errors
    /// What every read may fail with; a source that is not named, or a tolerance that is none.
    pub async fn foretold(
        &self,
        orchestra: &str,
        of: &EventsOf,
    ) -> Result<Reply<ForetoldShown>, ClientError> {
        let query = of.query();
        let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.read(orchestra, "foretold", &query).await
    }

    /// The same, and again after each event, with whether what was foretold of it came true.
    pub fn foreteller(&self, orchestra: &str, of: &EventsOf) -> Foreteller {
        let query = of.query();
        let query: Vec<(&str, &str)> = query.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let path = with_query(&path_of(orchestra, "foretold/stream"), &query);
        Foreteller {
            source: Source::new(self, path),
            after: None,
            told: VecDeque::new(),
        }
    }
}

impl Foreteller {
    /// What is foretold, at first as it stands, then after each event, and when what was foretold is overdue.
    /// Waits as long as it takes; goes to another node when one falls silent, which tells what has come
    /// since.
    ///
    /// # Errors
    /// A source that is not named, an orchestra that is unknown, or that no node answers.
    pub async fn next(&mut self) -> Result<ForetoldShown, ClientError> {
        loop {
            let after = self.after.clone();
            let seen = |_: &Client| after.clone().map(|after| ("last-event-id", after));
            let event = self.source.next(seen).await?;
            if event.kind != "foretold" {
                continue;
            }
            let shown: ForetoldShown = read(&event.data)?;
            self.after = Some(event.id).filter(|id| !id.is_empty());
            if let Some(came) = &shown.came {
                if self.told.contains(&came.record) {
                    continue;
                }
                if self.told.len() == FORETOLD_EVENTS_MAX {
                    self.told.pop_front();
                }
                self.told.push_back(came.record);
            }
            return Ok(shown);
        }
    }
}

impl Attending {
    /// Takes in what a [`Foreteller`] tells. Gives what is to be done about the event that came, or what
    /// became of one that was prepared for.
    pub fn told(&mut self, shown: &ForetoldShown) -> (Option<Due>, Option<Settled>) {
        let mut due = None;
        let mut settled = None;
        if let Some(came) = &shown.came {
            match self.prepared.take() {
                Some(_) => settled = Some(Settled::Came(came.clone())),
                None => due = Some(Due::React(came.clone())),
            }
        } else if let (Some((next, said @ false)), true) =
            (&mut self.prepared, shown.overdue.is_some())
        {
            *said = true;
            settled = Some(Settled::Missed(next.clone()));
        }
        self.due = self.prepares(shown);
        (due, settled)
    }

    /// When [`Attending::prepare`] is to be asked next.
    pub fn due(&self) -> Option<Instant> {
        self.due.as_ref().map(|(at, _)| *at)
    }

    /// The event to prepare for, when its time has come; each is given out once.
    pub fn prepare(&mut self) -> Option<Due> {
        let (_, next) = self.due.take_if(|(at, _)| *at <= Instant::now())?;
        self.prepared = Some((next.clone(), false));
        Some(Due::Prepare(next))
    }

    fn prepares(&self, shown: &ForetoldShown) -> Option<(Instant, NextShown)> {
        let next = shown.next.clone()?;
        let now_ns = shown.now.stamp.as_ns();
        // What is at hand is not prepared for any more, and nothing twice.
        if self.prepared.is_some() || shown.plan != PlanWord::Prepare || next.at_ns.0 <= now_ns {
            return None;
        }
        let left_ns = shown.prepare_at_ns?.0.saturating_sub(now_ns);
        let at = Instant::now().checked_add(Duration::from_nanos(left_ns))?;
        Some((at, next))
    }
}

#[cfg(test)]
mod tests {
    use unisono_model::{AgentId, Stamp};

    use super::*;
    use crate::dto::{Digits, PatternWord};

    const NOW_NS: u64 = 1_800_000_000_000_000_000;

    fn next(in_ms: u64) -> NextShown {
        let at_ns = NOW_NS + in_ms * 1_000_000;
        NextShown {
            at_ns: Digits(at_ns),
            time: crate::dto::Moment::from(Stamp::from_ns(at_ns)).time,
            pattern: PatternWord::Periodic,
            confidence: 0.9,
            stated: 0.9,
        }
    }

    fn came(record: u8) -> CameShown {
        CameShown {
            record: Digest([record; 32]),
            at: Stamp::from_ns(NOW_NS).into(),
            at_ns: Digits(NOW_NS),
            agent: AgentId::default(),
            name: "ada".to_owned(),
            foretold: None,
            off_ms: None,
            came_true: None,
        }
    }

    /// What a node tells: an event that comes in so many ms, to prepare for at once if that is sure enough.
    fn shown(in_ms: u64, plan: PlanWord, came: Option<CameShown>) -> ForetoldShown {
        ForetoldShown {
            now: Stamp::from_ns(NOW_NS).into(),
            within_ms: 100.0,
            since: None,
            looked_at: 0,
            events: 0,
            last: None,
            mean_ms: None,
            spread_ms: None,
            next: Some(next(in_ms)),
            overdue: None,
            in_ms: None,
            plan,
            prepare_at_ns: (plan == PlanWord::Prepare).then_some(Digits(NOW_NS)),
            reliability: Vec::new(),
            came,
        }
    }

    #[test]
    fn something_is_done_once_for_each_event_before_it_or_after() {
        let mut attending = Attending::default();
        assert_eq!(
            attending.told(&shown(500, PlanWord::Prepare, None)),
            (None, None)
        );
        assert_eq!(attending.prepare(), Some(Due::Prepare(next(500))));
        assert_eq!(attending.prepare(), None, "once");
        // What is told again meanwhile is not prepared for again.
        attending.told(&shown(500, PlanWord::Prepare, None));
        assert_eq!(attending.due(), None);
        let (due, settled) = attending.told(&shown(700, PlanWord::React, Some(came(1))));
        assert_eq!((due, settled), (None, Some(Settled::Came(came(1)))));
        assert_eq!(attending.due(), None, "it is not sure enough");
        let (due, settled) = attending.told(&shown(900, PlanWord::Prepare, Some(came(2))));
        assert_eq!((due, settled), (Some(Due::React(came(2))), None));
        assert!(attending.due().is_some());
        // It comes before it was prepared for.
        let (due, _) = attending.told(&shown(0, PlanWord::Prepare, Some(came(3))));
        assert_eq!(due, Some(Due::React(came(3))));
        assert_eq!(attending.prepare(), None, "that one is at hand already");
    }

    #[test]
    fn what_was_prepared_for_and_does_not_come_is_said_once() {
        let mut attending = Attending::default();
        attending.told(&shown(500, PlanWord::Prepare, None));
        attending.prepare();
        let mut late = shown(0, PlanWord::React, None);
        (late.next, late.overdue) = (None, Some(next(500)));
        assert_eq!(
            attending.told(&late),
            (None, Some(Settled::Missed(next(500))))
        );
        assert_eq!(attending.told(&late), (None, None), "once");
        let (due, settled) = attending.told(&shown(700, PlanWord::Prepare, Some(came(1))));
        assert_eq!((due, settled), (None, Some(Settled::Came(came(1)))));
        assert!(attending.due().is_some(), "the next is prepared for again");
    }
}
