//! Faults on demand: partitions and slow links without privileges, for tests and demonstrations.
//!
//! They act between QUIC and the socket, on packets to and from the addresses of a node. So a blocked
//! peer looks exactly like one behind a broken network: connections fall silent, dials are swallowed,
//! round trips grow, and what QUIC still holds is delivered after the heal if the connection survived.
//! A process must offer them only behind a flag that says that it is for tests.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use unisono_model::NodeId;

use crate::limits;

/// Which way packets go, seen from this node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From the peer to here.
    In,
    /// From here to the peer.
    Out,
    /// Both ways.
    Both,
}

/// The faults of one endpoint.
#[derive(Debug, Default)]
pub struct Faults {
    /// Whether any rule stands: the only thing that is looked at for each packet when none does.
    active: AtomicBool,
    table: RwLock<Table>,
}

#[derive(Debug, Default)]
struct Table {
    rules: HashMap<NodeId, Rule>,
    nodes: HashMap<SocketAddr, NodeId>,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Rule {
    block_in: bool,
    block_out: bool,
    delay_out: Duration,
}

/// What becomes of a packet on its way out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    Sent,
    Swallowed,
    Delayed(Duration),
}

impl Faults {
    /// Swallows packets to or from a node until [`unblock`](Self::unblock).
    pub fn block(&self, node: NodeId, direction: Direction) {
        self.change(node, |rule| {
            rule.block_in |= direction != Direction::Out;
            rule.block_out |= direction != Direction::In;
        });
    }

    /// Lets packets to and from a node pass again.
    pub fn unblock(&self, node: NodeId) {
        self.change(node, |rule| {
            (rule.block_in, rule.block_out) = (false, false);
        });
    }

    /// Holds every packet to a node back for `delay`, at most [`limits::DELAY_MAX`]; zero ends it.
    /// Only this direction: the way back is delayed at the other node.
    pub fn delay(&self, node: NodeId, delay: Duration) {
        self.change(node, |rule| rule.delay_out = delay.min(limits::DELAY_MAX));
    }

    /// Ends all faults.
    pub fn clear(&self) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        table.rules.clear();
        self.active.store(false, Ordering::Release);
    }

    /// Remembers from which address a node speaks. Bounded; a port used again by another node
    /// belongs to the newer one.
    pub(crate) fn learn(&self, node: NodeId, addr: SocketAddr) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.nodes.len() >= limits::PEERS_MAX * limits::PEER_ADDRESSES_MAX {
            table.nodes.clear();
        }
        table.nodes.insert(canonical(addr), node);
    }

    /// Whether a node is blocked in either direction.
    pub(crate) fn blocks(&self, node: NodeId) -> bool {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table
            .rules
            .get(&node)
            .is_some_and(|rule| rule.block_in || rule.block_out)
    }

    pub(crate) fn on_send(&self, to: SocketAddr) -> Fate {
        match self.rule(to) {
            Some(rule) if rule.block_out => Fate::Swallowed,
            Some(rule) if !rule.delay_out.is_zero() => Fate::Delayed(rule.delay_out),
            _ => Fate::Sent,
        }
    }

    pub(crate) fn swallows_from(&self, from: SocketAddr) -> bool {
        self.rule(from).is_some_and(|rule| rule.block_in)
    }

    fn rule(&self, addr: SocketAddr) -> Option<Rule> {
        if !self.active.load(Ordering::Acquire) {
            return None;
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.rules.get(table.nodes.get(&canonical(addr))?).copied()
    }

    fn change(&self, node: NodeId, change: impl FnOnce(&mut Rule)) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut rule = table.rules.get(&node).copied().unwrap_or_default();
        change(&mut rule);
        if rule == Rule::default() {
            table.rules.remove(&node);
        } else {
            table.rules.insert(node, rule);
        }
        self.active
            .store(!table.rules.is_empty(), Ordering::Release);
    }
}

/// A dual-stack socket shows IPv4 peers in IPv6 form; both name the same peer.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
