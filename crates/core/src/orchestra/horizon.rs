//! How far the past is settled: what the members' signed heads say.

use alloc::vec::Vec;

use unisono_model::Stamp;

/// One member's word.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MemberHead {
    /// Nothing of this member can come any more at or below this stamp.
    pub head: Stamp,
    /// It cannot have stamped anything below its admission.
    pub since: Stamp,
    /// From here on it is not waited for.
    pub removed_from: Option<Stamp>,
}

/// What all members have said.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Horizon {
    /// One for each member ever admitted.
    pub members: Vec<MemberHead>,
}

impl Horizon {
    /// Whether nothing can come any more at or below a stamp, from anybody whose claims could be
    /// granted.
    pub fn settled(&self, stamp: Stamp) -> bool {
        !self.members.is_empty()
            && self.members.iter().all(|member| {
                member.since > stamp
                    || member.head >= stamp
                    || member.removed_from.is_some_and(|from| from <= stamp)
            })
    }

    /// The stability frontier: the lowest head of the members that are not removed. At or below it
    /// folds may be pruned. What a removed member still brings from below it, folds again what it
    /// concerns.
    pub fn frontier(&self) -> Stamp {
        let staying = self
            .members
            .iter()
            .filter(|member| member.removed_from.is_none());
        let lowest = staying
            .map(|member| member.head)
            .min()
            .unwrap_or(Stamp::MIN);
        let leaving = self
            .members
            .iter()
            .filter(|m| m.removed_from.is_some_and(|e| e > lowest));
        leaving
            .map(|member| member.head)
            .min()
            .map_or(lowest, |head| head.min(lowest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(head: u64, since: u64, removed_from: Option<u64>) -> MemberHead {
        MemberHead {
            head: Stamp(head),
            since: Stamp(since),
            removed_from: removed_from.map(Stamp),
        }
    }

    #[test]
    fn the_lowest_head_settles() {
        let horizon = Horizon {
            members: [member(10, 0, None), member(7, 0, None)].into(),
        };
        assert_eq!(horizon.frontier(), Stamp(7));
        assert!(horizon.settled(Stamp(7)));
        assert!(!horizon.settled(Stamp(8)));
    }

    #[test]
    fn a_removed_member_is_waited_for_below_its_removal_only() {
        let horizon = Horizon {
            members: [member(100, 0, None), member(7, 0, Some(50))].into(),
        };
        assert_eq!(horizon.frontier(), Stamp(100));
        assert!(!horizon.settled(Stamp(49)));
        assert!(horizon.settled(Stamp(50)));
    }

    #[test]
    fn a_member_admitted_later_is_not_asked() {
        let horizon = Horizon {
            members: [member(100, 0, None), member(0, 60, None)].into(),
        };
        assert!(horizon.settled(Stamp(59)));
        assert!(!horizon.settled(Stamp(60)));
    }
}
