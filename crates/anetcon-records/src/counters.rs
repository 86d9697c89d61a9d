//! What the capture thread tells: numbers at any time, and events when something begins or ends.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Something that deserves one line in the agent's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Records were overwritten before they were read.
    Lost {
        /// How many, of anybody.
        records: u64,
        /// Whether that was before this start: the agent was not running.
        before_start: bool,
    },
    /// The ring does not reach the saved position: it is of another boot, and is read from its oldest record.
    PositionVoid,
    /// A file or the state directory cannot be written, or the kernel log not be read; told once until it works again.
    Failed {
        /// The reason, with its causes.
        error: String,
    },
    /// What failed works again.
    Recovered {
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
            Self::Lost { records, before_start: true } => {
                write!(f, "{records} kernel log records were overwritten while no agent read them")
            }
            Self::Lost { records, before_start: false } => {
                write!(f, "{records} kernel log records were overwritten before they could be read")
            }
            Self::PositionVoid => f.write_str(
                "the saved position is not in this kernel log, which is read from its start",
            ),
            Self::Failed { error } => f.write_str(error),
            Self::Recovered { error, unwritten: 0 } => write!(f, "works again: {error}"),
            Self::Recovered { error, unwritten } => {
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
pub(crate) struct Shared(Arc<Mutex<Counters>>);

impl Shared {
    pub(crate) fn new(counters: Counters) -> Self {
        Self(Arc::new(Mutex::new(counters)))
    }

    pub(crate) fn snapshot(&self) -> Counters {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
