//! Texts that were written at once, as one: the shortest text in which each of two stands whole, line
//! by line and in its own order, so that what both say is said once and nothing that either says is
//! lost, be it a blank line or one that it says twice. What they were changed from may be forgotten
//! on some replicas, so it has no part in it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Most pairs of lines that are held against each other for one field, where beginnings and ends that
/// are the same do not count: 256 lines of one against 256 of another. Every reader pays for it.
const PAIRS_MAX: usize = 64 * 1_024;

/// All texts as one, each laid over what the ones before it come to; empty ones have no part in it.
pub(super) fn merged<'a>(texts: impl Iterator<Item = &'a str>) -> Result<String, &'static str> {
    let mut told: Vec<&str> = Vec::new();
    let mut pairs = 0;
    for text in texts.filter(|text| !text.is_empty()) {
        let own: Vec<&str> = text.split('\n').collect();
        if told.is_empty() {
            told = own;
            continue;
        }
        let first = same(told.iter(), own.iter());
        let (left, right) = (&told[first..], &own[first..]);
        let last = same(left.iter().rev(), right.iter().rev());
        let (left, right) = (&left[..left.len() - last], &right[..right.len() - last]);
        pairs += left.len() * right.len();
        if pairs > PAIRS_MAX {
            return Err("too many of their lines differ");
        }
        let mut next = told[..first].to_vec();
        lay(left, right, &mut next);
        next.extend(&told[told.len() - last..]);
        told = next;
    }
    Ok(told.join("\n"))
}

/// How many come first in both.
fn same<'a>(
    one: impl Iterator<Item = &'a &'a str>,
    other: impl Iterator<Item = &'a &'a str>,
) -> usize {
    one.zip(other)
        .take_while(|(one, other)| one == other)
        .count()
}

/// Appends the shortest text in which both stand: a line that both come to at once is taken for both;
/// else one of the first, if no fewer lines of the rest are shared behind it than behind one of the
/// second.
fn lay<'a>(left: &[&'a str], right: &[&'a str], told: &mut Vec<&'a str>) {
    // Lines are compared by number: most are as long as others, and begin alike.
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut number = |line: &&'a str| {
        let next = numbers.len();
        *numbers.entry(line).or_insert(next)
    };
    let ones: Vec<usize> = left.iter().map(&mut number).collect();
    let others: Vec<usize> = right.iter().map(&mut number).collect();
    // How many lines are shared behind each pair of lines.
    let wide = right.len() + 1;
    let mut shared = alloc::vec![0_u32; (left.len() + 1) * wide];
    for one in (0..left.len()).rev() {
        for other in (0..right.len()).rev() {
            shared[one * wide + other] = if ones[one] == others[other] {
                shared[(one + 1) * wide + other + 1] + 1
            } else {
                shared[(one + 1) * wide + other].max(shared[one * wide + other + 1])
            };
        }
    }
    let (mut one, mut other) = (0, 0);
    while one < left.len() && other < right.len() {
        if ones[one] == others[other] {
            told.push(left[one]);
            (one, other) = (one + 1, other + 1);
        } else if shared[(one + 1) * wide + other] >= shared[one * wide + other + 1] {
            told.push(left[one]);
            one += 1;
        } else {
            told.push(right[other]);
            other += 1;
        }
    }
    told.extend(&left[one..]);
    told.extend(&right[other..]);
}
