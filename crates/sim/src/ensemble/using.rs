//! What agents use of what is allotted to them, word after word: how often somebody is told of who may use so much,
//! and how soon it is told of who stays beyond.

use unisono_core::ensemble::{Usage, UsageFault, usage_with_fault};
use unisono_model::{Resource, Used};

use super::loops::Judged;
use crate::timing::draw::Draw;

/// By how much more than what is allotted agents may use, millionths.
const MORE_PPM: u32 = 200_000;
/// What is allotted to a stretch of actions: enough that shares are no steps.
const ALLOTTED: u64 = 10_000;
/// How many words of an agent a node holds.
const HELD: usize = 64;
/// From word to word, ns.
const STRETCH_NS: u64 = 1_000_000_000;
/// One stretch in so many needs far more than the others, where that happens: a cache is cold, something is built.
const SINGLE_ONE_IN: f64 = 20.0;
/// So many times what is allotted.
const SINGLE_SHARE: f64 = 4.0;

/// What an agent uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Uses {
    /// Which share of what is allotted, in the mean.
    pub share: f64,
    /// One sigma of a stretch, as a share of what is allotted.
    pub sigma: f64,
    /// Whether some stretches need far more.
    pub singles: bool,
}

/// What was said of one seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Noticed {
    /// Words at which it was told of it, while it used what it may.
    pub blamed: usize,
    /// Words that were looked at meanwhile.
    pub words: usize,
    /// After how many words it was told what it did then, if it was.
    pub found_after: Option<usize>,
    /// How much it was said to use in the end.
    pub share: f64,
}

/// One seed: so many words of who uses what it may, then so many of what it uses then.
pub fn notice(
    seed: u64,
    (meant, then): (Uses, Uses),
    (calm, trouble): (usize, usize),
    fault: Option<UsageFault>,
) -> Noticed {
    let mut draw = Draw::new(seed, "ensemble using", 0);
    let mut held: Vec<Used> = Vec::new();
    let mut noticed = Noticed::default();
    for word in 0..calm + trouble {
        let since = word.checked_sub(calm);
        let uses = if since.is_some() { then } else { meant };
        if held.len() == HELD {
            held.remove(0);
        }
        held.push(stretch(word, uses, &mut draw));
        let Usage { share, over, .. } = usage_with_fault(&held, MORE_PPM, fault);
        noticed.share = share;
        match since {
            Some(since) if over.is_some() => {
                noticed.found_after.get_or_insert(since + 1);
            }
            Some(_) => {}
            None => {
                noticed.words += 1;
                noticed.blamed += usize::from(over.is_some());
            }
        }
    }
    noticed
}

fn stretch(word: usize, uses: Uses, draw: &mut Draw) -> Used {
    let single = draw.uniform() * SINGLE_ONE_IN < 1.0;
    let normal = draw.normal();
    let share = if uses.singles && single {
        SINGLE_SHARE
    } else {
        uses.share + uses.sigma * normal
    };
    Used {
        resource: Resource::CpuMs,
        until_ns: 1_000 * STRETCH_NS + word as u64 * STRETCH_NS,
        actions: 2,
        used: (share.max(0.0) * ALLOTTED as f64) as u64,
        allotted: ALLOTTED,
    }
}

/// Whether on one seed whoever uses what it may is left in peace, however much single stretches need, and whoever
/// stays two sigmas beyond is told of within 32 words. With a fault planted, it should not be so.
pub fn judge_usage(seed: u64, fault: Option<UsageFault>) -> Judged {
    let mut draw = Draw::new(seed, "ensemble usage", 0);
    let sigma = 0.05 + 0.1 * draw.uniform();
    // Up to a sigma within what may be.
    let most = 1.2 - sigma;
    let meant = Uses {
        share: 0.3 + (most - 0.3) * draw.uniform(),
        sigma,
        singles: draw.uniform() < 0.5,
    };
    let then = Uses {
        share: 1.2 + 2.0 * sigma,
        ..meant
    };
    let noticed = notice(seed, (meant, then), (128, 32), fault);
    let violation = if noticed.blamed > 0 {
        Some(format!(
            "{meant:?}: it used what it may, and was blamed at {} of {} words",
            noticed.blamed, noticed.words
        ))
    } else if noticed.found_after.is_none() {
        Some(format!("{then:?}: not told within 32 words"))
    } else {
        None
    };
    Judged { violation }
}
