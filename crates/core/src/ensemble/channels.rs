//! The two channels by which agents come to act at one time, and what is left where one of them is weak
//! (TIME-7): exact time (primary), and advance notice of what is to be done (secondary).

use alloc::collections::VecDeque;

use super::limits::{
    CHANNEL_AVAILABLE_MIN, CHANNEL_LOOKS_MAX, CHANNEL_LOOKS_PASSED_OVER, NOTICE_DELIVERED_MIN,
    NOTICE_MORE, NOTICE_WAY_NS_MAX, PROBES_DELIVERED_MIN, UNSURE_NS_DEGRADED, WIDEN_NS_UNKNOWN,
};
use crate::timing::Sync;
use crate::timing::limits::ASYMMETRY_SHARE;

/// How both channels are at one moment. Counts are since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ChannelLook {
    /// How far the told time can be trusted; nothing where none is told.
    pub sync: Option<Sync>,
    /// By how much it may be off (ns): three sigma, and what unequal ways may hide.
    pub unsure_ns: Option<f64>,
    /// The way to whoever leads the cluster's time and back (ns); nothing for itself, or where it is not
    /// known.
    pub leader_way_ns: Option<f64>,
    /// Questions asked of other clocks.
    pub asked: u64,
    /// Answers to them that were taken.
    pub taken: u64,
    /// Other nodes that notice has to reach.
    pub known: u32,
    /// Those to whom a connection stands.
    pub reached: u32,
    /// Notices sent to them.
    pub sent: u64,
    /// Notices that there was no room for.
    pub dropped: u64,
    /// The longest way to one of them and back (ns).
    pub way_ns: Option<f64>,
}

/// How a channel is, over the latest minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelHealth {
    /// Which share arrives: of answers to questions, of notices and those they are for. One where nothing
    /// was to arrive.
    pub delivery: f64,
    /// How exact it is (ns): by how much the time may be off, the longest way of a notice; nothing where it
    /// is not known.
    pub precision_ns: Option<f64>,
    /// In which share of looks it served.
    pub availability: f64,
    /// Whether it is to be relied on less.
    pub degraded: bool,
}

/// Which channels can be relied on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChannelMode {
    /// Both.
    Whole,
    /// Time is known badly: what was announced still happens, less exactly.
    PrimaryDegraded,
    /// Notice comes late or not to all: time is known, and there is less of it to prepare.
    SecondaryDegraded,
    /// Both are weak: less should be done together, and said more often.
    BothDegraded,
}

/// How both are, and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChannelReport {
    /// Exact time.
    pub primary: ChannelHealth,
    /// Advance notice.
    pub secondary: ChannelHealth,
    /// Which can be relied on.
    pub mode: ChannelMode,
    /// By how much windows are to be wider to each side (ns).
    pub widen_ns: f64,
    /// How many times as much notice is to be given.
    pub notice_factor: f64,
}

/// What is done about weak channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compensation {
    /// By how much windows are wider to each side (ns).
    pub widen_ns: f64,
    /// How many times as much notice is needed.
    pub notice_factor: f64,
    /// Whether what is to be done together is sent twice.
    pub twice: bool,
}

impl Default for Compensation {
    /// Nothing: both channels can be relied on.
    fn default() -> Self {
        Self {
            widen_ns: 0.0,
            notice_factor: 1.0,
            twice: false,
        }
    }
}

impl ChannelReport {
    /// What is done about it.
    pub fn compensation(&self) -> Compensation {
        Compensation {
            widen_ns: self.widen_ns,
            notice_factor: self.notice_factor,
            twice: self.mode != ChannelMode::Whole,
        }
    }
}

/// Looks of the latest minute, one a second.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    looks: VecDeque<ChannelLook>,
    /// Looks at the beginning that did not count.
    passed_over: usize,
}

impl Channels {
    /// Takes in a look; the oldest goes. Before any time is told the first ones do not count: who has
    /// just begun is no worse than who is not there yet.
    pub fn look(&mut self, look: ChannelLook) {
        let begins = self.looks.is_empty() && self.passed_over < CHANNEL_LOOKS_PASSED_OVER;
        if begins && look.sync != Some(Sync::Synchronised) {
            self.passed_over += 1;
            return;
        }
        if self.looks.len() >= CHANNEL_LOOKS_MAX {
            self.looks.pop_front();
        }
        self.looks.push_back(look);
    }

