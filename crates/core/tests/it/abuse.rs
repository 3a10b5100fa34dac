//! What certificate holders may try: each abuse has a number that stays, the first part of its
//! test's name, and a line in `docs/threat-model.md`.
//!
//! The incident behind the first of them: an auditor found that nobody asked whether the author of a
//! frame, a bundle or a vote was a member. A certificate was enough to end every other life in the
//! cluster, to be waited for by all for ever, and to fill their memories.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::node::{Input, Node, Output, Question};
use unisono_core::orchestra::view::{ClaimsWanted, View};
use unisono_core::replication::{FRAME_BYTES_MAX, Frame, LogHead};
use unisono_model::wire::{Blob, Signature, encode};
use unisono_model::{
    Action, Admit, AgentId, AgentKind, BUNDLE_VERSION, BundleBody, BundleHeader, Carried, ChainId,
    Digest, Enrol, ForkProof, Held, Incarnation, LogId, NodeId, OrchestraId, RECORD_VERSION,
    RecordBody, RecordPlace, SignedBundle, SignedRecord, Stamp, ViewVote,
};

use crate::loopback::{CLUSTER, Loop};

/// Somebody with a certificate: a node key of the cluster's, wherever it is.
struct Holder {
    key: SigningKey,
    log: LogId,
}

impl Holder {
    /// A node that nobody has admitted.
    fn ghost() -> Self {
        Self::of([99; 32], 1)
    }

    /// A member that lies, in the life that it is in.
    fn member(world: &Loop, index: usize) -> Self {
        let key = SigningKey::from_bytes(&[index as u8 + 1; 32]);
        let log = world.nodes[index].log();
        Self { key, log }
    }

    fn of(secret: [u8; 32], started_ms: u64) -> Self {
        let key = SigningKey::from_bytes(&secret);
        let node = NodeId(key.verifying_key().to_bytes());
        let incarnation = Incarnation {
            started_ms,
            nonce: 0,
        };
        let log = LogId { node, incarnation };
        Self { key, log }
    }

    fn in_life(&self, started_ms: u64) -> Self {
        Self::of(self.key.to_bytes(), started_ms)
    }

    fn header(&self, orchestra: OrchestraId, seq: u64, at: Stamp) -> BundleHeader {
        BundleHeader {
            version: BUNDLE_VERSION,
            cluster: CLUSTER,
            orchestra,
            log: self.log,
            seq,
            prev: Digest::default(),
            stamp: at,
            body: Digest::default(),
        }
    }

    fn sign(&self, header: &BundleHeader) -> Signature {
        Signature::from_bytes(self.key.sign(&header.digest().0).to_bytes())
    }

    /// A bundle of the node's own records: all of the chain up to here.
    fn bundle(&self, header: BundleHeader, actions: Vec<Action>) -> Vec<u8> {
        let agent = AgentId(self.log.node.0);
        let chain = ChainId {
            agent,
            log: self.log,
        };
        let mut records: Vec<Carried> = Vec::new();
        let mut prev = Digest::default();
        for (index, action) in actions.into_iter().enumerate() {
            let body = RecordBody {
                version: RECORD_VERSION,
                held: Held::Node,
                agent_ms: header.stamp.as_ms(),
                iteration: 1,
                key: None,
                predecessors: Vec::new(),
                token: None,
                action,
            };
            let place = RecordPlace {
                cluster: CLUSTER,
                orchestra: header.orchestra,
                chain,
                seq: index as u64 + 1,
                prev,
            };
            let record = SignedRecord::sign(&self.key, &place, &body);
            prev = place.digest(&record.body.0);
            records.push(Carried {
                agent: 0,
                seq: record.seq,
                prev: record.prev,
                stamp: Stamp::from_ns(header.stamp.as_ns() - 1_000_000 + index as u64 * 1_000),
                body: record.body,
                signature: record.signature,
            });
        }
        let agents = if records.is_empty() {
            Vec::new()
        } else {
            vec![agent]
        };
        let body = BundleBody {
            agents,
            records,
            ..BundleBody::default()
        };
        let (sealed, digest) = body.seal();
        let header = BundleHeader {
            body: digest,
            ..header
        };
        encode(&SignedBundle {
            signature: self.sign(&header),
            header,
            body: sealed,
        })
    }

