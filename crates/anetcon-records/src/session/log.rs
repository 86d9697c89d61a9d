//! The handle of the records' thread: connections go in and never wait, the thread writes them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anetcon_core::session::{Action, Event};
use jiff::Timestamp;

use super::build::{Origin, Run};
use super::counters::SessionCounters;
use super::error::SessionError;
use super::known::{self, Known};
use super::writer::Writer;
use crate::counters::Event as Told;
use crate::teller::OnEvent;

/// How many records may wait: some seconds at the highest rates, in about 40 MiB, and as many again being written.
pub const QUEUE: usize = 1 << 17;

/// What is written where.
#[derive(Debug, Clone)]
pub struct SessionLogConfig {
    /// The file.
    pub file: PathBuf,
    /// What all records say. Its id must be new for each log: numbers start at 1 again.
    pub run: Run,
    /// Whether ends of connections are written (`records.end`).
    pub end: bool,
    /// How many records may wait.
    pub queue: usize,
    /// How many connections each of two generations remembers.
    pub generation: usize,
    /// How many bytes of the newest files are read at the start, for what this boot has on record already. What is found open
    /// and does not stand there is looked for in the rest.
    pub tail: u64,
    /// What is on record already, if that is known; nothing is read then. From [`SessionLog::hand_over`].
    pub known: Option<Known>,
}

/// The records of all namespaces on their way into one file.
#[derive(Debug)]
pub struct SessionLog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Known>>,
}

/// A connection that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) origin: Arc<Origin>,
    pub(crate) event: Event,
    pub(crate) action: Action,
    pub(crate) read: Timestamp,
}

/// What the thread takes at once.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) waiting: VecDeque<Waiting>,
    /// Dropped after the last of them.
    pub(crate) dropped: u64,
    pub(crate) reopen: bool,
    /// A search in older files is over.
    pub(crate) looked_up: bool,
    /// Nothing follows.
    pub(crate) last: bool,
}

/// What handle and thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    done: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Dropped since the thread took what was waiting: all came after what waits now, for the queue has been full since.
    dropped: u64,
    reopen: bool,
    looked_up: bool,
    stop: bool,
    /// What was asked of the thread so far, and how much of that it has done.
    asked: u64,
    done: u64,
    /// Taken and not yet written.
    taken: u64,
    counters: SessionCounters,
}

impl SessionLogConfig {
    /// The usual limits.
    pub fn new(file: PathBuf, run: Run) -> Self {
        let (generation, tail) = (known::GENERATION, known::TAIL);
        Self { file, run, end: false, queue: QUEUE, generation, tail, known: None }
    }
}

