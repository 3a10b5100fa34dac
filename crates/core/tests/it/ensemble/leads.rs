//! How long agents take to be ready, how much notice they need by that, and what becomes of a cue as time
//! goes on: all read from stamps.

use proptest::prelude::*;
use unisono_core::node::{AnswerBody, Question};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{CueOutcome, CueStage, CueView, LeadsOf, LeadsView, View};
use unisono_core::orchestra::{Folds, Reading, Refold};
use unisono_model::{
    Action, AgentId, AgentKind, Code, Cue, CueAnswer, CueRule, CueWord, Digest, Enrol, Played,
    Stamp,
};

use crate::folds::{RULES, claim_rules, digest, fact, folded};
use crate::loopback::Loop;

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600_000;
const ADA: AgentId = AgentId([1; 32]);
const EVE: AgentId = AgentId([2; 32]);

fn enrol(number: u64, agent: u8) -> Fact {
    let enrol = Enrol {
        name: format!("a{agent}"),
        role: if agent == 1 { "lead" } else { "" }.into(),
        kind: AgentKind::Ai,
        tier: None,
    };
    fact(number, agent, number, Action::Enrol(enrol))
}

fn cue(target_ms: u64, parties: &[AgentId], rule: CueRule) -> Cue {
    Cue {
        name: "go".into(),
        target_ns: target_ms * 1_000_000,
        window_ms: 50,
        confidence_ppm: 1_000_000,
        answer_ms: 200,
        preparation: String::new(),
        parties: parties.to_vec(),
        rule,
    }
}

fn answer(cue: &Fact, word: CueWord) -> Action {
    Action::Answer(CueAnswer {
        cue: cue.place.record,
        word,
        text: String::new(),
    })
}

fn reading<'a>(folds: &'a Folds, at_ms: u64, horizon: &'a Horizon) -> Reading<'a> {
    Reading {
        folds,
        at: Stamp::from_ms(at_ms),
        horizon,
        rules: claim_rules(),
    }
}

