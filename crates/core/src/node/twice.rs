//! What is done about weak channels (TIME-7): windows are wider, more notice is needed, and what is to be done
//! together is sent once more, to other nodes where there are more.

use alloc::vec::Vec;

use unisono_model::Action;

use super::batch::Staged;
use super::output::Output;
use super::{Node, limits};
use crate::ensemble::Compensation;
use crate::orchestra::view::{CueView, LeadsView, View};

/// What is sent once more, and when.
#[derive(Debug, Default)]
pub(super) struct Twice {
    pub(super) compensation: Compensation,
    bundles: Vec<Vec<u8>>,
    bytes: usize,
    pub(super) due_ms: Option<u64>,
}

impl Node {
    /// How the machine's timing plane and transport find the channels from now on.
    pub fn compensate(&mut self, compensation: Compensation) {
        self.twice.compensation = compensation;
    }

    /// Keeps an own bundle to send it once more, where it says what is to be done together and a channel is
    /// weak. What there is no room for is fetched by whoever lacks it, as ever.
    pub(super) fn keep_to_send_again(&mut self, staged: &Staged, now_ms: u64) {
        let twice = &mut self.twice;
        let bytes = staged.carried.bytes();
        let fits = twice.bytes + bytes.len() <= limits::TWICE_BYTES_MAX;
        let mut bodies = staged.placed.iter().filter_map(|one| one.body.as_ref());
        if !twice.compensation.twice || !fits || !bodies.any(|body| is_together(&body.action)) {
            return;
        }
        twice.bytes += bytes.len();
        twice.bundles.push(bytes.to_vec());
        twice.due_ms.get_or_insert(now_ms + limits::TWICE_DELAY_MS);
    }

    /// Sends it: to the region again, and to the others without the detour over who forwards.
    pub(super) fn send_again(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        if self.twice.due_ms.is_none_or(|due_ms| due_ms > now_ms) {
            return;
        }
        self.twice.due_ms = None;
        self.twice.bytes = 0;
        let bundles = core::mem::take(&mut self.twice.bundles);
        self.counters.bundles_sent_twice += bundles.len() as u64;
        let (near, far) = self.targets(now_ms);
        self.send_pushes(&near, false, &bundles, out);
        self.send_pushes(&far, true, &bundles, out);
    }

    /// A view with what weak channels ask for.
    pub(super) fn compensated(&self, mut view: View) -> View {
        match &mut view {
            View::Cues(cues) => cues.iter_mut().for_each(|cue| self.lengthen(cue)),
            View::Leads(leads) => self.lengthen_leads(leads),
            _ => {}
        }
        view
    }

    /// More notice is needed for a cue.
    pub(super) fn lengthen(&self, cue: &mut CueView) {
        if let Some(notice) = &mut cue.notice {
            notice.lengthen(self.twice.compensation.notice_factor);
        }
    }

    /// More notice is needed, and a wider window.
    pub(super) fn lengthen_leads(&self, leads: &mut LeadsView) {
        let Compensation {
            widen_ns,
            notice_factor,
            ..
        } = self.twice.compensation;
        leads.lengthen(notice_factor);
        leads.window_ns = leads.window_ns.saturating_add(widen_ns as u64);
    }
}

/// Whether others have to know of it in time.
fn is_together(action: &Action) -> bool {
    matches!(
        action,
        Action::Cue(_) | Action::Answer(_) | Action::Tempo(_) | Action::Arrive(_)
    )
}
