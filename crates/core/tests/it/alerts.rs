//! Incidents and who is told of them: a refusal names its record, an executive is told until it has
//! acknowledged, and what was acknowledged is the same in any order of arrival.

use unisono_core::node::{Promise, Question};
use unisono_core::orchestra::claims::Rules;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::trust::{HEEDS_KEPT_MAX, INCIDENTS_KEPT_MAX};
use unisono_core::orchestra::view::{AlertsView, TrustView, View};
use unisono_core::orchestra::{Folds, Reading};
use unisono_model::capability::Tier;
use unisono_model::{
    Action, AgentId, AgentKind, Code, Digest, Enrol, INCIDENT_ACKNOWLEDGED, Incident, Mark,
    Rejection, Stamp,
};

use crate::capability::NOW_MS;
use crate::folds::NobodyLate;
use crate::loopback::Loop;
use crate::trust::{History, executive, id_of, orchestra, rules};

fn acknowledging(incidents: &[Digest]) -> Action {
    Action::Mark(Mark {
        about: "incidents".into(),
        text: "seen".into(),
        reasoning: String::new(),
        tags: vec![INCIDENT_ACKNOWLEDGED.into()],
        evidence: incidents.to_vec(),
    })
}

fn enrolled(name: &str, kind: AgentKind, tier: Option<Tier>) -> Action {
    Action::Enrol(Enrol {
        name: name.into(),
        role: String::new(),
        kind,
        tier,
    })
}

fn trust_of(world: &mut Loop) -> TrustView {
    match world.view(0, Question::Trust) {
        Ok(View::Trust(trust)) => trust,
        other => panic!("{other:?}"),
    }
}

fn alerts(world: &mut Loop, agent: Option<&str>) -> Result<AlertsView, Rejection> {
    let agent = agent.map(str::to_owned);
    match world.view(0, Question::Alerts { agent })? {
        View::Alerts(view) => Ok(view),
        other => panic!("{other:?}"),
    }
}

fn records(view: &AlertsView) -> Vec<Digest> {
    let each = view.incidents.iter();
    each.map(|one| one.place.record).collect()
}

#[test]
fn a_refusal_names_the_incident_that_the_orchestra_is_told_by() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ivy");
    let refused = |world: &mut Loop| {
        let refused = world.act(0, "ivy", Action::Guard).expect_err("no root");
        assert_eq!(refused.code, Code::NotAllowed);
        refused.incident
    };
    let first = refused(&mut world).expect("an incident");
    assert_eq!(trust_of(&mut world).incidents[0].place.record, first);
    assert_eq!(refused(&mut world), Some(first), "counted with it");
    world.run_ms(12_000);
    let told = trust_of(&mut world).incidents;
    assert_eq!((told.len(), told[0].incident.times), (2, 1));
    let second = refused(&mut world).expect("an incident");
    assert_eq!(second, told[0].place.record, "the latest of its kind");
    let stranger = world.act(0, "nobody", Action::Guard).expect_err("unknown");
    assert_eq!(stranger.incident, None, "strangers leave no record");
}

/// Nothing is named before it is on disk, and a disk that stands still keeps nobody waiting.
#[test]
fn a_refusal_does_not_wait_for_a_disk_that_stands_still() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ivy");
    world.run_ms(12_000);
    world.disks_hang = true;
    let ticket = world.begin(0, "ivy", Action::Guard, Promise::default());
    world.run_ms(500);
    assert!(world.reply(ticket).is_none(), "it is not on disk yet");
    world.run_ms(600);
    let refused = world
        .reply(ticket)
        .expect("an answer")
        .expect_err("no root");
    assert_eq!((refused.code, refused.incident), (Code::NotAllowed, None));
    world.disks_go_on();
    world.run_ms(30_000);
    world.disks_hang = true;
    let ticket = world.begin(0, "ivy", Action::Guard, Promise::default());
    world.run_ms(10);
    world.disks_go_on();
    world.run_ms(10);
    let refused = world
        .reply(ticket)
        .expect("an answer")
        .expect_err("no root");
    assert!(refused.incident.is_some(), "it is on disk now");
}

