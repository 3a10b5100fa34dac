//! The judges ask the nodes, now and then, through the same door as everybody.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::node::{Answer, AnswerBody, Promise, Question};
use unisono_core::orchestra::view::{
    AgentView, BriefView, ClaimsWanted, DecisionsWanted, HashView, LeadsOf, SignalsWanted,
    StatusView, TaskView, TrustView, View,
};
use unisono_model::{Digest, OrchestraId, Stamp};

use super::{Event, MS, SECOND, World};
use crate::agents::{Letter, Request};
use crate::checks::{Apart, Bounds, Learned, Score, Shown, Who, Written, agrees};
use crate::clock::EPOCH_NS;

impl World {
    /// The stamp of a true time.
    pub(super) fn stamp_at(now: u64) -> Stamp {
        Stamp::from_ns(EPOCH_NS + now)
    }

    /// Asks a node something, and takes the answer if it comes at once.
    pub(super) fn ask(
        &mut self,
        host: usize,
        orchestra: OrchestraId,
        question: Question,
        as_of: Option<Stamp>,
    ) -> Option<Answer> {
        if !self.hosts[host].is_awake() {
            return None;
        }
        let request = Request::Ask(question, as_of);
        let promise = Promise {
            deadline_ms: 1_000,
            ..Promise::default()
        };
        let letter = Letter {
            host,
            orchestra,
            request,
            promise,
            lie: false,
            forked: None,
            made_at: None,
        };
        self.heard_by_judge = None;
        self.hand_in(letter, Who::Judge);
        self.heard_by_judge.take()?.ok()
    }

    pub(super) fn view(
        &mut self,
        host: usize,
        place: OrchestraId,
        q: Question,
        at: Option<Stamp>,
    ) -> Option<View> {
        match self.ask(host, place, q, at)?.body {
            AnswerBody::View(view) => Some(view),
            AnswerBody::Recorded(_)
            | AnswerBody::Opened
            | AnswerBody::Edited
            | AnswerBody::Left { .. } => None,
        }
    }

    pub(super) fn hash(&mut self, host: usize, place: OrchestraId, at: Stamp) -> Option<HashView> {
        let answer = self.ask(host, place, Question::Hash, Some(at))?;
        match answer.body {
            AnswerBody::View(View::Hash(hash)) if answer.as_of == at => Some(hash),
            _ => None,
        }
    }

    pub(super) fn status(&mut self, host: usize) -> Option<StatusView> {
        match self.view(host, self.home, Question::Status, None)? {
            View::Status(status) => Some(status),
            _ => None,
        }
    }

    /// What a node says about rights at a stamp.
    pub(super) fn trust(
        &mut self,
        host: usize,
        place: OrchestraId,
        at: Stamp,
    ) -> Option<TrustView> {
        match self.view(host, place, Question::Trust, Some(at))? {
            View::Trust(trust) => Some(trust),
            _ => None,
        }
    }

    /// The notes and the configuration that a node shows.
    pub(super) fn notes_of(&mut self, host: usize, place: OrchestraId) -> Option<Written> {
        let View::Notes(names) = self.view(host, place, Question::Notes, None)? else {
            return None;
        };
        let mut notes = Vec::new();
        for name in names {
            let View::Note(note) = self.view(host, place, Question::Note(name), None)? else {
                return None;
            };
            notes.push((note.name, note.text));
        }
        let View::Config(config) = self.view(host, place, Question::Config, None)? else {
            return None;
        };
        Some(Written { notes, config })
    }

    /// Everything that a node shows of an orchestra at a stamp.
    pub(super) fn shown(&mut self, host: usize, place: OrchestraId, at: Stamp) -> Option<Shown> {
        let at = Some(at);
        let hash = self.hash(host, place, at?)?;
        let View::State(state) = self.view(host, place, Question::State, at)? else {
            return None;
        };
        let all = Question::Claims(ClaimsWanted::default());
        let View::Claims(claims) = self.view(host, place, all, at)? else {
            return None;
        };
        let all = Question::Sense(SignalsWanted::default());
        let View::Signals(signals) = self.view(host, place, all, at)? else {
            return None;
        };
        let all = Question::Files {
            after: None,
            limit: 1_000,
        };
        let View::Files(files) = self.view(host, place, all, at)? else {
            return None;
        };
        let tasks = self.all_tasks(host, place, at);
        let score = self.score(host, place, at)?;
        let learned = self.learned(host, place, at)?;
        let apart = self.apart(host, place, at?)?;
        Some(Shown {
            hash,
            state,
            claims,
            tasks,
            files,
            signals,
            score,
            learned,
            apart,
        })
    }

    /// How far agents have come apart at a stamp, and what each is told.
    pub(super) fn apart(&mut self, host: usize, place: OrchestraId, at: Stamp) -> Option<Apart> {
        let at = Some(at);
        let View::Agents(agents) = self.view(host, place, Question::Agents, at)? else {
            return None;
        };
        let View::Coherence(coherence) = self.view(host, place, Question::Coherence, at)? else {
            return None;
        };
        let briefs = self.briefs(host, place, &agents, at)?;
        Some(Apart {
            agents,
            coherence,
            briefs,
        })
    }

    fn briefs(
        &mut self,
        host: usize,
        place: OrchestraId,
        agents: &[AgentView],
        at: Option<Stamp>,
    ) -> Option<Vec<BriefView>> {
        let names: BTreeSet<&String> = agents.iter().map(|view| &view.name).collect();
        let mut briefs = Vec::new();
        for agent in names.into_iter().cloned() {
            let question = Question::Continue { agent, since: None };
            let View::Continue(brief) = self.view(host, place, question, at)? else {
                return None;
            };
            briefs.push(brief);
        }
        Some(briefs)
    }

