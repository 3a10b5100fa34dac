//! Reading the folds as of a stamp.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use unisono_model::{Action, AgentId, Digest, Place, Setting, Stamp, TaskStatus, wire};

use super::Folds;
use super::claims::{Holding, Loser, Rules, TopicState};
use super::course::Now;
use super::horizon::Horizon;
use super::tasks::{Circles, When};
use super::view::{
    AgentView, ClaimStatus, ClaimView, FenceView, IncidentView, MarkView, PresenceView, RootView,
    RotationView, StateView, TaskView, TokenView, TrustView, VoidedView,
};

mod files;
mod sense;

pub use sense::{SenseAfter, SignalsWanted};

/// Which claims are wanted. By default all.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClaimsWanted {
    /// Only of this topic.
    pub topic: Option<String>,
    /// Only those of the agents of this name.
    pub holder: Option<String>,
    /// Start after this topic.
    pub after: Option<String>,
    /// At most so many; all if left out.
    pub limit: Option<usize>,
}

impl ClaimsWanted {
    /// The claim on one topic.
    pub fn on(topic: impl Into<String>) -> Self {
        Self {
            topic: Some(topic.into()),
            ..Self::default()
        }
    }
}

/// A reading: the folds, a stamp, and what the members have said.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// What is read.
    pub folds: &'a Folds,
    /// As of when.
    pub at: Stamp,
    /// What is settled.
    pub horizon: &'a Horizon,
    /// How claims are folded.
    pub rules: Rules<'a>,
}

