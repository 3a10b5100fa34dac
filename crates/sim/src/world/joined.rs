//! What has come of invites is held against the logs: whom each has let in, who has to leave, and who
//! has.

use std::collections::BTreeSet;

use unisono_core::orchestra::view::InviteView;
use unisono_model::{InviteKey, NodeId};

use super::World;
use super::joining::{authority, invite_key};
use crate::oracle::{self, Fact, Invited};

impl World {
    /// Every machine shows of each invite what the logs say, nobody else has to leave, and whoever had
    /// to has left with its last word heard.
    pub(super) fn judge_joins(&mut self, home: &[&Fact]) {
        if self.plan.joining.is_none() {
            return;
        }
        let founding = authority(self.seed, 0);
        let (cluster, founder) = (self.common.cluster, self.common.founder);
        let invited = oracle::invited(home, cluster, founder, founding);
        self.count_joins(&invited);
        let stuck = self.cannot_leave(home);
        for host in 0..self.scenario.nodes {
            if !self.is_apart(host) && !self.lies(host) {
                self.judge_invites(host, &invited);
                self.judge_guests(host, &invited, &stuck);
            }
        }
        for host in self.joining().newcomers {
            let node = self.hosts[host].id;
            let was_here = self.joins.doors(host).is_some() && !self.hosts[host].removed;
            let has_to = was_here && invited.outdone.contains(&node);
            let gone = was_here && self.hosts[host].gone;
            if has_to && stuck.contains(&host) {
                self.counters.add("outdone that could not leave");
                continue;
            }
            // What sent it away may have been signed by an authority whose time was over.
            if has_to != gone && (has_to || !self.plan.succeeds()) {
                let why = format!("machine {host} had to leave: {has_to}, and has: {gone}");
                self.checks.violated(self.now, "I9", why);
            }
            if has_to && !invited.left.contains(&node) {
                let why = format!("machine {host} has left, and nobody has its last word");
                self.checks.violated(self.now, "I9", why);
            }
        }
    }

    /// What a machine shows of each invite.
    fn judge_invites(&mut self, host: usize, invited: &Invited) {
        let mut keys: BTreeSet<InviteKey> = (0..2).map(|one| invite_key(self.seed, one)).collect();
        keys.extend(&self.joins.made_up);
        for key in keys {
            let wanted = invited.standing.get(&key).copied().unwrap_or_default();
            let (expires_ms, used_by) = wanted;
            let wanted = InviteView {
                expires_ms,
                used_by,
            };
            let shown = self.invite_at(host, key);
            if shown != Some(wanted) {
                let why =
                    format!("machine {host} shows of invite {key} {shown:?}, and it is {wanted:?}");
                self.checks.violated(self.now, "I9", why);
            }
        }
    }

    /// Whom a machine counts, and whom it shows as having to leave.
    fn judge_guests(&mut self, host: usize, invited: &Invited, stuck: &[usize]) {
        let stuck: BTreeSet<NodeId> = stuck.iter().map(|host| self.hosts[*host].id).collect();
        let status = self.status(host);
        for member in status.into_iter().flat_map(|status| status.members) {
            let (node, has_to) = (member.node, member.outdone);
            let outdone = invited.outdone.contains(&node);
            if has_to != outdone {
                let why = format!(
                    "for machine {host} {node:?} has to leave: {has_to}, and it is {outdone}"
                );
                self.checks.violated(self.now, "I9", why);
            }
            if outdone && member.stays() && !stuck.contains(&node) {
                let why =
                    format!("machine {host} counts {node:?}, whose invite has let in another");
                self.checks.violated(self.now, "I9", why);
            }
        }
    }

    fn count_joins(&mut self, invited: &Invited) {
        let home = self.reading(self.home);
        let held = self.joins.false_logs.iter();
        let held = held.filter(|log| home.ends.get(log).is_some_and(|end| *end > 0));
        let held = held.count() as u64;
        let left: BTreeSet<NodeId> = invited
            .outdone
            .intersection(&invited.left)
            .copied()
            .collect();
        let ids = |host: &&usize| left.contains(&self.hosts[**host].id);
        let newcomers = self.joining().newcomers;
        let gone: Vec<usize> = newcomers.iter().filter(ids).copied().collect();
        let promised = gone
            .iter()
            .map(|host| self.checks.durability.count_of(*host));
        let promised: usize = promised.sum();
        for (what, times) in [
            ("false invites held by the logs", held),
            ("invites by the logs", invited.made),
            ("invite uses by the logs", invited.uses),
            ("invites that let in two", invited.twice),
            ("outdone left", gone.len() as u64),
            ("acknowledged by the outdone", promised as u64),
        ] {
            self.counters.add_many(what, times);
        }
    }
}
