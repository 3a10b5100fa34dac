//! What one performer plays: which beat comes next, by how much its release is moved, what its errors were,
//! and how it all went. Arithmetic over what it is handed; nothing here reads a clock or waits.

use std::collections::VecDeque;

use unisono_core::ensemble::{Corrector, GainError, Gains, Stress, TempoMap};

use super::partners::{correcting, counted};
use super::{Action, Effect, Missed, Partner, Performance, Release, Summary, Why};
use crate::limits::{PERFORM_LATE_KEPT_MAX, PERFORM_MISSED_MAX, PERFORM_TIME_SLACK_NS};

/// A beat that is to be played.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Turn {
    pub(super) beat: i64,
    pub(super) stress: Stress,
    pub(super) target_ns: u64,
    /// Since the one before that is played, ns.
    pub(super) interval_ns: u64,
}

impl Turn {
    /// A beat of a map, as its tempo stands.
    pub(super) fn of(map: &TempoMap, beat: i64, every: u16) -> Option<Self> {
        let target_ns = map.time(beat)?;
        let before_ns = map.time(beat.checked_sub(i64::from(every))?)?;
        Some(Self {
            beat,
            stress: map.stress(beat),
            target_ns,
            interval_ns: target_ns.saturating_sub(before_ns),
        })
    }

    /// When a beat is released: moved as wanted, by half of the way to the beat before at the most, and never
    /// into the past.
    pub(super) fn release(self, wanted_ns: f64, now_ns: u64) -> Release {
        let most_ns = (self.interval_ns / 2) as f64;
        let moved_ns = wanted_ns.clamp(-most_ns, most_ns);
        let at_ns = self.target_ns.saturating_add_signed(moved_ns as i64);
        let at_ns = at_ns.max(now_ns);
        Release {
            beat: self.beat,
            stress: self.stress,
            target_ns: self.target_ns,
            moved_ns: at_ns.cast_signed() - self.target_ns.cast_signed(),
            bounded: wanted_ns.abs() > most_ns,
        }
    }
}

/// What was released and is not answered yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Released {
    pub(super) release: Release,
    /// By how much the corrector wanted it moved, ns.
    pub(super) wanted_ns: f64,
    /// How late after the target it was, ns.
    pub(super) late_ns: i64,
    /// When that was, by the steady clock, ns.
    pub(super) at_ns: u64,
    pub(super) real_time: bool,
}

/// An answer, as it is when it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) effect: Effect,
    /// When it was read by the cluster's clock, ns.
    pub(super) came_ns: u64,
    /// Three sigma of that clock, ns.
    pub(super) unsure_ns: u64,
}

/// What one performer plays.
#[derive(Debug)]
pub(super) struct Part {
    corrector: Option<Corrector>,
    /// How many players there are, where that was said; else they are counted.
    players: Option<u32>,
    adaptive: bool,
    by_release: bool,
    /// So many more may be released before one is answered.
    delay: usize,
    outstanding: VecDeque<Released>,
    /// How late the latest actions were, ns.
    late_ns: VecDeque<i64>,
    missed_in_a_row: u64,
    /// A bit for each of the latest sixteen beats, the latest the lowest: whether it was missed.
    lately: u16,
    summary: Summary,
}

impl Part {
    pub(super) fn new(performance: &Performance, others: &[Partner]) -> Result<Self, GainError> {
        Ok(Self {
            corrector: performance.among(others).corrector()?,
            players: performance.players,
            adaptive: performance.adaptive,
            by_release: performance.by_release,
            delay: performance.delay as usize,
            outstanding: VecDeque::new(),
            late_ns: VecDeque::new(),
            missed_in_a_row: 0,
            lately: 0,
            summary: Summary::default(),
        })
    }

    /// What was heard of the others: they are counted, unless it was said how many there are, and gains that adapt
    /// meet theirs. How many players there are.
    pub(super) fn heard(&mut self, others: &[Partner]) -> u32 {
        let players = self.players.unwrap_or_else(|| counted(others));
        if let Some(corrector) = &mut self.corrector {
            let changed = corrector.among(players);
            if self.adaptive && !changed {
                let theirs: Vec<f64> = correcting(others).map(|one| one.gains.phase).collect();
                corrector.meet(&theirs);
            }
        }
        players
    }

