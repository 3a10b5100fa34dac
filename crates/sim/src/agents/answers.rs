//! What an agent makes of what it hears: goes on, learns, tries again, moves on, gives up.

use unisono_core::node::{Answer, AnswerBody, Recorded, Work};
use unisono_core::orchestra::view::{ClaimStatus, SessionView, View};
use unisono_core::replication::Cursor;
use unisono_model::{Action, Category, Code, Rejection};

use super::{Agent, Chain, Deed, Heard, Holding, Request, Talk, Wish};
use crate::history::Outcome;

const MS: u64 = 1_000_000;
/// After so many tries an agent says that it does not know.
const TRIES_MAX: u32 = 8;
/// After it was told so often in a row that a node has not what it has seen, it asks without.
const BEHIND_MAX: u32 = 64;

impl Agent {
    /// Something came back, or nothing.
    pub fn hear(&mut self, now: u64, heard: Heard) -> Vec<Deed> {
        let talk = std::mem::replace(&mut self.talk, Talk::Nothing);
        match heard {
            Heard::Answer(answer) => self.answered(now, talk, *answer),
            Heard::Refusal(rejection) => self.refused(now, talk, &rejection),
            Heard::Silence | Heard::Unreachable => self.unheard(now),
        }
    }

    fn answered(&mut self, now: u64, talk: Talk, answer: Answer) -> Vec<Deed> {
        self.cursor.merge(&answer.cursor);
        self.behind_in_a_row = 0;
        self.last_as_of = Some(answer.as_of);
        match (talk, answer.body) {
            (Talk::Session, AnswerBody::View(View::Session(session))) => {
                if self.is_stranger_with(session.enrolled) {
                    // The node has not heard of its key yet, or another one took that place.
                    return self.give_up(now, Outcome::Failed, None);
                }
                self.continue_at(&session);
                self.pursue(now)
            }
            (Talk::Enrolment, AnswerBody::Recorded(recorded)) => {
                self.enrolled.insert(self.home);
                let home = self.home;
                if let Some(chain) = self.chain.as_mut().filter(|chain| chain.host == home) {
                    chain.enrolled = true;
                    chain.next_seq = recorded.seq + 1;
                    chain.prev = recorded.place.record;
                }
                self.pursue(now)
            }
            (Talk::Presenting, AnswerBody::Recorded(recorded)) => {
                self.presented.insert(self.home);
                let home = self.home;
                if let Some(chain) = self.chain.as_mut().filter(|chain| chain.host == home) {
                    chain.next_seq = recorded.seq + 1;
                    chain.prev = recorded.place.record;
                }
                self.pursue(now)
            }
            (Talk::Opening, _) => self.pursue(now),
            (Talk::Errand, AnswerBody::Recorded(recorded)) => self.recorded(now, &recorded),
            (Talk::Errand, AnswerBody::View(view)) => {
                self.learn(view);
                self.finish(now, Outcome::Ok, None)
            }
            (_, _) => self.finish(now, Outcome::Ok, None),
        }
    }

    fn continue_at(&mut self, session: &SessionView) {
        self.iteration = session.iteration.max(1);
        self.chain = Some(Chain {
            host: self.home,
            log: session.chain.log,
            next_seq: session.next_seq,
            prev: session.prev,
            predecessors: session.predecessors.clone(),
            enrolled: session.enrolled,
        });
    }

