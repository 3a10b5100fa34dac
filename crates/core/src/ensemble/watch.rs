//! What goes wrong in an ensemble, found from how late everybody is: rushing, dragging, drift, split.

use alloc::vec::Vec;

use super::limits::{
    CUSUM_ALARM, CUSUM_SLACK, SPLIT_BEATS, SPLIT_PLAYERS_MIN, SPLIT_SHARE, SPLIT_SIGMAS_MIN,
    WATCH_LEARNS,
};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// A player is early again and again.
    Rushing {
        /// Which.
        player: usize,
    },
    /// A player is late again and again.
    Dragging {
        /// Which.
        player: usize,
    },
    /// All together leave the beat; late where more than nothing (ns, the last median).
    Drift {
        /// By how much.
        middle_ns: f64,
    },
    /// Two groups keep to two beats.
    Split {
        /// Who does not keep to the beat that counts.
        astray: Vec<usize>,
        /// How far the groups are apart (ns).
        apart_ns: f64,
    },
}

/// What probably lies behind it (part VII of the seed).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cause {
    /// One player's own: its clock, its load, its corrections.
    Player,
    /// All alike: the beat, or its period, is wrong.
    Beat,
    /// Two sources of time, or a cut between the groups.
    TwoReferences,
    /// A limit of resources: more is used than is allotted.
    Resources,
}

/// What helps (part VII of the seed).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Recovery {
    /// Hold the rate: correct period, and look at the gains.
    HoldRate,
    /// Relieve the player, or give it more notice.
    MoreNotice,
    /// Correct the period of all, or meet at a coordination point.
    CorrectPeriod,
    /// Those astray follow the group that keeps to the beat, after a barrier.
    Barrier,
    /// Less is done at once, or more is allotted.
    Relieve,
}

impl Failure {
    /// What probably lies behind it.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Rushing { .. } | Self::Dragging { .. } => Cause::Player,
            Self::Drift { .. } => Cause::Beat,
            Self::Split { .. } => Cause::TwoReferences,
        }
    }

    /// The places of those whom it concerns, among so many; of a drift all.
    pub(super) fn concerned(&self, players: usize) -> Vec<usize> {
        match self {
            Self::Rushing { player } | Self::Dragging { player } => Vec::from([*player]),
            Self::Drift { .. } => (0..players).collect(),
            Self::Split { astray, .. } => astray.clone(),
        }
    }

    /// What helps.
    pub fn recovery(&self) -> Recovery {
        match self {
            Self::Rushing { .. } => Recovery::HoldRate,
            Self::Dragging { .. } => Recovery::MoreNotice,
            Self::Drift { .. } => Recovery::CorrectPeriod,
            Self::Split { .. } => Recovery::Barrier,
        }
    }
}

/// Sums up what is more than chance, in both directions (Page, 1954).
#[derive(Clone, Copy, Debug)]
pub struct Cusum {
    late: f64,
    early: f64,
    /// What it lets pass at each error, and where it tells, sigmas.
    slack: f64,
    alarm: f64,
}

impl Default for Cusum {
    fn default() -> Self {
        Self::new(CUSUM_SLACK, CUSUM_ALARM)
    }
}

/// Which way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alarm {
    /// Late.
    Late,
    /// Early.
    Early,
}

impl Cusum {
    /// One that lets so much pass at each error, and tells beyond so much (sigmas).
    pub fn new(slack: f64, alarm: f64) -> Self {
        Self {
            late: 0.0,
            early: 0.0,
            slack,
            alarm,
        }
    }

    /// Whether nothing is summed up either way.
    pub fn is_calm(&self) -> bool {
        self.late <= 0.0 && self.early <= 0.0
    }

    /// An error in sigmas. By chance alone there is one alarm in 65,000 errors about a known level; a
    /// shift by one sigma is found after 20, by two after 7.
    pub fn push(&mut self, sigmas: f64) -> Option<Alarm> {
        self.push_each(sigmas, sigmas)
    }

    /// The same where late is more than another level than early is less than.
    pub(super) fn push_each(&mut self, late_sigmas: f64, early_sigmas: f64) -> Option<Alarm> {
        if !late_sigmas.is_finite() || !early_sigmas.is_finite() {
            return None;
        }
        self.late = (self.late + late_sigmas - self.slack).max(0.0);
        self.early = (self.early - early_sigmas - self.slack).max(0.0);
        let alarm = if self.late > self.alarm {
            Some(Alarm::Late)
        } else if self.early > self.alarm {
            Some(Alarm::Early)
        } else {
            None
        };
        if alarm.is_some() {
            *self = Self::new(self.slack, self.alarm);
        }
        alarm
    }
}

/// Watches an ensemble, beat by beat.
#[derive(Clone, Debug)]
pub struct Watch {
    players: Vec<Player>,
    all: Cusum,
    /// Errors of the last beats, one row a beat.
    rows: Vec<Vec<f64>>,
    /// The level of all, while it is learnt.
    level: Level,
}

#[derive(Clone, Copy, Debug, Default)]
struct Player {
    cusum: Cusum,
    level: Level,
}

/// Where errors lie and how they spread, learnt from the first ones.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    count: u32,
    mean: f64,
    squares: f64,
}

impl Level {
    fn learns(&mut self, value: f64) -> bool {
        if self.count >= WATCH_LEARNS {
            return false;
        }
        self.count += 1;
        let off = value - self.mean;
        self.mean += off / f64::from(self.count);
        self.squares += off * (value - self.mean);
        true
    }

