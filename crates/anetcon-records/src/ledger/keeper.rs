//! The thread `anetcon-ledger`: gaps begin and end here, and become lines.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anetcon_core::ledger::{Cause, Channel, Culprit, Entry, Mark};
use jiff::Timestamp;

use super::book::Book;
use super::culprit;
use super::handle::{Facts, LedgerConfig, LedgerStatus, Message, Place};
use super::read::left_open;
use crate::search::{Wanted, count};

/// How long after a gap its records are counted: they are in the file by then.
const COUNT_AFTER: Duration = Duration::from_millis(1500);

/// How often records are counted at most: gaps that end meanwhile are counted together.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How often a full disk is tried again.
const AGAIN: Duration = Duration::from_secs(1);

const BOTH: [Channel; 2] = [Channel::KernelLog, Channel::Records];

/// Told why the file cannot be written, and when it can be again.
pub(super) type Trouble = Box<dyn FnMut(Option<&str>) + Send>;

/// Two gaps at once are two if they differ in one of these.
type Key = (Option<String>, Option<String>, Cause, Vec<Channel>);

/// The thread's state.
pub(super) struct Keeper {
    config: LedgerConfig,
    book: Book,
    status: Arc<Mutex<LedgerStatus>>,
    trouble: Trouble,
    number: u64,
    open: HashMap<Key, Entry>,
    begun: BTreeMap<Cause, u64>,
    /// The time before this start in which no agent ran: its gap, and from when.
    down: Option<(String, Timestamp)>,
    started: Timestamp,
    counting: Vec<(Instant, Entry)>,
    counted: Option<Instant>,
}

impl Keeper {
    pub(super) fn new(
        config: LedgerConfig,
        status: Arc<Mutex<LedgerStatus>>,
        trouble: Trouble,
    ) -> Self {
        let book = Book::new(&config.folder, config.largest);
        let (open, begun) = (HashMap::new(), BTreeMap::new());
        let (counting, started) = (Vec::new(), Timestamp::now());
        Self {
            config,
            book,
            status,
            trouble,
            number: 0,
            open,
            begun,
            down: None,
            started,
            counting,
            counted: None,
        }
    }

    /// Ends what the run before left open, and begins the time without an agent: from the last sign of life on, or since
    /// when the agent before said that it ends.
    pub(super) fn take_over(&mut self, now: Timestamp) {
        self.started = now;
        let before = left_open(&self.config.folder).unwrap_or_default();
        let mut start = self.entry(Mark::Start);
        start.from = before.beat.as_ref().map(|beat| beat.time);
        self.write(start);
        let told = before
            .account
            .open()
            .find(|gap| gap.entry.cause == Some(Cause::AgentDown) && gap.entry.of.is_none());
        let told = told.map(|gap| gap.entry.clone());
        // A clock that was set back must not make a gap end before it begins.
        let died = before.beat.map(|beat| beat.time.min(now));
        for gap in before.account.open() {
            let to = died.unwrap_or(now).max(gap.from);
            if gap.entry.cause != Some(Cause::AgentDown) {
                self.write(Entry {
                    mark: Mark::End,
                    written: now,
                    to: Some(to),
                    ..gap.entry.clone()
                });
            }
        }
        match (told, died) {
            (Some(told), _) => self.set_down(told.from.unwrap_or(now), told),
            (None, Some(died)) => {
                let mut down = self.entry(Mark::Begin);
                down.channels = BOTH.to_vec();
                (down.cause, down.from) = (Some(Cause::AgentDown), Some(died));
                self.write(down.clone());
                self.set_down(died, down);
            }
            (None, None) => {}
        }
        self.flush();
    }

    fn set_down(&mut self, from: Timestamp, down: Entry) {
        self.down = Some((down.gap.clone(), from));
        self.open.insert((None, None, Cause::AgentDown, BOTH.to_vec()), down);
    }

    /// When the agent before was heard of last, if there was one.
    pub(super) fn down_since(&self) -> Option<Timestamp> {
        self.down.as_ref().map(|(_, from)| *from)
    }

