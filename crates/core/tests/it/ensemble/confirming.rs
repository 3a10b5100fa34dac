//! Changes of the tempo: whether they were followed, and by whom not.

use unisono_core::ensemble::{Change, TempoMap};
use unisono_core::orchestra::Reading;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{ChangeStage, ChangeView, Follows};
use unisono_model::{Action, AgentKind, Enrol, Played, Stamp, Tempo};

use crate::folds::{claim_rules, fact, folded};

const SECOND_NS: u64 = 1_000_000_000;
/// When the change is announced, begins and ends.
const SET_NS: u64 = 90 * SECOND_NS;
const FROM_NS: u64 = 100 * SECOND_NS;
const UNTIL_NS: u64 = 110 * SECOND_NS;

/// An orchestra that goes from 120 to 90 beats a minute over ten seconds.
struct Story {
    facts: Vec<Fact>,
    before: TempoMap,
    after: TempoMap,
}

impl Story {
    fn new() -> Self {
        let before = TempoMap::default();
        let change = Change {
            at_ns: FROM_NS,
            to_ubpm: 90_000_000,
            over_ns: UNTIL_NS - FROM_NS,
            exponential: false,
        };
        let tempo: Tempo = before.changed(SET_NS, change).expect("it can be");
        let mut story = Self {
            facts: Vec::new(),
            before,
            after: TempoMap::new(tempo.clone()).expect("a map"),
        };
        for agent in 1..=4 {
            let enrol = Enrol {
                name: format!("a{agent}"),
                role: String::new(),
                kind: AgentKind::Ai,
                tier: None,
            };
            story.says(agent, u64::from(agent), Action::Enrol(enrol));
        }
        story.says(1, SET_NS / 1_000_000, Action::Tempo(tempo));
        story
    }

    fn says(&mut self, agent: u8, at_ms: u64, action: Action) {
        let number = self.facts.len() as u64 + 1;
        self.facts.push(fact(number, agent, at_ms, action));
    }

    /// An agent plays all beats of a map from one time to another (ns), late by so much (ms).
    fn plays(&mut self, agent: u8, map: &TempoMap, from_ns: u64, until_ns: u64, late_ms: i64) {
        let mut at_ns = from_ns;
        while let Some(beat) = map.next(at_ns, 1).filter(|beat| beat.at_ns < until_ns) {
            at_ns = beat.at_ns;
            let played = Played {
                cue: None,
                target_ns: at_ns,
                late_ns: late_ms * 1_000_000,
                unsure_ns: 1_000,
            };
            let told_ms = (at_ns / 1_000_000).saturating_add_signed(late_ms) + 1;
            self.says(agent, told_ms, Action::Played(played));
        }
    }

    fn change_at(&self, at_ns: u64) -> Option<ChangeView> {
        let folds = folded(self.facts.iter());
        let horizon = Horizon::default();
        let reading = Reading {
            folds: &folds,
            at: Stamp::from_ns(at_ns),
            horizon: &horizon,
            rules: claim_rules(),
        };
        assert_eq!(reading.tempo().change, None, "only who asks is told");
        reading.tempo_told().change
    }

    fn told_at(&self, at_ns: u64) -> (ChangeStage, Vec<Follows>) {
        let change = self.change_at(at_ns).expect("there was a change");
        let each = change.players.iter();
        (change.stage, each.map(|one| one.follows).collect())
    }
}

#[test]
fn a_change_that_all_players_follow_is_confirmed_at_its_end() {
    let mut story = Story::new();
    let after = story.after.clone();
    // One of them is always 60 ms late, before and since: that is no matter of the rate.
    story.plays(
        1,
        &after,
        FROM_NS - 20 * SECOND_NS,
        UNTIL_NS + 5 * SECOND_NS,
        0,
    );
    story.plays(
        2,
        &after,
        FROM_NS - 20 * SECOND_NS,
        UNTIL_NS + 5 * SECOND_NS,
        60,
    );
    assert_eq!(story.told_at(SET_NS), (ChangeStage::Announced, vec![]));
    assert_eq!(story.told_at(FROM_NS), (ChangeStage::UnderWay, vec![]));
    let waits = vec![Follows::Silent; 2];
    assert_eq!(story.told_at(UNTIL_NS), (ChangeStage::Awaited, waits));
    let all = vec![Follows::Yes; 2];
    let told = story.told_at(UNTIL_NS + 5 * SECOND_NS);
    assert_eq!(told, (ChangeStage::Confirmed, all));
    let change = story.change_at(UNTIL_NS + 60 * SECOND_NS).expect("told of");
    assert_eq!(change.stage, ChangeStage::Confirmed);
    assert_eq!((change.from_ns, change.until_ns), (FROM_NS, UNTIL_NS));
    assert_eq!(
        (change.from_ubpm, change.to_ubpm),
        (120_000_000, 90_000_000)
    );
    let late = story.change_at(UNTIL_NS + 601 * SECOND_NS);
    assert_eq!(late, None, "that was long ago");
}

#[test]
fn who_keeps_the_old_rate_falls_silent_or_lags_is_named_and_nothing_is_confirmed() {
    let mut story = Story::new();
    let (old, new) = (story.before.clone(), story.after.clone());
    let begins_ns = FROM_NS - 20 * SECOND_NS;
    for agent in 1..=4 {
        story.plays(agent, &new, begins_ns, FROM_NS, 0);
    }
    let ends_ns = UNTIL_NS + 9 * SECOND_NS;
    story.plays(1, &new, UNTIL_NS, ends_ns, 0);
    story.plays(2, &old, UNTIL_NS, ends_ns, 0);
    story.plays(4, &new, UNTIL_NS, ends_ns, 45);
    let each = vec![
        Follows::Yes,
        Follows::OffBeat,
        Follows::Silent,
        Follows::Later(45_000_000),
    ];
    let told = story.told_at(UNTIL_NS + 9 * SECOND_NS);
    assert_eq!(told, (ChangeStage::Awaited, each.clone()));
    let told = story.told_at(UNTIL_NS + 12 * SECOND_NS);
    assert_eq!(told, (ChangeStage::Unconfirmed, each));
}

#[test]
fn where_nobody_plays_the_beat_nothing_is_claimed_and_what_cues_ask_for_is_no_beat() {
    let mut story = Story::new();
    let unheard = (ChangeStage::Unheard, vec![]);
    assert_eq!(story.told_at(UNTIL_NS + SECOND_NS).0, ChangeStage::Awaited);
    assert_eq!(story.told_at(UNTIL_NS + 12 * SECOND_NS), unheard);
    for index in 0..20 {
        let target_ns = FROM_NS - 10 * SECOND_NS + index * SECOND_NS;
        let played = Played {
            cue: Some(story.facts[0].place.record),
            target_ns: target_ns + 123_456_789,
            late_ns: 0,
            unsure_ns: 0,
        };
        story.says(2, target_ns / 1_000_000 + 200, Action::Played(played));
    }
    assert_eq!(story.told_at(UNTIL_NS + 12 * SECOND_NS), unheard);
}