    fn sigma(&self) -> f64 {
        libm::sqrt(self.squares / f64::from(self.count.max(2) - 1)).max(1.0)
    }

    fn sigmas(&self, value: f64) -> f64 {
        (value - self.mean) / self.sigma()
    }
}

impl Watch {
    /// Watches so many players.
    pub fn new(players: usize) -> Self {
        Self {
            players: alloc::vec![Player::default(); players],
            all: Cusum::default(),
            rows: Vec::new(),
            level: Level::default(),
        }
    }

    /// One beat: how late everybody was (ns), in the order of the players; not a number for whoever
    /// did not play. What all have in common is told as drift and not of each.
    ///
    /// What they have in common is the median: one player far off would move the mean, and with it
    /// everybody else away from it.
    pub fn beat(&mut self, late_ns: &[f64]) -> Vec<Failure> {
        let mut found = Vec::new();
        if late_ns.len() != self.players.len() {
            return found;
        }
        let Some(middle_ns) = median(late_ns.iter().copied()) else {
            return found;
        };
        if !self.level.learns(middle_ns) && self.all.push(self.level.sigmas(middle_ns)).is_some() {
            found.push(Failure::Drift { middle_ns });
        }
        for (player, (one, late_ns)) in self.players.iter_mut().zip(late_ns).enumerate() {
            let own_ns = late_ns - middle_ns;
            if !own_ns.is_finite() || one.level.learns(own_ns) {
                continue;
            }
            match one.cusum.push(one.level.sigmas(own_ns)) {
                Some(Alarm::Late) => found.push(Failure::Dragging { player }),
                Some(Alarm::Early) => found.push(Failure::Rushing { player }),
                None => {}
            }
        }
        if self.rows.len() == SPLIT_BEATS {
            self.rows.remove(0);
        }
        self.rows.push(late_ns.to_vec());
        found.extend(self.split());
        found
    }

    /// Two groups, if the means of the last beats fall apart into two far better than chance lets
    /// one group do. False in one of a thousand looks.
    fn split(&self) -> Option<Failure> {
        if self.rows.len() < SPLIT_BEATS {
            return None;
        }
        // Whoever played at fewer than most of them says too little.
        let mean = |player: usize| {
            let row = self.rows.iter().map(|row| row[player]);
            let played: Vec<f64> = row.filter(|late_ns| late_ns.is_finite()).collect();
            let enough = 2 * played.len() > SPLIT_BEATS;
            enough.then(|| (played.iter().sum::<f64>() / played.len() as f64, player))
        };
        let mut means: Vec<(f64, usize)> = (0..self.players.len()).filter_map(mean).collect();
        if means.len() < SPLIT_PLAYERS_MIN {
            return None;
        }
        means.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        split_of(&means, self.own_sigma_ns())
    }

    /// How a player spreads about its own mean, on average.
    fn own_sigma_ns(&self) -> f64 {
        let sum: f64 = self.players.iter().map(|one| one.level.sigma()).sum();
        sum / self.players.len().max(1) as f64
    }
}

/// Two groups of players, by the sorted means of [`SPLIT_BEATS`] beats and how much one action of a player
/// spreads (ns), if they fall apart.
pub(super) fn split_of(means: &[(f64, usize)], own_sigma_ns: f64) -> Option<Failure> {
    let (at, share) = best_cut(means)?;
    let players = means.len() as f64;
    let bound = SPLIT_SHARE - (1.11 - 1.35 / players) / libm::sqrt(players);
    let (low, high) = means.split_at(at);
    let middle = |group: &[(f64, usize)]| {
        group.iter().map(|(mean, _)| mean).sum::<f64>() / group.len() as f64
    };
    let (low_ns, high_ns) = (middle(low), middle(high));
    let sigma_ns = own_sigma_ns / libm::sqrt(SPLIT_BEATS as f64);
    if share > bound || high_ns - low_ns < SPLIT_SIGMAS_MIN * sigma_ns {
        return None;
    }
    // The beat counts, not the number of heads.
    let astray = if low_ns.abs() <= high_ns.abs() {
        high
    } else {
        low
    };
    let mut astray: Vec<usize> = astray.iter().map(|(_, player)| *player).collect();
    astray.sort_unstable();
    Some(Failure::Split {
        astray,
        apart_ns: high_ns - low_ns,
    })
}

/// The middle of what is a number, if anything is.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let high = *values.get(values.len() / 2)?;
    let low = values[(values.len() - 1) / 2];
    Some(low + (high - low) / 2.0)
}

/// Where a sorted row falls apart into two groups of two or more best, and what share of the spread
/// is left within them.
fn best_cut(means: &[(f64, usize)]) -> Option<(usize, f64)> {
    let count = means.len() as f64;
    let sum: f64 = means.iter().map(|(mean, _)| mean).sum();
    let squares: f64 = means.iter().map(|(mean, _)| mean * mean).sum();
    let all = squares - sum * sum / count;
    if all <= 0.0 {
        return None;
    }
    let mut best = (0, 0.0);
    let mut below = 0.0;
    for (index, (mean, _)) in means.iter().enumerate() {
        let at = index as f64;
        if index >= 2 && means.len() - index >= 2 {
            let above = sum - below;
            let between = below * below / at + above * above / (count - at) - sum * sum / count;
            if between > best.1 {
                best = (index, between);
            }
        }
        below += mean;
    }
    (best.0 > 0).then_some((best.0, 1.0 - best.1 / all))
}