    pub(super) fn started(&self) -> Timestamp {
        self.started
    }

    pub(super) fn run(mut self, inbox: &Receiver<Message>) {
        loop {
            let due = self.next_count();
            let wait = due.map_or(AGAIN, |due| due.saturating_duration_since(Instant::now()));
            match inbox.recv_timeout(wait.min(AGAIN)) {
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // What came meanwhile goes to the disk with it.
            let mut close = false;
            for message in inbox.try_iter() {
                match message {
                    Message::Close => close = true,
                    message => self.take(message),
                }
            }
            self.count(Instant::now());
            self.flush();
            if close {
                break;
            }
        }
        self.flush();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Begin(place, cause, from, facts) => self.begin(place, cause, from, facts),
            Message::End(place, cause, to, facts) => self.end(place, cause, to, facts),
            Message::Gap(place, cause, (from, to), facts) => {
                let entry = self.filled(Mark::Gap, place, cause, facts);
                self.over(Entry { from: Some(from), to: Some(to), ..entry });
            }
            Message::CameUp { place, channel, at, stood } => {
                self.came_up(place, channel, at, stood)
            }
            Message::Vanished(namespace, at) => self.vanished(&namespace, at),
            Message::Ready(at) => self.end(Place::default(), Cause::AgentDown, at, everything()),
            Message::Stopping(at) => {
                self.begin(Place::default(), Cause::AgentDown, at, everything());
            }
            Message::Clock(before, after) => {
                let entry = self.entry(Mark::Clock);
                self.write(Entry { from: Some(before), to: Some(after), ..entry });
            }
            Message::Sessions(live) => self.config.sessions = live,
            Message::Close => {}
        }
    }

    fn begin(&mut self, place: Place, cause: Cause, from: Timestamp, facts: Facts) {
        let key = key(&place, cause, &facts);
        if self.open.contains_key(&key) {
            return;
        }
        let mut entry = self.filled(Mark::Begin, place, cause, facts);
        entry.from = Some(from);
        *self.begun.entry(cause).or_default() += 1;
        self.write(entry.clone());
        self.open.insert(key, entry);
    }

    fn end(&mut self, place: Place, cause: Cause, to: Timestamp, facts: Facts) {
        let Some(begun) = self.open.remove(&key(&place, cause, &facts)) else { return };
        let now = self.filled(Mark::End, place, cause, facts);
        let mut entry = Entry { gap: begun.gap, from: begun.from, of: begun.of, ..now };
        entry.to = Some(to).max(begun.from);
        entry.cookie = entry.cookie.or(begun.cookie);
        entry.reasons.splice(0..0, begun.reasons);
        entry.reasons.dedup();
        if entry.culprits.is_empty() {
            entry.culprits = begun.culprits;
        }
        self.over(entry);
    }

    fn came_up(&mut self, place: Place, channel: Channel, at: Timestamp, stood: bool) {
        let facts = Facts { channels: vec![channel], ..Facts::default() };
        let Some((of, from)) = self.down.clone() else {
            // The first start ever: nothing is known of what was before.
            let entry = self.filled(Mark::Gap, place, Cause::Born, facts);
            return self.over(Entry { from: Some(self.started), to: Some(at), ..entry });
        };
        let mark = if stood { Mark::Stood } else { Mark::Gap };
        let entry = self.filled(mark, place, Cause::AgentDown, facts);
        self.over(Entry { of: Some(of), from: Some(from), to: Some(at.max(from)), ..entry });
    }

    fn vanished(&mut self, namespace: &str, at: Timestamp) {
        let gone = |key: &&Key| key.0.as_deref() == Some(namespace);
        let keys: Vec<Key> = self.open.keys().filter(gone).cloned().collect();
        for (namespace, file, cause, channels) in keys {
            let reasons = vec!["the namespace is gone".to_owned()];
            let facts = Facts { channels, reasons, ..Facts::default() };
            self.end(Place { namespace, cookie: None, file }, cause, at, facts);
        }
    }

