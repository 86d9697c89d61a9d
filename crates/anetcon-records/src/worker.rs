//! The body of the capture thread: read, sort, write, remember how far.
//!
//! The kernel's ring is small (128 KiB hold some 600 of our lines) and overwrites what is not read in time, so reading always
//! comes first: lines are gathered while records are there, and written when the last flush is long enough
//! ago or there are many. A line is in its file at most some 20 ms after it was read.

use std::io::{self, PipeReader, Read as _};
use std::os::fd::AsFd as _;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use anetcon_core::prefix::{Kind, Prefixes};
use jiff::Timestamp;

use crate::capture::CaptureConfig;
use crate::clock::{Arrival, Clock};
use crate::counters::Part;
use crate::counters::{Event, Shared};
use crate::device::Device;
use crate::file::Wrote;
use crate::kmsg::Record;
use crate::line;
use crate::output::Output;
use crate::position::{self, Position};
use crate::reader::{self, Next, Reader, Woken};
use crate::sort::Sorter;
use crate::system;
use crate::tail::Tails;
use crate::teller::{OnEvent, Teller};

/// The least time between two flushes: a line alone is written at once, under load there are batches of some hundred lines.
const FLUSH_EVERY: Duration = Duration::from_millis(20);
/// A batch of this size is written at once.
const FLUSH_SIZE: usize = 256 * 1024;
/// How often lost records are told, and the position is saved when there were no lines of ours.
const HOUSEKEEPING_AFTER: Duration = Duration::from_secs(1);
/// The pause before the kernel log is opened again after an error.
const REOPEN_AFTER: Duration = Duration::from_secs(1);
/// A stop does not read on for longer than this, however fast records come.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// What the handle asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Answered when every record read from then on is sorted by these prefixes, too.
    Learn(Prefixes, SyncSender<()>),
    Reconfigure(Box<CaptureConfig>),
    Stop,
}

/// Commands, and the pipe that tells that there is one.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) commands: Receiver<Command>,
    pub(crate) woken: PipeReader,
}

impl Inbox {
    /// Empties the pipe, which must be readable. Its bytes say nothing; the commands do.
    fn hush(&mut self) {
        let _ = self.woken.read(&mut [0; 64]);
    }
}

/// The state of the thread.
pub(crate) struct Worker {
    config: CaptureConfig,
    device: Device,
    boot_id: String,
    inbox: Inbox,
    teller: Teller,
    sorter: Sorter,
    clock: Clock,
    outputs: [Output; 2],
    /// Until the ring was read once: what the files hold already.
    catching_up: Option<Tails>,
    flush_at: Option<Instant>,
    flushed_at: Option<Instant>,
    housekeeping_at: Option<Instant>,
    unsaved: bool,
    /// When the last record was logged.
    last_time: Option<Timestamp>,
    stop_by: Option<Instant>,
}

impl Worker {
    pub(crate) fn new(
        config: CaptureConfig,
        device: Device,
        boot_id: String,
        inbox: Inbox,
        counters: Shared,
        on_event: OnEvent,
    ) -> Self {
        Self {
            sorter: Sorter::new(&config.prefixes),
            clock: Clock::new(None),
            outputs: Output::both(&config),
            teller: Teller::new(counters, on_event),
            catching_up: config.write.then(Tails::default),
            flush_at: None,
            flushed_at: None,
            housekeeping_at: None,
            unsaved: false,
            last_time: None,
            stop_by: None,
            config,
            device,
            boot_id,
            inbox,
        }
    }

    /// Captures until it is told to stop.
    pub(crate) fn run(mut self) {
        let mut after = self.load_position();
        while !self.is_over() {
            let reader = match after {
                None if !self.config.write => Reader::open_at_end(&self.device),
                after => Reader::open(&self.device, after),
            };
            let result = reader.and_then(|mut reader| {
                let result = self.follow(&mut reader);
                after = reader.last();
                result
            });
            if let Err(error) = result {
                self.teller.failed(Part::KernelLog, &error, 0);
                self.flush();
                // Either way it goes on: an error only makes the pause shorter.
                let woken = reader::wait([self.inbox.woken.as_fd()], Some(REOPEN_AFTER));
                if woken.is_ok_and(|[woken]| woken) {
                    self.inbox.hush();
                }
                self.obey();
            }
        }
    }

