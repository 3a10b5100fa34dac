//! Nodes on a loop of memory: the whole path from a request to every replica's view.

use unisono_core::node::{AnswerBody, Promise, Question, Work};
use unisono_core::orchestra::view::{ClaimStatus, ClaimsWanted, HashView, View};
use unisono_model::{Action, Code, Digest, FieldChange, FieldValue, TaskChange, TaskStatus};

use crate::loopback::Loop;

fn claim(topic: &str) -> Action {
    Action::Claim {
        topic: topic.into(),
        lease_ms: 30_000,
    }
}

fn hash(world: &mut Loop, index: usize) -> HashView {
    match world.view(index, Question::Hash) {
        Ok(View::Hash(hash)) => hash,
        other => panic!("no hash: {other:?}"),
    }
}

fn same_everywhere(world: &mut Loop) {
    world.run_ms(20_000);
    let at: Vec<HashView> = (0..world.nodes.len())
        .map(|index| hash(world, index))
        .collect();
    for other in &at[1..] {
        assert_eq!(at[0].vector, other.vector);
        assert_eq!(at[0].documents, other.documents);
    }
}

#[test]
fn one_node_alone_confirms_at_once() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    world.enrol(0, "lin");
    let answer = world.act(0, "ada", claim("src/auth")).expect("granted");
    let AnswerBody::Recorded(recorded) = answer.body else {
        panic!("no record")
    };
    let view = recorded.claim.expect("a claim's answer has the claim");
    assert_eq!(view.status, ClaimStatus::Confirmed);
    assert!(view.token_valid);
    let refused = world.act(0, "lin", claim("src/auth")).expect_err("held");
    assert_eq!(refused.code, Code::ClaimHeld);
    assert!(refused.detail.contains("ada"), "{refused}");
    world
        .act(
            0,
            "ada",
            Action::Release {
                topic: "src/auth".into(),
                claim: Digest::default(),
            },
        )
        .expect("released");
    world.act(0, "lin", claim("src/auth")).expect("free again");
}

#[test]
fn three_nodes_agree() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    for (index, agent) in ["ada", "lin", "bob"].iter().enumerate() {
        world.enrol(index, agent);
    }
    let answer = world.act(0, "ada", claim("x")).expect("granted");
    let AnswerBody::Recorded(recorded) = answer.body else {
        panic!("no record")
    };
    assert_eq!(
        recorded.claim.expect("claim").status,
        ClaimStatus::Provisional
    );
    world.run_ms(3_000);
    match world.view(1, Question::Claims(ClaimsWanted::on("x"))) {
        Ok(View::Claims(claims)) => assert_eq!(claims[0].status, ClaimStatus::Confirmed),
        other => panic!("{other:?}"),
    }
    for number in 0..40 {
        let fields = vec![FieldChange {
            value: FieldValue::Created("bug".into()),
            replaces: Vec::new(),
        }];
        let task = TaskChange {
            task: format!("t{number}"),
            fields,
            evidence: None,
        };
        let index = number % 3;
        world
            .act(index, ["ada", "lin", "bob"][index], Action::Task(task))
            .expect("made");
    }
    same_everywhere(&mut world);
}

