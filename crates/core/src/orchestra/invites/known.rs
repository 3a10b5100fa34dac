//! The authorities whose words on invites count, and until when.

use alloc::collections::BTreeMap;

use unisono_model::{AuthorityId, Stamp, SuccessionWord};

use crate::orchestra::FoldRules;
use crate::orchestra::authorities::Authorities;

/// The authorities that there were, each with its end.
#[derive(Clone, Debug)]
pub(super) struct Known {
    ends_ms: BTreeMap<AuthorityId, Option<u64>>,
}

impl Known {
    pub(super) fn new(authorities: &Authorities, rules: &FoldRules) -> Self {
        let words = || authorities.all().map(|said| &said.word);
        let first = words().filter(|word| word.number == 1);
        // Whose place the first one takes made the cluster: whoever joined later knows it by that.
        let founding = first.map(|word| word.former).chain(rules.authority);
        let ranks = founding.map(|key| (0, key));
        let ranks = ranks.chain(words().map(SuccessionWord::rank));
        let ends = ranks.map(|rank| (rank.1, SuccessionWord::end_ms(words(), rank)));
        Self {
            ends_ms: ends.collect(),
        }
    }

    /// Whether an authority's word counts at a stamp.
    pub(super) fn speaks(&self, authority: &AuthorityId, at: Stamp) -> bool {
        let end_ms = self.ends_ms.get(authority);
        end_ms.is_some_and(|end_ms| end_ms.is_none_or(|end_ms| at.as_ms() < end_ms))
    }
}