    /// Whether nothing more may be released until an answer has come.
    pub(super) fn is_busy(&self) -> bool {
        self.outstanding.len() > self.delay
    }

    pub(super) fn is_answered(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Beats that were played or missed.
    pub(super) fn beats(&self) -> u64 {
        let outstanding = self.outstanding.len() as u64;
        self.summary.actions + outstanding + self.summary.missed
    }

    /// By how much a beat's release is to be moved (ns). Asked once for each beat.
    pub(super) fn wanted_ns(&mut self, beat: i64) -> f64 {
        let corrector = self.corrector.as_mut();
        corrector.map_or(0.0, |one| one.correction_ns(beat.cast_unsigned()))
    }

    pub(super) fn released(&mut self, released: Released) {
        self.missed_in_a_row = 0;
        self.lately <<= 1;
        self.outstanding.push_back(released);
    }

    /// Beats that were not played.
    pub(super) fn missed(&mut self, beat: i64, beats: u64, why: Why) -> Missed {
        self.missed_in_a_row = self.missed_in_a_row.saturating_add(beats);
        self.summary.missed = self.summary.missed.saturating_add(beats);
        let in_a_row = self.missed_in_a_row;
        self.summary.missed_in_a_row_max = self.summary.missed_in_a_row_max.max(in_a_row);
        for _ in 0..beats.min(u64::from(u16::BITS)) {
            self.lately = self.lately << 1 | 1;
        }
        let too_many = self.lately.count_ones() >= PERFORM_MISSED_MAX;
        self.summary.too_many_missed |= too_many;
        Missed {
            beat,
            beats,
            in_a_row,
            too_many,
            why,
        }
    }

    /// An answer that nobody was there for.
    pub(super) fn dropped(&mut self, answers: u64) {
        self.summary.surplus = self.summary.surplus.saturating_add(answers);
    }

    /// An answer has come: what of the action that was released longest ago. Nothing where none was, or that
    /// came before it could be one.
    pub(super) fn answered(&mut self, answer: Answer) -> Option<Action> {
        let first = self.outstanding.front();
        if first.is_none_or(|released| answer.effect.read_ns < released.at_ns) {
            self.dropped(1);
            return None;
        }
        let released = self.outstanding.pop_front()?;
        let Release {
            target_ns,
            moved_ns,
            bounded,
            ..
        } = released.release;
        let slack_ns = answer.unsure_ns.saturating_add(PERFORM_TIME_SLACK_NS);
        let released_ns = target_ns.saturating_add_signed(released.late_ns);
        let possible =
            released_ns.saturating_sub(slack_ns)..=answer.came_ns.saturating_add(slack_ns);
        let says_ns = answer.effect.says_ns;
        let believed = says_ns.filter(|says_ns| possible.contains(says_ns));
        let not_believed = says_ns.is_some() && believed.is_none();
        self.summary.not_believed += u64::from(not_believed);
        let acted_ns = believed.unwrap_or(answer.came_ns);
        let answered_late_ns = acted_ns.cast_signed() - target_ns.cast_signed();
        let late_ns = if self.by_release {
            released.late_ns
        } else {
            answered_late_ns
        };
        if let Some(corrector) = &mut self.corrector {
            // What could not be moved as far as it was wanted would have been less late by the rest: else what
            // is beyond the bound would be corrected again and again.
            let short_ns = moved_ns as f64 - released.wanted_ns;
            let beat = released.release.beat.cast_unsigned();
            corrector.was_late(beat, late_ns as f64 - short_ns);
        }
        self.summary.actions += 1;
        self.summary.bounded += u64::from(bounded);
        if self.late_ns.len() == PERFORM_LATE_KEPT_MAX {
            self.late_ns.pop_front();
        }
        self.late_ns.push_back(late_ns);
        Some(Action {
            beat: released.release.beat,
            target_ns,
            moved_ns,
            bounded,
            late_ns,
            released_late_ns: released.late_ns,
            answered_late_ns,
            unsure_ns: answer.unsure_ns,
            real_time: released.real_time,
            gains: self.gains(),
        })
    }

    pub(super) fn gains(&self) -> Option<Gains> {
        self.corrector.as_ref().map(Corrector::gains)
    }

    /// How it went so far.
    pub(super) fn summary(&self) -> Summary {
        let mut summary = self.summary.clone();
        summary.unanswered = self.outstanding.len() as u64;
        summary.gains = self.gains();
        let count = self.late_ns.len();
        if count == 0 {
            return summary;
        }
        let all = || self.late_ns.iter().map(|late_ns| *late_ns as f64);
        summary.mean_ns = all().sum::<f64>() / count as f64;
        let square = |late_ns: f64| (late_ns - summary.mean_ns) * (late_ns - summary.mean_ns);
        summary.spread_ns = (all().map(square).sum::<f64>() / count as f64).sqrt();
        let mut off_ns: Vec<u64> = self.late_ns.iter().map(|one| one.unsigned_abs()).collect();
        off_ns.sort_unstable();
        // The least that 99 of a hundred are not beyond.
        summary.p99_ns = off_ns[(count * 99).div_ceil(100) - 1];
        summary.median_ns = off_ns[(count - 1) / 2];
        summary
    }
}

#[cfg(test)]
mod tests {
    use unisono_core::ensemble::Rule;
    use unisono_model::AgentId;

