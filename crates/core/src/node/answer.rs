//! Questions and their answers.

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use unisono_model::wire::encode;
use unisono_model::{AgentId, Code, Digest, OrchestraId, Rejection, Stamp};

use super::input::{Ask, Question};
use super::lessons::learned;
use super::output::{Answer, AnswerBody, Output};
use super::rollback::going_back;
use super::together::played;
use super::wait::Waiter;
use super::{Node, Reader, Space};
use crate::context::Context;
use crate::orchestra::Reading;
use crate::orchestra::view::{HashView, OrchestraView, SessionView, StateView, View};

impl Node {
    pub(super) fn ask(&mut self, context: &mut Context<'_>, ask: Ask, out: &mut Vec<Output>) {
        let deadline_ms = context.now_ms().saturating_add(ask.deadline_ms);
        let anywhere = matches!(ask.question, Question::Status | Question::Orchestras);
        let living = matches!(
            ask.question,
            Question::Notes | Question::Note(_) | Question::Config
        );
        let present = is_of_now(&ask.question);
        if ask.as_of.is_some() && (anywhere || living || present) {
            return Self::reject(Some(ask.ticket), only_now(), out);
        }
        // Who says nothing of themselves is not even told what has been seen here.
        let nobody = matches!(ask.reader, Reader::Stranger | Reader::Refused(_));
        if nobody && let Err(rejection) = self.check_reader(context, &ask) {
            return Self::reject(Some(ask.ticket), rejection, out);
        }
        let now = self.now(context);
        let Some(space) = self.spaces.get_mut(&ask.orchestra) else {
            if anywhere || !self.has_seen(ask.orchestra, ask.min_cursor.as_ref()) {
                return self.ask_anywhere(context, ask, out);
            }
            return Self::reject(Some(ask.ticket), unknown_orchestra(), out);
        };
        space.folds.ripen(now);
        // The documents' heads mean something once everything queued is applied.
        if matches!(ask.question, Question::Hash) {
            space.documents.pump(context.now_ms(), true);
        }
        let unsettled = matches!(ask.question, Question::Hash) && !space.is_settled();
        let ahead = living && (space.living.runs_ahead() || space.living.broken);
        let busy = space.in_doubt() || unsettled || ahead;
        if (busy && !anywhere) || !self.has_seen(ask.orchestra, ask.min_cursor.as_ref()) {
            self.fetch_documents(out);
            self.waiters.push(Waiter::Ask(ask, deadline_ms));
            return;
        }
        // Only now: the enrolment, or the token, may have been what was waited for.
        if let Err(rejection) = self.check_reader(context, &ask) {
            return Self::reject(Some(ask.ticket), rejection, out);
        }
        self.follow_cursor(context, ask.orchestra, ask.min_cursor.as_ref());
        let now = self.now(context);
        let at = ask.as_of.unwrap_or(now);
        if at > now {
            let rejection = Rejection::new(Code::CursorInvalid, "that time has not come yet");
            return Self::reject(Some(ask.ticket), rejection, out);
        }
        if let Question::Records { .. } = &ask.question {
            return self.begin_page(context, ask, out);
        }
        let readable = self
            .spaces
            .get(&ask.orchestra)
            .map(|space| space.folds.readable_from());
        if readable.is_some_and(|from| at < from) {
            return self.begin_past(context, ask, at, out);
        }
        let result = self.told(context, &ask, at, living);
        out.push(Output::Reply {
            ticket: ask.ticket,
            result,
        });
    }

    fn told(
        &mut self,
        context: &Context<'_>,
        ask: &Ask,
        at: Stamp,
        living: bool,
    ) -> Result<Answer, Rejection> {
        let horizon = self.horizon(ask.orchestra);
        let reading = self.reading(ask.orchestra, at, &horizon);
        let reading = reading.ok_or_else(unknown_orchestra)?;
        let view = self.view(context, ask, &reading)?;
        let answer = self.answer(ask.orchestra, at, &horizon, AnswerBody::View(view));
        if living {
            // These show whatever is held.
            return Ok(answer);
        }
        Ok(self.as_shown(ask.orchestra, answer, ask.min_cursor.as_ref()))
    }