#[test]
fn a_claim_that_comes_behind_own_work_is_confirmed_all_the_same() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    for (index, agent) in ["ada", "lin", "bob"].iter().enumerate() {
        world.enrol(index, agent);
    }
    world.run_ms(12_000);
    world.cut = vec![(0, 1), (0, 2)];
    world.act(0, "ada", claim("x")).expect("granted");
    world.run_ms(100);
    // The others' logs are above the claim before they hear of it; then everybody is still.
    for (index, agent) in [(1, "lin"), (2, "bob")] {
        let fields = vec![FieldChange {
            value: FieldValue::Created("bug".into()),
            replaces: Vec::new(),
        }];
        let task = TaskChange {
            task: agent.to_string(),
            fields,
            evidence: None,
        };
        world.act(index, agent, Action::Task(task)).expect("made");
    }
    world.cut.clear();
    world.run_ms(15_000);
    match world.view(0, Question::Claims(ClaimsWanted::on("x"))) {
        Ok(View::Claims(claims)) => assert_eq!(claims[0].status, ClaimStatus::Confirmed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_on_each_side_of_a_cut_ends_with_one_holder() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(2, "lin");
    world.run_ms(2_000);
    world.cut = vec![(0, 2), (1, 2)];
    let first = world
        .act(0, "ada", claim("x"))
        .expect("granted on one side");
    world.run_ms(100);
    let second = world
        .act(2, "lin", claim("x"))
        .expect("granted on the other");
    for answer in [first, second] {
        let AnswerBody::Recorded(recorded) = answer.body else {
            panic!("no record")
        };
        assert_eq!(
            recorded.claim.expect("claim").status,
            ClaimStatus::Provisional
        );
    }
    world.cut.clear();
    same_everywhere(&mut world);
    for index in 0..3 {
        let Ok(View::Claims(claims)) = world.view(index, Question::Claims(ClaimsWanted::default()))
        else {
            panic!("no claims");
        };
        assert_eq!(claims.len(), 1);
        assert_eq!(claims[0].name, "ada");
        assert!(
            !claims[0].token_valid,
            "the loser's token is above the winner's"
        );
    }
    world
        .act(
            0,
            "ada",
            Action::Renew {
                topic: "x".into(),
                claim: Digest::default(),
                lease_ms: 9_000,
            },
        )
        .expect("renewed");
    world.run_ms(2_000);
    let Ok(View::Claims(claims)) = world.view(1, Question::Claims(ClaimsWanted::default())) else {
        panic!("no claims");
    };
    assert!(claims[0].token_valid);
    assert_eq!(claims[0].status, ClaimStatus::Confirmed);
}

#[test]
fn a_restart_keeps_everything_and_catches_up() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "lin");
    world.cut = vec![(0, 1), (0, 2)];
    for number in 0..20 {
        let action = task(&format!("t{number}"));
        world.act(0, "ada", action).expect("made");
        world
            .act(1, "lin", task(&format!("u{number}")))
            .expect("made");
    }
    world.restart(0);
    world.cut.clear();
    same_everywhere(&mut world);
    let Ok(View::State(state)) = world.view(2, Question::State) else {
        panic!("no state")
    };
    assert_eq!(state.tasks.get(&TaskStatus::Open), Some(&40));
}

fn task(name: &str) -> Action {
    Action::Task(TaskChange {
        task: name.into(),
        fields: vec![
            FieldChange {
                value: FieldValue::Created("bug".into()),
                replaces: Vec::new(),
            },
            FieldChange {
                value: FieldValue::Status(TaskStatus::Open),
                replaces: Vec::new(),
            },
        ],
        evidence: None,
    })
}

#[test]
fn confirmation_is_waited_for() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.run_ms(2_000);
    let work = Work::Act {
        agent: "ada".into(),
        action: claim("x"),
        key: None,
    };
    let promise = Promise {
        confirm: true,
        durable_on: 3,
        ..Promise::default()
    };
    let ticket = world.submit(0, "main", work, promise);
    world.run_ms(3_000);
    let answer = world.reply(ticket).expect("an answer").expect("granted");
    let AnswerBody::Recorded(recorded) = answer.body else {
        panic!("no record")
    };
    assert_eq!(recorded.durable_on, 3);
    assert_eq!(
        recorded.claim.expect("claim").status,
        ClaimStatus::Confirmed
    );
}

/// A machine that was cut off when it knocked took claims from its agents: below its admission,
/// where nobody waits for its word, they beat claims that others were told are confirmed (seeds 52
/// and 62, once newcomers were cut off).
#[test]
fn who_is_not_admitted_yet_writes_for_nobody() {
    let mut world = Loop::cut_from_the_start(vec!["here", "here"], vec![(0, 1)]);
    let work = Work::Open {
        name: "main".into(),
    };
    let promise = Promise {
        deadline_ms: 500,
        ..Promise::default()
    };
    let ticket = world.submit(1, "main", work, promise);
    world.run_ms(600);
    let refused = world.reply(ticket).expect("in time").expect_err("outside");
    assert_eq!(refused.code, Code::Behind);
    assert!(refused.to_string().contains("admitted"), "{refused}");
}

/// Held agents that went to another node were called unknown, though everybody saw them there.
#[test]
fn who_is_held_elsewhere_is_told_so() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.run_ms(2_000);
    let refused = world.act(1, "ada", claim("x")).expect_err("no key here");
    assert_eq!(refused.code, Code::NotHeld);
    assert!(refused.hint.contains("unisono agent enrol ada"));
    let stranger = world.act(1, "bob", claim("x")).expect_err("nobody");
    assert_eq!(stranger.code, Code::AgentUnknown);
    world.enrol(1, "ada");
    world
        .act(1, "ada", claim("x"))
        .expect("an agent of its own");
}
