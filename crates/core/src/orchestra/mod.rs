//! One orchestra: which records count, and what they come to.
//!
//! A fold is `insert(record)` into a commutative, idempotent accumulator, and `read(T)`. It reads no
//! configuration and no clock.

pub mod agents;
pub mod approvals;
pub mod authorities;
pub mod brief;
pub mod claims;
pub mod coherence;
mod confirming;
pub mod conflict;
pub mod course;
mod cueing;
pub mod explain;
pub mod expulsions;
pub mod fact;
pub mod files;
mod footing;
pub mod horizon;
pub mod interference;
pub mod invites;
mod judging;
pub mod lately;
mod leads;
pub mod leaves;
pub mod lessons;
pub mod limits;
pub mod members;
pub mod once;
mod performing;
pub mod plans;
mod profiles;
mod read;
pub mod rollbacks;
mod rules;
mod score;
pub mod signals;
pub mod tasks;
pub mod together;
pub mod trust;
mod unseen;
mod using;
pub mod view;
pub mod views;
pub mod voices;
mod waiting;
pub mod window;

use alloc::borrow::Cow;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, OrchestraId, Reviewed, Stamp};

use agents::Agents;
use approvals::{Approvals, Standing as Stands};
use claims::Claims;
use course::Course;
use fact::Fact;
use files::Files;
use interference::Interference;
use lately::Lately;
use lessons::Lessons;
use members::{Footing, Members};
use once::{Kept, Once, Standing};
use plans::Plans;
use rollbacks::Rollbacks;
use signals::Signals;
use tasks::Tasks;
use together::Together;
use trust::{Awaited, Trust, Verdict};
use waiting::Waiting;
pub use window::READABLE_RECORDS_MAX;
use window::Window;

pub use read::Reading;
pub use rules::FoldRules;

/// Most records that wait in memory for their agent's enrolment or token; beyond these the orchestra
/// is folded again when one arrives.
pub const PENDING_MAX: usize = 10_000;

/// All accumulators of an orchestra.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Folds {
    pub(crate) agents: Agents,
    pub(crate) course: Course,
    pub(crate) signals: Signals,
    pub(crate) claims: Claims,
    pub(crate) tasks: Tasks,
    pub(crate) once: Once,
    pub(crate) members: Members,
    pub(crate) trust: Trust,
    pub(crate) plans: Plans,
    pub(crate) files: Files,
    pub(crate) approvals: Approvals,
    pub(crate) interference: Interference,
    pub(crate) together: Together,
    pub(crate) lessons: Lessons,
    pub(crate) lately: Lately,
    pub(crate) rollbacks: Rollbacks,
    /// Which orchestra: rights may be for one alone.
    id: OrchestraId,
    /// The orchestra's name, once anybody has said it.
    pub(crate) name: String,
    counts: Counts,
    /// Records that refer to something which is not held yet.
    waiting: Waiting,
    /// Up to here the past is folded into bases.
    pruned: Stamp,
    /// Who took part when it was.
    footing: Footing,
    /// The same as it was compared last: most batches change nothing about it.
    #[serde(skip)]
    stood_on: Option<Arc<Footing>>,
    /// Why everything has to be folded again, if it has.
    upset: bool,
    /// How many records lie how far back.
    #[serde(skip)]
    window: Window,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Counts {
    valid: u64,
    void: u64,
    repeats: u64,
    set_aside: u64,
}

impl Folds {
    /// Empty folds of an orchestra.
    pub fn new(id: OrchestraId) -> Self {
        Self {
            id,
            ..Self::default()
        }
    }

    /// The orchestra.
    pub fn id(&self) -> OrchestraId {
        self.id
    }

    /// Empty folds that already know what these have come to know and verdicts rest on: for folding
    /// the logs again.
    pub fn again(&self) -> Self {
        self.again_as_of(Stamp::MAX)
    }

    /// The same, for folding what the logs say up to a stamp: what was rolled back later counted
    /// then.
    pub fn again_as_of(&self, at: Stamp) -> Self {
        Self {
            trust: Trust::under(self.trust.laws().clone()),
            once: Once::after(&self.once),
            rollbacks: Rollbacks::after(&self.rollbacks, at),
            // The node says it, no record that is folded.
            name: self.name.clone(),
            ..Self::new(self.id)
        }
    }

    /// Lets rollbacks count whose time has come: one from a clock that is ahead waits for it.
    pub fn ripen(&mut self, now: Stamp) {
        self.upset |= self.rollbacks.ripen(now);
    }

