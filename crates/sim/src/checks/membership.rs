//! I9: a removed member never comes back without a new incarnation.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::view::MemberView;
use unisono_model::{Incarnation, NodeId};

/// Remembers who was removed.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// Per observer (machine, life): the lives that it has shown as removed.
    removed: BTreeMap<(usize, u32), BTreeSet<(NodeId, Incarnation)>>,
    everywhere: BTreeSet<(NodeId, Incarnation)>,
    returned: BTreeSet<(NodeId, Incarnation)>,
}

impl Membership {
    /// A node has shown its members.
    pub fn shown(&mut self, host: usize, life: u32, members: &[MemberView]) -> Result<(), String> {
        let seen = self.removed.entry((host, life)).or_default();
        for member in members {
            let name = (member.node, member.incarnation);
            if !member.stays() {
                seen.insert(name);
                self.everywhere.insert(name);
            } else if seen.contains(&name) {
                let (node, life) = name;
                return Err(format!(
                    "machine {host} counts {node:?} in life {life} again"
                ));
            } else if self.everywhere.iter().any(|(node, _)| *node == name.0) {
                self.returned.insert(name);
            }
        }
        Ok(())
    }

    /// A fork of a log of the cluster's own orchestra was shown to a machine: it may take votes away,
    /// and with them a view and whom that left out (seed 1804).
    pub fn forked(&mut self, host: usize) {
        self.removed.retain(|(observer, _), _| *observer != host);
    }

    /// At the end: nobody may count a life that anybody has seen removed.
    pub fn settled(&self, host: usize, members: &[MemberView]) -> Result<(), String> {
        for member in members.iter().filter(|member| member.stays()) {
            let older = |(node, life): &&(NodeId, Incarnation)| {
                *node == member.node && *life >= member.incarnation
            };
            if let Some((node, life)) = self.everywhere.iter().find(older) {
                return Err(format!(
                    "machine {host} still counts {node:?}, removed in life {life}"
                ));
            }
        }
        Ok(())
    }

    /// How many lives were removed, and how many came back as new ones.
    pub fn counts(&self) -> (u64, u64) {
        (self.everywhere.len() as u64, self.returned.len() as u64)
    }
}
