//! The planes do not disturb each other: a flood of connections stops no repair, and repairs cost no log line.

#![allow(clippy::disallowed_methods, reason = "tests start the programs that they compare with")]

mod common;

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anetcon_testkit::agent::Agent;
use anetcon_testkit::configuration::Configuration;
use anetcon_testkit::kernel_log::KernelLog;
use anetcon_testkit::netns::{Netns, wait_until};
use anetcon_testkit::threads::threads;

use self::common::{ANETCOND, Audited, PATIENCE};

/// Both tests fill the kernel log, and one of them counts its lines: one after the other.
static ALONE: Mutex<()> = Mutex::new(());

/// Connections over the loopback interface of one namespace, until told to stop.
struct Flood {
    made: AtomicUsize,
    stop: AtomicBool,
}

/// How many connections are made at a time.
const WAVE: usize = 20;

/// Between waves. Some thousand connections a second are a flood, and leave the processors to others, too.
const PAUSE: Duration = Duration::from_millis(5);

impl Flood {
    /// Makes connections while `meanwhile` runs, and calls `between` after each wave. How many there were.
    fn during(
        netns: &Netns,
        mut between: impl FnMut() + Send,
        meanwhile: impl FnOnce(&Self),
    ) -> usize {
        let flood = Self { made: AtomicUsize::new(0), stop: AtomicBool::new(false) };
        netns.bring_lo_up();
        thread::scope(|scope| {
            scope.spawn(|| {
                netns.run(|| {
                    while !flood.stop.load(Ordering::Relaxed) {
                        flood.wave();
                        between();
                        thread::sleep(PAUSE);
                    }
                });
            });
            // Stops also when `meanwhile` panics, or the scope would wait for the whole flood.
            let _guard = Stop(&flood.stop);
            meanwhile(&flood);
        });
        flood.made()
    }

    fn wave(&self) {
        // Another port for each wave: the ports of its clients are taken for a minute, but only towards this one.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let address = listener.local_addr().expect("an address");
        for _ in 0..WAVE {
            let near = TcpStream::connect(address).expect("a connection");
            drop(listener.accept().expect("the other end"));
            drop(near);
            self.made.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Waits until a whole wave was made.
    fn wait_for_wave(&self) {
        let wanted = self.made() + 2 * WAVE;
        wait_until("the flood goes on", PATIENCE, || self.made() >= wanted);
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_flood_of_connections_stops_no_repair() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (flooded, wiped) = (Netns::new("planeflood"), Netns::new("planewiped"));
    let configuration = Configuration::auditing(&[flooded.name(), wiped.name()]);
    let agent = Agent::start(Path::new(ANETCOND), configuration);
    agent.wait_audited(2);
    let audited = Audited { agent, netns: wiped };
    let made = Flood::during(
        &flooded,
        || {},
        |flood| {
            for _ in 0..10 {
                flood.wait_for_wave();
                audited.repair();
            }
        },
    );
    let status = audited.agent.status();
    assert_eq!(status["repairs"]["total"], 10, "{status:#}");
    // What the rules counted is what was made: nothing slipped through.
    assert_eq!(status["connections"]["nat"], made, "{status:#}");
}

#[test]
fn repairs_run_before_everything_else() {
    let audited = Audited::new("planefirst");
    // A repair makes every kind of thread there is.
    audited.repair();
    let threads = threads(audited.agent.pid());
    let (rules, others): (Vec<_>, Vec<_>) =
        threads.iter().partition(|thread| thread.name == "anetcon-rules");
    assert!(!rules.is_empty() && !others.is_empty(), "{threads:?}");
    assert!(rules.iter().all(|thread| (thread.policy, thread.priority) == (1, 1)), "{rules:?}");
    assert!(others.iter().all(|thread| thread.policy == 0), "{others:?}");
}

#[test]
fn a_storm_of_repairs_costs_no_log_line() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let audited = Audited::new("planestorm");
    let agent = &audited.agent;
    let mut log = KernelLog::follow(&agent.configuration().prefix);
    let mut logged = 0;
    let written = || agent.status()["log"]["nat_lines"].as_u64().expect("a number") as usize;
    // The kernel log holds some hundred lines: each wave is read by us, and by the agent, before the next.
    let count = || {
        logged = log.settled().len();
        wait_until("the agent writes what is logged", PATIENCE, || written() >= logged);
    };
    let made = Flood::during(&audited.netns, count, |flood| {
        for _ in 0..30 {
            audited.repair();
            flood.wait_for_wave();
        }
    });
    assert!((30 * WAVE..=made).contains(&logged), "{logged} lines for {made} connections");
    let lines = agent.log_lines("nat").len() + agent.log_lines("float").len();
    let status = agent.status();
    assert_eq!(lines, logged, "{status:#}");
    assert_eq!(status["log"]["nat_lines"], logged, "{status:#}");
    assert_eq!(status["log"]["kernel_lines_lost"], 0, "{status:#}");
    assert_eq!(status["repairs"]["total"], 30, "{status:#}");
}
