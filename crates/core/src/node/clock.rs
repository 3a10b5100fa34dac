//! What a node thinks of the time that it is handed (the cluster's, or where that is not known yet, its
//! wall clock's): how far it is from the other members', and whether it has just leapt.

use alloc::format;
use alloc::vec::Vec;

use unisono_model::{Code, NodeId, Rejection};

use super::output::{Note, Output};
use super::{Node, limits};
use crate::context::Context;

/// The node's time beside others'.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WallClock {
    /// What both clocks of the machine showed last (ns): wall, monotonic.
    shown: Option<(u64, u64)>,
    /// Our clock minus the median of the connected members', where two or more were heard (ms).
    offset_ms: Option<i64>,
    /// It has jumped: until then (ms) nothing is written before two others were heard again.
    unsure_until_ms: u64,
    /// Own work and heads wait for that.
    pub(super) holds_back: bool,
}

/// How long to wait until the time has come to what it is short of by so much (both ms): longer each time that
/// it had not, since a time that was told too far stands until it is right again, however little is missing.
/// Looked at each millisecond, that was all that a processor did (seed 1478).
pub(super) fn patience_ms(ahead_ms: u64, in_vain: &mut u32) -> u64 {
    if ahead_ms >= limits::CARE_MS {
        // Looked at with everything else until it is near.
        *in_vain = 0;
        return limits::CARE_MS;
    }
    let longer_ms = (1_u64 << (*in_vain).min(10)) - 1;
    *in_vain += 1;
    ahead_ms.max(longer_ms).min(limits::CARE_MS)
}

impl Node {
    /// Whether disk and clock let this node write.
    pub(super) fn may_write(&self, context: &Context<'_>) -> Result<(), Rejection> {
        if self.disk_retry_ms.is_some_and(|at| context.now_ms() < at) {
            return Err(super::batch::full());
        }
        if let Some(offset_ms) = self.clock_off() {
            return Err(clock_off(offset_ms));
        }
        if self.clock_unsure(context.now_ms()) {
            return Err(clock_jumped());
        }
        if let Some(unsure_ms) = Self::time_unknown_ms(context) {
            return Err(time_unknown(unsure_ms));
        }
        if let Some(ahead_ms) = self.stamps_ahead_ms(context) {
            return Err(stamps_ahead(ahead_ms));
        }
        if let Some(ahead_ms) = self.admitted_ahead_ms(context) {
            return Err(before_admission(ahead_ms));
        }
        Ok(())
    }

