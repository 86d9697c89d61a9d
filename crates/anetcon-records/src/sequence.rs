//! The sequence numbers of kernel log records: what was lost between two of them, and what was seen before.
//!
//! Pure. The kernel numbers every record since boot without a gap, so a jump is exactly the number of records that
//! were overwritten before they could be read. It tells nothing about whose records they were.

/// Watches the sequence numbers of one boot.
#[derive(Debug, Clone)]
pub struct Sequence {
    last: Option<u64>,
    /// Up to here records were handled by an earlier run. Only set until the reader has caught up.
    skip_to: Option<u64>,
    highest_skipped: Option<u64>,
}

/// What one sequence number means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// A new record, and how many before it are lost.
    New {
        /// Records that were overwritten unread.
        lost: u64,
    },
    /// A record that an earlier run handled.
    Handled,
}

impl Sequence {
    /// Starts after the record with number `after`, or with whatever comes first.
    pub fn starting_after(after: Option<u64>) -> Self {
        Self { last: after, skip_to: after, highest_skipped: None }
    }

    /// The number of the newest record handled.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// Takes the next record's number. A number that goes backwards after the reader has caught up starts a new count:
    /// the kernel never does it within one boot, and dropping records would be the worse answer.
    pub fn see(&mut self, sequence: u64) -> Seen {
        if self.skip_to.is_some_and(|to| sequence <= to) {
            self.highest_skipped = self.highest_skipped.max(Some(sequence));
            return Seen::Handled;
        }
        let lost = match self.last {
            Some(last) => sequence.saturating_sub(last).saturating_sub(1),
            None => 0,
        };
        self.last = Some(sequence);
        Seen::New { lost }
    }

    /// To be called when everything in the ring was read once. `false` means that the ring ends before the record this
    /// started after: the saved position is of another boot (a restored virtual machine keeps its boot id), and the
    /// ring must be read again from its oldest record.
    #[must_use]
    pub fn caught_up(&mut self) -> bool {
        let plausible = match (self.skip_to, self.highest_skipped) {
            (Some(to), Some(highest)) if self.last == Some(to) => highest == to,
            _ => true,
        };
        self.skip_to = None;
        if !plausible {
            self.last = None;
        }
        plausible
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(lost: u64) -> Seen {
        Seen::New { lost }
    }

    #[test]
    fn a_jump_is_what_was_lost() {
        let mut sequence = Sequence::starting_after(None);
        let seen: Vec<_> = [100, 101, 105, 106].map(|number| sequence.see(number)).into();
        assert_eq!(seen, [new(0), new(0), new(3), new(0)]);
    }

    #[test]
    fn a_saved_position_skips_and_counts_across_the_time_between() {
        let mut sequence = Sequence::starting_after(Some(10));
        assert_eq!([9, 10, 11].map(|n| sequence.see(n)), [Seen::Handled, Seen::Handled, new(0)]);
        assert!(sequence.caught_up());

        let mut sequence = Sequence::starting_after(Some(10));
        assert_eq!(sequence.see(15), new(4));
    }

    #[test]
    fn a_ring_that_ends_before_the_position_is_another_boot() {
        let mut sequence = Sequence::starting_after(Some(10));
        assert_eq!([3, 4].map(|n| sequence.see(n)), [Seen::Handled; 2]);
        assert!(!sequence.caught_up());
        assert_eq!(sequence.see(3), new(0));
    }

    #[test]
    fn a_ring_that_ends_at_the_position_is_not() {
        let mut sequence = Sequence::starting_after(Some(10));
        assert_eq!(sequence.see(10), Seen::Handled);
        assert!(sequence.caught_up());
        assert_eq!(sequence.see(11), new(0));
    }

    #[test]
    fn going_backwards_later_on_loses_no_record() {
        let mut sequence = Sequence::starting_after(None);
        assert!(sequence.caught_up());
        assert_eq!([50, 2, 3].map(|n| sequence.see(n)), [new(0); 3]);
    }
}
