//! Two timing planes on a loop of memory: one leads, one follows, and bad datagrams change nothing.

use unisono_core::election::{Class, Epoch, Role, limits as election};
use unisono_core::timekeeper::{
    Answer, Clocks, Config, Counters, Differences, Frame, Measured, Outgoing, Peer, Remembered,
    Timekeeper, limits,
};
use unisono_model::NodeId;

pub(crate) const MS: u64 = 1_000_000;
/// When the machines started, by their own steady clocks, ns; the follower's is half a second off.
pub(crate) const LEADER_NS: u64 = 5_000_000_000;
const FOLLOWER_NS: u64 = 4_500_000_000;
const WALL_NS: u64 = 1_700_000_000_000_000_000;
const PATH_NS: u64 = 200_000;

pub(crate) struct Pair {
    pub(crate) leader: Timekeeper,
    follower: Timekeeper,
    pub(crate) now_ns: u64,
    /// The last answer that the follower took, as it came.
    answer: Vec<u8>,
}

pub(crate) fn node(name: u8) -> NodeId {
    NodeId([name; 32])
}

/// A plane of a node that never met another.
fn lone(name: u8, local_ns: u64, alone: bool) -> Timekeeper {
    let config = Config {
        node: node(name),
        priority: election::PRIORITY_DEFAULT,
        class: Class::Free,
        seed: u64::from(name),
        fault: None,
    };
    Timekeeper::new(config, local_ns, alone)
}

fn plane(name: u8, local_ns: u64, alone: bool) -> Timekeeper {
    let mut plane = lone(name, local_ns, alone);
    let peer = Peer {
        near: true,
        region: 0,
    };
    plane.set_peers([(node(3 - name), peer)]);
    plane
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self {
            leader: plane(1, LEADER_NS, true),
            follower: plane(2, FOLLOWER_NS, false),
            now_ns: 0,
            answer: Vec::new(),
        }
    }

    /// Lets so much time pass, with every datagram delivered after the same while.
    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            self.now_ns += 20 * MS;
            let mut out = Vec::new();
            self.leader.tick(clocks(LEADER_NS, self.now_ns), &mut out);
            self.leader.ask(LEADER_NS + self.now_ns, &mut out);
            self.deliver(out, false);
            let mut out = Vec::new();
            self.follower
                .tick(clocks(FOLLOWER_NS, self.now_ns), &mut out);
            self.follower.ask(FOLLOWER_NS + self.now_ns, &mut out);
            self.deliver(out, true);
        }
    }

    fn deliver(&mut self, out: Vec<Outgoing>, to_leader: bool) {
        for outgoing in out {
            let there_ns = self.now_ns + PATH_NS;
            let mut answers = Vec::new();
            let (plane, from, started_ns) = if to_leader {
                (&mut self.leader, node(2), LEADER_NS)
            } else {
                (&mut self.follower, node(1), FOLLOWER_NS)
            };
            let local_ns = started_ns + there_ns;
            plane.receive(from, &outgoing.bytes, local_ns, local_ns, &mut answers);
            for answer in answers {
                let back_ns = there_ns + PATH_NS;
                if to_leader {
                    self.answer.clone_from(&answer.bytes);
                    self.give(&answer.bytes, back_ns);
                } else {
                    let local_ns = LEADER_NS + back_ns;
                    let bytes = &answer.bytes;
                    self.leader
                        .receive(node(2), bytes, local_ns, local_ns, &mut Vec::new());
                }
            }
        }
    }

    /// Gives the follower a datagram of the leader.
    fn give(&mut self, bytes: &[u8], at_ns: u64) {
        let local_ns = FOLLOWER_NS + at_ns;
        self.follower
            .receive(node(1), bytes, local_ns, local_ns, &mut Vec::new());
    }

    /// The number of a question that is under way, and that nobody answers.
    fn question(&mut self) -> u64 {
        loop {
            self.now_ns += 20 * MS;
            let mut out = Vec::new();
            let clocks = clocks(FOLLOWER_NS, self.now_ns);
            self.follower.tick(clocks, &mut out);
            let questions = |out: &[Outgoing]| {
                let frames = out.iter().map(|one| Frame::decode(&one.bytes));
                frames
                    .filter(|one| matches!(one, Ok(Frame::Question { .. })))
                    .count()
            };
            assert_eq!(questions(&out), 0, "a tick asks nothing");
            self.follower.ask(FOLLOWER_NS + self.now_ns, &mut out);
            for one in &out {
                if let Ok(Frame::Question { nonce }) = Frame::decode(&one.bytes) {
                    return nonce;
                }
            }
        }
    }

    fn error_ns(&mut self) -> i64 {
        let told = self.follower.now(FOLLOWER_NS + self.now_ns);
        let told = told.expect("it follows a leader");
        let truth = self.leader.now(LEADER_NS + self.now_ns);
        let truth = truth.expect("it leads");
        assert!(told.hard.contains(truth.estimate_ns), "{told:?} {truth:?}");
        told.estimate_ns.cast_signed() - truth.estimate_ns.cast_signed()
    }

    fn counted(&self) -> Counters {
        self.follower.counters()
    }
}

