//! What most of several sources agree on.

use alloc::vec::Vec;

use super::now::Interval;

/// Where most sources overlap.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Agreement {
    /// The stretch that the largest number of sources contains.
    pub interval: Interval,
    /// Which of them contain it, in the order in which they were given.
    pub agreeing: Vec<usize>,
}

/// The stretch that most of the intervals share (Marzullo's algorithm; Marzullo and Owicki, 1983), if
/// more than half of them do: with f liars among 2f + 1 sources the truth is inside. Intervals that
/// end before they begin are nobody's. Where two stretches are shared by equally many, the earlier
/// one counts, and with more than half of the sources there is only one.
pub fn intersect(intervals: &[Interval]) -> Option<Agreement> {
    let sound = intervals
        .iter()
        .filter(|one| one.earliest_ns <= one.latest_ns);
    // At equal times beginnings come before ends: intervals that touch overlap.
    let mut ends: Vec<(u64, bool)> = sound
        .flat_map(|one| [(one.earliest_ns, false), (one.latest_ns, true)])
        .collect();
    ends.sort_unstable();
    let mut open = 0_usize;
    let mut most = 0_usize;
    let mut best = Interval::default();
    for (place, (at_ns, is_end)) in ends.iter().enumerate() {
        if *is_end {
            open -= 1;
            continue;
        }
        open += 1;
        if open > most {
            most = open;
            let latest_ns = ends.get(place + 1).map_or(*at_ns, |(next, _)| *next);
            best = Interval {
                earliest_ns: *at_ns,
                latest_ns,
            };
        }
    }
    if 2 * most <= intervals.len() {
        return None;
    }
    let contains =
        |one: &Interval| one.earliest_ns <= best.earliest_ns && best.latest_ns <= one.latest_ns;
    let agreeing = (0..intervals.len())
        .filter(|place| contains(&intervals[*place]))
        .collect();
    Some(Agreement {
        interval: best,
        agreeing,
    })
}