    fn recorded(&mut self, now: u64, recorded: &Recorded) -> Vec<Deed> {
        let Some(errand) = self.errand.as_mut() else {
            return Vec::new();
        };
        errand.operation.record = Some(recorded.place.record.to_string());
        errand.operation.stamp = Some(recorded.place.stamp.0);
        errand.operation.durable_on = Some(recorded.durable_on);
        let wish = errand.wish.clone();
        if let Some((host, bytes, digest)) = errand.bytes.take() {
            match self.chain.as_mut() {
                Some(chain) if digest == recorded.place.record && chain.host == host => {
                    chain.next_seq = recorded.seq + 1;
                    chain.prev = digest;
                }
                _ => {}
            }
            self.old_letters.push(bytes);
            if self.old_letters.len() > 4 {
                self.old_letters.remove(0);
            }
        }
        if errand.lie {
            // A replay is answered with what was done the first time.
            return self.finish(now, Outcome::Ok, None);
        }
        match wish {
            Wish::Act(Action::Mark(_)) => self.marks.push(recorded.place.record),
            Wish::Act(Action::Task(change)) if change.fields.len() == 2 => {
                self.made_task = Some((change.task, recorded.place.stamp));
            }
            Wish::Act(Action::Rotate(_)) => {
                self.go_on_with_next_key();
            }
            Wish::Act(Action::Advance { from }) => self.iteration = self.iteration.max(from + 1),
            _ => {}
        }
        if let Some(view) = &recorded.claim {
            let mine = view.claim.record;
            let lost = view.status == ClaimStatus::Lost;
            if view.status == ClaimStatus::Ended {
                self.holdings.remove(&view.topic);
            } else {
                let (until, token_valid) = (view.until, view.token_valid);
                let holding = Holding {
                    claim: mine,
                    until,
                    lost,
                    token_valid,
                };
                self.holdings.insert(view.topic.clone(), holding);
            }
        }
        self.finish(now, Outcome::Ok, None)
    }

    fn learn(&mut self, view: View) {
        match view {
            View::State(state) => self.iteration = state.iteration.max(1),
            View::Chains(cuts) => self.take_cuts(cuts),
            View::Plan(view) => self.see_plan(view.as_ref()),
            View::File(view) => self.see_file(view.as_ref()),
            View::Interference(view) => self.take_interferences(&view),
            View::Cues(cues) => self.score.learn_cues(&cues),
            View::Tempo(tempo) => self.score.learn_tempo(tempo),
            View::Decisions(views) => self.known.take_decisions(&views),
            View::Remedies(views) => self.known.take_remedies(&views),
            View::Task(task) => {
                if self
                    .made_task
                    .as_ref()
                    .is_some_and(|(name, _)| *name == task.task)
                {
                    self.made_task = None;
                }
                self.heads = Some(task);
            }
            View::Claims(claims) => {
                for claim in claims {
                    let Some(held) = self.holdings.get_mut(&claim.topic) else {
                        continue;
                    };
                    let lost = claim
                        .losers
                        .iter()
                        .any(|(place, _)| place.record == held.claim);
                    if claim.claim.record == held.claim {
                        held.until = claim.until;
                        held.token_valid = claim.token_valid;
                    } else {
                        held.lost |= lost;
                    }
                }
            }
            _ => {}
        }
    }

    fn refused(&mut self, now: u64, talk: Talk, rejection: &Rejection) -> Vec<Deed> {
        if self.errand.as_ref().is_some_and(|errand| errand.lie) && talk == Talk::Errand {
            self.chain = None;
            return self.finish(now, Outcome::Failed, Some(rejection));
        }
        self.behind_in_a_row += u32::from(rejection.code == Code::Behind);
        if self.behind_in_a_row > BEHIND_MAX {
            // What it has seen is nowhere any more: it asks without, as the refusal says.
            (self.cursor, self.behind_in_a_row) = (Cursor::default(), 0);
        }
        let opens = self.place.opens.clone();
        match (rejection.code, opens) {
            (Code::OrchestraUnknown, Some(name)) if talk != Talk::Opening => {
                let Some(errand) = self.errand.clone() else {
                    return Vec::new();
                };
                let work = Work::Open { name };
                return self.say(Talk::Opening, Request::Do(work), &errand, Vec::new());
            }
            (Code::TokenUnknown, _) => {
                // The node has not heard of it yet, or not any more.
                self.presented.remove(&self.home);
                return self.begin_again(now, rejection);
            }
            (Code::ChainOrder | Code::WrongLog | Code::AgentUnknown | Code::NotHeld, _) => {
                return self.begin_again(now, rejection);
            }
            (Code::TokenMissing, _) if self.heeds_the_guard() => {
                return self.begin_again(now, rejection);
            }
            (Code::TokenInvalid | Code::RootRotated, _)
                if talk == Talk::Presenting && self.goes_back_to_its_token() =>
            {
                return self.begin_again(now, rejection);
            }
            (Code::KeyRotated | Code::RootRotated, _) if talk == Talk::Presenting => {
                // With a link that was issued before: it lies before the orchestra, or never will.
                self.presented.insert(self.home);
                return self.retry(now, rejection);
            }
            (Code::KeyRotated, _) if self.go_on_with_next_key() => {
                return self.begin_again(now, rejection);
            }
            (Code::IterationWrong, _) => self.chain = None,
            (Code::TaskUnknown, _) => self.made_task = None,
            (Code::OrchestraUnknown, None) | (Code::NotMember, _) => {
                return self.retry(now, rejection);
            }
            (Code::ClaimExpired | Code::ClaimUnknown | Code::NotHolder, _) => self.forget_claim(),
            _ => {}
        }
        match rejection.code.category() {
            Category::TooMany | Category::Unavailable | Category::Timeout => {
                self.retry(now, rejection)
            }
            Category::Usage
            | Category::NotFound
            | Category::Denied
            | Category::Conflict
            | Category::Verification => self.finish(now, Outcome::Failed, Some(rejection)),
        }
    }