fn clocks(started_ns: u64, now_ns: u64) -> Clocks {
    Clocks {
        local_ns: started_ns + now_ns,
        second_ns: started_ns + now_ns,
        wall_ns: WALL_NS + now_ns,
    }
}

#[test]
fn a_follower_finds_the_leader_and_its_time() {
    let mut pair = Pair::new();
    pair.run(5_000);
    assert_eq!(pair.leader.role(), Role::ClusterLeader);
    assert_eq!(pair.follower.role(), Role::Member);
    assert!(pair.error_ns().abs() < 50_000);
    let status = pair.follower.status(FOLLOWER_NS + pair.now_ns);
    let claim = status.cluster.expect("it follows a leader");
    assert_eq!((claim.leader, claim.backup), (node(1), Some(node(2))));
    let source = status.sources[0];
    assert!(source.followed && source.asymmetry_bound_ns.is_some_and(|ns| ns <= PATH_NS));
}

#[test]
fn bad_datagrams_are_refused_and_counted_and_disturb_nothing() {
    let mut pair = Pair::new();
    pair.run(5_000);
    let before = pair.counted();
    let now_ns = pair.now_ns + PATH_NS;
    let replayed = pair.answer.clone();
    pair.give(&replayed, now_ns);
    let Ok(Frame::Answer(real)) = Frame::decode(&replayed) else {
        panic!("the last answer is no answer");
    };
    let forged = Answer { nonce: 7, ..real };
    pair.give(&Frame::Answer(forged).encode(), now_ns);
    assert_eq!(
        pair.counted().refused_not_asked,
        before.refused_not_asked + 2
    );
    for bytes in [&b""[..], b"\x09", &[0xff; 64], &[0; 2_000]] {
        pair.give(bytes, now_ns);
    }
    // Whoever is no member is not heard at all.
    let local_ns = FOLLOWER_NS + now_ns;
    pair.follower
        .receive(node(9), &replayed, local_ns, local_ns, &mut Vec::new());
    assert_eq!(
        pair.counted().refused_unreadable,
        before.refused_unreadable + 5
    );
    assert!(pair.error_ns().abs() < 50_000);
}

#[test]
fn answers_that_cannot_be_are_refused_one_by_one() {
    let far = u64::MAX / 3;
    for (received_ns, sent_ns) in [(0, 0), (far, far), (WALL_NS + 9, WALL_NS), (1, 2)] {
        let mut pair = Pair::new();
        pair.run(5_000);
        let before = pair.counted();
        let nonce = pair.question();
        let answer = Answer {
            nonce,
            received_ns,
            sent_ns,
            of: Epoch {
                number: 1,
                node: node(1),
            },
            line: Epoch {
                number: 1,
                node: node(1),
            },
            source: None,
            epoch: Epoch {
                number: 1,
                node: node(1),
            },
            hard_ns: 0,
            deviation_ns: 0,
            correction_ns: 0,
        };
        let at_ns = pair.now_ns + PATH_NS;
        pair.give(&Frame::Answer(answer).encode(), at_ns);
        let after = pair.counted();
        let refused = after.refused_impossible + after.contradictions + after.liars;
        let refused_before = before.refused_impossible + before.contradictions + before.liars;
        assert!(
            refused > refused_before,
            "{received_ns} {sent_ns} {after:?}"
        );
        assert!(pair.error_ns().abs() < 50_000);
    }
}

