//! Power: machines start, stop, stand still and go on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use unisono_core::node::{Promise, Work};
use unisono_model::NodeId;

use super::{Event, MS, World};
use crate::agents::{Heard, Letter, Request};
use crate::checks::Who;
use crate::host::address;
use crate::plan::Fault;

impl World {
    pub(super) fn start(&mut self, host: usize) {
        let now = self.now;
        let machine = &mut self.hosts[host];
        let gone = machine.gone && !machine.returns;
        if machine.node.is_some() || gone || now < machine.down_until {
            return;
        }
        // Whoever lost power in its sleep is awake again.
        machine.clock.wake(now);
        machine.begin_life(now, &self.common);
        let Some(torn) = machine.open_disk() else {
            // A disk that fails while it is opened: the machine tries again.
            self.push(now + 500 * MS, Event::Fault(Fault::Start { host }));
            return;
        };
        if machine.store.damage() > 0 {
            self.counters.add("restart with damage");
        }
        if torn {
            self.counters.add("restart with torn tail");
        }
        self.trace.event(now, "start", host, &[]);
        self.wake_node(host);
    }

    /// Makes the node over the open disk.
    pub(super) fn wake_node(&mut self, host: usize) {
        let now = self.now;
        let seeds = self.seeds_of(host);
        for (node, _) in &seeds {
            self.learn_address(host, *node);
        }
        let (machine, memo, common) = (&mut self.hosts[host], &mut self.memo, &self.common);
        let started = catch_unwind(AssertUnwindSafe(|| machine.start(now, common, seeds, memo)));
        if started.is_err() {
            self.checks
                .violated(now, "I12", format!("machine {host} panicked at its start"));
            self.broken = true;
            return;
        }
        self.rearm(host);
        self.review_all(host);
    }

    /// Where a machine knocks: the founder nowhere, whom an invite has let in at the members that it
    /// was told of, the others at the first two.
    fn seeds_of(&self, host: usize) -> Vec<(NodeId, String)> {
        let known = |seed: &usize| (self.hosts[*seed].id, address(*seed));
        match self.joins.doors(host) {
            Some(doors) => doors.iter().map(known).collect(),
            None => (0..host.min(2)).map(|seed| known(&seed)).collect(),
        }
    }

    /// The process is gone, however it went.
    pub(super) fn stop(&mut self, host: usize) {
        self.hosts[host].stop();
        self.backlog.remove(&host);
        for waiting in self.checks.progress.abandon(host) {
            match waiting.who {
                Who::Agent(agent, talk) => {
                    let heard = Heard::Silence;
                    self.push(self.now + 200 * MS, Event::Heard { agent, talk, heard });
                }
                Who::Joiner(newcomer) => self.joiner_answered(newcomer, false),
                Who::Judge | Who::Nobody => {}
            }
        }
        for other in 0..self.hosts.len() {
            if other != host {
                self.network.lose(host, other);
            }
        }
        self.review_all(host);
    }

    pub(super) fn crash(&mut self, host: usize, down_ns: u64, in_write: bool) {
        let machine = &mut self.hosts[host];
        let until = self.now + down_ns;
        if machine.node.is_none() || machine.paused {
            return;
        }
        if in_write && machine.writing.is_empty() {
            machine.armed = Some(down_ns);
            return;
        }
        if in_write {
            return self.crash_in_write(host, down_ns);
        }
        machine.down_until = until;
        self.lose_power(host);
        self.push(until, Event::Fault(Fault::Start { host }));
    }

    /// The machine loses power between two operations of a write.
    pub(super) fn crash_in_write(&mut self, host: usize, down_ns: u64) {
        let operations = self.chance.below(4) as u32;
        let machine = &mut self.hosts[host];
        if let Some((_, entries, proofs)) = machine.writing.pop_front() {
            machine
                .store
                .append_without_end(&entries, &proofs, operations);
        }
        self.counters.add("crash in a write");
        self.hosts[host].down_until = self.now + down_ns;
        // The node is in the middle of an answer: what it asks for beyond this is never heard.
        self.push(
            self.now,
            Event::Fault(Fault::Crash {
                host,
                down_ns,
                in_write: false,
            }),
        );
    }

    pub(super) fn lose_power(&mut self, host: usize) {
        self.counters.add("crash");
        self.trace.event(self.now, "crash", host, &[]);
        self.stop(host);
        self.hosts[host].store.crash();
    }

    /// A member is told to leave, and its machine is switched off as soon as the node says that it
    /// may be. Whoever leaves for good takes its disk along: nobody may need it.
    pub(super) fn leave(&mut self, host: usize, away_ns: Option<u64>) {
        let machine = &mut self.hosts[host];
        let life = machine.life;
        let Some(node) = machine.node.as_ref() else {
            return;
        };
        if machine.paused {
            // It leaves on when it is awake (seed 1180: it had left, and nobody looked any more).
            let again = Event::Fault(Fault::Leave { host, away_ns });
            return self.push(self.now + 200 * MS, again);
        }
        let (leaving, dispensable) = (node.is_leaving(), node.is_dispensable());
        if machine.leaving == Some(life) && dispensable {
            machine.down_until = away_ns.map_or(u64::MAX, |away_ns| self.now + away_ns);
            machine.gone = away_ns.is_none();
            self.trace.event(self.now, "leave", host, &[]);
            self.stop(host);
            self.counters.add(match away_ns {
                None => "left for good",
                Some(_) => "left and came back",
            });
            let at = self.hosts[host].down_until;
            return self.push(at, Event::Fault(Fault::Start { host }));
        }
        if machine.leaving != Some(life) {
            machine.leaving = Some(life);
            let letter = Letter {
                host,
                orchestra: self.home,
                request: Request::Do(Work::Leave { hand_to: 0 }),
                promise: Promise {
                    deadline_ms: 30_000,
                    ..Promise::default()
                },
                lie: false,
                forked: None,
                made_at: None,
            };
            self.hand_in(letter, Who::Nobody);
        } else if !leaving {
            self.counters.add("left in vain");
            return;
        }
        self.push(
            self.now + 200 * MS,
            Event::Fault(Fault::Leave { host, away_ns }),
        );
    }

    pub(super) fn pause(&mut self, host: usize) {
        let machine = &mut self.hosts[host];
        if !machine.is_awake() {
            return;
        }
        machine.paused = true;
        machine.clock.sleep(self.now);
        self.counters.add("pause");
        self.trace.event(self.now, "pause", host, &[]);
        self.review_all(host);
    }

    pub(super) fn resume(&mut self, host: usize) {
        let machine = &mut self.hosts[host];
        if !machine.paused {
            return;
        }
        machine.paused = false;
        machine.clock.wake(self.now);
        machine.tick_at = u64::MAX;
        self.trace.event(self.now, "resume", host, &[]);
        self.rearm(host);
        self.review_all(host);
        for event in self.backlog.remove(&host).unwrap_or_default() {
            self.push(self.now, event);
        }
    }
}
