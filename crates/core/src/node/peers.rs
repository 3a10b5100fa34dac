//! What comes from peers, and to whom things go.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use unisono_model::{NodeId, OrchestraId, Stamp, wire};

use super::output::{Class, Note, Output};
use super::pursuit::Pursuit;
use super::space::Space;
use super::{Node, limits};
use crate::carriage::Carried;
use crate::context::Context;
use crate::membership::{Advice, Identity};
use crate::orchestra::members::Member;
use crate::replication::Frame;

/// What is known of another node.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    /// A connection stands.
    pub(super) connected: bool,
    /// When it was last heard (ms).
    pub(super) heard_ms: Option<u64>,
    /// The round trip (µs).
    pub(super) round_trip_us: Option<u64>,
    /// Its wall clock minus ours when it was last heard (ms).
    pub(super) clock_ms: Option<i64>,
    /// How far its time may be off the cluster's, as it said last (ns), where it knows that.
    pub(super) unsure_ns: Option<u64>,
    /// Until when a request for bundles is under way (ms).
    pub(super) wanted_until_ms: u64,
    /// What it was asked for and has more of.
    pub(super) pursuit: Option<Pursuit>,
    /// A frame to it was dropped: it must be told what there is.
    pub(super) needs_repair: bool,
    /// Bundles that it lacked at its last vector.
    pub(super) behind: u64,
    /// When it is due for the next vote on its removal (ms).
    pub(super) silent_since_ms: Option<u64>,
}

impl Node {
    pub(super) fn receive(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        bytes: &[u8],
        out: &mut Vec<Output>,
    ) {
        self.counters.frames_received += 1;
        self.counters.bytes_received += bytes.len() as u64;
        let Ok(frame) = Frame::decode(bytes) else {
            out.push(Output::Note(Note::FrameRefused { from }));
            return;
        };
        let peer = self.peers.entry(from).or_default();
        peer.heard_ms = Some(context.now_ms());
        peer.silent_since_ms = None;
        if self.is_expelled(&from) {
            return;
        }
        let outsider = self.is_outsider(&from);
        let heard = if outsider {
            self.about_joining(frame)
        } else {
            Some(frame)
        };
        if let Some(frame) = heard {
            self.take_frame(context, from, frame, out);
        }
    }

    fn take_frame(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        frame: Frame,
        out: &mut Vec<Output>,
    ) {
        let now_ms = context.now_ms();
        match frame {
            Frame::Push { .. } | Frame::Range { .. } if self.is_closed() => {}
            Frame::Push { relay, bundles } => {
                let fresh = self.take_in(context, from, bundles.iter().map(|b| &b.0[..]), out);
                if relay {
                    self.pass_on(now_ms, &fresh, out);
                }
            }
            Frame::Range { bundles, more } => {
                self.take_in(context, from, bundles.iter().map(|b| &b.0[..]), out);
                let pursued =
                    self.note_stretch(from, &bundles) && !more && self.pursue(context, from, out);
                if !more
                    && !pursued
                    && let Some(peer) = self.peers.get_mut(&from)
                    && peer.pursuit.is_none()
                {
                    peer.wanted_until_ms = now_ms;
                    self.unsettled_until_ms = now_ms + limits::SUMMARY_IDLE_MS;
                    self.next_summary_ms = self.next_summary_ms.min(now_ms + limits::GAP_DELAY_MS);
                }
            }
            Frame::Have { orchestra, logs } => {
                for (log, seq) in logs {
                    if log.node == self.me.node {
                        self.held_by(from, orchestra, log, seq);
                    }
                }
                self.check_waiters(context, out);
            }
            Frame::Summary {
                wall_ms,
                unsure_ns,
                ask,
                orchestras,
            } => {
                self.peers.entry(from).or_default().unsure_ns = unsure_ns;
                self.note_clock(context, from, wall_ms, out);
                self.compare(context, from, ask, &orchestras, out);
            }
            Frame::Vector {
                orchestra,
                ask,
                logs,
                proofs,
            } => {
                self.take_proofs(context, proofs, out);
                self.compare_vector(context, from, orchestra, ask, &logs, out);
            }
            Frame::Want { orchestra, logs } => self.serve(from, orchestra, &logs, out),
            Frame::Header(theirs) => self.compare_header(context, from, theirs, out),
            Frame::Join(admit) => self.asked_to_admit(context, from, admit, out),
            Frame::Swim(message) => self.take_gossip(context, &message.0, out),
            Frame::Keep { orchestra, logs } => self.asked_to_keep(from, orchestra, &logs, out),
            Frame::Kept { question } => self.note_kept(context, from, question, out),
            Frame::Relay { .. } => {}
        }
    }

