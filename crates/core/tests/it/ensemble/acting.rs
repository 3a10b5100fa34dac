//! What follows from profiles and from weak channels: who is asked more often, who could stand in, what is
//! prepared for, how wide windows are, and what is sent twice.

use unisono_core::ensemble::{ChannelLook, Channels, Compensation};
use unisono_core::node::{AnswerBody, Question};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{Counters, CuePlan, CueStage, CueView, LeadView, View};
use unisono_core::orchestra::{Folds, Reading};
use unisono_core::timing::Sync;
use unisono_model::{
    Action, AgentId, AgentKind, Cue, CueAnswer, CueRule, CueWord, Enrol, Played, Stamp,
};

use crate::folds::{claim_rules, fact, folded};
use crate::loopback::Loop;

const ADA: AgentId = AgentId([1; 32]);
const EVE: AgentId = AgentId([2; 32]);
const BOB: AgentId = AgentId([3; 32]);
const MINUTE_MS: u64 = 60_000;
const SECOND_NS: u64 = 1_000_000_000;

/// What is said, in order.
struct Story {
    facts: Vec<Fact>,
    number: u64,
}

impl Story {
    /// Three agents: ada and bob have one role, eve another.
    fn new() -> Self {
        let mut story = Self {
            facts: Vec::new(),
            number: 0,
        };
        for (agent, role) in [(1, "player"), (2, "conductor"), (3, "player")] {
            let enrol = Enrol {
                name: format!("a{agent}"),
                role: role.into(),
                kind: AgentKind::Ai,
                tier: None,
            };
            story.says(agent, u64::from(agent), Action::Enrol(enrol));
        }
        story
    }

    fn says(&mut self, agent: u8, at_ms: u64, action: Action) -> Fact {
        self.number += 1;
        let said = fact(self.number, agent, at_ms, action);
        self.facts.push(said.clone());
        said
    }

    /// A cue of eve's ten seconds ahead; two hundred milliseconds are left to the answers.
    fn cue(&mut self, at_ms: u64, parties: &[AgentId], preparation: &str) -> Fact {
        let cue = cue(at_ms + 10_200, parties, preparation);
        self.says(2, at_ms, Action::Cue(cue))
    }

    fn ready(&mut self, agent: u8, at_ms: u64, cue: &Fact) {
        let answer = CueAnswer {
            cue: cue.place.record,
            word: CueWord::Ready,
            text: String::new(),
        };
        self.says(agent, at_ms, Action::Answer(answer));
    }

    fn played(&mut self, agent: u8, cue: Option<&Fact>, target_ms: u64, late_us: i64) {
        let played = Played {
            cue: cue.map(|cue| cue.place.record),
            target_ns: target_ms * 1_000_000,
            late_ns: late_us * 1_000,
            unsure_ns: 3_000_000,
        };
        let at_ms = target_ms.saturating_add_signed(late_us / 1_000) + 1;
        self.says(agent, at_ms, Action::Played(played));
    }

    fn folds(&self) -> Folds {
        folded(self.facts.iter())
    }

    /// Those that are shown, in the order in which they were given.
    fn cues_at(&self, at_ms: u64) -> Vec<CueView> {
        read(&self.folds(), at_ms, |reading| {
            let mut cues = reading.cues();
            cues.sort_by_key(|cue| cue.place);
            cues
        })
    }

    fn latest_at(&self, at_ms: u64) -> CueView {
        self.cues_at(at_ms).pop().expect("it is shown")
    }

    fn lead_at(&self, at_ms: u64, prepares: bool) -> LeadView {
        read(&self.folds(), at_ms, |reading| {
            let leads = reading.leads_for(&[ADA], None, prepares);
            leads.agents.into_iter().next().expect("one is asked for")
        })
    }
}

