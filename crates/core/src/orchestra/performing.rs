//! Who performs, and by how much each corrects its errors, as people and other performers are told it (TIME-6).

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{AgentId, Performs, Stamp};

use super::read::Reading;
use crate::ensemble::limits::PERFORMERS_SHOWN_MAX;

/// What an agent said of how it performs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PerformerView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// What it said last.
    pub said: Performs,
    /// When.
    pub told: Stamp,
    /// Whether it performs by that now: it has not said that it ended, and what it said still holds.
    pub performs: bool,
}

impl Reading<'_> {
    /// Those who said within the last hour how they perform, by key.
    pub fn performers(&self) -> Vec<PerformerView> {
        self.shown(|_| true)
    }

    /// Those who perform now, by key.
    pub fn performing(&self) -> Vec<PerformerView> {
        self.shown(|view| view.performs)
    }

    /// Those that are wanted; of too many those who said so last.
    fn shown(&self, wanted: impl Fn(&PerformerView) -> bool) -> Vec<PerformerView> {
        let at_ns = self.at.as_ns();
        let told = self.folds.together.performers.read(self.at).into_iter();
        let told = told.map(|(agent, (place, said))| PerformerView {
            agent,
            name: String::new(),
            said,
            told: place.stamp,
            performs: said.holds(place.stamp.as_ns(), at_ns),
        });
        let mut shown: Vec<PerformerView> = told.filter(wanted).collect();
        shown.sort_unstable_by_key(|view| (Reverse(view.told), view.agent));
        shown.truncate(PERFORMERS_SHOWN_MAX);
        shown.sort_unstable_by_key(|view| view.agent);
        for view in &mut shown {
            view.name = self.name_of(&view.agent);
        }
        shown
    }
}
