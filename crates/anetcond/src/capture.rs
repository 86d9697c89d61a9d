//! Runs the capture plane: it writes the log files (`log.writer = "agent"`), or only counts lines where rsyslog does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anetcon_api::{Happening, LogStatus, LogWriter};
use anetcon_core::config::{Config, Writer};
use anetcon_records::capture::{Capture as Thread, CaptureConfig};
use anetcon_records::counters::{Counters, Event, Lines};
use anetcon_records::device::Device;
use anetcon_records::system;

use crate::kernel_log;
use crate::registry::Registry;

/// The capture thread, or none where rsyslog writes the files.
#[derive(Debug)]
pub struct Capture {
    registry: Arc<Registry>,
    device: Device,
    running: Mutex<Running>,
    /// What threads of configurations before captured.
    before: Mutex<Captured>,
}

/// What became of kernel log records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Captured {
    /// Lines of ours written to the float file.
    pub float: u64,
    /// Lines of ours written to the nat file.
    pub nat: u64,
    /// Lines of ours that could not be written, and are gone.
    pub unwritten: u64,
    /// Records, of anybody, that were overwritten before they could be read.
    pub lost: u64,
}

#[derive(Debug)]
struct Running {
    /// Who writes the files. Where rsyslog does, the thread counts beside it.
    writer: Writer,
    /// The thread, or why there is none.
    thread: Result<Thread, String>,
}

impl Capture {
    /// Starts to capture if the configuration says so. That the kernel log cannot be read is no reason not to audit:
    /// it shows in the status.
    pub fn start(config: &Config, registry: Arc<Registry>) -> Self {
        let device = kernel_log::receive(registry.store());
        let running = begin(config, &device, &registry);
        Self { registry, device, running: Mutex::new(running), before: Mutex::default() }
    }

    /// Makes the prefixes of a configuration known before its rules are in force: their first lines may come at once.
    pub fn prepare(&self, config: &Config) {
        if let Some(thread) = self.running().thread()
            && let Err(error) = thread.learn(&config.log.prefixes)
        {
            tracing::warn!(%error, "the first lines after the reload may be missing in the log files");
        }
    }

    /// Puts another configuration in force.
    pub fn reconfigure(&self, config: &Config) {
        let mut running = self.running();
        match &running.thread {
            Ok(thread) if running.writer == config.log.writer => {
                thread.reconfigure(settings(config));
            }
            // The old thread, if any, ends here and writes what it has.
            _ => {
                self.end(&mut running);
                *running = begin(config, &self.device, &self.registry);
            }
        }
    }

    /// Writes everything that is in the kernel log and ends.
    pub fn stop(&self) {
        self.end(&mut self.running());
    }

    /// Who writes, and what was written.
    pub fn status(&self, config: &Config) -> LogStatus {
        let running = self.running();
        let mut status = LogStatus {
            writer: match running.writer {
                Writer::Agent => LogWriter::Agent,
                Writer::Rsyslog => LogWriter::Rsyslog,
            },
            directory: config.log.directory.display().to_string(),
            float_lines: None,
            nat_lines: None,
            kernel_lines_lost: None,
            unwritable_lines: None,
            last_error: None,
            since: None,
        };
        let thread = match &running.thread {
            Ok(thread) => thread,
            Err(error) => return LogStatus { last_error: Some(error.clone()), ..status },
        };
        let counters = thread.counters();
        if running.writer == Writer::Agent {
            status.float_lines = Some(counters.float);
            status.nat_lines = Some(counters.nat);
            status.kernel_lines_lost = Some(counters.lost);
            status.unwritable_lines = Some(counters.unwritten);
            status.since = Some(format!("{:.6}", counters.since));
        }
        let dead = || (!thread.is_running()).then(|| "the capture thread died".to_owned());
        status.last_error = counters.error.or_else(dead);
        status
    }

