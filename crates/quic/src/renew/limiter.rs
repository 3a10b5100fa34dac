//! Counting renewals, so that no node keeps another one signing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;
use unisono_model::NodeId;

use crate::limits;

/// Requests by node, in windows of [`limits::RENEWAL_WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct RenewalLimiter(Mutex<HashMap<NodeId, Window>>);

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    requests: u32,
}

impl RenewalLimiter {
    /// Counts a request; how long the node has to wait, if it has asked too often (ms).
    pub(crate) fn asked(&self, node: NodeId) -> Option<u64> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= limits::PEERS_MAX && !windows.contains_key(&node) {
            windows.retain(|_, window| window.began.elapsed() < limits::RENEWAL_WINDOW);
            if windows.len() >= limits::PEERS_MAX {
                // More nodes than there can be peers, in one window: none of them is in a hurry.
                return Some(limits::RENEWAL_WINDOW.as_millis() as u64);
            }
        }
        let fresh = Window {
            began: Instant::now(),
            requests: 0,
        };
        let window = windows.entry(node).or_insert(fresh);
        if window.began.elapsed() >= limits::RENEWAL_WINDOW {
            *window = fresh;
        }
        window.requests = window.requests.saturating_add(1);
        let wait = limits::RENEWAL_WINDOW.saturating_sub(window.began.elapsed());
        let too_often = window.requests > limits::RENEWAL_REQUESTS_MAX;
        too_often.then_some(wait.as_millis() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_node_that_asks_without_end_waits_and_others_do_not() {
        let limiter = RenewalLimiter::default();
        let (noisy, quiet) = (NodeId([1; 32]), NodeId([2; 32]));
        for _ in 0..limits::RENEWAL_REQUESTS_MAX {
            assert_eq!(limiter.asked(noisy), None);
        }
        assert!(limiter.asked(noisy).is_some());
        assert_eq!(limiter.asked(quiet), None);
        tokio::time::advance(limits::RENEWAL_WINDOW).await;
        assert_eq!(limiter.asked(noisy), None);
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_nodes_find_an_end_and_leave_room_again() {
        let limiter = RenewalLimiter::default();
        let named = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&(number as u64).to_le_bytes());
            NodeId(id)
        };
        for number in 0..limits::PEERS_MAX {
            assert_eq!(limiter.asked(named(number)), None);
        }
        assert!(limiter.asked(named(limits::PEERS_MAX)).is_some());
        tokio::time::advance(limits::RENEWAL_WINDOW).await;
        assert_eq!(limiter.asked(named(limits::PEERS_MAX)), None);
    }
}