    /// Notices that the wall clock has moved otherwise than the monotonic one: somebody has set it,
    /// or the machine has slept. What was known of it holds no longer, so that others are asked at
    /// once: until their summaries came by themselves, a node whose clock had been set ahead by an
    /// hour would stamp what nobody else sees for an hour.
    pub(super) fn watch_clock(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let shows = (context.wall_ns, context.monotonic_ns);
        let Some(before) = self.wall_clock.shown.replace(shows) else {
            return;
        };
        let moved = |now: u64, before: u64| i128::from(now) - i128::from(before);
        let jump_ns = moved(shows.0, before.0) - moved(shows.1, before.1);
        if jump_ns.unsigned_abs() <= u128::from(limits::CLOCK_OFF_MS.unsigned_abs()) * 1_000_000 {
            return;
        }
        for peer in self.peers.values_mut() {
            peer.clock_ms = None;
        }
        self.measure_offset();
        self.wall_clock.unsure_until_ms = context.now_ms() + limits::CLOCK_UNSURE_MS;
        // There will be a look at what was held back when this is over.
        self.next_care_ms = self.next_care_ms.min(self.wall_clock.unsure_until_ms);
        let connected: Vec<NodeId> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.connected)
            .map(|(node, _)| *node)
            .collect();
        for node in connected {
            self.send_summary(context, node, out);
        }
    }

    /// Whether the clock has jumped and those who could tell by how much have not been heard since.
    pub(super) fn clock_unsure(&self, now_ms: u64) -> bool {
        let connected = self.peers.values().filter(|peer| peer.connected).count();
        now_ms < self.wall_clock.unsure_until_ms
            && connected >= 2
            && self.wall_clock.offset_ms.is_none()
    }

    /// By how much the time may be off (ms), if that is too much: the machine has slept, its clock has
    /// jumped, or it has followed nobody for very long. Whoever is alone leads soon, and is sure.
    pub(super) fn time_unknown_ms(context: &Context<'_>) -> Option<u64> {
        let unsure_ms = context.unsure_ns? / 1_000_000;
        (unsure_ms > unisono_model::limits::STAMP_AHEAD_MS_MAX).then_some(unsure_ms)
    }

    /// The time that this node goes by (ns since 1970): its own clock, or the others' where its own is
    /// so far ahead of them that nobody would see for long what it stamps. It writes nothing for
    /// agents then, but a head or a vote that lay an hour ahead would raise all its stamps, and those
    /// never come down again. Less may be the way of a summary that was long on its way (seed 386).
    /// And nobody moves a clock forward that is behind: two peers that lie together could.
    pub(super) fn time_ns(&self, context: &Context<'_>) -> u64 {
        let ahead_ms = self.clock_off().unwrap_or(0).max(0).unsigned_abs();
        if ahead_ms <= limits::STAMPS_AHEAD_MS_MAX {
            return context.wall_ns;
        }
        let ahead_ns = ahead_ms.saturating_mul(1_000_000);
        context.wall_ns.saturating_sub(ahead_ns)
    }

    /// A member has said what its clock shows.
    pub(super) fn note_clock(
        &mut self,
        context: &Context<'_>,
        from: NodeId,
        wall_ms: u64,
        out: &mut Vec<Output>,
    ) {
        let before = self.clock_off();
        let difference = wall_ms
            .cast_signed()
            .saturating_sub(context.wall_ms().cast_signed());
        self.peers.entry(from).or_default().clock_ms = Some(difference);
        self.measure_offset();
        if let (None, Some(offset_ms)) = (before, self.clock_off()) {
            out.push(Output::Note(Note::ClockOff { offset_ms }));
        }
    }

    /// Our clock minus the median of the members heard lately, when that is too much: it takes two
    /// others that agree, so that no single peer can silence a node.
    pub(super) fn clock_off(&self) -> Option<i64> {
        let offset = self.wall_clock.offset_ms?;
        (offset.abs() > limits::CLOCK_OFF_MS).then_some(offset)
    }

    /// Our clock minus the median of the connected members' (ms), where two or more were heard.
    pub(super) fn clock_offset_ms(&self) -> Option<i64> {
        self.wall_clock.offset_ms
    }

    /// To be said whenever a member was heard, has come or is gone.
    pub(super) fn measure_offset(&mut self) {
        let connected = self.peers.values().filter(|peer| peer.connected);
        let mut theirs: Vec<i64> = connected.filter_map(|peer| peer.clock_ms).collect();
        theirs.sort_unstable();
        if theirs.len() >= 2 {
            self.wall_clock.holds_back = false;
            self.held_back = 0;
        }
        self.wall_clock.offset_ms = (theirs.len() >= 2).then(|| {
            // Of an even number, the one nearer to us: doubt goes to the others.
            let (low, high) = (theirs[(theirs.len() - 1) / 2], theirs[theirs.len() / 2]);
            -if low.abs() < high.abs() { low } else { high }
        });
    }
}

fn before_admission(ahead_ms: u64) -> Rejection {
    Rejection::new(
        Code::ClockOff,
        format!(
            "this node was admitted {ahead_ms} ms ahead of its clock, by a member whose clock is off; nothing was written"
        ),
    )
    .hint("other nodes take writes meanwhile, and this one does when its clock has come there")
    .retry_after(ahead_ms.min(5_000))
}

fn stamps_ahead(ahead_ms: u64) -> Rejection {
    let rest_ms = ahead_ms.saturating_sub(limits::STAMPS_AHEAD_MS_MAX).max(1);
    let detail = format!(
        "this node's clock was ahead, and it has stamped {ahead_ms} ms further than its clock is \
         now: others would see what it writes only then; nothing was written"
    );
    Rejection::new(Code::ClockOff, detail)
        .hint(format!(
            "other nodes take writes; this one does again in {rest_ms} ms"
        ))
        .retry_after(rest_ms)
}

fn time_unknown(unsure_ms: u64) -> Rejection {
    let detail = format!(
        "this node's clock may be {unsure_ms} ms off the cluster's, and it asks for the time; nothing was written"
    );
    Rejection::new(Code::ClockOff, detail)
        .hint("ask again in a moment, or ask another node; `unisono clock` shows whom it follows")
        .retry_after(limits::CLOCK_UNSURE_MS / 4)
}

fn clock_jumped() -> Rejection {
    let why = "this node's clock has just jumped, and it asks the others for the time; nothing was written";
    Rejection::new(Code::ClockOff, why)
        .hint("ask again in a moment, or ask another node")
        .retry_after(limits::CLOCK_UNSURE_MS / 4)
}

fn clock_off(offset_ms: i64) -> Rejection {
    Rejection::new(
        Code::ClockOff,
        format!("this node's clock is {offset_ms} ms off the other members'; nothing was written"),
    )
    .hint("set its clock; reads go on, and other nodes take writes")
    .retry_after(5_000)
}