    /// Lines in the kernel log so far, by what their prefix says about the namespace.
    pub fn lines(&self) -> Lines {
        self.running().thread().map(Thread::lines).unwrap_or_default()
    }

    /// Whether the kernel log is being read.
    pub fn reads(&self) -> bool {
        self.running().thread().is_some_and(Thread::is_running)
    }

    /// Kernel records that were overwritten before they were read.
    pub fn lost(&self) -> u64 {
        self.running().thread().map_or(0, |thread| thread.counters().lost)
    }

    /// What was captured since the agent started, whatever was configured meanwhile.
    pub fn captured(&self) -> Captured {
        // Held to the end: between a thread that ends and the sum of those before, nothing is counted twice.
        let running = self.running();
        let now = running.thread().map(|thread| Captured::from(&thread.counters()));
        let before = *self.before.lock().unwrap_or_else(PoisonError::into_inner);
        before.plus(now.unwrap_or_default())
    }

    fn end(&self, running: &mut Running) {
        let ended = Running { writer: running.writer, thread: Err("it has ended".to_owned()) };
        let ended = std::mem::replace(running, ended).end();
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = before.plus(ended);
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Captured {
    fn plus(self, other: Self) -> Self {
        Self {
            float: self.float + other.float,
            nat: self.nat + other.nat,
            unwritten: self.unwritten + other.unwritten,
            lost: self.lost + other.lost,
        }
    }
}

impl From<&Counters> for Captured {
    fn from(counters: &Counters) -> Self {
        let Counters { float, nat, unwritten, lost, .. } = *counters;
        Self { float, nat, unwritten, lost }
    }
}

impl Running {
    /// Writes what the thread has and ends it. What it captured.
    fn end(self) -> Captured {
        let Ok(thread) = self.thread else { return Captured::default() };
        let last = thread.counters();
        let ended = thread.stop();
        if let (Err(error), Writer::Agent) = (&ended, self.writer) {
            tracing::error!(%error, "the log files may lack their last lines");
        }
        Captured::from(&ended.unwrap_or(last))
    }

    fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().ok()
    }
}

fn begin(config: &Config, device: &Device, registry: &Arc<Registry>) -> Running {
    let registry = Arc::clone(registry);
    let writer = config.log.writer;
    let thread =
        Thread::start(settings(config), device.clone(), move |event| tell(&registry, &event));
    let thread = thread.map_err(|error| {
        let error = format!("{:#}", anyhow::Error::new(error));
        match writer {
            Writer::Agent => tracing::error!(error, "the log files are not written"),
            Writer::Rsyslog => {
                tracing::warn!(error, "lines cannot be counted: only rsyslog sees them")
            }
        }
        error
    });
    Running { writer, thread }
}

fn settings(config: &Config) -> CaptureConfig {
    CaptureConfig {
        prefixes: config.log.prefixes.clone(),
        directory: config.log.directory.clone(),
        state_directory: config.state.directory.clone(),
        hostname: system::hostname(),
        write: config.log.writer == Writer::Agent,
    }
}

/// Called on the threads that write: logs the event once, and tells the watchers.
pub fn tell(registry: &Registry, event: &Event) {
    registry.ledger().files(event);
    let happening = match event {
        Event::Lost { records, .. } => {
            tracing::error!("{event}");
            Happening::KernelLinesLost { lines: *records }
        }
        Event::Failed { error, .. } => {
            tracing::error!("{event}");
            Happening::LogWriteError { error: error.clone() }
        }
        Event::Recovered { unwritten, .. } => {
            tracing::warn!("{event}");
            Happening::LogWriteRecovered { unwritable_lines: *unwritten }
        }
        Event::Dropped { .. } => {
            tracing::error!("{event}");
            return;
        }
        Event::Reopened { .. } => {
            tracing::info!("{event}");
            registry.manifest().look();
            return;
        }
        Event::PositionVoid => {
            tracing::info!("{event}");
            return;
        }
    };
    registry.publish(None, happening);
}