#[test]
fn an_executive_is_told_until_it_has_acknowledged_and_nobody_else_is() {
    let mut world = Loop::new(1);
    world.open(0);
    for (name, tier) in [
        ("boss", Tier::Executive),
        ("chief", Tier::Executive),
        ("ivy", Tier::Implementation),
    ] {
        let enrol = enrolled(name, AgentKind::Ai, Some(tier));
        world.act(0, name, enrol).expect("enrolled");
    }
    let refused = |world: &mut Loop, name: &str| {
        let refused = world.act(0, name, Action::Guard).expect_err("no root");
        refused.incident.expect("an incident")
    };
    let all = [refused(&mut world, "ivy"), refused(&mut world, "chief")];
    assert_eq!(
        records(&alerts(&mut world, Some("boss")).expect("an executive may look")),
        all
    );
    for nobody in ["ivy", "nobody"] {
        let refused = alerts(&mut world, Some(nobody)).expect_err("no executive");
        assert_eq!(refused.code, Code::NotAllowed);
    }
    // What an implementer says to it is of no account.
    world
        .act(0, "ivy", acknowledging(&all))
        .expect("a mark like any other");
    assert_eq!(
        records(&alerts(&mut world, None).expect("an executive may look")),
        all
    );
    world
        .act(0, "boss", acknowledging(&all[..1]))
        .expect("acknowledged");
    assert_eq!(
        records(&alerts(&mut world, Some("boss")).expect("an executive may look")),
        all[1..]
    );
    assert_eq!(
        records(&alerts(&mut world, Some("chief")).expect("an executive may look")),
        all
    );
    assert_eq!(
        records(&alerts(&mut world, None).expect("an executive may look")),
        all[1..]
    );
    world.save(0);
    world.restart(0);
    world.run_ms(1_000);
    assert_eq!(
        records(&alerts(&mut world, Some("boss")).expect("an executive may look")),
        all[1..]
    );
}

/// What a reading shows of incidents, and the digest of all of it.
fn shown(facts: &[Fact]) -> (Vec<(Digest, Vec<AgentId>)>, Digest) {
    let mut folds = Folds::new(orchestra());
    for fact in facts {
        folds.insert(fact.clone(), &rules());
    }
    let horizon = Horizon::default();
    let reading = Reading {
        folds: &folds,
        at: Stamp::MAX,
        horizon: &horizon,
        rules: Rules {
            standing: &NobodyLate,
            lease_ms_max: 60_000,
            expiry_ignored: false,
        },
    };
    let incidents = reading.trust().incidents.into_iter();
    let incidents = incidents.map(|one| (one.place.record, one.acknowledged_by));
    (incidents.collect(), reading.digest())
}

#[test]
fn what_was_acknowledged_is_the_same_in_any_order() {
    let mut history = History::with_rights();
    let node = AgentId([1; 32]);
    let at_ms = NOW_MS + 2_000;
    history.add(node, 1, at_ms, None, enrolled("n1", AgentKind::Node, None));
    for number in 0..INCIDENTS_KEPT_MAX as u64 + 9 {
        let incident = Incident {
            agent: executive(),
            token: None,
            deed: "claim".into(),
            rule: "not_allowed".into(),
            detail: String::new(),
            times: 1,
        };
        history.add(
            node,
            1,
            at_ms + 1 + number,
            None,
            Action::Incident(incident),
        );
    }
    let incidents = history.facts.iter();
    let incidents = incidents.filter(|fact| matches!(fact.body.action, Action::Incident(_)));
    let incidents: Vec<Digest> = incidents.map(|fact| fact.place.record).collect();
    let last = *incidents.last().expect("some");
    // The first and the last name the same incident: the first is forgotten, the last is not.
    for number in 0..HEEDS_KEPT_MAX + 3 {
        let named = match number {
            0 => last,
            _ => incidents[number % 200],
        };
        let mark = acknowledging(&[named]);
        let at_ms = at_ms + 1_000 + number as u64;
        history.add(executive(), 1, at_ms, Some(id_of(1)), mark);
    }
    let at_ms = at_ms + 9_000;
    history.add(
        executive(),
        1,
        at_ms,
        Some(id_of(1)),
        acknowledging(&[last]),
    );
    let wanted = shown(&history.facts);
    let by = |record: Digest| {
        wanted
            .0
            .iter()
            .find(|one| one.0 == record)
            .map(|one| &one.1)
    };
    assert_eq!(by(last), Some(&vec![executive()]));
    assert_eq!(wanted.0.len(), INCIDENTS_KEPT_MAX);
    let acknowledged = wanted.0.iter().filter(|one| !one.1.is_empty()).count();
    assert!((150..250).contains(&acknowledged), "{acknowledged}");
    let mut backwards = history.facts.clone();
    backwards.reverse();
    assert!(shown(&backwards) == wanted);
    let facts = history.facts.iter();
    let (odd, even): (Vec<_>, Vec<_>) = facts.enumerate().partition(|(number, _)| number % 2 == 1);
    let interleaved = odd.into_iter().chain(even).map(|(_, fact)| fact.clone());
    assert!(shown(&interleaved.collect::<Vec<Fact>>()) == wanted);
}
