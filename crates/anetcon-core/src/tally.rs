//! Counting over replaced rules: a kernel counter begins at zero each time its rule is made again.

use crate::observed::RuleCounter;
use crate::prefix::Kind;

/// Connections of both kinds in one namespace, carried over every replacement of its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    float: Carried,
    nat: Carried,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Carried {
    /// What rules had counted that are gone.
    gone: u64,
    /// What rules had counted that were removed since the last dump.
    removed: u64,
    /// What the rules counted that were there at the last dump.
    last: u64,
}

impl Tally {
    /// Takes in what rules had counted that were removed, as the kernel told it at their removal. It shows in the
    /// total from the next dump on, which no longer holds them.
    pub fn remove(&mut self, counters: &[RuleCounter]) {
        for (kind, carried) in [(Kind::Float, &mut self.float), (Kind::Nat, &mut self.nat)] {
            carried.removed = carried.removed.saturating_add(packets(counters, kind));
        }
    }

    /// Takes in the counters of a dump.
    ///
    /// Where a counter fell and no removal was told (the event was lost, or somebody reset the counter) at least what
    /// was seen last had been counted. So a tally can then be too low, never too high.
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
        let untold = if now < self.last { self.last } else { 0 };
        self.gone = self.gone.saturating_add(self.removed.max(untold));
        self.removed = 0;
        self.last = now;
    }

    fn total(self) -> u64 {
        self.gone.saturating_add(self.last)
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

    /// What was removed before a dump, if anything, and what the dump said.
    type Pass = (Option<u64>, u64);

    fn float_after(passes: &[Pass]) -> u64 {
        let mut tally = Tally::default();
        for &(removed, now) in passes {
            let removed: Vec<_> =
                removed.map(|packets| counter("anetcon float", packets)).into_iter().collect();
            tally.remove(&removed);
            tally.observe(&[counter("anetcon float", now)]);
        }
        assert_eq!(tally.total(Kind::Nat), 0);
        tally.total(Kind::Float)
    }

    #[test]
    fn counts_are_carried_over_every_replacement() {
        let cases: &[(&[Pass], u64)] = &[
            (&[(None, 5)], 5),
            // Wiped after three more connections, which no dump saw; one since.
            (&[(None, 5), (Some(8), 1)], 9),
            // As busy again as before when the dump is made.
            (&[(None, 5), (Some(8), 5)], 13),
            // Removed before it counted anything.
            (&[(None, 0), (Some(0), 0), (None, 2)], 2),
            // The event was lost, or the counter reset.
            (&[(None, 5), (None, 1)], 6),
            (&[(None, 5), (Some(8), 0), (None, 0)], 8),
        ];
        for (passes, total) in cases {
            assert_eq!(float_after(passes), *total, "{passes:?}");
        }
    }

    #[test]
    fn all_rules_of_a_kind_count_and_foreign_ones_do_not() {
        let mut tally = Tally::default();
        let foreign = RuleCounter { comment: None, packets: 9, bytes: 9 };
        let ours = [counter("anetcon nat ipv4", 3), counter("anetcon nat ipv6", 4)];
        tally.observe(&[&ours[..], &[counter("docker", 9), foreign]].concat());
        assert_eq!(tally.total(Kind::Nat), 7);
        tally.remove(&ours);
        tally.observe(&[]);
        assert_eq!(tally.total(Kind::Nat), 7, "a missing table keeps what was counted");
    }
}
