//! Where the readable past begins, so that it holds only so many records: time alone would let a
//! busy hour fill the memory.

use alloc::collections::VecDeque;

use unisono_model::Stamp;

/// Most records that stay readable without the logs, once everybody is past them, up to one mark
/// more. What lies before is read from the logs.
pub const READABLE_RECORDS_MAX: usize = 32 * 1024;
/// Records between two marks.
const MARK_RECORDS: u32 = 1_024;
const MARKS_MAX: usize = READABLE_RECORDS_MAX / MARK_RECORDS as usize;

/// Stamps of the latest records, one for each thousand.
#[derive(Clone, Debug, Default)]
pub struct Window {
    marks: VecDeque<Stamp>,
    unmarked: u32,
    highest: Stamp,
}

impl Window {
    /// A record was folded.
    pub fn insert(&mut self, stamp: Stamp) {
        self.highest = self.highest.max(stamp);
        self.unmarked += 1;
        if self.unmarked == MARK_RECORDS {
            self.unmarked = 0;
            // One mark too many is what tells where the window begins.
            if self.marks.len() > MARKS_MAX {
                self.marks.pop_front();
            }
            self.marks.push_back(self.highest);
        }
    }

    /// Above this stamp stand at most [`READABLE_RECORDS_MAX`] records, as far as they came in the
    /// order of their stamps.
    pub fn begins(&self) -> Stamp {
        let full = self.marks.len() > MARKS_MAX;
        self.marks
            .front()
            .copied()
            .filter(|_| full)
            .unwrap_or(Stamp::MIN)
    }

    /// What stands at or below a stamp is left to the logs.
    pub fn prune(&mut self, frontier: Stamp) {
        let above = self.marks.partition_point(|mark| *mark <= frontier);
        self.marks.drain(..above);
        if frontier >= self.highest {
            self.unmarked = 0;
        }
    }

    /// About how many records are readable: a mark's worth more or less, where what was pruned lay
    /// between two.
    pub fn records(&self) -> u64 {
        self.marks.len() as u64 * u64::from(MARK_RECORDS) + u64::from(self.unmarked)
    }

    /// The highest stamp that was folded.
    pub fn highest(&self) -> Stamp {
        self.highest
    }

    /// Nothing above this stamp was folded before: what a checkpoint's logs say.
    pub fn restored(&mut self, highest: Stamp) {
        self.highest = self.highest.max(highest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_begins_where_it_holds_no_more_than_its_most() {
        let mut window = Window::default();
        let most = READABLE_RECORDS_MAX as u64;
        for stamp in 1..=most {
            window.insert(Stamp(stamp));
        }
        assert_eq!(window.begins(), Stamp::MIN, "nothing is too much yet");
        for stamp in most + 1..=3 * most {
            window.insert(Stamp(stamp));
            let above = stamp - window.begins().0;
            assert!(above < most + u64::from(MARK_RECORDS), "{above} at {stamp}");
        }
        assert!(window.begins() > Stamp(most));
        assert_eq!(window.records(), most + u64::from(MARK_RECORDS));
        let some = 5 * u64::from(MARK_RECORDS) + 7;
        window.prune(Stamp(3 * most - some));
        let off = window.records().abs_diff(some);
        assert!(off <= u64::from(MARK_RECORDS), "off by {off}");
        window.prune(Stamp(3 * most));
        assert_eq!(window.records(), 0);
        assert_eq!(window.highest(), Stamp(3 * most));
    }
}
