//! Connections: who knows whom, what flies, and who hears of what comes and goes.

use unisono_core::node::{Class, Input};
use unisono_model::NodeId;

use super::{Event, SECOND, World};
use crate::checks::Bounds;
use crate::network::{Care, Fate, Flight};

impl World {
    /// The machine at which a peer's frames to a node end.
    fn machine_of(&self, node: NodeId, from: usize) -> Option<usize> {
        let first = self.hosts.iter().position(|host| host.id == node)?;
        if Some(first) == self.plan.liar && self.speaks_with_twin(from) {
            return self.twin;
        }
        Some(first)
    }

    pub(super) fn learn_address(&mut self, host: usize, node: NodeId) {
        let Some(peer) = self.hosts.iter().position(|machine| machine.id == node) else {
            return;
        };
        if !self.hosts[host].knows[peer] && self.hosts[host].id != node {
            self.hosts[host].knows[peer] = true;
            self.review_all(host);
        }
    }

    pub(super) fn send(&mut self, from: usize, to: NodeId, class: Class, bytes: Vec<u8>) {
        self.checks.bounds.sent();
        let second = self.now / SECOND;
        let count = &mut self.hosts[from].frames;
        *count = if count.0 == second {
            (second, count.1 + 1)
        } else {
            (second, 1)
        };
        let peers = self.scenario.nodes.saturating_sub(1);
        let storm = Bounds::frames(from, count.1, peers);
        if self.storms(from, storm) {
            return;
        }
        let Some(peer) = self.machine_of(to, from).filter(|peer| *peer != from) else {
            return;
        };
        let Some(bytes) = self.as_the_liar_sends(from, peer, bytes) else {
            return;
        };
        self.trace.event(self.now, "send", from, &bytes);
        self.counters.add("frames sent");
        self.hand_over((from, peer), class, bytes);
    }

    /// Hands a frame to the transport.
    fn hand_over(&mut self, (from, peer): (usize, usize), class: Class, bytes: Vec<u8>) {
        let to = self.hosts[peer].id;
        let knows = self.knows(from, peer);
        let fate = self
            .network
            .send(self.now, (from, peer), knows, class, bytes);
        match fate {
            Fate::Flies(at, flight) => self.push(at, Event::Arrives(flight)),
            Fate::FliesTwice(at, again, flight) => {
                self.push(again, Event::Arrives(flight.clone()));
                self.push(at, Event::Arrives(flight));
            }
            Fate::Waits => {}
            Fate::Lost => self.counters.add("frames lost"),
            Fate::Refused => {
                self.counters.add("slow peer refused");
                // Not at once: the node is still saying what else it wants.
                let life = self.hosts[from].life;
                self.refusals.push((from, life, to));
            }
            Fate::Kept(call) => {
                self.counters.add("frames kept for a connection");
                if let Some((at, call)) = call {
                    self.push(at, Event::Unanswered(from, peer, call));
                }
            }
            Fate::Unconnected => self.counters.add("frames without an address"),
        }
    }

    /// A machine may not have answered a call.
    pub(super) fn unanswered(&mut self, from: usize, to: usize, call: u32) {
        if !self.network.unanswered(from, to, call) {
            return;
        }
        self.counters.add("calls unanswered");
        let node = self.hosts[to].id;
        if self.hosts[from].is_awake() {
            self.feed(from, Input::PeerDown { node });
        }
    }

    /// Whether a machine knows the address of another's node.
    fn knows(&self, one: usize, other: usize) -> bool {
        let id = self.hosts[other].id;
        let first = self.hosts.iter().position(|host| host.id == id);
        first.is_some_and(|first| self.hosts[one].knows[first])
    }

    pub(super) fn arrives(&mut self, flight: Flight) {
        let Some(flight) = self.network.arrive(flight) else {
            self.counters.add("frames delayed or lost");
            return;
        };
        let (to, from) = (flight.to, self.hosts[flight.from].id);
        if self.hosts[to].paused {
            return self
                .backlog
                .entry(to)
                .or_default()
                .push(Event::Arrives(flight));
        }
        if self.hosts[to].node.is_some() {
            self.trace.event(self.now, "receive", to, &flight.bytes);
            self.feed(
                to,
                Input::Received {
                    from,
                    bytes: flight.bytes,
                },
            );
        }
    }

    /// Whether two machines want a connection and run.
    fn wanted(&self, a: usize, b: usize) -> bool {
        let (one, other) = (&self.hosts[a], &self.hosts[b]);
        if one.id == other.id || !one.is_awake() || !other.is_awake() {
            return false;
        }
        let right_copy =
            self.machine_of(one.id, b) == Some(a) && self.machine_of(other.id, a) == Some(b);
        right_copy && (self.knows(a, b) || self.knows(b, a))
    }

    /// Looks at all connections of a machine.
    pub(super) fn review_all(&mut self, host: usize) {
        for other in 0..self.hosts.len() {
            if other != host {
                self.review(host.min(other), host.max(other));
            }
        }
    }

    fn review(&mut self, a: usize, b: usize) {
        let wanted = self.wanted(a, b);
        match self.network.review(self.now, a, b, wanted) {
            Care::None => {}
            Care::LookAt(at, epoch) => self.push(at, Event::LookAt(a, b, epoch)),
            Care::ConnectAt(at, _) => self.push(at, Event::Connect(a, b)),
            Care::Resume => {
                for (at, flight) in self.network.release(self.now, a, b) {
                    self.push(at, Event::Arrives(flight));
                }
            }
        }
    }

    pub(super) fn look_at(&mut self, a: usize, b: usize, epoch: u32) {
        if self.network.gives_up(self.now, a, b, epoch) {
            self.tell_down(a, b);
            self.review(a, b);
        }
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        let (stands, replaced) = self.network.connect(a, b, self.wanted(a, b));
        if replaced {
            self.tell_down(a, b);
        }
        if stands {
            self.trace
                .event(self.now, "connect", a, &(b as u64).to_le_bytes());
            let round_trip_us = self.network.round_trip_us(a, b);
            for kept in self.network.take_kept(self.now, a, b) {
                self.hand_over((kept.from, kept.to), kept.class, kept.bytes);
            }
            for (one, other) in [(a, b), (b, a)] {
                let node = self.hosts[other].id;
                self.feed(
                    one,
                    Input::PeerUp {
                        node,
                        round_trip_us,
                    },
                );
            }
        } else {
            // It may have failed because somebody was cut off: then the next change tries again.
            self.review(a, b);
        }
    }

    fn tell_down(&mut self, a: usize, b: usize) {
        for (one, other) in [(a, b), (b, a)] {
            let node = self.hosts[other].id;
            if self.hosts[one].node.is_some() && !self.hosts[one].paused {
                self.feed(one, Input::PeerDown { node });
            }
        }
    }
}
