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
use anetcon_records::session::{Known, Origin, Run, SessionCounters, SessionLog, SessionLogConfig};
use anetcon_records::system;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use self::follow::Follower;
pub use self::follow::{Following, Wanted};
use crate::capture;
use crate::registry::Registry;

/// How long a rotation, or a reload, waits for the file.
const SYNC_TIME: Duration = Duration::from_secs(3);

/// How long a reload may be kept waiting for a log that still reads.
const BEGIN_TIME: Duration = Duration::from_secs(1);

/// The record plane.
#[derive(Debug)]
pub struct Records {
    runtime: Handle,
    registry: Arc<Registry>,
    log: RwLock<Log>,
    /// Held by every follower: when the last one is gone, all that the kernel told has been handed over.
    followers: Mutex<Option<mpsc::Sender<()>>>,
    gone: tokio::sync::Mutex<mpsc::Receiver<()>>,
    /// Whether the first log has read what is on record, and writes.
    begun: watch::Sender<bool>,
    /// Overruns and odd messages of namespaces that are gone.
    past: Mutex<NamespaceRecords>,
    /// What logs of configurations before wrote.
    before: Mutex<Written>,
}

/// What became of records.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// In a file.
    pub written: u64,
    /// Not written, and gone.
    pub unwritten: u64,
    /// Without a place in the queue, and gone.
    pub dropped: u64,
    /// Waiting now.
    pub waiting: u64,
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
    pub fn start(runtime: Handle, config: &Config, registry: Arc<Registry>) -> Arc<Self> {
        let (followers, gone) = mpsc::channel(1);
        let records = Arc::new(Self {
            runtime,
            log: RwLock::new(begin(config, &registry, None)),
            registry,
            followers: Mutex::new(Some(followers)),
            gone: tokio::sync::Mutex::new(gone),
            begun: watch::Sender::new(false),
            past: Mutex::default(),
            before: Mutex::default(),
        });
        let beginning = Arc::clone(&records);
        records.runtime.spawn_blocking(move || {
            while !beginning.has_begun() {}
            beginning.begun.send_replace(true);
        });
        records
    }

    /// Waits until the log writes. What is taken out of the kernel before only waits in memory, where a kill would lose it.
    async fn begun(&self) {
        // It ends with `self` only.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// Waits for a while; whether there is nothing more to wait for.
    fn has_begun(&self) -> bool {
        match &*self.read() {
            Log::On(log) => log.sync(BEGIN_TIME),
            Log::Off | Log::Failed(_) => true,
        }
    }

    /// Follows the connections of a namespace from now on, until the [`Following`] is dropped; through a socket that is `inherited`
    /// also those that an agent before did not read of.
    pub fn follow(
        self: &Arc<Self>,
        name: &NetnsName,
        cookie: NetnsCookie,
        (conntrack, inherited): (Conntrack, bool),
        wanted: Wanted,
    ) -> Option<Following> {
        let alive = self.followers.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let origin = Arc::new(Origin::new(name.as_str(), cookie.to_string()));
        let follower = Follower::new(name.clone(), origin, Arc::clone(self), alive, inherited);
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
        let (known, counters) = std::mem::replace(&mut *log, Log::Off).end().unzip();
        self.add(counters);
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

    /// What became of the records since the agent started, whatever was configured meanwhile.
    pub fn written(&self) -> Written {
        // Held to the end: between a log that ends and the sum of those before, nothing is counted twice.
        let log = self.read();
        let now = match &*log {
            Log::On(log) => Written::from(&log.counters()),
            Log::Off | Log::Failed(_) => Written::default(),
        };
        self.before.lock().unwrap_or_else(PoisonError::into_inner).plus(now)
    }

    fn add(&self, counters: Option<SessionCounters>) {
        let ended = counters.as_ref().map(Written::from).unwrap_or_default();
        let mut before = self.before.lock().unwrap_or_else(PoisonError::into_inner);
        *before = before.plus(ended);
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

impl Written {
    fn plus(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            unwritten: self.unwritten + other.unwritten,
            dropped: self.dropped + other.dropped,
            waiting: self.waiting + other.waiting,
        }
    }
}

impl From<&SessionCounters> for Written {
    fn from(counters: &SessionCounters) -> Self {
        let SessionCounters { written, unwritten, dropped, waiting, .. } = *counters;
        Self { written, unwritten, dropped, waiting }
    }
}

impl Log {
    /// Writes what waits. What is on record then, and what became of it.
    fn end(self) -> Option<(Known, SessionCounters)> {
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