    /// Reads until it is told to stop, or until the log must be opened again.
    fn follow(&mut self, reader: &mut Reader) -> io::Result<()> {
        let mut arrival = Arrival::Backlog;
        while !self.is_over() {
            let next = reader.read_record()?;
            match next {
                Next::Record { record, lost } => {
                    self.take(&record, lost, arrival);
                    arrival = Arrival::Backlog;
                }
                Next::Passed => arrival = Arrival::Backlog,
                Next::Empty => {
                    self.teller.works(Part::KernelLog);
                    if !self.caught_up(reader) {
                        return Ok(());
                    }
                    if self.stop_by.is_some() {
                        self.stop_by = Some(Instant::now());
                    } else {
                        arrival = self.wait(reader)?;
                    }
                }
            }
            self.work(reader);
        }
        self.finish(reader);
        self.teller.tell_lost(false);
        Ok(())
    }

    fn is_over(&self) -> bool {
        is_past(self.stop_by, Instant::now())
    }

    /// At the end of the ring: `false` if it must be read again because the saved position is not in it.
    fn caught_up(&mut self, reader: &mut Reader) -> bool {
        if self.catching_up.is_none() {
            return true;
        }
        self.teller.tell_lost(true);
        if reader.caught_up() {
            self.catching_up = None;
            // From here on a kill costs nothing: the position tells the next start also which prefixes are in use.
            self.save_soon();
            return true;
        }
        self.teller.tell(Event::PositionVoid);
        self.catching_up = Some(Tails::default());
        false
    }

    /// Waits for the next record, a command, or work that is due.
    fn wait(&mut self, reader: &Reader) -> io::Result<Arrival> {
        let now = Instant::now();
        let due = self.flush_at.into_iter().chain(self.housekeeping_at).min();
        let timeout = due.map(|due| due.saturating_duration_since(now));
        match reader.wait(self.inbox.woken.as_fd(), timeout)? {
            Woken::Record => Ok(Arrival::Live),
            Woken::Timeout => Ok(Arrival::Backlog),
            Woken::Other => {
                self.inbox.hush();
                self.obey();
                Ok(Arrival::Backlog)
            }
        }
    }

    /// Does what is due. Called after each record, so it must cost nothing when nothing is.
    fn work(&mut self, reader: &Reader) {
        let now = Instant::now();
        let housekeeping = is_past(self.housekeeping_at, now);
        let large = self.outputs.iter().any(|output| output.waiting() >= FLUSH_SIZE);
        if large || housekeeping || is_past(self.flush_at, now) {
            self.finish(reader);
            self.obey();
        }
        if housekeeping {
            self.housekeeping_at = None;
            self.teller.tell_lost(self.catching_up.is_some());
        }
    }

    /// A record, and how many were overwritten right before it.
    fn take(&mut self, record: &Record, lost: u64, arrival: Arrival) {
        self.unsaved = true;
        let now = Instant::now();
        let time = self.clock.time(record.monotonic, arrival, system::now());
        self.teller.lost(lost, self.last_time.replace(time), time);
        self.housekeeping_at.get_or_insert(now + HOUSEKEEPING_AFTER);
        let Some((kind, tag)) = self.sorter.sort(record) else { return };
        self.teller.line(tag, kind);
        if !self.config.write {
            return;
        }
        if let Some(tails) = &mut self.catching_up {
            match tails.take(&self.config.path(kind), record) {
                Ok(true) => return self.teller.repeated(),
                Ok(false) => {}
                // The file will be opened for writing next, which tells when it works.
                Err(error) => self.teller.failed(Part::File(kind), &error, 0),
            }
        }
        let line = line::format(record, time, &self.config.hostname);
        if let Some(output) = self.outputs.iter_mut().find(|output| output.kind == kind) {
            output.add(&line, time);
        }
        self.flush_at
            .get_or_insert(self.flushed_at.map_or(now, |last| now.max(last + FLUSH_EVERY)));
    }

