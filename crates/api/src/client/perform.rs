//! Playing along with the beat: each action is released at its beat's time, moved by what is known of how late
//! it is as a rule, and what came of it moves the next.
//!
//! The loop stands here once, for programs and for `unisono perform`. It runs where the action is: nobody else
//! knows what is late there, and nobody else has to.

mod meter;
mod part;
mod partners;
mod tells;
mod tempo;

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc as blocking;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use unisono_core::ensemble::{Corrector, GainError, Gains, Loop, Rule, Stress, TempoMap};

use super::timer::monotonic_ns;
use super::{Actor, ClientError, ClusterClock, Fired};
use crate::limits::{
    PERFORM_ANSWERS_MAX, PERFORM_ARM_AHEAD, PERFORM_LAST_WITHIN, PERFORM_TEMPO_EVERY,
};
pub use meter::Meter;
use part::{Answer, Part, Released};
use partners::KeptPartners;
pub use partners::{Partner, Partners};
use tells::Tells;
use tempo::KeptTempo;

/// Which beats are played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Every {
    /// Each.
    Beat,
    /// Coordination points, as the tempo has them.
    Point,
    /// Major synchronisations, as the tempo has them.
    Major,
    /// Those whose number is a multiple of this (0 counts as 1).
    Nth(u16),
}

impl Every {
    fn beats(self, map: &TempoMap) -> u16 {
        let beats = match self {
            Self::Beat => 1,
            Self::Point => map.tempo().point_every,
            Self::Major => map.tempo().major_every,
            Self::Nth(beats) => beats,
        };
        beats.max(1)
    }
}

/// How somebody performs.
#[derive(Clone, Debug)]
pub struct Performance {
    /// Which beats.
    pub every: Every,
    /// By which rule errors are corrected; nothing: they are not.
    pub rule: Option<Rule>,
    /// How many players correct towards one another; 1: this one corrects towards the beat alone; nothing: those
    /// who perform and correct their errors, as they come and go.
    pub players: Option<u32>,
    /// How many further actions may begin before one is answered.
    pub delay: u32,
    /// Whether gains adapt to the errors that are seen, within their bounds.
    pub adaptive: bool,
    /// Whether it is the release that counts, and not what comes of it: then nothing is corrected.
    pub by_release: bool,
    /// The orchestra is told of each so many-th action; 0: of none; nothing: of as many as come with a fifth
    /// of a second between them.
    pub tell_every: Option<u32>,
    /// Ends after so many beats, played or missed.
    pub count: Option<u64>,
}

impl Default for Performance {
    fn default() -> Self {
        Self {
            every: Every::Beat,
            rule: Some(Rule::Kalman),
            players: None,
            delay: 0,
            adaptive: true,
            by_release: false,
            tell_every: None,
            count: None,
        }
    }
}

impl Performance {
    /// The gains that it begins with, alone where nobody said or counted how many players there are
    /// ([`Self::among`]); nothing where nothing is corrected.
    ///
    /// # Errors
    /// Where errors would grow by this rule, with so many players and so late a feedback.
    pub fn check(&self) -> Result<Option<Gains>, GainError> {
        Ok(self.corrector()?.map(|corrector| corrector.gains()))
    }

    /// What its corrections have to cope with.
    pub fn around(&self) -> Loop {
        Loop {
            players: self.players.unwrap_or(1),
            delay: self.delay,
        }
    }

    fn corrector(&self) -> Result<Option<Corrector>, GainError> {
        let around = self.around();
        // What is not counted with is refused whether or not it is corrected.
        around.check(around.best())?;
        let Some(rule) = self.rule.filter(|_| !self.by_release) else {
            return Ok(None);
        };
        let corrector = Corrector::new(rule, around)?;
        Ok(Some(if self.adaptive {
            corrector.adaptive()
        } else {
            corrector
        }))
    }
}

/// A beat as it is released.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Release {
    /// Its number.
    pub beat: i64,
    /// What kind it is.
    pub stress: Stress,
    /// When it comes by the cluster's clock (ns since the Unix epoch).
    pub target_ns: u64,
    /// By how much later than that it is released (ns); less than nothing: earlier.
    pub moved_ns: i64,
    /// Whether more was wanted than the half of the way to the beat before.
    pub bounded: bool,
}

/// What came of a beat that was released.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Action {
    /// The beat's number.
    pub beat: i64,
    /// When it came by the cluster's clock (ns since the Unix epoch).
    pub target_ns: u64,
    /// By how much its release was moved (ns); less than nothing: it was earlier.
    pub moved_ns: i64,
    /// Whether more was wanted.
    pub bounded: bool,
    /// How long after the target it acted (ns): what counts, what is corrected, and what is told.
    pub late_ns: i64,
    /// How long after the target it was released (ns).
    pub released_late_ns: i64,
    /// How long after the target it acted by its answer (ns).
    pub answered_late_ns: i64,
    /// By how much the cluster's time and this clock may differ beside that, three sigma (ns).
    pub unsure_ns: u64,
    /// Whether the thread that released it had real-time priority.
    pub real_time: bool,
    /// The gains after it; nothing where nothing is corrected.
    pub gains: Option<Gains>,
}