impl Reading<'_> {
    /// The current iteration.
    pub fn iteration(&self) -> u32 {
        self.folds.course.iteration(self.at)
    }

    /// The current iteration, and when it began.
    pub fn now(&self) -> Now {
        self.folds.course.now(self.at)
    }

    /// As of when tasks are read, and what is done about values that were written at once.
    pub fn when(&self) -> When {
        When {
            at: self.at,
            strategies: self.folds.course.strategies(self.at),
        }
    }

    /// A setting.
    pub fn setting(&self, setting: Setting) -> u64 {
        self.folds.course.setting(setting, self.at)
    }

    /// The orchestra in numbers.
    pub fn state(&self) -> StateView {
        let iteration = self.iteration();
        let (tasks, task_conflicts) = self.folds.tasks.count(self.when());
        let topics = self.folds.claims.topics().map(|topic| self.topic(topic));
        let (claims, contested) = topics
            .filter(|topic| topic.holding.is_some())
            .fold((0, 0), |(held, contested), topic| {
                (held + 1, contested + u64::from(!topic.token_valid()))
            });
        let counts = &self.folds.counts;
        // Records are counted as they come: those that came after this moment are taken off again.
        let later = self.folds.agents.actions_after(self.at);
        StateView {
            name: self.folds.name.clone(),
            run: self.setting(Setting::Run),
            iteration,
            phase: self.folds.course.phase(iteration, self.at),
            agents: self.folds.agents.all(self.at).count() as u64,
            signals: self.signals_count(),
            claims,
            contested,
            tasks,
            task_conflicts,
            marks: self.folds.agents.marks_count(self.at),
            records: counts.valid.saturating_sub(later),
            pending: self.folds.pending_at(self.at),
            void: counts
                .void
                .saturating_sub(self.folds.trust.voided_after(self.at)),
            set_aside: counts.set_aside,
            key_conflicts: self.folds.once.conflicts(self.at),
        }
    }

    /// Who is enrolled.
    pub fn agents(&self) -> Vec<AgentView> {
        let agents = self.folds.agents.all(self.at);
        let turns = self.folds.trust.laws().turns();
        agents
            .map(|(agent, state)| AgentView {
                agent,
                key: turns.latest(agent, Place::end_of(self.at)),
                name: state.enrol.name.clone(),
                role: state.enrol.role.clone(),
                kind: state.enrol.kind,
                held: state.held,
                since: state.since,
            })
            .collect()
    }

    /// What rights stand, and what they have refused.
    pub fn trust(&self) -> TrustView {
        let trust = &self.folds.trust;
        let name = |agent: &AgentId| self.folds.name_of(agent);
        let seen = Place::end_of(self.at);
        let fences = trust.laws().fences();
        let voided = trust.voided(self.at);
        let incidents = trust.incidents(self.at);
        let mut heeded = trust.heeds().by(self.at);
        TrustView {
            guarded_from: trust.laws().guarded_from().filter(|from| *from <= seen),
            tokens: self.tokens(),
            fences: fences
                .into_iter()
                .filter(|(place, _)| *place <= seen)
                .map(|(place, fencing)| FenceView {
                    place,
                    by: fencing.by,
                    by_root: fencing.by_root,
                    fence: fencing.fence.clone(),
                })
                .collect(),
            rotations: self.rotations(),
            roots: self.roots(),
            voided: voided
                .map(|(place, one)| VoidedView {
                    place,
                    agent: one.agent,
                    name: name(&one.agent),
                    deed: one.deed.clone(),
                    rule: one.rule.clone(),
                    detail: one.detail.clone(),
                })
                .collect(),
            incidents: incidents
                .map(|(place, node, incident)| IncidentView {
                    place,
                    node,
                    name: name(&incident.agent),
                    incident: incident.clone(),
                    acknowledged_by: {
                        let by = heeded.remove(&place.record).unwrap_or_default();
                        by.into_iter().collect()
                    },
                })
                .collect(),
        }
    }

    fn roots(&self) -> Vec<RootView> {
        let roots = self.folds.trust.laws().roots();
        let words = roots.all().map(|word| RootView {
            word: *word,
            until_ms: roots.end_ms(word.number),
        });
        words.collect()
    }

    fn rotations(&self) -> Vec<RotationView> {
        let turns = self.folds.trust.laws().turns();
        let seen = Place::end_of(self.at);
        turns
            .all()
            .filter(|turn| turn.place <= seen)
            .map(|turn| RotationView {
                place: turn.place,
                agent: turns.identity(turn.former),
                name: self.folds.name_of(&turn.former),
                former: turn.former,
                next: turn.next,
            })
            .collect()
    }

    fn tokens(&self) -> Vec<TokenView> {
        let trust = &self.folds.trust;
        let tokens = trust.tokens();
        tokens
            .filter(|token| trust.is_laid(&token.id(), self.at))
            .map(|token| {
                let leaf = token.leaf();
                let links = token.links().iter();
                TokenView {
                    token: token.id(),
                    agent: leaf.audience,
                    name: self.folds.name_of(&leaf.audience),
                    tier: leaf.tier.word().into(),
                    not_before_ms: leaf.not_before_ms,
                    expires_ms: leaf.expires_ms,
                    renew_until_ms: leaf.renew_until_ms,
                    renewed_by: token.renewed().map(|renewed| renewed.renewer),
                    issuers: links.map(|(_, link)| link.issuer).collect(),
                    operations: leaf.may.operations.words().collect(),
                    fenced: trust.laws().ends(token, self.at),
                }
            })
            .collect()
    }

    /// How the agents are.
    pub fn presences(&self) -> Vec<PresenceView> {
        let iteration = self.iteration();
        let stale_ms = self.setting(Setting::PresenceStaleMs);
        let agents = self.folds.agents.all(self.at);
        agents
            .map(|(agent, state)| PresenceView {
                agent,
                name: state.enrol.name.clone(),
                role: state.enrol.role.clone(),
                status: state
                    .presence
                    .map_or(unisono_model::Status::Idle, |p| p.status),
                intent: state
                    .presence
                    .map_or_else(String::new, |p| p.intent.clone()),
                focus: state.presence.map_or_else(String::new, |p| p.focus.clone()),
                last_action: state.last_action,
                stale: state.last_action.plus_ms(stale_ms) < self.at,
                contributions: self.folds.agents.marks_in(&agent, iteration, self.at),
            })
            .collect()
    }

    /// The agents of a name: one, but by custom only.
    pub fn named(&self, name: &str) -> BTreeSet<AgentId> {
        let agents = self.folds.agents.all(self.at);
        agents
            .filter(|(_, state)| state.enrol.name == name)
            .map(|(agent, _)| agent)
            .collect()
    }

    /// Who holds what, by name of the topic.
    pub fn claims(&self, wanted: &ClaimsWanted) -> Vec<ClaimView> {
        let holders = wanted.holder.as_deref().map(|name| self.named(name));
        let one = wanted.topic.as_deref();
        let all = one.is_none().then(|| {
            let after = wanted.after.as_deref();
            self.folds.claims.topics_after(after)
        });
        let topics = one.into_iter().chain(all.into_iter().flatten());
        let held = topics.filter_map(|topic| self.claim_on(topic));
        let held = held.filter(|claim| {
            let of = |agents: &BTreeSet<AgentId>| agents.contains(&claim.agent);
            holders.as_ref().is_none_or(of)
        });
        held.take(wanted.limit.unwrap_or(usize::MAX)).collect()
    }

    /// Who holds a topic.
    pub fn claim_on(&self, topic: &str) -> Option<ClaimView> {
        let state = self.topic(topic);
        let holding = state.holding?;
        Some(self.holding(topic, &state, &holding))
    }

    /// The state of one topic.
    pub fn topic(&self, topic: &str) -> TopicState {
        self.folds.claims.read(topic, self.at, &self.rules)
    }

    /// What became of one claim.
    pub fn claim(&self, topic: &str, claim: Place, agent: AgentId) -> ClaimView {
        let state = self.topic(topic);
        if let Some(holding) = &state.holding
            && holding.claim == claim
        {
            return self.holding(topic, &state, holding);
        }
        let lost = state.losers.iter().find(|loser| loser.claim == claim);
        let mut view = self.ended(topic, claim, agent);
        if let Some(Loser { until, .. }) = lost {
            view.status = ClaimStatus::Lost;
            view.until = *until;
        }
        view.held_by = state
            .holding
            .map(|held| (self.folds.agents.name(&held.agent), held.until));
        view
    }

    fn ended(&self, topic: &str, claim: Place, agent: AgentId) -> ClaimView {
        ClaimView {
            topic: topic.into(),
            claim,
            agent,
            name: self.folds.agents.name(&agent),
            status: ClaimStatus::Ended,
            token: claim.stamp,
            token_valid: false,
            until: claim.stamp,
            losers: Vec::new(),
            held_by: None,
        }
    }

    fn holding(&self, topic: &str, state: &TopicState, holding: &Holding) -> ClaimView {
        let settled =
            self.horizon.settled(holding.claim.stamp) && self.horizon.settled(holding.token.stamp);
        ClaimView {
            topic: topic.into(),
            claim: holding.claim,
            agent: holding.agent,
            name: self.folds.agents.name(&holding.agent),
            status: if settled {
                ClaimStatus::Confirmed
            } else {
                ClaimStatus::Provisional
            },
            token: holding.token.stamp,
            token_valid: state.token_valid(),
            until: holding.until,
            losers: state
                .losers
                .iter()
                .map(|loser| (loser.claim, loser.agent))
                .collect(),
            held_by: None,
        }
    }

    /// Tasks by name, after a name, in a state.
    pub fn tasks(
        &self,
        status: Option<TaskStatus>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<TaskView> {
        let when = self.when();
        let circular = self.folds.tasks.circular(when);
        let names = self.folds.tasks.names_after(after);
        names
            .filter(|name| status.is_none() || self.folds.tasks.status(name, when) == status)
            .filter_map(|name| self.folds.tasks.read(name, when, &circular))
            .take(limit)
            .collect()
    }

    /// One task.
    pub fn task(&self, name: &str) -> Option<TaskView> {
        let circular = self.folds.tasks.circular(self.when());
        self.folds.tasks.read(name, self.when(), &circular)
    }

    /// The latest marks.
    pub fn marks(&self, limit: usize) -> Vec<MarkView> {
        let marks = self.folds.agents.marks(self.at).take(limit);
        marks
            .map(|(place, witnessed)| MarkView {
                place,
                agent: witnessed.agent,
                name: self.folds.agents.name(&witnessed.agent),
                about: witnessed.mark.about.clone(),
                text: witnessed.mark.text.clone(),
                reasoning: witnessed.mark.reasoning.clone(),
                tags: witnessed.mark.tags.clone(),
                iteration: witnessed.iteration,
            })
            .collect()
    }

    /// The digest of all that can be seen at this stamp. What depends on how far this node knows
    /// (provisional or confirmed, pending, pruned) is left out: equal records, equal digest.
    pub fn digest(&self) -> Digest {
        let mut hash = Hash::new();
        hash.add(&self.iteration());
        hash.add(&self.folds.course.settings(self.at));
        for view in self.presences() {
            hash.add(&view);
        }
        for view in self.agents() {
            hash.add(&view);
        }
        for view in self.sense(&SignalsWanted::default()) {
            hash.add(&view);
        }
        for topic in self.folds.claims.topics() {
            let state = self.topic(topic);
            if state.holding.is_some() || !state.losers.is_empty() {
                hash.add(&(topic, state.holding, &state.losers, state.token_valid()));
            }
        }
        let (none, when) = (Circles::new(), self.when());
        for name in self.folds.tasks.names_after(None) {
            hash.add(&self.folds.tasks.read(name, when, &none));
        }
        hash.add(&self.folds.tasks.circular(when));
        self.hash_interferences(&mut hash);
        hash.add(&self.folds.agents.marks_count(self.at));
        for (agent, state) in self.folds.agents.all(self.at) {
            hash.add(&(agent, state.seen));
        }
        let heeded = self.folds.trust.heeds().by(self.at);
        for (place, ..) in self.folds.trust.incidents(self.at) {
            hash.add(&(place, heeded.get(&place.record)));
        }
        hash.add(&self.plan());
        for path in self.folds.files.paths_after(None) {
            hash.add(&self.file(path));
        }
        for about in self.folds.approvals.tasks() {
            hash.add(&self.approvals(about));
        }
        self.add_together(&mut hash);
        self.add_lessons(&mut hash);
        for (agent, _) in self.folds.agents.all(self.at) {
            for touch in self.folds.lately.of(&agent, self.at) {
                hash.add(&(agent, touch));
            }
        }
        hash.add(&self.folds.once.conflicts(self.at));
        for rollback in self.folds.rollbacks.told(self.at) {
            hash.add(&rollback);
        }
        hash.finish()
    }

    /// What stands for a topic's claim when somebody names none: theirs.
    pub fn own_claim(&self, topic: &str, agent: AgentId) -> Option<Digest> {
        let state = self.topic(topic);
        if let Some(holding) = state.holding
            && holding.agent == agent
        {
            return Some(holding.claim.record);
        }
        let lost = state.losers.iter().find(|loser| loser.agent == agent);
        lost.map(|loser| loser.claim.record)
    }

    /// The topic of a claim action, for answers.
    pub fn claim_of(&self, action: &Action, place: Place, agent: AgentId) -> Option<ClaimView> {
        match action {
            Action::Claim { topic, .. } => Some(self.claim(topic, place, agent)),
            Action::Renew { topic, .. } => {
                let state = self.topic(topic);
                match &state.holding {
                    Some(holding) if holding.token == place => {
                        Some(self.holding(topic, &state, holding))
                    }
                    _ => Some(self.claim(topic, place, agent)),
                }
            }
            _ => None,
        }
    }
}

/// The digest of all that is added: however much that is, little of it is in memory at a time.
pub(super) struct Hash {
    hasher: blake3::Hasher,
    waiting: Vec<u8>,
}

/// How much is hashed at once (bytes).
const PIECE_BYTES: usize = 64 * 1024;

impl Hash {
    fn new() -> Self {
        Self {
            hasher: blake3::Hasher::new_derive_key("unisono/views/v1"),
            waiting: Vec::new(),
        }
    }

    pub(super) fn add<T: Serialize>(&mut self, value: &T) {
        self.waiting = wire::encode_onto(value, core::mem::take(&mut self.waiting));
        if self.waiting.len() >= PIECE_BYTES {
            self.hasher.update(&self.waiting);
            self.waiting.clear();
        }
    }

    fn finish(mut self) -> Digest {
        self.hasher.update(&self.waiting);
        Digest(*self.hasher.finalize().as_bytes())
    }
}
