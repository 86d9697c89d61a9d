//! When a kernel log record was written, in wall time.
//!
//! Pure: it is told the time and keeps no clock. A record carries the kernel's `local_clock()`, which runs apart from
//! CLOCK_MONOTONIC by tens of parts per million (it is not disciplined by NTP): seconds after some weeks. So `lag` =
//! CLOCK_MONOTONIC minus `local_clock()` is measured all the time: a record that is read at time t was written before t, so
//! t minus its own time is never less than the true lag, and is close to it when the reader was waiting for the record.
//! The least value of the last two windows is taken; that follows the drift and shrugs off late wake-ups.
//! Wall time is then added as it is now (realtime minus monotonic), so a step of the wall clock is followed at once.
//!
//! Records from before the start (the backlog in the ring) use the lag that was saved with the position, or else 0 (the two
//! clocks start together); records logged before a step of the wall clock and read after it get the new time.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long a measurement counts, at most twice this. A drift of 100 ppm in it is 2 ms.
const WINDOW: Duration = Duration::from_secs(10);

/// Both clocks, read at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// CLOCK_MONOTONIC.
    pub monotonic: Duration,
    /// CLOCK_REALTIME.
    pub wall: Timestamp,
}

/// Whether the reader was waiting for a record when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It was: the record is fresh.
    Live,
    /// It was not: the record may have lain in the ring for any time.
    Backlog,
}

/// The running measurement of the lag.
#[derive(Debug, Clone)]
pub struct Clock {
    lag: SignedDuration,
    window: Option<Window>,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Duration,
    least: SignedDuration,
    previous: Option<SignedDuration>,
}

impl Clock {
    /// A clock that starts with a saved lag, or none.
    pub fn new(saved: Option<SignedDuration>) -> Self {
        Self { lag: saved.unwrap_or(SignedDuration::ZERO), window: None }
    }

    /// The lag to save.
    pub fn lag(&self) -> SignedDuration {
        self.lag
    }

    /// The wall time at which a record was logged: never later than now. `written` is the record's own time.
    pub fn time(&mut self, written: Duration, arrival: Arrival, now: Now) -> Timestamp {
        let bound = signed(now.monotonic).saturating_sub(signed(written));
        match arrival {
            Arrival::Live => self.measure(bound, now.monotonic),
            Arrival::Backlog if bound < self.lag => self.lower(bound),
            Arrival::Backlog => {}
        }
        let age = bound.saturating_sub(self.lag).max(SignedDuration::ZERO);
        now.wall.saturating_sub(age).unwrap_or(now.wall)
    }

    fn measure(&mut self, bound: SignedDuration, now: Duration) {
        let window = match self.window {
            Some(window) if now.saturating_sub(window.start) < WINDOW => {
                Window { least: window.least.min(bound), ..window }
            }
            Some(window) if now.saturating_sub(window.start) < WINDOW * 2 => {
                Window { start: now, least: bound, previous: Some(window.least) }
            }
            _ => Window { start: now, least: bound, previous: None },
        };
        self.window = Some(window);
        self.lag = window.previous.map_or(window.least, |previous| previous.min(window.least));
    }

    /// A record cannot come from the future, whatever was saved or measured.
    fn lower(&mut self, bound: SignedDuration) {
        self.lag = bound;
        if let Some(window) = &mut self.window {
            window.least = window.least.min(bound);
        }
    }
}

fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    /// A machine whose kernel log clock runs `ppm` faster than CLOCK_MONOTONIC.
    struct Machine {
        ppm: f64,
        /// Wall time minus CLOCK_MONOTONIC, in milliseconds.
        wall: i64,
    }

    impl Machine {
        fn written(&self, true_ms: u64) -> Duration {
            Duration::from_secs_f64(true_ms as f64 / 1e3 * (1.0 + self.ppm / 1e6))
        }

        fn now(&self, true_ms: u64) -> Now {
            let wall = Timestamp::from_millisecond(true_ms as i64 + self.wall).unwrap();
            Now { monotonic: Duration::from_millis(true_ms), wall }
        }

        /// How far the given time is from the truth, in milliseconds; the record is read `delay` after it was logged.
        fn error(&self, clock: &mut Clock, at: u64, delay: u64, arrival: Arrival) -> f64 {
            let time = clock.time(self.written(at), arrival, self.now(at + delay));
            (time - self.now(at).wall).as_secs_f64() * 1e3
        }
    }

    #[test]
    fn drift_is_followed() {
        for ppm in [-80.0, 80.0] {
            let machine = Machine { ppm, wall: 1_700_000_000_000 };
            let mut clock = Clock::new(None);
            // A line each second over two hours, read one millisecond late, sometimes much later.
            for second in 1..7200 {
                let delay = if second % 7 == 0 { 400 } else { 1 };
                let error = machine.error(&mut clock, second * 1000, delay, Arrival::Live);
                assert!(error.abs() < 4.0, "{ppm} ppm, {second} s: {error} ms");
            }
        }
    }

    #[test]
    fn without_a_saved_lag_the_clocks_are_taken_to_agree() {
        let machine = Machine { ppm: 50.0, wall: 0 };
        let error = machine.error(&mut Clock::new(None), HOUR, 5000, Arrival::Backlog);
        assert!((error - 180.0).abs() < 1.0, "{error}");
    }

    #[test]
    fn a_saved_lag_serves_the_backlog() {
        let machine = Machine { ppm: -50.0, wall: 0 };
        let mut clock = Clock::new(None);
        machine.error(&mut clock, HOUR, 1, Arrival::Live);
        let mut clock = Clock::new(Some(clock.lag()));
        let error = machine.error(&mut clock, HOUR + 1000, 30_000, Arrival::Backlog);
        assert!(error.abs() < 2.0, "{error}");
    }

    #[test]
    fn a_step_of_the_wall_clock_is_followed_at_once() {
        let mut machine = Machine { ppm: 0.0, wall: 1_700_000_000_000 };
        let mut clock = Clock::new(None);
        machine.error(&mut clock, 1000, 1, Arrival::Live);
        for step in [3_600_000, -7_200_000] {
            machine.wall += step;
            let error = machine.error(&mut clock, 2000, 1, Arrival::Backlog);
            assert!(error.abs() < 2.0, "{error}");
        }
    }

    #[test]
    fn no_time_is_in_the_future() {
        let now = Now { monotonic: Duration::from_secs(100), wall: Timestamp::UNIX_EPOCH };
        // The saved lag is wrong by an hour.
        let mut clock = Clock::new(Some(SignedDuration::from_hours(1)));
        assert_eq!(clock.time(Duration::from_secs(100), Arrival::Backlog, now), now.wall);
        assert_eq!(clock.lag(), SignedDuration::ZERO);
        assert_eq!(clock.time(Duration::from_secs(500), Arrival::Backlog, now), now.wall);
    }

    #[test]
    fn a_paused_machine_is_right_again_after_two_windows() {
        let machine = Machine { ppm: 0.0, wall: 0 };
        let mut clock = Clock::new(None);
        machine.error(&mut clock, 1000, 1, Arrival::Live);
        // The kernel log clock stood still for a minute.
        let behind = |at: u64| Duration::from_millis(at - 60_000);
        for at in (61_000..90_000).step_by(1000) {
            clock.time(behind(at), Arrival::Live, machine.now(at + 1));
        }
        let time = clock.time(behind(90_000), Arrival::Live, machine.now(90_001));
        assert!((machine.now(90_000).wall - time).as_secs_f64().abs() < 0.1);
    }
}
