//! Between agents and nodes: letters go in, answers come out, and the judges read along.

use unisono_core::context::Verifier;
use unisono_core::node::{Answer, AnswerBody, Ask, Input, Reader, Submit, Ticket};
use unisono_core::orchestra::view::{ClaimStatus, View};
use unisono_model::{Code, Rejection};

use super::{Event, MS, World};
use crate::agents::{Deed, Heard, Letter, Request};
use crate::checks::{Progress, Promised, Waiting, Who, covers};
use crate::clock::EPOCH_NS;
use crate::history::Outcome;

impl World {
    pub(super) fn woken(&mut self, agent: usize, nap: u64) {
        if self.talks[agent].1 != nap {
            return;
        }
        let deeds = self.agents[agent].wake(self.now);
        self.do_deeds(agent, deeds);
    }

    pub(super) fn heard(&mut self, agent: usize, talk: u64, heard: Heard) {
        if self.talks[agent].0 != talk {
            return;
        }
        // Whatever else comes in this conversation comes too late.
        self.talks[agent].0 += 1;
        let deeds = self.agents[agent].hear(self.now, heard);
        self.do_deeds(agent, deeds);
    }

    fn do_deeds(&mut self, agent: usize, deeds: Vec<Deed>) {
        for deed in deeds {
            match deed {
                Deed::Send(letter) => self.post(agent, *letter),
                Deed::Sleep(ns) => {
                    self.talks[agent].1 += 1;
                    let nap = self.talks[agent].1;
                    self.push(self.now + ns, Event::Woken { agent, nap });
                }
                Deed::Signed {
                    record,
                    by,
                    signature,
                } => {
                    self.checks.invention.signs_itself(by);
                    self.checks.invention.signed(record);
                    self.memo.signed(&by.0, &record, &signature);
                }
                Deed::Keyed(key) => self.checks.invention.asked(key),
                Deed::Finished(operation) => {
                    match operation.outcome {
                        Outcome::Ok => self.counters.add("operations ok"),
                        Outcome::Failed => self.counters.add("operations refused"),
                        Outcome::Unknown | Outcome::Invoked => {
                            self.counters.add("operations unknown");
                        }
                    }
                    self.history.push(*operation);
                }
            }
        }
    }

    fn post(&mut self, agent: usize, letter: Letter) {
        self.talks[agent].0 += 1;
        let talk = self.talks[agent].0;
        let patience = letter.promise.deadline_ms * MS + 4_000 * MS;
        let at = self.now + self.chance.between(200_000, 2_000_000);
        self.push(
            self.now + patience,
            Event::Heard {
                agent,
                talk,
                heard: Heard::Silence,
            },
        );
        if let (Some(twin), Some(bytes)) = (self.twin, letter.forked.clone()) {
            let work = unisono_core::node::Work::Record(bytes);
            let request = Request::Do(work);
            let copy = Letter {
                host: twin,
                request,
                forked: None,
                ..letter.clone()
            };
            self.push(
                at,
                Event::Posted {
                    agent,
                    talk: 0,
                    letter: Box::new(copy),
                },
            );
        }
        self.push(
            at,
            Event::Posted {
                agent,
                talk,
                letter: Box::new(letter),
            },
        );
    }

    pub(super) fn posted(&mut self, agent: usize, talk: u64, letter: Box<Letter>) {
        let host = letter.host;
        if self.hosts[host].paused {
            let event = Event::Posted {
                agent,
                talk,
                letter,
            };
            return self.backlog.entry(host).or_default().push(event);
        }
        if self.hosts[host].node.is_none() {
            let heard = Heard::Unreachable;
            return self.push(self.now + MS, Event::Heard { agent, talk, heard });
        }
        let who = if talk == 0 {
            Who::Nobody
        } else {
            Who::Agent(agent, talk)
        };
        self.hand_in(*letter, who);
    }

