//! The record plane: one record per connection, with both sides of its translation.
//!
//! It has threads of its own. A flood of connections keeps these busy and delays no repair; what they cannot take
//! in waits in the kernel's buffer of that namespace, and what finds that full is counted.

mod follow;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anetcon_api::{NamespaceRecords, RecordsStatus};
use anetcon_core::config::Config;
use anetcon_core::netns::{NetnsCookie, NetnsName};
use anetcon_host::Conntrack;
use anetcon_records::session::{Known, Origin, Run, SessionLog, SessionLogConfig};
use anetcon_records::system;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use self::follow::Follower;
pub use self::follow::{Following, Wanted};
use crate::capture;
use crate::registry::Registry;

/// How long a rotation, or a reload, waits for the file.
const SYNC_TIME: Duration = Duration::from_secs(3);

/// The record plane.
#[derive(Debug)]
pub struct Records {
    runtime: Handle,
    registry: Arc<Registry>,
    log: RwLock<Log>,
    /// Held by every follower: when the last one is gone, all that the kernel told has been handed over.
    followers: Mutex<Option<mpsc::Sender<()>>>,
    gone: tokio::sync::Mutex<mpsc::Receiver<()>>,
    /// Overruns and odd messages of namespaces that are gone.
    past: Mutex<NamespaceRecords>,
}

#[derive(Debug)]
enum Log {
    /// `records.enabled = false`.
    Off,
    On(SessionLog),
    /// There should be one: why not.
    Failed(String),
}

impl Records {
    /// Starts the writer, if records are enabled. That it cannot be started is no reason not to audit: it shows in the
    /// status. `runtime` is where sockets are read.
    pub fn start(runtime: Handle, config: &Config, registry: Arc<Registry>) -> Self {
        let (followers, gone) = mpsc::channel(1);
        Self {
            runtime,
            log: RwLock::new(begin(config, &registry, None)),
            registry,
            followers: Mutex::new(Some(followers)),
            gone: tokio::sync::Mutex::new(gone),
            past: Mutex::default(),
        }
    }

    /// Follows the connections of a namespace from now on, until the [`Following`] is dropped.
    pub fn follow(
        self: &Arc<Self>,
        name: &NetnsName,
        cookie: NetnsCookie,
        conntrack: Conntrack,
        wanted: Wanted,
    ) -> Option<Following> {
        let alive = self.followers.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let origin = Arc::new(Origin::new(name.as_str(), cookie.to_string()));
        let follower = Follower::new(name.clone(), origin, Arc::clone(self), alive);
        Some(follower.start(&self.runtime, conntrack, wanted))
    }

    /// Puts another configuration in force. Waits for the disk. Where it switches records off, nobody must be followed
    /// any more.
    pub fn reconfigure(&self, old: &Config, new: &Config) {
        if old.records == new.records {
            // Renamed by whoever asked for the reload, perhaps.
            self.reopen();
            return;
        }
        // What was handed over before is in its file before the new log begins; what comes meanwhile waits for this lock.
        let mut log = self.write();
        let known = std::mem::replace(&mut *log, Log::Off).end();
        *log = begin(new, &self.registry, known);
        drop(log);
        // So that the status tells at once whether the new file can be written.
        if let Log::On(log) = &*self.read() {
            log.sync(SYNC_TIME);
        }
    }

    /// Has the file opened anew. Whether that was done in time.
    pub fn reopen(&self) -> bool {
        match &*self.read() {
            Log::On(log) => {
                log.reopen();
                log.sync(SYNC_TIME)
            }
            Log::Off | Log::Failed(_) => true,
        }
    }

    /// Waits until no namespace is followed any more, then writes everything.
    pub async fn stop(&self) {
        drop(self.followers.lock().unwrap_or_else(PoisonError::into_inner).take());
        // `None` comes when the last follower has dropped its sender.
        let _ = self.gone.lock().await.recv().await;
        let log = std::mem::replace(&mut *self.write(), Log::Off);
        // Dropping the last handle writes what waits and joins the thread.
        let _ = tokio::task::spawn_blocking(move || drop(log)).await;
    }

    /// What became of the records so far.
    pub fn status(&self, config: &Config) -> RecordsStatus {
        let mut status = RecordsStatus {
            enabled: config.records.enabled,
            file: config.records.file.display().to_string(),
            ..RecordsStatus::default()
        };
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner).clone();
        status.overruns = past.overruns;
        status.malformed = past.malformed;
        for records in self.registry.records() {
            status.namespaces += u64::from(records.following);
            status.overruns += records.overruns;
            status.malformed += records.malformed;
        }
        match &*self.read() {
            Log::Off => {}
            Log::Failed(error) => status.error = Some(error.clone()),
            Log::On(log) => fill(&mut status, log),
        }
        status
    }

    fn push(&self, origin: &Arc<Origin>, events: Vec<follow::Recorded>) {
        if let Log::On(log) = &*self.read() {
            log.push(origin, events);
        }
    }

    fn remember(&self, past: &NamespaceRecords) {
        let mut sum = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        sum.overruns += past.overruns;
        sum.malformed += past.malformed;
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Log> {
        self.log.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// Writes what waits. What is on record then.
    fn end(self) -> Option<Known> {
        match self {
            Self::On(log) => log.hand_over().ok(),
            Self::Off | Self::Failed(_) => None,
        }
    }
}

fn begin(config: &Config, registry: &Arc<Registry>, known: Option<Known>) -> Log {
    if !config.records.enabled {
        return Log::Off;
    }
    match open(config, registry, known) {
        Ok(log) => Log::On(log),
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(error, "connections are not put on record");
            Log::Failed(error)
        }
    }
}

fn open(
    config: &Config,
    registry: &Arc<Registry>,
    known: Option<Known>,
) -> anyhow::Result<SessionLog> {
    let run = Run {
        hostname: system::hostname(),
        boot_id: system::boot_id()?,
        id: Run::id_at(Timestamp::now()),
        destination: config.records.destination,
    };
    let file: &Path = &config.records.file;
    let mut settings = SessionLogConfig::new(file.to_owned(), run);
    settings.end = config.records.end;
    settings.known = known;
    let registry = Arc::clone(registry);
    Ok(SessionLog::start(settings, move |event| capture::tell(&registry, &event))?)
}

fn fill(status: &mut RecordsStatus, log: &SessionLog) {
    let counters = log.counters();
    let time = |time: Timestamp| format!("{time:.6}");
    status.since = Some(time(counters.since));
    status.written = counters.written;
    status.repeated = counters.repeated;
    status.waiting = counters.waiting;
    status.unwritten = counters.unwritten;
    status.dropped = counters.dropped;
    status.last_seq = counters.last_seq;
    status.last_record = counters.last_record.map(time);
    status.error = counters.error;
}