    fn begin_again(&mut self, now: u64, rejection: &Rejection) -> Vec<Deed> {
        self.chain = None;
        self.enrolled.remove(&self.home);
        if let Some(errand) = self.errand.as_mut() {
            errand.bytes = None;
        }
        self.retry(now, rejection)
    }

    fn forget_claim(&mut self) {
        let Some(errand) = &self.errand else { return };
        if let Wish::Act(Action::Renew { topic, .. } | Action::Release { topic, .. }) = &errand.wish
        {
            self.holdings.remove(topic);
        }
    }

    fn retry(&mut self, now: u64, rejection: &Rejection) -> Vec<Deed> {
        let Some(errand) = self.errand.as_mut() else {
            return Vec::new();
        };
        errand.operation.tries += 1;
        if errand.operation.tries > TRIES_MAX {
            let timeout = rejection.code.category() == Category::Timeout;
            let outcome = if timeout {
                Outcome::Unknown
            } else {
                Outcome::Failed
            };
            return self.give_up(now, outcome, Some(rejection));
        }
        if errand.operation.tries > 3 && !self.retired {
            self.move_on();
        }
        let wait = rejection.retry_after_ms.unwrap_or(200).min(5_000) * MS;
        vec![Deed::Sleep(wait + self.chance.around(300 * MS))]
    }

    fn unheard(&mut self, now: u64) -> Vec<Deed> {
        let Some(errand) = self.errand.as_mut() else {
            return Vec::new();
        };
        errand.operation.tries += 1;
        if errand.operation.tries > TRIES_MAX {
            return self.give_up(now, Outcome::Unknown, None);
        }
        if self.chance.percent(60) {
            self.move_on();
        }
        vec![Deed::Sleep(self.chance.around(1_000 * MS))]
    }

    fn give_up(&mut self, now: u64, outcome: Outcome, rejection: Option<&Rejection>) -> Vec<Deed> {
        self.chain = None;
        self.made_task = None;
        self.finish(now, outcome, rejection)
    }

    fn finish(&mut self, now: u64, outcome: Outcome, rejection: Option<&Rejection>) -> Vec<Deed> {
        let Some(errand) = self.errand.take() else {
            return Vec::new();
        };
        let mut operation = errand.operation;
        operation.outcome = outcome;
        operation.completed_ns = Some(now);
        operation.code = rejection.map(|rejection| rejection.code.as_str().to_owned());
        if errand.lie {
            self.chain = None;
        }
        let think = self.chance.around(self.place.think_ns);
        vec![Deed::Finished(Box::new(operation)), Deed::Sleep(think)]
    }

    /// The node at which the present errand was first tried.
    pub fn first_host(&self) -> Option<usize> {
        self.errand.as_ref().map(|errand| errand.first_host)
    }
}
