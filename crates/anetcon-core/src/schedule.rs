//! When a namespace may be worked on again: damping of a fight with another writer, and back-off after failures.
//!
//! Pure: the clock is passed in as the time since any fixed moment, the jitter comes from a seed. A repair is
//! immediate until somebody has undone it [`IMMEDIATE_REPAIRS`] times without a pause.

use std::time::Duration;

/// Repairs without a pause of [`QUIET`] that are not delayed: an administrator reloading a firewall a few times
/// is not a fight.
pub const IMMEDIATE_REPAIRS: u32 = 20;

/// A pause after which all is forgotten, counted from when the next pass was allowed.
pub const QUIET: Duration = Duration::from_secs(10);

const REPAIRS: Backoff =
    Backoff { first: Duration::from_millis(1), longest: Duration::from_secs(1) };
const FAILURES: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(30) };

/// How a pass over a namespace ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Nothing had to be done.
    InForce,
    /// The rules were put back.
    Repaired,
    /// The namespace could not be read or written.
    Failed,
}

/// The memory of one namespace's passes.
#[derive(Debug, Clone)]
pub struct Schedule {
    random: u64,
    repairs: u32,
    failures: u32,
    allowed: Duration,
}

impl Schedule {
    /// The seed decides the jitter: give each namespace another one, so that a thousand of them that fail at
    /// once do not come back at once.
    pub fn new(seed: u64) -> Self {
        Self { random: seed, repairs: 0, failures: 0, allowed: Duration::ZERO }
    }

    /// Takes in how a pass ended at `now`, a time that does not run backwards. Returns how long to wait before
    /// the next pass may run, [`Duration::ZERO`] for not at all.
    pub fn after(&mut self, outcome: Pass, now: Duration) -> Duration {
        if now.saturating_sub(self.allowed) >= QUIET {
            (self.repairs, self.failures) = (0, 0);
        }
        let delay = match outcome {
            // A fight is over when it has been quiet, not when one look finds all in order.
            Pass::InForce => return Duration::ZERO,
            Pass::Repaired => {
                self.failures = 0;
                self.repairs = self.repairs.saturating_add(1);
                REPAIRS.delay(self.repairs.saturating_sub(IMMEDIATE_REPAIRS))
            }
            Pass::Failed => {
                self.failures = self.failures.saturating_add(1);
                self.jitter(FAILURES.delay(self.failures))
            }
        };
        self.allowed = now.saturating_add(delay);
        delay
    }

    /// Whether somebody keeps undoing our repairs, so that they are delayed.
    pub fn fighting(&self) -> bool {
        self.repairs > IMMEDIATE_REPAIRS
    }

    /// Between half of a delay and all of it.
    fn jitter(&mut self, delay: Duration) -> Duration {
        // The finaliser of splitmix64: any seed, also 0 and small neighbours, gives well spread numbers.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let thousandths = u32::try_from(mixed % 501).expect("a remainder of 501 fits in 32 bits");
        delay * (500 + thousandths) / 1000
    }
}

/// A delay that doubles.
struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// The delay after this many troubles; none after 0.
    fn delay(&self, count: u32) -> Duration {
        let Some(doublings) = count.checked_sub(1) else { return Duration::ZERO };
        let factor = 2_u32.saturating_pow(doublings);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// Runs passes as a worker does that has always something to do: each as soon as it is allowed.
    fn without_a_pause(schedule: &mut Schedule, outcome: Pass, count: usize) -> Vec<Duration> {
        let mut now = MS(5);
        let mut delays = Vec::new();
        for _ in 0..count {
            let delay = schedule.after(outcome, now);
            now += delay;
            delays.push(delay);
        }
        delays
    }

    #[test]
    fn each_repair_of_a_fight_waits_longer_up_to_a_second() {
        let mut schedule = Schedule::new(1);
        let delays = without_a_pause(&mut schedule, Pass::Repaired, 34);
        assert!(delays[..20].iter().all(Duration::is_zero), "{delays:?}");
        let expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 1000, 1000].map(MS);
        assert_eq!(delays[20..], expected);
    }

    #[test]
    fn ten_thousand_repairs_cost_at_most_one_a_second() {
        let mut schedule = Schedule::new(1);
        let total: Duration = without_a_pause(&mut schedule, Pass::Repaired, 10_000).iter().sum();
        assert!(total >= Duration::from_secs(10_000 - 31), "{total:?}");
        assert!(schedule.fighting());
    }

    #[test]
    fn looks_that_find_all_in_order_do_not_end_a_fight() {
        let mut schedule = Schedule::new(1);
        let mut now = Duration::ZERO;
        for _ in 0..100 {
            now += schedule.after(Pass::Repaired, now);
            assert_eq!(schedule.after(Pass::InForce, now), Duration::ZERO);
        }
        assert!(schedule.fighting());
        assert_eq!(schedule.after(Pass::Repaired, now), MS(1000));
    }

    #[test]
    fn quiet_makes_repairs_immediate_again() {
        // (how long nothing happens after a fight, what is seen then, still fighting, delay of the next repair)
        let cases = [
            (MS(9_999), Pass::InForce, true, MS(1000)),
            (MS(10_000), Pass::InForce, false, Duration::ZERO),
            (MS(10_000), Pass::Repaired, false, Duration::ZERO),
            (MS(9_999), Pass::Repaired, true, MS(1000)),
        ];
        for (pause, outcome, fighting, delay) in cases {
            let mut schedule = Schedule::new(1);
            let fight: Duration = without_a_pause(&mut schedule, Pass::Repaired, 50).iter().sum();
            let now = MS(5) + fight + pause;
            schedule.after(outcome, now);
            assert_eq!(schedule.fighting(), fighting, "{pause:?} {outcome:?}");
            assert_eq!(schedule.after(Pass::Repaired, now), delay, "{pause:?} {outcome:?}");
        }
    }

    #[test]
    fn a_wipe_now_and_then_is_always_repaired_at_once() {
        let mut schedule = Schedule::new(1);
        for wipe in 0..1000_u32 {
            assert_eq!(schedule.after(Pass::Repaired, QUIET * wipe), Duration::ZERO);
        }
        assert!(!schedule.fighting());
    }

    #[test]
    fn failures_back_off_with_jitter_and_stay_at_thirty_seconds() {
        let mut schedule = Schedule::new(7);
        let delays = without_a_pause(&mut schedule, Pass::Failed, 40);
        let nominal = (0..40).map(|count| MS(100 * 2_u64.pow(count.min(20))).min(MS(30_000)));
        for (delay, nominal) in delays.iter().zip(nominal) {
            assert!(*delay >= nominal / 2 && *delay <= nominal, "{delay:?} of {nominal:?}");
        }
        assert!(!schedule.fighting(), "a failure is no fight");
    }

    #[test]
    fn neighbouring_seeds_come_back_at_different_times() {
        let mut first: Vec<Duration> =
            (0..100).map(|seed| Schedule::new(seed).after(Pass::Failed, MS(0))).collect();
        first.sort_unstable();
        first.dedup();
        assert!(first.len() > 80, "{} different delays of 100", first.len());
    }

    #[test]
    fn a_success_ends_the_back_off() {
        let mut schedule = Schedule::new(7);
        let failed: Duration = without_a_pause(&mut schedule, Pass::Failed, 10).iter().sum();
        let now = MS(5) + failed;
        assert_eq!(schedule.after(Pass::Repaired, now), Duration::ZERO);
        assert!(schedule.after(Pass::Failed, now) <= MS(100));
    }
}
