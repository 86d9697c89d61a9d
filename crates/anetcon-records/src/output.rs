//! The two log files, each with the lines that wait for the next flush.

use std::path::Path;
use std::time::Instant;

use anetcon_core::prefix::Kind;
use jiff::Timestamp;

use crate::capture::CaptureConfig;
use crate::file::{LogFile, WriteError, Wrote};

/// The lines of one kind on their way into the file.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) kind: Kind,
    file: LogFile,
    batch: String,
    lines: u64,
    last: Option<Timestamp>,
}

/// What a flush did.
#[derive(Debug)]
pub(crate) struct Flushed {
    /// Lines that are in the file now.
    pub(crate) written: u64,
    /// When the newest of the lines was logged.
    pub(crate) last: Option<Timestamp>,
    /// How the file was met, or why lines are missing.
    pub(crate) result: Result<Wrote, WriteError>,
}

impl Output {
    /// One output for each kind.
    pub(crate) fn both(config: &CaptureConfig) -> [Self; 2] {
        Kind::ALL.map(|kind| Self {
            kind,
            file: LogFile::new(config.path(kind)),
            batch: String::new(),
            lines: 0,
            last: None,
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Adds one line with its newline, logged at `time`.
    pub(crate) fn add(&mut self, line: &str, time: Timestamp) {
        self.batch.push_str(line);
        self.lines += 1;
        self.last = Some(time);
    }

    /// How many bytes wait.
    pub(crate) fn waiting(&self) -> usize {
        self.batch.len()
    }

    /// Writes what waits; `None` if nothing did. Lines that cannot be written are dropped: keeping them would only delay the
    /// moment at which memory ends, and the kernel must be read on.
    pub(crate) fn flush(&mut self, now: Instant) -> Option<Flushed> {
        if self.lines == 0 {
            return None;
        }
        let result = self.file.append(self.batch.as_bytes(), now);
        let unwritten = result.as_ref().map_or_else(|error| error.unwritten, |_| 0);
        let written = self.lines.saturating_sub(unwritten);
        self.batch.clear();
        self.lines = 0;
        Some(Flushed { written, last: self.last, result })
    }
}