    fn score(&mut self, host: usize, place: OrchestraId, at: Option<Stamp>) -> Option<Score> {
        let View::Tempo(tempo) = self.view(host, place, Question::Tempo, at)? else {
            return None;
        };
        let View::Barriers(barriers) = self.view(host, place, Question::Barriers, at)? else {
            return None;
        };
        let View::Cues(cues) = self.view(host, place, Question::Cues, at)? else {
            return None;
        };
        let leads = Question::Leads {
            of: LeadsOf::Everybody,
            share_ppm: None,
            limit: usize::MAX,
        };
        let View::Leads(leads) = self.view(host, place, leads, at)? else {
            return None;
        };
        let View::Players(players) = self.view(host, place, Question::Players, at)? else {
            return None;
        };
        Some(Score {
            tempo,
            barriers,
            cues,
            leads,
            players,
        })
    }

    fn learned(&mut self, host: usize, place: OrchestraId, at: Option<Stamp>) -> Option<Learned> {
        let all = Question::Decisions(DecisionsWanted {
            all: true,
            limit: usize::MAX,
            ..DecisionsWanted::default()
        });
        let View::Decisions(decisions) = self.view(host, place, all, at)? else {
            return None;
        };
        let all = Question::Remedies { limit: usize::MAX };
        let View::Remedies(remedies) = self.view(host, place, all, at)? else {
            return None;
        };
        Some(Learned {
            decisions,
            remedies,
        })
    }

    fn all_tasks(&mut self, host: usize, place: OrchestraId, at: Option<Stamp>) -> Vec<TaskView> {
        let mut tasks: Vec<TaskView> = Vec::new();
        loop {
            let after = tasks.last().map(|task| task.task.clone());
            let question = Question::Tasks {
                status: None,
                after,
                limit: 200,
            };
            match self.view(host, place, question, at) {
                Some(View::Tasks(page)) if !page.is_empty() => tasks.extend(page),
                _ => return tasks,
            }
        }
    }

    pub(super) fn checkpoint(&mut self) {
        if self.healed {
            return;
        }
        self.trace.event(self.now, "checkpoint", 0, &[]);
        for host in 0..self.scenario.nodes {
            if self.hosts[host].is_awake() && !self.lies(host) {
                self.look_after(host);
                self.ask(
                    host,
                    self.workplace,
                    Question::Claims(ClaimsWanted::default()),
                    None,
                );
            }
        }
        self.compare_all();
        let next = self.now + self.scenario.checkpoint_s * SECOND;
        self.push(next, Event::Checkpoint);
    }

    /// Nodes that hold the same must show the same.
    pub(super) fn compare_all(&mut self) {
        if self.healed {
            return;
        }
        // A second and a half ago: nobody's honest clock is further behind.
        let at = Self::stamp_at(self.now.saturating_sub(1_500 * MS));
        self.compare(self.workplace, at);
        self.compare(self.home, at);
    }

    /// One node's queues, debts and members.
    pub(super) fn look_after(&mut self, host: usize) {
        let now = self.now;
        let monotonic = self.hosts[host].clock.monotonic_ns(now);
        let verdict = self.checks.progress.check(host, monotonic);
        self.checks.say(now, "I12", verdict);
        let Some(status) = self.status(host) else {
            return;
        };
        let life = self.hosts[host].life;
        let verdict = self.checks.membership.shown(host, life, &status.members);
        self.checks.say(now, "I9", verdict);
        if !self.plan.succeeds() {
            let verdict = self.checks.joins.shown(host, life, &status.members);
            self.checks.say(now, "I9", verdict);
        }
        // The question itself may still count as waiting.
        let open = self.checks.progress.open_at(host) + 1;
        self.checks
            .say(now, "I10", Bounds::waiting(host, status.waiting, open));
        if status.counters.repairs_served > 0 {
            self.counters.add("gap repaired");
        }
    }

    /// Nodes that hold the same must show the same.
    pub(super) fn compare(&mut self, place: OrchestraId, at: Stamp) -> usize {
        let mut seen: BTreeMap<Digest, (usize, HashView)> = BTreeMap::new();
        for host in 0..self.scenario.nodes {
            if self.lies(host) {
                continue;
            }
            let Some(hash) = self.hash(host, place, at) else {
                continue;
            };
            match seen.get(&hash.vector) {
                None => {
                    seen.insert(hash.vector, (host, hash));
                }
                Some((other, known)) => {
                    let verdict = agrees(known, &hash);
                    let other = *other;
                    self.counters.add("replicas compared");
                    if verdict.is_err() {
                        self.trace_views(other, place, at);
                        self.trace_views(host, place, at);
                    }
                    self.checks.say(
                        self.now,
                        "I1",
                        verdict.map_err(|why| format!("machines {other} and {host}: {why}")),
                    );
                }
            }
        }
        seen.len()
    }

    /// Writes into the trace what a node shows: a hash alone says that two differ, not in what.
    fn trace_views(&mut self, host: usize, place: OrchestraId, at: Stamp) {
        let topics = Question::Claims(ClaimsWanted::default());
        for question in [Question::State, topics, Question::Presences] {
            let view = self.view(host, place, question, Some(at));
            self.trace.say(self.now, host, || format!("shows {view:?}"));
        }
    }
}
