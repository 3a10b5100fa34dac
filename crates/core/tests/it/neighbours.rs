//! Two leaders of one region, before either was measured by the other.

use unisono_core::election::{Announcement, Claim, Epoch, Rank, Told};
use unisono_core::timekeeper::{Frame, Peer};

use crate::timekeeper::{LEADER_NS, MS, Pair, node};

/// A member lost four words of its region's leader in a row, and led beside it for as long as both waited
/// to measure each other: seed 1041 of the simulator's leaders. Both went by one time. A virtual machine
/// that stood still for six seconds goes by the same leader, and by another time.
#[test]
fn two_leaders_of_a_region_who_tell_one_time_need_not_measure_each_other() {
    for (behind_ms, at_once) in [(0, true), (80, true), (6_000, false)] {
        let mut pair = Pair::new();
        pair.run(6_000);
        let near = Peer {
            near: true,
            region: 0,
        };
        pair.leader.set_peers([2, 9].map(|name| (node(name), near)));
        let now_ns = LEADER_NS + pair.now_ns;
        let time_ns = pair.leader.now(now_ns).expect("it leads").estimate_ns;
        let cluster = pair.leader.election().cluster_claim(now_ns);
        let claim = cluster.expect("it leads");
        let rank = Rank {
            node: node(9),
            ..claim.rank
        };
        let epoch = Epoch {
            number: 10,
            node: node(9),
        };
        let told = Told {
            estimate_ns: time_ns - behind_ms * MS,
            hard_ns: MS,
            deviation_ns: 1_000,
        };
        let announcement = Announcement {
            rank,
            region: Some(Claim {
                leader: node(9),
                epoch,
                rank,
                followers: 0,
                beat: 1,
                ..claim
            }),
            cluster,
            stands: true,
            told,
        };
        let bytes = Frame::Announcement(announcement).encode();
        let before = pair.leader.election().region_claim(now_ns);
        let before = before.expect("it leads");
        let mut out = Vec::new();
        pair.leader
            .receive(node(9), &bytes, now_ns, now_ns, &mut out);
        let after = pair.leader.election().region_claim(now_ns);
        let after = after.expect("it leads");
        assert_eq!(after.leader, node(1));
        let expected = if at_once { 11 } else { before.epoch.number };
        assert_eq!(after.epoch.number, expected, "{behind_ms} ms behind");
    }
}