    fn ask_anywhere(&mut self, context: &mut Context<'_>, ask: Ask, out: &mut Vec<Output>) {
        let view = match ask.question {
            Question::Status => View::Status(self.status(context)),
            Question::Orchestras => View::Orchestras(self.orchestras()),
            _ => {
                let deadline_ms = context.now_ms().saturating_add(ask.deadline_ms);
                self.waiters.push(Waiter::Ask(ask, deadline_ms));
                return;
            }
        };
        let at = self.now(context);
        let horizon = self.horizon(ask.orchestra);
        let answer = self.answer(ask.orchestra, at, &horizon, AnswerBody::View(view));
        out.push(Output::Reply {
            ticket: ask.ticket,
            result: Ok(answer),
        });
    }

    /// The answer to a question that the folds in memory can give.
    pub(super) fn view(
        &self,
        context: &Context<'_>,
        ask: &Ask,
        reading: &Reading<'_>,
    ) -> Result<View, Rejection> {
        let most = |limit: usize| limit.clamp(1, super::limits::PAGE_RECORDS_MAX);
        let trust = &reading.folds.trust;
        Ok(match &ask.question {
            Question::Session(agent) => View::Session(self.session(context, ask.orchestra, *agent)),
            Question::State => View::State(self.state(ask.orchestra, reading)),
            Question::Agents => View::Agents(reading.agents()),
            Question::Presences => View::Presences(reading.presences()),
            Question::Sense(wanted) => View::Signals(reading.sense(wanted)),
            Question::Interference { agent, limit } => {
                let limit = most(*limit);
                let of = agent.as_deref().map(|name| reading.named(name));
                View::Interference(reading.interferences(of.as_ref(), limit))
            }
            Question::Coherence => View::Coherence(reading.coherence()),
            Question::Explained(term) => View::Explained(reading.explained(*term)),
            Question::Continue { agent, since } => {
                let since = since.as_ref().zip(self.spaces.get(&ask.orchestra));
                let since = since.and_then(|(cursor, space)| space.unseen_from(cursor));
                View::Continue(reading.gather(agent, since))
            }
            Question::Claims(wanted) => View::Claims(reading.claims(wanted)),
            Question::Tasks {
                status,
                after,
                limit,
            } => View::Tasks(reading.tasks(*status, after.as_deref(), most(*limit))),
            Question::Task(name) => View::Task(reading.task(name).ok_or_else(|| no_task(name))?),
            Question::Marks { limit } => View::Marks(reading.marks(*limit)),
            Question::Trust => View::Trust(reading.trust()),
            Question::Alerts { agent } => self.alerts(reading, agent.as_deref())?,
            Question::Ends(node) => View::Ends(self.ends_of(node)),
            Question::Invite(invite) => View::Invite(self.invite(invite)),
            Question::Chains(target) => View::Chains(trust.chains_under(target, reading.at)),
            Question::Renewed { .. } => self.renewed(context, ask)?,
            Question::GoingBack(to) => self.would_go_back(ask, reading, *to)?,
            Question::Settings => View::Settings(reading.folds.course.settings(reading.at)),
            Question::Plan => View::Plan(reading.plan()),
            Question::Files { after, limit } => {
                View::Files(reading.files(after.as_deref(), most(*limit)))
            }
            Question::File(path) => View::File(reading.file(path)),
            Question::Approvals(about) => View::Approvals(reading.approvals(about)),
            Question::Notes | Question::Note(_) | Question::Config => {
                return self.living_view(ask);
            }
            Question::Hash => View::Hash(self.hash(ask.orchestra, reading)),
            Question::Status => View::Status(self.status(context)),
            Question::Orchestras => View::Orchestras(self.orchestras()),
            Question::Records { .. } | Question::Proof { .. } => View::Proof(None),
            Question::Tempo
            | Question::Beat
            | Question::Barriers
            | Question::Cues
            | Question::Leads { .. }
            | Question::Players
            | Question::Performing => {
                return Ok(self.compensated(played(&ask.question, reading)?));
            }
            Question::Decisions(_) | Question::Fixes { .. } | Question::Remedies { .. } => {
                return learned(&ask.question, reading);
            }
        })
    }

