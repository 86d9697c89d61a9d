//! How the session records go.

use serde::{Deserialize, Serialize};

use crate::Schema;

/// The records of all namespaces: what was written, and what was not. Every connection the kernel told of is in
/// exactly one of the numbers, or on its way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordsStatus {
    /// Whether there are records at all (`records.enabled`). If not, the rest says nothing.
    pub enabled: bool,
    /// The file.
    pub file: String,
    /// Since when the numbers run.
    pub since: Option<String>,
    /// Namespaces whose connections are being recorded.
    pub namespaces: u64,
    /// Records written.
    pub written: u64,
    /// Connections found open that were on record already.
    pub repeated: u64,
    /// Records that wait to be written.
    pub waiting: u64,
    /// Records that could not be written (disk full, folder gone); they are gone.
    pub unwritten: u64,
    /// Records that found the queue full; they are gone.
    pub dropped: u64,
    /// How often the kernel's buffer ran over. What was still open then is on record all the same.
    pub overruns: u64,
    /// Messages of the kernel that were not understood.
    pub malformed: u64,
    /// The highest `anetcon.seq` of this run.
    pub last_seq: u64,
    /// When the newest record happened.
    pub last_record: Option<String>,
    /// What goes wrong now.
    pub error: Option<String>,
}

/// How the records of one namespace go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NamespaceRecords {
    /// Whether its connections are being recorded.
    pub following: bool,
    /// How often the kernel's buffer for it ran over.
    pub overruns: u64,
    /// Messages of the kernel that were not understood.
    pub malformed: u64,
    /// Why its connections are not recorded.
    pub error: Option<String>,
}

/// The answer to a request to open files anew after they were renamed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// `1`.
    pub schema: Schema,
    /// The files that are open under their own path now.
    pub files: Vec<String>,
}
