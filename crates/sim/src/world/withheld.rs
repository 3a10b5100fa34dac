//! What the lying node keeps back, and what it says once more.

use unisono_core::node::Class;
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, encode};
use unisono_model::{AgentId, Held, NodeId, SignedBundle};

use super::World;
use crate::chance::Chance;

/// Frames that the liar remembers to say again.
const KEPT: usize = 64;
/// Frames and bundles that it says again at a time.
const AGAIN: usize = 24;

/// What the liar does not pass on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Withheld {
    /// Until when (virtual ns).
    until: u64,
    /// What this agent says: from everybody.
    agent: AgentId,
    /// What this node has written, and how far: from half of its peers.
    node: NodeId,
}

impl Withheld {
    /// What is left of a frame to a machine; nothing if it is not sent at all.
    fn rest(&self, frame: Frame, to: usize) -> Option<Frame> {
        let passes = |bytes: &Blob| {
            let Ok((bundle, body)) = SignedBundle::decode(&bytes.0) else {
                return true;
            };
            let of_node = bundle.header.log.node == self.node && to.is_multiple_of(2);
            !of_node && !body.agents.contains(&self.agent)
        };
        match frame {
            Frame::Push { relay, mut bundles } => {
                bundles.retain(passes);
                (!bundles.is_empty()).then_some(Frame::Push { relay, bundles })
            }
            Frame::Range { mut bundles, more } => {
                bundles.retain(passes);
                Some(Frame::Range { bundles, more })
            }
            Frame::Vector {
                orchestra,
                ask,
                mut logs,
                proofs,
            } => {
                logs.retain(|head| head.log.node != self.node || !to.is_multiple_of(2));
                Some(Frame::Vector {
                    orchestra,
                    ask,
                    logs,
                    proofs,
                })
            }
            other => Some(other),
        }
    }
}

impl World {
    /// The liar begins to keep something back.
    pub(super) fn withhold(&mut self, for_ns: u64) {
        let Some(liar) = self.plan.liar else { return };
        let mut chance = Chance::new(self.seed, "withhold", self.now);
        let own = self.agents.iter().filter(|one| one.held == Held::Agent);
        let own: Vec<AgentId> = own.map(|one| one.id).collect();
        let others = (0..self.scenario.nodes).filter(|host| *host != liar);
        let others: Vec<NodeId> = others.map(|host| self.hosts[host].id).collect();
        let agent = chance.pick(&own).copied().unwrap_or_default();
        let Some(node) = chance.pick(&others).copied() else {
            return;
        };
        let until = self.now + for_ns;
        self.deceit.withheld = Some(Withheld { until, agent, node });
    }

    /// What a machine really sends of a frame: the liar keeps some of it back, and remembers what it has
    /// said.
    pub(super) fn as_the_liar_sends(
        &mut self,
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        if self.plan.liar.is_none() || !self.lies(from) || self.healed {
            return Some(bytes);
        }
        self.deceit.remember(&bytes);
        let now = self.now;
        let withheld = self.deceit.withheld.filter(|one| now < one.until);
        let (Some(withheld), Ok(frame)) = (withheld, Frame::decode(&bytes)) else {
            return Some(bytes);
        };
        let rest = withheld.rest(frame, to).map(|frame| encode(&frame));
        if rest.as_ref() != Some(&bytes) {
            self.counters.add("withheld");
        }
        rest
    }

    /// The liar says again what it has said, and sends again what it holds, to whom it pleases, in any
    /// order, whatever life it has come to meanwhile. It says of no disk that it holds something: that is
    /// another lie, and a level of durability counts on it.
    pub(super) fn replay(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let mut chance = Chance::new(self.seed, "replay", self.now);
        let said = self.deceit.said.clone();
        let bundles: Vec<Vec<u8>> = [self.workplace, self.home]
            .into_iter()
            .flat_map(|place| self.hosts[liar].store.entries(place))
            .map(|entry| entry.bytes)
            .collect();
        for _ in 0..AGAIN {
            if let Some(bytes) = chance.pick(&said)
                && let Ok(frame) = Frame::decode(bytes)
                && !matches!(frame, Frame::Have { .. } | Frame::Kept { .. })
            {
                self.tell_one(liar, &mut chance, &frame);
            }
            if let Some(bytes) = chance.pick(&bundles) {
                let frame = Frame::Push {
                    relay: chance.percent(50),
                    bundles: vec![Blob(bytes.clone())],
                };
                self.tell_one(liar, &mut chance, &frame);
            }
        }
    }

    fn tell_one(&mut self, liar: usize, chance: &mut Chance, frame: &Frame) {
        let peers = 0..self.scenario.nodes;
        let peers: Vec<usize> = peers.filter(|peer| *peer != liar).collect();
        if let Some(peer) = chance.pick(&peers).copied() {
            self.counters.add("replayed");
            self.tell(liar, peer, frame);
        }
    }

    /// The liar sends a frame to one machine.
    pub(super) fn tell(&mut self, liar: usize, peer: usize, frame: &Frame) {
        let id = self.hosts[peer].id;
        self.send(liar, id, Class::Push, encode(frame));
    }
}

impl super::Deceit {
    /// Keeps some of what is said, older and newer.
    fn remember(&mut self, bytes: &[u8]) {
        self.said_count += 1;
        if self.said.len() < KEPT {
            self.said.push(bytes.to_vec());
        } else if self.said_count.is_multiple_of(64) {
            let index = (self.said_count / 64) as usize % KEPT;
            self.said[index] = bytes.to_vec();
        }
    }
}