    use super::*;
    use crate::dto::CorrectionWord;

    const START_NS: u64 = 1_000_000_000_000;
    const INTERVAL_NS: u64 = 500_000_000;

    fn part(performance: Performance) -> Part {
        Part::new(&performance, &[]).expect("a rule that holds")
    }

    fn turn(beat: u64) -> Turn {
        Turn {
            beat: beat.cast_signed(),
            stress: Stress::Beat,
            target_ns: START_NS + beat * INTERVAL_NS,
            interval_ns: INTERVAL_NS,
        }
    }

    fn release(part: &mut Part, beat: u64) -> Release {
        let wanted_ns = part.wanted_ns(beat.cast_signed());
        let release = turn(beat).release(wanted_ns, START_NS - INTERVAL_NS);
        part.released(Released {
            release,
            wanted_ns,
            late_ns: release.moved_ns,
            at_ns: release.target_ns.saturating_add_signed(release.moved_ns),
            real_time: true,
        });
        release
    }

    /// Answers what was released so long (ns) after it was.
    fn answer(part: &mut Part, release: Release, after_ns: u64) -> Action {
        let released_ns = release.target_ns.saturating_add_signed(release.moved_ns);
        let came_ns = released_ns + after_ns;
        let told = part.answered(Answer {
            effect: Effect {
                read_ns: came_ns,
                says_ns: None,
            },
            came_ns,
            unsure_ns: 10_000,
        });
        told.expect("an answer to it")
    }

    /// Plays beats whose effects come so long after their release, by the number of the beat.
    fn played(part: &mut Part, beats: u64, after_ns: impl Fn(u64) -> u64) -> Vec<Action> {
        let each = 0..beats;
        each.map(|beat| {
            let release = release(part, beat);
            answer(part, release, after_ns(beat))
        })
        .collect()
    }

