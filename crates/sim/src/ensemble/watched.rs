//! What goes wrong is provoked, and how soon the watch tells of it.

use unisono_core::ensemble::{Failure, Watch};

use super::stage::AGENTS;
use crate::timing::draw::Draw;

/// When the trouble begins, beats.
const CALM_BEATS: usize = 80;
/// How long it is waited for, beats.
const TROUBLE_BEATS: usize = 100;
/// One sigma of an action, ns.
const SIGMA_NS: f64 = 10e6;
/// Who is in trouble, of those who play.
const ASTRAY: usize = 15;

/// What is provoked, in sigmas of one action.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Provoked {
    /// Nothing: whatever is told is false.
    Nothing,
    /// One player is early by so much.
    Rushing(f64),
    /// One player is late by so much.
    Dragging(f64),
    /// All become later by so much with every beat.
    Drift(f64),
    /// Fifteen of fifty are late by so much.
    Split(f64),
}

impl Provoked {
    /// What tables are made of: from the least that should be found to what nobody can overlook.
    pub const EACH: [Self; 9] = [
        Self::Rushing(1.0),
        Self::Dragging(1.0),
        Self::Rushing(2.0),
        Self::Dragging(2.0),
        Self::Drift(0.1),
        Self::Drift(0.5),
        Self::Split(2.0),
        Self::Split(3.0),
        Self::Split(5.0),
    ];
}

/// What the watch said of one seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Watched {
    /// After how many beats it told of what was provoked, if it did.
    pub found_after: Option<usize>,
    /// What it told that was not so, by kind: of a player, of all, of groups.
    pub false_alarms: [usize; 3],
    /// How often it blamed a player who was not in trouble, while others were.
    pub blamed: usize,
    /// Looks that it could have been wrong at, by the same kinds.
    pub looks: [usize; 3],
}

/// Watches one seed.
pub fn watch(seed: u64, provoked: Provoked) -> Watched {
    let mut draw = Draw::new(seed, "ensemble watch", 0);
    let mut watch = Watch::new(AGENTS);
    let own: Vec<f64> = (0..AGENTS).map(|_| 2e6 * draw.normal()).collect();
    let mut watched = Watched::default();
    for beat in 0..CALM_BEATS + TROUBLE_BEATS {
        let trouble = beat.checked_sub(CALM_BEATS);
        let row: Vec<f64> = (0..AGENTS)
            .map(|agent| {
                let off = trouble.map_or(0.0, |since| provoked.off(agent, since));
                own[agent] + SIGMA_NS * (draw.normal() + off)
            })
            .collect();
        for failure in watch.beat(&row) {
            match trouble.filter(|_| provoked.is(&failure)) {
                Some(since) => {
                    watched.found_after.get_or_insert(since + 1);
                }
                None if trouble.is_none() || provoked == Provoked::Nothing => {
                    watched.false_alarms[kind(&failure)] += 1;
                }
                None if provoked.spares(&failure) => watched.blamed += 1,
                None => {}
            }
        }
        if trouble.is_none() || provoked == Provoked::Nothing {
            watched.looks[0] += AGENTS;
            watched.looks[1] += 1;
            watched.looks[2] += 1;
        }
    }
    watched
}

fn kind(failure: &Failure) -> usize {
    match failure {
        Failure::Rushing { .. } | Failure::Dragging { .. } => 0,
        Failure::Drift { .. } => 1,
        Failure::Split { .. } => 2,
    }
}

impl Provoked {
    fn off(self, agent: usize, since: usize) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Rushing(sigmas) if agent == 7 => -sigmas,
            Self::Dragging(sigmas) if agent == 7 => sigmas,
            Self::Rushing(_) | Self::Dragging(_) => 0.0,
            Self::Drift(sigmas) => sigmas * (since + 1) as f64,
            Self::Split(sigmas) if agent < ASTRAY => sigmas,
            Self::Split(_) => 0.0,
        }
    }

    /// Whether this is told of somebody who is not in trouble.
    fn spares(self, failure: &Failure) -> bool {
        let (Failure::Rushing { player } | Failure::Dragging { player }) = failure else {
            return false;
        };
        match self {
            Self::Rushing(_) | Self::Dragging(_) => *player != 7,
            Self::Split(_) => *player >= ASTRAY,
            Self::Nothing | Self::Drift(_) => true,
        }
    }

    fn is(self, failure: &Failure) -> bool {
        match (self, failure) {
            (Self::Rushing(_), Failure::Rushing { player })
            | (Self::Dragging(_), Failure::Dragging { player }) => *player == 7,
            (Self::Drift(_), Failure::Drift { .. }) => true,
            (Self::Split(_), Failure::Split { astray, .. }) => {
                let rightly = astray.iter().filter(|player| **player < ASTRAY).count();
                rightly * 2 > astray.len()
            }
            _ => false,
        }
    }
}
