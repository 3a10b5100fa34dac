//! What goes wrong among agents that play together, read from the latest actions of each: the same sums and
//! cuts as [`Watch`](super::Watch), over what every replica holds.
//!
//! Nothing is kept between two looks. So replicas that hold the same actions say the same, in whichever order
//! these came, and a look costs what the actions that are kept cost, however long agents have played.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::habit::{Habit, Off};
use super::health::{Measure, Punctuality};
use super::limits::{
    BEYOND_ACTIONS, BEYOND_ACTIONS_MIN, BEYOND_DRIFT_NS_MIN, BEYOND_EVERY, JUDGE_ALARM, JUDGE_CLIP,
    JUDGE_LEARNS, JUDGE_OFF_ACTIONS, JUDGE_SIGMA_NS_MIN, JUDGE_SLACK, JUDGE_STANDS,
    JUDGE_TOGETHER_MIN, SPLIT_BEATS, SPLIT_PLAYERS_MIN,
};
use super::vary::{Counts, Course as VariedCourse, Expected, Variation, Varied, reason};
use super::watch::{Alarm, Cusum, Failure, median, split_of};

/// The standard error of a median over that of a mean.
const MEDIAN_OVER_MEAN: f64 = 1.2533;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What. Players are told by their place among those who were handed over.
    pub failure: Failure,
    /// By how much lately (ns): how late somebody is beyond its rule and what all have in common, how late all
    /// are, how far two groups are apart.
    pub off_ns: f64,
    /// How one action spreads (ns): of the player, or of those concerned in the middle.
    pub sigma_ns: f64,
    /// Since when, by the time that an action was meant for (ns since the Unix epoch).
    pub since_ns: u64,
    /// When it was told last, by the same.
    pub told_ns: u64,
    /// How many actions it took from the one to the other.
    pub actions: u32,
    /// Why it is no variation that is meant; nothing where nothing may vary.
    pub reason: Option<Variation>,
}

/// What of somebody's actions is critical (TIME-15).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    /// Which measure.
    pub measure: Measure,
    /// The actions' figures.
    pub punctuality: Punctuality,
    /// What the first of them was meant for (ns since the Unix epoch).
    pub since_ns: u64,
    /// What the last of them was meant for.
    pub told_ns: u64,
    /// Why it is no variation that is meant, if that can be said.
    pub reason: Option<Variation>,
}

/// By how much somebody is off, action after action: the time that it was meant for (ns), and one sigma (ns).
#[derive(Clone, Debug, Default)]
struct Course(Vec<(u64, Off, f64)>);

/// Who was off by how much, by the time that it was meant for (ns); nothing: it was as expected.
type Rows = BTreeMap<u64, Vec<(usize, Option<Off>)>>;

/// What a course has told last.
struct Alarmed {
    alarm: Alarm,
    off_ns: f64,
    since_ns: u64,
    told_ns: u64,
    actions: u32,
}

/// What is said of some agents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What goes wrong.
    pub found: Vec<Judged>,
    /// Of each agent what is critical.
    pub beyond: Vec<Option<Beyond>>,
    /// Of each agent how it has varied; nothing where nothing may vary.
    pub varied: Vec<Varied>,
}

/// Judges the latest actions of some agents: of each the times that they were meant for (ns since the Unix
/// epoch), rising, and by how much they were late (ns).
///
/// Of one agent nothing is told before it has acted 48 times. By chance alone one agent in some twenty
/// thousand actions is told of; figures stand in `docs/ensemble.md`.
pub fn judge(players: &[Vec<(u64, i64)>]) -> Vec<Judged> {
    judge_within(players, None).found
}

