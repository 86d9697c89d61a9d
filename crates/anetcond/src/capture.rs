//! Runs the capture plane where the agent writes the log files itself (`log.writer = "agent"`), and tells how it goes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anetcon_api::{Happening, LogStatus, LogWriter};
use anetcon_core::config::{Config, Writer};
use anetcon_records::capture::{Capture as Thread, CaptureConfig};
use anetcon_records::counters::Event;
use anetcon_records::system;

use crate::registry::Registry;

/// The capture thread, or none where rsyslog writes the files.
#[derive(Debug)]
pub struct Capture {
    registry: Arc<Registry>,
    running: Mutex<Running>,
}

#[derive(Debug)]
enum Running {
    /// rsyslog writes.
    Rsyslog,
    /// We do.
    Thread(Thread),
    /// We should, and cannot: why.
    Failed(String),
}

impl Capture {
    /// Starts to capture if the configuration says so. That the kernel log cannot be read is no reason not to audit:
    /// it shows in the status.
    pub fn start(config: &Config, registry: Arc<Registry>) -> Self {
        let running = begin(config, &registry);
        Self { registry, running: Mutex::new(running) }
    }

    /// Makes the prefixes of a configuration known before its rules are in force: their first lines may come at once.
    pub fn prepare(&self, config: &Config) {
        if let Running::Thread(thread) = &*self.running()
            && let Err(error) = thread.learn(&config.log.prefixes)
        {
            tracing::warn!(%error, "the first lines after the reload may be missing in the log files");
        }
    }

    /// Puts another configuration in force.
    pub fn reconfigure(&self, config: &Config) {
        let mut running = self.running();
        match (&*running, config.log.writer) {
            (Running::Thread(thread), Writer::Agent) => thread.reconfigure(settings(config)),
            (Running::Rsyslog, Writer::Rsyslog) => {}
            // The old thread, if any, ends here and writes what it has.
            _ => {
                *running = Running::Rsyslog;
                *running = begin(config, &self.registry);
            }
        }
    }

    /// Writes everything that is in the kernel log and ends.
    pub fn stop(&self) {
        let running = std::mem::replace(&mut *self.running(), Running::Rsyslog);
        if let Running::Thread(thread) = running
            && let Err(error) = thread.stop()
        {
            tracing::error!(%error, "the log files may lack their last lines");
        }
    }

    /// Who writes, and what was written.
    pub fn status(&self, config: &Config) -> LogStatus {
        let mut status = LogStatus {
            writer: LogWriter::Agent,
            directory: config.log.directory.display().to_string(),
            float_lines: None,
            nat_lines: None,
            kernel_lines_lost: None,
            unwritable_lines: None,
            last_error: None,
            since: None,
        };
        match &*self.running() {
            Running::Rsyslog => status.writer = LogWriter::Rsyslog,
            Running::Failed(error) => status.last_error = Some(error.clone()),
            Running::Thread(thread) => {
                let counters = thread.counters();
                status.float_lines = Some(counters.float);
                status.nat_lines = Some(counters.nat);
                status.kernel_lines_lost = Some(counters.lost);
                status.unwritable_lines = Some(counters.unwritten);
                status.since = Some(format!("{:.6}", counters.since));
                let dead = || (!thread.is_running()).then(|| "the capture thread died".to_owned());
                status.last_error = counters.error.or_else(dead);
            }
        }
        status
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begin(config: &Config, registry: &Arc<Registry>) -> Running {
    if config.log.writer == Writer::Rsyslog {
        return Running::Rsyslog;
    }
    let registry = Arc::clone(registry);
    match Thread::start(settings(config), move |event| tell(&registry, &event)) {
        Ok(thread) => Running::Thread(thread),
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            tracing::error!(error, "the log files are not written");
            Running::Failed(error)
        }
    }
}

fn settings(config: &Config) -> CaptureConfig {
    CaptureConfig {
        prefixes: config.log.prefixes.clone(),
        directory: config.log.directory.clone(),
        state_directory: config.state.directory.clone(),
        hostname: system::hostname(),
    }
}

/// Called on the threads that write: logs the event once, and tells the watchers.
pub fn tell(registry: &Registry, event: &Event) {
    let happening = match event {
        Event::Lost { records, .. } => {
            tracing::error!("{event}");
            Happening::KernelLinesLost { lines: *records }
        }
        Event::Failed { error } => {
            tracing::error!("{event}");
            Happening::LogWriteError { error: error.clone() }
        }
        Event::Recovered { unwritten, .. } => {
            tracing::warn!("{event}");
            Happening::LogWriteRecovered { unwritable_lines: *unwritten }
        }
        Event::PositionVoid | Event::Reopened { .. } => {
            tracing::info!("{event}");
            return;
        }
    };
    registry.publish(None, happening);
}
