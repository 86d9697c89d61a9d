//! The kernel log read all the time: others write there too, and the ring is small.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anetcon_testkit::kernel_log::KernelLog;

use super::machine::PATIENCE;

const LOG_ALL: &str = "/proc/sys/net/netfilter/nf_log_all_netns";

/// Whether the kernel logs what happens in namespaces.
fn log_all() -> String {
    let text = fs::read_to_string(LOG_ALL);
    text.expect("this is the machine's own network namespace").trim().to_owned()
}

/// Has the kernel log as on a machine that is set up for it, and puts that back: an agent that ends puts back what it
/// found, also where another one begins right away.
pub struct LogAll(String);

impl LogAll {
    /// From now on.
    pub fn on() -> Self {
        let before = log_all();
        fs::write(LOG_ALL, "1").expect("root may write it");
        Self(before)
    }
}

impl Drop for LogAll {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = fs::write(LOG_ALL, &self.0);
    }
}

/// A thread that reads it.
pub struct Reading {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<KernelLog>>,
}

impl Reading {
    /// Begins.
    pub fn start(mut log: KernelLog) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // Waits for nothing: it reads what is there.
                log.wait_for(0, PATIENCE);
                assert_eq!(log_all(), "1", "somebody else has the kernel log nothing");
                thread::sleep(Duration::from_millis(10));
            }
            log
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends, and gives the log back.
    pub fn stop(mut self) -> KernelLog {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it runs until it is stopped");
        thread.join().expect("the kernel log is read in time")
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