fn cue(target_ms: u64, parties: &[AgentId], preparation: &str) -> Cue {
    Cue {
        name: "go".into(),
        target_ns: target_ms * 1_000_000,
        window_ms: 50,
        confidence_ppm: 1_000_000,
        answer_ms: 200,
        preparation: preparation.into(),
        parties: parties.to_vec(),
        rule: CueRule::Go,
    }
}

fn read<T>(folds: &Folds, at_ms: u64, what: impl FnOnce(&Reading<'_>) -> T) -> T {
    let horizon = Horizon::default();
    what(&Reading {
        folds,
        at: Stamp::from_ms(at_ms),
        horizon: &horizon,
        rules: claim_rules(),
    })
}

/// Eight cues, of which ada misses every second one and bob none; then one more, at which all are silent.
fn unreliable() -> (Story, u64) {
    let mut story = Story::new();
    for index in 1..=8 {
        let at_ms = index * MINUTE_MS;
        let given = story.cue(at_ms, &[ADA, BOB], "");
        story.ready(3, at_ms + 200, &given);
        if index % 2 == 0 {
            story.ready(1, at_ms + 200, &given);
        }
    }
    let at_ms = 9 * MINUTE_MS;
    story.cue(at_ms, &[ADA], "");
    (story, at_ms)
}

#[test]
fn who_is_known_to_miss_cues_is_asked_twice_as_often_and_a_stand_in_is_named_in_time() {
    let (mut story, at_ms) = unreliable();
    let asked = |story: &Story, after_ms| {
        let view = story.latest_at(at_ms + after_ms);
        let agents = view.parties.iter();
        (view.stage, agents.map(|one| one.asked).collect::<Vec<_>>())
    };
    // Ten seconds: ada after 2.5, 5, 6.25 and 7.5 of them; told of after 5.
    assert_eq!(asked(&story, 2_400), (CueStage::Asked, vec![1]));
    assert_eq!(asked(&story, 2_501), (CueStage::Asked, vec![2]));
    assert_eq!(asked(&story, 5_001), (CueStage::Escalated, vec![3]));
    assert_eq!(asked(&story, 6_251), (CueStage::Escalated, vec![4]));
    assert_eq!(asked(&story, 7_501), (CueStage::Escalated, vec![5]));
    let notice = story.latest_at(at_ms + 100).notice.expect("it is open");
    let [ada] = &notice.unreliable[..] else {
        panic!("ada alone is meant: {notice:?}");
    };
    assert_eq!(ada.agent, ADA);
    assert!((400_000..600_000).contains(&ada.reliability_ppm), "{ada:?}");
    let stand_ins: Vec<AgentId> = ada.stand_ins.iter().map(|(agent, _)| *agent).collect();
    assert_eq!(stand_ins, [BOB], "of its role, and reliable");
    let lead = story.lead_at(at_ms, false);
    assert!(lead.unreliable && lead.misses == 4, "{lead:?}");
    // Bob misses none: he is asked as anybody is, and needs no stand-in.
    story.facts.pop();
    story.cue(at_ms, &[BOB], "");
    assert_eq!(asked(&story, 2_501), (CueStage::Asked, vec![1]));
    assert_eq!(asked(&story, 5_001), (CueStage::AskedAgain, vec![2]));
    let notice = story.latest_at(at_ms + 100).notice.expect("it is open");
    assert!(notice.unreliable.is_empty(), "{notice:?}");
}

#[test]
fn what_is_known_of_an_agent_when_it_is_asked_decides_how_often_it_is_asked() {
    let (mut story, at_ms) = unreliable();
    // It becomes reliable afterwards.
    for index in 0..40 {
        let later_ms = at_ms + 20_000 + index * 1_000;
        let given = story.cue(later_ms, &[ADA], "");
        story.ready(1, later_ms + 100, &given);
    }
    let cues = story.cues_at(at_ms + 100_000);
    let first = cues.iter().find(|one| one.place.stamp.as_ms() == at_ms);
    assert_eq!(first.expect("it is shown").parties[0].asked, 5);
    let lead = story.lead_at(at_ms + 100_000, false);
    assert!(!lead.unreliable, "{lead:?}");
}

#[test]
fn preparing_is_learnt_apart_and_given_notice_for_where_something_is_to_be_prepared() {
    let mut story = Story::new();
    for index in 1..=20 {
        let at_ms = index * MINUTE_MS;
        let plain = story.cue(at_ms, &[ADA], "");
        story.ready(1, at_ms + 100, &plain);
        // As long as little is known of the one of them, all is one.
        if index == 8 {
            assert_eq!(story.lead_at(at_ms + 200, true).preparation_ns, 0);
        }
        let prepared = story.cue(at_ms + 20_000, &[ADA], "drain");
        story.ready(1, at_ms + 20_000 + 3_000, &prepared);
    }
    let at_ms = 30 * MINUTE_MS;
    let (plain, prepared) = (story.lead_at(at_ms, false), story.lead_at(at_ms, true));
    let more_us = prepared.preparation_ns / 1_000;
    assert_eq!(more_us, 2_900_000, "{prepared:?}");
    assert_eq!(plain.lead_ns, 250_000_000, "2.5 times 100 ms: {plain:?}");
    assert_eq!((prepared.lead_ns - plain.lead_ns) / 1_000, more_us);
    // A second and a half is enough for the one, and not for the other.
    for (preparation, short) in [("", 0), ("drain", 1)] {
        let cue = cue(at_ms + 1_700, &[ADA], preparation);
        story.says(2, at_ms, Action::Cue(cue));
        let notice = story.latest_at(at_ms + 1).notice.expect("it is open");
        assert_eq!(notice.short().count(), short, "{preparation}: {notice:?}");
        story.facts.pop();
    }
}

#[test]
fn who_has_just_missed_a_cue_is_given_until_it_is_back_by_its_rule() {
    let mut story = Story::new();
    for index in 1..=12 {
        // A cue that is missed; the next one, 40 seconds after its target, finds it again.
        let at_ms = index * 2 * MINUTE_MS;
        story.cue(at_ms, &[ADA], "");
        let given = story.cue(at_ms + 50_000, &[ADA], "");
        story.ready(1, at_ms + 50_200, &given);
    }
    let lead = story.lead_at(28 * MINUTE_MS, true);
    assert_eq!(lead.recovery_ns, Some(40_000_000_000), "{lead:?}");
    assert!(lead.lead_ns < 1_000_000_000, "it is back: {lead:?}");
    let at_ms = 30 * MINUTE_MS;
    story.cue(at_ms, &[ADA], "");
    // Ten seconds after the target of what it has missed it is back in thirty.
    let lead = story.lead_at(at_ms + 20_200, true);
    assert_eq!(lead.lead_ns, 30_000_000_000, "{lead:?}");
    let lead = story.lead_at(at_ms + 120_000, true);
    assert!(
        lead.lead_ns < 1_000_000_000,
        "overdue is not known: {lead:?}"
    );
}

#[test]
fn a_window_is_as_wide_as_the_actions_spread_and_no_less_than_assumed_where_few_are_known() {
    let mut story = Story::new();
    let window = |story: &Story, group: &[AgentId]| {
        read(&story.folds(), 60 * MINUTE_MS, |reading| {
            let leads = reading.leads(group, None);
            (leads.window_ms(), leads.window_assumed)
        })
    };
    assert_eq!(window(&story, &[ADA]), (50, true));
    for index in 0..40_i64 {
        let target_ms = MINUTE_MS + 1_000 * index.unsigned_abs();
        let swings = if index % 2 == 0 { 1 } else { -1 };
        story.played(1, None, target_ms, swings * 30_000);
        story.played(3, None, target_ms, swings * 100);
    }
    // 3.29 sigma of 30 ms; of steady players of the least that is taken for one sigma.
    assert_eq!(window(&story, &[ADA]), (99, false));
    assert_eq!(window(&story, &[BOB]), (17, false));
    let both = window(&story, &[ADA, BOB]);
    assert!((100..=110).contains(&both.0) && !both.1, "{both:?}");
    assert_eq!(window(&story, &[BOB, EVE]), (50, true));
    // Whoever is late by the same each time does not spread: the window is no excuse for that.
    for index in 0..70 {
        story.played(3, None, 3 * MINUTE_MS + 1_000 * index, 400_000);
    }
    assert_eq!(window(&story, &[BOB]), (17, false));
}

#[test]
fn for_a_time_that_is_not_sure_nobody_prepares_and_whose_times_do_not_come_true_is_not_believed() {
    let mut story = Story::new();
    let mut unsure = cue(20_000, &[ADA], "drain");
    unsure.confidence_ppm = 590_000;
    story.says(2, 1_000, Action::Cue(unsure));
    let view = story.latest_at(19_000);
    assert_eq!((view.plan, view.stage), (CuePlan::React, CueStage::Asked));
    assert_eq!(view.parties[0].asked, 1, "nobody is asked again");
    assert!(view.notice.is_none(), "and nobody needs notice");
    let mut story = Story::new();
    let mut plans = Vec::new();
    for index in 1..=14 {
        let at_ms = index * MINUTE_MS;
        let given = story.cue(at_ms, &[ADA], "");
        let view = story.latest_at(at_ms + 1);
        plans.push((view.quality_ppm, view.plan));
        story.ready(1, at_ms + 100, &given);
        // Six that come a second later than was said, and then true ones.
        let late_us = if index <= 6 { 1_000_000 } else { 1_000 };
        story.played(1, Some(&given), at_ms + 10_200, late_us);
    }
    assert_eq!(plans[0], (1_000_000, CuePlan::Prepare));
    assert_eq!(plans[5], (8_000_000 / 13, CuePlan::Prepare));
    assert_eq!(plans[6], (8_000_000 / 14, CuePlan::React), "six in a row");
    assert_eq!(plans[7].1, CuePlan::Prepare, "what comes true counts, too");
    assert_eq!(plans[13], (15_000_000 / 21, CuePlan::Prepare));
}

#[test]
fn whether_a_time_was_true_is_told_with_one_voice_each_in_time_and_by_several_where_anybody_may() {
    // What became of ten cues, of which each is told by `tells`.
    let quality = |parties: &[AgentId], tells: &dyn Fn(&mut Story, u64, &Fact)| {
        let mut story = Story::new();
        for index in 1..=10 {
            let at_ms = index * MINUTE_MS;
            let given = story.cue(at_ms, parties, "");
            tells(&mut story, at_ms + 10_000, &given);
        }
        story.cue(11 * MINUTE_MS, parties, "");
        story.latest_at(11 * MINUTE_MS + 1).quality_ppm
    };
    let late = 1_000_000;
    let crowd = |story: &mut Story, at_ms: u64, given: &Fact| {
        story.played(1, Some(given), at_ms + 100, 100);
        story.played(3, Some(given), at_ms + 100, 100);
        for again in 0..4 {
            story.played(2, Some(given), at_ms + 200 + again, late);
        }
    };
    let all = [ADA, EVE, BOB];
    assert_eq!(quality(&all, &crowd), 1_000_000, "one of three");
    let after = |story: &mut Story, at_ms: u64, given: &Fact| {
        story.played(1, Some(given), at_ms + 11_000, late);
    };
    assert_eq!(quality(&[ADA], &after), 1_000_000, "it stands by then");
    let stranger = |story: &mut Story, at_ms: u64, given: &Fact| {
        story.played(3, Some(given), at_ms + 1_100, late);
    };
    assert_eq!(quality(&[], &stranger), 1_000_000, "one is not enough");
    let many = |story: &mut Story, at_ms: u64, given: &Fact| {
        for agent in [1, 2, 3] {
            story.played(agent, Some(given), at_ms + 1_100, late);
        }
    };
    assert_eq!(quality(&[], &many), 8_000_000 / 18);
}

fn counters(world: &mut Loop, index: usize) -> Counters {
    match world.view(index, Question::Status) {
        Ok(View::Status(status)) => status.counters,
        other => panic!("no status: {other:?}"),
    }
}

fn given(world: &mut Loop, cue: Cue) -> CueView {
    let told = world.act(0, "ada", Action::Cue(cue)).expect("given");
    let AnswerBody::Recorded(recorded) = told.body else {
        panic!("no record");
    };
    *recorded.cue.expect("a cue is answered with how it stands")
}

/// What a node makes of a minute in which time was known so badly (ns), and so many of ten notices arrived.
fn minute(unsure_ns: f64, arrived: u64) -> Compensation {
    let mut channels = Channels::default();
    for index in 0..60 {
        channels.look(ChannelLook {
            sync: Some(Sync::Synchronised),
            leader_way_ns: None,
            unsure_ns: Some(unsure_ns),
            asked: 5 * index,
            taken: 5 * index,
            known: 1,
            reached: 1,
            sent: arrived * index,
            dropped: (10 - arrived) * index,
            way_ns: Some(1e6),
        });
    }
    channels.report().expect("it has looked").compensation()
}

#[test]
fn as_one_channel_after_the_other_weakens_windows_widen_notice_grows_and_cues_are_sent_twice() {
    let mut world = Loop::in_regions(vec!["here", "here", "there"]);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.run_ms(1_000);
    let View::Agents(agents) = world.view(0, Question::Agents).expect("agents") else {
        panic!("no agents");
    };
    let ada = agents.iter().find(|one| one.kind == AgentKind::Ai);
    let ada = ada.expect("it is enrolled").agent;
    // Time, notice, both, none: the window, how much notice is needed (s), what is sent twice.
    let stages = [
        (minute(1e6, 10), 50, 2, 0),
        (minute(20e6, 10), 70, 2, 1),
        (minute(1e6, 8), 50, 4, 1),
        (minute(20e6, 8), 90, 8, 1),
        (minute(1e6, 10), 50, 2, 0),
    ];
    for (compensation, window_ms, notice_s, twice) in stages {
        world.nodes[0].compensate(compensation);
        let before: Vec<Counters> = (0..3).map(|node| counters(&mut world, node)).collect();
        let now_ns = world.now_ns;
        let mut open = cue(0, &[ada], "");
        open.window_ms = 0;
        let shown = given(&mut world, open);
        assert_eq!(shown.cue.window_ms, window_ms);
        let lead_ns = shown.cue.target_ns - now_ns;
        let needed_ns = notice_s * SECOND_NS;
        let span = needed_ns + 200_000_000..needed_ns + 400_000_000;
        assert!(span.contains(&lead_ns), "{notice_s} s: {lead_ns}");
        let notice = shown.notice.expect("ada is meant");
        assert_eq!(notice.needed_ns, needed_ns);
        assert_eq!(notice.short().count(), 0, "it was counted with");
        // Three seconds are enough where all is well, and are flagged where notice is weak.
        let mut soon = cue(world.now_ns / 1_000_000 + 3_200, &[ada], "");
        soon.window_ms = 5;
        let soon = given(&mut world, soon);
        assert_eq!(soon.cue.window_ms, 5, "who names a window gets that");
        let notice = soon.notice.expect("ada is meant");
        assert_eq!(notice.short().count(), usize::from(notice_s > 3));
        world.run_ms(1_000);
        let after: Vec<Counters> = (0..3).map(|node| counters(&mut world, node)).collect();
        let sent = after[0].bundles_sent_twice - before[0].bundles_sent_twice;
        assert_eq!(sent > 0, twice > 0, "{compensation:?}");
        // Its neighbour gets them twice then, and otherwise once.
        let doubled = after[1].bundles_duplicate - before[1].bundles_duplicate;
        assert!(
            doubled >= sent && (sent > 0 || doubled == 0),
            "{doubled} of {sent}"
        );
    }
}
