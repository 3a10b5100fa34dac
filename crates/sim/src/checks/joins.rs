//! I9, for invites: whoever came by an invite that has let in another, and has left, is let in by
//! nobody again.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::view::MemberView;
use unisono_model::NodeId;

/// Remembers who had to leave and has.
#[derive(Clone, Debug, Default)]
pub struct Joins {
    /// Per observer (machine, life): the nodes that it has shown so.
    gone: BTreeMap<(usize, u32), BTreeSet<NodeId>>,
}

impl Joins {
    /// A node has shown its members.
    pub fn shown(&mut self, host: usize, life: u32, members: &[MemberView]) -> Result<(), String> {
        let seen = self.gone.entry((host, life)).or_default();
        for member in members {
            if member.outdone && member.left {
                seen.insert(member.node);
            } else if member.stays() && seen.contains(&member.node) {
                let (node, life) = (member.node, member.incarnation);
                return Err(format!(
                    "machine {host} counts {node:?} in life {life}, who had to leave and has"
                ));
            }
        }
        Ok(())
    }
}
