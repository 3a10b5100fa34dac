//! Members that came by an invite which has let in another node as well: see [`crate::orchestra::invites`].

use core::ops::Bound;

use unisono_model::{Incarnation, NodeId};

use super::Members;
use crate::orchestra::FoldRules;
use crate::orchestra::invites::{Around, Invites, Outdone};

impl Members {
    /// Why a node is to leave: the invite by which it came has let in another one.
    pub fn outdone(&self, node: &NodeId) -> Option<Outdone> {
        self.invites.outdone(node)
    }

    /// Whether a node that was to leave for that has left. It stays away then, whatever it says itself of
    /// its next life. One that somebody else has let in since then knew nothing of it: it hands over what
    /// it holds and leaves once more, as it cannot where it is turned away.
    pub fn is_shut_out(&self, node: &NodeId) -> bool {
        let Some(lives) = self.admissions.get(node) else {
            return false;
        };
        if self.outdone(node).is_none() {
            return false;
        }
        let has_left = |life: &&Incarnation| self.last_words(node, **life).is_some();
        let Some(last) = lives.keys().rev().find(has_left) else {
            return false;
        };
        let later = lives.range((Bound::Excluded(*last), Bound::Unbounded));
        let mut admissions = later.flat_map(|(_, admissions)| admissions.values());
        admissions.all(|admission| admission.by.node == *node)
    }

    /// Does something to the invites, which are held against what else is known here.
    pub(super) fn ask_of_invites(
        &mut self,
        rules: &FoldRules,
        what: impl FnOnce(&mut Invites, Around<'_>),
    ) {
        let admitted = |node: &NodeId| self.admissions.contains_key(node);
        let around = Around {
            authorities: &self.authorities,
            admitted: &admitted,
            rules,
        };
        what(&mut self.invites, around);
    }
}
