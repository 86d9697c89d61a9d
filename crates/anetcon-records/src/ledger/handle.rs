//! The ledger's handle: what happened goes in, and whoever tells it never waits for the disk.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use anetcon_core::ledger::{Cause, Channel};
use jiff::Timestamp;

use super::ALIVE_NAME;
use super::alive::Alive;
use super::book;
use super::keeper::Keeper;

/// What a ledger is about.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// The state directory.
    pub folder: PathBuf,
    /// The kernel's id of this boot.
    pub boot_id: String,
    /// Unlike that of any other run of the agent.
    pub run: String,
    /// The live file of the session records, if there are any.
    pub sessions: Option<PathBuf>,
    /// A file of this size is put aside, in bytes.
    pub largest: u64,
}

/// Where something happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The namespace; `None`: all of them.
    pub namespace: Option<String>,
    /// Its cookie in hex, where it was opened.
    pub cookie: Option<String>,
    /// The file it is about, if it is about one.
    pub file: Option<String>,
}

/// What is known of a gap, besides where and why.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// What is missing.
    pub channels: Vec<Channel>,
    /// What differed, or what went wrong.
    pub reasons: Vec<String>,
    /// Who did it: names and thread ids. What else /proc knows of them is looked up at once.
    pub authors: Vec<(String, u32)>,
    /// What is known to be gone.
    pub lost: Option<u64>,
}

/// How the ledger goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerStatus {
    /// Gaps that have not ended.
    pub open: u64,
    /// Gaps that began since the start, by cause.
    pub begun: BTreeMap<Cause, u64>,
    /// Why it cannot be written.
    pub error: Option<String>,
}

/// The handle.
#[derive(Debug)]
pub struct Ledger {
    sender: Sender<Message>,
    status: Arc<Mutex<LedgerStatus>>,
    alive: Mutex<Option<Alive>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    down_since: Option<Timestamp>,
    started: Timestamp,
}

/// What the handle tells the thread.
#[derive(Debug)]
pub(super) enum Message {
    Begin(Place, Cause, Timestamp, Facts),
    End(Place, Cause, Timestamp, Facts),
    Gap(Place, Cause, (Timestamp, Timestamp), Facts),
    CameUp { place: Place, channel: Channel, at: Timestamp, stood: bool },
    Vanished(String, Timestamp),
    Ready(Timestamp),
    Stopping(Timestamp),
    Clock(Timestamp, Timestamp),
    Sessions(Option<PathBuf>),
    Close,
}

impl LedgerConfig {
    /// The usual limits.
    pub fn new(folder: PathBuf, boot_id: String, run: String) -> Self {
        Self { folder, boot_id, run, sessions: None, largest: book::LARGEST }
    }
}

impl Ledger {
    /// Reads what the run before has left, says from when on no agent ran, and gives signs of life from then on. `trouble`
    /// is told why the file cannot be written, and `None` when it can be again.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn open(
        config: LedgerConfig,
        trouble: impl FnMut(Option<&str>) + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, inbox) = channel();
        let status = Arc::new(Mutex::new(LedgerStatus::default()));
        let (alive, boot_id) = (config.folder.join(ALIVE_NAME), config.boot_id.clone());
        let mut keeper = Keeper::new(config, Arc::clone(&status), Box::new(trouble));
        // Before the sign of life of the run before is written over.
        keeper.take_over(Timestamp::now());
        let (down_since, started) = (keeper.down_since(), keeper.started());
        let clock = sender.clone();
        let stepped = move |before, after| drop(clock.send(Message::Clock(before, after)));
        let alive = Alive::start(alive, boot_id, stepped)?;
        let thread = thread::Builder::new()
            .name("anetcon-ledger".into())
            .spawn(move || keeper.run(&inbox))?;
        let (alive, thread) = (Mutex::new(Some(alive)), Mutex::new(Some(thread)));
        Ok(Self { sender, status, alive, thread, down_since, started })
    }

    /// A gap begins. One that is open already, at this place for this cause on these channels, goes on.
    pub fn begin(&self, place: Place, cause: Cause, from: Timestamp, facts: Facts) {
        self.send(Message::Begin(place, cause, from, facts));
    }

    /// A gap is over, if there is one at this place for this cause on these channels.
    pub fn end(&self, place: Place, cause: Cause, to: Timestamp, facts: Facts) {
        self.send(Message::End(place, cause, to, facts));
    }

    /// A gap that is over already.
    pub fn gap(&self, place: Place, cause: Cause, from: Timestamp, to: Timestamp, facts: Facts) {
        self.send(Message::Gap(place, cause, (from, to), facts));
    }

    /// A channel of a namespace that was there at the start is in force from `at` on; `stood`: it has been all the time that
    /// no agent ran.
    pub fn came_up(&self, place: Place, channel: Channel, at: Timestamp, stood: bool) {
        self.send(Message::CameUp { place, channel, at, stood });
    }

    /// Since when something may be so that was noticed at a time: earlier than that if the agent stood still before.
    pub fn since(&self, noticed: Timestamp) -> Timestamp {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.as_ref().map_or(noticed, |alive| alive.since(noticed))
    }

    /// Since when no agent had run when this one started; at the first start ever, since this start.
    pub fn down_since(&self) -> Timestamp {
        self.down_since.unwrap_or(self.started)
    }

    /// A namespace is gone: nothing is missing of it from now on.
    pub fn vanished(&self, namespace: &str) {
        self.send(Message::Vanished(namespace.to_owned(), Timestamp::now()));
    }

    /// Every namespace that was there at the start was looked at.
    pub fn ready(&self) {
        self.send(Message::Ready(Timestamp::now()));
    }

    /// The agent is going to end: from now on nothing is sure.
    pub fn stopping(&self) {
        self.send(Message::Stopping(Timestamp::now()));
    }

    /// Where the session records are from now on.
    pub fn sessions(&self, live: Option<PathBuf>) {
        self.send(Message::Sessions(live));
    }

    /// How it goes.
    pub fn status(&self) -> LedgerStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what waits and ends both threads.
    pub fn close(&self) {
        self.send(Message::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A panic has been told where it happened.
        let _ = thread.map(JoinHandle::join);
        drop(self.alive.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    fn send(&self, message: Message) {
        // After the end there is nothing to say.
        let _ = self.sender.send(message);
    }
}