    /// How the channels are; nothing before the first look.
    pub fn report(&self) -> Option<ChannelReport> {
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        let primary = self.primary(first, last);
        let secondary = self.secondary(first, last);
        let mode = match (primary.degraded, secondary.degraded) {
            (false, false) => ChannelMode::Whole,
            (true, false) => ChannelMode::PrimaryDegraded,
            (false, true) => ChannelMode::SecondaryDegraded,
            (true, true) => ChannelMode::BothDegraded,
        };
        let known_ns = primary.precision_ns.unwrap_or(WIDEN_NS_UNKNOWN);
        // Whatever the reason that the time may be off by as much, a window has to hold it.
        let widens = primary.degraded || known_ns > UNSURE_NS_DEGRADED;
        let widen_ns = if widens { known_ns } else { 0.0 };
        let (widen_ns, notice_factor) = match mode {
            ChannelMode::Whole | ChannelMode::PrimaryDegraded => (widen_ns, 1.0),
            ChannelMode::SecondaryDegraded => (widen_ns, NOTICE_MORE),
            // Nothing makes up for the other any more.
            ChannelMode::BothDegraded => (2.0 * widen_ns, NOTICE_MORE * NOTICE_MORE),
        };
        Some(ChannelReport {
            primary,
            secondary,
            mode,
            widen_ns,
            notice_factor,
        })
    }

    fn primary(&self, first: &ChannelLook, last: &ChannelLook) -> ChannelHealth {
        let serves = |look: &ChannelLook| look.sync == Some(Sync::Synchronised);
        let asked = last.asked.saturating_sub(first.asked);
        let taken = last.taken.saturating_sub(first.taken);
        let delivery = share(taken, asked);
        let availability = self.share_of(serves);
        let precision_ns = last.unsure_ns.filter(|unsure| unsure.is_finite());
        // What is feared of a long way does not pass, and nobody could mend it: to tell it as trouble would
        // hide the trouble that comes.
        let way_ns = last.leader_way_ns.filter(|way| way.is_finite());
        let way_ns = way_ns.unwrap_or_default().clamp(0.0, NOTICE_WAY_NS_MAX);
        let feared_ns = ASYMMETRY_SHARE / 2.0 * way_ns;
        let exact = precision_ns.is_some_and(|unsure| unsure <= UNSURE_NS_DEGRADED + feared_ns);
        let sound = serves(last)
            && exact
            && delivery >= PROBES_DELIVERED_MIN
            && availability >= CHANNEL_AVAILABLE_MIN;
        ChannelHealth {
            delivery,
            precision_ns,
            availability,
            degraded: !sound,
        }
    }

    fn secondary(&self, first: &ChannelLook, last: &ChannelLook) -> ChannelHealth {
        let serves = |look: &ChannelLook| look.reached >= look.known;
        let dropped = last.dropped.saturating_sub(first.dropped);
        let sent = last.sent.saturating_sub(first.sent);
        let got = share(sent, sent.saturating_add(dropped));
        let delivery = got * share(last.reached.into(), last.known.into());
        let availability = self.share_of(serves);
        let precision_ns = last.way_ns.filter(|way| way.is_finite());
        let soon = precision_ns.is_none_or(|way| way <= NOTICE_WAY_NS_MAX);
        let sound = serves(last)
            && soon
            && delivery >= NOTICE_DELIVERED_MIN
            && availability >= CHANNEL_AVAILABLE_MIN;
        ChannelHealth {
            delivery,
            precision_ns,
            availability,
            degraded: !sound,
        }
    }

    fn share_of(&self, serves: impl Fn(&ChannelLook) -> bool) -> f64 {
        let served = self.looks.iter().filter(|look| serves(look)).count();
        served as f64 / self.looks.len().max(1) as f64
    }
}

/// One where there was nothing to share.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        1.0
    } else {
        (part as f64 / whole as f64).min(1.0)
    }
}
