//! A node as the disk remembers it.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;
use unisono_model::{ForkProof, Incarnation, LogId, NodeId, OrchestraId, Stamp, wire};

use super::batch::Staged;
use super::jobs::Jobs;
use super::repair::Recent;
use super::space::Space;
use super::{Config, Node, Storage};
use crate::carriage::{Carried, proves_fork};
use crate::context::Context;
use crate::membership::{Identity, Membership};
use crate::orchestra::view::Counters;
use crate::replication::Logs;
use crate::timing::StampClock;

/// Lives rise, whatever the clock does: one that began while it was set ahead stands above all that
/// follow, and whoever had voted it out had voted out these, too (seed 845: the node was made anew for
/// ever).
fn outlive(life: &mut Incarnation, node: NodeId, storage: &mut dyn Storage) -> LogId {
    for orchestra in storage.orchestras() {
        let logs = storage.holdings(orchestra).into_iter();
        let own = logs.filter(|(log, _)| log.node == node);
        let highest = own.map(|(log, _)| log.incarnation.started_ms).max();
        if let Some(highest) = highest.filter(|highest| *highest > life.started_ms) {
            life.started_ms = highest + 1;
        }
    }
    LogId {
        node,
        incarnation: *life,
    }
}

/// How much of a log is read at once at the start (bytes).
const STEP_BYTES: usize = 1024 * 1024;

impl Node {
    /// A node as the disk remembers it: from checkpoints, and from what was written after them.
    /// Where a bundle cannot be read, its log ends before it until a peer has repaired it.
    pub fn start(mut config: Config, storage: &mut dyn Storage, context: &mut Context<'_>) -> Self {
        let key = SigningKey::from_bytes(&config.secret);
        let node = NodeId(key.verifying_key().to_bytes());
        let me = outlive(&mut config.incarnation, node, storage);
        let cluster = OrchestraId::of(config.cluster, "cluster");
        let identity = Identity {
            node,
            incarnation: config.incarnation,
            renewals: 0,
            region: config.region.clone(),
        };
        let mut started = Self {
            gossip: Membership::new(identity, context.rng.next_u64()),
            config,
            key,
            me,
            cluster,
            clock: StampClock::default(),
            written: Stamp::MIN,
            spaces: BTreeMap::new(),
            queue: VecDeque::new(),
            held_back: 0,
            blocked: BTreeMap::new(),
            deferred: VecDeque::new(),
            batch: None,
            next_batch: 0,
            waiters: Vec::new(),
            jobs: Jobs::default(),
            peers: BTreeMap::new(),
            windows: super::door::Windows::default(),
            expulsions: super::expulsion::Expulsions::default(),
            succeeded: super::succession::Told::default(),
            shut_out: super::invites::ShutOut::default(),
            named: super::roots::Named::default(),
            held_keys: BTreeMap::new(),
            renewing: super::renewing::Renewing::default(),
            witnessing: super::witness::Witnessing::default(),
            granted: super::losers::Granted::default(),
            recent: Recent::default(),
            mend_turn: 0,
            relay: Vec::new(),
            relay_due_ms: None,
            twice: super::twice::Twice::default(),
            emitted: BTreeMap::new(),
            token_minutes: BTreeMap::new(),
            incidents: BTreeMap::new(),
            refusals: super::alerts::Refusals::default(),
            places: super::places::Places::default(),
            disk_retry_ms: None,
            stopped: false,
            next_join_ms: 0,
            next_summary_ms: 0,
            next_care_ms: 0,
            unsettled_until_ms: 0,
            wish: None,
            leaving: None,
            dispensable: false,
            wall_clock: super::clock::WallClock::default(),
            published: BTreeSet::new(),
            ripens: None,
            counters: Counters::default(),
        };
        started.remember(context, storage);
        started
    }

    /// Takes in what the disk holds.
    fn remember(&mut self, context: &mut Context<'_>, storage: &mut dyn Storage) {
        self.space_entry(self.cluster);
        for orchestra in storage.orchestras() {
            self.recover(context, storage, orchestra);
        }
        self.stand_on_members();
        for orchestra in self.spaces.keys().copied().collect::<Vec<_>>() {
            self.remember_grants(orchestra);
        }
        self.note_segments(&storage.damage());
        self.forget_the_start();
    }

    /// What was read from disk is no news, and is not counted.
    fn forget_the_start(&mut self) {
        self.counters = Counters::default();
        self.published.clear();
    }

