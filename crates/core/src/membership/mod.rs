//! Who seems to be here: SWIM (Das, Gupta and Motivala, 2002) by `foca`, over datagrams. What it
//! says is advice for choosing whom to ask and for showing; it never stops repair, and it admits and
//! removes nobody.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::num::{NonZeroU8, NonZeroUsize};
use core::time::Duration;

use foca::{
    AccumulatingRuntime, Foca, NoCustomBroadcast, OwnedNotification, PeriodicParams, PostcardCodec,
    Timer,
};
use serde::{Deserialize, Serialize};
use unisono_model::{Incarnation, NodeId};

/// A member as gossip names it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Who.
    pub node: NodeId,
    /// In which life: a later one wins.
    pub incarnation: Incarnation,
    /// Counts the times that this life was wrongly held for dead.
    pub renewals: u16,
    /// Its region.
    pub region: String,
}

impl foca::Identity for Identity {
    type Addr = NodeId;

    fn renew(&self) -> Option<Self> {
        let renewals = self.renewals.checked_add(1)?;
        Some(Self {
            renewals,
            ..self.clone()
        })
    }

    fn addr(&self) -> NodeId {
        self.node
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.incarnation, self.renewals) > (adversary.incarnation, adversary.renewals)
    }
}

/// What gossip wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Advice {
    /// A message, small enough for a datagram; may be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Vec<u8>,
    },
    /// A member seems to be here.
    Up(NodeId),
    /// A member seems to be away.
    Down(NodeId),
}

/// Largest message (bytes): a frame around it must still fit a datagram.
pub const MESSAGE_BYTES_MAX: usize = 1_100;

/// The gossip of one life of one node.
pub struct Membership {
    foca: Foca<Identity, PostcardCodec, Dice, NoCustomBroadcast>,
    runtime: AccumulatingRuntime<Identity>,
    /// Alarms by time (ns) and order of setting.
    alarms: BTreeMap<(u64, u64), Timer<Identity>>,
    alarms_set: u64,
    here: BTreeSet<NodeId>,
    /// The current second, and the messages sent in it.
    spent: (u64, u32),
}

/// Most messages in a second. Two machines that were cloned into one identity answer each other as
/// fast as the network carries; more than this is lost, as any datagram may be.
pub const MESSAGES_PER_SECOND_MAX: u32 = 100;

impl core::fmt::Debug for Membership {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Membership({} here)", self.here.len())
    }
}

impl Membership {
    /// Gossip for a life; `seed` is its own chance.
    pub fn new(identity: Identity, seed: u64) -> Self {
        let foca = Foca::new(identity, config(), Dice(seed), PostcardCodec);
        Self {
            foca,
            runtime: AccumulatingRuntime::default(),
            alarms: BTreeMap::new(),
            alarms_set: 0,
            here: BTreeSet::new(),
            spent: (0, 0),
        }
    }

    /// Makes itself known to a member. To be repeated while nobody is known: a message can be lost.
    pub fn announce(&mut self, now_ns: u64, to: Identity, out: &mut Vec<Advice>) {
        // An announcement to somebody unreachable is no error of ours.
        let _ = self.foca.announce(to, &mut self.runtime);
        self.drain(now_ns, out);
    }

    /// Takes in a message. What cannot be read is dropped: gossip repeats itself.
    pub fn on_message(&mut self, now_ns: u64, message: &[u8], out: &mut Vec<Advice>) {
        if message.len() <= MESSAGE_BYTES_MAX {
            let _ = self.foca.handle_data(message, &mut self.runtime);
            self.drain(now_ns, out);
        }
    }

    /// Lets the alarms ring that are due.
    pub fn on_tick(&mut self, now_ns: u64, out: &mut Vec<Advice>) {
        while let Some(((at, _), _)) = self.alarms.first_key_value() {
            if *at > now_ns {
                break;
            }
            if let Some((_, alarm)) = self.alarms.pop_first() {
                let _ = self.foca.handle_timer(alarm, &mut self.runtime);
                self.drain(now_ns, out);
            }
        }
    }

    /// When the next alarm rings (ns).
    pub fn next_deadline_ns(&self) -> u64 {
        self.alarms
            .first_key_value()
            .map_or(u64::MAX, |((at, _), _)| *at)
    }

    /// Whether a node seems to be here.
    pub fn is_here(&self, node: &NodeId) -> bool {
        self.here.contains(node)
    }

    /// Whether anybody is known.
    pub fn is_alone(&self) -> bool {
        self.here.is_empty()
    }

    fn drain(&mut self, now_ns: u64, out: &mut Vec<Advice>) {
        let second = now_ns / 1_000_000_000;
        if self.spent.0 != second {
            self.spent = (second, 0);
        }
        while let Some((to, message)) = self.runtime.to_send() {
            self.spent.1 = self.spent.1.saturating_add(1);
            if self.spent.1 <= MESSAGES_PER_SECOND_MAX {
                let message = message.to_vec();
                out.push(Advice::Send {
                    to: to.node,
                    message,
                });
            }
        }
        while let Some((after, alarm)) = self.runtime.to_schedule() {
            let at = now_ns.saturating_add(after.as_nanos() as u64);
            self.alarms_set += 1;
            self.alarms.insert((at, self.alarms_set), alarm);
        }
        while let Some(news) = self.runtime.to_notify() {
            match news {
                OwnedNotification::MemberUp(member) => {
                    self.here.insert(member.node);
                    out.push(Advice::Up(member.node));
                }
                OwnedNotification::MemberDown(member) => {
                    self.here.remove(&member.node);
                    out.push(Advice::Down(member.node));
                }
                _ => {}
            }
        }
    }
}

fn config() -> foca::Config {
    let few = |count| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    let each = |seconds, members| {
        let frequency = Duration::from_secs(seconds);
        Some(PeriodicParams {
            frequency,
            num_members: few(members),
        })
    };
    let mut config = foca::Config::simple();
    config.probe_period = Duration::from_secs(1);
    config.probe_rtt = Duration::from_millis(400);
    config.num_indirect_probes = few(3);
    config.max_transmissions = NonZeroU8::new(10).unwrap_or(NonZeroU8::MIN);
    config.suspect_to_down_after = Duration::from_secs(4);
    config.remove_down_after = Some(Duration::from_secs(48 * 3600));
    config.max_packet_size = few(MESSAGE_BYTES_MAX);
    config.notify_down_members = true;
    config.periodic_announce = each(30, 1);
    config.periodic_announce_to_down_members = each(15, 2);
    config.periodic_gossip = each(1, 3);
    config
}

/// Chance for gossip: SplitMix64 (Steele, Lea and Flood, 2014), seeded by the node's own.
#[derive(Clone, Debug)]
struct Dice(u64);

impl rand_core_10::TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(word ^ word >> 31)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