    /// Hands a request to a node.
    pub(super) fn hand_in(&mut self, letter: Letter, who: Who) {
        let host = letter.host;
        let promise = letter.promise.clone();
        let monotonic = self.hosts[host].clock.monotonic_ns(self.now);
        let line = match &letter.request {
            Request::Do(work) => crate::checks::notes::line_of(work),
            Request::Ask(..) => None,
        };
        if let Some(line) = line {
            self.checks.lines.note(line);
        }
        let ticket = self.checks.progress.open(Waiting {
            host,
            due_ns: monotonic + promise.deadline_ms * MS,
            who,
            min_cursor: promise.min_cursor.clone(),
            lie: letter.lie,
            made_at: letter.made_at,
            line,
            wants: (promise.confirm, promise.durable_on),
        });
        let orchestra = letter.orchestra;
        let input = match letter.request {
            Request::Ask(question, as_of) => {
                let (min_cursor, deadline_ms) = (promise.min_cursor, promise.deadline_ms);
                Input::Ask(Ask {
                    ticket,
                    orchestra,
                    question,
                    as_of,
                    min_cursor,
                    deadline_ms,
                    reader: Reader::Own,
                })
            }
            Request::Do(work) => Input::Submit(Submit {
                ticket,
                orchestra,
                work,
                promise,
            }),
        };
        self.feed(host, input);
    }

    pub(super) fn reply(&mut self, host: usize, ticket: Ticket, result: Result<Answer, Rejection>) {
        let now = self.now;
        let word = result.as_ref().map_or_else(|no| no.code.as_str(), |_| "ok");
        self.trace.event(now, "reply", host, word.as_bytes());
        if ticket == super::forgery::FORGED {
            self.counters.add("signature of small order answered");
            return;
        }
        let waiting = match self.checks.progress.close(ticket) {
            Ok(waiting) => waiting,
            Err(why) => return self.checks.violated(now, "I12", why),
        };
        let monotonic = self.hosts[host].clock.monotonic_ns(now);
        let verdict = Progress::in_time(&waiting, monotonic);
        self.checks.say(now, "I12", verdict);
        self.remember_made(host, &waiting, &result);
        if !self.lies(host) {
            self.judge_answer(host, &waiting, &result);
        }
        match waiting.who {
            Who::Judge => self.heard_by_judge = Some(result),
            Who::Nobody => {}
            Who::Joiner(newcomer) => self.joiner_answered(newcomer, result.is_ok()),
            Who::Agent(agent, talk) => {
                let heard = match result {
                    Ok(answer) => Heard::Answer(Box::new(answer)),
                    Err(rejection) => Heard::Refusal(rejection),
                };
                let at = now + self.chance.between(200_000, 2_000_000);
                self.push(at, Event::Heard { agent, talk, heard });
            }
        }
    }

    /// Who has told whom that something is made: what liars say, and what only those had who were
    /// removed, may never have been.
    fn remember_made(
        &mut self,
        host: usize,
        waiting: &Waiting,
        result: &Result<Answer, Rejection>,
    ) {
        if let (Who::Agent(..), Ok(answer)) = (waiting.who, result)
            && let AnswerBody::Recorded(recorded) = &answer.body
        {
            self.made_by.push((host, recorded.place.stamp));
        }
    }

    fn judge_answer(&mut self, host: usize, waiting: &Waiting, result: &Result<Answer, Rejection>) {
        let now = self.now;
        match result {
            Ok(answer) => {
                if answer.is_final {
                    self.counters.add("answer final");
                }
                let removed = self.hosts.iter().filter(|host| host.removed);
                let removed: Vec<_> = removed.map(|host| host.id).collect();
                let verdict = covers(&answer.cursor, waiting.min_cursor.as_ref(), &removed);
                let verdict = verdict.map_err(|why| {
                    let to = kind(&answer.body);
                    format!("machine {host}, {to}: {why}")
                });
                self.checks.say(now, "session", verdict);
                self.judge_body(host, waiting, answer);
            }
            Err(rejection) => {
                self.counters.add(rejection.code.as_str());
                let made = waiting.made_at.filter(|at| {
                    let wall = self.hosts[host].clock.wall_ns(now);
                    // A node whose clock is found far ahead goes by the others'.
                    let truth = EPOCH_NS + now;
                    let ahead = wall > truth + 25_000 * MS;
                    let goes_by = if ahead { truth - 1_000 * MS } else { wall };
                    at.as_ns() < goes_by
                });
                if let (Code::TaskUnknown, Some(at)) = (rejection.code, made) {
                    self.unknown_to.push((now, host, at));
                }
                if rejection.code == Code::ClockOff && self.healed {
                    *self.joins.refused.entry(host).or_default() += 1;
                }
                if rejection.code == Code::DiskFull {
                    self.counters.add("disk full refused");
                }
            }
        }
    }