/// Why a beat was not played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// What was released before was not answered yet.
    Busy,
    /// It was past when it could have been released.
    Passed,
    /// Whoever acts did not take it.
    NotTaken,
}

/// Beats that were not played. Nobody plays them later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Missed {
    /// The first.
    pub beat: i64,
    /// How many.
    pub beats: u64,
    /// How many in a row so far.
    pub in_a_row: u64,
    /// Whether a quarter of the latest sixteen were missed, or more.
    pub too_many: bool,
    /// Why.
    pub why: Why,
}

/// What is told of a performance while it goes on.
#[derive(Debug)]
pub enum Happened<'a> {
    /// A beat was played.
    Acted(&'a Action),
    /// Beats were missed.
    Missed(&'a Missed),
    /// Others perform, or do so no more, or correct by more or less than before.
    Heard(&'a Partners),
    /// The orchestra could not be told of an action, of what was used or of who performs, and why. Said of the first
    /// alone.
    Untold(&'a ClientError),
}

/// How a performance came to its end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Ended {
    /// It was asked to.
    #[default]
    Stopped,
    /// All its beats have come.
    Counted,
    /// Whoever acts has gone.
    Gone,
}

/// How a performance went: figures of time over its latest 10,000 actions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// How it ended.
    pub ended: Ended,
    /// Beats that were played.
    pub actions: u64,
    /// Beats that were missed.
    pub missed: u64,
    /// The most that were missed in a row.
    pub missed_in_a_row_max: u64,
    /// Whether it could not keep up: a quarter of sixteen beats were missed at some time.
    pub too_many_missed: bool,
    /// What was released and not answered any more.
    pub unanswered: u64,
    /// How late actions were in the mean (ns).
    pub mean_ns: f64,
    /// One standard deviation (ns).
    pub spread_ns: f64,
    /// What half of them were not off by more than, early or late (ns).
    pub median_ns: u64,
    /// What 99 of a hundred were not off by more than, early or late (ns).
    pub p99_ns: u64,
    /// Releases for which more correction was wanted than half of the way to the beat before.
    pub bounded: u64,
    /// Answers that came while nothing was to be answered.
    pub surplus: u64,
    /// Answers with a time that cannot have been.
    pub not_believed: u64,
    /// Actions that the orchestra was told of.
    pub told: u64,
    /// Actions that it was to be told of, and was not.
    pub untold: u64,
    /// The gains in the end; nothing where nothing was corrected.
    pub gains: Option<Gains>,
}

/// When something acted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Effect {
    /// When that was known, by [`monotonic_ns`] (ns).
    pub read_ns: u64,
    /// When it was by its own word, by the cluster's clock (ns since the Unix epoch); nothing: when it was
    /// known.
    pub says_ns: Option<u64>,
}

/// What is played on: takes releases, and says when it has acted.
pub struct Instrument {
    release: Arc<dyn Fn(&Release) -> bool + Send + Sync>,
    effects: mpsc::Receiver<Effect>,
    meter: Option<Meter>,
}

/// The other end of an instrument's answers. The performance ends when it is dropped.
#[derive(Clone, Debug)]
pub struct Answers(mpsc::Sender<Effect>);

impl Answers {
    /// Says that it has acted. Says whether anybody listens: whoever answers faster than it is asked is not
    /// always heard.
    pub fn say(&self, effect: Effect) -> bool {
        !matches!(
            self.0.try_send(effect),
            Err(mpsc::error::TrySendError::Closed(_))
        )
    }
}

impl Instrument {
    /// An instrument, and where its answers go. `release` is called at the time, on a thread that may have
    /// real-time priority: it wakes whoever acts, does not wait, and says whether that was taken. Whatever was
    /// taken is to be answered once, in order.
    pub fn new(release: impl Fn(&Release) -> bool + Send + Sync + 'static) -> (Self, Answers) {
        let (tell, effects) = mpsc::channel(PERFORM_ANSWERS_MAX);
        let instrument = Self {
            release: Arc::new(release),
            effects,
            meter: None,
        };
        (instrument, Answers(tell))
    }

    /// The same, whose use of something is told to the orchestra, once in a second at the most.
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }
}

impl std::fmt::Debug for Instrument {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instrument").finish_non_exhaustive()
    }
}

