//! The records' thread: what is on record already is passed over, the rest gets its number and becomes lines of the file.
//! What may be on record, beyond what is remembered, waits in `doubts` until the files were asked.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anetcon_core::session::EventKind;
use jiff::Timestamp;

use super::build::{Facts, ends, nanoseconds, record};
use super::doubts::{Doubt, Doubts, Settled};
use super::known::{Key, Known, Noted};
use super::log::{SessionLogConfig, Shared, Waiting};
use crate::counters::Event as Told;
use crate::counters::Part;
use crate::file::{LogFile, Wrote};
use crate::health::Health;
use crate::teller::OnEvent;

/// How long the first record of a batch waits for others. What waits when the agent is killed is lost.
const LINGER: Duration = Duration::from_millis(20);

/// A batch is written when it has this many bytes.
const WRITE: usize = 1 << 20;

/// How long a stop waits for older files to be searched. What was not looked for by then is written: a record that is there
/// twice is better than one that is missing.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Writer {
    config: SessionLogConfig,
    shared: Arc<Shared>,
    on_event: OnEvent,
    health: Health,
    file: LogFile,
    known: Known,
    doubts: Doubts,
    /// When a batch was taken last.
    took: Timestamp,
    seq: u64,
    lines: Lines,
}

/// What goes into the file with the next write.
#[derive(Debug, Default)]
struct Lines {
    text: Vec<u8>,
    records: u64,
    last: Option<Timestamp>,
}

/// What becomes of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Write {
        start: Option<Timestamp>,
    },
    Repeated,
    Unwanted,
    /// It may be on record, under one of these keys.
    Doubtful([Key; 2]),
}

impl Writer {
    pub(crate) fn new(config: SessionLogConfig, shared: Arc<Shared>, on_event: OnEvent) -> Self {
        let file = LogFile::new(config.file.clone());
        let known = Known::new(config.generation);
        Self {
            config,
            shared,
            on_event,
            health: Health::default(),
            file,
            known,
            doubts: Doubts::default(),
            took: Timestamp::now(),
            seq: 0,
            lines: Lines::default(),
        }
    }

    /// Works until told to stop, and returns what is on record.
    pub(crate) fn run(mut self) -> Known {
        self.remember();
        // Makes the file, so that status tells at once if that fails.
        self.append();
        loop {
            let (batch, asked) = self.shared.take(LINGER);
            if batch.reopen {
                self.file = LogFile::new(self.config.file.clone());
            }
            for waiting in batch.waiting {
                self.add(waiting);
            }
            self.drop(batch.dropped);
            if batch.looked_up
                && let Some(settled) = self.doubts.settled()
            {
                self.settle(settled);
            }
            self.look();
            if batch.last {
                self.settle_all();
            }
            self.append();
            self.shared.done(asked);
            if batch.last {
                return self.known;
            }
        }
    }

    /// Takes over what is on record, or reads what an earlier run of this boot has written.
    fn remember(&mut self) {
        if let Some(known) = self.config.known.take() {
            self.known = known;
            return;
        }
        let SessionLogConfig { file, run, tail, generation, .. } = &self.config;
        match Known::read(file, &run.boot_id, *tail, *generation) {
            Ok(known) => {
                let remembered = known.len() as u64;
                self.known = known;
                self.shared.count(|counters| counters.remembered = remembered);
            }
            // The file cannot be written either, then.
            Err(error) => {
                self.known = Known::unread(*generation);
                self.failed(&error, 0);
            }
        }
    }

    fn drop(&mut self, records: u64) {
        let before = std::mem::replace(&mut self.took, Timestamp::now());
        if records > 0 {
            self.seq += records;
            (self.on_event)(Told::Dropped { records, from: before });
        }
    }

    fn look(&mut self) {
        let SessionLogConfig { file, run, .. } = &self.config;
        self.doubts.look(file.clone(), &run.boot_id, &self.shared);
    }

    /// What was looked for is on record, or is written now.
    fn settle(&mut self, Settled { found, doubts }: Settled) {
        for (key, noted) in found {
            // What happened since then is known better.
            if !self.known.has(key) {
                self.known.note(key, noted);
            }
        }
        for Doubt { waiting, .. } in doubts {
            let fate = match self.fate(&waiting) {
                Fate::Doubtful(keys) => self.unrecorded(&waiting, keys),
                fate => fate,
            };
            self.meet(waiting, fate, Timestamp::now());
        }
    }

    fn settle_all(&mut self) {
        let until = Instant::now() + PATIENCE;
        while let Some(settled) = self.doubts.settled_by(until) {
            self.settle(settled);
            self.look();
        }
    }

    fn add(&mut self, waiting: Waiting) {
        let fate = self.fate(&waiting);
        let filed = waiting.read;
        self.meet(waiting, fate, filed);
    }