    /// Two bundles at the first place of a log.
    fn fork(&self, orchestra: OrchestraId, at: Stamp) -> ForkProof {
        let signed = |at: Stamp| {
            let header = self.header(orchestra, 1, at);
            (header, self.sign(&header))
        };
        let (one, other) = (signed(at), signed(at.next()));
        if one.0.digest() < other.0.digest() {
            ForkProof { one, other }
        } else {
            let (one, other) = (other, one);
            ForkProof { one, other }
        }
    }

    fn enrol() -> Action {
        Action::Enrol(Enrol {
            name: "ghost".into(),
            role: "node".into(),
            kind: AgentKind::Node,
            tier: None,
        })
    }

    fn admit(&self) -> Admit {
        Admit {
            node: self.log.node,
            incarnation: self.log.incarnation,
            region: "here".into(),
            name: "ghost".into(),
            address: String::new(),
        }
    }

    fn send(&self, world: &mut Loop, to: usize, frame: &Frame) {
        let (from, bytes) = (self.log.node, encode(frame));
        world.feed(to, Input::Received { from, bytes });
        world.feed(to, Input::Tick);
    }

    fn push(&self, world: &mut Loop, to: usize, bundles: Vec<Vec<u8>>) {
        let bundles = bundles.into_iter().map(Blob).collect();
        let relay = false;
        self.send(world, to, &Frame::Push { relay, bundles });
    }
}

fn home() -> OrchestraId {
    OrchestraId::of(CLUSTER, "cluster")
}

fn main_orchestra() -> OrchestraId {
    OrchestraId::of(CLUSTER, "main")
}

fn now(world: &Loop) -> Stamp {
    Stamp::from_ns(world.now_ns)
}

/// Three nodes at work.
fn three() -> Loop {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.run_ms(12_000);
    world
}

fn member_names(world: &mut Loop, index: usize) -> Vec<String> {
    match world.view(index, Question::Status) {
        Ok(View::Status(status)) => status.members.into_iter().map(|one| one.name).collect(),
        other => panic!("no status: {other:?}"),
    }
}

/// The vote of a key that nobody had admitted, on a view of itself alone, ended each life of each
/// node at its first tick.
#[test]
fn m01_the_vote_of_a_ghost_ends_nobodys_life() {
    let mut world = three();
    let ghost = Holder::ghost();
    let mut removed: Vec<LogId> = world.nodes.iter().map(Node::log).collect();
    for life in &mut removed {
        life.incarnation.started_ms = u64::MAX;
    }
    removed.sort_unstable();
    let vote = ViewVote {
        base: ViewVote::GENESIS,
        members: vec![ghost.log.node],
        removed,
    };
    let header = ghost.header(home(), 1, now(&world));
    let bundle = ghost.bundle(header, vec![Holder::enrol(), Action::VoteView(vote)]);
    for index in 0..3 {
        ghost.push(&mut world, index, vec![bundle.clone()]);
    }
    // The world stops where a node wants to begin a new life.
    world.run_ms(5_000);
}

/// Whoever had a certificate admitted itself, and everybody waited for its word from then on.
#[test]
fn m02_whoever_admits_itself_is_no_member() {
    let mut world = three();
    let ghost = Holder::ghost();
    let header = ghost.header(home(), 1, now(&world));
    let actions = vec![Holder::enrol(), Action::Admit(ghost.admit())];
    let bundle = ghost.bundle(header, actions);
    for index in 0..3 {
        ghost.push(&mut world, index, vec![bundle.clone()]);
    }
    world.run_ms(3_000);
    for index in 0..3 {
        let names = member_names(&mut world, index);
        assert_eq!(names.len(), 3, "{names:?}");
    }
    let claim = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    world.act(0, "ada", claim).expect("granted");
    world.run_ms(3_000);
    let Ok(View::Claims(claims)) = world.view(0, Question::Claims(ClaimsWanted::on("x"))) else {
        panic!("no claims")
    };
    let confirmed = unisono_core::orchestra::view::ClaimStatus::Confirmed;
    assert_eq!(claims[0].status, confirmed, "nobody waits for a ghost");
}

