//! How often somebody may ask: requests of an address, and records of a key.
//!
//! Each source may ask at a rate, and has some requests to spare that it gets back with the time. Only
//! a time is kept for each: when what it has asked for would be over at that rate (GCRA, as ITU-T I.371
//! has it for cells). A signature that is wrong costs the key in whose name it stands nothing, or
//! anybody could silence it; it costs the address.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use unisono_model::AgentId;

use crate::limits::{
    ADDRESS_BURST, ADDRESS_REQUESTS_PER_S_MAX, KEY_BURST, KEY_REQUESTS_PER_S_MAX, RATED_SOURCES_MAX,
};

/// How often one source may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// Requests a second, for as long as one likes; at least 1.
    pub per_s: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// How often each source may ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rates {
    /// Records that one key signs, and as many reads under its sessions.
    pub key: Pace,
    /// Other requests from one address.
    pub address: Pace,
    /// Whether this machine's own addresses are held to that, too.
    pub holds_loopback: bool,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            key: Pace {
                per_s: KEY_REQUESTS_PER_S_MAX,
                burst: KEY_BURST,
            },
            address: Pace {
                per_s: ADDRESS_REQUESTS_PER_S_MAX,
                burst: ADDRESS_BURST,
            },
            // All agents of a machine share one address, and whoever is on it has other ways.
            holds_loopback: false,
        }
    }
}

/// Who asked, by the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller(pub(crate) IpAddr);

/// What was asked lately.
#[derive(Debug)]
pub(crate) struct Limiter {
    rates: Rates,
    keys: Table<AgentId>,
    /// Counted apart: whoever has a copy of a session does not keep its agent from acting.
    readers: Table<AgentId>,
    addresses: Table<IpAddr>,
}

impl Limiter {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            rates,
            keys: Table::new(rates.key),
            readers: Table::new(rates.key),
            addresses: Table::new(rates.address),
        }
    }

    /// Counts a request of an address. How long it has to wait, if it has.
    pub(crate) fn asked(&self, from: IpAddr) -> Result<(), Duration> {
        match self.source(from) {
            Some(source) => self.addresses.take(source, Instant::now()),
            None => Ok(()),
        }
    }

    /// Counts a read under a key's session. How long it has to wait, if it has.
    pub(crate) fn read_by(&self, key: AgentId) -> Result<(), Duration> {
        self.readers.take(key, Instant::now())
    }

    /// How long a key has to wait, if it has.
    pub(crate) fn key_waits(&self, key: &AgentId) -> Option<Duration> {
        self.keys.waits(key, Instant::now())
    }

    /// A key has signed something, as the node has found: it is counted by that, and its address gets
    /// the request back.
    pub(crate) fn signed(&self, key: AgentId, from: Option<IpAddr>) {
        let now = Instant::now();
        let _ = self.keys.take(key, now);
        if let Some(source) = from.and_then(|from| self.source(from)) {
            self.addresses.give_back(&source);
        }
    }

    /// One subscriber has a whole /64 of IPv6 addresses.
    fn source(&self, from: IpAddr) -> Option<IpAddr> {
        let from = from.to_canonical();
        if from.is_loopback() && !self.rates.holds_loopback {
            return None;
        }
        Some(match from {
            IpAddr::V6(six) => {
                let network = six.to_bits() & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            four @ IpAddr::V4(_) => four,
        })
    }
}

/// When what each source has asked for is over.
#[derive(Debug)]
struct Table<K> {
    each: Duration,
    ahead: Duration,
    over: Mutex<HashMap<K, Instant>>,
}

impl<K: Eq + Hash> Table<K> {
    fn new(Pace { per_s, burst }: Pace) -> Self {
        let each = Duration::from_secs(1) / per_s.max(1);
        Self {
            each,
            ahead: each * burst.max(1),
            over: Mutex::default(),
        }
    }

    fn waits(&self, source: &K, now: Instant) -> Option<Duration> {
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        let end = over.get(source).copied().unwrap_or(now).max(now) + self.each;
        let late = end
            .saturating_duration_since(now)
            .saturating_sub(self.ahead);
        (!late.is_zero()).then_some(late)
    }

    fn take(&self, source: K, now: Instant) -> Result<(), Duration> {
        if let Some(wait) = self.waits(&source, now) {
            return Err(wait);
        }
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        if over.len() >= RATED_SOURCES_MAX && !over.contains_key(&source) {
            over.retain(|_, end| *end > now);
            if over.len() >= RATED_SOURCES_MAX {
                // So many at once are within what the node bounds for all together; to refuse whoever
                // is not among the first would shut out the honest.
                return Ok(());
            }
        }
        let end = over.entry(source).or_insert(now);
        *end = (*end).max(now) + self.each;
        Ok(())
    }

    fn give_back(&self, source: &K) {
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(end) = over.get_mut(source)
            && let Some(before) = end.checked_sub(self.each)
        {
            *end = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Pace = Pace {
        per_s: 10,
        burst: 3,
    };

    #[test]
    fn a_source_has_a_few_requests_to_spare_and_then_its_rate_and_others_are_not_held_up() {
        let table = Table::new(SLOW);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(table.take(1, now), Ok(()));
        }
        let wait = table.take(1, now).expect_err("too many");
        assert_eq!(wait, Duration::from_millis(100));
        assert_eq!(table.take(2, now), Ok(()), "another one");
        assert_eq!(table.take(1, now + wait), Ok(()), "as it was told");
        assert!(table.take(1, now + wait).is_err());
        let later = now + Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(
                table.take(1, later),
                Ok(()),
                "no more than these are spared"
            );
        }
        assert!(table.take(1, later).is_err());
    }

    #[test]
    fn made_up_sources_take_bounded_room_and_leave_it_again() {
        let table = Table::new(SLOW);
        let now = Instant::now();
        for source in 0..2 * RATED_SOURCES_MAX {
            assert_eq!(table.take(source, now), Ok(()));
        }
        let count = || table.over.lock().expect("nobody panicked").len();
        assert_eq!(count(), RATED_SOURCES_MAX);
        let later = now + Duration::from_secs(60);
        assert_eq!(table.take(usize::MAX, later), Ok(()));
        assert_eq!(count(), 1);
    }

    #[test]
    fn one_network_of_ipv6_is_one_source_and_this_machine_is_none() {
        let limiter = Limiter::new(Rates {
            address: SLOW,
            ..Rates::default()
        });
        let of = |text: &str| text.parse::<IpAddr>().expect("an address");
        for host in ["2001:db8::1", "2001:db8::2", "2001:db8::3"] {
            assert_eq!(limiter.asked(of(host)), Ok(()));
        }
        assert!(limiter.asked(of("2001:db8::4")).is_err());
        assert_eq!(
            limiter.asked(of("2001:db8:0:1::1")),
            Ok(()),
            "another network"
        );
        for _ in 0..100 {
            for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
                assert_eq!(limiter.asked(of(here)), Ok(()));
            }
        }
    }
}