    fn meet(&mut self, waiting: Waiting, fate: Fate, filed: Timestamp) {
        match fate {
            Fate::Write { start } => self.add_line(&waiting, start, filed),
            Fate::Repeated => self.shared.settled(1, |counters| counters.repeated += 1),
            Fate::Unwanted => self.shared.settled(1, |counters| counters.unwanted += 1),
            Fate::Doubtful(keys) => self.doubts.add(Doubt { waiting, keys }),
        }
        if self.lines.text.len() >= WRITE {
            self.append();
        }
    }

    fn fate(&mut self, waiting: &Waiting) -> Fate {
        let Waiting { event, read, .. } = waiting;
        let flow = &event.flow;
        let keys = keys(waiting);
        let [key, of_one_end] = keys;
        let known_by_one = !self.known.has(key) && self.known.has(of_one_end);
        let key = if known_by_one { of_one_end } else { key };
        let told = event.time.and_then(nanoseconds);
        match event.kind {
            EventKind::New if self.known.opened(key, told, *read) => Fate::Repeated,
            EventKind::New => {
                self.known.note(key, Noted { at: told.unwrap_or(*read), seen: false });
                Fate::Write { start: None }
            }
            EventKind::Seen if self.known.found(key, flow.start.and_then(nanoseconds)) => {
                Fate::Repeated
            }
            EventKind::Seen if self.known.is_complete() => self.unrecorded(waiting, keys),
            EventKind::Seen if self.doubts.has(keys) => Fate::Repeated,
            EventKind::Seen => Fate::Doubtful(keys),
            EventKind::Destroy => match (self.known.forget(key), self.config.end) {
                (start, true) => Fate::Write { start },
                (_, false) => Fate::Unwanted,
            },
        }
    }

    /// A connection that was found open and is not on record.
    fn unrecorded(&mut self, waiting: &Waiting, [key, _]: [Key; 2]) -> Fate {
        self.known.note(key, Noted { at: waiting.read, seen: true });
        Fate::Write { start: None }
    }

    fn add_line(&mut self, waiting: &Waiting, start: Option<Timestamp>, filed: Timestamp) {
        self.seq += 1;
        let facts = Facts {
            run: &self.config.run,
            origin: &waiting.origin,
            event: &waiting.event,
            action: waiting.action,
            seq: self.seq,
            read: waiting.read,
            filed,
            start,
        };
        let record = record(&facts);
        let before = self.lines.text.len();
        self.lines.records += 1;
        match serde_json::to_writer(&mut self.lines.text, &record) {
            Ok(()) => {
                self.lines.text.push(b'\n');
                self.lines.last = self.lines.last.max(Some(record.timestamp.0));
            }
            // Writing to memory cannot fail, nor has a record keys that are not text; if it did, it would count as lost.
            Err(_) => self.lines.text.truncate(before),
        }
    }

    /// Writes what is there, or makes sure that it could be.
    fn append(&mut self) {
        let Lines { mut text, records, last } = std::mem::take(&mut self.lines);
        let result = self.file.append(&text, Instant::now());
        let unwritten = result.as_ref().map_or_else(|error| error.unwritten, |_| 0);
        let (seq, bytes) = (self.seq, if unwritten == 0 { text.len() as u64 } else { 0 });
        self.shared.settled(records, |counters| {
            counters.unwritten += unwritten;
            counters.written += records.saturating_sub(unwritten);
            counters.bytes += bytes;
            counters.last_seq = seq;
            if records > unwritten {
                counters.last_record = counters.last_record.max(last);
            }
        });
        match result {
            // Nothing was written, so nothing is known of a disk that was full.
            Ok(_) if records == 0 && self.health.error().is_some() => {}
            Ok(wrote) => self.works(wrote),
            Err(error) => self.failed(&error, unwritten),
        }
        text.clear();
        self.lines.text = text;
    }

    fn works(&mut self, wrote: Wrote) {
        if let Some(event) = self.health.works(Part::Sessions) {
            self.publish(Some(event));
        }
        if wrote == Wrote::Reopened {
            (self.on_event)(Told::Reopened { path: self.config.file.clone() });
        }
    }

    fn failed(&mut self, error: &dyn std::error::Error, unwritten: u64) {
        let event = self.health.failed(Part::Sessions, error, unwritten);
        self.publish(event);
    }

    fn publish(&mut self, event: Option<Told>) {
        let error = self.health.error().map(str::to_owned);
        self.shared.count(|counters| counters.error = error);
        if let Some(event) = event {
            (self.on_event)(event);
        }
    }
}

/// By both ends, whatever is written of them; by one if that is all that a file tells of it.
fn keys(waiting: &Waiting) -> [Key; 2] {
    let Waiting { origin, event, action, .. } = waiting;
    [true, false].map(|with_remote| {
        let [source, destination] = ends(&event.flow, *action, with_remote);
        let ends = [source.as_ref(), destination.as_ref()];
        Key::new(origin.cookie(), event.flow.id, event.flow.zone, ends)
    })
}
