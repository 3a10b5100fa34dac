//! What goes wrong according to the plan, and the end of all of it.

use unisono_core::node::Class;

use super::{Event, MS, SECOND, World};
use crate::clock::EPOCH_NS;
use crate::network::Weather;
use crate::plan::Fault;

/// How long replicas are compared each second after a machine has come back from alone.
const RETURN_SECONDS: u64 = 20;

impl World {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.trace.say(self.now, 0, || format!("{fault:?}"));
        match fault {
            Fault::Crash {
                host,
                down_ns,
                in_write,
            } => self.crash(host, down_ns, in_write),
            Fault::Start { host } => self.start(host),
            Fault::Pause { host } => self.pause(host),
            Fault::Resume { host } => self.resume(host),
            Fault::Cut(directions) => self.cut(&directions, true),
            Fault::Mend(directions) => self.cut(&directions, false),
            Fault::Step { host, by_ns } => {
                self.counters.add("clock stepped");
                self.hosts[host].clock.step(by_ns);
            }
            Fault::Fill { host, left } => {
                let capacity = self.hosts[host].store.used() + left;
                self.hosts[host]
                    .store
                    .set_faults(|faults| faults.capacity = capacity);
            }
            Fault::Empty { host } => {
                self.hosts[host]
                    .store
                    .set_faults(|faults| faults.capacity = 1 << 40);
            }
            Fault::FailSync { host, ppm } => {
                self.hosts[host]
                    .store
                    .set_faults(|faults| faults.failing_sync = ppm);
            }
            Fault::Slow { host, sync_us } => {
                self.hosts[host]
                    .store
                    .set_faults(|faults| faults.sync_us = sync_us);
            }
            Fault::Image { host } => {
                let image = self.hosts[host].store.image();
                self.hosts[host].image = Some((self.now, image));
            }
            Fault::Rollback { host, down_ns } => self.roll_back(host, down_ns),
            Fault::Flip { host, down_ns } => self.flip(host, down_ns),
            Fault::Leave { host, away_ns } => self.leave(host, away_ns),
            Fault::Remove { host, by } => self.remove(host, by),
            Fault::Succeed { by, authority } => self.succeed(by, authority),
            Fault::NameRoot { by, root, from_ms } => self.name_root(by, root, from_ms),
            Fault::Twin => self.clone_liar(),
            Fault::Garbage => self.send_garbage(),
            Fault::Backdate => {
                self.backdate();
                self.sign_nothing();
            }
            Fault::Ghost => self.send_ghost(),
            Fault::Flood => self.send_flood(),
            Fault::Forge => self.forge(),
            Fault::Withhold { for_ns } => self.withhold(for_ns),
            Fault::Replay => self.replay(),
            Fault::Collude => self.collude(),
            Fault::Invite { by, invite } => self.make_invite(by, invite),
            Fault::Join { host, at, invite } => self.join(host, at, invite),
            Fault::FalseInvites => self.send_false_invites(),
        }
    }

    fn cut(&mut self, directions: &[(usize, usize)], cut: bool) {
        if self.healed {
            return;
        }
        let mut all = directions.to_vec();
        // The copy of a liar stands beside it.
        if let (Some(twin), Some(liar)) = (self.twin, self.plan.liar) {
            let beside = |host: usize| if host == liar { twin } else { host };
            let with_liar = directions.iter().filter(|(a, b)| *a == liar || *b == liar);
            all.extend(with_liar.map(|(a, b)| (beside(*a), beside(*b))));
        }
        self.network.cut(&all, cut);
        if cut {
            self.counters.add("partition");
            self.cuts += 1;
        } else {
            self.cuts = self.cuts.saturating_sub(1);
            self.watch_return(directions);
        }
        self.trace
            .event(self.now, if cut { "cut" } else { "mend" }, all.len(), &[]);
        for host in 0..self.hosts.len() {
            self.review_all(host);
        }
    }

    /// Whoever comes back from alone brings late what the others have settled without it. What that
    /// changes is over with the leases, so replicas are compared each second for a while.
    fn watch_return(&mut self, directions: &[(usize, usize)]) {
        let removes = self.plan.remove_after_ms > 0;
        if removes && directions.len() == 2 * (self.scenario.nodes - 1) {
            for second in 1..=RETURN_SECONDS {
                self.push(self.now + second * SECOND, Event::Compare);
            }
        }
    }

    fn roll_back(&mut self, host: usize, down_ns: u64) {
        let Some((taken, image)) = self.hosts[host].image.take() else {
            return;
        };
        if self.hosts[host].node.is_some() {
            self.lose_power(host);
        }
        self.counters.add("rollback to an old image");
        self.checks.durability.rolled_back(host, taken, self.now);
        let machine = &mut self.hosts[host];
        machine.forgetful = true;
        machine.store.put_image(image);
        machine.down_until = self.now + down_ns;
        let at = machine.down_until;
        self.push(at, Event::Fault(Fault::Start { host }));
    }

    /// One bit on a disk changes while the machine is off.
    fn flip(&mut self, host: usize, down_ns: u64) {
        if self.hosts[host].node.is_some() {
            self.lose_power(host);
        }
        let luck = self.chance.below(u64::MAX);
        let machine = &mut self.hosts[host];
        if machine.store.flip_bit(luck) {
            self.counters.add("bit flipped on a disk");
        }
        // What stood there is lost for this disk, and what the node knew of its own former lives
        // may be: nobody can tell which record it was.
        self.checks.durability.rolled_back(host, 0, self.now);
        machine.forgetful = true;
        machine.down_until = self.now + down_ns;
        let at = machine.down_until;
        self.push(at, Event::Fault(Fault::Start { host }));
    }

    /// A copy of the liar, with its secret, its disk and its present life, comes up beside it and
    /// takes over half of its peers: from here on it says different things to different nodes.
    fn clone_liar(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let twin = self.scenario.nodes;
        let image = self.hosts[liar].store.image();
        let (incarnation, clock) = (self.hosts[liar].incarnation, self.hosts[liar].clock.clone());
        let machine = &mut self.hosts[twin];
        machine.store.put_image(image);
        machine.clock = clock;
        if machine.open_disk().is_none() {
            return;
        }
        machine.life += 1;
        machine.incarnation = incarnation;
        self.twin = Some(twin);
        self.liars.push(twin);
        for peer in 0..self.scenario.nodes {
            if peer != liar && self.speaks_with_twin(peer) {
                self.network.lose(liar, peer);
            }
        }
        self.counters.add("liar copied");
        self.wake_node(twin);
        self.review_all(liar);
    }

    /// Whether a machine's connections to the liar end at its copy.
    pub(super) fn speaks_with_twin(&self, peer: usize) -> bool {
        self.twin.is_some() && peer % 2 == 1
    }

    fn send_garbage(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        for peer in 0..self.scenario.nodes {
            let length = self.chance.log_between(1, 4_000) as usize;
            let bytes = self.chance.bytes(length);
            let id = self.hosts[peer].id;
            if peer != liar {
                self.send(liar, id, Class::Push, bytes);
            }
        }
    }

    /// The last fault is over: everything is mended, everybody comes up, all clocks are right
    /// within what is always allowed.
    pub fn heal(&mut self) {
        self.healed = true;
        self.cuts = 0;
        self.trace.event(self.now, "heal", 0, &[]);
        self.network.mend();
        self.network.weather = Weather {
            jitter_percent: 10,
            ..Weather::default()
        };
        if let Some(twin) = self.twin.take() {
            self.stop(twin);
        }
        for host in 0..self.scenario.nodes {
            let machine = &mut self.hosts[host];
            machine.armed = None;
            machine.image = None;
            machine.store.set_faults(|faults| {
                faults.capacity = 1 << 40;
                faults.failing_sync = 0;
                faults.sync_us = 1_000;
            });
            let shown = machine.clock.wall_ns(self.now);
            let wrong = shown.cast_signed() - (EPOCH_NS + self.now).cast_signed();
            if wrong.unsigned_abs() > 400 * MS {
                machine.clock.step(-wrong);
            }
            machine.down_until = machine.down_until.min(self.now + SECOND);
            if machine.gone {
                continue;
            }
            let at = machine.down_until;
            self.resume(host);
            self.push(at, Event::Fault(Fault::Start { host }));
        }
        for host in 0..self.hosts.len() {
            self.review_all(host);
        }
    }
}
