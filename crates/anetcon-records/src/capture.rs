//! The capture thread's handle: start, reconfigure, ask, stop.
//!
//! Capturing is one thread of its own and never a task of the agent's runtime: a busy repair must not make it miss
//! records, and a flood of records must not delay a repair.

use std::io::{self, PipeWriter, Write as _};
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anetcon_core::prefix::{Kind, Prefixes};
use thiserror::Error;

use crate::counters::{Counters, Event, Lines, Shared};
use crate::device::Device;
use crate::reader::Reader;
use crate::system;
use crate::worker::{Command, Inbox, Worker};

/// The name of the thread, as `ps -L` shows it.
const THREAD: &str = "anetcon-kmsg";

/// How long [`Capture::learn`] waits. The thread looks for commands at least every 20 ms.
const LEARN_WITHIN: Duration = Duration::from_secs(2);

/// What is captured, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureConfig {
    /// Which lines are ours.
    pub prefixes: Prefixes,
    /// Where `anetcon.float.log` and `anetcon.nat.log` are; made (0750) if missing.
    pub directory: PathBuf,
    /// Where the position in the kernel log is kept; made if missing.
    pub state_directory: PathBuf,
    /// The host as it is written in each line; see [`system::hostname`].
    pub hostname: String,
    /// Whether lines are written. If not, they are only counted, from now on: somebody else writes them.
    pub write: bool,
}

impl CaptureConfig {
    /// The file that lines of a kind go to.
    pub fn path(&self, kind: Kind) -> PathBuf {
        self.directory.join(format!("anetcon.{}.log", kind.as_str()))
    }
}

/// Why capturing cannot start or did not end well.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// The kernel log cannot be read.
    #[error("cannot open /dev/kmsg")]
    Open(#[source] io::Error),
    /// The boot id cannot be read.
    #[error("cannot read the boot id")]
    BootId(#[source] io::Error),
    /// No thread or no pipe.
    #[error("cannot start the thread {THREAD}")]
    Thread(#[source] io::Error),
    /// It waits for a slow disk, or has ended.
    #[error("the thread {THREAD} does not answer")]
    Busy,
    /// A bug.
    #[error("the thread {THREAD} panicked")]
    Panicked,
}

/// A running capture. Dropping it stops it, as [`Capture::stop`] does.
#[derive(Debug)]
pub struct Capture {
    commands: Sender<Command>,
    wake: PipeWriter,
    counters: Shared,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts capturing after the saved position of this boot, or else at the oldest record of the kernel's ring.
    /// `on_event` is called on the capture thread and must not wait.
    ///
    /// Files that cannot be written, now or later, do not fail the start: lines are counted, and it goes on by itself.
    ///
    /// # Errors
    /// [`CaptureError`] if the kernel log cannot be read or no thread started.
    pub fn start(
        config: CaptureConfig,
        device: Device,
        on_event: impl FnMut(Event) + Send + 'static,
    ) -> Result<Self, CaptureError> {
        let boot_id = system::boot_id().map_err(CaptureError::BootId)?;
        // Fails early if the log cannot be read; the worker opens it again at its position.
        Reader::open(&device, None).map_err(CaptureError::Open)?;
        let counters = Shared::new(Counters::starting(system::now().wall));
        let (commands, receiver) = mpsc::channel();
        let (woken, wake) = io::pipe().map_err(CaptureError::Thread)?;
        let inbox = Inbox { commands: receiver, woken };
        let worker =
            Worker::new(config, device, boot_id, inbox, counters.clone(), Box::new(on_event));
        let thread = thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || worker.run())
            .map_err(CaptureError::Thread)?;
        Ok(Self { commands, wake, counters, thread: Some(thread) })
    }

    /// What was captured so far.
    pub fn counters(&self) -> Counters {
        self.counters.snapshot()
    }

    /// Lines read so far, by what their prefix says about the namespace.
    pub fn lines(&self) -> Lines {
        self.counters.lines()
    }

    /// Whether the thread runs; `false` means that it panicked.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Makes further prefixes known. To be called before rules that use them are in force: when this returns, no line of
    /// theirs can be taken for somebody else's.
    ///
    /// # Errors
    /// [`CaptureError::Busy`] if the thread does not get to it in time; it will.
    pub fn learn(&self, prefixes: &Prefixes) -> Result<(), CaptureError> {
        let (done, learned) = mpsc::sync_channel(1);
        self.send(Command::Learn(prefixes.clone(), done));
        learned.recv_timeout(LEARN_WITHIN).map_err(|_| CaptureError::Busy)
    }

    /// Takes over another configuration. Lines read before go where the old one says; old prefixes stay known.
    pub fn reconfigure(&self, config: CaptureConfig) {
        self.send(Command::Reconfigure(Box::new(config)));
    }

    /// Reads what is in the ring, writes everything, saves the position and ends the thread.
    ///
    /// # Errors
    /// [`CaptureError::Panicked`].
    pub fn stop(mut self) -> Result<Counters, CaptureError> {
        self.end()?;
        Ok(self.counters.snapshot())
    }

    fn end(&mut self) -> Result<(), CaptureError> {
        self.send(Command::Stop);
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| CaptureError::Panicked),
            None => Ok(()),
        }
    }

    fn send(&self, command: Command) {
        // Both fail only if the thread is gone; `stop` and `is_running` tell that.
        let _ = self.commands.send(command);
        let _ = (&self.wake).write_all(&[0]);
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // A panic was told by whoever asked `is_running`; there is nobody to tell here.
        let _ = self.end();
    }
}