#[test]
fn a_correction_beyond_every_way_and_too_many_differences_are_refused() {
    let mut pair = Pair::new();
    pair.run(5_000);
    let Ok(Frame::Answer(real)) = Frame::decode(&pair.answer) else {
        panic!("the last answer is no answer");
    };
    let before = pair.counted();
    // Whoever leads the cluster corrects nothing, so one is a lie.
    for correction_ns in [1, limits::CORRECTION_NS_MAX + 1, i64::MAX, i64::MIN] {
        pair.run(400);
        let nonce = pair.question();
        let now_ns = WALL_NS + pair.now_ns;
        let answer = Answer {
            nonce,
            received_ns: now_ns,
            sent_ns: now_ns,
            correction_ns,
            ..real
        };
        let at_ns = pair.now_ns + PATH_NS;
        pair.give(&Frame::Answer(answer).encode(), at_ns);
    }
    assert_eq!(
        pair.counted().refused_impossible,
        before.refused_impossible + 4
    );
    for (many, refused) in [(limits::OTHERS_MAX, 0), (limits::OTHERS_MAX + 1, 1)] {
        let measured = Measured {
            node: node(3),
            by_ns: i64::MIN,
            deviation_ns: u64::MAX,
        };
        let told = Frame::Differences(Differences {
            line: real.line,
            measured: vec![measured; many],
        });
        pair.give(&told.encode(), pair.now_ns);
        let counted = pair.counted();
        assert_eq!(
            counted.refused_unreadable,
            before.refused_unreadable + refused
        );
    }
}

#[test]
fn an_answer_of_an_older_epoch_is_fenced_and_ones_own_time_is_not_taken_back() {
    let mut pair = Pair::new();
    pair.run(5_000);
    let epoch = |number| Epoch {
        number,
        node: node(1),
    };
    for (number, source) in [(0, None), (9, Some(node(2)))] {
        pair.run(400);
        let nonce = pair.question();
        let now_ns = WALL_NS + pair.now_ns;
        let answer = Answer {
            nonce,
            received_ns: now_ns,
            sent_ns: now_ns,
            of: epoch(number),
            line: epoch(number),
            source,
            epoch: epoch(number),
            hard_ns: 0,
            deviation_ns: 0,
            correction_ns: 0,
        };
        let at_ns = pair.now_ns + PATH_NS;
        pair.give(&Frame::Answer(answer).encode(), at_ns);
    }
    assert_eq!(pair.counted().refused_fenced, 1);
    assert_eq!(pair.counted().refused_loop, 1);
}

#[test]
fn a_node_that_knows_of_others_listens_from_when_it_reaches_one() {
    let mut plane = plane(2, FOLLOWER_NS, false);
    plane.set_peers([]);
    let peer = Peer {
        near: true,
        region: 0,
    };
    let mut led_ms = None;
    for ms in (0..20_000).step_by(20) {
        if ms == 10_000 {
            plane.set_peers([(node(1), peer)]);
        }
        plane.tick(clocks(FOLLOWER_NS, ms * MS), &mut Vec::new());
        if plane.role() == Role::ClusterLeader {
            led_ms.get_or_insert(ms);
        }
    }
    assert_eq!(led_ms, Some(10_000 + election::LISTEN_NS / MS));
}

#[test]
fn whoever_takes_over_still_knows_the_clock_that_it_followed() {
    let mut pair = Pair::new();
    pair.run(5_000);
    for _ in 0..50 {
        pair.now_ns += 20 * MS;
        let clocks = clocks(FOLLOWER_NS, pair.now_ns);
        pair.follower.tick(clocks, &mut Vec::new());
    }
    assert_eq!(pair.follower.role(), Role::ClusterLeader);
    let status = pair.follower.status(FOLLOWER_NS + pair.now_ns);
    let offset_ns = status.sources[0].offset_ns.expect("it was measured");
    assert!(offset_ns.abs() < 50_000, "{offset_ns}");
}