    fn take_gossip(&mut self, context: &Context<'_>, message: &[u8], out: &mut Vec<Output>) {
        let mut advice = Vec::new();
        self.gossip
            .on_message(context.monotonic_ns, message, &mut advice);
        self.heed(advice, out);
    }

    /// Carriage for bundles of a peer. Gives back the bytes of those that were new.
    pub(super) fn take_in<'a>(
        &mut self,
        context: &mut Context<'_>,
        from: NodeId,
        bundles: impl Iterator<Item = &'a [u8]>,
        out: &mut Vec<Output>,
    ) -> Vec<Vec<u8>> {
        let mut fresh = Vec::new();
        let mut holes = BTreeSet::new();
        let mut waiting = self.waiting_bundles();
        for bytes in bundles {
            let lost = self.is_lost(bytes);
            if lost.is_none() && self.is_held(bytes) {
                self.counters.bundles_duplicate += 1;
                continue;
            }
            match Carried::admit(bytes, self.config.cluster, context.verifier) {
                Ok(carried) => {
                    if let Some(hole) = lost {
                        self.found(carried);
                        holes.insert(hole);
                    } else if !self.knows(&carried.header().log.node) {
                        // It may have been admitted where this node has not looked yet.
                        self.counters.bundles_refused += 1;
                        self.unsettled_until_ms = context.now_ms() + limits::SUMMARY_IDLE_MS;
                    } else if self.line_up(from, carried, &mut waiting, out) {
                        fresh.push(bytes.to_vec());
                    }
                }
                Err(why) => {
                    self.counters.bundles_refused += 1;
                    let why = why.word();
                    out.push(Output::Note(Note::BundleRefused {
                        from,
                        log: None,
                        why,
                    }));
                }
            }
        }
        for (orchestra, log) in holes {
            self.mend(context, orchestra, log, out);
        }
        fresh
    }

    /// Whether the bundle that these bytes claim to be is held already: spares its signature.
    fn is_held(&self, bytes: &[u8]) -> bool {
        let Some(header) = unisono_model::SignedBundle::peek(bytes) else {
            return false;
        };
        let Some(space) = self.spaces.get(&header.orchestra) else {
            return false;
        };
        let held = space.logs.get(&header.log).is_some_and(|state| {
            header.seq < state.seq || (header.seq == state.seq && header.digest() == state.head)
        });
        held || space
            .incoming
            .get(&header.log, header.seq)
            .is_some_and(|known| known.digest() == header.digest())
    }

    /// Puts a good bundle where the next batch finds it. Says whether it was new.
    fn line_up(
        &mut self,
        from: NodeId,
        carried: Carried,
        waiting: &mut (usize, usize),
        out: &mut Vec<Output>,
    ) -> bool {
        let header = *carried.header();
        let me = self.me;
        if header.log == me || !self.may_begin(&carried) {
            return false;
        }
        let space = self.space_entry(header.orchestra);
        let full = |times: usize| {
            waiting.0 >= limits::INCOMING_MAX * times
                || waiting.1 >= limits::INCOMING_BYTES_MAX * times
        };
        // What continues its log makes room; without it, all that stands behind it would stay.
        let held = space.logs.get(&header.log).map_or(0, |state| state.seq);
        if full(2) || (full(1) && header.seq != held + 1) {
            return false;
        }
        waiting.0 += 1;
        waiting.1 += carried.bytes().len();
        if let Some(known) = space.incoming.get(&header.log, header.seq)
            && known.digest() != carried.digest()
        {
            let known = (*known.header(), known.bundle().signature);
            self.fork_found(known, (header, carried.bundle().signature));
            return false;
        }
        if let Some(state) = space.logs.get(&header.log) {
            let at_head = header.seq == state.seq && carried.digest() != state.head;
            let past_head = header.seq == state.seq + 1 && header.prev != state.head;
            if (at_head || past_head) && state.cut.is_none() {
                let ours = space
                    .headers
                    .get(&header.log)
                    .and_then(|h| h.get(&state.seq))
                    .copied();
                match ours {
                    Some(ours) if at_head => {
                        self.fork_found(ours, (header, carried.bundle().signature));
                    }
                    Some(ours) => self.send(from, Class::Repair, &Frame::Header(ours), out),
                    None => {}
                }
                return false;
            }
        }
        self.space_entry(header.orchestra).incoming.insert(carried);
        true
    }

    /// Passes bundles from another region on to the peers of this one.
    fn pass_on(&mut self, now_ms: u64, fresh: &[Vec<u8>], out: &mut Vec<Output>) {
        if fresh.is_empty() {
            return;
        }
        let (near, _) = self.targets(now_ms);
        let frame = Frame::Push {
            relay: false,
            bundles: super::batch::blobs(fresh),
        };
        for node in near {
            self.send(node, Class::Push, &frame, out);
        }
    }

    pub(super) fn send(&mut self, to: NodeId, class: Class, frame: &Frame, out: &mut Vec<Output>) {
        if to == self.me.node {
            return;
        }
        let bytes = wire::encode(frame);
        self.counters.frames_sent += 1;
        self.counters.bytes_sent += bytes.len() as u64;
        out.push(Output::Send { to, class, bytes });
    }

    pub(super) fn space_entry(&mut self, id: OrchestraId) -> &mut Space {
        if let alloc::collections::btree_map::Entry::Vacant(vacant) = self.spaces.entry(id) {
            vacant.insert(Space::new(id));
            self.cut_expelled_in(id);
        }
        self.spaces.entry(id).or_insert_with(|| Space::new(id))
    }

    pub(super) fn peer_up(
        &mut self,
        context: &mut Context<'_>,
        node: NodeId,
        round_trip_us: u64,
        out: &mut Vec<Output>,
    ) {
        let now_ms = context.now_ms();
        let peer = self.peers.entry(node).or_default();
        peer.connected = true;
        peer.heard_ms = Some(now_ms);
        peer.silent_since_ms = None;
        peer.round_trip_us = Some(round_trip_us);
        peer.wanted_until_ms = 0;
        peer.pursuit = None;
        self.measure_offset();
        self.unsettled_until_ms = now_ms + limits::SUMMARY_IDLE_MS;
        out.push(Output::Note(Note::Member { node, alive: true }));
        self.send_summary(context, node, out);
    }

    pub(super) fn peer_down(&mut self, node: NodeId, out: &mut Vec<Output>) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.connected = false;
            peer.wanted_until_ms = 0;
            peer.pursuit = None;
            out.push(Output::Note(Note::Member { node, alive: false }));
        }
        self.measure_offset();
    }

    pub(super) fn refused(&mut self, context: &Context<'_>, to: NodeId) {
        self.peers.entry(to).or_default().needs_repair = true;
        self.unsettled_until_ms = context.now_ms() + limits::SUMMARY_IDLE_MS;
    }

    /// The members that this node sends its bundles to: those of its own region, and, for each
    /// other region, the one that forwards there.
    pub(super) fn targets(&self, now_ms: u64) -> (Vec<NodeId>, Vec<NodeId>) {
        let mut near = Vec::new();
        let mut far: alloc::collections::BTreeMap<alloc::string::String, Vec<NodeId>> =
            alloc::collections::BTreeMap::new();
        for (node, region) in self.current_members() {
            if node == self.me.node {
                continue;
            }
            if region == self.config.region {
                near.push(node);
            } else {
                far.entry(region).or_default().push(node);
            }
        }
        let far = far
            .into_values()
            .map(|nodes| self.forwarder(&nodes, now_ms))
            .collect();
        (near, far)
    }

    /// Of some nodes, the first that seems alive, or the first: the forwarder and its backup follow
    /// from the members' keys, so that all agree without a word.
    fn forwarder(&self, nodes: &[NodeId], now_ms: u64) -> NodeId {
        let alive = nodes.iter().find(|node| self.seems_alive(node, now_ms));
        *alive.unwrap_or(&nodes[0])
    }

    /// Does what gossip wants.
    pub(super) fn heed(&mut self, advice: Vec<Advice>, out: &mut Vec<Output>) {
        for one in advice {
            match one {
                Advice::Send { to, message } => {
                    self.send(
                        to,
                        Class::Membership,
                        &Frame::Swim(wire::Blob(message)),
                        out,
                    );
                }
                Advice::Up(node) => out.push(Output::Note(Note::Member { node, alive: true })),
                Advice::Down(node) => out.push(Output::Note(Note::Member { node, alive: false })),
            }
        }
    }

    /// Makes itself known by gossip, as long as nobody is.
    pub(super) fn announce(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        if !self.gossip.is_alone() || !self.is_member() {
            return;
        }
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return;
        };
        let members = cluster.folds.members.all(Stamp::MAX).into_iter();
        let others: Vec<Identity> = members
            .filter(|member| member.stays() && member.admit.node != self.me.node)
            .map(|member| Identity {
                node: member.admit.node,
                incarnation: member.admit.incarnation,
                renewals: 0,
                region: member.admit.region.clone(),
            })
            .collect();
        if others.is_empty() {
            return;
        }
        let chosen = context.rng.next_u32() as usize % others.len();
        let mut advice = Vec::new();
        self.gossip
            .announce(context.monotonic_ns, others[chosen].clone(), &mut advice);
        self.heed(advice, out);
    }

    /// Whether this node forwards for its region.
    pub(super) fn forwards(&self, now_ms: u64) -> bool {
        let region: Vec<NodeId> = self.region_nodes().into_iter().collect();
        region.is_empty() || self.forwarder(&region, now_ms) == self.me.node
    }

    pub(super) fn seems_alive(&self, node: &NodeId, now_ms: u64) -> bool {
        *node == self.me.node
            || self.peers.get(node).is_some_and(|peer| {
                peer.connected
                    && peer
                        .heard_ms
                        .is_some_and(|at| now_ms.saturating_sub(at) < 2 * limits::SUMMARY_IDLE_MS)
            })
    }

    /// The members of this node's region, itself among them.
    pub(super) fn region_nodes(&self) -> BTreeSet<NodeId> {
        let members = self.current_members().into_iter();
        members
            .filter(|(_, region)| *region == self.config.region)
            .map(|(node, _)| node)
            .collect()
    }

    /// The members that are not removed, with their regions.
    pub(super) fn current_members(&self) -> Vec<(NodeId, alloc::string::String)> {
        let Some(cluster) = self.spaces.get(&self.cluster) else {
            return Vec::new();
        };
        let members = cluster.folds.members.all(Stamp::MAX).into_iter();
        members
            .filter(Member::stays)
            .map(|member| (member.admit.node, member.admit.region.clone()))
            .collect()
    }

    /// Whether anybody else is a member.
    pub(super) fn peers_matter(&self) -> bool {
        self.spaces
            .get(&self.cluster)
            .is_some_and(|cluster| cluster.folds.members.count() > 1)
    }
}