fn read<T>(folds: &Folds, at_ms: u64, what: impl FnOnce(&Reading<'_>) -> T) -> T {
    what(&reading(folds, at_ms, &Horizon::default()))
}

fn cues(folds: &Folds, at_ms: u64) -> Vec<CueView> {
    reading(folds, at_ms, &Horizon::default()).cues()
}

fn leads(folds: &Folds, at_ms: u64) -> LeadsView {
    read(folds, at_ms, |reading| {
        reading.leads(&reading.group(&LeadsOf::Everybody).expect("all"), None)
    })
}

fn shown(folds: &Folds, at_ms: u64) -> CueView {
    cues(folds, at_ms).pop().expect("it is shown")
}

/// So many cues, a minute apart, that ada is ready for after 100 ms and eve not at all.
fn history(cues: u64) -> Vec<Fact> {
    let mut facts = vec![enrol(1, 1), enrol(2, 2)];
    for index in 0..cues {
        let at_ms = (index + 1) * 60 * SECOND_MS;
        let given = cue(at_ms + 5 * SECOND_MS, &[ADA, EVE], CueRule::Go);
        let given = fact(10 + 2 * index, 2, at_ms, Action::Cue(given));
        let ready = answer(&given, CueWord::Ready);
        let ready = fact(11 + 2 * index, 1, at_ms + 100 + index % 5, ready);
        facts.extend([given, ready]);
    }
    facts
}

#[test]
fn what_is_known_of_an_agent_outlives_its_cues_and_is_bounded() {
    let facts = history(200);
    let end_ms = 200 * 60 * SECOND_MS + 24 * HOUR_MS;
    let whole = folded(facts.iter());
    let mut pruned = Folds::default();
    for (index, fact) in facts.iter().enumerate() {
        pruned.insert(fact.clone(), &RULES);
        if index % 37 == 0 {
            pruned.prune(fact.place.stamp, &claim_rules());
        }
    }
    pruned.prune(Stamp::from_ms(end_ms), &claim_rules());
    assert!(cues(&pruned, end_ms).is_empty(), "long over");
    let told = leads(&pruned, end_ms);
    assert_eq!(told, leads(&whole, end_ms));
    let of = |agent| {
        told.agents
            .iter()
            .find(|one| one.agent == agent)
            .expect("it is there")
    };
    assert_eq!((of(ADA).samples, of(ADA).misses), (64, 0));
    assert_eq!((of(EVE).samples, of(EVE).misses), (0, 64));
    assert!((100_000_000..105_000_000).contains(&of(ADA).median_ns));
    assert!(!of(ADA).assumed, "64 samples are enough");
    assert!(
        of(EVE).assumed && of(EVE).lead_ns == 2_000_000_000,
        "of whom nothing is known, two seconds are assumed, and said to be: {:?}",
        of(EVE)
    );
    // The floor: 2.5 times what takes 100 to 500 ms.
    assert!(of(ADA).lead_ns >= of(ADA).floor_ns);
    assert_eq!(of(ADA).floor_ns, of(ADA).median_ns * 5 / 2);
    assert_eq!(told.together_ns, of(EVE).lead_ns, "the slowest");
    assert_eq!(told.assumed, 1);
    assert!(pruned.weight() < 700, "{}", pruned.weight());
}

#[test]
fn a_few_quick_answers_make_no_short_lead() {
    let told = leads(&folded(history(7).iter()), 20 * 60 * SECOND_MS);
    let ada = told
        .agents
        .iter()
        .find(|one| one.agent == ADA)
        .expect("it is there");
    assert_eq!((ada.samples, ada.assumed), (7, true));
    assert_eq!(ada.lead_ns, 2_000_000_000);
    let told = leads(&folded(history(8).iter()), 20 * 60 * SECOND_MS);
    let ada = told
        .agents
        .iter()
        .find(|one| one.agent == ADA)
        .expect("it is there");
    assert!(!ada.assumed && ada.lead_ns < 1_000_000_000, "{ada:?}");
}

#[test]
fn who_is_ready_after_the_target_has_missed_it_and_who_declines_in_time_has_not() {
    let mut facts = vec![enrol(1, 1), enrol(2, 2), enrol(3, 3)];
    let parties = [ADA, EVE, AgentId([3; 32])];
    let given = cue(10_000, &parties, CueRule::Go);
    let given = fact(10, 1, 5_000, Action::Cue(given));
    facts.extend([
        fact(11, 1, 12_000, answer(&given, CueWord::Ready)),
        fact(12, 2, 6_000, answer(&given, CueWord::Declined)),
        fact(13, 3, 6_000, answer(&given, CueWord::ShortNotice)),
        // Whoever is asked about a cue before it was given has not answered it.
        fact(14, 2, 4_000, answer(&given, CueWord::Ready)),
        given,
    ]);
    let folds = folded(facts.iter());
    let known = |at_ms| {
        let mut agents = leads(&folds, at_ms).agents;
        agents.sort_by_key(|one| one.agent);
        let of = |one: &unisono_core::orchestra::view::LeadView| (one.samples, one.misses);
        agents.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(known(9_999), [(0, 0), (0, 0), (0, 0)], "not yet");
    assert_eq!(known(11_000), [(0, 1), (0, 0), (0, 1)]);
    assert_eq!(
        known(13_000),
        [(1, 1), (0, 0), (0, 1)],
        "late, and how late"
    );
}

#[test]
fn whoever_is_silent_is_asked_again_and_then_the_giver_is_told_and_the_rule_decides() {
    for rule in [CueRule::Go, CueRule::Wait] {
        let mut facts = vec![enrol(1, 1), enrol(2, 2)];
        // Eight seconds to answer: asked again after 4 and 6, escalated after 7.
        let given = cue(18_200, &[ADA, EVE], rule);
        let given = fact(10, 1, 10_000, Action::Cue(given));
        facts.push(given.clone());
        facts.push(fact(11, 1, 11_000, answer(&given, CueWord::Ready)));
        let silent = folded(facts.iter());
        let eve = |at_ms| {
            let view = shown(&silent, at_ms);
            let eve = view.parties.into_iter().find(|one| one.agent == EVE);
            (view.stage, eve.expect("it is there").asked)
        };
        assert_eq!(eve(13_999), (CueStage::Asked, 1));
        assert_eq!(eve(14_001), (CueStage::AskedAgain, 2));
        assert_eq!(eve(16_001), (CueStage::AskedAgain, 3));
        assert_eq!(eve(17_001), (CueStage::Escalated, 3));
        let decided = match rule {
            CueRule::Go => CueStage::On,
            CueRule::Wait => CueStage::Off,
        };
        assert_eq!(eve(18_001).0, decided);
        assert_eq!(eve(30_000).0, decided);
        // Too late is too late, also once what was said before is folded away.
        facts.push(fact(12, 2, 18_100, answer(&given, CueWord::Ready)));
        facts.push(fact(13, 1, 18_150, answer(&given, CueWord::Declined)));
        let mut late = folded(facts.iter());
        for _ in 0..2 {
            let view = shown(&late, 19_000);
            assert_eq!(view.stage, decided, "{rule:?}");
            let lacking = view.parties.iter().filter(|one| one.lacking);
            assert_eq!(lacking.map(|one| one.agent).collect::<Vec<_>>(), [EVE]);
            late.prune(Stamp::from_ms(18_500), &claim_rules());
        }
    }
}

#[test]
fn one_that_declines_what_waits_for_all_is_told_of_at_once_and_all_answers_end_the_asking() {
    let mut facts = vec![enrol(1, 1), enrol(2, 2)];
    let given = cue(18_200, &[ADA, EVE], CueRule::Wait);
    let given = fact(10, 1, 10_000, Action::Cue(given));
    facts.push(given.clone());
    facts.push(fact(11, 1, 11_000, answer(&given, CueWord::Ready)));
    facts.push(fact(12, 2, 11_000, answer(&given, CueWord::Declined)));
    assert_eq!(
        shown(&folded(facts.iter()), 11_001).stage,
        CueStage::Escalated
    );
    facts.push(fact(13, 2, 12_000, answer(&given, CueWord::Ready)));
    let all = folded(facts.iter());
    assert_eq!(shown(&all, 12_001).stage, CueStage::Answered);
    assert_eq!(shown(&all, 18_001).stage, CueStage::On);
}

#[test]
fn each_player_is_punctual_early_or_late_by_so_much_or_has_told_nothing() {
    let mut facts = vec![enrol(1, 1), enrol(2, 2), enrol(3, 3), enrol(4, 4)];
    let parties: Vec<AgentId> = (1..=4).map(|agent| AgentId([agent; 32])).collect();
    let given = cue(18_200, &parties, CueRule::Go);
    let given = fact(10, 1, 10_000, Action::Cue(given));
    facts.push(given.clone());
    for (agent, late_ms) in [(1, 49_i64), (2, -51), (3, 70)] {
        facts.push(fact(
            10 + u64::from(agent),
            agent,
            11_000,
            answer(&given, CueWord::Ready),
        ));
        let played = Played {
            cue: Some(given.place.record),
            target_ns: 18_200_000_000,
            late_ns: late_ms * 1_000_000,
            unsure_ns: 1,
        };
        let number = 20 + u64::from(agent);
        facts.push(fact(number, agent, 18_220, Action::Played(played)));
    }
    facts.push(fact(30, 4, 11_000, answer(&given, CueWord::Ready)));
    let folds = folded(facts.iter());
    let outcomes = |at_ms| {
        let view = shown(&folds, at_ms);
        view.parties
            .iter()
            .map(|one| one.outcome)
            .collect::<Vec<_>>()
    };
    let told = [
        Some(CueOutcome::Punctual),
        Some(CueOutcome::Early(51_000_000)),
        Some(CueOutcome::Late(70_000_000)),
    ];
    assert_eq!(outcomes(18_000), [None; 4]);
    assert_eq!(outcomes(18_240)[..3], told);
    assert_eq!(outcomes(18_240)[3], None, "its window is not over");
    assert_eq!(outcomes(18_251)[3], Some(CueOutcome::Untold));
}

#[test]
fn ten_thousand_agents_have_a_lead_and_every_share_of_them() {
    let mut facts = history(20);
    for agent in 0..10_000_u32 {
        let mut one = enrol(u64::from(agent) + 1_000, 3);
        let mut key = [9; 32];
        key[..4].copy_from_slice(&agent.to_le_bytes());
        one.agent = AgentId(key);
        facts.push(one);
    }
    let folds = folded(facts.iter());
    let told = leads(&folds, HOUR_MS);
    assert_eq!((told.total, told.assumed), (10_002, 10_001));
    assert!(told.share_each > 0.999_99 && told.share_each < 1.0);
    read(&folds, HOUR_MS, |reading| {
        let role = reading.group(&LeadsOf::Role("lead".into()));
        assert_eq!(role, Ok(vec![ADA]));
        let nobody = reading.group(&LeadsOf::Agents(vec!["zoe".into()]));
        assert_eq!(nobody, Err("zoe".into()));
        let by_key = reading.group(&LeadsOf::Agents(vec![ADA.to_string(), "a1".into()]));
        assert_eq!(by_key, Ok(vec![ADA]), "each once");
        let lead = |ppm| reading.leads(&[ADA], Some(ppm)).together_ns;
        assert!(lead(1) <= lead(500_000) && lead(500_000) <= lead(999_999));
        assert_eq!(reading.leads(&[], None).together_ns, 0);
    });
}

/// What is said over some hours, in numbers: cues of which each says how long it takes and for whom, and
/// answers to them.
fn build(steps: &[(u8, u8, u32)]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = (1..=3).map(|agent| enrol(agent.into(), agent)).collect();
    let mut given: Vec<Fact> = Vec::new();
    let mut at_ms = 10 * SECOND_MS;
    for (index, (kind, subject, gap_ms)) in steps.iter().enumerate() {
        at_ms += u64::from(*gap_ms);
        let agent = subject % 3 + 1;
        let number = index as u64 + 10;
        let asked = given.get(usize::from(subject / 3) % given.len().max(1));
        let one = if let (1..=3, Some(asked)) = (kind % 4, asked) {
            let word = match kind % 16 {
                1 => CueWord::Declined,
                2 => CueWord::ShortNotice,
                _ => CueWord::Ready,
            };
            fact(number, agent, at_ms, answer(asked, word))
        } else {
            let target_ms = at_ms + u64::from(*subject) * 20 * SECOND_MS;
            let rule = if kind % 8 < 4 {
                CueRule::Go
            } else {
                CueRule::Wait
            };
            let cue = cue(target_ms, &[ADA, EVE], rule);
            let cue = fact(number, agent, at_ms, Action::Cue(cue));
            given.push(cue.clone());
            cue
        };
        facts.push(one);
    }
    facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Hours of it, so that cues are over and folded away; in any order; pruned anywhere; with one record
    /// that comes after all others.
    #[test]
    fn what_is_known_is_the_same_in_any_order_and_however_much_is_folded_away(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), 0_u32..600_000), 2..50),
        order in any::<u64>(),
        frontiers in prop::collection::vec(10_000_u64..6 * HOUR_MS, 1..3),
        late in any::<prop::sample::Index>(),
    ) {
        let facts = build(&steps);
        let whole = folded(facts.iter());
        let mut shuffled: Vec<&Fact> = facts.iter().collect();
        shuffled.sort_by_key(|fact| Digest::of("order", &[&fact.place.record.0, &order.to_le_bytes()]));
        let other = folded(shuffled.into_iter());
        let late = facts[late.index(facts.len())].clone();
        let mut frontiers = frontiers;
        frontiers.sort_unstable();
        let mut pruned = Folds::default();
        let mut below = 0;
        for edge_ms in &frontiers {
            for fact in &facts {
                let at_ms = fact.place.stamp.as_ms();
                if fact.place != late.place && at_ms > below && at_ms <= *edge_ms {
                    pruned.insert(fact.clone(), &RULES);
                }
            }
            pruned.prune(Stamp::from_ms(*edge_ms), &claim_rules());
            below = *edge_ms;
        }
        pruned.insert(late.clone(), &RULES);
        if pruned.needs_refold() == Some(Refold::Everything) {
            pruned = folded(facts.iter().filter(|fact| {
                fact.place.stamp.as_ms() <= below || fact.place == late.place
            }));
        }
        for fact in facts.iter().filter(|fact| fact.place.stamp.as_ms() > below) {
            if fact.place != late.place {
                pruned.insert(fact.clone(), &RULES);
            }
        }
        for at_ms in [below, below + 700_000, 20 * HOUR_MS] {
            let at = Stamp::from_ms(at_ms);
            prop_assert_eq!(digest(&whole, at), digest(&other, at));
            prop_assert_eq!(digest(&whole, at), digest(&pruned, at));
            prop_assert_eq!(leads(&whole, at_ms), leads(&pruned, at_ms));
        }
    }
}