    /// Everything that was read is in the files, and the position says so: in this order, so that a kill between the two makes the
    /// next start look at records twice, never not at all.
    fn finish(&mut self, reader: &Reader) {
        self.flush();
        self.save(reader);
    }

    fn flush(&mut self) {
        let now = Instant::now();
        self.flush_at = None;
        self.flushed_at = Some(now);
        for output in &mut self.outputs {
            let Some(flushed) = output.flush(now) else { continue };
            self.teller.written(output.kind, flushed.written, flushed.last);
            match flushed.result {
                Ok(wrote) => {
                    self.teller.works(Part::File(output.kind));
                    if wrote == Wrote::Reopened {
                        self.teller.tell(Event::Reopened { path: output.path().to_owned() });
                    }
                }
                Err(error) => self.teller.failed(Part::File(output.kind), &error, error.unwritten),
            }
        }
    }

    fn load_position(&mut self) -> Option<u64> {
        if !self.config.write {
            return None;
        }
        match position::load(&self.config.state_directory) {
            Ok(Some(position)) if position.boot_id == self.boot_id => {
                self.clock = Clock::new(Some(position.lag()));
                self.remember(position.float_stems, Kind::Float);
                self.remember(position.nat_stems, Kind::Nat);
                // What the configuration says now goes before what others said.
                self.sorter.learn(&self.config.prefixes);
                Some(position.sequence)
            }
            Ok(_) => None,
            Err(error) => {
                self.teller.failed(Part::Position, &error, 0);
                None
            }
        }
    }

    fn remember(&mut self, stems: Vec<String>, kind: Kind) {
        stems.into_iter().for_each(|stem| self.sorter.learn_stem(stem, kind));
    }

    fn save_soon(&mut self) {
        self.unsaved = true;
        self.housekeeping_at = Some(Instant::now());
    }

    fn save(&mut self, reader: &Reader) {
        let due = self.unsaved && self.config.write;
        let Some(sequence) = reader.last().filter(|_| due) else { return };
        self.unsaved = false;
        let lag_ns = i64::try_from(self.clock.lag().as_nanos()).unwrap_or(0);
        let position = Position {
            boot_id: self.boot_id.clone(),
            sequence,
            lag_ns,
            float_stems: self.sorter.stems(Kind::Float),
            nat_stems: self.sorter.stems(Kind::Nat),
        };
        match position.save(&self.config.state_directory) {
            Ok(()) => self.teller.works(Part::Position),
            Err(error) => self.teller.failed(Part::Position, &error, 0),
        }
    }

    fn obey(&mut self) {
        loop {
            match self.inbox.commands.try_recv() {
                Ok(Command::Learn(prefixes, learned)) => {
                    self.sorter.learn(&prefixes);
                    self.save_soon();
                    // Whoever asked may have given up waiting.
                    let _ = learned.send(());
                }
                Ok(Command::Reconfigure(config)) => self.reconfigure(*config),
                // The handle is never dropped without a stop; if it were, nobody could stop us later.
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => {
                    self.stop_by.get_or_insert_with(|| Instant::now() + STOP_WITHIN);
                    return;
                }
                Err(TryRecvError::Empty) => return,
            }
        }
    }

    fn reconfigure(&mut self, config: CaptureConfig) {
        self.flush();
        self.sorter.learn(&config.prefixes);
        if config.directory != self.config.directory {
            self.outputs = Output::both(&config);
        }
        self.config = config;
        // The state directory may be another one.
        self.save_soon();
    }
}

fn is_past(due: Option<Instant>, now: Instant) -> bool {
    due.is_some_and(|due| due <= now)
}