    fn judge_body(&mut self, host: usize, waiting: &Waiting, answer: &Answer) {
        let now = self.now;
        match &answer.body {
            AnswerBody::Recorded(recorded) => {
                if waiting.lie && !recorded.repeated {
                    let why = format!("machine {host} took what it had to refuse");
                    self.checks.violated(now, "I3", why);
                }
                self.counters.add("acknowledged");
                if self.cuts > 0 {
                    self.counters.add("acknowledged in a partition");
                }
                if recorded.repeated {
                    let failover = match waiting.who {
                        Who::Agent(agent, _) => self.agents[agent].first_host() != Some(host),
                        Who::Joiner(_) | Who::Judge | Who::Nobody => false,
                    };
                    let what = if failover {
                        "failover repeat"
                    } else {
                        "repeat answered by key"
                    };
                    self.counters.add(what);
                }
                if recorded.durable_on < waiting.wants.1 {
                    self.counters.add("durable on fewer");
                }
                let (record, level) = (recorded.place.record, recorded.durable_on);
                self.checks.durability.promise(Promised {
                    record,
                    host,
                    level,
                    at: now,
                    is_line: false,
                });
                if let Some(view) = &recorded.claim {
                    self.judge_claim(host, answer, view);
                }
            }
            AnswerBody::View(View::Claims(claims)) => {
                for view in claims {
                    self.checks
                        .claims
                        .shown(answer.as_of, answer.is_final, view);
                    if view.status == ClaimStatus::Confirmed {
                        self.counters.add("claim shown confirmed");
                    }
                }
            }
            AnswerBody::View(View::Task(task)) => self.count_task(task),
            AnswerBody::View(View::Tasks(tasks)) => {
                for task in tasks {
                    self.count_task(task);
                }
            }
            AnswerBody::Edited => {
                if let Some(record) = waiting.line {
                    self.counters.add("line acknowledged");
                    self.checks.durability.promise(Promised {
                        record,
                        host,
                        level: 1,
                        at: now,
                        is_line: true,
                    });
                }
            }
            AnswerBody::View(_) | AnswerBody::Opened | AnswerBody::Left { .. } => {}
        }
    }

    fn count_task(&mut self, task: &unisono_core::orchestra::view::TaskView) {
        if !task.conflicts.is_empty() {
            self.counters.add("task conflict shown");
            if task.conflicts.iter().any(|split| split.decided) {
                self.counters.add("task conflict decided");
            }
        }
        if !task.circular.is_empty() {
            self.counters.add("task cycle shown");
        }
    }

    fn judge_claim(
        &mut self,
        host: usize,
        answer: &Answer,
        view: &unisono_core::orchestra::view::ClaimView,
    ) {
        self.checks
            .claims
            .shown(answer.as_of, answer.is_final, view);
        let guard = self.checks.claims.presented(view);
        self.checks.say(
            self.now,
            "I8",
            guard.map_err(|why| format!("machine {host}: {why}")),
        );
        match view.status {
            ClaimStatus::Confirmed => self.counters.add("claim confirmed"),
            ClaimStatus::Provisional => {
                self.counters.add("claim provisional");
                if self.cuts > 0 {
                    self.counters.add("claim provisional in a partition");
                }
            }
            ClaimStatus::Lost => self.counters.add("claim lost at once"),
            ClaimStatus::Ended => {}
        }
        if matches!(
            view.status,
            ClaimStatus::Confirmed | ClaimStatus::Provisional
        ) {
            let life = self.hosts[host].life;
            self.checks.claims.granted(view.claim.record, host, life);
        }
    }
}

/// What an answer is, in words.
fn kind(body: &AnswerBody) -> String {
    match body {
        AnswerBody::Recorded(recorded) if recorded.repeated => "repeated record".into(),
        AnswerBody::Recorded(_) => "record".into(),
        AnswerBody::Opened => "opened".into(),
        AnswerBody::Left { .. } => "left".into(),
        AnswerBody::Edited => "edited".into(),
        AnswerBody::View(view) => format!("{view:?}").chars().take(12).collect(),
    }
}
