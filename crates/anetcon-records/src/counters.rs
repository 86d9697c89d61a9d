//! What the capture thread tells: numbers at any time, and events when something begins or ends.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anetcon_core::prefix::Kind;
use jiff::Timestamp;

/// What was captured since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    /// When capturing started.
    pub since: Timestamp,
    /// Lines written to the float file.
    pub float: u64,
    /// Lines written to the nat file.
    pub nat: u64,
    /// Kernel log records, of anybody, that were overwritten before they could be read.
    pub lost: u64,
    /// Our lines that could not be written to their file, and are gone.
    pub unwritten: u64,
    /// Records that stood in a file already when the start looked.
    pub repeated: u64,
    /// When the newest line was logged.
    pub last_line: Option<Timestamp>,
    /// What goes wrong now; empty again when it works.
    pub error: Option<String>,
}

impl Counters {
    /// All zero.
    pub fn starting(since: Timestamp) -> Self {
        Self {
            since,
            float: 0,
            nat: 0,
            lost: 0,
            unwritten: 0,
            repeated: 0,
            last_line: None,
            error: None,
        }
    }
}

/// A part that can fail by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Reading the kernel log.
    KernelLog,
    /// Writing the file of a kind.
    File(Kind),
    /// Writing session records.
    Sessions,
    /// Saving or loading the position.
    Position,
}

/// Something that deserves one line in the agent's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Records were overwritten before they were read.
    Lost {
        /// How many, of anybody.
        records: u64,
        /// Whether that was before this start: the agent was not running.
        before_start: bool,
        /// When the last record before the hole was logged, if one was read.
        from: Option<Timestamp>,
        /// When the first one behind it was logged.
        to: Timestamp,
    },
    /// Session records found the queue full: the disk did not answer for long. They are gone.
    Dropped {
        /// How many.
        records: u64,
        /// When the queue was last seen with room in it.
        from: Timestamp,
    },
    /// The ring does not reach the saved position: it is of another boot, and is read from its oldest record.
    PositionVoid,
    /// A file or the state directory cannot be written, or the kernel log not be read; told once until it works again.
    Failed {
        /// What fails.
        part: Part,
        /// The reason, with its causes.
        error: String,
    },
    /// What failed works again.
    Recovered {
        /// What failed.
        part: Part,
        /// What was wrong, with its causes.
        error: String,
        /// Lines that could not be written meanwhile.
        unwritten: u64,
    },
    /// A file was rotated or removed, and a new one was opened.
    Reopened {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { records, before_start: true, .. } => {
                write!(f, "{records} kernel log records were overwritten while no agent read them")
            }
            Self::Lost { records, before_start: false, .. } => {
                write!(f, "{records} kernel log records were overwritten before they could be read")
            }
            Self::PositionVoid => f.write_str(
                "the saved position is not in this kernel log, which is read from its start",
            ),
            Self::Dropped { records, .. } => {
                write!(f, "{records} session records are gone: the disk does not answer")
            }
            Self::Failed { error, .. } => f.write_str(error),
            Self::Recovered { error, unwritten: 0, .. } => write!(f, "works again: {error}"),
            Self::Recovered { error, unwritten, .. } => {
                write!(f, "works again, {unwritten} lines are gone: {error}")
            }
            Self::Reopened { path } => {
                write!(f, "{} was renamed or removed: opened anew", path.display())
            }
        }
    }
}

/// The counters, shared between the capture thread and whoever asks.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<Counters>>, Arc<Mutex<Lines>>);

/// Lines by what their prefix says about the namespace: float, nat.
pub type Lines = HashMap<String, [u64; 2]>;

impl Shared {
    pub(crate) fn new(counters: Counters) -> Self {
        Self(Arc::new(Mutex::new(counters)), Arc::default())
    }

    pub(crate) fn snapshot(&self) -> Counters {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was read of each namespace so far, written or not.
    pub(crate) fn lines(&self) -> Lines {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn count_line(&self, tag: &str, kind: Kind) {
        let mut lines = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        // Most of the time it is there: no name is copied then.
        if !lines.contains_key(tag) {
            lines.insert(tag.to_owned(), [0, 0]);
        }
        if let Some([float, nat]) = lines.get_mut(tag) {
            *match kind {
                Kind::Float => float,
                Kind::Nat => nat,
            } += 1;
        }
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