/// The same where agents may vary: what is expected counts neither as late nor as early, and what is found bears
/// why it is no variation.
pub fn judge_within(players: &[Vec<(u64, i64)>], expected: Option<&Expected<'_>>) -> Judgement {
    let all = || players.iter();
    let habit = |latest: &Vec<(u64, i64)>| match expected {
        Some(expected) => expected.habit(latest),
        None => habit_of(latest),
    };
    let habits: Vec<Option<Habit>> = all().map(habit).collect();
    let courses: Vec<VariedCourse> = expected.map_or(Vec::new(), |expected| {
        let each = all().zip(&habits);
        each.map(|(latest, habit)| expected.course(latest, *habit))
            .collect()
    });
    let rows = rows(players, &courses, &habits);
    let mut kept: Vec<Vec<(u64, i64)>> = players.to_vec();
    for (latest, course) in kept.iter_mut().zip(&courses) {
        let mut counts = course.counts();
        latest.retain(|_| counts.next() != Some(Counts::Nothing));
    }
    let mut judgement = Judgement {
        found: found(&rows, &kept, &habits),
        beyond: kept.iter().map(|latest| beyond(latest)).collect(),
        varied: courses.iter().map(VariedCourse::varied).collect(),
    };
    if expected.is_some() {
        judgement.reason(&courses);
    }
    judgement
}

impl Judgement {
    /// Says why what was found is no variation that is meant.
    fn reason(&mut self, courses: &[VariedCourse]) {
        for (player, beyond) in self.beyond.iter_mut().enumerate() {
            let Some(beyond) = beyond else { continue };
            // Whoever is far off as a rule has no action that is off its rule.
            beyond.reason = reason(courses[player].reasons(beyond.since_ns));
            self.varied[player].variation = beyond.reason.unwrap_or_default();
        }
        for judged in &mut self.found {
            let concerned = judged.failure.concerned(courses.len());
            let reasons = concerned.iter().copied();
            let reasons = reasons.flat_map(|player| courses[player].reasons(judged.since_ns));
            // What adds up out of little has none either.
            let said = reason(reasons).unwrap_or(Variation::NoPattern);
            judged.reason = Some(said);
            for player in concerned {
                self.varied[player].variation = said;
            }
        }
    }
}

/// How late somebody is as a rule, by its first actions; nothing where there are too few.
fn habit_of(latest: &[(u64, i64)]) -> Option<Habit> {
    let first = latest.get(..JUDGE_LEARNS)?.iter();
    let first: Vec<f64> = first.map(|(_, late_ns)| *late_ns as f64).collect();
    Habit::of(&first)
}

/// Who was off by how much, by the times that they played at. From the first actions rules are learnt: these are
/// not held against themselves.
fn rows(players: &[Vec<(u64, i64)>], courses: &[VariedCourse], habits: &[Option<Habit>]) -> Rows {
    let mut rows = Rows::new();
    for (player, (latest, habit)) in players.iter().zip(habits).enumerate() {
        let Some(habit) = habit else { continue };
        let mut counts = courses.get(player).map(VariedCourse::counts);
        for (place, (target_ns, late_ns)) in latest.iter().enumerate() {
            let counts = counts.as_mut().and_then(Iterator::next);
            if place < JUDGE_LEARNS {
                continue;
            }
            let off = match counts.unwrap_or(Counts::Whole) {
                Counts::Whole => Some(habit.off(*late_ns as f64)),
                Counts::Beyond(off_ns) => Some(Off {
                    late_ns: off_ns as f64,
                    early_ns: off_ns as f64,
                }),
                Counts::Nothing => None,
            };
            rows.entry(*target_ns).or_default().push((player, off));
        }
    }
    rows
}

/// What goes wrong by the actions that count.
fn found(rows: &Rows, kept: &[Vec<(u64, i64)>], habits: &[Option<Habit>]) -> Vec<Judged> {
    let sigma = |player: usize| habits[player].map_or(JUDGE_SIGMA_NS_MIN, |habit| habit.sigma);
    let (all, own) = courses(rows, habits);
    let mut found: Vec<Judged> = split(kept, habits).into_iter().collect();
    let apart: BTreeSet<usize> = found.iter().flat_map(|_| together(kept)).collect();
    if let Some(told) = all.told() {
        let sigma_ns = median(habits.iter().flatten().map(|habit| habit.sigma));
        let middle_ns = told.off_ns;
        found.push(told.judged(Failure::Drift { middle_ns }, sigma_ns.unwrap_or_default()));
    }
    for (player, course) in own.iter().enumerate() {
        // In a split each of one group is off the others: that is told once.
        let Some(told) = course.told().filter(|_| !apart.contains(&player)) else {
            continue;
        };
        let failure = match told.alarm {
            Alarm::Late => Failure::Dragging { player },
            Alarm::Early => Failure::Rushing { player },
        };
        found.push(told.judged(failure, sigma(player)));
    }
    found
}

