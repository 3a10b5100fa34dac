//! Signals that are said in two orchestras: they stand in each like any other, are met and collide
//! there, prove themselves where they were made, and make nobody take part where it is not at work.

use proptest::prelude::*;
use unisono_core::node::{Promise, Work};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::view::{InterferenceKind, SignalsWanted};
use unisono_model::{
    Across, Action, AgentKind, Code, Digest, Enrol, Mark, Rejection, Signal, SignalKind, Stamp,
    Urgency,
};

use crate::folds::digest;
use crate::interference::{LATER, enrolments, fact, folded, found, read, shuffled, signal};
use crate::loopback::Loop;

fn said(kind: SignalKind, topic: &str, evidence: Option<Digest>) -> Signal {
    Signal {
        kind,
        topic: topic.into(),
        urgency: Urgency::Blocking,
        text: "the same words again".into(),
        lifetime_ms: LATER,
        evidence,
    }
}

fn across(orchestra: &str, incoming: bool, signal: Signal) -> Action {
    Action::Across(Box::new(Across {
        orchestra: orchestra.into(),
        incoming,
        signal,
    }))
}

#[test]
fn a_need_here_is_met_by_an_offer_from_elsewhere() {
    let mut facts = enrolments(2);
    let need = across("b", false, said(SignalKind::Need, "index", None));
    facts.push(fact(10, 1, 2_000, need));
    let late = 2_000 + 700_000;
    let open = found(&folded(&facts), late);
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].kind, InterferenceKind::Unanswered);
    let proof = Some(Digest([9; 32]));
    let offer = across("b", true, said(SignalKind::Offer, "index", proof));
    facts.push(fact(11, 2, 3_000, offer));
    let folds = folded(&facts);
    assert_eq!(found(&folds, late), [], "somebody offers it");
    let wanted = SignalsWanted {
        agent: Some("a1".into()),
        ..SignalsWanted::default()
    };
    let views = read(&folds, late, |reading| reading.sense(&wanted));
    let shown: Vec<_> = views.iter().map(|view| view.across.clone()).collect();
    assert_eq!(shown, [Some(("b".into(), true)), Some(("b".into(), false))]);
}

#[test]
fn who_only_says_something_from_elsewhere_takes_no_part() {
    let mut facts = enrolments(2);
    let takes_part =
        |facts: &[Fact], at| read(&folded(facts), at, |reading| reading.coherence().agents);
    assert_eq!(takes_part(&facts, 2_500), 2);
    let need = said(SignalKind::Need, "index", None);
    facts.push(fact(10, 2, 2_000, across("b", true, need.clone())));
    assert_eq!(takes_part(&facts, 2_500), 1, "it is at work elsewhere");
    facts.push(fact(11, 2, 2_100, across("b", false, need)));
    assert_eq!(takes_part(&facts, 2_500), 2, "this it says here");
}

/// Has an agent do something in an orchestra.
fn act(world: &mut Loop, name: &str, agent: &str, action: Action) -> Result<Digest, Rejection> {
    let work = Work::Act {
        agent: agent.into(),
        action,
        key: None,
    };
    let ticket = world.submit(0, name, work, Promise::default());
    world.run_ms(5);
    let answer = world.reply(ticket).expect("an answer")?;
    let unisono_core::node::AnswerBody::Recorded(recorded) = answer.body else {
        panic!("no record: {:?}", answer.body);
    };
    Ok(recorded.place.record)
}

#[test]
fn an_offer_from_elsewhere_is_proved_there_and_no_orchestra_is_elsewhere_to_itself() {
    let mut world = Loop::new(1);
    world.open(0);
    let other = Work::Open { name: "b".into() };
    let ticket = world.submit(0, "b", other, Promise::default());
    world.run_ms(5);
    world.reply(ticket).expect("an answer").expect("made");
    for name in ["main", "b"] {
        let enrol = Enrol {
            name: "ada".into(),
            role: String::new(),
            kind: AgentKind::Ai,
            tier: None,
        };
        act(&mut world, name, "ada", Action::Enrol(enrol)).expect("enrolled");
    }
    let mark = Mark {
        about: "index".into(),
        text: "made".into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    };
    let mark = act(&mut world, "main", "ada", Action::Mark(mark)).expect("marked");
    let offer = |from: &str, incoming, evidence| {
        let offer = Signal {
            lifetime_ms: 60_000,
            ..said(SignalKind::Offer, "index", evidence)
        };
        across(from, incoming, offer)
    };
    let mut refused = |name: &str, action| act(&mut world, name, "ada", action).map_err(|r| r.code);
    assert!(refused("b", offer("main", true, Some(mark))).is_ok());
    assert!(refused("main", offer("b", false, Some(mark))).is_ok());
    for (name, action, code) in [
        (
            "b",
            offer("nowhere", true, Some(mark)),
            Code::EvidenceUnknown,
        ),
        ("b", offer("main", false, Some(mark)), Code::EvidenceUnknown),
        ("b", offer("main", true, None), Code::EvidenceMissing),
        ("b", offer("b", true, Some(mark)), Code::Malformed),
    ] {
        assert_eq!(refused(name, action), Err(code), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn any_order_shows_the_same(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), 1_u64..900), 1..60),
        order in any::<u64>(),
    ) {
        let mut facts = enrolments(3);
        let mut at_ms = 2_000;
        for (index, (kind, agent, ms)) in steps.iter().enumerate() {
            at_ms += ms;
            let kinds = [SignalKind::Intent, SignalKind::Need, SignalKind::Offer];
            let one = said(kinds[usize::from(kind % 3)], ["a", "b"][usize::from(kind / 3 % 2)], None);
            let action = match kind / 6 % 3 {
                0 => across("b", true, one),
                1 => across("b", false, one),
                _ => signal(one.kind, &one.topic, &one.text, LATER),
            };
            facts.push(fact(100 + index as u64, agent % 3 + 1, at_ms, action));
        }
        let at = Stamp::from_ms(at_ms);
        let (folds, mixed) = (folded(&facts), folded(shuffled(&facts, order)));
        prop_assert_eq!(digest(&folds, at), digest(&mixed, at));
        let told = |folds| {
            read(folds, at_ms, |reading| {
                let view = reading.coherence();
                (view.score, view.agents, view.drift)
            })
        };
        prop_assert_eq!(told(&folds), told(&mixed));
    }
}