fn given(world: &mut Loop, agent: &str, cue: Cue) -> CueView {
    let told = world.act(0, agent, Action::Cue(cue)).expect("given");
    let AnswerBody::Recorded(recorded) = told.body else {
        panic!("no record");
    };
    *recorded.cue.expect("a cue is answered with how it stands")
}

#[test]
fn a_cue_without_a_time_gets_one_by_the_leads_and_short_notice_is_taken_and_flagged() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(0, "lin");
    let View::Agents(agents) = world.view(0, Question::Agents).expect("agents") else {
        panic!("no agents");
    };
    // The node has enrolled itself, too.
    let agents = agents.iter().filter(|one| one.kind == AgentKind::Ai);
    let mut keys: Vec<AgentId> = agents.map(|one| one.agent).collect();
    keys.sort_unstable();
    let now_ns = world.now_ns;
    let open = given(&mut world, "ada", cue(0, &keys, CueRule::Go));
    let lead_ns = open.cue.target_ns - now_ns;
    // Two seconds are assumed, 200 ms are left to the answers, and it is a time that people can read.
    assert!(
        (2_200_000_000..2_400_000_000).contains(&lead_ns),
        "{lead_ns}"
    );
    assert_eq!(open.cue.target_ns % 100_000_000, 0);
    let notice = open.notice.expect("two are meant");
    assert!(notice.assumed && notice.short().count() == 0, "{notice:?}");
    let everybody = given(&mut world, "ada", cue(0, &[], CueRule::Go));
    assert!(everybody.cue.target_ns > now_ns + 2_000_000_000);
    let soon = cue(world.now_ns / 1_000_000 + 1_000, &keys, CueRule::Go);
    let notice = given(&mut world, "ada", soon).notice.expect("notice");
    let short: Vec<u64> = notice.short().map(|(.., short_ns)| short_ns).collect();
    assert_eq!(short.len(), 2, "{notice:?}");
    let short_ns = short[0];
    assert!(
        (1_100_000_000..1_300_000_000).contains(&short_ns),
        "{short_ns}"
    );
    // Whoever waits for all gets time to hear of all.
    let mut waits = cue(0, &keys, CueRule::Wait);
    waits.answer_ms = 0;
    let waits = given(&mut world, "ada", waits);
    assert!(waits.cue.answer_ms >= 500, "{waits:?}");
    let nobody = world.act(0, "ada", Action::Cue(cue(0, &[], CueRule::Wait)));
    assert_eq!(nobody.expect_err("waits for nobody").code, Code::Malformed);
}

#[test]
fn leads_of_nobody_and_shares_that_are_none_are_refused() {
    let mut world = Loop::new(1);
    world.open(0);
    world.run_ms(1_000);
    world.enrol(0, "ada");
    let mut ask = |of, share_ppm| {
        let question = Question::Leads {
            of,
            share_ppm,
            limit: 1,
        };
        world.view(0, question).map_err(|rejection| rejection.code)
    };
    for share_ppm in [0, 1_000_000, u32::MAX] {
        let refused = ask(LeadsOf::Everybody, Some(share_ppm)).err();
        assert_eq!(refused, Some(Code::Malformed), "{share_ppm}");
    }
    let unknown = ask(LeadsOf::Agents(vec!["ada".into(), "zoe".into()]), None).err();
    assert_eq!(unknown, Some(Code::AgentUnknown));
    let empty = ask(LeadsOf::Role("nobody's".into()), None).err();
    assert_eq!(empty, Some(Code::AgentUnknown));
    let Ok(View::Leads(told)) = ask(LeadsOf::Everybody, Some(999_999)) else {
        panic!("no leads");
    };
    assert_eq!((told.total, told.agents.len(), told.assumed), (1, 1, 1));
}
