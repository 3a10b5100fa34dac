//! What nodes want done is done here, and what happens to them is handed in.

use std::panic::{AssertUnwindSafe, catch_unwind};

use unisono_core::journal::{Entry, Proof};
use unisono_core::node::{BatchId, DiskFailure, EDITS_CUT_OFF, Input, Note, Output, Storage};

use super::{Event, MS, Read, SECOND, World};
use crate::checks::Bounds;
use crate::clock::EPOCH_NS;

impl World {
    /// Hands a node something, and does what it wants done.
    pub(super) fn feed(&mut self, host: usize, input: Input) {
        if self.broken || self.hosts[host].node.is_none() {
            return;
        }
        let mut outputs = std::mem::take(&mut self.outputs);
        let (machine, memo, now) = (&mut self.hosts[host], &mut self.memo, self.now);
        let fed = catch_unwind(AssertUnwindSafe(|| {
            machine.handle(now, input, memo, &mut outputs)
        }));
        if let Ok(Some(ahead_ms)) = fed {
            let detail =
                format!("machine {host} was dragged {ahead_ms} ms ahead of the time that it knew");
            self.checks.violated(now, "I5", detail);
        }
        if let Err(panic) = fed {
            let why = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            let why = why.unwrap_or_default();
            self.checks
                .violated(now, "I12", format!("machine {host} panicked: {why}"));
            self.broken = true;
            return;
        }
        let life = self.hosts[host].life;
        for output in outputs.drain(..) {
            // A node that asked to be made anew says nothing more.
            if self.hosts[host].node.is_some() && self.hosts[host].life == life {
                self.perform(host, output);
            }
        }
        self.outputs = outputs;
        for (host, life, to) in std::mem::take(&mut self.refusals) {
            self.push(self.now, Event::Refused { host, life, to });
        }
        self.rearm(host);
    }

    /// Sets the machine's alarm clock to what the node wants.
    pub(super) fn rearm(&mut self, host: usize) {
        let machine = &mut self.hosts[host];
        let Some(node) = &machine.node else { return };
        // No driver wakes a node more often than this.
        let at = machine
            .clock
            .when(node.next_deadline_ns())
            .max(self.now + MS);
        if machine.tick_at <= self.now || at < machine.tick_at {
            machine.tick_at = at;
            self.push(at, Event::Tick(host));
        }
    }

    pub(super) fn tick(&mut self, host: usize) {
        let now = self.now;
        let machine = &mut self.hosts[host];
        if machine.tick_at != now || !machine.is_awake() {
            return;
        }
        machine.tick_at = u64::MAX;
        let second = now / SECOND;
        let count = &mut machine.ticks;
        *count = if count.0 == second {
            (second, count.1 + 1)
        } else {
            (second, 1)
        };
        let storm = Bounds::ticks(host, count.1);
        self.counters.add("ticks");
        if self.storms(host, storm) {
            return;
        }
        self.feed(host, Input::Tick);
    }

    /// A node does something far too often. That ends the run, unless the node is a liar's: it may
    /// harm itself, and somebody switches it off and on.
    pub(super) fn storms(&mut self, host: usize, storm: Result<(), String>) -> bool {
        if storm.is_err() && self.lies(host) {
            self.counters.add("liar stormed");
            let fault = crate::plan::Fault::Crash {
                host,
                down_ns: SECOND,
                in_write: false,
            };
            self.push(self.now, Event::Fault(fault));
            return true;
        }
        self.broken |= storm.is_err();
        self.checks.say(self.now, "I10", storm);
        self.broken
    }

    fn perform(&mut self, host: usize, output: Output) {
        match output {
            Output::Persist {
                batch,
                entries,
                proofs,
            } => self.persist(host, batch, entries, proofs),
            Output::Load {
                load,
                orchestra,
                log,
                from_seq,
                bytes_max,
            } => {
                let machine = &mut self.hosts[host];
                let stretch = machine.store.read(orchestra, log, from_seq, bytes_max);
                self.has_read(host, Read::Entries(load, stretch));
            }
            Output::LoadBlob { load, name } => {
                let blob = self.hosts[host].store.blob(&name);
                self.has_read(host, Read::Blob(load, blob));
            }
            Output::SaveBlob { name, bytes } => self.hosts[host].store.save(&name, &bytes),
            Output::Send { to, class, bytes } => self.send(host, to, class, bytes),
            Output::Reply { ticket, result } => self.reply(host, ticket, result),
            Output::Publish { .. } => self.counters.add("published"),
            Output::Address { node, .. } => self.learn_address(host, node),
            Output::Exclude { .. } => self.counters.add("excluded"),
            Output::Succession(_) => self.counters.add("authorities told"),
            Output::Root(_) => self.counters.add("roots told"),
            Output::Note(note) => self.note(host, note),
            Output::Restart { reason } => self.restart_itself(host, reason),
        }
    }

    fn persist(&mut self, host: usize, batch: BatchId, entries: Vec<Entry>, proofs: Vec<Proof>) {
        let (now, life) = (self.now, self.hosts[host].life);
        for entry in &entries {
            self.trace.event(now, "persist", host, &entry.bytes);
        }
        self.counters.add("batches");
        let second = now / SECOND;
        let count = &mut self.hosts[host].batches;
        *count = if count.0 == second {
            (second, count.1 + 1)
        } else {
            (second, 1)
        };
        let storm = Bounds::batches(host, count.1);
        if self.storms(host, storm) {
            return;
        }
        self.hosts[host].writing.push_back((batch, entries, proofs));
        if let Some(down_ns) = self.hosts[host].armed.take() {
            return self.crash_in_write(host, down_ns);
        }
        let at = now + self.chance.between(30_000, 300_000);
        self.push(at, Event::Writes { host, life });
    }

