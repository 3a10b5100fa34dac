//! Removing a node: a root says where its logs end, and from there on it is nobody. Until now
//! nothing could take a stolen node key out of a cluster: certificates last for years.

use ed25519_dalek::SigningKey;
use unisono_core::node::{Answer, AnswerBody, Node, Promise, Question, Work};
use unisono_core::orchestra::view::{ClaimStatus, ClaimsWanted, EndsView, HashView, View};
use unisono_model::wire::encode;
use unisono_model::{
    Action, AgentId, AgentKind, ChainId, Code, Digest, Enrol, Expulsion, Held, Mark, NodeId,
    OrchestraId, RECORD_VERSION, RecordBody, RecordPlace, Rejection, SignedRecord,
};

use crate::loopback::{CLUSTER, Loop, root_key};

fn mark(text: &str) -> Action {
    Action::Mark(Mark {
        about: "work".into(),
        text: text.into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

/// An operator with a key, at a node.
pub(crate) struct Operator {
    key: SigningKey,
    at: usize,
    seq: u64,
    prev: Digest,
}

impl Operator {
    /// Who introduces itself to the cluster at a node.
    pub(crate) fn new(world: &mut Loop, key: SigningKey, at: usize) -> Self {
        let (seq, prev) = (0, Digest::default());
        let mut operator = Self { key, at, seq, prev };
        let enrol = Action::Enrol(Enrol {
            name: format!("root at {at}"),
            role: "operator".into(),
            kind: AgentKind::Human,
            tier: None,
        });
        operator.act(world, enrol).expect("enrolled");
        operator
    }

    pub(crate) fn act(&mut self, world: &mut Loop, action: Action) -> Result<Answer, Rejection> {
        let agent = AgentId(self.key.verifying_key().to_bytes());
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: world.now_ns / 1_000_000,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action,
        };
        let place = RecordPlace {
            cluster: CLUSTER,
            orchestra: home(),
            chain: ChainId {
                agent,
                log: world.nodes[self.at].log(),
            },
            seq: self.seq + 1,
            prev: self.prev,
        };
        let record = SignedRecord::sign(&self.key, &place, &body);
        let digest = place.digest(&record.body.0);
        let work = Work::Record(encode(&record));
        let ticket = world.submit(self.at, "cluster", work, Promise::default());
        world.run_ms(5);
        let answer = world.reply(ticket).expect("an answer");
        if answer.is_ok() {
            (self.seq, self.prev) = (place.seq, digest);
        }
        answer
    }

    /// Removes a node as its own node knows it.
    fn remove(&mut self, world: &mut Loop, node: NodeId) -> Result<Answer, Rejection> {
        let EndsView { ends, staying, .. } = ends(world, self.at, node);
        let reason = "its machine was stolen".into();
        let expulsion = Expulsion {
            node,
            ends,
            staying,
            reason,
        };
        self.act(world, Action::Remove(expulsion))
    }
}

fn home() -> OrchestraId {
    OrchestraId::of(CLUSTER, "cluster")
}

fn ends(world: &mut Loop, index: usize, node: NodeId) -> EndsView {
    match world.view(index, Question::Ends(node)) {
        Ok(View::Ends(ends)) => ends,
        other => panic!("no ends: {other:?}"),
    }
}

fn hash(world: &mut Loop, index: usize) -> HashView {
    match world.view(index, Question::Hash) {
        Ok(View::Hash(hash)) => hash,
        other => panic!("no hash: {other:?}"),
    }
}

fn marks(world: &mut Loop, index: usize) -> Vec<String> {
    match world.view(index, Question::Marks { limit: 100 }) {
        Ok(View::Marks(marks)) => {
            let mut texts: Vec<String> = marks.into_iter().map(|one| one.text).collect();
            texts.sort();
            texts
        }
        other => panic!("no marks: {other:?}"),
    }
}

/// Three nodes; at the last one works lin, who has said one thing that all know.
fn three() -> Loop {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(2, "lin");
    world.act(2, "lin", mark("known")).expect("made");
    world.run_ms(15_000);
    world
}

#[test]
fn what_is_behind_its_end_is_nothing_and_what_is_below_stays() {
    let mut world = three();
    let thief = world.nodes[2].id();
    // The second node hears more of it than the first.
    world.cut = vec![(0, 2), (0, 1)];
    world.act(2, "lin", mark("behind")).expect("made");
    world.run_ms(2_000);
    assert_eq!(marks(&mut world, 1), ["behind", "known"]);
    let mut root = Operator::new(&mut world, root_key(), 0);
    root.remove(&mut world, thief).expect("removed");
    world.run_ms(1_500);
    assert_eq!(world.excluded, [(0, thief)]);
    world.cut.clear();
    world.run_ms(20_000);
    for index in [0, 1] {
        assert_eq!(marks(&mut world, index), ["known"], "at {index}");
    }
    let (one, other) = (hash(&mut world, 0), hash(&mut world, 1));
    assert_eq!((one.vector, one.views), (other.vector, other.views));
    assert!(world.excluded.contains(&(1, thief)));
    // Nobody waits for it.
    let claim = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    world.act(0, "ada", claim).expect("granted");
    world.run_ms(3_000);
    let Ok(View::Claims(claims)) = world.view(1, Question::Claims(ClaimsWanted::on("x"))) else {
        panic!("no claims")
    };
    assert_eq!(claims[0].status, ClaimStatus::Confirmed);
    // What it goes on to say reaches nobody, nor does a new life of it.
    let _ = world.act(2, "lin", mark("later"));
    world.run_ms(2_000);
    world.restart(2);
    world.run_ms(20_000);
    for index in [0, 1] {
        assert_eq!(marks(&mut world, index), ["known"], "at {index}");
        let Ok(View::Status(status)) = world.view(index, Question::Status) else {
            panic!("no status")
        };
        let shown = status.members.iter().find(|one| one.node == thief);
        assert!(shown.is_some_and(|one| one.expelled && !one.stays()));
    }
    assert_eq!(hash(&mut world, 0).vector, hash(&mut world, 1).vector);
}

/// A life of the removed node that the node which removed it had never heard of has no end, and nothing
/// of it counts. Whoever had heard of it named it in cursors for ever, and was told by every other node
/// that it is behind (seed 1025).
#[test]
fn a_cursor_that_names_what_was_removed_unheard_asks_for_nothing() {
    let mut world = three();
    let thief = world.nodes[2].id();
    world.cut = vec![(0, 2), (0, 1)];
    world.restart(2);
    world.run_ms(5_000);
    world.act(2, "lin", mark("unheard")).expect("made");
    world.run_ms(2_000);
    assert_eq!(marks(&mut world, 1).len(), 2, "it heard both lives");
    let ticket = world.ask(1, Question::State, 1_000);
    world.run_ms(5);
    let seen = world.reply(ticket).expect("an answer").expect("a view");
    let mut root = Operator::new(&mut world, root_key(), 0);
    root.remove(&mut world, thief).expect("removed");
    world.run_ms(1_500);
    world.cut.clear();
    world.run_ms(20_000);
    assert_eq!(marks(&mut world, 1), ["known"]);
    lacks_nothing(&mut world, seen);
}

/// Somebody who has seen this elsewhere is answered at node 0.
fn lacks_nothing(world: &mut Loop, seen: Answer) {
    let promise = Promise {
        min_cursor: Some(seen.cursor),
        ..Promise::default()
    };
    let ticket = world.begin(0, "ada", mark("on and on"), promise);
    world.run_ms(2_000);
    let answer = world.reply(ticket).expect("an answer");
    answer.expect("nothing of what the cursor names is lacking");
}

/// The removed machine ran on, cut off, and started again: its agents had cursors that named a life of
/// which no log that counts tells, and were refused at every other node (simulator, seed 1919).
#[test]
fn a_cursor_from_a_life_that_only_the_removed_node_knows_asks_for_nothing() {
    let mut world = three();
    let thief = world.nodes[2].id();
    world.cut = vec![(0, 2), (1, 2)];
    let mut root = Operator::new(&mut world, root_key(), 0);
    root.remove(&mut world, thief).expect("removed");
    world.restart(2);
    world.run_ms(20_000);
    world
        .act(2, "lin", mark("nobody else knows"))
        .expect("made");
    let ticket = world.ask(2, Question::State, 1_000);
    world.run_ms(5);
    let seen = world.reply(ticket).expect("an answer").expect("a view");
    lacks_nothing(&mut world, seen);
}

#[test]
fn a_removal_is_remembered_with_a_checkpoint_and_without() {
    let mut world = three();
    let thief = world.nodes[2].id();
    world.cut = vec![(0, 1), (1, 2)];
    world.run_ms(100);
    let mut root = Operator::new(&mut world, root_key(), 0);
    let kept = ends(&mut world, 0, thief);
    world.cut = vec![(0, 1), (0, 2)];
    world.act(2, "lin", mark("behind")).expect("made");
    world.run_ms(2_000);
    let expulsion = Expulsion {
        node: thief,
        ends: kept.ends,
        staying: kept.staying,
        reason: String::new(),
    };
    root.act(&mut world, Action::Remove(expulsion))
        .expect("removed");
    world.cut = vec![(0, 2), (1, 2)];
    world.run_ms(20_000);
    assert_eq!(marks(&mut world, 1), ["known"]);
    let before = hash(&mut world, 1);
    for save in [false, true] {
        if save {
            world.save(1);
        } else {
            world.memories[1].blobs.clear();
        }
        world.excluded.clear();
        world.restart(1);
        world.run_ms(20_000);
        assert_eq!(marks(&mut world, 1), ["known"], "saved: {save}");
        assert_eq!(hash(&mut world, 1).views, hash(&mut world, 0).views);
        assert!(world.excluded.contains(&(1, thief)), "said again");
    }
    assert_ne!(before.vector, Digest::default());
}

/// Whoever is removed finds out where it can, takes nothing any more, and says why.
#[test]
fn who_is_removed_takes_nothing_and_says_so() {
    let mut world = three();
    let thief = world.nodes[2].id();
    let mut root = Operator::new(&mut world, root_key(), 0);
    root.remove(&mut world, thief).expect("removed");
    // It asks as an ordinary member does; the driver of this loop turns nobody away.
    let carrier = world.nodes[0].log();
    let said: Vec<Vec<u8>> = world.memories[0]
        .bundles
        .range((home(), carrier, 0)..=(home(), carrier, u64::MAX))
        .map(|(_, bytes)| bytes.clone())
        .collect();
    let frame = unisono_core::replication::Frame::Push {
        relay: false,
        bundles: said.into_iter().map(unisono_model::wire::Blob).collect(),
    };
    let from = world.nodes[0].id();
    let bytes = encode(&frame);
    world.feed(2, unisono_core::node::Input::Received { from, bytes });
    world.run_ms(5_000);
    let refused = world.act(2, "lin", mark("more")).expect_err("removed");
    assert_eq!(refused.code, Code::NotMember);
    assert!(refused.detail.contains("removed"), "{refused}");
}

#[test]
fn only_a_root_removes_and_only_who_was_a_member() {
    let mut world = three();
    let thief = world.nodes[2].id();
    let mut other = Operator::new(&mut world, SigningKey::from_bytes(&[0xdd; 32]), 0);
    let refused = other.remove(&mut world, thief).expect_err("no root");
    assert_eq!(refused.code, Code::NotAllowed);
    let mut root = Operator::new(&mut world, root_key(), 0);
    let refused = root.remove(&mut world, NodeId([9; 32])).expect_err("who?");
    assert_eq!(refused.code, Code::NotMember);
    let own = world.nodes[0].id();
    let refused = root.remove(&mut world, own).expect_err("itself");
    assert_eq!(refused.code, Code::Malformed);
    let answer = root.remove(&mut world, thief).expect("removed");
    assert!(matches!(answer.body, AnswerBody::Recorded(_)));
    // Once more, from a node that holds less, moves the end down, and never up.
    assert!(root.remove(&mut world, thief).is_ok());
    assert_eq!(world.nodes.iter().map(Node::id).count(), 3);
}
