//! Counting over replaced rules: a kernel counter begins at zero each time its rule is made again.

use crate::observed::RuleCounter;
use crate::prefix::Kind;

/// Connections of both kinds in one namespace, carried over every replacement of its rules.
///
/// What a rule counted between the last dump and somebody's wipe is not known and not in here: a tally can be
/// too low, never too high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    float: Carried,
    nat: Carried,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Carried {
    before: u64,
    last: u64,
}

impl Tally {
    /// Takes in the counters of a dump. A counter that is lower than last time belongs to a new rule.
    pub fn observe(&mut self, counters: &[RuleCounter]) {
        self.float.observe(packets(counters, Kind::Float));
        self.nat.observe(packets(counters, Kind::Nat));
    }

    /// The connections of one kind so far.
    pub fn total(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Float => self.float.total(),
            Kind::Nat => self.nat.total(),
        }
    }
}

impl Carried {
    fn observe(&mut self, now: u64) {
        if now < self.last {
            self.before = self.before.saturating_add(self.last);
        }
        self.last = now;
    }

    fn total(self) -> u64 {
        self.before.saturating_add(self.last)
    }
}

fn packets(counters: &[RuleCounter], kind: Kind) -> u64 {
    let of_kind = |counter: &&RuleCounter| {
        counter.comment.as_deref().and_then(Kind::of_comment) == Some(kind)
    };
    counters.iter().filter(of_kind).fold(0, |sum, counter| sum.saturating_add(counter.packets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(comment: &str, packets: u64) -> RuleCounter {
        RuleCounter { comment: Some(comment.to_owned()), packets, bytes: 0 }
    }

    #[test]
    fn counts_are_carried_over_a_replacement() {
        let mut tally = Tally::default();
        tally.observe(&[counter("anetcon float", 5), counter("anetcon nat", 2)]);
        tally.observe(&[counter("anetcon float", 0), counter("anetcon nat", 0)]);
        tally.observe(&[counter("anetcon float", 1), counter("anetcon nat", 0)]);
        assert_eq!((tally.total(Kind::Float), tally.total(Kind::Nat)), (6, 2));
    }

    #[test]
    fn a_missing_table_keeps_what_was_counted() {
        let mut tally = Tally::default();
        tally.observe(&[counter("anetcon nat ipv4", 3), counter("anetcon nat ipv6", 4)]);
        tally.observe(&[]);
        assert_eq!(tally.total(Kind::Nat), 7);
    }

    #[test]
    fn foreign_rules_do_not_count() {
        let mut tally = Tally::default();
        tally.observe(&[counter("docker", 9), RuleCounter { comment: None, packets: 9, bytes: 9 }]);
        assert_eq!(tally, Tally::default());
    }
}