impl Actor {
    /// Plays along with the orchestra's beat: `act` is called on a thread of its own for each beat, at the beat's
    /// time and as much earlier as its actions are late as a rule, and says when it has acted, by the cluster's
    /// clock (ns since the Unix epoch); nothing: when it returned. Beats that come while it is still at one before
    /// are missed, and not played later. `told` hears what came of each. Ends when as many beats as were asked
    /// for have come, or `act` has panicked; whoever wants to end it before drops it.
    ///
    /// # Errors
    /// [`ClientError::Usage`], and nothing is done, where the rule does not hold ([`Performance::check`]) or the
    /// node knows no time; what reads may fail with at the beginning. A node that is gone later ends nothing.
    pub async fn perform(
        &self,
        performance: &Performance,
        mut act: impl FnMut(&Release) -> Option<u64> + Send + 'static,
        told: impl FnMut(&Happened<'_>),
    ) -> Result<Summary, ClientError> {
        let room = performance.delay as usize + 1;
        let (wake, woken) = blocking::sync_channel::<Release>(room);
        let (instrument, answers) = Instrument::new(move |release| wake.try_send(*release).is_ok());
        let thread = std::thread::Builder::new().name("perform".to_owned());
        let spawned = thread.spawn(move || {
            while let Ok(release) = woken.recv() {
                let says_ns = act(&release);
                let read_ns = monotonic_ns();
                if !answers.say(Effect { read_ns, says_ns }) {
                    return;
                }
            }
        });
        spawned.map_err(|error| ClientError::Usage(format!("no thread to act on: {error}")))?;
        self.perform_on(performance, instrument, std::future::pending(), told)
            .await
    }

    /// Plays along with the orchestra's beat on an instrument, as [`Self::perform`] does, until it is to stop.
    ///
    /// # Errors
    /// As [`Self::perform`].
    pub async fn perform_on(
        &self,
        performance: &Performance,
        mut instrument: Instrument,
        stop: impl Future<Output = ()>,
        told: impl FnMut(&Happened<'_>),
    ) -> Result<Summary, ClientError> {
        // Whoever does not hear of the others begins alone.
        let others = self.partners().await.unwrap_or_default();
        let part = Part::new(performance, &others)
            .map_err(|error| ClientError::Usage(format!("{error}; nothing was done")))?;
        let clock = self.client().cluster_clock().await?;
        let tempo = KeptTempo::new(self.client(), self.orchestra()).await?;
        let mut performer = Performer {
            part,
            clock,
            tempo,
            partners: KeptPartners::new(self, others),
            heard: Partners::default(),
            tells: Tells::new(self, performance, instrument.meter.take()),
            instrument,
            told,
            every: performance.every,
            count: performance.count,
        };
        let ended = tokio::select! {
            biased;
            () = stop => Ended::Stopped,
            ended = performer.play() => ended?,
        };
        Ok(performer.end(ended).await)
    }
}

/// Who plays, as long as that goes on.
struct Performer<F> {
    part: Part,
    clock: ClusterClock,
    tempo: KeptTempo,
    instrument: Instrument,
    partners: KeptPartners,
    /// What was told of them last.
    heard: Partners,
    tells: Tells,
    told: F,
    every: Every,
    count: Option<u64>,
}

impl<F: FnMut(&Happened<'_>)> Performer<F> {
    async fn play(&mut self) -> Result<Ended, ClientError> {
        let begins_ns = self.clock.now().estimate_ns + PERFORM_ARM_AHEAD.as_nanos() as u64;
        let mut last = self.tempo.reached(begins_ns);
        while self.count.is_none_or(|count| self.part.beats() < count) {
            let Some(beat) = self.tempo.after(last, self.every) else {
                return Err(no_beat());
            };
            last = match self.beat(beat).await? {
                ControlFlow::Continue(last) => last,
                ControlFlow::Break(ended) => return Ok(ended),
            };
        }
        self.last(last).await
    }

    /// One beat, from the one before to its release or its being missed: which was the last that has come.
    async fn beat(&mut self, beat: i64) -> Result<ControlFlow<Ended, i64>, ClientError> {
        while self.part.is_busy() {
            let target_ns = self.turn(beat)?.target_ns;
            let now_ns = self.clock.now().estimate_ns;
            if now_ns > target_ns {
                return Ok(ControlFlow::Continue(self.missed(beat, Why::Busy, now_ns)));
            }
            if !self.hears(target_ns - now_ns + 1).await {
                return Ok(ControlFlow::Break(Ended::Gone));
            }
        }
        let wanted_ns = self.part.wanted_ns(beat);
        let release = loop {
            let turn = self.turn(beat)?;
            let now_ns = self.clock.now().estimate_ns;
            let planned = turn.release(wanted_ns, 0);
            let planned_ns = turn.target_ns.saturating_add_signed(planned.moved_ns);
            if now_ns > turn.target_ns.max(planned_ns) {
                return Ok(ControlFlow::Continue(self.missed(
                    beat,
                    Why::Passed,
                    now_ns,
                )));
            }
            let arms_ns = planned_ns.saturating_sub(PERFORM_ARM_AHEAD.as_nanos() as u64);
            if now_ns >= arms_ns {
                break turn.release(wanted_ns, now_ns);
            }
            if !self.hears(arms_ns - now_ns).await {
                return Ok(ControlFlow::Break(Ended::Gone));
            }
        };
        self.release(release, wanted_ns).await?;
        Ok(ControlFlow::Continue(beat))
    }

    /// Arms a release, and waits until it was.
    async fn release(&mut self, release: Release, wanted_ns: f64) -> Result<(), ClientError> {
        let releases = Arc::clone(&self.instrument.release);
        let release_ns = release.target_ns.saturating_add_signed(release.moved_ns);
        // Whoever plays on plays by a clock that is not sure, too.
        let armed = self.clock.arm(release_ns, move |_| {
            let at_ns = monotonic_ns();
            releases(&release).then_some(at_ns)
        })?;
        let (taken, fired): (Option<u64>, Fired) = armed.await?;
        let Some(at_ns) = taken else {
            let missed = self.part.missed(release.beat, 1, Why::NotTaken);
            (self.told)(&Happened::Missed(&missed));
            return Ok(());
        };
        self.part.released(Released {
            release,
            wanted_ns,
            late_ns: fired.late_ns + release.moved_ns,
            at_ns,
            real_time: fired.real_time,
        });
        Ok(())
    }

    /// Waits for the answers to what was released last, until the next beat would come.
    async fn last(&mut self, last: i64) -> Result<Ended, ClientError> {
        let turn = self.turn(last)?;
        let ends_ns = turn.target_ns.saturating_add(turn.interval_ns);
        let most_ns = PERFORM_LAST_WITHIN.as_nanos() as u64;
        let begun_ns = self.clock.now().estimate_ns;
        let ends_ns = ends_ns.min(begun_ns.saturating_add(most_ns));
        while !self.part.is_answered() {
            let left_ns = ends_ns.saturating_sub(self.clock.now().estimate_ns);
            if left_ns == 0 {
                break;
            }
            if !self.hears(left_ns).await {
                return Ok(Ended::Gone);
            }
        }
        Ok(Ended::Counted)
    }

    fn turn(&self, beat: i64) -> Result<part::Turn, ClientError> {
        self.tempo.turn(beat, self.every).ok_or_else(no_beat)
    }

    /// Waits for an answer for so long (ns), and no longer than until the tempo is to be looked at again. Says
    /// whether anybody is there who answers.
    async fn hears(&mut self, wait_ns: u64) -> bool {
        self.exchanges();
        let wait = Duration::from_nanos(wait_ns).min(PERFORM_TEMPO_EVERY);
        match timeout(wait, self.instrument.effects.recv()).await {
            Ok(Some(effect)) => self.acted(effect),
            Ok(None) => return false,
            Err(_) => {}
        }
        true
    }

    /// Takes what was heard of the others, and has them told by how much this one corrects. Nobody is waited for.
    fn exchanges(&mut self) {
        self.tells.performs(self.part.gains());
        let Some(others) = self.partners.take() else {
            return;
        };
        let players = self.part.heard(&others);
        let heard = Partners { others, players };
        if heard != self.heard {
            self.heard = heard;
            (self.told)(&Happened::Heard(&self.heard));
        }
    }

    fn acted(&mut self, effect: Effect) {
        let answer = Answer {
            effect,
            came_ns: self.clock.time_at(effect.read_ns),
            unsure_ns: self.clock.now().unsure_ns,
        };
        let Some(action) = self.part.answered(answer) else {
            return;
        };
        self.tells.tell(&action);
        (self.told)(&Happened::Acted(&action));
        if let Some(error) = self.tells.why() {
            (self.told)(&Happened::Untold(&error));
        }
    }

    /// A beat is missed, with all that have come since: which was the last of them.
    fn missed(&mut self, beat: i64, why: Why, now_ns: u64) -> i64 {
        let (beats, last) = self.tempo.passed(beat, self.every, now_ns);
        let missed = self.part.missed(beat, beats, why);
        (self.told)(&Happened::Missed(&missed));
        last
    }

    async fn end(mut self, ended: Ended) -> Summary {
        let (told, untold) = self.tells.end().await;
        if let Some(error) = self.tells.why() {
            (self.told)(&Happened::Untold(&error));
        }
        Summary {
            ended,
            told,
            untold,
            ..self.part.summary()
        }
    }
}

fn no_beat() -> ClientError {
    ClientError::Usage("no beat comes any more: the tempo ends there".to_owned())
}
