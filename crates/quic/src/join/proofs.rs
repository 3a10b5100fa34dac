//! Counting wrong proofs, so that nobody gets to try many.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use crate::limits;

/// Wrong proofs by address, in windows of [`limits::PROOF_WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct ProofLimiter(Mutex<HashMap<IpAddr, Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    failures: u32,
}

/// Where failures count that find no place of their own.
const EVERYONE: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

impl ProofLimiter {
    /// How long this address has to wait, if it has (ms).
    pub(crate) fn wait_ms(&self, from: IpAddr) -> Option<u64> {
        let windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        [source(from), EVERYONE]
            .iter()
            .filter_map(|source| windows.get(source))
            .filter(|window| window.failures >= limits::PROOF_FAILURES_MAX)
            .map(|window| limits::PROOF_WINDOW.saturating_sub(window.began.elapsed()))
            .filter(|wait| !wait.is_zero())
            .map(|wait| wait.as_millis() as u64)
            .max()
    }

    pub(crate) fn failed(&self, from: IpAddr) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= limits::PROOF_ADDRESSES_MAX {
            windows.retain(|_, window| window.began.elapsed() < limits::PROOF_WINDOW);
        }
        let mut source = source(from);
        if windows.len() >= limits::PROOF_ADDRESSES_MAX && !windows.contains_key(&source) {
            source = EVERYONE;
        }
        let fresh = Window {
            began: Instant::now(),
            failures: 0,
        };
        let window = windows.entry(source).or_insert(fresh);
        if window.began.elapsed() >= limits::PROOF_WINDOW {
            *window = fresh;
        }
        window.failures += 1;
    }
}

/// One subscriber holds a whole /64 of IPv6 addresses.
fn source(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(six) => {
            let network = six.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test(start_paused = true)]
    async fn an_address_waits_after_ten_failures_and_others_do_not() {
        let proofs = ProofLimiter::default();
        let (noisy, quiet) = (
            IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
            IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
        );
        for _ in 0..limits::PROOF_FAILURES_MAX {
            assert_eq!(proofs.wait_ms(noisy), None);
            proofs.failed(noisy);
        }
        assert!(proofs.wait_ms(noisy).is_some());
        assert_eq!(proofs.wait_ms(quiet), None);
        tokio::time::advance(limits::PROOF_WINDOW).await;
        assert_eq!(proofs.wait_ms(noisy), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_then_counts_for_all() {
        let proofs = ProofLimiter::default();
        for number in 0..limits::PROOF_ADDRESSES_MAX as u32 + limits::PROOF_FAILURES_MAX {
            proofs.failed(IpAddr::V4(Ipv4Addr::from_bits(number)));
        }
        assert!(
            proofs.0.lock().expect("no test panics holding it").len()
                <= limits::PROOF_ADDRESSES_MAX + 1
        );
        assert!(
            proofs
                .wait_ms(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
                .is_some()
        );
    }
}
