//! For how long the rules of a namespace were not in force: the sum, which grows while they are not. Pure.
//!
//! Times are counted from any fixed moment. The sum never falls: what cannot be known yet is not in it.

use std::time::Duration;

/// The account of one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exposure {
    /// What is over.
    closed: Duration,
    /// Since when the rules are not in force.
    open: Option<Duration>,
}

impl Exposure {
    /// The rules are not in force since then. Already known, it changes nothing.
    pub fn begin(&mut self, since: Duration) {
        self.open.get_or_insert(since);
    }

    /// They are in force since then. Not known to have been out of force, they were.
    pub fn end(&mut self, at: Duration) {
        if let Some(since) = self.open.take() {
            self.closed += at.saturating_sub(since);
        }
    }

    /// They were not in force from the one moment to the other, which is over.
    pub fn past(&mut self, from: Duration, to: Duration) {
        match self.open {
            // That time is counted already.
            Some(_) => self.end(to),
            None => self.closed += to.saturating_sub(from),
        }
    }

    /// The whole, as of now.
    pub fn total(&self, now: Duration) -> Duration {
        let open = self.open.map(|since| now.saturating_sub(since));
        self.closed + open.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_grows_while_rules_are_not_in_force_and_stands_while_they_are() {
        let mut exposure = Exposure::default();
        assert_eq!(exposure.total(at(9)), at(0), "in force as far as one knows");
        exposure.begin(at(10));
        assert_eq!((exposure.total(at(10)), exposure.total(at(14))), (at(0), at(4)));
        exposure.begin(at(13));
        assert_eq!(exposure.total(at(14)), at(4), "the same gap");
        exposure.end(at(15));
        assert_eq!(exposure.total(at(99)), at(5));
        exposure.end(at(20));
        assert_eq!(exposure.total(at(99)), at(5), "nothing was open");
    }

    #[test]
    fn a_gap_that_is_over_counts_once() {
        let mut exposure = Exposure::default();
        exposure.past(at(3), at(5));
        assert_eq!(exposure.total(at(99)), at(2));
        exposure.begin(at(10));
        exposure.past(at(11), at(14));
        assert_eq!(exposure.total(at(99)), at(6), "it was open since 10");
    }

    #[test]
    fn times_the_wrong_way_round_take_nothing_away() {
        let mut exposure = Exposure::default();
        exposure.past(at(5), at(3));
        exposure.begin(at(9));
        assert_eq!(exposure.total(at(4)), at(0));
        exposure.end(at(8));
        assert_eq!(exposure.total(at(99)), at(0));
    }
}