    pub(super) fn writes(&mut self, host: usize, life: u32) {
        if self.hosts[host].life != life || self.hold(host, || Event::Writes { host, life }) {
            return;
        }
        let machine = &mut self.hosts[host];
        let Some((batch, entries, proofs)) = machine.writing.pop_front() else {
            return;
        };
        let result = machine.store.append(&entries, &proofs);
        let at = self.now + machine.store.latency_ns();
        match result {
            Ok(()) => self.written(host, &entries),
            Err(DiskFailure::Full) => self.counters.add("disk full"),
            Err(DiskFailure::Broken) => self.counters.add("sync failed"),
        }
        self.push(
            at,
            Event::Wrote {
                host,
                life,
                batch,
                result,
            },
        );
    }

    fn written(&mut self, host: usize, entries: &[Entry]) {
        self.counters
            .add_many("bundles persisted", entries.len() as u64);
        if self.lies(host) {
            return;
        }
        if let Some(liar) = self.plan.liar {
            let id = self.hosts[liar].id;
            let verdict = self.checks.stamps.taken(host, id, entries);
            self.checks.say(self.now, "I5", verdict);
        }
        let machine = &self.hosts[host];
        let (present, wall) = (machine.log(), machine.highest_wall_ns);
        let forgetful = machine.forgetful;
        let verdict =
            self.checks
                .stamps
                .written(present, entries, wall, forgetful, EPOCH_NS + self.now);
        self.checks.say(self.now, "I5", verdict);
    }

    pub(super) fn wrote(
        &mut self,
        host: usize,
        life: u32,
        batch: BatchId,
        result: Result<(), DiskFailure>,
    ) {
        let again = || Event::Wrote {
            host,
            life,
            batch,
            result,
        };
        if self.hosts[host].life != life || self.hold(host, again) {
            return;
        }
        self.feed(host, Input::Persisted { batch, result });
    }

    fn has_read(&mut self, host: usize, read: Read) {
        let machine = &mut self.hosts[host];
        let at = self.now + machine.store.latency_ns().max(20_000);
        let life = machine.life;
        self.push(at, Event::Loaded { host, life, read });
    }

    pub(super) fn loaded(&mut self, host: usize, life: u32, read: Read) {
        if self.hosts[host].life != life {
            return;
        }
        if self.hosts[host].paused {
            let event = Event::Loaded { host, life, read };
            return self.backlog.entry(host).or_default().push(event);
        }
        self.feed(
            host,
            match read {
                Read::Entries(load, stretch) => Input::Loaded { load, stretch },
                Read::Blob(load, bytes) => Input::BlobLoaded { load, bytes },
            },
        );
    }

    /// Keeps an event for a machine that stands still.
    pub(super) fn hold(&mut self, host: usize, event: impl FnOnce() -> Event) -> bool {
        let paused = self.hosts[host].paused;
        if paused {
            self.backlog.entry(host).or_default().push(event());
        }
        paused
    }

    fn note(&mut self, host: usize, note: Note) {
        self.trace.say(self.now, host, || format!("{note:?}"));
        let counter = match note {
            Note::BundleRefused { why, .. } if why.contains("stamps") => {
                "back-dated bundle refused"
            }
            Note::BundleRefused { .. } => "bundle refused",
            Note::FrameRefused { .. } => "frame refused",
            Note::LogForked {
                orchestra,
                log,
                seq,
            } => {
                if orchestra == self.home {
                    self.checks.membership.forked(host);
                }
                let liar = self
                    .liars
                    .iter()
                    .any(|liar| self.hosts[*liar].id == log.node);
                if !liar {
                    let why = format!("machine {host} found honest {log:?} forked at {seq}");
                    self.checks.violated(self.now, "I3", why);
                }
                "fork found"
            }
            Note::ChainForked { record, .. } => {
                self.forks_noted.insert(record);
                if self.liars.is_empty() {
                    let why = format!("machine {host} found a chain forked at {record}");
                    self.checks.violated(self.now, "I3", why);
                }
                "fork found"
            }
            Note::Refold { why, .. } => {
                self.counters
                    .add(if why.contains("checkpoint") || why.contains("late") {
                        "late record below a checkpoint"
                    } else {
                        "refold for another reason"
                    });
                "refold"
            }
            Note::Contested { claim, .. } => {
                self.checks.claims.told(claim);
                "claim contested"
            }
            Note::Member { alive: true, .. } => "member seen",
            Note::Member { alive: false, .. } => "member suspected",
            Note::ClockOff { .. } => "clock found off",
            Note::Disk { full: true } => "disk full noticed",
            Note::Disk { full: false } => "disk room noticed",
            Note::DocumentDropped { .. } => "document dropped",
        };
        self.counters.add(counter);
    }

    /// A node asks to be made anew: the process ends in order and begins again.
    fn restart_itself(&mut self, host: usize, reason: &'static str) {
        self.counters.add("node restarted itself");
        self.trace
            .event(self.now, "restart", host, reason.as_bytes());
        if reason == EDITS_CUT_OFF {
            let since = self.hosts[host].began_at;
            let durability = &mut self.checks.durability;
            durability.edits_cut_off(host, since, self.now);
        }
        self.stop(host);
        // What was written but not synced stays with the machine: it has not lost power.
        self.hosts[host].store.close();
        let machine = &mut self.hosts[host];
        let pause_ms = machine.revival.pause_ms((self.now - machine.began_at) / MS);
        let at = self.now + pause_ms.max(100) * MS;
        machine.down_until = at;
        self.push(at, Event::Fault(crate::plan::Fault::Start { host }));
    }
}
