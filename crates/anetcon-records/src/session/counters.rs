//! What became of the records, at any time.

use jiff::Timestamp;

/// What was done since the start. Every record that was offered is in exactly one of `written`, `repeated`, `dropped`,
/// `unwritten`, `unwanted` and `waiting`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionCounters {
    /// When the log was started.
    pub since: Timestamp,
    /// Lines in the file.
    pub written: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Connections that a dump found and that were on record already.
    pub repeated: u64,
    /// Ends of connections, which are not written unless asked for.
    pub unwanted: u64,
    /// Records that found the queue full, because the disk did not answer for long; they are gone.
    pub dropped: u64,
    /// Records that could not be written: the disk was full, or the folder gone; they are gone.
    pub unwritten: u64,
    /// Records that wait for the writer now.
    pub waiting: u64,
    /// Records that an earlier run wrote in this boot, as far as they were read at the start.
    pub remembered: u64,
    /// The highest number given to a record.
    pub last_seq: u64,
    /// When the newest record in the file happened.
    pub last_record: Option<Timestamp>,
    /// What goes wrong now, with its causes; empty again when it works.
    pub error: Option<String>,
}

impl SessionCounters {
    pub(crate) fn starting(since: Timestamp) -> Self {
        Self {
            since,
            written: 0,
            bytes: 0,
            repeated: 0,
            unwanted: 0,
            dropped: 0,
            unwritten: 0,
            waiting: 0,
            remembered: 0,
            last_seq: 0,
            last_record: None,
            error: None,
        }
    }

    /// Records that are gone.
    pub fn lost(&self) -> u64 {
        self.dropped.saturating_add(self.unwritten)
    }
}