/// What one node says to whoever asks it.
fn answers(world: &mut Loop, index: usize, from: NodeId, frame: &Frame) -> Vec<Frame> {
    let input = Input::Received {
        from,
        bytes: encode(frame),
    };
    let sent = world.outputs(index, input).into_iter();
    sent.filter_map(|output| match output {
        Output::Send { to, bytes, .. } if to == from => Frame::decode(&bytes).ok(),
        _ => None,
    })
    .collect()
}

/// A node that had been voted out kept its connection, and went on to read all that was said.
#[test]
fn m03_an_outsider_is_served_what_is_about_joining_alone() {
    let mut world = three();
    let ghost = Holder::ghost();
    let log = world.nodes[0].log();
    let want = |orchestra: OrchestraId| Frame::Want {
        orchestra,
        logs: vec![(log, 1)],
    };
    let from = ghost.log.node;
    assert!(answers(&mut world, 0, from, &want(main_orchestra())).is_empty());
    let vector = |orchestra: OrchestraId| Frame::Vector {
        orchestra,
        ask: true,
        logs: Vec::new(),
        proofs: Vec::new(),
    };
    assert!(answers(&mut world, 0, from, &vector(main_orchestra())).is_empty());
    let summary = Frame::Summary {
        wall_ms: world.now_ns / 1_000_000,
        unsure_ns: None,
        ask: true,
        orchestras: vec![(main_orchestra(), Digest::default())],
    };
    for frame in answers(&mut world, 0, from, &summary) {
        match frame {
            Frame::Vector { orchestra, .. } => assert_eq!(orchestra, home()),
            Frame::Summary { orchestras, .. } => {
                assert!(orchestras.iter().all(|(id, _)| *id == home()));
            }
            other => panic!("{other:?}"),
        }
    }
    let told = answers(&mut world, 0, from, &want(home()));
    assert!(!told.is_empty(), "what the cluster says, it may know");
    // Nor is anything taken from it, whoever signed that.
    let member = Holder::member(&world, 1);
    let life = member.in_life(world.now_ns / 1_000_000);
    let header = life.header(main_orchestra(), 1, now(&world));
    ghost.push(&mut world, 0, vec![life.bundle(header, Vec::new())]);
    let held = world.memories[0].bundles.keys();
    assert!(!held.clone().any(|(_, log, _)| *log == life.log));
    // Whoever is admitted is served.
    world.feed(
        0,
        Input::Received {
            from,
            bytes: encode(&Frame::Join(ghost.admit())),
        },
    );
    world.run_ms(10);
    assert!(!answers(&mut world, 0, from, &want(main_orchestra())).is_empty());
}

/// A node hands on what no agent of its own has to do with: that is legal, and how others learn of it.
/// It gives it to members alone.
#[test]
fn what_nobody_of_its_own_uses_a_node_hands_on_to_members_and_to_nobody_else() {
    let mut world = three();
    world.cut = vec![(0, 2)];
    world.enrol(0, "lin");
    let claim = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    world.act(0, "lin", claim).expect("granted");
    world.run_ms(20_000);
    let log = world.nodes[0].log();
    let of_lin = |world: &Loop, index: usize| {
        let range = (main_orchestra(), log, 0)..=(main_orchestra(), log, u64::MAX);
        world.memories[index].bundles.range(range).count()
    };
    assert!(of_lin(&world, 0) > 0);
    assert_eq!(
        of_lin(&world, 2),
        of_lin(&world, 0),
        "by way of the one between"
    );
    let want = Frame::Want {
        orchestra: main_orchestra(),
        logs: vec![(log, 1)],
    };
    let member = world.nodes[2].id();
    assert!(!answers(&mut world, 1, member, &want).is_empty());
    let ghost = Holder::ghost().log.node;
    assert!(answers(&mut world, 1, ghost, &want).is_empty());
}

