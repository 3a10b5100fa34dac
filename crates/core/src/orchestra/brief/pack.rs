//! What of a brief goes in first, and how much of it fits.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{BriefLine, BriefPart, BriefView, TOKENS_MAX, TOKENS_MIN, heading, shown};

impl BriefView {
    /// What of it fits into so many tokens, by whatever counts them, in the order in which it is
    /// shown. Who and where the agent is is cut rather than left out.
    #[must_use]
    pub fn packed(mut self, tokens_max: u64, count: &dyn Fn(&str) -> u64) -> Self {
        self.tokens_max = tokens_max.clamp(TOKENS_MIN, TOKENS_MAX);
        let mut headed: BTreeSet<BriefPart> = BTreeSet::new();
        let mut spent = 0;
        let mut kept: Vec<BriefLine> = Vec::new();
        for line in core::mem::take(&mut self.lines) {
            let head = if headed.contains(&line.part) {
                0
            } else {
                count(&heading(line.part))
            };
            let more = head + count(&shown(&line.text));
            if spent + more > self.tokens_max && line.part != BriefPart::You {
                *self.left_out.entry(line.part).or_default() += 1;
                continue;
            }
            spent += more;
            headed.insert(line.part);
            kept.push(line);
        }
        // A text can have more tokens than its lines have one by one, and the first line may be all
        // that there is room for.
        loop {
            self.lines.clone_from(&kept);
            self.lines.sort_by_key(|line| (line.part, line.order));
            self.tokens = count(&self.markdown());
            if self.tokens <= self.tokens_max {
                return self;
            }
            match kept.last_mut() {
                Some(last) if last.part != BriefPart::You => {
                    *self.left_out.entry(last.part).or_default() += 1;
                    kept.pop();
                }
                Some(you) if !you.text.is_empty() => {
                    let chars = you.text.chars().count() * 3 / 4;
                    you.text = you.text.chars().take(chars).collect();
                }
                _ => return self,
            }
        }
    }
}

/// The most useful first: what is pinned, then by worth, where each further line of a part is worth
/// less than the one before.
pub(super) fn ranked(lines: Vec<BriefLine>) -> Vec<BriefLine> {
    let mut counts: BTreeMap<BriefPart, u32> = BTreeMap::new();
    let mut ranked: Vec<(bool, u32, BriefLine)> = Vec::new();
    for line in lines {
        let count = counts.entry(line.part).or_default();
        let half_at = line.part.half_at();
        let worth = line.part.worth() * half_at / (half_at + *count);
        *count += 1;
        let first = line.part == BriefPart::You || line.pinned;
        ranked.push((!first, u32::MAX - worth, line));
    }
    ranked.sort_by_key(|(later, rank, line)| (*later, *rank, line.order));
    ranked.into_iter().map(|(_, _, line)| line).collect()
}