#[test]
fn of_too_many_peers_those_of_the_own_region_stay() {
    let mut plane = plane(2, FOLLOWER_NS, true);
    let many = u32::try_from(limits::PEERS_MAX).expect("a limit is a small number") + 1;
    let peers = (0..many).map(|number| {
        let mut id = [7; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let near = number + 1 == many;
        let region = u64::from(!near);
        (NodeId(id), Peer { near, region })
    });
    let last = peers.clone().next_back().expect("there are many").0;
    plane.set_peers(peers);
    let mut out = Vec::new();
    plane.tick(clocks(FOLLOWER_NS, 20 * MS), &mut out);
    assert!(out.iter().any(|outgoing| outgoing.to == last));
}

#[test]
fn a_peer_that_never_stops_announcing_is_heard_so_often_a_second_and_no_more() {
    let mut pair = Pair::new();
    pair.run(5_000);
    let mut out = Vec::new();
    while out.is_empty() {
        pair.now_ns += 20 * MS;
        pair.leader.tick(clocks(LEADER_NS, pair.now_ns), &mut out);
    }
    let before = pair.counted();
    for _ in 0..1_000 {
        pair.give(&out[0].bytes, pair.now_ns);
    }
    let after = pair.counted();
    let heard = after.announcements - before.announcements;
    assert!(heard <= u64::from(limits::ANNOUNCEMENTS_PER_SECOND_MAX));
    assert_eq!(
        after.refused_too_many - before.refused_too_many,
        1_000 - heard
    );
    assert!(pair.error_ns().abs() < 50_000);
}

/// A founder whose wall clock had been ahead began again where that clock was now: five seconds before
/// what it had told, on which tempo maps and cues on its disk stood.
#[test]
fn the_time_goes_on_after_everybody_was_switched_off() {
    let ahead_ns = 5_000 * MS;
    let lead = |plane: &mut Timekeeper, local_ns: u64, wall_ns: u64| {
        let clocks = Clocks {
            local_ns,
            second_ns: local_ns,
            wall_ns,
        };
        plane.tick(clocks, &mut Vec::new());
        plane.now(local_ns).expect("it leads").estimate_ns
    };
    let mut first = plane(1, LEADER_NS, true);
    let told_ns = lead(&mut first, LEADER_NS + 20 * MS, WALL_NS + ahead_ns);
    assert_eq!(told_ns, WALL_NS + ahead_ns);
    let known = first.memory(LEADER_NS + 20 * MS, WALL_NS + ahead_ns);
    let known = known.expect("it knows the time");
    // Its wall clock was set right meanwhile: nobody knows how long it was off.
    let mut second = plane(1, LEADER_NS, true);
    second.remember(known.clone());
    let again_ns = lead(&mut second, LEADER_NS + 20 * MS, WALL_NS + 1_000 * MS);
    assert_eq!(again_ns, told_ns + limits::REMEMBER_NS);
    // And where it is as it was, the time goes on with it.
    let mut third = plane(1, LEADER_NS, true);
    third.remember(known);
    let wall_ns = WALL_NS + ahead_ns + 7_000 * MS;
    let again_ns = lead(&mut third, LEADER_NS + 20 * MS, wall_ns);
    assert_eq!(again_ns, told_ns + 7_000 * MS);
}

/// A laptop that slept for eight hours went on eight hours behind its wall clock, and stayed so: beats,
/// cues and deadlines were those of the night before.
#[test]
fn whoever_leads_alone_has_slept_when_it_slept() {
    let mut lone = lone(1, LEADER_NS, true);
    let night_ns = 8 * 3_600_000 * MS;
    let tick = |lone: &mut Timekeeper, now_ns: u64, slept_ns: u64| {
        let mut clocks = clocks(LEADER_NS, now_ns);
        clocks.second_ns += slept_ns;
        clocks.wall_ns += slept_ns;
        lone.tick(clocks, &mut Vec::new());
        lone.now(LEADER_NS + now_ns).expect("it leads").estimate_ns
    };
    let mut told_ns = 0;
    for step in 1..100 {
        told_ns = tick(&mut lone, step * 20 * MS, 0);
    }
    let before_ns = told_ns;
    for step in 100..2_000 {
        let now_ns = tick(&mut lone, step * 20 * MS, night_ns);
        assert!(now_ns >= told_ns, "time never runs backwards");
        told_ns = now_ns;
    }
    assert_eq!(lone.role(), Role::ClusterLeader);
    assert_eq!(told_ns, before_ns + 1_900 * 20 * MS + night_ns);
}

/// What a follower had measured before it slept counted as news of the time after: it led on, the night
/// behind and sure of it.
#[test]
fn a_follower_that_wakes_up_alone_has_slept_as_well() {
    let mut pair = Pair::new();
    pair.run(5_000);
    let night_ns = 8 * 3_600_000 * MS;
    let local_ns = FOLLOWER_NS + pair.now_ns;
    let before_ns = pair.follower.time(local_ns, 0).0;
    pair.follower.set_peers([]);
    let mut now = clocks(FOLLOWER_NS, pair.now_ns);
    now.second_ns += night_ns;
    pair.follower.look(now);
    let (_, unsure_ns) = pair.follower.time(now.local_ns, 0);
    assert!(
        unsure_ns >= Some(night_ns),
        "nobody has said yet what time it is"
    );
    for _ in 0..3_000 {
        now.local_ns += 20 * MS;
        now.second_ns += 20 * MS;
        pair.follower.tick(now, &mut Vec::new());
    }
    assert_eq!(pair.follower.role(), Role::ClusterLeader);
    let (time_ns, unsure_ns) = pair.follower.time(now.local_ns, 0);
    let expected_ns = before_ns + 3_000 * 20 * MS + night_ns;
    assert!(time_ns.abs_diff(expected_ns) < 10 * MS);
    assert!(unsure_ns < Some(MS), "{unsure_ns:?}");
}

/// Of a virtual machine that is stopped no steady clock counts the time; its host puts the wall clock
/// right.
#[test]
fn whoever_leads_alone_follows_a_wall_clock_that_leaps_ahead_and_none_that_goes_back() {
    let mut lone = lone(1, LEADER_NS, true);
    let mut now = clocks(LEADER_NS, 20 * MS);
    lone.tick(now, &mut Vec::new());
    let (begun_ns, _) = lone.time(now.local_ns, now.wall_ns);
    let mut step = |wall_ns: i64| {
        now.local_ns += 20 * MS;
        now.second_ns += 20 * MS;
        now.wall_ns = (now.wall_ns + 20 * MS).saturating_add_signed(wall_ns);
        lone.tick(now, &mut Vec::new());
        lone.time(now.local_ns, now.wall_ns).0
    };
    let hour_ns = 3_600_000 * MS;
    assert_eq!(step(hour_ns.cast_signed()), begun_ns + 20 * MS + hour_ns);
    assert_eq!(step(-hour_ns.cast_signed()), begun_ns + 40 * MS + hour_ns);
}

/// A member that started again stamped by its wall clock before it had asked anybody: where that was an
/// hour ahead of the cluster's time, its stamps were, and it refused writes for an hour.
#[test]
fn before_anybody_was_asked_the_wall_clock_is_as_far_off_as_it_was() {
    let mut next = plane(2, FOLLOWER_NS, false);
    assert_eq!(next.time(FOLLOWER_NS, WALL_NS), (WALL_NS, None));
    let hour_ns = 3_600_000 * MS;
    next.remember(Remembered {
        reached_ns: WALL_NS - hour_ns,
        wall_ns: WALL_NS,
        sources: Vec::new(),
    });
    let later_ns = WALL_NS + 5_000 * MS;
    assert_eq!(next.time(FOLLOWER_NS, later_ns), (later_ns - hour_ns, None));
}

/// A machine without a battery began in the year before, and its wall clock was put right later: after
/// the next start everybody reads the right year.
#[test]
fn a_founder_that_starts_again_takes_over_a_wall_clock_that_is_further() {
    let mut first = lone(1, LEADER_NS, true);
    let begun = Clocks {
        wall_ns: WALL_NS - 1_000_000 * MS,
        ..clocks(LEADER_NS, 20 * MS)
    };
    first.tick(begun, &mut Vec::new());
    let known = first.memory(begun.local_ns, WALL_NS);
    let mut second = lone(1, LEADER_NS, true);
    second.remember(known.expect("it knows the time"));
    let now = clocks(LEADER_NS, 20 * MS);
    second.tick(now, &mut Vec::new());
    let reading = second.now(now.local_ns).expect("it leads");
    assert_eq!(reading.estimate_ns, now.wall_ns);
}

#[test]
fn what_was_measured_of_others_is_remembered_and_what_cannot_be_is_not() {
    let mut pair = Pair::new();
    pair.run(10_000);
    let local_ns = FOLLOWER_NS + pair.now_ns;
    let mut known = pair.follower.memory(local_ns, WALL_NS).expect("it follows");
    let (of, memory) = known.sources[0];
    assert_eq!(of, node(1));
    let path = memory.path.expect("it was measured");
    assert!(
        (path.floor_ns - PATH_NS as f64).abs() < 50_000.0,
        "{path:?}"
    );
    let mut damaged = memory;
    damaged.rate.as_mut().expect("it was measured").rate_ppb = f64::NAN;
    known
        .sources
        .extend([(node(8), memory), (node(9), damaged)]);
    let mut next = Pair::new();
    next.follower.remember(known);
    next.run(10_000);
    assert!(next.error_ns().abs() < 50_000);
    let local_ns = FOLLOWER_NS + next.now_ns;
    let again = next.follower.memory(local_ns, WALL_NS).expect("it follows");
    let named: Vec<NodeId> = again.sources.iter().map(|(node, _)| *node).collect();
    assert_eq!(named, [node(1), node(8)], "who was not met is kept, too");
}
