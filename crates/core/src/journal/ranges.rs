//! A set of sequence numbers, kept as sorted ranges, because what is held is nearly always all.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// A set of sequence numbers. Ranges are inclusive, sorted, and never touch each other.
#[derive(Clone, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one number.
    pub fn insert(&mut self, seq: u64) {
        self.insert_range(seq, seq);
    }

    /// Adds every number from `first` to `last`, both included; nothing if `last` is smaller.
    pub fn insert_range(&mut self, first: u64, last: u64) {
        if last < first {
            return;
        }
        // The common case is the next number of a log.
        if let Some(end) = self.0.last_mut()
            && first >= end.0
            && first <= end.1.saturating_add(1)
        {
            end.1 = end.1.max(last);
            return;
        }
        let from = self
            .0
            .partition_point(|range| range.1 < first.saturating_sub(1));
        let to = self
            .0
            .partition_point(|range| range.0 <= last.saturating_add(1));
        let mut joined = (first, last);
        for range in &self.0[from..to] {
            joined = (joined.0.min(range.0), joined.1.max(range.1));
        }
        self.0.splice(from..to, [joined]);
    }

    /// Adds every number of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (first, last) in other.iter() {
            self.insert_range(first, last);
        }
    }

    /// Whether the number is in the set.
    pub fn contains(&self, seq: u64) -> bool {
        self.first_from(seq) == Some(seq)
    }

    /// The smallest number in the set that is not below `seq`.
    pub fn first_from(&self, seq: u64) -> Option<u64> {
        let at = self.0.partition_point(|range| range.1 < seq);
        self.0.get(at).map(|range| range.0.max(seq))
    }

    /// The largest number in the set.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|range| range.1)
    }

    /// How many numbers are in the set.
    pub fn count(&self) -> u64 {
        self.iter().fold(0, |sum, (first, last)| {
            sum.saturating_add((last - first).saturating_add(1))
        })
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, first to last, both ends included.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// What is in this set and not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = Self::new();
        for (first, last) in self.iter() {
            let mut next = Some(first);
            let at = other.0.partition_point(|range| range.1 < first);
            for &(from, to) in other.0[at..].iter().take_while(|range| range.0 <= last) {
                if let Some(start) = next
                    && start < from
                {
                    rest.insert_range(start, from - 1);
                }
                next = to.checked_add(1);
            }
            if let Some(start) = next {
                rest.insert_range(start, last);
            }
        }
        rest
    }
}

impl FromIterator<(u64, u64)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(ranges: I) -> Self {
        let mut set = Self::new();
        for (first, last) in ranges {
            set.insert_range(first, last);
        }
        set
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{self}]")
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn numbers(ranges: &Ranges) -> BTreeSet<u64> {
        ranges
            .iter()
            .flat_map(|(first, last)| first..=last)
            .collect()
    }

    proptest! {
        #[test]
        fn ranges_are_a_set(
            left in prop::collection::vec((0u64..60, 0u64..6), 0..30),
            right in prop::collection::vec((0u64..60, 0u64..6), 0..30),
        ) {
            let make = |parts: &[(u64, u64)]| -> Ranges {
                parts.iter().map(|&(first, more)| (first, first + more)).collect()
            };
            let set = |parts: &[(u64, u64)]| -> BTreeSet<u64> {
                parts.iter().flat_map(|&(first, more)| first..=first + more).collect()
            };
            let (a, b) = (make(&left), make(&right));
            let (x, y) = (set(&left), set(&right));
            prop_assert_eq!(numbers(&a), x.clone());
            prop_assert_eq!(a.count(), x.len() as u64);
            prop_assert_eq!(numbers(&a.without(&b)), &x - &y);
            for seq in 0..70 {
                prop_assert_eq!(a.contains(seq), x.contains(&seq));
                prop_assert_eq!(a.first_from(seq), x.range(seq..).next().copied());
            }
            // Sorted, and never touching: equal sets are equal values.
            let ranges: Vec<_> = a.iter().collect();
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }

    #[test]
    fn the_largest_number_is_a_number() {
        let mut ranges = Ranges::new();
        ranges.insert(u64::MAX);
        ranges.insert(u64::MAX - 1);
        ranges.insert(0);
        assert_eq!(
            ranges.iter().collect::<Vec<_>>(),
            [(0, 0), (u64::MAX - 1, u64::MAX)]
        );
        assert!(ranges.without(&ranges).is_empty());
    }
}