    /// A gap that has ended; its records are counted when they are in their file.
    fn over(&mut self, entry: Entry) {
        let counts = entry.mark != Mark::Stood
            && entry.channels.contains(&Channel::KernelLog)
            && (entry.cause != Some(Cause::AgentDown) || entry.of.is_some());
        if let (Mark::Gap, Some(cause)) = (entry.mark, entry.cause) {
            *self.begun.entry(cause).or_default() += 1;
        }
        if counts && self.config.sessions.is_some() {
            self.counting.push((Instant::now() + COUNT_AFTER, entry.clone()));
        }
        self.write(entry);
    }

    fn next_count(&self) -> Option<Instant> {
        let due = self.counting.iter().map(|(due, _)| *due).min()?;
        Some(self.counted.map_or(due, |counted| due.max(counted + COUNT_EVERY)))
    }

    fn count(&mut self, now: Instant) {
        if self.next_count().is_none_or(|due| due > now) {
            return;
        }
        self.counted = Some(now);
        let (due, later): (Vec<_>, _) =
            std::mem::take(&mut self.counting).into_iter().partition(|(due, _)| *due <= now);
        self.counting = later;
        let (gaps, wanted): (Vec<&Entry>, Vec<Wanted<'_>>) =
            due.iter().filter_map(|(_, gap)| Some((gap, wanted(gap)?))).unzip();
        // Files that cannot be read tell nothing; the gaps stand as they are.
        let counts = self.config.sessions.as_ref().and_then(|live| count(live, &wanted).ok());
        for (gap, connections) in gaps.into_iter().zip(counts.unwrap_or_default()) {
            let entry = self.entry(Mark::Missed);
            let Entry { namespace, cookie, cause, gap, .. } = gap.clone();
            let connections = Some(connections);
            self.write(Entry { gap, namespace, cookie, cause, connections, ..entry });
        }
    }

    fn entry(&mut self, mark: Mark) -> Entry {
        self.number += 1;
        let gap = format!("{}/{}", self.config.run, self.number);
        Entry::new(mark, gap, Timestamp::now(), &self.config.boot_id)
    }

    fn filled(&mut self, mark: Mark, place: Place, cause: Cause, facts: Facts) -> Entry {
        let culprits: Vec<Culprit> = facts
            .authors
            .into_iter()
            .map(|(process, tid)| culprit::look_up(process, tid))
            .collect();
        let Place { namespace, cookie, file } = place;
        let Facts { channels, reasons, lost, .. } = facts;
        let cause = Some(cause);
        let entry = self.entry(mark);
        Entry { cause, namespace, cookie, file, channels, reasons, culprits, lost, ..entry }
    }

    fn write(&mut self, entry: Entry) {
        // Writing to memory cannot fail, nor has an entry keys that are not text.
        let Ok(mut line) = serde_json::to_vec(&entry) else { return };
        line.push(b'\n');
        self.book.add(&line);
    }

    fn flush(&mut self) {
        let result = self.book.flush().and_then(|()| self.rotate());
        let error = result
            .err()
            .map(|error| format!("cannot write {}: {error}", self.book.path().display()));
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.open = self.open.len() as u64;
        status.begun.clone_from(&self.begun);
        if status.error != error {
            (self.trouble)(error.as_deref());
            status.error = error;
        }
    }

    /// What is open is told in the new file, too: a start reads that and the one before, no others.
    fn rotate(&mut self) -> io::Result<()> {
        if !self.book.rotate(Timestamp::now())? {
            return Ok(());
        }
        let open: Vec<Entry> = self.open.values().cloned().collect();
        open.into_iter().for_each(|entry| self.write(entry));
        self.book.flush()
    }
}

fn wanted(gap: &Entry) -> Option<Wanted<'_>> {
    let (from, to) = gap.from.zip(gap.to)?;
    Some(Wanted { namespace: gap.namespace.as_deref(), from, to })
}

fn key(place: &Place, cause: Cause, facts: &Facts) -> Key {
    (place.namespace.clone(), place.file.clone(), cause, facts.channels.clone())
}

fn everything() -> Facts {
    Facts { channels: BOTH.to_vec(), ..Facts::default() }
}
