//! Whether as many connections were told of as the kernel counted: one account for each namespace, kind and channel. Pure.
//!
//! What is told of lags behind what is counted, so a difference means nothing until it has lasted. More may be told of than was
//! counted (lines of before the start, connections to the router itself): the account then goes on from there. So only a loss
//! is found, and one that hides behind connections on their way is found when there are fewer of these.

use std::time::Duration;

/// How long a difference may last.
const SETTLES: Duration = Duration::from_secs(5);

/// An account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Counted less told of, when nothing was missing: never less than that, and just that after a quiet moment.
    base: Option<i128>,
    /// Since when something is missing, and the least that was missing since.
    open: Option<(Duration, u64)>,
    /// When nothing was missing last.
    settled: Duration,
}

/// Connections that were counted and never told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unaccounted {
    /// How many.
    pub missing: u64,
    /// When nothing was missing last.
    pub since: Duration,
}

impl Balance {
    /// Takes in what was told of, and what was counted before and after that was read. `now` is the time since any fixed moment.
    /// What lasted too long is told once.
    pub fn observe(
        &mut self,
        [before, after]: [u64; 2],
        told: u64,
        now: Duration,
    ) -> Option<Unaccounted> {
        let less_told = |counted: u64| i128::from(counted) - i128::from(told);
        // All that was told of is counted after that, and more may be: a bound from above.
        let bound = less_told(after);
        let base = self.base.map_or(bound, |base| base.min(bound));
        self.base = Some(base);
        // What was counted before may still be on its way: it is missing only if that lasts.
        let missing = u64::try_from(less_told(before) - base).unwrap_or(0);
        if missing == 0 {
            (self.open, self.settled) = (None, now);
            return None;
        }
        let (since, least) = self.open.unwrap_or((now, missing));
        let least = least.min(missing);
        self.open = Some((since, least));
        (now.saturating_sub(since) >= SETTLES).then(|| {
            let unaccounted = Unaccounted { missing: least, since: self.settled };
            (self.base, self.open, self.settled) = (Some(base + i128::from(least)), None, now);
            unaccounted
        })
    }

    /// Whether something is missing that may still come.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What is missing is known otherwise: the account begins anew.
    pub fn begin_anew(&mut self) {
        *self = Self { settled: self.settled, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks one second after the other: (counted before, told, counted after).
    fn after(looks: &[(u64, u64, u64)]) -> Vec<Found> {
        let mut balance = Balance::default();
        let told = looks.iter().enumerate().filter_map(|(second, (before, told, after))| {
            let now = Duration::from_secs(second as u64);
            Some((second, balance.observe([*before, *after], *told, now)?))
        });
        told.collect()
    }

    /// Counted, and told of.
    type Look = (u64, u64);

    /// Looks between which nothing is counted.
    fn quiet(looks: &[Look]) -> Vec<Found> {
        let looks: Vec<_> =
            looks.iter().map(|(counted, told)| (*counted, *told, *counted)).collect();
        after(&looks)
    }

    /// At which look, and what.
    type Found = (usize, Unaccounted);

    fn lost(second: usize, missing: u64, since: u64) -> Found {
        (second, Unaccounted { missing, since: Duration::from_secs(since) })
    }

    #[test]
    fn only_what_lasts_is_missing() {
        let ones = [(10, 9); 6];
        let second = [
            (2, 1),
            (2, 1),
            (2, 1),
            (2, 1),
            (2, 1),
            (2, 1),
            (5, 1),
            (5, 1),
            (5, 1),
            (5, 1),
            (5, 1),
            (5, 1),
        ];
        let from = |first: &[Look]| [&[(0, 0)], first].concat();
        let cases: [(Vec<Look>, Vec<Found>); 6] = [
            (from(&[(10, 10), (20, 20)]), vec![]),
            // Late, and there in the end.
            (from(&[(10, 3), (10, 5), (10, 9), (10, 10)]), vec![]),
            (from(&ones), vec![lost(6, 1, 0)]),
            // Of a run before, and counted by rules that were adopted.
            (vec![(500, 0), (501, 1)], vec![]),
            (vec![(500, 3), (500, 700), (501, 701)], vec![]),
            // A second loss after the first.
            (from(&second), vec![lost(6, 1, 0), lost(12, 3, 6)]),
        ];
        for (looks, expected) in cases {
            assert_eq!(quiet(&looks), expected, "{looks:?}");
        }
    }

    #[test]
    fn connections_on_their_way_hide_a_loss_only_while_there_are_many() {
        let busy: Vec<(u64, u64, u64)> =
            (0..10).map(|n| (n * 100, n * 100 + 30, n * 100 + 60)).collect();
        assert_eq!(after(&busy), []);
        // Two are lost, and then it is quiet.
        let lost_two = (10..20).map(|n| {
            if n < 13 { (n * 100, n * 100 + 28, n * 100 + 60) } else { (1300, 1298, 1300) }
        });
        let all: Vec<_> = [(0, 0, 0)].into_iter().chain(busy).chain(lost_two).collect();
        assert_eq!(after(&all), [lost(19, 2, 13)]);
    }

    #[test]
    fn what_is_known_otherwise_is_not_told_again() {
        let mut balance = Balance::default();
        balance.observe([0, 0], 0, Duration::ZERO);
        balance.observe([10, 10], 0, Duration::from_secs(1));
        assert!(balance.is_open());
        balance.begin_anew();
        for second in 2..20 {
            assert_eq!(balance.observe([10, 10], 0, Duration::from_secs(second)), None);
        }
    }
}