/// What all have in common, and each beside it, by the times that they played at.
fn courses(rows: &Rows, habits: &[Option<Habit>]) -> (Course, Vec<Course>) {
    let sigma = |player: usize| habits[player].map_or(JUDGE_SIGMA_NS_MIN, |habit| habit.sigma);
    let mut all = Course::default();
    let mut own: Vec<Course> = alloc::vec![Course::default(); habits.len()];
    for (target_ns, row) in rows {
        let counts = || {
            row.iter()
                .filter_map(|(player, off)| Some((*player, (*off)?)))
        };
        let count = counts().count();
        let common_ns = if count < JUDGE_TOGETHER_MIN {
            0.0
        } else {
            let common_ns = median(counts().map(|(_, off)| off.beyond_ns())).unwrap_or_default();
            let spread = median(counts().map(|(player, _)| sigma(player))).unwrap_or_default();
            let error = MEDIAN_OVER_MEAN * spread / libm::sqrt(count as f64);
            let common = Off {
                late_ns: common_ns,
                early_ns: common_ns,
            };
            all.0
                .push((*target_ns, common, error.max(JUDGE_SIGMA_NS_MIN)));
            common_ns
        };
        for (player, off) in row {
            // What is expected adds nothing, and lets what was summed up before shrink as any calm action does.
            let off = off.map_or_else(Off::default, |off| Off {
                late_ns: off.late_ns - common_ns,
                early_ns: off.early_ns - common_ns,
            });
            own[*player].0.push((*target_ns, off, sigma(*player)));
        }
    }
    (all, own)
}

/// Whether the mean, the spread or the drift of somebody's latest 64 actions (as for [`judge`]) is critical, or
/// was so within the latest two dozen: whoever is about the threshold is told of once.
pub fn beyond(latest: &[(u64, i64)]) -> Option<Beyond> {
    let before = (0..JUDGE_STANDS).step_by(BEYOND_EVERY);
    let ends = before.filter_map(|before| latest.len().checked_sub(before));
    ends.take_while(|end| *end >= BEYOND_ACTIONS_MIN)
        .find_map(|end| {
            let window = &latest[end.saturating_sub(BEYOND_ACTIONS)..end];
            let punctuality = Punctuality::of(window.iter().copied());
            let (since_ns, told_ns) = (window.first()?.0, window.last()?.0);
            let measure = punctuality.critical?;
            let is_long = told_ns.saturating_sub(since_ns) >= BEYOND_DRIFT_NS_MIN;
            (measure != Measure::Drift || is_long).then_some(Beyond {
                measure,
                punctuality,
                since_ns,
                told_ns,
                reason: None,
            })
        })
}

impl Course {
    /// What was told last, if it stands.
    fn told(&self) -> Option<Alarmed> {
        let mut cusum = Cusum::new(JUDGE_SLACK, JUDGE_ALARM);
        let mut since = 0;
        let mut latest = None;
        for (index, (target_ns, off, sigma_ns)) in self.0.iter().enumerate() {
            if cusum.is_calm() {
                since = index;
            }
            let clipped = |off_ns: f64| (off_ns / sigma_ns).clamp(-JUDGE_CLIP, JUDGE_CLIP);
            let alarm = cusum.push_each(clipped(off.late_ns), clipped(off.early_ns));
            if let Some(alarm) = alarm {
                latest = Some((alarm, since, index, *target_ns));
            }
        }
        let (alarm, since, index, told_ns) = latest?;
        if index + JUDGE_STANDS < self.0.len() {
            return None;
        }
        let lately = self.0.iter().rev().take(JUDGE_OFF_ACTIONS);
        Some(Alarmed {
            alarm,
            off_ns: median(lately.map(|(_, off, _)| match alarm {
                Alarm::Late => off.late_ns,
                Alarm::Early => off.early_ns,
            }))?,
            since_ns: self.0[since].0,
            told_ns,
            actions: (index - since + 1) as u32,
        })
    }
}