    fn is_about(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    /// Sixty ms, and a chance of up to two.
    fn sixty(beat: u64) -> u64 {
        60_000_000 + beat * 7_919 % 2_000_000
    }

    #[test]
    fn what_stays_is_corrected_by_every_rule_and_by_none_it_stays() {
        for rule in [Rule::Kalman, Rule::Best, Rule::Seed] {
            let mut part = part(Performance {
                rule: Some(rule),
                ..Performance::default()
            });
            let told = played(&mut part, 40, sixty);
            assert!(told[0].late_ns >= 60_000_000 && told[0].moved_ns == 0);
            let late = told[20..].iter().map(|one| one.late_ns.abs()).max();
            assert!(late < Some(5_000_000), "{rule:?}: {late:?}");
            assert!(told[39].moved_ns < -55_000_000, "{rule:?}: {:?}", told[39]);
        }
        let mut part = part(Performance {
            rule: None,
            ..Performance::default()
        });
        let told = played(&mut part, 40, sixty);
        assert!(told.iter().all(|one| one.late_ns >= 60_000_000));
        assert!(part.summary().mean_ns > 59e6 && part.summary().gains.is_none());
    }

    #[test]
    fn a_command_that_becomes_slower_is_followed_unless_its_gains_are_fixed() {
        let slower = |beat| sixty(beat) + if beat < 200 { 0 } else { 60_000_000 };
        let late = |adaptive| {
            let mut part = part(Performance {
                adaptive,
                ..Performance::default()
            });
            let told = played(&mut part, 240, slower);
            let late = told[202..].iter().map(|one| one.late_ns.abs());
            (late.clone().max(), late.min())
        };
        let (worst, _) = late(true);
        assert!(worst < Some(5_000_000), "two beats after it: {worst:?}");
        let (_, least) = late(false);
        assert!(least > Some(30_000_000), "the mean of all: {least:?}");
    }

    #[test]
    fn a_release_is_moved_by_half_an_interval_at_the_most_and_comes_back_at_once_from_there() {
        for rule in [Rule::Kalman, Rule::Best, Rule::Seed] {
            let mut part = part(Performance {
                rule: Some(rule),
                adaptive: false,
                ..Performance::default()
            });
            let told = played(&mut part, 60, |_| 400_000_000);
            let last = &told[59];
            assert_eq!(last.moved_ns, -250_000_000, "{rule:?}");
            assert!(last.bounded, "it is said");
            assert_eq!(last.late_ns, 150_000_000, "{rule:?}");
            assert!(part.summary().bounded > 40, "{rule:?}");
        }
        // Nothing has piled up beyond the bound meanwhile.
        let mut part = part(Performance {
            rule: Some(Rule::Best),
            adaptive: false,
            ..Performance::default()
        });
        let slow = |beat| if beat < 200 { 400_000_000 } else { 60_000_000 };
        let told = played(&mut part, 210, slow);
        assert!(told[205].late_ns.abs() < 10_000_000, "{:?}", told[205]);
    }

    #[test]
    fn nothing_is_released_in_the_past_and_what_comes_of_that_is_no_correction_of_its_own() {
        let mut part = part(Performance::default());
        played(&mut part, 20, |_| 60_000_000);
        let wanted_ns = part.wanted_ns(20);
        assert!(wanted_ns < -59e6, "{wanted_ns}");
        let now_ns = turn(20).target_ns - 10_000_000;
        let release = turn(20).release(wanted_ns, now_ns);
        assert_eq!((release.moved_ns, release.bounded), (-10_000_000, false));
        part.released(Released {
            release,
            wanted_ns,
            late_ns: release.moved_ns,
            at_ns: now_ns,
            real_time: true,
        });
        assert_eq!(answer(&mut part, release, 60_000_000).late_ns, 50_000_000);
        let next = part.wanted_ns(21);
        assert!((next - wanted_ns).abs() < 1e6, "{next} after {wanted_ns}");
    }

    #[test]
    fn what_is_not_answered_keeps_the_next_from_being_released_and_counts() {
        let mut part = part(Performance::default());
        let first = release(&mut part, 0);
        assert!(part.is_busy());
        let one = part.missed(1, 1, Why::Busy);
        assert_eq!((one.in_a_row, one.too_many), (1, false));
        let four = part.missed(2, 3, Why::Passed);
        assert_eq!((four.in_a_row, four.too_many), (4, true));
        assert_eq!(
            answer(&mut part, first, 2_100_000_000).late_ns,
            2_100_000_000
        );
        assert!(!part.is_busy());
        release(&mut part, 5);
        assert_eq!(part.missed(6, 1, Why::Busy).in_a_row, 1, "a row has ended");
        let told = part.summary();
        assert_eq!((told.actions, told.missed, told.unanswered), (1, 5, 1));
        assert_eq!((told.missed_in_a_row_max, part.beats()), (4, 7));
        // With a feedback that is one action late two may be under way.
        let mut late = self::part(Performance {
            delay: 1,
            ..Performance::default()
        });
        release(&mut late, 0);
        assert!(!late.is_busy());
        release(&mut late, 1);
        assert!(late.is_busy());
    }

    #[test]
    fn answers_to_nothing_are_counted_and_times_that_cannot_be_are_not_believed() {
        let mut part = part(Performance::default());
        let early = Answer {
            effect: Effect {
                read_ns: START_NS - 1,
                says_ns: None,
            },
            came_ns: START_NS - 1,
            unsure_ns: 10_000,
        };
        assert!(part.answered(early).is_none(), "nothing was released");
        release(&mut part, 0);
        assert!(part.answered(early).is_none(), "it came before the release");
        assert_eq!(part.summary().surplus, 2);
        let came_ns = START_NS + 90_000_000;
        let says = |says_ns| Answer {
            effect: Effect {
                read_ns: came_ns,
                says_ns: Some(says_ns),
            },
            came_ns,
            unsure_ns: 10_000,
        };
        let told = part.answered(says(START_NS + 30_000_000));
        assert_eq!(told.map(|one| one.late_ns), Some(30_000_000));
        for impossible in [0, START_NS - 100_000_000, came_ns + 5_000_000, u64::MAX] {
            let mut one = Part::new(&Performance::default(), &[]).expect("a rule that holds");
            release(&mut one, 0);
            let told = one.answered(says(impossible));
            assert_eq!(told.map(|one| one.late_ns), Some(90_000_000));
            assert_eq!(one.summary().not_believed, 1, "{impossible}");
        }
    }

    #[test]
    fn by_the_release_nothing_is_corrected_and_only_the_release_counts() {
        let mut part = part(Performance {
            by_release: true,
            ..Performance::default()
        });
        let told = played(&mut part, 20, sixty);
        assert!(told.iter().all(|one| one.moved_ns == 0 && one.late_ns == 0));
        assert!(told.iter().all(|one| one.answered_late_ns >= 60_000_000));
    }

    #[test]
    fn a_performance_is_summed_up_over_its_latest_actions() {
        let mut part = part(Performance {
            rule: None,
            ..Performance::default()
        });
        let after = |beat| if beat == 50 { 90_000_000 } else { 10_000_000 };
        played(&mut part, 100, after);
        let told = part.summary();
        assert_eq!((told.actions, told.p99_ns), (100, 10_000_000));
        assert!((told.mean_ns - 10.8e6).abs() < 1.0, "{}", told.mean_ns);
        played(&mut part, PERFORM_LATE_KEPT_MAX as u64, |_| 10_000_000);
        let told = part.summary();
        assert!((told.mean_ns - 10e6).abs() < 1.0, "{}", told.mean_ns);
        assert!(told.spread_ns < 1.0, "{}", told.spread_ns);
    }

    fn partner(phase: f64, rule: CorrectionWord) -> Partner {
        Partner {
            agent: AgentId([7; 32]),
            name: "eve".to_owned(),
            rule,
            gains: Gains { phase, period: 0.0 },
        }
    }

    #[test]
    fn those_who_correct_are_counted_as_they_come_and_go_and_gains_meet_theirs() {
        let best = Performance {
            rule: Some(Rule::Best),
            ..Performance::default()
        };
        let phase = |part: &Part| part.gains().expect("it corrects").phase;
        let eve = partner(0.5, CorrectionWord::Best);
        let others = [eve.clone(), partner(0.0, CorrectionWord::None)];
        // Who was there before it counts from the first beat on, if it corrects.
        let mut begun = Part::new(&best, &others).expect("a rule that holds");
        assert!(is_about(phase(&begun), 0.5));
        assert_eq!(begun.heard(&others), 2);
        assert!(is_about(phase(&begun), 0.5), "together that is all");
        assert_eq!(begun.heard(&[]), 1);
        assert!(is_about(phase(&begun), 1.0), "alone again");
        // Who corrects much leaves less to do, whatever number was said.
        let said = Performance {
            players: Some(2),
            ..best.clone()
        };
        let mut met = Part::new(&said, &[]).expect("a rule that holds");
        let much = partner(0.9, CorrectionWord::Best);
        for _ in 0..3 {
            assert_eq!(met.heard(std::slice::from_ref(&much)), 2);
        }
        assert!(phase(&met) < 0.45, "{}", phase(&met));
        // Gains that stand only go by the number, and no rule stays where it does not hold.
        let fixed = Performance {
            adaptive: false,
            ..said
        };
        let mut fixed = Part::new(&fixed, &[]).expect("a rule that holds");
        fixed.heard(&[much]);
        assert!(is_about(phase(&fixed), 0.5));
        let eight = vec![eve; 7];
        let seed = Performance {
            rule: Some(Rule::Seed),
            ..Performance::default()
        };
        assert!(Part::new(&seed, &eight).is_err());
        let mut seed = part(seed);
        assert_eq!(seed.heard(&eight), 8);
        assert!(phase(&seed) < 0.25, "{}", phase(&seed));
    }
}