impl SessionLog {
    /// Starts the thread `anetcon-records`. It reads what is on record already, then writes. `on_event` is called there for
    /// what deserves a line in the agent's own log.
    ///
    /// # Errors
    /// [`SessionError::Thread`].
    pub fn start(
        config: SessionLogConfig,
        on_event: impl FnMut(Told) + Send + 'static,
    ) -> Result<Self, SessionError> {
        let shared = Arc::new(Shared::new(config.queue));
        let on_event: OnEvent = Box::new(on_event);
        let writer = Writer::new(config, Arc::clone(&shared), on_event);
        let thread = thread::Builder::new()
            .name("anetcon-records".into())
            .spawn(move || writer.run())
            .map_err(SessionError::Thread)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Hands over connections of one namespace, with what each is put on record as. Never waits for the disk: what finds the
    /// queue full is counted and gone. [`EventKind::Seen`](anetcon_core::session::EventKind::Seen) is written only for
    /// connections that are not on record, and ends only if asked for, so everything may be handed over.
    pub fn push(&self, origin: &Arc<Origin>, events: impl IntoIterator<Item = (Event, Action)>) {
        let read = Timestamp::now();
        let mut queue = self.shared.lock();
        let before = queue.waiting.len();
        for (event, action) in events {
            if queue.waiting.len() >= self.shared.limit {
                queue.dropped += 1;
                queue.counters.dropped += 1;
                continue;
            }
            queue.waiting.push_back(Waiting { origin: Arc::clone(origin), event, action, read });
        }
        // The thread sleeps only while nothing waits.
        let wake = before == 0 && !queue.waiting.is_empty();
        drop(queue);
        if wake {
            self.shared.changed.notify_one();
        }
    }

    /// Has the file opened anew, by its path, before anything else is written. A file that was renamed is noticed without
    /// this, too; this makes it happen now, and makes the new file.
    pub fn reopen(&self) {
        self.shared.lock().reopen = true;
        self.shared.changed.notify_one();
    }

    /// Waits until all that was handed over before is in the file or counted, and a file that was to be opened anew is open.
    /// Not waited for are connections that are being looked for in older files. `false`: it took longer than the limit.
    pub fn sync(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        let mut queue = self.shared.lock();
        queue.asked += 1;
        let wanted = queue.asked;
        self.shared.changed.notify_one();
        while queue.done < wanted {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                return false;
            }
            let waited = self.shared.done.wait_timeout(queue, rest);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// What became of the records so far.
    pub fn counters(&self) -> SessionCounters {
        self.shared.snapshot()
    }

    /// Writes what waits and ends the thread.
    ///
    /// # Errors
    /// [`SessionError::Panicked`].
    pub fn stop(mut self) -> Result<SessionCounters, SessionError> {
        self.finish()?;
        Ok(self.shared.snapshot())
    }

    /// Writes what waits and ends the thread. What is on record then, for the log that comes next.
    ///
    /// # Errors
    /// [`SessionError::Panicked`].
    pub fn hand_over(mut self) -> Result<(Known, SessionCounters), SessionError> {
        let known = self.finish()?.ok_or(SessionError::Panicked)?;
        Ok((known, self.counters()))
    }

    /// `None`: that was done before.
    fn finish(&mut self) -> Result<Option<Known>, SessionError> {
        let Some(thread) = self.thread.take() else { return Ok(None) };
        self.shared.lock().stop = true;
        self.shared.changed.notify_one();
        thread.join().map(Some).map_err(|_| SessionError::Panicked)
    }
}

impl Drop for SessionLog {
    fn drop(&mut self) {
        // Who wants to know calls `stop`.
        let _ = self.finish();
    }
}

impl Shared {
    fn new(limit: usize) -> Self {
        let queue = Queue {
            waiting: VecDeque::new(),
            dropped: 0,
            reopen: false,
            looked_up: false,
            stop: false,
            asked: 0,
            done: 0,
            taken: 0,
            counters: SessionCounters::starting(Timestamp::now()),
        };
        let (changed, done) = (Condvar::new(), Condvar::new());
        Self { queue: Mutex::new(queue), changed, done, limit: limit.max(1) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self) -> SessionCounters {
        let queue = self.lock();
        let waiting = queue.waiting.len() as u64 + queue.taken;
        SessionCounters { waiting, ..queue.counters.clone() }
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut SessionCounters)) {
        change(&mut self.lock().counters);
    }

    /// What the thread took is in the file or counted.
    pub(crate) fn settled(&self, records: u64, change: impl FnOnce(&mut SessionCounters)) {
        let mut queue = self.lock();
        queue.taken = queue.taken.saturating_sub(records);
        change(&mut queue.counters);
    }

    /// Waits for something to do, then a little longer, so that a burst is one write. With the batch comes the number that
    /// [`done`](Self::done) wants to hear.
    pub(crate) fn take(&self, linger: Duration) -> (Batch, u64) {
        let mut queue = self.lock();
        while queue.idle() {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if !queue.urgent() {
            let until = |queue: &mut Queue| !queue.urgent();
            let waited = self.changed.wait_timeout_while(queue, linger, until);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = Batch {
            waiting: std::mem::take(&mut queue.waiting),
            dropped: std::mem::take(&mut queue.dropped),
            reopen: std::mem::take(&mut queue.reopen),
            looked_up: std::mem::take(&mut queue.looked_up),
            last: queue.stop,
        };
        queue.taken += batch.waiting.len() as u64;
        (batch, queue.asked)
    }

    /// A search in older files is over: the thread is to ask for what it gave.
    pub(crate) fn looked_up(&self) {
        self.lock().looked_up = true;
        self.changed.notify_one();
    }

    pub(crate) fn done(&self, asked: u64) {
        self.lock().done = asked;
        self.done.notify_all();
    }
}

impl Queue {
    fn idle(&self) -> bool {
        self.waiting.is_empty() && !self.urgent()
    }

    fn urgent(&self) -> bool {
        self.reopen || self.looked_up || self.stop || self.asked > self.done
    }
}