/// Bundles in orchestras that nobody has heard of made room for each, for ever; so did a question
/// about one.
#[test]
fn m04_orchestras_that_nobody_opened_take_no_room() {
    let mut world = three();
    let before = world.nodes[0].weight();
    let member = Holder::member(&world, 2);
    world.cut = vec![(0, 2), (1, 2)];
    for number in 0..2_000_u32 {
        let name = format!("nowhere {number}");
        let orchestra = OrchestraId::of(CLUSTER, &name);
        let header = member.header(orchestra, 2, now(&world));
        let bundle = member.bundle(header, Vec::new());
        member.push(&mut world, 0, vec![bundle]);
        let head = LogHead {
            log: member.log,
            seq: 7,
            head: Digest::default(),
        };
        let vector = Frame::Vector {
            orchestra: OrchestraId::of(CLUSTER, &format!("elsewhere {number}")),
            ask: true,
            logs: vec![head],
            proofs: Vec::new(),
        };
        member.send(&mut world, 0, &vector);
        // Logs that begin there go to disk, and there is an end to it.
        let life = member.in_life(1);
        let header = life.header(orchestra, 1, now(&world));
        let bundle = life.bundle(header, Vec::new());
        member.push(&mut world, 0, vec![bundle]);
    }
    let after = world.nodes[0].weight();
    assert_eq!(after.incoming, before.incoming);
    assert!(
        after.orchestras <= before.orchestras + 1_024,
        "{} orchestras",
        after.orchestras
    );
}

/// Each orchestra had its own bound for bundles that wait: a member that wrote behind a gap in many
/// of them had that many times as much kept.
#[test]
fn m05_what_waits_is_bounded_over_all_orchestras_together() {
    let mut world = three();
    let member = Holder::member(&world, 2);
    world.cut = vec![(0, 2), (1, 2)];
    for number in 0..5 {
        let orchestra = OrchestraId::of(CLUSTER, &format!("nowhere {number}"));
        let header = member.header(orchestra, 1, now(&world));
        member.push(&mut world, 0, vec![member.bundle(header, Vec::new())]);
        let at = now(&world);
        let many = (3..2_003).map(|seq| {
            let header = member.header(orchestra, seq, at);
            member.bundle(header, Vec::new())
        });
        member.push(&mut world, 0, many.collect());
    }
    let waiting = world.nodes[0].weight().incoming;
    assert_eq!(waiting, unisono_core::node::limits::INCOMING_MAX);
}

