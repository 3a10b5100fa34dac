//! What agents use of what is allotted to them, and whether they stay beyond what they may (TIME-11).
//!
//! Less than what is allotted harms nobody, and one stretch of actions that needed more is chance. What adds up
//! beyond the bound is a limit of resources that somebody runs into, or makes others run into.

use alloc::vec::Vec;

use unisono_model::Used;

use super::habit::SIGMAS_OF_HALF;
use super::limits::{
    JUDGE_ALARM, JUDGE_SLACK, JUDGE_STANDS, USED_CLIP, USED_LATELY, USED_LEARNS, USED_SIGMA_MIN,
};
use super::watch::{Cusum, median};

/// What an agent uses of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Which share of what is allotted it uses lately: the middle of its latest stretches of actions.
    pub share: f64,
    /// How many stretches it has told of.
    pub stretches: u32,
    /// How many actions they were of.
    pub actions: u64,
    /// How much was used in them.
    pub used: u64,
    /// How much was allotted for them.
    pub allotted: u64,
    /// How it stays beyond what it may, if it does.
    pub over: Option<Overuse>,
}

/// Use that stays beyond what is allotted, and beyond what may vary of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overuse {
    /// Since when, by when the last action of a stretch was meant to be (ns since the Unix epoch).
    pub since_ns: u64,
    /// When it was told last, by the same.
    pub told_ns: u64,
    /// How many stretches it took from the one to the other.
    pub stretches: u32,
}

/// Faults that are planted to see whether they are found; none in the product.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UsageFault {
    /// What may vary counts as too much.
    BoundIgnored,
    /// One stretch that is far beyond counts as far as it is.
    SinglesTell,
    /// Whoever is beyond is taken for whoever varies.
    NothingAddsUp,
}

/// What an agent uses of a resource, by its latest words, where it may use so much more than what is allotted
/// (millionths).
pub fn usage(latest: &[Used], more_ppm: u32) -> Usage {
    usage_with_fault(latest, more_ppm, None)
}

/// The same with a fault: for simulators.
pub fn usage_with_fault(latest: &[Used], more_ppm: u32, fault: Option<UsageFault>) -> Usage {
    let mut latest = latest.to_vec();
    // By when they were: told in which order, is chance.
    latest.sort_by_key(|used| used.until_ns);
    let shares: Vec<f64> = latest.iter().map(share).collect();
    let lately = shares.iter().rev().take(USED_LATELY).copied();
    let sum = |of: fn(&Used) -> u64| {
        let each = latest.iter().map(of);
        each.fold(0, u64::saturating_add)
    };
    Usage {
        share: median(lately).unwrap_or_default(),
        stretches: latest.len() as u32,
        actions: sum(|used| used.actions.into()),
        used: sum(|used| used.used),
        allotted: sum(|used| used.allotted),
        over: over(&latest, &shares, more_ppm, fault),
    }
}

/// Which share of what was allotted was used.
fn share(used: &Used) -> f64 {
    used.used as f64 / used.allotted.max(1) as f64
}

fn over(
    latest: &[Used],
    shares: &[f64],
    more_ppm: u32,
    fault: Option<UsageFault>,
) -> Option<Overuse> {
    if latest.len() < USED_LEARNS || fault == Some(UsageFault::NothingAddsUp) {
        return None;
    }
    let more = match fault {
        Some(UsageFault::BoundIgnored) => 0.0,
        _ => f64::from(more_ppm) / 1e6,
    };
    let sigma = sigma(shares);
    let mut cusum = Cusum::new(JUDGE_SLACK, JUDGE_ALARM);
    let (mut since, mut told) = (0_usize, None);
    for (index, share) in shares.iter().enumerate() {
        if cusum.is_calm() {
            since = index;
        }
        let beyond = (share - 1.0 - more) / sigma;
        let counts = match fault {
            Some(UsageFault::SinglesTell) => beyond,
            _ => beyond.clamp(-USED_CLIP, USED_CLIP),
        };
        // Less than what may be used adds nothing up.
        if cusum.push_each(counts, 0.0).is_some() {
            // While what was told stands, it is the same that goes on.
            told = match told {
                Some((first, last)) if since <= last + JUDGE_STANDS => Some((first, index)),
                _ => Some((since, index)),
            };
        }
    }
    let (since, index): (usize, usize) = told?;
    (index + JUDGE_STANDS >= latest.len()).then(|| Overuse {
        since_ns: latest[since].until_ns,
        told_ns: latest[index].until_ns,
        stretches: (index - since + 1) as u32,
    })
}

/// One sigma of a share, by how neighbours differ: what is used more from some time on does not widen it.
fn sigma(shares: &[f64]) -> f64 {
    let apart = shares.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let half = median(apart).unwrap_or_default();
    // Neighbours differ by twice the variance of one.
    (half / SIGMAS_OF_HALF / core::f64::consts::SQRT_2).max(USED_SIGMA_MIN)
}
