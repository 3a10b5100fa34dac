//! Both contests of a node, and what it announces.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

use super::contest::Contest;
use super::epoch::Epoch;
use super::limits;
use super::rank::Rank;
use super::word::{Candidate, Change, Claim, Fault, Standing, Verdict, Word};

/// What a node announces about its own time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Its estimate of the cluster's time, ns since the Unix epoch; zero where it has none.
    pub estimate_ns: u64,
    /// Half its hard interval, ns; a leader's is what it had when it took over.
    pub hard_ns: u64,
    /// One sigma, ns; a leader's is what it had when it took over.
    pub deviation_ns: u64,
}

/// What a node says to others several times a second. The sender is who the transport says it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// How good its clock is.
    pub rank: Rank,
    /// Who leads its region.
    pub region: Option<Claim>,
    /// Who leads the cluster.
    pub cluster: Option<Claim>,
    /// Whether it stands for the cluster: a region's leader, or the cluster's.
    pub stands: bool,
    /// Its own time.
    pub told: Told,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// It leads the cluster.
    ClusterLeader,
    /// It leads its region, and follows the cluster's leader.
    RegionLeader,
    /// It follows its region's leader.
    Member,
}

/// The election as one node sees it.
#[derive(Clone, Debug)]
pub struct Election {
    me: NodeId,
    region: Contest,
    cluster: Contest,
}

impl Election {
    /// An election of which nothing was heard yet; it listens until then (ns).
    pub fn new(me: NodeId, listens_until_ns: u64, fault: Option<Fault>) -> Self {
        Self {
            me,
            region: Contest::new(me, listens_until_ns, fault),
            cluster: Contest::new(me, listens_until_ns, fault),
        }
    }

    /// Listens until then (ns) before it leads anybody.
    pub fn listen_until(&mut self, until_ns: u64) {
        self.region.listen_until(until_ns);
        self.cluster.listen_until(until_ns);
    }

    /// What the node is.
    pub fn role(&self) -> Role {
        match (self.cluster.standing(), self.region.standing()) {
            (Standing::Leads, _) => Role::ClusterLeader,
            (_, Standing::Leads) => Role::RegionLeader,
            _ => Role::Member,
        }
    }

    /// Who leads the cluster.
    pub fn leader(&self) -> Option<NodeId> {
        named(self.cluster.standing(), self.me)
    }

    /// Who leads the region.
    pub fn region_leader(&self) -> Option<NodeId> {
        named(self.region.standing(), self.me)
    }

    /// The epoch of the cluster's leader.
    pub fn epoch(&self) -> Epoch {
        self.cluster.epoch()
    }

    /// The claim about the cluster.
    pub fn cluster_claim(&self, now_ns: u64) -> Option<Claim> {
        let mut claim = self.cluster.claim(now_ns)?;
        if claim.leader == self.me {
            // Where no other region has a leader, the one that leads this region next stands alone.
            claim.backup = claim.backup.or_else(|| self.region.backup(now_ns));
        }
        Some(claim)
    }

    /// The claim about the region.
    pub fn region_claim(&self, now_ns: u64) -> Option<Claim> {
        self.region.claim(now_ns)
    }

    /// Whether it stands for the cluster.
    pub fn stands(&self) -> bool {
        self.role() != Role::Member
    }

    /// Who else stands for the cluster, as far as they are here.
    pub fn standing_for_the_cluster(&self, now_ns: u64) -> Vec<NodeId> {
        self.cluster.heard(now_ns)
    }

    /// Takes an announcement; `near` if it comes from the same region. The verdicts are for the cluster's
    /// contest and for the region's. Says what changed about the cluster's leader and about the region's.
    pub fn hear(
        &mut self,
        now_ns: u64,
        from: NodeId,
        near: bool,
        announcement: &Announcement,
        verdicts: [Verdict; 2],
    ) -> [Option<Change>; 2] {
        let region = near.then(|| {
            let word = Word {
                rank: Some(announcement.rank),
                claim: announcement.region,
            };
            self.region.hear(now_ns, from, &word, verdicts[1])
        });
        let word = Word {
            rank: Some(announcement.rank).filter(|_| announcement.stands),
            claim: announcement.cluster,
        };
        let cluster = self.cluster.hear(now_ns, from, &word, verdicts[0]);
        [cluster, region.flatten()]
    }

    /// Lets time pass. `rank` is this node's own.
    pub fn tick(&mut self, now_ns: u64, rank: Rank) -> [Option<Change>; 2] {
        let near = self.region.followers(now_ns);
        // On how many others the time stands that a region's leader brings: of two in one region the
        // one of the larger part goes on, and a node that comes and goes takes its region with it
        // only once it has unseated the leader.
        let behind = match self.cluster.standing() {
            Standing::Follows(_) => {
                let claim = self.cluster.claim(now_ns);
                claim.map_or(0, |claim| usize::from(claim.followers))
            }
            Standing::Leads => self.cluster.followers(now_ns),
            Standing::Vacant => 0,
        };
        let all = near + self.cluster.followers(now_ns);
        let count = |followers: usize| u16::try_from(followers).unwrap_or(u16::MAX);
        let region = self.region.tick(
            now_ns,
            Candidate {
                rank,
                may_lead: true,
                followers: count(near + behind),
            },
        );
        // The cluster's leader goes on when its region chooses another: that one may challenge it.
        let cluster = self.cluster.tick(
            now_ns,
            Candidate {
                rank,
                may_lead: self.stands(),
                followers: count(all),
            },
        );
        [cluster, region]
    }

    /// What this node announces.
    pub fn announcement(&self, now_ns: u64, rank: Rank, told: Told) -> Announcement {
        Announcement {
            rank,
            region: self.region.claim(now_ns),
            cluster: self.cluster_claim(now_ns),
            stands: self.stands(),
            told,
        }
    }

    /// A leader was found to lie.
    pub fn distrust(&mut self, node: NodeId, now_ns: u64) {
        self.region.distrust(node, now_ns);
        self.cluster.distrust(node, now_ns);
    }

    /// This node's own clock is not what it was: it leads nobody until it has listened.
    pub fn resign(&mut self, now_ns: u64) {
        self.region.resign(now_ns);
        self.cluster.resign(now_ns);
    }

    /// How often this node announces itself, ns: leaders and backups often, others seldom.
    pub fn pace_ns(&self, now_ns: u64) -> u64 {
        let backs = |claim: Option<Claim>| claim.is_some_and(|claim| claim.backup == Some(self.me));
        let backup = backs(self.region.claim(now_ns)) || backs(self.cluster_claim(now_ns));
        let vacant = self.leader().is_none() || self.region_leader().is_none();
        if self.stands() || backup || vacant {
            limits::ANNOUNCE_NS
        } else {
            limits::ANNOUNCE_IDLE_NS
        }
    }
}

fn named(standing: Standing, me: NodeId) -> Option<NodeId> {
    match standing {
        Standing::Vacant => None,
        Standing::Follows(node) => Some(node),
        Standing::Leads => Some(me),
    }
}