    fn recover(
        &mut self,
        context: &mut Context<'_>,
        storage: &mut dyn Storage,
        orchestra: OrchestraId,
    ) {
        let rules = self.fold_rules();
        let checkpoint = storage.blob(&Space::checkpoint_name(orchestra));
        let living = storage.blob(&super::living::Living::blob_name(orchestra));
        let holdings = storage.holdings(orchestra);
        let space = self.space_entry(orchestra);
        let restored = checkpoint.is_some_and(|bytes| space.restore(&bytes, living, &rules));
        if restored && !is_behind(&space.logs, &holdings) {
            // The checkpoint speaks of bundles that are gone: it proves nothing any more.
            *space = Space::new(orchestra);
        }
        for bytes in storage.proofs(orchestra) {
            self.recover_proof(context, orchestra, &bytes);
        }
        let mut highest = Stamp::MIN;
        if let Some(space) = self.spaces.get(&orchestra) {
            let stamps = space.logs.iter().map(|(_, state)| state.stamp);
            let horizon =
                Stamp::from_ns(context.wall_ns).plus_ms(unisono_model::limits::STAMP_AHEAD_MS_MAX);
            let own = space
                .logs
                .iter()
                .filter(|(log, _)| log.node == self.me.node);
            highest = stamps
                .filter(|stamp| *stamp <= horizon)
                .max()
                .unwrap_or(Stamp::MIN);
            let own = own.map(|(_, state)| state.stamp).max();
            self.written = self.written.max(own.unwrap_or(Stamp::MIN));
            highest = self.written.max(highest);
        }
        self.clock = StampClock::after(self.clock.now(0).max(highest));
        for (log, held) in holdings {
            self.recover_log(context, storage, orchestra, log);
            self.note_missing(orchestra, log, &held.into_iter().collect());
        }
        self.space_entry(orchestra).living.unshelve();
    }

    fn recover_proof(&mut self, context: &mut Context<'_>, orchestra: OrchestraId, bytes: &[u8]) {
        let Ok(proof) =
            wire::decode::<ForkProof>(bytes, unisono_model::limits::FORK_PROOF_BYTES_MAX)
        else {
            return;
        };
        if self.config.sabotage.fork_accepted
            || !proves_fork(&proof, self.config.cluster, context.verifier)
        {
            return;
        }
        let (log, seq) = (proof.one.0.log, proof.one.0.seq);
        let space = self.space_entry(orchestra);
        if space.logs.prove_fork(proof) && space.logs.get(&log).is_some_and(|s| s.seq >= seq) {
            space.folds.upset();
        }
    }

    /// What was written after the checkpoint.
    fn recover_log(
        &mut self,
        context: &mut Context<'_>,
        storage: &mut dyn Storage,
        orchestra: OrchestraId,
        log: LogId,
    ) {
        loop {
            let space = self.space_entry(orchestra);
            let from_seq = space.logs.get(&log).map_or(0, |state| state.seq) + 1;
            let stretch = storage.read(orchestra, log, from_seq, STEP_BYTES);
            self.note_damage(&stretch.damage);
            let mut next = from_seq;
            for entry in stretch.entries {
                let Ok(carried) = Carried::from_disk(&entry.bytes, self.config.cluster) else {
                    return;
                };
                let space = self.space_entry(orchestra);
                let state = space.logs.entry(log);
                let (header, lowest) = (carried.header(), carried.lowest());
                if state.is_next(header, &carried.digest(), lowest).is_err() {
                    return;
                }
                let (header, digest) = (*carried.header(), carried.digest());
                let placed = state.advance(&header, digest, carried.body(), context.verifier);
                let changes = state.changes_of(carried.body());
                let own = log.node == self.me.node;
                let staged = Staged {
                    orchestra,
                    carried,
                    placed,
                    own,
                    changes,
                };
                self.apply_bundle(context, &staged);
                if own {
                    // This node never stamps below what it has written in an earlier life.
                    self.clock = StampClock::after(self.clock.now(0).max(header.stamp));
                }
                next = header.seq + 1;
            }
            // Nothing else applies them before the start is over, and there may be a million.
            let now_ms = context.now_ms();
            self.space_entry(orchestra).documents.pump_at_start(now_ms);
            if next == from_seq {
                return;
            }
        }
    }
}

/// Whether the disk holds at least what a checkpoint's logs say, from their first bundle on.
fn is_behind(logs: &Logs, holdings: &[(LogId, Vec<(u64, u64)>)]) -> bool {
    let last: BTreeMap<LogId, u64> = holdings
        .iter()
        .filter_map(|(log, ranges)| Some((*log, ranges.last()?.1)))
        .collect();
    logs.iter()
        .all(|(log, state)| last.get(log).copied().unwrap_or(0) >= state.seq)
}