impl Alarmed {
    fn judged(self, failure: Failure, sigma_ns: f64) -> Judged {
        Judged {
            failure,
            off_ns: self.off_ns,
            sigma_ns,
            since_ns: self.since_ns,
            told_ns: self.told_ns,
            actions: self.actions,
            reason: None,
        }
    }
}

/// Times that enough played for to tell two groups, each with who was how late.
fn full_rows(players: &[Vec<(u64, i64)>]) -> Vec<(u64, BTreeMap<usize, f64>)> {
    let mut rows: BTreeMap<u64, BTreeMap<usize, f64>> = BTreeMap::new();
    for (player, latest) in players.iter().enumerate() {
        for (target_ns, late_ns) in latest {
            let row = rows.entry(*target_ns).or_default();
            row.insert(player, *late_ns as f64);
        }
    }
    rows.retain(|_, row| row.len() >= SPLIT_PLAYERS_MIN);
    rows.into_iter().collect()
}

/// Whoever played at one of these times lately.
fn together(players: &[Vec<(u64, i64)>]) -> BTreeSet<usize> {
    let rows = full_rows(players);
    let lately = rows.iter().rev().take(JUDGE_STANDS);
    lately.flat_map(|(_, row)| row.keys().copied()).collect()
}

/// Two groups, if the latest beats tell them, or one of those before that what was told stands for.
fn split(players: &[Vec<(u64, i64)>], habits: &[Option<Habit>]) -> Option<Judged> {
    let rows = full_rows(players);
    let skipped = rows.len().saturating_sub(JUDGE_STANDS + SPLIT_BEATS);
    let mut latest: Option<Judged> = None;
    for beats in rows[skipped..].windows(SPLIT_BEATS) {
        let mut played: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (player, late_ns) in beats.iter().flat_map(|(_, row)| row) {
            played.entry(*player).or_default().push(*late_ns);
        }
        // Whoever played at fewer than most of them says too little; of whom nothing is learnt, nothing is
        // told.
        played
            .retain(|player, late_ns| 2 * late_ns.len() > SPLIT_BEATS && habits[*player].is_some());
        let sigmas = played.keys().filter_map(|one| habits[*one]);
        // The middle, not the mean: one action that was late for a reason of its own moves nobody.
        let sigma_ns = median(sigmas.map(|one| MEDIAN_OVER_MEAN * one.sigma));
        let mut means: Vec<(f64, usize)> = played
            .into_iter()
            .filter_map(|(player, late_ns)| Some((median(late_ns.into_iter())?, player)))
            .collect();
        if means.len() < SPLIT_PLAYERS_MIN {
            continue;
        }
        means.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let sigma_ns = sigma_ns.unwrap_or(JUDGE_SIGMA_NS_MIN);
        let Some(failure) = split_of(&means, sigma_ns) else {
            continue;
        };
        let Failure::Split { apart_ns, .. } = failure else {
            continue;
        };
        let since_ns = latest.map_or(beats[0].0, |one| one.since_ns);
        let told_ns = beats[SPLIT_BEATS - 1].0;
        let lasts = rows
            .iter()
            .filter(|(at_ns, _)| (since_ns..=told_ns).contains(at_ns));
        latest = Some(Judged {
            failure,
            off_ns: apart_ns,
            sigma_ns,
            since_ns,
            told_ns,
            actions: lasts.count() as u32,
            reason: None,
        });
    }
    latest
}