    fn would_go_back(
        &self,
        ask: &Ask,
        reading: &Reading<'_>,
        to: Stamp,
    ) -> Result<View, Rejection> {
        let space = self.spaces.get(&ask.orchestra);
        let would = space.map(|space| going_back(space, reading.at, to));
        Ok(View::GoingBack(would.ok_or_else(unknown_orchestra)?.into()))
    }

    fn state(&self, orchestra: OrchestraId, reading: &Reading<'_>) -> StateView {
        let mut state = reading.state();
        if let Some(space) = self.spaces.get(&orchestra) {
            state.name.clone_from(&space.folds.name);
        }
        state
    }

    fn session(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
    ) -> SessionView {
        let tip = self.chain_tip(orchestra, agent);
        let space = self.spaces.get(&orchestra);
        SessionView {
            cluster: self.config.cluster,
            orchestra,
            chain: unisono_model::ChainId {
                agent,
                log: self.me,
            },
            next_seq: tip.seq + 1,
            prev: tip.record,
            enrolled: space.is_some_and(|space| space.folds.is_enrolled(&agent)),
            succeeds: space.map_or_else(Vec::new, |space| {
                let turns = space.folds.trust.laws().turns();
                turns.before(agent).map(|turn| turn.former).collect()
            }),
            given_up_for: space.and_then(|space| {
                let turns = space.folds.trust.laws().turns();
                turns.away_from(&agent).map(|turn| turn.next)
            }),
            tier: self.bound_tier(orchestra, &agent).cloned(),
            predecessors: space.map_or_else(Vec::new, |s| s.chain_heads(agent, &self.me)),
            iteration: space.map_or(1, |s| s.folds.course.iteration(self.now(context))),
            now_ms: context.wall_ms(),
        }
    }

    fn hash(&self, orchestra: OrchestraId, reading: &Reading<'_>) -> HashView {
        let space = self.spaces.get(&orchestra);
        let basis = |space: &Space| {
            let footing = encode(space.folds.footing());
            Digest::of("unisono/basis/v1", &[&space.logs.digest().0, &footing])
        };
        HashView {
            views: reading.digest(),
            vector: space.map_or_else(Digest::default, basis),
            documents: space.map_or_else(Digest::default, |space| space.documents.digest()),
        }
    }

    fn orchestras(&self) -> Vec<OrchestraView> {
        let spaces = self.spaces.values();
        spaces
            .map(|space| OrchestraView {
                orchestra: space.id,
                name: if space.id == self.cluster {
                    "cluster".to_string()
                } else {
                    space.folds.name.clone()
                },
                records: space.logs.iter().map(|(_, state)| state.records).sum(),
            })
            .collect()
    }
}

/// Whether a question is about where things have come to.
fn is_of_now(question: &Question) -> bool {
    matches!(
        question,
        Question::Session(_)
            | Question::Chains(_)
            | Question::Renewed { .. }
            | Question::Ends(_)
            | Question::Invite(_)
            | Question::GoingBack(_)
            | Question::Alerts { .. }
    )
}

/// An answer that bore the time asked for and what is there today would be a lie.
fn only_now() -> Rejection {
    Rejection::new(
        Code::TooOld,
        "this is shown as it is now, not as of a time: notes, configuration, where chains and logs \
         have come to, and what the node says of itself and its cluster; nothing changed",
    )
    .hint("ask without a time; views of an orchestra and histories of its tasks take one")
}

pub(super) fn unknown_orchestra() -> Rejection {
    Rejection::new(Code::OrchestraUnknown, "no orchestra of this name here")
        .hint("`unisono orchestras` lists those that there are; `unisono state --create` makes one; on a node that has just joined it may be on its way")
}

fn no_task(name: &str) -> Rejection {
    Rejection::new(Code::TaskUnknown, format!("there is no task {name}"))
}