    /// Takes in a record whose signature and chain are good.
    pub fn insert(&mut self, fact: Fact, rules: &FoldRules) {
        self.take(fact, rules, Part::Whole);
    }

    /// Takes in what a record says about rights, and nothing else: it is from after the past that is
    /// folded, but verdicts rest on all that is held.
    pub fn foresee(&mut self, fact: Fact, rules: &FoldRules) {
        self.take(fact, rules, Part::Rights);
    }

    fn take(&mut self, fact: Fact, rules: &FoldRules, part: Part) {
        let mut facts = VecDeque::from([(fact, part)]);
        while let Some((fact, part)) = facts.pop_front() {
            self.upset |= self.trust.witness(self.id, &fact, rules);
            let lesson = match self.trust.judge(self.id, &fact, rules) {
                Verdict::Counts(lesson) => lesson,
                Verdict::Awaits(awaited) if part == Part::Whole => {
                    self.wait(awaited, fact);
                    continue;
                }
                Verdict::Void(why) if part == Part::Whole => {
                    self.counts.void += 1;
                    self.trust.void(&fact, why);
                    if rules.sabotage.policy_after_apply {
                        self.files.insert(&fact);
                    }
                    continue;
                }
                Verdict::Awaits(_) | Verdict::Void(_) => continue,
            };
            if part == Part::Whole {
                self.trust.note_use(&fact, rules);
                self.count(&self.by_agent(&fact), rules);
            }
            let mut learned = self.trust.learn(&fact, lesson);
            self.upset |= learned.upset;
            if learned.ended {
                // What waits may wait in vain: it is looked at again.
                learned.arrived.extend(self.waiting.awaited());
                self.upset |= self.trust.ends_what_waits(&fact, &self.waiting);
                // From down there it may end tokens that are forgotten.
                let fences = matches!(fact.body.action, Action::Fence(_));
                self.upset |= fences && fact.place.stamp <= self.pruned;
            }
            for awaited in learned.arrived {
                self.upset |= self.waiting.is_aside(&awaited);
                let waiting = self.waiting.take(&awaited);
                facts.extend(waiting.into_iter().map(|fact| (fact, Part::Whole)));
            }
        }
    }