/// Proofs that logs of made-up keys had forked were believed, kept and sent on, all at once: with
/// some thousands of them no vector fitted into a frame any more, and every peer refused it.
#[test]
fn m06_forks_of_made_up_logs_are_nobodys_business_and_vectors_fit_into_frames() {
    let mut world = three();
    let member = Holder::member(&world, 2);
    world.cut = vec![(0, 2), (1, 2)];
    let vector = |proofs: Vec<ForkProof>| Frame::Vector {
        orchestra: main_orchestra(),
        ask: false,
        logs: Vec::new(),
        proofs,
    };
    let at = now(&world);
    let ghosts = (0..50_u8).map(|number| Holder::of([100 + number; 32], 1));
    let made_up = ghosts.map(|ghost| ghost.fork(main_orchestra(), at));
    member.send(&mut world, 0, &vector(made_up.collect()));
    let ask = Frame::Vector {
        orchestra: main_orchestra(),
        ask: true,
        logs: Vec::new(),
        proofs: Vec::new(),
    };
    let told = |world: &mut Loop| {
        let input = Input::Received {
            from: member.log.node,
            bytes: encode(&ask),
        };
        let sent = world.outputs(0, input).into_iter();
        let frames = sent.filter_map(|output| match output {
            Output::Send { to, bytes, .. } if to == member.log.node => Some(bytes),
            _ => None,
        });
        let vectors = frames.filter_map(|bytes| match Frame::decode(&bytes) {
            Ok(Frame::Vector { proofs, .. }) => Some(proofs),
            Ok(_) => None,
            Err(why) => panic!("{} of {FRAME_BYTES_MAX} bytes: {why}", bytes.len()),
        });
        vectors.flatten().collect::<Vec<_>>()
    };
    assert!(told(&mut world).is_empty());
    // A member can fork logs of its own, each in a life that it never led.
    for part in 0..5_u64 {
        let lives = (0..1_000).map(|number| member.in_life(1 + part * 1_000 + number));
        let proofs = lives.map(|life| life.fork(main_orchestra(), at));
        member.send(&mut world, 0, &vector(proofs.collect()));
    }
    let mut all = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let some = told(&mut world);
        assert!(!some.is_empty());
        all.extend(some.into_iter().map(|proof| proof.one.0.log));
    }
    assert_eq!(all.len(), 5_000, "all of them come in turn");
}

/// A vector was cut after so many logs, always the same: who filled it with logs of its own kept all
/// that sorted behind them from being repaired, for good.
#[test]
fn m07_a_crowd_of_logs_hides_none_behind_it() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    let mut order: Vec<usize> = (0..3).collect();
    order.sort_by_key(|index| world.nodes[*index].id());
    let (liar, writer, reader) = (order[0], order[2], order[1]);
    world.enrol(writer, "ada");
    world.run_ms(12_000);
    let member = Holder::member(&world, liar);
    world.cut = vec![(liar, writer), (liar, reader), (writer, reader)];
    for part in 0..9_u64 {
        let lives = (0..1_000).map(|number| member.in_life(1 + part * 1_000 + number));
        let bundles = lives.map(|life| {
            let header = life.header(main_orchestra(), 1, now(&world));
            life.bundle(header, Vec::new())
        });
        let bundles: Vec<_> = bundles.collect();
        for index in [writer, reader] {
            member.push(&mut world, index, bundles.clone());
        }
    }
    let log = world.nodes[writer].log();
    let claim = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    world.act(writer, "ada", claim).expect("granted");
    let last = |world: &Loop, index: usize| {
        let range = (main_orchestra(), log, 0)..=(main_orchestra(), log, u64::MAX);
        let mut held = world.memories[index].bundles.range(range);
        held.next_back().map(|((.., seq), _)| *seq)
    };
    let written = last(&world, writer);
    assert!(last(&world, reader) < written, "it has not come yet");
    world.cut = vec![(liar, writer), (liar, reader)];
    world.run_ms(20_000);
    assert!(last(&world, reader) >= written, "it came by repair");
}

/// More kinds of refusals than are gathered at once were told to nobody: a thousand decoys silenced
/// the one that mattered.
#[test]
fn m08_a_crowd_of_refusals_silences_no_other() {
    let mut world = Loop::new(1);
    world.open(0);
    let agents: Vec<String> = (0..1_027).map(|number| format!("agent {number}")).collect();
    for agent in &agents {
        world.enrol(0, agent);
    }
    world.run_ms(12_000);
    for agent in &agents {
        world.act(0, agent, Action::Guard).expect_err("no root");
    }
    world.run_ms(12_000);
    let Ok(View::Trust(trust)) = world.view(0, Question::Trust) else {
        panic!("no incidents")
    };
    let others = trust
        .incidents
        .iter()
        .filter(|one| one.incident.rule == "others");
    let times: u32 = others.map(|one| one.incident.times).sum();
    assert_eq!(times, 3);
}
