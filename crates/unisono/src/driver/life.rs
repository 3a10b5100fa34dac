//! The lives of the node: how one begins, is made anew from the disk, and ends.

use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use unisono_api::server::{Check, Readiness};
use unisono_core::context::{Context, PracticedVerifier};
use unisono_core::node::{Config, Input, Node};
use unisono_core::sabotage::Sabotage;
use unisono_model::{Code, Incarnation, NodeId, Rejection};

use super::disk::DiskThread;
use super::{Clock, Driver, Identity, Restart};
use crate::failure::Failure;
use crate::home::drawn;

/// Between two attempts to make the node anew from a disk that fails.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How far back views can be read without folding the logs again (ms).
const READABLE_MS: u64 = 120_000;

impl Driver {
    /// Makes the node anew from the disk, as another life. Whoever waits is told that nobody knows.
    pub(super) async fn make_anew(&mut self, restart: Restart) {
        let (Restart::Wanted(reason) | Restart::Ordered(reason)) = restart;
        tracing::warn!(reason, "the node is made anew");
        // The loop answers nobody until the logs are folded, however long that takes.
        self.tell_unready("is being read again");
        self.metrics.restarted();
        self.forget_waiting();
        self.following.clear();
        self.outputs.clear();
        self.life += 1;
        if matches!(restart, Restart::Wanted(_)) {
            let lived_ms = (self.clock.monotonic_ns() - self.began_ns) / 1_000_000;
            let pause_ms = self.revival.pause_ms(lived_ms);
            let refusal = Rejection::new(Code::Busy, format!("this node begins anew: {reason}"))
                .hint("ask again, or ask another node")
                .retry_after(pause_ms);
            self.refuse_for(Duration::from_millis(pause_ms), refusal)
                .await;
            // Whoever ends it does not wait until all logs are read.
            if *self.doors.finish.borrow() {
                return;
            }
        }
        loop {
            let made = self.disk.reopen(self.life).and_then(|()| {
                make_node(
                    &self.identity,
                    self.sabotage,
                    &self.disk,
                    &self.clock,
                    &mut self.rng,
                )
            });
            match made {
                Ok(node) => {
                    self.node = node;
                    break;
                }
                Err(failure) => {
                    let report = failure.report();
                    tracing::error!(
                        error = report.error,
                        "the disk cannot be used; trying again"
                    );
                    self.tell_unready(&report.error);
                    let refusal = Rejection::new(Code::DiskFailed, &report.error)
                        .hint("ask another node; look at this one's disk");
                    self.refuse_for(RETRY_AFTER, refusal).await;
                    if *self.doors.finish.borrow() {
                        return;
                    }
                }
            }
        }
        // However long the logs are, reading them is no life.
        self.began_ns = self.clock.monotonic_ns();
        self.know_seeds();
        for peer in self.doors.transport.peers() {
            if let Some(connection) = peer.connection {
                let round_trip_us = u64::try_from(connection.rtt.as_micros()).unwrap_or(u64::MAX);
                self.feed(Input::PeerUp {
                    node: peer.node,
                    round_trip_us,
                });
            }
        }
        self.disk_full = false;
        self.tell_readiness();
    }

    /// Refuses requests while there is no node to ask.
    async fn refuse_for(&mut self, time: Duration, refusal: Rejection) {
        let end = tokio::time::Instant::now() + time;
        loop {
            let doors = &mut self.doors;
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                _ = doors.finish.wait_for(|&finish| finish) => return,
                // Frames are lost as they would be if the machine were off.
                Some(_) = doors.events.recv() => {}
                Some(call) = doors.calls.recv() => {
                    // The agent may have gone away.
                    let _ = call.answer.send(Err(refusal.clone()));
                }
            }
        }
    }

    pub(super) fn forget_waiting(&mut self) {
        for (ticket, answer) in std::mem::take(&mut self.waiting) {
            if let Some(history) = &mut self.history {
                history.completed(ticket.0, self.clock.time_ns(), None);
            }
            drop(answer);
        }
    }

    pub(super) async fn finish(mut self) {
        let (wall_ns, unsure_ns) = self.clock.time();
        let mut context = Context {
            wall_ns,
            unsure_ns,
            monotonic_ns: self.clock.monotonic_ns(),
            rng: &mut self.rng,
            verifier: &mut self.verifier,
        };
        self.node.save_all(&mut context, &mut self.outputs);
        self.perform_all();
        self.forget_waiting();
        self.doors.transport.close().await;
        self.disk.finish();
    }

    pub(super) fn know_seeds(&mut self) {
        for seed in self.identity.seeds.clone() {
            self.address(seed.node, &seed.address);
        }
    }

    /// There is no node to ask.
    fn tell_unready(&self, why: &str) {
        let journal = Check {
            name: "journal",
            well: false,
            detail: why.to_owned(),
        };
        self.doors.readiness.send_replace(Readiness {
            ready: false,
            checks: vec![journal],
        });
    }

    pub(super) fn tell_readiness(&self) {
        let peers = self.doors.transport.peers();
        let connected = peers
            .iter()
            .filter(|peer| peer.connection.is_some())
            .count();
        let well = |well: bool, good: &str, bad: &str| if well { good } else { bad }.to_owned();
        let checks = vec![
            Check {
                name: "journal",
                well: true,
                detail: "open".to_owned(),
            },
            Check {
                name: "disk",
                well: !self.disk_full,
                detail: well(
                    !self.disk_full,
                    "writable",
                    "full: writes are refused, reads go on",
                ),
            },
            Check {
                name: "peers",
                well: peers.is_empty() || connected > 0,
                detail: format!("{connected} of {} connected", peers.len()),
            },
        ];
        self.doors.readiness.send_replace(Readiness {
            ready: true,
            checks,
        });
    }
}

/// A node as the disk remembers it, in a new life.
pub(super) fn make_node(
    identity: &Identity,
    sabotage: Sabotage,
    disk: &DiskThread,
    clock: &Clock,
    rng: &mut ChaCha12Rng,
) -> Result<Node, Failure> {
    let nonce = u64::from_le_bytes(drawn()?);
    let incarnation = Incarnation {
        started_ms: clock.time_ns() / 1_000_000,
        nonce,
    };
    let seeds: Vec<(NodeId, String)> = identity
        .seeds
        .iter()
        .map(|seed| (seed.node, seed.address.clone()))
        .collect();
    let config = Config {
        cluster: identity.cluster,
        secret: identity.secret,
        name: identity.name.clone(),
        region: identity.region.clone(),
        address: identity.address.clone(),
        incarnation,
        founder: Some(identity.founder),
        root: identity.root,
        recovery: identity.recovery,
        authority: identity.authority,
        seeds,
        lease_ms_max: identity.lease_ms_max,
        readable_ms: READABLE_MS,
        checkpoint_records: unisono_core::node::limits::CHECKPOINT_RECORDS,
        sabotage,
    };
    let (wall_ns, unsure_ns) = clock.time();
    let mut context = Context {
        wall_ns,
        unsure_ns,
        monotonic_ns: clock.monotonic_ns(),
        rng,
        verifier: &mut PracticedVerifier::default(),
    };
    let mut node = disk.with_storage(|storage| Node::start(config, storage, &mut context));
    if let Some(delegation) = &identity.renewer
        && let Err(invalid) = node.entrust(delegation.clone())
    {
        tracing::warn!(%invalid, "this node renews no tokens: renewer.token does not let it");
    }
    Ok(node)
}