    /// A record as its agent's, whichever of its keys has signed: folds know an agent by the first.
    fn by_agent<'a>(&self, fact: &'a Fact) -> Cow<'a, Fact> {
        let agent = self.trust.laws().turns().identity(fact.agent);
        if agent == fact.agent {
            return Cow::Borrowed(fact);
        }
        let fact = fact.clone();
        Cow::Owned(Fact { agent, ..fact })
    }

    /// The agent that a key signs for: its first key, for which all views name it.
    pub fn identity(&self, key: &AgentId) -> AgentId {
        self.trust.laws().turns().identity(*key)
    }

    /// Whether a key is an agent's that is enrolled here.
    pub fn is_enrolled(&self, key: &AgentId) -> bool {
        self.agents.is_enrolled(&self.identity(key))
    }

    /// The name of the agent that a key signs for, or the beginning of the key.
    pub fn name_of(&self, key: &AgentId) -> String {
        self.agents.name(&self.identity(key))
    }

    fn wait(&mut self, awaited: Awaited, fact: Fact) {
        if let Awaited::Token(id) = awaited
            && self.trust.has_forgotten(&id)
        {
            // The logs have it.
            self.upset = true;
        }
        self.waiting.insert(awaited, fact);
    }

    /// What a checkpoint keeps.
    pub fn to_save(&self) -> Self {
        let mut saved = self.clone();
        saved.waiting.set_aside(Stamp::MAX);
        saved
    }

    /// After a walk over whole logs: where verdicts were given by other knowledge than what the walk
    /// has seen, or something upset it that it did not know of when it began, everything has to be
    /// folded again. What upset it although it did know would do so in every other walk, too: that
    /// one is not made, or a single contradiction in the rules would keep a node walking for ever.
    pub fn settle(&mut self) {
        let learned =
            self.trust.has_learned() || self.once.has_learned() || self.rollbacks.has_learned();
        let trust = self.trust.settle();
        let once = self.once.settle();
        let rollbacks = self.rollbacks.settle();
        self.upset = trust || once || rollbacks || (self.upset && learned);
    }

    fn count(&mut self, fact: &Fact, rules: &FoldRules) {
        let standing = match self.once.insert(fact) {
            _ if rules.sabotage.key_forgotten => Standing::Counts,
            standing => standing,
        };
        match standing {
            Standing::Counts => {}
            Standing::Repeats => {
                self.counts.repeats += 1;
                return;
            }
            Standing::Replaces(former) => {
                self.counts.repeats += 1;
                // What is folded into a base cannot be taken out of it.
                self.upset |= former.place.stamp <= self.pruned;
                self.retract(fact.agent, former, &fact.body.action);
            }
            Standing::Upsets => self.upset = true,
        }
        self.counts.valid += 1;
        let late = fact.place.stamp <= self.pruned;
        if late && rules.sabotage.checkpoint_kept {
            // Planted: what is folded stands, whoever comes late to it.
            return;
        }
        self.window.insert(fact.place.stamp);
        let others = self.rollbacks.insert(fact, rules.sabotage);
        self.upset |= others && !rules.sabotage.rollback_by_arrival;
        if fact.body.action.is_revertible() {
            let (place, log) = (fact.place, &fact.log);
            if self.rollbacks.set_aside(place, log, fact.bundle).is_some() {
                self.counts.valid -= 1;
                self.counts.set_aside += 1;
                self.agents.insert(fact, rules.sabotage);
                return;
            }
            self.rollbacks.note(*log, place.stamp);
        }
        self.agents.insert(fact, rules.sabotage);
        self.course.insert(fact, rules.sabotage);
        self.signals.insert(fact);
        self.upset |= late && Interference::is_upset_by(&fact.body.action);
        self.interference.insert(fact, rules.sabotage);
        self.tasks.insert(fact);
        self.plans.insert(fact);
        self.files.insert(fact);
        // What it replaced, or what replaced it, may be forgotten, and opinions of it, but the logs
        // have all of them.
        self.upset |= matches!(fact.body.action, Action::Write(_) | Action::Task(_))
            && self.approvals.concern(&fact.body.action)
            && fact.place.stamp <= self.pruned;
        if matches!(
            fact.body.action,
            Action::Write(_) | Action::Task(_) | Action::Approve(_)
        ) {
            let hands = self.trust.hands(fact.agent, fact.body.token);
            self.approvals.insert(fact, hands);
        }
        self.lately.insert(fact, rules.sabotage);
        self.members.insert(fact, rules);
        self.upset |= self.together.insert(fact, self.pruned, rules.sabotage);
        self.upset |= self.lessons.insert(fact, self.pruned, rules.sabotage);
        if rules.sabotage.claims_by_arrival {
            self.claims.insert_by_arrival(fact);
        } else {
            self.claims.insert(fact);
        }
    }

    fn retract(&mut self, agent: AgentId, former: Kept, action: &Action) {
        let Kept {
            place, log, bundle, ..
        } = former;
        let aside = self.rollbacks.set_aside(place, &log, bundle);
        if action.is_revertible() && aside.is_some() {
            // A rollback may have come since it counted: what that sets aside is folded again.
            self.counts.set_aside = self.counts.set_aside.saturating_sub(1);
        } else {
            self.counts.valid = self.counts.valid.saturating_sub(1);
        }
        self.upset |= self.rollbacks.retract(place);
        self.agents.retract(agent, place, action);
        self.course.retract(place, action);
        self.signals.retract(place, action);
        self.interference.retract(place, action);
        self.tasks.retract(place, action);
        self.together.retract(agent, place, action);
        self.lessons.retract(place, action);
        self.lately.retract(agent, place, action);
        self.claims.retract(place, action);
        self.plans.retract(place, action);
        self.files.retract(place, action);
        self.approvals.retract(place, action);
    }

    /// What there is to be approved of a thing as of a stamp.
    pub fn standing(&self, about: &Reviewed, at: Stamp) -> Stands {
        match about {
            Reviewed::Path(path) => self.files.standing(path, at),
            Reviewed::Task(task) => {
                let last = self.tasks.last_change(task, at)?;
                Some((last, last.record))
            }
        }
    }

    /// A file that was written, moved or removed after a stamp, if there is one.
    pub fn written_after(&self, stamp: Stamp) -> Option<&str> {
        self.files.written_after(stamp)
    }

    /// A record that does not count: its signature or its chain is broken.
    pub fn insert_void(&mut self) {
        self.counts.void += 1;
    }

    /// Whether the folds have to be made again from the logs, in part or whole.
    pub fn needs_refold(&self) -> Option<Refold> {
        if self.upset {
            Some(Refold::Everything)
        } else if self.claims.dirty().is_empty() {
            None
        } else {
            Some(Refold::Topics(self.claims.dirty().clone()))
        }
    }

    /// Whether what the folds say now is not what the logs say: [`Self::needs_refold`], unnamed.
    pub fn in_doubt(&self) -> bool {
        self.upset || !self.claims.dirty().is_empty()
    }

    /// What claims were folded under.
    pub fn footing(&self) -> &Footing {
        &self.footing
    }

    /// Says that everything must be folded again: a fork took records away.
    pub fn upset(&mut self) {
        self.upset = true;
    }

    /// Says who takes part now. Claims that were folded while others did are folded again.
    pub fn stand_on(&mut self, footing: &Arc<Footing>, rules: &FoldRules) {
        let known = self.stood_on.replace(Arc::clone(footing));
        if known.is_some_and(|known| Arc::ptr_eq(&known, footing)) {
            return;
        }
        if let Some(from) = self.footing.parts_from(footing) {
            self.footing = Footing::clone(footing);
            if !rules.sabotage.checkpoint_kept {
                self.claims.distrust(from);
            }
        }
    }

    /// Takes over topics that were folded apart, after [`Refold::Topics`].
    pub fn adopt_topics(&mut self, folded: Self) {
        self.claims.reset_dirty();
        self.claims.adopt(folded.claims);
    }

    /// Drops what can no longer change or be asked for above the frontier.
    pub fn prune(&mut self, frontier: Stamp, rules: &claims::Rules<'_>) {
        if frontier <= self.pruned || self.upset {
            return;
        }
        self.pruned = frontier;
        self.waiting.set_aside(frontier);
        self.window.prune(frontier);
        let now = self.course.now(frontier);
        self.agents.prune(frontier);
        self.course.prune(frontier);
        self.signals.prune(frontier, now);
        self.interference.prune(frontier, now);
        self.claims.prune(frontier, rules);
        self.tasks.prune(frontier);
        self.once.prune(frontier);
        self.trust.prune(frontier);
        self.plans.prune(frontier);
        self.files.prune(frontier);
        let mut approvals = core::mem::take(&mut self.approvals);
        approvals.prune(frontier, |about| self.standing(about, frontier));
        self.approvals = approvals;
        self.together.prune(frontier);
        self.lessons.prune(frontier);
        self.lately.prune(frontier);
    }

    /// Below this stamp the folds cannot be read: the logs must be folded again.
    pub fn readable_from(&self) -> Stamp {
        self.pruned.max(self.rollbacks.readable_from())
    }

    /// Above this stamp stand so many records that what lies below is left to the logs.
    pub fn crowded_from(&self) -> Stamp {
        self.window.begins()
    }

    /// The stamp of the last record, and about how many can be read without the logs.
    pub fn readable(&self) -> (Stamp, u64) {
        (self.window.highest(), self.window.records())
    }

    /// Whether a frontier is above everything that was folded, and something was folded since the
    /// folds were last pruned.
    pub fn is_all_below(&self, frontier: Stamp) -> bool {
        let highest = self.window.highest();
        self.pruned < highest && highest <= frontier
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.agents.weight()
            + self.signals.weight()
            + self.interference.weight()
            + self.claims.weight()
            + self.tasks.weight()
            + self.once.weight()
            + self.trust.weight()
            + self.plans.weight()
            + self.files.weight()
            + self.approvals.weight()
            + self.together.weight()
            + self.lessons.weight()
            + self.lately.weight()
            + self.waiting.weight()
    }

    /// Fills in, per field of a task's change, what stands now: as the edge does for those who do not
    /// say what they replace.
    pub fn tasks_fill(&self, change: &mut unisono_model::TaskChange, at: Stamp) {
        self.tasks.fill_replaces(change, at);
    }

    /// Records that wait for an enrolment or a token.
    pub fn pending(&self) -> u64 {
        self.waiting.count()
    }

    /// The same, of those up to a stamp.
    pub fn pending_at(&self, at: Stamp) -> u64 {
        self.waiting.count_at(at)
    }

    /// After loading from a checkpoint whose logs go up to a stamp.
    pub fn restored(&mut self, rules: &FoldRules, highest: Stamp) {
        self.members.derive(rules);
        self.window.restored(highest);
        self.lessons.restored();
        self.interference.restored();
        self.signals.restored();
    }
}

/// How much of a record is taken in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Whole,
    Rights,
}

/// What has to be folded again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refold {
    /// All of it.
    Everything,
    /// The claims of these topics.
    Topics(BTreeSet<String>),
}
