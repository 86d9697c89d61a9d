//! What is counted for metrics alone, by whoever sees it happen. Nobody waits here: every number is an atomic.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anetcon_core::drift;
use jiff::{SignedDuration, Timestamp};

/// The upper bounds of the buckets for repairs, in seconds. The fastest take some 0.4 ms; one that takes seconds is in trouble.
pub const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Why everything was compared although no event said that it changed, and what was found by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resync {
    /// The kernel's buffer for ruleset events ran over.
    Overrun,
    /// The socket for ruleset events broke.
    Socket,
    /// Rules were found changed, and no event had told.
    Sweep,
    /// The watch on the folders of namespaces lost events.
    Namespaces,
}

impl Resync {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Overrun, Self::Socket, Self::Sweep, Self::Namespaces];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overrun => "overrun",
            Self::Socket => "socket",
            Self::Sweep => "sweep",
            Self::Namespaces => "namespaces",
        }
    }
}

/// The numbers, which begin with the agent and never fall.
#[derive(Debug)]
pub struct Facts {
    began: Instant,
    started: Timestamp,
    repairs: [AtomicU64; drift::Kind::ALL.len()],
    resyncs: [AtomicU64; Resync::ALL.len()],
    /// One for each bucket, and one for what is above the last.
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_micros: AtomicU64,
    /// Of the sockets that hear of connections: as high as was ever seen.
    connection_overruns: AtomicU64,
    /// When the rule plane proved last that it turns, in microseconds since the agent began.
    turned: AtomicU64,
}

impl Facts {
    /// All zero, beginning now.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            started: Timestamp::now(),
            repairs: Default::default(),
            resyncs: Default::default(),
            durations: Default::default(),
            duration_micros: AtomicU64::new(0),
            connection_overruns: AtomicU64::new(0),
            turned: AtomicU64::new(0),
        }
    }

    /// When the agent began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// The time since the agent began.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// A time of the wall clock as time since the agent began; what was before is its beginning.
    pub fn moment(&self, at: Timestamp) -> Duration {
        let ago = Timestamp::now().duration_since(at).max(SignedDuration::ZERO);
        self.now().saturating_sub(ago.unsigned_abs())
    }

    /// Rules were put back; `kind` is the gravest that was wrong.
    pub fn repaired(&self, kind: drift::Kind, took: Duration) {
        add(&self.repairs, position(&drift::Kind::ALL, &kind));
        let above = |bound: &&f64| took.as_secs_f64() > **bound;
        add(&self.durations, BUCKETS.iter().take_while(above).count());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.duration_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Everything was compared again.
    pub fn resynced(&self, why: Resync) {
        add(&self.resyncs, position(&Resync::ALL, &why));
    }

    /// The rule plane turns.
    pub fn turned(&self) {
        let micros = u64::try_from(self.now().as_micros()).unwrap_or(u64::MAX);
        self.turned.fetch_max(micros, Ordering::Relaxed);
    }

    /// When it proved that last, as time since the agent began.
    pub fn last_turn(&self) -> Duration {
        Duration::from_micros(self.turned.load(Ordering::Relaxed))
    }

    /// How often rules were put back, by what was wrong.
    pub fn repairs(&self) -> impl Iterator<Item = (drift::Kind, u64)> {
        drift::Kind::ALL.into_iter().zip(self.repairs.each_ref().map(read))
    }

    /// How often the kernel's buffer for ruleset events ran over.
    pub fn overruns(&self) -> u64 {
        let overruns = self.resyncs().filter(|(why, _)| *why == Resync::Overrun);
        overruns.map(|(_, count)| count).sum()
    }

    /// How often everything was compared again, by why.
    pub fn resyncs(&self) -> impl Iterator<Item = (Resync, u64)> {
        Resync::ALL.into_iter().zip(self.resyncs.each_ref().map(read))
    }

    /// How long repairs took: upper bounds in seconds, the last of which is none, with the number of repairs that the
    /// bound before does not hold; and the sum in seconds.
    pub fn durations(&self) -> (Vec<(f64, u64)>, f64) {
        let bounds = BUCKETS.into_iter().chain([f64::INFINITY]);
        let micros = self.duration_micros.load(Ordering::Relaxed);
        let sum = Duration::from_micros(micros).as_secs_f64();
        (bounds.zip(self.durations.iter().map(read)).collect(), sum)
    }

    /// The overruns of sockets that hear of connections. The sum passed in can be lower for a moment while a namespace goes,
    /// what is answered cannot.
    pub fn connection_overruns(&self, sum: u64) -> u64 {
        self.connection_overruns.fetch_max(sum, Ordering::Relaxed).max(sum)
    }
}

fn position<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|each| each == one).unwrap_or(all.len())
}

fn add(counters: &[AtomicU64], at: usize) {
    if let Some(counter) = counters.get(at) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repair_is_in_the_first_bucket_that_holds_it() {
        let facts = Facts::new();
        for micros in [1, 500, 501, 10_000_000, 10_000_001] {
            facts.repaired(drift::Kind::Flushed, Duration::from_micros(micros));
        }
        let (buckets, sum) = facts.durations();
        let filled: Vec<_> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0005, 2), (0.001, 1), (10.0, 1), (f64::INFINITY, 1)]);
        assert!((sum - 20.001_003).abs() < 1e-9, "{sum}");
        let repairs: Vec<_> = facts.repairs().filter(|(_, count)| *count > 0).collect();
        assert_eq!(repairs, [(drift::Kind::Flushed, 5)]);
    }

    #[test]
    fn times_before_the_beginning_are_the_beginning() {
        let facts = Facts::new();
        let long_ago = Timestamp::now() - SignedDuration::from_hours(1);
        assert_eq!(facts.moment(long_ago), Duration::ZERO);
        assert!(facts.moment(Timestamp::now()) <= facts.now());
    }

    #[test]
    fn overruns_never_fall() {
        let facts = Facts::new();
        assert_eq!([3, 1, 4].map(|sum| facts.connection_overruns(sum)), [3, 3, 4]);
    }
}
